"""Orders: a notice that must come before the first contact about a debt.

In:   a rule (which notices, how many days or business days); the table (notices, history).
Out:  a constraint: free from the day that the notice's waiting time ends on; never, where the first contact has no notice.
Pure: values only.
Source: the pack of each jurisdiction (KR-START3BD, EU-CSD-10, HK-COBP-NOTICE, IN-DLD, TW-NOTICE).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from decisions.facts import type_instant
from decisions.rule_forms import OrderRule, Waits
from decisions.rules.calendars import HolidayCalendar, calendar_of, day_after_waiting
from decisions.rules.constraints import Moment, NotBefore
from decisions.rules.events import day_starts
from decisions.rules.table import Table
from decisions.rules.timetable import NEVER_US


def constrain(rule: OrderRule, value: Waits, table: Table) -> NotBefore:
    """Free from the n-th (business) day after the notice; a contact about several loans waits for each one's notice.

    Raises:
        NotImplementedError: The holidays library does not know the rule's calendar.
    """
    calendar = None if rule.calendar is None else calendar_of(rule.calendar, table.packs)
    free = _free_from(rule, value, calendar, table)
    rows = table.row_loans.select("row", "party_id", "loan_id")
    unnamed = table.rows.join(rows, on="row", how="anti").select("row", "party_id", loan_id=pl.lit(None, pl.Int64))
    asked = pl.concat([rows, unnamed])
    told = asked.join(free.rename({"loan_id": "of_loan"}), on="party_id").filter(
        pl.col("of_loan").is_null() | pl.col("loan_id").is_null() | (pl.col("of_loan") == pl.col("loan_id"))
    )
    earliest = told.group_by("row", "loan_id").agg(pl.col("free").min())
    first = table.rows.select("row", first=pl.Series(table.first_attempt))
    each = asked.join(earliest, on=["row", "loan_id"], how="left", nulls_equal=True).join(first, on="row", how="left")
    waits = each.select(
        "row", free=pl.when(pl.col("free").is_not_null()).then("free").when("first").then(pl.lit(NEVER_US)).otherwise(pl.lit(0))
    )
    latest = waits.group_by("row").agg(pl.col("free").max())
    free_from = np.zeros(len(table.rows), dtype=np.int64)
    free_from[latest["row"].to_numpy()] = latest["free"].to_numpy()
    return NotBefore(free_from)


def _free_from(rule: OrderRule, value: Waits, calendar: HolidayCalendar | None, table: Table) -> pl.DataFrame:
    """`party_id`, `loan_id` (null = every loan), `free` (µs): from when each notice that arrived lets contact begin."""
    notices = table.facts.notices.filter(pl.col("kind").is_in(rule.notices) & pl.col("bounced").fill_null(False).not_())
    day = "received_on" if rule.counted_from == "received" else "sent_at"
    if day == "sent_at":
        # What was received was sent, that day at the latest.
        notices = notices.with_columns(pl.col("sent_at").fill_null(pl.col("received_on").cast(type_instant)))
    notices = notices.filter(pl.col(day).is_not_null()).join(
        table.borrowers.select("party_id", place="zones_number"), on="party_id", how="left"
    )
    if day == "received_on":
        began = notices["received_on"].to_physical().cast(pl.Int64)
    else:
        moment = Moment(notices["sent_at"].to_physical().to_numpy(), notices["place"].fill_null(0).to_numpy(), table.zone_places)
        began = pl.Series(moment.local_day)
    days = began.unique().to_list()
    over = began.replace_strict(days, [day_after_waiting(one, value, calendar) for one in days], return_dtype=pl.Int64)
    starts = day_starts(over, notices["place"].fill_null(0), table.zone_places)
    # Of a notice that goes out on the day itself, the contact is not before the notice.
    return notices.select("party_id", "loan_id", free=pl.max_horizontal(starts, pl.col("sent_at").to_physical().fill_null(0)))
