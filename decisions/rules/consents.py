"""Consents: some channels need the person's leave: given, still fresh, and not taken back.

In:   a rule (to whom the consent must have been given, what renews it, which notice stands for it); the table.
Out:  a constraint: allowed while such a consent to the channel, or what stands for one, is in force.
Pure: values only.
Source: 47 USC 227(b), 47 CFR 64.1200(a)(1) (United States, automated calls and texts); 12 CFR 1006.6(d)(4)(ii), a notice with
      days to opt out; 1006.6(d)(5), a number from which the person wrote or that she consented to, renewed or checked in
      the last sixty days; the house for every other channel.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from decisions.rule_forms import ConsentAge, ConsentRule, Period
from decisions.rules.constraints import Grants, Moment, Spans
from decisions.rules.events import day_starts, span_ends
from decisions.rules.table import Table
from decisions.rules.timetable import NEVER_US


def constrain(rule: ConsentRule, value: ConsentAge, table: Table) -> Grants:
    """Allowed while a consent that counts for the rule is in force."""
    leaves = _given(rule, table)
    renewals = []
    if "inbound" in rule.renewed_by and table.log.is_one("direction", ("inbound",), unknown=False).any():
        written = _written(table)
        leaves = pl.concat([leaves, _leave_by_writing(written, table)])
        renewals.append(written)
    if "verification" in rule.renewed_by:
        renewals.append(_verified(table))
    if value.fresh_for is not None:
        leaves = _while_fresh(leaves, renewals, value.fresh_for, table)
    if rule.or_notice is not None and not table.facts.notices.is_empty():
        leaves = pl.concat([leaves, _noticed(rule.or_notice, value.opt_out_days or 0, table)])
    return Grants(Spans.of(leaves))


def _given(rule: ConsentRule, table: Table) -> pl.DataFrame:
    """`row`, `since`, `until`: consents given to one who counts; direct = to whoever collects."""
    found = table.consents.filter(pl.col("given_to").is_in(rule.given_to))
    if rule.direct and not found.is_empty():
        found = found.with_columns(role=table.of_borrower("creditor_role").gather(found["row"])).filter(
            (pl.col("given_to") == "collector") | ((pl.col("given_to") == "creditor") & (pl.col("role") == "first_party"))
        )
    return found.select("row", "since", "until")


def _written(table: Table) -> pl.DataFrame:
    """`row`, `at` (µs): what the person wrote by the row's channel, from its contact point as far as both are known."""
    heard = table.history.filter((pl.col("direction") == "inbound") & pl.col("at").is_not_null())
    heard = heard.select("party_id", "who", "channel", "at", point="contact_point_id")
    return (
        table.rows.select("row", "party_id", "who", "channel", "contact_point_id")
        .join(heard, on=["party_id", "who", "channel"])
        .filter(pl.col("point").is_null() | pl.col("contact_point_id").is_null() | (pl.col("point") == pl.col("contact_point_id")))
        .select("row", "at")
    )


def _leave_by_writing(written: pl.DataFrame, table: Table) -> pl.DataFrame:
    """`row`, `since`, `until`: who writes by a channel may be answered there, until she takes back what she had consented to."""
    ends = table.consents.select("row", ends="until").filter(pl.col("ends") < NEVER_US)
    ended = written.join(ends, on="row").filter(pl.col("ends") > pl.col("at")).group_by("row", "at").agg(until=pl.col("ends").min())
    # What she wrote later, before that end, renews the first.
    return (
        written.join(ended, on=["row", "at"], how="left")
        .group_by("row", until=pl.col("until").fill_null(NEVER_US))
        .agg(since=pl.col("at").min())
        .select("row", "since", "until")
    )


def _verified(table: Table) -> pl.DataFrame:
    """`row`, `at` (µs): the day on which the row's contact point was checked to be the person's."""
    checked = table.facts.contact_points.group_by("party_id", "contact_point_id").agg(pl.col("verified_on").max())
    rows = table.rows.select("row", "party_id", "contact_point_id", place="zones_number")
    found = rows.join(checked.filter(pl.col("verified_on").is_not_null()), on=["party_id", "contact_point_id"])
    return found.select("row", at=day_starts(found["verified_on"].to_physical(), found["place"], table.zone_places))


def _while_fresh(leaves: pl.DataFrame, renewals: Sequence[pl.DataFrame], days: int, table: Table) -> pl.DataFrame:
    """`row`, `since`, `until`: each leave from when it was given, or renewed, while it is fresh: until its last day ends anywhere."""
    begun = [leaves.with_columns(at=pl.col("since"))]
    begun += [leaves.join(renewed, on="row").select("row", "since", "until", "at") for renewed in renewals]
    dated = pl.concat(begun)
    place = table.rows["zones_number"].gather(dated["row"])
    stale = span_ends(dated["at"].to_numpy(), place.to_numpy(), table.zone_places, Period("days", days), soonest=True)
    fresh = dated.select("row", since=pl.max_horizontal("since", "at"), until=pl.min_horizontal(pl.col("until"), pl.Series("stale", stale)))
    return fresh.filter(pl.col("since") < pl.col("until"))


def _noticed(kind: str, days: int, table: Table) -> pl.DataFrame:
    """`row`, `since`, `until`: from when a notice of that kind, unanswered, stands for a consent to what the row is about.

    A contact about several debts waits for each one's notice; one that names none, for a notice about all.
    """
    stands = _stands(kind, days, table)
    named = table.row_loans.select("row", "party_id", "debt")
    unnamed = table.rows.join(named, on="row", how="anti").select("row", "party_id", debt=pl.lit(None, pl.Int64))
    asked = pl.concat([named, unnamed]).unique()
    told = asked.join(stands.rename({"debt": "of_debt"}), on="party_id").filter(
        pl.col("of_debt").is_null() | (pl.col("of_debt") == pl.col("debt")).fill_null(False)
    )
    earliest = told.group_by("row", "debt").agg(pl.col("since").min())
    each = asked.join(earliest, on=["row", "debt"], how="left", nulls_equal=True)
    latest = each.group_by("row").agg(pl.col("since").fill_null(NEVER_US).max()).filter(pl.col("since") < NEVER_US)
    return latest.join(table.opt_outs, on="row", how="anti").select("row", "since", until=pl.lit(NEVER_US))


def _stands(kind: str, days: int, table: Table) -> pl.DataFrame:
    """`party_id`, `debt` (null = every one), `since` (µs): from when each such notice stands for a consent.

    It must have left at least so many days to opt out: to the day it names, which must be over, or else since it was sent.
    """
    notices = table.facts.notices.filter(
        (pl.col("kind") == kind) & pl.col("bounced").fill_null(False).not_() & pl.col("sent_at").is_not_null()
    )
    notices = notices.join(table.borrowers.select("party_id", place="zones_number"), on="party_id").join(
        table.loans.select("party_id", "loan_id", "debt"), on=["party_id", "loan_id"], how="left"
    )
    moment = Moment(notices["sent_at"].to_physical().to_numpy(), notices["place"].to_numpy(), table.zone_places)
    left = pl.Series("left", moment.local_day + days)
    dated = notices.select(
        "party_id", "place", left, debt=pl.col("debt").fill_null(pl.col("loan_id")), by=pl.col("opt_out_by").to_physical().cast(pl.Int64)
    )
    dated = dated.filter(pl.col("by").is_null() | (pl.col("by") >= pl.col("left"))).with_columns(
        day=pl.col("by").add(1).fill_null(pl.col("left"))
    )
    return dated.select("party_id", "debt", since=day_starts(dated["day"], dated["place"], table.zone_places))
