"""Signing in at the desks: through the sandbox's issuer, over HTTP, on a real ledger; and each way in which it must not succeed."""

from __future__ import annotations

import logging
import time
from html import escape, unescape
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from httpx import Client
from sqlalchemy import text

from config import roles as roles_file
from config.roles import Roles
from config.settings import settings
from ledger import staff
from ledger.engine import connection
from portal import oidc
from portal.desk import sign_in
from portal.oidc import IssuerAwayError
from sandbox.issuer import FAULTS
from tests.plugins.staff_desk import CLIENT_ID, HIDDEN, Desk

REFUSED = "The sign-in did not work."


def is_in(browser: Client) -> bool:
    """Whether the first page of the desks is shown."""
    return urlsplit(str(browser.get("/desk").url)).path == "/desk"


def step_back(desk: Desk, browser: Client, subject: str = "staff-agent") -> str:
    """The address with which the issuer sends this browser back, not followed yet."""
    page = browser.get("/desk/sign-in/go")
    fields = {name: unescape(value) for name, value in HIDDEN.findall(page.text)}
    answer = browser.post(f"{desk.sandbox.issuer_url}/authorize", data={**fields, "subject": subject}, follow_redirects=False)
    return str(answer.headers["location"])


def changed(address: str, **values: str) -> str:
    """An address with other values in its query."""
    query = {name: found[0] for name, found in parse_qs(urlsplit(address).query).items()}
    return f"{address.split('?', maxsplit=1)[0]}?{urlencode({**query, **values})}"


def test_who_is_known_here_and_there_gets_in(desk: Desk) -> None:
    browser = desk.browser()
    assert not is_in(browser)
    desk.add("agent")
    page = desk.enter(browser, "staff-agent")
    assert page.status_code == 200
    assert "Good to see you, staff-agent" in page.text
    assert is_in(browser)
    secret = browser.cookies["tideover_desk"]
    jar = {cookie.name: cookie for cookie in browser.cookies.jar}
    assert jar["tideover_desk"].path == "/desk"
    assert jar["tideover_desk"].has_nonstandard_attr("HttpOnly")
    assert "tideover_desk_sign_in" not in jar, "what was kept meanwhile is gone"
    desk.enter(browser, "staff-agent")
    assert browser.cookies["tideover_desk"] != secret, "each sign-in draws another secret"
    with Client(base_url=desk.url, trust_env=False, cookies={"tideover_desk": secret}, follow_redirects=True) as old:
        assert not is_in(old), "and the one before it is good for nothing"


def test_nobody_gets_in_by_the_issuers_word_alone(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    browser = desk.browser()
    page = desk.enter(browser, "staff-ops")
    assert page.status_code == 403
    assert "no role here" in page.text
    assert "staff-ops" in page.text, "she is told what to pass on"
    assert not is_in(browser)
    with connection() as tx:
        number = staff.add(tx, name="Without", issuer=desk.sandbox.issuer_url, subject="staff-auditor", roles=[], by="test")
        staff.add(tx, name="Elsewhere", issuer="https://another.example", subject="staff-agent", roles=["agent"], by="test")
    assert desk.enter(browser, "staff-auditor").status_code == 403, "somebody without any role"
    assert desk.enter(browser, "staff-agent").status_code == 403, "the same name at another issuer is another person"
    with connection() as tx:
        staff.set_roles(tx, number, ["auditor"], by="test")
    assert desk.enter(browser, "staff-auditor").status_code == 200
    assert not [record for record in caplog.records if record.name.startswith("portal") and "staff-" in record.getMessage()]


def test_whatever_is_wrong_with_a_token_nobody_is_signed_in(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    desk.add("agent")
    pages = {}
    for fault in (one for one in FAULTS if one != "away"):
        browser = desk.browser()
        desk.sandbox.control("POST", "issuer", {"fault": fault})
        page = desk.enter(browser, "staff-agent")
        pages[fault] = (page.status_code, REFUSED in page.text, is_in(browser), "tideover_desk" in browser.cookies)
    assert pages == dict.fromkeys(pages, (403, True, False, False))
    assert len(pages) == len(FAULTS) - 1
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("portal")]
    assert len(ours) == len(pages)
    assert not [line for line in ours if "staff-agent" in line or "code=" in line]
    desk.sandbox.control("POST", "issuer", {"fault": None})
    assert desk.enter(desk.browser(), "staff-agent").status_code == 200


def test_an_issuer_that_is_away_lets_nobody_in_and_says_so(desk: Desk) -> None:
    desk.add("agent")
    browser, other = desk.browser(), desk.browser()
    back = step_back(desk, browser)
    desk.sandbox.control("POST", "issuer", {"fault": "away"})
    assert browser.get(back).status_code == 503
    oidc.forget_issuers()
    page = other.get("/desk/sign-in/go")
    assert page.status_code == 503
    assert "not possible at the moment" in page.text
    assert not is_in(browser)
    assert not is_in(other)


def test_a_way_back_is_good_for_the_browser_that_began_it_once_and_in_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.add("agent")
    mine, others = desk.browser(), desk.browser()
    back = step_back(desk, mine)
    # A link with somebody else's code, sent to a person, must not sign her in as that one.
    assert others.get(back).status_code == 403
    assert mine.get(changed(back, state="0" * 64)).status_code == 403
    back = step_back(desk, mine)
    assert mine.get(changed(back, code="x")).status_code == 403
    back = step_back(desk, mine)
    assert mine.get(back).status_code == 200
    assert mine.get(back).status_code == 403, "twice"
    late = desk.browser()
    back = step_back(desk, late)
    begun = late.cookies["tideover_desk_sign_in"]
    word, at = begun.rsplit(".", 1)
    late.cookies.set("tideover_desk_sign_in", f"{word}.{int(at) + 900}", domain="127.0.0.1", path="/desk/sign-in")
    assert late.get(back).status_code == 403, "its time is bound to the rest"
    late = desk.browser()
    back = step_back(desk, late)
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 601)
    assert late.get(back).status_code == 403, "too late"


def test_who_leaves_is_out_at_once_and_a_role_that_is_taken_too(desk: Desk) -> None:
    browser, again = desk.sign_in("supervisor"), desk.sign_in("supervisor")
    number = desk.add("supervisor")
    assert "calls.supervise" in browser.get("/desk").text
    with connection() as tx:
        staff.set_roles(tx, number, ["inspector"], by="test")
    page = browser.get("/desk").text
    assert "calls.supervise" not in page
    assert "inspect.sample" in page
    with connection() as tx:
        staff.end(tx, number, by="test")
    assert not is_in(browser)
    assert not is_in(again)
    assert desk.enter(browser, "staff-supervisor").status_code == 403


def test_sessions_end_by_rest_by_age_and_by_hand(desk: Desk) -> None:
    for column, ago in (("seen_at", "21 minutes"), ("opened_at", "10 hours 1 minute")):
        browser = desk.sign_in("agent")
        with connection() as tx:
            tx.execute(text(f"UPDATE staff_session SET {column} = {column} - interval '{ago}'"))  # noqa: S608  # the two above
        assert not is_in(browser), column
    one, two = desk.sign_in("agent"), desk.sign_in("agent")
    page = one.get("/desk")
    assert desk.post(one, page, "/desk/sign-out").status_code == 200
    assert not is_in(one)
    assert is_in(two), "signing out closes this browser's desk alone"
    three = desk.sign_in("agent")
    desk.post(two, two.get("/desk"), "/desk/sessions/end")
    assert not is_in(two)
    assert not is_in(three)
    with connection() as tx:
        kept = tx.execute(text("SELECT secret_hash FROM staff_session")).scalars().all()
    assert {len(one) for one in kept} == {32}, "a hash, never the secret"


def test_signing_out_ends_the_session_at_the_issuer_too_and_needs_nothing_of_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = desk.sign_in("agent")
    left = desk.post(browser, browser.get("/desk"), "/desk/sign-out")
    there = left.headers["refresh"].removeprefix("0; url=")
    assert there.startswith(f"{desk.sandbox.issuer_url}/end-session?client_id={CLIENT_ID}&post_logout_redirect_uri=")
    assert f'href="{escape(there)}"' in left.text
    assert browser.get(there).url.path == "/desk/sign-in"
    # An issuer without such a place, or that is away, keeps nobody signed in here.
    for broken in (lambda *_, **__: None, _away):
        again = desk.sign_in("agent")
        page = again.get("/desk")
        with monkeypatch.context() as patched:
            patched.setattr(sign_in, "end_at", broken)
            left = desk.post(again, page, "/desk/sign-out")
        assert (left.status_code, "refresh" in left.headers, "You are signed out." in left.text) == (200, False, True)
        assert not is_in(again)


def _away(*_: object, **__: object) -> None:
    raise IssuerAwayError("status 503")


def test_groups_give_roles_only_where_the_house_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = desk.browser()
    shipped = roles_file.roles()
    assert shipped.by_group == {}
    values = {name: getattr(shipped, name) for name in shipped.__dataclass_fields__}
    given = Roles(**{**values, "by_group": {"group-of-staff-agent": "agent", "group-of-staff-ops": "ops"}})
    for module in ("portal.desk.sign_in", "ledger.staff"):
        monkeypatch.setattr(f"{module}.roles_in_force", lambda: given)
    assert desk.enter(browser, "staff-inspector").status_code == 403
    assert desk.enter(browser, "staff-agent").status_code == 200
    taken = Roles(**{**values, "by_group": {"group-of-staff-ops": "ops"}})
    for module in ("portal.desk.sign_in", "ledger.staff"):
        monkeypatch.setattr(f"{module}.roles_in_force", lambda: taken)
    assert desk.enter(desk.browser(), "staff-agent").status_code == 403, "the role ended with the group"


def test_a_weak_sign_in_is_none_where_the_house_wants_a_strong_one(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.add("agent")
    for wanted, code in (("urn:two-factors", 403), ("urn:two-factors, sandbox", 200)):
        monkeypatch.setenv("TIDEOVER_OIDC_ACR", wanted)
        settings.cache_clear()
        assert desk.enter(desk.browser(), "staff-agent").status_code == code


def test_without_an_issuer_nobody_signs_in(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEOVER_OIDC_ISSUER")
    settings.cache_clear()
    browser = desk.browser()
    assert "No sign-in is set up" in browser.get("/desk").text
    assert [browser.get(f"/desk/sign-in/{way}").status_code for way in ("go", "back")] == [404, 404]
