"""The agent's desk: a list without names, one card an agent, a number after the gate, reasons in words, an outcome as by any road."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from httpx import Client, Response
from sqlalchemy import text

from ledger import call_queue
from ledger.call_queue import CallWindow
from ledger.engine import connection
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, made_up_number, noon
from tests.plugins.sent import Known
from tests.plugins.staff_desk import Desk
from tests.plugins.team import Team

NUMBER = made_up_number("US", 61)
NOON = noon("US")
HOUR = timedelta(hours=1)


@pytest.fixture
def borrower(portfolio: Portfolio) -> BorrowerIds:
    portfolio.clock(NOON)
    return portfolio.borrower(number=NUMBER)


def ask(borrower: BorrowerIds) -> int:
    with connection() as tx:
        tx.execute(text("""UPDATE creditor SET senders = senders || '{"call": "+15005550006"}'"""))
        window = CallWindow(NOON, NOON + 2 * HOUR)
        return call_queue.enqueue_callback(tx, party_id=borrower.party_id, because="sms: call_me", window=window, at=NOON)


def agent(desk: Desk, team: Team, name: str, **roster: object) -> Client:
    browser = desk.sign_in("agent", subject=f"staff-{name}")
    team.agent(name, staff_id=desk.add("agent", subject=f"staff-{name}"), **roster)  # type: ignore[arg-type]  # of its keywords
    return browser


def press(desk: Desk, browser: Client, page: Response, action: str, **fields: str) -> Response:
    return desk.post(browser, page, action, **fields)


def dialled(desk: Desk, browser: Client, task: int) -> Response:
    card = press(desk, browser, browser.get("/desk/calls"), "/desk/calls/take")
    return press(desk, browser, card, f"/desk/calls/{task}/call")


def all_ticked(page: Response) -> dict[str, str]:
    return dict.fromkeys(re.findall(r'name="(said_\w+)"', page.text), "1")


def test_a_promise_from_the_list_to_the_ledger(desk: Desk, team: Team, borrower: BorrowerIds, known: Known) -> None:
    task = ask(borrower)
    anna = agent(desk, team, "anna")
    listed = anna.get("/desk/calls")
    assert "Asked to be called" in listed.text
    assert "Nobody Atall" not in listed.text
    card = press(desk, anna, listed, "/desk/calls/take")
    assert card.url.path == f"/desk/calls/{task}"
    assert "Nobody Atall 1" in card.text
    assert "$105.00" in card.text
    assert NUMBER not in card.text
    page = press(desk, anna, card, f"/desk/calls/{task}/call")
    assert page.text.count(NUMBER) == 2
    assert "You asked Lantern Wallet US to call you." in page.text
    assert "I am anna, and I call for Lantern Wallet US." in page.text
    action = f"/desk/calls/{task}/outcome"
    promise = {"outcome": "promise", "promise_day": (TODAY + timedelta(days=5)).isoformat(), "promise_amount": "105.00"}
    refused = press(desk, anna, page, action, **promise)
    assert (refused.status_code, "Nothing was saved yet" in refused.text) == (422, True)
    assert known.outcomes(borrower) == []
    saved = press(desk, anna, page, action, **promise, **all_ticked(page))
    assert saved.url.path == f"/desk/calls/{task}/done"
    assert "The promise stands as if she had written it." in saved.text
    assert known.outcomes(borrower) == [("promise", False)]
    with connection() as tx:
        assert [tuple(row) for row in tx.execute(text("SELECT due_on, amount_minor, state FROM promise"))] == [
            (TODAY + timedelta(days=5), 10_500, "open")
        ]
        looked = tx.execute(text("SELECT what, count(*) AS times FROM staff_view GROUP BY what")).all()
    assert [tuple(row) for row in looked] == [("call card", 4)]
    assert anna.get(f"/desk/calls/{task}").status_code == 404


def test_a_card_is_one_agents_alone_and_leaves_nothing_to_see_for_others(desk: Desk, team: Team, borrower: BorrowerIds) -> None:
    task = ask(borrower)
    anna, ben, cleo = agent(desk, team, "anna"), agent(desk, team, "ben"), agent(desk, team, "cleo", languages=["es"])
    for nobody in (anna, ben, cleo):
        assert nobody.get(f"/desk/calls/{task}").status_code == 404
    press(desk, anna, anna.get("/desk/calls"), "/desk/calls/take")
    for other in (ben, cleo):
        listed = other.get("/desk/calls")
        assert "Nobody is to be called by you now." in listed.text
        assert "1 more wait for colleagues" in listed.text
        assert other.get(f"/desk/calls/{task}").status_code == 404
        guard = re.findall(r'name="guard" value="(\w+)"', listed.text)[0]
        for action in ("call", "outcome", "need"):
            assert other.post(f"/desk/calls/{task}/{action}", data={"guard": guard, "outcome": "paid"}).status_code == 404
        assert other.post("/desk/calls/take", data={"guard": guard}).url.path == "/desk/calls"
    press(desk, anna, anna.get(f"/desk/calls/{task}"), "/desk/calls/back")
    assert press(desk, ben, ben.get("/desk/calls"), "/desk/calls/take").url.path == f"/desk/calls/{task}"


@pytest.mark.parametrize(
    ("lang", "why", "again"),
    [("en", "outside the hours", "The next window opens"), ("es", "fuera de las horas", "La próxima ventana se abre")],
)
def test_a_forbidden_call_says_why_and_when_the_next_window_opens_in_both_zones(
    desk: Desk, team: Team, borrower: BorrowerIds, portfolio: Portfolio, lang: str, why: str, again: str
) -> None:
    portfolio.clock(NOON + 11 * HOUR)
    task = ask(borrower)
    anna = agent(desk, team, "anna")
    anna.get(f"/desk/calls?lang={lang}")
    page = dialled(desk, anna, task)
    assert why in page.text
    assert again in page.text
    assert "HOUSE-HOURS" in page.text or "US-REGF-HOURS" in page.text
    assert "(America/New_York)" in page.text
    assert "(UTC)" in page.text
    assert NUMBER not in page.text


def test_what_the_rules_protect_is_left_in_peace_and_waits_no_more(
    desk: Desk, team: Team, borrower: BorrowerIds, portfolio: Portfolio
) -> None:
    task = ask(borrower)
    anna = agent(desk, team, "anna")
    portfolio.opt_out(borrower.party_id)
    page = dialled(desk, anna, task)
    assert "does not want this" in page.text
    assert "It waits no more." in page.text
    assert anna.get(f"/desk/calls/{task}").status_code == 404


OUTCOMES = {
    "cannot_pay": ({}, [("cannot_pay", True)], "done"),
    "dispute": ({"words": "paid twice"}, [("dispute", True)], "done"),
    "complaint": ({"words": "called me names"}, [("complaint", True)], "done"),
    "paid": ({}, [("paid", False)], "done"),
    "stop": ({}, [("stop", False)], "done"),
    "talked": ({}, [], "done"),
    "vulnerable": ({"need_speak_slowly": "1"}, [], "done"),
    "call_back": ({"back_day": "2026-03-18", "back_from": "10:00", "back_until": "12:00"}, [], "done"),
    "wrong_number": ({}, [("wrong_person", True)], "done"),
    "no_answer": ({}, [], "done"),
    "voicemail": ({}, [], "done"),
    "hung_up": ({}, [], "done"),
}


def test_each_outcome_is_one_form_and_does_what_a_reply_does(desk: Desk, team: Team, portfolio: Portfolio, known: Known) -> None:
    portfolio.clock(NOON)
    anna = agent(desk, team, "anna")
    for outcome, (fields, heard, state) in OUTCOMES.items():
        who = portfolio.borrower()
        task = ask(who)
        page = dialled(desk, anna, task)
        saved = press(desk, anna, page, f"/desk/calls/{task}/outcome", outcome=outcome, **fields, **all_ticked(page))
        assert saved.url.path == f"/desk/calls/{task}/done", outcome
        assert known.outcomes(who) == heard, outcome
        with connection() as tx:
            assert tx.execute(text("SELECT state FROM call_task WHERE id = :id"), {"id": task}).scalar() == state
            waiting = [one for one in call_queue.waiting(tx, at=NOON, at_most=50) if one.party_id == who.party_id]
        assert [one.opens_at for one in waiting] == {
            "call_back": [noon("US", TODAY + timedelta(days=1)) - 2 * HOUR],
            "no_answer": [NOON + 2 * HOUR],
            "voicemail": [NOON + 2 * HOUR],
        }.get(outcome, []), outcome


UNFIT = [
    ({"outcome": "sing"}, "Choose what came of it"),
    ({"outcome": "promise", "promise_day": "2026-03-01"}, "Choose a day"),
    ({"outcome": "promise", "promise_day": "2026-03-20", "promise_amount": "a lot"}, "Write the amount"),
    ({"outcome": "call_back", "back_day": "2026-03-17", "back_from": "08:00", "back_until": "09:00"}, "The window ends"),
    ({"outcome": "vulnerable"}, "Tick at least one"),
]


def test_what_cannot_be_saved_says_so_and_keeps_what_was_typed(desk: Desk, team: Team, borrower: BorrowerIds, known: Known) -> None:
    task = ask(borrower)
    anna = agent(desk, team, "anna")
    page = dialled(desk, anna, task)
    for fields, said in UNFIT:
        refused = press(desk, anna, page, f"/desk/calls/{task}/outcome", **fields, why="typed before")
        assert refused.status_code == 422, said
        assert said in refused.text
        assert 'value="typed before"' in refused.text
    assert known.outcomes(borrower) == []


def test_her_needs_stand_first_and_what_she_said_stands_on_the_card(
    desk: Desk, team: Team, borrower: BorrowerIds, portfolio: Portfolio
) -> None:
    task = ask(borrower)
    anna = agent(desk, team, "anna")
    page = dialled(desk, anna, task)
    action = f"/desk/calls/{task}/outcome"
    press(desk, anna, page, action, outcome="vulnerable", need_no_voicemail="1", need_short_calls="1", **all_ticked(page))
    portfolio.clock(NOON + 24 * HOUR)
    with connection() as tx:
        window = CallWindow(NOON + 24 * HOUR, NOON + 26 * HOUR)
        again = call_queue.enqueue_callback(tx, party_id=borrower.party_id, because="sms: call_me", window=window, at=NOON + 24 * HOUR)
    card = press(desk, anna, anna.get("/desk/calls"), "/desk/calls/take")
    assert card.text.index("Leave no message") < card.text.index("Keep calls short") < card.text.index("What is owed")
    assert "cannot pay; a person looks" in card.text
    press(desk, anna, card, f"/desk/calls/{again}/need", need="short_calls")
    assert "Leave no message" in anna.get(f"/desk/calls/{again}").text


def test_whom_no_roster_names_reads_what_to_do(desk: Desk, borrower: BorrowerIds) -> None:
    ask(borrower)
    browser = desk.sign_in("agent")
    page = browser.get("/desk/calls")
    assert "No roster names you" in page.text
    guard = re.findall(r'name="guard" value="(\w+)"', page.text)[0]
    assert browser.post("/desk/calls/take", data={"guard": guard}).url.path == "/desk/calls"
