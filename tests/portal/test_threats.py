"""Threats that docs/security.md names and no other test plays: what people write, addresses that lead elsewhere, logs, secrets compared."""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.routing import Route

from ledger.engine import connection
from ledger.staff_views import looks
from portal import oidc
from portal.app import app
from portal.desk.frame import Asked, desk_page
from portal.oidc import IssuerAwayError
from tests.plugins.portfolio import Portfolio, noon
from tests.plugins.staff_desk import Desk

HOUSE = Path(__file__).parents[2]
EVIL = "https://evil.example"
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}' OR 1=1; DROP TABLE staff; --"


def test_what_a_person_wrote_is_text_in_every_desk_and_harms_no_statement(desk: Desk, portfolio: Portfolio) -> None:
    portfolio.clock(noon("US"))
    borrower = portfolio.borrower()
    officer = desk.sign_in("compliance")
    page = officer.get("/desk/cases/new")
    shown = desk.post(
        officer,
        page,
        "/desk/cases/new",
        borrower=f"#{borrower.party_id}",
        kind="dispute",
        stated_by="borrower",
        reference=MARKUP,
        words=MARKUP,
    )
    assert shown.status_code == 200
    assert MARKUP in unescape(shown.text), "it is shown, word for word"
    assert "<script>alert" not in shown.text
    assert "<img src=x" not in shown.text
    assert "49" not in re.findall(r"alert\(1\)&gt;(\d+)", shown.text)
    for path in ("/desk/cases", f"/desk/people/{borrower.party_id}"):
        assert "<script>alert" not in officer.get(path).text
    assert desk.add("compliance") > 0, "the table is still there"


def test_no_address_of_ours_leads_to_another_house(desk: Desk) -> None:
    desk.add("agent")
    browser = desk.browser()
    browser.follow_redirects = False
    asked = [
        *("/desk", "/desk/", "/desk//evil.example", "/desk/sign-in/", "/health/", "//evil.example/desk", "/b/account/", "/b//evil.example"),
        *(f"/desk/sign-in?{name}={EVIL}" for name in ("next", "url", "redirect", "return_to")),
        f"/desk?lang={EVIL}",
        f"/desk/sign-in/go?redirect_uri={EVIL}&next={EVIL}",
    ]
    spoilt = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "gopher", "Referer": EVIL}
    answers = [browser.get(path, headers=spoilt) for path in asked]
    led = {answer.headers["location"].split("?")[0] for answer in answers if "location" in answer.headers}
    assert led == {"/desk/sign-in", f"{desk.sandbox.issuer_url}/authorize"}
    assert not [answer for answer in answers if "evil" in "".join(answer.headers.values())]
    back = next(answer.headers["location"] for answer in answers if "authorize" in answer.headers.get("location", ""))
    assert "evil" not in back


def test_a_bug_tells_its_class_and_nothing_that_somebody_wrote(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    async def breaks(asked: Asked) -> None:
        raise RuntimeError(f"{asked.fields['words']}\n2026-01-01 INFO forged line")

    app.router.routes.insert(0, Route("/desk/breaks", desk_page(breaks, shows_person=False, right="desk.open"), methods=["POST"]))  # type: ignore[arg-type]  # it answers nothing
    try:
        browser = desk.sign_in("agent")
        guard = re.findall(r'name="guard" value="(\w+)"', browser.get("/desk").text)[0]
        caplog.set_level(logging.DEBUG, logger="portal")
        answer = browser.post("/desk/breaks", data={"guard": guard, "words": "Ms Nobody owes"})
        assert answer.status_code == 500
        assert "Ms Nobody" not in answer.text
        assert "Traceback" not in answer.text
        ours = [record for record in caplog.records if record.name.startswith("portal")]
        assert [record.getMessage() for record in ours] == ["a desk could not be shown: bug (RuntimeError)"]
        assert [record.exc_info for record in ours] == [None]
    finally:
        del app.router.routes[0]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"jwks_uri": "http://169.254.169.254/latest"}, "not as safe"),
        ({"jwks_uri": "file:///etc/passwd"}, "not as safe"),
        ({"token_endpoint": "http://10.0.0.1/token"}, "not as safe"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "not as safe"),
        ({"jwks_uri": None}, "not as safe"),
        ({"issuer": "https://another.example"}, "another issuer"),
    ],
)
def test_an_issuer_sends_us_nowhere_that_is_less_safe(
    said: dict[str, str | None], why: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = oidc._get  # noqa: SLF001  # what the issuer says of itself is changed on its way
    monkeypatch.setattr(oidc, "_get", lambda session, address: {**real(session, address), **said})
    page = desk.browser().get("/desk/sign-in/go")
    assert (page.status_code, "not possible at the moment" in page.text) == (503, True)
    with pytest.raises(IssuerAwayError, match=why):
        oidc.begin(oidc.Client(issuer=desk.sandbox.issuer_url, client_id="x", client_secret=desk_secret(desk), use="test", back="x"))


def desk_secret(desk: Desk) -> SecretStr:
    return SecretStr(desk.sandbox.client_secret)


def compared(source: str) -> Iterator[str]:
    """Comparisons of what is secret by == or !=, which tell by their time how much was right."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and any(isinstance(one, (ast.Eq, ast.NotEq)) for one in node.ops):
            words = [ast.unparse(part) for part in (node.left, *node.comparators)]
            constants = [part for part in (node.left, *node.comparators) if isinstance(part, ast.Constant)]
            if not constants and any(re.search(r"guard|secret|signature|digest|code_of|verifier|_derived", word) for word in words):
                yield ast.unparse(node)


def test_secrets_are_compared_in_constant_time() -> None:
    files = [
        *(HOUSE / "portal").rglob("*.py"),
        *(HOUSE / "channels").glob("*.py"),
        HOUSE / "ledger" / "page_codes.py",
        HOUSE / "ledger" / "approval_codes.py",
    ]
    assert [found for path in files for found in compared(path.read_text())] == []
    assert list(compared("if given == guard_of(use, secret):\n    pass")), "the lint would find one"


def test_uploads_pages_and_papers_are_no_place_of_the_web_root() -> None:
    """Nothing of the portal serves a folder: each file that is served is named by a route."""
    assert [type(route).__name__ for route in app.routes if type(route).__name__ in {"Mount", "StaticFiles"}] == []
    assert not [path for path in (HOUSE / "portal").rglob("*.py") if "StaticFiles" in path.read_text()]


def test_each_look_at_a_person_in_a_desk_is_noted(desk: Desk, portfolio: Portfolio) -> None:
    portfolio.clock(noon("US"))
    borrower = portfolio.borrower()
    officer = desk.sign_in("compliance")
    pages = [f"/desk/people/{borrower.party_id}"]
    with connection() as tx:
        day = tx.exec_driver_sql("SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date").scalar_one()
        before = sum(one.views for one in looks(tx, day=day, zone="UTC"))
    for path in pages:
        assert officer.get(path).status_code == 200
    with connection() as tx:
        assert sum(one.views for one in looks(tx, day=day, zone="UTC")) == before + len(pages)
