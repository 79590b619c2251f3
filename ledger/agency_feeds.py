"""Feeds: what an agency is told of the loans that it has, each thing once; and whether it has said that it read it.

A feed is made of items (which row of which kind), so that it can be written again after a crash. Of what stands in the ledger an agency
gets what it needs and no more: how to reach a person, what is owed, when and how she is to be left in peace. Not why: a hold is told
without its kind.

In:   a connection inside a transaction; an agency; the business instant.
Out:  rows of `agency_feed`, `agency_feed_item`; the lines of a feed, personal: encrypted before they are written anywhere.
Pure: no; reads and writes the ledger.
Source: docs/agencies.md, which names every field; docs/adr/0062.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, text

from ledger import vault
from ledger.agencies import Agency, AgencyRefused
from ledger.agency_lines import person_ref, point_ref
from ledger.aging_facts import age_loans
from ledger.placements import lenders_date

# What a person who is to be left in peace is to the agency.
NO_CONTACT: Final = "no_contact"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One file for an agency.

    Attributes:
        id: Ours.
        number: Of the agency's feeds, from 1 on.
        counts: Kind → lines.
        content: JSON lines; personal.
    """

    id: int
    number: int
    counts: Mapping[str, int]
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedState:
    """How it stands with a feed."""

    agency: str
    number: int
    business_date: date
    lines: int
    acknowledged_at: datetime | None


def news(tx: Connection, agency: Agency, *, at: datetime) -> dict[str, int]:
    """What the agency has not been told yet, by kind."""
    return {row.kind: row.told for row in tx.execute(_COUNT_NEWS, {"agency": agency.id, "at": at})}


def make(tx: Connection, agency: Agency, *, at: datetime) -> Feed | None:
    """The next feed of an agency; None where there is nothing new."""
    tx.execute(_LOCK, {"agency": agency.id})
    if not news(tx, agency, at=at):
        return None
    row = tx.execute(_FEED, {"agency": agency.id, "on": lenders_date(at), "at": at}).one()
    tx.execute(_ITEMS, {"agency": agency.id, "feed": row.id, "at": at})
    feed = _written(tx, row.id, row.number, at=at)
    tx.execute(_CLOSE, {"id": row.id, "lines": sum(feed.counts.values()), "hash": sha256(feed.content).digest()})
    return feed


def again(tx: Connection, agency: Agency, number: int, *, at: datetime) -> Feed:
    """A feed that was made before, with its items as they stand now.

    Raises:
        AgencyRefused: There is none of that number.
    """
    feed_id = tx.execute(_FIND, {"agency": agency.id, "number": number}).scalar()
    if feed_id is None:
        raise AgencyRefused(f"{agency.code} has no feed {number}")
    return _written(tx, feed_id, number, at=at)


def states(tx: Connection, *, agency_id: int | None = None, open_only: bool = False) -> list[FeedState]:
    """Feeds and whether they were acknowledged, the newest first."""
    return [FeedState(**row) for row in tx.execute(_STATES, {"agency": agency_id, "open": open_only}).mappings()]


def late(tx: Connection, *, on: date) -> list[FeedState]:
    """Feeds of an earlier date of the lender's that nobody has acknowledged."""
    return [one for one in states(tx, open_only=True) if one.business_date < on]


def tell_late(tx: Connection, *, on: date) -> list[FeedState]:
    """As `late`, those that people were not told of today; from now on they were."""
    told = {(row.code, row.number) for row in tx.execute(_TELL_LATE, {"on": on})}
    return [one for one in late(tx, on=on) if (one.agency, one.number) in told]


def _written(tx: Connection, feed_id: int, number: int, *, at: datetime) -> Feed:
    counts: defaultdict[str, int] = defaultdict(int)
    lines = [{"kind": "feed", "number": number, "made_at": at.isoformat()}]
    for line in _lines(tx, feed_id, at):
        counts[line["kind"]] += 1
        lines.append(line)
    content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
    return Feed(id=feed_id, number=number, counts=dict(counts), content=content)


def _lines(tx: Connection, feed_id: int, at: datetime) -> Iterator[dict[str, Any]]:
    asked = {"feed": feed_id}
    placed = tx.execute(_PLACED, asked).all()
    named = tx.execute(_PEOPLE, {"loans": [row.loan_id for row in placed]}).all()
    reached = tx.execute(_POINTS, {"parties": [row.party_id for row in named]}).all()
    vault.learn(tx, [row.key_id for row in (*named, *reached)])
    people, points = _by(named, "loan_id"), _by(reached, "party_id")
    owed = {
        row["loan_id"]: row for row in age_loans(tx, [row.loan_id for row in placed], business_date=lenders_date(at)).iter_rows(named=True)
    }
    for row in placed:
        yield _placed(row, owed.get(row.loan_id), people[row.loan_id], points, lenders_date(at))
    for row in tx.execute(_RECALLED, asked):
        yield {"kind": "recalled", "placement": str(row.reference), "at": row.ended_at.isoformat()}
    for row in tx.execute(_HOLDS, asked):
        yield {
            "kind": "hold", **_whose(row), "do": NO_CONTACT, "channel": row.channel, "from": row.starts_at.isoformat(),
            "until": None if row.until is None else row.until.isoformat(),
        }  # fmt: skip
    for row in tx.execute(_OPT_OUTS, asked):
        yield {
            "kind": "opt_out", **_whose(row), "channel": row.channel,
            "point": None if row.contact_point_id is None else point_ref(row.reference, row.contact_point_id),
            "from": row.at.isoformat(), "until": None if row.until is None else row.until.isoformat(),
        }  # fmt: skip
    for row in tx.execute(_WISHES, asked):
        yield {
            "kind": "wish", **_whose(row), "what": row.kind, "days": row.days, "opens": row.opens, "closes": row.closes, "place": row.place,
            "channels": row.channels, "from": row.starts_at.isoformat(), "until": None if row.until is None else row.until.isoformat(),
        }  # fmt: skip
    for row in tx.execute(_PAYMENTS, asked):
        yield {
            "kind": "payment", "placement": str(row.reference), "amount_minor": row.amount_minor, "currency": row.currency,
            "paid_on": row.paid_on.isoformat(), "state": row.state,
        }  # fmt: skip


def _placed(
    row: Any, owed: Mapping[str, Any] | None, people: Sequence[Any], points: Mapping[int, Sequence[Any]], on: date
) -> dict[str, Any]:
    return {
        "kind": "placed",
        "placement": str(row.reference),
        "creditor": row.creditor,
        "loan": row.loan,
        "from": row.starts_at.isoformat(),
        "until": row.until_on.isoformat(),
        "currency": row.currency,
        "past_due_minor": 0 if owed is None else owed["past_due_minor"],
        "outstanding_minor": 0 if owed is None else owed["outstanding_minor"],
        "as_of": on.isoformat(),
        "people": [_person(row.reference, one, points.get(one.party_id, ())) for one in people],
    }


def _person(reference: UUID, person: Any, points: Sequence[Any]) -> dict[str, Any]:
    return {
        "person": person_ref(reference, person.party_id),
        "role": person.role,
        "name": None if person.name_encrypted is None else vault.decrypt(person.name_encrypted, person.key_id),
        "locale": person.locale,
        "country": person.country,
        "zones": person.zones,
        "points": [
            {
                "point": point_ref(reference, one.contact_point_id),
                "kind": one.kind,
                "value": vault.decrypt(one.value_encrypted, one.key_id),
            }
            for one in points
        ],
    }


def _whose(row: Any) -> dict[str, str]:
    return {"placement": str(row.reference), "person": person_ref(row.reference, row.party_id)}


def _by(rows: Sequence[Any], name: str) -> defaultdict[int, list[Any]]:
    found: defaultdict[int, list[Any]] = defaultdict(list)
    for row in rows:
        found[getattr(row, name)].append(row)
    return found


_LOCK = text("SELECT id FROM agency WHERE id = :agency FOR UPDATE")
_FEED = text("""
    INSERT INTO agency_feed (agency_id, number, business_date, lines, content_hash, made_at)
    SELECT :agency, coalesce(max(number), 0) + 1, :on, 0, ''::bytea, :at FROM agency_feed WHERE agency_id = :agency
    RETURNING id, number
""")
_CLOSE = text("UPDATE agency_feed SET lines = :lines, content_hash = :hash WHERE id = :id")
_FIND = text("SELECT id FROM agency_feed WHERE agency_id = :agency AND number = :number")
# What was known before the loan was placed is told where it still holds; a version that ends something is a row of its own.
_NEWS = """
    WITH mine AS (
        SELECT p.* FROM placement p
        WHERE p.agency_id = :agency AND (p.ended_at IS NULL OR (
            EXISTS (SELECT FROM agency_feed_item i WHERE i.placement_id = p.id AND i.kind = 'placed')
            AND NOT EXISTS (SELECT FROM agency_feed_item i WHERE i.placement_id = p.id AND i.kind = 'recalled')))
    ), people AS (
        SELECT DISTINCT m.id, m.loan_id, m.recorded_at, lp.party_id FROM mine m
        JOIN loan_party lp ON lp.loan_id = m.loan_id AND lp.superseded_at IS NULL AND lp.role IN ('borrower', 'co_borrower', 'guarantor')
        WHERE m.ended_at IS NULL
    ), facts AS (
        SELECT id AS placement_id, CASE WHEN ended_at IS NULL THEN 'placed' ELSE 'recalled' END AS kind, id AS subject_id FROM mine
        UNION ALL
        SELECT w.id, 'hold', h.id FROM people w JOIN hold h ON h.party_id = w.party_id AND h.superseded_at IS NULL AND h.kind <> 'placed'
        WHERE (h.loan_id IS NULL OR h.loan_id = w.loan_id) AND (h.until IS NULL OR h.until > :at OR h.recorded_at > w.recorded_at)
        UNION ALL
        SELECT w.id, 'opt_out', o.id FROM people w JOIN opt_out o ON o.party_id = w.party_id AND o.superseded_at IS NULL
        WHERE o.until IS NULL OR o.until > :at OR o.recorded_at > w.recorded_at
        UNION ALL
        SELECT w.id, 'wish', s.id FROM people w JOIN wish s ON s.party_id = w.party_id AND s.superseded_at IS NULL
        WHERE s.until IS NULL OR s.until > :at OR s.recorded_at > w.recorded_at
        UNION ALL
        SELECT m.id, 'payment', y.id FROM mine m JOIN payment y ON y.loan_id = m.loan_id AND y.superseded_at IS NULL
        WHERE m.ended_at IS NULL AND y.recorded_at > m.recorded_at AND y.state <> 'claimed'
    ), news AS (
        SELECT * FROM facts f WHERE NOT EXISTS (
            SELECT FROM agency_feed_item i WHERE i.placement_id = f.placement_id AND i.kind = f.kind AND i.subject_id = f.subject_id)
    )
"""
_COUNT_NEWS = text(f"{_NEWS} SELECT kind, count(*) AS told FROM news GROUP BY kind ORDER BY kind")  # noqa: S608  # no text from outside
_ITEMS = text(f"""
    {_NEWS}
    INSERT INTO agency_feed_item (feed_id, placement_id, kind, subject_id)
    SELECT :feed, placement_id, kind, subject_id FROM news ORDER BY placement_id, kind, subject_id
    ON CONFLICT (placement_id, kind, subject_id) DO NOTHING
""")  # noqa: S608  # no text from outside
_STATES = text("""
    SELECT a.code AS agency, f.number, f.business_date, f.lines, f.acknowledged_at FROM agency_feed f JOIN agency a ON a.id = f.agency_id
    WHERE (CAST(:agency AS bigint) IS NULL OR f.agency_id = :agency) AND (NOT CAST(:open AS boolean) OR f.acknowledged_at IS NULL)
    ORDER BY f.made_at DESC, f.id DESC
""")
_TELL_LATE = text("""
    UPDATE agency_feed f SET told_late_on = :on FROM agency a
    WHERE a.id = f.agency_id AND f.acknowledged_at IS NULL AND f.business_date < :on AND (f.told_late_on IS NULL OR f.told_late_on < :on)
    RETURNING a.code, f.number
""")
_PLACED = text("""
    SELECT p.reference, p.loan_id, p.starts_at, p.until_on, c.name AS creditor, coalesce(v.account, l.external_id) AS loan, v.currency
    FROM agency_feed_item i JOIN placement p ON p.id = i.placement_id JOIN loan l ON l.id = p.loan_id
    JOIN creditor c ON c.id = l.creditor_id JOIN loan_version v ON v.loan_id = l.id AND v.superseded_at IS NULL
    WHERE i.feed_id = :feed AND i.kind = 'placed' ORDER BY i.id
""")
_PEOPLE = text("""
    SELECT DISTINCT ON (lp.loan_id, lp.party_id) lp.loan_id, lp.party_id, lp.role, v.name_encrypted, v.key_id, v.locale, v.country, v.zones
    FROM loan_party lp JOIN party_version v ON v.party_id = lp.party_id AND v.superseded_at IS NULL
    WHERE lp.loan_id = ANY(:loans) AND lp.superseded_at IS NULL AND lp.role IN ('borrower', 'co_borrower', 'guarantor')
    ORDER BY lp.loan_id, lp.party_id, array_position(ARRAY['borrower', 'co_borrower', 'guarantor'], lp.role)
""")
# Her own alone, and what no machine needs: not an employer's number, nor one that somebody else has.
_POINTS = text("""
    SELECT c.party_id, c.id AS contact_point_id, c.kind, v.value_encrypted, v.key_id FROM contact_point c
    JOIN contact_point_version v ON v.contact_point_id = c.id AND v.superseded_at IS NULL
    LEFT JOIN contact_value w ON w.blind_index = v.blind_index AND w.superseded_at IS NULL
    WHERE c.party_id = ANY(:parties) AND c.kind IN ('mobile', 'landline', 'email', 'address') AND v.status = 'active'
      AND v.owner IN ('borrower', 'co_borrower', 'guarantor') AND NOT v.employer_owned
      AND coalesce(w.ownership, 'claimed') IN ('claimed', 'verified')
    ORDER BY c.party_id, c.id
""")
_RECALLED = text("""
    SELECT p.reference, p.ended_at FROM agency_feed_item i JOIN placement p ON p.id = i.placement_id
    WHERE i.feed_id = :feed AND i.kind = 'recalled' ORDER BY i.id
""")
_OF_ITEM = "agency_feed_item i JOIN placement p ON p.id = i.placement_id"
_HOLDS = text(f"""
    SELECT p.reference, h.party_id, h.channel, h.starts_at, h.until FROM {_OF_ITEM} JOIN hold h ON h.id = i.subject_id
    WHERE i.feed_id = :feed AND i.kind = 'hold' ORDER BY i.id
""")  # noqa: S608  # no text from outside
_OPT_OUTS = text(f"""
    SELECT p.reference, o.party_id, o.channel, o.contact_point_id, o.at, o.until FROM {_OF_ITEM} JOIN opt_out o ON o.id = i.subject_id
    WHERE i.feed_id = :feed AND i.kind = 'opt_out' ORDER BY i.id
""")  # noqa: S608  # no text from outside
_WISHES = text(f"""
    SELECT p.reference, s.* FROM {_OF_ITEM} JOIN wish s ON s.id = i.subject_id
    WHERE i.feed_id = :feed AND i.kind = 'wish' ORDER BY i.id
""")  # noqa: S608  # no text from outside
_PAYMENTS = text(f"""
    SELECT p.reference, y.amount_minor, y.paid_on, y.state, v.currency FROM {_OF_ITEM} JOIN payment y ON y.id = i.subject_id
    JOIN loan_version v ON v.loan_id = y.loan_id AND v.superseded_at IS NULL
    WHERE i.feed_id = :feed AND i.kind = 'payment' ORDER BY i.id
""")  # noqa: S608  # no text from outside
