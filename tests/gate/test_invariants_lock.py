"""I4 and I5, attacked with two connections and the real lock.

What is committed before the gate's lock stops the send, however late it comes, and whoever writes it while the gate holds the
borrower waits until the gate has committed.

A third connection holds the gate still at a chosen place, with a lock on a table that it is about to read or write.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from channels import BadAddress, FateUnknown, OptedOut
from channels.codes import intent_of, meaning_of_callback, state_of
from config.affordability import plan_policy_in_force
from config.cases import case_terms_in_force
from config.message_files import message_texts
from config.promises import promise_terms
from config.replies import reply_policy_in_force
from config.retention import retention_policy_in_force
from config.rule_files import rule_packs
from decisions.means import Declared
from decisions.wallet_payments import read_told
from gate.claim import Chunk, Door, take_chunk
from gate.parked import settle_parked
from gate.permit import Letter, Rulebook
from gate.receipts import Result, write_results
from ledger import (
    agencies,
    attempts,
    clock,
    core_answers,
    core_instructions,
    erasures,
    inbox,
    needs,
    pauses,
    placements,
    plan_offers,
    plans,
    promises,
    wallet_payments,
    wishes,
    withdrawals,
)
from ledger import case_work as cases
from ledger import cases as case_rows
from ledger.attempts import Move
from ledger.campaigns import read_run
from ledger.engine import connection
from ledger.imports_targets import TARGETS
from ledger.inbox import Said, Vocabulary
from ledger.outbox import EVERY_PARTY
from ledger.pauses import Scope
from ledger.wishes import Wanted
from tasks.agencies import add_agency
from tasks.erasure import ask_erasure
from tasks.import_portfolio import import_files
from tasks.person import release_person
from tests.plugins.locks import held, waiting_for
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.sending import Outbox

NOON = noon("US")
NUMBER = "+12125550100"
MOMENT = timedelta(milliseconds=1)
LEDGER = Path(__file__).parents[2] / "ledger"
VOCABULARY = Vocabulary(state_of=state_of, meaning_of=meaning_of_callback, intent_of=intent_of, replies=reply_policy_in_force())
MAPPING = """
source: core
creditor:
  external_id: lender-US-first_party
  name: Lantern Wallet US
  role: first_party
  country: US
  page_domain: pay.lantern.example
  licence: LIC-1
  senders: {sms: "+15005550006", push: lantern}
payments_feed: {age_seconds_max: 86400}
files:
  - match: payments*
    rows: [{kind: payments, columns: {loan: loan, external_id: external_id, amount: amount, state: state, paid_on: paid_on}}]
  - match: holds*
    zone: UTC
    optional: [all_liable]
    rows: [{kind: holds, columns: {party: party, kind: kind, all_liable: all_liable}}]
  - match: opt_outs*
    zone: UTC
    rows: [{kind: opt_outs, columns: {party: party, channel: channel}}]
  - match: wishes*
    zone: UTC
    rows: [{kind: wishes, columns: {party: party, kind: kind, channels: channels}}]
  - match: consents*
    zone: UTC
    rows: [{kind: consents, columns: {party: party, channel: channel, given_to: given_to, at: at, withdrawn_at: withdrawn_at}}]
  - match: contacts*
    rows: [{kind: contacts, columns: {external_id: external_id, party: party, at: at, channel: channel, result: result}}]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One borrower with a planned attempt, and a message to her of the day before whose call has just ended."""

    portfolio: Portfolio
    outbox: Outbox
    folder: Path
    borrower: BorrowerIds
    co_borrower: BorrowerIds
    attempt: int
    door: Door
    letter: Letter


@pytest.fixture
def case(portfolio: Portfolio, outbox: Outbox, tmp_path: Path) -> Case:
    """Noon in New York; the day before, one message passed the gate, and its call is not over."""
    yesterday = NOON - timedelta(days=1)
    portfolio.clock(yesterday)
    borrower = portfolio.borrower(number=NUMBER)
    with connection() as tx:
        tx.execute(text("UPDATE loan SET external_id = 'L1'"))
    earlier = outbox.run(business_date=TODAY - timedelta(days=1))
    outbox.plan(earlier, borrower)
    (letter,) = chunk(door(earlier)).letters
    portfolio.clock(NOON)
    co_borrower = portfolio.borrower(number="+12125550199")
    portfolio.liable(borrower.loan_id, co_borrower.party_id)
    add_agency("harbour", name="Harbour", contact="help@harbour.example", certificate=None, by="anna")
    run = outbox.run()
    attempt = outbox.plan(run, borrower)
    return Case(
        portfolio=portfolio, outbox=outbox, folder=tmp_path, borrower=borrower, co_borrower=co_borrower,
        attempt=attempt, door=door(run), letter=letter,
    )  # fmt: skip


def door(run: int) -> Door:
    with connection() as tx:
        return Door(run=read_run(tx, run), parties=EVERY_PARTY, book=Rulebook(rule_packs()), texts=message_texts())


def chunk(of: Door) -> Chunk:
    return take_chunk(of, at_most={"sms": 8}, after={"sms": -1})


# --- who writes a reason not to contact somebody ------------------------------------------------------------------------


def says(body: str) -> Callable[[Case], object]:
    """She answers; through the inbox, as a webhook does it."""

    def write(case: Case) -> None:
        del case
        fields = {"From": NUMBER, "Body": body}
        said = Said(
            provider="twilio", provider_id=f"SM{uuid4().hex}", kind="inbound", status="received", token=None, error_code=None, fields=fields
        )
        inbox.receive([said], VOCABULARY)

    return write


def imports(name: str, content: str) -> Callable[[Case], object]:
    """The lender's systems say so."""

    def write(case: Case) -> None:
        mapping, file = case.folder / "core.yaml", case.folder / name
        mapping.write_text(MAPPING)
        with connection() as tx:
            party = tx.execute(text("SELECT external_id FROM party WHERE id = :id"), {"id": case.borrower.party_id}).scalar_one()
        file.write_text(content.replace("{party}", party))
        report = import_files(mapping, [file], rejects=case.folder / "rejects.csv")
        assert report.total("new") >= 1, report

    return write


def the_call_ends(outcome: type[OptedOut | BadAddress]) -> Callable[[Case], object]:
    """The provider refuses the message of the day before, and says why."""

    def write(case: Case) -> None:
        result = Result(letter=case.letter, provider="twilio", outcome=outcome(code="21610"))
        write_results([result], campaign_run_id=case.outbox.attempt(case.letter.attempt_id)["campaign_run_id"])

    return write


def the_callback_says(error_code: str) -> Callable[[Case], object]:
    """The message of the day before failed, and its code says something of the person."""

    def write(case: Case) -> None:
        said = Said(
            provider="twilio", provider_id=f"SM{uuid4().hex}", kind="status", status="undelivered",
            token=case.outbox.token(case.letter.attempt_id), error_code=error_code, fields={},
        )  # fmt: skip
        inbox.receive([said], VOCABULARY)

    return write


def an_import_is_taken_back(case: Case) -> None:
    with connection() as tx:
        tx.execute(text("INSERT INTO import_batch (mapping, mapping_hash, file_hash) VALUES ('core', 'h', 'f')"))
        tx.execute(text("SET LOCAL session_replication_role = replica"))  # a row keeps its import; here the past is made up
        tx.execute(
            text("UPDATE consent SET import_batch_id = (SELECT max(id) FROM import_batch) WHERE party_id = :id"),
            {"id": case.borrower.party_id},
        )
        tx.execute(text("SET LOCAL session_replication_role = origin"))
        batch = tx.execute(text("SELECT max(id) FROM import_batch")).scalar_one()
        pauses.write_pause(tx, Scope(), because="test", by="anna", at=NOON)
    with connection() as tx:
        withdrawals.withdraw(tx, batch, by="anna", because="test", at=NOON)


def external_id(case: Case) -> str:
    with connection() as tx:
        return str(tx.execute(text("SELECT external_id FROM party WHERE id = :id"), {"id": case.borrower.party_id}).scalar_one())


def a_colleague_writes_down_a_dispute(case: Case) -> None:
    cases.open_case(external_id(case), kind="dispute", by="anna", reference="letter 12")


def ask_for_her_data(case: Case) -> None:
    """A case that holds nothing back."""
    cases.open_case(external_id(case), kind="data_request", by="anna", reference="letter 11")


def a_dispute_was_settled(case: Case) -> None:
    """Its hold is over."""
    number = cases.open_case(external_id(case), kind="dispute", by="anna", reference="letter 10")[0].id
    cases.close(number, by="anna", result="withdrawn")


def she_does_not_agree(case: Case) -> None:
    """On her page, with how a dispute ended."""
    with connection() as tx:
        number = tx.execute(text("SELECT id FROM borrower_case WHERE party_id = :id"), {"id": case.borrower.party_id}).scalar_one()
        terms = case_terms_in_force()
        case_rows.disagree(tx, number, at=clock.now(tx), reference="page 1/a", words="still wrong", channel="sms", terms=terms)


def she_wishes_no_messages(case: Case) -> None:
    """On her page."""
    with connection() as tx:
        wishes.write(tx, case.borrower.party_id, Wanted(channels_off=frozenset({"sms"})), at=clock.now(tx))


def a_case_is_closed(case: Case) -> None:
    with connection() as tx:
        number = tx.execute(text("SELECT id FROM borrower_case WHERE party_id = :id"), {"id": case.borrower.party_id}).scalar_one()
    cases.close(number, by="anna", result="withdrawn")


def a_need_ends_calls(case: Case) -> None:
    with connection() as tx:
        needs.write(tx, case.borrower.party_id, ["written_only"], by="anna", at=NOON)


def asks_to_be_erased(case: Case) -> None:
    ask_erasure(external_id(case), by="anna", reference="letter 13")


def an_erasure_is_lifted(case: Case) -> None:
    with connection() as tx:
        erasures.lift(tx, case.borrower.party_id, at=NOON)


def a_person_is_erased(case: Case) -> None:
    with connection() as tx:
        erasures.erase(tx, case.borrower.party_id, retention_policy_in_force().records, on=TODAY, at=NOON)


def promises_are_judged(case: Case) -> None:
    with connection() as tx:
        promises.judge(tx, [case.borrower.party_id], on=TODAY, at=NOON, terms=promise_terms())


def a_loan_is_placed(case: Case) -> None:
    """Asked for before: whether it may be reads what the gate is held still at."""
    with connection() as tx:
        harbour, at = agencies.find(tx, "harbour"), clock.now(tx)
        placements.write(tx, case.borrower.loan_id, harbour, at=at, until=TODAY + timedelta(days=30), by="anna")


def a_placement_is_released(case: Case) -> None:
    with connection() as tx:
        placement = tx.execute(text("SELECT id FROM placement WHERE loan_id = :loan"), {"loan": case.borrower.loan_id}).scalar_one()
        placements.release(tx, placement, at=clock.now(tx))


def a_hold_is_released(case: Case) -> None:
    release_person(external_id(case), kind="illness", by="ben", because="letter 14")


def a_hold_to_come(case: Case) -> None:
    """It stands, and is none yet."""
    with connection() as tx:
        tx.execute(
            text("""INSERT INTO hold (effective_at, source, party_id, all_liable, kind, starts_at)
                    VALUES (:at, 'anna: letter 13', :party, false, 'illness', :at)"""),
            {"at": NOON + timedelta(days=3), "party": case.borrower.party_id},
        )


def end_of_a_placement(case: Case) -> None:
    """Recalled already; its hold has to end yet, and was never one on this contact."""
    a_loan_is_placed(case)
    with connection() as tx:
        tx.execute(text("UPDATE placement SET ended_at = :at, ended_because = 'test', ended_by = 'anna'"), {"at": NOON})
        tx.execute(text("UPDATE hold SET until = starts_at WHERE kind = 'placed'"))


def she_looks_at_plans(case: Case) -> int:
    """By her own figures, on her page; returns the offer."""
    own = Declared(income_minor=400_000, essential_minor=100_000, debts_minor=0, cycle="weekly", next_income_on=TODAY + timedelta(days=30))
    with connection() as tx:
        offer = plan_offers.make(
            tx, case.borrower.party_id, case.borrower.loan_id, own, plan_policy_in_force(), at=clock.now(tx), channel="sms"
        )
    assert offer is not None
    return offer


def chosen(case: Case) -> None:
    """A plan is on its way to the core system; whatever kept her in peace for it is taken away again."""
    offer = she_looks_at_plans(case)
    with connection() as tx:
        plans.choose(tx, case.borrower.party_id, offer, 0, plan_policy_in_force(), at=clock.now(tx))
        tx.execute(text("UPDATE hold SET superseded_at = clock_timestamp() WHERE kind = 'plan' AND superseded_at IS NULL"))


def the_core_says(answer: str) -> Callable[[Case], object]:
    """The core system answers about the plan."""

    def write(case: Case) -> None:
        with connection() as tx:
            token = tx.execute(text("SELECT token FROM core_instruction WHERE party_id = :id"), {"id": case.borrower.party_id}).scalar_one()
            assert core_answers.hear(tx, token, answer, at=clock.now(tx)) == "moved"

    return write


def the_wallet_tells(case: Case, **changes: Any) -> None:
    """Money moved; through the webhook's own function."""
    del case
    paid = {
        "id": "WP1", "key": None, "status": "paid", "creditor": "lender-US-first_party", "loan": "L1", "amount_minor": 10_500, "currency": "USD",
        "paid_at": NOON.isoformat(), "error": None, "return": None,
    }  # fmt: skip
    with connection() as tx:
        assert wallet_payments.hear(tx, read_told({**paid, **changes}), at=clock.now(tx)) in {"moved", "misfit"}


def she_chooses_to_pay(case: Case) -> None:
    with connection() as tx:
        who, at = case.borrower, clock.now(tx)
        wallet_payments.ask(tx, party_id=who.party_id, loan_id=who.loan_id, amount_minor=500, currency="USD", key="k", at=at)


def something_is_agreed(case: Case) -> None:
    with connection() as tx:
        core_instructions.ask(
            tx,
            core_instructions.Wanted(
                loan_id=case.borrower.loan_id, party_id=case.borrower.party_id, kind="stop_debit", terms={"starts_on": "2026-03-18"},
                relief_minor=0, asked_by="anna", role="agent", key="k",
            ),
        )  # fmt: skip


# What stops the send, written as the program writes it.
STOPS: dict[str, Callable[[Case], object]] = {
    "a stop in a reply": says("STOP"),
    "danger in a reply": says("I will kill myself"),
    "paid in a reply": says("I have paid already"),
    "wrong person in a reply": says("wrong number"),
    "a promise in a reply": says("I will pay on Friday"),
    "no money in a reply": says("I can't pay"),
    "a dispute in a reply": says("I do not owe this"),
    "a stop that the provider's answer tells": the_call_ends(OptedOut),
    "a dead number that the provider's answer tells": the_call_ends(BadAddress),
    "a stop that a callback tells": the_callback_says("21610"),
    "a dead number that a callback tells": the_callback_says("30005"),
    "a dispute that a colleague writes down": a_colleague_writes_down_a_dispute,
    "a settled dispute that she does not agree with": she_does_not_agree,
    "a loan that is placed with an agency": a_loan_is_placed,
    "plans that she looks at": she_looks_at_plans,
    "a person who asks to be erased": asks_to_be_erased,
    "a wish on her page": she_wishes_no_messages,
    "an imported hold": imports("holds.csv", "party,kind\n{party},dispute\n"),
    "an imported stop": imports("opt_outs.csv", "party,channel\n{party},sms\n"),
    "an imported wish": imports("wishes.csv", "party,kind,channels\n{party},not_channel,sms\n"),
    "a payment that the wallet tells of": the_wallet_tells,
    "a payment of the wallet that fits nowhere": partial(the_wallet_tells, currency="EUR"),
    "an imported payment": imports("payments.csv", "loan,external_id,amount,state,paid_on\nL1,P1,105.00,posted,2026-03-17\n"),
}
# What also takes the lock, although it stops nobody at once.
OTHERS: dict[str, Callable[[Case], object]] = {
    "an imported consent": imports(
        "consents.csv", "party,channel,given_to,at,withdrawn_at\n{party},voice,creditor,2026-03-01,2026-03-02\n"
    ),
    "an imported contact": imports(
        "contacts.csv", "external_id,party,at,channel,result\nE1,{party},2026-03-10T09:30:00-04:00,voice,no_answer\n"
    ),
    "start in a reply": says("START"),
    "promises that are judged": promises_are_judged,
    "a plan that the core system accepts": the_core_says("accepted"),
    "a plan that the core system refuses": the_core_says("refused"),
    "an import that is taken back": an_import_is_taken_back,
    "a case that is closed": a_case_is_closed,
    "a payment that she chooses": she_chooses_to_pay,
    "something that is agreed": something_is_agreed,
    "a need that ends calls": a_need_ends_calls,
    "a placement that is over": a_placement_is_released,
    "a hold that another colleague ends": a_hold_is_released,
    "an erasure that is lifted": an_erasure_is_lifted,
    "a person who is erased": a_person_is_erased,
    "a person who settles what is parked": lambda case: settle_parked(
        case.letter.attempt_id, sent=False, by="anna", because="not in the console"
    ),
}


def park(case: Case) -> None:
    """Nobody could find out what became of the message of the day before."""
    result = Result(letter=case.letter, provider="twilio", outcome=FateUnknown(code="ReadTimeout"))
    write_results([result], campaign_run_id=case.outbox.attempt(case.letter.attempt_id)["campaign_run_id"])
    parked = Move(
        business_date=case.letter.business_date,
        attempt_id=case.letter.attempt_id,
        from_state="unknown",
        to_state="parked",
        cause="test",
    )
    with connection() as tx:
        assert attempts.move(tx, [parked], at=NOON)


# --- the attacks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", sorted(STOPS))
def test_I4_a_stop_that_is_committed_a_millisecond_before_the_lock_stops_the_send(case: Case, what: str) -> None:
    """The gate has begun and has read its clock, and then the stop is written, of a later instant; only then the gate locks."""
    if "settled" in what:
        a_dispute_was_settled(case)
    with ThreadPoolExecutor(1) as thread:
        with held("pause") as holder:
            gate = thread.submit(chunk, case.door)
            waiting_for(holder)
            case.portfolio.clock(NOON + MOMENT)
            STOPS[what](case)
        assert gate.result(20).letters == []
    assert case.outbox.attempt(case.attempt)["state"] in {"withheld", "planned"}
    assert case.outbox.events(case.attempt) == []


@pytest.mark.parametrize("scope", [Scope(), Scope(stage="early"), Scope(channel="sms"), Scope(jurisdiction="US")], ids=str)
def test_I4_a_pause_that_is_committed_a_millisecond_before_the_lock_stops_the_send(case: Case, scope: Scope) -> None:
    with ThreadPoolExecutor(1) as thread:
        with held("campaign_run") as holder:
            gate = thread.submit(chunk, case.door)
            waiting_for(holder)
            case.portfolio.clock(NOON + MOMENT)
            with connection() as tx:
                pauses.write_pause(tx, scope, because="test", by="anna", at=clock.now(tx))
        assert gate.result(20).letters == []
    assert case.outbox.attempt(case.attempt)["state"] == "planned"


@pytest.mark.parametrize("what", sorted(STOPS | OTHERS))
def test_I4_whoever_writes_a_fact_of_a_borrower_waits_while_the_gate_holds_her(case: Case, what: str) -> None:
    """The gate has locked and judged, and is about to write; the writer asks for the same lock before it writes anything."""
    if "parked" in what:
        park(case)
    if "core system" in what:
        chosen(case)
    if "closed" in what:
        ask_for_her_data(case)
    if "settled" in what:
        a_dispute_was_settled(case)
    if "over" in what:
        end_of_a_placement(case)
    if "colleague ends" in what:
        a_hold_to_come(case)
    with ThreadPoolExecutor(2) as threads:
        with held("evidence_batch") as holder:
            gate = threads.submit(chunk, case.door)
            gate_pid, _ = waiting_for(holder)
            writer: Future[object] = threads.submit((STOPS | OTHERS)[what], case)
            _, query = waiting_for(gate_pid, writer)
            assert re.match(r"SELECT id FROM party WHERE id = ANY\(.+\) ORDER BY id FOR UPDATE", query), query
        letters = gate.result(20).letters
        writer.result(20)
    # The gate was first: she is written to once more, and the fact stands after it.
    assert [letter.attempt_id for letter in letters] == [case.attempt]


@pytest.mark.parametrize(
    "write",
    [imports("holds.csv", "party,kind,all_liable\n{party},dispute,true\n"), a_colleague_writes_down_a_dispute, says("I do not owe this")],
    ids=["import", "colleague", "reply"],
)
def test_I4_a_hold_of_all_who_stand_for_a_loan_waits_for_each_of_them(case: Case, write: Callable[[Case], object]) -> None:
    """It names one person and no loan, and reaches the others for the loans that they share."""
    run = case.outbox.run(scope="co")
    case.outbox.plan(run, case.co_borrower)
    of_the_other = Door(run=door(run).run, parties=(case.co_borrower.party_id,) * 2, book=case.door.book, texts=case.door.texts)
    with ThreadPoolExecutor(2) as threads:
        with held("evidence_batch") as holder:
            gate = threads.submit(chunk, of_the_other)
            gate_pid, _ = waiting_for(holder)
            writer: Future[object] = threads.submit(write, case)
            waiting_for(gate_pid, writer)
        assert len(gate.result(20).letters) == 1
        writer.result(20)


def test_I5_a_message_to_her_from_another_campaign_waits_and_then_finds_the_first(case: Case) -> None:
    """Two gates at one borrower: the second passes over her while the first holds her, and is capped when it may."""
    other = case.outbox.run(business_date=TODAY + timedelta(days=1))
    second = case.outbox.plan(other, case.borrower, send_after=NOON, expires_at=NOON + timedelta(hours=5))
    with ThreadPoolExecutor(1) as thread:
        with held("evidence_batch") as holder:
            gate = thread.submit(chunk, case.door)
            waiting_for(holder)
            passed_over = chunk(door(other))
            assert (passed_over.claimed["sms"], passed_over.letters) == ([], [])
        assert len(gate.result(20).letters) == 1
    assert chunk(door(other)).letters == []
    assert case.outbox.events(second) == []


# Table → file of the ledger → what above proves that its writer takes the lock.
FACTS = ("hold", "opt_out", "payment", "promise", "wish", "consent", "contact_value", "contact_point_version")
WRITERS = {
    ("hold", "answers.py"): [
        "a hold that another colleague ends",
        "danger in a reply",
        "paid in a reply",
        "a promise in a reply",
        "a dispute in a reply",
        "plans that she looks at",
    ],
    ("promise", "answers.py"): ["a promise in a reply"],
    ("promise", "promises.py"): ["promises that are judged"],
    ("hold", "promises.py"): ["promises that are judged"],
    ("hold", "plans.py"): ["a plan that the core system accepts", "a plan that the core system refuses"],
    ("hold", "cases.py"): [
        "a dispute in a reply",
        "no money in a reply",
        "a payment of the wallet that fits nowhere",
        "a dispute that a colleague writes down",
        "a case that is closed",
        "a settled dispute that she does not agree with",
    ],
    ("hold", "placements.py"): ["a loan that is placed with an agency", "a placement that is over"],
    ("hold", "erasures.py"): ["a person who asks to be erased", "an erasure that is lifted", "a person who is erased"],
    ("opt_out", "answers.py"): ["start in a reply"],
    ("contact_value", "answers.py"): ["wrong person in a reply"],
    ("opt_out", "outbox.py"): [
        "a stop in a reply",
        "a stop that the provider's answer tells",
        "a stop that a callback tells",
        "a need that ends calls",
    ],
    ("contact_point_version", "outbox.py"): ["a dead number that the provider's answer tells", "a dead number that a callback tells"],
    # The number is the new borrower's, who is locked; of whom it was before, the next gate reads that it is shared.
    ("contact_value", "imports.py"): [],
    ("hold", "imports_targets.py"): ["an imported hold"],
    ("opt_out", "imports_targets.py"): ["an imported stop"],
    ("wish", "wishes.py"): ["a wish on her page"],
    ("wish", "imports_targets.py"): ["an imported wish"],
    ("payment", "imports_targets.py"): ["an imported payment"],
    ("payment", "wallet_payments.py"): ["a payment that the wallet tells of"],
    ("consent", "imports_targets.py"): ["an imported consent"],
    ("contact_point_version", "imports_targets.py"): [],
}


def test_I4_every_statement_that_writes_such_a_fact_is_tried_above() -> None:
    """A new writer of a hold, a stop, a payment, a promise or a wish belongs into `WRITERS`, with the attack that tries it."""
    statement = re.compile(rf"\b(?:INSERT INTO|UPDATE|DELETE FROM|COPY)\s+({'|'.join(FACTS)})\b")
    found = {(table, path.name) for path in LEDGER.glob("*.py") for table in statement.findall(path.read_text())}
    found |= {(target.table, "imports_targets.py") for target in TARGETS.values() if target.table in FACTS}
    assert found == set(WRITERS)
    assert {what for tried in WRITERS.values() for what in tried} <= set(STOPS | OTHERS)
