"""Plans on her page over HTTP: five lines where too little is known, what does not fit, what is typed wrongly, and what is not hers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from html import unescape

import pytest
from httpx import Client, Response
from sqlalchemy import text

from config.affordability import plan_policy
from config.page_texts import page_texts
from config.portal_files import PAGES
from ledger import page_sessions, plan_offers
from ledger.engine import connection
from portal.pages import SESSION_COOKIE
from portal.plans import BECAUSE, EACH, FIGURES, OFTEN, STANDS, declared_of
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.sent import Sent

POLICY = plan_policy()
ENGLISH = page_texts(PAGES)["en"]
FIVE_LINES = {
    "income": "1,600",
    "essential": "1,000.50",
    "debts": "0",
    "cycle": "weekly",
    "next": (TODAY + timedelta(days=5)).isoformat(),
}


@dataclass
class Page:
    """Her page, open in a browser."""

    browser: Client
    her: BorrowerIds

    @property
    def path(self) -> str:
        return f"/b/plans/{self.her.loan_id}"

    def guard(self) -> str:
        (found, *_) = re.findall(r'name="guard" value="([^"]*)"', self.browser.get("/b/account").text)
        return str(found)

    def look(self, **fields: str) -> Response:
        return self.browser.post(self.path, data={"guard": self.guard(), **fields})

    def rows(self, table: str) -> int:
        with connection() as tx:
            return int(tx.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())  # noqa: S608  # the tables below


@pytest.fixture
def her_page(portfolio: Portfolio, send: Callable[..., Sent], serve_portal: Callable[[], AbstractContextManager[str]]) -> Iterator[Page]:
    portfolio.clock(noon("US"))
    her = portfolio.borrower()
    send(her, provider_id="SM" + "1" * 32)
    with connection() as tx:
        link = tx.execute(text("SELECT business_date, id FROM attempt")).one()
        secret = page_sessions.begin(tx, her.party_id, link=(link.business_date, link.id))
    with serve_portal() as url, Client(base_url=url, trust_env=False, follow_redirects=True, cookies={SESSION_COOKIE: secret}) as browser:
        yield Page(browser, her)


def words(page: Response) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", page.text.split("<main", 1)[-1].split("</main>")[0])))


def heading(page: Response) -> str:
    (found,) = re.findall(r"<h1>(.*?)</h1>", page.text, re.DOTALL)
    return unescape(str(found)).strip()


def test_too_little_known_asks_for_five_lines_and_shows_what_fits_by_them(her_page: Page) -> None:
    assert "See what you could pay" in her_page.browser.get("/b/account").text
    asked = her_page.look()
    assert heading(asked) == "Your money in a month"
    assert her_page.rows("plan_offer") == 0
    found = her_page.look(**FIVE_LINES)
    assert heading(found) == "What you could pay"
    said = words(found)
    assert "These are your own figures." in said
    assert "In the end you pay $105.00. That is what is open now. Nothing is added." in said
    # Fewer than the floor of her country she does not need, whatever she writes.
    assert "For what cannot wait we count at least $1,286.31." in said
    # Other ways are there on every such page, and the form is filled in with what counted.
    for way in (
        "Talk to a person",
        "I cannot pay at the moment",
        "Another day for the first payment",
        "The most you want to pay each time",
    ):
        assert way in said
    assert 'name="income" inputmode="decimal" autocomplete="off" value="1,600"' in found.text
    # Said again with less each time and on another day: smaller payments, from that day on.
    on = TODAY + timedelta(days=20)
    less = her_page.look(**FIVE_LINES, at_most="5", first=on.isoformat())
    assert re.findall(r"<h2 id=\"choice-\d\">\$(\d)", less.text)[-1] == "5"
    assert "The first on Apr 6, 2026" in words(less)


def test_nothing_left_says_that_a_person_looks_and_by_when(her_page: Page) -> None:
    found = her_page.look(**{**FIVE_LINES, "income": "1,290"})
    assert heading(found) == "A person looks for a way with you"
    assert "We do not ask you for money until then. We answer you by" in words(found)
    assert "Look at this choice" not in found.text
    assert her_page.rows("borrower_case") == 1


def test_what_is_typed_wrongly_is_asked_again_and_changes_nothing(her_page: Page) -> None:
    for field, typed, says in (
        ("income", "plenty", "Please write an amount like"),
        ("income", "-5", "Please write an amount like"),
        ("essential", "1.2.3", "Please write an amount like"),
        ("at_most", "0", "Please write an amount like"),
        ("next", "2026-03-17", "Please choose a day from Mar 18, 2026 to May 1, 2026."),
        ("next", "tomorrow", "Please choose a day"),
        ("first", "2027-01-01", "Please choose a day"),
        ("cycle", "hourly", "Please choose a day"),
    ):
        found = her_page.look(**{**FIVE_LINES, field: typed})
        assert says in words(found), field
    assert (her_page.rows("plan_offer"), her_page.rows("hold")) == (0, 0)


def test_taken_it_is_sent_and_taken_again_nothing_is_new(her_page: Page) -> None:
    found = her_page.look(**FIVE_LINES)
    place = re.findall(rf"{her_page.path}/offers/\d+/\d", found.text)[0]
    shown = her_page.browser.get(place)
    assert "If a payment does not come, nothing is added, and a person talks with you first." in words(shown)
    for _ in range(2):
        stands = her_page.browser.post(place, data={"guard": her_page.guard()})
        assert heading(stands) == "Your plan"
        assert "It is not agreed yet." in words(stands)
    assert (her_page.rows("plan"), her_page.rows("core_instruction")) == (1, 1)
    with connection() as tx:
        tx.execute(text("UPDATE core_instruction SET state = 'late'"))
    assert "The lender has not answered yet. A person is asking." in words(her_page.browser.get(her_page.path))
    account = her_page.browser.get("/b/account").text
    assert ("See what you could pay" in account, "Your plan" in account) == (False, True)
    assert heading(her_page.look(**FIVE_LINES)) == "What is open, and why"


def test_what_was_paid_meanwhile_is_said_and_not_taken(her_page: Page, portfolio: Portfolio) -> None:
    found = her_page.look(**FIVE_LINES)
    place = re.findall(rf"{her_page.path}/offers/\d+/\d", found.text)[0]
    portfolio.payment(her_page.her.loan_id, 5_000, paid_on=TODAY)
    assert "Something has changed meanwhile." in words(her_page.browser.post(place, data={"guard": her_page.guard()}))
    assert her_page.rows("core_instruction") == 0


def test_nothing_of_anybody_elses_is_shown_or_taken_and_a_form_needs_its_guard(her_page: Page, portfolio: Portfolio) -> None:
    other = portfolio.borrower()
    with connection() as tx:
        known = plan_offers.situation(tx, other.party_id, other.loan_id, POLICY, at=noon("US"))
        assert known is not None
        theirs = plan_offers.make(
            tx, other.party_id, other.loan_id, declared_of(FIVE_LINES, known, ENGLISH), POLICY, at=noon("US"), channel="sms"
        )
    for path in (f"/b/plans/{other.loan_id}", f"/b/plans/{other.loan_id}/ask"):
        assert heading(her_page.browser.get(path)) == "What is open, and why"
    for loan in (other.loan_id, her_page.her.loan_id):
        place = f"/b/plans/{loan}/offers/{theirs}/0"
        assert heading(her_page.browser.get(place)) == "What is open, and why"
        assert heading(her_page.browser.post(place, data={"guard": her_page.guard()})) == "What is open, and why"
    assert (
        heading(her_page.browser.post(f"/b/plans/{other.loan_id}", data={"guard": her_page.guard(), **FIVE_LINES}))
        == "What is open, and why"
    )
    assert her_page.browser.post(her_page.path, data=FIVE_LINES).status_code == 403
    assert her_page.browser.post(her_page.path, data={"guard": "x", **FIVE_LINES}).status_code == 403
    assert her_page.rows("plan") == 0
    her_page.browser.cookies.clear()
    assert heading(her_page.browser.get(her_page.path)) == "Your page"


def test_every_word_that_the_ledger_may_say_has_a_text() -> None:
    texts = ENGLISH.texts
    assert {*BECAUSE.values(), *EACH.values(), *FIGURES.values(), *OFTEN.values(), *STANDS.values()} <= set(texts)
    assert set(STANDS) == {"offered", "accepted", "refused", "active", "late", "broken", "renegotiated", "completed"}
