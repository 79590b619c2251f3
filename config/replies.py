"""Reads config/replies.yaml: which words of a reply decide something, and how long a claimed payment is waited for.

In:   the file.
Out:  `ReplyPolicy`, whose lexicon is folded and expanded.
Pure: no; reads one file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Final

from config.load import ConfigError, Day, Strict, Whole, read
from decisions.replies import INTENTS, Lexicon, Phrases, fold

REPLIES_FILE: Final = Path(__file__).with_name("replies.yaml")


class PhrasesForm(Strict):
    """The words of one intent, as written."""

    alone: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    negated_by: tuple[str, ...] = ()
    questions: bool = True


class ChannelForm(Strict):
    """Words that name channels, as written."""

    channels: tuple[str, ...]
    words: tuple[str, ...]


class PaidForm(Strict):
    """What "paid" does."""

    hold_business_days: Whole
    repeated_within_days: Whole


class RepliesForm(Strict):
    """The file, as written."""

    owner: str
    reviewed_on: Day
    follows_attempt_days: Whole
    paid: PaidForm
    intents: dict[str, PhrasesForm]
    danger: dict[str, PhrasesForm]
    everything: tuple[str, ...]
    channels: tuple[ChannelForm, ...]
    courtesies: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyPolicy:
    """How replies are read and what follows.

    Attributes:
        lexicon: The words.
        follows_attempt_days: A reply belongs to the last message sent within so many days.
        paid_hold_business_days: How long a payment that the person says was made is waited for.
        paid_repeated_within_days: Said again within so many days it is a dispute.
    """

    lexicon: Lexicon
    follows_attempt_days: int
    paid_hold_business_days: int
    paid_repeated_within_days: int


def reply_policy(path: Path = REPLIES_FILE) -> ReplyPolicy:
    """Read how replies are read.

    Raises:
        ConfigError: The file is not of that form, names an intent that nobody handles, or holds a word that folds to nothing.
    """
    form = read(path, RepliesForm)
    if unknown := set(form.intents) - set(INTENTS):
        raise ConfigError(path, None, "intents", f"nobody handles {', '.join(sorted(unknown))}")
    if form.paid.hold_business_days < 1:
        raise ConfigError(path, None, "paid.hold_business_days", "at least 1")
    try:
        lexicon = Lexicon(
            intents={intent: _phrases(phrases) for intent, phrases in form.intents.items()},
            danger={kind: _phrases(phrases) for kind, phrases in form.danger.items()},
            everything=_expanded(form.everything),
            channels=tuple((entry.channels, _expanded(entry.words)) for entry in form.channels),
            courtesies=_expanded(form.courtesies),
        )
    except ValueError as error:
        raise ConfigError(path, None, "", str(error)) from error
    return ReplyPolicy(
        lexicon=lexicon,
        follows_attempt_days=form.follows_attempt_days,
        paid_hold_business_days=form.paid.hold_business_days,
        paid_repeated_within_days=form.paid.repeated_within_days,
    )


@lru_cache(maxsize=1)
def reply_policy_in_force() -> ReplyPolicy:
    """The shipped file's policy, read once a process."""
    return reply_policy()


def _phrases(form: PhrasesForm) -> Phrases:
    return Phrases(
        alone=frozenset(_expanded(form.alone)),
        within=_expanded(form.within),
        unless=_expanded(form.unless),
        negated_by=frozenset(_expanded(form.negated_by)),
        questions=form.questions,
    )


def _expanded(written: Iterable[str]) -> tuple[str, ...]:
    """`a|b c` as "a c", "b c"; folded, each once, longest first, so that the fullest phrase is the one that decided.

    Raises:
        ValueError: A phrase has nothing in it that could be found.
    """
    phrases = {fold(" ".join(words)) for phrase in written for words in product(*(part.split("|") for part in phrase.split()))}
    if "" in phrases:
        raise ValueError("a phrase that has no letters in it can never be found")
    return tuple(sorted(phrases, key=lambda phrase: (-len(phrase), phrase)))
