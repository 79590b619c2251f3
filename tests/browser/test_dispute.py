"""Dispute → left in peace → answered → seen → not agreed with, in a real browser: in English on a phone, in Spanish on a large screen."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import timedelta

from playwright.sync_api import FilePayload, Page, ViewportSize, expect
from sqlalchemy import text

from gate.lane import run_lane
from ledger import case_work, page_sessions
from ledger.engine import connection
from tests.browser.test_for_everyone import PHONE
from tests.decisions.test_uploads import JPEG
from tests.plugins.for_everyone import axe_finds_nothing_serious, fits_the_smallest_phone
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel
from tests.plugins.sent import Sent

DESKTOP = ViewportSize(width=1280, height=900)
# Country → language, screen, and its page's words: something is wrong, own words, files, tell, cases, told, answer, not agreed, looked at.
JOURNEYS = {
    "US": (
        "en",
        PHONE,
        "Something is not right",
        "Your own words, if you like",
        "Files, if you have any",
        "Tell us",
        "What you told us, and our answers",
        "The fee was ours. We take it off, 5.00.",
        "I do not agree",
        "A person is looking at it.",
    ),
    "MX": (
        "es",
        DESKTOP,
        "Algo no está bien",
        "Con sus palabras, si quiere",
        "Archivos, si tiene",
        "Decírnoslo",
        "Lo que nos dijo y nuestras respuestas",
        "El cargo fue nuestro. Lo quitamos, 5.00.",
        "No estoy de acuerdo",
        "Una persona lo está viendo.",
    ),
}
RECEIPT: FilePayload = {"name": "receipt.jpg", "mimeType": "image/jpeg", "buffer": JPEG}


def test_a_dispute_is_told_frozen_answered_seen_and_taken_up_again(
    portfolio: Portfolio,
    outbox: Outbox,
    send: Callable[..., Sent],
    serve_portal: Callable[[], AbstractContextManager[str]],
    page: Page,
    picture: Callable[[str], None],
) -> None:
    portfolio.clock(noon("US"))
    people = {country: portfolio.borrower(country=country) for country in JOURNEYS}
    for country, one in people.items():
        send(one, provider_id=f"SM{country:0>32}")
    with connection() as tx:  # the messages named their loans
        tx.execute(text("UPDATE contact_event c SET loans = ARRAY(SELECT lp.loan_id FROM loan_party lp WHERE lp.party_id = c.party_id)"))
    with serve_portal() as url:
        for country, (language, screen, wrong, own, files, tell, cases, answer, disagree, looked_at) in JOURNEYS.items():
            page.context.clear_cookies()
            page.context.add_cookies([{"name": "tideover_page", "value": _opened(people[country]), "url": f"{url}/b"}])
            page.set_viewport_size(screen)
            page.goto(f"{url}/b/account?lang={language}")
            page.get_by_role("link", name=wrong).click()
            page.get_by_label(own).fill("paid twice")
            page.get_by_label(files).set_input_files(RECEIPT)
            picture(f"dispute-{language}-tell")
            page.get_by_role("button", name=tell).click()
            assert _frozen(outbox, people[country]), "nothing is sent about it meanwhile"

            page.goto(f"{url}/b/account")
            page.get_by_role("link", name=cases).click()
            expect(page.get_by_text(looked_at)).to_be_visible()
            picture(f"dispute-{language}-open")
            (case,) = outbox.rows("SELECT id FROM borrower_case WHERE party_id = :id", id=people[country].party_id)[0]
            case_work.answer(case, by="ben", reference="letter 1", words=answer)
            page.goto(f"{url}/b/cases/{case}")
            expect(page.get_by_text(answer)).to_be_visible()
            expect(page.get_by_role("link", name="JPEG")).to_be_visible()
            picture(f"dispute-{language}-answered")
            page.get_by_label(own).fill("it was more than that")
            page.get_by_role("button", name=disagree).click()
            expect(page.get_by_text(looked_at)).to_be_visible()
            assert outbox.rows("SELECT state FROM borrower_case WHERE id = :id", id=case)[0][0] == "acknowledged"
            fits_the_smallest_phone(page)
            axe_finds_nothing_serious(page)
            for name in ("papers", "wishes", "reads"):
                page.goto(f"{url}/b/{name}")
                picture(f"borrower-{language}-{name}")


def _opened(borrower: BorrowerIds) -> str:
    """What her browser shows once she has entered her code."""
    with connection() as tx:
        link = tx.execute(text("SELECT business_date, id FROM attempt WHERE party_id = :id ORDER BY id LIMIT 1"), {"id": borrower.party_id})
        business_date, attempt = link.one()
        return page_sessions.begin(tx, borrower.party_id, link=(business_date, attempt))


def _frozen(outbox: Outbox, borrower: BorrowerIds) -> bool:
    """Whether the gate lets nothing through to her, for the hold; apart from the browser's loop."""
    run, now = outbox.run(business_date=TODAY + timedelta(days=1), scope=str(borrower.party_id)), noon("US")
    attempt = outbox.plan(run, borrower, send_after=now, expires_at=now + timedelta(hours=5))
    channel = RecordingChannel()
    with ThreadPoolExecutor(1) as thread:
        thread.submit(run_lane, run, shard=None, channels={"sms": lambda: channel}).result()
    return channel.sent == [] and "HOUSE-HOLD" in outbox.attempt(attempt)["permit"]["blocked_by"]
