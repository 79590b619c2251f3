"""Fixtures: the portal with its desks, and somebody of the staff who signs in at the sandbox's issuer.

`desk` serves the portal over the test's ledger; `desk.sign_in("agent")` gives an HTTP client of somebody in that role.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from html import unescape
from urllib.parse import urlsplit

import pytest
from httpx import Client, Response

from config.settings import settings
from ledger import staff
from ledger.engine import connection
from portal import oidc
from tests.plugins.sandbox_process import Sandbox

CLIENT_ID = "tideover-desk"
HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


@dataclass
class Desk:
    """A portal whose desks one can sign in at.

    Attributes:
        url: Of the portal.
        sandbox: Whose issuer vouches for the staff.
    """

    url: str
    sandbox: Sandbox
    _open: ExitStack

    def browser(self) -> Client:
        """A browser that nobody has signed in with."""
        return self._open.enter_context(Client(base_url=self.url, trust_env=False, follow_redirects=True))

    def add(self, *roles: str, subject: str | None = None) -> int:
        """Somebody of the staff in these roles, whom the issuer knows by `subject`; returns her id."""
        called = subject or f"staff-{roles[0]}"
        with connection() as tx:
            known = staff.find(tx, self.sandbox.issuer_url, called)
            if known is not None:
                return known.id
            return staff.add(tx, name=called, issuer=self.sandbox.issuer_url, subject=called, roles=roles, by="test")

    def enter(self, browser: Client, subject: str) -> Response:
        """Go through the issuer's page as this person; what the desk shows then."""
        at_the_issuer = browser.get("/desk/sign-in/go")
        assert str(at_the_issuer.url).startswith(self.sandbox.issuer_url), at_the_issuer.text
        fields = {name: unescape(value) for name, value in HIDDEN.findall(at_the_issuer.text)}
        return browser.post(f"{self.sandbox.issuer_url}/authorize", data={**fields, "subject": subject})

    def sign_in(self, *roles: str, subject: str | None = None) -> Client:
        """Somebody in these roles, signed in; she is added where she is not known."""
        called = subject or f"staff-{roles[0]}"
        self.add(*roles, subject=called)
        browser = self.browser()
        page = self.enter(browser, called)
        assert (page.status_code, urlsplit(str(page.url)).path) == (200, "/desk"), page.text
        return browser

    def post(self, browser: Client, page: Response, action: str, **fields: str) -> Response:
        """Send a form of a page, with what is hidden in it."""
        form = next(one for one in re.findall(r"<form.*?</form>", page.text, re.DOTALL) if f'action="{action}"' in one)
        return browser.post(action, data={**{name: unescape(value) for name, value in HIDDEN.findall(form)}, **fields})


@pytest.fixture
def desk(
    sandbox: Sandbox,
    serve_portal: Callable[[], AbstractContextManager[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Desk]:
    """The portal over a fresh ledger, with the sandbox's issuer."""
    monkeypatch.setenv("TIDEOVER_OIDC_ISSUER", sandbox.issuer_url)
    monkeypatch.setenv("TIDEOVER_OIDC_CLIENT_ID", CLIENT_ID)
    monkeypatch.setenv("TIDEOVER_OIDC_CLIENT_SECRET", sandbox.client_secret)
    oidc.forget_issuers()
    with serve_portal() as url, ExitStack() as stack:
        monkeypatch.setenv("TIDEOVER_PUBLIC_URL", url)
        settings.cache_clear()
        yield Desk(url, sandbox, stack)
