"""Paying by the lender's wallet: all that is due, all that is open, or a part; and what came of it.

The amount is chosen here, the money moves in the wallet, which asks her once more. What she reads afterwards is what the ledger has: a
payment that the wallet has told of counts from then on, and is shown as not in the books until they show it.

In:   her session, forms.
Out:  pages; payments asked of the wallet.
Pure: no.
Source: docs/adr/0045.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from channels.wallet import VALID_SECONDS, Wallet
from config.settings import settings
from gate.wallet import ask_about, ask_for
from ledger import clock, page_reads, wallet_payments
from ledger.engine import connection
from ledger.page_reads import Debt
from ledger.page_sessions import Session
from ledger.wallet_payments import Order, PaymentRefused
from portal.account import guard, inside
from portal.pages import BASE, Asked, go, local_day, money, named_once, page, show
from portal.typed import UnclearError, minor_of, written

# What she may choose, in the order of the page.
CHOICES: Final = ("due", "all", "part")
# Of a payment that nothing is known of yet, the wallet is asked when she looks.
NOT_ENDED: Final = frozenset({"asked", "waiting"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What may be paid of a loan.

    Attributes:
        debt: The loan, as she sees it.
        due_minor: What is due: past due, else the next instalment; without what she has disputed.
        all_minor: All that is open, likewise.
    """

    debt: Debt
    due_minor: int
    all_minor: int


def offer_of(debt: Debt) -> Offer | None:
    """What may be paid of a loan; None where nothing is open."""
    all_minor = max(0, debt.outstanding_minor - debt.disputed_minor)
    due_minor = min(all_minor, max(0, debt.past_due_minor - debt.disputed_minor) or debt.next_due_minor)
    return Offer(debt=debt, due_minor=due_minor, all_minor=all_minor) if all_minor else None


def can_pay() -> bool:
    """Whether there is a wallet to pay by."""
    return bool(settings().wallet_base_url)


async def form(asked: Asked, session: Session) -> Response:
    """Ask how much."""
    offer = await run_in_threadpool(_offer, session, asked.request.path_params["loan"])
    return go("account") if offer is None else await _form(asked, session, offer)


async def pay(asked: Asked, session: Session) -> Response:
    """A payment is written down and asked of the wallet; she sees what came of it on a page of its own."""
    offer = await run_in_threadpool(_offer, session, asked.request.path_params["loan"])
    if offer is None:
        return go("account")
    try:
        amount_minor = _chosen(asked, offer)
        order = await run_in_threadpool(_ordered, session, offer, amount_minor, named_once(asked.fields))
    except UnclearError as error:
        return await _form(asked, session, offer, trouble=error.field)
    except PaymentRefused:
        return go("account")
    if order.state == "asked":
        await _ask_wallet(order)
    return go(f"paying/{order.token}")


async def paying(asked: Asked, session: Session) -> Response:
    """What came of it."""
    token: UUID = asked.request.path_params["token"]
    order = await run_in_threadpool(_order, session, token)
    if order is None:
        return go("account")
    if order.state in NOT_ENDED and can_pay():
        # The webhook is quicker; this is for one that was lost, and for whoever looks again.
        await _ask_wallet(order)
        order = await run_in_threadpool(_order, session, token) or order
    return show(asked, "paying", guard=guard(asked), order=order)


async def _ask_wallet(order: Order) -> None:
    """Ask for a payment that the wallet has not answered yet, under its key; of one that it has, ask what became of it."""
    wallet = Wallet(settings())
    try:
        if order.state == "asked":
            await ask_for(wallet, order, page_path=f"{BASE}/paying/{order.token}")
        else:
            await ask_about(wallet, order)
    finally:
        await wallet.close()


async def _form(asked: Asked, session: Session, offer: Offer, *, trouble: str | None = None) -> Response:
    currency = offer.debt.currency
    waiting = await run_in_threadpool(_waiting, session, offer)
    return show(
        asked,
        "pay",
        guard=guard(asked),
        offer=offer,
        waiting=waiting,
        once=uuid4().hex,
        trouble=trouble,
        example=written(offer.due_minor or offer.all_minor, currency, asked.words),
        most=money(offer.all_minor, currency, asked.words),
        typed=asked.fields,
    )


def _chosen(asked: Asked, offer: Offer) -> int:
    """The amount that she chose.

    Raises:
        UnclearError: `amount` where it is none, `most` where it is more than is open.
    """
    which = asked.fields.get("which")
    if which == "part":
        typed = asked.fields.get("amount", "").strip()
        amount_minor = minor_of(typed, offer.debt.currency, asked.words)
    else:
        amount_minor = {"due": offer.due_minor, "all": offer.all_minor}.get(which or "", 0)
        # What is due may have changed since the page was made: she confirms what she saw, or chooses again.
        if asked.fields.get("minor") != str(amount_minor):
            raise UnclearError("changed")
    if amount_minor > offer.all_minor:
        raise UnclearError("most")
    if amount_minor <= 0:
        raise UnclearError("amount")
    return amount_minor


def _offer(session: Session, loan_id: int) -> Offer | None:
    if not can_pay():
        return None
    with connection(read_only=True) as tx:
        today = local_day(clock.now(tx), page_reads.zone_of(tx, session.party_id))
        debts = page_reads.debts(tx, session.party_id, on=today)
    return next((offer_of(debt) for debt in debts if debt.loan_id == loan_id), None)


def _waiting(session: Session, offer: Offer) -> Order | None:
    """A payment for the loan that waits for her: who sees it does not pay twice."""
    with connection(read_only=True) as tx:
        since = clock.now(tx) - timedelta(seconds=VALID_SECONDS)
        return wallet_payments.waits(tx, session.party_id, offer.debt.loan_id, since=since)


def _ordered(session: Session, offer: Offer, amount_minor: int, name: str) -> Order:
    with connection() as tx:
        return wallet_payments.ask(
            tx,
            party_id=session.party_id,
            loan_id=offer.debt.loan_id,
            amount_minor=amount_minor,
            currency=offer.debt.currency,
            key=f"page {session.id} {name} {amount_minor}",
            at=clock.now(tx),
        )


def _order(session: Session, token: UUID) -> Order | None:
    with connection(read_only=True) as tx:
        return wallet_payments.of_page(tx, session.party_id, token)


routes: Final = [
    Route(f"{BASE}/pay/{{loan:int}}", page(inside(form)), methods=["GET"]),
    Route(f"{BASE}/pay/{{loan:int}}", page(inside(pay)), methods=["POST"]),
    Route(f"{BASE}/paying/{{token:uuid}}", page(inside(paying)), methods=["GET"]),
]
