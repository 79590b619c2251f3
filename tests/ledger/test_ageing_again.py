"""Ageing again: carrying rows on says to the day and minor unit what ageing every loan anew would say."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from config.aging import aging_hash, aging_policy
from ledger import ageing_again
from ledger.ageing_again import Base
from ledger.aging_facts import _ONE_WRITER, AGED, Aged, age_loans, age_portfolio
from ledger.engine import connection, engine
from tests.plugins.portfolio import SINCE, TODAY, Portfolio

COLUMNS = ", ".join((*AGED, "party_id"))


def kept(on: date) -> list[tuple[Any, ...]]:
    """The rows of a date."""
    statement = f"SELECT {COLUMNS} FROM loan_aging WHERE business_date = :on ORDER BY 1"  # noqa: S608  # names of ours
    with connection() as tx:
        return [tuple(row) for row in tx.execute(text(statement), {"on": on})]


def whole(on: date) -> list[tuple[Any, ...]]:
    """What ageing every loan anew says of a date."""
    with connection() as tx:
        loans = list(tx.execute(text("SELECT id FROM loan ORDER BY id")).scalars())
        liable: dict[int, int] = dict(
            tx.execute(
                text("""
                    SELECT DISTINCT ON (loan_id) loan_id, party_id FROM loan_party
                    WHERE superseded_at IS NULL AND coalesce(starts_on, :on) <= :on AND coalesce(ends_on, :on + 1) > :on
                    ORDER BY loan_id, role <> 'borrower', role <> 'co_borrower', party_id
                """),
                {"on": on},
            ).all()
        )
        aged = age_loans(tx, loans, business_date=on)
    return sorted((*row, liable[row[0]]) for row in aged.select(AGED).iter_rows() if row[0] in liable)


class Books:
    """What the core system may say from one day to the next."""

    def __init__(self, portfolio: Portfolio) -> None:
        self.portfolio = portfolio
        self.loans: list[int] = []
        self.payments: list[tuple[int, str, int]] = []

    def lend(self, on: date, pick: int) -> None:
        """Somebody owes, or will."""
        days = (5, -2, 29, 40, -20, 0, 3, 61)[pick % 8] + (TODAY - on).days
        who = self.portfolio.borrower(days_past_due=days, phone=False, push=False, consent=())
        self.loans.append(who.loan_id)
        if pick % 3 == 0:
            self.loans.append(self.portfolio.loan(who.party_id, days_past_due=days - 3, grace_days=4))

    def pay(self, on: date, pick: int) -> None:
        """Money came in, or is dated a day that is still to come or is past."""
        loan = self.loans[pick % len(self.loans)]
        amount = (500, 10_500, 4_000, 21_000)[pick % 4]
        name = self.portfolio.payment(loan, amount, paid_on=on + timedelta(days=pick % 5 - 2))
        self.payments.append((loan, name, amount))

    def give_back(self, on: date, pick: int) -> None:
        """Money went back."""
        if self.payments:
            loan, name, amount = self.payments.pop(pick % len(self.payments))
            self.portfolio.payment(loan, -amount, paid_on=on, reverses=name)

    def rest(self, on: date, pick: int) -> None:
        """Days of a loan do not age."""
        starts = on + timedelta(days=pick % 7 - 3)
        with connection() as tx:
            loan = self.loans[pick % len(self.loans)]
            if tx.scalar(text("SELECT count(*) FROM ageing_pause WHERE loan_id = :loan AND starts_on = :on"), {"loan": loan, "on": starts}):
                return
        self.portfolio.ageing_pause(loan, starts, starts + timedelta(days=pick % 4))

    def plan(self, on: date, pick: int) -> None:
        """A plan is agreed on, today or soon."""
        due = (on + timedelta(days=7)).isoformat()
        self.portfolio.plan(
            self.loans[pick % len(self.loans)],
            instalments=[{"due_on": due, "amount_minor": 1_000}],
            agreed_on=on + timedelta(days=pick % 4),
        )

    def stand(self, on: date, pick: int) -> None:
        """Somebody stops standing for a loan in some days."""
        self._anew(
            "loan_party", self.loans[pick % len(self.loans)], "ends_on", f"greatest(starts_on, '{on + timedelta(days=pick % 3)}'::date)"
        )

    def move(self, on: date, pick: int) -> None:
        """The books move an instalment."""
        del on
        self._anew("instalment", self.loans[pick % len(self.loans)], "due_on", f"due_on + {pick % 9 - 4}", and_number=True)

    def close(self, on: date, pick: int) -> None:
        """A loan does not age any more, or again."""
        del on
        self._anew("loan_version", self.loans[pick % len(self.loans)], "status", f"'{('closed', 'active')[pick % 2]}'")

    def take_back(self, on: date, pick: int) -> None:
        """What was said is taken back, and nothing is said in its place."""
        del on
        if self.payments:
            loan, name, _ = self.payments.pop(pick % len(self.payments))
            with connection() as tx:
                tx.execute(
                    text("UPDATE payment SET superseded_at = clock_timestamp() WHERE loan_id = :loan AND external_id = :name"),
                    {"loan": loan, "name": name},
                )

    @staticmethod
    def _anew(table: str, loan: int, column: str, value: str, *, and_number: bool = False) -> None:
        """A new version of a fact, in which one column has another value."""
        with connection() as tx:
            names = list(
                tx.execute(
                    text(
                        "SELECT column_name FROM information_schema.columns WHERE table_name = :table AND column_name NOT IN ('id', 'recorded_at', 'superseded_at')"
                    ),
                    {"table": table},
                ).scalars()
            )
            values = ", ".join(value if name == column else name for name in names)
            which = "loan_id = :loan AND superseded_at IS NULL" + (" AND number = 1" if and_number else "")
            tx.execute(
                text(f"""
                    WITH old AS (UPDATE {table} SET superseded_at = clock_timestamp() WHERE {which} RETURNING *)
                    INSERT INTO {table} ({", ".join(names)}) SELECT {values} FROM old
                """),  # noqa: S608  # names of the database, values above
                {"loan": loan},
            )


SAID: dict[str, Callable[[Books, date, int], None]] = {
    name: getattr(Books, name) for name in ("lend", "pay", "give_back", "rest", "plan", "stand", "move", "close", "take_back")
}
DAYS = st.lists(
    st.tuples(st.sampled_from((0, 1, 1, 1, 2, 3)), st.lists(st.tuples(st.sampled_from(sorted(SAID)), st.integers(0, 63)), max_size=4)),
    min_size=1,
    max_size=5,
)


@pytest.fixture
def books(portfolio: Portfolio) -> Books:
    """Eight loans to begin with, one of each lateness."""
    kept_by = Books(portfolio)
    for pick in range(8):
        kept_by.lend(TODAY, pick)
    return kept_by


@given(days=DAYS)
@settings(max_examples=4, phases=[Phase.explicit, Phase.reuse, Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_carrying_on_says_what_ageing_anew_says(books: Books, days: list[tuple[int, list[tuple[str, int]]]]) -> None:
    """Facts of one example stay for the next: each begins where the last one ended, and an earlier date than its last is aged too."""
    on = TODAY
    age_portfolio(on, loans_a_chunk=24)
    for later, said in days:
        for what, pick in said:
            SAID[what](books, on, pick)
        on += timedelta(days=later)
        age_portfolio(on, loans_a_chunk=24)
        assert kept(on) == whole(on)


def test_everything_that_the_calendar_does_is_seen(portfolio: Portfolio) -> None:
    """A loan for each thing; all is known before the first day, and nothing is said afterwards."""

    def loan(days_past_due: int, **more: Any) -> int:
        who = portfolio.borrower(days_past_due=days_past_due, phone=False, push=False, consent=())
        return portfolio.loan(who.party_id, days_past_due=days_past_due, **more) if more else who.loan_id

    carried = loan(29)
    loan(0)  # falls due: late tomorrow
    loan(-4)  # comes near tomorrow
    loan(1, grace_days=3)  # its grace ends
    portfolio.payment(loan(9), 10_500, paid_on=TODAY + timedelta(days=2))  # money of another day
    portfolio.ageing_pause(loan(8), TODAY + timedelta(days=1), TODAY + timedelta(days=3))
    portfolio.ageing_pause(loan(7), TODAY - timedelta(days=2), TODAY + timedelta(days=1))
    portfolio.plan(loan(6), instalments=[{"due_on": "2026-04-01", "amount_minor": 1_000}], agreed_on=TODAY + timedelta(days=1))
    ends, begins = loan(5), loan(4)
    other = portfolio.borrower(days_past_due=-20, phone=False, push=False, consent=()).party_id
    portfolio.liable(begins, other, role="borrower", starts_on=TODAY + timedelta(days=2))
    with connection() as tx:
        tx.execute(text("UPDATE loan_party SET ends_on = :on WHERE loan_id = :loan"), {"on": TODAY + timedelta(days=1), "loan": ends})
        tx.execute(
            text("UPDATE loan_party SET ends_on = :on WHERE loan_id = :loan AND party_id <> :other"),
            {"on": TODAY + timedelta(days=2), "loan": begins, "other": other},
        )
    age_portfolio(TODAY)
    for later in range(1, 5):
        on = TODAY + timedelta(days=later)
        age_portfolio(on)
        assert kept(on) == whole(on)
    assert {row[0]: row[1:3] for row in kept(TODAY + timedelta(days=4))}[carried] == (33, 33)


def test_loans_of_each_scheme_come_near_as_many_days_ahead_as_it_looks(portfolio: Portfolio) -> None:
    policy = aging_policy()
    far = replace(policy, schemes={**policy.schemes, "far": replace(policy.schemes["standard"], pre_due_days=5)})
    loans = {days: portfolio.borrower(days_past_due=-days, phone=False, push=False, consent=()).loan_id for days in range(1, 9)}
    with connection() as tx:
        base = Base(business_date=TODAY, known_until=tx.execute(text("SELECT clock_timestamp()")).scalar_one(), whole_on=TODAY)
    assert set(ageing_again.changed(base, TODAY + timedelta(days=1), policy=far)) == {loans[4], loans[6]}


def test_everything_that_is_learned_is_seen(portfolio: Portfolio) -> None:
    """Each way in which the books may speak anew, of a loan of its own, after the day was aged; then the same day is aged again."""
    books = Books(portfolio)
    for _ in range(len(SAID)):
        books.lend(TODAY, 8)
    loan = books.loans[-1]
    taken_back = portfolio.payment(loan, 10_500)
    books.payments = [(books.loans[0], portfolio.payment(books.loans[0], 10_500), 10_500)]
    age_portfolio(TODAY)
    for number, what in enumerate(sorted(set(SAID) - {"take_back"})):
        SAID[what](books, TODAY, number + 8 * 9 if what == "move" else number)
    books.payments = [(loan, taken_back, 10_500)]
    books.take_back(TODAY, 0)
    before = kept(TODAY)
    aged = age_portfolio(TODAY)
    assert kept(TODAY) == whole(TODAY) != before
    assert 0 < aged.anew < aged.loans


def test_what_is_written_and_not_yet_committed_is_seen_when_it_is(portfolio: Portfolio) -> None:
    """A fact has the time of its writing; a day that was aged between that and its commit is not done with it."""
    who = portfolio.borrower()
    age_portfolio(TODAY)
    with connection() as writing:
        writing.execute(
            text("""
                INSERT INTO payment (loan_id, external_id, state, amount_minor, paid_on, effective_at, source)
                VALUES (:loan, 'slow', 'posted', 21000, :on, :at, 'test')
            """),
            {"loan": who.loan_id, "on": TODAY, "at": SINCE},
        )
        age_portfolio(TODAY)
        assert [row[0] for row in kept(TODAY)] == [who.loan_id]
    age_portfolio(TODAY + timedelta(days=1))
    assert kept(TODAY + timedelta(days=1)) == []


def test_where_the_database_hides_who_writes_nothing_is_carried_on(portfolio: Portfolio) -> None:
    portfolio.borrower()
    age_portfolio(TODAY)
    with connection() as hidden, connection() as tx:
        hidden.execute(text("SELECT 1"))
        tx.execute(text("CREATE ROLE sees_little"))
        tx.execute(text("GRANT ALL ON ageing_run TO sees_little"))
        tx.execute(text("SET LOCAL ROLE sees_little"))
        begun = ageing_again.begin(tx, TODAY + timedelta(days=1), policy_hash=aging_hash())
        tx.rollback()
    assert (begun.base, begun.known_until) == (None, None)


@pytest.mark.parametrize("change", ["UPDATE ageing_run SET policy_hash = 'another'", "UPDATE ageing_run SET known_until = NULL"])
def test_rows_of_another_policy_and_of_an_ageing_that_did_not_end_are_no_base(portfolio: Portfolio, change: str) -> None:
    portfolio.borrower()
    age_portfolio(TODAY)
    with connection() as tx:
        tx.execute(text(change))
    assert age_portfolio(TODAY + timedelta(days=1)).anew == 1


def test_every_loan_is_aged_once_a_week_all_the_same(portfolio: Portfolio) -> None:
    portfolio.borrower(days_past_due=20)
    assert [age_portfolio(TODAY + timedelta(days=day)).anew for day in range(8)] == [1, 0, 0, 0, 0, 0, 0, 1]


def test_an_ageing_that_somebody_else_began_anew_says_nothing(portfolio: Portfolio) -> None:
    portfolio.borrower()
    with connection() as tx:
        first = ageing_again.begin(tx, TODAY, policy_hash=aging_hash())
    with connection() as tx:
        second = ageing_again.begin(tx, TODAY, policy_hash=aging_hash())
    with connection() as tx:
        ageing_again.end(tx, first)
        assert tx.scalar(text("SELECT known_until FROM ageing_run")) is None
        ageing_again.end(tx, second)
        assert tx.scalar(text("SELECT known_until FROM ageing_run")) == second.known_until


def test_whoever_ages_the_same_date_waits_and_goes_on_from_there(portfolio: Portfolio) -> None:
    for days in (5, 40, -2):
        portfolio.borrower(days_past_due=days)
    found: list[Aged] = []
    other = threading.Thread(target=lambda: found.append(age_portfolio(TODAY)))
    with connection() as alone:
        alone.execute(_ONE_WRITER, {"days": TODAY.toordinal()})
        other.start()
        deadline = time.monotonic() + 20
        with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as look:
            while not look.scalar(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")):
                assert time.monotonic() < deadline, "it does not wait"
                time.sleep(0.02)
            assert look.scalar(text("SELECT count(*) FROM ageing_run")) == 0, "nothing is said of a date that somebody else ages"
    other.join(20)
    again = age_portfolio(TODAY)
    assert [found[0].anew, again.anew] == [3, 0]
    assert found[0].kept == again.kept
