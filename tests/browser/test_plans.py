"""A person comes from a link to a plan that was asked for in six taps, on a phone and on a desk, in two languages; agreed only then.

On a real ledger, portal and sandbox; the core system's answer is applied as its callback is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta

import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect
from sqlalchemy import text

from config.settings import settings
from ledger import core_answers
from ledger.engine import connection
from tests.plugins.for_everyone import arrived, axe_finds_nothing_serious, fits_the_smallest_phone
from tests.plugins.portfolio import Portfolio, noon
from tests.plugins.sandbox_process import Sandbox
from tests.plugins.sent import Sent

PHONE = ViewportSize(width=360, height=740)
DESK = ViewportSize(width=1280, height=900)
TAPS_MAX = 6


@dataclass(frozen=True)
class Words:
    """What a page says: ask for a code, its field, open, see, look at a choice, take it, sent, agreed; and how she pays."""

    language: str
    ask: str
    label: str
    enter: str
    see: str
    look: str
    take: str
    sent: str
    agreed: str
    currency: str
    income_minor: int
    essential_minor: int
    balance_minor: int
    width: ViewportSize


JOURNEYS = {
    "US": Words(
        "en", "Send me a code", "Code of 6 digits", "Open my page", "See what you could pay", "Look at this choice", "Yes, I choose this",
        "It is not agreed yet", "Agreed on", "USD", 80_000, 32_000, 300_000, PHONE,
    ),
    "MX": Words(
        "es", "Enviarme un código", "Código de 6 cifras", "Abrir mi página", "Ver cuánto podría pagar", "Ver esta opción",
        "Sí, elijo esto", "Todavía no está acordada", "Acordado el", "MXN", 258_000, 105_000, 1_000_000, DESK,
    ),
}  # fmt: skip


def test_from_a_link_to_a_plan_in_six_taps_in_two_languages_on_a_phone_and_on_a_desk(
    portfolio: Portfolio,
    sandbox: Sandbox,
    send: Callable[..., Sent],
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
    for country, words in JOURNEYS.items():
        portfolio.wallet(
            people[country].party_id,
            currency=words.currency,
            income_minor=words.income_minor,
            essential_minor=words.essential_minor,
            balance_minor=words.balance_minor,
        )
    with connection() as tx:
        tx.execute(text("""UPDATE creditor SET senders = senders || '{"sms/one_time_code": "+15005550007"}'"""))
    with serve_portal() as url:
        monkeypatch.setenv("TIDEOVER_PUBLIC_URL", url)
        settings.cache_clear()
        links = {country: send(one, provider_id=f"SM{country:0>32}").token for country, one in people.items()}
        for country, words in JOURNEYS.items():
            taps = 0

            def tap(what: Locator) -> None:
                nonlocal taps
                what.click()
                taps += 1

            page.context.clear_cookies()
            page.set_viewport_size(words.width)
            page.goto(f"{url}/b/{links[country]}?lang={words.language}")
            tap(page.get_by_role("button", name=words.ask))
            sandbox.step((noon("US") + timedelta(minutes=len(sandbox.received("sms")) + 5)).isoformat())
            page.get_by_label(words.label).fill(re.findall(r"\d{6}", sandbox.received("sms")[-1]["body"])[0])
            tap(page.get_by_role("button", name=words.enter))
            tap(page.get_by_role("button", name=words.see))
            arrived(page)
            looks = page.get_by_role("link", name=words.look)
            assert 2 <= looks.count() <= 4
            _is_for_everyone(page)
            picture(f"plan-{words.language}-choices")
            tap(looks.first)
            _is_for_everyone(page)
            picture(f"plan-{words.language}-choice")
            tap(page.get_by_role("button", name=words.take))
            expect(page.get_by_text(words.sent)).to_be_visible()
            assert taps <= TAPS_MAX
            _is_for_everyone(page)
            picture(f"plan-{words.language}-sent")
            with connection() as tx:
                token = tx.execute(
                    text("SELECT token FROM core_instruction WHERE party_id = :id"), {"id": people[country].party_id}
                ).scalar_one()
                assert core_answers.hear(tx, token, "accepted", at=noon("US")) == "moved"
            page.reload()
            expect(page.get_by_text(words.agreed)).to_be_visible()
            picture(f"plan-{words.language}-agreed")


def _is_for_everyone(page: Page) -> None:
    axe_finds_nothing_serious(page)
    fits_the_smallest_phone(page)
