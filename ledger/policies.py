"""Rule packs that the ledger keeps: every version that ever was in force or put up for approval, by the hash of its text.

In:   a connection inside a transaction; a version, or the first characters of its hash.
Out:  `KeptPack` values.
Pure: no; reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy import Connection, text

from decisions.packs import HOUSE

PREFIX_CHARACTERS_MIN: Final = 6


class UnknownVersionError(LookupError):
    """The ledger keeps no such version of a rule pack, or several begin like that; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPack:
    """One version of a rule pack.

    Attributes:
        hash: SHA-256 of the text: the pack's version.
        name: Its jurisdiction in small letters.
        body: The text.
        recorded_at: When the ledger first saw it.
    """

    hash: str
    name: str
    body: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPolicy:
    """One version of any policy: kind, name, hash of the text, the text."""

    kind: str
    name: str
    hash: str
    body: str


def jurisdiction_of(name: str) -> str:
    """The jurisdiction of the name under which its pack is kept."""
    return name if name == HOUSE else name.upper()


def find_pack(connection: Connection, prefix: str, jurisdiction: str | None = None) -> KeptPack:
    """The version whose hash begins like that.

    Args:
        connection: Any.
        prefix: Six characters at least.
        jurisdiction: Look only among its packs; None = among all.

    Raises:
        UnknownVersionError: None, or several, begin so; or the prefix is too short.
    """
    if len(prefix) < PREFIX_CHARACTERS_MIN:
        raise UnknownVersionError(f"{prefix} is too short: give at least {PREFIX_CHARACTERS_MIN} characters of the version")
    name = None if jurisdiction is None else jurisdiction.lower()
    found = [KeptPack(**row) for row in connection.execute(_FIND, {"prefix": prefix, "name": name}).mappings()]
    if len(found) == 1:
        return found[0]
    whose = "a rule pack" if jurisdiction is None else f"the rule pack {jurisdiction}"
    if found:
        raise UnknownVersionError(f"several versions of {whose} begin with {prefix}: give more characters")
    known = [f"{row.hash[:12]} ({row.name}, {row.recorded_at:%Y-%m-%d})" for row in connection.execute(_NEWEST, {"name": name})]
    advice = f"the newest it keeps: {', '.join(known)}" if known else "it keeps none yet: a run, or `tideover approve pack`, records them"
    raise UnknownVersionError(f"the ledger keeps no version of {whose} that begins with {prefix}; {advice}")


def find_policy(connection: Connection, prefix: str) -> KeptPolicy:
    """The policy of any kind whose hash begins like that.

    Args:
        connection: Any.
        prefix: Six characters at least.

    Raises:
        UnknownVersionError: None, or several, begin so; or the prefix is too short.
    """
    if len(prefix) < PREFIX_CHARACTERS_MIN:
        raise UnknownVersionError(f"{prefix} is too short: give at least {PREFIX_CHARACTERS_MIN} characters of the hash")
    found = [KeptPolicy(**row) for row in connection.execute(_FIND_ANY, {"prefix": prefix}).mappings()]
    if len(found) != 1:
        what = "several policies begin" if found else "the ledger keeps no policy that begins"
        raise UnknownVersionError(f"{what} with {prefix}; `tideover explain` and a run's own page name the hashes that were in force")
    return found[0]


def last_in_force(connection: Connection) -> list[KeptPack]:
    """The rule packs of the run that was opened last, which was opened by a law that could be read whole; empty before the first."""
    return [KeptPack(**row) for row in connection.execute(_LAST).mappings()]


def versions_of(connection: Connection, jurisdiction: str) -> list[KeptPack]:
    """Every version of a rule pack that the ledger keeps, the newest first."""
    return [KeptPack(**row) for row in connection.execute(_VERSIONS, {"name": jurisdiction.lower()}).mappings()]


def in_force_on(connection: Connection, on: date) -> dict[str, list[str]]:
    """Jurisdiction → versions of its pack by which runs of a business date decided, by jurisdiction; none where nothing ran."""
    found: dict[str, list[str]] = {}
    for row in connection.execute(_IN_FORCE_ON, {"on": on}):
        found.setdefault(jurisdiction_of(row.name), []).append(row.hash)
    return found


_VERSIONS = text("""
    SELECT hash, name, body, recorded_at FROM policy_version WHERE kind = 'rules' AND name = :name ORDER BY recorded_at DESC, hash
""")
_IN_FORCE_ON = text("""
    SELECT DISTINCT v.name, v.hash
    FROM campaign_run r CROSS JOIN LATERAL jsonb_each_text(r.policy_hashes) p JOIN policy_version v ON v.hash = p.value AND v.kind = 'rules'
    WHERE r.business_date = :on ORDER BY v.name, v.hash
""")
_FIND = text("""
    SELECT hash, name, body, recorded_at FROM policy_version
    WHERE kind = 'rules' AND starts_with(hash, :prefix) AND (CAST(:name AS text) IS NULL OR name = :name)
    ORDER BY hash LIMIT 2
""")
_FIND_ANY = text("SELECT kind, name, hash, body FROM policy_version WHERE starts_with(hash, :prefix) ORDER BY hash LIMIT 2")
_NEWEST = text("""
    SELECT hash, name, recorded_at FROM policy_version
    WHERE kind = 'rules' AND (CAST(:name AS text) IS NULL OR name = :name)
    ORDER BY recorded_at DESC, hash LIMIT 8
""")
_LAST = text("""
    SELECT v.hash, v.name, v.body, v.recorded_at
    FROM (SELECT policy_hashes FROM campaign_run ORDER BY opened_at DESC, id DESC LIMIT 1) r
    CROSS JOIN LATERAL jsonb_each_text(r.policy_hashes) p
    JOIN policy_version v ON v.kind = 'rules' AND v.hash = p.value
    WHERE starts_with(p.key, 'rules/')
    ORDER BY v.name
""")
