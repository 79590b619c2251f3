"""What a voice says in an automated call: who calls and for whom, and nothing of a debt before the person has said who she is.

A call has three parts. To whoever picks up: who calls, for whom, and which keys say "I am", "not me" and "no more calls". To the
person asked for, once she has said so: what it is about (the message's own words), and the keys that answer it. To a machine: a
request to call back, which reveals nothing. A voice never asks for a promise: promises to machines bind less (SCIENCE.md A2).

In:   a message's rendered words, the prompts of a locale, whom it is for.
Out:  the same `Rendered` with all that is said in it; keys and what they mean.
Pure: yes.
Source: 12 CFR 1006.2(j), 1006.6(d), 47 CFR 64.1200(b); DOMAIN.md, "What the borrower's answer does".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from decisions.messages import GAP, SPOKEN, VOICEMAIL, GapError, Rendered, Text, Words
from decisions.words import ROLES

# Before anybody has said who she is. A stop and "not me" may come from whoever holds the phone: both only protect.
IDENTIFIED: Final = "identified"
FIRST_KEYS: Final[Mapping[str, str]] = {"1": IDENTIFIED, "2": "wrong_person", "9": "stop"}
# After that: key → intent of decisions/replies.py. None of them is a promise.
KEYS: Final[Mapping[str, str]] = {"1": "paid", "2": "cannot_pay", "3": "call_me", "4": "help", "9": "stop"}
# A stop that is pressed in a call is a stop of calls.
STOPPED: Final = ("voice", "call")
GAPS: Final = frozenset({"creditor", "name", "phone", "agent"})
# What these words are called among the messages: listed, linted and approved like them.
VOICE_PROMPTS: Final = "voice"
# Whoever picks up hears these, or a machine: before a key, after "not me" and a stop, and when no key came.
HEARD_BY_ANYBODY: Final = frozenset({"greeting", "identify", "answers.wrong_person", "answers.stop", "goodbye", "voicemail"})
_DIGIT: Final = re.compile(r"\d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """What every automated call says in one locale.

    Attributes:
        locale: BCP 47 tag of the file's name.
        language: Tag of the voice that speaks it.
        approved: False = nobody hears it.
        draft: Nobody who reads the language has said yes to it yet: it is heard in sandbox mode alone.
        version: Hash of the file.
        greeting: Who calls, and for whom.
        identify: The keys of `FIRST_KEYS`.
        menu: The keys of `KEYS`.
        answers: Intent → what is said when its key was pressed.
        goodbye: When no key was pressed.
        voicemail: What a machine hears; its gap {agent} is whom to ask for.
    """

    locale: str
    language: str
    approved: bool
    draft: bool
    version: str
    greeting: str
    identify: str
    menu: str
    answers: Mapping[str, str]
    goodbye: str
    voicemail: str


def parts(prompts: Prompts) -> dict[str, str]:
    """Place in the file → what is said there, as in `answers.paid`."""
    return {
        "greeting": prompts.greeting,
        "identify": prompts.identify,
        "menu": prompts.menu,
        **{f"answers.{intent}": said for intent, said in prompts.answers.items()},
        "goodbye": prompts.goodbye,
        "voicemail": prompts.voicemail,
    }


def as_text(prompts: Prompts) -> Text:
    """The prompts as a text among the others: what is heard by whom, word for word, under their own version."""
    said = parts(prompts)
    voicemail = said.pop("voicemail")
    return Text(
        message=VOICE_PROMPTS,
        locale=prompts.locale,
        purpose="collection",
        version=prompts.version,
        writes_like=prompts.language,
        stop="9",
        creditor_roles=frozenset(ROLES),
        approved=prompts.approved,
        draft=prompts.draft,
        words={SPOKEN: Words(body="\n".join(said.values())), VOICEMAIL: Words(body=voicemail)},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """What the gate needs to let a voice speak.

    Attributes:
        prompts: Locale → its prompts.
        names: Party id → her name; personal.
        agent: A person whom a voicemail asks to be called back; None = nothing is left with a machine.
    """

    prompts: Mapping[str, Prompts] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict, repr=False)
    agent: str | None = None


NOBODY: Final = Voice()


def speak(words: Rendered, prompts: Prompts, *, creditor_name: str, name: str | None, phone: str | None, agent: str | None) -> Rendered:
    """All that is said in a call: `title` to whoever picks up, `body` to the person, `voicemail` to a machine.

    Args:
        words: The message's own, rendered; a voicemail of its own takes the place of the prompts'.
        prompts: Of its locale.
        creditor_name: As the borrower knows it.
        name: Of the person asked for.
        phone: Where to call back, E.164.
        agent: As in `Voice`.

    Raises:
        GapError: The prompts are not approved, or a gap of what is said to a person has no value.
    """
    if not prompts.approved:
        raise GapError("the prompts of this locale are not approved")
    values = {"creditor": creditor_name, "name": name, "phone": spoken_number(phone), "agent": agent}
    return replace(
        words,
        title=f"{_filled(prompts.greeting, values)} {_filled(prompts.identify, values)}",
        body=f"{words.body} {_filled(prompts.menu, values)}",
        voicemail=words.voicemail or (_filled(prompts.voicemail, values) if agent else None),
        prompts=prompts.version,
    )


def spoken_number(phone: str | None) -> str | None:
    """A number as it is read out: digit by digit."""
    return " ".join(_DIGIT.findall(phone)) if phone else None


def digits_named(words: str) -> frozenset[str]:
    """Keys that a text names."""
    return frozenset(_DIGIT.findall(words))


def _filled(words: str, values: Mapping[str, str | None]) -> str:
    def value(gap: re.Match[str]) -> str:
        found = values.get(gap[1])
        if not found:
            raise GapError(f"nothing to put into {{{gap[1]}}}")
        return found

    return GAP.sub(value, words)
