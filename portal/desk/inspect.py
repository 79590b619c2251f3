"""The inspector's desk: draw a sample by a seed, and read what each contact of it rests on. It writes the log of looks alone.

In:   GET /desk/inspect, with the definition of a sample in its address (a seed, dates, words of ours); GET /desk/inspect/DATE/ID.
Out:  pages; whoever may see a person also reads what was said to her.
Pure: no.
Source: docs/inspect.md; docs/adr/0063.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, Final

from starlette import status
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from decisions.words import CHANNELS, RESULTS
from gate.inspect import Look, look_in
from ledger.engine import connection
from ledger.inspections import SIZE_MAX, InspectionRefused, Population, Sample, inspected, known_now, sample
from ledger.placements import lenders_date
from portal.desk.frame import BASE, Asked, NotFound, Room, desk_headers, desk_page, show

RIGHT: Final = "inspect.sample"
PLACE: Final = f"{BASE}/inspect"
SIZE: Final = 50
DAYS: Final = timedelta(days=30)
SEED_MAX: Final = 100


async def draw(asked: Asked) -> Response:
    """The form, and where it was filled in the sample; as a file of lines where that is asked for."""
    given = {name: value.strip() for name, value in asked.request.query_params.items() if name in _FIELDS}
    if not given.get("seed"):
        today = lenders_date(asked.at)
        given = {"since": (today - DAYS).isoformat(), "until": today.isoformat(), "size": str(SIZE)} | given
        return _page(asked, given)
    try:
        found = await run_in_threadpool(_draw, given)
    except (InspectionRefused, ValueError):
        return _page(asked, given, trouble="inspect_refused", code=status.HTTP_422_UNPROCESSABLE_CONTENT)
    if given.get("as") == "lines":
        return PlainTextResponse("".join(f"{line}\n" for line in found.lines()), headers=desk_headers())
    return _page(asked, given | {"known_at": found.population.known_at.isoformat()}, found)


async def look(asked: Asked) -> Response:
    """A contact and what it rests on; that she looked is noted."""
    try:
        on = date.fromisoformat(asked.request.path_params["day"])
    except ValueError:
        raise NotFound from None
    event = asked.request.path_params["event"]
    may_read = "person.see" in asked.staff.rights

    def read() -> Look:
        with connection(archive=True) as tx:
            asked.note(tx, inspected(tx, on, event).event["party_id"], "inspect contact")
            return look_in(tx, on, event, with_words=may_read)

    try:
        found = await run_in_threadpool(read)
    except InspectionRefused:
        raise NotFound from None
    return show(asked, "desk/inspect_contact", look=found, event=found.found.event, may_read=may_read)


_FIELDS: Final = frozenset({"seed", "since", "until", "size", "jurisdiction", "channel", "outcome", "known_at", "as"})


def _draw(given: dict[str, str]) -> Sample:
    with connection(read_only=True, archive=True) as tx:
        known_at = datetime.fromisoformat(given["known_at"]) if given.get("known_at") else known_now(tx)
        if known_at.tzinfo is None:
            raise InspectionRefused("an instant has its offset")
        population = Population(
            since=date.fromisoformat(given.get("since", "")),
            until=date.fromisoformat(given.get("until", "")),
            jurisdiction=given.get("jurisdiction") or None,
            channel=given.get("channel") or None,
            outcome=given.get("outcome") or None,
            known_at=known_at,
        )
        return sample(tx, population, size=int(given.get("size", "")), seed=given["seed"][:SEED_MAX])


def _page(asked: Asked, given: dict[str, str], found: Sample | None = None, *, trouble: str | None = None, code: int = 200) -> Response:
    values: dict[str, Any] = {
        "given": dict.fromkeys(_FIELDS, "") | given,
        "found": found,
        "trouble": trouble,
        "channels": CHANNELS,
        "outcomes": RESULTS,
    }
    return show(asked, "desk/inspect", code=code, size_max=SIZE_MAX, seed_max=SEED_MAX, **values)


ROOM: Final = Room(
    name="inspect",
    path="inspect",
    right=RIGHT,
    routes=(
        Route(PLACE, desk_page(draw, shows_person=False, right=RIGHT), methods=["GET"]),
        Route(f"{PLACE}/{{day}}/{{event:int}}", desk_page(look, shows_person=True, right=RIGHT), methods=["GET"]),
    ),
)
