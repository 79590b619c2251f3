"""Needs noted from a person's page and by herself; incidents opened, noted, closed and opened again at the desk."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from html import unescape

import pytest
from httpx import Client, Response
from sqlalchemy import text

from config.agents import needs_in_force
from config.page_texts import page_texts
from config.portal_files import PAGES
from ledger import incidents, needs, page_sessions
from ledger.engine import connection
from portal.my_needs import offered
from portal.pages import SESSION_COOKIE
from tests.plugins.portfolio import BorrowerIds, Portfolio, noon
from tests.plugins.sent import Known, Sent
from tests.plugins.staff_desk import Desk


@pytest.fixture
def her(portfolio: Portfolio) -> BorrowerIds:
    portfolio.clock(noon("US"))
    return portfolio.borrower()


def said(page: Response) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text)))


def needed(her: BorrowerIds) -> list[str]:
    with connection() as tx:
        return sorted(need.name for need in needs.of_party(tx, her.party_id))


def test_from_a_persons_page_what_to_do_is_noted_and_ends(desk: Desk, her: BorrowerIds) -> None:
    cora = desk.sign_in("compliance", subject="cora")
    place = f"/desk/people/{her.party_id}"
    page = desk.post(cora, cora.get(place), f"{place}/needs", need_large_print="1", need_written_only="1", need_wings="1")
    assert page.url.path == place
    assert needed(her) == ["large_print", "written_only"]
    with connection() as tx:
        sources = set(tx.execute(text("SELECT source FROM person_need")).scalars())
        looks = list(tx.execute(text("SELECT what FROM staff_view ORDER BY id")).scalars())
        stopped = set(tx.execute(text("SELECT channel FROM opt_out WHERE superseded_at IS NULL")).scalars())
    assert [source.partition(" (staff ")[0] for source in sources] == ["cora"]
    assert looks == ["person", "needs", "person"]
    assert stopped == {"call", "voice"}
    desk.post(cora, page, f"{place}/needs", over="large_print")
    assert needed(her) == ["written_only"]
    auditor = desk.sign_in("auditor")
    assert auditor.post(f"{place}/needs", data={"guard": "x"}).status_code == 403


def test_she_says_it_herself_and_takes_it_back(
    her: BorrowerIds, send: Callable[..., Sent], serve_portal: Callable[[], AbstractContextManager[str]], known: Known
) -> None:
    send(her)
    with connection() as tx:
        link = tx.execute(text("SELECT business_date, id FROM attempt")).one()
        secret = page_sessions.begin(tx, her.party_id, link=(link.business_date, link.id))
    with serve_portal() as url, Client(base_url=url, trust_env=False, follow_redirects=True, cookies={SESSION_COOKIE: secret}) as browser:
        assert "What helps you" in browser.get("/b/account").text
        page = browser.get("/b/needs")
        guard = re.findall(r'name="guard" value="([^"]*)"', page.text)[0]

        def save(*names: str) -> Response:
            return browser.post("/b/needs", data={"guard": guard, **{f"need_{name}": "1" for name in names}})

        # What only a colleague notes is not hers to send.
        kept = save("written_only", "large_print", "carer_first")
        assert kept.url.path == "/b/needs/saved"
        assert needed(her) == ["large_print", "written_only"]
        assert kept.text.count("checked") == 2
        assert known.opt_outs(her) == [("call", True), ("voice", True)]
        save("written_only")
        assert needed(her) == ["written_only"]
        with connection() as tx:
            assert set(tx.execute(text("SELECT source FROM person_need")).scalars()) == {"borrower"}
        assert browser.post("/b/needs", data={"need_interpreter": "1"}).status_code == 403


def test_what_she_may_say_has_words_in_every_language() -> None:
    assert set(offered()) <= set(needs_in_force())
    assert [(tag, name) for tag, words in page_texts(PAGES).items() for name in offered() if f"my_need_{name}" not in words.texts] == []


def test_an_incident_is_counted_opened_noted_closed_and_opened_again(desk: Desk, her: BorrowerIds) -> None:
    cora = desk.sign_in("compliance", subject="cora")
    place = "/desk/findings/incidents/new"
    assert place in cora.get("/desk/findings").text
    form = cora.get(place)
    fields = {"kind": "privacy", "title": "a letter went astray", "borrowers": f"#{her.party_id}"}
    assert "digits" in said(desk.post(cora, form, place, **fields, run="seven", step="look"))
    assert "no borrower" in said(desk.post(cora, form, place, **{**fields, "borrowers": "nobody"}, step="look")).lower()
    looked = desk.post(cora, form, place, **fields, step="look")
    assert "It would concern 1 people and 0 attempts" in said(looked)
    with connection() as tx:
        assert incidents.read_all(tx, closed_too=True) == []
    page = desk.post(cora, looked, place, step="do")
    one = page.url.path
    assert "a letter went astray" in said(page)
    assert "cora (staff" in said(page)
    assert "number or an address" in said(desk.post(cora, page, f"{one}/note", said="call +12125550142", step="note"))
    desk.post(cora, page, f"{one}/note", said="the envelope was found", step="note")
    closed = desk.post(cora, page, f"{one}/note", said="all told", step="closed")
    with connection() as tx:
        (found,) = incidents.read_all(tx, closed_too=True)
        assert (found.state, found.opened_by.partition(" (")[0]) == ("closed", "cora")
    desk.post(cora, closed, f"{one}/note", said="one more letter", step="reopened")
    with connection() as tx:
        assert [note["kind"] for note in incidents.notes(tx, found.id)] == ["note", "closed", "reopened"]
        assert incidents.read(tx, found.id).state == "open"
    auditor = desk.sign_in("auditor")
    assert auditor.get(one).status_code == 200
    assert auditor.get(place).status_code == 403
