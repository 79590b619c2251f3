"""From aged frames to the answers of `tideover age`, and from an answer to what differs from an expectation.

In:   the frames of decisions/aging.py for a list of cases, where a case's place in the list is its `loan_id`.
Out:  one answer (plain values, ready for JSON) a case; a list of differences, field by field.
Pure: no I/O, no clock.
Source: CASES.md "tideover age".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from decisions.aging import AgingPolicy, age, unpaid_instalments

MONEY: Final = ("past_due", "outstanding", "credit")
INSTALMENT_FIELDS: Final = ("due_on", "days_past_due", "delinquent_days", "unpaid", "bucket")
PLAN_DAYS: Final = "plan_days_past_due"


@dataclass(frozen=True, slots=True)
class AgeFacts:
    """The loans of a case file; frames as in decisions/aging.py, `as_of` among the columns of `loans`."""

    loans: pl.DataFrame
    instalments: pl.DataFrame
    payments: pl.DataFrame
    pauses: pl.DataFrame
    plans: pl.DataFrame
    policy: AgingPolicy


def answers(ids: Sequence[str], facts: AgeFacts) -> list[dict[str, Any]]:
    """Answer every case: the fields of CASES.md's `expect`, `treatment`, and in a plan `plan_days_past_due`.

    Args:
        ids: n case ids, in the order of the file; case i is the loan with loan_id i.
        facts: n loans, in that order.

    Returns:
        n answers in that order; dates as ISO text, money in minor units.
    """
    aged = age(facts.loans, facts.instalments, facts.payments, facts.pauses, facts.plans, policy=facts.policy)
    by_instalment = _late_instalments(facts)
    return [
        _answer(case_id, row, by_instalment.get(row["loan_id"], []))
        for case_id, row in zip(ids, _for_json(aged).iter_rows(named=True), strict=True)
    ]


def _answer(case_id: str, row: dict[str, Any], by_instalment: list[dict[str, Any]]) -> dict[str, Any]:
    answer = {
        "id": case_id,
        "days_past_due": row["days_past_due"],
        "delinquent_days": row["delinquent_days"],
        **{field: row[f"{field}_minor"] for field in MONEY},
        **{field: row[field] for field in ("oldest_unpaid_due_on", "next_due_on", "bucket", "stage")},
        "by_instalment": by_instalment,
        "treatment": row["treatment"],
    }
    return answer if row[PLAN_DAYS] is None else {**answer, PLAN_DAYS: row[PLAN_DAYS]}


def _late_instalments(facts: AgeFacts) -> dict[int, list[dict[str, Any]]]:
    late = unpaid_instalments(facts.loans, facts.instalments, facts.payments, facts.pauses, policy=facts.policy)
    rows = _for_json(late.filter(pl.col("days_past_due") > 0).rename({"unpaid_minor": "unpaid"}))
    listed: dict[int, list[dict[str, Any]]] = {}
    for row in rows.iter_rows(named=True):
        listed.setdefault(row["loan_id"], []).append({field: row[field] for field in INSTALMENT_FIELDS})
    return listed


def _for_json(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.col(pl.Date).dt.to_string("iso"))


def differences(answer: Mapping[str, Any], expected: Mapping[str, Any], under: str = "") -> list[str]:
    """What of `expected` does not hold, one sentence a field: `bucket: expected "M2", got "M1"`.

    Only what `expected` holds is compared, in the rows of `by_instalment` too; but the rows must be as many.
    A field that the answer does not carry counts as null.
    """
    found: list[str] = []
    for field, wanted in expected.items():
        got, name = answer.get(field), f"{under}{field}"
        if not isinstance(wanted, list) or not isinstance(got, list):
            found += [] if wanted == got else [f"{name}: expected {_shown(wanted)}, got {_shown(got)}"]
        elif len(wanted) != len(got):
            found.append(f"{name}: expected {len(wanted)} rows, got {len(got)}")
        else:
            for place, (wanted_row, got_row) in enumerate(zip(wanted, got, strict=True)):
                found += differences(got_row, wanted_row, f"{name}[{place}].")
    return found


def _shown(value: object) -> str:
    return "null" if value is None else f'"{value}"' if isinstance(value, str) else str(value)
