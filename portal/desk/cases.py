"""The compliance desk's cases: who is owed an answer until when, and everything that a person does about one.

The same functions as `tideover cases`: what is written here is what is written there.

In:   GET /desk/cases, /desk/cases/new, /desk/cases/ID; POST below them.
Out:  pages; rows of ledger/cases.py under the borrower's lock. Every look at a case is noted.
Pure: no.
Source: docs/compliance-desk.md, docs/adr/0038, 0059.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any, Final

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from config.case_letters import letters_in_force
from config.cases import case_terms
from decisions.case_letters import BLANK, letters_for, problems_in
from decisions.cases import CASE_KINDS, NEEDS_CORRECTION, RESULTS_OF, STATED_BY
from decisions.messages import closest
from decisions.uploads import ENDING_OF
from gate.person_export import everything_in_words
from ledger import case_lists, case_work, page_reads, person_files
from ledger.case_lists import Case
from ledger.cases import CaseRefused
from ledger.person_files import KeptFile, NoSuchFile
from portal.desk.frame import BASE, Asked, NotFound, Room, desk_page, go, show
from portal.desk.working import REFUSALS, actor, in_ledger, today
from portal.uploads import handed_out

SHOWS: Final = ("due", "open", "all")
NUMBER_MAX: Final = 2**62


async def cases(asked: Asked) -> Response:
    """Cases, the most urgent first."""
    wanted = asked.request.query_params
    which = wanted.get("show", "open") if wanted.get("show") in SHOWS else "open"
    kind = wanted.get("kind") if wanted.get("kind") in CASE_KINDS else None
    on, near_days = today(asked), case_terms().near_days

    def read(tx: Connection) -> list[Case]:
        return case_lists.listed(tx, closed_too=which == "all", kind=kind)

    found = await in_ledger(read)
    if which == "due":
        found = [one for one in found if one.is_late(on) or one.is_near(on, near_days)]
    listed = [(one, urgency(one, on, near_days)) for one in found]
    return show(asked, "desk/cases", cases=listed, shows=SHOWS, which=which, kinds=CASE_KINDS, kind=kind)


async def case(asked: Asked) -> Response:
    """One case: dates and whose they are, all that happened, and what can be done."""
    return await _page(asked, _number(asked))


async def new(asked: Asked) -> Response:
    """A form for a case that came by letter, phone or in person."""
    return show(asked, "desk/case_new", kinds=CASE_KINDS, stated_by=STATED_BY, typed=asked.fields, trouble=None)


async def open_new(asked: Asked) -> Response:
    """Open it; whoever disputes, complains or cannot pay is left in peace from the commit on."""
    typed = asked.fields
    part = typed.get("part", "").strip()

    def work() -> Case:
        if part and not (part.isascii() and part.isdigit()):
            raise CaseRefused("the disputed part is a whole number of minor units (cents)")
        return case_work.open_case(
            typed.get("borrower", "").strip(),
            kind=typed.get("kind", ""),
            by=actor(asked),
            loan=typed.get("loan", "").strip() or None,
            stated_by=typed.get("stated_by", ""),
            disputed_minor=int(part) if part else None,
            reference=typed.get("reference", "").strip() or None,
            words=typed.get("words", "").strip() or None,
        )[0]

    try:
        opened = await run_in_threadpool(work)
    except REFUSALS as error:
        return show(asked, "desk/case_new", kinds=CASE_KINDS, stated_by=STATED_BY, typed=typed, trouble=str(error))
    return go(f"cases/{opened.id}")


async def file(asked: Asked) -> Response:
    """A file that the person sent, as a download; it was not looked at for viruses."""
    number, wanted = _number(asked), int(asked.request.path_params["file"])

    def read(tx: Connection) -> tuple[KeptFile, bytes]:
        if wanted > NUMBER_MAX:
            raise NoSuchFile
        found = person_files.read(tx, wanted, case_id=number)
        asked.note(tx, case_lists.read(tx, number).party_id, "file of a case")
        return found

    try:
        kept, content = await in_ledger(read)
    except (NoSuchFile, CaseRefused) as error:
        raise NotFound from error
    return handed_out(content, name=f"case-{number}-file-{kept.id}.{ENDING_OF[kept.kind]}")


async def data(asked: Asked) -> Response:
    """All that is kept of whoever asked for it, to be given to her."""
    number = _number(asked)

    def read(tx: Connection) -> bytes:
        found = case_lists.read(tx, number)
        if found.kind != "data_request":
            raise NotFound
        asked.note(tx, found.party_id, "all data")
        return json.dumps(everything_in_words(tx, found.party_id), ensure_ascii=False, indent=1).encode()

    try:
        content = await in_ledger(read)
    except CaseRefused as error:
        raise NotFound from error
    return handed_out(content, name=f"case-{number}-data.json")


async def take(asked: Asked) -> Response:
    """She answers for it from now on."""
    return await _do(asked, lambda number, by: case_work.take(number, by=by))


async def acknowledge(asked: Asked) -> Response:
    """She told the person that it was received."""
    return await _say(asked, case_work.acknowledge)


async def answer(asked: Asked) -> Response:
    """She answers, in her words."""
    return await _say(asked, case_work.answer)


async def note(asked: Asked) -> Response:
    """Something is written down."""
    return await _do(asked, lambda number, by: case_work.add_note(number, by=by, words=asked.fields.get("words", "")))


async def proof(asked: Asked) -> Response:
    """A proof was seen, and who speaks for the person now is written down."""
    reference, words = asked.fields.get("reference", "").strip(), asked.fields.get("words", "").strip() or None
    return await _do(asked, lambda number, by: case_work.see_proof(number, by=by, reference=reference, words=words))


async def close(asked: Asked) -> Response:
    """It ends, and only now the peace that it brought."""
    typed = asked.fields
    return await _do(
        asked,
        lambda number, by: case_work.close(
            number,
            by=by,
            result=typed.get("result", ""),
            because=typed.get("because", "").strip() or None,
            is_corrected=typed.get("corrected") == "yes",
        ),
    )


def urgency(one: Case, on: date, near_days: int) -> str | None:
    """A word for how urgent a case is: unlawful, late, near; None = it is not."""
    if one.breaks_law(on):
        return "unlawful"
    if one.is_late(on):
        return "late"
    return "near" if one.is_near(on, near_days) else None


async def _say(asked: Asked, step: Callable[..., bool]) -> Response:
    """An acknowledgement or an answer: with where it can be read, without a gap left open, and in words that nobody is hurt by."""
    reference, words = asked.fields.get("reference", "").strip(), asked.fields.get("words", "").strip()
    locale = asked.fields.get("locale", "")
    trouble = problems_in(words, locale, letters_in_force().lists) if words else []
    if trouble:
        return await _page(asked, _number(asked), trouble="; ".join(trouble))
    return await _do(asked, lambda number, by: step(number, by=by, reference=reference, words=words or None))


async def _do(asked: Asked, step: Callable[[int, str], object]) -> Response:
    number = _number(asked)
    try:
        await run_in_threadpool(step, number, actor(asked))
    except REFUSALS as error:
        return await _page(asked, number, trouble=str(error))
    return go(f"cases/{number}")


async def _page(asked: Asked, number: int, *, trouble: str | None = None) -> Response:
    terms = case_terms()

    def read(tx: Connection) -> dict[str, Any]:
        found = case_lists.read(tx, number)
        asked.note(tx, found.party_id, "case")
        return {
            "case": found,
            "history": case_lists.history(tx, number),
            "files": person_files.of_case(tx, number),
            "person": page_reads.person(tx, found.party_id),
        }

    try:
        values = await in_ledger(read)
    except CaseRefused as error:
        raise NotFound from error
    found, known = values["case"], letters_in_force().words
    locale = closest(values["person"].locale or "", known) or "en"
    chosen = asked.request.query_params.get("in", locale)
    locale = chosen if chosen in known else locale
    return show(
        asked,
        "desk/case",
        urgency=urgency(found, today(asked), terms.near_days),
        results=RESULTS_OF[found.kind],
        corrects=(found.kind, "upheld") in NEEDS_CORRECTION,
        letters=letters_for(found.kind, known[locale].texts) if locale in known else {},
        locale=locale,
        locales=sorted(known),
        blank=BLANK,
        begun=asked.request.query_params.get("letter", ""),
        # The form that was not taken keeps what was typed.
        failed=asked.request.url.path.rpartition("/")[2] if trouble else None,
        typed=asked.fields,
        trouble=trouble,
        **values,
    )


def _number(asked: Asked) -> int:
    """The case's number; one that no ledger can have is no address."""
    number = int(asked.request.path_params["case"])
    if number > NUMBER_MAX:
        raise NotFound
    return number


_ONE: Final = f"{BASE}/cases/{{case:int}}"
ROOM: Final = Room(
    name="cases",
    path="cases",
    right="cases.see",
    routes=(
        Route(f"{BASE}/cases", desk_page(cases, shows_person=False, right="cases.see"), methods=["GET"]),
        Route(f"{BASE}/cases/new", desk_page(new, shows_person=False, right="cases.work"), methods=["GET"]),
        Route(f"{BASE}/cases/new", desk_page(open_new, shows_person=False, right="cases.work"), methods=["POST"]),
        Route(_ONE, desk_page(case, shows_person=True, right="cases.see"), methods=["GET"]),
        Route(f"{_ONE}/files/{{file:int}}", desk_page(file, shows_person=True, right="cases.see"), methods=["GET"]),
        Route(f"{_ONE}/data", desk_page(data, shows_person=True, right="cases.work"), methods=["POST"]),
        *(
            Route(f"{_ONE}/{name}", desk_page(step, shows_person=True, right="cases.work"), methods=["POST"])
            for name, step in (
                ("take", take),
                ("acknowledge", acknowledge),
                ("answer", answer),
                ("note", note),
                ("proof", proof),
                ("close", close),
            )
        ),
    ),
)
