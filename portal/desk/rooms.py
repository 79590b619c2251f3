"""All desks, in the order of the menu. A new desk is a file beside this one with a `ROOM`, and a line here.

In:   the desks' files.
Out:  `ROOMS`, and the routes of all of them.
Pure: yes; declares.
"""

from __future__ import annotations

from typing import Final

from starlette.routing import Route

from portal.desk import agencies, agent, approvals, cases, codes, evidence, findings, home, inspect, packs, people, sign_in, team, what_if

ROOMS: Final = (
    home.ROOM,
    cases.ROOM,
    people.ROOM,
    what_if.ROOM,
    packs.ROOM,
    approvals.ROOM,
    codes.ROOM,
    evidence.ROOM,
    findings.ROOM,
    agent.ROOM,
    team.ROOM,
    agencies.ROOM,
    inspect.ROOM,
)
# The last one of all is the page for addresses that are none.
routes: Final[list[Route]] = [*sign_in.routes, *(route for room in ROOMS for route in room.routes), *home.rest]
