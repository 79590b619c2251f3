"""Past contacts that count towards a cap or a cool-down, and until when each one does.

All counts come from the log of contacts, never from stored counters: a number that turns out to be somebody else's takes
its calls back, and a consent takes out the calls it covered.

In:   a rule's `counts`; the table (history, loans, consents).
Out:  `event`, `party_id`, `who`, `debt` (null where contacts do not count by debt), `contact_point_id`, `channel`, `until` (µs):
      one row a counted contact (and debt).
Pure: values only.
Source: 12 CFR 1006.14(b)(2)-(4) and its comments: seven consecutive calendar days, the day of the event being the first;
      (b)(3) calls that do not count; comment 14(b)(2)(i)-3 wrong numbers; (b)(4) loans that share an account are one debt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl

from decisions.rule_forms import Counts, Period
from decisions.rules.constraints import Flags, Grants, Instants, Moment, Numbers, Place, Spans
from decisions.rules.table import Table
from decisions.rules.timetable import DAY_US, MINUTE_US, NEVER_US, ends_of_span, start_of_day_us, step_values

BY_PERSON: Final = ("person", "debt")
BY_DEBT: Final = ("debt", "account")
# Past the years in which a day's number fits its bits: "until 9999" means never.
FAR_US: Final = 100_000 * DAY_US
# More than there are words for parties.
PARTIES_MAX: Final = 16
_COLUMNS: Final = {
    "event": pl.get_index_type(),
    "party_id": pl.Int64,
    "who": pl.Int64,
    "debt": pl.Int64,
    "contact_point_id": pl.Int64,
    "channel": pl.String,
    "until": pl.Int64,
}


def counted(counts: Counts, table: Table, at_least: int, *, among: Flags, consented_too: bool) -> pl.DataFrame:
    """The contacts that still count at the earliest instant of the table, of the people with at least so many.

    Args:
        counts: Which contacts, for how long.
        table: Candidates with their facts.
        at_least: People with fewer contacts are left out: no cap binds them.
        among: Rows that are asked about; the past of other people is left out.
        consented_too: Count also what the person had consented to (a conversation is one, whoever wanted it).
    """
    places, until = still_counting(counts, table, at_least, among=among)
    if not len(places):
        return pl.DataFrame(schema=_COLUMNS)
    kept = table.history[places].with_columns(until=pl.Series(until))
    events = _by_debt(kept, table) if counts.per in BY_DEBT else kept.with_columns(debt=pl.lit(None, pl.Int64))
    if counts.except_consented is not None and not consented_too and not table.facts.consents.is_empty():
        events = _without_consented(events, counts.except_consented, table)
    return events.select(*_COLUMNS)


def still_counting(counts: Counts, table: Table, at_least: int, *, among: Flags) -> tuple[Numbers, Instants]:
    """Places in the history of the contacts of `counted`, whoever had consented to them, and until when each counts (µs)."""
    log = table.log
    if not len(log.at) or not len(table.moment.at):
        return _NONE
    earliest = int(table.moment.at.min())
    places = _kept(counts, table, earliest, among, at_least)
    if not len(places):
        return _NONE
    until = span_ends(log.at[places], log.place[places], table.zone_places, counts.span)
    still = until > earliest
    places, until = places[still], until[still]
    if at_least > 1 and len(places):
        _, person, count = np.unique(with_whom(counts, log.party[places], log.who[places]), return_inverse=True, return_counts=True)
        many = count[person] >= at_least
        places, until = places[many], until[many]
    return places, until


_NONE: Final = (np.empty(0, dtype=np.intp), np.empty(0, dtype=np.int64))


def whom(counts: Counts) -> list[str]:
    """The columns that tell those apart with whom contacts are counted: everybody reached for a borrower's debts, or each alone."""
    return ["party_id", "who"] if counts.per in BY_PERSON else ["party_id"]


def with_whom(counts: Counts, party: Instants, who: Instants) -> Instants:
    """`whom` as one number."""
    return party * PARTIES_MAX + (who if counts.per in BY_PERSON else 0)


def _kept(counts: Counts, table: Table, earliest: int, among: Flags, at_least: int) -> Numbers:
    """Places of the contacts that are counted and may still count at `earliest` (µs) or later, of people with enough of them."""
    log = table.log
    asked = np.zeros(len(table.borrowers) + 1, dtype=np.bool_)
    asked[table.borrower_places[among]] = True
    keeps = asked[log.borrower]
    if counts.span.most_days is not None:
        # A local date is at most a day and a half away from UTC's.
        keeps &= log.at > earliest - (counts.span.most_days + 2) * DAY_US
    keeps &= log.is_one("direction", counts.directions, unknown=False)
    # A contact of which it is not known how it ended, or what for it was, may have been one of those that count.
    for column, wanted, unknown in (
        ("channel", counts.channels, False),
        ("result", counts.results, True),
        ("purpose", counts.purposes, True),
        ("location", counts.places, False),
    ):
        if wanted is not None:
            keeps &= log.is_one(column, wanted, unknown=unknown)
    for column, left_out in (
        ("result", counts.except_results),
        ("purpose", counts.except_purposes),
        ("location", counts.except_places),
    ):
        if left_out:
            keeps &= ~log.is_one(column, left_out, unknown=False)
    if counts.except_wrong_numbers and len(table.wrong_points):
        keeps &= ~table.history["contact_point_id"].is_in(table.wrong_points.implode()).fill_null(value=False).to_numpy()
    found = np.flatnonzero(keeps)
    if at_least > 1 and len(found):
        people = log.borrower[found] * PARTIES_MAX + (log.who[found] if counts.per in BY_PERSON else 0)
        found = found[np.bincount(people)[people] >= at_least]
    return found


def span_ends(at: Instants, place: Instants, places: Sequence[Place], period: Period, *, soonest: bool = False) -> Instants:
    """Until when each instant counts (µs); by local days, in the zone where they end last.

    Args:
        at: Microseconds since 1970, from then on; what begins after `FAR_US` never ends.
        place: Numbers into `places`.
        places: Only their zones matter.
        period: How long it counts.
        soonest: In the zone where they end first, instead: for what lets a contact through.
    """
    if period.unit == "ever":
        return np.full(len(at), NEVER_US)
    near = np.clip(at, 0, FAR_US)
    if period.unit == "minutes":
        ends = near + period.number * MINUTE_US
    else:
        moment = Moment(near, place, places)
        ends = step_values(
            moment.slots, lambda slot: ends_of_span(slot[0].zones, period, slot[1], soonest=soonest), moment.slot, moment.offset
        )
    return np.where(at >= FAR_US, NEVER_US, ends)


def day_starts(day: pl.Series, place: pl.Series, places: Sequence[Place]) -> pl.Series:
    """First instant of each local date (µs), in the zone where it begins last; without a zone, when it has begun everywhere.

    Args:
        day: Days since 1970.
        place: Numbers into `places`.
        places: Only their zones matter.
    """
    dates = pl.DataFrame([day.cast(pl.Int64).clip(0, FAR_US // DAY_US).alias("day"), place.alias("place")])
    distinct = dates.unique()
    starts = [
        max((start_of_day_us(zone, one) for zone in places[where].zones), default=(one + 1) * DAY_US) for one, where in distinct.iter_rows()
    ]
    numbered = distinct.with_columns(start=pl.Series(starts, dtype=pl.Int64))
    return dates.join(numbered, on=["day", "place"], how="left", maintain_order="left")["start"]


def _by_debt(events: pl.DataFrame, table: Table) -> pl.DataFrame:
    """One row an event and debt that it was about; an event that names no loan is held against each debt (debt null)."""
    loans = events.select("event", "party_id", loan_id=pl.col("loans").list.unique()).explode("loan_id")
    if not table.has_accounts:
        return events.drop("debt", strict=False).join(loans.select("event", debt="loan_id"), on="event", how="left")
    debts = (
        loans.join(table.loans.select("party_id", "loan_id", "debt"), on=["party_id", "loan_id"], how="left")
        .select("event", pl.col("debt").fill_null(pl.col("loan_id")))
        .unique()
    )
    return events.drop("debt", strict=False).join(debts, on="event", how="left")


def consent_spans(table: Table, days: int, parties: pl.DataFrame, earliest: int) -> pl.DataFrame:
    """Consents given directly for calls, while they excuse: `party_id`, `channel`, `since`, `until`.

    At most `days` local days, the day of the consent being the first, where they end first; earlier at its stated end or its revocation.
    Direct means given to the collector; where the creditor collects itself, to the creditor.

    `earliest` (µs): what was consented to before it is not looked at.

    Source: 12 CFR 1006.14(b)(3)(i) and comments -1 to -3; 1006.6(b)(4)(i).
    """
    # Nearly all consents are old, and excuse nothing any more.
    own = table.borrowers.select("party_id", "creditor_role", place="zones_number")
    recent = table.facts.consents.filter(pl.col("at").to_physical() > earliest)
    found = recent.join(own, on="party_id").join(parties, on="party_id", how="semi")
    found = found.filter(
        (pl.col("given_to") == "collector") | ((pl.col("given_to") == "creditor") & (pl.col("creditor_role") == "first_party"))
    ).with_columns(since=pl.col("at").to_physical())
    found = found.filter(pl.col("since").is_not_null())
    ends = span_ends(found["since"].to_numpy(), found["place"].to_numpy(), table.zone_places, Period("days", days), soonest=True)
    until = pl.min_horizontal(pl.Series(ends), pl.col("until").to_physical().fill_null(NEVER_US))
    return found.select("party_id", "channel", "since", until=until)


def conversations(table: Table) -> pl.DataFrame:
    """Every conversation by debt: `party_id`, `debt` (null = any), `at`, ascending."""
    talks = table.history.filter((pl.col("result") == "conversation") & pl.col("channel").is_in(["voice", "call"]))
    return _by_debt(talks, table).select("party_id", "debt", "at").sort("at")


def _ended_by_conversation(spans: pl.DataFrame, table: Table, by: list[str]) -> pl.DataFrame:
    """Cut each span (`since`, `until`, `party_id`, `debt`) at the first conversation after it began."""
    talks = conversations(table).rename({"debt": "talked_of", "at": "talked_at"})
    cut = (
        spans.join(talks, on="party_id", how="left")
        .filter(pl.col("talked_at").is_null() | (pl.col("talked_at") > pl.col("since")))
        .filter(pl.col("talked_of").is_null() | pl.col("debt").is_null() | (pl.col("talked_of") == pl.col("debt")))
        .group_by(by)
        .agg(pl.col("talked_at").min())
    )
    return spans.join(cut, on=by, how="left").with_columns(until=pl.min_horizontal("until", pl.col("talked_at").fill_null(NEVER_US)))


def _without_consented(events: pl.DataFrame, days: int, table: Table) -> pl.DataFrame:
    """Events outside every span of consent. The conversation that ends a span is still inside it: it was consented to."""
    marked = events.with_row_index("counted")
    earliest = events["at"].min()
    assert isinstance(earliest, int), "there are events"  # noqa: S101  # the caller returns early without any
    spans = consent_spans(table, days, events.select("party_id").unique(), earliest - (days + 2) * DAY_US)
    if spans.is_empty():
        return events
    covered = marked.select("counted", "party_id", "channel", "debt", "at").join(spans, on=["party_id", "channel"])
    covered = covered.filter((pl.col("since") <= pl.col("at")) & (pl.col("at") < pl.col("until")))
    covered = _ended_by_conversation(covered, table, ["counted", "since"]).filter(pl.col("at") <= pl.col("until"))
    return marked.join(covered.select("counted").unique(), on="counted", how="anti").drop("counted")


def consent_excuses(table: Table, days: int) -> Grants:
    """When a row's call is one that the person consented to directly, and so is not limited."""
    rows = table.rows.select("row", "party_id", "channel")
    earliest = int(table.moment.at.min())
    known = consent_spans(table, days, rows.select("party_id").unique(), earliest - (days + 2) * DAY_US)
    spans = rows.join(known, on=["party_id", "channel"])
    if spans.is_empty():
        return Grants(Spans.of(spans))
    debts = table.row_loans.join(spans.select("row").unique(), on="row", how="semi").select("row", "debt")
    each = spans.join(debts, on="row", how="left")
    each = _ended_by_conversation(each, table, ["row", "since", "debt"])
    # A call about several debts is excused while the consent holds for all of them.
    return Grants(Spans.of(each.group_by("row", "since").agg(pl.col("until").min())))
