"""Attempts whose fate nobody knows, and those that are parked: what reconcile asks about, and what a person is shown.

In:   a connection; the database's wall clock says how long ago a call must have ended.
Out:  groups by channel, sender and day; pages of attempts in the order of their ids; rows for people, without anything personal.
Pure: no; reads. ledger/attempts.py moves.
Source: PROVIDERS.md A8; ARCHITECTURE.md "Attempt state machine".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, text

from decisions.words import GATEWAY
from ledger import vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Unknown attempts that one listing may settle together: of a channel, a creditor and a date.

    Attributes:
        channel: sms, push, ...
        by_gateway: Whether the lender's own gateway was called, and not the channel's own provider.
        creditor_id: Whose.
        business_date: Of the attempts.
        unknown: How many.
        submitted: How many attempts of that channel, creditor and date were submitted in all: so long is the list.
        since: No call was made before this, on the business clock and on the wall.
        until: Nor begun after this, on either.
    """

    channel: str
    by_gateway: bool
    creditor_id: int
    business_date: date
    unknown: int
    submitted: int
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """One attempt whose fate is not known.

    Attributes:
        business_date: Of the attempt.
        id: Which.
        party_id: Whom it was for.
        claim_id: Of the call.
        token: Stands in its text's link and in its callback's address.
        text_hash: Of the token and the words (gate/permit.py).
        message: Which text.
        locale: In which language.
        call_deadline: On the database's wall clock.
        since: Its call was not made before this, on the business clock and on the wall.
        until: Nor begun after this, on either.
        not_listed_at: When the provider's whole list was first read without it, on the wall; None where it never was.
        value_encrypted: The number of its contact point.
        key_id: Opens it.
        is_same_number: It surely is the number that was called.
    """

    business_date: date
    id: int
    party_id: int
    claim_id: UUID | None
    token: UUID
    text_hash: str | None
    message: str
    locale: str
    call_deadline: datetime
    since: datetime
    until: datetime
    not_listed_at: datetime | None
    value_encrypted: bytes | None = field(repr=False)
    key_id: str | None
    is_same_number: bool


def groups(connection: Connection, *, quiet_seconds: float) -> list[Group]:
    """What there is to ask about: unknown, and their calls' deadline passed at least so many seconds ago."""
    return [Group(**_mapping(row)) for row in connection.execute(_GROUPS, {"quiet": quiet_seconds})]


def page(connection: Connection, group: Group, *, after: int, at_most: int, quiet_before: datetime, quiet_seconds: float) -> list[Unknown]:
    """Unknown attempts of a group, in the order of their ids.

    Args:
        connection: Any.
        group: Which.
        after: Only ids above this.
        at_most: How many.
        quiet_before: Wall clock, when the look began.
        quiet_seconds: Their calls' deadline had passed so many seconds before.
    """
    keys = {
        "channel": group.channel,
        "by_gateway": group.by_gateway,
        "creditor": group.creditor_id,
        "business_date": group.business_date,
        "after": after,
        "at_most": at_most,
        "quiet_before": quiet_before,
        "quiet": quiet_seconds,
    }
    rows = connection.execute(_PAGE, keys).all()
    vault.learn(connection, [row.key_id for row in rows])
    return [Unknown(**_mapping(row)) for row in rows]


def at_the_same_number(connection: Connection, business_date: date, attempt_ids: Sequence[int]) -> dict[int, list[Unknown]]:
    """For each of these attempts of a date, every unknown attempt of its channel at the same number, itself too."""
    found: dict[int, list[Unknown]] = {attempt_id: [] for attempt_id in attempt_ids}
    for row in connection.execute(_SAME_NUMBER, {"business_date": business_date, "ids": list(attempt_ids)}):
        columns = _mapping(row)
        found[columns.pop("asked_for")].append(Unknown(**columns))
    return found


def by_token(connection: Connection, tokens: Sequence[UUID]) -> list[Unknown]:
    """Unknown or parked attempts with these tokens."""
    return [Unknown(**_mapping(row)) for row in connection.execute(_BY_TOKEN, {"tokens": list(tokens)})]


def known_ids(connection: Connection, provider_ids: Sequence[str]) -> set[str]:
    """Which of these provider's ids an attempt bears already."""
    return set(connection.execute(_KNOWN_IDS, {"ids": list(provider_ids)}).scalars())


def read_parked(connection: Connection, *, after: int = 0, at_most: int) -> list[dict[str, Any]]:
    """Parked attempts for people, oldest first: ids, when, and what is known; nothing personal.

    Args:
        connection: Any.
        after: Only ids above this.
        at_most: How many.
    """
    return [dict(_mapping(row)) for row in connection.execute(_PARKED, {"after": after, "at_most": at_most})]


def count_parked(connection: Connection) -> int:
    """How many attempts are parked."""
    return int(connection.execute(_COUNT_PARKED).scalar_one())


def read_parked_one(connection: Connection, attempt_id: int) -> dict[str, Any] | None:
    """What settling a parked attempt needs to know of it; None where it is not parked."""
    row = connection.execute(_PARKED_ONE, {"id": attempt_id}).mappings().one_or_none()
    return None if row is None else dict(row)


def counted_contacts(connection: Connection, keys: Iterable[tuple[date, int]]) -> dict[int, int]:
    """Attempt id → id of the contact event that counts for it; one is missing where none does.

    Args:
        connection: Inside the transaction that holds the borrowers.
        keys: (business date, id) of each attempt.
    """
    ordered = sorted(set(keys))
    asked = {"dates": [key[0] for key in ordered], "ids": [key[1] for key in ordered]}
    return {row.attempt_id: row.id for row in connection.execute(_COUNTED, asked)}


def note_not_listed(connection: Connection, keys: Iterable[tuple[date, int]]) -> None:
    """Write down that the provider's whole list was read and did not show these; the first time stands.

    Args:
        connection: Inside a transaction.
        keys: (business date, id) of each attempt.
    """
    ordered = sorted(set(keys), key=lambda key: key[1])
    connection.execute(_NOT_LISTED, {"dates": [key[0] for key in ordered], "ids": [key[1] for key in ordered]})


def _mapping(row: Row[Any]) -> dict[str, Any]:
    return dict(row._mapping)  # noqa: SLF001  # SQLAlchemy's public name for a row as a mapping


# A permit lives five seconds before its deadline; the provider's clock may be the wall's or, in the sandbox, the simulated one.
_SINCE: Final = "least(a.submitted_at, a.call_deadline - interval '5 seconds')"
_UNTIL: Final = "greatest(a.submitted_at, a.call_deadline)"
# A channel's own provider is named only once it has answered.
_BY_GATEWAY: Final = f"(a.provider IS NOT DISTINCT FROM '{GATEWAY}')"
_GROUPS = text(f"""
    WITH open AS (
        SELECT a.channel, {_BY_GATEWAY} AS by_gateway, p.creditor_id, a.business_date, count(*) AS unknown, min({_SINCE}) AS since,
               max({_UNTIL}) AS until
        FROM attempt a JOIN party p ON p.id = a.party_id
        WHERE a.state = 'unknown' AND a.call_deadline < clock_timestamp() - make_interval(secs => :quiet)
        GROUP BY 1, 2, 3, 4
    )
    SELECT o.channel, o.by_gateway, o.creditor_id, o.business_date, o.unknown, o.since, o.until,
           (SELECT count(*) FROM attempt b JOIN party q ON q.id = b.party_id
            WHERE b.business_date = o.business_date AND b.channel = o.channel AND q.creditor_id = o.creditor_id
              AND b.submitted_at IS NOT NULL) AS submitted
    FROM open o
    ORDER BY o.business_date, o.channel, o.creditor_id, o.by_gateway
""")  # noqa: S608  # no text from outside
_COLUMNS: Final = f"""a.business_date, a.id, a.party_id, a.claim_id, a.token, a.text_hash, a.message, a.locale, a.call_deadline,
    {_SINCE} AS since, {_UNTIL} AS until, a.not_listed_at, v.value_encrypted, v.key_id,
    coalesce(v.recorded_at <= (a.permit ->> 'issued_at')::timestamptz, false) AS is_same_number"""
# The version in force: it was in force when the call was made, or has the same number, or its list shows nothing and proves nothing.
_WITH_NUMBER: Final = "LEFT JOIN contact_point_version v ON v.contact_point_id = a.contact_point_id AND v.superseded_at IS NULL"
# The page is picked first, so that numbers are looked up for those on it alone.
_PAGE = text(f"""
    WITH picked AS MATERIALIZED (
        SELECT a.* FROM attempt a JOIN party p ON p.id = a.party_id
        WHERE a.state = 'unknown' AND a.channel = :channel AND {_BY_GATEWAY} = :by_gateway AND a.business_date = :business_date
          AND p.creditor_id = :creditor
          AND a.id > :after AND a.call_deadline < CAST(:quiet_before AS timestamptz) - make_interval(secs => :quiet)
        ORDER BY a.id LIMIT :at_most
    )
    SELECT {_COLUMNS} FROM picked a {_WITH_NUMBER} ORDER BY a.id
""")  # noqa: S608  # as above
_SAME_NUMBER = text(f"""
    SELECT DISTINCT k.id AS asked_for, {_COLUMNS}
    FROM unnest(CAST(:ids AS bigint[])) AS k(id)
    JOIN attempt b ON b.business_date = :business_date AND b.id = k.id
    JOIN contact_point_version w ON w.contact_point_id = b.contact_point_id AND w.superseded_at IS NULL
    JOIN contact_point_version n ON n.blind_index = w.blind_index
    JOIN contact_point c ON c.id = n.contact_point_id
    JOIN attempt a ON a.party_id = c.party_id AND a.contact_point_id = c.id AND a.state = 'unknown' AND a.channel = b.channel
    {_WITH_NUMBER}
    ORDER BY k.id, a.id
""")  # noqa: S608  # as above
_BY_TOKEN = text(f"""
    SELECT {_COLUMNS} FROM attempt a {_WITH_NUMBER}
    WHERE a.token = ANY(:tokens) AND a.state IN ('unknown', 'parked') ORDER BY a.id
""")  # noqa: S608  # as above
_KNOWN_IDS = text("SELECT provider_id FROM attempt WHERE provider_id = ANY(:ids)")
_PARKED = text("""
    SELECT a.id AS attempt_id, a.business_date, a.campaign_run_id, a.stage, a.party_id, a.channel, a.submitted_at, a.error_code,
           became.cause AS became_unknown_by, parked.cause AS parked_because, parked.at AS parked_at
    FROM attempt a
    LEFT JOIN LATERAL (
        SELECT cause FROM attempt_transition t
        WHERE t.business_date = a.business_date AND t.attempt_id = a.id AND t.to_state = 'unknown'
        ORDER BY t.id DESC LIMIT 1) became ON true
    LEFT JOIN LATERAL (
        SELECT cause, at FROM attempt_transition t
        WHERE t.business_date = a.business_date AND t.attempt_id = a.id AND t.to_state = 'parked'
        ORDER BY t.id DESC LIMIT 1) parked ON true
    WHERE a.state = 'parked' AND a.id > :after
    ORDER BY a.id LIMIT :at_most
""")
_COUNT_PARKED = text("SELECT count(*) FROM attempt WHERE state = 'parked'")
_PARKED_ONE = text("SELECT business_date, id, party_id, campaign_run_id, claim_id FROM attempt WHERE state = 'parked' AND id = :id")
_COUNTED = text("""
    SELECT k.id AS attempt_id, found.id
    FROM unnest(CAST(:dates AS date[]), CAST(:ids AS bigint[])) AS k(business_date, id)
    CROSS JOIN LATERAL (
        SELECT c.id FROM contact_event c
        WHERE c.attempt_business_date = k.business_date AND c.attempt_id = k.id AND c.business_date = k.business_date
          AND c.about_event_id IS NULL AND c.counts
          AND NOT EXISTS (
            SELECT 1 FROM contact_event u
            WHERE u.business_date = c.business_date AND u.about_event_id = c.id AND u.uncounts AND u.party_id = c.party_id)
        ORDER BY c.id DESC LIMIT 1
    ) found
""")
_NOT_LISTED = text("""
    UPDATE attempt a SET not_listed_at = clock_timestamp()
    FROM unnest(CAST(:dates AS date[]), CAST(:ids AS bigint[])) AS k(business_date, id)
    WHERE a.business_date = k.business_date AND a.id = k.id AND a.state = 'unknown' AND a.not_listed_at IS NULL
""")
