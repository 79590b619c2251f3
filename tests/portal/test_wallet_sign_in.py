"""The wallet's log-in in place of a code: her account opens her page, and nobody else's opens or tells anything; over HTTP, on a real ledger."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from html import unescape
from urllib.parse import urlsplit

import pytest
from httpx import Client, Response
from sqlalchemy import text

from config.settings import settings
from ledger.engine import connection
from portal import oidc
from sandbox.issuer import FAULTS
from tests.plugins.portfolio import BorrowerIds, Portfolio, noon
from tests.plugins.sandbox_process import Sandbox
from tests.plugins.sent import Sent
from tests.plugins.staff_desk import HIDDEN


@dataclass
class Wallet:
    """A portal, a wallet with a log-in, and a person with a link."""

    url: str
    sandbox: Sandbox
    link: str
    account: str
    other: str

    def browser(self) -> Client:
        return Client(base_url=self.url, trust_env=False, follow_redirects=True)

    def enter(self, browser: Client, account: str, link: str | None = None) -> Response:
        """Go to the wallet and back as whoever has this account."""
        page = browser.get(f"{link or self.link}/wallet")
        fields = {name: unescape(value) for name, value in HIDDEN.findall(page.text)}
        return browser.post(f"{self.sandbox.issuer_url}/authorize", data={**fields, "other": account})


def account_of(borrower: BorrowerIds) -> str:
    with connection() as tx:
        return str(tx.execute(text("SELECT external_id FROM party WHERE id = :id"), {"id": borrower.party_id}).scalar_one())


@pytest.fixture
def wallet(
    portfolio: Portfolio,
    send: Callable[..., Sent],
    sandbox: Sandbox,
    serve_portal: Callable[[], AbstractContextManager[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Wallet]:
    given = {
        "ISSUER": sandbox.issuer_url,
        "CLIENT_ID": "pages",
        "CLIENT_SECRET": sandbox.client_secret,
        "CREDITOR": "lender-US-first_party",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"TIDEOVER_WALLET_OIDC_{name}", value)
    oidc.forget_issuers()
    portfolio.clock(noon("US"))
    hers, others = portfolio.borrower(), portfolio.borrower()
    link = f"/b/{send(hers).token}"
    with serve_portal() as url:
        monkeypatch.setenv("TIDEOVER_PUBLIC_URL", url)
        settings.cache_clear()
        yield Wallet(url, sandbox, link, account_of(hers), account_of(others))


def path_of(page: Response) -> str:
    return urlsplit(str(page.url)).path


def words(page: Response) -> str:
    return re.sub(r"<[^>]*>", " ", page.text)


def test_her_account_opens_her_page_once_and_nothing_is_sent(wallet: Wallet) -> None:
    with wallet.browser() as browser:
        assert "Sign in with my wallet" in browser.get(wallet.link).text
        page = wallet.enter(browser, wallet.account)
        assert (page.status_code, path_of(page)) == (200, "/b/account")
        assert "tideover_wallet" not in browser.cookies
        assert browser.get("/b/contacts").status_code == 200
        again = browser.get(str(page.history[-2].url))
        assert path_of(again) != "/b/account", "the way back is good once"
    with connection() as tx:
        assert tx.execute(text("SELECT count(*) FROM page_code")).scalar_one() == 0


def test_anybody_elses_account_opens_nothing_and_tells_nothing(wallet: Wallet) -> None:
    pages = []
    for account in (wallet.other, "nobody-at-all", wallet.account.upper(), f"{wallet.account}0", "' OR 1=1 --"):
        with wallet.browser() as browser:
            pages.append(wallet.enter(browser, account))
            assert "tideover_page" not in browser.cookies
    for fault in (one for one in FAULTS if one != "away"):
        wallet.sandbox.control("POST", "issuer", {"fault": fault})
        with wallet.browser() as browser:
            pages.append(wallet.enter(browser, wallet.account))
            assert "tideover_page" not in browser.cookies
    assert {(page.status_code, words(page)) for page in pages} == {(200, words(pages[0]))}
    assert "That did not open this page" in pages[0].text
    assert not [account for account in (wallet.account, wallet.other) if account in words(pages[0])]


def test_a_sign_in_through_one_link_opens_no_other(wallet: Wallet, send: Callable[..., Sent], portfolio: Portfolio) -> None:
    other = send(portfolio.borrower(), provider_id="SM" + "1" * 32)
    with wallet.browser() as browser:
        page = browser.get(f"{wallet.link}/wallet")
        fields = {name: unescape(value) for name, value in HIDDEN.findall(page.text)}
        kept = browser.cookies["tideover_wallet"].strip('"')
        browser.cookies.set("tideover_wallet", f"{other.token.hex}~{kept.split('~')[1]}", domain="127.0.0.1", path="/b/wallet")
        back = browser.post(f"{wallet.sandbox.issuer_url}/authorize", data={**fields, "other": wallet.account})
        assert path_of(back) == "/b/wallet/back"
        assert "tideover_page" not in browser.cookies
    with wallet.browser() as stranger:
        assert stranger.get("/b/wallet/back?code=x&state=y").status_code == 404
        assert stranger.get(f"/b/{'0' * 8}-0000-4000-8000-{'0' * 12}/wallet").status_code == 404


def test_it_is_offered_for_that_lenders_borrowers_alone(
    wallet: Wallet, send: Callable[..., Sent], portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = portfolio.borrower(creditor_role="third_party")
    link = f"/b/{send(elsewhere, provider_id='SM' + '2' * 32).token}"
    with wallet.browser() as browser:
        assert "Sign in with my wallet" not in browser.get(link).text
        assert path_of(browser.get(f"{link}/wallet")) == link
        wallet.sandbox.control("POST", "issuer", {"fault": "away"})
        oidc.forget_issuers()
        page = browser.get(f"{wallet.link}/wallet")
        assert (page.status_code, "does not answer" in page.text) == (200, True)
        monkeypatch.delenv("TIDEOVER_WALLET_OIDC_ISSUER")
        settings.cache_clear()
        assert "Sign in with my wallet" not in browser.get(wallet.link).text
        assert browser.get("/b/wallet/back?code=x&state=y").status_code in {200, 404}
