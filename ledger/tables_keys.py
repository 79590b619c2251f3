"""Tables of keys: whose personal values can be read, as long as a row is here.

Pure: yes; declares.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import Index, Text
from sqlmodel import Field, SQLModel

from ledger.columns import big, recorded


class PartyKey(SQLModel, table=True):
    """A data key of one person, wrapped by a key encryption key. Without its row, nothing that it encrypted can be read again."""

    __tablename__: ClassVar[str] = "party_key"
    __table_args__ = (Index("party_key_of_party", "party_id"),)

    # `person-<party>-<where it was made>`; values name it in their `key_id`.
    id: str = Field(primary_key=True, sa_type=Text)
    party_id: int = big(foreign_key="party.id")
    # Id of the key in TIDEOVER_ENCRYPTION_KEYS that opens it.
    wrapped_by: str = Field(sa_type=Text)
    wrapped: bytes
    made_at: datetime = recorded()
