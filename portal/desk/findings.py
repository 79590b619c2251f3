"""What went wrong, what nearly did, and what was left undone on purpose: audits, near misses, incidents, and people left alone.

In:   GET /desk/findings (?from=&to=), /desk/findings/incidents/ID.
Out:  pages: counts, rule ids, notes; no person.
Pure: no; reads.
Source: docs/compliance-desk.md.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection
from starlette.responses import Response
from starlette.routing import Route

from config.rule_files import rule_packs
from decisions.explain import REASONS
from ledger import audit_results, incidents, restraint
from ledger.incidents import IncidentRefused
from portal.desk.frame import BASE, Asked, NotFound, Room, desk_page, show
from portal.desk.working import day_of, in_ledger, today

RIGHT: Final = "audit.see"
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


def _means() -> dict[str, str]:
    """Reason or rule → what it says."""
    return {rule.id: rule.says for pack in rule_packs().packs for rule in pack.rules} | dict(REASONS)


ROOM: Final = Room(
    name="findings",
    path="findings",
    right=RIGHT,
    routes=(
        Route(f"{BASE}/findings", desk_page(findings, shows_person=False, right=RIGHT), methods=["GET"]),
        Route(f"{BASE}/findings/incidents/{{incident:int}}", desk_page(incident, shows_person=True, right=RIGHT), methods=["GET"]),
    ),
)
