"""What changed between two rules, or two packs: field by field, in words, and whether it tightens or loosens.

Each field is read as a value that knows which way is tighter (more channels looked at, fewer contacts allowed, a longer
quiet). What cannot be put in an order, such as another clock, is undecided, and counts as no tightening.

In:   rules and packs, old and new.
Out:  `Change` values; reasons why a rule that extends another one does not only tighten it.
Pure: values only.
Source: issue "The law as data", items 4 and 7; decisions/rule_forms.py for what each field means.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from math import inf
from typing import Any, Final, Literal, get_args

from decisions.packs import Pack
from decisions.rule_forms import (
    AppliesTo,
    AtMost,
    ByDayClass,
    CapRule,
    ChannelRule,
    ConsentAge,
    ConsentRule,
    ContentRule,
    CooldownRule,
    Counts,
    DeadlineRule,
    Element,
    HoldLasts,
    HoldRule,
    NoValue,
    OfLoans,
    OrderRule,
    PartyRule,
    Period,
    PlaceRule,
    Rule,
    Span,
    Waits,
    WindowRule,
    WishLimits,
    WishRule,
    ZoneRule,
    value_on,
)
from decisions.rule_words import numbers, said
from decisions.words import BASES, CHANNELS, CONTACT_POINT_KINDS, HOLD_KINDS, PARTIES, PURPOSES, RESULTS, ROLES, WHERE, Product

Effect = Literal["same", "tightens", "loosens", "neither", "undecided"]
DAY_HOURS: Final = 24
# A local day has 23 to 25 hours.
CLOCK_CHANGE_HOURS: Final = 1
MONTH_DAYS: Final = (28, 31)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One field of one rule that is another one now.

    Attributes:
        rule: Its id.
        field: As the pack names it, such as `counts.span`; a date's numbers are `values DATE`; `rule` = the whole rule.
        before: In words; empty = it said nothing.
        after: In words; empty = it says nothing any more.
        effect: tightens: forbids at least what was forbidden. loosens: allows something that was forbidden. neither: what is
            forbidden stays the same. undecided: it may do both.
    """

    rule: str
    field: str
    before: str
    after: str
    effect: Effect

    def as_json(self) -> dict[str, str]:
        """Plain values."""
        return asdict(self)

    def __str__(self) -> str:
        """One line of a list."""
        return f"{self.field}: {self.before or 'nothing'} → {self.after or 'nothing'}  ({self.effect})"


def pack_changes(old: Pack, new: Pack) -> list[Change]:
    """Every change between two versions of a pack: the pack's own fields, rules that are gone, changed rules, new rules."""
    before, after = {rule.id: rule for rule in old.rules}, {rule.id: rule for rule in new.rules}
    own = [
        Change(rule="", field=field, before=str(was), after=str(now), effect=_status(was, now) if field == "status" else "neither")
        for field in ("jurisdiction", "title", "owner", "reviewed_on", "status")
        if (was := getattr(old, field)) != (now := getattr(new, field))
    ]
    gone = [
        Change(rule=rule.id, field="rule", before=rule.says, after="", effect=_whole(rule, "loosens"))
        for rule in old.rules
        if rule.id not in after
    ]
    kept = [change for rule in new.rules if rule.id in before for change in rule_changes(before[rule.id], rule)]
    added = [
        Change(rule=rule.id, field="rule", before="", after=rule.says, effect=_whole(rule, "tightens"))
        for rule in new.rules
        if rule.id not in before
    ]
    return [*own, *gone, *kept, *added]


def _whole(rule: Rule, effect: Effect) -> Effect:
    return "neither" if rule.kind in {"duty", "deadline"} else effect


def _status(was: str, now: str) -> Effect:
    """In live mode nobody is contacted by a draft."""
    del was
    return "tightens" if now == "draft" else "loosens"


def rule_changes(old: Rule, new: Rule) -> list[Change]:
    """Every field of a rule that is another one now, in the pack's order, then the numbers date by date."""
    before, after = _facets(old), _facets(new)
    found = []
    for field in dict.fromkeys([*before, *after]):
        was, now = before.get(field), after.get(field)
        effect: Effect = "undecided" if was is None or now is None else now.than(was)
        if effect != "same":
            found.append(
                Change(rule=new.id, field=field, before=was.words if was else "", after=now.words if now else "", effect=effect),
            )
    days = sorted({*old.values, *new.values})
    return [*found, *(change for day in days if (change := _on(old, new, day)) is not None)]


def _on(old: Rule, new: Rule, day: date) -> Change | None:
    """What a date changes: the numbers in force from it on."""
    was, now = value_on(old.values, day), value_on(new.values, day)
    effect = _value_effect(was, now)
    if effect == "same":
        return None
    words = ["" if value is None else numbers(rule, value) for rule, value in ((old, was), (new, now))]
    return Change(rule=new.id, field=f"values {day}", before=words[0], after=words[1], effect=effect)


def loosened(child: Rule, parent: Rule) -> list[str]:
    """Why a rule that extends another one does not only tighten it; empty where it does.

    A rule may begin later, or end earlier, than the one it extends: that one stays in force.
    """
    found = []
    for change in rule_changes(parent, child):
        dated = change.field.startswith("values ")
        if change.effect in {"tightens", "neither"} or (dated and not change.after):
            continue
        why = "loosens" if change.effect == "loosens" else "cannot be compared with"
        found.append(f"{change.field} {why} {parent.id}: {change.before or 'nothing'} → {change.after or 'nothing'}")
    return found


# --- values that know which way is tighter --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Facet:
    """A field's value, made comparable.

    Attributes:
        words: For people.
        value: Comparable.
        order: `more`: a set of which more is tighter. `fewer`: a set of which less is. `higher`, `lower`: a number.
            `longer`: a period. `calendar`: one that is new, or gone, changes the hours of holidays, which are compared by
            themselves; another one has no order. `text`: says nothing about what is forbidden. `same`: has no order.
    """

    words: str
    value: Any
    order: Literal["more", "fewer", "higher", "lower", "longer", "calendar", "text", "same"]

    def than(self, old: _Facet) -> Effect:
        """What putting this in place of `old` does."""
        if self.value == old.value:
            return "same"
        if self.order == "text" or (self.order == "calendar" and None in {self.value, old.value}):
            return "neither"
        if self.order in {"calendar", "same"}:
            return "undecided"
        tighter = _HOLDS[self.order](self.value, old.value)
        looser = _HOLDS[self.order](old.value, self.value)
        return _effect(tighter=tighter, looser=looser)


def _effect(*, tighter: bool, looser: bool) -> Effect:
    if tighter and looser:
        return "same"
    return "tightens" if tighter else "loosens" if looser else "undecided"


def _at_least_as_long(period: Period | None, other: Period | None) -> bool:
    """Whether a period reaches at least as far as another, wherever and whenever it began; None = no quiet at all."""
    if other is None or period == other:
        return True
    if period is None:
        return False
    if period.unit == other.unit:
        return period.number >= other.number
    return _hours_of(period)[0] >= _hours_of(other)[1]


def _hours_of(period: Period) -> tuple[float, float]:
    """Fewest and most hours that a period reaches back or ahead."""
    whole = {
        "days": (period.number - 1, period.number),
        "months": (MONTH_DAYS[0] * period.number, MONTH_DAYS[1] * period.number),
        "week": (0, 7),
        "month": (0, MONTH_DAYS[1]),
    }.get(period.unit)
    if whole is None:
        exact = inf if period.unit == "ever" else period.number / 60
        return exact, exact
    return whole[0] * DAY_HOURS - CLOCK_CHANGE_HOURS, whole[1] * DAY_HOURS + CLOCK_CHANGE_HOURS


# Whether the first is at least as tight as the second.
_HOLDS: Final[Mapping[str, Any]] = {
    "more": lambda value, other: value >= other,
    "fewer": lambda value, other: value <= other,
    "higher": lambda value, other: value >= other,
    "lower": lambda value, other: value <= other,
    "longer": _at_least_as_long,
}


def _more(value: Any, members: Iterable[Any]) -> _Facet:
    return _Facet(said(value), frozenset(members), "more")


def _fewer(value: Any, members: Iterable[Any]) -> _Facet:
    return _Facet(said(value), frozenset(members), "fewer")


def _flag(value: bool, *, tight: bool = True) -> _Facet:  # noqa: FBT001  # a field's value
    return _Facet(said(value), int(value == tight), "higher")


def _of(value: Any, universe: Iterable[Any], left_out: Iterable[Any] = ()) -> frozenset[Any]:
    """What a list that may be left out covers: all, then; without what is excepted."""
    return frozenset(universe if value is None else value) - frozenset(left_out)


def _either(only: Any, but: Any) -> str:
    """A list, or a list of exceptions, in words."""
    return said(only) if only is not None else f"all but {said(but)}" if but else "all"


# --- the fields of each kind ----------------------------------------------------------------------------------------


def _facets(rule: Rule) -> dict[str, _Facet]:
    found = {
        "kind": _Facet(rule.kind, rule.kind, "same"),
        "says": _Facet(rule.says, rule.says, "text"),
        **_basis(rule),
        "outcome": _Facet(rule.outcome, int(rule.outcome == "block"), "higher"),
        "one_reply": _Facet(said(rule.one_reply), rule.one_reply or 0, "lower"),
        "extends": _Facet(said(rule.extends), rule.extends, "text"),
        "reason": _Facet(rule.reason, rule.reason, "text"),
        "reference": _Facet(_sources(rule), rule.reference, "text"),
        # In live mode, what was only recalled asks for a person.
        "confidence": _Facet(rule.confidence, int(rule.confidence == "R"), "higher"),
        "reviewed_by": _Facet(said(rule.reviewed_by), rule.reviewed_by, "text"),
        "unverified": _Facet(said(rule.unverified), rule.unverified, "text"),
        **_looks(rule.applies_to),
    }
    for form, tell in _OF_KIND.items():
        if isinstance(rule, form):
            found |= tell(rule)
    return found


def _sources(rule: Rule) -> str:
    return "; ".join(" ".join(filter(None, (source.title, source.section, f"read {source.read_on}"))) for source in rule.reference)


def _basis(rule: Rule) -> dict[str, _Facet]:
    """One facet a role; a role that is not named is not bound, which is the weakest of all."""
    found = {}
    for role in ROLES:
        basis = rule.basis_for(role)
        found[f"basis {role}"] = _Facet(basis or "not bound", len(BASES) if basis is None else BASES.index(basis), "lower")
    return found


def _looks(to: AppliesTo) -> dict[str, _Facet]:
    places = (*WHERE, None)
    machines = (True, False) if to.automated is None else (to.automated,)
    who = {None: "a machine or a person", True: "a machine", False: "a person"}[to.automated]
    alone = _named([to.layer_alone] if to.layer_alone else None)
    return {
        "applies_to.channels": _more(to.channels or "all", _of(to.channels, CHANNELS)),
        "applies_to.purposes": _Facet(_either(to.purposes, to.except_purposes), _of(to.purposes, PURPOSES, to.except_purposes), "more"),
        "applies_to.parties": _more(to.parties or "all", _of(to.parties, PARTIES)),
        "applies_to.automated": _Facet(who, frozenset(machines), "more"),
        "applies_to.places": _Facet(_either(to.places, to.except_places), _of(to.places, places, to.except_places), "more"),
        "applies_to.contact_points": _more(to.contact_points or "all", _of(to.contact_points, (*CONTACT_POINT_KINDS, None))),
        "applies_to.facts": _Facet(said(to.facts) or "anybody", _named(to.facts), "more"),
        "applies_to.layer_alone": _Facet(to.layer_alone or "always", alone, "more"),
        **_loans(to.loans),
    }


@dataclass(frozen=True, slots=True)
class _Named:
    """Words of an open list; None = whatever there is."""

    words: frozenset[Any] | None

    def __ge__(self, other: _Named) -> bool:
        """Whether it covers all of another."""
        return self.words is None or (other.words is not None and self.words >= other.words)

    def __le__(self, other: _Named) -> bool:
        """Whether another covers all of it."""
        return other >= self


def _named(words: Iterable[Any] | None) -> _Named:
    return _Named(None if words is None else frozenset(words))


def _loans(loans: OfLoans | None) -> dict[str, _Facet]:
    of = loans or OfLoans.model_construct()
    over = of.past_due_over_days
    flags = {"charged_off": of.charged_off, "time_barred": of.time_barred}
    return {
        "applies_to.loans.products": _Facet(
            _either(of.products, of.except_products), _of(of.products, get_args(Product), of.except_products), "more"
        ),
        "applies_to.loans.known_only": _flag(of.known_only, tight=False),
        "applies_to.loans.past_due_over_days": _Facet(said(over), -1 if over is None else over, "lower"),
        **{
            f"applies_to.loans.{name}": _Facet(said(flag) or "either", frozenset((True, False) if flag is None else (flag,)), "more")
            for name, flag in flags.items()
        },
    }


def _of_window(rule: WindowRule) -> dict[str, _Facet]:
    return {
        "clock": _Facet(rule.clock, rule.clock, "same"),
        "calendar": _Facet(said(rule.calendar), rule.calendar, "calendar"),
        "agreement_widens": _flag(rule.agreement_widens, tight=False),
    }


# Whatever another reading covers, it covers too.
_WIDER_PER: Final[Mapping[str, frozenset[str]]] = {
    "debt": frozenset({"debt"}),
    "person": frozenset({"debt", "person"}),
    "account": frozenset({"debt", "account"}),
    "household": frozenset({"debt", "person", "account", "household"}),
    "contact_point": frozenset({"contact_point"}),
}


def _of_counts(rule: CapRule | CooldownRule) -> dict[str, _Facet]:
    counts: Counts = rule.counts
    results, places = (*RESULTS, None), (*WHERE, None)
    purposes = (*PURPOSES, None)
    consented = counts.except_consented
    return {
        "counts.channels": _more(counts.channels or "all", _of(counts.channels, CHANNELS)),
        "counts.directions": _more(counts.directions, counts.directions),
        "counts.results": _Facet(
            _either(counts.results, counts.except_results), _of(counts.results, results, counts.except_results), "more"
        ),
        "counts.purposes": _Facet(
            _either(counts.purposes, counts.except_purposes), _of(counts.purposes, purposes, counts.except_purposes), "more"
        ),
        "counts.places": _Facet(_either(counts.places, counts.except_places), _of(counts.places, places, counts.except_places), "more"),
        "counts.per": _Facet(counts.per, _WIDER_PER[counts.per], "more"),
        "counts.span": _Facet(said(counts.span), counts.span, "longer"),
        "counts.other_channels_only": _flag(counts.other_channels_only, tight=False),
        "counts.except_wrong_numbers": _flag(counts.except_wrong_numbers, tight=False),
        "counts.except_consented": _Facet(said(consented), consented or 0, "lower"),
        "consent_lifts": _flag(isinstance(rule, CapRule) and rule.consent_lifts, tight=False),
    }


def _of_hold(rule: HoldRule) -> dict[str, _Facet]:
    through: set[tuple[str, str, str]] = {(kind, purpose, "") for kind, let in rule.lets_through.items() for purpose in let.purposes}
    through |= {(kind, "", party) for kind, let in rule.lets_through.items() for party in let.parties}
    words = "; ".join(sorted(f"{kind}: {purpose or party}" for kind, purpose, party in through))
    return {
        "holds": _more(rule.holds or "", HOLD_KINDS if rule.holds == "all" else rule.holds),
        "conditions": _more(rule.conditions or "", rule.conditions),
        "lets_through": _Facet(words, frozenset(through), "fewer"),
        "ends_with_law": _flag(rule.ends_with_law, tight=False),
    }


def _of_consent(rule: ConsentRule) -> dict[str, _Facet]:
    return {
        "given_to": _fewer(rule.given_to, rule.given_to),
        "direct": _flag(rule.direct),
        "renewed_by": _fewer(rule.renewed_by or "", rule.renewed_by),
        "or_notice": _Facet(said(rule.or_notice), frozenset(filter(None, [rule.or_notice])), "fewer"),
    }


def _of_wish(rule: WishRule) -> dict[str, _Facet]:
    return {
        "wishes": _more(rule.wishes, rule.wishes),
        "places": _Facet(said(rule.places) or "all", _named(rule.places), "more"),
    }


def _of_party(rule: PartyRule) -> dict[str, _Facet]:
    # Whoever may be contacted: each (party, purpose) with each set of what must be known for it.
    allowed = {
        (party, purpose, known)
        for may in rule.may
        for party in may.parties
        for purpose in _of(may.purposes, PURPOSES)
        for known in [frozenset(may.only_if)]
    }
    everybody = not rule.may
    return {
        "may": _Facet("; ".join(said(may) for may in rule.may), _Allowed(None if everybody else frozenset(allowed)), "fewer"),
        "nobody": _flag(rule.nobody),
        "forbids_facts": _more(rule.forbids_facts or "", rule.forbids_facts),
        "forbids_holds": _more(rule.forbids_holds or "", rule.forbids_holds),
    }


@dataclass(frozen=True, slots=True)
class _Allowed:
    """Who may be contacted for what, if what is known; None = everybody for everything."""

    ways: frozenset[tuple[str, str, frozenset[str]]] | None

    def __le__(self, other: _Allowed) -> bool:
        """Whether whatever this allows is allowed by another."""
        if other.ways is None or self.ways is None:
            return other.ways is None
        return all(any((party, purpose) == there[:2] and there[2] <= known for there in other.ways) for party, purpose, known in self.ways)


def _of_place(rule: PlaceRule) -> dict[str, _Facet]:
    return {
        "forbids": _more(rule.forbids or "", rule.forbids),
        "only": _Facet(said(rule.only), _of(rule.only, (*WHERE, None)), "fewer"),
        "consent_lifts": _flag(rule.consent_lifts, tight=False),
    }


def _of_channel(rule: ChannelRule) -> dict[str, _Facet]:
    provider = rule.barred_by_provider
    kinds = CONTACT_POINT_KINDS
    return {
        "barred": _flag(rule.barred),
        "barred_by_provider": _Facet(said(provider), frozenset(filter(None, [provider])), "more"),
        "statuses": _Facet(said(rule.statuses) or "any", _named(rule.statuses), "fewer"),
        "forbids_ownership": _more(rule.forbids_ownership or "", rule.forbids_ownership),
        "owner_is_contacted": _flag(rule.owner_is_contacted),
        "forbids_employer_owned": _flag(rule.forbids_employer_owned),
        "forbids_wrong_numbers": _flag(rule.forbids_wrong_numbers),
        "kinds": _Facet(said(rule.kinds) or "any", _of(rule.kinds, (*kinds, None)), "fewer"),
    }


def _of_zone(rule: ZoneRule) -> dict[str, _Facet]:
    return {"condition": _Facet(rule.condition, rule.condition, "same")}


def _of_order(rule: OrderRule) -> dict[str, _Facet]:
    return _of_notices(rule) | {"counted_from": _Facet(rule.counted_from, int(rule.counted_from == "received"), "higher")}


def _of_deadline(rule: DeadlineRule) -> dict[str, _Facet]:
    return _of_notices(rule) | {"after": _Facet(rule.after, rule.after, "same")}


def _of_notices(rule: OrderRule | DeadlineRule) -> dict[str, _Facet]:
    return {"notices": _fewer(rule.notices, rule.notices), "calendar": _Facet(said(rule.calendar), rule.calendar, "same")}


def _of_content(rule: ContentRule) -> dict[str, _Facet]:
    """Each element by its name, so that one that is new is told by itself."""
    found = {}
    for field, elements in (("requires", rule.requires), ("forbids", rule.forbids)):
        found[field] = _Facet(said(elements) if elements else "", _Elements(elements, field == "requires"), "more")
    return found


@dataclass(frozen=True, slots=True)
class _Elements:
    """What a text must say, or must not."""

    elements: tuple[Element, ...]
    required: bool

    def __ge__(self, other: _Elements) -> bool:
        """Whether every element of another is here, at least as strictly."""
        return all(any(self._covers(mine, theirs) for mine in self.elements) for theirs in other.elements)

    def _covers(self, mine: Element, theirs: Element) -> bool:
        """A required element is met by fewer phrases, a forbidden one by more."""
        if mine.name != theirs.name or mine.sequence not in {"any", theirs.sequence} or not _named(mine.forms) >= _named(theirs.forms):
            return False
        said_here, said_there = _phrases(mine), _phrases(theirs)
        return said_here <= said_there if self.required else said_here >= said_there


def _phrases(element: Element) -> frozenset[tuple[str, str]]:
    return frozenset((language, phrase) for language, phrases in element.phrases.items() for phrase in phrases)


_OF_KIND: Final[dict[Any, Any]] = {
    WindowRule: _of_window,
    CapRule: _of_counts,
    CooldownRule: _of_counts,
    HoldRule: _of_hold,
    ConsentRule: _of_consent,
    WishRule: _of_wish,
    PartyRule: _of_party,
    PlaceRule: _of_place,
    ChannelRule: _of_channel,
    ZoneRule: _of_zone,
    OrderRule: _of_order,
    DeadlineRule: _of_deadline,
    ContentRule: _of_content,
}


# --- the numbers of one date ----------------------------------------------------------------------------------------


def _value_effect(was: Any, now: Any) -> Effect:
    if was == now:
        return "same"
    if was is None or now is None:
        return "tightens" if was is None else "loosens"
    if isinstance(now, NoValue) and isinstance(was, NoValue):
        return "same"
    if isinstance(now, Span | ByDayClass) and isinstance(was, Span | ByDayClass):
        return _joined(_narrower(before, after) for before, after in zip(_classes(was), _classes(now), strict=True))
    before, after = _value_facets(was), _value_facets(now)
    if before.keys() != after.keys():
        return "undecided"
    return _joined(facet.than(before[field]) for field, facet in after.items())


def _joined(effects: Iterable[Effect]) -> Effect:
    """What several effects do together."""
    found = set(effects) - {"same"}
    if not found:
        return "same"
    return found.pop() if len(found) == 1 else "undecided"


def _classes(value: Span | ByDayClass) -> list[tuple[int, int]]:
    """Hours of weekdays, Saturdays, Sundays, and of holidays that fall on each of them; closed is nothing."""
    if isinstance(value, Span):
        return [(value.opens, value.closes)] * 6
    ordinary = [value.weekday, value.saturday, value.sunday]
    on_holidays = ordinary if value.holiday is None else [value.holiday] * 3
    return [(0, 0) if hours == "closed" else (hours.opens, hours.closes) for hours in (*ordinary, *on_holidays)]


def _narrower(was: tuple[int, int], now: tuple[int, int]) -> Effect:
    return _effect(tighter=_inside(now, was), looser=_inside(was, now))


def _inside(hours: tuple[int, int], others: tuple[int, int]) -> bool:
    return hours[0] == hours[1] or (others[0] <= hours[0] and hours[1] <= others[1])


def _value_facets(value: Any) -> dict[str, _Facet]:
    for form, tell in _OF_VALUE.items():
        if isinstance(value, form):
            found: dict[str, _Facet] = tell(value)
            return found
    return {}


def _of_waits(value: Waits) -> dict[str, _Facet]:
    # n business days are never fewer than n days, and how many more depends on the calendar.
    if value.business_days is not None:
        return {"business_days": _Facet("", value.business_days, "higher")}
    return {"days": _Facet("", value.days, "higher")}


_OF_VALUE: Final[dict[Any, Any]] = {
    AtMost: lambda value: {"at_most": _Facet("", value.at_most, "lower")},
    HoldLasts: lambda value: {
        "lasts": _Facet("", value.lasts or Period("ever"), "longer"),
        "after": _Facet("", value.after, "longer"),
    },
    ConsentAge: lambda value: {
        "fresh_for": _Facet("", inf if value.fresh_for is None else value.fresh_for, "lower"),
        "opt_out_days": _Facet("", value.opt_out_days or 0, "higher"),
    },
    WishLimits: lambda value: {
        "oral_lasts": _Facet("", inf if value.oral_lasts is None else value.oral_lasts, "higher"),
        "hours_per_week": _Facet("", inf if value.hours_per_week is None else value.hours_per_week, "higher"),
    },
    Waits: _of_waits,
}
