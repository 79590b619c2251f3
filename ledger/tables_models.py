"""Table: models that were learned, from what and how well. Their texts are rows of `policy_version`.

Pure: yes; importing it only declares tables.
Source: docs/adr/0083.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Index, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from ledger.columns import identity, instant, json_document, one_of, recorded


class ModelVersion(SQLModel, table=True):
    """One model: what it says the probability of, the rows it was learned from, how good it is. Append-only; approvals are rows apart."""

    __tablename__: ClassVar[str] = "model_version"
    __table_args__ = (
        UniqueConstraint("version", name="model_version_once"),
        one_of("method", ("boosting", "logistic", "boosting_then_arms"), "model_version_method"),
        Index("model_version_of_kind", "kind", "id"),
    )

    id: int | None = identity()
    # SHA-256 of the model's text, which `policy_version` keeps under it.
    version: str = Field(sa_type=Text, foreign_key="policy_version.hash")
    kind: str = Field(sa_type=Text)
    method: str = Field(sa_type=Text)
    seed: int
    # SHA-256 of the rows that were used.
    data_hash: str = Field(sa_type=Text)
    features: list[str] = Field(default_factory=list, sa_type=JSONB, nullable=False)
    metrics: dict[str, Any] = json_document()
    # Rows of decisions/learning.CALIBRATION and FAIRNESS: counts and shares, no person.
    calibration: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB, nullable=False)
    fairness: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB, nullable=False)
    # Business instant: what had come about until then was known.
    trained_as_of: datetime = instant()
    recorded_at: datetime = recorded()


class ModelGroups(SQLModel, table=True):
    """How a model errs for groups, measured anew after it was kept: groups become known, the same model stays. Append-only."""

    __tablename__: ClassVar[str] = "model_groups"
    __table_args__ = (Index("model_groups_of_version", "version", "id"),)

    id: int | None = identity()
    version: str = Field(sa_type=Text, foreign_key="model_version.version")
    fairness: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB, nullable=False)
    recorded_at: datetime = recorded()
