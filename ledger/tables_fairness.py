"""The table of attributes that are held to see whether groups are treated alike. No decision reads it.

Pure: yes; declares.
Source: docs/adr/0094; a contract of import-linter and tests/test_house.py keep every other room away.
"""

from __future__ import annotations

from typing import ClassVar, Final

from sqlalchemy import CheckConstraint, Text
from sqlmodel import Field

from decisions.fairness_words import ATTRIBUTES
from ledger.columns import Fact, big, current, identity

WORDS: Final = " OR ".join(
    f"attribute = '{attribute}' AND value IN ('" + "', '".join(words) + "')" for attribute, words in ATTRIBUTES.items()
)


class FairnessAttribute(Fact, table=True):
    """One attribute of a person in one of a few coarse words; versions follow one another as those of other facts do."""

    __tablename__: ClassVar[str] = "fairness_attribute"
    __table_args__ = (
        CheckConstraint(WORDS, name="fairness_attribute_words"),
        current("fairness_attribute_current", "party_id", "attribute"),
    )

    id: int | None = identity()
    party_id: int = big(foreign_key="party.id")
    attribute: str = Field(sa_type=Text)
    value: str = Field(sa_type=Text)
