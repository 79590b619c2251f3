"""Who dials is an agent who may; what has to be said is said; and no more people wait than the team can call."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import text

from config.agents import needs_in_force
from decisions.agents import Certificate, Wanted
from gate import dial
from gate.dial import Dial, DialRefused, NotYou, Told, refresh, take_call
from ledger import agents, call_cards, call_queue, needs
from ledger.call_queue import CallWindow
from ledger.engine import connection
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.sending import Outbox
from tests.plugins.sent import Known
from tests.plugins.team import ALWAYS, Team, all_said

NOON = noon("US")
HOUR = timedelta(hours=1)
LEASE = timedelta(minutes=15)
YEAR = Certificate(kind="DRA", jurisdiction="US", valid_from=date(2026, 1, 1), valid_until=date(2027, 1, 1))


def ask(borrower: BorrowerIds, *, minutes: int = 120) -> int:
    with connection() as tx:
        tx.execute(text("""UPDATE creditor SET senders = senders || '{"call": "+15005550006"}'"""))
        window = CallWindow(NOON, NOON + timedelta(minutes=minutes))
        return call_queue.enqueue_callback(tx, party_id=borrower.party_id, because="sms: call_me", window=window, at=NOON)


@pytest.fixture
def task(portfolio: Portfolio) -> int:
    portfolio.clock(NOON)
    return ask(portfolio.borrower(country="US"))


def test_somebody_whom_no_roster_names_calls_nobody(task: int) -> None:
    for asked in (task, None):
        with pytest.raises(DialRefused, match="nobody of that name calls people"):
            take_call(asked, by="anna")


def test_what_an_agent_lacks_refuses_the_call_and_it_waits_for_a_colleague(
    task: int, team: Team, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial, "wanted_in_force", lambda: (Wanted(jurisdiction="US", kind="DRA", since=date(2026, 1, 1)),))
    lacking = {
        "agent_language": {"languages": ["es"], "certificates": [YEAR]},
        "agent_jurisdiction": {"jurisdictions": ["MX"], "certificates": [YEAR]},
        "agent_certificate_missing": {},
        "agent_certificate_expired": {"certificates": [replace(YEAR, valid_until=TODAY)]},
        "agent_off_shift": {
            "shifts": [replace(one, weekday=one.weekday % 7 + 1) for one in ALWAYS if one.weekday != 1],
            "certificates": [YEAR],
        },
    }
    for reason, roster in lacking.items():
        team.agent("anna", **roster)  # type: ignore[arg-type]  # of the keywords above
        refused = take_call(task, by="anna")
        assert isinstance(refused, NotYou), reason
        assert refused.reasons == (reason,)
        assert take_call(None, by="anna") is None
    assert outbox.states() == []
    team.agent("ben", certificates=[YEAR])
    assert isinstance(take_call(task, by="ben"), Dial)


def test_two_agents_who_take_at_once_never_get_the_same_person(team: Team, portfolio: Portfolio, task: int) -> None:
    """The first has not committed yet when the second asks: she passes over and takes the next."""
    other = ask(portfolio.borrower())
    anna, ben = team.agent("anna"), team.agent("ben")
    with connection() as first:
        assert call_cards.take_first(first, [task, other], agent_id=anna, lease=LEASE) == task
        with ThreadPoolExecutor(1) as thread:
            second = thread.submit(_take, [task, other], ben)
            assert second.result(20) == other
    with connection() as tx:
        assert (call_cards.held_by(tx, anna), call_cards.held_by(tx, ben)) == (task, other)
        assert call_cards.take_first(tx, [task], agent_id=ben, lease=LEASE) is None
        # Whoever looked for another card has given hers back.
        assert call_cards.held_by(tx, ben) is None


def test_many_agents_at_once_share_out_the_people_without_one_twice(team: Team, portfolio: Portfolio) -> None:
    portfolio.clock(NOON)
    tasks = [ask(portfolio.borrower()) for _ in range(4)]
    ids = [team.agent(f"agent {number}") for number in range(6)]
    with ThreadPoolExecutor(6) as threads:
        given = list(threads.map(lambda one: _take(tasks, one), ids))
    taken = [one for one in given if one is not None]
    assert len(taken) == len(set(taken))
    assert set(taken) <= set(tasks)


def _take(tasks: list[int], agent_id: int) -> int | None:
    with connection() as tx:
        return call_cards.take_first(tx, tasks, agent_id=agent_id, lease=LEASE)


def test_somebody_elses_card_is_not_dialled_until_its_time_is_over(team: Team, task: int, outbox: Outbox) -> None:
    anna = team.agent("anna")
    _take([task], anna)
    with pytest.raises(DialRefused, match="somebody else has"):
        take_call(task, by="ben")
    assert take_call(None, by="ben") is None
    outbox._do("UPDATE call_card SET until = clock_timestamp()")  # noqa: SLF001  # a plain statement
    assert isinstance(take_call(None, by="ben"), Dial)


@pytest.mark.usefixtures("team")
def test_a_talk_is_not_written_down_before_all_was_said_or_why_not(task: int, outbox: Outbox) -> None:
    taken = take_call(task, by="anna")
    assert isinstance(taken, Dial)
    names = [one.name for one in taken.required]
    assert names == ["who_are_you", "who_calls"]
    assert taken.required[1].words == "I am anna, and I call for Lantern Wallet US."
    # Who dials by hand is recorded by nobody.
    assert (taken.recording.way, taken.line) == ("none", None)
    for told in (Told(result="conversation"), Told(result="conversation", disclosed=names[1:]), Told(result="busy", disclosed=["singing"])):
        with pytest.raises(DialRefused, match="said"):
            dial.record_outcome(task, told, by="anna")
    assert outbox.states() == ["submitting"]
    told = Told(result="conversation", disclosed=names[1:], undisclosed_because="She hung up at once")
    assert dial.record_outcome(task, told, by="anna") == "done"
    (row,) = outbox.rows("SELECT required, said, why_encrypted, recording, told_at FROM agent_call")
    assert (row.required, row.said) == (names, names[1:])
    assert b"hung up" not in row.why_encrypted
    assert row.told_at == NOON


@pytest.mark.usefixtures("team")
def test_what_has_to_be_said_is_known_also_where_the_house_fell_over_after_the_gate(task: int, outbox: Outbox) -> None:
    take_call(task, by="anna")
    outbox._do("DELETE FROM agent_call")  # noqa: SLF001  # a plain statement
    with pytest.raises(DialRefused, match="who_are_you"):
        dial.record_outcome(task, Told(result="conversation"), by="anna")


@pytest.mark.usefixtures("team")
def test_a_need_is_kept_as_what_to_do_and_a_person_looks(portfolio: Portfolio, known: Known) -> None:
    portfolio.clock(NOON)
    who = portfolio.borrower()
    task = ask(who)
    take_call(task, by="anna")
    told = Told(result="conversation", needs=["written_only", "speak_slowly"])
    assert dial.record_outcome(task, all_said(task, told), by="anna") == "done"
    with connection() as tx:
        assert [need.name for need in needs.of_party(tx, who.party_id)] == ["written_only", "speak_slowly"]
        assert needs.write(tx, who.party_id, ["speak_slowly"], by="ben", at=NOON) == []
        assert needs.end(tx, who.party_id, "speak_slowly", by="ben", at=NOON)
        assert not needs.end(tx, who.party_id, "speak_slowly", by="ben", at=NOON)
        assert needs.write(tx, who.party_id, ["speak_slowly"], by="ben", at=NOON) == ["speak_slowly"]
        with pytest.raises(needs.NeedRefused, match="no need"):
            needs.write(tx, who.party_id, ["depression"], by="ben", at=NOON)
    assert [kind for kind, _ in known.holds(who)] == ["hardship"]
    # In writing only: no call any more, by whichever road.
    portfolio.clock(NOON + 24 * HOUR)
    refused = take_call(ask(who, minutes=60 * 30), by="anna")
    assert isinstance(refused, dial.NotNow)
    assert "HOUSE-OPTOUT" in refused.reasons


def test_no_need_says_why_somebody_needs_it() -> None:
    """The list is what to do; a word of an illness would be a diagnosis."""
    told = " ".join(needs_in_force())
    assert [
        word for word in ("ill", "sick", "depress", "cancer", "disab", "mental", "deaf", "blind", "addict", "vulnerab") if word in told
    ] == []


@pytest.mark.usefixtures("team")
def test_who_hung_up_is_not_tried_again(task: int, outbox: Outbox) -> None:
    take_call(task, by="anna")
    assert dial.record_outcome(task, Told(result="dropped", hung_up=True), by="anna") == "done"
    assert outbox.rows("SELECT 1 FROM call_task WHERE state = 'waiting'") == []


def test_no_more_people_wait_than_the_team_can_call_but_who_asked_always_does(team: Team, portfolio: Portfolio, outbox: Outbox) -> None:
    portfolio.clock(NOON)
    people = [portfolio.borrower() for _ in range(4)]
    run = outbox.run()
    for one in people:
        attempt = outbox.plan(run, one)
        outbox._do("UPDATE attempt SET channel = 'call' WHERE id = :id", id=attempt)  # noqa: SLF001  # a plain statement
    with connection() as tx:
        for name in ("anna", "ben"):
            assert agents.leave(tx, name, at=NOON)
    refresh()
    assert outbox.rows("SELECT 1 FROM call_task") == []
    # A quarter of an hour of one colleague: two calls.
    one_quarter = [replace(one, opens=NOON.time(), closes=(NOON + timedelta(minutes=15)).time()) for one in ALWAYS if one.weekday == 2]
    team.agent("anna", shifts=one_quarter)
    ask(people[0])
    refresh()
    assert len(outbox.rows("SELECT 1 FROM call_task WHERE state = 'waiting'")) == 2
    refresh()
    assert len(outbox.rows("SELECT 1 FROM call_task WHERE reason = 'strategy'")) == 1
    for one in people:
        ask(one)
    assert len(outbox.rows("SELECT 1 FROM call_task WHERE state = 'waiting' AND reason = 'callback'")) == len(people)
