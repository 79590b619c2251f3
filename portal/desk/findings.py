"""What went wrong, what nearly did, and what was left undone on purpose: audits, near misses, incidents, and people left alone.

In:   GET /desk/findings (?from=&to=), /desk/findings/incidents/ID; POST below it.
Out:  pages: counts, rule ids, notes; incidents and their notes.
Pure: no.
Source: docs/compliance-desk.md.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection
from starlette.responses import Response
from starlette.routing import Route

from config.rule_files import rule_packs
from config.settings import settings
from decisions.explain import REASONS
from ledger import audit_results, incidents, restraint
from ledger.decisions_log import find_party
from ledger.incidents import Concerned, IncidentRefused, Selection
from ledger.tables import INCIDENT_KINDS
from portal.desk.frame import BASE, Asked, NotFound, Room, desk_page, go, show
from portal.desk.working import REFUSALS, actor, day_of, in_ledger, refused, today

RIGHT: Final = "audit.see"
WORK: Final = "incidents.work"
# What may be done with an incident, of the kinds of its notes.
STEPS: Final = frozenset({"note", "closed", "reopened"})
DAYS: Final = 14
# A year of counts is a report's work.
DAYS_MAX: Final = 92
AUDITS_SHOWN: Final = 10
NUMBER_MAX: Final = 2**62


async def findings(asked: Asked) -> Response:
    """All of it, of a span of days."""
    wanted, on = asked.request.query_params, today(asked)
    last = day_of(wanted.get("to", ""), on)
    first = day_of(wanted.get("from", ""), last - timedelta(days=DAYS - 1))
    first = min(max(first, last - timedelta(days=DAYS_MAX - 1)), last)

    def read(tx: Connection) -> dict[str, Any]:
        misses = restraint.near_misses(tx, first=first, last=last)
        return {
            "misses": misses,
            "by_rule": restraint.by_rule(misses),
            "restraint": restraint.restraint(tx, first=first, last=last),
            "audits": audit_results.newest(tx, at_most=AUDITS_SHOWN),
            "incidents": incidents.read_all(tx, closed_too=True),
        }

    return show(asked, "desk/findings", first=first, last=last, means=_means(), **await in_ledger(read))


async def incident(asked: Asked) -> Response:
    """One incident, and what was done about it."""
    number = int(asked.request.path_params["incident"])

    def read(tx: Connection) -> dict[str, Any]:
        found = incidents.read(tx, number)
        named = found.selection.get("borrowers", [])
        for party_id in named:
            asked.note(tx, party_id, "incident")
        if not named:
            asked.nobody()
        return {"incident": found, "notes": incidents.notes(tx, number)}

    try:
        values = await in_ledger(read) if number <= NUMBER_MAX else None
    except IncidentRefused as error:
        raise NotFound from error
    if values is None:
        raise NotFound
    return show(asked, "desk/incident", **values)


async def open_one(asked: Asked) -> Response:
    """Open an incident: whom it concerns is counted first; opened is it by the second form, which only then is there."""
    typed = asked.fields
    does = typed.get("step") == "do"

    def work(tx: Connection) -> Concerned | int:
        chosen = _selection(tx, asked)
        if not does:
            return incidents.count(tx, chosen)
        kind, title = typed.get("kind", ""), typed.get("title", "").strip()
        return incidents.open_incident(tx, kind=kind, title=title, by=actor(asked), selection=chosen, at=asked.at)

    try:
        found = await in_ledger(work)
    except REFUSALS as error:
        return _new(asked, trouble=str(error))
    return go(f"findings/incidents/{found}") if isinstance(found, int) else _new(asked, would=found)


async def new(asked: Asked) -> Response:
    """The form for an incident."""
    return _new(asked)


async def note(asked: Asked) -> Response:
    """Something is written down, and perhaps it is over, or open again."""
    number = int(asked.request.path_params["incident"])
    step = asked.fields.get("step", "note")

    def write(tx: Connection) -> None:
        if number > NUMBER_MAX or step not in STEPS:
            raise IncidentRefused(asked.words.say("in_no_step"))
        incidents.lock(tx, number)
        incidents.note(tx, number, said=asked.fields.get("said", ""), by=actor(asked), at=asked.at, kind=step)

    try:
        await in_ledger(write)
    except REFUSALS as error:
        return refused(asked, error)
    return go(f"findings/incidents/{number}")


def _new(asked: Asked, *, trouble: str | None = None, would: Concerned | None = None) -> Response:
    return show(asked, "desk/incident_new", kinds=INCIDENT_KINDS, typed=asked.fields, trouble=trouble, would=would)


def _selection(tx: Connection, asked: Asked) -> Selection:
    """Whom the form chooses.

    Raises:
        IncidentRefused: A number or an instant that is none.
        UnknownBorrowerError: There is no such borrower.
    """
    typed = {name: value.strip() for name, value in asked.fields.items()}

    def number(name: str) -> int | None:
        given = typed.get(name, "")
        if given and not (given.isascii() and given.isdigit() and int(given) <= NUMBER_MAX):
            raise IncidentRefused(asked.words.say("in_bad_number"))
        return int(given) if given else None

    def instant(name: str) -> datetime | None:
        try:
            return datetime.fromisoformat(typed[name]).replace(tzinfo=ZoneInfo(settings().business_zone)) if typed.get(name) else None
        except ValueError:
            raise IncidentRefused(asked.words.say("in_bad_instant")) from None

    named = typed.get("borrowers", "").split()
    return Selection(
        run=number("run"),
        message=typed.get("message") or None,
        version=typed.get("version") or None,
        channel=typed.get("channel") or None,
        since=instant("since"),
        until=instant("until"),
        batch=number("batch"),
        borrowers=tuple(find_party(tx, one) for one in named) or None,
    )


def _means() -> dict[str, str]:
    """Reason or rule → what it says."""
    return {rule.id: rule.says for pack in rule_packs().packs for rule in pack.rules} | dict(REASONS)


ROOM: Final = Room(
    name="findings",
    path="findings",
    right=RIGHT,
    routes=(
        Route(f"{BASE}/findings", desk_page(findings, shows_person=False, right=RIGHT), methods=["GET"]),
        Route(f"{BASE}/findings/incidents/new", desk_page(new, shows_person=False, right=WORK), methods=["GET"]),
        Route(f"{BASE}/findings/incidents/new", desk_page(open_one, shows_person=False, right=WORK), methods=["POST"]),
        Route(f"{BASE}/findings/incidents/{{incident:int}}/note", desk_page(note, shows_person=False, right=WORK), methods=["POST"]),
        Route(f"{BASE}/findings/incidents/{{incident:int}}", desk_page(incident, shows_person=True, right=RIGHT), methods=["GET"]),
    ),
)
