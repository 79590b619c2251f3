"""What several desks do alike: who acts, in a transaction that also notes who looked, and what is refused said in words.

In:   a request of somebody who is signed in.
Out:  her name as it is written down; what a piece of work returned; a page that says why nothing was done.
Pure: no.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import Connection
from starlette import status
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from config.load import ConfigError
from config.settings import settings
from ledger.agencies import AgencyRefused
from ledger.approvals import ApprovalRefused, signed_in
from ledger.cases import CaseRefused
from ledger.core_instructions import InstructionRefused
from ledger.decisions_log import UnknownBorrowerError
from ledger.dossier import UnknownAttemptError
from ledger.engine import connection
from ledger.evidence_bundle import BundleRefused
from ledger.incidents import IncidentRefused
from ledger.pack_versions import UnknownReferenceError
from ledger.person_case import NoFactsError
from ledger.policies import UnknownVersionError
from ledger.run_standings import NoSuchRun
from portal.desk.frame import Asked, show

T = TypeVar("T")
# Whoever works below a desk says in words why something is not done; a person can do something about each of these.
REFUSALS: Final = (
    AgencyRefused,
    ApprovalRefused,
    BundleRefused,
    CaseRefused,
    ConfigError,
    IncidentRefused,
    InstructionRefused,
    NoFactsError,
    NoSuchRun,
    UnknownAttemptError,
    UnknownBorrowerError,
    UnknownReferenceError,
    UnknownVersionError,
)


def actor(asked: Asked) -> str:
    """Who acts, as it is written down: by what she signed in with, not by what somebody typed."""
    return signed_in(asked.staff.name, asked.staff.id)


def today(asked: Asked) -> date:
    """The portfolio's local date."""
    return asked.at.astimezone(ZoneInfo(settings().business_zone)).date()


def day_of(typed: str, usual: date) -> date:
    """A date from an address or a form; the usual one where it is none."""
    try:
        return date.fromisoformat(typed)
    except ValueError:
        return usual


async def in_ledger(work: Callable[[Connection], T]) -> T:
    """Do a piece of work in one transaction, beside the loop."""

    def done() -> T:
        with connection() as tx:
            return work(tx)

    return await run_in_threadpool(done)


def refused(asked: Asked, error: Exception) -> Response:
    """A page that says in words why nothing was done."""
    return show(
        asked,
        "desk/message",
        code=status.HTTP_409_CONFLICT,
        title=asked.words.say("co_refused_title"),
        body=str(error),
    )
