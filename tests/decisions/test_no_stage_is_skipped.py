"""I12 and the budget, played: people's days against the pure decisions, with part payments, outages, moves and dead addresses.

A life is a list of days; many lives are played at once. What must hold is said here once more, in plain Python over a list of
what was tried, and knows nothing of data frames. That the play would notice is tried too: with each of some bugs planted in what
decides, or in what it is told, a play breaks what must hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from config.message_files import message_texts
from config.rule_files import rule_packs
from config.strategy_files import strategy
from decisions import offered as offering
from decisions.choose import decide
from decisions.facts import FAILURES, Facts
from decisions.local_days import with_local_dates
from decisions.strategy import ONBOARDING, OfferedFirst, Step, Strategy
from tests.plugins.known_facts import NOON_IN_NEW_YORK, TODAY, Known, facts_of, loan, point

PACKS, TEXTS = rule_packs(), message_texts()
ZONES = ("America/New_York", "Pacific/Honolulu", "Asia/Tokyo")
DAYS = 14
# The run looks at a day before it has begun in New York: in Tokyo it is late morning, and whoever moves there or away has lived through
# another date by the same instants. Dispatch looks again while it is day in Tokyo, the next day while it is day in America.
RUNS_AT, DISPATCHES_AT = time(2), (time(4), time(20))
NEVER_CAME = {"undelivered", "rejected"}
SAID = {"early": "early_reminder", "mid": "mid_talk", "late": "late_situation"}
LADDER = ("push", "sms")


def short(stage: str, first: int, last: int) -> Strategy:
    """A stage of a few days, whose every step may fall back."""
    onboarding = [] if stage == "early" else [(ONBOARDING, first)]
    steps = tuple(
        Step(number=number, from_day=day, channels=LADDER, message=message, offers=())
        for number, (message, day) in enumerate([*onboarding, (SAID[stage], first), (SAID[stage], first + 2)], start=1)
    )
    milder = {"mid": "early", "late": "mid"}.get(stage)
    return replace(
        strategy("static-ladder", stage),
        first_day=first,
        last_day=last,
        contacts_max=2,
        span_days=4,
        gap_days_min=1,
        steps=steps,
        offered_first=None if milder is None else OfferedFirst(stage=milder, failed_tries_min=2, span_days_min=1, contact_points_min=2),
    )


STAGES = {"early": short("early", 1, 4), "mid": short("mid", 5, 9), "late": short("late", 10, 30)}


@dataclass(frozen=True, slots=True)
class Day:
    """What happens on a day: before the run, and to what it sends."""

    pays: int = 0  # so many days of what is late
    moves_to: str | None = None
    dies: int | None = None  # the contact point of this place
    older_loan: bool = False  # one that was late for long is found to be hers
    outage: bool = False  # no run that day
    outcome: str = "delivered"
    again: str = "delivered"  # of what falls back


@dataclass(slots=True)
class Try:
    """What was tried, and what came of it."""

    stage: str
    message: str
    at: datetime
    on: date  # business date
    channel: str
    contact_point_id: int
    result: str
    loans: tuple[int, ...]


@dataclass(slots=True)
class Person:
    """One life as far as it was played."""

    id: int
    due_on: date
    older_due_on: date | None = None
    told_due_on: date | None = None  # what the ledger says, where a bug makes it say something else
    zone: str = ZONES[0]
    dead: set[int] = field(default_factory=set)
    tries: list[Try] = field(default_factory=list)

    def known(self, on: date) -> Known:
        """What the ledger would tell."""
        late = [(100 * self.id, self.told_due_on or self.due_on), (100 * self.id + 1, self.older_due_on)]
        loans = [loan((TODAY - due).days, loan_id=loan_id, **_aged(due, on)) for loan_id, due in late if due is not None]
        points = (point(10 * self.id + 1), point(10 * self.id + 2, "push"), point(10 * self.id + 3))
        return Known(
            party_id=self.id,
            days=None,
            loans=loans,
            person={"known_zone": self.zone, "payments_fresh_until": NOON_IN_NEW_YORK + timedelta(days=DAYS + 2)},
            points=[{**row, "status": "invalid" if row["contact_point_id"] in self.dead else "active"} for row in points],
            history=[
                {
                    "at": one.at,
                    "channel": one.channel,
                    "contact_point_id": one.contact_point_id,
                    "result": _told(one),
                    "loans": list(one.loans),
                }
                for one in self.tries
                if one.result != "rejected"
            ],
            treatments=[
                {
                    "stage": one.stage,
                    "message": one.message,
                    "at": one.at,
                    "contact_point_id": one.contact_point_id,
                    "result": _told(one),
                    "loans": list(one.loans),
                }
                for one in self.tries
                if one.result != "rejected"
            ],
        )

    def local(self, at: datetime) -> date:
        """The date where she is."""
        return at.astimezone(ZoneInfo(self.zone)).date()


def _told(one: Try) -> str:
    return "sent" if one.result == "unknown" else one.result


def _aged(due: date, on: date) -> dict[str, Any]:
    days = (on - due).days
    if days <= 0:
        return {
            "past_due_minor": 0,
            "days_past_due": 0,
            "delinquent_days": 0,
            "oldest_unpaid_due_on": None,
            "next_due_on": due,
            "stage": None,
        }
    stage = next((name for name, one in STAGES.items() if one.first_day <= days <= one.last_day), "recovery")
    return {
        "past_due_minor": 10_000,
        "days_past_due": days,
        "delinquent_days": days,
        "oldest_unpaid_due_on": due,
        "next_due_on": None,
        "stage": stage,
    }


def facts_about(people: Sequence[Person], on: date) -> Facts:
    """All lives in one frame."""
    failures = [
        {"party_id": one.id, "contact_point_id": tried.contact_point_id, "channel": tried.channel, "at": tried.at}
        for one in people
        for tried in one.tries
        if tried.result in NEVER_CAME
    ]
    return replace(facts_of(*(one.known(on) for one in people)), failures=pl.DataFrame(failures, schema=FAILURES))


def play(
    lives: Sequence[Sequence[Day]], late: int, *, by: Mapping[str, Strategy] | None = None, part_payments_help: bool = True
) -> list[Person]:
    """Play every life day by day, and check each contact when it is planned.

    Args:
        lives: What happens.
        late: How late everybody is on the first day.
        by: The strategies that decide; what must hold is always that of `STAGES`.
        part_payments_help: Whether the ledger says that a loan is younger once a part of what is late was paid, as it is.
    """
    people = [Person(id=number, due_on=TODAY - timedelta(days=late)) for number in range(1, len(lives) + 1)]
    for number in range(DAYS):
        on = TODAY + timedelta(days=number)
        today = [life[number] if number < len(life) else Day() for life in lives]
        for person, day in zip(people, today, strict=True):
            if not part_payments_help:
                person.told_due_on = person.told_due_on or person.due_on
            _happens(person, day, on)
        running = [(person, day) for person, day in zip(people, today, strict=True) if not day.outage]
        _run(running, on, datetime.combine(on, RUNS_AT, UTC), by or STAGES, again=False)
        at = datetime.combine(on, DISPATCHES_AT[number % 2], UTC)
        _run([(person, day) for person, day in running if _failed_today(person, on, at)], on, at, by or STAGES, again=True)
    return people


def _happens(person: Person, day: Day, on: date) -> None:
    person.due_on = min(person.due_on + timedelta(days=day.pays), on)
    person.zone = day.moves_to or person.zone
    if day.dies is not None:
        person.dead.add(10 * person.id + day.dies)
    if day.older_loan and person.older_due_on is None:
        person.older_due_on = on - timedelta(days=12)


def _failed_today(person: Person, on: date, at: datetime) -> bool:
    mine = [one for one in person.tries if one.on == on]
    return bool(mine) and all(one.result in NEVER_CAME and one.at <= at for one in mine)


def _run(running: Sequence[tuple[Person, Day]], on: date, at: datetime, by: Mapping[str, Strategy], *, again: bool) -> None:
    if not running:
        return
    facts = facts_about([person for person, _ in running], on)
    for name, ladder in by.items():
        if name in facts.loans["stage"]:
            rows = {
                row["party_id"]: row
                for row in decide(facts, ladder, PACKS, TEXTS, at=at, business_date=on, seed=b"s").iter_rows(named=True)
            }
            for person, day in running:
                row = rows[person.id]
                way = (row["channel"], row["contact_point_id"])
                if row["action"] == "contact" and not (
                    again and way in {(one.channel, one.contact_point_id) for one in person.tries if one.on == on}
                ):
                    _contact(person, STAGES[name], row, on, day.again if again else day.outcome)


def _contact(person: Person, ladder: Strategy, row: dict[str, Any], on: date, outcome: str) -> None:
    assert row["contact_point_id"] not in person.dead
    loans = tuple(
        100 * person.id + number for number, due in enumerate((person.due_on, person.older_due_on)) if due is not None and due < on
    )
    new = Try(ladder.stage, row["message"], row["send_after"], on, row["channel"], row["contact_point_id"], outcome, loans)
    check(person, ladder, new)
    person.tries.append(new)
    if outcome in NEVER_CAME and row["channel"] == "push":
        person.dead.add(row["contact_point_id"])


def check(person: Person, ladder: Strategy, new: Try) -> None:
    """What must hold of a contact, by what was tried before it."""
    assert new.loans, "nothing of hers is late"
    arrived = [one for one in person.tries if one.result not in NEVER_CAME]
    assert new.on not in {one.on for one in arrived}, "two contacts on one day"
    within = [one for one in arrived if person.local(one.at) > new.on - timedelta(days=ladder.span_days)]
    assert len(within) < ladder.contacts_max, "more than the budget, over all channels"
    assert (new.channel, new.contact_point_id, new.on) not in {(one.channel, one.contact_point_id, one.on) for one in person.tries}
    if ladder.offered_first is not None and new.message != ONBOARDING:
        assert milder_was_offered(person, ladder.offered_first, new), f"{new.stage} without {ladder.offered_first.stage}"


def milder_was_offered(person: Person, asked: OfferedFirst, new: Try) -> bool:
    """DOMAIN.md, "Offered": delivered, or enough lawful tries on enough contact points over enough days failed."""
    due_on = min(due for due in (person.due_on, person.older_due_on) if due is not None and due < new.on)
    about_it = [
        one
        for one in person.tries
        if ((one.stage == asked.stage and one.message != ONBOARDING) or (one.stage == new.stage and one.message == ONBOARDING))
        and person.local(one.at) >= due_on
        and set(one.loans) & set(new.loans)
    ]
    if any(one.result == "delivered" for one in about_it):
        return True
    # What the provider refused was never tried with her.
    failed = [one for one in about_it if one.result == "undelivered"]
    days = sorted(person.local(one.at) for one in failed)
    return (
        len(failed) >= asked.failed_tries_min
        and (days[-1] - days[0]).days >= asked.span_days_min
        and len({one.contact_point_id for one in failed}) >= asked.contact_points_min
    )


OUTCOMES = ("delivered", "undelivered", "rejected", "unknown")
PEOPLE = 100


def lives_of(seed: int) -> list[list[Day]]:
    """Lives of different tempers: some are reached at once, some hardly ever; some pay a little often, some move, some lose their phones."""
    drawn = Random(seed)  # noqa: S311  # a play, repeatable by its number
    return [_life(drawn) for _ in range(PEOPLE)]


def _life(drawn: Random) -> list[Day]:
    reached, pays, moves, dies, outage, older = (drawn.choice((0.0, 0.1, 0.3)) for _ in range(6))
    weights = [3 * reached + 0.1, 1.0, 0.5, 0.5]
    return [
        Day(
            pays=drawn.choice((1, 3, 6, 9)) if drawn.random() < pays else 0,
            moves_to=drawn.choice(ZONES) if drawn.random() < moves else None,
            dies=drawn.choice((1, 2, 3)) if drawn.random() < dies / 4 else None,
            older_loan=drawn.random() < older / 4,
            outage=drawn.random() < outage,
            outcome=drawn.choices(OUTCOMES, weights)[0],
            again=drawn.choices(OUTCOMES, weights)[0],
        )
        for _ in range(DAYS)
    ]


# Lives in which every planted bug shows.
SEED, LATE = 0, 6


@settings(max_examples=1, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
@given(seed=st.integers(0, 10_000), late=st.sampled_from([0, 1, 6]))
@example(seed=SEED, late=LATE)
def test_I12_nobody_meets_a_harsher_stage_before_the_milder_one_was_offered_whatever_happens(seed: int, late: int) -> None:
    play(lives_of(seed), late)


def test_I12_the_play_reaches_every_stage_and_falls_back() -> None:
    """Else what it checks would be true of nothing."""
    quiet, deaf, refused = [Day()] * DAYS, [Day(outcome="undelivered", again="undelivered")] * DAYS, [Day(outcome="rejected")] * DAYS
    people = play([quiet, deaf, refused], 0)
    said = [{one.message for one in person.tries} for person in people]
    assert said[0] == {"early_reminder", "mid_talk", "late_situation"}
    assert "late_situation" in said[1]
    # Her app is gone on the first day: that very day, and ever after, she is written to by text message.
    assert [(one.channel, one.result) for one in people[2].tries][:2] == [("push", "rejected"), ("sms", "delivered")]
    assert {one.channel for one in people[2].tries if one.result == "delivered"} == {"sms"}


Bug = Callable[[pytest.MonkeyPatch], dict[str, Any]]


def _changed(**fields: Any) -> Mapping[str, Strategy]:
    """The strategies, with another idea of when a milder stage was offered."""
    return {
        name: one if one.offered_first is None else replace(one, offered_first=replace(one.offered_first, **fields))
        for name, one in STAGES.items()
    }


def _everybody_was_offered_it(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    patch.setattr("decisions.candidates.offered", lambda _, asked, __: asked.select("party_id"))
    return {}


def _what_nobody_knows_arrived(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    patch.setattr("decisions.offered.ARRIVED", (*offering.ARRIVED, "sent"))
    return {}


def _onboarding_of_another_stage_counts(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    patch.setattr("decisions.offered.ONBOARDING", "no such message")
    return {}


def _what_was_said_of_a_debt_that_is_paid_counts(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    def about(facts: Facts, asked: pl.DataFrame) -> pl.DataFrame:
        return with_local_dates(facts.treatments, facts.borrowers).join(asked.select("party_id"), on="party_id")

    patch.setattr("decisions.offered._about_what_is_asked", about)
    return {}


def _days_are_told_where_she_lived_first(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    def dated(rows: pl.DataFrame, borrowers: pl.DataFrame) -> pl.DataFrame:
        return with_local_dates(rows, borrowers.with_columns(known_zone=pl.lit(None, dtype=pl.String)))

    for room in ("decisions.candidates", "decisions.offered"):
        patch.setattr(f"{room}.with_local_dates", dated)
    return {}


BUGS: dict[str, Bug] = {
    "nothing has to be offered": _everybody_was_offered_it,
    "failed tries count without their days": lambda _: {"by": _changed(span_days_min=0)},
    "failed tries at one address are enough": lambda _: {"by": _changed(contact_points_min=1)},
    "one failed try is enough": lambda _: {"by": _changed(failed_tries_min=1, span_days_min=0, contact_points_min=1)},
    "what nobody knows arrived": _what_nobody_knows_arrived,
    "onboarding of the milder stage counts as its steps": _onboarding_of_another_stage_counts,
    "what was said of a debt that is paid counts": _what_was_said_of_a_debt_that_is_paid_counts,
    "a part payment leaves the loan as old as it was": lambda _: {"part_payments_help": False},
    "a move takes no date along": _days_are_told_where_she_lived_first,
}


@pytest.mark.parametrize("bug", sorted(BUGS))
def test_I12_the_play_finds_a_planted_bug(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same lives, which the program without it lives through; each bug alone."""
    planted = BUGS[bug](monkeypatch)
    with pytest.raises(AssertionError):
        play(lives_of(SEED), LATE, **planted)
