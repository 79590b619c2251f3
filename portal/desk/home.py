"""The first page of the desks: who I am here, what I may do, where I am signed in.

In:   GET /desk; POST /desk/sessions/end.
Out:  a page; sessions that end.
Pure: no.
"""

from __future__ import annotations

from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from config.desk_files import desk_policy_in_force
from config.roles import roles_in_force
from ledger import staff_sessions
from ledger.engine import connection
from ledger.staff_sessions import Shown
from portal.desk.frame import BASE, Asked, NotFound, Room, desk_page, forget, show, sign_in_first


async def home(asked: Asked) -> Response:
    """Who she is here."""

    def read() -> list[Shown]:
        with connection(read_only=True) as tx:
            return staff_sessions.in_force(tx, asked.staff.id, desk_policy_in_force())

    rights = {right: meaning for right, meaning in roles_in_force().rights.items() if right in asked.staff.rights}
    return show(asked, "desk/home", sessions=await run_in_threadpool(read), here_id=asked.session_id, rights=rights)


async def end_sessions(asked: Asked) -> Response:
    """She is signed in nowhere any more."""

    def end() -> None:
        with connection() as tx:
            staff_sessions.end_all(tx, asked.staff.id)

    await run_in_threadpool(end)
    response = sign_in_first(asked.request)
    forget(response)
    return response


async def nothing(asked: Asked) -> Response:
    """An address that is none."""
    del asked
    raise NotFound


ROOM: Final = Room(
    name="home",
    path="",
    right="desk.open",
    routes=(
        Route(BASE, desk_page(home, shows_person=False, right="desk.open"), methods=["GET"]),
        Route(f"{BASE}/sessions/end", desk_page(end_sessions, shows_person=False, right="desk.open"), methods=["POST"]),
    ),
)
rest: Final = [Route(f"{BASE}/{{rest:path}}", desk_page(nothing, shows_person=False, right="desk.open"), methods=["GET", "POST"])]
