"""Short reads and free help on her page, and one question after something was solved: "Did this help?".

The reads are the lessons that `education` sends, and one about credit records; help is what config/free_help.yaml has a source for.

In:   her session; config/education.yaml, config/messages/education_*, config/free_help.yaml.
Out:  a page; her answer.
Pure: no.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from config.education import education_terms
from config.free_help import free_help_in_force
from config.message_files import message_texts
from decisions.messages import Texts
from ledger import clock, helped, page_reads
from ledger.engine import connection
from ledger.helped import Solved
from ledger.law import texts_in_force
from ledger.page_sessions import Session
from portal.account import guard, inside
from portal.pages import BASE, Asked, go, page, show

IN_APP: Final = "in_app"
# Lessons are the lender's own; who collects for others has none.
FIRST_PARTY: Final = "first_party"
YES: Final = "yes"


async def reads(asked: Asked, session: Session) -> Response:
    """All of them, in the page's language."""

    def read() -> tuple[Texts, str | None]:
        with connection(read_only=True) as tx:
            texts = texts_in_force(tx, message_texts()).as_of(clock.now(tx))
            return texts, page_reads.person(tx, session.party_id).country

    texts, country = await run_in_threadpool(read)
    services = free_help_in_force().get(country or "", ())
    return show(asked, "reads", guard=guard(asked), lessons=list(lessons(texts, asked.words.locale)), services=services)


async def did_it_help(asked: Asked, session: Session) -> Response:
    """She answers, or does not."""
    about, about_id = asked.fields.get("about", ""), asked.fields.get("id", "")

    def note() -> None:
        with connection() as tx:
            solved = Solved(about=about, about_id=int(about_id))
            helped.answer(tx, session.party_id, solved, has_helped=asked.fields.get("helped") == YES, at=clock.now(tx))

    if not (about_id.isascii() and about_id.isdigit()):
        return go("account")
    await run_in_threadpool(note)
    return show(asked, "message", heading=asked.words.say("title"), body=asked.words.say("helped_thanks"), back="account")


def lessons(texts: Texts, locale: str) -> Iterator[tuple[str, str]]:
    """Heading and words of each lesson that has approved ones in a language, in the order of config/education.yaml."""
    terms = education_terms()
    for name in (*terms.before_due, *terms.after_cure):
        found = texts.locale_for(locale, name, IN_APP, FIRST_PARTY)
        if found is not None:
            words = texts.text(name, found).words[IN_APP]
            yield words.title, words.body


routes: Final = [
    Route(f"{BASE}/reads", page(inside(reads)), methods=["GET"]),
    Route(f"{BASE}/helped", page(inside(did_it_help)), methods=["POST"]),
]
