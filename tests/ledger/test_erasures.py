"""Being forgotten: in peace at once, erased when nothing has to be kept, and not brought back by a file, a number or a proof."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from channels import Receipt, codes
from config.policies import policies
from config.replies import reply_policy_in_force
from config.retention import retention_policy_in_force
from decisions.words import HOLD_KINDS
from gate.lane import run_lane
from gate.person_export import everything_in_words
from ledger import campaigns, cases, clock, erasures, evidence, inbox, key_rotation, vault
from ledger.all_tables import METADATA
from ledger.engine import connection
from ledger.erasure_rows import EMPTIED, EMPTIED_IF_HERS_ALONE, KEPT, REMOVED
from ledger.inbox import Said, Vocabulary
from ledger.law import law_in_force
from ledger.of_a_person import ways
from ledger.vault import MissingKeyError
from tasks.audit import audit_period
from tasks.erasure import ask_erasure, keep_after_all
from tasks.import_portfolio import ImportReport, import_files
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel
from tideover import app

NUMBER, HIS_NUMBER = "+12125550107", "+12125550108"
SAID = "I dispute this, says Zephyrine"
HEARD = Vocabulary(
    state_of=codes.state_of, meaning_of=codes.meaning_of_callback, intent_of=codes.intent_of, replies=reply_policy_in_force()
)
DUTIES = retention_policy_in_force().records
LATER = TODAY + timedelta(days=366 * 3)
MAPPING = """
source: portfolio
creditor: {external_id: lender-US-first_party, name: Lantern Wallet US, role: first_party, country: US, page_domain: pay.lantern.example,
  licence: LIC-1, senders: {sms: "+15005550006", push: lantern}}
files:
  - {match: parties*, rows: [{kind: parties, columns: {external_id: id, name: name, locale: locale, country: country}}]}
  - {match: points*, rows: [{kind: contact_points, columns: {external_id: id, party: party, kind: kind, value: value}}]}
  - {match: loans*, rows: [{kind: loans, columns: {external_id: id, party: party, product: product, currency: currency, principal: principal}}]}
"""


@pytest.fixture
def her(portfolio: Portfolio, outbox: Outbox) -> BorrowerIds:
    """Somebody who was written to by the gate, answered, and owes nothing any more."""
    portfolio.clock(noon("US"))
    borrower = portfolio.borrower(number=NUMBER, postal_code="10001", account="wallet 4711")
    with connection() as tx:
        kept = policies("early", law_in_force(tx).bodies)
        run = campaigns.open_run(tx, stage="early", business_date=TODAY, preview=False, borrowers_max=None, policies=kept, at=noon("US"))
    outbox.plan(run, borrower)
    answered = Receipt(provider="recorder", provider_id="SM1", status="queued", segments=2)
    assert run_lane(run, shard=None, channels={"sms": lambda: RecordingChannel(answer=lambda *_: answered)}).accepted == 1
    say(NUMBER)
    pay_off(borrower)
    close_cases()
    return borrower


def say(number: str, name: str = "SM2") -> None:
    given = {"From": number, "To": "+15005550006", "Body": SAID}
    row = Said(provider="twilio", provider_id=name, kind="inbound", status="received", token=None, error_code=None, fields=given)
    inbox.receive([row], HEARD)


def pay_off(borrower: BorrowerIds) -> None:
    with connection() as tx:
        tx.execute(text("UPDATE loan_version SET servicing_status = 'paid' WHERE loan_id = :loan"), {"loan": borrower.loan_id})


def close_cases() -> None:
    with connection() as tx:
        for case in tx.execute(text("SELECT id FROM borrower_case WHERE state <> 'closed' AND kind <> 'data_request'")).scalars().all():
            cases.close(tx, case, by="anna", result="withdrawn", at=clock.now(tx))


def erase(borrower: BorrowerIds, on: date = LATER) -> dict[str, int] | None:
    ask_erasure(f"#{borrower.party_id}", by="anna", reference="letter 1")
    with connection() as tx:
        return erasures.erase(tx, borrower.party_id, DUTIES, on=on, at=noon("US"))


def everything(outbox: Outbox) -> str:
    """Every cell of every table, as text."""
    tables = [table.name for table in METADATA.sorted_tables if table.name != "policy_version"]
    return "\n".join(str(row[0]) for name in tables for row in outbox.rows(f"SELECT t::text FROM {name} t"))  # noqa: S608  # declared names


def import_again(folder: Path, **files: str) -> ImportReport:
    (folder / "again.yaml").write_text(MAPPING)
    paths = []
    for name, content in files.items():
        path = folder / f"{name}.csv"
        path.write_text(content)
        paths.append(path)
    return import_files(folder / "again.yaml", paths, rejects=folder / "rejects.csv")


# --- she asks -------------------------------------------------------------------------------------------------------


def test_she_is_left_in_peace_at_once_and_told_until_when_records_are_kept(her: BorrowerIds, outbox: Outbox) -> None:
    said = CliRunner().invoke(app, ["person", "erase", f"#{her.party_id}", "--by", "anna", "--reference", "letter 9"])
    assert said.exit_code == 0, said.output
    assert f"Until {TODAY.replace(year=TODAY.year + 3)} records must be kept: US: 3 years" in said.stdout
    assert "12 CFR 1006.100" in said.stdout
    run = outbox.run(stage="mid")
    attempt = outbox.plan(run, her)
    channel = RecordingChannel()
    run_lane(run, shard=None, channels={"sms": lambda: channel})
    assert channel.sent == []
    assert "HOUSE-HOLD" in outbox.attempt(attempt)["permit"]["blocked_by"]
    assert [row.kind for row in outbox.rows("SELECT kind FROM borrower_case WHERE state = 'open'")] == ["data_request"]
    assert f"#{her.party_id}" in CliRunner().invoke(app, ["person", "erasures"]).stdout


def test_she_takes_it_back_and_is_as_before(her: BorrowerIds, outbox: Outbox) -> None:
    ask_erasure(f"#{her.party_id}", by="anna", reference="letter 1")
    assert keep_after_all(f"#{her.party_id}", by="anna", because="she changed her mind")
    assert not keep_after_all(f"#{her.party_id}", by="anna", because="she changed her mind")
    assert outbox.rows("SELECT 1 FROM hold WHERE kind = 'restricted' AND until IS NULL AND superseded_at IS NULL") == []
    with connection() as tx:
        assert erasures.erase(tx, her.party_id, DUTIES, on=LATER, at=noon("US")) is None
        assert not erasures.is_restricted(tx, her.party_id)


@pytest.mark.parametrize(
    ("what", "waits_for"),
    [
        ("UPDATE loan_version SET servicing_status = 'active'", erasures.OPEN_LOAN),
        (
            """INSERT INTO hold (effective_at, source, party_id, all_liable, kind, starts_at)
               SELECT now(), 'court', min(id), false, 'litigation', '2026-01-01Z' FROM party""",
            erasures.LITIGATION,
        ),
        ("UPDATE borrower_case SET state = 'open', closed_at = NULL, result = NULL WHERE kind = 'dispute'", erasures.OPEN_CASE),
        ("UPDATE attempt SET state = 'unknown'", erasures.UNDER_WAY),
    ],
)
def test_what_still_goes_on_stands_against_it(her: BorrowerIds, what: str, waits_for: str) -> None:
    with connection() as tx:
        tx.execute(text(what))
    asked = ask_erasure(f"#{her.party_id}", by="anna", reference="letter 1")
    assert (asked.standing.due_on, asked.standing.waits_for) == (None, (waits_for,))
    assert waits_for in asked.standing.in_words()
    assert erase(her) is None


def test_her_day_has_to_have_come(her: BorrowerIds) -> None:
    assert erase(her, TODAY.replace(year=TODAY.year + 3) - timedelta(days=1)) is None
    assert erase(her, TODAY.replace(year=TODAY.year + 3)) is not None


def test_somebody_who_did_not_ask_is_not_erased(her: BorrowerIds) -> None:
    with connection() as tx:
        assert erasures.erase(tx, her.party_id, DUTIES, on=LATER, at=noon("US")) is None


# --- she is erased --------------------------------------------------------------------------------------------------


def test_nothing_that_says_who_she_is_is_left_and_every_proof_is_true(her: BorrowerIds, outbox: Outbox) -> None:
    closed = outbox.rows("SELECT value_encrypted, key_id, blind_index FROM contact_point_version ORDER BY id")
    before = everything(outbox)
    token, external_id = str(outbox.rows("SELECT token FROM attempt")[0].token), "party-1"
    assert all(found in before for found in (token, external_id, "10001", "wallet 4711", bytes(closed[0].blind_index).hex()))
    assert erase(her) is not None
    left = everything(outbox)
    for found in (token, external_id, "10001", "wallet 4711", bytes(closed[0].blind_index).hex(), vault.blind_index(NUMBER).hex()):
        assert found not in left
    # Somebody has a copy of the table from before.
    with pytest.raises(MissingKeyError, match="erased"):
        vault.decrypt(closed[0].value_encrypted, closed[0].key_id)
    with connection() as tx:
        assert everything_in_words(tx, her.party_id)["kept"] == {}
        run = tx.execute(text("SELECT campaign_run_id FROM attempt")).scalar_one()
        evidence.seal_run(tx, run)
        assert evidence.mismatches(tx, run) == []


def test_the_nightly_audit_finds_nothing_wrong_with_it(her: BorrowerIds) -> None:
    """What the fixture leaves to be found stays; nothing is added. Decisions of her are not made again: their facts are gone."""
    before = audited()
    erase(her)
    assert audited() <= before


def audited() -> set[str]:
    return {one.check for one in audit_period(TODAY, TODAY).violations}


def test_every_command_that_names_her_says_that_she_was_erased(her: BorrowerIds) -> None:
    erase(her)
    for words in (
        ["explain", "--borrower", f"#{her.party_id}"], ["explain", "--borrower", "party-1"], ["person", "export", "party-1", "--out", "x.json"],
        ["person", "erase", "party-1", "--by", "anna", "--reference", "letter"],
    ):  # fmt: skip
        done = CliRunner().invoke(app, words)
        assert done.exit_code != 0
        assert "erased on" in done.output


# --- she does not come back -----------------------------------------------------------------------------------------


def test_the_next_nights_file_does_not_bring_her_back(her: BorrowerIds, tmp_path: Path, outbox: Outbox) -> None:
    erase(her)
    report = import_again(
        tmp_path,
        parties="id,name,locale,country\nparty-1,Nobody Atall,en,US\nparty-77,Somebody Else,en,US\n",
        points=f"id,party,kind,value\nm1, party-1 ,mobile,{NUMBER}\n",
        loans="id,party,product,currency,principal\nloan-1,party-1,wallet_credit,USD,100\n",
    )
    assert report.rows["parties"] | {"same": 0} == {"read": 2, "new": 1, "changed": 0, "same": 0, "rejected": 1}
    assert report.rows["contact_points"]["rejected"] == 1
    assert report.rows["loans"]["rejected"] == 0
    listed = (tmp_path / "rejects.csv").read_text()
    assert listed.count("this person was erased") == 2
    assert (NUMBER in listed, "Nobody" in listed, "party-1" in listed) == (False, False, False)
    assert [row.external_id for row in outbox.rows("SELECT external_id FROM party ORDER BY id")] == [f"erased-{her.party_id}", "party-77"]
    assert outbox.rows("SELECT 1 FROM loan_party WHERE source = 'portfolio' AND loan_id > 1") == []


def test_her_number_is_free_for_somebody_else(her: BorrowerIds, portfolio: Portfolio, outbox: Outbox) -> None:
    erase(her)
    him = portfolio.borrower(number=NUMBER)
    before = outbox.rows("SELECT count(*) FROM outcome")[0][0]
    say(NUMBER, "SM3")
    heard = outbox.rows(
        "SELECT DISTINCT party_id FROM outcome WHERE id NOT IN (SELECT id FROM outcome ORDER BY id LIMIT :before)", before=before
    )
    assert [row.party_id for row in heard] == [him.party_id]


def test_who_said_that_a_number_is_not_theirs_is_left_in_peace_still(her: BorrowerIds, portfolio: Portfolio, outbox: Outbox) -> None:
    portfolio.ownership(NUMBER, "wrong")
    erase(her)
    assert [row.ownership for row in outbox.rows("SELECT ownership FROM contact_value WHERE superseded_at IS NULL")].count("wrong") == 1


def test_nothing_of_who_shares_her_loan_or_her_phone_is_touched(portfolio: Portfolio, her: BorrowerIds) -> None:
    him = portfolio.borrower(number=NUMBER)
    portfolio.liable(her.loan_id, him.party_id)
    say(NUMBER, "SM3")

    def his() -> dict[str, Any]:
        with connection() as tx:
            found: dict[str, Any] = everything_in_words(tx, him.party_id)["kept"]
        return found

    before = his()
    erase(her)
    assert json.dumps(his()) == json.dumps(before)


def test_an_erasure_that_breaks_off_has_done_nothing(her: BorrowerIds, outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    before = everything(outbox)

    def breaks(*_: object) -> int:
        raise RuntimeError

    ask_erasure(f"#{her.party_id}", by="anna", reference="letter 1")
    asked = everything(outbox)
    monkeypatch.setattr(key_rotation, "destroy", breaks)
    with pytest.raises(RuntimeError), connection() as tx:
        erasures.erase(tx, her.party_id, DUTIES, on=LATER, at=noon("US"))
    assert everything(outbox) == asked != before


# --- no table escapes -----------------------------------------------------------------------------------------------


def test_every_table_that_is_about_a_person_says_what_becomes_of_it() -> None:
    """If this fails for your table: say in ledger/erasure_rows.py whether its rows go, are emptied, or tell nobody who she was."""
    said = [*REMOVED, *EMPTIED, *KEPT]
    assert set(ways(METADATA)) - set(said) == set()
    assert set(said) - set(ways(METADATA)) == set()
    assert len(said) == len(set(said))


def test_every_encrypted_column_of_a_person_is_emptied_or_goes() -> None:
    for one in key_rotation.sealed_columns():
        if one.name in ways(METADATA):
            assert one.name in REMOVED or one.column in EMPTIED[one.name]


def test_what_is_emptied_are_columns() -> None:
    for table, columns in {**EMPTIED, **EMPTIED_IF_HERS_ALONE}.items():
        assert set(columns) - {column.name for column in METADATA.tables[table].columns} == set()
    assert erasures.HOLD in HOLD_KINDS
