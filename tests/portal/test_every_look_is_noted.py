"""A page that shows a person notes that somebody looked; one that is new and forgets it is found here, or not shown at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape

import pytest
from httpx import Client, Response
from sqlalchemy import text
from starlette.responses import HTMLResponse
from starlette.responses import Response as Answer
from starlette.routing import Route

from config.roles import roles_in_force
from ledger import call_queue, case_work, core_instructions, incidents
from ledger.call_queue import CallWindow
from ledger.core_instructions import Wanted
from ledger.engine import connection
from ledger.incidents import Selection
from ledger.staff_views import note_view
from portal.app import app
from portal.desk.frame import Asked, desk_page
from tasks.morning_items import unusual_looks
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, made_up_number, noon
from tests.plugins.sent import Sent
from tests.plugins.staff_desk import Desk
from tests.plugins.team import Team

NUMBER = made_up_number("US", 61)
NOON = noon("US")
WORDS = "I paid it at the counter"
# What is hers and ours alone: her name, her number, what the lender calls her and her loan, what she wrote.
HERS = re.compile(rf"Nobody Atall|{re.escape(NUMBER)}|party-\d|loan-\d|{WORDS}|\$105\.00")
# Pages that show a person who was planted; the test would prove nothing if it reached none of them.
REACHED = {
    "/desk/cases/{case:int}",
    "/desk/people/{party:int}",
    "/desk/people/{party:int}/contacts/{attempt:int}",
    "/desk/calls/{task:int}",
    "/desk/approvals/relief",
    "/desk/findings/incidents/{incident:int}",
    "/desk/agencies/loans/{loan:int}",
}


def looks() -> int:
    with connection() as tx:
        return int(tx.execute(text("SELECT count(*) FROM staff_view")).scalar_one())


@pytest.fixture
def her(portfolio: Portfolio, send: Callable[..., Sent], desk: Desk, team: Team) -> BorrowerIds:
    """Somebody of whom every desk knows something."""
    portfolio.clock(NOON)
    found = portfolio.borrower(number=NUMBER)
    send(found)
    case_work.open_case(f"#{found.party_id}", kind="complaint", by="anna", words=WORDS)
    staff_id = desk.add(*roles_in_force().by_role, subject="everything")
    team.agent("everything", staff_id=staff_id)
    with connection() as tx:
        incidents.open_incident(tx, kind="other", title="a test", selection=Selection(borrowers=(found.party_id,)), by="anna", at=NOON)
        window = CallWindow(NOON, NOON + timedelta(hours=2))
        call_queue.enqueue_callback(tx, party_id=found.party_id, because="sms: call_me", window=window, at=NOON)
        terms = {"component": "fee", "amount_minor": 90_000}
        wanted = Wanted(
            loan_id=found.loan_id, party_id=found.party_id, kind="waiver", terms=terms, relief_minor=90_000, asked_by="ben", key="k", role="agent"
        )  # fmt: skip
        core_instructions.ask(tx, wanted)
    return found


def addresses(route: Route, her: BorrowerIds) -> str:
    values = {"party": her.party_id, "loan": her.loan_id, "day": TODAY.isoformat(), "place": 0}
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda gap: str(values.get(gap[1], 1)), route.path)


def test_each_page_that_shows_her_notes_the_look(desk: Desk, her: BorrowerIds) -> None:
    browser: Client = desk.sign_in(*roles_in_force().by_role, subject="everything")
    desk.post(browser, browser.get("/desk/calls"), "/desk/calls/take")
    reached, forgets = set(), []
    for route in app.routes:
        if not isinstance(route, Route) or not route.path.startswith("/desk/") or "GET" not in (route.methods or ()):
            continue
        if "sign-in" in route.path or route.path.endswith(("desk.css", "htmx.js")):
            continue
        before = looks()
        page: Response = browser.get(addresses(route, her))
        noted = looks() > before
        if page.status_code == 200 and noted:
            reached.add(route.path)
        if HERS.search(unescape(page.text)) and not noted:
            forgets.append(route.path)
    assert forgets == []
    assert REACHED - reached == set()


def test_a_page_that_says_it_shows_a_person_and_notes_nothing_is_not_shown(desk: Desk) -> None:
    async def forgets(asked: Asked) -> Answer:
        del asked
        return HTMLResponse("Nobody Atall")

    async def finds_nobody(asked: Asked) -> Answer:
        asked.nobody()
        return HTMLResponse("nothing was found")

    pages = [Route(f"/desk/{name.__name__}", desk_page(name, right="desk.open", shows_person=True)) for name in (forgets, finds_nobody)]
    app.router.routes[:0] = pages
    try:
        browser = desk.sign_in("agent")
        answer = browser.get("/desk/forgets")
        assert (answer.status_code, "Nobody Atall" in answer.text) == (500, False)
        assert browser.get("/desk/finds_nobody").text == "nothing was found"
    finally:
        del app.router.routes[:2]


def test_who_looked_at_more_people_than_is_usual_is_told_in_the_morning(desk: Desk, portfolio: Portfolio) -> None:
    people = [portfolio.borrower().party_id for _ in range(3)]
    staff_id = desk.add("compliance", subject="cora")
    with connection() as tx:
        for party_id in people:
            note_view(tx, staff_id, party_id, "person")
        assert list(unusual_looks(tx, 3)) == []
        (item,) = unusual_looks(tx, 2)
    assert (f"staff {staff_id} looked at 3 people" in item.what, "cora" in item.what) == (True, False)
