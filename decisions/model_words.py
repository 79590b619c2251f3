"""What a model's say in a decision rests on, in words: what counted for a contact, what against, and what would have changed it.

Each thing that the model looked at of the person is set to what is usual, by itself, and the model is asked again: by how much the contact
would then bring more or less is what that thing counted. It is the model's own arithmetic, not a picture of it.

In:   a model, one person's features, an arm and what stands against it (decisions/policy.VALUED).
Out:  a plain dictionary, and the same in words.
Pure: no I/O, no clock.
Source: SCIENCE.md E3: up to four reasons, from the model's own terms.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import polars as pl

from decisions.features import FEATURES, REACHED_BY, SLOT_HOURS, SLOTS, TOLD_APART
from decisions.models import ARMS, NONE, Model

REASONS_MAX: Final = 4
# A thing that moves the chance by less has not counted: a hundredth of a percentage point.
COUNTS_FROM: Final = 0.0001

WORDS: Final[Mapping[str, str]] = {
    "days_past_due": "days late",
    "loans_late": "loans that are late",
    "past_due_instalments": "what is due, in usual payments",
    "past_due_share": "the part that is due of all that is owed",
    "past_due_to_income": "what is due, beside a month's income",
    "days_to_next_due": "days to the next due date",
    "payments_30d": "payments in 30 days",
    "payments_90d": "payments in 90 days",
    "days_since_payment": "days since the last payment",
    "payment_to_instalment": "a usual payment, in instalments",
    "on_time_share": "the part of payments that came in time",
    "paid_today_weekday_share": "the part of payments on this day of the week",
    **{f"paid_slot_{slot}_share": f"the part of payments from {SLOT_HOURS * slot} to {SLOT_HOURS * (slot + 1)} h" for slot in range(SLOTS)},
    "income_days": "days on which money came in",
    "income_gap_days": "days between two incomes",
    "days_since_income": "days since money came in",
    "days_to_income": "days until money usually comes in",
    "income_30d_to_usual": "the last month's income beside the usual one",
    "spare_share": "the part of income that is left",
    "balance_to_past_due": "what the wallet holds, beside what is due",
    "contacts_today": "contacts today",
    "contacts_7d": "contacts in 7 days",
    "contacts_30d": "contacts in 30 days",
    "days_since_contact": "days since the last contact",
    "delivered_share": "the part of messages that arrived",
    "read_share": "the part of messages that were read",
    "answered_share": "the part of calls that were answered",
    **{f"days_since_{channel}": f"days since the last contact by {channel.replace('_', ' ')}" for channel in TOLD_APART},
    "replies_30d": "answers in 30 days",
    "days_since_reply": "days since the last answer",
    "cannot_pay_90d": "times she said that she cannot pay",
    "disputed_90d": "disputes and complaints",
    "promises_kept": "promises kept",
    "promises_broken": "promises broken",
    "promise_open": "an open promise",
    "plan_active": "a plan under way",
    "plans_broken": "plans broken",
    **{f"reach_{kind}": f"a way to reach her: {kind}" for kind in REACHED_BY},
    "verified": "a verified contact point",
    "stops": "channels that she stopped",
    "weekend": "the weekend",
}


def model_part(model: Model, known: pl.DataFrame, arm: Mapping[str, Any]) -> dict[str, Any]:
    """What a model says of a contact and of none, and why.

    Args:
        model: Of the probability that she pays.
        known: One row: `FEATURES`.
        arm: `channel`, `hour_slot`, `offer` (null = nothing but the text), and `gain`, `spent`, `harm`, `price` as in a decision's arms.

    Returns:
        `channel`, `probability` of paying with the contact and `without`; `counted`: up to four of `input`, `says`, `value`, `usual`,
        `points` (percentage points of what the contact brings; negative = it spoke against the contact); `would_change`: those inputs
        which, were they as usual, would turn worth a contact into not worth it, or the other way round.
    """
    looked_at = [one.name for one in model.inputs if one.name in FEATURES]
    usual = {name: model.typical.get(name) for name in looked_at}
    # The first row is the person; in each other one a single thing is as usual.
    rows = pl.concat([known.select(FEATURES)] * (1 + len(looked_at))).with_row_index("row")
    changed = rows.with_columns(
        pl.when(pl.col("row") == place).then(pl.lit(usual[name], pl.Float64)).otherwise(pl.col(name)).alias(name)
        for place, name in enumerate(looked_at, start=1)
    )
    with_contact = model.predict(_with(changed, arm["channel"], arm["hour_slot"], arm["offer"] or NONE))
    without = model.predict(_with(changed, NONE, None, NONE))
    brings = with_contact - without
    moved = brings[0] - brings[1:]
    order = [place for place in np.argsort(-np.abs(moved), kind="stable") if abs(moved[place]) >= COUNTS_FROM]
    against = arm["spent"] + arm["harm"] + arm["price"]
    told = [
        {
            "input": looked_at[place],
            "says": WORDS[looked_at[place]],
            "value": known[looked_at[place]][0],
            "usual": usual[looked_at[place]],
            "points": round(100 * float(moved[place]), 2),
        }
        for place in order
    ]
    # What a contact brings in money is its share of the same amount.
    amount = arm["gain"] / brings[0] if brings[0] else 0.0
    worth = bool(arm["gain"] > against)
    turning = [told[rank]["input"] for rank, place in enumerate(order) if bool(amount * brings[1 + place] > against) != worth]
    return {
        "channel": arm["channel"],
        "probability": round(float(with_contact[0]), 6),
        "without": round(float(without[0]), 6),
        "counted": told[:REASONS_MAX],
        "would_change": turning[:REASONS_MAX],
    }


def _with(rows: pl.DataFrame, channel: str, hour_slot: int | None, offer: str) -> pl.DataFrame:
    said = {"channel": channel, "hour_slot": hour_slot, "offer": offer}
    return rows.with_columns(pl.lit(said[name], kind).alias(name) for name, kind in ARMS.items())


def model_words(part: Mapping[str, Any] | None) -> Iterator[str]:
    """`model_part` as people read it, line by line; nothing where no model was asked."""
    if part is None:
        return
    yield (
        f"The model expects that she pays with a chance of {part['probability']:.1%} after {part['channel'].replace('_', ' ')},"
        f" and of {part['without']:.1%} without any contact."
    )
    for one in part["counted"]:
        side = "for the contact" if one["points"] > 0 else "against it"
        yield f"  {abs(one['points']):.2f} points {side}: {one['says']}, {_figure(one['value'])} (usual: {_figure(one['usual'])})"
    if not part["counted"]:
        yield "  Nothing that it knows of her counts: it would say the same of anybody."
    for name in part["would_change"]:
        yield f"  It would weigh the other way, were {WORDS[name]} as usual."
    if part["counted"] and not part["would_change"]:
        yield "  No single one of the things that it looks at would turn that, were it as usual."


def _figure(value: float | None) -> str:
    return "not known" if value is None else f"{value:.0f}" if value == round(value) else f"{value:.2f}"
