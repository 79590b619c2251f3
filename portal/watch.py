"""What machines ask the portal: is it alive, is it ready, how do the figures stand.

`/health` is about this process alone and never about the database: whoever restarts what is unhealthy must not restart every
portal because the database is away. `/ready` is about what an answer needs. `/metrics` is for who may see it: whoever has the token, or
where none is set, this machine.

In:   HTTP.
Out:  JSON, or Prometheus' text. Counts only.
Pure: no; reads the ledger.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any, Final, TypeVar

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from starlette import status
from starlette.responses import JSONResponse

from config.settings import settings
from ledger import inbox, schema
from ledger.embedded import EmbeddedDatabaseError
from ledger.engine import connection
from portal import limits, metrics, webhooks
from portal.desk import sign_in

# Whoever comes through a proxy comes from elsewhere, whatever address the proxy has.
FORWARDED: Final = ("x-forwarded-for", "forwarded", "x-real-ip")
BEARER: Final = "Bearer "
ASK_SECONDS_MAX: Final = 3.0

T = TypeVar("T")

router = APIRouter()
_registry: Final = metrics.registry(webhooks.refused, sign_ins=sign_in.refused, held=limits.held)


@router.get("/health")
async def health(request: Request) -> JSONResponse:
    """Whether this process works, how much waits in the inbox (null: the ledger is away), what was refused. 503 = restart it."""
    stopped = _stopped(request)
    waiting, _ = await _ask(inbox.counts_waiting)
    told = {
        "status": "ok" if not stopped else f"stopped: {', '.join(stopped)}",
        "mode": settings().mode,
        "inbox_waiting": waiting,
        "refused": dict(webhooks.refused),
    }
    return JSONResponse(told, status.HTTP_503_SERVICE_UNAVAILABLE if stopped else status.HTTP_200_OK)


@router.get("/ready")
async def ready(request: Request) -> JSONResponse:
    """Whether what is said to this process would be kept and applied: ledger, migrations, inbox. 503 = send nobody here."""
    behind, trouble = await _ask(lambda tx: schema.is_behind(schema.revision(tx)))
    stopped = _stopped(request)
    checks = {
        "ledger": "ok" if trouble is None else f"away ({trouble})",
        "migrations": "not known" if behind is None else "behind: run `tideover migrate`" if behind else "ok",
        "inbox": f"stopped: {', '.join(stopped)}" if stopped else "ok",
    }
    return JSONResponse(checks, status.HTTP_200_OK if set(checks.values()) == {"ok"} else status.HTTP_503_SERVICE_UNAVAILABLE)


@router.get("/metrics")
def figures(request: Request) -> Response:
    """Figures for Prometheus; 404 for who may not see them, as if there were none."""
    if not _may_see(request):
        return Response(status_code=status.HTTP_404_NOT_FOUND)
    return Response(generate_latest(_registry), media_type=CONTENT_TYPE_LATEST)


def _may_see(request: Request) -> bool:
    token = settings().metrics_token.get_secret_value()
    if token:
        given = request.headers.get("authorization", "")
        return given.startswith(BEARER) and hmac.compare_digest(given.removeprefix(BEARER).encode(), token.encode())
    host = request.client.host if request.client else ""
    return _is_loopback(host) and not any(name in request.headers for name in FORWARDED)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


async def _ask(question: Callable[[Connection], T]) -> tuple[T | None, str | None]:
    """What the ledger answers, or what kind of trouble it is; whoever probes must not wait for a database that does not answer."""

    def ask() -> T:
        with connection() as tx:
            return question(tx)

    try:
        return await asyncio.wait_for(asyncio.to_thread(ask), ASK_SECONDS_MAX), None
    except (SQLAlchemyError, EmbeddedDatabaseError, TimeoutError) as error:
        # What the database says may hold its address; what kind of trouble it is does not.
        return None, type(error).__name__


def _stopped(request: Request) -> list[str]:
    """Which of the works that run beside the answers have ended."""
    works: Mapping[str, Any] = request.app.state.works
    return [name for name, work in works.items() if work.done()]
