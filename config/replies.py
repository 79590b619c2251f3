"""Reads config/replies.yaml: what follows from an answer. The words are config/reply_words/ (config/reply_words.py).

In:   the files.
Out:  `ReplyPolicy`.
Pure: no; reads files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

from config.cases import case_terms_in_force
from config.load import ConfigError, Day, Strict, Whole, read
from config.promises import promise_terms_in_force
from config.reply_words import WORDS, Lexicons, read_lexicons
from decisions.cases import CaseTerms
from decisions.promises import PromiseTerms
from decisions.replies import Lexicon

REPLIES_FILE: Final = Path(__file__).with_name("replies.yaml")


class PaidForm(Strict):
    """What "paid" does."""

    hold_business_days: Whole
    hold_business_days_by_rail: dict[str, Whole]
    repeated_within_days: Whole


class CallMeForm(Strict):
    """What asking for a call does."""

    hold_business_days: Whole


class AnswersForm(Strict):
    """How long a machine answers."""

    help_within_minutes: Whole
    confirm_stop_within_minutes: Whole


class RepliesForm(Strict):
    """The file, as written."""

    owner: str
    reviewed_on: Day
    follows_attempt_days: Whole
    paid: PaidForm
    answers: AnswersForm
    call_me: CallMeForm


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyPolicy:
    """How replies are read and what follows.

    Attributes:
        lexicons: The words, by the language that a person was written to in.
        follows_attempt_days: A reply belongs to the last message sent within so many days.
        paid_hold_business_days: How long a payment that the person says was made is waited for.
        paid_hold_by_rail: Rail of the person's last payment → the same, where that is longer.
        paid_repeated_within_days: Said again within so many days it is a dispute.
        promises: What a promise is worth (config/promises.yaml).
        cases: What people are owed an answer to, by when (config/cases.yaml).
        callback_business_days: By then whoever asked for a call has got it.
        help_within: A machine answers a question for help within this time, or not at all.
        confirm_stop_within: It confirms a stop within this time, or not at all.
    """

    lexicons: Lexicons
    follows_attempt_days: int
    paid_hold_business_days: int
    paid_hold_by_rail: Mapping[str, int]
    paid_repeated_within_days: int
    promises: PromiseTerms
    cases: CaseTerms
    callback_business_days: int
    help_within: timedelta
    confirm_stop_within: timedelta

    @property
    def lexicon(self) -> Lexicon:
        """The words for somebody of whom no language is known."""
        return self.lexicons.of(None)


def reply_policy(path: Path = REPLIES_FILE, words: Path = WORDS) -> ReplyPolicy:
    """Read how replies are read.

    Raises:
        ConfigError: A file is not of its form, names an intent that nobody handles, or holds a word that folds to nothing.
    """
    form = read(path, RepliesForm)
    for field, days in (("paid", form.paid.hold_business_days), ("call_me", form.call_me.hold_business_days)):
        if days < 1:
            raise ConfigError(path, None, f"{field}.hold_business_days", "at least 1")
    return ReplyPolicy(
        lexicons=read_lexicons(words),
        follows_attempt_days=form.follows_attempt_days,
        paid_hold_business_days=form.paid.hold_business_days,
        paid_hold_by_rail=form.paid.hold_business_days_by_rail,
        paid_repeated_within_days=form.paid.repeated_within_days,
        promises=promise_terms_in_force(),
        cases=case_terms_in_force(),
        callback_business_days=form.call_me.hold_business_days,
        help_within=timedelta(minutes=form.answers.help_within_minutes),
        confirm_stop_within=timedelta(minutes=form.answers.confirm_stop_within_minutes),
    )


@lru_cache(maxsize=1)
def reply_policy_in_force() -> ReplyPolicy:
    """The shipped file's policy, read once a process."""
    return reply_policy()
