"""The dossier of one attempt: every row that speaks of it, and the proof that they are as they were written.

In:   a connection; an attempt's id.
Out:  plain rows, policies, the lines and paths of the evidence, the links of its run.
Pure: no; reads, and links what its run has not linked yet. The token, with which one opens the borrower's page, and the sealed
      number are left to whoever asks for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from sqlalchemy import Connection, text

from decisions.planned import Planned
from ledger.evidence import Batch, chain, lines_of, seal_run
from ledger.evidence_heads import head_of, keep_head, read_heads
from ledger.merkle import NO_LINK, leaf, merkle_path
from ledger.senders import sender_of


class UnknownAttemptError(LookupError):
    """The ledger has no such attempt."""


# What of an attempt may be told without the address and the token.
ATTEMPT_COLUMNS: Final = (
    "business_date",
    "id",
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
    "send_after",
    "expires_at",
    "submitted_at",
    "called_at",
    "provider",
    "provider_id",
    "error_code",
    "permit",
    "text_hash",
    "segments",
    "recorded_at",
)


def read_attempt(connection: Connection, attempt_id: int) -> dict[str, Any]:
    """`ATTEMPT_COLUMNS` of one attempt, and its `token`.

    Raises:
        UnknownAttemptError: There is none with this id.
    """
    row = connection.execute(_ATTEMPT, {"id": attempt_id}).mappings().one_or_none()
    if row is None:
        raise UnknownAttemptError(f"the ledger has no attempt {attempt_id}")
    return dict(row)


def read_decision_of(connection: Connection, attempt: Mapping[str, Any]) -> dict[str, Any]:
    """The decision that an attempt follows from, with its reasons."""
    keys = {"on": attempt["business_date"], "id": attempt["decision_id"]}
    return dict(connection.execute(_DECISION, keys).mappings().one())


def read_transitions(connection: Connection, attempt: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every move of an attempt, in order."""
    return _of_attempt(connection, _TRANSITIONS, attempt)


def read_contacts(connection: Connection, attempt: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the contact log says of an attempt, in order."""
    return _of_attempt(connection, _CONTACTS, attempt)


def read_answers(connection: Connection, attempt: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What providers told of an attempt, as the inbox keeps it, without what it was said in."""
    rows = connection.execute(_ANSWERS, {"token": attempt["token"], "provider_id": attempt["provider_id"]})
    return [dict(row) for row in rows.mappings()]


def read_policies(connection: Connection, hashes: Sequence[str]) -> list[dict[str, Any]]:
    """Kind, name, hash and body of policies that the ledger keeps."""
    return [dict(row) for row in connection.execute(_POLICIES, {"hashes": sorted(set(hashes))}).mappings()]


def read_approvals(connection: Connection, attempt: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Who asked for, and who said yes or no to, what the attempt went out on or was held back by; in order."""
    subject = (attempt["permit"] or {}).get("approval")
    return [dict(row) for row in connection.execute(_APPROVALS, {"subject": subject}).mappings()]


def read_as_planned(connection: Connection, attempt_id: int) -> Planned:
    """An attempt as the gate had it before it, to write its words again; the address is left out."""
    row = connection.execute(_AS_PLANNED, {"id": attempt_id}).mappings().one()
    return Planned(**row, value_encrypted=None, key_id=None)


def proofs(connection: Connection, attempt: Mapping[str, Any]) -> dict[str, Any]:
    """Lines, paths and links that prove the rows of an attempt.

    The run is linked up to now first, so that everything that is written has its link.

    Returns:
        `lines`: of each proved row its table, id, line and path, and the batch it is under; `link_before` and `links`: the
        chain of the run from the first of these batches to its head; `heads`: what was kept outside for the run.
    """
    run, on = attempt["campaign_run_id"], attempt["business_date"]
    sealed = seal_run(connection, run)
    if sealed is not None:
        keep_head(head_of(on, run, *sealed))
    linked = chain(connection, run)
    wanted = _wanted(connection, attempt)
    told = [_proof(connection, batch, wanted) for batch in linked if batch.id in wanted["batches"]]
    lines = [line for batch in told for line in batch]
    first = min((line["number"] for line in lines), default=len(linked) + 1)
    before = linked[first - 2].link if first > 1 else NO_LINK
    return {
        "lines": lines,
        "link_before": (before or NO_LINK).hex(),
        "links": [_link(batch) for batch in linked[first - 1 :]],
        "heads": _heads(on, run),
    }


def _wanted(connection: Connection, attempt: Mapping[str, Any]) -> dict[str, Any]:
    """Which rows are proved, and in which batches they are."""
    decision = read_decision_of(connection, attempt)
    rows = {("decision", decision["id"]), ("reason_set", decision["reason_set_id"])}
    shard = {"run": decision["campaign_run_id"], "shard": decision["shard"]}
    batches = set(connection.execute(_BATCH_OF_SHARD, shard).scalars())
    for table, members in (
        ("attempt_transition", read_transitions(connection, attempt)),
        ("contact_event", read_contacts(connection, attempt)),
    ):
        rows |= {(table, row["id"]) for row in members}
        batches |= {row["evidence_batch_id"] for row in members}
    return {"rows": rows, "batches": batches - {None}}


def _proof(connection: Connection, batch: Batch, wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    lines = lines_of(connection, batch)
    hashed = [leaf(line) for _, _, line in lines]
    return [
        {
            "table": table,
            "id": number,
            "line": line.decode(),
            "number": batch.number,
            "path": merkle_path(hashed, index),
        }
        for index, (table, number, line) in enumerate(lines)
        if (table, number) in wanted["rows"]
    ]


def _link(batch: Batch) -> dict[str, Any]:
    return {
        "campaign_run_id": batch.campaign_run_id,
        "number": batch.number,
        "kind": batch.kind,
        "batch_id": batch.id,
        "leaves": batch.leaves,
        "root": batch.root.hex(),
        "link": (batch.link or b"").hex(),
    }


def _heads(business_date: date, campaign_run_id: int) -> list[dict[str, Any]]:
    try:
        heads = read_heads(business_date.isoformat())
    except OSError:
        # Shown as none: the audit says that the folder cannot be read.
        return []
    return [{"links": head.links, "link": head.link} for head in heads if head.campaign_run_id == campaign_run_id]


def _of_attempt(connection: Connection, statement: Any, attempt: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(statement, {"on": attempt["business_date"], "id": attempt["id"]}).mappings()]


_ATTEMPT = text(f"SELECT {', '.join(ATTEMPT_COLUMNS)}, token FROM attempt WHERE id = :id")  # noqa: S608  # the columns above
_DECISION = text("""
    SELECT d.*, r.reasons FROM decision d JOIN reason_set r ON r.id = d.reason_set_id WHERE d.business_date = :on AND d.id = :id
""")
_TRANSITIONS = text("SELECT * FROM attempt_transition WHERE business_date = :on AND attempt_id = :id ORDER BY id")
_CONTACTS = text("SELECT * FROM contact_event WHERE attempt_business_date = :on AND attempt_id = :id ORDER BY id")
_ANSWERS = text("""
    SELECT id, provider, provider_id, kind, status, error_code, at, received_at, times_received, applied_at, effect
    FROM provider_event WHERE token = :token OR provider_id = CAST(:provider_id AS text) ORDER BY id
""")
_POLICIES = text("SELECT kind, name, hash, body FROM policy_version WHERE hash = ANY(:hashes) ORDER BY kind, name, hash")
_APPROVALS = text("""
    SELECT asked_by, approved_by, role, verdict, reason, at, recorded_at FROM approval
    WHERE subject_kind = 'campaign run' AND subject_hash = :subject ORDER BY id
""")
_BATCH_OF_SHARD = text("SELECT id FROM evidence_batch WHERE campaign_run_id = :run AND kind = 'decisions' AND shard = :shard")
_AS_PLANNED = text(f"""
    SELECT a.business_date, a.id, a.party_id, a.contact_point_id, a.channel, a.purpose, a.message, a.locale, a.token, a.send_after,
           a.expires_at, c.name AS creditor_name, c.role AS creditor_role, {sender_of("c", "a")} AS sender, c.licence AS creditor_licence
    FROM attempt a JOIN party p ON p.id = a.party_id JOIN creditor c ON c.id = p.creditor_id
    WHERE a.id = :id
""")  # noqa: S608  # no text from outside
