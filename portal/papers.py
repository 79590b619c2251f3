"""Documents that a person takes from her page as PDF, in its language: statement, receipt, plan, and that nothing is owed.

A document is made when she asks for it, from the figures that her page shows at that moment, and is not kept; that she took it is noted
with its hash, under the reference at its foot.

In:   her session, forms.
Out:  PDFs (channels/paper.py); rows of `document_given`; a page with the reason where one cannot be made.
Pure: no.
Source: docs/adr/0050.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from channels.paper import CannotBeSet, Paper, write_pdf
from config.page_texts import PageWords
from config.papers import papers_policy_in_force
from config.settings import settings
from decisions import no_dues
from decisions.blocks import Block, Table
from ledger import clock, page_reads, papers, vault
from ledger.engine import connection
from ledger.page_reads import PARTS, Debt, Person
from ledger.page_sessions import Session
from ledger.papers import AgreedPlan, Given, Receivable
from portal.account import guard, inside
from portal.pages import BASE, Asked, day, go, local_day, money, named_once, page, show
from portal.uploads import handed_out

PDF: Final = "application/pdf"
PDFS: Final = ("statement", "receipt", "plan", "no_dues")
HOUR: Final = timedelta(hours=1)
# A statement has all of them.
ALL_PAYMENTS: Final = 100_000


class CannotBeMade(RuntimeError):
    """A document is not made; the words say why, to her.

    Attributes:
        said: Text of the page, and its gaps.
    """

    def __init__(self, name: str, **gaps: str) -> None:
        super().__init__(name)
        self.said = (name, gaps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """What documents can be made of.

    Attributes:
        at: Business instant.
        today: Local day.
        person: Whose page it is.
        debts: As her page shows them, with all their payments.
        received: Payments of which there is a receipt.
        plans: Of which there is a copy.
    """

    at: datetime
    today: date
    person: Person
    debts: Sequence[Debt]
    received: Sequence[Receivable]
    plans: Sequence[AgreedPlan]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What stands on a document, and what it is about."""

    blocks: tuple[Block, ...]
    loan_id: int | None = None
    payment_id: int | None = None
    plan_id: int | None = None


async def shelf(asked: Asked, session: Session) -> Response:
    """The documents that there are."""
    return await shown(asked, session)


async def take(asked: Asked, session: Session) -> Response:
    """One of them, as a download."""
    kind = asked.request.path_params["kind"]
    if kind not in PDFS:
        return go("papers")
    try:
        content, on = await run_in_threadpool(_made, asked, session, kind)
    except CannotBeMade as error:
        name, gaps = error.said
        return await shown(asked, session, trouble=asked.words.say(name, **gaps))
    return handed_out(content, name=f"{kind.replace('_', '-')}-{on.isoformat()}.pdf", media_type=PDF)


async def shown(asked: Asked, session: Session, *, trouble: str | None = None) -> Response:
    """The page of the documents."""

    def read() -> Shelf:
        with connection(read_only=True) as tx:
            return _shelf(tx, session.party_id)

    found, minutes = await run_in_threadpool(read), int(papers_policy_in_force().data_code.total_seconds() // 60)
    return show(asked, "papers", guard=guard(asked), shelf=found, once=uuid4().hex, trouble=trouble, minutes=str(minutes))


def reference_of(session: Session, *said: object) -> UUID:
    """What a document is known by: the same for the same form sent twice; nobody guesses it."""
    return UUID(bytes=vault.keyed("document", "/".join(map(str, (session.id, *said))))[:16])


def drafted(kind: str, shelf: Shelf, about: str, words: PageWords, books: Callable[[Debt], no_dues.Books]) -> Draft:
    """What stands on a document.

    Args:
        kind: One of `PDFS`.
        shelf: What it can be made of.
        about: Number of the payment, plan or loan that she chose.
        words: Of its language.
        books: What is known of a loan by which nothing may be owed.

    Raises:
        CannotBeMade: There is no such payment, plan or loan, or something is owed.
    """
    number = int(about) if about.isascii() and about.isdigit() else None
    if kind == "statement":
        return Draft(blocks=tuple(part for debt in shelf.debts for part in _of_loan(debt, words)) or (words.say("nothing_open"),))
    if kind == "receipt":
        return _receipt(_chosen(shelf.received, number), words)
    if kind == "plan":
        return _plan(_chosen(shelf.plans, number), words)
    debt = next((one for one in shelf.debts if one.loan_id == number), None)
    if debt is None:
        raise CannotBeMade("doc_choose")
    return _no_dues(debt, books(debt), shelf, words)


def _made(asked: Asked, session: Session, kind: str) -> tuple[bytes, date]:
    """A document's bytes, and its day; noted as given."""
    words, once = asked.words, named_once(asked.fields)
    with connection() as tx:
        if papers.given_since(tx, session.party_id, PDFS, HOUR) >= papers_policy_in_force().documents_an_hour_max:
            raise CannotBeMade("doc_wait")
        shelf = _shelf(tx, session.party_id)
        about = asked.fields.get("about", "")
        draft = drafted(kind, shelf, about, words, lambda debt: papers.books(tx, debt, at=shelf.at))
        reference = reference_of(session, once, kind, draft.loan_id, draft.payment_id, draft.plan_id)
        content = _set(kind, shelf, draft, words, reference, papers.name_of(tx, session.party_id))
        given = Given(
            party_id=session.party_id,
            kind=kind,
            reference=reference,
            locale=words.locale,
            content_hash=sha256(content).digest(),
            at=shelf.at,
            loan_id=draft.loan_id,
            payment_id=draft.payment_id,
            plan_id=draft.plan_id,
        )
        papers.note_given(tx, given)
    return content, shelf.today


def _set(kind: str, shelf: Shelf, draft: Draft, words: PageWords, reference: UUID, name: str | None) -> bytes:
    """The PDF; without her name where no font of ours has its letters."""
    person = shelf.person
    dated = words.say("doc_as_of", date=day(shelf.today, words))

    def paper(*opening: str) -> Paper:
        return Paper(
            locale=words.locale,
            title=words.say(f"doc_{kind}"),
            blocks=(*opening, dated, *draft.blocks, words.say("doc_made")),
            to=(),
            sender=tuple(line for line in (person.creditor, person.licence) if line),
            country=person.country or "",
            reference=str(reference),
            sample=not settings().is_real,
        )

    if name:
        with suppress(CannotBeSet):
            return write_pdf(paper(words.say("doc_for", name=name)))[0]
    return write_pdf(paper())[0]


def _shelf(tx: Connection, party_id: int) -> Shelf:
    at, person = clock.now(tx), page_reads.person(tx, party_id)
    today = local_day(at, person.zone)
    return Shelf(
        at=at,
        today=today,
        person=person,
        debts=page_reads.debts(tx, party_id, on=today, payments_max=ALL_PAYMENTS),
        received=papers.received(tx, party_id),
        plans=papers.plans(tx, party_id),
    )


def _chosen(among: Sequence[Any], number: int | None) -> Any:
    found = next((one for one in among if one.id == number), None)
    if found is None:
        raise CannotBeMade("doc_choose")
    return found


def _of_loan(debt: Debt, words: PageWords) -> list[Block]:
    """One loan of a statement: every instalment, the sums, every payment; to the minor unit, as on the page."""

    def amount(minor: int) -> str:
        return money(minor, debt.currency, words)

    said: list[Block] = [words.say("loan", number=debt.reference)]
    if debt.instalments:
        head = tuple(words.say(name) for name in ("due_on", "principal", "interest", "fee", "penalty", "paid", "still_open"))
        rows = tuple(
            (
                day(one.due_on, words),
                *(amount(getattr(one, part)) for part in PARTS),
                amount(one.paid_minor),
                amount(one.open_minor),
            )
            for one in debt.instalments
        )
        said.append(Table(head, rows))
    sums = [("open_now", debt.past_due_minor), ("open_total", debt.outstanding_minor)]
    lines = [f"{words.say(name)}: {amount(minor)}" for name, minor in sums]
    if debt.disputed_minor:
        lines.append(f"{words.say('disputed')} {amount(debt.disputed_minor)}")
    said += ["\n".join(lines), words.say("payments") if debt.payments else words.say("no_payments")]
    if debt.payments:
        states = {"posted": "doc_arrived", "pending": "pending", "reversed": "went_back"}
        paid = tuple((day(one.paid_on, words), words.say(states[one.state]), amount(one.amount_minor)) for one in debt.payments)
        said.append(Table((words.say("doc_date"), words.say("doc_state"), words.say("doc_amount")), paid))
    return said


def _receipt(one: Receivable, words: PageWords) -> Draft:
    amount = money(one.amount_minor, one.currency, words)
    said = words.say("receipt_body", amount=amount, date=day(one.paid_on, words), number=one.reference)
    return Draft(blocks=(said,), loan_id=one.loan_id, payment_id=one.id)


def _plan(one: AgreedPlan, words: PageWords) -> Draft:
    rows = [(day(on, words), money(minor, one.currency, words)) for on, minor in one.instalments]
    rows.append((words.say("total"), money(sum(minor for _, minor in one.instalments), one.currency, words)))
    said = words.say("plan_body", number=one.reference, date=day(one.agreed_on, words))
    return Draft(blocks=(said, Table((words.say("due_on"), words.say("doc_amount")), tuple(rows))), loan_id=one.loan_id, plan_id=one.id)


def _no_dues(debt: Debt, books: no_dues.Books, shelf: Shelf, words: PageWords) -> Draft:
    reason = no_dues.against(books)
    if reason == "open":
        raise CannotBeMade("no_dues_open", amount=money(debt.outstanding_minor, debt.currency, words))
    if reason is not None:
        raise CannotBeMade(f"no_dues_{reason}")
    said = words.say("no_dues_body", number=debt.reference, creditor=shelf.person.creditor, date=day(shelf.today, words))
    return Draft(blocks=(said,), loan_id=debt.loan_id)


routes: Final = [
    Route(f"{BASE}/papers", page(inside(shelf)), methods=["GET"]),
    Route(f"{BASE}/papers/{{kind:str}}", page(inside(take)), methods=["POST"]),
]
