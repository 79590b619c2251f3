"""The page that a person opened: what she owes and why, what happens next, every contact made to her and what allowed it.

In:   her session; the ledger.
Out:  pages, in her language, to the minor unit.
Pure: no; reads, but for ending sessions and links.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, text
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from config.affordability import plan_policy_in_force
from config.page_texts import PageWords
from config.portal_files import page_policy_in_force
from config.settings import settings
from config.strategy_files import strategy_in_force
from decisions.strategy import STAGE_ORDER
from gate.written_again import Explained, explained
from ledger import clock, helped, page_links, page_reads, page_sessions, placements, plan_offers, plans
from ledger.engine import connection
from ledger.page_reads import Debt, Standing
from ledger.page_sessions import Session
from portal.pages import BASE, Asked, Handler, check, day, forget, go, guard_of, last_day, local_day, money, page, show, stylesheet
from portal.uploads import Sent, is_multipart, read_sent

# What she can do, in the order of the page; portal/acts.py does it.
DOES: Final = ("promise", "more_time", "cannot_pay", "paid", "dispute", "not_mine", "complaint", "call_me", "stop")
# They end by themselves; until then nobody is asked.
PEACE: Final = frozenset({"promise", "paid_claimed"})
# In force, they mean that a person is looking.
LOOKED_AT: Final = frozenset({"dispute", "hardship", "complaint", "illness", "bereavement", "mental_health_crisis"})


def inside(handler: Callable[[Asked, Session], Awaitable[Response]]) -> Handler:
    """A page that only whoever opened it sees; everybody else is told that it is closed."""

    async def alone(asked: Asked, session: Session, sent: Sent) -> Response:
        del sent
        return await handler(asked, session)

    return inside_with_files(alone, takes_files=False)


def inside_with_files(handler: Callable[[Asked, Session, Sent], Awaitable[Response]], *, takes_files: bool = True) -> Handler:
    """Such a page whose form may bring files; they are read when it is known that her page is open."""

    async def answer(asked: Asked) -> Response:
        session = await run_in_threadpool(_session, asked)
        if session is None:
            return _closed(asked)
        sent = Sent(fields=dict(asked.fields), files=(), trouble=None)
        if asked.request.method == "POST":
            if takes_files and is_multipart(asked.request):
                sent = await read_sent(asked.request)
                asked = Asked(asked.request, sent.fields)
            check(asked, asked.secret or "")
        return await handler(asked, session, sent)

    return answer


def reading(template: str, read: Callable[[Connection, Asked, Session], Mapping[str, Any] | None]) -> Handler:
    """Such a page that only shows: her session is found and all is read in one transaction, which writes nothing else.

    Args:
        template: Name in portal/templates, without its ending.
        read: What the page shows, besides the token of its forms; None = there is nothing, and she is led to her account.
    """

    def at_once(asked: Asked) -> Response:
        if not asked.secret:
            return _closed(asked)
        with connection() as tx:
            session = page_sessions.find(tx, asked.secret, page_policy_in_force())
            if session is not None:
                # From here on the database itself refuses every write.
                tx.execute(_READ_ONLY)
                values = read(tx, asked, session)
        if session is None:
            return _closed(asked)
        return go("account") if values is None else show(asked, template, guard=guard(asked), **values)

    async def answer(asked: Asked) -> Response:
        return await run_in_threadpool(at_once, asked)

    return answer


def guard(asked: Asked) -> str:
    """Token of the forms on this session's pages."""
    return guard_of(asked.secret or "")


def account(tx: Connection, asked: Asked, session: Session) -> dict[str, Any]:
    """What she owes and why, what happens next, what she can do."""
    words, at = asked.words, clock.now(tx)
    person = page_reads.person(tx, session.party_id)
    debts = page_reads.debts(tx, session.party_id, on=local_day(at, person.zone))
    standing = page_reads.standing(tx, session.party_id, at=at)
    policy = plan_policy_in_force()
    placed = placements.who_has(tx, [debt.loan_id for debt in debts])
    return {
        "does": DOES,
        "person": person,
        "debts": debts,
        "placed": {
            loan: {"name": one.name, "contact": one.contact, "since": local_day(one.starts_at, person.zone)} for loan, one in placed.items()
        },
        "solved": helped.solved(tx, session.party_id, at=at),
        "next": list(what_happens(debts, standing, words, person.zone)),
        "planned": plans.standings(tx, session.party_id, policy).keys(),
        "may_choose": plan_offers.may_choose(tx, session.party_id, debts, policy, today=local_day(at, person.zone)),
        # There is a wallet to pay by (portal/paying.py).
        "pays": bool(settings().wallet_base_url),
        "all_ways": _named(all_ways(), words),
    }


def contacts(tx: Connection, asked: Asked, session: Session) -> dict[str, Any]:
    """Every contact made to her."""
    del asked
    return {"contacts": page_reads.contacts(tx, session.party_id), "zone": page_reads.zone_of(tx, session.party_id)}


async def contact(asked: Asked, session: Session) -> Response:
    """One of them: what was said, and which rules allowed it."""
    attempt = asked.request.path_params["attempt"]

    def read() -> Explained | None:
        with connection() as tx:
            return explained(tx, attempt) if page_reads.is_hers(tx, session.party_id, attempt) else None

    found = await run_in_threadpool(read)
    return go("contacts") if found is None else show(asked, "contact", guard=guard(asked), contact=found)


async def out(asked: Asked, session: Session) -> Response:
    """She closes her page."""

    def end() -> None:
        with connection() as tx:
            page_sessions.end(tx, session.id)

    await run_in_threadpool(end)
    return _closed(asked)


async def close_links(asked: Asked, session: Session) -> Response:
    """She closes every link that was sent to her until now."""

    def close() -> None:
        with connection() as tx:
            page_links.close_all(tx, session.party_id, at=clock.now(tx))

    await run_in_threadpool(close)
    return _closed(asked, said="links_closed")


def _session(asked: Asked) -> Session | None:
    if not asked.secret:
        return None
    with connection() as tx:
        return page_sessions.find(tx, asked.secret, page_policy_in_force())


def _closed(asked: Asked, *, said: str = "closed") -> Response:
    response = show(asked, "message", heading=asked.words.say("title"), body=asked.words.say(said))
    forget(response)
    return response


def what_happens(debts: Sequence[Debt], standing: Standing, words: PageWords, zone: str) -> list[str]:
    """What happens next, in sentences: what was said and is waited for, what falls due, and by which ways we may write.

    The ways are those of the strategies in force for the stages that her loans are in, without those that she stopped.
    """
    said = [*_waited_for(standing, words, zone)]
    for debt in debts:
        if debt.next_due_on is not None and debt.next_due_minor:
            amount = money(debt.next_due_minor, debt.currency, words)
            said.append(words.say("next_due", amount=amount, date=day(debt.next_due_on, words)))
    if standing.stopped:
        said.append(words.say("next_stopped", ways=_named(all_ways() if "all" in standing.stopped else standing.stopped, words)))
    left = [way for way in _ways(debts) if way not in standing.stopped]
    if left and "all" not in standing.stopped and not standing.holds:
        said.append(words.say("next_ways", ways=_named(left, words)))
    return said


def _waited_for(standing: Standing, words: PageWords, zone: str) -> Iterator[str]:
    """What she said, and what comes of it."""
    kinds = {kind for kind, _ in standing.holds}
    if kinds & LOOKED_AT:
        yield words.say("next_person")
    if standing.answer_by is not None:
        yield words.say("next_answer", date=day(standing.answer_by, words))
    if "callback" in kinds:
        yield words.say("about_call_me")
    ends = [until for kind, until in standing.holds if kind in PEACE and until is not None]
    if ends:
        yield words.say("next_until", date=day(last_day(max(ends), zone), words))
    if standing.promised is not None:
        on, minor, currency = standing.promised
        if minor is not None and currency is not None:
            yield words.say("next_promise_amount", amount=money(minor, currency, words), date=day(on, words))
        else:
            yield words.say("next_promise", date=day(on, words))


def _named(ways: Iterable[str], words: PageWords) -> str:
    return ", ".join(words.ways[way] for way in ways)


def _ways(debts: Sequence[Debt]) -> list[str]:
    staged = {debt.stage for debt in debts} & set(STAGE_ORDER)
    return list(
        dict.fromkeys(
            way
            for stage in STAGE_ORDER
            if stage in staged
            for step in strategy_in_force(settings().strategy, stage).steps
            for way in step.channels
        )
    )


def all_ways() -> list[str]:
    """Every way that a strategy in force may take, and the call that a person asks for."""
    return list(
        dict.fromkeys(
            [
                *(way for stage in STAGE_ORDER for step in strategy_in_force(settings().strategy, stage).steps for way in step.channels),
                "call",
            ]
        )
    )


_READ_ONLY = text("SET TRANSACTION READ ONLY")
routes: Final = [
    Route(f"{BASE}/page.css", stylesheet, methods=["GET"]),
    Route(f"{BASE}/account", page(reading("account", account)), methods=["GET"]),
    Route(f"{BASE}/contacts", page(reading("contacts", contacts)), methods=["GET"]),
    Route(f"{BASE}/contacts/{{attempt:int}}", page(inside(contact)), methods=["GET"]),
    Route(f"{BASE}/out", page(inside(out)), methods=["POST"]),
    Route(f"{BASE}/close-links", page(inside(close_links)), methods=["POST"]),
]
