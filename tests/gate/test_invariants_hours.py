"""I3 and I9, attacked on the days when the clock changes: the hours are the person's own, whatever UTC says, and only the sandbox's clock steps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from config.message_files import message_texts
from config.rule_files import rule_packs
from config.settings import settings
from decisions.packs import Packs
from gate.claim import Door, take_chunk
from gate.lane import run_lane
from gate.permit import Rulebook
from ledger import clock
from ledger.campaigns import read_run
from ledger.engine import connection
from ledger.outbox import EVERY_PARTY
from tests.plugins.packs import packs_of, rule
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio
from tests.plugins.sending import Outbox, RecordingChannel

UTC = ZoneInfo("UTC")
NEW_YORK = ZoneInfo("America/New_York")
# Both are Sundays, on which the house's own hours are narrower than the law's.
SPRING, AUTUMN = date(2026, 3, 8), date(2026, 11, 1)
LAW, HOUSE = (time(8), time(21)), (time(10), time(18))
MOMENT = timedelta(microseconds=1)


def law(name: str) -> Packs:
    """The packs in force, or the law's window alone: what the house leaves out must hold by itself."""
    if name == "house":
        return rule_packs()
    hours = rule("US-HOURS", "window", clock="every_plausible_zone", values={"2020-01-01": {"opens": "08:00", "closes": "21:00"}})
    return packs_of(hours)


def local(day: date, at: time) -> datetime:
    return datetime.combine(day, at, NEW_YORK).astimezone(UTC)


def instants(day: date) -> list[datetime]:
    """Around the ends of both windows, each hour of the night when the clock changes, and where the other offset would put an end."""
    ends = [local(day, end) for end in (*LAW, *HOUSE)]
    shifts = [-timedelta(hours=1), -timedelta(seconds=2), -MOMENT, timedelta(0), MOMENT, timedelta(seconds=2), timedelta(hours=1)]
    night = [local(day, time(0)) + timedelta(hours=hours) for hours in range(5)]
    return sorted({*night, *(end + shift for end in ends for shift in shifts), local(day, time(12))})


def late_on(portfolio: Portfolio, day: date, zones: Sequence[str] = ("America/New_York",)) -> BorrowerIds:
    """A borrower who is five days late on a day, whose creditor's feed is fresh then."""
    portfolio.creditor("US", fresh_until=local(day, time(0)) + timedelta(days=1))
    return portfolio.borrower(days_past_due=5 + (TODAY - day).days, zones=zones)


@pytest.mark.parametrize(("name", "hours"), [("law", LAW), ("house", HOUSE)])
@pytest.mark.parametrize("day", [SPRING, AUTUMN], ids=str)
def test_I3_on_the_day_when_the_clock_changes_nothing_leaves_or_arrives_outside_the_hours(
    portfolio: Portfolio, outbox: Outbox, day: date, name: str, hours: tuple[time, time]
) -> None:
    """At each instant somebody else comes due, who is let through inside the hours and by no means outside."""
    run = outbox.run(business_date=day)
    opens, closes = (local(day, end) for end in hours)
    of = {outbox.plan(run, late_on(portfolio, day), send_after=at, expires_at=at + timedelta(days=1)): at for at in instants(day)}
    with connection() as tx:
        door = Door(run=read_run(tx, run), parties=EVERY_PARTY, book=Rulebook(law(name)), texts=message_texts())
    sent: dict[datetime, list[datetime]] = {}
    for at in instants(day):
        portfolio.clock(at)
        for letter in take_chunk(door, at_most={"sms": 100}, after={"sms": -1}).letters:
            assert opens <= at < closes, at.astimezone(NEW_YORK)
            assert at + timedelta(seconds=letter.message.valid_seconds) <= closes, "it may be delivered after the window"
            sent.setdefault(at, []).append(of[letter.attempt_id])
    # The window is used to its ends: whoever came due before it is sent as it opens, whoever comes due in it at once.
    assert sent.pop(opens) == [at for at in of.values() if at <= opens]
    assert sent == {at: [at] for at in of.values() if opens < at <= closes - timedelta(seconds=2)}


@pytest.mark.parametrize(("day", "opens"), [(SPRING, 14), (AUTUMN, 15)], ids=str)
def test_I3_what_waits_for_the_morning_waits_for_the_new_offset(portfolio: Portfolio, outbox: Outbox, day: date, opens: int) -> None:
    """Taken up in the night before the change, on the old offset; it may go at 10 by the clock that the person then has."""
    run = outbox.run(business_date=day)
    attempt = outbox.plan(run, late_on(portfolio, day), send_after=local(day, time(0)))
    portfolio.clock(local(day, time(0, 30)))
    run_lane(run, shard=None, channels={"sms": RecordingChannel})
    row = outbox.attempt(attempt)
    assert (row["state"], row["send_after"]) == ("planned", datetime.combine(day, time(opens), UTC))


@pytest.mark.parametrize("day", [SPRING, AUTUMN], ids=str)
def test_I3_a_person_who_may_be_in_two_zones_has_the_hours_that_both_allow(portfolio: Portfolio, outbox: Outbox, day: date) -> None:
    """Phoenix never changes its clock: on these days its distance from New York does."""
    run = outbox.run(business_date=day)
    attempt = outbox.plan(run, late_on(portfolio, day, ["America/New_York", "America/Phoenix"]))
    opens = datetime.combine(day, HOUSE[0], ZoneInfo("America/Phoenix")).astimezone(UTC)
    portfolio.clock(local(day, HOUSE[0]))
    run_lane(run, shard=None, channels={"sms": RecordingChannel})
    assert outbox.attempt(attempt)["send_after"] == opens
    for at, state in ((opens - MOMENT, "planned"), (opens, "accepted")):
        portfolio.clock(at)
        run_lane(run, shard=None, channels={"sms": RecordingChannel})
        assert outbox.attempt(attempt)["state"] == state


def test_I9_in_live_mode_a_simulated_noon_opens_no_window(portfolio: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row of the simulated clock stands in a ledger that then goes live: nobody looks at it, and nobody may step it."""
    attempt = outbox.plan(outbox.run(), portfolio.borrower())
    portfolio.clock(local(TODAY, time(12)))
    for name, value in {
        "MODE": "live",
        "ENCRYPTION_KEYS": "own:" + "a" * 43 + "=",
        "INDEX_KEY": "own",
        "SEED": "own",
        "PUBLIC_URL": "https://pay.example",
    }.items():
        monkeypatch.setenv(f"TIDEOVER_{name}", value)
    settings.cache_clear()
    with connection() as tx:
        real = clock.now(tx)
        assert real > local(TODAY, time(12)) + timedelta(days=1)
        with pytest.raises(clock.LiveClockError):
            clock.step(tx, real + timedelta(days=365))
    channel = RecordingChannel()
    run_lane(outbox.attempt(attempt)["campaign_run_id"], shard=None, channels={"sms": lambda: channel})
    # By the real clock that window has long passed.
    assert (channel.sent, outbox.attempt(attempt)["state"]) == ([], "expired")
