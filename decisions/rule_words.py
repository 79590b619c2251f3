"""Rules in words: one rule on a date, a list, and the page docs/law.md that a compliance officer hands to a regulator.

In:   packs, a rule's id, a date.
Out:  lines of text; a page in Markdown.
Pure: no I/O, no clock.
Source: CASES.md "tideover rules show", "rules list".
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any, Final

from decisions.packs import (
    HOUSE,
    ByDayClass,
    CapRule,
    CooldownRule,
    Counts,
    DayHours,
    DutyRule,
    EveryDay,
    Pack,
    Packs,
    Reference,
    Rule,
    Span,
    WindowRule,
    value_on,
)

CONFIDENCE: Final = {"V1": "the primary text was read", "V2": "verified in a secondary source", "R": "recalled, not verified"}
NAMES: Final = {"US": "United States, federal", "CN": "Mainland China", "TW": "Taiwan", "MX": "Mexico", HOUSE: "The house"}


def shown(pack: Pack, rule: Rule, on: date) -> list[str]:
    """One rule as people read it: what it says, its numbers on a date, what it counts, where it comes from, who checked it."""
    value = value_on(rule.values, on)
    lines = [
        f"{rule.id}  ({rule.kind}, {pack.jurisdiction})",
        rule.says,
        f"On {on}: {'not in force' if value is None else numbers(rule, value)}",
        f"In force: {'; '.join(_dated(rule))}",
        f"Looks at: {'; '.join(_looks_at(rule))}",
    ]
    if isinstance(rule, CapRule | CooldownRule):
        lines.append(f"Counts: {_counts(rule.counts)}")
    lines.append(f"Basis: {_basis(rule)}")
    lines += [f"Source: {_reference(source)}" for source in rule.reference]
    lines.append(f"Confidence: {rule.confidence}, {CONFIDENCE[rule.confidence]}; reviewed by {rule.reviewed_by or 'nobody yet'}")
    if rule.unverified:
        lines.append(f"Not verified: {rule.unverified}")
    lines.append(f"Pack: {pack.title}; version {pack.version}; reviewed on {pack.reviewed_on}, owner {pack.owner}")
    return lines


def listed(packs: Packs, jurisdiction: str | None) -> list[str]:
    """One line a rule: id, kind, basis, confidence, what it says, and what of it is not verified."""
    lines = []
    for pack in packs.packs:
        if jurisdiction is not None and pack.jurisdiction != jurisdiction:
            continue
        for rule in pack.rules:
            doubt = f"  NOT VERIFIED: {rule.unverified}" if rule.unverified else ""
            lines.append(f"{rule.id}  {rule.kind}  {_basis(rule)}  {rule.confidence}  {rule.says}{doubt}")
    return lines


def page(packs: Packs) -> str:
    """docs/law.md: per jurisdiction what is enforced, from which text, and what is not verified."""
    parts = [
        "# The law as tideover keeps it",
        "",
        "Generated from `config/rules/*.yaml` by `tideover rules page > docs/law.md`; a test says when it is not current.",
        "These are research notes kept as data, not legal advice: counsel in each jurisdiction signs a pack off before it is used",
        "in earnest.",
        "Confidence: " + "; ".join(f"**{mark}** {meaning}" for mark, meaning in CONFIDENCE.items()) + ".",
        "A first-party lender meets Regulation F's limits of conduct as house rules. Rules of kind `duty` and `content` are listed",
        "and gate no contact.",
        "Times of day are [from, to). Only the packs of a borrower's own jurisdictions apply to her, and the house's always.",
        "",
    ]
    for pack in packs.packs:
        parts += [f"## {NAMES.get(pack.jurisdiction, pack.jurisdiction)}", "", f"{pack.title}. Reviewed on {pack.reviewed_on}.", ""]
        for rule in pack.rules:
            parts += list(_entry(rule))
    return "\n".join(parts).rstrip() + "\n"


def _entry(rule: Rule) -> Iterator[str]:
    yield f"### {rule.id}"
    yield ""
    yield rule.says
    yield ""
    gates = "gates nothing" if isinstance(rule, DutyRule) else "; ".join(_looks_at(rule))
    yield f"- kind `{rule.kind}`, {gates}"
    yield f"- {'; '.join(_dated(rule))}"
    if isinstance(rule, CapRule | CooldownRule):
        yield f"- counts {_counts(rule.counts)}"
    yield f"- basis: {_basis(rule)}; confidence {rule.confidence}; reviewed by {rule.reviewed_by or 'nobody yet'}"
    for source in rule.reference:
        yield f"- source: {_reference(source)}"
    if rule.unverified:
        yield f"- **not verified:** {rule.unverified}"
    yield ""


def numbers(rule: Rule, value: Any) -> str:
    """The numbers of one version of a rule."""
    if isinstance(rule, WindowRule):
        return f"{_hours(value)}, on the clock of {_clock(rule)}"
    if isinstance(rule, CapRule):
        return f"at most {value.at_most}"
    return "in force"


def _dated(rule: Rule) -> list[str]:
    values: dict[date, Any] = dict(rule.values)
    return [f"from {since} {'no longer in force' if value == 'ended' else numbers(rule, value)}" for since, value in values.items()]


def _hours(value: EveryDay | ByDayClass) -> str:
    if isinstance(value, Span):
        return _span(value)
    classes = {"weekdays": value.weekday, "Saturdays": value.saturday, "Sundays": value.sunday, "public holidays": value.holiday}
    return ", ".join(f"{name} {_span(hours)}" for name, hours in classes.items() if hours is not None)


def _span(hours: DayHours) -> str:
    if hours == "closed":
        return "closed"
    return "–".join(f"{minutes // 60:02d}:{minutes % 60:02d}" for minutes in (hours.opens, hours.closes))


def _clock(rule: WindowRule) -> str:
    place = "every zone where the person may be" if rule.clock == "every_plausible_zone" else rule.clock
    return f"{place}, public holidays of {rule.calendar}" if rule.calendar else place


def _looks_at(rule: Rule) -> list[str]:
    to = rule.applies_to
    said = [f"channels {', '.join(to.channels)}" if to.channels is not None else "every channel"]
    if to.purposes is not None:
        said.append(f"purposes {', '.join(to.purposes)}")
    elif to.except_purposes:
        said.append(f"every purpose but {', '.join(to.except_purposes)}")
    if to.parties is not None:
        said.append(f"parties {', '.join(to.parties)}")
    if to.automated is not None:
        said.append("only what a machine starts" if to.automated else "only what a person starts")
    if rule.one_reply is not None:
        said.append("one reply to a person who wrote or called on the same channel is let through")
    return said


def _counts(counts: Counts) -> str:
    said = [
        f"{' and '.join(counts.directions)} contacts by {', '.join(counts.channels) if counts.channels else 'any channel'}",
        f"per {counts.per} through {counts.span} local day{'s' if counts.span > 1 else ''}, that of the contact being the first",
    ]
    if counts.results is not None:
        said.append(f"only those that ended as {', '.join(counts.results)}")
    if counts.except_results:
        said.append(f"not those that ended as {', '.join(counts.except_results)}")
    if counts.except_purposes:
        said.append(f"not those for {', '.join(counts.except_purposes)}")
    if counts.except_wrong_numbers:
        said.append("not those to a number that turned out to be somebody else's")
    if counts.except_consented is not None:
        said.append(f"not those within {counts.except_consented} days of a direct consent to be called")
    return "; ".join(said)


def _basis(rule: Rule) -> str:
    if isinstance(rule.basis, str):
        return rule.basis
    return ", ".join(f"{basis} ({role})" for role, basis in rule.basis.items())


def _reference(source: Reference) -> str:
    named = " ".join(part for part in (source.title, source.section) if part)
    return f"{named}, {source.href}, read {source.read_on}" if source.href else f"{named}, read {source.read_on}"
