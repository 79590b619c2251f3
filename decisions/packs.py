"""Rule packs: what the law, a guidance or the house says, as typed values with dates and sources.

A rule has one id, one kind, one sentence that says it, values that are in force from a date on, and at least one
reference. Numbers stand only here (config/rules/*.yaml); decisions/rules/ holds one file of column functions a kind.

In:   plain values, as config/load.py reads them.
Out:  frozen rules and packs; which version of a rule is in force on a date; which jurisdictions attach to a place.
Pure: values only.
Source: CASES.md (words, kinds), LAW.md (ids).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Any, Final, Literal, get_args

import polars as pl
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

Channel = Literal["sms", "voice", "call", "push", "in_app", "whatsapp", "messenger", "rcs", "email", "letter", "visit", "social_public"]
Purpose = Literal[
    "reminder",
    "collection",
    "locate",
    "legal_notice",
    "hardship_offer",
    "dispute_response",
    "confirmation",
    "education",
    "reply",
    "consent_request",
    "receipt",
    "plan_confirmation",
    "statement",
    "correction",
    "callback",
    "one_time_code",
]
Party = Literal["borrower", "co_borrower", "spouse", "guarantor", "attorney", "employer", "reference", "household", "third_party"]
Role = Literal["first_party", "third_party", "debt_buyer"]
ContactPointKind = Literal["mobile", "landline", "email", "address", "push", "whatsapp", "messenger", "social"]
Result = Literal[
    "no_answer",
    "busy",
    "not_in_service",
    "dropped",
    "voicemail",
    "limited_content_voicemail",
    "ringless_voicemail",
    "conversation",
    "delivered",
    "read",
    "undelivered",
    "failed",
    "wrong_number",
    "sent",
    "received",
]
HoldKind = Literal[
    "dispute",
    "cease",
    "refusal_to_pay",
    "hardship",
    "bankruptcy",
    "deceased",
    "breathing_space",
    "mental_health_crisis",
    "attorney",
    "complaint",
    "fraud",
    "paid_claimed",
    "promise",
    "disaster",
    "illness",
    "bereavement",
    "military",
    "plan",
    "placed",
    "sold",
    "litigation",
    "debt_adviser",
    "callback",
    "economic_abuse",
    "identity_theft",
]
Kind = Literal[
    "window",
    "zone",
    "cap",
    "cooldown",
    "consent",
    "optout",
    "wish",
    "hold",
    "party",
    "place",
    "channel",
    "content",
    "order",
    "deadline",
    "duty",
]
Basis = Literal["law", "presumption", "guidance", "draft", "provider_policy", "house"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

CHANNELS: Final[tuple[str, ...]] = get_args(Channel)
PURPOSES: Final[tuple[str, ...]] = get_args(Purpose)
PARTIES: Final[tuple[str, ...]] = get_args(Party)
ROLES: Final[tuple[str, ...]] = get_args(Role)
WEEKDAYS: Final[tuple[str, ...]] = get_args(Weekday)
# The strictest first: where the creditor's role is not known, the strictest reading is named.
BASES: Final[tuple[str, ...]] = get_args(Basis)

HOUSE: Final = "house"
# Conditions that pass without a rule knowing when: tomorrow's payments arrive, operations resume.
PASSING: Final = frozenset({"payments_stale", "paused"})
DAY_MINUTES: Final = 24 * 60


class _Strict(BaseModel):
    """Unknown keys are errors: a typo in a rule must not switch the rule off."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _minutes(value: object) -> object:
    """Minutes since local midnight of a text like 08:00; 24:00 is the end of the day."""
    if not isinstance(value, str):
        return value
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00", value):
        raise ValueError("not a time of day like 08:00 (24:00 = the end of the day)")
    hours, minutes = value.split(":")
    return int(hours) * 60 + int(minutes)


def _day(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ValueError("not a date like 2026-03-31")
    return value


def _days(value: object) -> object:
    """Whole days of an ISO 8601 duration like P7D."""
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"P([1-9][0-9]{0,2})D", value)
    if not found:
        raise ValueError("not a number of days like P7D")
    return int(found[1])


def _ascending(values: dict[date, Any]) -> dict[date, Any]:
    days = list(values)
    if not days:
        raise ValueError("a rule needs at least one dated value")
    if days != sorted(days):
        raise ValueError("the dates must ascend")
    return values


Minutes = Annotated[int, BeforeValidator(_minutes)]
Day = Annotated[date, BeforeValidator(_day)]
SpanDays = Annotated[int, BeforeValidator(_days)]


class Reference(_Strict):
    """Where a rule comes from, and when somebody read it there."""

    title: str = Field(min_length=1)
    section: str | None = None
    href: str | None = None
    read_on: Day


class AppliesTo(_Strict):
    """Which contacts a rule looks at; what is left out does not narrow."""

    channels: tuple[Channel, ...] | None = None
    purposes: tuple[Purpose, ...] | None = None
    except_purposes: tuple[Purpose, ...] = ()
    parties: tuple[Party, ...] | None = None
    # Only what a machine starts (false: only what a person starts). Not known counts as both.
    automated: bool | None = None

    @model_validator(mode="after")
    def _one_list_of_purposes(self) -> AppliesTo:
        if self.purposes is not None and self.except_purposes:
            raise ValueError("`purposes` and `except_purposes` exclude each other")
        return self

    def covers(self, *, channel: str, purpose: str, party: str, automated: bool | None) -> bool:
        """Whether the rule looks at such a contact."""
        return (
            (self.channels is None or channel in self.channels)
            and (self.purposes is None or purpose in self.purposes)
            and purpose not in self.except_purposes
            and (self.parties is None or party in self.parties)
            and (self.automated is None or automated is None or automated == self.automated)
        )


class RuleBase(_Strict):
    """What every rule carries, whatever its kind."""

    id: str = Field(pattern=r"^[A-Z]{2,}(-[A-Z0-9][A-Z0-9./]*)+$")
    says: str = Field(min_length=10)
    applies_to: AppliesTo = AppliesTo()
    # One basis for every creditor, or one a role; a role that is not named is not bound.
    basis: Basis | dict[Role, Basis]
    reason: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    reference: tuple[Reference, ...] = Field(min_length=1)
    confidence: Literal["V1", "V2", "R"]
    reviewed_by: str | None
    # What could not be verified; the stricter reading is in force meanwhile.
    unverified: str | None = None
    # One reply to a person who wrote or called on the same channel is allowed for so many local days, the first being her own.
    one_reply: SpanDays | None = None

    def basis_for(self, role: str | None) -> str | None:
        """Basis for a creditor of `role`; None = the rule does not bind it. An unknown role meets the strictest."""
        if isinstance(self.basis, str):
            return self.basis
        if role is None:
            return min(self.basis.values(), key=BASES.index)
        return next((basis for known, basis in self.basis.items() if known == role), None)


class NoValue(_Strict):
    """A version of a rule that has no number: it is simply in force from its date on."""


Ended = Literal["ended"]


def _form(value: object) -> str:
    """Which form a dated value has, so that what is wrong in it is said of that form alone."""
    if value == "ended":
        return "ended"
    every_day = isinstance(value, EveryDay) or (isinstance(value, dict) and not value.keys().isdisjoint({"opens", "closes"}))
    return "every day" if every_day else "by class of day"


def _ended_or_not(value: object) -> str:
    return "ended" if value == "ended" else "in force"


InForce = Annotated[Annotated[NoValue, Tag("in force")] | Annotated[Ended, Tag("ended")], Discriminator(_ended_or_not)]


class Span(_Strict):
    """Allowed local hours, [opens, closes), in minutes since midnight."""

    opens: Minutes
    closes: Minutes

    @model_validator(mode="after")
    def _opens_first(self) -> Span:
        if self.opens >= self.closes:
            raise ValueError("`opens` must be before `closes`")
        return self


DayHours = Span | Literal["closed"]


class EveryDay(Span):
    """The same hours on every day, holidays included."""


class ByDayClass(_Strict):
    """Hours by class of day; `holiday`, where given, goes before the day of the week."""

    weekday: DayHours
    saturday: DayHours
    sunday: DayHours
    holiday: DayHours | None = None


HoursValue = Annotated[
    Annotated[EveryDay, Tag("every day")] | Annotated[ByDayClass, Tag("by class of day")] | Annotated[Ended, Tag("ended")],
    Discriminator(_form),
]


class WindowRule(RuleBase):
    """Local times at which a person may be reached."""

    kind: Literal["window"]
    # every_plausible_zone: inside in each zone where the person may be. Else a zone's name: that clock alone decides.
    clock: str
    # Whose public holidays the class `holiday` means: an ISO 3166 code of the holidays library.
    calendar: str | None = None
    # May hours that the borrower asked for be wider than these? Any agreement may narrow.
    agreement_widens: bool = False
    values: Annotated[dict[Day, HoursValue], AfterValidator(_ascending)]

    @model_validator(mode="after")
    def _calendar_is_whole(self) -> WindowRule:
        by_class = [value for value in self.values.values() if isinstance(value, ByDayClass)]
        if any((value.holiday is None) != (self.calendar is None) for value in by_class):
            raise ValueError("`calendar` and hours for `holiday` go together")
        return self


class Counts(_Strict):
    """Which past contacts count, and for how long: local days, the day of the contact being the first."""

    channels: tuple[Channel, ...] | None = None
    directions: tuple[Literal["outbound", "inbound"], ...] = ("outbound",)
    results: tuple[Result, ...] | None = None
    except_results: tuple[Result, ...] = ()
    except_purposes: tuple[Purpose, ...] = ()
    # person: all contacts with that person; debt: loans that share an account are one debt.
    per: Literal["person", "debt"]
    span: SpanDays
    # Contacts at a number that turned out to be somebody else's were not contacts with this person.
    except_wrong_numbers: bool = False
    # Contacts that the person consented to directly, for so many days (the first is the day of the consent), are not counted.
    except_consented: SpanDays | None = None


class AtMost(_Strict):
    """Number of counted contacts at which no further one is allowed."""

    at_most: int = Field(ge=1)


CapValue = Annotated[Annotated[AtMost, Tag("in force")] | Annotated[Ended, Tag("ended")], Discriminator(_ended_or_not)]


class CapRule(RuleBase):
    """At most so many contacts in a period."""

    kind: Literal["cap"]
    counts: Counts
    values: Annotated[dict[Day, CapValue], AfterValidator(_ascending)]


class CooldownRule(RuleBase):
    """Quiet after a contact of some sort."""

    kind: Literal["cooldown"]
    counts: Counts
    values: Annotated[dict[Day, InForce], AfterValidator(_ascending)]


class LetsThrough(_Strict):
    """What may be said although the hold is on."""

    purposes: tuple[Purpose, ...] = ()
    parties: tuple[Party, ...] = ()


class HoldRule(RuleBase):
    """No contact while a hold, or a condition of the debt or the operation, lasts."""

    kind: Literal["hold"]
    # `all`, or some kinds of hold.
    holds: Literal["all"] | tuple[HoldKind, ...] = ()
    # payments_stale: the payment feed is older than its limit. nothing_due: no undisputed amount is past due.
    # disputed: one of the debts is disputed. paused: operations stopped contact.
    conditions: tuple[Literal["payments_stale", "nothing_due", "disputed", "paused"], ...] = ()
    lets_through: dict[HoldKind, LetsThrough] = Field(default_factory=dict)
    values: Annotated[dict[Day, InForce], AfterValidator(_ascending)]

    @model_validator(mode="after")
    def _holds_something(self) -> HoldRule:
        if not self.holds and not self.conditions:
            raise ValueError("names neither holds nor conditions")
        if not PASSING.isdisjoint(self.conditions) and (self.holds or len(self.conditions) > 1):
            raise ValueError(f"{' and '.join(sorted(PASSING))} stand alone in a rule: no rule knows when they end")
        return self


class OptOutRule(RuleBase):
    """The person said stop: to a channel, to a contact point, or to all."""

    kind: Literal["optout"]
    values: Annotated[dict[Day, InForce], AfterValidator(_ascending)]


class ConsentRule(RuleBase):
    """The channel needs a consent in force."""

    kind: Literal["consent"]
    given_to: tuple[str, ...]
    values: Annotated[dict[Day, InForce], AfterValidator(_ascending)]


class WishRule(RuleBase):
    """Times, places and channels that the person asked to leave alone."""

    kind: Literal["wish"]
    wishes: tuple[Literal["not_at", "not_place", "not_channel"], ...] = Field(min_length=1)
    # For not_place: which places this rule speaks of; left out = every place.
    places: tuple[str, ...] | None = None
    values: Annotated[dict[Day, InForce], AfterValidator(_ascending)]


class MayContact(_Strict):
    """Who may be contacted, for what, and what must be known of the borrower for that."""

    parties: tuple[Party, ...] = Field(min_length=1)
    purposes: tuple[Purpose, ...] | None = None
    only_if: tuple[str, ...] = ()


class PartyRule(RuleBase):
    """Who may be contacted about the debt."""

    kind: Literal["party"]
    may: tuple[MayContact, ...] = ()
    # Facts of the borrower, or holds, with which she is not contacted herself.
    forbids_facts: tuple[str, ...] = ()
    forbids_holds: tuple[HoldKind, ...] = ()
    values: Annotated[dict[Day, InForce], AfterValidator(_ascending)]


class ChannelRule(RuleBase):
    """Which channel and which contact point may be used at all."""

    kind: Literal["channel"]
    barred: bool = False
    statuses: tuple[str, ...] | None = None
    forbids_ownership: tuple[str, ...] = ()
    # The contact point must belong to the person who is contacted.
    owner_is_contacted: bool = False
    forbids_employer_owned: bool = False
    forbids_wrong_numbers: bool = False
    kinds: tuple[ContactPointKind, ...] | None = None
    values: Annotated[dict[Day, InForce], AfterValidator(_ascending)]


class ZoneRule(RuleBase):
    """Nobody is contacted whose place, or whose law, is not known."""

    kind: Literal["zone"]
    condition: Literal["unknown_zone", "unknown_jurisdiction"]
    values: Annotated[dict[Day, InForce], AfterValidator(_ascending)]


class DutyRule(RuleBase):
    """What binds the lender and gates no single contact, or not yet: records, texts, notices, deadlines."""

    kind: Literal["duty", "content", "order", "deadline", "place"]
    values: Annotated[dict[Day, InForce], AfterValidator(_ascending)]


GatingRule = WindowRule | CapRule | CooldownRule | HoldRule | OptOutRule | ConsentRule | WishRule | PartyRule | ChannelRule | ZoneRule
Rule = Annotated[GatingRule | DutyRule, Field(discriminator="kind")]


class Pack(_Strict):
    """All contact rules of one jurisdiction, in force together; its version is the hash of its file."""

    jurisdiction: str = Field(pattern=r"^([A-Z]{2}(-[A-Z0-9]{1,3}(-[A-Z0-9]+)?)?|house)$")
    title: str
    owner: str
    reviewed_on: Day
    rules: tuple[Rule, ...] = Field(min_length=1)
    # SHA-256 of the file's bytes, in hexadecimal; the reader fills it in.
    version: str = ""

    @model_validator(mode="after")
    def _ids_differ(self) -> Pack:
        ids = [rule.id for rule in self.rules]
        repeated = sorted({rule_id for rule_id in ids if ids.count(rule_id) > 1})
        if repeated:
            raise ValueError(f"rule ids given twice: {', '.join(repeated)}")
        return self

    @property
    def gating(self) -> tuple[GatingRule, ...]:
        """Rules that can forbid a contact, in the file's order."""
        return tuple(rule for rule in self.rules if not isinstance(rule, DutyRule))


class Packs(_Strict):
    """Every pack that is in force here, the house's own among them."""

    packs: tuple[Pack, ...]

    @model_validator(mode="after")
    def _differ(self) -> Packs:
        for what, names in (
            ("jurisdictions", [pack.jurisdiction for pack in self.packs]),
            ("rule ids", [rule.id for pack in self.packs for rule in pack.rules]),
        ):
            repeated = sorted({name for name in names if names.count(name) > 1})
            if repeated:
                raise ValueError(f"{what} given twice: {', '.join(repeated)}")
        return self

    @property
    def jurisdictions(self) -> frozenset[str]:
        """Jurisdictions that have a pack; the house is none."""
        return frozenset(pack.jurisdiction for pack in self.packs) - {HOUSE}

    @property
    def versions(self) -> Mapping[str, str]:
        """Version of each pack by jurisdiction."""
        return {pack.jurisdiction: pack.version for pack in self.packs}

    def gating(self) -> Iterator[tuple[Pack, GatingRule]]:
        """Every rule that can forbid a contact, in fixed order."""
        for pack in self.packs:
            for rule in pack.gating:
                yield pack, rule

    def rule(self, rule_id: str) -> tuple[Pack, GatingRule | DutyRule]:
        """The rule of that id and its pack.

        Raises:
            KeyError: No pack has it.
        """
        for pack in self.packs:
            for rule in pack.rules:
                if rule.id == rule_id:
                    return pack, rule
        raise KeyError(rule_id)


def value_on(values: Mapping[date, Any], day: date) -> Any | None:
    """The value in force on a local date; None = not yet, or no longer."""
    in_force = None
    for since, value in values.items():
        if since <= day:
            in_force = value
    return None if in_force == "ended" else in_force


def jurisdictions_of(country: str | None, region: str | None) -> list[str]:
    """Jurisdictions that attach to a place, most general first: ("US", "NY") is ["US", "US-NY"]; unknown is [].

    Args:
        country: ISO 3166-1 code of two letters.
        region: Subdivision, with or without its country: "NY" or "US-NY".
    """
    if not country:
        return []
    if not region:
        return [country]
    return [country, region if region.startswith(f"{country}-") else f"{country}-{region}"]


def jurisdictions_expr(country: str = "country", region: str = "region") -> pl.Expr:
    """`jurisdictions_of` over columns: List[String], never null."""
    nation, part = pl.col(country), pl.col(region)
    known, has_part = nation.is_not_null() & (nation != ""), part.is_not_null() & (part != "")
    whole = pl.when(part.str.starts_with(pl.concat_str(nation, pl.lit("-")))).then(part).otherwise(pl.concat_str(nation, pl.lit("-"), part))
    return (
        pl.when(known & has_part)
        .then(pl.concat_list(nation, whole))
        .when(known)
        .then(pl.concat_list(nation))
        .otherwise(pl.lit([], dtype=pl.List(pl.String)))
    )
