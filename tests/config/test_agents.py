"""What the phone team works by: files that contradict themselves are refused, with their line and without their values."""

from __future__ import annotations

from pathlib import Path

import pytest

from config import agents, call_scripts
from config.desk_files import DESKS
from config.load import ConfigError
from config.page_texts import page_texts
from config.rosters import roster
from decisions.agents import REASONS, UNKNOWN
from decisions.cases import CASE_KINDS
from decisions.recording import WAYS
from decisions.words import CHANNELS, HOLD_KINDS, RESULTS

HEAD = "owner: x\nreviewed_on: 2026-11-29\n"
ROSTER = """agents:
  - name: anna
    languages: [en]
    jurisdictions: [US]
    shifts: [{days: [mon], opens: "09:00", closes: "17:00", zone: America/New_York, since: 2026-01-01}]
"""
BAD_ROSTERS = [
    (ROSTER.replace("anna", "+12125550100"), "agents[0].name"),
    (ROSTER + ROSTER.removeprefix("agents:\n"), "agents[1].name"),
    (ROSTER.replace("New_York", "Atlantis"), "zone"),
    (ROSTER.replace("17:00", "08:00"), "ends after it begins"),
    (ROSTER.replace("09:00", "nine"), "opens"),
    (ROSTER.replace("[en]", "[]"), "languages"),
    (ROSTER.replace("[US]", "[usa]"), "jurisdictions"),
    (ROSTER.replace("name: anna", 'name: anna\n    phone: "555"'), "phone"),
]


def test_the_shipped_files_are_read_and_every_script_speaks_thirteen_languages() -> None:
    assert {one.jurisdiction for one in agents.wanted_certificates()} == {"IN", "ID"}
    assert "written_only" in agents.needs()
    assert agents.needs()["written_only"].stops == ("call", "voice")
    assert len(call_scripts.scripts(drafts=True)) == 13
    assert set(call_scripts.scripts(drafts=False)) == {"en", "es"}


@pytest.mark.parametrize(("content", "where"), BAD_ROSTERS, ids=[f"{number} {where}" for number, (_, where) in enumerate(BAD_ROSTERS)])
def test_a_roster_that_cannot_be_is_refused(tmp_path: Path, content: str, where: str) -> None:
    file = tmp_path / "roster.yaml"
    file.write_text(ROSTER)
    (good,) = roster(file)
    assert good.shifts[0].shifts[0].weekday == 1
    file.write_text(content)
    with pytest.raises(ConfigError, match=r"roster\.yaml:\d+") as refused:
        roster(file)
    assert where in str(refused.value)
    assert "+1212" not in str(refused.value)


@pytest.mark.parametrize(
    ("read", "content"),
    [
        (agents.needs, "needs: [{need: slow}, {need: slow}]"),
        (agents.needs, "needs: [{need: slow, stops: [telepathy]}]"),
        (agents.rubric, "talks_a_week: 3\nscale: {worst: 4, best: 0}\nrubric: []"),
        (agents.rubric, "talks_a_week: 3\nscale: {worst: 0, best: 4}\nrubric: [{point: respect, weight: 1, floor: 5}]"),
        (agents.recording_rules, "rules: [{jurisdiction: US, way: secretly, basis: law}]"),
    ],
)
def test_what_contradicts_itself_is_refused(tmp_path: Path, read: object, content: str) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(HEAD + content)
    with pytest.raises(ConfigError):
        read(file)  # type: ignore[operator]  # one of the readers above


@pytest.mark.parametrize(
    ("purpose", "attached", "role", "recorded", "names"),
    [
        ("collection", ["US"], "first_party", False, ["who_are_you", "who_calls", "may_stop"]),
        ("collection", ["US"], "third_party", False, ["who_are_you", "who_calls", "collects_debt", "may_stop"]),
        ("collection", ["MX"], "third_party", True, ["who_are_you", "who_calls", "recording", "may_stop"]),
        ("callback", ["US"], "debt_buyer", True, ["who_are_you", "who_calls", "recording"]),
    ],
)
def test_what_has_to_be_said_follows_from_place_role_and_purpose(
    purpose: str, attached: list[str], role: str, recorded: bool, names: list[str]
) -> None:
    found = call_scripts.required(call_scripts.disclosures(), purpose=purpose, jurisdictions=attached, role=role, is_recorded=recorded)
    assert list(found) == names


def test_words_are_hers_or_none(tmp_path: Path) -> None:
    (own,) = call_scripts.spoken(["who_calls"], "es-MX", agent="anna", creditor="Farol")
    assert own.words == "Soy anna y llamo de parte de Farol."
    assert call_scripts.spoken(["who_calls"], "fr", agent="anna", creditor="Farol")[0].words is None
    for name, content in (("lacks", "approved: draft\nsays: {who_calls: x}"),):
        (tmp_path / f"{name}.yaml").write_text(content)
        with pytest.raises(ConfigError, match="says"):
            call_scripts.scripts(tmp_path, drafts=True)


def test_a_rubric_weighs_and_names_what_is_too_low() -> None:
    shipped = agents.rubric()
    best = {point.name: shipped.best for point in shipped.points}
    assert (shipped.per_cent(best), shipped.below(best)) == (100, [])
    assert shipped.per_cent({**best, "respect": 0}) == 85
    assert shipped.below({**best, "no_pressure": 3}) == ["no_pressure"]
    assert [point.name for point in shipped.points][:3] == ["respect", "listened", "no_pressure"]


def test_the_desk_has_words_for_every_word_of_a_closed_list() -> None:
    """A hold, a result or a need without words would be a page that cannot be shown."""
    wanted = {
        *(f"hold_{one}" for one in HOLD_KINDS),
        *(f"chan_{one}" for one in CHANNELS),
        *(f"result_{one}" for one in RESULTS),
        *(f"case_{one}" for one in CASE_KINDS),
        *(f"why_{one}" for one in REASONS if one != UNKNOWN),
        *(f"need_{one}" for one in agents.needs()),
        *(f"point_{one.name}" for one in agents.rubric().points),
        *(f"say_{one.name}" for one in call_scripts.disclosures()),
        *(f"recording_{one}" for one in WAYS),
    }
    for words in page_texts(DESKS).values():
        assert wanted - set(words.texts) == set()
