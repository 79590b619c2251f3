"""What the law wants a text to say, or forbids it, where it is sent: country by country, for each role and place in the sequence.

The gate asks the same rules again about the real person; this tells whoever writes a text before anybody waits for it.

In:   the words of one channel as they will be read, purpose, roles, countries; rule packs; a date.
Out:  what is missing or forbidden, and for whom.
Pure: yes.
Source: the packs (rules of kind `content`); LAW.md, primitive 14.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from decisions.jurisdictions import EU, jurisdictions_of
from decisions.packs import HOUSE, Pack, Packs
from decisions.rule_forms import ContentRule, Element, value_on
from decisions.rules.contents import EVERY_LANGUAGE, carries, elements

# What a machine hears is, before the law, a call that left a voicemail; what a colleague says first is said to somebody.
_AS_BEFORE_THE_LAW: Final = {"voice": ("voice", "live"), "call": ("call", "live"), "voicemail": ("voice", "voicemail")}
# Who calls, at which number to call back and which key ends it stand around the words of a message, in the frame of every call.
PART_OF_A_CALL: Final = "voice"
_SEQUENCES: Final = (True, False)
Use = tuple[str, bool]  # role; whether it is the first message


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """The words of one channel, as a person will read or hear them.

    Attributes:
        words: Heading and text, gaps filled.
        channel: Of CASES.md, or `voicemail`.
        purpose: Of the message.
        roles: Who may send it.
        locale: Language of the text.
        whole_call: Of a call these are all words that are said; else a frame is spoken around them.
    """

    words: str
    channel: str
    purpose: str
    roles: frozenset[str]
    locale: str
    whole_call: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """One rule of a pack that a text breaks.

    Attributes:
        kind: `lacks`, `forbidden_by_law`, or `not_judged` (the pack has no words in this language).
        rule: Its id.
        says: Its sentence.
        element: What is missing or forbidden.
        jurisdiction: Whose pack.
        uses: Role, and whether as the first message, for which it breaks the rule.
        for_nobody: No role may send it there, neither first nor later.
    """

    kind: Literal["lacks", "forbidden_by_law", "not_judged"]
    rule: str
    says: str
    element: str
    jurisdiction: str
    uses: tuple[Use, ...]
    for_nobody: bool


def breaches(spoken: Spoken, countries: Collection[str], packs: Packs, on: date) -> list[Breach]:
    """What a text breaks in the countries where its language is read.

    Args:
        spoken: The words of one channel.
        countries: ISO 3166-1; their subdivisions' packs are asked too.
        packs: Rule packs.
        on: Local date.
    """
    return [breach for pack in packs.packs if _is_asked(pack.jurisdiction, countries) for breach in _of_pack(spoken, pack, on)]


def disclosures(packs: Packs) -> dict[str, tuple[str, ...]]:
    """Language → phrases that the law makes a debt collector say, and nobody else: no linter may blame it for them."""
    found: dict[str, list[str]] = {}
    for _, rule in packs.gating():
        if isinstance(rule, ContentRule) and rule.basis_for("first_party") is None:
            for element in rule.requires:
                for language, phrases in element.phrases.items():
                    found.setdefault(language, []).extend(phrases)
    return {language: tuple(dict.fromkeys(phrases)) for language, phrases in found.items()}


def _is_asked(jurisdiction: str, countries: Collection[str]) -> bool:
    if jurisdiction in {HOUSE, EU}:
        return jurisdiction == HOUSE or any(EU in jurisdictions_of(country, None) for country in countries)
    return jurisdiction.split("-", 1)[0] in countries


def _of_pack(spoken: Spoken, pack: Pack, on: date) -> Iterator[Breach]:
    channel, form = _AS_BEFORE_THE_LAW.get(spoken.channel, (spoken.channel, None))
    rules = [rule for rule in pack.gating if isinstance(rule, ContentRule) and _is_about(rule, spoken, channel, on)]
    uses = [(role, first) for role in sorted(spoken.roles) for first in _SEQUENCES]
    broken: dict[tuple[str, str, str], list[Use]] = {}
    for rule in rules:
        for use in uses:
            for kind, element in _broken(rule, spoken, use, form):
                broken.setdefault((rule.id, kind, element), []).append(use)
    sentences = {rule.id: rule.says for rule in rules}
    unusable = {use for found in broken.values() for use in found}
    for (rule_id, kind, element), found in broken.items():
        yield Breach(
            kind=kind,  # type: ignore[arg-type]  # keys of a dictionary are plain text
            rule=rule_id,
            says=sentences[rule_id],
            element=element,
            jurisdiction=pack.jurisdiction,
            uses=tuple(found),
            for_nobody=unusable.issuperset(uses),
        )


def _is_about(rule: ContentRule, spoken: Spoken, channel: str, on: date) -> bool:
    """Whether a rule looks at every such text; one about certain loans or people is left to the gate, which knows them."""
    narrowed = rule.applies_to.loans or rule.applies_to.facts or rule.applies_to.layer_alone
    return (
        not narrowed
        and value_on(rule.values, on) is not None
        and rule.applies_to.covers(channel=channel, purpose=spoken.purpose, party="borrower", automated=True, place=None)
    )


def _broken(rule: ContentRule, spoken: Spoken, use: Use, form: str | None) -> Iterator[tuple[str, str]]:
    role, first = use
    if rule.basis_for(role) is None:
        return
    in_the_frame = spoken.channel == PART_OF_A_CALL and not spoken.whole_call
    for element in () if in_the_frame else elements(rule.requires, first=first, form=form):
        if not carries(spoken.words, element, spoken.locale):
            yield "lacks" if _is_spoken(element, spoken.locale) else "not_judged", element.name
    for element in elements(rule.forbids, first=first, form=form):
        if carries(spoken.words, element, spoken.locale):
            yield "forbidden_by_law", element.name


def _is_spoken(element: Element, locale: str) -> bool:
    return any(name in {EVERY_LANGUAGE, locale} or locale.startswith(f"{name}-") for name in element.phrases)
