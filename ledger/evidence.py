"""Evidence: one Merkle root over each batch of contact events that the gate wrote, roots gathered per run, heads kept outside.

Who changes, adds or removes a contact afterwards changes a root; who changes the roots as well contradicts the head file,
which lies outside the database. Texts are not in it, only salted commitments: erasing a text (or the salt, the attempt's
token) leaves the proof true. There is no chain that lanes would queue for: batches of a run are gathered when a lane ends.

In:   rows of `contact_event`; a run.
Out:  rows of `evidence_batch`, `campaign_run.evidence_root`, one line a closed lane in the head file.
Pure: `leaf`, `commitment` and `merkle_root` are; the rest reads and writes the ledger and appends to one file.
Source: RFC 6962, 2.1: leaves and nodes are hashed under different prefixes, so that neither can pass for the other.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, text

from config.settings import STATE_FOLDER

LEAF_PREFIX: Final = b"\x00"
NODE_PREFIX: Final = b"\x01"
# Made once: `json.dumps` with options builds an encoder for every call.
_as_json: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
# The columns of `contact_event` that are proved, in this order.
CANONICAL: Final = (
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


def commitment(salt: UUID, text_hash: str, permit: Mapping[str, Any]) -> str:
    """A hash that proves which text was sent under which permit, and reveals neither without the salt (the attempt's token)."""
    return sha256(salt.bytes + text_hash.encode() + _as_json(permit).encode()).hexdigest()


def leaf(event: Mapping[str, Any]) -> bytes:
    """Hash of one contact event, given by its columns."""
    return sha256(LEAF_PREFIX + _as_json([_plain(event[column]) for column in CANONICAL]).encode()).digest()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Root over leaves in their order; an odd one out moves up a level unchanged.

    Raises:
        ValueError: No leaves: there is nothing to prove.
    """
    if not leaves:
        raise ValueError("a Merkle root needs at least one leaf")
    level = list(leaves)
    while len(level) > 1:
        paired = [sha256(NODE_PREFIX + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)]
        level = paired + level[len(level) - len(level) % 2 :]
    return level[0]


def open_batch(connection: Connection) -> int:
    """Id of a batch that is about to be written; events name it."""
    return int(connection.execute(_NEXT_BATCH).scalar_one())


def close_batch(
    connection: Connection, *, batch_id: int, business_date: date, campaign_run_id: int, claim_id: UUID, events: Sequence[Mapping[str, Any]]
) -> bytes:
    """Write the root over the events of a batch, ordered by id; returns it."""
    root = merkle_root([leaf(event) for event in sorted(events, key=lambda event: event["id"])])
    connection.execute(
        _BATCH,
        {
            "business_date": business_date,
            "id": batch_id,
            "run": campaign_run_id,
            "root": root,
            "leaves": len(events),
            "claim_id": claim_id,
        },
    )
    return root


def broken_batches(connection: Connection, campaign_run_id: int) -> list[int]:
    """Ids of the batches of a run whose events no longer give their root: somebody changed, added or removed one."""
    broken = []
    for batch in connection.execute(_BATCHES, {"run": campaign_run_id}).all():
        events = connection.execute(_EVENTS_OF_BATCH, {"business_date": batch.business_date, "batch": batch.id}).mappings()
        leaves = [leaf(dict(event)) for event in events]
        if not leaves or merkle_root(leaves) != batch.root:
            broken.append(batch.id)
    return broken


def seal_run(connection: Connection, campaign_run_id: int) -> bytes | None:
    """Gather the roots of a run's batches under the run's own root; None where nothing was written yet."""
    roots = [batch.root for batch in connection.execute(_BATCHES, {"run": campaign_run_id})]
    if not roots:
        return None
    root = merkle_root(roots)
    connection.execute(_SEAL, {"run": campaign_run_id, "root": root})
    return root


def append_head(*, business_date: date, campaign_run_id: int, root: bytes, file: Path | None = None) -> None:
    """Write a run's root down outside the database, and wait until the disk has it."""
    head = file or STATE_FOLDER / "evidence-head"
    line = json.dumps({"business_date": business_date.isoformat(), "campaign_run_id": campaign_run_id, "root": root.hex()})
    head.parent.mkdir(parents=True, exist_ok=True)
    with head.open("a", encoding="utf-8") as open_file:
        open_file.write(line + "\n")
        open_file.flush()
        os.fsync(open_file.fileno())


def _plain(value: Any) -> Any:
    """A value as JSON writes it the same way wherever it was read."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value.isoformat() if isinstance(value, date) else value


_NEXT_BATCH = text("SELECT nextval(pg_get_serial_sequence('evidence_batch', 'id'))")
_BATCH = text("""
    INSERT INTO evidence_batch (business_date, id, campaign_run_id, root, leaves, claim_id)
    VALUES (:business_date, :id, :run, :root, :leaves, :claim_id)
""")
_BATCHES = text("SELECT business_date, id, root FROM evidence_batch WHERE campaign_run_id = :run ORDER BY id")
_EVENTS_OF_BATCH = text("SELECT * FROM contact_event WHERE business_date = :business_date AND evidence_batch_id = :batch ORDER BY id")
_SEAL = text("UPDATE campaign_run SET evidence_root = :root WHERE id = :run")
