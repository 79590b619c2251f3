"""Reads labelled replies (tests/cases/replies/, one file a language) and counts how they are read.

In:   the files, the lexicons.
Out:  a `Reply` each with what it should mean and what it is read as; the counts as a page of Markdown (docs/replies.md).
Pure: no; reads files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

from config.load import ConfigError, Day, Strict, Whole, read
from config.reply_words import Lexicons
from decisions.replies import INTENTS, UNCLEAR, Reading, Setting, read_reply

REPLIES: Final = Path(__file__).parent.parent / "tests" / "cases" / "replies"
# Replies that were looked at while the words were written; two sets that were measured once before they were; and two halves of
# one more: words were learnt from the first, nothing is from the second (docs/replies.md).
SETS: Final = ("seen", "held", "fresh", "learnt", "held_out")
# What must not be missed, and by how much.
NOT_MISSED: Final = ("stop", "danger")


class ReplyForm(Strict):
    """One reply, as labelled."""

    text: str
    intent: str
    date: Day | None = None
    amount_minor: Whole | None = None
    also: tuple[str, ...] = ()


class LanguageForm(Strict):
    """One file, as written."""

    locale: str
    currency: str
    received_at: datetime
    seen: tuple[ReplyForm, ...]
    held: tuple[ReplyForm, ...]
    fresh: tuple[ReplyForm, ...]
    learnt: tuple[ReplyForm, ...]
    held_out: tuple[ReplyForm, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A labelled reply and how it is read.

    Attributes:
        language: Name of its file.
        set_name: One of `SETS`.
        text: As somebody would write it; invented.
        intent, on, amount_minor, also: What it should be read as.
        reading: What it is read as.
    """

    language: str
    set_name: str
    text: str
    intent: str
    on: date | None
    amount_minor: int | None
    also: tuple[str, ...]
    reading: Reading

    @property
    def is_right(self) -> bool:
        """Whether everything about it is read as labelled."""
        found = self.reading
        return (found.intent, found.on, found.amount_minor, found.also) == (self.intent, self.on, self.amount_minor, self.also)


def read_replies(lexicons: Lexicons, folder: Path = REPLIES) -> list[Reply]:
    """Read every labelled reply of a folder, in the order of its files.

    Raises:
        ConfigError: A file is not of its form, or names an intent that there is not.
    """
    return [reply for path in sorted(folder.glob("*.yaml")) for reply in _of_file(path, lexicons)]


def _of_file(path: Path, lexicons: Lexicons) -> Iterator[Reply]:
    form = read(path, LanguageForm)
    lexicon = lexicons.of(form.locale)
    setting = Setting(today=form.received_at.date(), locale=form.locale, currency=form.currency)
    for set_name in SETS:
        for one in getattr(form, set_name):
            if unknown := {one.intent, *one.also} - {*INTENTS, UNCLEAR}:
                raise ConfigError(path, None, set_name, f"no intent: {', '.join(sorted(unknown))}")
            yield Reply(
                language=path.stem,
                set_name=set_name,
                text=one.text,
                intent=one.intent,
                on=one.date,
                amount_minor=one.amount_minor,
                also=one.also,
                reading=read_reply(one.text, lexicon, setting=setting),
            )


def recall(replies: Sequence[Reply], intent: str) -> float:
    """The share of the replies labelled with an intent in which it is found, whatever else is."""
    meant = [reply for reply in replies if intent in (reply.intent, *reply.also)]
    return sum(intent in reply.reading.intents for reply in meant) / len(meant) if meant else 1.0


def false_alarms(replies: Sequence[Reply], intent: str) -> int:
    """How many replies are read as an intent that they are not labelled with."""
    return sum(intent in reply.reading.intents and intent not in (reply.intent, *reply.also) for reply in replies)


def as_page(replies: Sequence[Reply]) -> str:
    """How replies are read, as tables of Markdown: by set, by language, and what is taken for what."""
    return "\n\n".join([_by_set(replies), _by_language(replies), _confusion(replies)]) + "\n"


def _by_set(replies: Sequence[Reply]) -> str:
    rows = [
        [set_name, str(len(of)), _share([one.reading.intent == one.intent for one in of]), _share([one.is_right for one in of])]
        + [f"{recall(of, intent):.3f}" for intent in NOT_MISSED]
        + [str(false_alarms(of, intent)) for intent in NOT_MISSED]
        for set_name in SETS
        if (of := [reply for reply in replies if reply.set_name == set_name])
    ]
    columns = [*(f"{intent} found" for intent in NOT_MISSED), *(f"false {intent}s" for intent in NOT_MISSED)]
    return _table(["set", "replies", "intent right", "all right", *columns], rows)


def _by_language(replies: Sequence[Reply]) -> str:
    languages = dict.fromkeys(reply.language for reply in replies)
    rows = []
    for language in languages:
        of = [reply for reply in replies if reply.language == language]
        rows.append(
            [language, str(len(of)), _share([one.reading.intent == one.intent for one in of]), _share([one.is_right for one in of])]
        )
    return _table(["language", "replies", "intent right", "all right"], rows)


def _confusion(replies: Sequence[Reply]) -> str:
    names = [*INTENTS, UNCLEAR]
    counts = Counter((reply.intent, reply.reading.intent) for reply in replies)
    rows = [[f"**{meant}**", *(str(counts[meant, taken] or "") for taken in names)] for meant in names]
    return _table(["meant ↓ read →", *names], rows)


def _share(right: Sequence[bool]) -> str:
    return f"{100 * sum(right) / len(right):.1f} %"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])
