"""An agent's day in a real browser, in two languages, on a desk and on a phone; axe finds nothing serious.

List, card, a call that is refused and why, one that is let through, a promise in two clicks, a call again, and the talk that her
supervisor looks at.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from httpx import Client
from playwright.sync_api import Page, ViewportSize, expect
from sqlalchemy import text

from ledger import call_queue
from ledger.call_queue import CallWindow
from ledger.engine import connection
from tests.plugins.for_everyone import arrived
from tests.plugins.portfolio import BorrowerIds, Portfolio, noon
from tests.plugins.sent import Known
from tests.plugins.staff_desk import Desk
from tests.plugins.team import Team

NOON = noon("US")
HOUR = timedelta(hours=1)
DESKTOP, PHONE = ViewportSize(width=1280, height=900), ViewportSize(width=360, height=740)
SMALLEST_WIDTH = 320
# Language → its view, and words: take, call, refused, to the list, promise, save it, noted, later, save that, team.
DAYS = {
    "en": (
        DESKTOP, "Take the next person", "Call now", "Not now", "To the list", "She will pay on a day", "Save the promise",
        "The promise stands", "Call again later", "Save: call again",
    ),
    "es": (
        PHONE, "Tomar a la siguiente persona", "Llamar ahora", "Ahora no", "A la lista", "Pagará un día", "Guardar la promesa",
        "La promesa vale", "Llamar más tarde", "Guardar: llamar otra vez",
    ),
}  # fmt: skip


@pytest.mark.parametrize("language", sorted(DAYS))
def test_an_agents_day(
    desk: Desk,
    team: Team,
    portfolio: Portfolio,
    known: Known,
    page: Page,
    picture: Callable[[str], None],
    language: str,
) -> None:
    view, take, call, refused, to_list, promise, save, noted, later, save_later = DAYS[language]
    portfolio.clock(NOON - 10 * HOUR)
    first, second = portfolio.borrower(), portfolio.borrower()
    ask(first, second)
    agent = desk.sign_in("agent")
    team.agent("anna", languages=["en", "es"], staff_id=desk.add("agent"))
    page.set_viewport_size(view)
    enter(page, desk, agent)
    page.goto(f"{desk.url}/desk/calls?lang={language}")
    picture(f"agent-{language}-list")
    looks_well(page, view)
    page.get_by_role("button", name=take).click()
    page.get_by_role("button", name=call).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(refused)
    expect(page.get_by_text("(America/New_York)")).to_be_visible()
    picture(f"agent-{language}-refused")
    looks_well(page, view)
    page.get_by_role("button", name=to_list).click()
    portfolio.clock(NOON)
    called(page, take, call)
    picture(f"agent-{language}-card")
    looks_well(page, view)
    tick(page)
    page.get_by_text(promise, exact=True).click()
    picture(f"agent-{language}-promise")
    page.get_by_role("button", name=save).click()
    expect(page.get_by_text(noted)).to_be_visible()
    looks_well(page, view)
    picture(f"agent-{language}-done")
    page.get_by_role("link", name=to_list).click()
    called(page, take, call)
    tick(page)
    page.get_by_text(later, exact=True).click()
    page.get_by_role("button", name=save_later).click()
    assert [known.outcomes(one) for one in (first, second)] in ([[("promise", False)], []], [[], [("promise", False)]])
    with connection() as tx:
        (waits,) = call_queue.waiting(tx, at=NOON, at_most=5)
    assert (waits.reason, waits.opens_at) == ("callback", NOON + 22 * HOUR)
    enter(page, desk, desk.sign_in("supervisor"))
    page.goto(f"{desk.url}/desk/team?lang={language}")
    picture(f"agent-{language}-team")
    looks_well(page, view)
    page.locator('a[href*="/team/talks/"]').first.click()
    picture(f"agent-{language}-talk")
    looks_well(page, view)


def ask(*people: BorrowerIds) -> None:
    with connection() as tx:
        tx.execute(text("""UPDATE creditor SET senders = senders || '{"call": "+15005550006"}'"""))
        for one in people:
            window = CallWindow(NOON - 11 * HOUR, NOON + 24 * HOUR)
            call_queue.enqueue_callback(tx, party_id=one.party_id, because="sms: call_me", window=window, at=NOON - 11 * HOUR)


def enter(page: Page, desk: Desk, client: Client) -> None:
    """Show the browser's cookies that this person has signed in."""
    page.context.clear_cookies()
    host = urlsplit(desk.url).hostname or ""
    page.context.add_cookies([{"name": one.name, "value": one.value or "", "domain": host, "path": one.path} for one in client.cookies.jar])


def called(page: Page, take: str, call: str) -> None:
    page.get_by_role("button", name=take).click()
    page.get_by_role("button", name=call).click()


def tick(page: Page) -> None:
    arrived(page)
    for box in page.locator('input[name^="said_"]').all():
        box.check()


def looks_well(page: Page, view: ViewportSize) -> None:
    """Nothing is wider than the smallest phone, and axe finds nothing serious."""
    arrived(page)
    page.set_viewport_size(ViewportSize(width=SMALLEST_WIDTH, height=view["height"]))
    assert page.evaluate("document.documentElement.scrollWidth") <= SMALLEST_WIDTH
    page.set_viewport_size(view)
    found = Axe().run(page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in {"serious", "critical"}] == []
