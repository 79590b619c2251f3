"""What an inspector draws and reads: a population of contacts, a sample of it, and of each contact what it rests on.

In:   a connection; a definition of the population, a seed; a contact's date and id.
Out:  ids, dates, words of ours; nothing personal.
Pure: no; reads.
Source: docs/inspect.md; docs/adr/0063.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection, text

from decisions.samples import Drawable, draw
from decisions.words import CHANNELS, RESULTS
from ledger import evidence

SIZE_MAX: Final = 1000
DAYS_MAX: Final = 400


class InspectionRefused(RuntimeError):
    """Nothing was drawn; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Which contacts may be drawn: those that were made, by us or by an agency, and not taken back.

    Attributes:
        since: First business date.
        until: Last one, included.
        jurisdiction: `US` is all of it, `US-NY` a part; None = every one.
        channel: None = every one.
        outcome: The latest result known; None = every one.
        known_at: Wall clock: what was recorded until then; with it a sample can be drawn again later.
    """

    since: date
    until: date
    jurisdiction: str | None = None
    channel: str | None = None
    outcome: str | None = None
    known_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What was drawn, and how it can be drawn again."""

    population: Population
    contacts_in_population: int
    seed: str
    size: int
    drawn: tuple[Drawable, ...]

    def lines(self) -> list[str]:
        """The sample as written: how it was drawn, then one line a contact; the same bytes for the same seed, definition and ledger."""
        head = {
            **asdict(self.population), "contacts_in_population": self.contacts_in_population, "seed": self.seed, "size": self.size,
        }  # fmt: skip
        return [_line(head), *(_line(asdict(one)) for one in self.drawn)]

    @property
    def digest(self) -> str:
        """SHA-256 over the lines."""
        return sha256("".join(f"{line}\n" for line in self.lines()).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """A contact of the log and what it rests on.

    Attributes:
        event: Of the contact log; ids, instants and words of ours.
        results: What was told of it later: instant and result.
        attempt_id: Ours, where it was ours.
        message: Folder of config/messages whose text was used.
        locale: Of the text.
        findings: Rules that an agency's contact was against.
        proof: Whether its rows are as they were written, in words of ours; None = there is no evidence for it (imported, or an agency's).
    """

    event: dict[str, Any]
    results: tuple[tuple[datetime, str], ...]
    attempt_id: int | None
    message: str | None
    locale: str | None
    findings: tuple[str, ...]
    proof: str | None


def sample(tx: Connection, population: Population, *, size: int, seed: str) -> Sample:
    """Draw a sample.

    Raises:
        InspectionRefused: A period, word, size or seed that is none.
    """
    _check(population, size, seed)
    rows = tx.execute(_POPULATION, asdict(population)).mappings().all()
    found = [Drawable(**row) for row in rows]
    return Sample(
        population=population,
        contacts_in_population=len(found),
        seed=seed,
        size=size,
        drawn=tuple(draw(found, size=size, seed=seed)) if found else (),
    )


def inspected(tx: Connection, business_date: date, event_id: int) -> Inspected:
    """A contact, whatever sample it is of.

    Raises:
        InspectionRefused: There is none.
    """
    keys = {"on": business_date, "id": event_id}
    row = tx.execute(_EVENT, keys).mappings().one_or_none()
    if row is None:
        raise InspectionRefused(f"the log has no contact {event_id} of {business_date.isoformat()}")
    event = dict(row)
    attempt = tx.execute(_ATTEMPT, {"on": event["attempt_business_date"], "id": event["attempt_id"]}).one_or_none()
    batch_id = event.pop("evidence_batch_id")
    return Inspected(
        event=event,
        results=tuple((one.at, one.result) for one in tx.execute(_RESULTS, {"party": event["party_id"], "id": event_id})),
        attempt_id=event["attempt_id"],
        message=None if attempt is None else attempt.message,
        locale=None if attempt is None else attempt.locale,
        findings=tuple(tx.execute(_FINDINGS, keys).scalars()),
        proof=None if batch_id is None else evidence.state_of_batch(tx, business_date, batch_id),
    )


def _line(values: Mapping[str, Any]) -> str:
    """One JSON object, the same wherever it is written: keys sorted, instants in UTC."""
    return json.dumps(
        values,
        ensure_ascii=False,
        sort_keys=True,
        default=lambda one: one.astimezone(UTC).isoformat() if isinstance(one, datetime) else one.isoformat(),
    )


def known_now(tx: Connection) -> datetime:
    """The ledger's wall clock: what is recorded until now."""
    found: datetime = tx.execute(text("SELECT clock_timestamp()")).scalar_one()
    return found


def _check(population: Population, size: int, seed: str) -> None:
    if not 1 <= size <= SIZE_MAX:
        raise InspectionRefused(f"a sample has from 1 to {SIZE_MAX} contacts")
    if not seed.strip():
        raise InspectionRefused("a sample has a seed: any word, which draws the same again")
    if population.until < population.since or (population.until - population.since).days > DAYS_MAX:
        raise InspectionRefused(f"a period has its end behind its beginning, and at most {DAYS_MAX} days")
    if population.channel is not None and population.channel not in CHANNELS:
        raise InspectionRefused(f"no channel {population.channel!r}; there are {', '.join(CHANNELS)}")
    if population.outcome is not None and population.outcome not in RESULTS:
        raise InspectionRefused(f"no outcome {population.outcome!r}; there are {', '.join(RESULTS)}")


_POPULATION = text("""
    SELECT e.business_date, e.id AS event_id, e.jurisdiction, e.channel, e.outcome FROM (
        SELECT c.business_date, c.id, c.jurisdiction, c.channel, coalesce((
                   SELECT r.result FROM contact_event r
                   WHERE r.party_id = c.party_id AND r.about_event_id = c.id AND NOT r.uncounts AND r.recorded_at <= :known_at
                   ORDER BY r.id DESC LIMIT 1), c.result) AS outcome
        FROM contact_event c
        WHERE c.business_date BETWEEN :since AND :until AND c.direction = 'outbound' AND c.about_event_id IS NULL
          AND c.recorded_at <= :known_at AND (CAST(:channel AS text) IS NULL OR c.channel = :channel)
          AND (CAST(:jurisdiction AS text) IS NULL OR c.jurisdiction = :jurisdiction OR starts_with(c.jurisdiction, :jurisdiction || '-'))
          AND NOT EXISTS (
            SELECT FROM contact_event u
            WHERE u.party_id = c.party_id AND u.about_event_id = c.id AND u.uncounts AND u.recorded_at <= :known_at)) e
    WHERE CAST(:outcome AS text) IS NULL OR e.outcome = :outcome
    ORDER BY e.business_date, e.id
""")
_EVENT = text("""
    SELECT business_date, id, party_id, at, channel, direction, loans, contact_point_id, counterparty, purpose, result, counts,
           jurisdiction, source, attempt_business_date, attempt_id, evidence_batch_id, recorded_at
    FROM contact_event WHERE business_date = :on AND id = :id AND about_event_id IS NULL AND direction = 'outbound'
""")
_RESULTS = text("""
    SELECT at, CASE WHEN uncounts THEN 'taken back' ELSE result END AS result FROM contact_event
    WHERE party_id = :party AND about_event_id = :id ORDER BY id
""")
_ATTEMPT = text("SELECT message, locale FROM attempt WHERE business_date = :on AND id = :id")
_FINDINGS = text("SELECT rule FROM agency_finding WHERE event_business_date = :on AND event_id = :id ORDER BY rule")
