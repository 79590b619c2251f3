"""What a person asks to have done differently for her, on her page: from the closed list, what to do and never why.

In:   her session, a form.
Out:  a page; needs (ledger/needs.py), under the borrower's lock.
Pure: no.
Source: config/needs.yaml; docs/adr/0056.
"""

from __future__ import annotations

from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from config.agents import needs_in_force
from ledger import clock, needs
from ledger.engine import connection
from ledger.page_sessions import Session
from portal.account import guard, inside
from portal.pages import BASE, Asked, go, page, show

BY: Final = "borrower"


async def form(asked: Asked, session: Session) -> Response:
    """What is done differently now, as a form."""
    return await _form(asked, session)


async def saved(asked: Asked, session: Session) -> Response:
    """The same, after it was changed."""
    return await _form(asked, session, said="my_needs_saved")


async def save(asked: Asked, session: Session) -> Response:
    """What she marked is done from now on, and what she took away no more; what she stopped by it stays stopped."""
    marked = [name for name in offered() if f"need_{name}" in asked.fields]

    def write() -> None:
        with connection() as tx:
            at, known = clock.now(tx), {need.name for need in needs.of_party(tx, session.party_id)}
            # What stands already is not said again: it would stop anew what she has allowed since.
            needs.write(tx, session.party_id, [name for name in marked if name not in known], by=BY, at=at)
            for name in offered():
                if name in known and name not in marked:
                    needs.end(tx, session.party_id, name, by=BY, at=at)

    await run_in_threadpool(write)
    return go("needs/saved")


def offered() -> list[str]:
    """Needs that a person may say herself, in the order of the list."""
    return [name for name, need in needs_in_force().items() if need.hers]


async def _form(asked: Asked, session: Session, *, said: str | None = None) -> Response:
    def read() -> set[str]:
        with connection(read_only=True) as tx:
            return {need.name for need in needs.of_party(tx, session.party_id)}

    return show(asked, "needs", guard=guard(asked), said=said, offered=offered(), known=await run_in_threadpool(read))


routes: Final = [
    Route(f"{BASE}/needs", page(inside(form)), methods=["GET"]),
    Route(f"{BASE}/needs", page(inside(save)), methods=["POST"]),
    Route(f"{BASE}/needs/saved", page(inside(saved)), methods=["GET"]),
]
