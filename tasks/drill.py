"""The kill-switch drill's step: stop contact while messages are on their way, see when the last call began, and go on.

The pause ends by itself after some minutes, so that a worker that dies in the middle leaves nobody stopped for long. Where
nothing is under way nothing is stopped: a drill without work proves nothing, and says so.

In:   what is stopped; how long to wait until something is under way.
Out:  a `Drilled` in the ledger, as a table of the run; an error where a message left too late.
Pure: no.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import timedelta
from typing import Final, Literal, TypeAlias

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from config.settings import settings
from ledger import clock, drills, pauses
from ledger.drills import STOPS_WITHIN_SECONDS, Drilled
from ledger.engine import connection
from ledger.pauses import Pause, Scope

What: TypeAlias = Literal["sms", "push", "everything"]

LOOK_SECONDS: Final = 0.1
# By then the pause is over whatever became of this process; business time.
LASTS_AT_MOST: Final = timedelta(minutes=5)
# Receipts are written in groups, some tenths of a second after the answer.
RECEIPT_SECONDS: Final = 1.0


class DrillFailed(RuntimeError):
    """A call was begun too long after contact was stopped; the message says how long. Nothing is paused any more."""

    def __init__(self, drilled: Drilled) -> None:
        super().__init__(
            f"the last call was begun {drilled.last_send_seconds:.1f} s after the stop of {drilled.what}; "
            f"{drilled.bound_seconds:.1f} s are allowed. See docs/operate.md, Stop everything"
        )
        self.drilled = drilled


class DrillRefused(RuntimeError):
    """Contact is stopped already: a drill would measure nothing, and must not resume what operations stopped."""


@task(task_run_name="kill-switch drill: {what}", persist_result=False, cache_policy=NO_CACHE)
def hold_drill(what: What, by: str, wait_seconds_max: float) -> Drilled:
    """Stop contact while something is under way, measure, resume, and keep the result.

    Args:
        what: A channel, or everything.
        by: Who holds it; kept.
        wait_seconds_max: So long is waited until something is under way.

    Returns:
        What was found: `passed` or `nothing_under_way`.

    Raises:
        DrillFailed: A call was begun too late.
        DrillRefused: Operations have stopped contact.
    """
    channel = None if what == "everything" else what
    _refuse_while_stopped(channel)
    drilled = _measured(what, channel, by) if _wait_for_work(channel, wait_seconds_max) else _nothing(what, by)
    with connection() as tx:
        number = drills.record(tx, drilled, at=clock.now(tx))
    get_run_logger().info("drill %d: %s", number, in_words(drilled))
    create_table_artifact(
        key="drill",
        description=f"Kill-switch drill {number}: {in_words(drilled)}",
        table=[{"what": name, "value": str(value)} for name, value in asdict(drilled).items()],
    )
    if drilled.verdict == "failed":
        raise DrillFailed(drilled)
    return drilled


def in_words(drilled: Drilled) -> str:
    """One line for people."""
    if drilled.verdict == "nothing_under_way":
        return f"nothing was on its way on {drilled.what}, so nothing was stopped and nothing is proved; hold it while a stage sends"
    return (
        f"{drilled.verdict}: {drilled.what} stopped with {drilled.under_way} messages on their way; {drilled.sent_after} calls were begun "
        f"afterwards, the last {drilled.last_send_seconds:.2f} s after the stop ({drilled.bound_seconds:.1f} s are allowed); it goes on"
    )


def _refuse_while_stopped(channel: str | None) -> None:
    with connection() as tx:
        standing = pauses.in_force(tx, at=clock.now(tx))
    for one in standing:
        if one.scope in {Scope(), Scope(channel=channel)}:
            raise DrillRefused(f"{one.scope} is paused already (#{one.id}, by {one.by}): resume it first, or hold the drill another day")


def _wait_for_work(channel: str | None, seconds_max: float) -> int:
    """Wait until something is under way; how much."""
    until = time.monotonic() + seconds_max
    while True:
        with connection() as tx:
            found = drills.under_way(tx, channel)
        if found or time.monotonic() >= until:
            return found
        time.sleep(LOOK_SECONDS)


def _measured(what: What, channel: str | None, by: str) -> Drilled:
    with connection() as tx:
        found = drills.under_way(tx, channel)
        at = clock.now(tx)
        pause, _ = pauses.write_pause(tx, Scope(channel=channel), because="kill-switch drill", by=by, at=at, until=at + LASTS_AT_MOST)
    try:
        with connection() as tx:
            paused_at = drills.written_at(tx, pause.id)
        _wait_for_quiet(channel, STOPS_WITHIN_SECONDS + settings().call_seconds_max + RECEIPT_SECONDS)
        with connection() as tx:
            sent, seconds = drills.sent_since(tx, channel, paused_at)
    finally:
        _resume(pause, by)
    return Drilled(
        what=what,
        said_by=by,
        pause_id=pause.id,
        paused_at=paused_at,
        under_way=found,
        sent_after=sent,
        last_send_seconds=seconds,
        bound_seconds=STOPS_WITHIN_SECONDS,
        verdict="passed" if seconds <= STOPS_WITHIN_SECONDS else "failed",
    )


def _wait_for_quiet(channel: str | None, seconds_max: float) -> None:
    """Wait until no call is under way any more and none has begun for a while: the lanes have seen the pause."""
    began = time.monotonic()
    quiet_since: float | None = None
    while time.monotonic() - began < seconds_max:
        with connection() as tx:
            busy = drills.under_way(tx, channel)
        now = time.monotonic()
        quiet_since = None if busy else quiet_since or now
        if quiet_since is not None and now - max(quiet_since, began) >= STOPS_WITHIN_SECONDS:
            return
        time.sleep(LOOK_SECONDS)


def _resume(pause: Pause, by: str) -> None:
    with connection() as tx:
        at = clock.now(tx)
        if any(one.id == pause.id for one in pauses.in_force(tx, at=at)):
            pauses.lift(tx, None, by=by, at=at, pause_id=pause.id)


def _nothing(what: What, by: str) -> Drilled:
    return Drilled(
        what=what,
        said_by=by,
        pause_id=None,
        paused_at=None,
        under_way=0,
        sent_after=0,
        last_send_seconds=0.0,
        bound_seconds=STOPS_WITHIN_SECONDS,
        verdict="nothing_under_way",
    )
