"""Pauses: operations stop contact, of everything or of a part, until they resume it.

A pause names what it stops by up to four words, all of which must hold: a stage, a channel, a jurisdiction, a sender. None
of them = everything. The gate reads pauses by statements after its lock, so that one that is committed before the lock
stops the send (invariant I4). A pause of everything cannot lock every borrower, so the last look before each call counts them
besides (ledger/calls.py): what was let through before the newest pause is not called any more (docs/adr/0008).

In:   a connection inside a transaction; a scope, who says so and why, the business instant.
Out:  rows of `pause`; what they concern, in counts.
Pure: no; reads and writes the ledger. A pause is a fact: resuming writes its version with an end, and supersedes it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, Row, text

from config.places import with_places
from config.zones import zone_tables
from decisions.jurisdictions import EU
from decisions.words import CHANNELS
from ledger.senders import sender_of
from ledger.tables import SERVICES, STAGES

# Clocks of two machines differ, and a gate may have read its own before the pause was written: early is safe.
LEEWAY: Final = timedelta(minutes=1)
JURISDICTION: Final = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3}(-[A-Z0-9]{1,5})?)?")


class PauseRefused(ValueError):
    """A scope that names nothing that there is: it would stop nobody. The message says what there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a pause stops; all that is given must hold, nothing given = everything.

    Attributes:
        stage: pre_due, early, ….
        channel: sms, push, ….
        jurisdiction: Whose law attaches to the person: US, US-NY, EU, ….
        sender: Number or service that messages go out from.
    """

    stage: str | None = None
    channel: str | None = None
    jurisdiction: str | None = None
    sender: str | None = None

    def __str__(self) -> str:
        """In words."""
        return ", ".join(f"{what} {value}" for what, value in asdict(self).items() if value is not None) or "everything"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A pause that is in force, or was until now.

    Attributes:
        id: Of `pause`.
        scope: What it stops.
        because: Why.
        by: Who said so; None where a row is older than that column.
        since: Business instant.
        until: When it ends by itself, or None.
    """

    id: int
    scope: Scope
    because: str
    by: str | None
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Concerned:
    """Attempts that a scope concerns, in counts.

    Attributes:
        due: Planned, and may be sent now but for a pause.
        later: Planned for later.
        expired: Whose window passed since an instant: they are not sent any more.
        borrowers: Whom `due` and `later` would reach.
    """

    due: int
    later: int
    expired: int
    borrowers: int


def write_pause(
    connection: Connection, scope: Scope, *, because: str, by: str, at: datetime, until: datetime | None = None
) -> tuple[Pause, bool]:
    """Stop contact from now on.

    Args:
        connection: Inside a transaction; in force from its commit.
        scope: What is stopped.
        because: Why, for the record.
        by: Who says so.
        at: Business instant, UTC.
        until: When it ends by itself; None = when somebody resumes it.

    Returns:
        The pause, and whether it is new: one of the same scope that lasts as long stays as it is.

    Raises:
        PauseRefused: The scope names nothing that there is, the end is not after now, or who and why are not said.
    """
    check_scope(connection, scope)
    if not because.strip() or not by.strip():
        raise PauseRefused("say why (--because) and who says so (--by)")
    if until is not None and until <= at:
        raise PauseRefused(f"a pause until {until.isoformat()} would be over: it is {at.isoformat()} now")
    for found in in_force(connection, at=at):
        if found.scope == scope and (found.until is None or (until is not None and found.until >= until)):
            return found, False
    keys = {**asdict(scope), "reason": because.strip(), "said_by": by.strip(), "at": at, "starts_at": at - LEEWAY, "until": until}
    return _pause(connection.execute(_WRITE, keys).one()), True


def lift(connection: Connection, scope: Scope | None, *, by: str, at: datetime, pause_id: int | None = None) -> list[Pause]:
    """Resume what was paused: end the pauses of exactly this scope, or one by its id, or all (no scope, no id).

    Returns:
        The pauses that ended, as they stood.

    Raises:
        PauseRefused: Nothing of that kind is paused; says what is. Or nobody says who resumes.
    """
    if not by.strip():
        raise PauseRefused("say who resumes (--by)")
    standing = in_force(connection, at=at)
    ended = [one for one in standing if (pause_id is None or one.id == pause_id) and (scope is None or one.scope == scope)]
    if not ended:
        listed = "; ".join(f"#{one.id} {one.scope}" for one in standing) or "nothing"
        raise PauseRefused(f"no such pause is in force. Paused: {listed}")
    connection.execute(_LIFT, {"ids": [one.id for one in ended], "at": at, "said_by": by.strip()})
    return ended


def in_force(connection: Connection, *, at: datetime) -> list[Pause]:
    """The pauses in force at an instant, oldest first."""
    return [_pause(row) for row in connection.execute(_IN_FORCE, {"at": at})]


def concerned(connection: Connection, scope: Scope, *, at: datetime, since: datetime | None = None) -> Concerned:
    """Count the attempts that a scope concerns.

    Args:
        connection: Inside a transaction.
        scope: What is, or would be, stopped.
        at: Business instant: what is due.
        since: Count also those whose window has passed after it; None = none of them.
    """
    keys = {"stage": scope.stage, "channel": scope.channel, "sender": scope.sender, "at": at, "since": since}
    rows: list[Mapping[str, Any]] = [dict(row) for row in connection.execute(_CONCERNED, keys).mappings()]
    if scope.jurisdiction is not None:
        rows = _within(rows, scope.jurisdiction)
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update({what: row[what] for what in ("due", "later", "expired", "borrowers")})
    return Concerned(**{what: counts[what] for what in ("due", "later", "expired", "borrowers")})


def _within(rows: Sequence[Mapping[str, Any]], jurisdiction: str) -> list[Mapping[str, Any]]:
    """The places to which a jurisdiction attaches: by the same function that the rules' own facts come from."""
    places = pl.DataFrame([[row[name] for name in _PLACE] for row in rows], schema=dict.fromkeys(_PLACE, pl.String), orient="row").pipe(
        with_places
    )
    return [row for row, attached in zip(rows, places["jurisdictions"].to_list(), strict=True) if jurisdiction in attached]


def check_scope(connection: Connection, scope: Scope) -> None:
    """Refuse a scope that would stop nobody because of a slip.

    Raises:
        PauseRefused: It names a stage, channel, jurisdiction or sender that there is none of; says which there are.
    """
    if scope.stage is not None and scope.stage not in (*STAGES, *SERVICES):
        raise PauseRefused(f"no stage {scope.stage!r}; there are {', '.join((*STAGES, *SERVICES))}")
    if scope.channel is not None and scope.channel not in CHANNELS:
        raise PauseRefused(f"no channel {scope.channel!r}; there are {', '.join(CHANNELS)}")
    if scope.jurisdiction is not None:
        country = scope.jurisdiction.split("-")[0]
        if not JURISDICTION.fullmatch(scope.jurisdiction) or (country != EU and country not in zone_tables().countries):
            raise PauseRefused(f"no jurisdiction {scope.jurisdiction!r}; write a country as US, a part of one as US-NY, or EU")
    if scope.sender is not None:
        known = sorted(set(connection.execute(_SENDERS).scalars()))
        if scope.sender not in known:
            raise PauseRefused(f"nobody sends from {scope.sender!r}; the creditors' senders are {', '.join(known) or 'not set'}")


def _pause(row: Row[Any]) -> Pause:
    return Pause(
        id=row.id,
        scope=Scope(stage=row.stage, channel=row.channel, jurisdiction=row.jurisdiction, sender=row.sender),
        because=row.reason,
        by=row.said_by,
        since=row.effective_at,
        until=row.until,
    )


_PLACE: Final = ("country", "region", "postal_code", "known_zone")
_COLUMNS = "id, stage, channel, jurisdiction, sender, reason, said_by, effective_at, until"
_WRITE = text(f"""
    INSERT INTO pause (effective_at, source, stage, channel, jurisdiction, sender, reason, said_by, starts_at, until)
    VALUES (:at, 'operations', :stage, :channel, :jurisdiction, :sender, :reason, :said_by, :starts_at, :until)
    RETURNING {_COLUMNS}
""")  # noqa: S608  # the columns above
# One of a creditor alone is none that these words could name: it is left to whoever wrote it.
_IN_FORCE = text(f"""
    SELECT {_COLUMNS} FROM pause
    WHERE superseded_at IS NULL AND creditor_id IS NULL AND starts_at <= :at AND (until IS NULL OR until > :at)
    ORDER BY id
""")  # noqa: S608  # the columns above
_LIFT = text("""
    WITH old AS (
        UPDATE pause SET superseded_at = clock_timestamp() WHERE id = ANY(:ids) AND superseded_at IS NULL RETURNING *
    )
    INSERT INTO pause (effective_at, source, creditor_id, stage, channel, jurisdiction, sender, reason, said_by, starts_at, until)
    SELECT :at, 'operations', creditor_id, stage, channel, jurisdiction, sender, reason, :said_by, starts_at, greatest(:at, starts_at)
    FROM old ORDER BY id
""")
_SENDERS = text("SELECT s.value FROM creditor c CROSS JOIN LATERAL jsonb_each_text(c.senders) s")
# Of expired attempts only those whose window has passed since; of planned ones all. Grouped by place: a few thousand at most.
_CONCERNED = text(f"""
    SELECT v.country, v.region, v.postal_code, v.known_zone,
           count(*) FILTER (WHERE a.state = 'planned' AND a.expires_at > :at AND a.send_after <= :at) AS due,
           count(*) FILTER (WHERE a.state = 'planned' AND a.expires_at > :at AND a.send_after > :at) AS later,
           count(*) FILTER (WHERE a.expires_at <= :at) AS expired,
           count(DISTINCT a.party_id) FILTER (WHERE a.state = 'planned' AND a.expires_at > :at) AS borrowers
    FROM attempt a
    JOIN party p ON p.id = a.party_id
    JOIN creditor c ON c.id = p.creditor_id
    LEFT JOIN party_version v ON v.party_id = a.party_id AND v.superseded_at IS NULL
    WHERE (a.state = 'planned' OR (a.state = 'expired' AND a.expires_at > CAST(:since AS timestamptz)))
      AND (a.expires_at > :at OR a.expires_at > CAST(:since AS timestamptz))
      AND (CAST(:stage AS text) IS NULL OR a.stage = :stage)
      AND (CAST(:channel AS text) IS NULL OR a.channel = :channel)
      AND (CAST(:sender AS text) IS NULL OR {sender_of("c", "a")} = :sender)
    GROUP BY v.country, v.region, v.postal_code, v.known_zone
""")  # noqa: S608  # no text from outside
