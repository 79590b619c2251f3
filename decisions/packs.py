"""Rule packs: all contact rules of one jurisdiction, or of the house, as typed values with dates and sources.

A rule has one id, one kind, one sentence that says it, values that are in force from a date on, and at least one
reference. Numbers stand only in config/rules/*.yaml.

In:   plain values, as config/load.py reads them.
Out:  frozen packs.
Pure: values only.
Source: CASES.md (words, kinds), LAW.md (ids).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from functools import cached_property
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from decisions.rule_forms import Day, DeadlineRule, DutyRule, GatingRule, ListedRule, Rule
from decisions.words import Channel, Role

HOUSE: Final = "house"
# In a clearance: every country.
EVERYWHERE: Final = "*"


class _Strict(BaseModel):
    """Unknown keys are errors: a typo must not switch a rule off."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Pack(_Strict):
    """All contact rules of one jurisdiction, in force together; its version is the hash of its file."""

    jurisdiction: str = Field(pattern=r"^([A-Z]{2}(-[A-Z0-9]{1,3}(-[A-Z0-9]+)?)?|house)$")
    title: str
    owner: str
    reviewed_on: Day
    # draft: written from what could be found; in live mode nobody is contacted by it before it is made ready and approved.
    status: Literal["ready", "draft"]
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
        """Rules that can forbid a contact, or ask for a person, in the file's order."""
        return tuple(rule for rule in self.rules if not isinstance(rule, DutyRule | DeadlineRule))


class Calendar(_Strict):
    """What a lender knows better than the holidays library: days that are holidays, or are none."""

    calendar: str
    adds: dict[Day, str] = Field(default_factory=dict)
    removes: dict[Day, str] = Field(default_factory=dict)


class Clearance(_Strict):
    """A provider's word that a kind of lender may use a channel for collecting in a country."""

    provider: str
    channel: Channel
    country: str
    role: Role
    reference: str
    until: Day
    # sandbox: our own simulated provider, which has no policy; it clears nothing in live mode.
    mode: Literal["sandbox", "live"]


class Packs(_Strict):
    """Every pack that is in force here, the house's own among them, and what stands beside them."""

    packs: tuple[Pack, ...]
    calendars: tuple[Calendar, ...] = ()
    clearances: tuple[Clearance, ...] = ()
    # In live mode a pack must have been approved by its version, and a rule that was only recalled asks for a person.
    live: bool = False
    approved: frozenset[str] = frozenset()

    @model_validator(mode="after")
    def _differ(self) -> Packs:
        for what, names in (
            ("jurisdictions", [pack.jurisdiction for pack in self.packs]),
            ("rule ids", [rule.id for pack in self.packs for rule in pack.rules]),
            ("calendars", [calendar.calendar for calendar in self.calendars]),
        ):
            repeated = sorted({name for name in names if names.count(name) > 1})
            if repeated:
                raise ValueError(f"{what} given twice: {', '.join(repeated)}")
        return self

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Packs:
        """The same with other values. What was worked out of the old ones stays behind: Pydantic would copy that too."""
        copied = super().model_copy(update=update, deep=deep)
        for worked_out in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[worked_out]
        return copied

    @cached_property
    def jurisdictions(self) -> frozenset[str]:
        """Jurisdictions that have a pack; the house is none."""
        return frozenset(pack.jurisdiction for pack in self.packs) - {HOUSE}

    @property
    def versions(self) -> Mapping[str, str]:
        """Version of each pack by jurisdiction."""
        return {pack.jurisdiction: pack.version for pack in self.packs}

    @property
    def unapproved(self) -> frozenset[str]:
        """In live mode, the jurisdictions (and `house`) whose pack is a draft or was not approved; else none."""
        if not self.live:
            return frozenset()
        return frozenset(pack.jurisdiction for pack in self.packs if pack.status == "draft" or pack.version not in self.approved)

    def in_live_mode(self, approved: frozenset[str]) -> Packs:
        """The same law, held to what live mode asks of it: `approved` versions only."""
        return self.model_copy(update={"live": True, "approved": approved})

    def without_sandbox(self) -> Packs:
        """The same law, without the clearances that hold for the sandbox's provider alone."""
        return self.model_copy(update={"clearances": tuple(one for one in self.clearances if one.mode == "live")})

    def gating(self) -> tuple[tuple[Pack, GatingRule], ...]:
        """Every rule that can forbid a contact, in fixed order."""
        return self._gating

    @cached_property
    def _gating(self) -> tuple[tuple[Pack, GatingRule], ...]:
        return tuple((pack, rule) for pack in self.packs for rule in pack.gating)

    def deadlines(self) -> Iterator[tuple[Pack, DeadlineRule]]:
        """Every deadline, in fixed order."""
        for pack in self.packs:
            for rule in pack.rules:
                if isinstance(rule, DeadlineRule):
                    yield pack, rule

    def rule(self, rule_id: str) -> tuple[Pack, GatingRule | ListedRule]:
        """The rule of that id and its pack.

        Raises:
            KeyError: No pack has it.
        """
        for pack in self.packs:
            for rule in pack.rules:
                if rule.id == rule_id:
                    return pack, rule
        raise KeyError(rule_id)

    def cleared(self, *, provider: str, channel: str, countries: frozenset[str], role: str | None, day: date) -> bool:
        """Whether the provider lets such a lender collect by the channel in one of the countries on a local date."""
        return any(
            one.provider == provider
            and one.channel == channel
            and (one.country == EVERYWHERE or one.country in countries)
            and one.role == role
            and day <= one.until
            and (one.mode == "live" or not self.live)
            for one in self.clearances
        )
