"""What is handed to a person is all that is kept of her, in words, and nothing of anybody else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from channels import codes
from config.cases import case_terms_in_force
from config.policies import policies
from config.replies import reply_policy_in_force
from gate.lane import run_lane
from gate.person_export import everything_in_words
from ledger import campaigns, cases, inbox, vault
from ledger.cases import Statement
from ledger.engine import connection
from ledger.inbox import Said, Vocabulary
from ledger.law import law_in_force
from ledger.locks import lock_with_liable
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel
from tideover import app

HER_NUMBER, HIS_NUMBER = "+12125550107", "+12125550108"
HER_PHONE, ANOTHER_PHONE = "app-on-her-phone", "app-on-another-phone"
SAID = "I dispute this, my cousin Zephyrine paid it in March"
HEARD = Vocabulary(
    state_of=codes.state_of, meaning_of=codes.meaning_of_callback, intent_of=codes.intent_of, replies=reply_policy_in_force()
)


@pytest.fixture
def her(portfolio: Portfolio, outbox: Outbox) -> BorrowerIds:
    """Somebody who was written to by the gate, and answered."""
    portfolio.clock(noon("US"))
    borrower = portfolio.borrower(number=HER_NUMBER, push_token=HER_PHONE)
    with connection() as tx:
        kept = policies("early", law_in_force(tx).bodies)
        run = campaigns.open_run(tx, stage="early", business_date=TODAY, preview=False, borrowers_max=None, policies=kept, at=noon("US"))
    outbox.plan(run, borrower)
    assert run_lane(run, shard=None, channels={"sms": RecordingChannel}).accepted == 1
    return borrower


def say(words: str, sender: str = HER_NUMBER) -> None:
    given = {"From": sender, "To": "+15005550006", "Body": words}
    number = f"SM{len(words):032}"
    inbox.receive(
        [Said(provider="twilio", provider_id=number, kind="inbound", status="received", token=None, error_code=None, fields=given)], HEARD
    )


def export(borrower: BorrowerIds) -> dict[str, list[dict[str, object]]]:
    with connection() as tx:
        everything = everything_in_words(tx, borrower.party_id)
    kept: dict[str, list[dict[str, object]]] = json.loads(json.dumps(everything))["kept"]
    return kept


def test_she_reads_what_is_known_said_decided_and_kept_of_her(her: BorrowerIds) -> None:
    say(SAID)
    with connection() as tx:
        lock_with_liable(tx, [her.party_id])
        said = Statement(party_id=her.party_id, kind="complaint", at=noon("US"), channel="person", words="The caller was rude to me.")
        cases.open_case(tx, said, case_terms_in_force())
    with connection() as tx:
        everything = everything_in_words(tx, her.party_id)
    kept = everything["kept"]
    assert [row["value"] for row in kept["ways_to_reach_you_as_known"]] == [HER_NUMBER, HER_PHONE]
    assert kept["about_you"][0]["name"].startswith("Nobody Atall")
    assert kept["payments" if "payments" in kept else "instalments"]
    (message,) = kept["messages"]
    assert "Lantern Wallet US" in message["said"]["body"]
    assert set(message["rules"]) & set(everything["rules"])
    assert all(sentence.strip() for sentence in everything["rules"].values())
    assert {row["words"] for row in kept["what_you_said"]} == {SAID}
    assert "The caller was rude to me." in [row["words"] for row in kept["cases_step_by_step"]]
    assert {row["action"] for row in kept["decisions"]} == {"contact"}


def test_nothing_of_anybody_else_is_in_it(her: BorrowerIds, portfolio: Portfolio) -> None:
    him = portfolio.borrower(number=HIS_NUMBER)
    portfolio.liable(her.loan_id, him.party_id, role="co_borrower")
    with connection() as tx:
        tx.execute(text("UPDATE contact_point_version SET owner = 'spouse' WHERE contact_point_id = :id"), {"id": her.push_id})
    say("call my lawyer", HIS_NUMBER)
    kept = export(her)
    written = json.dumps(kept)
    assert HIS_NUMBER not in written
    assert HER_PHONE not in written
    assert "lawyer" not in written
    assert {row["party_id"] for rows in kept.values() for row in rows if "party_id" in row} == {her.party_id}


def test_what_was_written_from_a_shared_phone_is_not_shown_to_the_other(portfolio: Portfolio, her: BorrowerIds) -> None:
    portfolio.borrower(number=HER_NUMBER, push_token=ANOTHER_PHONE)
    say("STOP, says Zephyrine")
    assert "Zephyrine" not in json.dumps(export(her))


def test_no_secret_of_ours_is_in_it(her: BorrowerIds) -> None:
    say(SAID)
    kept = export(her)
    columns = {name for rows in kept.values() for row in rows for name in row}
    assert {
        name for name in columns if any(word in name for word in ("token", "hash", "digest", "blind", "key_id", "salt", "commitment"))
    } == set()
    assert vault.blind_index(HER_NUMBER).hex() not in json.dumps(kept)
    assert columns & {"said_by", "taken_by", "by"} == set()


def test_the_command_writes_a_file_for_its_owner_alone_and_nothing_over_another(her: BorrowerIds, tmp_path: Path) -> None:
    out = tmp_path / "her.json"

    def run(who: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["person", "export", who, "--out", str(out)])
        return done.exit_code, done.output

    assert run(f"#{her.party_id}")[0] == 0
    assert out.stat().st_mode & 0o777 == 0o600
    assert HER_NUMBER in out.read_text()
    code, said = run(f"#{her.party_id}")
    assert (code, "exists already" in said, HER_NUMBER in said) == (2, True, False)
    assert run("nobody-has-this")[0] == 2
