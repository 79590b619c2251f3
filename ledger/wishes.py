"""Wishes that a person sets on her page: ways, days and hours to leave alone, and her language; in force at the gate from the commit.

They only narrow. Wishes that came another way (an import, a colleague) stand beside them and are not touched. Whoever writes here
holds the borrower's lock.

In:   a connection inside a transaction; what she wants; the business instant.
Out:  rows of `wish` and `language_wish`.
Pure: no; reads and writes the ledger.
Source: DOMAIN.md, "What the borrower's answer does"; docs/adr/0051.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from ledger.locks import lock_borrowers

SOURCE: Final = "page"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What she wants.

    Attributes:
        channels_off: Ways to leave alone.
        days_off: Weekdays to leave alone, mon..sun.
        opens: Nothing before this time of day; None = as the law says.
        closes: Nothing from this time of day on; None = likewise.
    """

    channels_off: frozenset[str] = frozenset()
    days_off: frozenset[str] = frozenset()
    opens: time | None = None
    closes: time | None = None


def standing(tx: Connection, party_id: int, *, at: datetime) -> tuple[Wanted, bool]:
    """What she set on her page, and whether wishes stand that came another way."""
    rows = tx.execute(_STANDING, {"party": party_id, "at": at}).all()
    mine = [row for row in rows if row.source == SOURCE]
    return _wanted(mine), len(mine) < len(rows)


def write(tx: Connection, party_id: int, wanted: Wanted, *, at: datetime) -> bool:
    """Let these wishes stand in place of those that she set before; False where they stand already."""
    lock_borrowers(tx, [party_id])
    if standing(tx, party_id, at=at)[0] == wanted:
        return False
    keys = {"party": party_id, "at": at, "source": SOURCE}
    tx.execute(_END, keys)
    for row in _rows(wanted):
        tx.execute(_WRITE, {**keys, "days": [], "opens": None, "closes": None, "channels": [], **row})
    return True


def language(tx: Connection, party_id: int) -> str | None:
    """The language that she chose for what is written to her; None = she chose none."""
    found: str | None = tx.execute(_LANGUAGE, {"party": party_id}).scalar()
    return found


def choose_language(tx: Connection, party_id: int, locale: str, *, at: datetime) -> bool:
    """Write to her in this language from the next planned message on; False where that is chosen already."""
    lock_borrowers(tx, [party_id])
    if language(tx, party_id) == locale:
        return False
    keys = {"party": party_id, "locale": locale, "at": at, "source": SOURCE}
    tx.execute(_SUPERSEDE_LANGUAGE, keys)
    tx.execute(_CHOOSE, keys)
    return True


def _rows(wanted: Wanted) -> Iterator[dict[str, Any]]:
    if wanted.channels_off:
        yield {"kind": "not_channel", "channels": sorted(wanted.channels_off)}
    if wanted.days_off:
        yield {"kind": "not_at", "days": sorted(wanted.days_off)}
    if wanted.opens is not None:
        yield {"kind": "not_at", "closes": wanted.opens.isoformat("minutes")}
    if wanted.closes is not None:
        yield {"kind": "not_at", "opens": wanted.closes.isoformat("minutes")}


def _wanted(rows: list[Row[Any]]) -> Wanted:
    opens = [row.closes for row in rows if row.kind == "not_at" and row.closes is not None]
    closes = [row.opens for row in rows if row.kind == "not_at" and row.opens is not None]
    return Wanted(
        channels_off=frozenset(channel for row in rows for channel in row.channels),
        days_off=frozenset(day for row in rows for day in row.days),
        opens=time.fromisoformat(opens[0]) if opens else None,
        closes=time.fromisoformat(closes[0]) if closes else None,
    )


_STANDING = text("""
    SELECT source, kind, days, opens, closes, channels FROM wish
    WHERE party_id = :party AND superseded_at IS NULL AND starts_at <= :at AND (until IS NULL OR until > :at) ORDER BY id
""")
# The wish itself stays as it was known; from now on its version with an end is in force.
_END = text("""
    WITH old AS (
        UPDATE wish SET superseded_at = clock_timestamp()
        WHERE party_id = :party AND source = :source AND superseded_at IS NULL AND until IS NULL
        RETURNING *
    )
    INSERT INTO wish (effective_at, source, party_id, kind, days, opens, closes, channels, starts_at, until, form)
    SELECT :at, :source, party_id, kind, days, opens, closes, channels, starts_at, greatest(CAST(:at AS timestamptz), starts_at), form
    FROM old
""")
_WRITE = text("""
    INSERT INTO wish (effective_at, source, party_id, kind, days, opens, closes, channels, starts_at, form)
    VALUES (:at, :source, :party, :kind, :days, :opens, :closes, :channels, :at, 'written')
""")
_LANGUAGE = text("SELECT locale FROM language_wish WHERE party_id = :party AND superseded_at IS NULL")
_SUPERSEDE_LANGUAGE = text("""
    UPDATE language_wish SET superseded_at = clock_timestamp() WHERE party_id = :party AND superseded_at IS NULL
""")
_CHOOSE = text("""
    INSERT INTO language_wish (effective_at, source, party_id, locale) VALUES (:at, :source, :party, :locale)
""")
