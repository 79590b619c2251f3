"""docs/security.md names tests that there are, and each row names one; and what needs an https address to be seen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.responses import Response

from config.settings import settings
from portal import pages
from portal.desk import frame
from portal.web import headers

HOUSE = Path(__file__).parent.parent
PAGE = HOUSE / "docs" / "security.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows() -> list[str]:
    return [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and not line.startswith(("| threat", "| point"))]


def test_every_row_names_a_test_that_there_is() -> None:
    assert len(rows()) > 40
    assert [row for row in rows() if not NAMED.search(row.rsplit("|", 2)[1])] == []
    named = {found for row in rows() for found in NAMED.findall(row)}
    assert [(file, test) for file, test in sorted(named) if not re.search(rf"def {test}\(", _source(file))] == []


def _source(file: str) -> str:
    path = HOUSE / file
    return path.read_text() if path.exists() else ""


@pytest.fixture
def https(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TIDEOVER_PUBLIC_URL", "https://pay.example")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.usefixtures("https")
@pytest.mark.parametrize(("remember", "path"), [(pages.remember, "/b"), (frame.remember, "/desk")])
def test_with_an_https_address_cookies_are_secure_and_browsers_stay_with_https(remember: object, path: str) -> None:
    response = Response()
    assert callable(remember)
    remember(response, "secret")
    said = set(response.headers["set-cookie"].split("; "))
    assert {"HttpOnly", "SameSite=lax", "Secure", f"Path={path}"} <= said
    assert headers()["Strict-Transport-Security"] == "max-age=31536000"
    assert "Strict-Transport-Security" in frame.desk_headers()
