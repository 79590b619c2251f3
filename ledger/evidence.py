"""Evidence: one Merkle root over each batch that was written, roots linked per run.

Three kinds of batch: `decisions` (a shard's, with the sets of reasons that they name), `transitions` (of attempts of one run,
moved by one statement) and `contacts` (what the gate counted before it called). The root is written in the transaction that
writes the rows: there is no row without its proof, and no chain that shards or lanes would queue for. Batches are linked
afterwards, when a lane ends and by the nightly audit, in the order in which they are found.

Who changes, adds or removes a row afterwards changes a root; who changes the roots as well breaks a link; who links anew
contradicts the heads outside the database (ledger/evidence_heads.py). Texts are not in it, only salted commitments: erasing a
text, or the salt, leaves the proof true.

In:   a connection inside the transaction that writes; the rows as they were written.
Out:  rows of `evidence_batch`; `campaign_run.evidence_root`; what no longer matches.
Pure: `decision_lines` is; the rest reads and writes the ledger.
Source: ARCHITECTURE.md, "Decided now", Evidence.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from operator import itemgetter
from typing import Any, Final, Literal
from uuid import UUID

import polars as pl
from sqlalchemy import Connection, text

from decisions.facts import Schema, type_instant
from ledger.frames import read
from ledger.merkle import NO_LINK, canonical, leaf, link, merkle_root
from ledger.merkle import commitment as commitment  # noqa: PLC0414  # the gate asks this file alone
from ledger.merkle import permit_line as permit_line  # noqa: PLC0414  # as above

Kind = Literal["decisions", "transitions", "contacts"]
# The columns that are proved, in this order.
CONTACT_COLUMNS: Final = (
    "business_date",
    "id",
    "party_id",
    "at",
    "channel",
    "direction",
    "loans",
    "contact_point_id",
    "counterparty",
    "purpose",
    "result",
    "attempt_business_date",
    "attempt_id",
    "about_event_id",
    "counts",
    "uncounts",
    "jurisdiction",
    "source",
    "evidence_batch_id",
    "commitment",
    "recorded_at",
)
TRANSITION_COLUMNS: Final = (
    "business_date",
    "id",
    "attempt_id",
    "from_state",
    "to_state",
    "cause",
    "details",
    "at",
    "recorded_at",
    "evidence_batch_id",
)
DECISION_COLUMNS: Final[Schema] = {
    "id": pl.Int64,
    "business_date": pl.Date,
    "campaign_run_id": pl.Int64,
    "shard": pl.Int32,
    "party_id": pl.Int64,
    "stage": pl.String,
    "step": pl.Int32,
    "action": pl.String,
    "channel": pl.String,
    "contact_point_id": pl.Int64,
    "message": pl.String,
    "offer": pl.String,
    "locale": pl.String,
    "score": pl.Int64,
    "probability": pl.Float64,
    "propensities": pl.String,
    "reason_set_id": pl.Int64,
    "decided_at": type_instant,
    "facts_known_at": type_instant,
}
_CONTACT_VALUES: Final = itemgetter(*CONTACT_COLUMNS)
_TRANSITION_VALUES: Final = itemgetter(*TRANSITION_COLUMNS)
# Seventeen digits tell every double apart, and every library writes the same ones.
_FLOAT_DIGITS: Final = 17


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One root and what it is over.

    Attributes:
        business_date: Of the rows.
        id: Of `evidence_batch`.
        campaign_run_id: The run.
        kind: decisions, transitions or contacts.
        shard: For decisions.
        first_id: Lowest id among the rows; None for contacts.
        last_id: Highest.
        root: Over the leaves, in the order of the ids.
        leaves: How many.
        number: In the run's chain, from 1 on; None while it is not linked.
        link: The chain's hash up to it; None as above.
    """

    business_date: date
    id: int
    campaign_run_id: int
    kind: Kind
    shard: int | None
    first_id: int | None
    last_id: int | None
    root: bytes
    leaves: int
    number: int | None
    link: bytes | None

    def linked_to(self, before: bytes, number: int) -> bytes:
        """The link that this batch makes as the `number`-th after `before`."""
        return link(before, self.root, [self.campaign_run_id, number, self.kind, self.id, self.leaves])


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """Something in the evidence of a run that is not as it was written; ids only."""

    campaign_run_id: int
    batch_id: int | None
    what: str


def open_batch(connection: Connection) -> int:
    """Id of a batch that is about to be written; its rows name it."""
    return int(connection.execute(_NEXT_BATCH).scalar_one())


def contact_line(event: Mapping[str, Any]) -> bytes:
    """The line of one contact event that is hashed."""
    return canonical(_CONTACT_VALUES(event)).encode()


def transition_line(moved: Mapping[str, Any]) -> bytes:
    """The line of one transition that is hashed."""
    return canonical(_TRANSITION_VALUES(moved)).encode()


def reason_line(reason_set_id: int, reasons: Sequence[str]) -> bytes:
    """The line of one set of reasons that is hashed beside the decisions which name it."""
    return canonical([reason_set_id, list(reasons)]).encode()


def decision_lines(rows: pl.DataFrame) -> list[bytes]:
    """The lines of decisions that are hashed: comma-separated values of `DECISION_COLUMNS`, one a row, in the rows' order.

    Raises:
        AssertionError: A value holds a line break, which no decision does.
    """
    shown = rows.select(pl.col(name).cast(kind) for name, kind in DECISION_COLUMNS.items())
    if shown["propensities"].null_count() < shown.height:
        shown = shown.with_columns(pl.col("propensities").map_elements(_one_form, return_dtype=pl.String))
    written = shown.write_csv(
        include_header=False, datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ", float_precision=_FLOAT_DIGITS, float_scientific=False
    )
    lines = written.encode().split(b"\n")[:-1]
    assert len(lines) == rows.height, "a decision is one line"  # noqa: S101  # a bug, not a case
    return lines


def close_batch(
    connection: Connection, *, batch_id: int, business_date: date, campaign_run_id: int, claim_id: UUID, events: Sequence[Mapping[str, Any]]
) -> bytes:
    """Write the root over a batch of contact events, ordered by id; returns it."""
    root = merkle_root([leaf(contact_line(event)) for event in sorted(events, key=lambda event: event["id"])])
    row = {"id": batch_id, "business_date": business_date, "run": campaign_run_id, "kind": "contacts", "leaves": len(events)}
    _write(connection, [{**row, "root": root.hex(), "claim_id": claim_id}])
    return root


def close_transitions(connection: Connection, moved: Sequence[Mapping[str, Any]]) -> None:
    """Write the roots over transitions that one statement wrote, one root a run.

    Args:
        connection: Inside the transaction that wrote them.
        moved: Their columns, and `campaign_run_id`.
    """
    batches: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for row in moved:
        batches[row["evidence_batch_id"]].append(row)
    rows = []
    for batch_id, members in batches.items():
        members.sort(key=lambda row: row["id"])
        first, last = members[0], members[-1]
        rows.append(
            {
                "id": batch_id,
                "business_date": first["business_date"],
                "run": first["campaign_run_id"],
                "kind": "transitions",
                "first": first["id"],
                "last": last["id"],
                "leaves": len(members),
                "root": merkle_root([leaf(transition_line(row)) for row in members]).hex(),
            }
        )
    _write(connection, rows)


def close_decisions(connection: Connection, rows: pl.DataFrame, reasons: Mapping[int, Sequence[str]]) -> None:
    """Write the root over a shard's decisions and the sets of reasons that they name.

    Args:
        connection: Inside the transaction that writes the decisions.
        rows: `DECISION_COLUMNS` of one shard, by ascending id.
        reasons: Reason set id → the reasons, of every set that they name.
    """
    if rows.is_empty():
        return
    lines = [*decision_lines(rows), *(reason_line(key, reasons[key]) for key in sorted(reasons))]
    first = rows.row(0, named=True)
    _write(
        connection,
        [
            {
                "id": open_batch(connection),
                "business_date": first["business_date"],
                "run": first["campaign_run_id"],
                "kind": "decisions",
                "shard": first["shard"],
                "first": first["id"],
                "last": rows["id"][-1],
                "leaves": len(lines),
                "root": merkle_root([leaf(line) for line in lines]).hex(),
            }
        ],
    )


def seal_run(connection: Connection, campaign_run_id: int) -> tuple[int, bytes] | None:
    """Link what a run has written since the last time.

    Returns:
        Number of links and the last of them: the run's head; None where nothing was ever written.
    """
    connection.execute(_LOCK_RUN, {"run": campaign_run_id})
    last = connection.execute(_LAST_LINK, {"run": campaign_run_id}).one_or_none()
    number, head = (last.number, last.link) if last else (0, NO_LINK)
    links = []
    for batch in _batches(connection, campaign_run_id, linked=False):
        number += 1
        head = batch.linked_to(head, number)
        links.append({"business_date": batch.business_date.isoformat(), "id": batch.id, "number": number, "link": head.hex()})
    if links:
        connection.execute(_LINK, {"rows": json.dumps(links)})
        connection.execute(_SEAL, {"run": campaign_run_id, "root": head})
    return (number, head) if number else None


def chain(connection: Connection, campaign_run_id: int) -> list[Batch]:
    """The linked batches of a run, in the order of their links."""
    return list(_batches(connection, campaign_run_id, linked=True))


def lines_of(connection: Connection, batch: Batch) -> list[tuple[str, int, bytes]]:
    """The lines under a batch's root as the rows are now: (table, id, line), in the order of the leaves."""
    if batch.kind == "decisions":
        rows = read(
            connection,
            _DECISIONS.format(run=batch.campaign_run_id, shard=batch.shard, on=batch.business_date.isoformat()),
            DECISION_COLUMNS,
        )
        found = [("decision", number, line) for number, line in zip(rows["id"], decision_lines(rows), strict=True)]
        named = sorted(rows["reason_set_id"].unique())
        sets = {row.id: row.reasons for row in connection.execute(_REASONS, {"ids": named})}
        return found + [("reason_set", key, reason_line(key, sets.get(key, ()))) for key in named]
    keys = {"on": batch.business_date, "batch": batch.id, "first": batch.first_id, "last": batch.last_id}
    if batch.kind == "transitions":
        return [("attempt_transition", row["id"], transition_line(dict(row))) for row in connection.execute(_TRANSITIONS, keys).mappings()]
    return [("contact_event", row["id"], contact_line(dict(row))) for row in connection.execute(_CONTACTS, keys).mappings()]


def mismatches(connection: Connection, campaign_run_id: int) -> list[Mismatch]:
    """What is not as it was written in a run: rows that changed, roots and links that do not follow, rows without a batch."""
    found = []
    head, number = NO_LINK, 0
    for batch in [*_batches(connection, campaign_run_id, linked=True), *_batches(connection, campaign_run_id, linked=False)]:
        if (what := _broken(connection, batch)) is not None:
            found.append(Mismatch(campaign_run_id=campaign_run_id, batch_id=batch.id, what=what))
        if batch.number is None:
            continue
        number += 1
        if batch.number != number or batch.link != batch.linked_to(head, number):
            what = f"link {batch.number} does not follow from link {number - 1}"
            found.append(Mismatch(campaign_run_id=campaign_run_id, batch_id=batch.id, what=what))
        head, number = batch.link or NO_LINK, batch.number
    root = connection.execute(_SEALED, {"run": campaign_run_id}).scalar_one_or_none()
    if root != (head if number else None):
        found.append(Mismatch(campaign_run_id=campaign_run_id, batch_id=None, what="the run's root is not its last link"))
    for table, count in connection.execute(_WITHOUT_BATCH, {"run": campaign_run_id}):
        found.append(Mismatch(campaign_run_id=campaign_run_id, batch_id=None, what=f"{count} rows of {table} are under no root"))
    return found


def state_of_batch(connection: Connection, business_date: date, batch_id: int) -> str:
    """Whether one batch is as it was written: `proved`, `proved, not linked yet`, or what is wrong with it. Writes nothing."""
    row = connection.execute(_ONE, {"on": business_date, "id": batch_id}).mappings().one_or_none()
    if row is None:
        return "its batch is gone"
    batch = Batch(**row)
    if (wrong := _broken(connection, batch)) is not None:
        return wrong
    if batch.number is None:
        return "proved, not linked yet"
    before = connection.execute(_LINK_OF, {"run": batch.campaign_run_id, "number": batch.number - 1}).scalar()
    if batch.link != batch.linked_to(before or NO_LINK, batch.number):
        return f"link {batch.number} does not follow from link {batch.number - 1}"
    return "proved"


def _broken(connection: Connection, batch: Batch) -> str | None:
    """What is wrong with a batch's rows, or None."""
    lines = lines_of(connection, batch)
    if len(lines) != batch.leaves:
        return f"{batch.leaves} rows of {batch.kind} were written, {len(lines)} are there"
    if merkle_root([leaf(line) for _, _, line in lines]) != batch.root:
        return f"a row of {batch.kind} is not as it was written"
    return None


def _batches(connection: Connection, campaign_run_id: int, *, linked: bool) -> Iterator[Batch]:
    rows = connection.execute(_LINKED if linked else _UNLINKED, {"run": campaign_run_id}).mappings().all()
    return (Batch(**row) for row in rows)


def _write(connection: Connection, batches: Sequence[Mapping[str, Any]]) -> None:
    if batches:
        connection.execute(_BATCH, {"rows": json.dumps(list(batches), default=str)})


def _one_form(propensities: str) -> str:
    """The database keeps an object, not the text of one."""
    return json.dumps(json.loads(propensities), sort_keys=True)


_NEXT_BATCH = text("SELECT nextval(pg_get_serial_sequence('evidence_batch', 'id'))")
_BATCH = text("""
    INSERT INTO evidence_batch (business_date, id, campaign_run_id, kind, shard, first_id, last_id, root, leaves, claim_id)
    SELECT business_date, id, run, kind, shard, first, last, decode(root, 'hex'), leaves, claim_id
    FROM jsonb_to_recordset(CAST(:rows AS jsonb))
        AS r(business_date date, id bigint, run bigint, kind text, shard integer, first bigint, last bigint, root text, leaves integer,
             claim_id uuid)
""")
_COLUMNS = "business_date, id, campaign_run_id, kind, shard, first_id, last_id, root, leaves, number, link"
_ONE = text(f"SELECT {_COLUMNS} FROM evidence_batch WHERE business_date = :on AND id = :id")  # noqa: S608  # the columns above
_LINK_OF = text("SELECT link FROM evidence_batch WHERE campaign_run_id = :run AND number = :number")
_LINKED = text(f"SELECT {_COLUMNS} FROM evidence_batch WHERE campaign_run_id = :run AND number IS NOT NULL ORDER BY number")  # noqa: S608  # the columns above
_UNLINKED = text(f"SELECT {_COLUMNS} FROM evidence_batch WHERE campaign_run_id = :run AND number IS NULL ORDER BY id")  # noqa: S608  # as above
# Whoever writes a row that names the run is not kept waiting; only another who links.
_LOCK_RUN = text("SELECT id FROM campaign_run WHERE id = :run FOR NO KEY UPDATE")
_LAST_LINK = text(
    "SELECT number, link FROM evidence_batch WHERE campaign_run_id = :run AND number IS NOT NULL ORDER BY number DESC LIMIT 1"
)
_LINK = text("""
    UPDATE evidence_batch b SET number = r.number, link = decode(r.link, 'hex')
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(business_date date, id bigint, number integer, link text)
    WHERE b.business_date = r.business_date AND b.id = r.id
""")
_SEAL = text("UPDATE campaign_run SET evidence_root = :root WHERE id = :run")
_SEALED = text("SELECT evidence_root FROM campaign_run WHERE id = :run")
_SHOWN = ", ".join("propensities::text AS propensities" if name == "propensities" else name for name in DECISION_COLUMNS)
_DECISIONS = f"""
    SELECT {_SHOWN} FROM decision WHERE business_date = '{{on}}' AND campaign_run_id = {{run:d}} AND shard = {{shard:d}} ORDER BY id
"""  # noqa: S608  # the columns above, a date, and numbers
_REASONS = text("SELECT id, reasons FROM reason_set WHERE id = ANY(:ids) ORDER BY id")
_TRANSITIONS = text("""
    SELECT * FROM attempt_transition
    WHERE business_date = :on AND id BETWEEN :first AND :last AND evidence_batch_id = :batch ORDER BY id
""")
_CONTACTS = text("SELECT * FROM contact_event WHERE business_date = :on AND evidence_batch_id = :batch ORDER BY id")
# What was slipped in, or detached from its batch, afterwards. Rows from before there was evidence of their kind have lower ids.
_WITHOUT_BATCH = text("""
    SELECT 'decision' AS table_name, count(*) AS rows FROM decision d
    WHERE d.campaign_run_id = :run AND d.business_date = (SELECT business_date FROM campaign_run WHERE id = :run)
      AND d.id >= (SELECT min(first_id) FROM evidence_batch WHERE kind = 'decisions') AND NOT EXISTS (
        SELECT 1 FROM evidence_batch b WHERE b.campaign_run_id = d.campaign_run_id AND b.kind = 'decisions' AND b.shard = d.shard)
    HAVING count(*) > 0
    UNION ALL
    SELECT 'attempt_transition', count(*) FROM attempt a
    JOIN attempt_transition t ON t.business_date = a.business_date AND t.attempt_id = a.id
    WHERE a.campaign_run_id = :run AND t.id >= (SELECT min(first_id) FROM evidence_batch WHERE kind = 'transitions') AND NOT EXISTS (
        SELECT 1 FROM evidence_batch b
        WHERE b.business_date = t.business_date AND b.id = t.evidence_batch_id AND t.id BETWEEN b.first_id AND b.last_id)
    HAVING count(*) > 0
    UNION ALL
    SELECT 'contact_event', count(*) FROM attempt a
    JOIN contact_event c ON c.attempt_business_date = a.business_date AND c.attempt_id = a.id
    WHERE a.campaign_run_id = :run AND c.source = 'gate' AND NOT EXISTS (
        SELECT 1 FROM evidence_batch b WHERE b.business_date = c.business_date AND b.id = c.evidence_batch_id)
    HAVING count(*) > 0
""")
