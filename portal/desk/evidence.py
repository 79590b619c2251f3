"""Evidence at a desk: exported for an attempt, a person or a day as one archive, and an archive that somebody hands in, checked.

In:   GET /desk/evidence; POST /desk/evidence/export, /desk/evidence/check (with a file).
Out:  a ZIP of the folders that `tideover evidence` writes; a page that names what does not match. Whose evidence is taken is noted.
Pure: no.
Source: docs/compliance-desk.md, docs/adr/0061.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from gate.evidence import gather
from ledger import person_contacts
from ledger.decisions_log import find_party
from ledger.engine import connection
from ledger.evidence_bundle import ATTEMPTS_MAX, PACKED_BYTES_MAX, BundleRefused, Checked, checked, contradictions, packed
from portal.desk.frame import BASE, Asked, Room, desk_page, show
from portal.desk.working import REFUSALS, day_of, in_ledger, today
from portal.uploads import handed_out

RIGHT: Final = "evidence.export"
NUMBER_MAX: Final = 2**62


async def form(asked: Asked) -> Response:
    """What can be exported, and a place for what is to be checked."""
    return _page(asked)


async def export(asked: Asked) -> Response:
    """An archive; every person whose evidence is in it is noted."""
    words = asked.fields.get("with_text") == "yes"

    def choose(tx: Connection) -> list[int]:
        found = _chosen(tx, asked)
        for party_id in sorted(set(person_contacts.party_of(tx, found).values())):
            asked.note(tx, party_id, "evidence with words" if words else "evidence")
        return found

    def pack(attempts: Sequence[int]) -> bytes:
        dossiers = (gather(one, with_text=words) for one in attempts)
        return packed((one.told, one.bodies) for one in dossiers)

    try:
        attempts = await in_ledger(choose)
        content = await run_in_threadpool(pack, attempts)
    except REFUSALS as error:
        asked.nobody()
        return _page(asked, trouble=str(error))
    return handed_out(content, name=f"evidence-{attempts[0]}-to-{attempts[-1]}.zip", media_type="application/zip")


async def check(asked: Asked) -> Response:
    """What an archive says, against itself and against this ledger."""
    if not asked.files:
        return _page(asked, trouble=asked.words.say("co_no_file"))

    def look() -> list[tuple[Checked, list[str]]]:
        found = checked(asked.files[0])
        with connection(read_only=True) as tx:
            return [(one, contradictions(tx, one)) for one in found]

    try:
        results = await run_in_threadpool(look)
    except REFUSALS as error:
        return _page(asked, trouble=str(error))
    return _page(asked, results=results)


def _chosen(tx: Connection, asked: Asked) -> list[int]:
    """Attempts that are named, of a person, or of a day; the earliest first."""
    fields = asked.fields
    named, borrower, day = (fields.get(name, "").strip() for name in ("attempt", "borrower", "day"))
    if named:
        number = int(named) if named.isascii() and named.isdigit() else 0
        found = [number] if 0 < number < NUMBER_MAX and person_contacts.party_of(tx, [number]) else []
    elif borrower:
        on = day_of(day, today(asked)) if day else None
        found = person_contacts.attempts_of(tx, find_party(tx, borrower), on=on, at_most=ATTEMPTS_MAX + 1)
    elif day:
        found = person_contacts.attempts_on(tx, day_of(day, today(asked)), at_most=ATTEMPTS_MAX + 1)
    else:
        raise BundleRefused("name an attempt, a person or a day")
    if not found:
        raise BundleRefused("there is no such attempt")
    if len(found) > ATTEMPTS_MAX:
        raise BundleRefused(f"these are more than {ATTEMPTS_MAX} attempts: name a person or an attempt, or use `tideover evidence`")
    return found


def _page(asked: Asked, *, trouble: str | None = None, results: list[tuple[Checked, list[str]]] | None = None) -> Response:
    typed = {name: asked.fields.get(name, "") for name in ("attempt", "borrower", "day")}
    if not any(typed.values()):
        typed["attempt"] = "".join(sign for sign in asked.request.query_params.get("attempt", "") if sign.isdigit() and sign.isascii())
    return show(asked, "desk/evidence", trouble=trouble, results=results, typed=typed, at_most=ATTEMPTS_MAX)


ROOM: Final = Room(
    name="evidence",
    path="evidence",
    right=RIGHT,
    routes=(
        Route(f"{BASE}/evidence", desk_page(form, shows_person=False, right=RIGHT), methods=["GET"]),
        Route(f"{BASE}/evidence/export", desk_page(export, shows_person=True, right=RIGHT), methods=["POST"]),
        Route(
            f"{BASE}/evidence/check", desk_page(check, right=RIGHT, shows_person=False, file_bytes_max=PACKED_BYTES_MAX), methods=["POST"]
        ),
    ),
)
