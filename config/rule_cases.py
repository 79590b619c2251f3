"""Reads a case file of `tideover rules check`: facts as a compliance officer writes them, into the frames that rules judge.

In:   a YAML or JSON file, a list of cases (CASES.md).
Out:  `RuleCases`: ids, facts and candidates (case i is party i and candidate i), and what each case expects.
Pure: no; reads one file, and the tables of zones.

A field that is left out or null means "not known" or "none". What a case does not speak of is not held against the contact:
it has no payment feed and no pause, and a loan or contact point that is only named has nothing known against it. A bare
date is the start of that local day in the zone where that is stricter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import polars as pl
import yaml
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from config.load import ConfigError, Day, Strict, Whole, checked, parse, read
from config.zones import zone_tables
from decisions import facts
from decisions.facts import CANDIDATES, Facts, Schema
from decisions.jurisdictions import jurisdictions_where, stacked
from decisions.rule_forms import Minutes
from decisions.rules.timetable import DAY_US, day_number, start_of_day_us
from decisions.words import Channel, ContactPointKind, HoldKind, Kind, Party, Purpose, Result, Role, Weekday, Where
from decisions.zones import NotAPhoneError, candidate_zones, read_phone, state_zones

# More names than this in one case would run into the next case's numbers.
NAMES_MAX: Final = 10_000
# The first and the last place on earth to begin a day.
EVERYWHERE: Final = ("Etc/GMT-14", "Etc/GMT+12")


def _instant(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        at = datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError("not an instant like 2026-03-21T20:59:00-04:00") from error
    if at.tzinfo is None:
        raise ValueError("an instant needs its offset, like 2026-03-21T20:59:00-04:00")
    return at.astimezone(UTC)


def _instant_or_day(value: object) -> object:
    if isinstance(value, str) and "T" not in value:
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise ValueError("neither a date nor an instant with its offset") from error
    return _instant(value)


def _zone(name: str) -> str:
    if name not in zone_tables().names:
        raise ValueError("not a zone of the tz database")
    return name


Instant = Annotated[datetime, BeforeValidator(_instant)]
When = Annotated[datetime | date, BeforeValidator(_instant_or_day)]
Zone = Annotated[str, AfterValidator(_zone)]
Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Jurisdiction = Annotated[str, Field(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3}(-[A-Z0-9]+)?)?$")]
Flag = Annotated[bool, Field()]


class Fact(Strict):
    """A fact in which null says the same as leaving the field out."""

    @model_validator(mode="before")
    @classmethod
    def null_is_left_out(cls, given: Any) -> Any:
        """Drop nulls; a required field is then missing."""
        return {field: value for field, value in given.items() if value is not None} if isinstance(given, dict) else given


class Borrower(Fact):
    """Who it is about, and where that may be."""

    known_zone: Zone | None = None
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    region: str | None = None
    postal_code: str | None = None
    phones: tuple[str, ...] = ()
    language: str | None = None
    facts: tuple[Word, ...] = ()


class Loan(Fact):
    """A loan of hers."""

    id: str
    product: Literal["wallet_credit", "personal_loan", "consumer_loan", "microfinance", "credit_card", "student_loan"] | None = None
    account: str | None = None
    currency: str | None = None
    past_due: Whole | None = None
    days_past_due: Whole | None = None
    disputed: Flag = False
    charged_off: Flag = False
    time_barred: Flag = False


class ContactPoint(Fact):
    """A number or address."""

    id: str
    kind: ContactPointKind | None = None
    owner: Party = "borrower"
    employer_owned: Flag = False
    verified_on: Day | None = None
    status: Literal["active", "inactive", "invalid", "unreachable"] = "active"


class Consent(Fact):
    """Leave to use a channel."""

    channel: Channel | Literal["all"]
    given_to: Word
    at: When
    until: When | None = None


class OptOut(Fact):
    """A stop."""

    channel: Channel | Literal["all"]
    contact_point: str | None = None
    at: When
    until: When | None = None


class Hold(Fact):
    """A reason not to contact."""

    kind: HoldKind
    loan: str | None = None
    begins: Annotated[When | None, Field(alias="from")] = None
    until: When | None = None


class Agreement(Fact):
    """Hours that both sides agreed on."""

    kind: Literal["contact_hours"]
    days: tuple[Weekday, ...] = ()
    opens: Minutes
    closes: Minutes
    requested_by: Word | None = None
    at: When
    until: When | None = None


class Wish(Fact):
    """What the person asked to leave alone."""

    kind: Literal["not_at", "not_place", "not_channel"]
    days: tuple[Weekday, ...] = ()
    begins: Annotated[Minutes | None, Field(alias="from")] = None
    ends: Annotated[Minutes | None, Field(alias="to")] = None
    place: Where | None = None
    since: When | None = None
    until: When | None = None
    channels: tuple[Channel, ...] = ()
    form: Literal["oral", "written"] | None = None

    @model_validator(mode="after")
    def _names_what(self) -> Self:
        if self.kind == "not_place" and self.place is None:
            raise ValueError("`place` is missing")
        return self


class Notice(Fact):
    """A notice that was sent."""

    kind: Word
    loan: str | None = None
    sent_at: When | None = None
    received_on: Day | None = None
    bounced: Flag = False
    opt_out_by: Day | None = None


class Event(Fact):
    """Something that happened between us and a person."""

    at: Instant
    channel: Channel
    direction: Literal["outbound", "inbound"]
    loans: tuple[str, ...] = ()
    contact_point: str | None = None
    party: Party = "borrower"
    purpose: Purpose | None = None
    result: Result | None = None


class Proposed(Fact):
    """What might be done."""

    at: Instant
    channel: Channel
    loans: tuple[str, ...] = ()
    contact_point: str | None = None
    party: Party = "borrower"
    purpose: Purpose | None = None
    place: Where | None = None
    first: Flag = False
    text: str | None = None
    form: Literal["live", "voicemail"] | None = None
    automated: bool | None = None
    reply_to: Whole | None = None

    @property
    def meant(self) -> str:
        """The purpose: an answer to a message of the person's is a reply, and what says nothing else collects."""
        return "reply" if self.reply_to is not None else self.purpose or "collection"

    @property
    def by_machine(self) -> bool | None:
        """Whether a machine starts it; the channels `voice`, `call` and `visit` say so themselves."""
        return self.automated if self.automated is not None else {"voice": True, "call": False, "visit": False}.get(self.channel)


class Expected(Strict):
    """What the answer must say; any subset."""

    verdict: Literal["allowed", "blocked", "review"] | None = None
    kinds: tuple[Kind, ...] = ()
    rules: tuple[str, ...] = ()
    next_allowed_at: Instant | None = None
    required: tuple[str, ...] = ()


class RuleCase(Fact):
    """One case of the file."""

    id: str = Field(min_length=1)
    jurisdictions: tuple[Jurisdiction, ...] = ()
    creditor_role: Role | None = None
    borrower: Borrower = Borrower()
    loans: tuple[Loan, ...] = ()
    contact_points: tuple[ContactPoint, ...] = ()
    consents: tuple[Consent, ...] = ()
    optouts: tuple[OptOut, ...] = ()
    holds: tuple[Hold, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    wishes: tuple[Wish, ...] = ()
    notices: tuple[Notice, ...] = ()
    history: tuple[Event, ...] = ()
    proposed: Proposed
    expect: Expected = Expected()

    @model_validator(mode="after")
    def _answers_something(self) -> Self:
        answered = self.proposed.reply_to
        if answered is None:
            return self
        if not 0 <= answered < len(self.history) or self.history[answered].direction != "inbound":
            raise ValueError("proposed.reply_to is not the index of an inbound message in history")
        return self


@dataclass(frozen=True, slots=True)
class RuleCases:
    """A case file, read.

    Attributes:
        ids: Of the cases, in the order of the file; case i is party i and candidate i.
        facts: About all of them.
        candidates: decisions/facts.CANDIDATES and BESIDE.
        expected: What each case's `expect` holds.
    """

    ids: list[str]
    facts: Facts
    candidates: pl.DataFrame
    expected: list[dict[str, Any]]


def read_rule_cases(path: Path) -> RuleCases:
    """Read a case file of `tideover rules check`.

    Raises:
        ConfigError: The file cannot be read, is not of the form in CASES.md, or gives an id twice.
    """
    return cases_of(*_cases(path))


def rule_cases_of(text: str, name: str) -> RuleCases:
    """Cases that somebody typed, of the same form.

    Args:
        text: YAML or JSON, a list of cases, or one case.
        name: What errors call its place.

    Raises:
        ConfigError: As `read_rule_cases`; or it repeats a part by an alias, which a few lines could make endless.
    """
    try:
        repeats = any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.CBaseLoader))
    except yaml.YAMLError:
        repeats = False  # said in words, with its line, by who reads it
    if repeats:
        raise ConfigError(name, None, "", "holds an alias (*…): write the part out")
    document = parse(Path(name), text)
    plain = [document.plain] if isinstance(document.plain, dict) else document.plain
    return cases_of(*_checked(Path(name), checked(document, plain, list[RuleCase])))


def read_case_files(paths: Sequence[Path]) -> RuleCases:
    """Read several case files as one: a case is called by its file and its id there.

    Raises:
        ConfigError: See `read_rule_cases`.
    """
    cases: list[RuleCase] = []
    zones: list[list[str]] = []
    for path in paths:
        own, places = _cases(path)
        cases += [case.model_copy(update={"id": f"{path.stem}: {case.id}"}) for case in own]
        zones += places
    return cases_of(cases, zones)


def _cases(path: Path) -> tuple[list[RuleCase], list[list[str]]]:
    return _checked(path, read(path, list[RuleCase]))


def _checked(path: Path, cases: list[RuleCase]) -> tuple[list[RuleCase], list[list[str]]]:
    for case_id, times in Counter(case.id for case in cases).items():
        if times > 1:
            raise ConfigError(path, None, f"{case_id}: id", f"given to {times} cases")
    zones = []
    for case in cases:
        try:
            zones.append(_zones(case.borrower))
        except NotAPhoneError as error:
            raise ConfigError(path, None, f"{case.id}: borrower.phones", str(error)) from None
    return cases, zones


def _zones(borrower: Borrower) -> list[str]:
    tables = zone_tables()
    return candidate_zones(
        country=borrower.country,
        region=borrower.region,
        areas=tables.postal_areas.of(borrower.country, borrower.postal_code),
        known_zone=borrower.known_zone,
        phone_zones=[read_phone(phone, tables=tables, live=False).zones for phone in borrower.phones],
        tables=tables,
    )


def cases_of(cases: Sequence[RuleCase], zones: Sequence[list[str]]) -> RuleCases:
    """Cases as frames."""
    people = [_Person(number, case, tuple(places)) for number, (case, places) in enumerate(zip(cases, zones, strict=True))]
    return RuleCases(
        ids=[case.id for case in cases],
        facts=Facts(
            borrowers=_frame(facts.BORROWERS, [one.borrower() for one in people]),
            loans=_frame(facts.LOANS, [row for one in people for row in one.loans()]),
            contact_points=_frame(facts.CONTACT_POINTS, [row for one in people for row in one.contact_points()]),
            consents=_frame(facts.CONSENTS, [row for one in people for row in one.consents()]),
            opt_outs=_frame(facts.OPT_OUTS, [row for one in people for row in one.opt_outs()]),
            holds=_frame(facts.HOLDS, [row for one in people for row in one.holds()]),
            wishes=_frame(facts.WISHES, [row for one in people for row in one.wishes()]),
            agreements=_frame(facts.AGREEMENTS, [row for one in people for row in one.agreements()]),
            notices=_frame(facts.NOTICES, [row for one in people for row in one.notices()]),
            history=_frame(facts.HISTORY, [row for one in people for row in one.history()]),
        ),
        candidates=_frame(
            {**CANDIDATES, "place": pl.String, "text": pl.String, "first": pl.Boolean, "form": pl.String},
            [one.candidate() for one in people],
        ),
        expected=[case.expect.model_dump(exclude_unset=True) for case in cases],
    )


def _frame(schema: Schema, rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)


class _Person:
    """One case as rows; its loans and contact points are numbered apart from every other case's."""

    def __init__(self, number: int, case: RuleCase, zones: tuple[str, ...]) -> None:
        self.number, self.case, self.zones = number, case, zones
        named = [loan.id for loan in case.loans]
        named += [*case.proposed.loans, *(loan for event in case.history for loan in event.loans)]
        named += [hold.loan for hold in case.holds if hold.loan is not None]
        named += [notice.loan for notice in case.notices if notice.loan is not None]
        self.loan_ids = self._numbered(named)
        points = [point.id for point in case.contact_points]
        points += [stop.contact_point for stop in case.optouts if stop.contact_point is not None]
        points += [event.contact_point for event in case.history if event.contact_point is not None]
        points += [] if case.proposed.contact_point is None else [case.proposed.contact_point]
        self.point_ids = self._numbered(points)

    def _numbered(self, names: list[str]) -> dict[str, int]:
        return {name: self.number * NAMES_MAX + place for place, name in enumerate(dict.fromkeys(names))}

    def _row(self, **columns: Any) -> dict[str, Any]:
        return {"party_id": self.number, **columns}

    def _early(self, when: datetime | date | None) -> datetime | None:
        return self._start(when, latest=False)

    def _late(self, when: datetime | date | None) -> datetime | None:
        return self._start(when, latest=True)

    def _start(self, when: datetime | date | None, *, latest: bool) -> datetime | None:
        """An instant, or the start of a local day in the zone where it begins first or last."""
        if when is None or isinstance(when, datetime):
            return when
        starts = [start_of_day_us(zone, day_number(when)) for zone in self.zones or EVERYWHERE]
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=max(starts) if latest else min(starts))

    def borrower(self) -> dict[str, Any]:
        """Row of BORROWERS."""
        person, tables = self.case.borrower, zone_tables()
        areas = tables.postal_areas.of(person.country, person.postal_code)
        derived = jurisdictions_where(
            country=person.country, region=person.region, areas=areas, known_zone=person.known_zone, tables=tables
        )
        return self._row(
            creditor_id=1,
            creditor_role=self.case.creditor_role,
            country=person.country,
            region=person.region,
            locale=person.language,
            known_zone=person.known_zone,
            zones=list(self.zones),
            home_zones=state_zones(person.country, person.region, tables, areas),
            facts=list(person.facts),
            jurisdictions=stacked(self.case.jurisdictions) or derived,
            payments_fresh_until=self.case.proposed.at + timedelta(days=1),
            paused=False,
            paused_channels=[],
        )

    def loans(self) -> list[dict[str, Any]]:
        """Rows of LOANS."""
        known = {loan.id: loan for loan in self.case.loans}
        return [self._loan(number, known.get(name) or Loan(id=name)) for name, number in self.loan_ids.items()]

    def _loan(self, number: int, loan: Loan) -> dict[str, Any]:
        return self._row(
            loan_id=number,
            role="borrower",
            product=loan.product,
            account=loan.account,
            currency=loan.currency,
            past_due_minor=loan.past_due,
            days_past_due=loan.days_past_due,
            delinquent_days=loan.days_past_due,
            # A dispute covers the whole of it; 1 says that there is one where the amount is not known.
            disputed_minor=(loan.past_due if loan.past_due is not None else 1) if loan.disputed else 0,
            charged_off=loan.charged_off,
            time_barred=loan.time_barred,
            servicing_status="active",
        )

    def contact_points(self) -> list[dict[str, Any]]:
        """Rows of CONTACT_POINTS."""
        known = {point.id: point for point in self.case.contact_points}
        return [self._point(number, known.get(name) or ContactPoint(id=name)) for name, number in self.point_ids.items()]

    def _point(self, number: int, point: ContactPoint) -> dict[str, Any]:
        kind = point.kind or ("email" if self.case.proposed.channel == "email" else "mobile")
        owner = point.owner if any(point.id == known.id for known in self.case.contact_points) else self.case.proposed.party
        return self._row(
            contact_point_id=number,
            kind=kind,
            owner=owner,
            employer_owned=point.employer_owned,
            zones=[],
            verified_on=point.verified_on,
            status=point.status,
            ownership="claimed",
        )

    def consents(self) -> list[dict[str, Any]]:
        """Rows of CONSENTS: they begin late and end early."""
        return [
            self._row(channel=one.channel, given_to=one.given_to, at=self._late(one.at), until=self._early(one.until))
            for one in self.case.consents
        ]

    def opt_outs(self) -> list[dict[str, Any]]:
        """Rows of OPT_OUTS: they begin early and end late, as holds and wishes do."""
        return [
            self._row(
                channel=one.channel,
                contact_point_id=self.point_ids[one.contact_point] if one.contact_point is not None else None,
                at=self._early(one.at),
                until=self._late(one.until),
            )
            for one in self.case.optouts
        ]

    def holds(self) -> list[dict[str, Any]]:
        """Rows of HOLDS."""
        return [
            self._row(
                kind=one.kind,
                loan_id=self.loan_ids[one.loan] if one.loan is not None else None,
                starts_at=self._early(one.begins),
                until=self._late(one.until),
            )
            for one in self.case.holds
        ]

    def wishes(self) -> list[dict[str, Any]]:
        """Rows of WISHES."""
        return [
            self._row(
                kind=one.kind,
                days=list(one.days),
                opens=_time_of_day(one.begins),
                closes=_time_of_day(one.ends),
                place=one.place,
                channels=list(one.channels),
                starts_at=self._early(one.since),
                until=self._late(one.until),
                form=one.form,
            )
            for one in self.case.wishes
        ]

    def agreements(self) -> list[dict[str, Any]]:
        """Rows of AGREEMENTS."""
        return [
            self._row(
                kind=one.kind,
                days=list(one.days),
                opens=_time_of_day(one.opens),
                closes=_time_of_day(one.closes),
                requested_by=one.requested_by,
                at=self._late(one.at),
                until=self._early(one.until),
            )
            for one in self.case.agreements
        ]

    def notices(self) -> list[dict[str, Any]]:
        """Rows of NOTICES."""
        return [
            self._row(
                loan_id=self.loan_ids[one.loan] if one.loan is not None else None,
                kind=one.kind,
                sent_at=self._late(one.sent_at),
                received_on=one.received_on,
                bounced=one.bounced,
                opt_out_by=one.opt_out_by,
            )
            for one in self.case.notices
        ]

    def history(self) -> list[dict[str, Any]]:
        """Rows of HISTORY; what came after the proposed contact is not history to it."""
        return [
            self._row(
                event_id=self.number * NAMES_MAX + place,
                at=one.at,
                channel=one.channel,
                direction=one.direction,
                loans=[self.loan_ids[name] for name in one.loans],
                contact_point_id=self.point_ids[one.contact_point] if one.contact_point is not None else None,
                counterparty=one.party,
                purpose=one.purpose,
                result=one.result,
            )
            for place, one in enumerate(self.case.history)
            if one.at <= self.case.proposed.at
        ]

    def candidate(self) -> dict[str, Any]:
        """Row of CANDIDATES, and what may stand beside it."""
        proposed = self.case.proposed
        return self._row(
            candidate=self.number,
            contact_point_id=self.point_ids[proposed.contact_point] if proposed.contact_point is not None else None,
            channel=proposed.channel,
            purpose=proposed.meant,
            at=proposed.at,
            loans=[self.loan_ids[name] for name in proposed.loans],
            counterparty=proposed.party,
            automated=proposed.by_machine,
            place=proposed.place,
            text=proposed.text,
            first=proposed.first or None,
            form=proposed.form,
        )


def _time_of_day(minutes: int | None) -> time | None:
    """A time of day; the end of the day has none."""
    return None if minutes is None or minutes * 60_000_000 >= DAY_US else time(minutes // 60, minutes % 60)
