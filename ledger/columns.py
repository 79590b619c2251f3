"""What the columns of the ledger's tables are made of, and the two times on every fact.

Pure: yes; declares.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, DateTime, Identity, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel


def one_of(column: str, values: tuple[str, ...], name: str) -> CheckConstraint:
    """A column that holds one of a closed list of words."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=name)


def identity() -> Any:
    """A bigint id that the database gives; null only before the row is written."""
    return Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=(Identity(),))


def instant(*, nullable: bool = False, index: bool = False) -> Any:
    """A business instant, UTC, without a default."""
    if nullable:
        return Field(default=None, sa_type=DateTime(timezone=True), nullable=True, index=index)
    return Field(sa_type=DateTime(timezone=True), nullable=False, index=index)


def recorded() -> Any:
    """When we learned it: the database's wall clock at the moment of writing."""
    return Field(
        default=None,
        sa_type=DateTime(timezone=True),
        nullable=False,
        sa_column_kwargs={"server_default": text("clock_timestamp()")},
    )


def big(*, nullable: bool = False, index: bool = False, foreign_key: str | None = None) -> Any:
    """A bigint column, by default NOT NULL."""
    options: dict[str, Any] = {"sa_type": BigInteger, "nullable": nullable, "index": index}
    if foreign_key is not None:
        options["foreign_key"] = foreign_key
    return Field(default=None, **options) if nullable else Field(**options)


def texts() -> Any:
    """A list of short words, empty by default."""
    return Field(default_factory=list, sa_type=ARRAY(Text), nullable=False, sa_column_kwargs={"server_default": text("'{}'")})


def json_document(*, nullable: bool = False) -> Any:
    """A JSON document."""
    if nullable:
        return Field(default=None, sa_type=JSONB, nullable=True)
    return Field(default_factory=dict, sa_type=JSONB, nullable=False, sa_column_kwargs={"server_default": text("'{}'::jsonb")})


def current(name: str, *columns: str) -> Index:
    """At most one version of a fact is in force."""
    return Index(name, *columns, unique=True, postgresql_where=text("superseded_at IS NULL"))


def learned(table: str) -> tuple[Index, Index]:
    """What finds the versions that were recorded, or superseded, since an instant: rows lie in the order of their recording."""
    return (
        Index(f"{table}_recorded", "recorded_at", postgresql_using="brin"),
        Index(f"{table}_superseded", "superseded_at", postgresql_where=text("superseded_at IS NOT NULL")),
    )


class Fact(SQLModel):
    """The two times on every fact, and where it came from (DOMAIN.md)."""

    effective_at: datetime = instant()
    recorded_at: datetime = recorded()
    superseded_at: datetime | None = instant(nullable=True)
    source: str = Field(sa_type=Text)
    import_batch_id: int | None = big(nullable=True, foreign_key="import_batch.id")


class ImportedFact(Fact):
    """A fact of which an import writes very many: what it names is checked by the database once a statement, not once a row.

    Its columns that name a person, a loan, a contact point or an import declare no foreign key (docs/adr/0076).
    """

    import_batch_id: int | None = big(nullable=True)
