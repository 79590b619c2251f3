"""`tideover approve …` and `tideover rules diff`: two people, one text, and what it changes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from config.policies import rule_policy
from config.rule_files import RULES, pack_bodies, rule_packs
from ledger import clock
from ledger.approvals import approved_packs
from ledger.campaigns import write_policies
from ledger.engine import connection
from tideover import app

NOW = datetime(2026, 3, 17, 16, tzinfo=UTC)
OLDER = """\
jurisdiction: ZZ
title: The law of a country that does not exist
owner: compliance@example
reviewed_on: 2026-11-24
status: {status}
rules:
  - id: ZZ-CAP
    says: {says}
    kind: cap
    applies_to: {{channels: [call]}}
    counts: {{channels: [call], per: debt, span: P1D}}
    values:
      2020-01-01: {{at_most: {at_most}}}
    reason: called_today
    basis: law
    reference: [{{title: Debt Act of Zedland, read_on: 2026-11-20}}]
    confidence: R
    reviewed_by: null
    unverified: Nobody has read the act.
"""


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def approve(*words: str) -> Result:
    return run("approve", "pack", *words)


def pack(folder: Path, name: str = "zz", *, status: str = "ready", at_most: int = 3, says: str = "At most so many calls a day.") -> Path:
    file = folder / f"{name}.yaml"
    file.write_text(OLDER.format(status=status, at_most=at_most, says=says), "utf-8")
    return file


def kept(text: str, jurisdiction: str = "ZZ") -> str:
    """Keep a text in the ledger, as a run of another day did; its version."""
    policy = rule_policy(jurisdiction, text)
    with connection() as tx:
        write_policies(tx, [policy])
    return policy.hash


def approved() -> frozenset[str]:
    with connection() as tx:
        return approved_packs(tx, clock.now(tx))


@pytest.fixture
def _at_noon(ledger_url: str) -> None:
    del ledger_url
    with connection() as tx:
        clock.step(tx, NOW)


@pytest.mark.usefixtures("_at_noon")
def test_the_first_person_asks_the_second_approves_and_the_first_cannot() -> None:
    version = rule_packs().versions["house"]
    asked = approve("house", "--by", "anna", "--reason", "reviewed with counsel")
    assert asked.exit_code == 0, asked.output
    assert f"tideover approve pack house --hash {version[:12]} --by NAME" in asked.stdout
    assert approved() == frozenset()
    again = approve("house", "--by", "Anna")
    assert (again.exit_code, approved()) == (1, frozenset())
    assert "four eyes" in again.stderr
    assert approve("house", "--hash", version[:12], "--by", "ben").exit_code == 0
    assert approved() == {version}


@pytest.mark.usefixtures("_at_noon")
def test_what_is_not_verified_is_said_to_whoever_approves(tmp_path: Path) -> None:
    version = kept(pack(tmp_path).read_text("utf-8"))
    said = approve("ZZ", "--hash", version, "--by", "anna").stdout
    assert "not verified in whole or in part: ZZ-CAP" in said
    assert "1 rules, 1 of them gate contact" in said


@pytest.mark.usefixtures("_at_noon")
def test_a_draft_cannot_be_approved(tmp_path: Path) -> None:
    version = kept(pack(tmp_path, status="draft").read_text("utf-8"))
    refused = approve("ZZ", "--hash", version[:10], "--by", "anna")
    assert refused.exit_code == 1
    assert "is a draft" in refused.stderr
    assert "status: ready" in refused.stderr


@pytest.mark.usefixtures("_at_noon")
def test_a_version_that_nobody_has_is_refused() -> None:
    for words, says in (
        (("house", "--hash", "abcdef012345"), "keeps no version of the rule pack house"),
        (("house", "--hash", "abc"), "too short"),
        (("QQ",), "no pack for QQ"),
    ):
        refused = approve(*words, "--by", "anna")
        assert refused.exit_code == 2
        assert says in refused.stderr


@pytest.mark.usefixtures("_at_noon")
def test_the_second_version_is_shown_against_the_one_that_was_approved(tmp_path: Path) -> None:
    old, new = kept(pack(tmp_path).read_text("utf-8")), kept(pack(tmp_path, at_most=4).read_text("utf-8"))
    first = approve("ZZ", "--hash", old, "--by", "anna")
    assert "no other version of ZZ was approved before" in first.stdout
    approve("ZZ", "--hash", old, "--by", "ben")
    second = approve("ZZ", "--hash", new, "--by", "ben")
    assert f"against {old[:12]}, which was approved before: 1 change: 1 loosens" in second.stdout
    assert "values 2020-01-01: at most 3 → at most 4  (loosens)" in second.stdout
    assert approved() == {old}


@pytest.mark.usefixtures("_at_noon")
def test_rejecting_and_taking_back() -> None:
    approve("house", "--by", "anna")
    assert approve("house", "--by", "ben", "--reject", "--reason", "hours too wide").stdout.startswith("rejected: house@")
    approve("house", "--by", "anna")
    approve("house", "--by", "ben")
    assert approved()
    assert approve("house", "--by", "anna", "--reject").exit_code == 0
    assert approved() == frozenset()


@pytest.mark.usefixtures("_at_noon")
def test_an_approval_ends_when_its_date_begins_in_the_portfolios_zone() -> None:
    approve("house", "--by", "anna", "--until", "2026-03-20")
    approve("house", "--by", "ben")
    with connection() as tx:
        assert approved_packs(tx, datetime(2026, 3, 19, 15, 59, tzinfo=UTC))
        assert approved_packs(tx, datetime(2026, 3, 19, 16, tzinfo=UTC)) == frozenset(), "midnight in Taipei"
    assert approve("house", "--by", "anna", "--until", "2026-03-17").exit_code == 1


@pytest.mark.usefixtures("_at_noon")
def test_the_list_says_where_every_pack_stands(tmp_path: Path) -> None:
    old = kept(pack(tmp_path).read_text("utf-8"))
    approve("ZZ", "--hash", old, "--by", "anna")
    approve("house", "--by", "anna")
    approve("house", "--by", "ben")
    lines = {line.split()[0]: line for line in run("approve", "list").stdout.splitlines()}
    assert "approved: anna and ben" in lines["house"]
    assert "waits for a second person (asked for by anna)" in lines["ZZ"]
    assert "nobody has asked" in lines["US"]
    told = [json.loads(line) for line in run("approve", "list", "--json").stdout.splitlines()]
    assert {one["jurisdiction"] for one in told if "jurisdiction" in one} == {*rule_packs().versions, "ZZ"}
    assert [one["jurisdiction"] for one in told if one["approved"]] == ["house"]


def test_versions_are_compared_field_by_field(tmp_path: Path) -> None:
    old, new = pack(tmp_path, "old"), pack(tmp_path, "new", at_most=2, says="At most two calls a day.")
    spoken = run("rules", "diff", f"ZZ@{old}", f"ZZ@{new}")
    assert spoken.exit_code == 0
    assert spoken.stdout.splitlines()[0].endswith(": 2 changes: 1 tightens, 1 neither")
    assert spoken.stdout.splitlines()[1:] == [
        "  ZZ-CAP",
        "    says: At most so many calls a day. → At most two calls a day.  (neither)",
        "    values 2020-01-01: at most 3 → at most 2  (tightens)",
    ]
    told = json.loads(run("rules", "diff", str(old), str(new), "--json").stdout)
    assert [(change["field"], change["effect"]) for change in told["changes"]] == [("says", "neither"), ("values 2020-01-01", "tightens")]


@pytest.mark.usefixtures("_at_noon")
def test_a_version_that_the_ledger_keeps_is_compared_with_the_file() -> None:
    body = pack_bodies()["house"]
    version = kept(body.replace("status: ready", "status: draft"), "house")
    spoken = run("rules", "diff", f"house@{version[:6]}", "house@current")
    assert spoken.exit_code == 0, spoken.output
    assert "  the pack itself\n    status: draft → ready  (loosens)\n" in spoken.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("US@current", "TW@current"), "two jurisdictions"),
        (("current", "current"), "does not say whose"),
        (("US@current", "US@nothing-here.yaml"), "nor a file"),
        (("QQ@current", "QQ@current"), "no pack for QQ; there are"),
        (("@current", "US@current"), "is no version: give PACK@VERSION"),
        ((f"US@{RULES / 'tw.yaml'}", "US@current"), "a pack of TW, not of US"),
    ],
)
def test_what_cannot_be_compared_is_said(words: tuple[str, str], says: str) -> None:
    refused = run("rules", "diff", *words)
    assert refused.exit_code == 2
    assert says in refused.stderr


def test_a_file_that_is_no_pack_names_file_and_line(tmp_path: Path) -> None:
    file = pack(tmp_path, at_most=0)
    refused = run("rules", "diff", f"ZZ@{file}", f"ZZ@{file}")
    assert refused.exit_code == 2
    assert f"{file}:13: rules[ZZ-CAP]" in refused.stderr
