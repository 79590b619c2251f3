"""Runs that ask people: nothing goes out before two of them have said yes to exactly what was planned."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import pytest
from prefect.logging import disable_run_logger
from sqlalchemy import text

from config.policies import policies
from gate.lane import run_lane
from ledger import approval_codes, outbox, run_approvals, run_narrowing, run_standings
from ledger.approval_codes import CodeRefused, Holder, NoCode
from ledger.audit_ledger import CHECKS
from ledger.campaigns import RunRefused, open_run, read_run
from ledger.engine import connection
from ledger.run_approvals import SCHEDULE, Answer, Answered
from ledger.run_standings import Standing
from tasks.choose import choose
from tasks.pick import pick
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sending import RecordingChannel

ROLES = ("operations", "compliance")
WAIT = timedelta(hours=8)
_forms = count(1)


@pytest.fixture(autouse=True)
def _quietly() -> Iterator[None]:
    with disable_run_logger():
        yield


def planned(portfolio: Portfolio, *, people: int = 3, above: int | None = 0, limit: int | None = None) -> int:
    """A run of the early stage that is decided and asks people above so many contacts."""
    portfolio.clock(noon("US"))
    for _ in range(people):
        portfolio.borrower(days_past_due=5, push=False)
    return decided(above=above, limit=limit)


def decided(*, above: int | None = 0, limit: int | None = None) -> int:
    with connection() as tx:
        run = open_run(
            tx,
            stage="early",
            business_date=TODAY,
            preview=False,
            borrowers_max=limit,
            policies=policies("early"),
            at=noon("US"),
            approval_above=above,
        )
    for shard in pick.fn(run):
        choose.fn(shard, run)
    return run


def ask(run: int, *, by: str | None = SCHEDULE, wait: timedelta = WAIT) -> Standing:
    with connection() as tx:
        return run_approvals.ask(tx, run, wait=wait, flow_run=None, asked_by=by)


def code(person: str = "ben", role: str = "operations", *, run: int | None = None) -> str:
    with connection() as tx:
        return approval_codes.make_code(tx, person=person, role=role, made_by="test", campaign_run_id=run)


def answer(
    run: int,
    typed: str | Holder,
    *,
    approve: bool = True,
    up_to: int | None = None,
    reason: str | None = None,
    form: str | None = None,
    subject: str | None = None,
    flaw: str | None = None,
) -> Answered:
    given = Answer(form=form or f"form {next(_forms)}", by=typed, approve=approve, up_to=up_to, reason=reason, flaw=flaw)
    with connection() as tx:
        return run_approvals.answer(tx, run, given, roles=ROLES, subject=subject)


def withheld(run: int) -> int:
    total = 0
    while True:
        with connection() as tx:
            page = run_narrowing.narrow(tx, run, at_most=1)
        if not page:
            return total
        total += page


def sent(run: int) -> int:
    channel = RecordingChannel()
    run_lane(run, shard=None, channels={"sms": lambda: channel})
    return len(channel.sent)


def approval_of(run: int) -> str:
    with connection() as tx:
        return read_run(tx, run).approval


def lanes_due() -> int:
    with connection() as tx:
        return len(outbox.lanes_due(tx, at=noon("US"), at_most=10))


def states() -> list[str]:
    with connection() as tx:
        return list(tx.execute(text("SELECT state FROM attempt ORDER BY id")).scalars())


def test_I11_nothing_is_sent_before_people_are_asked_nor_before_they_say_yes(portfolio: Portfolio) -> None:
    run = planned(portfolio)
    assert (approval_of(run), sent(run), lanes_due()) == ("undecided", 0, 0)
    standing = ask(run)
    assert (standing.approval, standing.planned, standing.asked_by) == ("awaiting", 3, SCHEDULE)
    assert (sent(run), lanes_due()) == (0, 0)
    assert answer(run, code()).outcome == "approved"
    assert lanes_due() == 1
    assert sent(run) == 3
    assert sent(run) == 0


def test_few_contacts_need_nobody(portfolio: Portfolio) -> None:
    run = planned(portfolio, people=2, above=2)
    assert sent(run) == 0, "not before it is known how many they are"
    assert ask(run).approval == "none"
    assert sent(run) == 2


def test_a_run_that_asks_nobody_sends(portfolio: Portfolio) -> None:
    run = planned(portfolio, above=None)
    assert ask(run).approval == "none"
    assert sent(run) == 3


def test_who_asked_does_not_approve_however_the_name_is_written(portfolio: Portfolio) -> None:
    run = planned(portfolio)
    ask(run, by="Anna Lee")
    refused = answer(run, code("anna  LEE"))
    assert refused.outcome == "refused"
    assert "four eyes" in refused.said
    assert sent(run) == 0
    assert answer(run, code("ben")).outcome == "approved"


def test_where_nobody_known_asked_two_people_say_yes(portfolio: Portfolio) -> None:
    run = planned(portfolio)
    ask(run, by=None)
    first = answer(run, code("anna"), up_to=2)
    assert first.outcome == "asked"
    assert "second person" in first.said
    assert sent(run) == 0
    assert answer(run, code("Anna")).outcome == "refused"
    assert answer(run, code("ben")).outcome == "approved"
    assert withheld(run) == 1, "the smaller number of the two counts"
    assert sent(run) == 2


def test_a_code_of_whoever_starts_the_run_says_who_asked(portfolio: Portfolio) -> None:
    run = planned(portfolio)
    ask(run, by=None)
    typed = code("anna")
    for _ in range(2):  # the flow runs again from its top
        with connection() as tx:
            assert run_approvals.who_asks(tx, run, code=typed, roles=ROLES, form="flow 1 asks").outcome == "asked"
    with connection() as tx:
        assert run_standings.standing(tx, run).asked_by == "anna"
    assert answer(run, code("anna")).outcome == "refused"
    assert answer(run, code("ben")).outcome == "approved"


def test_the_evidence_names_who_asked_who_approved_and_in_which_role(portfolio: Portfolio) -> None:
    run = planned(portfolio)
    subject = ask(run, by="anna").subject
    answer(run, code("ben", "compliance"), up_to=2, reason="first a few")
    with connection() as tx:
        rows = tx.execute(
            text(
                "SELECT subject_hash, asked_by, approved_by, role, verdict, reason FROM approval WHERE subject_kind = 'campaign run' ORDER BY id"
            )
        ).all()
    assert [tuple(row) for row in rows] == [
        (subject, "anna", None, None, "asked", None),
        (subject, "anna", "ben", "compliance", "approved", "first a few; up to 2 contacts"),
    ]


def test_up_to_so_many_sends_the_same_ones_each_time_and_withholds_the_rest_with_a_reason(portfolio: Portfolio) -> None:
    run = planned(portfolio, people=4)
    ask(run)
    assert answer(run, code(), up_to=3).outcome == "approved"
    assert (approval_of(run), sent(run)) == ("narrowing", 0), "nothing is sent while it is being narrowed"
    with connection() as tx:
        assert run_narrowing.unfinished_answers(tx) == [run]
    assert withheld(run) == 1
    assert approval_of(run) == "approved"
    assert sent(run) == 3
    with connection() as tx:
        reasons = tx.execute(text("SELECT permit -> 'blocked_by' FROM attempt WHERE state = 'withheld'")).scalars().all()
        by_rank = tx.execute(
            text("SELECT a.state FROM attempt a JOIN campaign_run r ON r.id = a.campaign_run_id ORDER BY md5(r.seed || ' ' || a.party_id)")
        )
        assert [state == "withheld" for state in by_rank.scalars()] == [False, False, False, True]
    assert reasons == [["not_among_the_approved"]]


def test_rejected_nothing_is_sent_and_the_date_is_over(portfolio: Portfolio) -> None:
    run = planned(portfolio)
    ask(run)
    assert answer(run, code(), approve=False, reason="wrong amount").outcome == "rejected"
    assert (sent(run), lanes_due()) == (0, 0)
    assert withheld(run) == 3
    assert set(states()) == {"withheld"}
    assert "rejected already, by ben" in answer(run, code("anna")).said
    with pytest.raises(RunRefused, match="rejected by a person"):
        decided()


def test_a_yes_is_taken_back_and_what_is_not_sent_yet_stays_unsent(portfolio: Portfolio) -> None:
    run = planned(portfolio)
    ask(run, by="anna")
    answer(run, code("ben"))
    assert answer(run, code("anna"), approve=False, reason="stop").outcome == "rejected"
    assert sent(run) == 0


def test_approving_twice_changes_nothing_and_spends_no_code(portfolio: Portfolio) -> None:
    run = planned(portfolio)
    ask(run)
    answer(run, code("ben"), form="one")
    assert answer(run, "whatever", form="one").outcome == "approved", "the same form is taken once"
    second = code("cleo")
    again = answer(run, second)
    assert (again.outcome, "approved already, by ben" in again.said) == ("refused", True)
    with connection() as tx:
        assert isinstance(approval_codes.redeem(tx, second, roles=ROLES, campaign_run_id=run, used_for="test"), Holder)
    assert sent(run) == 3


def test_a_code_is_used_once_by_the_right_role_for_the_right_run_in_time(portfolio: Portfolio) -> None:
    run = planned(portfolio)
    ask(run)
    used = code("ben")
    assert answer(run, used, flaw="`approve up to` needs a number").outcome == "refused"
    assert "used already" in answer(run, used).said
    assert "may not decide" in answer(run, code("ben", "phone_team")).said
    with connection() as tx:
        other = open_run(
            tx, stage="late", business_date=TODAY, preview=False, borrowers_max=None, policies=[], at=noon("US"), approval_above=0
        )
    assert f"for campaign run {other} alone" in answer(run, code("ben", run=other)).said
    old = code("ben")
    with connection() as tx:
        tx.execute(text("UPDATE approval_code SET expires_at = clock_timestamp() WHERE id = :id"), {"id": int(old.split("-")[0])})
    assert "time of this code is over" in answer(run, old).said
    assert sent(run) == 0
    assert answer(run, code("ben", run=run).lower().replace("-", " ")).outcome == "approved", "however it is typed"


def test_a_code_is_kept_as_a_hash_only(portfolio: Portfolio) -> None:
    planned(portfolio)
    made = code("ben")
    with connection() as tx:
        row = tx.execute(text("SELECT * FROM approval_code")).mappings().one()
    secret = "".join(made.split("-")[1:])
    assert secret not in str(dict(row))
    assert made != code("ben")


@pytest.mark.parametrize(
    ("person", "role", "hours", "run"),
    [(" ", "operations", 1, None), ("ben", "Big Boss", 1, None), ("ben", "operations", 0, None), ("ben", "operations", 1, 77)],
)
def test_no_code_without_a_person_a_role_and_a_time(ledger_url: str, person: str, role: str, hours: int, run: int | None) -> None:
    del ledger_url
    with pytest.raises(CodeRefused), connection() as tx:
        approval_codes.make_code(tx, person=person, role=role, made_by="test", hours=hours, campaign_run_id=run)


@pytest.mark.parametrize("typed", ["", "1", "-", "7-AAAA-AAAA-AAAA-AAAA", "1-AAAA-AAAA-AAAA-AAAA", "٣-AAAA-AAAA-AAAA-AAAA", "9" * 60])
def test_what_is_no_code_is_said_to_be_none(ledger_url: str, typed: str) -> None:
    del ledger_url
    code("ben")
    with connection() as tx:
        found = approval_codes.redeem(tx, typed, roles=ROLES, campaign_run_id=1, used_for="test")
    assert isinstance(found, NoCode)
    assert found.wrong


def test_after_five_wrong_codes_nobody_is_asked_until_the_run_is_started_again(portfolio: Portfolio) -> None:
    run = planned(portfolio)
    ask(run)
    said = [answer(run, "1-AAAA-AAAA-AAAA-AAAA") for _ in range(run_approvals.WRONG_CODES_MAX)]
    assert {one.outcome for one in said} == {"wrong_code"}
    assert "(tries left: 1)" in said[-2].said
    assert approval_of(run) == "lapsed"
    assert answer(run, code("ben")).outcome == "refused"
    assert sent(run) == 0
    assert ask(run).approval == "awaiting"
    assert answer(run, code("ben")).outcome == "approved"
    assert sent(run) == 3


def test_when_the_time_is_over_nothing_is_sent_and_it_can_be_started_again(portfolio: Portfolio) -> None:
    run = planned(portfolio)
    ask(run, wait=timedelta(0))
    late = code("ben")
    assert "time for run" in answer(run, late).said
    assert (approval_of(run), sent(run)) == ("lapsed", 0)
    assert ask(run).approval == "awaiting"
    assert answer(run, late).outcome == "approved", "a code that came too late was not spent"
    assert sent(run) == 3


def test_what_is_decided_after_the_yes_waits_for_another_one(portfolio: Portfolio) -> None:
    run = planned(portfolio, people=3, limit=1)
    shown = ask(run).subject
    assert answer(run, code("ben")).outcome == "approved"
    assert decided(limit=None) == run
    assert (approval_of(run), sent(run)) == ("undecided", 0)
    assert "look at its new preview" in answer(run, code("ben")).said
    standing = ask(run)
    assert standing.approval == "awaiting"
    assert standing.subject != shown
    assert "not what was shown" in answer(run, code("ben"), subject=shown).said
    assert answer(run, code("ben"), subject=standing.subject).outcome == "approved"
    assert sent(run) == 3


def test_a_later_start_may_ask_more_strictly_never_less(portfolio: Portfolio) -> None:
    run = planned(portfolio, above=5000)
    assert ask(run).approval == "none"
    decided(above=0)
    assert (approval_of(run), sent(run)) == ("undecided", 0)
    ask(run)
    decided(above=None)
    decided(above=5000)
    assert (approval_of(run), sent(run)) == ("awaiting", 0)


def test_nobody_is_asked_about_half_a_run(portfolio: Portfolio) -> None:
    run = planned(portfolio)
    with connection() as tx:
        tx.execute(
            text(
                "INSERT INTO campaign_shard (campaign_run_id, shard, first_party_id, last_party_id, borrowers) VALUES (:run, 9, 900, 901, 1)"
            ),
            {"run": run},
        )
    assert ask(run).approval == "undecided"
    assert sent(run) == 0


def test_the_auditor_finds_what_went_out_without_the_yes_that_it_needed(portfolio: Portfolio) -> None:
    run = planned(portfolio)
    ask(run)
    answer(run, code("ben"))
    assert sent(run) == 3
    (check,) = (one for one in CHECKS if one.name == "sent_without_the_yes_that_it_needed")
    period = {"first": TODAY, "last": TODAY, "live": False}
    with connection() as tx:
        assert tx.execute(text(check.sql), period).all() == []
        tx.execute(text("UPDATE attempt SET permit = permit - 'approval' WHERE id = (SELECT min(id) FROM attempt)"))
        assert len(tx.execute(text(check.sql), period).all()) == 1
        tx.execute(text("DELETE FROM approval WHERE verdict = 'approved'"))
        assert len(tx.execute(text(check.sql), period).all()) == 3


def signed_in(person: str, role: str = "operations") -> Holder:
    return Holder(code_id=None, person=person, role=role)


def test_who_signed_in_answers_without_a_code_and_never_for_herself(portfolio: Portfolio) -> None:
    run = planned(portfolio)
    ask(run, by="Anna Atall")
    refused = answer(run, signed_in("anna  atall"))
    assert (refused.outcome, "four eyes" in refused.said, "code" in refused.said) == ("refused", True, False)
    wrong_role = answer(run, signed_in("Ben Nobody", "auditor"))
    assert (wrong_role.outcome, "the role auditor may not decide this" in wrong_role.said) == ("refused", True)
    assert (approval_of(run), sent(run)) == ("awaiting", 0)
    assert answer(run, signed_in("Ben Nobody")).outcome == "approved"
    assert sent(run) == 3


def test_a_wrong_role_on_the_desk_is_no_guess_at_a_code(portfolio: Portfolio) -> None:
    run = planned(portfolio)
    ask(run)
    for _ in range(run_approvals.WRONG_CODES_MAX + 1):
        answer(run, signed_in("Ben Nobody", "auditor"))
    assert approval_of(run) == "awaiting"
