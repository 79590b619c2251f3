"""What a rule of each kind may say: its fields, its numbers, and what is checked of them when a pack is read.

One class a kind. Numbers stand in dated `values`; what a rule looks at stands in `applies_to`; what it counts, in `counts`.
decisions/rules/ holds one file of column functions a kind, which turn these values into verdicts.

In:   plain values, as config/load.py reads them.
Out:  frozen rules.
Pure: values only.
Source: CASES.md (words, kinds), LAW.md (ids, list of primitives).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, PlainSerializer, Tag, model_validator

from decisions.words import BASES, Basis, Channel, ContactPointKind, Direction, HoldKind, Party, Product, Purpose, Result, Role, Where

# Conditions that pass without a rule knowing when: tomorrow's payments arrive, operations resume.
PASSING: Final = frozenset({"payments_stale", "paused"})
EVERY_PLAUSIBLE_ZONE: Final = "every_plausible_zone"
DEBTOR_STATE: Final = "debtor_state"
OWN_COUNTRY: Final = "own_country"
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


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


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


@dataclass(frozen=True, slots=True)
class Period:
    """How long something counts or lasts.

    Attributes:
        unit: `days`: consecutive local days, the day it began in being the first. `months`: calendar months, to the same day of
            the month. `minutes`: by the clock. `week`, `month`: to the end of the calendar week (Monday to Sunday) or month it
            began in. `ever`: for good.
        number: Of days, months or minutes; 1 for the others.
    """

    unit: Literal["days", "months", "minutes", "week", "month", "ever"]
    number: int = 1

    def __str__(self) -> str:
        """As a pack writes it."""
        if self.unit == "minutes":
            return f"PT{self.number // 60}H" if self.number % 60 == 0 else f"PT{self.number}M"
        return {"days": f"P{self.number}D", "months": f"P{self.number}M", "week": "calendar_week", "month": "calendar_month"}.get(
            self.unit, "ever"
        )

    @property
    def most_days(self) -> int | None:
        """No fewer days than it can last; None = it never ends."""
        return {
            "days": self.number,
            "months": 31 * self.number,
            "minutes": self.number // DAY_MINUTES + 1,
            "week": 7,
            "month": 31,
        }.get(self.unit)


_NAMED: Final = {"calendar_week": Period("week"), "calendar_month": Period("month"), "ever": Period("ever")}
_UNITS: Final[dict[str, tuple[Literal["days", "months", "minutes"], int]]] = {
    "PD": ("days", 1),
    "PM": ("months", 1),
    "PTH": ("minutes", 60),
    "PTM": ("minutes", 1),
}


def _period(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value in _NAMED:
        return _NAMED[value]
    found = re.fullmatch(r"(PT?)([1-9][0-9]{0,3})([DMH])", value)
    unit = _UNITS.get(found[1] + found[3]) if found else None
    if found is None or unit is None:
        raise ValueError("not a period like P7D (local days), P3M (months), PT168H, PT5M, calendar_week, calendar_month or ever")
    return Period(unit[0], unit[1] * int(found[2]))


def _ascending(values: dict[date, Any]) -> dict[date, Any]:
    days = list(values)
    if not days:
        raise ValueError("a rule needs at least one dated value")
    if days != sorted(days):
        raise ValueError("the dates must ascend")
    return values


# As JSON, each is written as a pack writes it.
Minutes = Annotated[int, BeforeValidator(_minutes), PlainSerializer(_clock, when_used="json")]
Day = Annotated[date, BeforeValidator(_day)]
SpanDays = Annotated[int, BeforeValidator(_days), PlainSerializer("P{}D".format, when_used="json")]
Lasting = Annotated[Period, BeforeValidator(_period), PlainSerializer(str)]


class Reference(_Strict):
    """Where a rule comes from, and when somebody read it there."""

    title: str = Field(min_length=1)
    section: str | None = None
    href: str | None = None
    read_on: Day


class OfLoans(_Strict):
    """Loans that a rule is about. What is not known of a loan does not take the rule off it, unless it says `known_only`."""

    products: tuple[Product, ...] | None = None
    except_products: tuple[Product, ...] = ()
    # More than so many days past due.
    past_due_over_days: int | None = Field(default=None, ge=0)
    charged_off: bool | None = None
    time_barred: bool | None = None
    # Only loans of which it is known.
    known_only: bool = False

    @model_validator(mode="after")
    def _narrows(self) -> OfLoans:
        if not self.model_fields_set - {"known_only"}:
            raise ValueError("names no loans")
        if self.products is not None and self.except_products:
            raise ValueError("`products` and `except_products` exclude each other")
        return self


class AppliesTo(_Strict):
    """Which contacts a rule looks at; what is left out does not narrow."""

    channels: tuple[Channel, ...] | None = None
    purposes: tuple[Purpose, ...] | None = None
    except_purposes: tuple[Purpose, ...] = ()
    parties: tuple[Party, ...] | None = None
    # Only what a machine starts (false: only what a person starts). Not known counts as both.
    automated: bool | None = None
    # Where the person is reached; a mobile phone is at no place, so that `places` leaves it out and `except_places` does not.
    places: tuple[Where, ...] | None = None
    except_places: tuple[Where, ...] = ()
    # Only contact points of these kinds, and those of which the kind is not known.
    contact_points: tuple[ContactPointKind, ...] | None = None
    # A contact about several loans is concerned where one of them is; one that names none, where any of the person's is.
    loans: OfLoans | None = None
    # Only people of whom one of these facts is known.
    facts: tuple[str, ...] | None = None
    # Only where this layer (such as EU) is all the law we have for the person: her country has no pack of its own.
    layer_alone: str | None = None

    @model_validator(mode="after")
    def _one_list_each(self) -> AppliesTo:
        if self.purposes is not None and self.except_purposes:
            raise ValueError("`purposes` and `except_purposes` exclude each other")
        if self.places is not None and self.except_places:
            raise ValueError("`places` and `except_places` exclude each other")
        return self

    def covers(self, *, channel: str, purpose: str, party: str, automated: bool | None, place: str | None) -> bool:
        """Whether the rule looks at such a contact, whatever the person and her loans."""
        return (
            (self.channels is None or channel in self.channels)
            and (self.purposes is None or purpose in self.purposes)
            and purpose not in self.except_purposes
            and (self.parties is None or party in self.parties)
            and (self.automated is None or automated is None or automated == self.automated)
            and (self.places is None or place in self.places)
            and place not in self.except_places
        )


class RuleBase(_Strict):
    """What every rule carries, whatever its kind."""

    id: str = Field(pattern=r"^[A-Z]{2,}(-[A-Z0-9][A-Z0-9./]*)+$")
    # The rule of the law that this one is a part of, where one sentence of the law needs several rules; answers name it.
    part_of: str | None = None
    # The rule whose fields hold where this one is silent; this one may only tighten it.
    extends: str | None = None
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
    # review: the rule does not forbid, it asks for a person's judgement first.
    outcome: Literal["block", "review"] = "block"

    def basis_for(self, role: str | None) -> str | None:
        """Basis for a creditor of `role`; None = the rule does not bind it. An unknown role meets the strictest."""
        if isinstance(self.basis, str):
            return self.basis
        if role is None:
            return min(self.basis.values(), key=BASES.index)
        return next((basis for known, basis in self.basis.items() if known == role), None)


class Disclosure(RuleBase):
    """A rule about what a creditor must say or send, not about what it must leave."""

    def basis_for(self, role: str | None) -> str | None:
        """See `RuleBase`; but what an agency alone must say is not asked where the role is not known: from a lender it would be untrue."""
        return None if role is None and not isinstance(self.basis, str) else super().basis_for(role)


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


_EITHER: Final = Discriminator(_ended_or_not)
_ENDED = Annotated[Ended, Tag("ended")]
InForce = Annotated[Annotated[NoValue, Tag("in force")] | _ENDED, _EITHER]


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
    Annotated[EveryDay, Tag("every day")] | Annotated[ByDayClass, Tag("by class of day")] | _ENDED,
    Discriminator(_form),
]


class WindowRule(RuleBase):
    """Local times at which a person may be reached."""

    kind: Literal["window"]
    # every_plausible_zone: inside in each zone where the person may be. debtor_state: in each zone of the state where she lives
    # (of every plausible zone where that is not known). Else a zone's name: that clock alone decides.
    clock: str
    # Whose public holidays the class `holiday` means: an ISO 3166 code of the holidays library, or own_country.
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
    """Which past contacts count, towards what, and for how long."""

    channels: tuple[Channel, ...] | None = None
    directions: tuple[Direction, ...] = ("outbound",)
    results: tuple[Result, ...] | None = None
    except_results: tuple[Result, ...] = ()
    purposes: tuple[Purpose, ...] | None = None
    except_purposes: tuple[Purpose, ...] = ()
    places: tuple[Where, ...] | None = None
    except_places: tuple[Where, ...] = ()
    # person: contacts with the same person (borrower, spouse, ...). debt: with the same person about the same debt (loans that
    # share an account are one). account: about the same debt, with whomever. household: about this borrower, with whomever.
    # contact_point: at the same number or address.
    per: Literal["person", "debt", "account", "household", "contact_point"]
    span: Lasting
    # Only contacts by another channel than the proposed one.
    other_channels_only: bool = False
    # Contacts at a number that turned out to be somebody else's were not contacts with this person.
    except_wrong_numbers: bool = False
    # Contacts that the person consented to directly, for so many days (the first is the day of the consent), are not counted.
    except_consented: SpanDays | None = None

    @model_validator(mode="after")
    def _one_list_each(self) -> Counts:
        for name in ("results", "purposes", "places"):
            if getattr(self, name) is not None and getattr(self, f"except_{name}"):
                raise ValueError(f"`{name}` and `except_{name}` exclude each other")
        return self


class AtMost(_Strict):
    """Number of counted contacts at which no further one is allowed."""

    at_most: int = Field(ge=1)


class CapRule(RuleBase):
    """At most so many contacts in a period."""

    kind: Literal["cap"]
    counts: Counts
    # A consent to the channel, in force, lifts the rule.
    consent_lifts: bool = False
    values: Annotated[dict[Day, Annotated[Annotated[AtMost, Tag("in force")] | _ENDED, _EITHER]], AfterValidator(_ascending)]

    @model_validator(mode="after")
    def _any_channel(self) -> CapRule:
        if self.counts.other_channels_only:
            raise ValueError("`other_channels_only` belongs to a cooldown")
        return self


class CooldownRule(RuleBase):
    """Quiet after a contact of some sort."""

    kind: Literal["cooldown"]
    counts: Counts
    values: Annotated[dict[Day, InForce], AfterValidator(_ascending)]


class LetsThrough(_Strict):
    """What may be said although the hold is on."""

    purposes: tuple[Purpose, ...] = ()
    parties: tuple[Party, ...] = ()


class HoldLasts(_Strict):
    """Statutory ends.

    Attributes:
        lasts: A hold that names no end of its own ends so long after it began; one that names an earlier end, at that.
        after: Nobody is contacted for so long after a hold has ended, either.
    """

    lasts: Lasting | None = None
    after: Lasting | None = None


class HoldRule(RuleBase):
    """No contact while a hold, or a condition of the debt or the operation, lasts."""

    kind: Literal["hold"]
    # `all`, or some kinds of hold.
    holds: Literal["all"] | tuple[HoldKind, ...] = ()
    # payments_stale: the payment feed is older than its limit. nothing_due: no undisputed amount is past due.
    # disputed: one of the debts is disputed. paused: operations stopped contact.
    conditions: tuple[Literal["payments_stale", "nothing_due", "disputed", "paused"], ...] = ()
    lets_through: dict[HoldKind, LetsThrough] = Field(default_factory=dict)
    # A hold without an end of its own ends, for this rule too, when a law of the person's place says that it does.
    ends_with_law: bool = False
    values: Annotated[dict[Day, Annotated[Annotated[HoldLasts, Tag("in force")] | _ENDED, _EITHER]], AfterValidator(_ascending)]

    @model_validator(mode="after")
    def _holds_something(self) -> HoldRule:
        if not self.holds and not self.conditions:
            raise ValueError("names neither holds nor conditions")
        if not PASSING.isdisjoint(self.conditions) and (self.holds or len(self.conditions) > 1):
            raise ValueError(f"{' and '.join(sorted(PASSING))} stand alone in a rule: no rule knows when they end")
        if not self.holds and any(isinstance(value, HoldLasts) and value.model_fields_set for value in self.values.values()):
            raise ValueError("only holds have a statutory end")
        return self


class OptOutRule(RuleBase):
    """The person said stop: to a channel, to a contact point, or to all."""

    kind: Literal["optout"]
    values: Annotated[dict[Day, InForce], AfterValidator(_ascending)]


class ConsentAge(_Strict):
    """How old a consent may be.

    Attributes:
        fresh_for: Local days, the day it was given or renewed being the first; left out = until it is taken back.
        opt_out_days: Days to opt out that the notice which stands for a consent must have left, at least.
    """

    fresh_for: SpanDays | None = None
    opt_out_days: int | None = Field(default=None, ge=1)


class ConsentRule(RuleBase):
    """The channel needs a consent in force."""

    kind: Literal["consent"]
    given_to: tuple[str, ...]
    # Only a consent given to whoever collects: to the collector, or to the creditor where it collects itself.
    direct: bool = False
    # What makes a consent as good as new: a message of the person's by that channel, or the verification of its contact point.
    renewed_by: tuple[Literal["inbound", "verification"], ...] = ()
    # A notice that stands for a consent once its days to opt out have passed.
    or_notice: str | None = None
    values: Annotated[dict[Day, Annotated[Annotated[ConsentAge, Tag("in force")] | _ENDED, _EITHER]], AfterValidator(_ascending)]


class WishLimits(_Strict):
    """How far a law carries a wish.

    Attributes:
        oral_lasts: A wish that was only spoken is good for so many local days, the day it was said being the first.
        hours_per_week: Quiet hours a week that the law grants; those asked for first go first.
    """

    oral_lasts: SpanDays | None = None
    hours_per_week: int | None = Field(default=None, ge=1, le=168)


class WishRule(RuleBase):
    """Times, places and channels that the person asked to leave alone."""

    kind: Literal["wish"]
    wishes: tuple[Literal["not_at", "not_place", "not_channel"], ...] = Field(min_length=1)
    # For not_place: which places this rule speaks of; left out = every place.
    places: tuple[str, ...] | None = None
    values: Annotated[dict[Day, Annotated[Annotated[WishLimits, Tag("in force")] | _ENDED, _EITHER]], AfterValidator(_ascending)]


class MayContact(_Strict):
    """Who may be contacted, for what, and what must be known of the borrower for that."""

    parties: tuple[Party, ...] = Field(min_length=1)
    purposes: tuple[Purpose, ...] | None = None
    only_if: tuple[str, ...] = ()


class PartyRule(RuleBase):
    """Who may be contacted about the debt."""

    kind: Literal["party"]
    may: tuple[MayContact, ...] = ()
    # Such a creditor may contact nobody.
    nobody: bool = False
    # Facts of the borrower, or holds, with which she is not contacted herself.
    forbids_facts: tuple[str, ...] = ()
    forbids_holds: tuple[HoldKind, ...] = ()
    values: Annotated[dict[Day, InForce], AfterValidator(_ascending)]

    def basis_for(self, role: str | None) -> str | None:
        """See `RuleBase`; but who may not collect at all is named by its role, and a lender whose role is not known is not one."""
        return None if self.nobody and role is None and not isinstance(self.basis, str) else super().basis_for(role)

    @model_validator(mode="after")
    def _forbids_something(self) -> PartyRule:
        if not (self.may or self.nobody or self.forbids_facts or self.forbids_holds):
            raise ValueError("forbids nothing: it names neither `may`, `nobody`, `forbids_facts` nor `forbids_holds`")
        return self


class PlaceRule(RuleBase):
    """Where a person may be reached by what is bound to a place: visits, letters, landlines, an employer's phone."""

    kind: Literal["place"]
    forbids: tuple[Where, ...] = ()
    # Channels that go to a place must go to a known one of these.
    only: tuple[Where, ...] | None = None
    # A consent to the channel lifts the rule.
    consent_lifts: bool = False
    values: Annotated[dict[Day, InForce], AfterValidator(_ascending)]

    @model_validator(mode="after")
    def _forbids_something(self) -> PlaceRule:
        if bool(self.forbids) == (self.only is not None):
            raise ValueError("names either `forbids` or `only`")
        return self


class ChannelRule(RuleBase):
    """Which channel and which contact point may be used at all."""

    kind: Literal["channel"]
    barred: bool = False
    # Barred until the lender has recorded that this provider allows it (config/clearances.yaml).
    barred_by_provider: str | None = None
    statuses: tuple[str, ...] | None = None
    forbids_ownership: tuple[str, ...] = ()
    # The contact point must belong to the person who is contacted.
    owner_is_contacted: bool = False
    forbids_employer_owned: bool = False
    forbids_wrong_numbers: bool = False
    kinds: tuple[ContactPointKind, ...] | None = None
    values: Annotated[dict[Day, InForce], AfterValidator(_ascending)]


class ZoneRule(RuleBase):
    """Nobody is contacted whose place, or whose law, is not known, or not approved where it counts."""

    kind: Literal["zone"]
    condition: Literal["unknown_zone", "unknown_jurisdiction", "unapproved_pack"]
    values: Annotated[dict[Day, InForce], AfterValidator(_ascending)]


class Waits(_Strict):
    """How long; whole local days, or days on which business is done."""

    days: int | None = Field(default=None, ge=0)
    business_days: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _one_of_both(self) -> Waits:
        if (self.days is None) == (self.business_days is None):
            raise ValueError("needs either `days` or `business_days`")
        return self


WaitsValue = Annotated[Annotated[Waits, Tag("in force")] | _ENDED, _EITHER]


class _Waiting(Disclosure):
    """What an order and a deadline share: a notice, and days that are counted."""

    # Any of these kinds of notice.
    notices: tuple[str, ...] = Field(min_length=1)
    # Whose public holidays are no business days (with Saturdays and Sundays).
    calendar: str | None = None
    values: Annotated[dict[Day, WaitsValue], AfterValidator(_ascending)]

    @model_validator(mode="after")
    def _calendar_for_business(self) -> _Waiting:
        if self.calendar is None and any(isinstance(value, Waits) and value.business_days is not None for value in self.values.values()):
            raise ValueError("business days need a `calendar`")
        return self


class OrderRule(_Waiting):
    """A notice that comes before the first contact about a debt.

    Contact begins on the n-th (business) day after the day of the notice. Without the notice there is no first contact; where
    contact has been before, only a notice whose days are still running holds it back.
    """

    kind: Literal["order"]
    counted_from: Literal["sent", "received"] = "sent"


class DeadlineRule(_Waiting):
    """Something that is due so many days after something else; it gates no contact, and is named among what is required."""

    kind: Literal["deadline"]
    after: Literal["first_contact", "dispute", "complaint", "hardship", "opt_out", "request"]


class Element(_Strict):
    """Something that a text says, and how it is recognised.

    Attributes:
        name: What the answer calls it, such as opt_out_notice.
        sequence: Whether it belongs into the first contact about the debt, into later ones, or into every one.
        forms: For calls: spoken live, or left as a voicemail; left out = both.
        phrases: By language (en, es, zh-Hant): any of these, regardless of case, is it. `*` = in every language.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    sequence: Literal["any", "first", "later"] = "any"
    forms: tuple[Literal["live", "voicemail"], ...] | None = None
    phrases: dict[str, tuple[str, ...]] = Field(min_length=1)


class ContentRule(Disclosure):
    """What a text must say, and must not say. A text that is not known yet is not judged; what it must say is named."""

    kind: Literal["content"]
    requires: tuple[Element, ...] = ()
    forbids: tuple[Element, ...] = ()
    values: Annotated[dict[Day, InForce], AfterValidator(_ascending)]

    @model_validator(mode="after")
    def _says_something(self) -> ContentRule:
        if not self.requires and not self.forbids:
            raise ValueError("names neither `requires` nor `forbids`")
        return self


class DutyRule(RuleBase):
    """What binds the lender and gates no single contact: records, training, governance."""

    kind: Literal["duty"]
    values: Annotated[dict[Day, InForce], AfterValidator(_ascending)]


GatingRule = (
    WindowRule
    | CapRule
    | CooldownRule
    | HoldRule
    | OptOutRule
    | ConsentRule
    | WishRule
    | PartyRule
    | PlaceRule
    | ChannelRule
    | ZoneRule
    | OrderRule
    | ContentRule
)
ListedRule = DutyRule | DeadlineRule
Rule = Annotated[GatingRule | ListedRule, Field(discriminator="kind")]


def value_on(values: Any, day: date) -> Any | None:
    """The value in force on a local date; None = not yet, or no longer."""
    in_force = None
    for since, value in values.items():
        if since <= day:
            in_force = value
    return None if in_force == "ended" else in_force
