"""Months: rows are found wherever they lie, move into their month when it is made, and go with it when it is over."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, text

from ledger import partitions, retention
from ledger.aging_facts import age_portfolio
from ledger.engine import connection
from tests.plugins.portfolio import TODAY, Portfolio

ROWS = text("SELECT tableoid::regclass::text AS part, business_date, loan_id FROM loan_aging ORDER BY 2, 3")

UNKNOWN = text("DELETE FROM pg_statistic WHERE starelid IN (SELECT oid FROM pg_class WHERE relname LIKE 'loan_aging%')")


def rows() -> list[Any]:
    with connection() as tx:
        return list(tx.execute(ROWS).all())


def test_months_are_made_once_and_take_their_rows(portfolio: Portfolio) -> None:
    who = portfolio.borrower(days_past_due=40)
    for day in (TODAY - timedelta(days=30), TODAY):
        age_portfolio(day)
    before = rows()
    assert {row.part for row in before} == {"loan_aging_others"}, "what has no month yet is kept all the same"
    with connection() as tx:
        made = partitions.make_months(tx, "loan_aging", TODAY)
    assert made == ["loan_aging_2026_02", "loan_aging_2026_03", "loan_aging_2026_04"]
    assert [row.part for row in rows()] == made[:2]
    assert [row[1:] for row in rows()] == [row[1:] for row in before]
    with connection() as tx:
        assert partitions.make_months(tx, "loan_aging", TODAY) == []
    # Ageing again finds them, and a new day lies in its month.
    age_portfolio(TODAY)
    age_portfolio(date(2026, 4, 2))
    assert [(row.part, row.loan_id) for row in rows()] == [(part, who.loan_id) for part in made]


def test_a_day_is_made_known_to_the_planner_by_its_own_month_alone(portfolio: Portfolio) -> None:
    """Else the statistics of a day would cost more with every month that the table has."""
    portfolio.borrower(days_past_due=40)
    days = (TODAY - timedelta(days=30), TODAY, date(2026, 7, 1))
    for day in days:
        age_portfolio(day)
    with connection() as tx:
        partitions.make_months(tx, "loan_aging", TODAY)
    for day, part in zip(days, ("loan_aging_2026_02", "loan_aging_2026_03", "loan_aging_2026_07"), strict=True):
        with connection() as tx:
            tx.execute(UNKNOWN)
            partitions.gather(tx, "loan_aging", of=day)
            assert looked_at(tx) == {part}
            partitions.gather(tx, "loan_aging")
            assert looked_at(tx) >= {"loan_aging", part}
    with connection() as tx:
        tx.execute(UNKNOWN)
    age_portfolio(TODAY + timedelta(days=1))
    with connection() as tx:
        assert looked_at(tx) == {"loan_aging_2026_03"}, "ageing from the day before looks at no other month"
    with connection() as tx:
        tx.execute(UNKNOWN)
        partitions.gather(tx, "loan_aging", of=date(2027, 1, 1))
        assert looked_at(tx) == set(), "nothing lies among the others"


def looked_at(tx: Connection) -> set[str]:
    return set(tx.execute(text("SELECT DISTINCT tablename FROM pg_stats WHERE tablename LIKE 'loan_aging%'")).scalars())


def test_a_month_that_is_over_goes_as_a_table_and_of_others_the_days_go(portfolio: Portfolio) -> None:
    portfolio.borrower(days_past_due=40)
    with connection() as tx:
        today: date = tx.execute(text("SELECT CAST(clock_timestamp() AS date)")).scalar_one()
        kept = today - timedelta(days=100)
        days = (kept - timedelta(days=70), kept - timedelta(days=1), kept, today)
        for day in days[:3]:
            partitions.make_months(tx, "loan_aging", day)
        tx.execute(
            text("""
                INSERT INTO loan_aging (business_date, loan_id, party_id, days_past_due, delinquent_days, past_due_minor,
                                        outstanding_minor, bucket)
                SELECT day, l.id, 1, 1, 1, 1, 1, '1-30' FROM loan l CROSS JOIN unnest(CAST(:days AS date[])) AS day
            """),
            {"days": list(days)},
        )
        names = {part.name for part in partitions.parts(tx, "loan_aging")}
        assert retention.to_end(tx, "lateness_day_by_day", days=100) == 2
        assert retention.end(tx, "lateness_day_by_day", days=100, at_most=10) == 2
        left = {part.name for part in partitions.parts(tx, "loan_aging")}
        assert f"loan_aging_{days[0]:%Y_%m}" in names - left
        assert f"loan_aging_{kept:%Y_%m}" in left
        assert retention.end(tx, "lateness_day_by_day", days=100, at_most=10) == 0
    assert [row.business_date for row in rows()] == [kept, today]
