"""The log of decisions: what was decided for whom and why, and the attempts that follow from it.

A shard is written once, in one transaction: decisions, planned attempts, and the shard's counts. Whoever comes second
(a retry, another worker) waits for the shard's row, finds it decided, and gets the first one's count.

In:   a connection inside a transaction; a frame of decisions (decisions/choose.DECISIONS).
Out:  rows of `reason_set`, `decision`, `attempt`, `campaign_shard`; for `tideover explain` what was written, read back.
Pure: no. The tokens of attempts are drawn from the operating system: they must not be guessable, and decide nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, text

from ledger import evidence, vault
from ledger.campaigns import Run, finish_shard, read_run
from ledger.frames import copy_in, read

TOKEN_BYTES: Final = 16
FIRST_TRY: Final = 1
# The use of the mark that an erased person leaves (ledger/erasures.py).
ERASED: Final = "erased party"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A decision as it stands in the log.

    Attributes:
        campaign_run_id: Of the run it was made in.
        decided_at: Business instant of planning.
        facts_known_at: Wall clock: facts recorded until then were seen.
        row: Its columns, named as in decisions/choose.DECISIONS (`send_after` and `expires_at` from the attempt).
    """

    campaign_run_id: int
    decided_at: datetime
    facts_known_at: datetime
    row: dict[str, Any]


class UnknownBorrowerError(LookupError):
    """The ledger has no such borrower, or several; the message gives ids of ours, never a value of theirs."""


def decided(connection: Connection, campaign_run_id: int, shard: int) -> int | None:
    """Planned attempts of a shard that is decided; None where it is not. Waits for whoever is deciding it.

    Raises:
        LookupError: The run has no such shard.
    """
    row = connection.execute(_LOCK_SHARD, {"run": campaign_run_id, "shard": shard}).one_or_none()
    if row is None:
        raise LookupError(f"campaign run {campaign_run_id} has no shard {shard}")
    return None if row.decided_at is None else int(row.planned)


def write_decisions(
    connection: Connection, campaign_run_id: int, shard: int, frame: pl.DataFrame, *, at: datetime, facts_known_at: datetime
) -> int:
    """Write a shard's decisions and planned attempts, and close the shard.

    A borrower for whom this stage and date are decided already, in a run of another scope, keeps that decision.

    Args:
        connection: Inside the transaction; nothing of it stands until the caller commits.
        campaign_run_id: The run.
        shard: One of its shards.
        frame: decisions/choose.DECISIONS, one row a borrower.
        at: Business instant of the decision.
        facts_known_at: The database's wall clock before the facts were read.

    Returns:
        Planned attempts of the shard, whether written now or before.

    Raises:
        LookupError: The run has no such shard.
    """
    before = decided(connection, campaign_run_id, shard)
    if before is not None:
        return before
    run = read_run(connection, campaign_run_id)
    others = _decided_elsewhere(connection, run, frame["party_id"].to_list())
    mine = frame.filter(~pl.col("party_id").is_in(others)).sort("party_id")
    rows = mine.with_columns(
        id=_reserve_ids(connection, mine.height),
        business_date=pl.lit(run.business_date),
        campaign_run_id=pl.lit(run.id),
        shard=pl.lit(shard),
        stage=pl.lit(run.stage),
        decided_at=pl.lit(at),
        facts_known_at=pl.lit(facts_known_at),
    ).join(_intern(connection, mine["reasons"]), on="reasons", how="left", maintain_order="left")
    copy_in(connection, "decision", rows.select(DECISION_COLUMNS))
    evidence.close_decisions(connection, rows, dict(rows.select("reason_set_id", "reasons").unique("reason_set_id").iter_rows()))
    planned = rows.filter(pl.col("action") == "contact")
    tokens = os.urandom(TOKEN_BYTES * planned.height).hex()
    width = 2 * TOKEN_BYTES
    attempts = planned.with_columns(
        decision_id="id",
        try_number=pl.lit(FIRST_TRY),
        state=pl.lit("planned"),
        token=pl.Series([tokens[start : start + width] for start in range(0, len(tokens), width)], dtype=pl.String),
    )
    copy_in(connection, "attempt", attempts.select(ATTEMPT_COLUMNS))
    finish_shard(connection, run.id, shard, planned=planned.height, withheld=rows.height - planned.height, at=at)
    return planned.height


def find_party(connection: Connection, named: str) -> int:
    """Id of the borrower whom the lender calls `named`, or whom we call `#123`.

    Raises:
        UnknownBorrowerError: There is none, several lenders use that id, or she was erased.
    """
    number = named.removeprefix("#")
    if named.startswith("#") and number.isascii() and number.isdigit():
        found = connection.execute(_PARTY_BY_ID, {"id": number}).scalars().all()
    else:
        found = connection.execute(_PARTY_BY_EXTERNAL_ID, {"external_id": named}).scalars().all()
    erased_at = connection.execute(_ERASED, {"marks": _marks(connection, named), "parties": found}).scalar()
    if erased_at is not None:
        raise UnknownBorrowerError(f"erased on {erased_at.date()}: nothing is known of her any more; what was done stays proved")
    if not found:
        raise UnknownBorrowerError("no borrower with that id; give the lender's id, or ours as #123")
    if len(found) > 1:
        raise UnknownBorrowerError(f"several lenders use that id: say which, as one of {', '.join(f'#{party}' for party in found)}")
    return int(found[0])


def _marks(connection: Connection, named: str) -> list[bytes]:
    """By what somebody of that id would be known, had she been erased; of every lender."""
    return [vault.keyed(ERASED, f"{creditor}\0{named}") for creditor in connection.execute(_CREDITORS).scalars()]


def read_decision(connection: Connection, party_id: int, *, stage: str, business_date: date) -> Decided | None:
    """What was decided for a borrower in a stage on a date, or None."""
    row = connection.execute(_READ_DECISION, {"party": party_id, "stage": stage, "on": business_date}).mappings().one_or_none()
    if row is None:
        return None
    columns = dict(row)
    about = {name: columns.pop(name) for name in ("campaign_run_id", "decided_at", "facts_known_at")}
    return Decided(**about, row=columns)


def read_attempts(connection: Connection, party_id: int, *, business_date: date) -> list[dict[str, Any]]:
    """A borrower's attempts of a date with every move they made, oldest first: ids, states, instants, no text."""
    rows = connection.execute(_READ_ATTEMPTS, {"party": party_id, "on": business_date}).mappings()
    return [dict(row) for row in rows]


def _decided_elsewhere(connection: Connection, run: Run, parties: Sequence[int]) -> list[int]:
    """Borrowers of a shard whom a run of another scope has decided for."""
    if not parties:
        return []
    where = {"on": run.business_date, "stage": run.stage, "first": min(parties), "last": max(parties)}
    return list(connection.execute(_DECIDED_PARTIES, where).scalars())


def _reserve_ids(connection: Connection, count: int) -> pl.Series:
    """Ids for decisions, so that their attempts can name them before either is written."""
    return read(connection, _NEXT_IDS.format(count=count), {"id": pl.Int64})["id"]


def _intern(connection: Connection, reasons: pl.Series) -> pl.DataFrame:
    """Ids of reason sets, kept once each; in one order, so that two shards never wait for each other in a circle."""
    sets = sorted(reasons.unique().to_list())
    if sets:
        connection.execute(_KEEP_REASONS, [{"reasons": one} for one in sets])
    kept = connection.execute(_REASON_SETS).all()
    return pl.DataFrame(
        [(list(row.reasons), row.id) for row in kept], schema={"reasons": pl.List(pl.String), "reason_set_id": pl.Int64}, orient="row"
    )


DECISION_COLUMNS: Final = (
    "id",
    "business_date",
    "campaign_run_id",
    "shard",
    "party_id",
    "stage",
    "step",
    "action",
    "channel",
    "contact_point_id",
    "message",
    "offer",
    "locale",
    "score",
    "probability",
    "propensities",
    "hour_slot",
    "reason_set_id",
    "decided_at",
    "facts_known_at",
)
ATTEMPT_COLUMNS: Final = (
    "business_date",
    "decision_id",
    "campaign_run_id",
    "party_id",
    "contact_point_id",
    "stage",
    "step",
    "try_number",
    "channel",
    "purpose",
    "message",
    "offer",
    "locale",
    "state",
    "token",
    "send_after",
    "expires_at",
)

_LOCK_SHARD = text("SELECT decided_at, planned FROM campaign_shard WHERE campaign_run_id = :run AND shard = :shard FOR UPDATE")
_DECIDED_PARTIES = text("""
    SELECT party_id FROM decision
    WHERE business_date = :on AND stage = :stage AND party_id BETWEEN :first AND :last ORDER BY party_id
""")
# The sequence is looked up once, not once a row.
_NEXT_IDS = """
    WITH ids AS MATERIALIZED (SELECT pg_get_serial_sequence('decision', 'id')::regclass AS sequence)
    SELECT nextval(ids.sequence) AS id FROM ids, generate_series(1, {count:d})
"""
_KEEP_REASONS = text("INSERT INTO reason_set (reasons) VALUES (:reasons) ON CONFLICT (reasons) DO NOTHING")
_REASON_SETS = text("SELECT id, reasons FROM reason_set")
# Compared as a number of any length: what is no bigint is nobody.
_PARTY_BY_ID = text("SELECT id FROM party WHERE id = CAST(:id AS numeric)")
_PARTY_BY_EXTERNAL_ID = text("SELECT id FROM party WHERE external_id = :external_id ORDER BY id")
_READ_DECISION = text("""
    SELECT d.campaign_run_id, d.decided_at, d.facts_known_at,
           d.party_id, d.action, d.channel, d.contact_point_id, a.purpose, d.message, d.offer, d.locale, d.step, d.score, d.probability,
           d.propensities::text AS propensities, d.hour_slot, r.reasons, a.send_after, a.expires_at
    FROM decision d
    JOIN reason_set r ON r.id = d.reason_set_id
    LEFT JOIN LATERAL (
        SELECT purpose, send_after, expires_at FROM attempt
        WHERE business_date = d.business_date AND decision_id = d.id ORDER BY try_number LIMIT 1) a ON true
    WHERE d.party_id = :party AND d.stage = :stage AND d.business_date = :on
""")
_READ_ATTEMPTS = text("""
    SELECT a.id, a.stage, a.step, a.try_number, a.channel, a.contact_point_id, a.message, a.state, a.send_after, a.expires_at,
           a.submitted_at, a.error_code, a.permit,
           coalesce((SELECT jsonb_agg(
                                jsonb_build_object('at', t.at, 'from', t.from_state, 'to', t.to_state, 'cause', t.cause) ORDER BY t.id)
                     FROM attempt_transition t
                     WHERE t.business_date = a.business_date AND t.attempt_id = a.id), '[]'::jsonb) AS moves
    FROM attempt a WHERE a.party_id = :party AND a.business_date = :on ORDER BY a.id
""")
_CREDITORS = text("SELECT id FROM creditor")
_ERASED = text("SELECT erased_at FROM erasure WHERE state = 'erased' AND (mark = ANY(:marks) OR party_id = ANY(:parties)) LIMIT 1")
