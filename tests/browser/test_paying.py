"""She pays by her wallet on a small phone, in a real browser: page, amount, the wallet's own page, and back; in two languages."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from playwright.sync_api import Page, ViewportSize, expect
from sqlalchemy import text

from config.settings import settings
from ledger import page_sessions
from ledger.engine import connection
from tests.plugins.for_everyone import axe_finds_nothing_serious, fits_the_smallest_phone
from tests.plugins.portfolio import Portfolio, noon
from tests.plugins.sandbox_process import Sandbox
from tests.plugins.sent import Sent

SMALLEST = ViewportSize(width=320, height=640)
TAPS_MAX = 6
# Country → its page's words: pay, all that is due, open the wallet, thanks.
JOURNEYS = {
    "US": ("en", "Pay by wallet", "Pay what is due: $105.00", "Open my wallet", "Thank you. Your payment reached us."),
    "MX": ("es", "Pagar con la billetera", "Pagar lo que vence: $105.00", "Abrir mi billetera", "Gracias. Su pago nos llegó."),
}


def test_a_person_pays_by_her_wallet_on_the_smallest_phone_in_two_languages(
    portfolio: Portfolio,
    sandbox: Sandbox,
    send: Callable[..., Sent],
    serve_portal: Callable[[], AbstractContextManager[str]],
    monkeypatch: pytest.MonkeyPatch,
    page: Page,
    picture: Callable[[str], None],
) -> None:
    monkeypatch.setenv("TIDEOVER_WALLET_BASE_URL", sandbox.wallet_url)
    monkeypatch.setenv("TIDEOVER_WALLET_KEYS", sandbox.wallet_keys)
    portfolio.clock(noon("US"))
    sandbox.reset(at=noon("US").isoformat())
    people = {country: portfolio.borrower(country=country) for country in JOURNEYS}
    page.set_viewport_size(SMALLEST)
    with serve_portal() as url:
        monkeypatch.setenv("TIDEOVER_PUBLIC_URL", url)
        settings.cache_clear()
        for number, (country, (language, pay, due, wallet, thanks)) in enumerate(JOURNEYS.items()):
            link = send(people[country], provider_id=f"SM{number:032}")
            with connection() as tx:
                on = tx.execute(text("SELECT business_date FROM attempt WHERE id = :id"), {"id": link.attempt_id}).scalar_one()
                secret = page_sessions.begin(tx, people[country].party_id, link=(on, link.attempt_id))
            page.context.clear_cookies()
            page.context.add_cookies([{"name": "tideover_page", "value": secret, "url": f"{url}/b"}])
            page.goto(f"{url}/b/account?lang={language}")
            taps = 0
            for name in (pay, due, wallet, "Pay"):
                found = page.get_by_role("link", name=name).or_(page.get_by_role("button", name=name, exact=name == "Pay"))
                if "wallet/confirm" not in page.url:
                    _is_well(page)
                    picture(f"borrower-{language}-pay-{taps}")
                found.first.click()
                taps += 1
            expect(page.get_by_role("heading", level=1)).to_have_text(thanks)
            _is_well(page)
            picture(f"borrower-{language}-pay-{taps}")
            assert taps <= TAPS_MAX


def _is_well(page: Page) -> None:
    fits_the_smallest_phone(page)
    axe_finds_nothing_serious(page)
