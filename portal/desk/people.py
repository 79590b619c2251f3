"""The compliance desk's people: found by any value they were ever contacted by, and all that was done, and not done, about one.

What is looked for is never in an address: it is sent as a form, with a reason, and each person who is found is noted with it. Values are
shown hidden.

In:   GET /desk/people; POST /desk/people (a value, a reason); GET /desk/people/ID and the contacts below it.
Out:  pages. Every look is noted.
Pure: no.
Source: docs/compliance-desk.md, docs/adr/0060.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from config.agents import needs_in_force
from gate.evidence import gather
from ledger import call_words, case_lists, needs, page_reads, person_contacts, person_search
from ledger.person_search import FOUND_MAX, Found
from portal.desk.frame import BASE, Asked, NotFound, Room, desk_page, go, show
from portal.desk.working import REFUSALS, actor, in_ledger, refused, today

RIGHT: Final = "person.search"
# A reason of a letter or two explains nothing.
REASON_CHARACTERS_MIN: Final = 5
NUMBER_MAX: Final = 2**62


async def ask(asked: Asked) -> Response:
    """The form."""
    return _form(asked)


async def search(asked: Asked) -> Response:
    """Whoever has or had what was typed."""
    typed, why = asked.fields.get("value", "").strip(), " ".join(asked.fields.get("why", "").split())
    if not typed or len(why) < REASON_CHARACTERS_MIN:
        asked.nobody()
        return _form(asked, trouble=asked.words.say("co_search_incomplete"))

    def find(tx: Connection) -> tuple[Found, ...]:
        found = person_search.search(tx, typed)
        for one in found:
            asked.note(tx, one.party_id, "search", why)
        if not found:
            asked.nobody()
        return found

    return _form(asked, found=await in_ledger(find))


async def person(asked: Asked) -> Response:
    """One person: how things stand, her cases, every contact and every day on which she was left alone."""
    party_id = _number(asked, "party")

    def read(tx: Connection) -> dict[str, Any] | None:
        if not person_search.exists(tx, party_id):
            return None
        asked.note(tx, party_id, "person")
        return {
            "name": call_words.names(tx, [party_id]).get(party_id),
            "person": page_reads.person(tx, party_id),
            "standing": page_reads.standing(tx, party_id, at=asked.at),
            "debts": page_reads.debts(tx, party_id, on=today(asked)),
            "points": person_search.points_of(tx, party_id),
            "needs": needs.of_party(tx, party_id),
            "cases": case_lists.listed(tx, closed_too=True, party_id=party_id),
            "days": person_contacts.days_of(tx, party_id),
        }

    found = await in_ledger(read)
    if found is None:
        raise NotFound
    return show(asked, "desk/person", party_id=party_id, all_needs=list(needs_in_force()), **found)


async def note_needs(asked: Asked) -> Response:
    """What is done differently for her from now on is written down, or that it is over: what to do, never why."""
    party_id = _number(asked, "party")
    over, wanted = asked.fields.get("over", ""), [name for name in needs_in_force() if f"need_{name}" in asked.fields]

    def write(tx: Connection) -> None:
        if not person_search.exists(tx, party_id):
            raise NotFound
        asked.note(tx, party_id, "needs")
        if over in needs_in_force():
            needs.end(tx, party_id, over, by=actor(asked), at=asked.at)
        needs.write(tx, party_id, wanted, by=actor(asked), at=asked.at)

    await in_ledger(write)
    return go(f"people/{party_id}")


async def contact(asked: Asked) -> Response:
    """One contact that was made or held back: which rules were checked, by what they say, and each step."""
    party_id, attempt_id = _number(asked, "party"), _number(asked, "attempt")

    def whose(tx: Connection) -> bool:
        if person_contacts.party_of(tx, [attempt_id]).get(attempt_id) != party_id:
            return False
        asked.note(tx, party_id, "contact")
        return True

    if not await in_ledger(whose):
        raise NotFound
    try:
        told = (await run_in_threadpool(lambda: gather(attempt_id, with_text=True))).told
    except REFUSALS as error:
        return refused(asked, error)
    return show(asked, "desk/contact", party_id=party_id, attempt_id=attempt_id, told=told, permit=told["attempt"]["permit"] or {})


def _form(asked: Asked, *, found: tuple[Found, ...] | None = None, trouble: str | None = None) -> Response:
    why = asked.fields.get("why", "")
    return show(asked, "desk/people", found=found, trouble=trouble, why=why, at_most=FOUND_MAX)


def _number(asked: Asked, name: str) -> int:
    number = int(asked.request.path_params[name])
    if number > NUMBER_MAX:
        raise NotFound
    return number


ROOM: Final = Room(
    name="people",
    path="people",
    right=RIGHT,
    routes=(
        Route(f"{BASE}/people", desk_page(ask, shows_person=False, right=RIGHT), methods=["GET"]),
        Route(f"{BASE}/people", desk_page(search, shows_person=True, right=RIGHT), methods=["POST"]),
        Route(f"{BASE}/people/{{party:int}}", desk_page(person, shows_person=True, right=RIGHT), methods=["GET"]),
        Route(f"{BASE}/people/{{party:int}}/needs", desk_page(note_needs, shows_person=True, right="cases.work"), methods=["POST"]),
        Route(f"{BASE}/people/{{party:int}}/contacts/{{attempt:int}}", desk_page(contact, shows_person=True, right=RIGHT), methods=["GET"]),
    ),
)
