"""All that is kept of a person, for her: as data (JSON), or to read (one HTML file that needs nothing from elsewhere).

Given only when her code was entered lately, a few times a day, and noted. The file to read leaves the bytes of files out: they are in
the other.

In:   her session; `gate.person_export.everything_in_words`.
Out:  downloads; rows of `document_given`.
Pure: no.
Source: GDPR articles 15 and 20; docs/adr/0050, 0064.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, timedelta
from hashlib import sha256
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from config.papers import papers_policy_in_force
from gate.person_export import everything_in_words
from ledger import clock, page_reads, papers
from ledger.engine import connection
from ledger.page_sessions import Session
from ledger.papers import Given
from ledger.person_export import FILES, HEADINGS
from portal.account import inside
from portal.pages import BASE, Asked, go, local_day, named_once, page
from portal.papers import CannotBeMade, reference_of, shown
from portal.uploads import handed_out
from portal.web import templates

# Form → what is noted.
KINDS: Final[Mapping[str, str]] = {"json": "data_json", "page": "data_page"}
DAY: Final = timedelta(hours=24)
_FILES: Final = frozenset(HEADINGS[table] for table in FILES)


async def take(asked: Asked, session: Session) -> Response:
    """All of it, as a download."""
    form = asked.request.path_params["form"]
    if form not in KINDS:
        return go("papers")
    try:
        content, on = await run_in_threadpool(_made, asked, session, form)
    except CannotBeMade as error:
        name, gaps = error.said
        return await shown(asked, session, trouble=asked.words.say(name, **gaps))
    name = f"my-data-{on.isoformat()}"
    return handed_out(content, name=f"{name}.html" if form == "page" else f"{name}.json")


def _made(asked: Asked, session: Session, form: str) -> tuple[bytes, date]:
    policy = papers_policy_in_force()
    if session.open_seconds > policy.data_code.total_seconds():
        raise CannotBeMade("data_code", minutes=str(int(policy.data_code.total_seconds() // 60)))
    with connection() as tx:
        if papers.given_since(tx, session.party_id, KINDS.values(), DAY) >= policy.data_a_day_max:
            raise CannotBeMade("doc_wait")
        everything = everything_in_words(tx, session.party_id)
        content = (_page(everything, asked) if form == "page" else json.dumps(everything, ensure_ascii=False, indent=1)).encode()
        at = clock.now(tx)
        given = Given(
            party_id=session.party_id,
            kind=KINDS[form],
            reference=reference_of(session, named_once(asked.fields), form),
            locale=asked.words.locale,
            content_hash=sha256(content).digest(),
            at=at,
        )
        papers.note_given(tx, given)
        return content, local_day(at, page_reads.zone_of(tx, session.party_id))


def _page(everything: Mapping[str, Any], asked: Asked) -> str:
    kept = {
        name: [{key: value for key, value in row.items() if not (name in _FILES and key == "content")} for row in rows]
        for name, rows in everything["kept"].items()
    }
    words = asked.words
    return str(
        templates()
        .get_template("data.html")
        .render(t=words.say, lang=words.locale, made_at=everything["made_at"], kept=kept, rules=everything["rules"])
    )


routes: Final = [Route(f"{BASE}/data/{{form:str}}", page(inside(take)), methods=["POST"])]
