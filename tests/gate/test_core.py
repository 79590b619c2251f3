"""What was agreed reaches the core system once, whatever breaks on the way, and what it answers is heard once; over real HTTP."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from httpx import Client
from sqlalchemy import text
from typer.testing import CliRunner

import tideover
from config.core import core_terms
from config.settings import settings
from gate.core import ask_all, deliver, tell_late, with_core_system
from ledger import core_answers
from ledger.core_instructions import Instruction, Wanted, ask, history, read
from ledger.engine import connection
from sandbox.signature import gateway_signature
from tests.plugins.portfolio import BorrowerIds, Portfolio, noon
from tests.plugins.sandbox_process import Sandbox

NOON = noon("US")
SECONDS_MAX = 10
Serve = Callable[[], AbstractContextManager[str]]


@pytest.fixture
def core(portfolio: Portfolio, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """The sandbox as the core system; it is noon in New York on either clock, and nobody hears its webhooks."""
    monkeypatch.setenv("TIDEOVER_CORE_BASE_URL", sandbox.core_url)
    monkeypatch.setenv("TIDEOVER_CORE_KEYS", sandbox.core_keys)
    monkeypatch.setenv("TIDEOVER_CALL_SECONDS_MAX", "1")
    monkeypatch.setenv("TIDEOVER_PUBLIC_URL", "http://127.0.0.1:9")
    settings.cache_clear()
    portfolio.clock(NOON)
    sandbox.step(NOON.isoformat())
    manners(sandbox, later=[])
    yield sandbox
    settings.cache_clear()


@pytest.fixture
def borrower(portfolio: Portfolio) -> BorrowerIds:
    return portfolio.borrower()


def manners(sandbox: Sandbox, **given: Any) -> None:
    sandbox.control("POST", "core", given)


def taken(sandbox: Sandbox) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(sandbox.control("GET", "core"))["instructions"]
    return found


def agreed(borrower: BorrowerIds, kind: str = "waiver") -> Instruction:
    terms: dict[str, Any] = {"component": "fee", "amount_minor": 100} if kind == "waiver" else {"starts_on": "2026-03-18"}
    with connection() as tx:
        number = ask(
            tx,
            Wanted(
                loan_id=borrower.loan_id, party_id=borrower.party_id, kind=kind, terms=terms, relief_minor=100 if kind == "waiver" else 0,
                asked_by="ann", role="agent", key=uuid4().hex,
            ),
        )  # fmt: skip
    return now(number)


def now(number: int) -> Instruction:
    with connection() as tx:
        found = read(tx, number)
    assert found is not None
    return found


def delivered(only: int | None = None) -> Counter[str]:
    return with_core_system(partial(deliver, only=only))


def cases() -> list[str]:
    with connection() as tx:
        return [row.kind for row in tx.execute(text("SELECT kind FROM borrower_case WHERE state <> 'closed' ORDER BY id"))]


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert true()


def test_what_is_agreed_is_applied_by_the_core_system_within_seconds_and_once(
    core: Sandbox, borrower: BorrowerIds, serve_portal: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted: list[int] = []
    monkeypatch.setattr(core_answers, "WHEN_ACCEPTED", {"stop_debit": lambda _tx, one, _at: accepted.append(one.id)})
    with serve_portal() as url:
        monkeypatch.setenv("TIDEOVER_PUBLIC_URL", url)
        settings.cache_clear()
        manners(core, later=["accepted", "applied"])
        core.faults({"fault": "callback_duplicated", "channel": "core"})
        one = agreed(borrower, "stop_debit")
        until(lambda: now(one.id).state == "applied")
        until(lambda: json.loads(core.control("GET", "open"))["posts"] == 0)
    assert accepted == [one.id]
    (there,) = taken(core)
    assert (there["effects"], there["given"]["key"]) == (1, str(one.token))
    assert there["given"]["terms"] == {"starts_on": "2026-03-18"}
    # Its webhook may be quicker than its answer.
    assert [row.kind for row in history_of(one) if row.kind != "delivered"] == ["asked", "queued", "accepted", "applied"]
    assert now(one.id).delivered_at is not None
    # The lender's own ids, and nothing of the person.
    assert "Nobody" not in json.dumps(there)
    assert there["given"]["loan"].startswith("loan-")


def history_of(one: Instruction) -> list[Any]:
    with connection() as tx:
        return history(tx, one.id)


def test_whatever_breaks_it_is_told_again_and_done_once(core: Sandbox, borrower: BorrowerIds) -> None:
    faults: list[dict[str, Any]] = [
        {"fault": "accept_then_drop"},
        {"fault": "accept_then_500"},
        {"fault": "drop_before_accept"},
        {"fault": "unavailable"},
        {"fault": "too_many_requests"},
        {"fault": "delayed_answer", "seconds": 3},
        {"fault": "rejected", "code": "key_reused"},
        {"fault": "rejected", "code": "suspended"},
        {"fault": "rejected", "code": "bad_signature"},
    ]
    for number, fault in enumerate(faults, start=1):
        core.faults({**fault, "channel": "core", "count": 1})
        one = agreed(borrower, "stop_debit")
        assert delivered() == {"not_answered": 1}, fault
        assert now(one.id).state == "queued", fault
        assert delivered() == {}, "not before its time"
        assert delivered(only=one.id) == {"received": 1}, fault
        assert len(taken(core)) == number, fault
        assert delivered(only=one.id) == {}, "what was delivered is not delivered again"


def test_a_refusal_is_a_case_and_a_core_system_that_says_nothing_becomes_one(
    core: Sandbox, borrower: BorrowerIds, portfolio: Portfolio
) -> None:
    manners(core, at_once="refused", reason="loan_written_off")
    refused = agreed(borrower)
    assert delivered() == {"refused": 1}
    assert (now(refused.id).state, now(refused.id).reason_code, cases()) == ("refused", "loan_written_off", ["core_instruction"])
    core.faults({"fault": "unavailable", "channel": "core"})
    silent = agreed(portfolio.borrower())
    assert delivered() == {"not_answered": 1}
    portfolio.clock(NOON + core_terms().accepted["waiver"])
    assert (tell_late(), tell_late()) == (1, 0)
    assert (now(silent.id).state, cases()) == ("late", ["core_instruction"] * 2)
    # Late is not lost: it is still delivered, and what is answered then counts.
    core.faults()
    manners(core, at_once="accepted")
    assert delivered(only=silent.id) == {"accepted": 1}
    assert now(silent.id).state == "accepted"


def test_a_malformed_request_is_refused_and_nobody_tries_it_for_ever(core: Sandbox, borrower: BorrowerIds) -> None:
    core.faults({"fault": "rejected", "code": "invalid_request", "channel": "core"})
    one = agreed(borrower)
    assert delivered() == {"refused": 1}
    assert (now(one.id).reason_code, cases()) == ("invalid_request", ["core_instruction"])


def test_every_night_it_is_asked_what_became_of_all(core: Sandbox, borrower: BorrowerIds) -> None:
    """Webhooks are lost; one is applied there, one refused, one forgotten by a core system that came back from its backup."""
    applied, refused, lost = (agreed(borrower, kind) for kind in ("waiver", "stop_debit", "stop_debit"))
    assert delivered() == {"received": 3}
    core.faults({"fault": "callback_lost", "channel": "core"})
    core.control("POST", "core", {"key": str(applied.token), "state": "applied"})
    core.control("POST", "core", {"key": str(refused.token), "state": "refused", "reason": "no_mandate"})
    core.control("POST", "core", {"forget": str(lost.token)})
    assert [now(one.id).state for one in (applied, refused, lost)] == ["delivered"] * 3
    assert with_core_system(ask_all) == {"applied (moved)": 1, "refused (moved)": 1, "delivered anew": 1}
    assert delivered() == {"received": 1}
    assert with_core_system(ask_all) == {"received (heard before)": 1}
    assert [now(one.id).state for one in (applied, refused, lost)] == ["applied", "refused", "delivered"]
    assert now(refused.id).reason_code == "no_mandate"


def test_two_deliver_at_once_and_it_arrives_once(core: Sandbox, borrower: BorrowerIds) -> None:
    agreed(borrower)
    core.control("POST", "latency", {"latency_ms": 200})

    async def both(system: Any) -> Counter[str]:
        import asyncio  # noqa: PLC0415  # used here alone

        first, second = await asyncio.gather(deliver(system), deliver(system))
        return first + second

    assert with_core_system(both) == {"received": 1}


def test_only_what_the_core_system_signed_lately_is_heard(
    core: Sandbox, borrower: BorrowerIds, serve_portal: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = agreed(borrower)
    monkeypatch.delenv("TIDEOVER_CORE_BASE_URL")
    settings.cache_clear()
    key_id, secret = core.core_keys.split(",")[0].split(":")
    attacks: list[tuple[dict[str, Any], int]] = [
        ({"secret": "another-secret-that-nobody-was-told-of"}, 401),
        ({"late": 130}, 401),
        ({"path": "/webhooks/other"}, 401),
        ({"event": {"state": "done"}}, 400),
        ({"event": {"key": "none"}}, 400),
        ({"event": {"key": str(uuid4())}}, 404),
        ({"event": {"type": "payment"}}, 400),
    ]
    monkeypatch.setenv("TIDEOVER_PUBLIC_URL", "http://127.0.0.1:9")
    with serve_portal() as url, Client(base_url=url, trust_env=False) as client:

        def tell(change: dict[str, Any]) -> int:
            event = {"type": "instruction", "key": str(one.token), "state": "accepted", "reason": None, **change.get("event", {})}
            body = json.dumps(event).encode()
            header = gateway_signature(
                change.get("secret", secret), key_id, int(time.time()) - change.get("late", 0), method="POST",
                target=change.get("path", "/webhooks/core"), body=body,
            )  # fmt: skip
            return client.post("/webhooks/core", content=body, headers={"Tideover-Signature": header}).status_code

        assert [tell(change) for change, _ in attacks] == [code for _, code in attacks]
        assert now(one.id).state == "queued"
        assert tell({}) == tell({}) == 204
    assert now(one.id).state == "accepted"


def test_the_commands_say_how_things_stand_and_what_a_person_decides(core: Sandbox, borrower: BorrowerIds) -> None:
    runner = CliRunner()

    def says(*words: str, code: int = 0) -> str:
        result = runner.invoke(tideover.app, ["core", *words])
        assert result.exit_code == code, result.output
        return result.output

    with connection() as tx:
        number = ask(
            tx,
            Wanted(
                loan_id=borrower.loan_id, party_id=borrower.party_id, kind="waiver", terms={"component": "fee", "amount_minor": 5_000},
                relief_minor=5_000, asked_by="ann", role="agent", key="w",
            ),
        )  # fmt: skip
    assert "needs_approval, gives up 5000 USD" in says("list")
    assert "somebody else approves" in says("approve", str(number), "--by", "Ann", "--role", "supervisor", code=2)
    assert "is queued" in says("approve", str(number), "--by", "sue", "--role", "supervisor")
    assert json.loads(says("list", "--json"))["state"] == "queued"
    assert says("send", str(number)).strip() == "received 1"
    assert "not to be delivered" in says("send", str(number))
    core.control("POST", "core", {"key": str(now(number).token), "state": "accepted"})
    assert json.loads(says("reconcile", "--json")) == {"accepted (moved)": 1}
    shown = says("show", str(number))
    assert "approved, sue (supervisor)" in shown
    assert json.loads(says("show", str(number), "--json"))["history"][-1]["kind"] == "accepted"
    core.faults({"fault": "list_unavailable", "channel": "core"})
    assert "not answered 1" in says("reconcile", code=1)
    assert "waits for no approval" in says("reject", str(number), "--by", "sue", "--role", "supervisor", code=2)
    assert "no state" in says("list", "--state", "lost", code=2)
    assert "no instruction 999" in says("show", "999", code=2)
