"""A person opens her page on a small phone, in a real browser: link, code, what is open, a promise; in two languages.

On a real ledger, portal and sandbox. Nothing is wider than the smallest phone, and nothing she taps is too small for a thumb.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from playwright.sync_api import Page, ViewportSize, expect
from sqlalchemy import text

from config.settings import settings
from ledger.engine import connection
from tests.plugins.for_everyone import fits_the_smallest_phone
from tests.plugins.portfolio import Portfolio, noon
from tests.plugins.sandbox_process import Sandbox
from tests.plugins.sent import Known, Sent

PHONE = ViewportSize(width=360, height=740)
# Country → its page's words: ask for a code, its field, open, owe, promise, day, tell, noted.
JOURNEYS = {
    "US": (
        "en",
        "Send me a code",
        "Code of 6 digits",
        "Open my page",
        "What is open, and why",
        "I will pay on a day I choose",
        "On which day?",
        "Tell us",
        "We leave you in peace until",
    ),
    "MX": (
        "es",
        "Enviarme un código",
        "Código de 6 cifras",
        "Abrir mi página",
        "Qué está pendiente y por qué",
        "Pagaré un día que yo elija",
        "¿Qué día?",
        "Decírnoslo",
        "Le dejamos en paz hasta",
    ),
}


def test_a_person_opens_her_page_and_promises_on_a_small_phone_in_two_languages(
    portfolio: Portfolio,
    sandbox: Sandbox,
    send: Callable[..., Sent],
    known: Known,
    serve_portal: Callable[[], AbstractContextManager[str]],
    monkeypatch: pytest.MonkeyPatch,
    page: Page,
    picture: Callable[[str], None],
) -> None:
    given = {"TWILIO_BASE_URL": sandbox.url, "TWILIO_ACCOUNT_SID": sandbox.account_sid, "TWILIO_AUTH_TOKEN": sandbox.auth_token}
    for name, value in given.items():
        monkeypatch.setenv(f"TIDEOVER_{name}", value)
    portfolio.clock(noon("US"))
    sandbox.reset(at=noon("US").isoformat())
    people = {country: portfolio.borrower(country=country) for country in JOURNEYS}
    with connection() as tx:
        tx.execute(text("""UPDATE creditor SET senders = senders || '{"sms/one_time_code": "+15005550007"}'"""))
    page.set_viewport_size(PHONE)
    with serve_portal() as url:
        monkeypatch.setenv("TIDEOVER_PUBLIC_URL", url)
        settings.cache_clear()
        links = {country: send(one, provider_id=f"SM{country:0>32}").token for country, one in people.items()}
        for country, (language, ask, label, enter, owe, promise, day, tell, noted) in JOURNEYS.items():
            page.context.clear_cookies()
            page.goto(f"{url}/b/{links[country]}?lang={language}")
            fits_the_smallest_phone(page)
            picture(f"borrower-{language}-link")
            page.get_by_role("button", name=ask).click()
            sandbox.step((noon("US") + timedelta(minutes=len(sandbox.received("sms")) + 5)).isoformat())
            page.get_by_label(label).fill(re.findall(r"\d{6}", sandbox.received("sms")[-1]["body"])[0])
            page.get_by_role("button", name=enter).click()
            expect(page.get_by_role("heading", level=1)).to_have_text(owe)
            fits_the_smallest_phone(page)
            picture(f"borrower-{language}-open")
            page.get_by_role("link", name=promise).click()
            page.get_by_label(day).fill("2026-03-20")
            picture(f"borrower-{language}-promise")
            page.get_by_role("button", name=tell).click()
            expect(page.get_by_text(noted).first).to_be_visible()
            fits_the_smallest_phone(page)
            assert known.outcomes(people[country]) == [("promise", False)]
            assert [kind for kind, _ in known.holds(people[country])] == ["promise"]
