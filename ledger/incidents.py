"""Incidents: what went wrong, for whom, what was done about it, and who of them was told so.

The list of people is chosen once, by a selection over attempts, an import batch or named borrowers, and does not change any
more. Notes are append-only. Ids only: no name, no number, no text.

In:   a connection inside a transaction; a selection, or an incident's number.
Out:  rows of `incident`, `incident_person`, `incident_note`; lists of ids and counts.
Pure: no; reads and writes the ledger.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql import bindparam

from decisions.personal import looks_personal
from decisions.service_messages import REACHED
from ledger.tables import INCIDENT_KINDS
from ledger.withdrawals import OF_BATCH

CLOSED: Final = "closed"


class IncidentRefused(RuntimeError):
    """It was not written down; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Whom an incident concerns; all that is given must hold.

    Attributes:
        run: Attempts of this campaign run.
        message: Attempts with this message (folder in config/messages), …
        version: … or with the text of this hash, or its beginning.
        channel: Attempts by this channel.
        since: Let go by the gate at this business instant or later, and
        until: before this one.
        batch: People of whom this import said something; of their attempts those that were let go after it.
        borrowers: These people (our ids).
    """

    run: int | None = None
    message: str | None = None
    version: str | None = None
    channel: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    batch: int | None = None
    borrowers: tuple[int, ...] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it would choose everybody."""
        return all(value is None for value in asdict(self).values())

    def as_json(self) -> dict[str, Any]:
        """What is given."""
        return {
            name: value.isoformat() if isinstance(value, datetime) else list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if value is not None
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Concerned:
    """A list in counts.

    Attributes:
        people: Persons.
        attempts: Attempts to reach them with what was wrong.
        reached: Persons to whom one of these went out, as far as is known now.
    """

    people: int
    attempts: int
    reached: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """An incident as it stands.

    Attributes:
        id: Number.
        kind: One of `ledger.tables.INCIDENT_KINDS`.
        title: In somebody's words.
        state: `open` or `closed`.
        since: When it began; None = not said.
        until: When it ended; None = not said.
        selection: How its list was chosen.
        opened_by: Who.
        opened_at: Business instant.
        concerned: Its list, in counts.
        corrections: State → corrections to its people.
    """

    id: int
    kind: str
    title: str
    state: str
    since: datetime | None
    until: datetime | None
    selection: dict[str, Any]
    opened_by: str
    opened_at: datetime
    concerned: Concerned
    corrections: dict[str, int]


def refuse_personal(*said: str) -> None:
    """Refuse words that hold a phone number or an address.

    Raises:
        IncidentRefused: They do, or they are empty.
    """
    if not all(one.strip() for one in said):
        raise IncidentRefused("say who and what: an empty word explains nothing")
    if any(looks_personal(one) for one in said):
        raise IncidentRefused("this looks like a number or an address of a person: name borrowers and attempts by our ids alone")


def count(connection: Connection, selection: Selection) -> Concerned:
    """What a selection would choose, in counts.

    Raises:
        IncidentRefused: It would choose everybody, or names a run or a batch that there is none of.
    """
    row = connection.execute(_COUNT, _keys(connection, selection)).one()
    return Concerned(people=row.people, attempts=row.attempts, reached=row.reached)


def open_incident(connection: Connection, *, kind: str, title: str, by: str, selection: Selection, at: datetime) -> int:
    """Open an incident and freeze its list.

    Returns:
        Its number.

    Raises:
        IncidentRefused: An unknown kind, personal words, or a selection that cannot be.
    """
    if kind not in INCIDENT_KINDS:
        raise IncidentRefused(f"no kind {kind!r}; there are {', '.join(INCIDENT_KINDS)}")
    refuse_personal(title, by)
    keys = _keys(connection, selection)
    written = {"kind": kind, "title": title.strip(), "by": by.strip(), "selection": selection.as_json(), "at": at}
    number = int(connection.execute(_OPEN, {**written, "since": selection.since, "until": selection.until}).scalar_one())
    connection.execute(_FREEZE, {**keys, "incident": number})
    return number


def lock(connection: Connection, incident_id: int) -> None:
    """Hold an incident until the transaction ends.

    Raises:
        IncidentRefused: There is none with this number.
    """
    if connection.execute(_LOCK, {"id": incident_id}).scalar() is None:
        raise IncidentRefused(f"no incident {incident_id}; `tideover incident list --all` names them")


def read(connection: Connection, incident_id: int) -> Incident:
    """One incident.

    Raises:
        IncidentRefused: There is none with this number.
    """
    found = _read(connection, incident_id=incident_id)
    if not found:
        raise IncidentRefused(f"no incident {incident_id}; `tideover incident list --all` names them")
    return found[0]


def read_all(connection: Connection, *, closed_too: bool) -> list[Incident]:
    """Incidents, the newest first."""
    return [one for one in _read(connection, incident_id=None) if closed_too or one.state != CLOSED]


def affected(connection: Connection, incident_id: int, *, after: int, at_most: int) -> list[dict[str, Any]]:
    """People of an incident after a party id: party, attempts, whether one reached them, their correction's state."""
    keys = {"id": incident_id, "scope": scope_of(incident_id), "after": after, "at_most": at_most}
    return [dict(row) for row in connection.execute(_AFFECTED, keys).mappings()]


def notes(connection: Connection, incident_id: int) -> list[dict[str, Any]]:
    """What was done and written, oldest first."""
    return [dict(row) for row in connection.execute(_NOTES, {"id": incident_id}).mappings()]


def note(connection: Connection, incident_id: int, *, said: str, by: str, at: datetime, kind: str = "note") -> None:
    """Write something down.

    Raises:
        IncidentRefused: Personal or empty words.
    """
    refuse_personal(said, by)
    connection.execute(_NOTE, {"id": incident_id, "kind": kind, "by": by.strip(), "said": said.strip(), "at": at})


def to_correct(connection: Connection, incident_id: int) -> pl.DataFrame:
    """Where something wrong reached people of an incident who have got no correction and wait for none.

    Returns:
        `REACHED`, one row a contact point, by party.
    """
    rows = connection.execute(_TO_CORRECT, {"id": incident_id, "scope": scope_of(incident_id)}).all()
    return pl.DataFrame([tuple(row) for row in rows], schema=REACHED, orient="row")


def scope_of(incident_id: int) -> str:
    """What the runs of an incident's corrections are about."""
    return f"incident-{incident_id}"


def _keys(connection: Connection, selection: Selection) -> dict[str, Any]:
    if selection.is_empty:
        raise IncidentRefused("say whom it concerns: a run, a message, an import batch, a channel and a time, or borrowers")
    if selection.run is not None and connection.execute(_RUN, {"id": selection.run}).scalar() is None:
        raise IncidentRefused(f"no campaign run {selection.run}")
    if selection.batch is not None and connection.execute(_BATCH, {"id": selection.batch}).scalar() is None:
        raise IncidentRefused(f"no import batch {selection.batch}")
    if selection.since is not None and selection.until is not None and selection.until < selection.since:
        raise IncidentRefused("it would have ended before it began")
    chosen = asdict(selection)
    return {**chosen, "borrowers": None if selection.borrowers is None else list(selection.borrowers)}


def _read(connection: Connection, *, incident_id: int | None) -> list[Incident]:
    return [
        Incident(
            id=row.id,
            kind=row.kind,
            title=row.title,
            state=row.state,
            since=row.since,
            until=row.until,
            selection=row.selection,
            opened_by=row.opened_by,
            opened_at=row.opened_at,
            concerned=Concerned(people=row.people, attempts=row.attempts, reached=row.reached),
            corrections={state: number for state, number in connection.execute(_CORRECTIONS, {"scope": scope_of(row.id)})},  # noqa: C416  # rows are no tuples to dict()
        )
        for row in connection.execute(_READ, {"id": incident_id})
    ]


# Who got what was wrong, as far as is known: it was taken, and nobody has said that it did not arrive.
_REACHED = "('accepted', 'sent', 'delivered', 'read', 'replied')"
# People by themselves where a batch or borrowers are named; else whoever has an attempt that is chosen.
_CHOSEN = f"""
    WITH tried AS (
        SELECT a.party_id, a.id, a.state FROM attempt a
        WHERE a.submitted_at IS NOT NULL
          AND (CAST(:run AS bigint) IS NULL OR a.campaign_run_id = :run)
          AND (CAST(:message AS text) IS NULL OR a.message = :message)
          AND (CAST(:version AS text) IS NULL OR starts_with(a.permit ->> 'text', :version))
          AND (CAST(:channel AS text) IS NULL OR a.channel = :channel)
          AND (CAST(:since AS timestamptz) IS NULL OR a.submitted_at >= :since)
          AND (CAST(:until AS timestamptz) IS NULL OR a.submitted_at < :until)
          AND (CAST(:batch AS bigint) IS NULL
               OR (a.permit ->> 'issued_at')::timestamptz >= (SELECT started_at FROM import_batch WHERE id = :batch))
    ), people AS (
        SELECT party_id FROM ({OF_BATCH}) b WHERE CAST(:batch AS bigint) IS NOT NULL
          AND (CAST(:borrowers AS bigint[]) IS NULL OR party_id = ANY(CAST(:borrowers AS bigint[])))
        UNION SELECT id FROM party WHERE CAST(:batch AS bigint) IS NULL AND id = ANY(CAST(:borrowers AS bigint[]))
        UNION SELECT party_id FROM tried WHERE CAST(:batch AS bigint) IS NULL AND CAST(:borrowers AS bigint[]) IS NULL
    ), chosen AS (
        SELECT p.party_id, coalesce(array_agg(t.id ORDER BY t.id) FILTER (WHERE t.id IS NOT NULL), '{{}}') AS attempts,
               coalesce(bool_or(t.state IN {_REACHED}), false) AS reached
        FROM people p LEFT JOIN tried t ON t.party_id = p.party_id GROUP BY p.party_id
    )
"""  # noqa: S608  # our own words
_COUNT = text(
    f"{_CHOSEN} SELECT count(*) AS people, coalesce(sum(cardinality(attempts)), 0)::bigint AS attempts,"  # noqa: S608  # as above
    " count(*) FILTER (WHERE reached) AS reached FROM chosen"
)
_FREEZE = text(f"{_CHOSEN} INSERT INTO incident_person (incident_id, party_id, attempts) SELECT :incident, party_id, attempts FROM chosen")  # noqa: S608  # as above
_OPEN = text("""
    INSERT INTO incident (kind, title, since, until, selection, opened_by, opened_at)
    VALUES (:kind, :title, :since, :until, :selection, :by, :at) RETURNING id
""").bindparams(bindparam("selection", type_=JSONB))
_LOCK = text("SELECT id FROM incident WHERE id = :id FOR UPDATE")
_RUN = text("SELECT id FROM campaign_run WHERE id = :id")
_BATCH = text("SELECT id FROM import_batch WHERE id = :id")
_READ = text(f"""
    SELECT i.*, CASE WHEN last.kind = 'closed' THEN 'closed' ELSE 'open' END AS state, n.people, n.attempts, n.reached
    FROM incident i
    LEFT JOIN LATERAL (
        SELECT kind FROM incident_note WHERE incident_id = i.id AND kind IN ('closed', 'reopened') ORDER BY id DESC LIMIT 1) last ON true
    CROSS JOIN LATERAL (
        SELECT count(*) AS people, coalesce(sum(cardinality(p.attempts)), 0)::bigint AS attempts,
               count(*) FILTER (WHERE EXISTS (
                   SELECT 1 FROM attempt a WHERE a.party_id = p.party_id AND a.id = ANY(p.attempts) AND a.state IN {_REACHED})) AS reached
        FROM incident_person p WHERE p.incident_id = i.id) n
    WHERE CAST(:id AS bigint) IS NULL OR i.id = :id
    ORDER BY i.id DESC
""")  # noqa: S608  # as above
_CORRECTIONS = text("""
    SELECT a.state, count(*) FROM attempt a JOIN campaign_run r ON r.id = a.campaign_run_id
    WHERE r.stage = 'correction' AND r.scope = :scope GROUP BY a.state ORDER BY a.state
""")
_AFFECTED = text(f"""
    SELECT p.party_id, p.attempts,
           EXISTS (SELECT 1 FROM attempt a WHERE a.party_id = p.party_id AND a.id = ANY(p.attempts) AND a.state IN {_REACHED}) AS reached,
           (SELECT a.state FROM attempt a JOIN campaign_run r ON r.id = a.campaign_run_id
            WHERE a.party_id = p.party_id AND r.stage = 'correction' AND r.scope = :scope ORDER BY a.id DESC LIMIT 1) AS correction
    FROM incident_person p WHERE p.incident_id = :id AND p.party_id > :after ORDER BY p.party_id LIMIT :at_most
""")  # noqa: S608  # as above
_NOTES = text("SELECT kind, said_by, said, at FROM incident_note WHERE incident_id = :id ORDER BY id")
_NOTE = text("INSERT INTO incident_note (incident_id, kind, said_by, said, at) VALUES (:id, :kind, :by, :said, :at)")
# At most one a person: whoever got one, or may have got one, or waits for one, gets no other.
_TO_CORRECT = text(f"""
    SELECT DISTINCT a.party_id, a.contact_point_id
    FROM incident_person p JOIN attempt a ON a.party_id = p.party_id AND a.id = ANY(p.attempts) AND a.state IN {_REACHED}
    WHERE p.incident_id = :id AND NOT EXISTS (
        SELECT 1 FROM attempt c JOIN campaign_run r ON r.id = c.campaign_run_id
        WHERE c.party_id = p.party_id AND r.stage = 'correction' AND r.scope = :scope
          AND (c.submitted_at IS NOT NULL OR c.state = 'planned'))
    ORDER BY a.party_id, a.contact_point_id
""")  # noqa: S608  # as above
