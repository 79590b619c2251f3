"""Every page of a borrower's, in every language: right on the smallest phone, light, spoken in its language, nothing serious for axe.

In a real browser. Pages are found by their links, so that a new one is looked at without being named here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from time import monotonic
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, ViewportSize
from sqlalchemy import text

from config.portal_files import page_words_in_force
from ledger import page_sessions
from ledger.engine import connection
from tests.plugins.for_everyone import axe_finds_nothing_serious, fits_the_smallest_phone
from tests.plugins.portfolio import Portfolio, noon
from tests.plugins.sent import Sent

PHONE = ViewportSize(width=360, height=740)
# Beyond these a page shows the same form about another thing.
PAGES_MAX = 40
# EDGE, as phones far from a mast have it.
SLOW = {"offline": False, "latency": 400, "downloadThroughput": 240_000 / 8, "uploadThroughput": 200_000 / 8}
SLOW_SECONDS_MAX = 8.0
READ = ("en", "es")
WRITTEN_TOGETHER = """
    [...document.querySelectorAll('input:not([type=hidden]), select, textarea')].filter(one => one.labels.length === 0).length
"""


@pytest.fixture
def opened(
    portfolio: Portfolio, send: Callable[..., Sent], serve_portal: Callable[[], AbstractContextManager[str]], page: Page
) -> Iterator[str]:
    """Address of a portal in which a person's page is open: two loans, a payment, messages, a dispute."""
    portfolio.clock(noon("US"))
    who = portfolio.borrower()
    portfolio.loan(who.party_id, days_past_due=-10)
    portfolio.payment(who.loan_id, 2_500)
    token = send(who, provider_id=f"SM{1:0>32}").token
    with connection() as tx:
        link = tx.execute(text("SELECT business_date, id FROM attempt WHERE token = :token"), {"token": token}).one()
        secret = page_sessions.begin(tx, who.party_id, link=(link.business_date, link.id))
    with serve_portal() as url:
        page.set_viewport_size(PHONE)
        page.context.clear_cookies()
        page.context.add_cookies([{"name": "tideover_page", "value": secret, "url": f"{url}/b/"}])
        yield url


def pages_of(page: Page, url: str) -> list[str]:
    """Paths of all pages that links lead to, from the first on."""
    found = ["/b/account"]
    for path in found:
        page.goto(url + path)
        links = page.evaluate("[...document.querySelectorAll('a[href]')].map(one => one.href)")
        paths = [urlsplit(link).path for link in links if urlsplit(link).netloc == urlsplit(url).netloc]
        found += [one for one in dict.fromkeys(paths) if one.startswith("/b/") and one not in found]
    return found[:PAGES_MAX]


def test_every_page_is_for_everybody_in_every_language(opened: str, page: Page) -> None:
    pages = pages_of(page, opened)
    assert len(pages) > 12, pages
    for language in page_words_in_force():
        for path in pages:
            answer = page.goto(f"{opened}{path}?lang={language}")
            assert answer is not None
            assert answer.ok, path
            assert page.locator("html").get_attribute("lang") == language, path
            assert page.locator("h1").count() == 1, path
            assert page.evaluate(WRITTEN_TOGETHER) == 0, path
            fits_the_smallest_phone(page)
            if language in READ:
                axe_finds_nothing_serious(page)


def test_her_page_is_there_in_a_few_seconds_on_a_slow_line(opened: str, page: Page) -> None:
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    line.send("Network.setCacheDisabled", {"cacheDisabled": True})
    line.send("Network.emulateNetworkConditions", SLOW)
    began = monotonic()
    page.goto(f"{opened}/b/account")
    assert monotonic() - began < SLOW_SECONDS_MAX
    line.detach()
