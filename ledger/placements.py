"""Placements: a loan is given to an agency, and taken back: by a person, at its end, or at once by what becomes known of the person.

While it is placed a hold of the kind `placed` stands on the loan, and it is not among what she is asked for: tideover itself does not
contact anybody about it. `recall_held` is called by whoever writes a hold, in the same transaction: an agency has a disputed loan for
no instant longer. It writes rows of `placement` alone, so that it waits for nobody; the placement's own hold ends a little later, under
the locks that every writer of a hold takes (`release`). Until then she is left in peace by both.

In:   a connection inside a transaction; a loan, an agency; the business instant, the terms of config/agencies.yaml.
Out:  rows of `placement`, `hold`, `notice`.
Pure: no; reads and writes the ledger.
Source: docs/agencies.md; docs/adr/0062.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, text

from config.settings import settings
from decisions.personal import looks_personal
from decisions.placements import NOTICE, PLACED, RECALLS_FACTS, RECALLS_LOAN, RECALLS_PERSON, PlacementTerms, refusals
from ledger.agencies import Agency, AgencyRefused
from ledger.facts import read_facts
from ledger.law import law_in_force
from ledger.locks import lock_borrowers

# The source of a hold that stands while a loan is placed.
OURS: Final = "placement"
MACHINE: Final = "tideover"
# Why a placement ended that nobody called back.
RAN_OUT: Final = "ran_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A loan that is, or was, with an agency.

    Attributes:
        id: Number.
        reference: What the agency calls it.
        loan_id: Which loan.
        loan: What the lender calls it.
        agency: Code of the agency.
        starts_at: Since when.
        until_on: The day after the last one.
        ended_at: When it ended; None = it is open.
        ended_because: A word, or the kind of hold that called it back.
    """

    id: int
    reference: UUID
    loan_id: int
    loan: str
    agency: str
    starts_at: datetime
    until_on: date
    ended_at: datetime | None
    ended_because: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WhoHas:
    """Who has a loan, as a borrower reads it."""

    loan_id: int
    name: str
    contact: str
    starts_at: datetime


def lenders_date(at: datetime) -> date:
    """The lender's local date, in which placements, licences and feeds are counted."""
    return at.astimezone(ZoneInfo(settings().business_zone)).date()


def find_loan(tx: Connection, named: str) -> int:
    """Id of the loan that the lender calls `named`, or that we call `#123`.

    Raises:
        AgencyRefused: There is none, or several lenders use that id.
    """
    number = named.removeprefix("#")
    ours = int(number) if named.startswith("#") and number.isascii() and number.isdigit() else None
    found = list(tx.execute(_LOAN, {"id": ours, "external_id": named}).scalars())
    if not found:
        raise AgencyRefused("no loan with that id; give the lender's id, or ours as #123")
    if len(found) > 1:
        raise AgencyRefused(f"several lenders use that id: say which, as one of {', '.join(f'#{loan}' for loan in found)}")
    return int(found[0])


def note_notice(tx: Connection, loan_id: int, *, sent_at: datetime, by: str, reference: str) -> int:
    """Write down that everybody who stands for a loan was told which agency is to have it; how many were not known to be.

    Raises:
        AgencyRefused: Nobody stands for it, nobody says so, or personal words.
    """
    if not by.strip() or not reference.strip():
        raise AgencyRefused("say who (--by) and where the notice can be read (--reference)")
    if looks_personal(by) or looks_personal(reference):
        raise AgencyRefused("this looks like a number or an address of a person: say it without")
    people = _lock_liable(tx, loan_id)
    keys = {"people": people, "loan": loan_id, "kind": NOTICE, "at": sent_at, "source": f"{by.strip()}: {reference.strip()}"}
    return tx.execute(_NOTICE, keys).rowcount


def check(tx: Connection, loan_id: int, agency: Agency, *, at: datetime, until: date, terms: PlacementTerms) -> list[str]:
    """Why a loan may not be placed with an agency now; empty = it may. Takes the locks of all who stand for it.

    Raises:
        ConfigError: The rule packs cannot be read.
    """
    people = _lock_liable(tx, loan_id)
    if (known := open_of(tx, loan_id)) is not None:
        return [f"it is placed already, with {known.agency}"]
    found = []
    if agency.certificate is None:
        found.append("the agency has no certificate: nothing could be sent to it (`tideover agencies add … --certificate FILE`)")
    today = lenders_date(at)
    if not today < until <= today + timedelta(days=terms.days_max):
        found.append(f"it would end on {until.isoformat()}; a placement is from one to {terms.days_max} days long")
    facts = read_facts(tx, parties=people, at=at, business_date=today, loans="now")
    packs = law_in_force(tx).packs
    return found + refusals(facts, loan_id=loan_id, packs=packs, terms=terms, licences=agency.licences, at=at, on=today, until=until)


def place(tx: Connection, loan_id: int, agency: Agency, *, at: datetime, until: date, by: str, terms: PlacementTerms) -> Placement:
    """Place a loan with an agency, and stop contacting anybody about it from here.

    Raises:
        AgencyRefused: It may not be; the message names everything that stands against it.
        ConfigError: The rule packs cannot be read.
    """
    if not by.strip():
        raise AgencyRefused("say who places it (--by)")
    for before in tx.execute(_TO_RELEASE, {"loan": loan_id}).scalars().all():
        release(tx, before, at=at)
    if against := check(tx, loan_id, agency, at=at, until=until, terms=terms):
        raise AgencyRefused("not placed: " + "; ".join(against))
    return write(tx, loan_id, agency, at=at, until=until, by=by)


def write(tx: Connection, loan_id: int, agency: Agency, *, at: datetime, until: date, by: str) -> Placement:
    """Write a placement and its hold, under the locks of all who stand for the loan; `place` has asked whether it may be."""
    _lock_liable(tx, loan_id)
    keys = {"reference": uuid4(), "loan": loan_id, "agency": agency.id, "at": at, "until": until, "by": by.strip()}
    number = int(tx.execute(_PLACE, keys).scalar_one())
    tx.execute(_HOLD, {"loan": loan_id, "kind": PLACED, "at": at, "source": OURS})
    return read(tx, number)


def recall(tx: Connection, placement_id: int, *, because: str, by: str, at: datetime) -> Placement:
    """Take a loan back from its agency; one that was taken back already stays as it is.

    Raises:
        AgencyRefused: There is no such placement, nobody says why, or personal words.
    """
    if not by.strip() or not because.strip():
        raise AgencyRefused("say who (--by) and why (--because)")
    if looks_personal(by) or looks_personal(because):
        raise AgencyRefused("this looks like a number or an address of a person: say it without")
    found = read(tx, placement_id)
    _lock_liable(tx, found.loan_id)
    tx.execute(_END, {"ids": [placement_id], "at": at, "because": because.strip(), "by": by.strip()})
    release(tx, placement_id, at=at)
    return read(tx, placement_id)


def recall_held(tx: Connection, party_ids: Sequence[int] | None, *, at: datetime) -> list[int]:
    """Take back at once every loan of these people, or of anybody, that something known of them now calls back; which placements.

    Called by whoever writes a hold, a loan's version or a person's, after it is written, in the same transaction.
    """
    keys = {
        "parties": None if party_ids is None else sorted(set(party_ids)), "of_person": list(RECALLS_PERSON), "of_loan": list(RECALLS_LOAN),
        "facts": list(RECALLS_FACTS), "at": at, "by": MACHINE,
    }  # fmt: skip
    return list(tx.execute(_RECALL_HELD, keys).scalars())


def run_out(tx: Connection, *, on: date, at: datetime) -> list[int]:
    """End the placements whose last day is over; which."""
    return list(tx.execute(_RUN_OUT, {"on": on, "at": at, "because": RAN_OUT, "by": MACHINE}).scalars())


def to_release(tx: Connection) -> list[int]:
    """Placements that have ended and whose hold still stands."""
    return list(tx.execute(_TO_RELEASE, {"loan": None}).scalars())


def release(tx: Connection, placement_id: int, *, at: datetime) -> bool:
    """End the hold of a placement that has ended; False where that is done, or it has not ended."""
    found = read(tx, placement_id)
    _lock_liable(tx, found.loan_id)
    if not tx.execute(_RELEASED, {"id": placement_id, "at": at}).rowcount:
        return False
    tx.execute(_LIFT, {"loan": found.loan_id, "kind": PLACED, "at": at, "source": OURS})
    return True


def read(tx: Connection, placement_id: int) -> Placement:
    """A placement by its number.

    Raises:
        AgencyRefused: There is none.
    """
    row = tx.execute(_READ, {"id": placement_id, "loan": None, "agency": None, "open": False}).mappings().one_or_none()
    if row is None:
        raise AgencyRefused(f"no placement {placement_id}; `tideover agencies placements` lists them")
    return Placement(**row)


def open_of(tx: Connection, loan_id: int) -> Placement | None:
    """The open placement of a loan."""
    row = tx.execute(_READ, {"id": None, "loan": loan_id, "agency": None, "open": True}).mappings().one_or_none()
    return None if row is None else Placement(**row)


def listed(tx: Connection, *, agency_id: int | None = None, loan_id: int | None = None, ended_too: bool = False) -> list[Placement]:
    """Placements, the newest first."""
    rows = tx.execute(_READ, {"id": None, "loan": loan_id, "agency": agency_id, "open": not ended_too}).mappings()
    return [Placement(**row) for row in rows]


def who_has(tx: Connection, loan_ids: Sequence[int]) -> dict[int, WhoHas]:
    """Loan → who has it now, of those that are placed."""
    return {row["loan_id"]: WhoHas(**row) for row in tx.execute(_WHO_HAS, {"loans": list(loan_ids)}).mappings()}


def _lock_liable(tx: Connection, loan_id: int) -> list[int]:
    people = lock_borrowers(tx, tx.execute(_LIABLE, {"loan": loan_id}).scalars())
    if not people:
        raise AgencyRefused("nobody stands for that loan")
    return people


_LOAN = text(
    "SELECT id FROM loan WHERE id = CAST(:id AS bigint) OR (CAST(:id AS bigint) IS NULL AND external_id = :external_id) ORDER BY id"
)
_LIABLE = text("""
    SELECT party_id FROM loan_party
    WHERE loan_id = :loan AND superseded_at IS NULL AND role IN ('borrower', 'co_borrower', 'guarantor') ORDER BY party_id
""")
_NOTICE = text("""
    INSERT INTO notice (effective_at, source, party_id, loan_id, kind, sent_at, bounced)
    SELECT :at, :source, person, :loan, :kind, :at, false FROM unnest(CAST(:people AS bigint[])) AS person
    WHERE NOT EXISTS (
        SELECT 1 FROM notice n
        WHERE n.party_id = person AND n.loan_id = :loan AND n.kind = :kind AND n.sent_at = :at AND n.superseded_at IS NULL)
""")
_PLACE = text("""
    INSERT INTO placement (reference, loan_id, agency_id, starts_at, until_on, placed_by)
    VALUES (:reference, :loan, :agency, :at, :until, :by) RETURNING id
""")
# One row on the first who stands for the loan; it reaches all of them.
_HOLD = text("""
    INSERT INTO hold (effective_at, source, party_id, loan_id, all_liable, kind, starts_at)
    SELECT :at, :source, min(party_id), :loan, true, :kind, :at FROM loan_party
    WHERE loan_id = :loan AND superseded_at IS NULL AND role IN ('borrower', 'co_borrower', 'guarantor')
""")
_END = text("""
    UPDATE placement SET ended_at = :at, ended_because = :because, ended_by = :by WHERE id = ANY(:ids) AND ended_at IS NULL
""")
# Everybody who stands for the loan counts: who guarantees for it and has died is no matter for an agency either.
_RECALL_HELD = text("""
    WITH concerned AS (
        SELECT DISTINCT p.id, p.loan_id FROM placement p
        WHERE p.ended_at IS NULL AND (CAST(:parties AS bigint[]) IS NULL OR EXISTS (
            SELECT 1 FROM loan_party lp WHERE lp.loan_id = p.loan_id AND lp.superseded_at IS NULL AND lp.party_id = ANY(:parties)))
    ), against AS (
        SELECT c.id, h.kind AS because FROM concerned c
        JOIN loan_party lp ON lp.loan_id = c.loan_id AND lp.superseded_at IS NULL
        JOIN hold h ON h.party_id = lp.party_id AND h.superseded_at IS NULL AND h.starts_at <= :at AND (h.until IS NULL OR h.until > :at)
        WHERE h.kind = ANY(:of_person) OR (h.kind = ANY(:of_loan) AND (h.loan_id IS NULL OR h.loan_id = c.loan_id))
        UNION ALL
        SELECT c.id, CASE WHEN v.disputed_minor > 0 THEN 'dispute' WHEN v.time_barred THEN 'time_barred' ELSE v.servicing_status END
        FROM concerned c JOIN loan_version v ON v.loan_id = c.loan_id AND v.superseded_at IS NULL
        WHERE v.disputed_minor > 0 OR v.time_barred OR v.servicing_status NOT IN ('active', 'written_off', 'placed')
        UNION ALL
        SELECT c.id, said FROM concerned c
        JOIN loan_party lp ON lp.loan_id = c.loan_id AND lp.superseded_at IS NULL
        JOIN party_version v ON v.party_id = lp.party_id AND v.superseded_at IS NULL
        CROSS JOIN LATERAL unnest(v.facts) AS said WHERE said = ANY(:facts)
    )
    UPDATE placement p SET ended_at = greatest(p.starts_at, CAST(:at AS timestamptz)), ended_because = a.because, ended_by = :by
    FROM (SELECT id, min(because) AS because FROM against GROUP BY id) a
    WHERE p.id = a.id AND p.ended_at IS NULL
    RETURNING p.id
""")
_RUN_OUT = text("""
    UPDATE placement SET ended_at = :at, ended_because = :because, ended_by = :by WHERE ended_at IS NULL AND until_on <= :on RETURNING id
""")
_TO_RELEASE = text("""
    SELECT id FROM placement
    WHERE ended_at IS NOT NULL AND released_at IS NULL AND (CAST(:loan AS bigint) IS NULL OR loan_id = :loan) ORDER BY id
""")
_RELEASED = text("UPDATE placement SET released_at = :at WHERE id = :id AND ended_at IS NOT NULL AND released_at IS NULL")
# The hold itself stays as it was known; from now on its version with an end is in force.
_LIFT = text("""
    WITH old AS (
        UPDATE hold SET superseded_at = clock_timestamp()
        WHERE loan_id = :loan AND kind = :kind AND source = :source AND superseded_at IS NULL AND until IS NULL
        RETURNING *
    )
    INSERT INTO hold (effective_at, source, party_id, loan_id, all_liable, kind, starts_at, until)
    SELECT :at, :source, party_id, loan_id, all_liable, kind, starts_at, greatest(CAST(:at AS timestamptz), starts_at) FROM old
""")
_READ = text("""
    SELECT p.id, p.reference, p.loan_id, l.external_id AS loan, a.code AS agency, p.starts_at, p.until_on, p.ended_at, p.ended_because
    FROM placement p JOIN loan l ON l.id = p.loan_id JOIN agency a ON a.id = p.agency_id
    WHERE (CAST(:id AS bigint) IS NULL OR p.id = :id) AND (CAST(:loan AS bigint) IS NULL OR p.loan_id = :loan)
      AND (CAST(:agency AS bigint) IS NULL OR p.agency_id = :agency) AND (NOT CAST(:open AS boolean) OR p.ended_at IS NULL)
    ORDER BY p.id DESC
""")
_WHO_HAS = text("""
    SELECT p.loan_id, a.name, a.contact, p.starts_at FROM placement p JOIN agency a ON a.id = p.agency_id
    WHERE p.loan_id = ANY(:loans) AND p.ended_at IS NULL
""")
