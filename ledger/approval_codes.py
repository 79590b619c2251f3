"""One-time codes that say who speaks, where the only log-in is one that everybody shares.

A code is drawn at random, told once, kept as a salted hash, belongs to one person in one role, ends, and is spent by the
first use, whatever comes of it: it has then been typed into a form that others can read.

In:   a connection inside a transaction; a person, a role, or a code as somebody typed it.
Out:  rows of `approval_code`; who holds a code, or why it is none.
Pure: no. Codes are drawn from the operating system; they end by the database's wall clock.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from sqlalchemy import Connection, text

# Crockford's letters: none is taken for another one. 16 of them are 80 bits.
LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH: Final = 16
GROUP: Final = 4
SALT_BYTES: Final = 16
HOURS_DEFAULT: Final = 24
HOURS_MAX: Final = 14 * 24
READ_AS: Final = str.maketrans({"O": "0", "I": "1", "L": "1"})
ROLE: Final = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)


class CodeRefused(ValueError):
    """No code was made; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who speaks.

    Attributes:
        code_id: Of `approval_code`, by which that was said; None = by signing in.
        person: Who.
        role: In which role.
    """

    code_id: int | None
    person: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoCode:
    """Why what was typed lets nobody speak.

    Attributes:
        because: In words, without the code.
        wrong: It never was a code: a slip, or a guess. False = it was one (spent, ended, for something else).
        code_id: Of `approval_code`, where it was one.
    """

    because: str
    wrong: bool
    code_id: int | None = None


def make_code(
    connection: Connection, *, person: str, role: str, made_by: str, hours: int = HOURS_DEFAULT, campaign_run_id: int | None = None
) -> str:
    """Draw a code; it is told here and nowhere again.

    Args:
        connection: Inside a transaction.
        person: Whose code it is.
        role: In which role, a word such as `operations`.
        made_by: The account that makes it.
        hours: How long it can be used, by the wall clock.
        campaign_run_id: Only for this run; None = for any.

    Raises:
        CodeRefused: No name, no role, no such run, or a time that is no time.
    """
    who = " ".join(person.split())
    if not who:
        raise CodeRefused("say for whom: --for NAME")
    if not ROLE.fullmatch(role):
        raise CodeRefused(f"a role is a word of small letters, such as operations: {role!r} is none")
    if not 1 <= hours <= HOURS_MAX:
        raise CodeRefused(f"a code can be used for 1 to {HOURS_MAX} hours")
    if campaign_run_id is not None and connection.execute(_RUN, {"id": campaign_run_id}).scalar() is None:
        raise CodeRefused(f"there is no campaign run {campaign_run_id}; `tideover approve list` shows those that wait")
    secret = "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
    salt = os.urandom(SALT_BYTES)
    keys = {
        "salt": salt,
        "digest": _digest(salt, secret),
        "person": who,
        "role": role,
        "made_by": made_by,
        "run": campaign_run_id,
        "hours": hours,
    }
    code_id = connection.execute(_MAKE, keys).scalar_one()
    return "-".join([str(code_id), *(secret[start : start + GROUP] for start in range(0, LENGTH, GROUP))])


def redeem(connection: Connection, typed: str, *, roles: Collection[str], campaign_run_id: int, used_for: str) -> Holder | NoCode:
    """Spend a code. Whatever was a code is spent, also where it does not do.

    Args:
        connection: Inside a transaction that is committed whatever this answers.
        typed: As somebody typed it; small letters, spaces and missing dashes do not matter.
        roles: Of which one is needed.
        campaign_run_id: What it is used for.
        used_for: The same in words, for the record.

    Returns:
        Who holds it, or why nobody does.
    """
    number, secret = _parts(typed)
    row = None if number is None else connection.execute(_FIND, {"id": number}).one_or_none()
    if row is None or not hmac.compare_digest(row.digest, _digest(row.salt, secret)):
        return NoCode(because="this is no approval code: look for a slip, or have a new one made with `tideover approve code`", wrong=True)
    if row.used_at is not None:
        return NoCode(because="this code was used already: have a new one made", wrong=False, code_id=row.id)
    if row.ended:
        return NoCode(because="the time of this code is over: have a new one made", wrong=False, code_id=row.id)
    connection.execute(_SPEND, {"id": row.id, "used_for": used_for})
    if row.campaign_run_id not in {None, campaign_run_id}:
        because = f"this code is for campaign run {row.campaign_run_id} alone, and is spent now: have a new one made"
        return NoCode(because=because, wrong=False, code_id=row.id)
    if row.role not in roles:
        because = f"the role {row.role} may not decide this ({', '.join(sorted(roles))} may); the code is spent"
        return NoCode(because=because, wrong=False, code_id=row.id)
    return Holder(code_id=row.id, person=row.person, role=row.role)


def _parts(typed: str) -> tuple[int | None, str]:
    """Number and secret of a code as typed; no number where it cannot be one."""
    plain = re.sub(r"[\s-]", "", typed).upper()
    number, secret = plain[:-LENGTH], plain[-LENGTH:].translate(READ_AS)
    usable = number.isascii() and number.isdecimal() and len(number) <= len(str(2**62))
    return (int(number) if usable else None), secret


def _digest(salt: bytes, secret: str) -> bytes:
    """Of 80 random bits: there is no dictionary to slow down."""
    return sha256(salt + secret.encode()).digest()


_RUN = text("SELECT id FROM campaign_run WHERE id = :id")
_MAKE = text("""
    INSERT INTO approval_code (salt, digest, person, role, made_by, campaign_run_id, expires_at)
    VALUES (:salt, :digest, :person, :role, :made_by, :run, clock_timestamp() + make_interval(hours => :hours))
    RETURNING id
""")
_FIND = text("""
    SELECT id, salt, digest, person, role, campaign_run_id, used_at, expires_at <= clock_timestamp() AS ended
    FROM approval_code WHERE id = :id FOR UPDATE
""")
_SPEND = text("UPDATE approval_code SET used_at = clock_timestamp(), used_for = :used_for WHERE id = :id")
