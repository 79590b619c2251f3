"""Answers: from the first byte of a person's message to the moment at which its effect stands in the ledger.

The portal runs as in production and is spoken to over HTTP, signed, as Twilio does. Each borrower writes once, in her own
language: a stop, "I paid", a promise, danger. The effect is looked for by another connection: the opt-out, the hold or the promise
that the gate will read. First one after the other, then so many at once.

The floor is the same server with an application that reads a message's body and answers, and does nothing else.

In:   borrowers of four countries.
Out:  one result. Its `ratio` is the worst p99 of an effect, one after the other, by one second; besides, p50 and p99 of each answer.
"""

from __future__ import annotations

import base64
import hmac
import http.client
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import sha1
from itertools import cycle
from statistics import median, quantiles
from typing import Final
from urllib.parse import urlencode

from sqlalchemy import text

from ledger import clock, vault
from ledger.engine import connection
from tests.bench.ground import address_of, apart, new_ledger, use
from tests.bench.harness import Result, Sample, measured
from tests.bench.planned import NOON, TODAY
from tests.bench.portfolio import Wanted, fill_ledger
from tests.bench.webhooks import PUBLIC, TOKEN, server

OF_EACH: Final = 500
OF_EACH_MIN: Final = 100
AT_ONCE: Final = 16
EFFECT_SECONDS_MAX: Final = 1.0
LOOKED_FOR_SECONDS_MAX: Final = 10.0
PATH: Final = "/webhooks/twilio/inbound"
# Answer → words in the languages of the portfolio, and where the effect stands.
SAID: Final = {
    "stop": {"en": "pls stop txting me", "es": "ya no me manden mensajes", "zh": "不要再发短信了"},
    "paid": {"en": "i already paid this morning", "es": "ya pagué ayer en el oxxo", "zh": "昨天已经还了"},
    "promise": {"en": "ill pay on friday", "es": "el viernes les pago", "zh": "明天还"},
    "danger": {"en": "i dont want to live anymore", "es": "ya no quiero vivir", "zh": "我不想活了"},
}
EFFECTS: Final = {
    "stop": text("SELECT 1 FROM opt_out WHERE party_id = :party LIMIT 1"),
    "paid": text("SELECT 1 FROM hold WHERE party_id = :party AND kind = 'paid_claimed' LIMIT 1"),
    "promise": text("SELECT 1 FROM promise WHERE party_id = :party LIMIT 1"),
    "danger": text("SELECT 1 FROM hold WHERE party_id = :party AND kind = 'mental_health_crisis' LIMIT 1"),
}


@dataclass(frozen=True, slots=True)
class Writer:
    """A borrower who writes once."""

    party_id: int
    number: str
    locale: str


def run(*, scale: int) -> Iterator[Result]:
    """Measure.

    Args:
        scale: Divides how often each answer is given.
    """
    of_each = max(OF_EACH // scale, OF_EACH_MIN)
    writers = apart(partial(_people, (2 * of_each + len(SAID)) * len(SAID)))
    use(address_of("bench_answers"))
    with server("portal.app:app") as portal, server("tests.bench.webhooks:answers") as bare:
        yield _measure(portal, bare, writers, of_each)


def _measure(portal: int, bare: int, writers: Sequence[Writer], of_each: int) -> Result:
    mixed = list(zip(writers, cycle(SAID), strict=False))
    warm, alone, together = (mixed[: len(SAID) ** 2], mixed[len(SAID) ** 2 :][: of_each * len(SAID)], mixed[-of_each * len(SAID) :])
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda one: _effect_seconds(portal, *one), warm))
        samples: list[Sample] = []
        with measured(samples):
            first = [(intent, _effect_seconds(portal, writer, intent)) for writer, intent in alone]
        floor = [_answer_seconds(bare, *one) for one in alone]
        second = [*zip((intent for _, intent in together), pool.map(lambda one: _effect_seconds(portal, *one), together), strict=True)]
    worst = max(_p99(first, intent) for intent in SAID)
    return Result(
        name="answers",
        size=len(alone),
        seconds=median(seconds for _, seconds in first),
        cpu_seconds=samples[0].cpu_seconds,
        floor_seconds=median(floor),
        peak_rss_bytes=samples[0].peak_rss_bytes,
        ratio=worst / EFFECT_SECONDS_MAX,
        unit="messages",
        ratio_means="worst p99 of a message's effect, one after the other, by one second",
        target="≤ 1",
        met=worst <= EFFECT_SECONDS_MAX,
        more={
            f"{intent}_{name}": round(found(times, intent) * 1000, 1)
            for times, when in ((first, "ms"), (second, f"ms_{AT_ONCE}_at_once"))
            for name, found in ((f"p50_{when}", _p50), (f"p99_{when}", _p99))
            for intent in SAID
        },
    )


def _p50(times: Sequence[tuple[str, float]], intent: str) -> float:
    return median(seconds for of, seconds in times if of == intent)


def _p99(times: Sequence[tuple[str, float]], intent: str) -> float:
    return quantiles((seconds for of, seconds in times if of == intent), n=100)[98]


def _people(wanted: int) -> list[Writer]:
    """So many borrowers with their numbers, on a weekday's noon in Taipei."""
    new_ledger("bench_answers")
    fill_ledger(Wanted(borrowers=wanted, as_of=TODAY, paid=2, with_push=False))
    with connection() as tx:
        clock.step(tx, NOON)
        tx.execute(text("ANALYZE"))
        rows = tx.execute(_NUMBERS).all()
    return [Writer(row.party_id, vault.decrypt(row.value_encrypted, row.key_id), row.locale) for row in rows]


def _effect_seconds(port: int, writer: Writer, intent: str) -> float:
    """From the first byte to the effect, as another connection sees it."""
    began = time.perf_counter()
    _answer_seconds(port, writer, intent)
    while time.perf_counter() - began < LOOKED_FOR_SECONDS_MAX:
        with connection() as tx:
            if tx.execute(EFFECTS[intent], {"party": writer.party_id}).scalar() is not None:
                return time.perf_counter() - began
        time.sleep(0.001)
    raise AssertionError(f"{intent} in {writer.locale} had no effect")


def _answer_seconds(port: int, writer: Writer, intent: str) -> float:
    """From the first byte to the answer."""
    fields = {
        "AccountSid": "AC" + "0" * 32,
        "Body": SAID[intent][writer.locale.split("-")[0]],
        "From": writer.number,
        "MessageSid": f"SM{writer.party_id:032x}",
        "To": "+15005550006",
    }
    said = f"{PUBLIC}{PATH}" + "".join(name + value for name, value in sorted(fields.items()))
    signature = base64.b64encode(hmac.digest(TOKEN.encode(), said.encode(), sha1)).decode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature, "Host": PUBLIC.partition("://")[2]}
    began = time.perf_counter()
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=LOOKED_FOR_SECONDS_MAX)
    try:
        line.request("POST", PATH, urlencode(fields), headers)
        assert line.getresponse().status in {200, 204}
    finally:
        line.close()
    return time.perf_counter() - began


_NUMBERS: Final = text("""
    SELECT v.value_encrypted, v.key_id, p.party_id, p.locale
    FROM contact_point_version v JOIN contact_point c ON c.id = v.contact_point_id
    JOIN party_version p ON p.party_id = c.party_id AND p.superseded_at IS NULL
    WHERE v.superseded_at IS NULL AND c.kind = 'mobile' ORDER BY p.party_id
""")
