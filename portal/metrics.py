"""Figures in Prometheus' form: what this process heard, and what the ledger counts.

The ledger's figures are counted at most once in `FRESH_SECONDS` a process, whoever asks and how often. When the ledger cannot be read
they are missing, and `tideover_ledger_readable` says so: an old number looks like a good one.

In:   the ledger (ledger/gauges.py); what portal/webhooks.py and portal/receiver.py counted.
Out:  the text that Prometheus reads.
Pure: no; reads the ledger.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Final

from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR, CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from ledger.embedded import EmbeddedDatabaseError
from ledger.engine import connection
from ledger.gauges import Rows, read_gauges

FRESH_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Gauge:
    """One figure of the ledger.

    Attributes:
        name: Metric.
        text: What it says.
        topic: Of ledger/gauges.py.
        value: Column with the number.
        labels: Columns that become labels.
    """

    name: str
    text: str
    topic: str
    value: str
    labels: tuple[str, ...] = ()


_RUN: Final = ("scope", "stage")
GAUGES: Final = (
    Gauge("tideover_run_opened_timestamp_seconds", "When the newest campaign run was opened", "runs", "opened", _RUN),
    Gauge("tideover_run_closed", "1 where the newest campaign run is closed", "runs", "closed", _RUN),
    Gauge("tideover_attempts", "Attempts of the newest business date", "attempts", "attempts", (*_RUN, "channel", "state")),
    Gauge("tideover_gate_let_through", "Attempts that the gate has let through", "gate", "let_through", (*_RUN, "channel")),
    Gauge("tideover_gate_withheld", "Attempts that the gate has withheld for good", "gate", "withheld", (*_RUN, "channel")),
    Gauge("tideover_send_due", "Planned attempts that may be sent now", "gate", "due", (*_RUN, "channel")),
    Gauge("tideover_send_later", "Planned attempts whose hour is still to come", "gate", "later", (*_RUN, "channel")),
    Gauge("tideover_send_due_seconds", "How long the oldest of those that are due has been", "gate", "due_seconds", (*_RUN, "channel")),
    Gauge("tideover_withheld", "Borrowers left in peace, by reason and who said so", "withheld", "borrowers", (*_RUN, "said_by", "reason")),
    Gauge("tideover_send_unknown", "Attempts of any date whose fate is not known", "fates", "unknown"),
    Gauge("tideover_send_unknown_seconds", "How long the oldest of them has been so", "fates", "unknown_seconds"),
    Gauge("tideover_send_overdue_calls", "Calls past their deadline whose process has said nothing", "fates", "overdue_calls"),
    Gauge("tideover_send_parked", "Attempts that wait for a person to say what became of them", "fates", "parked"),
    Gauge("tideover_send_pace_ahead_seconds", "How far ahead the busiest sender is booked", "pace", "ahead_seconds", ("channel",)),
    Gauge("tideover_inbox_waiting", "Things that were said to us and are not applied yet", "inbox", "waiting"),
    Gauge("tideover_inbox_oldest_seconds", "How long the oldest of them has waited", "inbox", "oldest_seconds"),
    Gauge("tideover_answers_waiting", "Answers of people that a person must read", "answers", "waiting"),
    Gauge("tideover_cases_open", "Disputes, complaints and other cases that are not closed", "cases", "open", ("kind",)),
    Gauge("tideover_cases_late", "Of these, those that are past their next deadline", "cases", "late", ("kind",)),
    Gauge("tideover_cases_unlawful", "Of these, those whose answer is later than the law says", "cases", "unlawful", ("kind",)),
    Gauge("tideover_feed_age_seconds", "How long ago the oldest feed of its kind ends", "feeds", "age_seconds", ("kind",)),
    Gauge("tideover_feed_stale", "Feeds older than they may be: their borrowers are not contacted", "feeds", "stale", ("kind",)),
    Gauge("tideover_pauses", "Pauses in force: of everything, or of a part", "pauses", "pauses", ("what",)),
    Gauge("tideover_audit_finished_timestamp_seconds", "When the audit of the newest dates ended", "audit", "finished"),
    Gauge("tideover_audit_violations", "Violations that it found", "audit", "violations"),
    Gauge("tideover_audit_attempts", "Attempts that it looked at", "audit", "attempts"),
    Gauge("tideover_audit_not_looked_at", "What it could not look at", "audit", "not_looked_at"),
    Gauge("tideover_audit_invariant_held", "1 where an invariant held in it", "invariants", "held", ("invariant",)),
)
READABLE: Final = "tideover_ledger_readable"
MISSING: Final = "tideover_figures_missing"


class LedgerFigures(Collector):
    """The ledger's figures, not older than `FRESH_SECONDS`."""

    def __init__(self) -> None:
        """Read nothing yet."""
        self._lock = threading.Lock()
        self._read_at = -FRESH_SECONDS
        self._figures: Mapping[str, Rows] | None = None

    def describe(self) -> list[Metric]:
        """Nothing, so that registering reads no ledger."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every gauge with its present values; only `READABLE` where the ledger cannot be read."""
        with self._lock:
            if monotonic() - self._read_at >= FRESH_SECONDS:
                self._figures = _read()
                self._read_at = monotonic()
            figures = self._figures
        yield GaugeMetricFamily(READABLE, "1 where the ledger could be read for these figures", value=0 if figures is None else 1)
        if figures is None:
            return
        missing = {gauge.topic for gauge in GAUGES} - set(figures)
        yield GaugeMetricFamily(MISSING, "Topics that took the ledger too long to count", value=len(missing))
        for gauge in GAUGES:
            family = GaugeMetricFamily(gauge.name, gauge.text, labels=gauge.labels)
            for row in figures.get(gauge.topic, ()):
                family.add_metric([str(row[label]) for label in gauge.labels], float(row[gauge.value]))
            yield family


def _read() -> Mapping[str, Rows] | None:
    try:
        with connection() as tx:
            return read_gauges(tx)
    except (SQLAlchemyError, EmbeddedDatabaseError):
        return None


class Refusals(Collector):
    """What was refused, by reason, as whoever refused it counts it."""

    def __init__(self, refused: Mapping[str, int], *, name: str, text: str) -> None:
        """Take the counts; they go on growing."""
        self._refused, self._name, self._text = refused, name, text

    def describe(self) -> list[Metric]:
        """As they are."""
        return list(self.collect())

    def collect(self) -> Iterator[Metric]:
        """One counter."""
        family = CounterMetricFamily(self._name, self._text, labels=["reason"])
        for reason, number in sorted(self._refused.items()):
            family.add_metric([reason], number)
        yield family


# What this process does. Groups of the inbox: milliseconds when all is well, seconds when the database is not.
WEBHOOKS: Final = Counter("tideover_webhooks", "Webhooks that were answered", ["address", "code"], registry=None)
KEPT_SECONDS: Final = Histogram(
    "tideover_inbox_group_seconds",
    "How long it took to keep and apply one group of what was said",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=None,
)
KEPT: Final = Counter("tideover_inbox_kept", "Things that were said to us and kept", registry=None)


def registry(refused: Mapping[str, int], *, sign_ins: Mapping[str, int], held: Mapping[str, int]) -> CollectorRegistry:
    """Everything that /metrics tells.

    Args:
        refused: Webhooks.
        sign_ins: That ended in nothing.
        held: Requests that were held back.
    """
    made = CollectorRegistry()
    for collector in (
        WEBHOOKS,
        KEPT_SECONDS,
        KEPT,
        Refusals(refused, name="tideover_webhooks_refused", text="Webhooks that were not heard"),
        Refusals(sign_ins, name="tideover_sign_ins_refused", text="Sign-ins at a desk that ended in nothing"),
        Refusals(held, name="tideover_held_back", text="Requests of an address that has to wait, by what it did too often"),
        LedgerFigures(),
        PROCESS_COLLECTOR,
        PLATFORM_COLLECTOR,
        GC_COLLECTOR,
    ):
        made.register(collector)
    return made
