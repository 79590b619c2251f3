"""Erasing a person: she is left in peace at once, and erased on the first day on which nothing has to be kept of her.

Erasing empties names, numbers, words and whatever leads to them, destroys her keys, so that copies from before cannot be read either, and
leaves a keyed mark by which a later file's row of her is refused. Ids, dates, amounts and proofs stay. What is another person's stays:
each row is emptied by whose it is, not by its value.

In:   a connection inside a transaction; a party's id, the duties of config/retention.yaml, the business instant. Whoever writes holds the
      borrower's lock.
Out:  rows of `erasure` and `hold`; emptied and removed rows.
Pure: no; reads and writes the ledger.
Source: GDPR articles 17 and 18; docs/adr/0066.
"""

# ruff: noqa: S608  # statements are built from the names of declared tables and columns

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from config.zones import attached_to
from decisions.retention import Keeping, RecordDuty, keeping
from ledger import answers, key_rotation, page_links, vault
from ledger.all_tables import METADATA
from ledger.decisions_log import ERASED
from ledger.erasure_rows import EMPTIED, EMPTIED_IF_HERS_ALONE, REMOVED
from ledger.locks import lock_borrowers
from ledger.of_a_person import ways

HOLD: Final = "restricted"
OURS: Final = "erasure"
# What goes on, in the order in which it is asked for.
OPEN_LOAN, OPEN_CASE, LITIGATION, UNDER_WAY = "an open loan", "an open case", "a dispute before a court", "a message under way"


class ErasureRefused(RuntimeError):
    """Nothing was written; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """When a person can be erased.

    Attributes:
        due_on: The first day; None = something is going on.
        because: The duty that lasts longest, in words; None as above.
        waits_for: What is going on.
    """

    due_on: date | None
    because: str | None
    waits_for: tuple[str, ...]

    def in_words(self) -> str:
        """As people read it, and may tell her."""
        first = "She is left in peace from now on: nobody contacts her, and no desk but compliance's shows her."
        if self.due_on is None:
            return f"{first} She is erased when nothing stands against it any more; now there is {', '.join(self.waits_for)}."
        return f"{first} Until {self.due_on} records must be kept: {self.because}. From that day on she is erased."


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An erasure that was asked for.

    Attributes:
        party_id: Whose.
        state: restricted, erased.
        case_id: The case that answers for it, where there is one.
        due_on: As in `Standing`.
        because: As in `Standing`.
        waits_for: As in `Standing`.
        erased_at: When it was done.
    """

    party_id: int
    state: str
    case_id: int | None
    due_on: date | None
    because: str | None
    waits_for: tuple[str, ...]
    erased_at: datetime | None


def ask(tx: Connection, party_id: int, duties: Sequence[RecordDuty], *, by: str, at: datetime, case_id: int | None = None) -> Standing:
    """Leave a person in peace from now on, until she is erased. Said twice, it is one.

    Raises:
        ErasureRefused: She is erased already.
    """
    lock_borrowers(tx, [party_id])
    found = of(tx, party_id)
    if found is not None and found.state == "erased":
        raise ErasureRefused("she is erased already")
    now = standing(tx, party_id, duties, at=at, besides=case_id)
    answers.hold(tx, party_id, HOLD, starts_at=at, until=None, source=OURS)
    tx.execute(_NO_CALLS, {"party": party_id, "at": at})
    keys = {"party": party_id, "case": case_id, "by": by, "at": at}
    tx.execute(_ASK, {**keys, "due_on": now.due_on, "because": now.because, "waits_for": list(now.waits_for)})
    return now


def lift(tx: Connection, party_id: int, *, at: datetime) -> bool:
    """End the restriction of a person who is not erased: she took it back, or it was refused. False where there is none.

    Raises:
        ErasureRefused: She is erased: there is nothing to go back to.
    """
    lock_borrowers(tx, [party_id])
    found = of(tx, party_id)
    if found is not None and found.state == "erased":
        raise ErasureRefused("she is erased: nothing of her can be brought back")
    tx.execute(_END_HOLD, {"party": party_id, "kind": HOLD, "source": OURS, "at": at})
    return tx.execute(_LIFT, {"party": party_id, "at": at}).rowcount > 0


def of(tx: Connection, party_id: int) -> Asked | None:
    """The erasure of a person that is not lifted; None where there is none."""
    row = tx.execute(_OF, {"parties": [party_id]}).mappings().one_or_none()
    return None if row is None else _asked(row)


def is_restricted(tx: Connection, party_id: int) -> bool:
    """Whether only compliance may see her: she asked to be erased, or is."""
    return of(tx, party_id) is not None


def listed(tx: Connection) -> list[Asked]:
    """Everybody who asked and is not erased yet, whose day comes first at the top."""
    return [_asked(row) for row in tx.execute(_LISTED).mappings()]


def standing(tx: Connection, party_id: int, duties: Sequence[RecordDuty], *, at: datetime, besides: int | None = None) -> Standing:
    """When a person can be erased, as things are now.

    Args:
        tx: Any.
        party_id: Whose.
        duties: To keep records.
        at: Business instant.
        besides: The case that answers for the erasure itself, which does not stand against it.
    """
    waits_for = tuple(tx.execute(_WAITS_FOR, {**_WORDS, "party": party_id, "at": at, "besides": besides}).scalars())
    if waits_for:
        return Standing(due_on=None, because=None, waits_for=waits_for)
    kept = _keeping(tx, party_id, duties, at=at)
    return Standing(due_on=kept.until, because=kept.in_words(), waits_for=())


def look_again(tx: Connection, party_id: int, duties: Sequence[RecordDuty], *, at: datetime) -> Standing:
    """Work out anew when a person can be erased, and write it down."""
    lock_borrowers(tx, [party_id])
    found = of(tx, party_id)
    now = standing(tx, party_id, duties, at=at, besides=None if found is None else found.case_id)
    tx.execute(_AGAIN, {"party": party_id, "due_on": now.due_on, "because": now.because, "waits_for": list(now.waits_for)})
    return now


def erase(tx: Connection, party_id: int, duties: Sequence[RecordDuty], *, on: date, at: datetime) -> dict[str, int] | None:
    """Erase a person for good, if her day has come and nothing stands against it.

    Args:
        tx: A transaction of this person alone.
        party_id: Whose.
        duties: To keep records; looked at again under the lock.
        on: The day.
        at: Business instant.

    Returns:
        Table → rows that were emptied or removed; None where her day has not come, or she did not ask.
    """
    lock_borrowers(tx, [party_id])
    found = of(tx, party_id)
    if found is None or found.state != "restricted":
        return None
    now = look_again(tx, party_id, duties, at=at)
    if now.due_on is None or now.due_on > on:
        return None
    marked = tx.execute(_NAMED, {"party": party_id}).one()
    page_links.close_all(tx, party_id, at=at)
    counts = {name: rows for name, rows in _emptied(tx, party_id) if rows}
    counts["party_key"] = key_rotation.destroy(tx, party_id)
    mark = mark_of(marked.creditor_id, marked.external_id)
    tx.execute(_DONE, {"party": party_id, "at": at, "counts": json.dumps(counts), "mark": mark})
    return counts


def mark_of(creditor_id: int, external_id: str) -> bytes:
    """By what a person who was erased is known again, and not otherwise."""
    return vault.keyed(ERASED, f"{creditor_id}\0{external_id}")


def erased_among(tx: Connection, creditor_id: int, external_ids: Iterable[str]) -> frozenset[str]:
    """Of the lender's ids, those of people who were erased."""
    marks = {mark_of(creditor_id, one): one for one in external_ids}
    found = tx.execute(_MARKED, {"marks": list(marks)}).scalars() if marks else ()
    return frozenset(marks[bytes(mark)] for mark in found)


def any_erased(tx: Connection) -> bool:
    """Whether anybody was ever erased."""
    return bool(tx.execute(_ANY).scalar())


def _keeping(tx: Connection, party_id: int, duties: Sequence[RecordDuty], *, at: datetime) -> Keeping:
    where = tx.execute(_WHERE, {"party": party_id}).mappings().one_or_none()
    last: date | None = tx.execute(_LAST, {"party": party_id}).scalar()
    places = attached_to(**where) if where is not None else []
    loans = tx.execute(_LAWS, {"party": party_id}).scalars().all()
    return keeping({*places, *loans}, last or at.date(), duties)


def _emptied(tx: Connection, party_id: int) -> Iterable[tuple[str, int]]:
    """Empty and remove, in an order in which each row is still found as hers."""
    of_hers = ways(METADATA)
    key = {"party": party_id}
    for name in REMOVED:
        alone = f" AND {_NOT_ANOTHERS[name]}" if name in _NOT_ANOTHERS else ""
        yield name, tx.execute(text(f"DELETE FROM {name} t WHERE {of_hers[name]}{alone}"), key).rowcount
    for tables, alone in ((EMPTIED_IF_HERS_ALONE, f" AND {_HERS_ALONE}"), (EMPTIED, "")):
        for name, columns in _last_of_all(tables):
            given = ", ".join(f"{column} = {become}" for column, become in columns.items())
            yield name, tx.execute(text(f"UPDATE {name} t SET {given} WHERE {of_hers[name]}{alone}"), key).rowcount


def _last_of_all(tables: Any) -> list[tuple[str, Any]]:
    """The attempt's token leads to what providers said: it goes last."""
    return sorted(tables.items(), key=lambda one: (one[0] == "attempt", one[0]))


def _asked(row: Any) -> Asked:
    return Asked(**{**row, "waits_for": tuple(row["waits_for"])})


# What is reached by a value may be somebody else's too.
_OTHERS_VALUE: Final = """NOT EXISTS (SELECT FROM contact_point_version v JOIN contact_point k ON k.id = v.contact_point_id
    WHERE v.blind_index = t.blind_index AND k.party_id <> :party)"""
_NOT_ANOTHERS: Final = {
    # Whoever said "not me" is left in peace whosever the number becomes.
    "contact_value": f"t.ownership NOT IN ('wrong', 'reassigned') AND {_OTHERS_VALUE}",
    "person_wrote": _OTHERS_VALUE,
    "provider_event_payload": """NOT EXISTS (
        SELECT FROM outcome o WHERE o.provider_event_id = t.provider_event_id AND o.party_id <> :party)""",
}
_HERS_ALONE: Final = "NOT EXISTS (SELECT FROM loan_party o WHERE o.loan_id = t.loan_id AND o.party_id <> :party)"
_WORDS: Final = {"loan": OPEN_LOAN, "case": OPEN_CASE, "court": LITIGATION, "way": UNDER_WAY}
_COLUMNS: Final = "party_id, state, case_id, due_on, because, waits_for, erased_at"
_OF = text(f"SELECT {_COLUMNS} FROM erasure WHERE party_id = ANY(:parties) AND state <> 'lifted'")
_LISTED = text(f"SELECT {_COLUMNS} FROM erasure WHERE state = 'restricted' ORDER BY due_on NULLS LAST, party_id")
_ASK = text("""
    INSERT INTO erasure (party_id, case_id, state, asked_by, asked_at, due_on, because, waits_for)
    VALUES (:party, :case, 'restricted', :by, :at, :due_on, :because, :waits_for)
    ON CONFLICT (party_id) WHERE state <> 'lifted'
    DO UPDATE SET due_on = excluded.due_on, because = excluded.because, waits_for = excluded.waits_for,
                  case_id = coalesce(erasure.case_id, excluded.case_id)
""")
_AGAIN = text("""
    UPDATE erasure SET due_on = :due_on, because = :because, waits_for = :waits_for WHERE party_id = :party AND state = 'restricted'
""")
_LIFT = text("UPDATE erasure SET state = 'lifted', lifted_at = :at WHERE party_id = :party AND state = 'restricted'")
_DONE = text("""
    UPDATE erasure SET state = 'erased', erased_at = :at, counts = CAST(:counts AS jsonb), mark = :mark
    WHERE party_id = :party AND state = 'restricted'
""")
# The hold itself stays as it was known; from now on its version with an end is in force.
_END_HOLD = text("""
    WITH old AS (
        UPDATE hold SET superseded_at = clock_timestamp()
        WHERE party_id = :party AND kind = :kind AND source = :source AND superseded_at IS NULL AND until IS NULL RETURNING *
    )
    INSERT INTO hold (effective_at, source, party_id, loan_id, all_liable, kind, channel, purpose, starts_at, until)
    SELECT :at, source, party_id, loan_id, all_liable, kind, channel, purpose, starts_at, greatest(CAST(:at AS timestamptz), starts_at)
    FROM old
""")
_NO_CALLS = text("UPDATE call_task SET state = 'withdrawn', closed_at = :at WHERE party_id = :party AND state = 'waiting'")
_NAMED = text("SELECT creditor_id, external_id FROM party WHERE id = :party")
_MARKED = text("SELECT mark FROM erasure WHERE mark = ANY(CAST(:marks AS bytea[]))")
_ANY = text("SELECT EXISTS (SELECT FROM erasure WHERE state = 'erased')")
_WHERE = text("SELECT country, region, postal_code, known_zone FROM party_version WHERE party_id = :party AND superseded_at IS NULL")
_LAWS = text("""
    SELECT DISTINCT v.jurisdiction FROM loan_party m JOIN loan_version v ON v.loan_id = m.loan_id AND v.superseded_at IS NULL
    WHERE m.party_id = :party AND v.jurisdiction IS NOT NULL
""")
# The last thing that happened, in whatever way.
_LAST = text("""
    SELECT max(last) FROM (
        SELECT max(e.at)::date AS last FROM whole.contact_event e WHERE e.party_id = :party
        UNION ALL SELECT max(o.at)::date FROM outcome o WHERE o.party_id = :party
        UNION ALL SELECT max(c.closed_at)::date FROM borrower_case c WHERE c.party_id = :party
        UNION ALL SELECT max(y.paid_on) FROM payment y JOIN loan_party m ON m.loan_id = y.loan_id WHERE m.party_id = :party
        UNION ALL SELECT max(v.effective_at)::date FROM loan_version v JOIN loan_party m ON m.loan_id = v.loan_id WHERE m.party_id = :party
    ) found
""")
_WAITS_FOR = text("""
    SELECT :loan AS found WHERE EXISTS (
        SELECT FROM loan_party m JOIN loan_version v ON v.loan_id = m.loan_id AND v.superseded_at IS NULL
        WHERE m.party_id = :party AND m.superseded_at IS NULL AND m.role IN ('borrower', 'co_borrower', 'guarantor')
          AND v.status NOT IN ('closed', 'overpaid', 'rejected', 'withdrawn')
          AND v.servicing_status NOT IN ('settled', 'paid', 'forgiven', 'sold'))
    UNION ALL SELECT :case WHERE EXISTS (
        SELECT FROM borrower_case c WHERE c.party_id = :party AND c.state <> 'closed' AND c.id IS DISTINCT FROM CAST(:besides AS bigint))
    UNION ALL SELECT :court WHERE EXISTS (
        SELECT FROM hold h WHERE h.party_id = :party AND h.kind = 'litigation' AND h.superseded_at IS NULL
          AND (h.until IS NULL OR h.until > :at))
    UNION ALL SELECT :way WHERE EXISTS (
        SELECT FROM attempt a WHERE a.party_id = :party AND a.state IN ('submitting', 'unknown'))
""")
