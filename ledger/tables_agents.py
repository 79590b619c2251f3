"""Tables of the phone team: agents with what they may do and when they work, whose card each has, how talks went, and what people need.

Pure: yes; declares.
"""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any, ClassVar

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from decisions.recording import WAYS
from ledger.columns import Fact, big, current, identity, instant, json_document, one_of, recorded, texts


class Agent(SQLModel, table=True):
    """A colleague who calls people; whoever leaves stays in the books."""

    __tablename__: ClassVar[str] = "agent"
    __table_args__ = (
        CheckConstraint("(phone_encrypted IS NULL) = (phone_key_id IS NULL)", name="agent_phone_is_whole"),
        Index("agent_of_staff", "staff_id", unique=True, postgresql_where=text("staff_id IS NOT NULL AND left_at IS NULL")),
    )

    id: int | None = identity()
    # What `call_task.taken_by` says.
    name: str = Field(sa_type=Text, unique=True)
    # Who she is at the desks; null = she works on a terminal alone.
    staff_id: int | None = big(nullable=True, foreign_key="staff.id")
    languages: list[str] = texts()
    jurisdictions: list[str] = texts()
    # Of hers, which rings first where calls are put through for her.
    phone_encrypted: bytes | None = Field(default=None, nullable=True)
    phone_key_id: str | None = Field(default=None, sa_type=Text)
    left_at: datetime | None = instant(nullable=True)
    said_by: str = Field(sa_type=Text)
    recorded_at: datetime = recorded()


class AgentCertificate(SQLModel, table=True):
    """What an agent has passed: [valid_from, valid_until)."""

    __tablename__: ClassVar[str] = "agent_certificate"
    __table_args__ = (
        CheckConstraint("valid_until > valid_from", name="agent_certificate_window"),
        UniqueConstraint("agent_id", "kind", "jurisdiction", "valid_from", name="agent_certificate_once"),
    )

    id: int | None = identity()
    agent_id: int = big(foreign_key="agent.id")
    kind: str = Field(sa_type=Text)
    jurisdiction: str = Field(sa_type=Text)
    # Under which its issuer knows it.
    reference: str = Field(sa_type=Text)
    valid_from: date
    valid_until: date
    said_by: str = Field(sa_type=Text)
    recorded_at: datetime = recorded()


class AgentShift(SQLModel, table=True):
    """Hours of a weekday on which an agent works: [opens, closes) in a zone, from a date on."""

    __tablename__: ClassVar[str] = "agent_shift"
    __table_args__ = (
        CheckConstraint("weekday BETWEEN 1 AND 7", name="agent_shift_weekday"),
        CheckConstraint("closes > opens", name="agent_shift_hours"),
        CheckConstraint("ends_on >= starts_on", name="agent_shift_dates"),
        UniqueConstraint("agent_id", "weekday", "opens", "starts_on", name="agent_shift_once"),
    )

    id: int | None = identity()
    agent_id: int = big(foreign_key="agent.id")
    weekday: int
    opens: time
    closes: time
    zone: str = Field(sa_type=Text)
    starts_on: date
    # Day after the last; null = it goes on.
    ends_on: date | None = Field(default=None)
    said_by: str = Field(sa_type=Text)
    recorded_at: datetime = recorded()


class CallCard(SQLModel, table=True):
    """Whose a waiting person's card is, and for how long: nobody else is given her meanwhile. A lease; wall clock."""

    __tablename__: ClassVar[str] = "call_card"
    __table_args__ = (
        Index("call_card_of_task", "task_id", unique=True),
        # An agent has one card at a time.
        Index("call_card_of_agent", "agent_id", unique=True),
    )

    id: int | None = identity()
    task_id: int = big(foreign_key="call_task.id")
    agent_id: int = big(foreign_key="agent.id")
    taken_at: datetime = recorded()
    until: datetime = instant()


class AgentCall(SQLModel, table=True):
    """A dial by an agent: what was to be said in it and was, and whether it was recorded."""

    __tablename__: ClassVar[str] = "agent_call"
    __table_args__ = (
        ForeignKeyConstraint(["business_date", "attempt_id"], ["attempt.business_date", "attempt.id"], name="agent_call_attempt"),
        one_of("recording", WAYS, "agent_call_recording"),
        CheckConstraint("(why_encrypted IS NULL) = (why_key_id IS NULL)", name="agent_call_why_is_whole"),
        Index("agent_call_of_agent", "agent_id", "at"),
        Index("agent_call_of_task", "task_id"),
        Index("agent_call_provider", "provider_id", unique=True, postgresql_where=text("provider_id IS NOT NULL")),
    )

    business_date: date = Field(primary_key=True)
    attempt_id: int = Field(primary_key=True, sa_type=BigInteger)
    task_id: int = big(foreign_key="call_task.id")
    agent_id: int = big(foreign_key="agent.id")
    party_id: int = big(foreign_key="party.id")
    at: datetime = instant()
    # Names of what is to be said, and of what was ticked (config/disclosures.yaml).
    required: list[str] = texts()
    said: list[str] = texts()
    # Why a talk was written down though something was not said; in her words.
    why_encrypted: bytes | None = Field(default=None, nullable=True)
    why_key_id: str | None = Field(default=None, sa_type=Text)
    # What was allowed (decisions/recording.py), by whose rule, and whether it was done.
    recording: str = Field(sa_type=Text)
    recording_rule: str | None = Field(default=None, sa_type=Text)
    is_recorded: bool = Field(default=False, nullable=False, sa_column_kwargs={"server_default": text("false")})
    # Of the call that was put through for her; null = she dialled herself.
    provider_id: str | None = Field(default=None, sa_type=Text)
    line: str | None = Field(default=None, sa_type=Text)
    told_at: datetime | None = instant(nullable=True)
    recorded_at: datetime = recorded()


class PersonNeed(Fact, table=True):
    """What is done differently for a person, of config/needs.yaml: never why."""

    __tablename__: ClassVar[str] = "person_need"
    __table_args__ = (current("person_need_current", "party_id", "need"),)

    id: int | None = identity()
    party_id: int = big(foreign_key="party.id", index=True)
    need: str = Field(sa_type=Text)
    # It ended with this version.
    is_over: bool = Field(default=False, nullable=False, sa_column_kwargs={"server_default": text("false")})


class CallScore(SQLModel, table=True):
    """How a supervisor saw a talk, point by point of the rubric; never of her own."""

    __tablename__: ClassVar[str] = "call_score"
    __table_args__ = (
        ForeignKeyConstraint(
            ["business_date", "attempt_id"], ["agent_call.business_date", "agent_call.attempt_id"], name="call_score_call"
        ),
        UniqueConstraint("business_date", "attempt_id", "scored_by", name="call_score_once"),
        CheckConstraint("(note_encrypted IS NULL) = (note_key_id IS NULL)", name="call_score_note_is_whole"),
        CheckConstraint("per_cent BETWEEN 0 AND 100", name="call_score_per_cent"),
    )

    id: int | None = identity()
    business_date: date
    attempt_id: int = big()
    scored_by: str = Field(sa_type=Text)
    scores: dict[str, Any] = json_document()
    per_cent: int
    note_encrypted: bytes | None = Field(default=None, nullable=True)
    note_key_id: str | None = Field(default=None, sa_type=Text)
    at: datetime = instant()
    recorded_at: datetime = recorded()
