"""What the wallet tells of money: written once, in whatever order and however often; what fits nowhere is a person's, and nobody is asked meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from decisions.wallet_payments import Back, Told, UnreadableError, read_told
from ledger import case_lists, page_reads, wallet_payments
from ledger.engine import connection
from ledger.wallet_payments import PaymentRefused, ask, hear, refused
from tasks.import_portfolio import import_files
from tasks.morning_items import maybe_counted_twice
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.sent import Known

NOON = noon("US")
CREDITOR = "lender-US-first_party"
MAPPING = """
source: core
creditor: {external_id: lender-US-first_party, name: Lantern Wallet US, role: first_party, country: US, senders: {sms: "+15005550006"}}
payments_feed: {age_seconds_max: 86400}
files:
  - match: payments*
    rows: [{kind: payments, columns: {loan: loan, external_id: external_id, amount: amount, state: state, paid_on: paid_on, rail: rail,
      reverses: reverses, reversal_reason: reversal_reason}}]
"""
HEADER = "loan,external_id,amount,state,paid_on,rail,reverses,reversal_reason\n"


@pytest.fixture
def borrower(portfolio: Portfolio) -> BorrowerIds:
    portfolio.clock(NOON)
    return portfolio.borrower()


def loan_of(borrower: BorrowerIds) -> str:
    with connection() as tx:
        return str(tx.execute(text("SELECT external_id FROM loan WHERE id = :id"), {"id": borrower.loan_id}).scalar_one())


def told(borrower: BorrowerIds, number: str = "WP1", *, minor: int = 10_500, status: str = "paid", **changes: Any) -> Told:
    paid = Told(
        id=number, key=None, status=status, creditor=CREDITOR, loan=loan_of(borrower), amount_minor=minor, currency="USD",
        paid_at=NOON, error=None, back=None,
    )  # fmt: skip
    return replace(paid, **changes)


def back(minor: int, *, number: str = "RT1", reason: str = "chargeback") -> Back:
    return Back(id=number, amount_minor=minor, reason=reason, at=NOON)


def says(*what: Told) -> list[str]:
    became: list[str] = []
    for one in what:
        with connection() as tx:
            became.append(hear(tx, one, at=NOON))
    return became


def ordered(borrower: BorrowerIds, minor: int = 10_500, **changes: Any) -> wallet_payments.Order:
    given = {
        "party_id": borrower.party_id,
        "loan_id": borrower.loan_id,
        "amount_minor": minor,
        "currency": "USD",
        "key": uuid4().hex,
        "at": NOON,
    }
    with connection() as tx:
        return ask(tx, **{**given, **changes})


def state(token: UUID, borrower: BorrowerIds) -> str:
    with connection() as tx:
        order = wallet_payments.of_page(tx, borrower.party_id, token)
    assert order is not None
    return order.state


def money(borrower: BorrowerIds) -> list[tuple[Any, ...]]:
    with connection() as tx:
        found = tx.execute(
            text("""SELECT external_id, state, amount_minor, booked FROM payment
                    WHERE loan_id = :loan AND superseded_at IS NULL ORDER BY external_id"""),
            {"loan": borrower.loan_id},
        )
        return [tuple(row) for row in found]


def owed(borrower: BorrowerIds) -> tuple[int, int]:
    with connection() as tx:
        (debt,) = page_reads.debts(tx, borrower.party_id, on=TODAY)
    return debt.past_due_minor, debt.outstanding_minor


def cases() -> list[str]:
    with connection() as tx:
        return [one.kind for one in case_lists.listed(tx)]


def books(folder: Path, *rows: str) -> None:
    mapping, file = folder / "core.yaml", folder / f"payments-{uuid4().hex}.csv"
    mapping.write_text(MAPPING)
    file.write_text(HEADER + "\n".join(rows) + "\n")
    report = import_files(mapping, [file], rejects=folder / "rejects.csv")
    assert report.total("rejected") == 0, report


def test_told_twice_and_booked_later_it_is_one_payment(borrower: BorrowerIds, tmp_path: Path) -> None:
    order = ordered(borrower)
    paid = told(borrower, key=order.token)
    assert owed(borrower) == (10_500, 21_000)
    assert says(paid, paid, told(borrower, key=order.token, status="failed")) == ["moved", "heard_before", "heard_before"]
    assert (money(borrower), owed(borrower), state(order.token, borrower)) == ([("WP1", "posted", 10_500, False)], (0, 10_500), "paid")
    # The books bring the same payment, and nothing but that they have it now is new.
    books(tmp_path, f"{loan_of(borrower)},WP1,105.00,posted,{TODAY.isoformat()},wallet,,")
    assert (money(borrower), owed(borrower)) == ([("WP1", "posted", 10_500, True)], (0, 10_500))
    assert says(paid) == ["heard_before"]
    # And in the other order: what the books have is not received once more.
    books(tmp_path, f"{loan_of(borrower)},WP2,20.00,posted,{TODAY.isoformat()},wallet,,")
    assert says(told(borrower, "WP2", minor=2_000)) == ["heard_before"]
    assert owed(borrower) == (0, 8_500)


def test_what_goes_back_is_owed_again_once_whatever_comes_first(borrower: BorrowerIds, portfolio: Portfolio, tmp_path: Path) -> None:
    returned = told(borrower, status="returned", back=back(10_500))
    assert says(returned, told(borrower), returned) == ["moved", "heard_before", "heard_before"]
    assert owed(borrower) == (10_500, 21_000)
    assert money(borrower) == [("RT1", "reversed", -10_500, False), ("WP1", "posted", 10_500, False)]
    # The books name the return as the wallet does.
    loan, on = loan_of(borrower), TODAY.isoformat()
    books(tmp_path, f"{loan},WP1,105.00,posted,{on},wallet,,", f"{loan},RT1,-105.00,reversed,{on},wallet,WP1,chargeback")
    assert owed(borrower) == (10_500, 21_000)
    assert [row[3] for row in money(borrower)] == [True, True]
    # In two parts; a third one is more than was paid.
    other = portfolio.borrower()
    parts = [told(other, "WP9", status="returned", back=back(5_000, number=f"RT9{n}")) for n in range(3)]
    assert says(*parts) == ["moved", "moved", "misfit"]
    assert (owed(other), cases()) == ((10_000, 20_500), ["payment"])


def test_more_than_is_open_is_kept_whole(borrower: BorrowerIds) -> None:
    assert says(told(borrower, minor=30_000)) == ["moved"]
    assert (money(borrower), owed(borrower)) == ([("WP1", "posted", 30_000, False)], (0, 0))


def test_a_wallet_whose_clock_is_ahead_does_not_pay_tomorrow(borrower: BorrowerIds) -> None:
    assert says(told(borrower, paid_at=NOON + timedelta(days=2))) == ["moved"]
    assert owed(borrower) == (0, 10_500)


def test_money_that_fits_nowhere_is_a_case_once_and_nobody_is_asked_meanwhile(
    borrower: BorrowerIds, portfolio: Portfolio, known: Known
) -> None:
    stranger = portfolio.borrower()
    attacks: list[tuple[BorrowerIds, Callable[[BorrowerIds, UUID], Told]]] = [
        (portfolio.borrower(), lambda one, key: told(one, "WPc", key=key, currency="EUR")),
        (portfolio.borrower(), lambda _, key: told(stranger, "WPl", key=key)),
        (portfolio.borrower(), lambda one, key: told(one, "WPu", key=key, loan="loan-of-nobody")),
    ]
    for one, of in attacks:
        order = ordered(one)
        event = of(one, order.token)
        assert says(event, event) == ["misfit", "heard_before"]
        assert (money(one), owed(one), state(order.token, one)) == ([], (10_500, 21_000), "misfit")
        assert [kind for kind, _ in known.holds(one)] == ["paid_claimed"]
    assert money(stranger) == []
    assert cases() == ["payment"] * 3
    # The same payment, told with another amount: the first word stands.
    assert says(told(borrower, "WPa"), told(borrower, "WPa", minor=10_499)) == ["moved", "misfit"]
    assert money(borrower) == [("WPa", "posted", 10_500, False)]


def test_a_payment_for_a_loan_that_nobody_knows_yet_is_not_heard(borrower: BorrowerIds) -> None:
    assert says(told(borrower, loan="loan-of-nobody"), told(borrower, creditor="another-lender")) == ["unknown_loan"] * 2
    assert (money(borrower), cases()) == ([], [])


def test_a_payment_is_asked_for_once_and_only_of_ones_own_loan(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    first = ordered(borrower, key="k")
    assert ordered(borrower, key="k") == first
    stranger = portfolio.borrower()
    changes: list[dict[str, Any]] = [
        {"amount_minor": 1},
        {"loan_id": stranger.loan_id},
        {"currency": "EUR"},
        {"amount_minor": 0},
        {"amount_minor": -1},
    ]
    for change in changes:
        with pytest.raises(PaymentRefused):
            ordered(borrower, **{"key": "k", **change})
    with connection() as tx:
        assert wallet_payments.of_page(tx, stranger.party_id, first.token) is None, "nobody sees another's payment"
        refused(tx, first.token, error="declined", at=NOON)
    assert state(first.token, borrower) == "failed"
    # It was paid all the same: money is believed.
    assert says(told(borrower, key=first.token)) == ["moved"]
    assert state(first.token, borrower) == "paid"


WHOLE = {
    "type": "payment", "key": None, "id": "WP1", "status": "paid", "creditor": "c", "loan": "l", "amount_minor": 5, "currency": "USD",
    "paid_at": "2026-03-17T12:00:00+02:00", "error": None, "return": None,
}  # fmt: skip


def test_what_the_wallet_says_is_read_strictly() -> None:
    assert read_told(WHOLE).paid_at == datetime(2026, 3, 17, 10, tzinfo=UTC)
    wrong: list[dict[str, Any]] = [
        {"status": "PAID"}, {"id": ""}, {"id": "with space"}, {"key": "x"}, {"loan": None}, {"creditor": 1}, {"amount_minor": 0},
        {"amount_minor": -5}, {"amount_minor": 5.0}, {"amount_minor": True}, {"amount_minor": 10**14}, {"currency": "usd"},
        {"loan": "a\x00b"}, {"creditor": "\ud800"}, {"loan": "l" * 201}, {"paid_at": "0001-01-01T00:00:00+14:00"},
        {"paid_at": "9999-12-31T23:59:59-14:00"}, {"key": ["x"]}, {"status": ["paid"]}, {"currency": {}},
        {"paid_at": None}, {"paid_at": "2026-03-17T12:00:00"}, {"status": "returned"}, {"return": {"id": "R"}},
        {"status": "returned", "return": {"id": "R", "amount_minor": 5, "reason": "because", "at": WHOLE["paid_at"]}},
    ]  # fmt: skip
    for change in wrong:
        with pytest.raises(UnreadableError):
            read_told({**WHOLE, **change})


def test_what_may_be_one_payment_under_two_names_is_told_and_nothing_is_put_together(
    borrower: BorrowerIds, portfolio: Portfolio, tmp_path: Path
) -> None:
    loan, day = loan_of(borrower), TODAY - timedelta(days=1)
    other = portfolio.borrower()
    says(told(borrower, minor=2_000), told(other, "WP7", minor=2_000))

    def twice(*rows: str) -> list[int]:
        books(tmp_path, *rows)
        with connection() as tx:
            return wallet_payments.maybe_twice(tx)

    # Another amount, two days apart, and the wallet's own name are no such pair.
    assert twice(f"{loan},B1,20.01,posted,{TODAY.isoformat()},wallet,,") == []
    assert twice(f"{loan},B2,20.00,posted,{(day - timedelta(days=1)).isoformat()},wallet,,") == []
    assert twice(f"{loan_of(other)},WP7,20.00,posted,{TODAY.isoformat()},wallet,,") == []
    assert twice(f"{loan},B3,20.00,posted,{day.isoformat()},wallet,,") == [borrower.loan_id]
    assert ("WP1", "posted", 2_000, False) in money(borrower), "it counts until a person has looked"
    with connection() as tx:
        (item,) = maybe_counted_twice(tx)
    assert f"loans #{borrower.loan_id}" in item.what
    # Once the books name it by the wallet's id there is nothing left to ask.
    assert twice(f"{loan},WP1,20.00,posted,{TODAY.isoformat()},wallet,,") == []
