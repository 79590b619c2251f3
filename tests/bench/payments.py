"""Payments: from the first byte of the wallet's webhook to the moment at which the gate lets no message to her go any more.

The portal runs as in production and is spoken to over HTTP, signed, as the wallet does. Each borrower has a message that is planned and due; the
wallet tells that she paid all that is due. The effect is looked for by another connection, and then the gate is asked for her: it must
withhold her message. First one after the other, then so many at once.

The floor is the same server with an application that reads a webhook's body and answers, and does nothing else.

In:   borrowers of Taiwan, late enough for a text message, at noon.
Out:  one result. Its `ratio` is the worst time until her message is withheld, one after the other, by two seconds; besides, p50 and p99.
"""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from statistics import median, quantiles
from typing import Final

from prefect.logging import disable_run_logger
from sqlalchemy import text

from channels.signatures import SIGNATURE_HEADER, sign_request
from config.message_files import message_texts
from config.policies import policies
from config.rule_files import rule_packs
from config.signing_keys import read_signing_keys
from gate.claim import Door, take_chunk
from gate.permit import Rulebook
from ledger import clock
from ledger.campaigns import open_run, read_run
from ledger.engine import connection
from tasks.choose import choose
from tasks.pick import pick
from tests.bench.ground import address_of, apart, new_ledger, use
from tests.bench.harness import Result, Sample, measured
from tests.bench.planned import NOON, SPARE, TODAY
from tests.bench.portfolio import Wanted, fill_ledger
from tests.bench.webhooks import PUBLIC, server

PAYERS: Final = 1_000
PAYERS_MIN: Final = 100
WARM: Final = 10
AT_ONCE: Final = 16
STOPPED_SECONDS_MAX: Final = 2.0
LOOKED_FOR_SECONDS_MAX: Final = 10.0
PATH: Final = "/webhooks/wallet"
KEYS: Final = "bench:wallet-secret-of-nobody-0123456789"


@dataclass(frozen=True, slots=True)
class Payer:
    """A borrower who is about to be written to, and what she owes."""

    party_id: int
    attempt_id: int
    creditor: str
    loan: str
    currency: str
    due_minor: int


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds from the first byte.

    Attributes:
        written: Until the payment stands in the ledger.
        withheld: Until the gate, asked then, has withheld her message.
    """

    written: float
    withheld: float


def run(*, scale: int) -> Iterator[Result]:
    """Measure.

    Args:
        scale: Divides how many pay.
    """
    payers = max(PAYERS // scale, PAYERS_MIN)
    run_id, people = apart(partial(_people, 2 * payers + WARM))
    os.environ["TIDEOVER_WALLET_KEYS"] = KEYS
    use(address_of("bench_payments"))
    with server("portal.app:app") as portal, server("tests.bench.webhooks:answers") as bare:
        yield _measure(portal, bare, run_id, people, payers)


def _measure(portal: int, bare: int, run_id: int, people: Sequence[Payer], payers: int) -> Result:
    with connection() as tx:
        door = Door(run=read_run(tx, run_id), parties=(0, 0), book=Rulebook(rule_packs()), texts=message_texts())
    pays = partial(_pay, portal, door)
    for one in people[:WARM]:
        pays(one)
    samples: list[Sample] = []
    with measured(samples):
        alone = [pays(one) for one in people[WARM : WARM + payers]]
    floor = [_answer_seconds(bare, one) for one in people[:payers]]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        together = list(pool.map(pays, people[WARM + payers :]))
    worst = max(one.withheld for one in alone)
    return Result(
        name="payments",
        size=payers,
        seconds=median(one.withheld for one in alone),
        cpu_seconds=samples[0].cpu_seconds,
        floor_seconds=median(floor),
        peak_rss_bytes=samples[0].peak_rss_bytes,
        ratio=worst / STOPPED_SECONDS_MAX,
        unit="payments",
        ratio_means="worst time from a payment's webhook to its message withheld, one after the other, by two seconds",
        target="≤ 1",
        met=worst <= STOPPED_SECONDS_MAX,
        more={
            f"{what}_{name}_{when}": round(found * 1000, 1)
            for times, when in ((alone, "ms"), (together, f"ms_{AT_ONCE}_at_once"))
            for what in ("written", "withheld")
            for name, found in _spread([getattr(one, what) for one in times]).items()
        },
    )


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    return {"p50": median(seconds), "p99": quantiles(seconds, n=100)[98], "max": max(seconds)}


def _people(wanted: int) -> tuple[int, list[Payer]]:
    """Plan by the product's own pick and choose; every message is due now."""
    new_ledger("bench_payments")
    fill_ledger(Wanted(borrowers=int(wanted * SPARE), as_of=TODAY, paid=2, countries=("TW",), with_push=False))
    with connection() as tx:
        clock.step(tx, NOON)
        run_id = open_run(tx, stage="early", business_date=TODAY, preview=False, borrowers_max=None, policies=policies("early"), at=NOON)
    with disable_run_logger():
        for shard in pick.fn(run_id):
            choose.fn(shard, run_id)
    with connection() as tx:
        tx.execute(text("ANALYZE"))
        found = [Payer(**row) for row in tx.execute(_PAYERS, {"run": run_id, "at": NOON, "on": TODAY, "n": wanted}).mappings()]
    assert len(found) == wanted, "enough borrowers are about to be written to"
    return run_id, found


def _pay(port: int, door: Door, payer: Payer) -> Took:
    """She pays; nothing may leave for her afterwards."""
    began = time.perf_counter()
    _answer_seconds(port, payer)
    with connection() as tx:
        assert tx.execute(_PAID, {"loan": payer.loan}).scalar() is not None, "it was answered, so it is written"
    written = time.perf_counter() - began
    hers = Door(run=door.run, parties=(payer.party_id, payer.party_id), book=door.book, texts=door.texts)
    letters = take_chunk(hers, at_most={"sms": 8}, after={"sms": -1}).letters
    withheld = time.perf_counter() - began
    assert letters == [], "a message left for what was paid"
    with connection() as tx:
        assert tx.execute(_STATE, {"id": payer.attempt_id}).scalar_one() == "withheld"
    return Took(written=written, withheld=withheld)


def _answer_seconds(port: int, payer: Payer) -> float:
    """From the first byte to the answer."""
    event = {
        "type": "payment",
        "key": None,
        "id": f"WP{payer.party_id:024x}",
        "status": "paid",
        "creditor": payer.creditor,
        "loan": payer.loan,
        "amount_minor": payer.due_minor,
        "currency": payer.currency,
        "paid_at": NOON.isoformat(),
        "error": None,
        "return": None,
    }
    body = json.dumps(event).encode()
    signature = sign_request(read_signing_keys(KEYS), method="POST", target=PATH, body=body, at_seconds=time.time())
    headers = {"Content-Type": "application/json", SIGNATURE_HEADER: signature, "Host": PUBLIC.partition("://")[2]}
    began = time.perf_counter()
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=LOOKED_FOR_SECONDS_MAX)
    try:
        line.request("POST", PATH, body, headers)
        assert line.getresponse().status == 204  # heard
    finally:
        line.close()
    return time.perf_counter() - began


_PAYERS: Final = text("""
    SELECT a.party_id, a.id AS attempt_id, c.external_id AS creditor, l.external_id AS loan, v.currency, g.past_due_minor AS due_minor
    FROM attempt a
    JOIN loan_aging g ON g.party_id = a.party_id AND g.business_date = :on AND g.past_due_minor > 0
    JOIN loan l ON l.id = g.loan_id JOIN creditor c ON c.id = l.creditor_id
    JOIN loan_version v ON v.loan_id = l.id AND v.superseded_at IS NULL
    WHERE a.campaign_run_id = :run AND a.state = 'planned' AND a.channel = 'sms' AND coalesce(a.send_after, :at) <= :at
      AND (SELECT count(*) FROM loan_aging o WHERE o.party_id = a.party_id AND o.business_date = :on AND o.past_due_minor > 0) = 1
    ORDER BY a.id LIMIT :n
""")
_PAID: Final = text("SELECT 1 FROM payment y JOIN loan l ON l.id = y.loan_id WHERE l.external_id = :loan AND y.source = 'wallet'")
_STATE: Final = text("SELECT state FROM attempt WHERE id = :id")
