"""The supervisor's desk: what waits, who calls how much, which call-backs are missed, certificates that end; talks that she looks at.

An agent reads here how her own talks were seen. Nobody looks at her own, and nobody chooses which talks are looked at.

In:   GET and POST below /desk/team and /desk/talks.
Out:  pages; scores.
Pure: no.
Source: docs/adr/0058.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection
from starlette import status
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from config.agents import rubric_in_force
from config.settings import settings
from decisions.agents import is_on_shift
from gate.dial import calls_possible
from ledger import agent_figures, agent_reads, agents, call_quality, call_queue, erasures
from ledger.call_quality import WEEK, ScoreRefused, Talk
from ledger.engine import connection
from ledger.staff import Staff
from portal.desk.frame import BASE, Asked, NotFound, Room, desk_page, go, show
from portal.pages import local_day

DAY: Final = timedelta(days=1)
CERTIFICATES_SOON: Final = timedelta(days=30)
NOTE_MAX: Final = 1_000
VIEW: Final = "talk looked at"


async def team(asked: Asked) -> Response:
    """How the phone team stands."""
    zone, at = settings().business_zone, asked.at
    week = _week(asked, local_day(at, zone))

    def read() -> dict[str, Any]:
        began = datetime.combine(local_day(at, zone), time(), ZoneInfo(zone))
        with connection(read_only=True) as tx:
            everybody = agents.everybody(tx)
            loads = agent_figures.load(tx, since=began)
            rubric = rubric_in_force()
            return {
                "waiting": agent_figures.waiting(tx, at=at),
                "possible": calls_possible(tx, at=at),
                "open": call_queue.counts_open(tx),
                "people": [(one, is_on_shift(one.shifts, at), loads.get(one.id)) for one in everybody],
                "owed": agent_figures.owed(tx, until=at + DAY),
                "ending": [
                    (one, held) for one in everybody for held in one.certificates if held.valid_until <= at.date() + CERTIFICATES_SOON
                ],
                "samples": call_quality.drawn(
                    tx, week, talks_a_week=rubric.talks_a_week, staff_id=asked.staff.id, scored_by=_signed(asked.staff)
                ),
                "week": week,
                "before": (week - WEEK).isoformat(),
                "after": (week + WEEK).isoformat() if week + WEEK <= local_day(at, zone) else None,
            }

    return show(asked, "desk/team", **await run_in_threadpool(read))


async def talk(asked: Asked) -> Response:
    """One talk, and how it was."""
    return await _talk(asked)


async def score(asked: Asked) -> Response:
    """How she saw it is written down."""
    rubric = rubric_in_force()
    typed = {point.name: asked.fields.get(f"point_{point.name}", "") for point in rubric.points}

    def write() -> None:
        with connection() as tx:
            found = _found(tx, asked)
            if not all(given.isascii() and given.isdigit() for given in typed.values()):
                raise ScoreRefused("scores")
            call_quality.score(
                tx,
                found,
                rubric,
                {name: int(given) for name, given in typed.items()},
                staff_id=asked.staff.id,
                scored_by=_signed(asked.staff),
                note=asked.fields.get("note", "").strip()[:NOTE_MAX],
                at=asked.at,
            )

    try:
        await run_in_threadpool(write)
    except ScoreRefused:
        return await _talk(asked, trouble=True, code=status.HTTP_422_UNPROCESSABLE_CONTENT)
    return go("team")


async def own(asked: Asked) -> Response:
    """How an agent's own talks were seen."""

    def read() -> dict[str, Any]:
        with connection(read_only=True) as tx:
            agent = agents.find_of_staff(tx, asked.staff.id)
            return {"agent": agent, "scores": [] if agent is None else call_quality.of_agent(tx, agent.id)}

    return show(asked, "desk/talks", rubric=rubric_in_force(), **await run_in_threadpool(read))


async def _talk(asked: Asked, *, trouble: bool = False, code: int = status.HTTP_200_OK) -> Response:
    def read() -> dict[str, Any]:
        with connection() as tx:
            found = _found(tx, asked)
            asked.note(tx, found.party_id, VIEW)
            return {"talk": found, "understood": agent_reads.said_in_call(tx, (found.business_date, found.attempt_id))}

    values = await run_in_threadpool(read)
    return show(asked, "desk/talk", code=code, rubric=rubric_in_force(), trouble=trouble, typed=asked.fields, **values)


def _found(tx: Connection, asked: Asked) -> Talk:
    """The talk of the address, if she may look at it.

    Raises:
        NotFound: There is none, it is her own, or it was with somebody who asked to be forgotten.
    """
    try:
        day = date.fromisoformat(asked.request.path_params["day"])
    except ValueError:
        raise NotFound from None
    found = call_quality.read(tx, day, asked.request.path_params["attempt"])
    if found is None or found.staff_id == asked.staff.id or erasures.is_restricted(tx, found.party_id):
        raise NotFound
    return found


def _week(asked: Asked, today: date) -> date:
    """The Monday of the week that is asked for, or of the present one."""
    try:
        on = date.fromisoformat(asked.request.query_params.get("week", ""))
    except ValueError:
        on = today
    on = min(on, today)
    return on - timedelta(days=on.weekday())


def _signed(staff: Staff) -> str:
    """As scores name her: two may have one name."""
    return f"{staff.name} ({staff.id})"


ROOM: Final = Room(
    name="team",
    path="team",
    right="calls.supervise",
    routes=(
        Route(f"{BASE}/team", desk_page(team, shows_person=False, right="calls.supervise"), methods=["GET"]),
        Route(f"{BASE}/team/talks/{{day}}/{{attempt:int}}", desk_page(talk, shows_person=True, right="calls.supervise"), methods=["GET"]),
        Route(f"{BASE}/team/talks/{{day}}/{{attempt:int}}", desk_page(score, shows_person=True, right="calls.supervise"), methods=["POST"]),
        Route(f"{BASE}/talks", desk_page(own, shows_person=False, right="calls.work"), methods=["GET"]),
    ),
)
