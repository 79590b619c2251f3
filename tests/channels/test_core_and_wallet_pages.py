"""docs/core.md and docs/wallet.md are true: the real clients send the requests that they show, signed, and read the answers that they show."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, TypeVar
from uuid import UUID

import pytest

from channels.core_system import CoreAnswer, CoreSystem, NotAnsweredError, Order
from channels.signatures import is_signed
from channels.wallet import Bill, Wallet, WalletAwayError, WalletRefusedError
from config.settings import HOUSE, Settings
from decisions.core_instructions import ANSWERS, KINDS, STATES, problem_of
from decisions.wallet_payments import read_told

KEYS = (("k1", "lantern-example-secret-of-nobody-1"),)
CORE = (HOUSE / "docs" / "core.md").read_text("utf-8")
WALLET = (HOUSE / "docs" / "wallet.md").read_text("utf-8")
T = TypeVar("T")


def examples(page: str) -> list[dict[str, Any]]:
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)\n```", page, re.DOTALL)]


def rows(page: str, first: str) -> list[list[str]]:
    """Cells of the table whose heading begins with this cell."""
    lines = page.split(f"\n| {first} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


class Lender:
    """A lender's server: what it answers next, and what it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: list[tuple[int, object]] = []
        self.asked: list[Any] = []


@contextmanager
def serving() -> Iterator[Lender]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            signature = self.headers.get("Tideover-Signature")
            # As the page has it: a receiver refuses what is not signed over method, target and body.
            good = is_signed(KEYS, method=self.command, target=self.path, body=body, signature=signature, at_seconds=time.time())
            lender.asked.append((self.command, self.path, json.loads(body) if body else None))
            status, said = lender.answers.pop(0) if good else (401, {"error": {"code": "bad_signature"}})
            told = said.encode() if isinstance(said, str) else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        do_GET = do_POST = _answer  # noqa: N815  # the library's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    lender = Lender(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield lender
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module", name="lender")
def a_lender() -> Iterator[Lender]:
    with serving() as found:
        yield found


def own(lender: Lender, keys: str = "k1:lantern-example-secret-of-nobody-1") -> Settings:
    return Settings(core_base_url=lender.url, core_keys=keys, wallet_base_url=lender.url, wallet_keys=keys)


def core(lender: Lender, *answers: tuple[int, object], ask: Callable[[CoreSystem], Awaitable[T]], keys: str | None = None) -> T:
    lender.answers[:] = list(answers)

    async def run() -> T:
        system = CoreSystem(own(lender) if keys is None else own(lender, keys))
        try:
            return await ask(system)
        finally:
            await system.close()

    return asyncio.run(run())


def wallet(lender: Lender, *answers: tuple[int, object], ask: Callable[[Wallet], Awaitable[T]]) -> T:
    lender.answers[:] = list(answers)

    async def run() -> T:
        system = Wallet(own(lender))
        try:
            return await ask(system)
        finally:
            await system.close()

    return asyncio.run(run())


def order() -> Order:
    shown, _ = examples(CORE)
    instants: dict[str, Any] = {name: datetime.fromisoformat(shown[name]) for name in ("asked_at", "accept_by", "apply_by")}
    return Order(token=UUID(shown["key"]), **{**{name: value for name, value in shown.items() if name != "key"}, **instants})


def bill() -> Bill:
    shown = examples(WALLET)[0]
    kept = {name: value for name, value in shown.items() if name not in {"key", "valid_seconds"}}
    return Bill(token=UUID(shown["key"]), **kept)


def test_an_instruction_goes_out_as_the_page_shows_it_and_its_answer_is_read(lender: Lender) -> None:
    shown, answer = examples(CORE)
    one = order()
    assert core(lender, (201, answer), ask=lambda system: system.tell(one)) == CoreAnswer(state="accepted")
    assert lender.asked[-1] == ("POST", "/v1/instructions", shown)
    assert problem_of(one.kind, one.terms, one.relief_minor) is None
    # The same key again, and what is asked afterwards.
    assert core(lender, (200, answer), ask=lambda system: system.tell(one)).state == "accepted"
    assert core(lender, (200, {**answer, "state": "applied"}), ask=lambda system: system.ask(one.token)).state == "applied"
    assert lender.asked[-1][:2] == ("GET", f"/v1/instructions/{shown['key']}")
    never = (404, {"error": {"code": "unknown_key"}})
    assert core(lender, never, ask=lambda system: system.ask(one.token)) == CoreAnswer(state=None)
    refused = {**answer, "state": "refused", "reason": "loan_closed"}
    assert core(lender, (201, refused), ask=lambda system: system.tell(one)) == CoreAnswer(state="refused", reason="loan_closed")
    # Whoever does not know the key is not heard, and does not hear.
    with pytest.raises(NotAnsweredError, match="bad_signature"):
        core(lender, ask=lambda system: system.tell(one), keys="k1:another-secret-of-nobody-at-all-1")


def test_each_row_of_the_cores_errors_is_what_tideover_makes_of_it(lender: Lender) -> None:
    one, seen = order(), 0
    for statuses, codes, becomes in rows(CORE, "HTTP"):
        named = re.findall(r"`(\w+)`", codes)
        for status in map(int, re.findall(r"\d{3}", statuses.replace("5xx", "503"))):
            code = "bad_terms" if codes.startswith("any") else "key_reused" if status == 422 else (named or ["slow_down"])[0]
            answer = (status, {"error": {"code": code}})
            if becomes.startswith("refused"):
                assert core(lender, answer, ask=lambda system: system.tell(one)) == CoreAnswer(state="refused", reason=code), status
            else:
                with pytest.raises(NotAnsweredError):
                    core(lender, answer, ask=lambda system: system.tell(one))
            seen += 1
    assert seen >= 9
    for unreadable in ("no json", {"key": "another"}, {**examples(CORE)[1], "state": "perhaps"}):
        with pytest.raises(NotAnsweredError):
            core(lender, (200, unreadable), ask=lambda system: system.tell(one))


def test_the_cores_page_names_every_kind_state_and_answer() -> None:
    assert [kind for kind in KINDS if f"`{kind}`" not in CORE] == []
    assert {row[0].strip("`") for row in rows(CORE, "state")} == set(STATES)
    assert [state for state in ANSWERS if f"`{state}`" not in CORE] == []
    assert {kind for row in rows(CORE, "kind") for kind in re.findall(r"`(\w+)`", row[0])} == set(KINDS)


def test_a_payment_goes_out_as_the_page_shows_it_and_its_answer_is_read(lender: Lender) -> None:
    shown, answer = examples(WALLET)
    # Led to is an https address; in the sandbox one on loopback, where this test is.
    here = {**answer, "confirm_url": f"{lender.url}/confirm/WP4f1c"}
    one = bill()
    taken = wallet(lender, (201, here), ask=lambda system: system.ask_for(one))
    assert lender.asked[-1] == ("POST", "/v1/payments", shown)
    assert (taken.told, taken.confirm_url) == (read_told(answer), here["confirm_url"])
    with pytest.raises(WalletAwayError, match="unreadable"):
        wallet(lender, (201, answer), ask=lambda system: system.ask_for(one))
    paid = {**answer, "status": "paid", "paid_at": "2026-03-17T16:05:00+00:00"}
    told = wallet(lender, (200, paid), ask=lambda system: system.told_of(one.token))
    assert told == read_told(paid)
    assert told is not None
    assert lender.asked[-1][:2] == ("GET", f"/v1/payments/{shown['key']}")
    assert wallet(lender, (404, {"error": {"code": "unknown_key"}}), ask=lambda system: system.told_of(one.token)) is None
    for status in (400, 413, 422):
        with pytest.raises(WalletRefusedError, match="limit_reached"):
            wallet(lender, (status, {"error": {"code": "limit_reached"}}), ask=lambda system: system.ask_for(one))
    for status, code in ((422, "key_reused"), (401, "bad_signature"), (409, "in_progress"), (500, "broken")):
        with pytest.raises(WalletAwayError):
            wallet(lender, (status, {"error": {"code": code}}), ask=lambda system: system.ask_for(one))


def test_each_status_of_the_wallets_page_is_read() -> None:
    answer = examples(WALLET)[1]
    gone = {"id": "WR1", "amount_minor": 500, "reason": "chargeback", "at": "2026-03-18T09:00:00+00:00"}
    more = {
        "paid": {"paid_at": answer["paid_at"] or "2026-03-17T16:05:00+00:00"},
        "returned": {"return": gone, "paid_at": "2026-03-17T16:05:00+00:00"},
    }
    listed = [status for row in rows(WALLET, "`status`") for status in re.findall(r"`(\w+)`", row[0])]
    assert listed == ["waiting", "paid", "failed", "expired", "returned"]
    for status in listed:
        error = {"error": "declined"} if status in {"failed", "expired"} else {}
        assert read_told({**answer, "status": status, **error, **more.get(status, {})}).status == status
