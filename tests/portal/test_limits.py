"""An address that guesses has to wait, and nobody else; over HTTP, through what uvicorn believes a proxy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from uuid import uuid4

import pytest
from httpx import Client
from starlette.requests import Request

from config.limits import limits_in_force
from portal.limits import address_of
from tests.plugins.portfolio import Portfolio, noon
from tests.plugins.sent import Sent
from tests.plugins.staff_desk import Desk

GUESSER, OTHER = {"X-Forwarded-For": "203.0.113.5"}, {"X-Forwarded-For": "203.0.113.6"}


@pytest.fixture
def browser(serve_portal: Callable[[], AbstractContextManager[str]]) -> Iterator[Client]:
    with serve_portal() as url, Client(base_url=url, trust_env=False) as client:
        yield client


def link_of(portfolio: Portfolio, send: Callable[..., Sent]) -> str:
    portfolio.clock(noon("US"))
    return f"/b/{send(portfolio.borrower()).token}"


def test_who_guesses_links_has_to_wait_and_nobody_else(
    send: Callable[..., Sent], browser: Client, portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = link_of(portfolio, send)
    times = limits_in_force()["dead_link"].times
    guessed = [browser.get(f"/b/{uuid4()}", headers=GUESSER).status_code for _ in range(times)]
    assert set(guessed) == {404}
    held = browser.get(f"/b/{uuid4()}", headers=GUESSER)
    assert held.status_code == 429
    assert 0 < int(held.headers["retry-after"]) <= 20 * 60
    assert "please try again later" in held.text
    for path in (link, f"{link}/code", "/b/nothing"):
        assert browser.get(path, headers=GUESSER).status_code == 429, "a right one among the guesses tells nothing"
    for path in (link, f"{link}/code", f"{link}/not-me"):
        assert browser.post(path, headers=GUESSER).status_code == 429
    forged = {"X-Forwarded-For": f"198.51.100.7, {GUESSER['X-Forwarded-For']}"}
    assert browser.get(link, headers=forged).status_code == 429, "what the caller wrote in front is worth nothing"
    assert browser.get(link, headers=OTHER).status_code == 200
    assert browser.get("/b/account", headers=GUESSER).status_code == 200, "who has opened a page goes on; the others read that it is closed"
    assert browser.post("/webhooks/twilio/inbound", headers=GUESSER).status_code == 403, "webhooks are signed, and never held back"
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 20 * 60)
    assert browser.get(link, headers=GUESSER).status_code == 200


def test_codes_that_are_asked_for_and_tried_are_counted_by_address_too(
    send: Callable[..., Sent], browser: Client, portfolio: Portfolio
) -> None:
    link = link_of(portfolio, send)
    for path, what in ((link, "code_asked"), (f"{link}/code", "code_entered")):
        answers = [browser.post(path, headers=GUESSER).status_code for _ in range(limits_in_force()[what].times + 1)]  # type: ignore[index]  # the two above
        assert set(answers[:-1]) == {403}, "a form without its guard counts as well"
        assert answers[-1] == 429
        assert browser.post(path, headers=OTHER).status_code == 403
        assert browser.get(path, headers=GUESSER).status_code in {200, 303}, "looking at one's own link goes on"


def test_sign_ins_that_end_in_nothing_lock_the_address_and_nobody_else(desk: Desk) -> None:
    browser, other = desk.browser(), desk.browser()
    browser.headers.update(GUESSER)
    other.headers.update(OTHER)
    times = limits_in_force()["sign_in_refused"].times
    refused = [browser.get("/desk/sign-in/back?state=x&code=y").status_code for _ in range(times + 1)]
    assert refused == [*[403] * times, 429]
    page = browser.get("/desk/sign-in/go")
    assert page.status_code == 429
    assert int(page.headers["retry-after"]) > 0
    desk.add("agent")
    assert desk.enter(other, "staff-agent").status_code == 200


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::9", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("testclient", "testclient"),
        (None, ""),
    ],
)
def test_of_an_address_of_six_the_network_counts(host: str | None, counted: str) -> None:
    scope: dict[str, object] = {"type": "http", "headers": [], "client": None if host is None else (host, 1)}
    assert address_of(Request(scope)) == counted
