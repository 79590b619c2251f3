"""Peers: the same borrowers planned as one would otherwise build it, in the same run.

Three of them: a Prefect task for each borrower, a loop over SQLModel rows, one SQL statement. All three decide by the ladder, the
window, caps, consents, holds and opt-outs; the product decides by everything it knows. Their tables hold the same facts, copied
beforehand, without versions; that copy is not measured.

In:   a number of borrowers, all late; one in five was written to yesterday, some said stop, have a dispute, or took back their consent.
Out:  a result for each peer: its `floor_seconds` are the peer's, its `ratio` is how many times as long as the product the peer takes
      (below 1 the peer is faster); `agree_share` of borrowers for whom both decide the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, text

from ledger.engine import connection
from tests.bench.ground import address_of, apart, use
from tests.bench.harness import Result, by_turns
from tests.bench.peers import orm_loop, plain_sql, prefect_tasks
from tests.bench.peers.tables import fill
from tests.bench.plan import AT, LEDGER, TODAY, forget, plan, portfolio
from tests.bench.prefect import server

BORROWERS: Final = 20_000
ROUNDS: Final = 3
SECONDS_MAX: Final = 150.0
# What a Prefect task for each borrower is measured on; the rest is multiplied, and said so. A run of some thousand loses task runs
# (PREFECT.md, C2).
MAPPED_MAX: Final = 1_000


def run(*, scale: int) -> Iterator[Result]:
    """Measure.

    Args:
        scale: Divides the number of borrowers.
    """
    borrowers = BORROWERS // scale
    apart(partial(_prepare, borrowers))
    use(address_of(LEDGER))
    for name, work in {"peers-sql": plain_sql.plan, "peers-orm": orm_loop.plan}.items():
        sides = by_turns(
            plan,
            partial(work, TODAY, AT),
            rounds=ROUNDS,
            seconds_max=SECONDS_MAX,
            before_product=forget,
            before_floor=_forget,
        )
        yield _result(name, borrowers, sides.report(), {**sides.spread(), **agreement()})
    yield from _mapped(borrowers)


def _mapped(borrowers: int) -> Iterator[Result]:
    some = min(borrowers, MAPPED_MAX)
    with connection() as tx:
        ids = list(tx.execute(text("SELECT id FROM peer_borrower ORDER BY id LIMIT :some"), {"some": some}).scalars())
    with server():
        peer = partial(prefect_tasks.plan, ids, TODAY, AT)
        sides = by_turns(plan, peer, rounds=1, seconds_max=SECONDS_MAX, before_product=forget, before_floor=_forget, warm_up=False)
    report = sides.report()
    times = borrowers / some
    more = {
        **sides.spread(),
        **agreement(),
        "measured_borrowers": some,
        "measured_floor_seconds": report["floor_seconds"],
        "extrapolated": some < borrowers,
    }
    yield _result("peers-prefect-task", borrowers, report | {"floor_seconds": report["floor_seconds"] * times}, more)


def _result(name: str, borrowers: int, report: dict[str, Any], more: dict[str, Any]) -> Result:
    return Result(
        name=name,
        size=borrowers,
        **report,
        ratio=report["floor_seconds"] / report["seconds"],
        unit="borrowers",
        ratio_means="the peer's seconds ÷ ours",
        target="none",
        met=True,
        more=more,
    )


def _prepare(borrowers: int) -> None:
    portfolio(borrowers)
    with connection() as tx:
        set_apart(tx)
        fill(tx)


def set_apart(tx: Connection) -> None:
    """Some people who are left in peace, each for another reason."""
    for statement in _MORE:
        tx.execute(text(statement), {"at": AT})


def _forget() -> None:
    with connection() as tx:
        tx.execute(text("TRUNCATE peer_decision"))


def agreement() -> dict[str, Any]:
    """How far the last decisions of both sides agree, and where they do not; the product's stand since its last turn, or are made now."""
    with connection() as tx:
        ours = tx.execute(text("SELECT count(*) FROM decision")).scalar_one()
    if not ours:
        plan()
    with connection() as tx:
        row = tx.execute(_AGREE).one()
        differ = {f"{one.ours} / {one.theirs}": int(one.people) for one in tx.execute(_DIFFER)}
    return {"compared": int(row.compared), "agree_share": float(row.agree), "same_hour_share": float(row.same_hour), "differ": differ}


_MORE: Final = (
    """INSERT INTO opt_out (party_id, channel, at, effective_at, source)
       SELECT id, CASE id % 2 WHEN 0 THEN 'all' ELSE 'sms' END, CAST(:at AS timestamptz) - interval '9 days',
              CAST(:at AS timestamptz) - interval '9 days', 'bench' FROM party WHERE id % 31 < 1""",
    """INSERT INTO hold (party_id, all_liable, kind, starts_at, effective_at, source)
       SELECT id, false, 'dispute', CAST(:at AS timestamptz) - interval '5 days', CAST(:at AS timestamptz) - interval '5 days', 'bench'
       FROM party WHERE id % 37 < 1""",
    "UPDATE consent SET withdrawn_at = CAST(:at AS timestamptz) - interval '3 days' WHERE party_id % 41 < 2",
    """INSERT INTO contact_event (business_date, party_id, at, channel, direction, loans, counterparty, purpose, result, counts, source)
       SELECT CAST(CAST(:at AS timestamptz) - days * interval '1 day' AS date), id, CAST(:at AS timestamptz) - days * interval '1 day', 'sms',
              'outbound', '{}', 'borrower', 'collection', 'delivered', true, 'bench'
       FROM party, generate_series(1, 6, 5) days WHERE (id % 5 = 0 AND days = 1) OR (id % 5 = 1 AND days = 6)""",
    "ANALYZE",
)
_SIDES: Final = """
    FROM (SELECT d.party_id, d.action, d.channel, a.send_after, r.reasons
          FROM decision d LEFT JOIN attempt a ON a.decision_id = d.id LEFT JOIN reason_set r ON r.id = d.reason_set_id) o
    JOIN peer_decision t ON t.borrower_id = o.party_id
"""
_AGREE: Final = text(f"""
    SELECT count(*) AS compared, coalesce(avg((o.channel IS NOT DISTINCT FROM t.channel)::int), 0) AS agree,
           coalesce(avg((o.send_after IS NOT DISTINCT FROM t.send_after)::int) FILTER (WHERE o.channel = t.channel), 0) AS same_hour
    {_SIDES}
""")  # noqa: S608  # no text from outside
_DIFFER: Final = text(f"""
    SELECT coalesce(o.channel, 'nobody: ' || array_to_string(o.reasons, ', ')) AS ours, coalesce(t.channel, 'nobody: ' || t.reason) AS theirs,
           count(*) AS people
    {_SIDES} WHERE o.channel IS DISTINCT FROM t.channel GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 8
""")  # noqa: S608  # as above
