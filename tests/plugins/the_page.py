"""Fixtures: the borrower's page as a browser without scripts sees it, over a fresh ledger; what stands on it, and how its forms are sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from html import unescape

import pytest
from httpx import Client, Response
from sqlalchemy import text

from ledger import page_sessions
from ledger.engine import connection
from tests.plugins.portfolio import BorrowerIds

# A file as a browser sends it: its name, its bytes, and what the browser takes it for.
Attached = tuple[str, bytes, str]


@dataclass
class Visit:
    """A browser at the page."""

    browser: Client
    bytes_max: int = field(default=0, kw_only=True)

    def open(self, borrower: BorrowerIds) -> None:
        """Her page is open in this browser."""
        with connection() as tx:
            link = tx.execute(_LINK, {"party": borrower.party_id}).one()
            secret = page_sessions.begin(tx, borrower.party_id, link=(link.business_date, link.id))
        self.browser.cookies.set("tideover_page", secret, path="/b")

    def get(self, path: str) -> Response:
        """Look at a page."""
        return self._kept(self.browser.get(path))

    def post(self, page: Response, action: str, *attached: Attached, **fields: str) -> Response:
        """Send a form of a page, with what is hidden in it."""
        form = next(one for one in re.findall(r"<form.*?</form>", page.text, re.DOTALL) if f'action="{action}"' in one)
        hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))
        if "multipart/form-data" not in form:
            assert not attached, "this form takes no files"
            return self._kept(self.browser.post(action, data={**hidden, **fields}))
        # A field for files that is left empty comes as a part without a name and without content.
        files = [("files", one) for one in attached] or [("files", ("", b"", "application/octet-stream"))]
        return self._kept(self.browser.post(action, data={**hidden, **fields}, files=files))

    def _kept(self, page: Response) -> Response:
        if page.headers["content-type"].startswith("text/html"):
            self.bytes_max = max(self.bytes_max, len(page.content))
        return page


@pytest.fixture
def visit(serve_portal: Callable[[], AbstractContextManager[str]]) -> Iterator[Visit]:
    """A browser at a portal of this test."""
    with serve_portal() as url, Client(base_url=url, trust_env=False, follow_redirects=True) as browser:
        yield Visit(browser)


def heading(page: Response) -> str:
    """The page's first heading."""
    (found,) = re.findall(r"<h1>(.*?)</h1>", page.text, re.DOTALL)
    return unescape(str(found)).strip()


def words(page: Response) -> str:
    """What stands on a page."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", page.text.split("<main", 1)[-1].split("</main>")[0])))


_LINK = text("SELECT business_date, id FROM attempt WHERE party_id = :party ORDER BY id LIMIT 1")
