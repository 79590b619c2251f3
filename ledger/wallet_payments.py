"""Payments by the lender's wallet: asked for once, and written down once when the money moved, under the borrower's lock.

What the wallet says came in counts from the moment it says so: nobody is asked for what she has just paid. That the lender's books show
it comes with an import, under the same id (`booked`); it is the same payment and counts once.

In:   a connection inside a transaction; who pays what, or what the wallet tells.
Out:  rows of `payment_order` and `payment`; a case where money fits nowhere.
Pure: no; reads and writes the ledger. Every writer here takes the borrower's lock first (ledger/locks.py).
Source: docs/adr/0045; docs/wallet.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, text

from config.cases import case_terms_in_force
from decisions.wallet_payments import Told
from ledger import cases
from ledger.locks import lock_with_liable
from ledger.page_reads import zone_of

# The source of a payment that the wallet told of, its rail, and how a case came that it brought.
WALLET: Final = "wallet"
CASE: Final = "payment"

Became = Literal["unknown_loan", "heard_before", "moved", "misfit"]


class PaymentRefused(RuntimeError):
    """It was not asked for; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A payment that was asked for, as the ledger has it."""

    id: int
    token: UUID
    party_id: int
    loan_id: int
    amount_minor: int
    currency: str
    state: str
    wallet_id: str | None
    confirm_url: str | None
    asked_at: datetime
    creditor: str
    loan: str
    party: str


def ask(tx: Connection, *, party_id: int, loan_id: int, amount_minor: int, currency: str, key: str, at: datetime) -> Order:
    """Write down a payment that is about to be asked of the wallet; of the same key always the same.

    Raises:
        PaymentRefused: A loan that is not theirs, another currency, no amount, or a key that was used for another payment.
    """
    lock_with_liable(tx, [party_id])
    keys = {"party": party_id, "loan": loan_id, "amount": amount_minor, "currency": currency, "key": key, "token": uuid4(), "at": at}
    if amount_minor <= 0 or tx.execute(_IS_THEIRS, keys).scalar() is None:
        raise PaymentRefused("no such loan of theirs in this currency, or no amount")
    tx.execute(_ASK, keys)
    order = _one(tx, _BY_KEY, {"key": key})
    if order is None or (order.party_id, order.loan_id, order.amount_minor, order.currency) != (party_id, loan_id, amount_minor, currency):
        raise PaymentRefused("this form was sent before, for another payment")
    return order


def taken(tx: Connection, token: UUID, *, wallet_id: str, confirm_url: str) -> None:
    """The wallet has a payment and waits for her; what it has told meanwhile stays."""
    tx.execute(_TAKEN, {"token": token, "wallet_id": wallet_id, "confirm_url": confirm_url})


def refused(tx: Connection, token: UUID, *, error: str, at: datetime) -> None:
    """The wallet did not take a payment: no money moves."""
    tx.execute(_END, {"token": token, "state": "failed", "error": error, "at": at})


def of_page(tx: Connection, party_id: int, token: UUID) -> Order | None:
    """A payment of hers; None where there is none, or it is somebody else's."""
    order = _one(tx, _BY_TOKEN, {"token": token})
    return order if order is not None and order.party_id == party_id else None


def waits(tx: Connection, party_id: int, loan_id: int, *, since: datetime) -> Order | None:
    """The newest payment for a loan that waits for her in the wallet; None where none does."""
    return _one(tx, _WAITS, {"party": party_id, "loan": loan_id, "since": since})


def to_ask(tx: Connection, *, before: datetime) -> list[Order]:
    """Payments of which the wallet has told no end, and that were asked for before an instant."""
    return [Order(**row) for row in tx.execute(_OPEN, {"before": before}).mappings()]


def unbooked(tx: Connection, *, before: datetime) -> int:
    """How many payments the wallet told of before an instant that the lender's books do not show yet."""
    return int(tx.execute(_UNBOOKED, {"before": before}).scalar_one())


def maybe_twice(tx: Connection) -> list[int]:
    """Loans of which a payment of the wallet's and one of the books' may be the same, named in two ways, and so counted twice.

    Same loan and amount, a day apart at most, the wallet's not in the books under its own id. Only people know whether it is one.
    """
    return list(tx.execute(_MAYBE_TWICE, {"source": WALLET}).scalars())


def hear(tx: Connection, told: Told, *, at: datetime) -> Became:
    """Apply what the wallet tells of a payment.

    Args:
        tx: Inside a transaction.
        told: What it says.
        at: Business instant.

    Returns:
        `unknown_loan`: nothing was written; it may be told again when the loan is known.
    """
    order = None if told.key is None else _one(tx, _BY_TOKEN, {"token": told.key})
    loan = tx.execute(_LOAN, {"creditor": told.creditor, "loan": told.loan}).one_or_none()
    if loan is None and order is None:
        return "unknown_loan"
    whose = order.party_id if order is not None else loan.party_id  # type: ignore[union-attr]  # one of the two is there
    if whose is None:
        return "unknown_loan"
    lock_with_liable(tx, [whose])
    # Read again behind the lock: somebody else may have told the same meanwhile.
    order = None if told.key is None else _one(tx, _BY_TOKEN, {"token": told.key})
    if told.status in {"paid", "returned"}:
        return _money(tx, told, order, loan, whose, at)
    if order is None or told.status == "waiting":
        return "heard_before"
    ended = tx.execute(_END, {"token": order.token, "state": told.status, "error": told.error, "at": at}).rowcount
    return "moved" if ended else "heard_before"


def _money(tx: Connection, told: Told, order: Order | None, loan: Row[Any] | None, whose: int, at: datetime) -> Became:
    """Money moved: write it down once, or have a person look at what fits nowhere."""
    why = _misfit(tx, told, order, loan)
    if why is not None or loan is None:
        return _fits_nowhere(tx, told, order, whose, why or "loan unknown", at)
    wrote = _write_payment(tx, told, loan.id, whose, at)
    if told.back is not None:
        wrote = _write_return(tx, told, loan.id, whose, at) or wrote
    if order is not None:
        tx.execute(_PAID, {"token": order.token, "wallet_id": told.id, "at": at})
    return "moved" if wrote else "heard_before"


def _misfit(tx: Connection, told: Told, order: Order | None, loan: Row[Any] | None) -> str | None:
    """Why a payment is not written to its loan; None where it is."""
    if loan is None or (order is not None and order.loan_id != loan.id):
        return "another loan"
    if told.currency != loan.currency:
        return "another currency"
    known = tx.execute(_KNOWN, {"loan": loan.id, "id": told.id}).one_or_none()
    if known is not None and known.amount_minor != told.amount_minor:
        return "another amount than was told before"
    back_before = 0 if told.back is None else tx.execute(_BACK, {"loan": loan.id, "id": told.id, "but": told.back.id}).scalar_one()
    if told.back is not None and back_before + told.back.amount_minor > told.amount_minor:
        return "more went back than was paid"
    return None


def _fits_nowhere(tx: Connection, told: Told, order: Order | None, whose: int, why: str, at: datetime) -> Became:
    reference = f"wallet payment {told.id}: {why}"
    if tx.execute(_CASE_KNOWN, {"party": whose, "reference": reference}).scalar() is not None:
        return "heard_before"
    if order is not None:
        tx.execute(_END, {"token": order.token, "state": "misfit", "error": None, "at": at})
    loan_id = None if order is None else order.loan_id
    said = cases.Statement(party_id=whose, kind=CASE, at=at, channel=WALLET, loan_id=loan_id, reference=reference)
    cases.open_case(tx, said, case_terms_in_force())
    return "misfit"


def _write_payment(tx: Connection, told: Told, loan_id: int, whose: int, at: datetime) -> bool:
    # A wallet whose clock is ahead of ours does not pay tomorrow.
    paid_at = min(told.paid_at or at, at)
    keys = {"loan": loan_id, "id": told.id, "amount": told.amount_minor, "at": paid_at, "on": _day(tx, whose, paid_at), "source": WALLET}
    return tx.execute(_PAY, keys).rowcount > 0


def _write_return(tx: Connection, told: Told, loan_id: int, whose: int, at: datetime) -> bool:
    back = told.back
    if back is None:
        return False
    back_at = min(back.at, at)
    keys = {"loan": loan_id, "id": back.id, "amount": -back.amount_minor, "at": back_at, "on": _day(tx, whose, back_at), "source": WALLET}
    return tx.execute(_GO_BACK, {**keys, "reverses": told.id, "reason": back.reason}).rowcount > 0


def _day(tx: Connection, party_id: int, at: datetime) -> Any:
    return at.astimezone(ZoneInfo(zone_of(tx, party_id))).date()


def _one(tx: Connection, statement: Any, keys: dict[str, Any]) -> Order | None:
    row = tx.execute(statement, keys).mappings().one_or_none()
    return None if row is None else Order(**row)


_ORDER: Final = """
    SELECT o.id, o.token, o.party_id, o.loan_id, o.amount_minor, o.currency, o.state, o.wallet_id, o.confirm_url, o.asked_at,
           c.external_id AS creditor, l.external_id AS loan, p.external_id AS party
    FROM payment_order o JOIN loan l ON l.id = o.loan_id JOIN creditor c ON c.id = l.creditor_id JOIN party p ON p.id = o.party_id
"""
_BY_KEY = text(f"{_ORDER} WHERE o.key = :key")
_BY_TOKEN = text(f"{_ORDER} WHERE o.token = :token")
_OPEN = text(f"{_ORDER} WHERE o.state IN ('asked', 'waiting') AND o.asked_at <= :before ORDER BY o.id")
_WAITS = text(f"""
    {_ORDER} WHERE o.party_id = :party AND o.loan_id = :loan AND o.state IN ('asked', 'waiting') AND o.asked_at > :since
    ORDER BY o.id DESC LIMIT 1
""")
_IS_THEIRS = text("""
    SELECT 1 FROM loan_party lp JOIN loan_version v ON v.loan_id = lp.loan_id AND v.superseded_at IS NULL AND v.currency = :currency
    WHERE lp.loan_id = :loan AND lp.party_id = :party AND lp.superseded_at IS NULL AND lp.role IN ('borrower', 'co_borrower', 'guarantor')
""")
_ASK = text("""
    INSERT INTO payment_order (key, token, party_id, loan_id, amount_minor, currency, state, asked_at)
    VALUES (:key, :token, :party, :loan, :amount, :currency, 'asked', :at) ON CONFLICT (key) DO NOTHING
""")
_TAKEN = text("""
    UPDATE payment_order
    SET wallet_id = :wallet_id, confirm_url = :confirm_url, state = CASE state WHEN 'asked' THEN 'waiting' ELSE state END
    WHERE token = :token
""")
# What was paid is not failed any more, whatever is told late.
_END = text("""
    UPDATE payment_order SET state = :state, error_code = :error, ended_at = :at WHERE token = :token AND state IN ('asked', 'waiting')
""")
_PAID = text("""
    UPDATE payment_order SET state = 'paid', wallet_id = :wallet_id, ended_at = coalesce(ended_at, :at)
    WHERE token = :token AND state <> 'paid'
""")
_LOAN = text("""
    SELECT l.id, v.currency, (
        SELECT lp.party_id FROM loan_party lp WHERE lp.loan_id = l.id AND lp.superseded_at IS NULL
        ORDER BY lp.role <> 'borrower', lp.role <> 'co_borrower', lp.party_id LIMIT 1) AS party_id
    FROM loan l JOIN creditor c ON c.id = l.creditor_id JOIN loan_version v ON v.loan_id = l.id AND v.superseded_at IS NULL
    WHERE c.external_id = :creditor AND l.external_id = :loan
""")
_KNOWN = text("""
    SELECT amount_minor FROM payment
    WHERE loan_id = :loan AND external_id = :id AND superseded_at IS NULL AND state <> 'reversed'
""")
_BACK = text("""
    SELECT coalesce(-sum(amount_minor), 0) FROM payment
    WHERE loan_id = :loan AND reverses_external_id = :id AND external_id <> :but AND superseded_at IS NULL
""")
_PAY = text("""
    INSERT INTO payment (loan_id, external_id, state, amount_minor, paid_on, paid_at, rail, booked, effective_at, source)
    VALUES (:loan, :id, 'posted', :amount, :on, :at, 'wallet', false, :at, :source)
    ON CONFLICT (loan_id, external_id) WHERE superseded_at IS NULL DO NOTHING
""")
_GO_BACK = text("""
    INSERT INTO payment (loan_id, external_id, state, amount_minor, paid_on, paid_at, rail, reverses_external_id, reversal_reason, booked,
        effective_at, source)
    VALUES (:loan, :id, 'reversed', :amount, :on, :at, 'wallet', :reverses, :reason, false, :at, :source)
    ON CONFLICT (loan_id, external_id) WHERE superseded_at IS NULL DO NOTHING
""")
_UNBOOKED = text("SELECT count(*) FROM payment WHERE superseded_at IS NULL AND NOT booked AND effective_at < :before")
_MAYBE_TWICE = text("""
    SELECT DISTINCT w.loan_id FROM payment w
    JOIN payment b ON b.loan_id = w.loan_id AND b.amount_minor = w.amount_minor AND b.superseded_at IS NULL AND b.booked
      AND b.state = 'posted' AND b.source <> :source AND b.external_id <> w.external_id AND abs(b.paid_on - w.paid_on) <= 1
    WHERE w.superseded_at IS NULL AND NOT w.booked AND w.state = 'posted' ORDER BY w.loan_id
""")
_CASE_KNOWN = text("""
    SELECT 1 FROM case_event e JOIN borrower_case c ON c.id = e.case_id
    WHERE c.party_id = :party AND c.kind = 'payment' AND e.reference = :reference LIMIT 1
""")
