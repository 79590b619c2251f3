"""I1, attacked: a letter leaves only after its intention is committed, on its own permit, once, and while the permit lives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.exc import OperationalError

from channels import ForeignPermit, Message, Permit, PermitExpired, Receipt
from config.message_files import message_texts
from config.rule_files import rule_packs
from gate.claim import Chunk, Door, take_chunk
from gate.lane import run_lane
from gate.permit import Letter, Rulebook
from gate.receipts import Result, write_results
from ledger.campaigns import read_run
from ledger.engine import connection
from ledger.outbox import EVERY_PARTY
from tests.plugins.locks import end, held, waiting_for
from tests.plugins.portfolio import Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel, taken

NOON = noon("US")


@pytest.fixture
def run(portfolio: Portfolio, outbox: Outbox) -> int:
    """A run at noon in New York."""
    portfolio.clock(NOON)
    return outbox.run()


def chunk(run: int) -> Chunk:
    with connection() as tx:
        door = Door(run=read_run(tx, run), parties=EVERY_PARTY, book=Rulebook(rule_packs()), texts=message_texts())
    return take_chunk(door, at_most={"sms": 8}, after={"sms": -1})


def test_I1_a_gate_whose_connection_dies_before_its_commit_has_let_nothing_through(portfolio: Portfolio, outbox: Outbox, run: int) -> None:
    """It had locked, judged and begun to write; the next one finds everything as it was, and sends once."""
    attempt = outbox.plan(run, portfolio.borrower())
    with ThreadPoolExecutor(1) as thread:
        with held("evidence_batch") as holder:
            gate = thread.submit(chunk, run)
            end(waiting_for(holder)[0])
        with pytest.raises(OperationalError):
            gate.result(20)
    assert (outbox.attempt(attempt)["state"], outbox.causes(attempt), outbox.events(attempt)) == ("planned", [], [])
    channel = RecordingChannel()
    run_lane(run, shard=None, channels={"sms": lambda: channel})
    assert [message.token for message in channel.sent] == [str(outbox.token(attempt))]


def test_I1_every_call_of_a_lane_bears_the_permit_of_its_own_attempt(portfolio: Portfolio, outbox: Outbox, run: int) -> None:
    attempts = {outbox.plan(run, portfolio.borrower()) for _ in range(12)}
    pairs: list[tuple[int, int, str]] = []

    def answer(message: Message, permit: Permit) -> Receipt:
        pairs.append((message.attempt_id, permit.attempt_id, message.token))
        return taken(message)

    channel = RecordingChannel(answer=answer)
    run_lane(run, shard=None, channels={"sms": lambda: channel})
    assert {message for message, _, _ in pairs} == attempts
    assert all(message == permit and str(outbox.token(message)) == token for message, permit, token in pairs)


def swapped(letter: Letter, other: Letter) -> Letter:
    """A letter with the permit of another attempt, as a bug might bring it about."""
    return replace(letter, permit=other.permit)


def old(letter: Letter, _: Letter) -> Letter:
    """A letter whose permit was issued six seconds ago, whatever deadline it bears."""
    issued = letter.permit.issued_at - timedelta(seconds=6)
    return replace(letter, permit=replace(letter.permit, issued_at=issued, call_deadline=issued + timedelta(hours=1), called_at=issued))


@pytest.mark.parametrize(
    ("forged", "refused", "became"), [(swapped, ForeignPermit, "rejected"), (old, PermitExpired, "planned")], ids=["foreign", "old"]
)
def test_I1_what_a_channel_refuses_was_not_called_and_is_counted_by_no_cap(
    portfolio: Portfolio,
    outbox: Outbox,
    run: int,
    forged: Callable[[Letter, Letter], Letter],
    refused: type[ForeignPermit | PermitExpired],
    became: str,
) -> None:
    for _ in range(2):
        outbox.plan(run, portfolio.borrower())
    letter, other = chunk(run).letters
    wrong = forged(letter, other)
    with pytest.raises(refused) as error:
        asyncio.run(RecordingChannel().send(wrong.message, wrong.permit))
    result = Result(letter=letter, provider="twilio", outcome=error.value)
    assert write_results([result], campaign_run_id=run) == {became: 1}
    assert outbox.events(letter.attempt_id) == [("sent", True, False), ("failed", False, True)]
