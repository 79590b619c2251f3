"""Everything that is kept of a person, for that person: rows of every table that is about her, opened, under plain names.

Left out are our own secrets (hashes, tokens, keys), the names of colleagues, and whatever belongs to somebody else: the number of a
relative, what was written from a phone that two people share. Loans, instalments and payments are those that she stands for.

In:   a connection; a party's id.
Out:  a mapping ready for JSON: texts, whole numbers, truths, lists. Personal: never logged, never in an artifact.
Pure: no; reads.
Source: GDPR articles 15 and 20; PIPL article 45; docs/adr/0064.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, LargeBinary, Row, Table, text

from ledger import addresses, clock, erasures, vault
from ledger.all_tables import METADATA
from ledger.of_a_person import ways
from ledger.partitions import with_archive
from ledger.replies import PRESSED, pressed_of

# What was said in a message that left: attempt's id → title and body, or None where it cannot be written again.
Said = Callable[[int], tuple[str, str] | None]

# Tables whose rows say nothing to her as they stand, and what tells it instead.
TOLD_ELSEWHERE: Final[Mapping[str, str]] = {
    "provider_event": "what providers reported stands in the states of `messages`; what she wrote, in `what_you_said`",
    "provider_event_payload": "what she wrote, in `what_you_said`; the rest is how providers report",
    "call_card": "which colleague was about to call, for minutes; the calls stand in `calls_by_colleagues`",
    "call_score": "how a colleague did her work, which is about her",
    "party_key": "keys, which tell nothing",
    "call_words": "dropped when the call is over; what was said, in `messages`",
    "person_wrote": "an index over what she wrote, which is in `what_you_said`",
}
# Headings that say more than a table's name does.
HEADINGS: Final[Mapping[str, str]] = {
    "agent_call": "calls_by_colleagues",
    "attempt": "messages",
    "attempt_transition": "messages_step_by_step",
    "backfill_difference": "corrections_found_later",
    "borrower_case": "cases",
    "call_task": "calls_to_be_made",
    "case_event": "cases_step_by_step",
    "consent": "consents",
    "contact_event": "contacts",
    "contact_point": "ways_to_reach_you",
    "contact_point_version": "ways_to_reach_you_as_known",
    "contact_value": "whose_numbers_they_are",
    "decision": "decisions",
    "delinquency_snapshot": "lateness_as_the_lender_told_it",
    "fairness_attribute": "what_is_held_to_see_whether_groups_are_treated_alike",
    "incident_person": "incidents_that_concern_you",
    "instalment": "instalments",
    "loan_aging": "lateness_day_by_day",
    "loan_party": "loans_you_stand_for",
    "opt_out": "stops",
    "outcome": "what_you_said",
    "page_closing": "links_you_closed",
    "page_code": "codes_you_asked_for",
    "page_session": "times_your_page_was_open",
    "party_version": "about_you",
    "person_file": "files_you_sent",
    "payment": "payments",
    "payment_order": "payments_you_began",
    "person_need": "what_is_done_differently_for_you",
    "plan_choice": "plans_you_chose",
    "plan_offer": "plans_offered_to_you",
    "promise": "promises",
    "wallet_flow": "what_moved_in_your_wallet",
    "staff_view": "when_colleagues_looked_at_you",
    "wish": "wishes",
}
# What is no text stands in base64.
FILES: Final = frozenset({"person_file"})
# A name of ours, a key, a hash: of no meaning to her, or a colleague's.
_SECRET: Final = re.compile(r"(^|_)(hash|digest|salt|secret|token|key_id|blind_index|claim_id|commitment|evidence_batch_id|permit)($|_)")
COLLEAGUES: Final = frozenset(
    {
        "said_by",
        "by",
        "added_by",
        "ended_by",
        "given_by",
        "owner",
        "taken_by",
        "asked_by",
        "approved_by",
        "handled_by",
        "withdrawn_by",
        "opened_by",
        "placed_by",
        "made_by",
        "scored_by",
        "staff_id",
    }
)
# Whose a contact point is stands in a column of the same name as who answers for a case.
_OWNERS_OF_NUMBERS: Final = "contact_point_version"
ENCRYPTED: Final = "_encrypted"
KEY_ID: Final = "key_id"
HERS: Final = "borrower"
NOT_HERS: Final = "kept, and not shown: it belongs to somebody else"


def everything_of(tx: Connection, party_id: int, *, said: Said | None = None) -> dict[str, Any]:
    """All that is kept of a person.

    Args:
        tx: A transaction; one that only reads will do.
        party_id: Whose.
        said: Writes a message again; left out, messages stand without their words.

    Returns:
        `made_at` and `kept` (heading → rows, oldest first); of who was erased `erased_at`, and nothing is kept.

    Raises:
        MissingKeyError: A value was encrypted with a key that is gone.
    """
    with_archive(tx)
    found = erasures.of(tx, party_id)
    if found is not None and found.erased_at is not None:
        return {"made_at": _plain(clock.now(tx)), "erased_at": _plain(found.erased_at), "kept": {}}
    kept = {HEADINGS.get(name, name): list(_rows(tx, name, way, party_id)) for name, way in ways(METADATA).items()}
    for section in TOLD_ELSEWHERE:
        kept.pop(HEADINGS.get(section, section), None)
    _with_reasons(tx, kept, party_id)
    _with_her_words(tx, kept, party_id)
    for message in kept["messages"]:
        words = said(message["id"]) if said is not None and message["submitted_at"] is not None else None
        if words is not None:
            message["said"] = {"title": words[0], "body": words[1]}
    return {"made_at": _plain(clock.now(tx)), "kept": {name: rows for name, rows in sorted(kept.items()) if rows}}


def rules_named(everything: Mapping[str, Any]) -> frozenset[str]:
    """Ids of the rules that decisions and messages of an export name."""
    kept = everything["kept"]
    decided = (reason for row in kept.get("decisions", []) for reason in row["reasons"])
    allowed = (rule for row in kept.get("messages", []) for rule in row["rules"])
    return frozenset((*decided, *allowed))


def _rows(tx: Connection, name: str, way: str, party_id: int) -> Iterator[dict[str, Any]]:
    table = METADATA.tables[name]
    order = ", ".join(f"t.{column.name}" for column in table.primary_key.columns)
    rows = tx.execute(text(f"SELECT t.* FROM {name} t WHERE {way} ORDER BY {order}"), {"party": party_id}).mappings().all()  # noqa: S608  # names of our own declarations
    vault.learn(tx, [row[column] for row in rows for column in row if column.endswith(KEY_ID)])
    for row in rows:
        yield dict(_told(table, dict(row)))


def _told(table: Table, row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for column in table.columns:
        name = column.name
        if name.endswith(ENCRYPTED):
            yield name.removesuffix(ENCRYPTED), _opened(table.name, row, name)
        elif name == "permit":
            yield "rules", sorted((row[name] or {}).get("rules") or (row[name] or {}).get("blocked_by") or ())
        elif not _is_left_out(table.name, name) and not isinstance(column.type, LargeBinary):
            yield name, _plain(row[name])


def _is_left_out(table: str, column: str) -> bool:
    is_colleague = column in COLLEAGUES and not (column == "owner" and table == _OWNERS_OF_NUMBERS)
    return is_colleague or _SECRET.search(column) is not None


def _opened(table: str, row: Mapping[str, Any], column: str) -> str | None:
    if row[column] is None:
        return None
    if table == _OWNERS_OF_NUMBERS and row["owner"] != HERS:
        return NOT_HERS
    own = column.removesuffix(ENCRYPTED) + f"_{KEY_ID}"
    content = vault.decrypt_bytes(row[column], row[own if own in row else KEY_ID])
    return base64.b64encode(content).decode() if table in FILES else content.decode()


def _with_reasons(tx: Connection, kept: Mapping[str, list[dict[str, Any]]], party_id: int) -> None:
    reasons = {row.id: list(row.reasons) for row in tx.execute(_REASONS, {"party": party_id})}
    for decision in kept["decisions"]:
        decision["reasons"] = reasons[decision.pop("reason_set_id")]


def _with_her_words(tx: Connection, kept: Mapping[str, list[dict[str, Any]]], party_id: int) -> None:
    """Add what she wrote to what it was taken to mean, as long as it is kept; not what came from a phone that somebody else has too."""
    found = {}
    for row in tx.execute(_WROTE, {"party": party_id}):
        fields = json.loads(vault.decrypt(row.payload_encrypted, row.key_id))
        found[row.provider_event_id] = (
            (fields.get("Body") or fields.get("ButtonText") or None) if _surely_hers(tx, row, fields, party_id) else NOT_HERS
        )
    for outcome in kept["what_you_said"]:
        outcome["words"] = found.get(outcome["provider_event_id"])


def _surely_hers(tx: Connection, row: Row[Any], fields: Mapping[str, str], party_id: int) -> bool:
    """Whether nobody else can have written it: she had opened her page, or the phone is hers alone."""
    if PRESSED in fields and pressed_of(fields[PRESSED]).party_id == party_id:
        return True
    sender = vault.blind_index(addresses.split(fields.get("From", ""))[1])
    return not tx.execute(_SHARED, {"party": party_id, "value": sender, "event": row.provider_event_id}).scalar_one()


def _plain(value: Any) -> Any:
    """A value as JSON has it; an amount of money is a whole number of minor units already."""
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, (UUID, Decimal)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    return value


_REASONS = text("SELECT r.id, r.reasons FROM reason_set r WHERE r.id IN (SELECT d.reason_set_id FROM decision d WHERE d.party_id = :party)")
_WROTE = text("""
    SELECT DISTINCT o.provider_event_id, p.payload_encrypted, p.key_id
    FROM outcome o JOIN provider_event e ON e.id = o.provider_event_id AND e.kind = 'inbound'
    JOIN provider_event_payload p ON p.provider_event_id = e.id
    WHERE o.party_id = :party
""")
_SHARED = text("""
    SELECT EXISTS (SELECT FROM outcome s WHERE s.provider_event_id = :event AND s.party_id <> :party)
        OR EXISTS (SELECT FROM contact_point_version v JOIN contact_point k ON k.id = v.contact_point_id
                   WHERE v.blind_index = :value AND k.party_id <> :party)
""")
