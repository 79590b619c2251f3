"""A year of days: what planning costs on the last of them by what it cost on the thirtieth, and which tables grow.

`python -m tests.bench year`: each day people pay or do not, the early stage is planned by the product's own `pick` and `choose`, every
planned message goes through the gate and a lane to a channel that answers as a provider does, in this process; its delivery comes back
through the inbox, some people write, and the run is closed. Only the provider's HTTP and Prefect are left out (`send` and
`prefect_growth` measure those), and what retention ends, whose days are of the wall clock; the months that it makes are made here too.

Loans begin and end every day, as a lender's do: at first they are of every age, and whose loan is paid takes a new one on the same
day, so that the book is as old at the end as at the beginning and what grows is history. `--book ageing` has loans that grow old
together and never end, which is the worst case for what a loan's own payments cost.

The clock of the ledger steps a day at a time, but PostgreSQL's autovacuum lives by real time: it looks every second here, so that it
comes round as often in a day as it does in production.

In:   `--borrowers`, `--days`, `--book`.
Out:  a line for each day; build/bench-year.jsonl, one JSON object a day; an entry `year` in build/bench.json.
Pure: no; measures.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any, Final

from prefect.logging import disable_run_logger
from sqlalchemy import Connection, text

from channels import Message, Permit, Receipt
from config.policies import policies
from config.settings import HOUSE
from gate.lane import run_lane
from ledger import clock, inbox, partitions
from ledger.campaigns import close_run, open_run
from ledger.engine import connection, engine
from ledger.inbox import Said
from portal.webhooks import vocabulary
from tasks.choose import choose
from tasks.pick import pick
from tests.bench import book
from tests.bench.ground import address_of, apart, ground, machine, new_ledger, use
from tests.bench.harness import Sample, measured
from tests.bench.portfolio import Wanted, fill_ledger
from tests.plugins.sending import RecordingChannel

FIRST: Final = date(2026, 1, 5)
# Noon in Taipei.
HOUR: Final = time(4)
LEDGER: Final = "bench_year"
FILE: Final = HOUSE / "build" / "bench-year.jsonl"
# Instalments of a loan, a month apart, and how many of them were paid at most when the year begins.
BOOKS: Final = {"renewing": (6, 5), "ageing": (18, 2)}
# Days on which planning is compared, around the thirtieth and up to the last.
WINDOW_DAYS: Final = 10
EARLY_DAY: Final = 30
TARGET: Final = 1.3
STATUSES_AT_ONCE: Final = 200
PER_SECOND: Final = "10000"
# Of so many messages one is answered; the answers come by turns.
ANSWERED_ONE_IN: Final = 50
SAID: Final = ("明天還", "昨天已經還了", "明天還", "不要再傳簡訊了")


def main(arguments: Sequence[str]) -> int:
    """Play the days."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench year", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--borrowers", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--book", choices=sorted(BOOKS), default="renewing", help="loans that end and begin, or grow old together")
    given = parser.parse_args(arguments)
    FILE.parent.mkdir(exist_ok=True)
    with ground() as environment:
        # Else the day's sending takes what the sender's pace says, whatever it costs.
        os.environ.update(environment | {"TIDEOVER_SMS_PER_SECOND": PER_SECOND})
        days = play(given.borrowers, given.days, given.book)
        sizes = _tables()
    _report(days, sizes, given.borrowers, given.book)
    return 0


def play(borrowers: int, days: int, kind: str) -> list[dict[str, Any]]:
    """Play so many days; returns what each took."""
    apart(partial(prepare, borrowers, kind))
    use(address_of(LEDGER))
    found: list[dict[str, Any]] = []
    with FILE.open("w") as file:
        for number in range(1, days + 1):
            one = {"day": number, **_day(FIRST + timedelta(days=number - 1), kind)}
            if number in looks(days):
                one["tables"] = _tables()
            file.write(json.dumps(one) + "\n")
            file.flush()
            found.append(one)
            _say(
                f"day {number}: planned {one['decisions']:,} in {one['plan_seconds']:.2f} s ({one['plan_cpu_seconds']:.2f} of CPU),"
                f" sent {one['sent']:,} in {one['send_seconds']:.1f} s, ledger {one['database_bytes'] / 2**20:,.0f} MiB"
            )
    return found


def prepare(borrowers: int, kind: str) -> None:
    """A ledger in which nobody is late yet, and instalments fall due every day."""
    new_ledger(LEDGER)
    instalments, paid = BOOKS[kind]
    fill_ledger(
        Wanted(borrowers=borrowers, as_of=FIRST, late_share=0.0, instalments=instalments, paid=paid, countries=("TW",), with_push=False)
    )
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as server:
        server.execute(text("ALTER SYSTEM SET autovacuum_naptime = '1s'"))
        server.execute(text("SELECT pg_reload_conf()"))


def _day(day: date, kind: str) -> dict[str, Any]:
    at = datetime.combine(day, HOUR, UTC)
    with connection() as tx:
        clock.step(tx, at)
        paid = tx.execute(_PAY, {"on": day, "at": at}).rowcount
        renewed = _renew(tx, day, at, BOOKS[kind][0]) if kind == "renewing" else 0
        tx.execute(_FEED, {"until": at + timedelta(hours=12)})
    for table in partitions.PARTITIONED:
        with connection() as tx:
            partitions.make_months(tx, table, day)
    plan: list[Sample] = []
    with measured(plan):
        with connection() as tx:
            run_id = open_run(tx, stage="early", business_date=day, preview=False, borrowers_max=None, policies=policies("early"), at=at)
        began = perf_counter()
        with disable_run_logger():
            shards = pick.fn(run_id)
            picked = perf_counter() - began
            for shard in shards:
                choose.fn(shard, run_id)
    channel = RecordingChannel(answer=_taken)
    began = perf_counter()
    report = run_lane(run_id, shard=None, channels={"sms": lambda: channel})
    sent = perf_counter() - began
    _told_of(channel.sent)
    with connection() as tx:
        close_run(tx, run_id, at=at)
        row = tx.execute(_COUNTS, {"run": run_id}).one()
    return {
        "date": day.isoformat(),
        "payments": paid,
        "loans_renewed": renewed,
        "decisions": int(row.decisions),
        "planned": int(row.planned),
        "sent": report.accepted,
        "plan_seconds": plan[0].seconds,
        "plan_cpu_seconds": plan[0].cpu_seconds,
        "pick_seconds": picked,
        "send_seconds": sent,
        "send_phases": {phase: round(seconds, 4) for phase, seconds in report.seconds.items()},
        "peak_rss_bytes": plan[0].peak_rss_bytes,
        "database_bytes": int(row.bytes),
    }


def _renew(tx: Connection, day: date, at: datetime, instalments: int) -> int:
    """Whose loan was paid today has none any more, and takes another one like it; returns how many."""
    keys = {"on": day, "at": at, "last": instalments}
    renewed = tx.execute(_ENDED, keys).rowcount
    for statement in _RENEW:
        tx.execute(statement, keys)
    return renewed


def _taken(message: Message, _: Permit) -> Receipt:
    return Receipt(provider="twilio", provider_id=f"SM{message.token.replace('-', '')}", status="queued", segments=2)


def _told_of(sent: Sequence[Message]) -> None:
    """What the provider says afterwards, and what some people answer, through the inbox as it comes over HTTP."""
    words = vocabulary()
    statuses = [
        Said(
            provider="twilio",
            provider_id=f"SM{message.token.replace('-', '')}",
            kind="status",
            status="delivered",
            token=None,
            error_code=None,
            fields={"MessageStatus": "delivered"},
        )
        for message in sent
    ]
    for first in range(0, len(statuses), STATUSES_AT_ONCE):
        inbox.receive(statuses[first : first + STATUSES_AT_ONCE], words)
    for number, message in enumerate(sent[::ANSWERED_ONE_IN]):
        body = SAID[number % len(SAID)]
        fields = {"From": message.to, "To": message.sender, "Body": body, "MessageSid": f"SMi{message.token}"}
        inbox.receive(
            [
                Said(
                    provider="twilio",
                    provider_id=f"SMi{message.token}",
                    kind="inbound",
                    status="received",
                    token=None,
                    error_code=None,
                    fields=fields,
                )
            ],
            words,
        )


def _tables() -> dict[str, dict[str, int]]:
    """Table → bytes with its indexes, rows alive and dead, rows that scans have read, and how often it was vacuumed."""
    with connection() as tx:
        tx.execute(text("SELECT pg_stat_force_next_flush()"))
        return {row.relname: {name: int(value) for name, value in row._mapping.items() if name != "relname"} for row in tx.execute(_TABLES)}  # noqa: SLF001  # SQLAlchemy's public name for a row as a mapping


def ratios(days: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Medians of the last days by those around the thirtieth: of the whole plan, and of one decision; by wall and by CPU."""
    early = [one for one in days if EARLY_DAY - WINDOW_DAYS // 2 <= one["day"] < EARLY_DAY + WINDOW_DAYS // 2]
    last = list(days[-WINDOW_DAYS:])

    def of(field: str, *, each: bool) -> float:
        then, now = (
            median(one[field] / (max(one["decisions"], 1) if each else 1) for one in window if one["decisions"]) for window in (early, last)
        )
        return float(now / then)

    return {
        "ratio": of("plan_seconds", each=False),
        "cpu_ratio": of("plan_cpu_seconds", each=False),
        "ratio_of_one": of("plan_seconds", each=True),
        "cpu_ratio_of_one": of("plan_cpu_seconds", each=True),
        "pick_ratio": of("pick_seconds", each=False),
        "send_ratio": median(one["send_seconds"] / max(one["sent"], 1) for one in last)
        / median(one["send_seconds"] / max(one["sent"], 1) for one in early),
    }


def looks(days: int) -> tuple[int, int, int, int]:
    """The days at whose end tables are looked at: before and after those that are compared."""
    return EARLY_DAY - WINDOW_DAYS // 2 - 1, EARLY_DAY + WINDOW_DAYS // 2 - 1, days - WINDOW_DAYS, days


def reads(days: Sequence[dict[str, Any]]) -> dict[str, list[int]]:
    """Table → rows read a day around the thirtieth and on the last days, by scans and by indexes together; most growth first."""
    looked = [days[number - 1]["tables"] for number in looks(len(days))]

    def read(which: int, name: str) -> int:
        return sum(int(looked[which].get(name, {}).get(field, 0)) for field in ("read_by_scans", "read_by_index"))

    found = {name: [(read(1, name) - read(0, name)) // WINDOW_DAYS, (read(3, name) - read(2, name)) // WINDOW_DAYS] for name in looked[3]}
    return dict(sorted(found.items(), key=lambda item: item[1][0] - item[1][1]))


def _report(days: Sequence[dict[str, Any]], sizes: dict[str, dict[str, int]], borrowers: int, kind: str) -> None:
    for name, row in sorted(sizes.items(), key=lambda item: -item[1]["bytes"])[:15]:
        _say(f"{name}: {row['bytes'] / 2**20:.1f} MiB, {row['alive']:,} rows, {row['dead']:,} dead")
    if len(days) < EARLY_DAY + 2 * WINDOW_DAYS:
        _say("too few days to compare")
        return
    found = {name: float(f"{value:.3g}") for name, value in ratios(days).items()}
    grown = {name: of for name, of in reads(days).items() if of[1] > of[0]}
    for name, (then, now) in list(grown.items())[:15]:
        _say(f"{name}: {then:,} rows read a day around day {EARLY_DAY}, {now:,} on the last days")
    last = days[-WINDOW_DAYS:]
    entry = {
        "name": "year" if kind == "renewing" else f"year, {kind} book",
        "size": borrowers,
        "seconds": float(f"{median(one['plan_seconds'] for one in last):.4g}"),
        "cpu_seconds": float(f"{median(one['plan_cpu_seconds'] for one in last):.4g}"),
        "floor_seconds": float(f"{median(one['plan_seconds'] for one in days[EARLY_DAY - 6 : EARLY_DAY + 4]):.4g}"),
        "peak_rss_bytes": max(one["peak_rss_bytes"] for one in days),
        "unit": "borrowers",
        "ratio_means": f"plan on the last {WINDOW_DAYS} days ÷ plan around day {EARLY_DAY}",
        "target": f"≤ {TARGET}",
        "met": found["ratio"] <= TARGET,
        **found,
        "days": len(days),
        "decisions_a_day": int(median(one["decisions"] for one in last)),
        "database_bytes": last[-1]["database_bytes"],
        "rows_read_a_day": dict(list(grown.items())[:10]),
        "largest_tables": dict(sorted(((name, row["bytes"]) for name, row in sizes.items()), key=lambda item: -item[1])[:10]),
    }
    book.add([{**entry, "at": datetime.now(UTC).isoformat(timespec="seconds"), "load": round(os.getloadavg()[0], 1), "machine": machine()}])
    sys.stdout.write(json.dumps(entry) + "\n")


def _say(words: str) -> None:
    sys.stderr.write(words + "\n")
    sys.stderr.flush()


# Of a hundred instalments 85 are paid on the day, the others 1 to 28 days late; always the same ones.
_PAY: Final = text("""
    INSERT INTO payment (loan_id, external_id, state, amount_minor, paid_on, effective_at, source)
    SELECT i.loan_id, 'Y' || i.loan_id || '-' || i.number, 'posted', i.principal_minor + i.interest_minor, :on, :at, 'bench'
    FROM instalment i,
         LATERAL (SELECT abs(hashint8(i.loan_id * 64 + i.number)::bigint) AS hash) h,
         LATERAL (SELECT CASE WHEN h.hash % 100 < 85 THEN 0 ELSE 1 + (h.hash / 100) % 28 END AS late) l
    WHERE i.due_on BETWEEN CAST(:on AS date) - 28 AND CAST(:on AS date) AND i.due_on + l.late::int = CAST(:on AS date)
      AND i.superseded_at IS NULL
    ON CONFLICT DO NOTHING
""")
_ENDED: Final = text("""
    CREATE TEMP TABLE ended ON COMMIT DROP AS
    SELECT i.loan_id AS old_id, nextval(pg_get_serial_sequence('loan', 'id')) AS new_id
    FROM instalment i JOIN payment p ON p.loan_id = i.loan_id AND p.external_id = 'Y' || i.loan_id || '-' || i.number
    WHERE i.number = :last AND i.due_on BETWEEN CAST(:on AS date) - 28 AND CAST(:on AS date) AND i.superseded_at IS NULL AND p.paid_on = :on
""")
_RENEW: Final = [
    text(statement)
    for statement in (
        """INSERT INTO loan (id, creditor_id, external_id) OVERRIDING SYSTEM VALUE
           SELECT e.new_id, l.creditor_id, 'R' || e.new_id FROM ended e JOIN loan l ON l.id = e.old_id""",
        # One more version of each: the old loan is over, and the new one begins on its terms.
        """WITH old AS (
               UPDATE loan_version v SET superseded_at = clock_timestamp() FROM ended e
               WHERE v.loan_id = e.old_id AND v.superseded_at IS NULL RETURNING v.*, e.new_id)
           INSERT INTO loan_version (effective_at, source, loan_id, product, currency, principal_minor, jurisdiction, bucket_scheme,
                                     allocation_order, grace_days, status, servicing_status, disputed_minor, charged_off, time_barred, digest)
           SELECT :at, o.source, n.loan_id, o.product, o.currency, o.principal_minor, o.jurisdiction, o.bucket_scheme,
                  o.allocation_order, o.grace_days, n.status, n.servicing_status, o.disputed_minor, o.charged_off, o.time_barred, o.digest
           FROM old o CROSS JOIN LATERAL (VALUES (o.loan_id, 'closed', 'paid'), (o.new_id, o.status, o.servicing_status))
               AS n(loan_id, status, servicing_status)""",
        """INSERT INTO loan_party (effective_at, source, loan_id, party_id, role)
           SELECT :at, p.source, e.new_id, p.party_id, p.role
           FROM ended e JOIN loan_party p ON p.loan_id = e.old_id AND p.superseded_at IS NULL""",
        """INSERT INTO instalment (effective_at, source, loan_id, number, due_on, principal_minor, interest_minor, fee_minor, penalty_minor)
           SELECT :at, i.source, e.new_id, i.number, CAST(:on AS date) + 30 * i.number, i.principal_minor, i.interest_minor, i.fee_minor,
                  i.penalty_minor
           FROM ended e JOIN instalment i ON i.loan_id = e.old_id AND i.superseded_at IS NULL""",
    )
]
_FEED: Final = text("UPDATE feed SET covers_until = :until WHERE kind = 'payments'")
_COUNTS: Final = text("""
    SELECT coalesce(sum(planned + withheld), 0) AS decisions, coalesce(sum(planned), 0) AS planned, pg_database_size(current_database()) AS bytes
    FROM campaign_shard WHERE campaign_run_id = :run
""")
_TABLES: Final = text("""
    SELECT relname, pg_total_relation_size(relid) AS bytes, n_live_tup AS alive, n_dead_tup AS dead, seq_tup_read AS read_by_scans,
           coalesce(idx_tup_fetch, 0) AS read_by_index, pg_relation_size(relid) AS heap_bytes, n_tup_upd AS updated, n_tup_hot_upd AS updated_hot, autovacuum_count AS vacuumed, autoanalyze_count AS analysed
    FROM pg_stat_user_tables WHERE n_live_tup > 0 OR pg_total_relation_size(relid) > 1000000 ORDER BY relname
""")
