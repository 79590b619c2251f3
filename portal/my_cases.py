"""Her cases on her page: what she told us, until when she is answered, the answer in its writer's words, and "I do not agree".

What a colleague wrote for colleagues is not shown: of a case's history only what she said here or in a reply, and the answers.

In:   her session, forms.
Out:  pages; what she adds or does not agree with, under the borrower's lock.
Pure: no.
Source: docs/cases.md; docs/adr/0038, 0049.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Final
from uuid import uuid4

from starlette import status
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from config.cases import case_terms_in_force
from config.papers import papers_policy_in_force
from decisions.uploads import ENDING_OF
from ledger import case_lists, cases, clock, page_reads, person_files
from ledger.case_lists import Case
from ledger.engine import connection
from ledger.page_sessions import Session
from ledger.person_files import KeptFile, NoSuchFile, TooManyFiles
from portal.account import guard, inside, inside_with_files
from portal.door import PROVIDER
from portal.pages import BASE, Asked, go, local_day, named_once, page, show
from portal.uploads import Sent, handed_out, troubled

# Meanwhile she is not asked to pay what it is about.
GIVES_PEACE: Final = frozenset({"dispute", "hardship", "complaint"})
# What she said, and what she was answered.
HERS: Final = frozenset({"opened", "said_again", "disagreed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Something that was said about a case, in its writer's words.

    Attributes:
        on: Local day.
        is_answer: Ours; else hers.
        words: None = the answer was given another way.
    """

    on: date
    is_answer: bool
    words: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """A case as she sees it.

    Attributes:
        case: As it stands.
        loan: What she knows the loan by; None = no one in particular.
        told_on: Local day.
        answered_on: Local day; None = not yet, or not again.
        closed_on: Likewise.
        lines: Oldest first; empty in a list of several.
        files: As above.
    """

    case: Case
    loan: str | None
    told_on: date
    answered_on: date | None
    closed_on: date | None
    lines: tuple[Line, ...] = ()
    files: tuple[KeptFile, ...] = ()

    @property
    def is_waiting(self) -> bool:
        """Whether she is owed an answer."""
        return self.case.state in {"open", "acknowledged"}

    @property
    def gives_peace(self) -> bool:
        """Whether she reads that she is left in peace while a person looks at it."""
        return self.is_waiting and self.case.kind in GIVES_PEACE


async def matters(asked: Asked, session: Session) -> Response:
    """All of them, the newest first."""

    def read() -> list[Matter]:
        with connection(read_only=True) as tx:
            zone, loans = page_reads.zone_of(tx, session.party_id), page_reads.references(tx, session.party_id)
            return [_matter(case, zone, loans) for case in case_lists.of_person(tx, session.party_id)]

    return show(asked, "cases", guard=guard(asked), matters=await run_in_threadpool(read))


async def matter(asked: Asked, session: Session) -> Response:
    """One of them."""
    return await _one(asked, session, trouble=None)


async def say(asked: Asked, session: Session, sent: Sent) -> Response:
    """She adds something to it, or does not agree with the answer."""
    if sent.trouble is not None:
        return await _one(asked, session, trouble=sent.trouble)
    try:
        number = await run_in_threadpool(_say, asked, session, sent)
    except TooManyFiles:
        return await _one(asked, session, trouble="file_day")
    return go("cases" if number is None else f"cases/{number}")


async def file(asked: Asked, session: Session) -> Response:
    """A file that she sent, as a download."""
    number, file_id = asked.request.path_params["case"], asked.request.path_params["file"]

    def read() -> tuple[KeptFile, bytes] | None:
        with connection(read_only=True) as tx:
            if case_lists.find_of_person(tx, session.party_id, number) is None:
                return None
            try:
                return person_files.read(tx, file_id, case_id=number)
            except NoSuchFile:
                return None

    found = await run_in_threadpool(read)
    return go("cases") if found is None else handed_out(found[1], name=f"file-{found[0].id}.{ENDING_OF[found[0].kind]}")


async def _one(asked: Asked, session: Session, *, trouble: str | None) -> Response:
    number = asked.request.path_params["case"]

    def read() -> Matter | None:
        with connection(read_only=True) as tx:
            case = case_lists.find_of_person(tx, session.party_id, number)
            if case is None:
                return None
            zone, loans = page_reads.zone_of(tx, session.party_id), page_reads.references(tx, session.party_id)
            return _matter(case, zone, loans, case_lists.history(tx, number), person_files.of_case(tx, number))

    found = await run_in_threadpool(read)
    if found is None:
        return go("cases")
    return show(
        asked,
        "case",
        code=status.HTTP_200_OK,
        guard=guard(asked),
        one=found,
        once=uuid4().hex,
        policy=papers_policy_in_force(),
        trouble=troubled(asked, trouble),
        typed=asked.fields.get("reason", ""),
    )


def _matter(
    case: Case, zone: str, loans: dict[int, str], entries: list[case_lists.CaseEntry] | None = None, files: list[KeptFile] | None = None
) -> Matter:
    def local(at: object) -> date | None:
        return None if at is None else local_day(at, zone)  # type: ignore[arg-type]

    lines = [
        Line(on=local_day(one.at, zone), is_answer=one.kind == "answered", words=one.words)
        for one in entries or []
        if one.kind == "answered" or (one.kind in HERS and one.said_by == cases.MACHINE and one.words)
    ]
    return Matter(
        case=case,
        loan=None if case.loan_id is None else loans.get(case.loan_id),
        told_on=case.opened_on,
        answered_on=local(case.answered_at),
        closed_on=local(case.closed_at),
        lines=tuple(lines),
        files=tuple(files or ()),
    )


def _say(asked: Asked, session: Session, sent: Sent) -> int | None:
    """Number of the case that she is owed an answer to; None where it is none of hers."""
    number, words = asked.request.path_params["case"], asked.fields.get("reason", "").strip()
    # Names this form of this session, so that a double click is heard once.
    reference = f"{PROVIDER} {session.id}/{named_once(asked.fields)}"
    with connection() as tx:
        case = case_lists.find_of_person(tx, session.party_id, number)
        if case is None:
            return None
        at = clock.now(tx)
        # Nothing is added by a form that says nothing; not to agree needs no words.
        if words or sent.files or case.due is None:
            number = cases.disagree(
                tx, number, at=at, reference=reference, words=words or None, channel=session.channel, terms=case_terms_in_force()
            )
            person_files.keep(tx, session.party_id, sent.files, at=at, a_day_max=papers_policy_in_force().files_a_day_max, case_id=number)
        return int(number)


routes: Final = [
    Route(f"{BASE}/cases", page(inside(matters)), methods=["GET"]),
    Route(f"{BASE}/cases/{{case:int}}", page(inside(matter)), methods=["GET"]),
    Route(f"{BASE}/cases/{{case:int}}", page(inside_with_files(say)), methods=["POST"]),
    Route(f"{BASE}/cases/{{case:int}}/files/{{file:int}}", page(inside(file)), methods=["GET"]),
]
