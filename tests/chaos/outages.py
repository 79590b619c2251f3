"""Something is away, full, or moved while messages are being sent: nobody is contacted twice, lost, or contacted against a rule.

Each journey begins with an empty ledger and an empty town, ends with everything settled, and is judged by what phones received
(verdict.py) and by the whole audit. `hits` says how often the trouble was really met: a journey that met none proves nothing.

In:   a running house; how many messages, how long the trouble lasts (wall clock).
Out:  a `Journey`.
Pure: no. The senders are processes; what comes afterwards (`dispatch`, `reconcile`) runs here, through Prefect.
Source: issue 5, point 8.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from prefect.context import refresh_global_settings_context

from config.settings import settings
from flows.dispatch import dispatch
from flows.reconcile import reconcile
from ledger import embedded
from tasks.audit import audit_period
from tests.chaos.day import begin_anew, inbox_waiting, plan_day, rows, states, step
from tests.chaos.flow import EXPECTED
from tests.chaos.house import House, hang_up
from tests.chaos.plan import NOON, TODAY
from tests.chaos.verdict import Verdict, judge
from tests.chaos.worker import send

SENDERS: Final = ("worker", "worker-2")
# So long does the sending of a day take, so that trouble meets it half way.
SENDING_SECONDS: Final = 8.0
WAIT_SECONDS_MAX: Final = 60.0
SETTLE_SECONDS_MAX: Final = 120.0
AWAY_BY_THE_CLOCK: Final = timedelta(minutes=10)
HEAD_NOT_KEPT: Final = "EVIDENCE HEAD NOT KEPT"
# Sundays on which the clocks of most of the United States change; those of Arizona and Hawaii do not.
SPRING, AUTUMN = date(2026, 3, 8), date(2026, 11, 1)
AMERICA: Final = ZoneInfo("America/New_York")


class JourneyError(AssertionError):
    """A journey did not come to where it should; the message says what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """What a journey ended with.

    Attributes:
        name: Which.
        messages: Planned.
        hits: How often the trouble was met, as the journey counts it.
        verdict: From the outside's record.
        violations: Checks of the audit that found something.
        warnings: What the audit could not look at, or must be seen to.
    """

    name: str
    messages: int
    hits: int
    verdict: Verdict
    violations: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def held(self) -> bool:
        """Whether the trouble was met and every promise was kept."""
        found = self.verdict
        return bool(self.hits) and not (found.twice or found.lost or found.against_rule or found.unknown or self.violations)


def every_journey(house: House, *, messages: int, folder: Path, database_seconds: float, provider_seconds: float) -> Iterator[Journey]:
    """One after the other, in a house with a relay that is started and answers."""
    yield database_away(house, messages=messages, seconds=database_seconds)
    yield provider_away(house, messages=messages, seconds=provider_seconds)
    yield provider_unavailable(house, messages=messages, seconds=provider_seconds)
    yield disk_full(house, messages=messages, folder=folder)
    for on in (SPRING, AUTUMN):
        yield clock_change(house, messages=messages, on=on)


def database_away(house: House, *, messages: int, seconds: float) -> Journey:
    """Two workers send the same campaign; in the middle of it the ledger's server is away.

    Shorter than RECEIPT_PATIENCE_SECONDS (60), so that the results of calls under way are still written; longer than a permit lives (5).
    """
    planned = _begin(house, messages)
    with _sending(house, planned):
        _until(lambda: _sent() >= planned // 4, "nothing is being sent")
        embedded.stop(house.data)
        hang_up()
        time.sleep(seconds)
        embedded.start(house.data, durable=True)
        hits = planned - _sent()
        _settle()
    return _end(house, "database away", planned, hits)


def provider_away(house: House, *, messages: int, seconds: float) -> Journey:
    """The provider refuses connections, and breaks those under way, for ten minutes by the business clock.

    On the wall it is `seconds`: nothing in between waits longer for a provider than a call's time-out and its rests. Whatever was not
    called is planned again, each look finds it still due, and `dispatch` sends it within its window.
    """
    assert house.relay is not None
    planned = _begin(house, messages)
    with _sending(house, planned):
        _until(lambda: _sent() >= planned // 4, "nothing is being sent")
        house.relay.shut()
        for part in (1, 2):
            time.sleep(seconds / 2)
            step(house, NOON + part * AWAY_BY_THE_CLOCK / 2)
        hits = int(rows("SELECT count(*) FROM attempt_transition WHERE from_state = 'submitting' AND to_state = 'planned'")[0][0])
        house.relay.open()
    _settle()
    return _end(house, "provider away", planned, hits)


def provider_unavailable(house: House, *, messages: int, seconds: float) -> Journey:
    """The provider answers every call with 503, which says nothing of the message, for ten minutes by the business clock.

    What was called has an unknown fate, and the lanes soon call nobody any more; the provider's list has no record of it later, so it
    has failed and is not sent again. The rest goes out within its window.
    """
    planned = _begin(house, messages)
    with _sending(house, planned):
        _until(lambda: _sent() >= planned // 4, "nothing is being sent")
        house.sandbox("POST", "faults", {"faults": [{"fault": "unavailable"}]})
        for part in (1, 2):
            time.sleep(seconds / 2)
            step(house, NOON + part * AWAY_BY_THE_CLOCK / 2)
        hits = int(rows("SELECT count(*) FROM attempt_transition WHERE from_state = 'submitting' AND to_state = 'unknown'")[0][0])
        house.sandbox("DELETE", "faults")
    _settle()
    return _end(house, "provider answers 503", planned, hits)


def disk_full(house: House, *, messages: int, folder: Path) -> Journey:
    """No room where the heads of the evidence are kept: sending goes on, the audit says so, and keeps the head once there is room."""
    with _full(folder) as (place, make_room), _evidence_in(house, place):
        planned = _begin(house, messages)
        with _sending(house, planned):
            _until(lambda: not states().keys() & {"planned", "submitting"}, "not everything was sent")
            _until(lambda: HEAD_NOT_KEPT in house.log_tail("worker") + house.log_tail("worker-2"), "no sender missed the full disk")
        _settle()
        missed = [warning for warning in audit_period(TODAY, TODAY).warnings if "a_head_is_not_kept_outside" in warning]
        make_room()
        return _end(house, "disk full", planned, len(missed))


def clock_change(house: House, *, messages: int, on: date) -> Journey:
    """Work is queued in the night of a change of the clocks, all over the United States; the clock is moved through the day.

    Half an hour at a time and to the last second before it, so that an hour too early or too late is met. One worker looks each time.
    """
    # As UTC: half an hour more is half an hour later, whatever the clocks on the wall do.
    night = datetime(on.year, on.month, on.day, 0, 30, tzinfo=AMERICA).astimezone(UTC)
    planned = _begin(house, messages, on=on, at=night, countries=("US",))
    hits = 0
    for halves in range(1, 2 * 31):
        for at in (night + timedelta(minutes=30 * halves, seconds=-1), night + timedelta(minutes=30 * halves)):
            step(house, at)
            before = _sent()
            send()
            hits += _sent() > before
    _settle()
    return _end(house, f"clock change {on.isoformat()}", planned, hits, on=on)


def _begin(house: House, messages: int, *, on: date = TODAY, at: datetime = NOON, countries: tuple[str, ...] = ("TW",)) -> int:
    refresh_global_settings_context()
    begin_anew(house, at)
    plan_day(house, messages=messages, on=on, at=at, countries=countries)
    return states().total()


@contextmanager
def _sending(house: House, planned: int) -> Iterator[None]:
    """Two workers send the same campaign, at a pace that makes it last; they are ended at the end."""
    rate = f"{planned / SENDING_SECONDS / 2:.2f}"
    house.environment |= {"TIDEOVER_SMS_PER_SECOND": rate, "TIDEOVER_PUSH_PER_SECOND": rate}
    for name in SENDERS:
        house.spawn(name)
    try:
        yield
    finally:
        house.stop_senders()


def _settle() -> None:
    """Everything is there again: what the deployments do every few minutes, until nothing is open."""
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while states().keys() & {"planned", "submitting", "unknown"} or inbox_waiting():
        if time.monotonic() > deadline:
            raise JourneyError(f"not settled: {dict(states())}, {inbox_waiting()} wait in the inbox")
        for flow in (reconcile, dispatch):
            with suppress(*EXPECTED):
                flow()
        time.sleep(0.5)


def _end(house: House, name: str, planned: int, hits: int, *, on: date = TODAY) -> Journey:
    audited = audit_period(on, on)
    return Journey(
        name=name,
        messages=planned,
        hits=hits,
        verdict=judge(house, on),
        violations=tuple(sorted({violation.check for violation in audited.violations})),
        warnings=audited.warnings,
    )


def _sent() -> int:
    """Attempts that a provider has taken."""
    return int(rows("SELECT count(*) FROM attempt WHERE provider_id IS NOT NULL")[0][0])


def _until(holds: Callable[[], bool], else_say: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not holds():
        if time.monotonic() > deadline:
            raise JourneyError(f"{else_say}: {dict(states())}")
        time.sleep(0.1)


@contextmanager
def _evidence_in(house: House, place: Path) -> Iterator[None]:
    """Keep the heads there, in the senders and here."""
    before = house.environment["TIDEOVER_EVIDENCE_DIR"]
    house.environment["TIDEOVER_EVIDENCE_DIR"] = os.environ["TIDEOVER_EVIDENCE_DIR"] = str(place)
    settings.cache_clear()
    try:
        yield
    finally:
        house.environment["TIDEOVER_EVIDENCE_DIR"] = os.environ["TIDEOVER_EVIDENCE_DIR"] = before
        settings.cache_clear()


@contextmanager
def _full(folder: Path) -> Iterator[tuple[Path, Callable[[], None]]]:
    """A place without room, and how to make some: a disk of 16 KiB that is full, or where none can be mounted a file instead of a folder."""
    place = folder / "heads"
    place.mkdir(parents=True)
    filler = place / "filler"
    mounted = os.geteuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", place], check=False).returncode == 0
    if mounted:
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 512)
    else:
        place.rmdir()
        place.touch()
    try:
        yield place, filler.unlink if mounted else place.unlink
    finally:
        if mounted:
            subprocess.run(["umount", place], check=True)
