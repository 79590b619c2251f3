"""The list of agencies: licences, loans that they have, what they have not acknowledged, what of theirs was against a rule. Reads alone.

In:   GET /desk/agencies.
Out:  a page; codes, dates and counts, nothing of a person.
Pure: no.
Source: docs/agencies.md.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from ledger import agencies as firms
from ledger import agency_feeds, agency_lines, placements
from ledger.engine import connection
from portal.desk.frame import BASE, Asked, Room, desk_page, show

# The newest; the commands show all.
SHOWN_MAX: Final = 200


async def listed(asked: Asked) -> Response:
    """All agencies, and what is with them now."""

    def read() -> dict[str, Any]:
        with connection(read_only=True) as tx:
            return {
                "firms": firms.listed(tx),
                "placed": placements.listed(tx)[:SHOWN_MAX],
                "silent": agency_feeds.late(tx, on=placements.lenders_date(asked.at))[:SHOWN_MAX],
                "findings": agency_lines.findings(tx)[:SHOWN_MAX],
                "today": placements.lenders_date(asked.at),
            }

    return show(asked, "desk/agencies", shown_max=SHOWN_MAX, **await run_in_threadpool(read))


ROOM: Final = Room(
    name="agencies",
    path="agencies",
    right="agencies.see",
    routes=(Route(f"{BASE}/agencies", desk_page(listed, right="agencies.see"), methods=["GET"]),),
)
