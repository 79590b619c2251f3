"""What the lender's core system and wallet tell us: genuine or refused; applied before it is answered.

What is told takes effect in the transaction that hears it, and only then the answer is 204: whoever is not answered so tells it again,
and a second time it does nothing.

In:   signed POSTs: what became of an instruction (docs/core.md); that money moved (docs/wallet.md).
Out:  rows of the ledger.
Pure: no.
Source: docs/adr/0043, 0045.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError
from starlette import status
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from channels.core_system import reason_of
from config.settings import settings
from decisions.core_instructions import ANSWERS
from decisions.wallet_payments import Told, UnreadableError, read_told
from ledger import clock, core_answers, wallet_payments
from ledger.engine import connection
from portal.webhooks import Refused, answering, signed_event, token_of


async def core(request: Request) -> Response:
    """An instruction came further."""
    event = await signed_event(request, settings().core_keys.get_secret_value(), "instruction", "the core system")
    token, state = token_of(event.get("key")), event.get("state")
    if token is None or state not in ANSWERS:
        raise Refused(status.HTTP_400_BAD_REQUEST, "says nothing")
    await run_in_threadpool(_kept, _hear, token, str(state), reason_of(event.get("reason")))
    return Response(status_code=status.HTTP_204_NO_CONTENT)


def _hear(token: UUID, state: str, reason: str | None) -> None:
    with connection() as tx:
        became = core_answers.hear(tx, token, state, at=clock.now(tx), reason=reason)
    if became == "unknown":
        raise Refused(status.HTTP_404_NOT_FOUND, "no such instruction")


def _kept(work: Any, *given: Any) -> None:
    """Do it, or say that nobody heard, so that it is told again.

    Raises:
        Refused: 503 where the ledger is out of reach.
    """
    try:
        work(*given)
    except SQLAlchemyError as error:
        # The class alone: a database's own words repeat the values.
        raise Refused(status.HTTP_503_SERVICE_UNAVAILABLE, f"not kept: {type(error).__name__}") from None


async def wallet(request: Request) -> Response:
    """Money moved, or did not."""
    event = await signed_event(request, settings().wallet_keys.get_secret_value(), "payment", "the wallet")
    try:
        told = read_told(event)
    except UnreadableError as error:
        # The name of a field, none of its value.
        raise Refused(status.HTTP_400_BAD_REQUEST, str(error)) from None
    await run_in_threadpool(_kept, _pay, told)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


def _pay(told: Told) -> None:
    with connection() as tx:
        became = wallet_payments.hear(tx, told, at=clock.now(tx))
    if became == "unknown_loan":
        # The loan may be in the next import: the wallet tells it again.
        raise Refused(status.HTTP_503_SERVICE_UNAVAILABLE, "a payment for a loan that is not known yet")


routes: Final = [
    Route("/webhooks/core", answering("core", core), methods=["POST"]),
    Route("/webhooks/wallet", answering("wallet", wallet), methods=["POST"]),
]
