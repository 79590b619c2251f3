"""Where a campaign run stands with the people who are asked whether it may send.

In:   a connection; a campaign run's id, or none for all that wait.
Out:  a `Standing`: counts, who asked and who answered, until when they are asked.
Pure: no; reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, text

from ledger.tables import SENDING_APPROVALS

# What `approval.subject_kind` says of a run.
RUN: Final = "campaign run"
# In an order that is the same each time and says nothing about anybody.
RANK: Final = "md5(r.seed || ' ' || a.party_id)"


class NoSuchRun(LookupError):
    """The ledger has no such campaign run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a run stands with the people who are asked about it.

    Attributes:
        campaign_run_id: The run.
        stage: early, ….
        name: Stage and business date.
        approval: A word of `ledger.tables.RUN_APPROVALS`.
        planned: Contacts that are planned now.
        decided: Contacts that its decisions planned, sent ones too.
        undecided_shards: Shards that are not decided: people are not asked before they are.
        subject: Hash of what people are asked about; None = they were not asked yet.
        asked_by: Who asked for approval; None = nobody known.
        approved_by: Who approved, or rejected; None = nobody.
        until: By the wall clock, when nobody is asked any more.
        seconds_left: Until then.
        approved_max: So many contacts at most; None = all.
        flow_run: The Prefect flow run that waits.
        last_said: What came of the last answer; that somebody asked is none.
    """

    campaign_run_id: int
    stage: str
    name: str
    approval: str
    planned: int
    decided: int
    undecided_shards: int
    subject: str | None
    asked_by: str | None
    approved_by: str | None
    until: datetime | None
    seconds_left: float
    approved_max: int | None
    flow_run: UUID | None
    last_said: str | None

    @property
    def may_send(self) -> bool:
        """Whether nobody has still to say yes."""
        return self.approval in SENDING_APPROVALS

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "campaign_run_id": self.campaign_run_id,
            "run": self.name,
            "approval": self.approval,
            "planned": self.planned,
            "asked_by": self.asked_by,
            "until": self.until.isoformat() if self.until else None,
            "subject": self.subject,
            "last_said": self.last_said,
        }

    def __str__(self) -> str:
        """One line of a list."""
        until = f" until {self.until.isoformat(timespec='minutes')}" if self.until and self.approval == "awaiting" else ""
        asked = f", asked for by {self.asked_by}" if self.asked_by else ", needs two people"
        asked = asked if self.approval == "awaiting" else ""
        return f"run {self.campaign_run_id}  {self.name}  {self.approval}{until}{asked}; {self.planned} contacts planned"


def standing(connection: Connection, campaign_run_id: int) -> Standing:
    """Where a run stands.

    Raises:
        NoSuchRun: There is none with this id.
    """
    row = connection.execute(_STANDING, {"id": campaign_run_id, "kind": RUN}).mappings().one_or_none()
    if row is None:
        raise NoSuchRun(f"there is no campaign run {campaign_run_id}; `tideover approve list` shows those that wait")
    return _standing(row)


def waiting(connection: Connection) -> list[Standing]:
    """Runs that wait for people, what ends first coming first."""
    return [_standing(row) for row in connection.execute(_WAITING, {"kind": RUN}).mappings()]


def _standing(row: Any) -> Standing:
    columns = dict(row)
    name = f"{columns['stage']} {columns.pop('business_date').isoformat()}"
    scope = columns.pop("scope")
    return Standing(name=name if scope == "all" else f"{name} {scope}", **columns)


_STANDINGS = """
    SELECT r.id AS campaign_run_id, r.stage, r.business_date, r.scope, r.approval, r.approval_subject AS subject,
           r.approval_until AS until, coalesce(extract(epoch FROM r.approval_until - clock_timestamp()), 0)::float8 AS seconds_left,
           r.approved_max, r.approval_flow_run AS flow_run,
           (SELECT count(*) FROM attempt a WHERE a.campaign_run_id = r.id AND a.state = 'planned') AS planned,
           (SELECT coalesce(sum(s.planned), 0) FROM campaign_shard s WHERE s.campaign_run_id = r.id) AS decided,
           (SELECT count(*) FROM campaign_shard s WHERE s.campaign_run_id = r.id AND s.decided_at IS NULL) AS undecided_shards,
           (SELECT o.asked_by FROM approval o
            WHERE o.subject_kind = :kind AND o.subject_hash = r.approval_subject AND o.verdict = 'asked'
            ORDER BY o.id DESC LIMIT 1) AS asked_by,
           (SELECT o.approved_by FROM approval o
            WHERE o.subject_kind = :kind AND o.subject_hash = r.approval_subject AND o.verdict <> 'asked'
            ORDER BY o.id DESC LIMIT 1) AS approved_by,
           (SELECT w.said FROM approval_answer w
            WHERE w.campaign_run_id = r.id AND NOT (w.outcome = 'asked' AND w.form LIKE '% asks') ORDER BY w.id DESC LIMIT 1) AS last_said
    FROM campaign_run r"""
_STANDING = text(f"{_STANDINGS} WHERE r.id = :id")
_WAITING = text(f"""
    {_STANDINGS}
    WHERE (r.approval = 'narrowing' OR (r.approval = 'awaiting' AND r.approval_until > clock_timestamp())) AND NOT r.preview
    ORDER BY r.approval_until, r.id
""")
