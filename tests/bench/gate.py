"""Gate: what a text message costs between planned and about to be sent, in a small ledger and in a large one.

The product is `take_chunk`: borrowers locked, facts read again under the lock, every rule applied again, permit, words and address made
ready, intention and evidence committed. Nothing is sent. The floor locks the same number of borrowers, says of as many attempts that they
are being sent, writes as many rows of the contact log, and commits: it reads no fact and knows no rule.

In:   a number of borrowers of Taiwan, some thousand of them late enough for a text message, at an hour when all may be written to.
Out:  one result. Its `items` are messages; how its time grows with the ledger is growth of the same work.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from sqlalchemy import text

from config.message_files import message_texts
from config.rule_files import rule_packs
from gate.claim import Chunk, Door, take_chunk
from gate.permit import Rulebook
from ledger.campaigns import read_run
from ledger.engine import connection
from ledger.outbox import EVERY_PARTY
from tests.bench.ground import address_of, apart, use
from tests.bench.harness import Result, by_turns
from tests.bench.planned import NOON, SPARE, plan_texts

# As a lane's chunk.
CHUNK: Final = 256
CHUNKS_MAX: Final = 8
ROUNDS: Final = 3
SECONDS_MAX: Final = 120.0
LEDGER: Final = "bench_gate"
TARGET_MS: Final = 1.0


def at(size: int) -> Iterator[Result]:
    """Measure in a ledger of so many borrowers."""
    # One block for each round, one to warm up with, one that the floor uses over and over.
    chunks = min(CHUNKS_MAX, int(size / SPARE) // CHUNK // (ROUNDS + 2))
    run_id = apart(partial(plan_texts, LEDGER, borrowers=size, messages=chunks * CHUNK * (ROUNDS + 2)))
    use(address_of(LEDGER))
    with connection() as tx:
        door = Door(run=read_run(tx, run_id), parties=EVERY_PARTY, book=Rulebook(rule_packs()), texts=message_texts())
        for statement in _FOR_THE_FLOOR:
            tx.execute(text(statement), {"run": run_id, "messages": chunks * CHUNK})
    taken: list[Chunk] = []
    after = -1

    def product() -> None:
        nonlocal after
        for _ in range(chunks):
            taken.append(take_chunk(door, at_most={"sms": CHUNK}, after={"sms": after}))
            after = max(taken[-1].claimed["sms"])

    sides = by_turns(
        product, partial(_floor, run_id, chunks), rounds=ROUNDS, seconds_max=SECONDS_MAX, before_floor=partial(_forget, run_id)
    )
    messages = chunks * CHUNK
    assert all(len(one.letters) == CHUNK for one in taken), "everybody passed"
    report = sides.report()
    each_ms = report["seconds"] / messages * 1000
    phases: defaultdict[str, float] = defaultdict(float)
    for one in taken[chunks:]:
        for phase, seconds in one.seconds.items():
            phases[phase] += seconds / (len(taken) - chunks)
    yield Result(
        name="gate",
        size=size,
        **report,
        ratio=report["seconds"] / report["floor_seconds"],
        unit="borrowers",
        ratio_means="seconds ÷ seconds of locking, marking and logging as many",
        target=f"≤ {TARGET_MS:g} ms a message",
        met=each_ms <= TARGET_MS,
        more={
            **sides.spread(),
            "items": messages,
            "item": "messages",
            "ms_a_message": each_ms,
            "cpu_ms_a_message": report["cpu_seconds"] / messages * 1000,
            "phase_ms_of_a_chunk": {phase: float(f"{seconds * 1000:.3g}") for phase, seconds in phases.items()},
        },
    )


def _floor(run_id: int, chunks: int) -> None:
    for number in range(chunks):
        with connection() as tx:
            keys: dict[str, Any] = {"run": run_id, "first": number * CHUNK, "last": (number + 1) * CHUNK - 1, "at": NOON}
            for statement in _FLOOR:
                tx.execute(text(statement), keys)


def _forget(run_id: int) -> None:
    with connection() as tx:
        tx.execute(text("DELETE FROM contact_event WHERE source = 'floor'"))
        tx.execute(
            text("UPDATE attempt SET state = 'planned' FROM floor_attempt f WHERE f.id = attempt.id AND attempt.campaign_run_id = :run"),
            {"run": run_id},
        )


# The last ones of the run, which the product does not come to.
_FOR_THE_FLOOR: Final = (
    """CREATE TABLE floor_attempt AS
       SELECT id, party_id, row_number() OVER (ORDER BY id) - 1 AS number
       FROM (SELECT id, party_id FROM attempt WHERE campaign_run_id = :run AND channel = 'sms' ORDER BY party_id DESC LIMIT :messages) last""",
    "ANALYZE floor_attempt",
)
_FLOOR: Final = (
    "SELECT p.id FROM party p JOIN floor_attempt f ON f.party_id = p.id WHERE f.number BETWEEN :first AND :last ORDER BY p.id FOR UPDATE OF p",
    """UPDATE attempt SET state = 'submitting', submitted_at = :at, claim_id = token, call_deadline = :at
       FROM floor_attempt f WHERE f.id = attempt.id AND attempt.campaign_run_id = :run AND f.number BETWEEN :first AND :last""",
    """INSERT INTO contact_event (business_date, party_id, at, channel, direction, contact_point_id, counterparty, purpose, result,
                                  attempt_business_date, attempt_id, counts, source)
       SELECT a.business_date, a.party_id, :at, a.channel, 'outbound', a.contact_point_id, 'borrower', a.purpose, 'sent', a.business_date, a.id,
              true, 'floor'
       FROM attempt a JOIN floor_attempt f ON f.id = a.id WHERE a.campaign_run_id = :run AND f.number BETWEEN :first AND :last""",
)
