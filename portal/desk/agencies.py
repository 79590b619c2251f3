"""Agencies: licences, loans that they have, what they have not acknowledged, what was against a rule; and one loan placed or recalled.

A loan's page shows the firms with their licences, the notices and the placements; what stands against placing it is asked first, and said
whole, and only then there is a button that does it. The same functions as `tideover agencies`.

In:   GET /desk/agencies; a loan's id by a form; GET and POST below /desk/agencies/loans/LOAN.
Out:  pages; notices, placements.
Pure: no.
Source: docs/agencies.md.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection
from starlette import status
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from config.agencies import placement_terms
from config.settings import settings
from ledger import agencies as firms
from ledger import agency_feeds, agency_lines, page_reads, placements, placing
from ledger.agencies import AgencyRefused
from ledger.engine import connection
from portal.desk.frame import BASE, Asked, NotFound, Room, desk_page, go, show
from portal.desk.working import REFUSALS, actor, in_ledger, refused

SEE: Final = "agencies.see"
WORK: Final = "agencies.work"
VIEW: Final = "placement"
# The newest; the commands show all.
SHOWN_MAX: Final = 200
NUMBER_MAX: Final = 2**62


async def listed(asked: Asked) -> Response:
    """All agencies, and what is with them now."""
    return await _list(asked)


async def find(asked: Asked) -> Response:
    """The page of a loan, by what the lender calls it; that is sent as a form, so that it stands in no address."""
    try:
        number = await in_ledger(lambda tx: placements.find_loan(tx, asked.fields.get("loan", "").strip()))
    except AgencyRefused as error:
        return await _list(asked, trouble=str(error))
    return go(f"agencies/loans/{number}")


async def loan(asked: Asked) -> Response:
    """One loan: who could have it, who was told, who has it."""
    return await _loan(asked)


async def notice(asked: Asked) -> Response:
    """That everybody who stands for the loan was told is written down."""
    number, typed = _number(asked), asked.fields

    def write() -> int:
        try:
            sent_at = datetime.fromisoformat(typed.get("sent_at", "")).replace(tzinfo=ZoneInfo(settings().business_zone))
        except ValueError:
            raise AgencyRefused(asked.words.say("ag_bad_instant")) from None
        return placing.note_notice(f"#{number}", sent_at=sent_at, by=actor(asked), reference=typed.get("reference", ""))

    try:
        await run_in_threadpool(write)
    except REFUSALS as error:
        return await _loan(asked, trouble=str(error))
    return go(f"agencies/loans/{number}")


async def place(asked: Asked) -> Response:
    """What stands against it is said first; placed is it by the second form, which only then is there."""
    number, typed = _number(asked), asked.fields
    does = typed.get("step") == "do"

    def step() -> None:
        try:
            until = date.fromisoformat(typed.get("until", ""))
        except ValueError:
            raise AgencyRefused(asked.words.say("ag_bad_day")) from None
        placing.place_loan(f"#{number}", typed.get("agency", ""), until=until, by=actor(asked), dry_run=not does)

    try:
        await run_in_threadpool(step)
    except REFUSALS as error:
        return await _loan(asked, trouble=str(error))
    return go(f"agencies/loans/{number}") if does else await _loan(asked, may_place=True)


async def recall(asked: Asked) -> Response:
    """Take it back: shown first, then done."""
    number, because = _number(asked), " ".join(asked.fields.get("because", "").split())
    does = asked.fields.get("step") == "do"

    def step() -> None:
        if not because:
            raise AgencyRefused(asked.words.say("ag_why_missing"))
        placing.recall_loan(f"#{number}", because=because, by=actor(asked), dry_run=not does)

    try:
        await run_in_threadpool(step)
    except REFUSALS as error:
        return await _loan(asked, trouble=str(error))
    return go(f"agencies/loans/{number}") if does else await _loan(asked, may_recall=True)


async def _list(asked: Asked, *, trouble: str | None = None) -> Response:
    def read() -> dict[str, Any]:
        with connection(read_only=True) as tx:
            return {
                "firms": firms.listed(tx),
                "placed": placements.listed(tx)[:SHOWN_MAX],
                "silent": agency_feeds.late(tx, on=placements.lenders_date(asked.at))[:SHOWN_MAX],
                "findings": agency_lines.findings(tx)[:SHOWN_MAX],
                "today": placements.lenders_date(asked.at),
            }

    code = status.HTTP_200_OK if trouble is None else status.HTTP_409_CONFLICT
    return show(asked, "desk/agencies", code=code, shown_max=SHOWN_MAX, trouble=trouble, **await run_in_threadpool(read))


async def _loan(asked: Asked, *, trouble: str | None = None, may_place: bool = False, may_recall: bool = False) -> Response:
    number, terms = _number(asked), placement_terms()
    today = placements.lenders_date(asked.at)

    def read(tx: Connection) -> dict[str, Any]:
        people = placing.stands_for(tx, number)
        if not people:
            raise NotFound
        for party_id in people:
            asked.note(tx, party_id, VIEW)
        debts = page_reads.debts(tx, people[0], on=today)
        return {
            "people": people,
            "debt": next((one for one in debts if one.loan_id == number), None),
            "now": placements.open_of(tx, number),
            "before": placing.ended(tx, number),
            "notices": placing.notices(tx, number),
            "firms": firms.listed(tx),
        }

    try:
        values = await in_ledger(read)
    except REFUSALS as error:
        return refused(asked, error)
    return show(
        asked,
        "desk/agency_loan",
        code=status.HTTP_200_OK if trouble is None else status.HTTP_409_CONFLICT,
        loan=number,
        today=today,
        typed=asked.fields,
        last=today + timedelta(days=terms.days_max),
        notice_days=terms.notice_days,
        trouble=trouble,
        may_place=may_place,
        may_recall=may_recall,
        **values,
    )


def _number(asked: Asked) -> int:
    """The loan's number; one that no ledger can have is no address."""
    number = int(asked.request.path_params["loan"])
    if number > NUMBER_MAX:
        raise NotFound
    return number


_ONE: Final = f"{BASE}/agencies/loans/{{loan:int}}"
ROOM: Final = Room(
    name="agencies",
    path="agencies",
    right=SEE,
    routes=(
        Route(f"{BASE}/agencies", desk_page(listed, shows_person=False, right=SEE), methods=["GET"]),
        Route(f"{BASE}/agencies", desk_page(find, shows_person=False, right=WORK), methods=["POST"]),
        Route(_ONE, desk_page(loan, shows_person=True, right=WORK), methods=["GET"]),
        Route(f"{_ONE}/notice", desk_page(notice, shows_person=True, right=WORK), methods=["POST"]),
        Route(f"{_ONE}/place", desk_page(place, shows_person=True, right=WORK), methods=["POST"]),
        Route(f"{_ONE}/recall", desk_page(recall, shows_person=True, right=WORK), methods=["POST"]),
    ),
)
