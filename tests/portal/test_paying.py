"""Paying on the page: an amount is chosen, the wallet asks once more, its webhook is heard, and nobody is asked for what was paid. Over HTTP."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from httpx import Client, Response

from channels.registry import openers
from config.settings import settings
from gate.lane import run_lane
from gate.wallet import ASKED_ABOUT_AFTER, ask_about_all
from ledger import clock
from ledger.engine import connection
from sandbox.signature import gateway_signature
from tests.plugins.portfolio import BorrowerIds, Portfolio, noon
from tests.plugins.sandbox_process import Sandbox
from tests.plugins.sending import Outbox
from tests.plugins.sent import Sent
from tests.plugins.the_page import Visit, heading, words

NOON = noon("US")


@dataclass
class House(Visit):
    """A portal, a wallet, and a browser."""

    portfolio: Portfolio
    sandbox: Sandbox
    outbox: Outbox

    def payments(self) -> list[dict[str, Any]]:
        """What the wallet has."""
        found: list[dict[str, Any]] = json.loads(self.sandbox.control("GET", "wallet"))["payments"]
        return found

    def paid(self) -> list[tuple[Any, ...]]:
        """What the ledger has."""
        return [
            tuple(row)
            for row in self.outbox.rows("SELECT loan_id, amount_minor, booked FROM payment WHERE superseded_at IS NULL ORDER BY id")
        ]

    def choose(self, borrower: BorrowerIds, which: str, **fields: str) -> Response:
        """Send one of the forms of the page on which she chooses an amount."""
        page = self.get(f"/b/pay/{borrower.loan_id}")
        forms = [one for one in re.findall(r"<form.*?</form>", page.text, re.DOTALL) if f'value="{which}"' in one]
        hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', forms[0]))
        return self.browser.post(f"/b/pay/{borrower.loan_id}", data={**hidden, **fields})

    def confirm(self, page: Response, word: str = "confirm") -> Response:
        """She follows the link to her wallet, and presses a button there; it leads her back."""
        (url,) = re.findall(r'href="(http[^"]*/wallet/confirm/[^"]*)"', page.text)
        assert '<button name="do"' in self.browser.get(url).text
        return self.browser.post(url, data={"do": word})


@pytest.fixture
def house(
    portfolio: Portfolio,
    sandbox: Sandbox,
    outbox: Outbox,
    serve_portal: Callable[[], AbstractContextManager[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[House]:
    given = {
        "TWILIO_BASE_URL": sandbox.url,
        "TWILIO_ACCOUNT_SID": sandbox.account_sid,
        "TWILIO_AUTH_TOKEN": sandbox.auth_token,
        "WALLET_BASE_URL": sandbox.wallet_url,
        "WALLET_KEYS": sandbox.wallet_keys,
        "CALL_SECONDS_MAX": "1",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"TIDEOVER_{name}", value)
    portfolio.clock(NOON)
    sandbox.reset(at=NOON.isoformat())
    portfolio.creditor()
    with serve_portal() as url, Client(base_url=url, trust_env=False, follow_redirects=True) as browser:
        monkeypatch.setenv("TIDEOVER_PUBLIC_URL", url)
        settings.cache_clear()
        sandbox.webhooks(wallet_webhook_url=f"{url}/webhooks/wallet")
        yield House(browser, portfolio, sandbox, outbox)


def test_she_pays_what_is_due_and_the_message_that_was_about_to_leave_does_not(house: House, send: Callable[..., Sent]) -> None:
    borrower = house.portfolio.borrower(account="W-77")
    send(borrower)
    house.open(borrower)
    assert f'href="/b/pay/{borrower.loan_id}"' in house.get("/b/account").text
    page = house.get(f"/b/pay/{borrower.loan_id}")
    assert [one.strip() for one in re.findall(r"<button[^>]*>(.*?)</button>", page.text)] == [
        "Pay what is due: $105.00", "Pay all that is open: $210.00", "Pay this amount",
    ]  # fmt: skip
    assert "autofocus" not in page.text
    asked = house.choose(borrower, "due")
    assert heading(asked) == "Confirm in your wallet"
    assert "A payment of $105.00 waits for you" in words(house.get(f"/b/pay/{borrower.loan_id}"))
    assert house.paid() == [], "no money moved"
    # A message is planned, due and about to leave; then the wallet tells that she paid.
    run = house.outbox.run(stage="mid")
    attempt = house.outbox.plan(run, borrower)
    thanks = house.confirm(asked)
    assert heading(thanks) == "Thank you. Your payment reached us."
    assert run_lane(run, shard=None, channels=openers()).accepted == 0
    assert house.outbox.attempt(attempt)["state"] == "withheld"
    assert house.sandbox.received("sms") == []
    assert house.paid() == [(borrower.loan_id, 10_500, False)]
    account = words(house.get("/b/account"))
    assert "Due and not paid yet $0.00" in account
    assert "(reached us, not in the books yet) $105.00" in account


def test_a_double_click_pays_once_and_a_part_is_a_part(house: House, send: Callable[..., Sent]) -> None:
    borrower = house.portfolio.borrower()
    send(borrower)
    house.open(borrower)
    once = uuid4().hex
    pages = [house.choose(borrower, "part", amount="20.50", once=once) for _ in range(2)]
    assert [heading(page) for page in pages] == ["Confirm in your wallet"] * 2
    assert [one["amount_minor"] for one in house.payments()] == [2_050]
    house.confirm(pages[0])
    house.confirm(house.choose(borrower, "all"))
    assert house.paid() == [(borrower.loan_id, 2_050, False), (borrower.loan_id, 18_950, False)]
    assert "/b/pay/" not in house.get("/b/account").text, "nothing is open, nothing is asked"


def test_what_cannot_be_paid_is_said_and_nothing_moves(house: House, send: Callable[..., Sent]) -> None:
    borrower, stranger = house.portfolio.borrower(), house.portfolio.borrower()
    send(borrower)
    house.open(borrower)
    for typed, says in (
        ("210.01", "The most is $210.00."),
        ("0", "Please write an amount like 105."),
        ("-5", "Please write an amount like 105."),
        ("1.005", "Please write an amount like 105."),
        ("all", "Please write an amount like 105."),
        ("99999999999999999", "Please write an amount like 105."),
    ):
        assert says in words(house.choose(borrower, "part", amount=typed)), typed
    # What she saw is what she pays: a form that was changed, or is old, asks again.
    assert "What is open has changed." in words(house.choose(borrower, "due", minor="1"))
    house.portfolio.payment(borrower.loan_id, 500)
    assert "What is open has changed." in words(house.choose(borrower, "due", minor="10500"))
    assert heading(house.get(f"/b/pay/{stranger.loan_id}")) == "What is open, and why"
    hidden = {"guard": re.findall(r'name="guard" value="(\w+)"', house.get("/b/account").text)[0], "which": "due", "minor": "10500"}
    assert heading(house.browser.post(f"/b/pay/{stranger.loan_id}", data=hidden)) == "What is open, and why"
    assert house.browser.post(f"/b/pay/{borrower.loan_id}", data={**hidden, "guard": "0" * 64}).status_code == 403
    assert house.payments() == []


def test_whatever_the_wallet_does_she_reads_what_is_known(house: House, send: Callable[..., Sent]) -> None:
    borrower = house.portfolio.borrower()
    send(borrower)
    house.open(borrower)
    for fault in ("accept_then_drop", "drop_before_accept", "unavailable"):
        house.sandbox.faults({"fault": fault, "channel": "wallet", "count": 1})
        page = house.choose(borrower, "due")
        # Looked at at once, it is asked for again under its key.
        assert heading(page) == "Confirm in your wallet", fault
    house.sandbox.faults({"fault": "unavailable", "channel": "wallet"})
    assert heading(house.choose(borrower, "due")) == "Your wallet has not answered yet"
    house.sandbox.faults({"fault": "rejected", "code": "declined", "channel": "wallet"})
    assert heading(house.choose(borrower, "due")) == "No money moved"
    house.sandbox.faults()
    assert heading(house.confirm(house.choose(borrower, "due"), "decline")) == "No money moved"
    # A webhook that is lost: she looks, and the wallet is asked.
    house.sandbox.faults({"fault": "callback_lost", "channel": "wallet"})
    thanks = house.confirm(house.choose(borrower, "due"))
    assert heading(thanks) == "Thank you. Your payment reached us."
    assert house.paid() == [(borrower.loan_id, 10_500, False)]
    # Money that goes back is owed again.
    house.sandbox.faults({"fault": "callback_duplicated", "channel": "wallet"})
    (paid,) = [one for one in house.payments() if one["status"] == "paid"]
    house.sandbox.control("POST", "wallet", {"do": "return", "id": paid["id"], "reason": "chargeback"})
    account = words(house.get("/b/account"))
    assert "Due and not paid yet $105.00" in account
    assert "(went back)" in account


def test_what_the_wallet_told_no_end_of_is_asked_about_where_nobody_looks(house: House, send: Callable[..., Sent]) -> None:
    borrower = house.portfolio.borrower()
    send(borrower)
    house.open(borrower)
    house.choose(borrower, "part", amount="10")
    house.sandbox.faults({"fault": "callback_lost", "channel": "wallet"})
    house.sandbox.control("POST", "wallet", {"do": "confirm", "id": house.payments()[0]["id"]})
    house.sandbox.faults({"fault": "drop_before_accept", "channel": "wallet", "count": 2})
    house.choose(borrower, "part", amount="20")
    assert asyncio.run(ask_about_all()) == {}, "its webhook is quicker"
    house.portfolio.clock(NOON + ASKED_ABOUT_AFTER)
    assert asyncio.run(ask_about_all()) == {"paid": 1, "never taken": 1}
    assert asyncio.run(ask_about_all()) == {}
    assert house.paid() == [(borrower.loan_id, 1_000, False)]
    assert [row[0] for row in house.outbox.rows("SELECT state FROM payment_order ORDER BY id")] == ["paid", "failed"]


def test_a_payment_in_the_wallet_itself_counts_and_a_forged_one_does_not(house: House) -> None:
    borrower = house.portfolio.borrower()
    with connection() as tx:
        at = clock.now(tx).isoformat()
    (loan,) = house.outbox.rows("SELECT external_id FROM loan WHERE id = :id", id=borrower.loan_id)[0]
    paid = {"creditor": "lender-US-first_party", "loan": loan, "amount_minor": 10_500, "currency": "USD"}
    event = {
        "type": "payment", "key": None, "id": "WPforged", "status": "paid", "paid_at": at, "error": None, "return": None, **paid,
    }  # fmt: skip
    key_id, secret = house.sandbox.wallet_keys.split(",")[0].split(":")
    core_key_id, core_secret = house.sandbox.core_keys.split(",")[0].split(":")

    def tell(*, key: tuple[str, str] = (key_id, secret), late: int = 0, **changes: Any) -> int:
        body = json.dumps({**event, **changes}).encode()
        header = gateway_signature(key[1], key[0], int(time.time()) - late, method="POST", target="/webhooks/wallet", body=body)
        return house.browser.post("/webhooks/wallet", content=body, headers={"Tideover-Signature": header}).status_code

    refusals = [
        tell(key=(key_id, "another-secret-that-nobody-was-told-of")), tell(key=(core_key_id, core_secret)), tell(late=130),
        tell(type="instruction"), tell(amount_minor=0), tell(loan="loan-of-nobody"),
    ]  # fmt: skip
    assert refusals == [401, 401, 401, 400, 400, 503]
    assert house.paid() == []
    house.sandbox.control("POST", "wallet", {"do": "pay", **paid})
    assert house.paid() == [(borrower.loan_id, 10_500, False)]
    feed = house.sandbox.control("GET", "payments.csv")
    assert house.payments()[0]["id"] in feed, "the lender's books name it as the wallet does"
