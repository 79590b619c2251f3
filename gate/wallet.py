"""Payments by the wallet: asked for on a borrower's page, and asked about where the wallet has told nothing.

It reaches no person and needs no permit (docs/adr/0043, 0045).

In:   the wallet; a payment that was written down.
Out:  rows of the ledger (ledger/wallet_payments.py).
Pure: no.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from datetime import timedelta
from typing import Final

from channels.wallet import Bill, PaymentAdapter, Taken, Wallet, WalletAwayError, WalletRefusedError
from config.settings import settings
from decisions.wallet_payments import Told
from ledger import clock, wallet_payments
from ledger.engine import connection
from ledger.wallet_payments import Order

_log = logging.getLogger(__name__)
CALLBACK: Final = "/webhooks/wallet"
# So long a payment is left alone before the wallet is asked about it: its webhook is quicker.
ASKED_ABOUT_AFTER: Final = timedelta(minutes=10)
GIVES_UP_AFTER: Final = 3


async def ask_for(wallet: PaymentAdapter, order: Order, *, page_path: str) -> str:
    """Ask the wallet for a payment.

    Args:
        wallet: Its client.
        order: As it was written down, by a transaction that is committed.
        page_path: Where she comes back to.

    Returns:
        `waiting` for her; `refused`: no money moves; `away`: nobody knows yet.
    """
    bill = Bill(
        token=order.token,
        creditor=order.creditor,
        loan=order.loan,
        party=order.party,
        amount_minor=order.amount_minor,
        currency=order.currency,
        return_url=settings().public_url + page_path,
        callback_url=settings().public_url + CALLBACK,
    )
    try:
        taken = await wallet.ask_for(bill)
    except WalletRefusedError as error:
        _log.warning("payment %d was refused by the wallet (%s)", order.id, error.code)
        await asyncio.to_thread(_refused, order, error.code)
        return "refused"
    except WalletAwayError as error:
        _log.warning("payment %d: the wallet did not answer (%s)", order.id, error.code)
        return "away"
    await asyncio.to_thread(_taken, order, taken)
    return "waiting"


async def ask_about(wallet: PaymentAdapter, order: Order) -> str:
    """Ask what became of one payment; what the wallet never had has failed: no money moved.

    Returns:
        What it says, or `away`.
    """
    try:
        told = await wallet.told_of(order.token)
    except WalletAwayError as error:
        _log.warning("the wallet does not say what became of payment %d (%s)", order.id, error.code)
        return "away"
    await asyncio.to_thread(_told, order, told)
    return "never taken" if told is None else told.status


async def ask_about_all() -> Counter[str]:
    """Ask about every payment whose end the wallet has not told for a while; none where there is no wallet."""
    became: Counter[str] = Counter()
    if not settings().wallet_base_url:
        return became
    wallet = Wallet(settings())
    try:
        for order in await asyncio.to_thread(_open):
            became[await ask_about(wallet, order)] += 1
            if became["away"] >= GIVES_UP_AFTER:
                break
    finally:
        await wallet.close()
    return became


def _open() -> list[Order]:
    with connection() as tx:
        return wallet_payments.to_ask(tx, before=clock.now(tx) - ASKED_ABOUT_AFTER)


def _refused(order: Order, code: str) -> None:
    with connection() as tx:
        wallet_payments.refused(tx, order.token, error=code, at=clock.now(tx))


def _taken(order: Order, taken: Taken) -> None:
    with connection() as tx:
        wallet_payments.taken(tx, order.token, wallet_id=taken.told.id, confirm_url=taken.confirm_url)
        wallet_payments.hear(tx, taken.told, at=clock.now(tx))


def _told(order: Order, told: Told | None) -> None:
    with connection() as tx:
        if told is None:
            wallet_payments.refused(tx, order.token, error="unknown_key", at=clock.now(tx))
        else:
            wallet_payments.hear(tx, told, at=clock.now(tx))
