"""The linter's last look before a send: words that break an error rule are said to nobody, whoever approved them.

A text's own words are linted once a version, a lender's name once beside it: what else fills a gap adds nothing, so that
sending a million messages costs a handful of looks.

In:   a text, a channel, the lender's name.
Out:  the rules that are broken.
Pure: no; reads config/lint once a process.
Source: issue "Every channel, every answer", 4; docs/adr/0025.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from config.lint_files import word_lists_in_force
from decisions.lint import of_name, of_text
from decisions.lint_voice import of_words
from decisions.messages import SPOKEN, VOICEMAIL, Text
from decisions.voice import Prompts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What a look is kept under.

    Attributes:
        version: Of the text: exceptions name it.
        said: Channel, heading and text of all that may be said.
        creditor_name: As the borrower knows it.
        text: What is looked at.
    """

    version: str
    said: tuple[tuple[str, str, str], ...]
    creditor_name: str
    text: Text = field(compare=False)


def get_ready() -> None:
    """Read the lists now: not later, while somebody's borrowers are held."""
    word_lists_in_force()


def refused_by(text: Text, channel: str, creditor_name: str) -> tuple[str, ...]:
    """Names of the error rules that a text breaks on a channel, under a lender's name; none = it may be said.

    Args:
        text: One message in one locale.
        channel: Of CASES.md; on `voice` a machine may answer, so what it would hear is looked at too.
        creditor_name: As the borrower knows it.
    """
    channels = (channel, VOICEMAIL) if channel == SPOKEN else (channel,)
    said = tuple((name, words.title, words.body) for name, words in text.words.items() if name in channels)
    return _looked(_Asked(version=text.version, said=said, creditor_name=creditor_name, text=text))


def prompts_refused_by(prompts: Prompts) -> tuple[str, ...]:
    """Names of the error rules that the prompts of a locale break; none = they may be spoken.

    Args:
        prompts: What every automated call says.
    """
    if prompts.version not in _PROMPTS_LOOKED:
        _PROMPTS_LOOKED[prompts.version] = tuple(
            sorted({one.rule for one in of_words(prompts, word_lists_in_force()) if one.severity == "error"})
        )
    return _PROMPTS_LOOKED[prompts.version]


# Version of prompts → the rules that they break: a handful a process.
_PROMPTS_LOOKED: Final[dict[str, tuple[str, ...]]] = {}


@lru_cache(maxsize=8_192)
def _looked(asked: _Asked) -> tuple[str, ...]:
    lists = word_lists_in_force()
    channels = {channel for channel, _, _ in asked.said}
    own = [one for one in of_text(asked.text, lists) if one.channel in {"", *channels}]
    named = [one for channel in channels for one in of_name(asked.creditor_name, asked.text, channel, lists)]
    return tuple(sorted({one.rule for one in (*own, *named) if one.severity == "error"}))
