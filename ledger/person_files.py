"""Files that people send: kept encrypted in the ledger, found by the case that they belong to.

They come with an answer (before it, so that no answer loses its proof) or are added to a case later. No name of a file is kept.

In:   a connection inside a transaction; bytes whose kind is known (decisions/uploads.py).
Out:  rows of `person_file`; one file's bytes, decrypted.
Pure: no; reads and writes the ledger.
Source: docs/adr/0049.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Final

from sqlalchemy import Connection, text

from decisions.uploads import FileKind
from ledger import vault
from ledger.locks import lock_borrowers

DIGEST_BYTES: Final = 16


class TooManyFiles(RuntimeError):
    """A person has sent as many files as a day may have."""


class NoSuchFile(LookupError):
    """There is no file with that number where it was looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that may be kept; personal."""

    kind: FileKind
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """A file as lists show it; nothing personal.

    Attributes:
        id: Number.
        kind: One of `decisions.uploads.FILE_KINDS`.
        size_bytes: Of its content.
        at: Business instant at which it came.
    """

    id: int
    kind: str
    size_bytes: int
    at: datetime


def keep(
    tx: Connection,
    party_id: int,
    files: Sequence[Upload],
    *,
    at: datetime,
    a_day_max: int,
    said_under: str | None = None,
    case_id: int | None = None,
) -> None:
    """Keep files of one person; those that are kept already for the same thing are not written again.

    Args:
        tx: Inside a transaction.
        party_id: Whose.
        files: Of a kind that is taken.
        at: Business instant.
        a_day_max: So many files of a person in 24 hours of the wall clock, all together.
        said_under: The provider's id of the inbox row that will come with them.
        case_id: Or the case that they are added to.

    Raises:
        TooManyFiles: More than a day may have; none of these is kept.
    """
    if not files:
        return
    lock_borrowers(tx, [party_id])
    for one in files:
        encrypted, key_id = vault.encrypt_bytes_for(tx, party_id, one.content)
        digest = vault.keyed("person file", sha256(one.content).hexdigest())[:DIGEST_BYTES]
        keys = {"party": party_id, "said_under": said_under, "case": case_id, "kind": one.kind, "size": len(one.content), "digest": digest}
        tx.execute(_KEEP, {**keys, "content": encrypted, "key": key_id, "at": at})
    if tx.execute(_TODAY, {"party": party_id}).scalar_one() > a_day_max:
        raise TooManyFiles("no more files today")


def of_case(tx: Connection, case_id: int) -> list[KeptFile]:
    """The files that belong to a case, in the order in which they came."""
    return [KeptFile(**row) for row in tx.execute(_OF_CASE, {"case": case_id}).mappings()]


def read(tx: Connection, file_id: int, *, case_id: int) -> tuple[KeptFile, bytes]:
    """One file of a case, decrypted.

    Raises:
        NoSuchFile: The case has none with this number.
        MissingKeyError: It was encrypted with a key that is gone.
    """
    row = tx.execute(_ONE, {"id": file_id, "case": case_id}).one_or_none()
    if row is None:
        raise NoSuchFile(f"case {case_id} has no file {file_id}; `tideover cases show {case_id}` lists them")
    kept = KeptFile(id=row.id, kind=row.kind, size_bytes=row.size_bytes, at=row.at)
    return kept, vault.decrypt_bytes(row.content_encrypted, row.key_id)


_KEEP = text("""
    INSERT INTO person_file (party_id, said_under, case_id, kind, size_bytes, digest, content_encrypted, key_id, at)
    VALUES (:party, :said_under, :case, :kind, :size, :digest, :content, :key, :at)
    ON CONFLICT (party_id, said_under, case_id, digest) DO NOTHING
""")
_TODAY = text("SELECT count(*) FROM person_file WHERE party_id = :party AND recorded_at > clock_timestamp() - interval '24 hours'")
# One answer may open a case for each of her loans, or be said again in one: its files belong to all of them, and to her alone.
_FILES: Final = """
    FROM borrower_case c JOIN person_file f ON f.party_id = c.party_id
    WHERE c.id = :case AND (f.case_id = c.id OR f.said_under IN (
        SELECT p.provider_id FROM provider_event p
        WHERE p.provider = 'page' AND (p.id = c.provider_event_id OR p.id IN (
            SELECT CAST(substring(e.reference FROM 7) AS bigint) FROM case_event e
            WHERE e.case_id = c.id AND e.kind IN ('opened', 'said_again') AND e.reference ~ '^inbox [0-9]+$'))))
"""
_OF_CASE = text(f"SELECT f.id, f.kind, f.size_bytes, f.at {_FILES} ORDER BY f.id")  # our own words
_ONE = text(f"SELECT f.id, f.kind, f.size_bytes, f.at, f.content_encrypted, f.key_id {_FILES} AND f.id = :id")  # as above
