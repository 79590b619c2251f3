"""Ageing over the ledger: reads what ageing needs, keeps what it found for a business date.

In:   loan ids, a local business date.
Out:  one row a loan that is late or nearly due; the rows of `loan_aging` for a date.
Pure: no. The ageing itself is decisions/aging.py.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, partial
from typing import Any, Final

import polars as pl
from adbc_driver_manager.dbapi import Connection as ArrowConnection
from sqlalchemy import Connection, text

from config.aging import aging_hash, aging_policy
from decisions.aging import COMPONENTS, AgingPolicy, age, unpaid_instalments
from decisions.aging_few import Aged as AgedLoan
from decisions.aging_few import Known as KnownLoan
from decisions.aging_few import age_one
from decisions.facts import Schema
from ledger import ageing_again, partitions
from ledger.ageing_again import Base
from ledger.engine import arrow, connection
from ledger.frames import Ids, Known, Source, id_list, ids_clause, read
from ledger.together import Rows

LOANS_A_CHUNK: Final = 100_000
# While the database reads and writes one, another one is aged.
CHUNKS_AT_ONCE: Final = 2

LOANS: Final[Schema] = {"loan_id": pl.Int64, "status": pl.String, "grace_days": pl.Int32, "bucket_scheme": pl.String}
INSTALMENTS: Final[Schema] = {"loan_id": pl.Int64, "due_on": pl.Date, **{f"{part}_minor": pl.Int64 for part in COMPONENTS}}
AMOUNTS: Final[Schema] = {"loan_id": pl.Int64, "due_on": pl.Date, "amount_minor": pl.Int64}
PAYMENTS: Final[Schema] = {"loan_id": pl.Int64, "paid_on": pl.Date, "amount_minor": pl.Int64}
PAUSES: Final[Schema] = {"loan_id": pl.Int64, "from_on": pl.Date, "to_on": pl.Date}
PLANS: Final[Schema] = {"loan_id": pl.Int64, "agreed_on": pl.Date, "due_on": pl.Date, "amount_minor": pl.Int64}
# Columns of `loan_aging` besides its date and party, as ageing names them.
AGED: Final = (
    "loan_id",
    "days_past_due",
    "delinquent_days",
    "past_due_minor",
    "outstanding_minor",
    "oldest_unpaid_due_on",
    "next_due_on",
    "bucket",
    "stage",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunk:
    """How many loans of some are late or nearly due, and how many of them were aged anew."""

    kept: int
    anew: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Aged:
    """How many loans there are, how many of them are late or nearly due, and how many were aged anew rather than carried on."""

    loans: int
    kept: int
    anew: int


def age_loans(
    source: Source, loans: Ids, *, business_date: date, known_at: datetime | None = None, policy: AgingPolicy | None = None
) -> pl.DataFrame:
    """Age loans from what is known of them; keep those that are late or nearly due.

    Money that is only claimed or pending is not counted: it may not arrive. A reversal counts when the payment that it
    takes back was posted; what never came in cannot be taken back.

    Args:
        source: Either kind of connection.
        loans: Loan ids.
        business_date: Local date as of which they age.
        known_at: See `ledger.frames.Known`.
        policy: Schemes of buckets and stages; None = those in force.

    Returns:
        One row a kept loan, columns `AGED`; `stage` is the stage of treatment (`in_plan` while a plan is active), null
        within grace.
    """
    return _kept(_age(source, loans, business_date=business_date, known_at=known_at, policy=policy or _policy()))


def age_few(found: Mapping[str, Rows], *, business_date: date) -> dict[int, AgedLoan]:
    """Age the loans of one person.

    Args:
        found: What `FEW` reads (ledger/together.py).
        business_date: Local date as of which they age.

    Returns:
        Loan id → how it stands, its instalments in the order of `found["instalments"]`.
    """
    by_loan = {name: _by_loan(found[name]) for name in ("instalments", "counted", "pauses", "plans")}
    return {
        row["loan_id"]: age_one(
            _known(row, {name: rows[row["loan_id"]] for name, rows in by_loan.items()}), policy=_policy(), as_of=business_date
        )
        for row in found["aged"]
    }


def _known(row: Mapping[str, Any], of: Mapping[str, Rows]) -> KnownLoan:
    plan = [(date.fromisoformat(one["due_on"]), one["amount_minor"]) for one in of["plans"]]
    return KnownLoan(
        status=row["status"],
        grace_days=row["grace_days"],
        bucket_scheme=row["bucket_scheme"],
        instalments=[(date.fromisoformat(one["due_on"]), sum(one[f"{part}_minor"] for part in COMPONENTS)) for one in of["instalments"]],
        payments=[(date.fromisoformat(one["paid_on"]), one["amount_minor"]) for one in of["counted"]],
        pauses=[(date.fromisoformat(one["from_on"]), date.fromisoformat(one["to_on"])) for one in of["pauses"]],
        plan=(date.fromisoformat(of["plans"][0]["agreed_on"]), plan) if plan else None,
    )


def _by_loan(rows: Rows) -> defaultdict[int, Rows]:
    found: defaultdict[int, Rows] = defaultdict(list)
    for row in rows:
        found[row["loan_id"]].append(row)
    return found


def _kept(aged: pl.DataFrame) -> pl.DataFrame:
    """Those that are late or nearly due."""
    return aged.filter((pl.col("days_past_due") > 0) | pl.col("stage").is_not_null()).with_columns(stage="treatment").select(AGED)


def age_portfolio(
    business_date: date, *, loans_a_chunk: int = LOANS_A_CHUNK, progress: Callable[[int, int], None] = lambda _done, _loans: None
) -> Aged:
    """Age the portfolio as of a date and write `loan_aging`, in chunks: memory does not grow with the portfolio.

    Only loans that the days since, or what was learned since, may have changed are aged anew (ledger/ageing_again.py); the others'
    rows are carried on. Each chunk replaces what an earlier call wrote for its loans in one transaction, so that a call that was cut
    off is simply made again.

    Args:
        business_date: Local date as of which loans age.
        loans_a_chunk: At most so many in one transaction.
        progress: Told after each chunk how many of how many loans are aged.
    """
    with connection() as alone:
        # Two stages may age the same date at once: the second waits here, and then finds what the first has written to begin from.
        alone.execute(_ONE_WRITER, {"days": business_date.toordinal()})
        with connection() as tx:
            begun = ageing_again.begin(tx, business_date, policy_hash=_policy_hash())
            total, chunks = _cut(tx, loans_a_chunk)
        aged = _age_chunks(chunks, begun.base, business_date, lambda done: progress(math.ceil(total * done / len(chunks)), total))
        # A new date is unknown to the planner until its statistics are taken; a third of the sample tells a month's dates apart.
        alone.execute(text("SET LOCAL default_statistics_target = 30"))
        partitions.gather(alone, "loan_aging", of=None if begun.base is None else business_date)
        # By the connection that kept others away: where it was lost meanwhile, nothing is said to be whole.
        ageing_again.end(alone, begun)
    return Aged(loans=total, kept=aged.kept, anew=total if begun.base is None else aged.anew)


def _age_chunks(chunks: Sequence[range], base: Base | None, business_date: date, after: Callable[[int], None]) -> _Chunk:
    """Age all chunks, some at once; `after` is told how many are done."""
    if base is None:
        work = [partial(_age_chunk, chunk, business_date) for chunk in chunks]
    else:
        changed = ageing_again.changed(base, business_date, policy=_policy())
        mine = (changed.filter((changed >= chunk.start) & (changed < chunk.stop)) for chunk in chunks)
        work = [partial(_carry_chunk, chunk, some, base.business_date, business_date) for chunk, some in zip(chunks, mine, strict=True)]
    kept = anew = 0
    with ThreadPoolExecutor(CHUNKS_AT_ONCE, "ageing") as threads:
        try:
            for number, done in enumerate(threads.map(_call, work), start=1):
                kept, anew = kept + done.kept, anew + done.anew
                after(number)
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    return _Chunk(kept=kept, anew=anew)


def _call(work: Callable[[], _Chunk]) -> _Chunk:
    return work()


def loan_chunks(connection: Connection, loans_a_chunk: int = LOANS_A_CHUNK) -> list[range]:
    """All loans' ids, in ranges of at most about so many loans, each of as many as the others."""
    return _cut(connection, loans_a_chunk)[1]


def _cut(connection: Connection, loans_a_chunk: int) -> tuple[int, list[range]]:
    """How many loans there are, and their chunks."""
    rows = connection.execute(_CHUNKS, {"loans_a_chunk": loans_a_chunk}).all()
    return rows[0].loans if rows else 0, [range(row.first, row.last + 1) for row in rows]


def _age_chunk(loans: range, business_date: date) -> _Chunk:
    """Age every loan of a chunk and replace its rows."""
    with arrow() as tx:
        rows = _aged_rows(tx, loans, business_date)
        _run(tx, _DELETE.format(which=ids_clause(loans), on=_day(business_date)))
        _append(tx, rows)
    return _Chunk(kept=rows.height, anew=len(loans))


def _carry_chunk(loans: range, changed: pl.Series, base: date, business_date: date) -> _Chunk:
    """Carry a chunk's rows on from another date, or the same one, the changed loans aged anew."""
    anew = changed.to_list()
    with arrow() as tx:
        rows = _aged_rows(tx, anew, business_date) if anew else None
        if base == business_date:
            if rows is not None:
                _run(tx, _DELETE.format(which=ids_clause(anew), on=_day(business_date)))
                _append(tx, rows)
            counted = read(tx, _COUNT_KEPT.format(which=ids_clause(loans), on=_day(business_date)), {"kept": pl.Int64})["kept"][0]
            return _Chunk(kept=int(counted), anew=len(anew))
        _run(tx, _ANEW)
        if rows is not None:
            _append(tx, rows, to="loan_aging_anew", temporary=True)
        _run(tx, _DELETE.format(which=ids_clause(loans), on=_day(business_date)))
        days = (business_date - base).days
        kept = _run(tx, _CARRY.format(which=ids_clause(loans), base=_day(base), on=_day(business_date), days=days, anew=id_list(anew)))
        return _Chunk(kept=kept, anew=len(anew))


def _aged_rows(source: Source, loans: Ids, business_date: date) -> pl.DataFrame:
    """Rows of `loan_aging` of some loans."""
    aged = age_loans(source, loans, business_date=business_date)
    liable = read(source, _BORROWER_OF_LOAN.format(which=ids_clause(loans), on=_day(business_date)), _BORROWER)
    return aged.join(liable, on="loan_id").with_columns(business_date=pl.lit(business_date, pl.Date))


def _run(source: ArrowConnection, statement: str) -> int:
    """Run a statement that returns no rows; how many it wrote."""
    with source.cursor() as cursor:
        cursor.execute(statement)
        return int(cursor.rowcount)


def _append(source: ArrowConnection, rows: pl.DataFrame, *, to: str = "loan_aging", temporary: bool = False) -> None:
    if not rows.is_empty():
        with source.cursor() as cursor:
            cursor.adbc_ingest(to, rows.to_arrow(), mode="append", temporary=temporary)


def _day(on: date) -> str:
    return f"'{on.isoformat()}'::date"


def _age(source: Source, loans: Ids, *, business_date: date, known_at: datetime | None, policy: AgingPolicy) -> pl.DataFrame:
    return age(*_frames(source, loans, Known(known_at), _READ), policy=policy, as_of=business_date)


def unpaid_instalments_of(source: Source, loans: Ids, *, business_date: date, known_at: datetime | None = None) -> pl.DataFrame:
    """What is owed of loans instalment by instalment, as ageing sees them.

    Args:
        source: Either kind of connection; under the borrowers' lock, where somebody is told.
        loans: Loan ids.
        business_date: Local date as of which they age.
        known_at: See `ledger.frames.Known`.

    Returns:
        `decisions.aging.unpaid_instalments`.
    """
    return unpaid_instalments(*_frames(source, loans, Known(known_at), _READ_UNPAID), policy=_policy(), as_of=business_date)


def _frames(source: Source, loans: Ids, known: Known, statements: Sequence[tuple[str, Schema]]) -> list[pl.DataFrame]:
    which = ids_clause(loans)
    return [read(source, statement.format(which=which, known=known), schema) for statement, schema in statements]


@cache
def _policy_hash() -> str:
    return aging_hash()


@cache
def _policy() -> AgingPolicy:
    """The policy in force when the process began: the gate ages several chunks a second."""
    return aging_policy()


_BORROWER: Final[Schema] = {"loan_id": pl.Int64, "party_id": pl.Int64}

_LOANS = "SELECT v.loan_id, v.status, v.grace_days, v.bucket_scheme FROM loan_version v WHERE v.loan_id {which} AND {known[v]}"
_INSTALMENTS = """
    SELECT i.loan_id, i.due_on, i.penalty_minor, i.fee_minor, i.interest_minor, i.principal_minor
    FROM instalment i WHERE i.loan_id {which} AND {known[i]}
"""
# One sum to send for four amounts, of every instalment of every loan.
_AMOUNTS = """
    SELECT i.loan_id, i.due_on, i.penalty_minor + i.fee_minor + i.interest_minor + i.principal_minor AS amount_minor
    FROM instalment i WHERE i.loan_id {which} AND {known[i]}
"""
_PAYMENTS = """
    SELECT y.loan_id, y.paid_on, y.amount_minor
    FROM payment y
    WHERE y.loan_id {which} AND {known[y]} AND (y.state = 'posted' OR y.state = 'reversed' AND EXISTS (
        SELECT FROM payment o
        WHERE o.loan_id = y.loan_id AND o.external_id = y.reverses_external_id AND o.state = 'posted' AND {known[o]}))
"""
_PAUSES = "SELECT a.loan_id, a.starts_on AS from_on, a.ends_on AS to_on FROM ageing_pause a WHERE a.loan_id {which} AND {known[a]}"
# A plan that fell behind is still a plan: it is assessed again, the old stage does not come back by itself.
_PLANS = """
    SELECT p.loan_id, p.agreed_on, i.due_on, i.amount_minor
    FROM (
        SELECT DISTINCT ON (p.loan_id) p.loan_id, coalesce(v.agreed_on, v.effective_at::date) AS agreed_on, v.instalments
        FROM plan p JOIN plan_version v ON v.plan_id = p.id AND {known[v]}
        WHERE p.loan_id {which} AND v.status IN ('active', 'late')
        ORDER BY p.loan_id, coalesce(v.agreed_on, v.effective_at::date) DESC, p.id DESC
    ) p CROSS JOIN LATERAL jsonb_to_recordset(p.instalments) AS i(due_on date, amount_minor bigint)
"""
# In the order of the arguments of ageing, and of listing what is unpaid by component.
_READ: Final = ((_LOANS, LOANS), (_AMOUNTS, AMOUNTS), (_PAYMENTS, PAYMENTS), (_PAUSES, PAUSES), (_PLANS, PLANS))
_READ_UNPAID: Final = ((_LOANS, LOANS), (_INSTALMENTS, INSTALMENTS), (_PAYMENTS, PAYMENTS), (_PAUSES, PAUSES))
# What `age_few` needs of some loans (:loans); in the same words, but for the numbers of instalments, by which a page shows them.
_OF_FEW: Final = {"which": "= ANY(:loans)", "known": Known(None)}
FEW: Final = {
    "aged": _LOANS.format_map(_OF_FEW),
    "instalments": """
        SELECT loan_id, number, due_on, principal_minor, interest_minor, fee_minor, penalty_minor FROM instalment
        WHERE loan_id = ANY(:loans) AND superseded_at IS NULL ORDER BY loan_id, number
    """,
    "counted": _PAYMENTS.format_map(_OF_FEW),
    "pauses": _PAUSES.format_map(_OF_FEW),
    "plans": _PLANS.format_map(_OF_FEW),
}
_BORROWER_OF_LOAN = """
    SELECT DISTINCT ON (lp.loan_id) lp.loan_id, lp.party_id
    FROM loan_party lp
    WHERE lp.loan_id {which} AND lp.superseded_at IS NULL
      AND (lp.starts_on IS NULL OR lp.starts_on <= {on}) AND (lp.ends_on IS NULL OR lp.ends_on > {on})
    ORDER BY lp.loan_id, lp.role <> 'borrower', lp.role <> 'co_borrower', lp.party_id
"""
# Of one size: two are aged at once, and the last one shall not be waited for.
_CHUNKS = text("""
    WITH RECURSIVE counted AS MATERIALIZED (
        SELECT count(*) AS loans, ceil(count(*) / greatest(1, ceil(count(*)::numeric / :loans_a_chunk)))::bigint AS a_chunk, max(id) AS last
        FROM loan
    ), chunk AS (
        SELECT min(id) AS first FROM loan
        UNION ALL
        SELECT (SELECT id FROM loan WHERE id >= c.first ORDER BY id OFFSET (SELECT a_chunk FROM counted) LIMIT 1)
        FROM chunk c WHERE c.first IS NOT NULL
    )
    SELECT c.first, coalesce(lead(c.first) OVER (ORDER BY c.first) - 1, n.last) AS last, n.loans
    FROM chunk c CROSS JOIN counted n WHERE c.first IS NOT NULL ORDER BY c.first
""")
_ONE_WRITER = text("SELECT pg_advisory_xact_lock(hashtext('loan_aging'), :days)")
_ANEW = "CREATE TEMPORARY TABLE loan_aging_anew (LIKE loan_aging) ON COMMIT DROP"
# Who is late and not aged anew is out of her grace: both counts go on by the same days. All in one order: pages of indexes stay full.
_CARRY = """
    INSERT INTO loan_aging (business_date, loan_id, party_id, days_past_due, delinquent_days, past_due_minor, outstanding_minor,
                            oldest_unpaid_due_on, next_due_on, bucket, stage)
    SELECT {on}, a.loan_id, a.party_id, a.days_past_due + late.days, a.delinquent_days + late.days, a.past_due_minor, a.outstanding_minor,
           a.oldest_unpaid_due_on, a.next_due_on, a.bucket, a.stage
    FROM loan_aging a CROSS JOIN LATERAL (SELECT CASE WHEN a.days_past_due > 0 THEN {days} ELSE 0 END AS days) late
    WHERE a.business_date = {base} AND a.loan_id {which} AND a.loan_id <> ALL({anew})
    UNION ALL
    SELECT business_date, loan_id, party_id, days_past_due, delinquent_days, past_due_minor, outstanding_minor,
           oldest_unpaid_due_on, next_due_on, bucket, stage
    FROM loan_aging_anew
    ORDER BY loan_id
"""
_COUNT_KEPT = "SELECT count(*) AS kept FROM loan_aging WHERE business_date = {on} AND loan_id {which}"
_DELETE = "DELETE FROM loan_aging WHERE business_date = {on} AND loan_id {which}"
