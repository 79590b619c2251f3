"""Approval codes: who is signed in makes one for herself, and for nobody else.

In:   GET and POST of /desk/codes.
Out:  a one-time code in her own name, in the role that she has, shown once.
Pure: no.
Source: docs/adr/0016, 0054.
"""

from __future__ import annotations

from typing import Final

from starlette import status
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from config.roles import roles_in_force
from ledger import approval_codes
from ledger.approval_codes import CodeRefused
from ledger.engine import connection
from portal.desk.frame import BASE, Asked, Room, desk_page, message, show

PLACE: Final = f"{BASE}/codes"
# Typed into a form within the hour in which it is made: it lies about no longer.
HOURS: Final = 1
RUN_DIGITS_MAX: Final = 15


async def ask(asked: Asked) -> Response:
    """What a code is, and the form."""
    return _page(asked)


async def make(asked: Asked) -> Response:
    """A code, shown once."""
    run = asked.fields.get("run", "").strip()
    role = asked.staff.answers_as(roles_in_force().answers_as.values())
    if role is None:
        return message(asked, "no_right", code=status.HTTP_403_FORBIDDEN)
    if run and not (run.isascii() and run.isdecimal() and len(run) <= RUN_DIGITS_MAX):
        return _page(asked, trouble="code_no_run", code=status.HTTP_422_UNPROCESSABLE_CONTENT)

    def draw() -> str:
        with connection() as tx:
            return approval_codes.make_code(
                tx,
                person=asked.staff.name,
                role=role,
                made_by=f"desk, staff {asked.staff.id}",
                hours=HOURS,
                campaign_run_id=int(run) if run else None,
            )

    try:
        made = await run_in_threadpool(draw)
    except CodeRefused:
        return _page(asked, trouble="code_no_run", code=status.HTTP_422_UNPROCESSABLE_CONTENT)
    return _page(asked, made=made, role=role)


def _page(asked: Asked, *, trouble: str | None = None, code: int = status.HTTP_200_OK, made: str | None = None, role: str = "") -> Response:
    return show(asked, "desk/codes", code=code, trouble=trouble, made=made, role=role)


ROOM: Final = Room(
    name="codes",
    path="codes",
    right="approvals.give",
    routes=(
        Route(PLACE, desk_page(ask, shows_person=False, right="approvals.give"), methods=["GET"]),
        Route(PLACE, desk_page(make, shows_person=False, right="approvals.give"), methods=["POST"]),
    ),
)
