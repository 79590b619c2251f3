"""The supervisor's desk: queue, load and missed call-backs; talks drawn by a hash, scored by others alone, read by whose they are."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import text

from config.agents import rubric
from gate.dial import Dial, Told, record_outcome, refresh, take_call
from ledger import call_quality, call_queue
from ledger.call_queue import CallWindow
from ledger.engine import connection
from tests.plugins.portfolio import Portfolio, noon
from tests.plugins.staff_desk import Desk
from tests.plugins.team import Team, all_said

NOON = noon("US")
HOUR = timedelta(hours=1)
SHIPPED = rubric()
BEST = {f"point_{point.name}": str(SHIPPED.best) for point in SHIPPED.points}


def ask(portfolio: Portfolio) -> int:
    who = portfolio.borrower()
    with connection() as tx:
        tx.execute(text("""UPDATE creditor SET senders = senders || '{"call": "+15005550006"}'"""))
        window = CallWindow(NOON, NOON + HOUR)
        return call_queue.enqueue_callback(tx, party_id=who.party_id, because="sms: call_me", window=window, at=NOON)


def talked(portfolio: Portfolio, by: str, times: int) -> list[int]:
    attempts = []
    for _ in range(times):
        task = ask(portfolio)
        taken = take_call(task, by=by)
        assert isinstance(taken, Dial)
        record_outcome(task, all_said(task, Told(result="conversation", said=["paid"])), by=by)
        attempts.append(taken.attempt_id)
    return attempts


def draw(staff_id: int, *, by: str = "somebody") -> list[tuple[str, int]]:
    with connection(read_only=True) as tx:
        week = NOON.date() - timedelta(days=NOON.date().weekday())
        found = call_quality.drawn(tx, week, talks_a_week=SHIPPED.talks_a_week, staff_id=staff_id, scored_by=by)
    return [(one.agent, one.attempt_id) for one in found]


def test_the_same_week_gives_the_same_talks_of_each_agent_and_never_ones_own(desk: Desk, team: Team, portfolio: Portfolio) -> None:
    portfolio.clock(NOON)
    supervisor = desk.add("supervisor")
    team.agent("anna", staff_id=desk.add("agent", subject="staff-anna"))
    team.agent("ben", staff_id=supervisor)
    annas, bens = talked(portfolio, "anna", SHIPPED.talks_a_week + 2), talked(portfolio, "ben", 1)
    drawn = draw(0)
    assert drawn == draw(0, by="another")
    assert [agent for agent, _ in drawn] == ["anna"] * SHIPPED.talks_a_week + ["ben"]
    assert {attempt for _, attempt in drawn} <= {*annas, *bens}
    assert draw(supervisor) == [one for one in drawn if one[0] == "anna"]


def test_a_supervisor_sees_how_the_team_stands_and_scores_a_talk_that_its_agent_reads(desk: Desk, team: Team, portfolio: Portfolio) -> None:
    portfolio.clock(NOON)
    boss = desk.sign_in("supervisor")
    anna = desk.sign_in("agent", subject="staff-anna")
    team.agent("anna", staff_id=desk.add("agent", subject="staff-anna"))
    (attempt,) = talked(portfolio, "anna", 1)
    ask(portfolio)
    portfolio.clock(NOON + 2 * HOUR)
    refresh()
    page = boss.get("/desk/team")
    assert "Asked to be called" in page.text
    assert re.search(r"<th scope=\"row\">anna</th><td>yes</td><td class=\"number\">1</td><td class=\"number\">1</td>", page.text)
    assert "missed" in page.text
    assert "Nobody Atall" not in page.text
    assert anna.get("/desk/team").status_code == 403
    (address,) = re.findall(r'href="(/desk/team/talks/[^"]+)"', page.text)
    talk = boss.get(address)
    assert "says she has paid" in talk.text
    for bad in ({}, {**BEST, "point_respect": "5"}, {**BEST, "point_respect": "-1"}, {**BEST, "point_respect": "x"}):
        refused = desk.post(boss, talk, address, **bad)
        assert (refused.status_code, "Nothing was saved yet" in refused.text) == (422, True)
    saved = desk.post(boss, talk, address, **{**BEST, "point_no_pressure": "3", "note": "You named a date twice."})
    assert saved.url.path == "/desk/team"
    assert "seen: 96 %" in saved.text
    mine = anna.get("/desk/talks")
    assert "You named a date twice." in mine.text
    assert "to talk about" in mine.text
    desk.post(boss, talk, address, **BEST)
    with connection() as tx:
        assert tx.execute(text("SELECT attempt_id, per_cent, note_encrypted FROM call_score")).all() == [(attempt, 100, None)]
        assert tx.execute(text("SELECT count(*) FROM staff_view WHERE what = 'talk looked at'")).scalar() == 5


@pytest.mark.parametrize("address", ["2026-03-17/999", "never/1", "2026-03-18/1"])
def test_ones_own_talk_and_one_that_is_none_are_not_there(desk: Desk, team: Team, portfolio: Portfolio, address: str) -> None:
    portfolio.clock(NOON)
    boss = desk.sign_in("supervisor")
    team.agent("anna", staff_id=desk.add("supervisor"))
    (attempt,) = talked(portfolio, "anna", 1)
    guard = re.findall(r'name="guard" value="(\w+)"', boss.get("/desk/team").text)[0]
    for path in (f"2026-03-17/{attempt}", address):
        assert boss.get(f"/desk/team/talks/{path}").status_code == 404
        assert boss.post(f"/desk/team/talks/{path}", data={**BEST, "guard": guard}).status_code == 404
    with connection() as tx:
        assert tx.execute(text("SELECT count(*) FROM call_score")).scalar() == 0
