"""Cases over the ledger: an answer opens one with its hold, once; a person ends it, and only then the peace ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from uuid import uuid4

import pytest

from channels.codes import intent_of, meaning_of_callback, state_of
from config.cases import case_terms
from config.replies import reply_policy_in_force
from decisions.cases import ANSWERED_FIRST, NEEDS_PROOF, RESULTS_OF
from ledger import case_lists, case_work, cases, inbox
from ledger.case_lists import Case
from ledger.cases import CaseRefused, Statement
from ledger.engine import connection
from ledger.facts import read_facts
from ledger.inbox import Said, Vocabulary
from ledger.locks import lock_borrowers
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, made_up_number, noon
from tests.plugins.sending import Outbox
from tests.plugins.sent import Known, Sent

NUMBER = made_up_number("US", 77)
NOON = noon("US")
VOCABULARY = Vocabulary(state_of=state_of, meaning_of=meaning_of_callback, intent_of=intent_of, replies=reply_policy_in_force())
DISPUTE = "this is not my debt, the amount is wrong"


@pytest.fixture
def borrower(portfolio: Portfolio) -> BorrowerIds:
    portfolio.clock(NOON)
    return portfolio.borrower(number=NUMBER)


def write(words: str, *, sid: str | None = None, number: str = NUMBER) -> None:
    """Somebody writes from that number."""
    said = Said(
        provider="twilio",
        provider_id=sid or f"SM{uuid4().hex}",
        kind="inbound",
        status="received",
        token=None,
        error_code=None,
        fields={"From": number, "Body": words},
    )
    inbox.receive([said], VOCABULARY)


def found(*, closed_too: bool = False) -> list[Case]:
    with connection() as tx:
        return case_lists.listed(tx, closed_too=closed_too)


def told(case_id: int) -> list[str]:
    with connection() as tx:
        return [one.kind for one in case_lists.history(tx, case_id)]


def stated(borrower: BorrowerIds, kind: str, *, loan: bool = False, words: str | None = None, part: int | None = None) -> int:
    """A case that a colleague writes down."""
    with connection() as tx:
        lock_borrowers(tx, [borrower.party_id])
        said = Statement(
            party_id=borrower.party_id,
            kind=kind,
            at=NOON,
            channel="person",
            loan_id=borrower.loan_id if loan else None,
            said_by="anna",
            words=words,
            disputed_minor=part,
        )
        return cases.open_case(tx, said, case_terms())[0]


def close(case_id: int, result: str, *, is_corrected: bool = False, answered: bool = True) -> cases.Ended:
    with connection() as tx:
        if answered:
            cases.answer(tx, case_id, by="ben", at=NOON, reference="letter 7")
    with connection() as tx:
        return cases.close(tx, case_id, by="ben", result=result, at=NOON + timedelta(hours=1), is_corrected=is_corrected)


def test_a_dispute_opens_one_case_for_the_loan_that_was_written_about_however_often_it_is_said(
    borrower: BorrowerIds, send: Callable[..., Sent], known: Known, outbox: Outbox
) -> None:
    sent = send(borrower)
    outbox.rows("UPDATE contact_event SET loans = ARRAY[CAST(:loan AS bigint)] RETURNING id", loan=borrower.loan_id)
    assert sent.attempt_id
    sid = f"SM{uuid4().hex}"
    write(DISPUTE, sid=sid)
    write(DISPUTE, sid=sid)
    (case,) = found()
    assert (case.kind, case.party_id, case.loan_id, case.state, case.stated_by) == (
        "dispute",
        borrower.party_id,
        borrower.loan_id,
        "open",
        "borrower",
    )
    assert (case.opened_on, case.acknowledge_by, case.answer_by) == (TODAY, TODAY + timedelta(days=2), date(2026, 4, 7))
    assert (case.acknowledge_rule, case.answer_rule, case.law_rule) == ("house", "house", None)
    assert told(case.id) == ["opened"]
    write(DISPUTE)
    assert [one.id for one in found()] == [case.id]
    assert told(case.id) == ["opened", "said_again"]
    assert known.holds(borrower) == [("dispute", None)]
    with connection() as tx:
        assert [one.words for one in case_lists.history(tx, case.id)] == [DISPUTE, DISPUTE]


def test_a_dispute_of_a_loan_freezes_it_for_everybody_who_stands_for_it_and_for_no_other_loan(
    borrower: BorrowerIds, portfolio: Portfolio
) -> None:
    other = portfolio.borrower()
    portfolio.liable(borrower.loan_id, other.party_id)
    stated(borrower, "dispute", loan=True)
    with connection() as tx:
        holds = read_facts(tx, parties=[borrower.party_id, other.party_id], at=NOON, business_date=TODAY, loans="now").holds
    assert holds.select("party_id", "loan_id", "kind").rows() == [
        (borrower.party_id, borrower.loan_id, "dispute"),
        (other.party_id, borrower.loan_id, "dispute"),
    ]


def test_what_a_person_writes_opens_the_case_that_it_needs(portfolio: Portfolio, known: Known) -> None:
    portfolio.clock(NOON)
    for serial, (said, kind, hold) in enumerate(
        [
            (("I lost my job, I can't pay",), "hardship", "hardship"),
            (("I already paid", "I already paid"), "dispute", "dispute"),
            (("my husband passed away last week",), "deceased", "bereavement"),
            (("wrong number, I am not her",), "wrong_number", None),
            # What ends by itself, or is done at once, needs no case.
            (("I already paid",), None, None),
            (("STOP",), None, None),
        ]
    ):
        number = made_up_number("US", 200 + serial)
        who = portfolio.borrower(number=number)
        for words in said:
            write(words, number=number)
        opened = [(one.kind, one.loan_id) for one in found() if one.party_id == who.party_id]
        assert opened == ([] if kind is None else [(kind, None)]), said
        assert [held for held, until in known.holds(who) if until is None] == ([] if hold is None else [hold]), said


def test_only_a_person_ends_the_peace_and_only_after_an_answer(
    borrower: BorrowerIds, portfolio: Portfolio, known: Known, outbox: Outbox
) -> None:
    portfolio.hold(borrower.party_id, "attorney")
    write(DISPUTE)
    (case,) = found()
    with pytest.raises(CaseRefused, match="was not answered yet"):
        close(case.id, "not_upheld", answered=False)
    with pytest.raises(CaseRefused, match="does not end with 'fulfilled'; it ends with upheld"):
        close(case.id, "fulfilled")
    with pytest.raises(CaseRefused, match="the books still ask for what is not owed"):
        close(case.id, "upheld")
    assert ("dispute", None) in known.holds(borrower)
    ended = close(case.id, "upheld", is_corrected=True)
    assert (ended.lifted, ended.still_held) == (1, ("attorney",))
    assert known.holds(borrower) == [("attorney", None), ("dispute", NOON + timedelta(hours=1))]
    (closed,) = found(closed_too=True)
    assert (closed.state, closed.result, closed.due) == ("closed", "upheld", None)
    assert told(case.id) == ["opened", "answered", "closed"]
    # The answer that opened it waits for nobody any more.
    (seen_to,) = outbox.rows(
        "SELECT h.by, h.done FROM outcome o JOIN outcome_handled h ON h.outcome_id = o.id WHERE o.handled_at IS NOT NULL"
    )
    assert tuple(seen_to) == ("ben", f"case {case.id}: answered")
    with pytest.raises(CaseRefused, match="is closed"):
        close(case.id, "withdrawn")
    # What is said anew is a new case.
    write(DISPUTE)
    assert [one.id for one in found()] != [case.id]


def test_a_hold_of_before_there_were_cases_ends_with_the_case_of_the_same_but_not_one_that_a_file_brought(
    borrower: BorrowerIds, portfolio: Portfolio, outbox: Outbox
) -> None:
    portfolio.hold(borrower.party_id, "dispute")
    outbox.rows("UPDATE hold SET source = 'reply' RETURNING id")
    portfolio.hold(borrower.party_id, "dispute")
    ended = close(stated(borrower, "dispute"), "withdrawn", answered=False)
    assert (ended.lifted, ended.still_held) == (2, ("dispute",))


def test_nobody_writes_to_the_dead_again_and_mourning_ends_with_its_case(borrower: BorrowerIds, known: Known) -> None:
    write("my husband passed away last week")
    (case,) = found()
    assert close(case.id, "somebody_else_died", answered=False).still_held == ()
    dead = stated(borrower, "deceased")
    with pytest.raises(CaseRefused, match="tideover cases proof"):
        close(dead, "borrower_died", answered=False)
    assert [kind for kind, until in known.holds(borrower) if until is None] == ["deceased"], (
        "no proof, and she is left in peace all the same"
    )
    case_work.see_proof(dead, by="ben", reference="death certificate, file 31")
    assert close(dead, "borrower_died", answered=False).still_held == ("deceased",)
    assert [kind for kind, until in known.holds(borrower) if until is None] == ["deceased"]


def test_every_kind_can_be_worked_to_each_of_its_ends(borrower: BorrowerIds) -> None:
    for kind, results in RESULTS_OF.items():
        for result in results:
            case_id = stated(borrower, kind)
            with connection() as tx:
                assert cases.take(tx, case_id, by="ben", at=NOON)
                assert not cases.take(tx, case_id, by="ben", at=NOON)
                assert cases.acknowledge(tx, case_id, by="ben", at=NOON)
                assert not cases.acknowledge(tx, case_id, by="ben", at=NOON)
            if (kind, result) in NEEDS_PROOF:
                case_work.see_proof(case_id, by="ben", reference="death certificate, file 31")
            close(case_id, result, is_corrected=True, answered=kind in ANSWERED_FIRST)
    assert {(one.kind, one.result) for one in found(closed_too=True)} == {(kind, end) for kind in RESULTS_OF for end in RESULTS_OF[kind]}
    assert found() == []


def test_what_was_said_is_kept_encrypted_and_read_by_its_case_alone(borrower: BorrowerIds, outbox: Outbox) -> None:
    case_id = stated(borrower, "dispute", loan=True, words="I never bought that phone", part=2_500)
    (row,) = outbox.rows("SELECT words_encrypted FROM case_event")
    assert b"phone" not in row.words_encrypted
    with connection() as tx:
        (entry,) = case_lists.history(tx, case_id)
        case = case_lists.read(tx, case_id)
    assert (entry.words, entry.said_by) == ("I never bought that phone", "anna")
    assert "phone" not in repr(entry)
    assert (case.disputed_minor, case.currency) == (2_500, "USD")


def test_what_cannot_be_is_refused(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    other = portfolio.borrower()
    with pytest.raises(CaseRefused, match="there are dispute, complaint"):
        stated(borrower, "sadness")
    with pytest.raises(CaseRefused, match="say of which loan"):
        stated(borrower, "dispute", part=2_500)
    strange = BorrowerIds(party_id=borrower.party_id, loan_id=other.loan_id, sms_id=None, push_id=None)
    with pytest.raises(CaseRefused, match="the loan is none of theirs"):
        stated(strange, "dispute", loan=True)
    with pytest.raises(CaseRefused, match="no case 99"):
        close(99, "withdrawn")
    assert found() == []
