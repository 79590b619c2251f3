"""Rules in words: one rule on a date, a list, and the page docs/law.md that a compliance officer hands to a regulator.

In:   packs, a rule's id, a date.
Out:  lines of text, or plain values ready for JSON; a page in Markdown.
Pure: no I/O, no clock.
Source: CASES.md "tideover rules show", "rules list".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from functools import lru_cache
from types import NoneType
from typing import Any, Final

import holidays
from babel import Locale

from decisions.packs import HOUSE, Pack, Packs
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
    DayHours,
    DeadlineRule,
    DutyRule,
    Element,
    HoldLasts,
    HoldRule,
    MayContact,
    NoValue,
    OfLoans,
    OrderRule,
    PartyRule,
    Period,
    PlaceRule,
    Reference,
    Rule,
    Span,
    Waits,
    WindowRule,
    WishLimits,
    WishRule,
    ZoneRule,
    value_on,
)

CONFIDENCE: Final = {"V1": "the primary text was read", "V2": "verified in a secondary source", "R": "recalled, not verified"}
# Where Babel's name of a territory does not say which law is meant.
NAMES: Final = {"US": "United States, federal", "CN": "Mainland China", "HK": "Hong Kong", HOUSE: "The house", "US-NY-NYC": "New York City"}
CLOCKS: Final = {
    "every_plausible_zone": "every zone where the person may be",
    "debtor_state": "the state where the person lives (every zone where she may be, if that is not known)",
}
CONDITIONS: Final = {
    "payments_stale": "the payment feed is older than its limit",
    "nothing_due": "nothing undisputed is past due",
    "disputed": "one of the debts is disputed",
    "paused": "operations have stopped contact",
    "unknown_zone": "the local time is not known",
    "unknown_jurisdiction": "the law of the place is not known, or has no pack",
    "unapproved_pack": "in live mode, a pack is a draft or not approved",
}


def shown(pack: Pack, rule: Rule, on: date) -> list[str]:
    """One rule as people read it: what it says, its numbers on a date, what it looks at and counts, its source, who checked it."""
    value = value_on(rule.values, on)
    lines = [
        f"{rule.id}  ({rule.kind}, {name_of(pack.jurisdiction)}{', DRAFT' if pack.status == 'draft' else ''})",
        rule.says,
        f"On {on}: {'not in force' if value is None else numbers(rule, value)}",
        f"In force: {'; '.join(_dated(rule))}",
        f"Looks at: {'; '.join(looks_at(rule))}",
        *(f"{label}: {words}" for label, words in particulars(rule)),
        f"Outcome: {_outcome(rule)}",
        f"Basis: {_basis(rule)}",
    ]
    lines += [f"Source: {_reference(source)}" for source in rule.reference]
    lines.append(f"Confidence: {rule.confidence}, {CONFIDENCE[rule.confidence]}; reviewed by {rule.reviewed_by or 'nobody yet'}")
    if rule.unverified:
        lines.append(f"NOT VERIFIED: {rule.unverified}")
    if rule.extends:
        lines.append(f"Extends: {rule.extends}, which it may only tighten")
    lines.append(f"Pack: {pack.title}; {pack.status}; version {pack.version}; reviewed on {pack.reviewed_on}, owner {pack.owner}")
    return lines


def plainly(pack: Pack, rule: Rule, on: date | None = None) -> dict[str, Any]:
    """One rule as plain values, ready for JSON: what its pack says, and the same in words.

    Args:
        pack: The rule's.
        rule: Any.
        on: With it, `in_force` holds the numbers of that date in words, or None.
    """
    value = None if on is None else value_on(rule.values, on)
    told = {
        "rule": rule.id,
        "jurisdiction": pack.jurisdiction,
        "status": pack.status,
        "version": pack.version,
        **{field: said for field, said in rule.model_dump(mode="json", exclude_unset=True).items() if field != "id"},
        "unverified": rule.unverified,
        "outcome": rule.outcome,
        "words": {
            "in_force": _dated(rule),
            "looks_at": looks_at(rule),
            "basis": _basis(rule),
            **{label.lower().replace(" ", "_"): words for label, words in particulars(rule)},
        },
    }
    return told if on is None else told | {"on": on.isoformat(), "in_force": None if value is None else numbers(rule, value)}


def listed(packs: Packs, jurisdiction: str | None) -> list[str]:
    """One line a rule: id, kind, basis, confidence, DRAFT where its pack is one, what it says, and what of it is not verified."""
    return [_line(pack, rule) for pack in _chosen(packs, jurisdiction) for rule in pack.rules]


def listed_plainly(packs: Packs, jurisdiction: str | None) -> list[dict[str, Any]]:
    """The same rules as plain values, ready for JSON."""
    return [plainly(pack, rule) for pack in _chosen(packs, jurisdiction) for rule in pack.rules]


def _chosen(packs: Packs, jurisdiction: str | None) -> list[Pack]:
    return [pack for pack in packs.packs if jurisdiction in {None, pack.jurisdiction}]


def _line(pack: Pack, rule: Rule) -> str:
    said = [rule.id, rule.kind, _basis(rule), rule.confidence, *(["DRAFT"] if pack.status == "draft" else [])]
    said.append(rule.says)
    return "  ".join([*said, f"NOT VERIFIED: {rule.unverified}"] if rule.unverified else said)


def page(packs: Packs) -> str:
    """docs/law.md: per jurisdiction what is enforced, from which text, and what is not verified."""
    parts = [
        "# The law as tideover keeps it",
        "",
        "Generated from `config/rules/*.yaml` by `tideover rules page > docs/law.md`; a test says when it is not current.",
        "These are research notes kept as data, not legal advice: counsel in each jurisdiction signs a pack off before it is used",
        "in earnest.",
        "Confidence: " + "; ".join(f"**{mark}** {meaning}" for mark, meaning in CONFIDENCE.items()) + ".",
        "What could not be verified is marked, and the stricter reading is enforced meanwhile. A pack marked **draft** was written from",
        "what could be found: in live mode nobody is contacted by it until it is made ready and approved, and a rule of confidence R",
        "then asks for a person's judgement instead of allowing anything.",
        "A first-party lender meets Regulation F's limits of conduct as house rules. Rules of kind `duty` and `deadline` are listed and",
        "gate no contact; rules of kind `content` are checked against the text where it is known.",
        "Times of day are [from, to). Only the packs of a borrower's own jurisdictions apply to her, and the house's always.",
        "",
        "| jurisdiction | pack | status | rules | of them gate contact | not verified | reviewed on |",
        "|---|---|---|---:|---:|---:|---|",
        *(_row(pack) for pack in packs.packs),
        "",
    ]
    for pack in packs.packs:
        parts += list(_chapter(pack))
    return "\n".join(parts).rstrip() + "\n"


def _row(pack: Pack) -> str:
    doubts = sum(rule.unverified is not None or rule.confidence == "R" for rule in pack.rules)
    status = "**draft**" if pack.status == "draft" else pack.status
    cells = [
        name_of(pack.jurisdiction),
        f"`{pack.jurisdiction}`",
        status,
        len(pack.rules),
        len(pack.gating),
        doubts,
        pack.reviewed_on,
    ]
    return f"| {' | '.join(map(str, cells))} |"


def _chapter(pack: Pack) -> Iterator[str]:
    draft = pack.status == "draft"
    yield from (f"## {name_of(pack.jurisdiction)}{' (draft)' if draft else ''}", "")
    yield from (f"{pack.title.rstrip('.')}. Reviewed on {pack.reviewed_on}; owner {pack.owner}.", "")
    if draft:
        yield from ("**This pack is a draft.** In live mode nobody is contacted by it.", "")
    doubts = [rule.id for rule in pack.rules if rule.unverified is not None or rule.confidence == "R"]
    if doubts:
        yield from (f"Not verified in whole or in part: {', '.join(doubts)}.", "")
    for rule in pack.rules:
        yield from _entry(rule)


def _entry(rule: Rule) -> Iterator[str]:
    yield from (f"### {rule.id}", "", rule.says, "")
    gates = "gates nothing" if isinstance(rule, DutyRule | DeadlineRule) else "; ".join(looks_at(rule))
    yield f"- kind `{rule.kind}`, {gates}"
    yield f"- {'; '.join(_dated(rule))}"
    for label, words in particulars(rule):
        yield f"- {label.lower()}: {words}"
    if rule.outcome != "block":
        yield f"- {_outcome(rule)}"
    yield f"- basis: {_basis(rule)}; confidence {rule.confidence}; reviewed by {rule.reviewed_by or 'nobody yet'}"
    for source in rule.reference:
        yield f"- source: {_reference(source)}"
    if rule.unverified:
        yield f"- **not verified:** {rule.unverified}"
    yield ""


@lru_cache(maxsize=512)
def name_of(jurisdiction: str) -> str:
    """The name of a jurisdiction in English; its code where nobody gives it a name."""
    country, _, part = jurisdiction.partition("-")
    known = NAMES.get(jurisdiction)
    if known is not None or not part:
        return known or str(Locale("en").territories.get(country, jurisdiction))
    calendar = holidays.country_holidays(country)
    names = {code: name for name, code in calendar.subdivisions_aliases.items()}
    return f"{names.get(part, jurisdiction)}, {Locale('en').territories[country]}"


def numbers(rule: Rule, value: Any) -> str:
    """The numbers of one version of a rule."""
    if isinstance(rule, WindowRule):
        return f"{said(value)}, on the clock of {_clock(rule)}"
    if isinstance(rule, CooldownRule):
        return f"quiet {said(rule.counts.span)}"
    if isinstance(rule, OrderRule):
        return f"contact begins {said(value)} after the notice was {rule.counted_from}"
    if isinstance(rule, DeadlineRule):
        return f"due {said(value)} after {rule.after.replace('_', ' ')}"
    return said(value) or "in force"


def _dated(rule: Rule) -> list[str]:
    values: dict[date, Any] = dict(rule.values)
    return [f"from {since} {'no longer in force' if value == 'ended' else numbers(rule, value)}" for since, value in values.items()]


def said(value: Any) -> str:
    """Any value of a rule in words; nothing where it says nothing."""
    for form, words in _WORDS.items():
        if isinstance(value, form):
            return str(words(value))
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {said(inner)}" for key, inner in value.items())
    if isinstance(value, Iterable):
        return ", ".join(said(inner) for inner in value) or "none"
    return str(value)


def _hours(value: ByDayClass) -> str:
    classes = {"weekdays": value.weekday, "Saturdays": value.saturday, "Sundays": value.sunday, "public holidays": value.holiday}
    return ", ".join(f"{name} {_span(hours)}" for name, hours in classes.items() if hours is not None)


def _span(hours: DayHours) -> str:
    if hours == "closed":
        return "closed"
    return "–".join(f"{minutes // 60:02d}:{minutes % 60:02d}" for minutes in (hours.opens, hours.closes))


def _held(value: HoldLasts) -> str:
    lasts = "" if value.lasts is None else f"a hold without an end of its own lasts {lasting(value.lasts)}"
    after = "" if value.after is None else f"quiet {lasting(value.after)} after its end"
    return "; ".join(filter(None, (lasts, after)))


def _aged(value: ConsentAge) -> str:
    fresh = "" if value.fresh_for is None else f"a consent is good {lasting(Period('days', value.fresh_for))}"
    notice = "" if value.opt_out_days is None else f"a notice must leave {_days(value.opt_out_days)} to opt out"
    return "; ".join(filter(None, (fresh, notice)))


def _limited(value: WishLimits) -> str:
    oral = "" if value.oral_lasts is None else f"a wish that was only spoken is good {lasting(Period('days', value.oral_lasts))}"
    hours = "" if value.hours_per_week is None else f"up to {value.hours_per_week} quiet hours a week"
    return "; ".join(filter(None, (oral, hours)))


def _waited(value: Waits) -> str:
    if value.business_days is not None:
        return f"{value.business_days} business day{'s' if value.business_days != 1 else ''}"
    return _days(value.days or 0)


def _days(number: int) -> str:
    return f"{number} day{'s' if number != 1 else ''}"


def lasting(period: Period) -> str:
    """A period in words."""
    number = period.number
    if period.unit == "days":
        return f"through {number} local day{'s' if number > 1 else ''}, the day it began in being the first"
    if period.unit == "months":
        return f"for {number} calendar month{'s' if number > 1 else ''}"
    if period.unit == "minutes":
        return f"for {number // 60} hours" if number % 60 == 0 else f"for {number} minutes"
    return {"week": "to the end of the calendar week", "month": "to the end of the calendar month"}.get(period.unit, "for good")


def _loans(loans: OfLoans) -> str:
    parts = [f"loans of {said(loans.products)}"] if loans.products is not None else []
    parts += [f"loans other than {said(loans.except_products)}"] if loans.except_products else []
    parts += [f"loans more than {_days(loans.past_due_over_days)} past due"] if loans.past_due_over_days is not None else []
    for name, flag in (("charged off", loans.charged_off), ("time-barred", loans.time_barred)):
        parts += [f"loans {'' if flag else 'not '}{name}"] if flag is not None else []
    return " and ".join(parts)


def _may(may: MayContact) -> str:
    purposes = f" for {said(may.purposes)}" if may.purposes is not None else ""
    return f"{said(may.parties)}{purposes}{f', if known: {said(may.only_if)}' if may.only_if else ''}"


def _element(element: Element) -> str:
    when = {"first": " in the first contact", "later": " in later contacts"}.get(element.sequence, "")
    forms = f" ({said(element.forms)} only)" if element.forms is not None else ""
    phrases = "; ".join(
        f"{'any language' if language == '*' else language}: {' / '.join(f'“{phrase}”' for phrase in phrases)}"
        for language, phrases in element.phrases.items()
    )
    return f"{element.name}{when}{forms}, known by {phrases}"


# The first that fits: `bool` is an `int`, a text and a version without numbers can be gone through.
_WORDS: Final[dict[Any, Any]] = {
    NoneType: lambda _: "",
    NoValue: lambda _: "",
    bool: lambda value: "yes" if value else "no",
    str: str,
    Span: _span,
    ByDayClass: _hours,
    AtMost: lambda value: f"at most {value.at_most}",
    HoldLasts: _held,
    ConsentAge: _aged,
    WishLimits: _limited,
    Waits: _waited,
    Period: lasting,
    OfLoans: _loans,
    MayContact: _may,
    Element: _element,
}


def _clock(rule: WindowRule) -> str:
    place = CLOCKS.get(rule.clock, rule.clock)
    return f"{place}, public holidays of {rule.calendar.replace('_', ' ')}" if rule.calendar else place


def looks_at(rule: Rule) -> list[str]:
    """Which contacts a rule looks at, in words; what does not narrow is left out, but for the channels."""
    to = rule.applies_to
    parts = [f"channels {said(to.channels)}" if to.channels is not None else "every channel", *_narrowed(to)]
    if rule.one_reply is not None:
        parts.append(f"one reply to a person who wrote or called on the same channel is let through for {_days(rule.one_reply)}")
    return parts


def _narrowed(to: AppliesTo) -> Iterator[str]:
    if to.purposes is not None:
        yield f"purposes {said(to.purposes)}"
    if to.except_purposes:
        yield f"every purpose but {said(to.except_purposes)}"
    if to.parties is not None:
        yield f"parties {said(to.parties)}"
    if to.automated is not None:
        yield "only what a machine starts" if to.automated else "only what a person starts"
    yield from _narrowed_to_people(to)


def _narrowed_to_people(to: AppliesTo) -> Iterator[str]:
    if to.places is not None:
        yield f"only at {said(to.places)}"
    if to.except_places:
        yield f"everywhere but at {said(to.except_places)}"
    if to.contact_points is not None:
        yield f"only contact points of kind {said(to.contact_points)}, or of a kind that is not known"
    if to.loans is not None:
        yield f"only about {said(to.loans)}"
    if to.facts is not None:
        yield f"only people of whom is known: {said(to.facts)}"
    if to.layer_alone is not None:
        yield f"only where {to.layer_alone} is all the law there is for the person"


def particulars(rule: Rule) -> list[tuple[str, str]]:
    """What a rule of its kind says beside its numbers: (label, words) pairs; nothing where it says nothing more."""
    found: list[tuple[str, str]] = []
    for form, tell in _PARTICULARS.items():
        if isinstance(rule, form):
            found = [(label, words) for label, words in tell(rule).items() if words]
    return found


def _of_window(rule: WindowRule) -> dict[str, str]:
    return {"Agreement": "hours that the borrower asked for may be wider" if rule.agreement_widens else ""}


def _of_counts(rule: CapRule | CooldownRule) -> dict[str, str]:
    lifts = isinstance(rule, CapRule) and rule.consent_lifts
    return {"Counts": _counts(rule.counts), "Lifted by": "a consent to the channel" if lifts else ""}


def _counts(counts: Counts) -> str:
    parts = [
        f"{' and '.join(counts.directions)} contacts by {said(counts.channels) if counts.channels else 'any channel'}",
        f"per {counts.per.replace('_', ' ')}, {lasting(counts.span)}",
    ]
    for words, field in (
        ("only those that ended as", counts.results),
        ("not those that ended as", counts.except_results),
        ("only those for", counts.purposes),
        ("not those for", counts.except_purposes),
        ("only those at", counts.places),
        ("not those at", counts.except_places),
    ):
        if field:
            parts.append(f"{words} {said(field)}")
    if counts.other_channels_only:
        parts.append("only those by another channel than the proposed one")
    if counts.except_wrong_numbers:
        parts.append("not those to a number that turned out to be somebody else's")
    if counts.except_consented is not None:
        parts.append(f"not those within {_days(counts.except_consented)} of a direct consent to be called")
    return "; ".join(parts)


def _of_hold(rule: HoldRule) -> dict[str, str]:
    through = [
        f"{kind}: {'; '.join(filter(None, (said(let.purposes) if let.purposes else '', f'to {said(let.parties)}' if let.parties else '')))}"
        for kind, let in rule.lets_through.items()
    ]
    return {
        "Holds": "every hold" if rule.holds == "all" else said(rule.holds) if rule.holds else "",
        "Conditions": ", ".join(CONDITIONS[condition] for condition in rule.conditions),
        "Lets through": "; ".join(through),
        "Ends": "with a law of the person's place that ends the hold" if rule.ends_with_law else "",
    }


def _of_consent(rule: ConsentRule) -> dict[str, str]:
    renewed = {"inbound": "a message of the person's by that channel", "verification": "the verification of its contact point"}
    return {
        "Consent given to": f"{' or '.join(rule.given_to)}{', directly to whoever collects' if rule.direct else ''}",
        "Renewed by": " or ".join(renewed[how] for how in rule.renewed_by),
        "Or by notice": "" if rule.or_notice is None else f"{rule.or_notice}, once its days to opt out have passed",
    }


def _of_wish(rule: WishRule) -> dict[str, str]:
    words = {"not_at": "times", "not_place": "places", "not_channel": "channels"}
    places = f" ({said(rule.places)})" if rule.places is not None else ""
    return {"Wishes": ", ".join(words[wish] + (places if wish == "not_place" else "") for wish in rule.wishes)}


def _of_party(rule: PartyRule) -> dict[str, str]:
    return {
        "May contact": "nobody" if rule.nobody else "; ".join(_may(may) for may in rule.may),
        "Not if known": said(rule.forbids_facts) if rule.forbids_facts else "",
        "Not on hold": said(rule.forbids_holds) if rule.forbids_holds else "",
    }


def _of_place(rule: PlaceRule) -> dict[str, str]:
    return {
        "Not at": said(rule.forbids) if rule.forbids else "",
        "Only at": said(rule.only) if rule.only is not None else "",
        "Lifted by": "a consent to the channel" if rule.consent_lifts else "",
    }


def _of_channel(rule: ChannelRule) -> dict[str, str]:
    provider = rule.barred_by_provider
    barred = "" if provider is None else f"until {provider}'s word that it allows this is recorded (config/clearances.yaml)"
    demands = [
        ("must belong to the person who is contacted", rule.owner_is_contacted),
        ("must not be the employer's", rule.forbids_employer_owned),
        ("must not have turned out to be somebody else's", rule.forbids_wrong_numbers),
    ]
    return {
        "Barred": "always" if rule.barred else barred,
        "Only in state": said(rule.statuses) if rule.statuses is not None else "",
        "Only of kind": said(rule.kinds) if rule.kinds is not None else "",
        "Not owned as": said(rule.forbids_ownership) if rule.forbids_ownership else "",
        "Contact point": ", ".join(words for words, asked in demands if asked),
    }


def _of_notices(rule: OrderRule | DeadlineRule) -> dict[str, str]:
    return {
        "Notice": " or ".join(rule.notices),
        "Business days": "" if rule.calendar is None else f"without Saturdays, Sundays and the public holidays of {rule.calendar}",
    }


def _of_content(rule: ContentRule) -> dict[str, str]:
    return {
        "Must say": "; ".join(_element(element) for element in rule.requires),
        "Must not say": "; ".join(_element(element) for element in rule.forbids),
    }


_PARTICULARS: Final[dict[Any, Any]] = {
    WindowRule: _of_window,
    CapRule: _of_counts,
    CooldownRule: _of_counts,
    HoldRule: _of_hold,
    ConsentRule: _of_consent,
    WishRule: _of_wish,
    PartyRule: _of_party,
    PlaceRule: _of_place,
    ChannelRule: _of_channel,
    ZoneRule: lambda rule: {"Condition": CONDITIONS[rule.condition]},
    OrderRule: _of_notices,
    DeadlineRule: _of_notices,
    ContentRule: _of_content,
}


def _outcome(rule: Rule) -> str:
    return "asks for a person's judgement first" if rule.outcome == "review" else "forbids the contact"


def _basis(rule: Rule) -> str:
    if isinstance(rule.basis, str):
        return rule.basis
    return ", ".join(f"{basis} ({role})" for role, basis in rule.basis.items())


def _reference(source: Reference) -> str:
    named = " ".join(part for part in (source.title, source.section) if part)
    return f"{named}, {source.href}, read {source.read_on}" if source.href else f"{named}, read {source.read_on}"
