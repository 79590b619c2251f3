"""The link that ends emails: one click stops them at the gate; looking at the page, or a program that follows links, stops nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from uuid import UUID, uuid4

import pytest
from httpx import Client
from sqlalchemy import text

from gate.lane import run_lane
from ledger.engine import connection
from tests.plugins.portfolio import BorrowerIds, Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel

ONE_CLICK = "List-Unsubscribe=One-Click"


@pytest.fixture
def sent(portfolio: Portfolio, outbox: Outbox) -> tuple[BorrowerIds, int]:
    """Somebody to whom an email went."""
    portfolio.clock(noon("US"))
    borrower = portfolio.borrower()
    attempt = outbox.plan(outbox.run(), borrower)
    with connection() as tx:
        tx.execute(text("UPDATE attempt SET channel = 'email', submitted_at = :at WHERE id = :id"), {"at": noon("US"), "id": attempt})
    return borrower, attempt


@pytest.fixture
def client(sent: object, serve_portal: Callable[[], AbstractContextManager[str]]) -> Iterator[Client]:
    del sent
    with serve_portal() as url, Client(base_url=url, trust_env=False) as open_client:
        yield open_client


def stops(outbox: Outbox) -> list[tuple[int, str, str]]:
    return [tuple(row) for row in outbox.rows("SELECT party_id, channel, source FROM opt_out WHERE superseded_at IS NULL")]


def click(client: Client, token: UUID) -> int:
    """As a mail program does it (RFC 8058, 3.1)."""
    return client.post(f"/u/{token}", content=ONE_CLICK, headers={"Content-Type": "application/x-www-form-urlencoded"}).status_code


def test_one_click_stops_emails_once(client: Client, sent: tuple[BorrowerIds, int], outbox: Outbox) -> None:
    borrower, attempt = sent
    assert [click(client, outbox.token(attempt)) for _ in range(2)] == [200, 200]
    assert stops(outbox) == [(borrower.party_id, "email", "one_click")]


def test_looking_at_the_page_stops_nothing_and_says_nothing_of_a_debt(
    client: Client, sent: tuple[BorrowerIds, int], outbox: Outbox
) -> None:
    page = client.get(f"/u/{outbox.token(sent[1])}", headers={"Accept-Language": "es-MX,en;q=0.5"})
    assert (page.status_code, stops(outbox)) == (200, [])
    assert '<html lang="es">' in page.text
    assert '<form method="post">' in page.text
    assert "Lantern" not in page.text
    assert page.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("asked", "language"), [("zh-TW", "zh-hant"), ("zh-CN", "zh-hans"), ("fr, en", "en"), ("", "en"), ("en-GB", "en")])
def test_the_page_speaks_the_readers_language(
    client: Client, sent: tuple[BorrowerIds, int], outbox: Outbox, asked: str, language: str
) -> None:
    page = client.get(f"/u/{outbox.token(sent[1])}", headers={"Accept-Language": asked})
    assert f'<html lang="{language}">' in page.text


def test_a_token_of_nothing_that_was_sent_stops_nothing(client: Client, portfolio: Portfolio, outbox: Outbox) -> None:
    unsent = outbox.plan(outbox.run(stage="mid"), portfolio.borrower())
    assert [click(client, token) for token in (uuid4(), outbox.token(unsent))] == [404, 404]
    assert client.post("/u/no-token").status_code == 404
    assert stops(outbox) == []


def test_whoever_clicked_is_not_written_to_again(
    client: Client, sent: tuple[BorrowerIds, int], portfolio: Portfolio, outbox: Outbox
) -> None:
    borrower, attempt = sent
    click(client, outbox.token(attempt))
    point = portfolio.contact_point(borrower.party_id, "email", "nobody@borrower.example")
    run = outbox.run(stage="mid")
    planned = outbox.plan(run, borrower, channel="email")
    with connection() as tx:
        tx.execute(text("SET LOCAL session_replication_role = replica"))  # a row keeps its keys; here the past is made up
        tx.execute(text("UPDATE attempt SET contact_point_id = :point WHERE id = :id"), {"point": point, "id": planned})
        tx.execute(text("SET LOCAL session_replication_role = origin"))
    channel = RecordingChannel("email")
    run_lane(run, shard=None, channels={"email": lambda: channel})
    assert channel.sent == []
    assert "HOUSE-OPTOUT" in outbox.attempt(planned)["permit"]["blocked_by"]
