"""What agencies write to us, written down: contacts into the one log, what people said into cases and stops, feeds that were read.

A contact counts towards every cap like one of ours. It is judged by the rules that hold for an agency, by the facts as they are known
now and the contacts before it; what was against a rule, or about a loan that the agency did not have, is a finding for the auditor. It
is kept all the same: it was made, and counts.

In:   a connection inside a transaction; lines of one agency, each with its number in the file; the business instant.
Out:  rows of `contact_event`, `agency_finding`, `opt_out`, `borrower_case`; `agency_feed.acknowledged_at`; what became of each line.
Pure: no; writes the ledger.
Source: docs/agencies.md; ARCHITECTURE.md I5; docs/adr/0062.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID

import polars as pl
from sqlalchemy import Connection, text

from config.places import with_places
from decisions.agency_lines import Acknowledged, Contact, Heard, Line, Stopped
from decisions.cases import CaseTerms
from decisions.facts import CANDIDATES, HISTORY_DAYS
from decisions.packs import Packs
from decisions.placements import as_third_party
from decisions.rules import judge
from decisions.strategy import DIALLED
from ledger import answers, cases, vault
from ledger.agencies import Agency
from ledger.facts import read_facts
from ledger.locks import lock_with_liable

# The rule of a finding about a loan that the agency did not have then.
NOT_PLACED: Final = "not_placed"
REF_BYTES: Final = 8


@dataclass(slots=True)
class Taken:
    """What became of lines.

    Attributes:
        counts: contacts, heard, stopped, acknowledged, same → how many.
        rejected: Number in the file, and why; nothing of the line.
        findings: Rule → contacts that were against it.
    """

    counts: Counter[str] = field(default_factory=Counter)
    rejected: list[tuple[int, str]] = field(default_factory=list)
    findings: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    """A placement as a line speaks of it."""

    id: int
    loan_id: int
    starts_at: datetime
    until_on: date
    ended_at: datetime | None
    people: Mapping[str, int]
    roles: Mapping[int, str]
    points: Mapping[str, int]

    def had(self, at: datetime) -> bool:
        """Whether the agency had the loan at an instant."""
        return self.starts_at <= at and (self.ended_at is None or at < self.ended_at)


def person_ref(reference: UUID, party_id: int) -> str:
    """What an agency calls a person of a placement; of no use for another one."""
    return vault.keyed("agency person", f"{reference}:{party_id}")[:REF_BYTES].hex()


def point_ref(reference: UUID, contact_point_id: int) -> str:
    """What an agency calls a number or address of a placement."""
    return vault.keyed("agency point", f"{reference}:{contact_point_id}")[:REF_BYTES].hex()


def take(tx: Connection, agency: Agency, lines: Sequence[tuple[int, Line]], *, packs: Packs, terms: CaseTerms, at: datetime) -> Taken:
    """Write down what an agency says; takes the locks of everybody whom it is about.

    Args:
        tx: Inside a transaction, in which nothing is locked yet.
        agency: Whose lines.
        lines: Each with its number in the file.
        packs: In force.
        terms: Of cases.
        at: Business instant.
    """
    taken = Taken()
    references = {line.placement for _, line in lines if not isinstance(line, Acknowledged)}
    people = {party for one in _placements(tx, agency, references).values() for party in one.people.values()}
    lock_with_liable(tx, people)
    # Read anew, by a later statement than the lock: one of them may have been recalled meanwhile.
    placed = _placements(tx, agency, references)
    known: list[tuple[int, Contact, _Placed, int]] = []
    for number, line in lines:
        if isinstance(line, Acknowledged):
            _acknowledge(tx, agency, number, line, taken, at=at)
            continue
        where = placed.get(line.placement)
        who = None if where is None else _who(where, line)
        if where is None or who is None:
            taken.rejected.append((number, "placement: unknown" if where is None else "person: unknown, or several stand for the loan"))
        elif isinstance(line, Contact):
            known.append((number, line, where, who))
        elif isinstance(line, Heard):
            _hear(tx, agency, line, where, who, terms, taken, at=at)
        else:
            answers.opt_out(tx, [who], [line.channel], at=at, source=agency.source)
            taken.counts["stopped"] += 1
    written = _write(tx, agency, known, taken)
    _find(tx, agency, written, packs, taken, at=at)
    return taken


def findings(tx: Connection, *, agency_id: int | None = None, since: date | None = None) -> list[dict[str, Any]]:
    """Contacts of agencies that were against a rule, the newest first: ids, instants, rules."""
    return [dict(row) for row in tx.execute(_FINDINGS, {"agency": agency_id, "since": since}).mappings()]


def _who(placed: _Placed, line: Contact | Heard | Stopped) -> int | None:
    if line.person is not None:
        return placed.people.get(line.person)
    return next(iter(placed.people.values())) if len(placed.people) == 1 else None


def _acknowledge(tx: Connection, agency: Agency, number: int, line: Acknowledged, taken: Taken, *, at: datetime) -> None:
    row = tx.execute(_ACKNOWLEDGE, {"agency": agency.id, "number": line.feed, "at": at}).one_or_none()
    if row is None:
        taken.rejected.append((number, "feed: there is none of that number"))
    else:
        taken.counts["acknowledged" if row.is_new else "same"] += 1


def _hear(
    tx: Connection, agency: Agency, line: Heard, placed: _Placed, party_id: int, terms: CaseTerms, taken: Taken, *, at: datetime
) -> None:
    reference = f"{agency.source} {line.id}"
    if tx.execute(_HEARD_BEFORE, {"party": party_id, "reference": reference}).scalar() is not None:
        taken.counts["same"] += 1
        return
    said = cases.Statement(
        party_id=party_id, kind=line.what, at=at, channel=line.channel, loan_id=placed.loan_id, said_by=agency.code, reference=reference,
        words=line.words,
    )  # fmt: skip
    cases.open_case(tx, said, terms)
    taken.counts["heard"] += 1


def _write(
    tx: Connection, agency: Agency, lines: Sequence[tuple[int, Contact, _Placed, int]], taken: Taken
) -> list[tuple[int, Contact, _Placed, int]]:
    """Contacts that are new in the log, each with the id of its event."""
    if not lines:
        return []
    parties = sorted({party for _, _, _, party in lines})
    places = _places(tx, parties)
    before = {row.external_id: row for row in tx.execute(_BEFORE, {"parties": parties, "source": agency.source})}
    written = []
    for number, line, placed, party in lines:
        point = None if line.point is None else placed.points.get(line.point)
        if line.point is not None and point is None:
            taken.rejected.append((number, "point: unknown"))
            continue
        row = {
            "day": line.at.astimezone(UTC).date(), "party": party, "at": line.at, "channel": line.channel, "direction": line.direction,
            "loans": [placed.loan_id], "point": point, "counterparty": placed.roles[party], "purpose": line.purpose, "result": line.result,
            "counts": line.direction == "outbound", "jurisdiction": places.get(party), "external_id": line.id, "source": agency.source,
        }  # fmt: skip
        if (same := before.get(line.id)) is not None:
            if (same.party_id, same.at, same.channel, same.direction, same.result) == (
                party,
                line.at,
                line.channel,
                line.direction,
                line.result,
            ):
                taken.counts["same"] += 1
            else:
                taken.rejected.append((number, "id: told before, with other contents"))
            continue
        event = tx.execute(_INSERT, row).one_or_none()
        if event is None:
            taken.rejected.append((number, "id: told before, of somebody else"))
            continue
        before[line.id] = event
        written.append((event.id, line, placed, party))
        taken.counts["contacts"] += 1
    return written


def _find(
    tx: Connection, agency: Agency, written: Sequence[tuple[int, Contact, _Placed, int]], packs: Packs, taken: Taken, *, at: datetime
) -> None:
    """Write down which of these contacts were against a rule."""
    made = [one for one in written if one[1].direction == "outbound"]
    found = [(one, NOT_PLACED) for one in made if not one[2].had(one[1].at)]
    found += [(one, rule) for one, rules in _judged(tx, made, packs) for rule in rules]
    for (event_id, line, placed, _), rule in found:
        keys = {
            "agency": agency.id, "placement": placed.id, "day": line.at.astimezone(UTC).date(), "event": event_id, "rule": rule, "at": at,
        }  # fmt: skip
        tx.execute(_FINDING, keys)
        taken.findings[rule] += 1


def _judged(
    tx: Connection, made: Sequence[tuple[int, Contact, _Placed, int]], packs: Packs
) -> Iterator[tuple[tuple[int, Contact, _Placed, int], list[str]]]:
    """Each contact with the rules that forbade it, or asked for a person, at its instant and after the contacts before it."""
    for day, group in _rounds(made):
        latest = max(line.at for _, line, _, _ in group)
        earliest = min(line.at for _, line, _, _ in group)
        parties = [party for _, _, _, party in group]
        read = read_facts(
            tx, parties=parties, at=latest, business_date=day, loans="now", history_days=HISTORY_DAYS + (latest - earliest).days + 1
        )
        instants = pl.DataFrame(
            {"party_id": parties, "judged_at": [line.at for _, line, _, _ in group], "own": [event for event, _, _, _ in group]},
            schema={"party_id": pl.Int64, "judged_at": read.history.schema["at"], "own": pl.Int64},
        )
        history = (
            read.history.join(instants, on="party_id")
            .filter((pl.col("event_id") != pl.col("own")) & (pl.col("at") <= pl.col("judged_at")))
            .select(read.history.columns)
        )
        facts = as_third_party(replace(read, history=history))
        rows = [
            {
                "candidate": number, "party_id": party, "contact_point_id": None, "channel": line.channel, "purpose": line.purpose,
                "at": line.at, "loans": [placed.loan_id], "counterparty": placed.roles[party],
                # A person dials a call; everything else a machine starts.
                "automated": line.channel != DIALLED,
            }
            for number, (_, line, placed, party) in enumerate(group)
        ]  # fmt: skip
        judged = judge(facts, pl.DataFrame(rows, schema=CANDIDATES, orient="row"), packs, when=False)
        named = judged.select(rules=pl.concat_list("blocked_by", "asked_by").list.unique(maintain_order=True))["rules"].to_list()
        yield from zip(group, named, strict=True)


def _rounds(
    made: Iterable[tuple[int, Contact, _Placed, int]],
) -> Iterator[tuple[date, list[tuple[int, Contact, _Placed, int]]]]:
    """Contacts of one date, at most one of a person at a time: each is judged after those before it."""
    rounds: defaultdict[tuple[date, int], list[tuple[int, Contact, _Placed, int]]] = defaultdict(list)
    nth: Counter[tuple[date, int]] = Counter()
    for one in sorted(made, key=lambda one: (one[1].at, one[0])):
        key = (one[1].at.astimezone(UTC).date(), one[3])
        rounds[key[0], nth[key]].append(one)
        nth[key] += 1
    for (day, _), group in sorted(rounds.items(), key=lambda item: item[0]):
        yield day, group


def _places(tx: Connection, parties: Sequence[int]) -> dict[int, str]:
    """Party → the narrowest jurisdiction that attaches, as the gate writes it down."""
    rows = [dict(row) for row in tx.execute(_PLACES, {"parties": list(parties)}).mappings()]
    schema = {"party_id": pl.Int64, **dict.fromkeys(("country", "region", "postal_code", "known_zone"), pl.String)}
    found = with_places(pl.DataFrame(rows, schema=schema, orient="row")).select("party_id", "jurisdictions")
    return {party: codes[-1] for party, codes in found.iter_rows() if codes}


def _placements(tx: Connection, agency: Agency, references: set[UUID]) -> dict[UUID, _Placed]:
    rows = tx.execute(_PLACEMENTS, {"agency": agency.id, "references": list(references)}).all()
    return {
        row.reference: _Placed(
            id=row.id,
            loan_id=row.loan_id,
            starts_at=row.starts_at,
            until_on=row.until_on,
            ended_at=row.ended_at,
            people={person_ref(row.reference, party): party for party in row.people},
            roles=dict(zip(row.people, row.roles, strict=True)),
            points={point_ref(row.reference, point): point for point in row.points or ()},
        )
        for row in rows
    }


_PLACEMENTS = text("""
    SELECT p.id, p.reference, p.loan_id, p.starts_at, p.until_on, p.ended_at, w.people, w.roles,
           (SELECT array_agg(c.id) FROM contact_point c WHERE c.party_id = ANY(w.people)) AS points
    FROM placement p
    CROSS JOIN LATERAL (
        SELECT array_agg(x.party_id ORDER BY x.party_id) AS people, array_agg(x.role ORDER BY x.party_id) AS roles FROM (
            SELECT DISTINCT ON (lp.party_id) lp.party_id, lp.role FROM loan_party lp
            WHERE lp.loan_id = p.loan_id AND lp.superseded_at IS NULL AND lp.role IN ('borrower', 'co_borrower', 'guarantor')
            ORDER BY lp.party_id, array_position(ARRAY['borrower', 'co_borrower', 'guarantor'], lp.role)) x) w
    WHERE p.agency_id = :agency AND p.reference = ANY(CAST(:references AS uuid[]))
""")
_ACKNOWLEDGE = text("""
    WITH known AS (SELECT id, acknowledged_at FROM agency_feed WHERE agency_id = :agency AND number = :number FOR UPDATE),
    said AS (
        UPDATE agency_feed f SET acknowledged_at = :at FROM known k WHERE f.id = k.id AND k.acknowledged_at IS NULL RETURNING f.id
    )
    SELECT EXISTS (SELECT FROM said) AS is_new FROM known
""")
_HEARD_BEFORE = text("""
    SELECT 1 FROM case_event e JOIN borrower_case c ON c.id = e.case_id WHERE c.party_id = :party AND e.reference = :reference LIMIT 1
""")
_PLACES = text("""
    SELECT party_id, country, region, postal_code, known_zone FROM party_version WHERE party_id = ANY(:parties) AND superseded_at IS NULL
""")
_BEFORE = text("""
    SELECT 1 FROM case_event e JOIN borrower_case c ON c.id = e.case_id WHERE c.party_id = :party AND e.reference = :reference LIMIT 1
""")
_JURISDICTIONS = text("""
    SELECT v.party_id, CASE WHEN v.region IS NULL THEN v.country WHEN v.region LIKE v.country || '-%' THEN v.region
                            ELSE v.country || '-' || v.region END
    FROM party_version v WHERE v.party_id = ANY(:parties) AND v.superseded_at IS NULL
""")
_BEFORE = text("""
    SELECT external_id, id, party_id, at, channel, direction, result FROM contact_event
    WHERE party_id = ANY(:parties) AND source = :source AND external_id IS NOT NULL
""")
_INSERT = text("""
    INSERT INTO contact_event (business_date, party_id, at, channel, direction, loans, contact_point_id, counterparty, purpose, result,
                               counts, jurisdiction, external_id, source)
    VALUES (:day, :party, :at, :channel, :direction, :loans, :point, :counterparty, :purpose, :result, :counts, :jurisdiction, :external_id,
            :source)
    ON CONFLICT (business_date, source, external_id) WHERE external_id IS NOT NULL DO NOTHING
    RETURNING external_id, id, party_id, at, channel, direction, result
""")
_FINDING = text("""
    INSERT INTO agency_finding (agency_id, placement_id, event_business_date, event_id, rule, at)
    VALUES (:agency, :placement, :day, :event, :rule, :at) ON CONFLICT (event_id, rule) DO NOTHING
""")
_FINDINGS = text("""
    SELECT a.code AS agency, f.placement_id, f.event_business_date AS business_date, f.event_id, c.at, c.channel, f.rule, f.at AS found_at
    FROM agency_finding f JOIN agency a ON a.id = f.agency_id
    JOIN contact_event c ON c.business_date = f.event_business_date AND c.id = f.event_id
    WHERE (CAST(:agency AS bigint) IS NULL OR f.agency_id = :agency)
      AND (CAST(:since AS date) IS NULL OR f.event_business_date >= CAST(:since AS date))
    ORDER BY f.event_business_date DESC, f.event_id DESC, f.rule
""")
