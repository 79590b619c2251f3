"""Codes of the borrower's page: they follow from a key, and tries and codes have an end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import text

from config.portal_files import page_policy
from config.settings import settings
from ledger import page_codes, page_links
from ledger.engine import connection
from ledger.page_codes import Entered, code_of
from ledger.page_links import Link
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sent import Sent

POLICY = page_policy()


def test_codes_are_six_digits_that_only_the_key_gives(keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    del keys
    tokens = [UUID(int=number) for number in range(200)]
    codes = [code_of(token) for token in tokens]
    assert all(len(code) == page_codes.DIGITS and code.isdecimal() for code in codes)
    assert len(set(codes)) > 190
    monkeypatch.setenv("TIDEOVER_INDEX_KEY", "madeup-another")
    settings.cache_clear()
    assert sum(code_of(token) == code for token, code in zip(tokens, codes, strict=True)) < 5


def enter(link: Link, typed: str) -> Entered:
    with connection() as tx:
        return page_codes.enter(tx, link, typed, POLICY)


def do(statement: str, **values: object) -> None:
    with connection() as tx:
        tx.execute(text(statement), values)


def test_tries_and_codes_have_an_end(portfolio: Portfolio, send: Callable[..., Sent]) -> None:
    portfolio.clock(noon("US"))
    sent = send(portfolio.borrower())

    with connection() as tx:
        link = page_links.read(tx, sent.token, POLICY, at=noon("US"))
        assert link is not None
        hers = link
        assert page_codes.may_ask(tx, link.party_id, POLICY)

    def asked() -> str:
        """A code is asked for; what it is."""
        with connection() as tx:
            page_codes.note(tx, hers, business_date=TODAY, attempt_id=sent.attempt_id)
        return code_of(sent.token)

    assert enter(link, "123456") == "over", "none was asked for"
    code = asked()
    wrong = f"{(int(code) + 1) % 10**6:06}"
    assert [enter(link, wrong) for _ in range(POLICY.tries_max)] == ["wrong"] * (POLICY.tries_max - 1) + ["over"]
    assert enter(link, code) == "over", "after five wrong tries the right one is none"

    asked()
    do("UPDATE page_code SET asked_at = asked_at - interval '10 minutes 1 second' WHERE wrong_tries = 0")
    assert enter(link, code) == "over", "after ten minutes"
    asked()
    with connection() as tx:
        assert not page_codes.may_ask(tx, link.party_id, POLICY), "three in an hour"
    assert enter(replace(link, attempt_id=link.attempt_id + 1), code) == "over", "through another link"
    assert [enter(link, code), enter(link, code)] == ["right", "over"]
    do("UPDATE page_code SET wrong_tries = :wrong", wrong=POLICY.wrong_a_day_max)
    asked()
    assert enter(link, code) == "too many"
    do("UPDATE page_code SET asked_at = asked_at - interval '25 hours'")
    asked()
    assert enter(link, code) == "right", "a day later"
