"""Features: what a model may look at of a person, and that nothing else can come in."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from decisions import past
from decisions.fairness_words import ATTRIBUTES
from decisions.features import FEATURES, features
from decisions.past import SCHEMAS, Past
from ledger.past import STATEMENTS

AT = datetime(2026, 3, 17, 16, tzinfo=UTC)  # a Tuesday, noon in New York
TODAY = date(2026, 3, 17)
PEOPLE = pl.DataFrame({"party_id": [2, 1], "zone": [None, "America/New_York"]}, schema=past.PEOPLE)
# What may be known of a person. Whoever adds to it here has asked what it says of her sex, age, family, belief or home.
ALLOWED = {
    "people": {"party_id", "zone"},
    "loans": {"party_id", "loan_id", "currency", "past_due_minor", "outstanding_minor", "days_past_due", "next_due_on"},
    "instalments": {"party_id", "loan_id", "due_on", "amount_minor"},
    "payments": {"party_id", "loan_id", "paid_on", "paid_at", "amount_minor"},
    "contacts": {"party_id", "at", "channel", "delivered", "read", "answered"},
    "replies": {"party_id", "at", "channel", "intent"},
    "promises": {"party_id", "due_on", "state"},
    "plans": {"party_id", "loan_id", "status"},
    "flows": {"party_id", "moved_on", "currency", "income_minor", "spent_minor", "balance_minor"},
    "reach": {"party_id", "kind", "verified"},
    "stops": {"party_id", "channel"},
}
FORBIDDEN = re.compile(
    r"party_version|\b(name|locale|country|region|postal_code|sex|gender|age|marriage|education|religion|language|device|zones?)\b"
    r"|_encrypted|blind_index|language_wish|person_need|photo|location|fairness_"
)


def rows(name: str, *values: tuple[object, ...]) -> pl.DataFrame:
    return pl.DataFrame(values, schema=SCHEMAS[name], orient="row")


def full() -> dict[str, pl.DataFrame]:
    return {
        "loans": rows("loans", (1, 10, "USD", 10_500, 21_000, 5, date(2026, 4, 11))),
        "instalments": rows("instalments", *((1, 10, day, 10_500) for day in (date(2026, 2, 10), date(2026, 3, 12), date(2026, 4, 11)))),
        "payments": rows("payments", (1, 10, date(2026, 2, 10), datetime(2026, 2, 10, 23, tzinfo=UTC), 10_500)),
        "contacts": rows("contacts", (1, AT - timedelta(days=2), "sms", True, False, False)),
        "replies": rows("replies", (1, AT - timedelta(days=1), "sms", "cannot_pay")),
        "promises": rows("promises", (1, date(2026, 3, 1), "broken")),
        "plans": rows("plans", (1, 10, "broken")),
        "flows": rows("flows", *((1, day, "USD", 50_000, 20_000, 30_000) for day in (date(2026, 2, 1), date(2026, 3, 1)))),
        "reach": rows("reach", (1, "mobile", True)),
        "stops": rows("stops", (1, "email")),
    }


def of(party: int, **frames: pl.DataFrame) -> dict[str, float | None]:
    return features(Past(people=PEOPLE, **frames), as_of=AT).row(by_predicate=pl.col("party_id") == party, named=True)


def test_the_past_has_nothing_but_what_may_be_known() -> None:
    assert {name: set(schema) for name, schema in SCHEMAS.items()} == ALLOWED


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_reads_anything_else(name: str) -> None:
    assert not FORBIDDEN.search(STATEMENTS[name])


def test_no_attribute_of_the_audit_is_a_feature() -> None:
    words = {word for attribute, values in ATTRIBUTES.items() for word in (attribute, *values)} - {"yes", "no", "other"}
    assert [name for name in FEATURES if name in words or name.startswith(tuple(ATTRIBUTES))] == []


def test_everybody_has_a_row_and_every_column_even_when_nothing_is_known() -> None:
    found = features(Past(people=PEOPLE), as_of=AT)
    assert found["party_id"].to_list() == [1, 2]
    assert found.columns == ["party_id", *FEATURES]
    assert set(found.drop("party_id").dtypes) == {pl.Float64}
    assert found["days_past_due"].null_count() == found["days_since_payment"].null_count() == 2
    assert found["contacts_7d"].to_list() == [0, 0]


def test_a_person_in_figures() -> None:
    found = of(1, **full())
    wanted = {
        "days_past_due": 5,
        "past_due_instalments": 1,
        "past_due_share": 0.5,
        "days_to_next_due": 25,
        "days_since_payment": 35,
        "payments_90d": 1,
        "on_time_share": 0.5,
        "paid_today_weekday_share": 1,  # a Tuesday too
        "paid_slot_4_share": 1,  # 18 o'clock in New York
        "paid_slot_5_share": 0,  # 23 o'clock in UTC
        "income_gap_days": 28,
        "days_since_income": 16,
        "days_to_income": 12,
        "spare_share": 0.6,
        "balance_to_past_due": 30_000 / 10_500,
        "income_30d_to_usual": 50_000 / (100_000 / 45 * 30),
        "contacts_7d": 1,
        "days_since_sms": 2,
        "days_since_push": None,
        "read_share": 0,
        "replies_30d": 1,
        "cannot_pay_90d": 1,
        "promises_broken": 1,
        "plans_broken": 1,
        "reach_mobile": 1,
        "reach_email": 0,
        "stops": 1,
        "weekend": 0,
    }
    assert {name: found[name] for name in wanted} == pytest.approx(wanted)
    # Nothing of hers is anybody else's.
    assert of(2, **full()) == of(2)


def test_todays_contacts_are_those_of_her_own_day() -> None:
    """Noon in New York: her day began twelve hours ago, and that of whoever lives by UTC sixteen hours ago."""
    made = [(party, AT - timedelta(hours=hours), "sms", True, False, False) for party in (1, 2) for hours in (1, 11, 14, 20)]
    found = [of(party, contacts=rows("contacts", *made))["contacts_today"] for party in (1, 2)]
    assert found == [2, 3]


def test_what_lies_later_changes_nothing_and_time_changes_what_it_should() -> None:
    before = of(1, **full())
    later = full()
    later["payments"] = pl.concat([later["payments"], rows("payments", (1, 10, TODAY + timedelta(days=1), None, 10_500))])
    later["contacts"] = pl.concat([later["contacts"], rows("contacts", (1, AT, "push", True, True, True))])
    later["replies"] = pl.concat([later["replies"], rows("replies", (1, AT + timedelta(hours=1), "sms", "promise"))])
    later["flows"] = pl.concat([later["flows"], rows("flows", (1, TODAY + timedelta(days=1), "USD", 9, 9, 9))])
    assert of(1, **later) == before
    moved = features(Past(people=PEOPLE, **later), as_of=AT + timedelta(days=1)).row(0, named=True)
    assert moved["days_since_payment"] == 0
    assert (moved["contacts_7d"], moved["days_since_push"], moved["replies_30d"]) == (2, 1, 2)


def test_the_order_of_the_rows_does_not_matter() -> None:
    frames = full()
    turned = {name: frame.reverse() for name, frame in frames.items()}
    one, other = (features(Past(people=people, **given), as_of=AT) for people, given in ((PEOPLE, frames), (PEOPLE.reverse(), turned)))
    assert_frame_equal(one, other)


def test_money_of_another_currency_is_left_out() -> None:
    frames = full()
    frames["flows"] = frames["flows"].with_columns(currency=pl.lit("EUR"))
    assert of(1, **frames)["income_days"] == 0
