"""Ageing: the next day of a portfolio, of which one loan in a hundred was paid for since; the floor is ageing every loan anew.

In:   a number of borrowers with 1.3 loans each, one in eight of them late, with twelve monthly instalments each.
Out:  one result.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Final

from sqlalchemy import text

from config.aging import aging_hash
from ledger.aging_facts import Aged, age_portfolio
from ledger.engine import connection, engine
from tests.bench.ground import address_of, apart, new_ledger, use
from tests.bench.harness import Result, by_turns
from tests.bench.plan import TODAY
from tests.bench.portfolio import Filled, Wanted, fill_ledger

LOANS: Final = 1_000_000
LATE_SHARE: Final = 0.125
INSTALMENTS: Final = 12
# Of all loans so many get a payment between the two days.
CHANGED_OF_HUNDRED: Final = 1
ROUNDS: Final = 3
SECONDS_MAX: Final = 300.0
LEDGER: Final = "bench_ageing"
SECONDS_TARGET: Final = 5.0
TOMORROW: Final = TODAY + timedelta(days=1)


def at(size: int) -> Iterator[Result]:
    """Measure with so many borrowers."""
    yield _measure(size)


def portfolio(borrowers: int) -> Filled:
    """Fill a new ledger."""
    new_ledger(LEDGER)
    return fill_ledger(Wanted(borrowers=borrowers, as_of=TODAY, late_share=LATE_SHARE, instalments=INSTALMENTS, paid=INSTALMENTS - 2))


def _measure(borrowers: int) -> Result:
    filled = apart(partial(portfolio, borrowers))
    use(address_of(LEDGER))
    age_portfolio(TODAY)
    with connection() as tx:
        paid = tx.execute(_PAY, {"hundred": 100 // CHANGED_OF_HUNDRED, "on": TODAY}).rowcount
    found: list[Aged] = []
    sides = by_turns(
        lambda: found.append(age_portfolio(TOMORROW)),
        lambda: age_portfolio(TOMORROW),
        rounds=ROUNDS,
        seconds_max=SECONDS_MAX,
        before_product=_forget,
        before_floor=partial(_forget, whole=True),
    )
    report = sides.report()
    return Result(
        name="ageing",
        size=borrowers,
        **report,
        ratio=report["seconds"] / report["floor_seconds"],
        unit="borrowers",
        ratio_means="seconds ÷ seconds of ageing every loan",
        target=f"≤ {SECONDS_TARGET:g} s for {LOANS:,} loans",
        met=report["seconds"] <= SECONDS_TARGET if found[-1].loans >= LOANS else None,
        more={
            **sides.spread(),
            "rows_in_ledger": filled.total,
            "loans": found[-1].loans,
            "paid": paid,
            "anew": found[-1].anew,
            "kept": found[-1].kept,
        },
    )


def _forget(*, whole: bool = False) -> None:
    """Bring the ledger back to the evening before; with `whole`, nothing of it can be carried on."""
    with connection() as tx:
        tx.execute(text("DELETE FROM loan_aging WHERE business_date = :on"), {"on": TOMORROW})
        tx.execute(text("DELETE FROM ageing_run WHERE business_date = :on"), {"on": TOMORROW})
        tx.execute(
            text("UPDATE ageing_run SET policy_hash = CASE WHEN :whole THEN 'another' ELSE :now END"), {"whole": whole, "now": aging_hash()}
        )
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as server:
        server.execute(text("VACUUM ANALYZE loan_aging"))
        server.execute(text("CHECKPOINT"))


_PAY: Final = text("""
    INSERT INTO payment (loan_id, external_id, state, amount_minor, paid_on, effective_at, source)
    SELECT id, 'bench-between', 'posted', 1000, :on, clock_timestamp(), 'bench' FROM loan WHERE id % :hundred = 0
""")
