"""Statements: the figures of a letter are those of ageing, to the minor unit, whatever was paid in whatever order."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.aging import aging_policy
from decisions.aging import age, unpaid_instalments
from decisions.blocks import Table, blocks
from decisions.statements import BREAKDOWN_WORDS, Line, Statement, breakdown_blocks, lines_of

AS_OF = date(2026, 3, 17)
WORDS = {name: name for name in BREAKDOWN_WORDS}
LINE = Line(
    due_on=date(2026, 1, 1), principal_minor=10_000, interest_minor=500, fee_minor=30, penalty_minor=7, paid_minor=537, open_minor=10_000
)


def shown(*statements: Statement) -> tuple[str | Table, ...]:
    return blocks(breakdown_blocks(statements, WORDS, money=lambda minor, currency: f"{minor} {currency}", day=str))


def test_a_loan_is_its_number_and_a_table_that_adds_up() -> None:
    number, table = shown(Statement(reference="A-1", currency="USD", disputed_minor=0, lines=(LINE,)))
    assert number == "loan A-1"
    assert isinstance(table, Table)
    assert table.rows == (
        ("2026-01-01", "10000 USD", "500 USD", "30 USD", "7 USD", "537 USD", "10000 USD"),
        ("total", "", "", "", "", "", "10000 USD"),
    )


def test_what_is_disputed_is_shown_and_not_asked_for() -> None:
    statement = Statement(reference="A-1", currency="USD", disputed_minor=2_500, lines=(LINE,))
    table = shown(statement)[1]
    assert statement.asked_minor == 7_500
    assert isinstance(table, Table)
    assert [row[-1] for row in table.rows] == ["10000 USD", "−2500 USD", "7500 USD"]


def test_several_loans_stand_one_after_the_other() -> None:
    found = shown(*(Statement(reference=name, currency="USD", disputed_minor=0, lines=(LINE,)) for name in ("A", "B")))
    assert [block for block in found if isinstance(block, str)] == ["loan A", "loan B"]


def test_a_reference_of_several_lines_stays_in_its_own() -> None:
    assert shown(Statement(reference="A\n\n1\t2", currency="USD", disputed_minor=0, lines=(LINE,)))[0] == "loan A 1 2"


def test_the_contracts_day_and_rate_are_named_where_a_law_wants_it_and_nothing_is_written_where_they_are_not_known() -> None:
    words = {**WORDS, "opened_on": "since", "rate": "rate"}
    known = Statement(reference="A", currency="USD", disputed_minor=0, lines=(LINE,), opened_on=date(2025, 12, 1), apr_basis_points=1_550)
    written = breakdown_blocks(
        [known], words, money=lambda minor, _: str(minor), day=str, rate=lambda basis_points: f"{basis_points / 100} %"
    )
    assert blocks(written)[0] == "loan A · since 2025-12-01 · rate 15.5 %"
    for lacking in (replace(known, opened_on=None), replace(known, apr_basis_points=None)):
        with pytest.raises(ValueError, match="not known"):
            breakdown_blocks([lacking], words, money=lambda minor, _: str(minor), day=str)


@pytest.mark.parametrize("statements", [(), (Statement(reference="A", currency="USD", disputed_minor=0, lines=()),)])
def test_nothing_is_no_breakdown(statements: tuple[Statement, ...]) -> None:
    with pytest.raises(ValueError, match="nothing"):
        breakdown_blocks(statements, WORDS, money=lambda minor, _: str(minor), day=str)


AMOUNTS = st.tuples(*[st.integers(0, 5_000)] * 4)


@given(
    instalments=st.lists(st.tuples(st.integers(-40, 120), AMOUNTS), min_size=1, max_size=5),
    payments=st.lists(st.tuples(st.integers(0, 120), st.integers(1, 9_000)), max_size=4),
)
def test_lines_add_up_to_what_ageing_finds(instalments: list[tuple[int, tuple[int, ...]]], payments: list[tuple[int, int]]) -> None:
    loans = pl.DataFrame({"loan_id": [1], "status": ["active"]})
    due = pl.DataFrame(
        [{"loan_id": 1, "due_on": AS_OF - timedelta(days=days), **dict(zip(_PARTS, parts, strict=True))} for days, parts in instalments],
        schema={"loan_id": pl.Int64, "due_on": pl.Date, **dict.fromkeys(_PARTS, pl.Int64)},
    )
    paid = pl.DataFrame(
        [{"loan_id": 1, "paid_on": AS_OF - timedelta(days=days), "amount_minor": amount} for days, amount in payments],
        schema={"loan_id": pl.Int64, "paid_on": pl.Date, "amount_minor": pl.Int64},
    )
    policy = aging_policy()
    (aged,) = age(loans, due, paid, policy=policy, as_of=AS_OF).to_dicts()
    lines = lines_of(unpaid_instalments(loans, due, paid, policy=policy, as_of=AS_OF).to_dicts())
    assert sum(line.open_minor for line in lines) == aged["past_due_minor"]
    for line in lines:
        asked = line.principal_minor + line.interest_minor + line.fee_minor + line.penalty_minor
        assert line.open_minor == asked - line.paid_minor
        assert 0 <= line.paid_minor < asked


_PARTS = ("penalty_minor", "fee_minor", "interest_minor", "principal_minor")
