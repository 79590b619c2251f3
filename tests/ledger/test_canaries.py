"""Few first: of what is new only a small part is sent, and the rest when that went well, or when people say so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from prefect.logging import disable_run_logger
from sqlalchemy import text

from config.policies import policies
from decisions.canary import judge
from gate.lane import run_lane
from ledger import approval_codes, canaries, clock, outbox, run_narrowing
from ledger.campaigns import open_run, read_run, unfinished
from ledger.canaries import Stands
from ledger.engine import connection
from tasks.choose import choose
from tasks.pick import pick
from tests.decisions.test_canary import CANARY
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sending import RecordingChannel

ROLES = ("operations",)


@pytest.fixture(autouse=True)
def _quietly() -> Iterator[None]:
    with disable_run_logger():
        yield


@pytest.fixture
def run(portfolio: Portfolio) -> int:
    """A run of four contacts that is decided; whether few go first is not."""
    portfolio.clock(noon("US"))
    for _ in range(4):
        portfolio.borrower(days_past_due=5, push=False)
    return decided()


def decided(*, stage: str = "early", days: int = 0) -> int:
    with connection() as tx:
        opened = open_run(
            tx,
            stage=stage,
            business_date=TODAY + timedelta(days=days),
            preview=False,
            borrowers_max=None,
            policies=policies(stage),
            at=noon("US"),
            few_first=True,
        )
    for shard in pick.fn(opened):
        choose.fn(shard, opened)
    return opened


def begin(run: int) -> Stands:
    with connection() as tx:
        return canaries.begin(tx, run, CANARY)


def judged(run: int, portfolio: Portfolio, *, hours: float) -> str:
    portfolio.clock(noon("US") + timedelta(hours=hours))
    with connection() as tx:
        verdict = judge(canaries.look(tx, run), CANARY, at=clock.now(tx))
        canaries.conclude(tx, run, verdict)
    return verdict.word


def sent(run: int) -> int:
    channel = RecordingChannel()
    run_lane(run, shard=None, channels={"sms": lambda: channel})
    return len(channel.sent)


def due() -> int:
    with connection() as tx:
        return sum(lane.due for lane in outbox.lanes_due(tx, at=clock.now(tx), at_most=10))


def left(run: int) -> dict[str, int]:
    with connection() as tx:
        return unfinished(tx, run)


def code(person: str = "ben") -> str:
    with connection() as tx:
        return approval_codes.make_code(tx, person=person, role="operations", made_by="test")


def outcome(run: int, intent: str) -> None:
    """Everybody whom the run has contacted answers so."""
    with connection() as tx:
        tx.execute(
            text("""
                INSERT INTO outcome (party_id, channel, intent, needs_person, at)
                SELECT party_id, channel, :intent, false, submitted_at FROM attempt WHERE campaign_run_id = :run AND submitted_at IS NOT NULL"""),
            {"run": run, "intent": intent},
        )


def test_before_it_is_decided_who_goes_first_nobody_goes(run: int) -> None:
    assert (sent(run), due(), left(run)) == (0, 0, {})


def test_one_goes_first_and_after_a_wait_the_rest(run: int, portfolio: Portfolio) -> None:
    stands = begin(run)
    assert stands.canary == "trying"
    assert stands.said == "1 of 4 go first; new: message/early_reminder/en, strategy/static-ladder/early"
    assert due() == 1
    assert sent(run) == 1
    assert (sent(run), due(), left(run)) == (0, 0, {}), "what is held back is not left to do"
    assert judged(run, portfolio, hours=1) == "trying"
    assert sent(run) == 0
    assert judged(run, portfolio, hours=2) == "passed"
    assert due() == 3
    assert sent(run) == 3


def test_what_a_person_dials_is_none_of_the_few_and_holds_nobody_up(run: int, portfolio: Portfolio) -> None:
    with connection() as tx:
        tx.execute(text("UPDATE attempt SET channel = 'call' WHERE id IN (SELECT min(id) FROM attempt UNION SELECT max(id) FROM attempt)"))
    assert begin(run).said == "1 of 2 go first; new: message/early_reminder/en, strategy/static-ladder/early"
    assert sent(run) == 1
    assert judged(run, portfolio, hours=2) == "passed"
    assert (sent(run), due(), left(run)) == (1, 0, {})


def test_what_went_well_is_not_new_any_more(run: int, portfolio: Portfolio) -> None:
    begin(run)
    sent(run)
    judged(run, portfolio, hours=2)
    portfolio.borrower(days_past_due=5, push=False)
    portfolio.borrower(days_past_due=5, push=False)
    again = decided(days=1)
    assert begin(again).canary == "none"
    with connection() as tx:
        tx.execute(
            text(
                "UPDATE campaign_run SET canary = 'undecided', policy_hashes = policy_hashes || '{\"message/early_reminder/en\": \"x\"}' WHERE id = :id"
            ),
            {"id": again},
        )
    assert "new: message/early_reminder/en" in str(begin(again).said), "a letter that is changed makes it new"


@pytest.mark.parametrize("intent", ["stop", "wrong_person", "dispute"])
def test_answers_of_the_few_stop_it_until_people_decide(
    run: int, portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch, intent: str
) -> None:
    few = replace(CANARY, share=0.5)
    monkeypatch.setitem(globals(), "CANARY", few)
    begin(run)
    assert sent(run) == 2
    outcome(run, intent)
    assert judged(run, portfolio, hours=0.1) == "stopped"
    assert (sent(run), due()) == (0, 0)
    with connection() as tx:
        taken, said = canaries.decide(tx, run, code="1-AAAA-AAAA-AAAA-AAAA", go_on=True, reason="x", roles=ROLES)
    assert (taken, "no approval code" in said) == (False, True)
    with connection() as tx:
        assert canaries.decide(tx, run, code=code(), go_on=True, reason="a test group", roles=ROLES)[0]
    assert sent(run) == 2
    with connection() as tx:
        row = tx.execute(text("SELECT approved_by, role, verdict FROM approval WHERE subject_kind = 'canary'")).one()
    assert tuple(row) == ("ben", "operations", "approved")


def test_people_may_let_nothing_more_of_it_go(run: int, portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "CANARY", replace(CANARY, share=0.5))
    begin(run)
    sent(run)
    outcome(run, "dispute")
    judged(run, portfolio, hours=0.1)
    with connection() as tx:
        assert canaries.decide(tx, run, code=code(), go_on=False, reason="the amount is wrong", roles=ROLES)[0]
    with connection() as tx:
        assert run_narrowing.narrow(tx, run) == 2
        assert read_run(tx, run).state == "rejected"
    assert sent(run) == 0


def test_undelivered_messages_stop_it(run: int, portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "CANARY", replace(CANARY, share=0.5))
    begin(run)
    sent(run)
    with connection() as tx:
        tx.execute(text("UPDATE attempt SET state = 'undelivered' WHERE state = 'accepted'"))
    assert judged(run, portfolio, hours=0.1) == "stopped"


def test_where_none_of_the_few_may_be_contacted_others_are_drawn(run: int, portfolio: Portfolio) -> None:
    begin(run)
    with connection() as tx:
        first = tx.execute(
            text(
                "SELECT a.party_id FROM attempt a JOIN campaign_run r ON r.id = a.campaign_run_id ORDER BY md5(r.seed || ' ' || a.party_id) LIMIT 1"
            )
        ).scalar_one()
    portfolio.opt_out(first)
    assert sent(run) == 0
    assert judged(run, portfolio, hours=3) == "nobody"
    assert begin(run).canary == "trying"
    assert sent(run) == 1


def test_in_live_mode_what_staff_never_got_is_held_until_people_let_it_be_tried(run: int) -> None:
    with connection() as tx:
        tx.execute(text("UPDATE campaign_run SET mode = 'live'"))
    stands = begin(run)
    assert (stands.canary, stands.said) == ("untried", "never sent to staff: message/early_reminder/en, strategy/static-ladder/early")
    assert sent(run) == 0
    with connection() as tx:
        assert canaries.decide(tx, run, code=code(), go_on=True, reason="tried elsewhere", roles=ROLES)[0]
    assert begin(run).canary == "trying"
    assert sent(run) == 1


def test_what_staff_got_in_allowlist_mode_may_be_tried_on_few(run: int) -> None:
    with connection() as tx:
        canaries._set(tx, run, "none", said="test")  # noqa: SLF001  # as a mode in which few are not first leaves it
        tx.execute(text("UPDATE campaign_run SET mode = 'allowlist'"))
    assert sent(run) == 4
    with connection() as tx:
        tx.execute(text("UPDATE feed SET covers_until = covers_until + interval '10 days'"))
        clock.step(tx, noon("US", TODAY + timedelta(days=5)))
    again = decided(days=5)
    with connection() as tx:
        tx.execute(text("UPDATE campaign_run SET mode = 'live' WHERE id = :id"), {"id": again})
    assert begin(again).canary == "trying"
    assert sent(again) == 1
