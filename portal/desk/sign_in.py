"""Signing in at the desks, and out.

In:   GET /desk/sign-in, /desk/sign-in/go (to the issuer), /desk/sign-in/back (from it); POST /desk/sign-out.
Out:  a session for whoever the issuer vouches for and the ledger knows; everybody else reads one page and is counted.
Pure: no.
Source: docs/adr/0052.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import Path
from typing import Final

from sqlalchemy.exc import SQLAlchemyError
from starlette import status
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from config.desk_files import desk_policy_in_force
from config.roles import roles_in_force
from config.settings import settings
from ledger import staff, staff_sessions
from ledger.engine import connection
from portal.desk.frame import (
    BASE,
    SESSION_COOKIE,
    Asked,
    desk_headers,
    desk_page,
    forget,
    go,
    outside,
    remember,
    remember_language,
    words_of,
)
from portal.limits import limits_of
from portal.oidc import Client, IssuerAwayError, Known, SignInRefused, begin, end_at, finish
from portal.web import TEMPLATES, cookie

_log = logging.getLogger(__name__)

# Only while somebody is at the issuer's page.
BEGUN_COOKIE: Final = "tideover_desk_sign_in"
PLACE: Final = f"{BASE}/sign-in"
STYLESHEET: Final = TEMPLATES / "desk" / "desk.css"
SCRIPT: Final = Path(__file__).parents[1] / "static" / "htmx-2.0.10.min.js"
FILE_SECONDS: Final = 3_600
# Why nobody was signed in → how often, since this process began; portal/metrics.py shows it.
refused: Final[Counter[str]] = Counter()


async def ask(request: Request) -> Response:
    """The page with the way to the issuer."""
    return outside(request, "desk/sign_in", ready=_client() is not None, trouble=None)


async def leave(request: Request) -> Response:
    """To the issuer."""
    client, wait = _client(), _wait(request)
    if client is None:
        return _refuse(request, "not_set_up", code=status.HTTP_404_NOT_FOUND)
    if wait is not None:
        return wait
    try:
        address, begun = await run_in_threadpool(begin, client)
    except IssuerAwayError as error:
        _log.error("the issuer of sign-ins cannot be used: %s", error)
        return _refuse(request, "issuer_away", code=status.HTTP_503_SERVICE_UNAVAILABLE)
    response = RedirectResponse(address, status.HTTP_303_SEE_OTHER, headers=desk_headers())
    response.set_cookie(BEGUN_COOKIE, begun, max_age=int(desk_policy_in_force().sign_in.total_seconds()), **cookie(PLACE))
    return response


async def come_back(request: Request) -> Response:
    """From the issuer: in, where the ledger knows her."""
    client, wait = _client(), _wait(request)
    if client is None:
        return _refuse(request, "not_set_up", code=status.HTTP_404_NOT_FOUND)
    if wait is not None:
        return wait
    begun, before = request.cookies.get(BEGUN_COOKIE), request.cookies.get(SESSION_COOKIE)
    seconds = desk_policy_in_force().sign_in.total_seconds()
    try:
        known = await run_in_threadpool(finish, client, begun, dict(request.query_params), seconds_max=seconds)
        secret = await run_in_threadpool(_enter, known, before)
    except SignInRefused as error:
        _count(request, error.because)
        _log.warning("a sign-in was refused: %s", error.because)
        return _refuse(request, "sign_in_refused", code=status.HTTP_403_FORBIDDEN)
    except (IssuerAwayError, SQLAlchemyError) as error:
        _log.error("a sign-in could not be ended (%s)", type(error).__name__)
        return _refuse(request, "issuer_away", code=status.HTTP_503_SERVICE_UNAVAILABLE)
    if secret is None:
        _count(request, "nobody of the staff")
        _log.warning("a sign-in was refused: nobody of the staff")
        return _refuse(request, "not_staff", code=status.HTTP_403_FORBIDDEN, subject=known.subject)
    response = go("")
    response.delete_cookie(BEGUN_COOKIE, **cookie(PLACE))
    remember(response, secret)
    return response


async def sign_out(asked: Asked) -> Response:
    """Her desk is closed, in this browser, and then her session at the issuer, where it has a place for that."""

    def end() -> None:
        with connection() as tx:
            staff_sessions.end(tx, asked.session_id)

    await run_in_threadpool(end)
    there = await run_in_threadpool(_ends_at)
    said = asked.words.say("signed_out" if there is None else "signed_out_there")
    response = outside(asked.request, "desk/sign_in", ready=_client() is not None, trouble=said, there=there)
    if there is not None:
        # A form may not lead to another house (form-action); a page that was loaded may, also without a script.
        response.headers["Refresh"] = f"0; url={there}"
    forget(response)
    return response


async def stylesheet(request: Request) -> Response:
    """The one stylesheet of the desks."""
    del request
    return _file(STYLESHEET, "text/css")


async def script(request: Request) -> Response:
    """The one script, as its authors wrote it."""
    del request
    return _file(SCRIPT, "text/javascript")


def _client() -> Client | None:
    """Our name at the staff's issuer; None where none is set."""
    if not settings().oidc_issuer:
        return None
    return Client(
        issuer=settings().oidc_issuer,
        client_id=settings().oidc_client_id,
        client_secret=settings().oidc_client_secret,
        use="desk",
        back=f"{settings().desk_url or settings().public_url}{PLACE}/back",
        acr=frozenset(filter(None, settings().oidc_acr.replace(" ", "").split(","))),
    )


def _ends_at() -> str | None:
    """Where the session at the issuer ends; None where there is no such place, or the issuer is away: here she is signed out anyway."""
    client = _client()
    try:
        return None if client is None else end_at(client, back=f"{settings().desk_url or settings().public_url}{PLACE}")
    except IssuerAwayError as error:
        _log.warning("a session at the issuer was not ended: %s", error)
        return None


def _enter(known: Known, before: str | None) -> str | None:
    """A session for whoever is one of the staff: the secret of it."""
    roles = roles_in_force()
    with connection() as tx:
        if roles.by_group:
            said = known.claims.get(roles.claim)
            groups = [group for group in said if isinstance(group, str)] if isinstance(said, list) else []
            found = staff.come_by_groups(tx, issuer=known.issuer, subject=known.subject, name=known.name, groups=groups)
        else:
            found = staff.find(tx, known.issuer, known.subject)
        return None if found is None or not found.roles else staff_sessions.begin(tx, found.id, instead_of=before)


def _wait(request: Request) -> Response | None:
    """A page for an address that has tried too often; None where it may go on. One more is counted."""
    limits = limits_of(request)
    for what in ("sign_in", "sign_in_refused"):
        seconds = limits.wait(what, request)
        if seconds is not None:
            response = _refuse(request, "sign_in_wait", code=status.HTTP_429_TOO_MANY_REQUESTS)
            response.headers["Retry-After"] = str(seconds)
            return response
    limits.count("sign_in", request)
    return None


def _count(request: Request, because: str) -> None:
    refused[because] += 1
    limits_of(request).count("sign_in_refused", request)


def _refuse(request: Request, text: str, *, code: int, **gaps: str) -> Response:
    response = outside(request, "desk/sign_in", code=code, ready=_client() is not None, trouble=words_of(request).say(text, **gaps))
    response.delete_cookie(BEGUN_COOKIE, **cookie(PLACE))
    return response


def _file(path: Path, media_type: str) -> Response:
    return Response(_read(path), media_type=media_type, headers=desk_headers() | {"Cache-Control": f"public, max-age={FILE_SECONDS}"})


@lru_cache(maxsize=4)
def _read(path: Path) -> str:
    return path.read_text("utf-8")


def _in_language(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return remember_language(request, await handler(request))

    return answer


routes: Final = [
    Route(f"{BASE}/desk.css", stylesheet, methods=["GET"]),
    Route(f"{BASE}/htmx.js", script, methods=["GET"]),
    Route(PLACE, _in_language(ask), methods=["GET"]),
    Route(f"{PLACE}/go", leave, methods=["GET"]),
    Route(f"{PLACE}/back", come_back, methods=["GET"]),
    Route(f"{BASE}/sign-out", desk_page(sign_out, shows_person=False, right="desk.open"), methods=["POST"]),
]
