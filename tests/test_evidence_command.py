"""`tideover evidence`: written from the ledger, checked from the folder alone, and whatever was changed is named."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from prefect.logging import disable_run_logger
from sqlalchemy import text
from typer.testing import CliRunner, Result

from config.policies import policies
from config.settings import settings
from gate.evidence import gather
from gate.lane import run_lane
from ledger.campaigns import open_run
from ledger.engine import connection
from ledger.evidence_folder import verify
from ledger.merkle import leaf, root_of_path
from tasks.choose import choose
from tasks.pick import pick
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sending import RecordingChannel
from tideover import app

AT = noon("US")


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["evidence", *words])


@pytest.fixture
def attempt(proved_attempt: int) -> int:
    """One of three attempts that went through planner, gate and provider; returns its id."""
    return proved_attempt


@pytest.fixture
def folder(attempt: int, tmp_path: Path) -> Path:
    """Evidence with its text."""
    written = run("--attempt", str(attempt), "--out", str(tmp_path / "evidence"), "--with-text")
    assert (written.exit_code, written.stderr) == (0, "")
    return tmp_path / "evidence"


def told(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "evidence.json").read_text())
    return read


def rewrite(folder: Path, changed: dict[str, Any]) -> None:
    (folder / "evidence.json").write_text(json.dumps(changed, ensure_ascii=False, indent=1) + "\n")


def test_evidence_says_facts_rules_versions_words_moves_and_proofs(folder: Path, attempt: int) -> None:
    evidence = told(folder)
    assert (evidence["attempt"]["id"], evidence["attempt"]["state"]) == (attempt, "delivered")
    assert [row["to_state"] for row in evidence["transitions"]] == ["submitting", "accepted", "delivered"]
    assert evidence["facts"]["loans"][0]["past_due_minor"] == 10_500
    by_id = {rule["rule"]: rule for rule in evidence["rules"]}
    assert set(by_id) == set(evidence["attempt"]["permit"]["rules"])
    assert by_id["US-REGF-HOURS"]["reference"][0]["title"]
    assert evidence["text"]["opened"]
    assert "$105.00" in evidence["text"]["body"]
    assert {line["table"] for line in evidence["proofs"]["lines"]} == {"decision", "reason_set", "attempt_transition", "contact_event"}
    assert evidence["proofs"]["heads"]


def test_the_page_is_for_people_and_fetches_nothing(folder: Path) -> None:
    page = (folder / "index.html").read_text()
    assert "US-REGF-HOURS" in page
    assert "$105.00" in page
    assert re.findall(r"<(?:script|link|img|iframe)|src=|href=|url\(", page) == []


def test_an_untouched_folder_matches_and_says_what_it_does_not_prove(folder: Path) -> None:
    result = run("--verify", str(folder))
    assert result.exit_code == 0
    assert "all that is proved matches" in result.stdout
    assert "not proved here: facts and answers" in result.stdout


def test_it_is_checked_without_a_database(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "another machine"
    shutil.move(folder, elsewhere)
    monkeypatch.setenv("TIDEOVER_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    settings.cache_clear()
    assert json.loads(run("--verify", str(elsewhere), "--json").stdout)["matches"] is True


def test_without_leave_no_word_and_no_token_is_written(attempt: int, tmp_path: Path) -> None:
    assert run("--attempt", str(attempt), "--out", str(tmp_path / "closed")).exit_code == 0
    with connection() as tx:
        token = str(tx.execute(text("SELECT token FROM attempt WHERE id = :id"), {"id": attempt}).scalar_one())
    for file in (tmp_path / "closed").rglob("*"):
        if file.is_file():
            assert token not in file.read_text()
            assert "$105.00" not in file.read_text()
    wrong, unproved = verify(tmp_path / "closed")
    assert wrong == []
    assert any("not opened" in line for line in unproved)


def test_any_byte_of_any_leaf_that_is_changed_is_found(folder: Path) -> None:
    """Not by the list of hashes alone: whoever changes a line can write that list anew."""
    evidence = told(folder)
    roots = {link["number"]: link["root"] for link in evidence["proofs"]["links"]}
    for line in evidence["proofs"]["lines"]:
        written = line["line"].encode()
        for at in range(len(written)):
            changed = written[:at] + bytes([written[at] ^ 1]) + written[at + 1 :]
            assert (root_of_path(leaf(changed), line["path"]) or b"").hex() != roots[line["number"]]
        assert (root_of_path(leaf(written), line["path"]) or b"").hex() == roots[line["number"]]


def test_a_line_that_was_changed_is_named(folder: Path) -> None:
    evidence = told(folder)
    for number, line in enumerate(evidence["proofs"]["lines"]):
        changed = json.loads(json.dumps(evidence))
        changed["proofs"]["lines"][number]["line"] = line["line"].replace("1", "2", 1)
        rewrite(folder, changed)
        assert any(f"{line['table']} {line['id']} does not lead to the root" in what for what in _wrong(folder))
    rewrite(folder, evidence)
    assert _wrong(folder) == []


def _wrong(folder: Path) -> list[str]:
    try:
        return verify(folder)[0]
    except RuntimeError as refused:
        return [str(refused)]


CHANGES: dict[str, tuple[list[Any], Any, str]] = {
    "the decision's score": (["decision", "score"], 7, "decision \\d+: score is shown otherwise"),
    "the odds": (["decision", "probability"], 0.5, "probability is shown otherwise"),
    "the reasons": (["decision", "reasons"], ["HOUSE-HOURS"], "reasons is shown otherwise"),
    "a move's instant": (["transitions", 1, "at"], "2026-03-17T09:00:00+00:00", "at is shown otherwise"),
    "a move's cause": (["transitions", 0, "cause"], "somebody wanted it", "cause is shown otherwise"),
    "the contact's counting": (["contacts", 0, "counts"], False, "counts is shown otherwise"),
    "the provider's id": (["attempt", "provider_id"], "SM0", "provider's id of the message is shown otherwise"),
    "the state": (["attempt", "state"], "read", "its moves end at delivered"),
    "the words": (["text", "body"], "Pay now or else", "not those that were sent"),
    "the permit": (["attempt", "permit", "zones"], ["Asia/Tokyo"], "committed to before the call"),
    "a root": (["proofs", "links", 1, "root"], "00" * 32, "does not follow"),
    "a link": (["proofs", "links", 0, "link"], "00" * 32, "does not follow"),
    "a head": (["proofs", "heads", 0, "link"], "00" * 32, "kept outside the database"),
    "a path": (["proofs", "lines", 0, "path", 0, "hashes", 0], "00" * 32, "does not lead to the root"),
    "a version": (["policies", 0, "hash"], "00" * 32, "its text is not the one of its hash"),
    "a fact": (["facts", "loans", 0, "past_due_minor"], 1, "evidence.json was changed"),
    "a rule": (["rules", 0, "says"], "Anything goes at any time.", "is not what its pack says"),
}


@pytest.mark.parametrize(("where", "value", "said"), CHANGES.values(), ids=CHANGES.keys())
def test_what_was_changed_is_named(folder: Path, where: list[Any], value: Any, said: str) -> None:
    evidence = told(folder)
    place = evidence
    for key in where[:-1]:
        place = place[key]
    assert place[where[-1]] != value
    place[where[-1]] = value
    rewrite(folder, evidence)
    result = run("--verify", str(folder))
    assert result.exit_code == 1
    assert re.search(said, result.stdout), result.stdout


def test_a_row_that_was_taken_out_is_found(folder: Path) -> None:
    evidence = told(folder)
    del evidence["transitions"][1]
    rewrite(folder, evidence)
    said = "\n".join(_wrong(folder))
    assert "is proved and not shown" in said
    assert "begins at accepted, the one before it ended at submitting" in said


@pytest.mark.parametrize("name", ["index.html", "SHA256SUMS"])
def test_a_page_or_list_that_was_changed_is_found(folder: Path, name: str) -> None:
    with (folder / name).open("a") as file:
        file.write("<!-- more -->\n")
    assert _wrong(folder) != []


@pytest.mark.parametrize("content", ["", "rules: [", "rules: 7", "\xff"])
def test_a_policy_that_was_changed_is_found(folder: Path, content: str) -> None:
    pack = told(folder)["attempt"]["permit"]["packs"]["US"]
    (folder / "policies" / f"{pack}.yaml").write_bytes(content.encode("latin-1"))
    said = "\n".join(_wrong(folder))
    assert "policy rules us: its text is not the one of its hash" in said
    assert "rule US-REGF-HOURS is not what its pack says" in said


def test_a_file_more_or_less_is_found(folder: Path) -> None:
    (folder / "note.txt").write_text("trust me")
    (folder / "index.html").unlink()
    assert {"note.txt is not in SHA256SUMS", "index.html is missing"} <= set(_wrong(folder))


def test_the_readers_own_heads_are_asked_where_she_has_them(folder: Path, tmp_path: Path) -> None:
    heads = tmp_path / "heads"
    assert run("--verify", str(folder), "--heads", str(heads)).exit_code == 0
    (file,) = heads.iterdir()
    file.write_text(re.sub(r'"link": "..', '"link": "00', file.read_text()))
    assert "kept outside the database" in run("--verify", str(folder), "--heads", str(heads)).stdout


def test_evidence_is_not_written_over_something_else(folder: Path, attempt: int) -> None:
    result = run("--attempt", str(attempt), "--out", str(folder))
    assert (result.exit_code, "is not empty" in result.stderr) == (2, True)


def test_an_attempt_that_does_not_exist_is_said(attempt: int, tmp_path: Path) -> None:
    result = run("--attempt", str(attempt + 1000), "--out", str(tmp_path / "none"))
    assert (result.exit_code, result.stderr) == (2, f"the ledger has no attempt {attempt + 1000}\n")


@pytest.mark.parametrize("words", [(), ("--attempt", "1"), ("--out", "x"), ("--attempt", "1", "--verify", "x")])
def test_half_a_command_is_refused(words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 2


@pytest.mark.parametrize("content", [None, "not JSON", '{"format": "another"}', '{"format": "tideover-evidence-1"}'])
def test_a_folder_that_is_no_evidence_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "evidence.json").write_text(content)
    result = run("--verify", str(tmp_path))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr


def test_a_withheld_attempt_shows_the_rule_that_held_it_back(portfolio: Portfolio, attempt: int) -> None:
    del attempt
    late = portfolio.borrower(push=False)
    with connection() as tx:
        run_id = open_run(
            tx, stage="early", business_date=TODAY, scope="US", preview=False, borrowers_max=None, policies=policies("early"), at=AT
        )
    with disable_run_logger():
        for shard in pick.fn(run_id):
            choose.fn(shard, run_id)
    portfolio.opt_out(late.party_id)
    run_lane(run_id, shard=None, channels={"sms": RecordingChannel})
    with connection() as tx:
        held = tx.execute(
            text("SELECT id FROM attempt WHERE party_id = :party AND state = 'withheld'"), {"party": late.party_id}
        ).scalar_one()
    evidence = gather(held, with_text=True)
    assert "HOUSE-OPTOUT" in {rule["rule"] for rule in evidence.told["rules"]}
    assert evidence.told["text"] == {"opened": False, "why_not": "nothing was sent"}
