"""Documents and data that a person takes from her page: read back, they say what the page says, to the minor unit, in her language."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256
from io import BytesIO

import pytest
from httpx import Response
from pypdf import PdfReader
from sqlalchemy import text

from config.page_texts import page_texts
from config.papers import papers_policy
from config.portal_files import PAGES
from decisions.no_dues import Books, against
from ledger.engine import connection
from portal.papers import PDFS
from tests.channels.test_letter import words as text_of
from tests.plugins.portfolio import SINCE, BorrowerIds, Portfolio, noon
from tests.plugins.sending import Outbox
from tests.plugins.sent import Sent
from tests.plugins.the_page import Visit, words

NOON = noon("US")
POLICY = papers_policy()
LANGUAGES = page_texts(PAGES)
TAKEN = "SELECT kind, loan_id, payment_id, plan_id, locale, reference, content_hash FROM document_given ORDER BY id"


@pytest.fixture
def hers(portfolio: Portfolio, send: Callable[..., Sent], visit: Visit) -> BorrowerIds:
    """A loan of which a part was paid, and her page is open."""
    portfolio.clock(NOON)
    borrower = portfolio.borrower(account="W-77")
    portfolio.payment(borrower.loan_id, 2_551)
    send(borrower)
    visit.open(borrower)
    return borrower


def reads(wanted: str, found: str) -> bool:
    """Whether words were read; the engine leaves spaces out in Hindi, and repeats letters in Thai."""
    return re.search(".{0,4}".join(re.escape(letter) for letter in wanted.replace(" ", "")), found.replace(" ", "")) is not None


def take(visit: Visit, kind: str, **fields: str) -> Response:
    return visit.post(visit.get("/b/papers"), f"/b/papers/{kind}", **fields)


def test_a_statement_says_in_every_language_what_the_page_says(hers: BorrowerIds, visit: Visit, outbox: Outbox) -> None:
    for language, own in LANGUAGES.items():
        page = words(visit.get(f"/b/account?lang={language}"))
        given = take(visit, "statement")
        assert given.headers["content-type"] == "application/pdf"
        assert given.headers["content-disposition"] == 'attachment; filename="statement-2026-03-17.pdf"'
        assert given.headers["cache-control"] == "no-store"
        found = text_of(given.content)
        for wanted in (own.say("doc_statement"), own.say("loan", number="W-77"), own.say("open_total"), "Nobody Atall", "SAMPLE"):
            assert reads(wanted, found), (language, wanted)
        amounts = set(re.findall(r"\d[\d.,]*[.,]\d\d\b", page.split(own.say("do_title"))[0]))
        assert len(amounts) > 5, language
        assert [one for one in amounts if one not in found] == [], "to the minor unit"
        reader = PdfReader(BytesIO(given.content))
        assert str(reader.root_object["/Lang"]).split("-")[0] == language.split("-")[0]
        kind, loan, payment, plan, locale, reference, digest = outbox.rows(TAKEN)[-1]
        assert (kind, loan, payment, plan, locale) == ("statement", None, None, None, language)
        assert str(reference) in found
        assert bytes(digest) == sha256(given.content).digest()
    assert len(outbox.rows(TAKEN)) == len(LANGUAGES)
    del hers


def test_a_receipt_a_plan_and_what_nobody_agreed_to(hers: BorrowerIds, visit: Visit, portfolio: Portfolio, outbox: Outbox) -> None:
    back = portfolio.borrower()
    portfolio.payment(back.loan_id, 999)
    (others,) = outbox.rows("SELECT id FROM payment WHERE loan_id = :id", id=back.loan_id)[0]
    portfolio.plan(hers.loan_id, instalments=[{"due_on": "2026-04-01", "amount_minor": 1}], status="offered")
    page = visit.get("/b/papers")
    assert "Copy of your plan" not in words(page), "what is only offered is no plan"
    form = visit.get("/b/papers")
    (payment,) = re.findall(r'<option value="(\d+)">Mar 17, 2026, \$25\.51', form.text)
    receipt = text_of(visit.post(form, "/b/papers/receipt", about=payment).content)
    assert "We received $25.51 on Mar 17, 2026 for loan W-77." in receipt
    again = text_of(visit.post(form, "/b/papers/receipt", about=payment).content)
    assert again == receipt, "a double click: the same document under the same number"
    assert len(outbox.rows(TAKEN)) == 1
    for about in (str(others), "", "x", "-1", "9" * 30):
        assert "Please choose one from the list." in words(take(visit, "receipt", about=about))

    portfolio.plan(
        hers.loan_id,
        instalments=[{"due_on": "2026-04-15", "amount_minor": 4_000}, {"due_on": "2026-04-01", "amount_minor": 3_949}],
        agreed_on=date(2026, 3, 16),
    )
    (plan,) = re.findall(r'<option value="(\d+)">Loan W-77, Mar 16, 2026', visit.get("/b/papers").text)
    copy = text_of(take(visit, "plan", about=plan).content)
    assert "This is the plan for loan W-77, agreed on Mar 16, 2026." in copy
    assert "Apr 1, 2026 $39.49 Apr 15, 2026 $40.00 Together $79.49" in copy

    (mine,) = outbox.rows("SELECT external_id FROM payment WHERE id = :id", id=int(payment))[0]
    portfolio.payment(hers.loan_id, -2_551, reverses=mine)
    assert "which payment" not in words(visit.get("/b/papers")).lower(), "what went back has no receipt"


# What is known of a loan → why there is no letter.
SURE = Books(outstanding_minor=0, principal_minor=100, instalments_principal_minor=100, servicing_status="paid", is_fresh=True)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"instalments_principal_minor": 120}, None),
        ({"outstanding_minor": 1}, "open"),
        ({"outstanding_minor": 1, "is_fresh": False}, "open"),
        ({"is_fresh": False}, "stale"),
        ({"instalments_principal_minor": None}, "unknown"),
        ({"instalments_principal_minor": 99}, "unknown"),
        ({"servicing_status": "sold"}, "sold"),
    ],
)
def test_nothing_is_owed_only_where_that_is_sure(change: dict[str, object], reason: str | None) -> None:
    assert against(replace(SURE, **change)) == reason  # type: ignore[arg-type]  # rows of the table above


def test_a_letter_that_nothing_is_open_is_denied_by_one_cent(hers: BorrowerIds, visit: Visit, portfolio: Portfolio, outbox: Outbox) -> None:
    portfolio.payment(hers.loan_id, 21_000 - 2_551 - 1)
    denied = take(visit, "no_dues", about=str(hers.loan_id))
    assert "cannot be made yet: $0.01 of this loan is still open" in words(denied)
    assert outbox.rows(TAKEN) == []
    portfolio.payment(hers.loan_id, 1)
    letter = text_of(take(visit, "no_dues", about=str(hers.loan_id)).content)
    assert "On Mar 17, 2026 nothing is open for loan W-77 with Lantern Wallet US." in letter
    assert [tuple(row)[:2] for row in outbox.rows(TAKEN)] == [("no_dues", hers.loan_id)]
    with connection() as tx:
        tx.execute(text("UPDATE payment SET booked = false WHERE amount_minor = 1"))
    assert "not of today" in words(take(visit, "no_dues", about=str(hers.loan_id))), "the wallet says so, the books do not yet"
    with connection() as tx:
        tx.execute(text("UPDATE payment SET booked = true"))
        tx.execute(text("UPDATE feed SET covers_until = :since"), {"since": SINCE})
    assert "our list of payments is not of today" in words(take(visit, "no_dues", about=str(hers.loan_id)))
    other = portfolio.borrower()
    assert "Please choose one" in words(take(visit, "no_dues", about=str(other.loan_id)))


def test_only_so_many_are_made_and_none_without_her_page(hers: BorrowerIds, visit: Visit, outbox: Outbox) -> None:
    with connection() as tx:
        tx.execute(
            text("""INSERT INTO document_given (party_id, kind, reference, locale, content_hash, at)
                    SELECT :party, 'receipt', gen_random_uuid(), 'en', '\\x00', :at FROM generate_series(1, :many)"""),
            {"party": hers.party_id, "at": NOON, "many": POLICY.documents_an_hour_max - 1},
        )
    assert take(visit, "statement").content[:5] == b"%PDF-"
    for kind in PDFS:
        assert visit.browser.post(f"/b/papers/{kind}", data={"guard": "x"}).status_code == 403
    assert "many of these just now" in words(take(visit, "statement"))
    page = visit.get("/b/papers")
    visit.browser.cookies.clear()
    assert "Your page is closed" in words(visit.post(page, "/b/papers/statement"))
    assert len(outbox.rows(TAKEN)) == POLICY.documents_an_hour_max


def test_her_data_is_hers_to_take_after_a_code(hers: BorrowerIds, visit: Visit, portfolio: Portfolio, outbox: Outbox) -> None:
    other = portfolio.borrower(account="NOT-HERS")
    given = visit.post(visit.get("/b/papers"), "/b/data/json")
    assert given.headers["content-disposition"] == 'attachment; filename="my-data-2026-03-17.json"'
    assert given.headers["content-security-policy"] == "default-src 'none'; sandbox"
    everything = json.loads(given.content)
    assert everything["kept"]["about_you"][0]["name"].startswith("Nobody Atall")
    assert [row["amount_minor"] for row in everything["kept"]["payments"]] == [2_551]
    readable = visit.post(visit.get("/b/papers"), "/b/data/page")
    assert readable.headers["content-type"] == "application/octet-stream"
    assert "2551" in words(readable) or "2551" in readable.text
    assert "default-src 'none'" in readable.text
    for one in (given, readable):
        assert "NOT-HERS" not in one.text
    assert [row[0] for row in outbox.rows(TAKEN)] == ["data_json", "data_page"]

    late = POLICY.data_code + timedelta(seconds=1)
    with connection() as tx:
        tx.execute(text("UPDATE page_session SET opened_at = opened_at - :late"), {"late": late})
    assert "more than 15 minutes ago" in words(visit.post(visit.get("/b/papers"), "/b/data/json"))
    visit.open(hers)
    with connection() as tx:
        tx.execute(
            text("""INSERT INTO document_given (party_id, kind, reference, locale, content_hash, at)
                    SELECT :party, 'data_json', gen_random_uuid(), 'en', '\\x00', :at FROM generate_series(1, :many)"""),
            {"party": hers.party_id, "at": NOON, "many": POLICY.data_a_day_max},
        )
    assert "many of these just now" in words(visit.post(visit.get("/b/papers"), "/b/data/page"))
    assert other.party_id != hers.party_id
