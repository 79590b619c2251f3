"""Tables: what a run's decisions by a model had in common, written before the first of them; experiments and what was seen of them.

Pure: yes; importing it only declares tables.
Source: SCIENCE.md C1, 6; ARCHITECTURE.md, I8.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import ARRAY, BigInteger, ForeignKeyConstraint, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from ledger.columns import big, identity, instant, json_document, recorded


class RunPolicy(SQLModel, table=True):
    """One row a run in which a model weighs, or borrowers are held out or tried on: written once, read by each shard and each replay."""

    __tablename__: ClassVar[str] = "run_policy"

    campaign_run_id: int = Field(primary_key=True, sa_type=BigInteger, foreign_key="campaign_run.id")
    # Key of the line on which every borrower has her place (decisions/assignment.py); derived from the installation's seed.
    line: str = Field(sa_type=Text)
    # What the median borrower of each creditor owes, what scarce capacity costs and is used of it (decisions/policy.Prices).
    prices: dict[str, Any] = json_document()
    # Experiment → hash of its file, and the arms that were stopped by then.
    trials: dict[str, Any] = json_document()
    found_at: datetime = instant()
    recorded_at: datetime = recorded()


class ShardUse(SQLModel, table=True):
    """What a shard's contacts use of one creditor's capacity, once a shard: by the sum of it the next shards are held to the cap."""

    __tablename__: ClassVar[str] = "shard_use"
    __table_args__ = (ForeignKeyConstraint(["campaign_run_id", "shard"], ["campaign_shard.campaign_run_id", "campaign_shard.shard"]),)

    campaign_run_id: int = Field(primary_key=True, sa_type=BigInteger)
    shard: int = Field(primary_key=True)
    creditor_id: int = Field(primary_key=True, sa_type=BigInteger, foreign_key="creditor.id")
    # Of what is owed.
    currency: str = Field(primary_key=True, sa_type=Text)
    # Its name in the strategy's file.
    cap: str = Field(primary_key=True, sa_type=Text)
    # Thousandths of a contact, or of a minor unit.
    used: int = big()
    recorded_at: datetime = recorded()


class ExperimentStart(SQLModel, table=True):
    """An experiment that has begun: frozen by the hash of its file, which `policy_version` keeps."""

    __tablename__: ClassVar[str] = "experiment_start"

    name: str = Field(primary_key=True, sa_type=Text)
    hash: str = Field(sa_type=Text, foreign_key="policy_version.hash")
    started_on: date
    recorded_at: datetime = recorded()


class ExperimentLook(SQLModel, table=True):
    """What was seen at a look, once a date: counts, differences and bounds, no person."""

    __tablename__: ClassVar[str] = "experiment_look"
    __table_args__ = (UniqueConstraint("name", "looked_on", name="experiment_look_once"),)

    id: int | None = identity()
    name: str = Field(sa_type=Text, foreign_key="experiment_start.name")
    looked_on: date
    # From 1 on: what a look may spend follows from it.
    number: int
    verdicts: dict[str, Any] = json_document()
    # Arms that are stopped from here on.
    stopped: list[str] = Field(default_factory=list, sa_type=ARRAY(Text), nullable=False)
    recorded_at: datetime = recorded()
