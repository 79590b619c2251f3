"""The phone team's agents: languages, jurisdictions, certificates and shifts, as their roster says.

In:   a connection; a roster's lines; who says so.
Out:  rows of `agent`, `agent_certificate`, `agent_shift`; `decisions.agents.Agent`.
Pure: no; reads and writes the ledger. Reading the same roster twice changes nothing.
Source: docs/adr/0056.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from decisions.agents import Agent, Certificate, Shift
from ledger import vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An agent as a roster has her.

    Attributes:
        name: What the ledger calls her.
        languages: BCP 47 tags.
        jurisdictions: Whose people she may call.
        certificates: With the reference under which its issuer knows each.
        shifts: From their dates on; hers that are not among them end.
        staff_id: Who she is at the desks; None = she works on a terminal alone.
        phone: Hers, E.164; None = she dials by herself.
    """

    name: str
    languages: tuple[str, ...]
    jurisdictions: tuple[str, ...]
    certificates: tuple[tuple[Certificate, str], ...]
    shifts: tuple[Shift, ...]
    staff_id: int | None = None
    phone: str | None = field(default=None, repr=False)


def put(tx: Connection, line: Line, *, by: str, on: date) -> int:
    """Write an agent down as a roster has her, from a date on; returns her id.

    Shifts and certificates of hers that the roster has no more end on that date.
    """
    encrypted, key_id = vault.encrypt(line.phone) if line.phone else (None, None)
    keys = {"name": line.name, "languages": list(line.languages), "jurisdictions": list(line.jurisdictions), "by": by}
    agent_id = int(tx.execute(_PUT, {**keys, "staff": line.staff_id, "phone": encrypted, "key": key_id}).scalar_one())
    held = [one for one, _ in line.certificates]
    for kind, jurisdiction, since in {
        (row.kind, row.jurisdiction, row.valid_from) for row in tx.execute(_CERTIFICATES, {"agents": [agent_id]})
    } - {(one.kind, one.jurisdiction, one.valid_from) for one in held}:
        gone = {"agent": agent_id, "kind": kind, "jurisdiction": jurisdiction, "since": since, "on": on}
        tx.execute(_DROP_CERTIFICATE if since >= on else _END_CERTIFICATE, gone)
    for one, reference in line.certificates:
        tx.execute(
            _CERTIFICATE,
            {
                "agent": agent_id,
                "kind": one.kind,
                "jurisdiction": one.jurisdiction,
                "reference": reference,
                "since": one.valid_from,
                "until": one.valid_until,
                "by": by,
            },
        )
    kept = [_shift_keys(agent_id, shift, by) for shift in line.shifts]
    own = [(row.weekday, row.opens, row.starts_on) for row in tx.execute(_OPEN_SHIFTS, {"agent": agent_id, "on": on})]
    for weekday, opens, starts_on in set(own) - {(one["weekday"], one["opens"], one["since"]) for one in kept}:
        tx.execute(_END_SHIFT, {"agent": agent_id, "weekday": weekday, "opens": opens, "since": starts_on, "on": on})
    for written in kept:
        tx.execute(_SHIFT, written)
    return agent_id


def leave(tx: Connection, name: str, *, at: datetime) -> bool:
    """Say that an agent calls nobody any more; False where no agent of that name does."""
    return tx.execute(_LEAVE, {"name": name, "at": at}).rowcount == 1


def find(tx: Connection, name: str) -> Agent | None:
    """The agent of a name; None where nobody who calls people is known by it."""
    return next(iter(_read(tx, name=name)), None)


def find_of_staff(tx: Connection, staff_id: int) -> Agent | None:
    """Who calls people under this number of the staff; None where she does not."""
    name = tx.execute(_NAME_OF_STAFF, {"staff": staff_id}).scalar()
    return None if name is None else find(tx, name)


def everybody(tx: Connection) -> list[Agent]:
    """All who call people, by name."""
    return _read(tx, name=None)


def phone_of(tx: Connection, agent_id: int) -> str | None:
    """The number that rings for an agent; None = she dials by herself."""
    row = tx.execute(_PHONE, {"agent": agent_id}).one_or_none()
    return None if row is None else vault.decrypt(row.phone_encrypted, row.phone_key_id)


def _shift_keys(agent_id: int, shift: Shift, by: str) -> dict[str, Any]:
    return {
        "agent": agent_id,
        "weekday": shift.weekday,
        "opens": shift.opens,
        "closes": shift.closes,
        "zone": shift.zone,
        "since": shift.starts_on,
        "until": shift.ends_on,
        "by": by,
    }


def _read(tx: Connection, *, name: str | None) -> list[Agent]:
    found = tx.execute(_AGENTS, {"name": name}).all()
    ids = [row.id for row in found]
    certificates = _by_agent(tx.execute(_CERTIFICATES, {"agents": ids}).all())
    shifts = _by_agent(tx.execute(_SHIFTS, {"agents": ids}).all())
    return [
        Agent(
            id=row.id,
            name=row.name,
            languages=tuple(row.languages),
            jurisdictions=tuple(row.jurisdictions),
            certificates=tuple(
                Certificate(kind=one.kind, jurisdiction=one.jurisdiction, valid_from=one.valid_from, valid_until=one.valid_until)
                for one in certificates[row.id]
            ),
            shifts=tuple(
                Shift(weekday=one.weekday, opens=one.opens, closes=one.closes, zone=one.zone, starts_on=one.starts_on, ends_on=one.ends_on)
                for one in shifts[row.id]
            ),
        )
        for row in found
    ]


def _by_agent(rows: Sequence[Row[Any]]) -> defaultdict[int, list[Row[Any]]]:
    found: defaultdict[int, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        found[row.agent_id].append(row)
    return found


_PUT = text("""
    INSERT INTO agent (name, staff_id, languages, jurisdictions, phone_encrypted, phone_key_id, said_by)
    VALUES (:name, CAST(:staff AS bigint), :languages, :jurisdictions, CAST(:phone AS bytea), :key, :by)
    ON CONFLICT (name) DO UPDATE
    SET staff_id = excluded.staff_id, languages = excluded.languages, jurisdictions = excluded.jurisdictions,
        phone_encrypted = excluded.phone_encrypted,
        phone_key_id = excluded.phone_key_id, said_by = excluded.said_by, left_at = NULL
    RETURNING id
""")
_CERTIFICATE = text("""
    INSERT INTO agent_certificate (agent_id, kind, jurisdiction, reference, valid_from, valid_until, said_by)
    VALUES (:agent, :kind, :jurisdiction, :reference, :since, :until, :by)
    ON CONFLICT ON CONSTRAINT agent_certificate_once DO UPDATE
    SET valid_until = excluded.valid_until, reference = excluded.reference, said_by = excluded.said_by
""")
_END_CERTIFICATE = text("""
    UPDATE agent_certificate SET valid_until = least(valid_until, CAST(:on AS date))
    WHERE agent_id = :agent AND kind = :kind AND jurisdiction = :jurisdiction AND valid_from = :since
""")
# It was never in force.
_DROP_CERTIFICATE = text("""
    DELETE FROM agent_certificate WHERE agent_id = :agent AND kind = :kind AND jurisdiction = :jurisdiction AND valid_from = :since
""")
_OPEN_SHIFTS = text("SELECT weekday, opens, starts_on FROM agent_shift WHERE agent_id = :agent AND (ends_on IS NULL OR ends_on > :on)")
_END_SHIFT = text("""
    UPDATE agent_shift SET ends_on = greatest(starts_on, CAST(:on AS date))
    WHERE agent_id = :agent AND weekday = :weekday AND opens = :opens AND starts_on = :since
""")
_SHIFT = text("""
    INSERT INTO agent_shift (agent_id, weekday, opens, closes, zone, starts_on, ends_on, said_by)
    VALUES (:agent, :weekday, :opens, :closes, :zone, :since, CAST(:until AS date), :by)
    ON CONFLICT ON CONSTRAINT agent_shift_once DO UPDATE
    SET closes = excluded.closes, zone = excluded.zone, ends_on = excluded.ends_on, said_by = excluded.said_by
""")
_NAME_OF_STAFF = text("SELECT name FROM agent WHERE staff_id = :staff AND left_at IS NULL")
_LEAVE = text("UPDATE agent SET left_at = :at WHERE name = :name AND left_at IS NULL")
_AGENTS = text("""
    SELECT id, name, languages, jurisdictions FROM agent
    WHERE left_at IS NULL AND (CAST(:name AS text) IS NULL OR name = :name) ORDER BY name
""")
_CERTIFICATES = text("""
    SELECT agent_id, kind, jurisdiction, valid_from, valid_until FROM agent_certificate
    WHERE agent_id = ANY(:agents) ORDER BY agent_id, jurisdiction, kind, valid_from
""")
_SHIFTS = text("""
    SELECT agent_id, weekday, opens, closes, zone, starts_on, ends_on FROM agent_shift
    WHERE agent_id = ANY(:agents) ORDER BY agent_id, weekday, opens
""")
_PHONE = text("SELECT phone_encrypted, phone_key_id FROM agent WHERE id = :agent AND phone_encrypted IS NOT NULL AND left_at IS NULL")
