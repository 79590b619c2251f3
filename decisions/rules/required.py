"""What the law wants said: disclosures that a text must carry or lacks, and notices that are still owed.

In:   facts, candidates, packs, as for `decisions.rules.judge`.
Out:  names, row by row.
Pure: values only.
Source: CASES.md `required`; LAW.md primitives 11 and 14.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Final

import numpy as np
import polars as pl

from decisions.facts import Facts
from decisions.packs import Packs
from decisions.rule_forms import ContentRule, DeadlineRule, value_on
from decisions.rules.applies import looks
from decisions.rules.constraints import Flags
from decisions.rules.contents import carries, elements
from decisions.rules.table import Table, table_of
from decisions.rules.timetable import EPOCH

# A deadline runs from the first contact (this one, or one before), or from a hold of the kind it names.
FROM_CONTACT: Final = "first_contact"


def required(facts: Facts, candidates: pl.DataFrame, packs: Packs, *, bases: Collection[str] | None = None) -> list[list[str]]:
    """Name what is required of each contact: of a text that is not known, all that it must carry; of one that is, what it lacks.

    Args:
        facts: See `judge`.
        candidates: See `judge`.
        packs: See `judge`.
        bases: See `judge`.

    Returns:
        One sorted list a row.
    """
    table = table_of(facts, candidates, packs)
    found: list[set[str]] = [set() for _ in range(len(candidates))]
    for row, name in (*_elements(table, bases), *_notices(table, bases)):
        found[row].add(name)
    return [sorted(names) for names in found]


def _rows(table: Table, rule: ContentRule | DeadlineRule, looked: list[bool]) -> list[int]:
    """Rows that a rule looks at and is in force for, on their local dates."""
    applies = table.of_profiles(looked)
    concerned = table.concerns(rule.applies_to)
    rows = np.flatnonzero(applies if concerned is None else applies & concerned)
    days = table.moment.local_day[rows].tolist()
    return [row for row, day in zip(rows.tolist(), days, strict=True) if value_on(rule.values, EPOCH + timedelta(days=day)) is not None]


def _elements(table: Table, bases: Collection[str] | None) -> Iterator[tuple[int, str]]:
    locales = table.of_borrower("locale")
    for pack, rule in table.packs.gating():
        if not isinstance(rule, ContentRule) or not rule.requires:
            continue
        looked = [looks(pack, rule, profile, table.known, bases) for profile in table.profiles]
        if not any(looked):
            continue
        for row in _rows(table, rule, looked):
            text, form = table.rows["text"][row], table.rows["form"][row]
            for one in elements(rule.requires, first=table.first_communication[row], form=form):
                if text is None or not carries(text, one, locales[row]):
                    yield row, one.name


def _notices(table: Table, bases: Collection[str] | None) -> Iterator[tuple[int, str]]:
    for pack, rule in table.packs.deadlines():
        looked = [looks(pack, rule, profile, table.known, bases) for profile in table.profiles]
        if not any(looked):
            continue
        running = _running(table, rule)
        for row in _rows(table, rule, looked):
            if running[row]:
                yield row, rule.notices[0]


def _running(table: Table, rule: DeadlineRule) -> Flags:
    """Rows for which a deadline has begun, or begins with this contact, and whose notice has not been sent."""
    given = table.facts.notices.filter(pl.col("kind").is_in(rule.notices) & pl.col("bounced").fill_null(False).not_())
    open_ = ~table.rows["party_id"].is_in(given["party_id"].unique().implode()).to_numpy()
    if rule.after == FROM_CONTACT:
        return open_
    begun = table.holds.filter(pl.col("kind") == rule.after)["row"]
    return open_ & table.with_rows(begun)
