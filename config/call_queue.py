"""Reads config/call_queue.yaml: whom the phone team calls besides those who ask for it, and how often it tries.

In:   the file.
Out:  `CallPolicy`.
Pure: no; reads one file.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from config.load import Day, Strict, read

CALL_QUEUE_FILE: Final = Path(__file__).with_name("call_queue.yaml")
Count = Annotated[int, Field(ge=1)]
Phrase = Annotated[str, Field(min_length=1)]


class UnreachedForm(Strict):
    """Whom no message reached, as written."""

    tries: Count
    within_days: Count
    stages: tuple[Literal["early", "mid", "late", "recovery"], ...]
    waits_days: Count


class AgainForm(Strict):
    """Another try, as written."""

    tries: Count
    rest_minutes: Count
    within_hours: Count


class SaysForm(Strict):
    """Messages, as written."""

    callback: Phrase
    unreached: Phrase


class CallQueueForm(Strict):
    """The file, as written."""

    owner: Phrase
    reviewed_on: Day
    unreached: UnreachedForm
    again: AgainForm
    dial_minutes: Count
    says: SaysForm
    card_minutes: Count
    calls_per_hour: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPolicy:
    """How the phone team's queue is filled and worked.

    Attributes:
        tries_failed_min: So many tries that failed make somebody unreached.
        within_days: Business dates that are looked at.
        stages: Of these stages' tries.
        waits: How long an unreached person waits in the queue.
        tries_max: Dials for one task.
        rest: From one dial to the next.
        again_within: So long after it the next may still be made.
        dial_within: Dialled so soon after the number was shown.
        says: Reason → message.
        card_for: So long a person's card is one colleague's alone.
        calls_per_hour: That a colleague makes in an hour of her shift.
    """

    tries_failed_min: int
    within_days: int
    stages: tuple[str, ...]
    waits: timedelta
    tries_max: int
    rest: timedelta
    again_within: timedelta
    dial_within: timedelta
    says: dict[str, str]
    card_for: timedelta
    calls_per_hour: int


def call_policy(path: Path = CALL_QUEUE_FILE) -> CallPolicy:
    """Read how the queue is filled and worked.

    Raises:
        ConfigError: The file is not of that form.
    """
    form = read(path, CallQueueForm)
    return CallPolicy(
        tries_failed_min=form.unreached.tries,
        within_days=form.unreached.within_days,
        stages=form.unreached.stages,
        waits=timedelta(days=form.unreached.waits_days),
        tries_max=form.again.tries,
        rest=timedelta(minutes=form.again.rest_minutes),
        again_within=timedelta(hours=form.again.within_hours),
        dial_within=timedelta(minutes=form.dial_minutes),
        says=form.says.model_dump(),
        card_for=timedelta(minutes=form.card_minutes),
        calls_per_hour=form.calls_per_hour,
    )


@lru_cache(maxsize=1)
def call_policy_in_force() -> CallPolicy:
    """The shipped file's, read once a process."""
    return call_policy()
