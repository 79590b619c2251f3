"""Incidents' steps: open one with its list, and tell those whom something wrong reached that it was wrong.

A correction is asked for by one person and approved by another one, who sees what would be sent to how many. Then it is
planned like any contact, as a run of its own, and the next `dispatch` sends it through the gate.

In:   what somebody says; the ledger; the texts of config/messages/correction.
Out:  incidents, notes, approvals; a campaign run with decisions and planned attempts.
Pure: no. Nobody gets more than one correction of an incident, however often this is called.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from zoneinfo import ZoneInfo

import polars as pl
from sqlalchemy import Connection

from config.message_files import message_texts
from config.policies import service_policies
from config.settings import settings
from decisions.messages import Texts
from decisions.service_messages import CORRECTION, plan_messages
from ledger import approvals, campaigns, clock, incidents
from ledger.approvals import Approval
from ledger.decisions_log import write_decisions
from ledger.engine import connection
from ledger.facts import read_facts
from ledger.incidents import Incident, IncidentRefused, Selection
from ledger.law import law_in_force, texts_in_force
from ledger.outbox import wall_clock

__all__ = ["Correction", "IncidentRefused", "Selection", "correct", "open_incident"]

APPROVAL_KIND: Final = "correction"
# So long an approval of a correction holds: whoever could not be told on the first day is told on one of the next.
APPROVAL_LASTS: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A correction, as it would be or is planned.

    Attributes:
        state: `preview`, `asked`, `planned`, `nothing to correct`.
        incident: Number.
        reached: People whom something wrong reached, and who got no correction yet.
        planned: Channel/locale → how many are told.
        withheld: Reason → how many are not told today because of it; a person with several stands under each.
        texts: Locale → the words, with their gaps.
        approved_by: Who approved; None = nobody yet.
        asked_by: Who asked.
        run: Campaign run, where it is planned.
    """

    state: str
    incident: int
    reached: int
    planned: dict[str, int]
    withheld: dict[str, int]
    texts: dict[str, str]
    asked_by: str | None
    approved_by: str | None
    run: int | None


def open_incident(*, kind: str, title: str, by: str, selection: Selection, dry_run: bool = False) -> Incident | incidents.Concerned:
    """Open an incident and freeze its list; with `dry_run` only count it.

    Raises:
        IncidentRefused: It cannot be, or would choose everybody.
    """
    with connection() as tx:
        if dry_run:
            return incidents.count(tx, selection)
        number = incidents.open_incident(tx, kind=kind, title=title, by=by, selection=selection, at=clock.now(tx))
        return incidents.read(tx, number)


def correct(incident_id: int, *, by: str, dry_run: bool = False) -> Correction:
    """Tell people that something was wrong: the first call asks, the same call by another person approves and plans.

    Args:
        incident_id: Of whose list.
        by: Who; with `dry_run` nobody is asked.
        dry_run: Only say who would be told, where, in which words.

    Raises:
        IncidentRefused: No such incident, it is closed, or its correction is planned for today already.
        ApprovalRefused: The same person twice.
        ConfigError: Texts or rule packs cannot be read.
    """
    with connection() as tx:
        incidents.lock(tx, incident_id)
        at, known_at = clock.now(tx), wall_clock(tx)
        today = at.astimezone(ZoneInfo(settings().business_zone)).date()
        if incidents.read(tx, incident_id).state == incidents.CLOSED:
            raise IncidentRefused(f"incident {incident_id} is closed; `tideover incident note {incident_id} --reopen` opens it again")
        reached = incidents.to_correct(tx, incident_id)
        law, texts = law_in_force(tx), texts_in_force(tx, message_texts())
        frame = _planned(tx, reached, texts, law.packs, at=at, today=today)
        told = _told(incident_id, reached, frame, texts)
        if dry_run or reached.is_empty():
            return Correction(state="preview" if dry_run else "nothing to correct", **told, asked_by=None, approved_by=None, run=None)
        step = _approval(tx, incident_id, texts, by=by, at=at)
        if step.verdict == "asked":
            incidents.note(tx, incident_id, said=f"a correction to {told['reached']} people", by=by, at=at, kind="correction_asked")
            return Correction(state="asked", **told, asked_by=step.asked_by, approved_by=None, run=None)
        run = _plan(tx, incident_id, frame, law.bodies, at=at, known_at=known_at, today=today)
        said = f"{sum(told['planned'].values())} planned, {told['reached'] - sum(told['planned'].values())} withheld, run {run}"
        incidents.note(tx, incident_id, said=said, by=by, at=at, kind="correction_planned")
    return Correction(state="planned", **told, asked_by=step.asked_by, approved_by=step.approved_by, run=run)


def _planned(tx: Connection, reached: pl.DataFrame, texts: Texts, packs: Any, *, at: datetime, today: date) -> pl.DataFrame:
    parties = reached["party_id"].unique().sort().to_list()
    facts = read_facts(tx, parties=parties, at=at, business_date=today, loans="now")
    return plan_messages(facts, reached, CORRECTION, texts, packs, purpose=CORRECTION, at=at, business_date=today)


def _told(incident_id: int, reached: pl.DataFrame, frame: pl.DataFrame, texts: Texts) -> dict[str, Any]:
    """What a person approves: how many, where, in which words, and who is left in peace."""
    contact = frame.filter(pl.col("action") == "contact")
    planned = Counter(f"{channel} {locale}" for channel, locale in contact.select("channel", "locale").rows())
    withheld = Counter(reason for reasons in frame.filter(pl.col("action") != "contact")["reasons"] for reason in reasons)
    return {
        "incident": incident_id,
        "reached": reached["party_id"].n_unique(),
        "planned": dict(sorted(planned.items())),
        "withheld": dict(sorted(withheld.items())),
        "texts": {
            locale: next(iter(text.words.values())).body for (name, locale), text in sorted(texts.by_key.items()) if name == CORRECTION
        },
    }


def _approval(tx: Connection, incident_id: int, texts: Texts, *, by: str, at: datetime) -> Approval:
    """The step that this call makes, or the approval that stands: of this incident's list and exactly these texts."""
    versions = {locale: text.version for (name, locale), text in sorted(texts.by_key.items()) if name == CORRECTION}
    subject = sha256(json.dumps({"incident": incident_id, "texts": versions}, sort_keys=True).encode()).hexdigest()
    steps = approvals.read_steps(tx, subject, kind=APPROVAL_KIND)
    standing = steps[-1] if steps else None
    if standing is not None and standing.verdict == "approved" and (standing.until is None or standing.until > at):
        return standing
    return approvals.ask_or_approve(tx, subject, by=by, at=at, until=at + APPROVAL_LASTS, kind=APPROVAL_KIND)


def _plan(tx: Connection, incident_id: int, frame: pl.DataFrame, bodies: Any, *, at: datetime, known_at: datetime, today: date) -> int:
    """Open the day's run of this correction and write its decisions and planned attempts."""
    run = campaigns.open_run(
        tx,
        stage=CORRECTION,
        business_date=today,
        scope=incidents.scope_of(incident_id),
        preview=False,
        borrowers_max=None,
        policies=service_policies(CORRECTION, rules=bodies),
        at=at,
    )
    if campaigns.read_shards(tx, run):
        raise IncidentRefused(
            f"the correction of incident {incident_id} is planned for {today.isoformat()} already (run {run}); see it tomorrow"
        )
    campaigns.cut_whole(tx, run, frame["party_id"].to_list())
    write_decisions(tx, run, 1, frame, at=at, facts_known_at=known_at)
    campaigns.close_run(tx, run, at=at)
    return run
