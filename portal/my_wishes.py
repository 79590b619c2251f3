"""What a person wishes on her page: which ways we may use, on which days and from when to when, and in which language.

Wishes narrow what the law allows and never widen it. A way that she stopped she may allow again here, as by the word START; a stop that
came another way stays. A language is offered where no message would be missing in it.

In:   her session, forms.
Out:  pages; wishes, under the borrower's lock.
Pure: no.
Source: DOMAIN.md, "What the borrower's answer does"; docs/adr/0051.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from typing import Final

from babel import Locale
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from config.message_files import message_texts
from config.portal_files import page_words_in_force
from decisions.messages import closest, known_locale
from decisions.text_samples import names_of
from decisions.words import WEEKDAYS
from ledger import answers, clock, page_reads, wishes
from ledger.engine import connection
from ledger.law import texts_in_force
from ledger.locks import lock_borrowers
from ledger.page_reads import Standing
from ledger.page_sessions import Session
from ledger.wishes import Wanted
from portal.account import all_ways, guard, inside
from portal.pages import BASE, Asked, go, page, show

ALL: Final = "all"
FIRST_PARTY: Final = "first_party"
# From when on, and until when, may be chosen: whole hours.
HOURS: Final = tuple(time(hour) for hour in range(6, 23))


class UnclearError(ValueError):
    """Hours of which the end is not after the beginning, or none that we offer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What she may choose, and what is chosen.

    Attributes:
        wanted: In force.
        has_others: Whether wishes stand that came another way.
        standing: What she stopped.
        language: Locale of the page's files that she is written to in; None = one that the page does not have.
        languages: Locales that she may choose → the tag that she is written to by: with her country, where we have words for both.
    """

    wanted: Wanted
    has_others: bool
    standing: Standing
    language: str | None
    languages: Mapping[str, str]


async def form(asked: Asked, session: Session) -> Response:
    """What is in force, as a form."""
    return await _form(asked, session)


async def saved(asked: Asked, session: Session) -> Response:
    """The same, after it was changed."""
    return await _form(asked, session, said="wishes_saved")


async def save(asked: Asked, session: Session) -> Response:
    """What she wants takes effect."""
    try:
        wanted = wanted_of(asked.fields, all_ways())
    except UnclearError:
        return await _form(asked, session, said="wishes_hours")
    await run_in_threadpool(_save, session.party_id, wanted, asked.fields)
    return go("wishes/saved")


def wanted_of(fields: Mapping[str, str], ways: Sequence[str]) -> Wanted:
    """What a form wants; a box that is not ticked is to be left alone.

    Raises:
        UnclearError: Its hours cannot be.
    """
    opens, closes = _hour(fields.get("opens", "")), _hour(fields.get("closes", ""))
    if opens is not None and closes is not None and opens >= closes:
        raise UnclearError
    return Wanted(
        channels_off=frozenset(way for way in ways if f"way_{way}" not in fields),
        days_off=frozenset(day for day in WEEKDAYS if f"day_{day}" not in fields),
        opens=opens,
        closes=closes,
    )


def _hour(typed: str) -> time | None:
    if not typed:
        return None
    found = next((hour for hour in HOURS if hour.isoformat("minutes") == typed), None)
    if found is None:
        raise UnclearError
    return found


def _save(party_id: int, wanted: Wanted, fields: Mapping[str, str]) -> None:
    with connection() as tx:
        lock_borrowers(tx, [party_id])
        at = clock.now(tx)
        stopped = set(page_reads.standing(tx, party_id, at=at).stopped)
        # A box that is ticked for a way that she stopped allows it again; whoever only sees her stop leaves it as it is.
        for way in sorted(set(all_ways()) - wanted.channels_off):
            if stopped & {way, ALL}:
                answers.opt_in(tx, party_id, way, at=at)
        now = set(page_reads.standing(tx, party_id, at=at).stopped)
        # What stays stopped needs no wish beside it: taking the stop back would leave it standing unseen.
        wishes.write(tx, party_id, _without(wanted, set(all_ways()) if ALL in now else now), at=at)
        choice = _choice(tx, party_id)
        language = fields.get("language", "")
        if language != choice.language and (tag := choice.languages.get(language)) is not None:
            wishes.choose_language(tx, party_id, tag, at=at)


def _without(wanted: Wanted, stopped: set[str]) -> Wanted:
    return Wanted(channels_off=wanted.channels_off - stopped, days_off=wanted.days_off, opens=wanted.opens, closes=wanted.closes)


def _choice(tx: Connection, party_id: int) -> Choice:
    at, person = clock.now(tx), page_reads.person(tx, party_id)
    wanted, has_others = wishes.standing(tx, party_id, at=at)
    texts, known = texts_in_force(tx, message_texts()).as_of(at), page_words_in_force()
    now = wishes.language(tx, party_id) or person.locale
    language = None if now is None else closest(now, known)
    # Who collects for others owes words of the country, which stand in texts of that country alone.
    is_collector, country = person.creditor_role != FIRST_PARTY, person.country
    than = f"{now}-{country}" if is_collector and country and now and "-" not in now else now
    languages = {}
    for locale in known:
        tags = [f"{locale}-{country}"] if country else []
        tags += [] if is_collector else [locale]
        tag = next((tag for tag in tags if texts.says_as_much(tag, than, person.creditor_role)), None)
        if tag is not None or locale == language:
            languages[locale] = tag or now or locale
    return Choice(
        wanted=wanted,
        has_others=has_others,
        standing=page_reads.standing(tx, party_id, at=at),
        language=language,
        languages=languages,
    )


async def _form(asked: Asked, session: Session, *, said: str | None = None) -> Response:
    def read() -> Choice:
        with connection(read_only=True) as tx:
            return _choice(tx, session.party_id)

    choice = await run_in_threadpool(read)
    stopped = set(all_ways()) if ALL in choice.standing.stopped else set(choice.standing.stopped)
    return show(
        asked,
        "wishes",
        guard=guard(asked),
        choice=choice,
        said=said,
        all_ways=all_ways(),
        off=stopped | choice.wanted.channels_off,
        stopped=stopped,
        days=_days(known_locale(asked.words.writes_like)),
        hours=[hour.isoformat("minutes") for hour in HOURS],
        named={locale: names_of(locale)[0] for locale in choice.languages},
    )


def _days(locale: Locale) -> dict[str, str]:
    names = locale.days["stand-alone"]["wide"]
    return {day: names[number] for number, day in enumerate(WEEKDAYS)}


routes: Final = [
    Route(f"{BASE}/wishes", page(inside(form)), methods=["GET"]),
    Route(f"{BASE}/wishes", page(inside(save)), methods=["POST"]),
    Route(f"{BASE}/wishes/saved", page(inside(saved)), methods=["GET"]),
]
