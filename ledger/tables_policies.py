"""Table: what a run's decisions by a model had in common, written before the first of them.

Pure: yes; importing it only declares tables.
Source: SCIENCE.md C1, 6; ARCHITECTURE.md, I8.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Text
from sqlmodel import Field, SQLModel

from ledger.columns import instant, json_document, recorded


class RunPolicy(SQLModel, table=True):
    """One row a run in which a model weighs, or borrowers are held out or tried on: written once, read by each shard and each replay."""

    __tablename__: ClassVar[str] = "run_policy"

    campaign_run_id: int = Field(primary_key=True, sa_type=BigInteger, foreign_key="campaign_run.id")
    # Key of the line on which every borrower has her place (decisions/assignment.py); derived from the installation's seed.
    line: str = Field(sa_type=Text)
    # What scarce capacity costs, and what is expected to be used of it (decisions/policy.Prices).
    prices: dict[str, Any] = json_document()
    # Experiment → hash of its file, and the arms that were stopped by then.
    trials: dict[str, Any] = json_document()
    found_at: datetime = instant()
    recorded_at: datetime = recorded()
