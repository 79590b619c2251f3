"""Re-record: what was learned late about past dates. History is aged again, outcomes are worked out again, differences are listed.

Nothing is overwritten: what was recorded is what people were treated by. What is known now stands beside it, once, with the date
on which it counts: the date itself, or, where its month is closed, today (an adjustment). Promises are judged again, as new
versions of the fact.

In:   a `ReRecord`.
Out:  a step of the backfill a date: counts, and a row for each loan, attempt, contact and promise that is otherwise.
Pure: no. Sends nothing.
Source: DOMAIN.md "Two times on every fact"; SCIENCE.md C2: outcomes are labels of 7 and 30 days, no claim of a cause.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import polars as pl
from sqlalchemy import Connection

from config.aging import aging_policy
from config.promises import promise_terms
from config.settings import settings
from decisions.backfills import booked_on, changed, counted
from ledger import clock, promises, re_records
from ledger.aging_facts import age_loans, loan_chunks
from ledger.backfills import DIFFERENCES, Backfill, no_differences, open_backfill, wall_clock, write_step
from ledger.engine import arrow, connection
from ledger.inbox import counts_waiting
from ledger.policies import find_policy
from tasks.backfill_requests import ReRecord
from tasks.re_decide import refuse_future

COMPARED: Final = tuple(name for name in re_records.AGEING if name != "loan_id")
LATE: Final = pl.col("days_past_due") > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What one date looks like now, before anything is written.

    Attributes:
        counts: For people; no person.
        differences: `what`, `subject_id`, `before`, `after`.
    """

    counts: dict[str, Any]
    differences: pl.DataFrame


def open_re_record(asked: ReRecord) -> Backfill:
    """Open the backfill, or take up the one that was broken off.

    Raises:
        BackfillRefused: Its dates lie in the future.
    """
    with connection() as tx:
        at = clock.now(tx)
        refuse_future(asked.last, at)
        request = {"known_until": None if asked.known_until is None else asked.known_until.isoformat()}
        return open_backfill(tx, "re_record", request, first_on=asked.first, last_on=asked.last, at=at)


def foresee_re_record(asked: ReRecord) -> dict[date, Mapping[str, Any]]:
    """The dry run: date → counts of what is otherwise. Writes nothing."""
    with connection() as tx:
        at, known_at = clock.now(tx), wall_clock(tx)
        refuse_future(asked.last, at)
    request = {"known_until": None if asked.known_until is None else asked.known_until.isoformat()}
    imagined = Backfill(
        id=_NO_BACKFILL,
        kind="re_record",
        request=request,
        first_on=asked.first,
        last_on=asked.last,
        opened_at=at,
        known_at=known_at,
        done={},
    )
    return {day: _record_again(imagined, day, write=False) for day in imagined.dates}


# No backfill has so high a number: what all of them recorded lies before it.
_NO_BACKFILL: Final = 2**62


def re_record_date(backfill: Backfill, day: date) -> Mapping[str, Any]:
    """Record one date again; a date that is done is read back.

    Returns:
        `loans` (aged otherwise), `late` and `no_longer_late` (late the date before, not any more) and `buckets` → [recorded, now],
        `past_due_change_minor` by currency, `attempts`, `outcomes`, `needless_contacts`, `promises` by new state, `adjustments`
        (differences that count today, not on the date), `never_aged`, `known_better` (a later look was there before),
        `events_waiting` (of the inbox).
    """
    return backfill.done[day] if day in backfill.done else _record_again(backfill, day, write=True)


def _record_again(backfill: Backfill, day: date, *, write: bool) -> Mapping[str, Any]:
    today = backfill.opened_at.astimezone(ZoneInfo(settings().business_zone)).date()
    booked = booked_on(day, today=today, closes_after_days=settings().month_closes_after_days)
    looked = _look(backfill, day, today)
    counts = looked.counts
    with connection() as tx:
        with tx.begin_nested() as judging:
            kept = _judge_promises(tx, day, today=today, at=backfill.opened_at)
            if not write:
                judging.rollback()
        found = pl.concat([looked.differences, kept]).with_columns(booked_on=pl.lit(booked)).select(DIFFERENCES.keys())
        counts |= {
            "promises": counted(kept["after"].str.json_path_match("$.state").to_list()),
            "adjustments": found.height if booked != day else 0,
            "events_waiting": counts_waiting(tx),
        }
        if write:
            write_step(tx, backfill, day, counts, found)
    return counts


def _look(backfill: Backfill, day: date, today: date) -> Looked:
    """Compare what is recorded of a date with what is known now."""
    with connection(read_only=True, archive=True) as tx:
        chunks = loan_chunks(tx)
        version = re_records.ageing_policy_of(tx, day)
        policy = aging_policy() if version is None else aging_policy(text=find_policy(tx, version).body)
        before_that = re_records.aged_before(tx, day)
        last_known = re_records.known_last(tx, day)
        asked_until = backfill.request["known_until"]
        known_before = re_records.known_before(tx, day) if last_known or asked_until is None else datetime.fromisoformat(asked_until)
    nothing: dict[str, Any] = {
        "loans": 0, "late": [0, 0], "no_longer_late": [0, 0], "buckets": {}, "past_due_change_minor": {}, "attempts": 0, "outcomes": 0,
        "needless_contacts": 0, "never_aged": 0, "known_better": 0,
    }  # fmt: skip
    if last_known is not None and last_known > backfill.known_at:
        return Looked(counts=nothing | {"known_better": 1}, differences=_NOTHING)
    with arrow(read_only=True, archive=True) as source:
        recorded = re_records.recorded_ageing(source, day, before=backfill.id)
        if recorded.is_empty():
            return Looked(counts=nothing | {"never_aged": 1}, differences=_NOTHING)
        parts = [age_loans(source, chunk, business_date=day, known_at=backfill.known_at, policy=policy) for chunk in chunks]
        now = pl.concat(parts).select(pl.col(name).cast(kind) for name, kind in re_records.AGEING.items())
        aged = changed(recorded, now, key="loan_id", columns=COMPARED)
        contacts = re_records.contacts_of(source, day)
        needless = _needless(contacts, recorded, now, re_records.paid_on(source, _loans_of(contacts), day))
        fates, outcomes = _NOTHING, _NOTHING
        if known_before is not None:
            fates = _of("attempt", changed(
                re_records.fates_as_known(source, day, known_before),
                re_records.fates_as_known(source, day, backfill.known_at),
                key="attempt_id", columns=["state"],
            ))  # fmt: skip
            outcomes = _of("outcome", changed(
                re_records.outcomes_as_known(source, day, known_before, today=today),
                re_records.outcomes_as_known(source, day, backfill.known_at, today=today),
                key="attempt_id", columns=[name for name in re_records.OUTCOMES if name != "attempt_id"],
            ))  # fmt: skip
        earlier = [
            pl.DataFrame(schema=re_records.AGEING)
            if before_that is None
            else re_records.recorded_ageing(source, before_that, before=before)
            for before in (backfill.id, backfill.id + 1)
        ]
        currencies = re_records.currencies(source, aged["subject_id"].to_list())
    counts = {
        "loans": aged.height,
        "late": [frame.filter(LATE).height for frame in (recorded, now)],
        "no_longer_late": [
            was.filter(LATE).join(frame.filter(LATE), on="loan_id", how="anti").height
            for was, frame in zip(earlier, (recorded, now), strict=True)
        ],
        "buckets": _buckets(recorded, now),
        "past_due_change_minor": _change(recorded, now, currencies),
        "attempts": fates.height,
        "outcomes": outcomes.height,
        "needless_contacts": needless.height,
    }
    return Looked(counts=nothing | counts, differences=pl.concat([_of("ageing", aged), needless, fates, outcomes]))


_NOTHING: Final = no_differences().drop("booked_on")


def _of(what: str, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(pl.lit(what).alias("what"), "subject_id", "before", "after")


def _loans_of(contacts: pl.DataFrame) -> list[int]:
    return contacts["loans"].explode().drop_nulls().unique().to_list()


def _needless(contacts: pl.DataFrame, recorded: pl.DataFrame, now: pl.DataFrame, paid_that_day: set[int]) -> pl.DataFrame:
    """Contacts about loans on which, as is known now, nothing was past due that day, and not for a payment of that very day."""
    about = contacts.select("attempt_id", loan_id="loans").explode("loan_id").drop_nulls()
    owed = [
        about.join(frame.select("loan_id", "past_due_minor"), on="loan_id", how="left")
        .group_by("attempt_id")
        .agg(pl.col("past_due_minor").fill_null(0).sum(), paid=pl.col("loan_id").is_in(paid_that_day).any())
        for frame in (recorded, now)
    ]
    found = owed[0].join(owed[1], on="attempt_id", suffix="_now").filter(
        (pl.col("past_due_minor") > 0) & (pl.col("past_due_minor_now") == 0) & ~pl.col("paid")
    )  # fmt: skip
    sides = [found.select("attempt_id", past_due_minor=column) for column in ("past_due_minor", "past_due_minor_now")]
    return _of("contact", changed(*sides, key="attempt_id", columns=["past_due_minor"]))


def _buckets(recorded: pl.DataFrame, now: pl.DataFrame) -> dict[str, list[int]]:
    counts = [dict(frame.filter(LATE).group_by("bucket").len().iter_rows()) for frame in (recorded, now)]
    return {name: [one.get(name, 0) for one in counts] for name in sorted(counts[0].keys() | counts[1].keys())}


def _change(recorded: pl.DataFrame, now: pl.DataFrame, currencies: Mapping[int, str]) -> dict[str, int]:
    """Currency → by how much more is past due than was recorded, over the loans that are otherwise."""
    sums: dict[str, int] = {}
    for sign, frame in ((-1, recorded), (1, now)):
        for loan_id, past_due in frame.select("loan_id", "past_due_minor").iter_rows():
            if loan_id in currencies:
                sums[currencies[loan_id]] = sums.get(currencies[loan_id], 0) + sign * past_due
    return {currency: change for currency, change in sorted(sums.items()) if change}


def _judge_promises(tx: Connection, day: date, *, today: date, at: datetime) -> pl.DataFrame:
    """Judge the promises that were for a day again, however long ago it is; what became otherwise, of all promises of these people."""
    people = re_records.promises_of(tx, due_on=day)["party_id"].unique().to_list()
    if not people:
        return _NOTHING
    terms = promise_terms()
    watched = max(terms.watched_days, (today - day).days)
    before = re_records.promises_of(tx, parties=people)
    promises.judge(tx, people, on=today, at=at, terms=replace(terms, watched_days=watched))
    return _of("promise", changed(before, re_records.promises_of(tx, parties=people), key="promise", columns=["due_on", "state"]))
