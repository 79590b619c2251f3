"""What was agreed goes to the core system, and what it says comes back: delivery, the nightly question, and what is late.

It reaches no person and needs no permit; it stands here because only this room sees both the ledger and the channels (docs/adr/0043).

In:   the core system's client.
Out:  states and effects (ledger/core_answers.py), and counts of what happened.
Pure: no. Any number of processes may do it at once: each instruction is one's at a time, and its key is good for one effect.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

from channels.core_system import CoreAnswer, CoreSystem, NotAnsweredError, Order
from config.core import core_terms_in_force
from config.settings import settings
from ledger import clock, core_answers, core_outbox
from ledger.core_outbox import Due
from ledger.engine import connection

_log = logging.getLogger(__name__)
# So many at a time; each is a call of its own.
CHUNK: Final = 8
CALLBACK: Final = "/webhooks/core"
# Of one run: a core system that is away is not asked a thousand times.
GIVES_UP_AFTER: Final = 3


async def deliver(system: CoreSystem, *, only: int | None = None) -> Counter[str]:
    """Deliver what is due, until nothing is.

    Args:
        system: Its client; one loop's.
        only: One instruction alone.

    Returns:
        What the core system said → how often; `not_answered` where it did not.
    """
    became: Counter[str] = Counter()
    while taken := await asyncio.to_thread(_take, only):
        became.update(await asyncio.gather(*(_deliver(system, one) for one in taken)))
        if only is not None or became["not_answered"] >= GIVES_UP_AFTER:
            break
    return became


async def ask_all(system: CoreSystem) -> Counter[str]:
    """Ask of everything that the core system has and has not ended; what it never had is delivered anew."""
    became: Counter[str] = Counter()
    for number, token in await asyncio.to_thread(_to_ask):
        try:
            answer = await system.ask(token)
        except NotAnsweredError as error:
            _log.warning("the core system does not say what became of instruction %d (%s)", number, error.code)
            became["not_answered"] += 1
            if became["not_answered"] >= GIVES_UP_AFTER:
                break
            continue
        became[await asyncio.to_thread(_asked, number, token, answer)] += 1
    return became


def tell_late() -> int:
    """Open the cases of what was not accepted, or not applied, in time; how many are told now."""
    with connection() as tx:
        at = clock.now(tx)
        late = core_answers.overdue(tx, at)
    told = 0
    for number in late:
        # One transaction each, so that no lock is held over many people.
        with connection() as tx:
            told += core_answers.tell_late(tx, number, at=at)
    return told


def with_core_system(work: Callable[[CoreSystem], Awaitable[Counter[str]]]) -> Counter[str]:
    """Do something with the core system's client, for whoever has no loop.

    Raises:
        NoCoreSystemError: There is none.
        ForbiddenHost: Its address is not one of this mode.
    """

    async def run() -> Counter[str]:
        system = CoreSystem(settings())
        try:
            return await work(system)
        finally:
            await system.close()

    return asyncio.run(run())


def _take(only: int | None) -> list[Due]:
    with connection() as tx:
        return core_outbox.take_due(tx, at_most=CHUNK, only=only)


def _to_ask() -> list[tuple[int, UUID]]:
    with connection() as tx:
        return core_outbox.to_ask(tx)


async def _deliver(system: CoreSystem, one: Due) -> str:
    try:
        answer = await system.tell(_order(one))
    except NotAnsweredError as error:
        _log.warning("instruction %d was not answered (%s), try %d", one.id, error.code, one.tries)
        await asyncio.to_thread(_put_off, one, error.code)
        return "not_answered"
    await asyncio.to_thread(_hear, one.token, answer)
    return str(answer.state)


def _order(one: Due) -> Order:
    return Order(
        token=one.token,
        kind=one.kind,
        creditor=one.creditor,
        loan=one.loan,
        party=one.party,
        currency=one.currency,
        relief_minor=one.relief_minor,
        terms=one.terms,
        asked_at=one.asked_at,
        accept_by=one.accept_by,
        apply_by=one.apply_by,
        callback_url=settings().public_url + CALLBACK,
    )


def _put_off(one: Due, why: str) -> None:
    with connection() as tx:
        core_outbox.put_off(tx, one, seconds=core_terms_in_force().retry_after(one.tries), why=why, at=clock.now(tx))


def _hear(token: UUID, answer: CoreAnswer) -> str:
    with connection() as tx:
        return core_answers.hear(tx, token, str(answer.state), at=clock.now(tx), reason=answer.reason)


def _asked(number: int, token: UUID, answer: CoreAnswer) -> str:
    if answer.state is not None:
        return f"{answer.state} ({_hear(token, answer).replace('_', ' ')})"
    with connection() as tx:
        anew = core_outbox.never_had(tx, number, clock.now(tx))
    # What was accepted and is unknown now: nothing is done twice on its word; it is late one day, and a case.
    return "delivered anew" if anew else "unknown there"
