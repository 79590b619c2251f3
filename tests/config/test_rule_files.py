"""Rule packs: what ships is whole, and a pack that is not is refused with file, line and reason."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from config.load import ConfigError
from config.rule_files import RULES, pack_bodies, packs_of, rule_packs
from decisions.jurisdictions import EU_COUNTRIES
from decisions.rule_forms import CapRule, DeadlineRule, DutyRule, WindowRule

# How the law's own names (LAW.md) differ from the ISO codes of packs.
PREFIXES = {"GB": {"UK"}, "US-NY-NYC": {"US-NYC"}, "EU": {"EU", *EU_COUNTRIES}}
ZZ = """\
jurisdiction: ZZ
title: The law of a country that does not exist
owner: compliance@example
reviewed_on: 2026-11-24
status: draft

rules:
  - id: ZZ-HOURS
    says: No contact before 8:00 or from 21:00 on.
    kind: window
    applies_to: {channels: [sms, call], except_purposes: [receipt]}
    clock: every_plausible_zone
    calendar: MX
    values:
      2020-01-01:
        weekday: {opens: "08:00", closes: "21:00"}
        saturday: {opens: "09:00", closes: "18:00"}
        sunday: closed
        holiday: closed
    reason: outside_contact_hours
    basis: law
    reference: &act
      - {title: Debt Act of Zedland, section: "§ 4", read_on: 2026-11-20}
    confidence: V1
    reviewed_by: null

  - id: ZZ-CAP
    says: At most three calls a day about a debt.
    kind: cap
    applies_to: {channels: [call]}
    counts:
      channels: [call]
      except_results: [busy]
      per: debt
      span: P1D
    values:
      2020-01-01: {at_most: 5}
      2026-01-01: {at_most: 3}
    reason: called_today
    basis: {third_party: law, debt_buyer: law}
    reference: *act
    confidence: V1
    reviewed_by: null
"""
CHILD = """
  - id: ZZ-CAP-OWN
    extends: ZZ-CAP
    says: At most so many calls a day about a debt, by our own wish.
    reference: *act
    reviewed_by: null
"""
Folder = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder of packs: the house's own and those given, as texts by file name."""

    def write(**files: str) -> Path:
        rules = tmp_path / "rules"
        rules.mkdir()
        shutil.copy(RULES / "house.yaml", rules)
        for stem, text in files.items():
            (rules / f"{stem}.yaml").write_text(text, "utf-8")
        return rules

    return write


def line_of(text: str, words: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), start=1) if words in line)


def test_a_pack_is_versioned_by_its_bytes() -> None:
    for pack in rule_packs().packs:
        file = RULES / f"{pack.jurisdiction.lower()}.yaml"
        assert pack.version == sha256(file.read_bytes()).hexdigest()
        assert pack_bodies()[pack.jurisdiction] == file.read_bytes().decode()


def test_texts_that_are_kept_elsewhere_make_the_same_packs() -> None:
    assert packs_of(pack_bodies(), Path("ledger")) == rule_packs()


def test_a_text_with_other_line_ends_keeps_its_version(folder: Folder) -> None:
    rules = folder()
    (rules / "zz.yaml").write_bytes(ZZ.replace("\n", "\r\n").encode())
    assert sha256(pack_bodies(rules)["ZZ"].encode()).hexdigest() == rule_packs(rules).versions["ZZ"]


def test_the_house_has_the_last_pack_and_every_file_is_one() -> None:
    names = list(rule_packs().versions)
    assert names[-1] == "house"
    assert names[:-1] == sorted(names[:-1])
    assert {f"{name.lower()}.yaml" for name in names} == {path.name for path in RULES.iterdir()}


def test_rule_ids_begin_with_their_jurisdiction() -> None:
    for pack in rule_packs().packs:
        names = PREFIXES.get(pack.jurisdiction, {pack.jurisdiction.upper()})
        assert [rule.id for rule in pack.rules if not rule.id.startswith(tuple(f"{name}-" for name in names))] == []


def test_sources_were_read_before_the_pack_was_reviewed_and_no_review_is_older_than_half_a_year() -> None:
    newest = max(pack.reviewed_on for pack in rule_packs().packs)
    for pack in rule_packs().packs:
        assert all(source.read_on <= pack.reviewed_on for rule in pack.rules for source in rule.reference)
        assert newest - pack.reviewed_on <= timedelta(days=180)


def test_what_is_recalled_says_what_is_not_verified() -> None:
    assert [rule.id for pack in rule_packs().packs for rule in pack.rules if rule.confidence == "R" and not rule.unverified] == []


def test_the_house_rules_are_the_houses() -> None:
    house = rule_packs().packs[-1]
    assert {rule.basis for rule in house.rules} <= {"house", "provider_policy"}
    assert {rule.id for rule in house.rules if rule.basis == "provider_policy"} == {"HOUSE-PROVIDER-WHATSAPP"}


def test_a_duty_and_a_deadline_gate_nothing() -> None:
    gating = {rule.id for _, rule in rule_packs().gating()}
    listed = {rule.id for pack in rule_packs().packs for rule in pack.rules if isinstance(rule, DutyRule | DeadlineRule)}
    assert listed
    assert gating & listed == set()


def test_a_rule_is_found_by_its_id(folder: Folder) -> None:
    packs = rule_packs(folder(zz=ZZ))
    pack, rule = packs.rule("ZZ-HOURS")
    assert (pack.jurisdiction, rule.kind, next(iter(rule.values))) == ("ZZ", "window", date(2020, 1, 1))
    with pytest.raises(KeyError):
        packs.rule("ZZ-NONE")


# --- what is not whole ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "at", "says"),
    [
        ("    reason: outside_contact_hours", "    reasn: outside_contact_hours", "reasn:", "unknown field"),
        ("reviewed_on: 2026-11-24", "reviewed_on: 2026-11-24\nreviewd: yes", "reviewd:", "unknown field"),
        ("    kind: window", "    kind: windows", "id: ZZ-HOURS", "windows"),
        ('saturday: {opens: "09:00"', 'saturday: {opens: "9:00"', "saturday:", "not a time of day"),
        ('saturday: {opens: "09:00"', 'saturday: {opens: "19:00"', "saturday:", "must be before"),
        ("      2020-01-01: {at", "      2020-13-01: {at", None, "2020-13-01"),
        ("      2020-01-01: {at_most: 5}", "      2026-01-02: {at_most: 5}", "2026-01-02:", "must ascend"),
        ("      2020-01-01: {at_most: 5}\n      2026-01-01: {at_most: 3}", "      {}", None, "at least one dated value"),
        ("2026-01-01: {at_most: 3}", "2026-01-01: {at_most: 0}", "at_most: 0", "greater than or equal to 1"),
        ("2026-01-01: {at_most: 3}", "2026-01-01: {at_most: three}", "at_most: three", "valid integer"),
        ("    clock: every_plausible_zone", "    clock: America/Gotham", "clock:", "IANA"),
        ("    reviewed_by: null\n", "", "id: ZZ-HOURS", "required field is missing"),
        ("    reference: *act\n", "", "id: ZZ-CAP", "required field is missing"),
        ("    reference: *act\n", "    reference: []\n", "reference: []", "at least 1"),
        (', section: "§ 4", read_on: 2026-11-20', ', section: "§ 4"', "title: Debt Act", "required field is missing"),
        ("  - id: ZZ-CAP", "  - id: ZZ-HOURS", None, "given twice"),
        ("  - id: ZZ-CAP", "  - id: HOUSE-CONSENT", "HOUSE-CONSENT", "given twice"),
        ("  - id: ZZ-CAP", "  - id: zz cap", "id: zz cap", "pattern"),
        ("jurisdiction: ZZ", "jurisdiction: ZY", "jurisdiction:", "belongs into zy.yaml"),
        ("jurisdiction: ZZ", "jurisdiction: house", "jurisdiction:", "belongs into house.yaml"),
        ("jurisdiction: ZZ", "jurisdiction: ZZ\nversion: abc", None, "is the hash of the file"),
        ("    calendar: MX", "    calendar: QQ", "calendar:", "not known to the holidays library"),
        ("    calendar: MX\n", "", "id: ZZ-HOURS", "go together"),
        ("        holiday: closed\n", "", "id: ZZ-HOURS", "go together"),
        ("      span: P1D", "      span: 1 day", "span:", "not a period"),
        ("      span: P1D", "      span: P1D\n      span: P2D", "span: P2D", "this key is given twice"),
        ("    basis: law\n", "    basis: hearsay\n", None, "house"),
        ("    confidence: V1", "    confidence: sure", "confidence: sure", "V1"),
        ("    reviewed_by: null", "    reviewed_by: null\n    : :", None, "not YAML"),
        ("rules:\n", "rules: {}\nxrules:\n", None, "unknown field"),
    ],
)
def test_a_pack_that_is_not_whole_is_refused_with_file_line_and_reason(
    folder: Folder, old: str, new: str, at: str | None, says: str
) -> None:
    assert ZZ.count(old) >= 1
    text = ZZ.replace(old, new, 1)
    with pytest.raises(ConfigError) as refused:
        rule_packs(folder(zz=text))
    assert says in str(refused.value)
    assert Path(refused.value.file).name == "zz.yaml"
    if at is not None:
        assert line_of(text, at) in {refused.value.line, *(one.line for one in refused.value.more)}


def test_a_pack_that_was_cut_off_inside_a_rule_is_refused(folder: Folder) -> None:
    """What was cut off while it was copied is no shorter law."""
    rules = folder()
    lines = ZZ.splitlines(keepends=True)
    ends = {number for number, line in enumerate(lines, start=1) if "reviewed_by" in line or not line.strip()}
    inside = [number for number in range(1, len(lines)) if number not in ends]
    for number in inside:
        (rules / "zz.yaml").write_text("".join(lines[:number]), "utf-8")
        with pytest.raises(ConfigError):
            rule_packs(rules)
    assert len(inside) > 30


def test_a_file_that_is_not_utf8_is_refused(folder: Folder) -> None:
    rules = folder()
    (rules / "zz.yaml").write_bytes(ZZ.replace("§", "é").encode("latin-1"))
    with pytest.raises(ConfigError, match="not UTF-8"):
        rule_packs(rules)


def test_an_empty_file_is_refused(folder: Folder) -> None:
    with pytest.raises(ConfigError, match=r"zz\.yaml"):
        rule_packs(folder(zz=""))


def test_two_packs_of_one_jurisdiction_are_refused(folder: Folder) -> None:
    with pytest.raises(ConfigError, match=r"ZZ\.yaml.*belongs into zz\.yaml") as refused:
        rule_packs(folder(zz=ZZ, ZZ=ZZ))
    assert refused.value.line == 1


def test_a_file_that_would_not_be_read_is_refused(folder: Folder) -> None:
    rules = folder()
    (rules / "zz.yml").write_text(ZZ, "utf-8")
    with pytest.raises(ConfigError, match=r"zz\.yml.*ends in \.yaml"):
        rule_packs(rules)


def test_no_law_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no rule pack is here"):
        rule_packs(tmp_path)


def test_a_law_without_the_house_is_refused(folder: Folder) -> None:
    rules = folder(zz=ZZ)
    (rules / "house.yaml").unlink()
    with pytest.raises(ConfigError, match="no pack of the house"):
        rule_packs(rules)


# --- extends ----------------------------------------------------------------------------------------------------------


def test_a_rule_that_extends_another_one_takes_what_it_leaves_out(folder: Folder) -> None:
    text = ZZ + CHILD + "    values: {2021-01-01: {at_most: 2}}\n"
    packs = rule_packs(folder(zz=text))
    parent, child = packs.rule("ZZ-CAP")[1], packs.rule("ZZ-CAP-OWN")[1]
    assert isinstance(parent, CapRule)
    assert isinstance(child, CapRule)
    assert (child.counts, child.basis, child.applies_to, child.reason) == (parent.counts, parent.basis, parent.applies_to, parent.reason)
    assert (child.extends, child.says) == ("ZZ-CAP", "At most so many calls a day about a debt, by our own wish.")


def test_a_rule_may_extend_one_of_another_pack_that_extends_a_third(folder: Folder) -> None:
    state = ZZ.replace("jurisdiction: ZZ", "jurisdiction: ZZ-AA").split("rules:")[0] + (
        "rules:\n"
        "  - id: ZZ-AA-CAP\n    extends: ZZ-CAP-OWN\n    says: The state is stricter still, in whatever way.\n"
        "    counts: {channels: [call], per: household, span: P7D}\n"
        "    reference: [{title: An act, read_on: 2026-11-20}]\n    reviewed_by: null\n"
    )
    packs = rule_packs(folder(zz=ZZ + CHILD, **{"zz-aa": state}))
    rule = packs.rule("ZZ-AA-CAP")[1]
    assert isinstance(rule, CapRule)
    assert (rule.counts.per, rule.applies_to.channels, len(rule.values)) == ("household", ("call",), 2)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("    values: {2026-01-01: {at_most: 4}}\n", "values 2026-01-01 loosens ZZ-CAP: at most 3 → at most 4"),
        ("    values: {2026-01-01: {at_most: 3}, 2027-01-01: {at_most: 4}}\n", "values 2027-01-01 loosens"),
        ("    counts: {channels: [call], except_results: [busy], per: debt, span: PT1H}\n", "counts.span cannot be compared"),
        ("    counts: {channels: [call], except_results: [busy], per: debt, span: PT24H}\n", "counts.span cannot be compared"),
        ("    counts: {channels: [call], except_results: [busy], per: contact_point, span: P1D}\n", "counts.per cannot be compared"),
        ("    counts: {channels: [call], except_results: [busy, failed], per: debt, span: P1D}\n", "counts.results loosens"),
        ("    counts: {channels: [sms], except_results: [busy], per: debt, span: P1D}\n", "counts.channels cannot be compared"),
        ("    applies_to: {channels: [sms]}\n", "applies_to.channels cannot be compared"),
        ("    applies_to: {channels: [call], purposes: [collection]}\n", "applies_to.purposes loosens"),
        ("    applies_to: {channels: [call], automated: true}\n", "applies_to.automated loosens"),
        ("    applies_to: {channels: [call], loans: {past_due_over_days: 30}}\n", "past_due_over_days loosens"),
        ("    basis: {third_party: law}\n", "basis debt_buyer loosens"),
        ("    basis: house\n", "basis third_party loosens"),
        ("    outcome: review\n", "outcome loosens"),
        ("    one_reply: P1D\n", "one_reply loosens"),
        ("    kind: cooldown\n", "another kind"),
    ],
)
def test_a_rule_that_loosens_the_one_it_extends_is_refused(folder: Folder, more: str, says: str) -> None:
    text = ZZ + CHILD + more
    with pytest.raises(ConfigError) as refused:
        rule_packs(folder(zz=text))
    assert says in str(refused.value)
    assert Path(refused.value.file).name == "zz.yaml"
    assert refused.value.line is not None
    assert refused.value.line >= line_of(text, "id: ZZ-CAP-OWN")


@pytest.mark.parametrize(
    "more",
    [
        "    values: {2026-01-01: {at_most: 3}}\n",
        "    values: {2026-01-01: {at_most: 1}, 2027-01-01: ended}\n",
        "    counts: {per: person, span: PT48H}\n",
        "    applies_to: {}\n",
        "    basis: law\n",
        "    confidence: R\n    unverified: Somebody remembered it.\n",
    ],
)
def test_a_rule_that_tightens_the_one_it_extends_is_read(folder: Folder, more: str) -> None:
    assert rule_packs(folder(zz=ZZ + CHILD + more)).rule("ZZ-CAP-OWN")


SATURDAY = '{opens: "09:00", closes: "18:00"}'
HOURS = "    values: {{2021-01-01: {{weekday: {0}, saturday: {1}, sunday: {2}, holiday: {3}}}}}\n"


@pytest.mark.parametrize(
    ("hours", "says"),
    [
        (('{opens: "08:00", closes: "21:00"}', "closed", "closed", "closed"), None),
        (('{opens: "09:30", closes: "20:00"}', '{opens: "10:00", closes: "18:00"}', "closed", "closed"), None),
        (('{opens: "08:00", closes: "21:01"}', SATURDAY, "closed", "closed"), "loosens"),
        (('{opens: "07:59", closes: "21:00"}', SATURDAY, "closed", "closed"), "loosens"),
        (('{opens: "09:00", closes: "22:00"}', "closed", "closed", "closed"), "cannot be compared"),
        (("closed", "closed", "closed", '{opens: "10:00", closes: "11:00"}'), "cannot be compared"),
        (
            ('{opens: "08:00", closes: "21:00"}', '{opens: "09:00", closes: "18:00"}', '{opens: "10:00", closes: "11:00"}', "closed"),
            "loosens",
        ),
    ],
)
def test_hours_may_only_shrink_on_every_class_of_day(folder: Folder, hours: tuple[str, ...], says: str | None) -> None:
    text = ZZ + CHILD.replace("CAP", "HOURS") + HOURS.format(*hours)
    if says is None:
        assert isinstance(rule_packs(folder(zz=text)).rule("ZZ-HOURS-OWN")[1], WindowRule)
        return
    with pytest.raises(ConfigError, match=says):
        rule_packs(folder(zz=text))


def test_a_rule_that_extends_none_that_there_is_is_refused(folder: Folder) -> None:
    text = ZZ + CHILD.replace("extends: ZZ-CAP", "extends: ZZ-NONE")
    with pytest.raises(ConfigError, match="no pack has a rule with this id") as refused:
        rule_packs(folder(zz=text))
    assert refused.value.line == line_of(text, "extends: ZZ-NONE")


def test_rules_that_extend_each_other_in_a_circle_are_refused(folder: Folder) -> None:
    text = ZZ.replace("    kind: cap\n", "    kind: cap\n    extends: ZZ-CAP-OWN\n") + CHILD
    with pytest.raises(ConfigError, match="ZZ-CAP → ZZ-CAP-OWN → ZZ-CAP") as refused:
        rule_packs(folder(zz=text))
    assert Path(refused.value.file).name == "zz.yaml"


def test_a_rule_that_extends_itself_is_refused(folder: Folder) -> None:
    with pytest.raises(ConfigError, match="circle"):
        rule_packs(folder(zz=ZZ + CHILD.replace("extends: ZZ-CAP", "extends: ZZ-CAP-OWN")))
