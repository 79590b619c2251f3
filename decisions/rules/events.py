"""Past contacts that count towards a cap or a cool-down, and until when each one does.

All counts come from the log of contacts, never from stored counters: a number that turns out to be somebody else's takes
its calls back, and a consent takes out the calls it covered.

In:   a rule's `counts`; the table (history, loans, consents).
Out:  `party_id`, `who`, `debt` (null where contacts count per person), `until` (µs): one row a counted contact and debt.
Pure: values only.
Source: 12 CFR 1006.14(b)(2)-(4) and its comments: seven consecutive calendar days, the day of the event being the first;
      (b)(3) calls that do not count; comment 14(b)(2)(i)-3 wrong numbers; (b)(4) loans that share an account are one debt.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from decisions.packs import Counts
from decisions.rules.constraints import Grants, Moment, Place
from decisions.rules.table import Table
from decisions.rules.timetable import DAY_US, NEVER_US, ends_of_span, step_values


def counted(counts: Counts, table: Table, at_least: int, *, consented_too: bool) -> pl.DataFrame:
    """The contacts that still count at the earliest instant of the table, of the people with at least so many.

    Args:
        counts: Which contacts, for how long.
        table: Candidates with their facts.
        at_least: People with fewer contacts are left out: no cap binds them.
        consented_too: Count also what the person had consented to (a conversation is one, whoever wanted it).
    """
    earliest = table.moment.at.min()
    if not isinstance(earliest, int) or table.history.is_empty():
        return _none()
    kept = _kept(counts, table, earliest)
    if kept.is_empty():
        return _none()
    kept = kept.with_columns(until=span_ends(kept["at"], kept["place"], table.zone_places, counts.span))
    kept = kept.filter(pl.col("until") > earliest)
    if at_least > 1:
        many = kept.group_by("party_id", "who").len().filter(pl.col("len") >= at_least)
        kept = kept.join(many, on=["party_id", "who"], how="semi")
    if kept.is_empty():
        return _none()
    per_debt = counts.per == "debt"
    events = _by_debt(kept, table) if per_debt else kept.with_columns(debt=pl.lit(None, pl.Int64))
    if counts.except_consented is not None and not consented_too and not table.facts.consents.is_empty():
        events = _without_consented(events, counts.except_consented, table)
    return events.select("party_id", "who", "debt", "until")


def _kept(counts: Counts, table: Table, earliest: int) -> pl.DataFrame:
    """Contacts of the sort that is counted, recent enough to count at `earliest` (µs) or later."""
    # A local date is at most a day and a half away from UTC's.
    recent = pl.col("at") > earliest - (counts.span + 2) * DAY_US
    kept = table.history.filter(recent & pl.col("direction").is_in(counts.directions))
    if counts.channels is not None:
        kept = kept.filter(pl.col("channel").is_in(counts.channels))
    if counts.results is not None:
        # A contact whose result is not known may have been one of them.
        kept = kept.filter(pl.col("result").is_in(counts.results).fill_null(True))
    if counts.except_results:
        kept = kept.filter(pl.col("result").is_in(counts.except_results).fill_null(False).not_())
    if counts.except_purposes:
        kept = kept.filter(pl.col("purpose").is_in(counts.except_purposes).fill_null(False).not_())
    if counts.except_wrong_numbers and len(table.wrong_points):
        kept = kept.filter(pl.col("contact_point_id").is_in(table.wrong_points.implode()).fill_null(False).not_())
    return kept


def _none() -> pl.DataFrame:
    return pl.DataFrame(schema={"party_id": pl.Int64, "who": pl.Int64, "debt": pl.Int64, "until": pl.Int64})


def span_ends(at: pl.Series, place: pl.Series, places: Sequence[Place], days: int) -> pl.Series:
    """Until when each instant counts: through `days` local days, its own being the first, in the zone where that ends last.

    Args:
        at: Int64, microseconds since 1970.
        place: Numbers into `places`.
        places: Only their zones matter.
        days: ≥ 1.
    """
    moment = Moment(at, place.fill_null(0), places)
    return step_values(moment.slots, lambda slot: ends_of_span(slot[0].zones, days, slot[1]), moment.slot, moment.offset)


def _by_debt(events: pl.DataFrame, table: Table) -> pl.DataFrame:
    """One row an event and debt that it was about; an event that names no loan is held against each debt (debt null)."""
    loans = events.select("event", "party_id", loan_id="loans").explode("loan_id")
    debts = (
        loans.join(table.loans.select("party_id", "loan_id", "debt"), on=["party_id", "loan_id"], how="left")
        .select("event", pl.col("debt").fill_null(pl.col("loan_id")))
        .unique()
    )
    return events.drop("debt", strict=False).join(debts, on="event", how="left")


def consent_spans(table: Table, days: int, parties: pl.DataFrame, earliest: int) -> pl.DataFrame:
    """Consents given directly for calls, while they excuse: `party_id`, `channel`, `since`, `until`.

    At most `days` local days, the day of the consent being the first; earlier at its stated end or its revocation.
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
    ends = span_ends(found["since"], found["place"], table.zone_places, days)
    until = pl.min_horizontal(ends, pl.col("until").to_physical().fill_null(NEVER_US))
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
    earliest = table.moment.at.min()
    assert isinstance(earliest, int), "there are rows"  # noqa: S101  # without rows no rule is asked
    known = consent_spans(table, days, rows.select("party_id").unique(), earliest - (days + 2) * DAY_US)
    spans = rows.join(known, on=["party_id", "channel"])
    if spans.is_empty():
        return Grants(spans.select("row", "since", "until"))
    debts = table.row_loans.join(spans.select("row").unique(), on="row", how="semi").select("row", "debt")
    each = spans.join(debts, on="row", how="left")
    each = _ended_by_conversation(each, table, ["row", "since", "debt"])
    # A call about several debts is excused while the consent holds for all of them.
    return Grants(each.group_by("row", "since").agg(pl.col("until").min()).select("row", "since", "until"))
