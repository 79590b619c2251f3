"""`tideover rules …`: what a compliance officer asks, reads, and is told when her file is wrong (CASES.md)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from config.rule_files import rule_packs
from tideover import app

HOUSE = Path(__file__).parents[1]
LATE_CALL = "{at: 2026-03-18T22:00:00-04:00, channel: call}"


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["rules", *words])


def check(folder: Path, text: str, *words: str) -> Result:
    file = folder / "cases.yaml"
    file.write_text(text, "utf-8")
    return run("check", str(file), *words)


def case(proposed: str = LATE_CALL, more: str = "", who: str = "{country: US, known_zone: America/New_York}") -> str:
    return f"- id: one\n  creditor_role: third_party\n  borrower: {who}\n  proposed: {proposed}\n{more}"


def test_the_answer_has_every_field_and_every_reason(tmp_path: Path) -> None:
    result = check(tmp_path, case(more="  expect: {verdict: blocked, kinds: [window], rules: [US-REGF-HOURS]}\n"))
    assert (result.exit_code, result.stderr) == (0, "")
    answer = json.loads(result.stdout)
    versions = rule_packs().versions
    assert answer == {
        "id": "one",
        "verdict": "blocked",
        "blocked_by": [
            {
                "rule": "US-REGF-HOURS",
                "kind": "window",
                "basis": "law",
                "reference": "12 CFR § 1006.6 (b)(1)(i)",
                "until": "2026-03-19T12:00:00Z",
            }
        ],
        "next_allowed_at": "2026-03-19T12:00:00Z",
        # Of the first call, live or on a voicemail, and of the letter that follows it.
        "required": ["attempt_to_collect_a_debt", "information_used_for_that_purpose", "request_to_reply", "validation"],
        "zones": ["America/New_York"],
        "packs": [{"id": "US", "version": versions["US"]}, {"id": "house", "version": versions["house"]}],
    }


def test_an_expectation_that_does_not_hold_is_told_field_by_field(tmp_path: Path) -> None:
    result = check(tmp_path, case(more="  expect: {verdict: allowed, kinds: [cap], next_allowed_at: 2026-03-19T13:00:00Z}\n"))
    assert result.exit_code == 1
    assert [line.split(":")[1].strip() for line in result.stderr.splitlines()] == ["verdict", "kinds", "next_allowed_at"]


def test_a_basis_looks_at_that_alone(tmp_path: Path) -> None:
    machine = "{at: 2026-03-18T22:00:00-04:00, channel: voice}"
    everything = json.loads(check(tmp_path, case(machine)).stdout)
    the_law = json.loads(check(tmp_path, case(machine), "--basis", "law,presumption").stdout)
    assert {reason["basis"] for reason in everything["blocked_by"]} == {"law", "house"}
    assert {reason["basis"] for reason in the_law["blocked_by"]} == {"law"}


def test_a_first_party_meets_regulation_f_at_basis_house(tmp_path: Path) -> None:
    answer = json.loads(check(tmp_path, case().replace("third_party", "first_party")).stdout)
    assert [(reason["rule"], reason["basis"]) for reason in answer["blocked_by"]] == [("US-REGF-HOURS", "house")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (case("{at: 2026-03-18T22:00:00, channel: call}"), "proposed.at: an instant needs its offset"),
        (case("{at: 2026-03-18T22:00:00-04:00, chanel: call}"), "proposed.chanel: unknown field"),
        (case("{at: 2026-03-18T22:00:00-04:00, channel: fax}"), "proposed.channel"),
        (case("{at: 2026-03-18T22:00:00-04:00}"), "proposed.channel: required field is missing"),
        (case(who="{country: US, known_zone: America/Gotham}"), "borrower.known_zone: not a zone"),
        (case(who='{country: US, phones: ["555"]}'), "one: borrower.phones: not in the international form"),
        (case(more="  holds: [{kind: sulking}]\n"), "holds"),
        (case(more="  wishes: [{kind: not_at, from: 15h}]\n"), "not a time of day"),
        (case("{at: 2026-03-18T22:00:00-04:00, channel: sms, reply_to: 0}"), "reply_to is not the index"),
        (case() + case(), "one: id: given to 2 cases"),
        ("- id: one\n", "proposed: required field is missing"),
    ],
)
def test_a_file_that_cannot_be_read_names_the_case_the_field_and_the_reason(tmp_path: Path, text: str, says: str) -> None:
    result = check(tmp_path, text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr


def test_a_case_that_rests_on_a_clearance_of_the_sandbox_says_so_and_live_mode_does_not_count_it(tmp_path: Path) -> None:
    chat = "{at: 2026-03-18T12:00:00+08:00, channel: whatsapp}"
    consent = "  consents: [{channel: whatsapp, given_to: collector, at: 2026-03-01T10:00:00+08:00}]\n"
    text = case(chat, consent, who="{country: TW, known_zone: Asia/Taipei}").replace("third_party", "first_party")
    sandbox, live = check(tmp_path, text), check(tmp_path, text, "--clearances", "live")
    assert json.loads(sandbox.stdout)["verdict"] == "allowed"
    assert sandbox.stderr == (
        "one: cleared for the sandbox alone (config/clearances.yaml); in live mode HOUSE-PROVIDER-WHATSAPP blocks it\n"
    )
    assert [reason["rule"] for reason in json.loads(live.stdout)["blocked_by"]] == ["HOUSE-PROVIDER-WHATSAPP"]
    assert live.stderr == ""
    assert check(tmp_path, text, "--clearances", "none").exit_code == 2


def test_a_basis_that_there_is_none_of_is_refused(tmp_path: Path) -> None:
    assert check(tmp_path, case(), "--basis", "lore").exit_code == 2


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert run("check", str(tmp_path / "none.yaml")).exit_code == 2


def test_a_rule_is_shown_with_its_numbers_on_a_date_and_its_source() -> None:
    before, after = run("show", "CN-GBT-HOURS", "--on", "2025-02-27"), run("show", "CN-GBT-HOURS", "--on", "2025-02-28")
    assert "On 2025-02-27: not in force" in before.stdout
    assert "On 2025-02-28: 08:00–22:00, on the clock of Asia/Shanghai" in after.stdout
    assert "GB/T 45251-2025" in after.stdout
    assert run("show", "CN-GBT-NONE").exit_code == 2


def test_the_list_shows_what_is_not_verified() -> None:
    lines = run("list", "--jurisdiction", "MX").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [rule.id for rule in rule_packs().rule("MX-CONDUSEF-HOURS")[0].rules]
    assert "NOT VERIFIED" in lines[0]
    assert len(run("list").stdout.splitlines()) == sum(len(pack.rules) for pack in rule_packs().packs)
    assert run("list", "--jurisdiction", "ZZ").exit_code == 2


def test_a_rule_and_the_list_speak_json_too() -> None:
    told = json.loads(run("show", "MX-CONDUSEF-HOURS", "--on", "2026-03-17", "--json").stdout)
    assert (told["rule"], told["kind"], told["jurisdiction"], told["on"]) == ("MX-CONDUSEF-HOURS", "window", "MX", "2026-03-17")
    assert told["unverified"]
    assert told["in_force"]
    rows = [json.loads(line) for line in run("list", "--jurisdiction", "MX", "--json").stdout.splitlines()]
    assert [row["rule"] for row in rows] == [rule.id for rule in rule_packs().rule("MX-CONDUSEF-HOURS")[0].rules]
    assert {row["status"] for row in rows} == {"ready"}


def test_the_list_marks_the_rules_of_a_draft() -> None:
    drafts = {pack.jurisdiction for pack in rule_packs().packs if pack.status == "draft"}
    assert drafts
    for jurisdiction in drafts:
        assert all("  DRAFT  " in line for line in run("list", "--jurisdiction", jurisdiction).stdout.splitlines())
    assert "  DRAFT  " not in run("list", "--jurisdiction", "house").stdout


def test_the_page_of_the_law_is_current() -> None:
    assert (HOUSE / "docs" / "law.md").read_text("utf-8") == run("page").stdout, "run: tideover rules page > docs/law.md"
