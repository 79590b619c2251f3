"""Table: which dates the portfolio was aged as of, and what was known by then.

Pure: yes; importing it only declares tables.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import Text
from sqlmodel import Field, SQLModel

from ledger.columns import instant


class AgeingRun(SQLModel, table=True):
    """One date as of which the portfolio was aged (ledger/ageing_again.py); derived, may be computed again."""

    __tablename__: ClassVar[str] = "ageing_run"

    business_date: date = Field(primary_key=True)
    # Whoever ages the date now, or did last.
    worker: UUID
    # All facts recorded before it are in the rows of the date, wall clock; null until they are.
    known_until: datetime | None = instant(nullable=True)
    # The last date on which every loan was aged anew, from which this one's rows follow.
    whole_on: date
    # Of config/aging.yaml.
    policy_hash: str = Field(sa_type=Text)
