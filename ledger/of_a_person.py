"""Which rows of the ledger are about one person, and by which way they are reached: for her export, and for her erasure.

A table is hers by its `party_id`, by the loans that she stands for, by a foreign key to a table that is hers, or by a way written
down here. Every other table is in `OF_NOBODY`, with its reason: a table that is in neither stops the build.

In:   the declared tables (ledger/schema.py).
Out:  a condition in SQL for each, with `:party`.
Pure: yes; of the declarations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from sqlalchemy import MetaData, Table

PARTY: Final = "party"
LOAN: Final = "loan"
# She owes them, or stands for them. Who only advises or represents somebody is told nothing of that person's loans.
_HER_LOANS: Final = "SELECT m.loan_id FROM loan_party m WHERE m.party_id = :party AND m.role IN ('borrower', 'co_borrower', 'guarantor')"
_HER_ATTEMPTS: Final = "SELECT m.id FROM attempt m WHERE m.party_id = :party"
# No foreign key leads from these to a person.
_BY_HAND: Final[Mapping[str, str]] = {
    "provider_event": """(t.id IN (SELECT o.provider_event_id FROM outcome o WHERE o.party_id = :party)
        OR t.token IN (SELECT m.token FROM attempt m WHERE m.party_id = :party))""",
    "contact_point_version": "t.contact_point_id IN (SELECT k.id FROM contact_point k WHERE k.party_id = :party)",
    "contact_value": """t.blind_index IN (SELECT v.blind_index FROM contact_point_version v
        JOIN contact_point k ON k.id = v.contact_point_id WHERE k.party_id = :party)""",
    "backfill_difference": f"""((t.what LIKE 'decision/%' AND t.subject_id = :party)
        OR (t.what = 'ageing' AND t.subject_id IN ({_HER_LOANS}))
        OR (t.what IN ('attempt', 'outcome', 'contact') AND t.subject_id IN ({_HER_ATTEMPTS}))
        OR (t.what = 'promise' AND t.subject_id IN (SELECT m.id FROM promise m WHERE m.party_id = :party)))""",  # noqa: S608  # the statements above
}
OF_NOBODY: Final[Mapping[str, str]] = {
    "agent": "of colleagues",
    "agent_certificate": "of colleagues",
    "agent_shift": "of colleagues",
    "ageing_run": "of a date",
    "agency": "a firm",
    "agency_feed": "a file for a firm; what is in it of her is `agency_feed_item`",
    "agency_licence": "of a firm",
    "approval": "of texts, packs and runs, by colleagues",
    "approval_answer": "of runs, by colleagues",
    "approval_code": "of colleagues",
    "audit_result": "counts",
    "backfill": "of dates",
    "backfill_step": "counts of a date",
    "campaign_run": "of a stage and a date",
    "campaign_shard": "counts",
    "creditor": "the lender",
    "drill": "of operations",
    "evidence_batch": "hashes over many people's rows, and of no use without them",
    "feed": "of a source of facts",
    "import_batch": "of files",
    "incident": "its list of people is `incident_person`",
    "incident_note": "of an incident, by colleagues",
    "model_groups": "how a model errs for groups: shares and counts",
    "model_version": "of what was learned from many: shares and counts",
    "morning": "counts",
    "pause": "of operations",
    "policy_version": "rules, strategies and texts",
    "reason_set": "shared by everybody's decisions, which name it",
    "experiment_look": "counts",
    "experiment_start": "of experiments",
    "run_policy": "of a run",
    "shard_use": "of a run",
    "sandbox_clock": "one instant",
    "sender_pace": "of the lender's senders",
    "staff": "of colleagues",
    "staff_role": "of colleagues",
    "staff_session": "of colleagues",
}


def ways(metadata: MetaData) -> dict[str, str]:
    """Table → condition on its row `t` that says that it is about the person `:party`; by the tables' names."""
    found: dict[str, str] = {}
    for table in metadata.sorted_tables:
        if table.name not in OF_NOBODY:
            way = _way(table, found)
            if way is not None:
                found[table.name] = way
    return dict(sorted(found.items()))


def _way(table: Table, known: Mapping[str, str]) -> str | None:
    by_column = {"party_id": "t.party_id = :party", "loan_id": f"t.loan_id IN ({_HER_LOANS})"}
    by_name = {**_BY_HAND, PARTY: "t.id = :party", LOAN: f"t.id IN ({_HER_LOANS})"}
    if table.name in by_name:
        return by_name[table.name]
    for column, way in by_column.items():
        if column in table.columns:
            return way
    return next(_by_foreign_key(table, known), None)


def _by_foreign_key(table: Table, known: Mapping[str, str]) -> Iterator[str]:
    for constraint in sorted(table.foreign_key_constraints, key=lambda one: tuple(one.column_keys)):
        parent = constraint.referred_table.name
        if parent in known:
            ours = ", ".join(f"t.{name}" for name in constraint.column_keys)
            theirs = ", ".join(f"t.{element.column.name}" for element in constraint.elements)
            yield f"({ours}) IN (SELECT {theirs} FROM {parent} t WHERE {known[parent]})"  # noqa: S608  # names of our own declarations
