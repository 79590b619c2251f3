"""What a person who works a case may begin her letter with, and what a letter must not have in it.

A template is a beginning: its blanks are filled by hand, and none is sent with a blank left open. The words that no message may have
because they threaten, shame, press or advertise no letter may have either. What a message may not say and a letter has to (an authority
that hears complaints, a court's date) is left to her.

In:   a kind of case; texts by name; words as she wrote them.
Out:  the templates for that kind; what is wrong with the words, in sentences.
Pure: yes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from decisions.lint import WordLists
from decisions.lint_rules import RULES
from decisions.lint_words import found

# Where something is to be written by hand.
BLANK: Final = "____"
STEPS: Final = ("acknowledge", "answer")
REFUSED: Final = ("threat", "shame", "false_urgency", "other_purpose")


def letters_for(kind: str, texts: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Step → name → template, of one kind of case.

    Args:
        kind: Of `decisions.cases.CASE_KINDS`.
        texts: Names `acknowledge_KIND` and `answer_KIND_RESULT` → words.
    """
    return {
        step: {name: words for name, words in texts.items() if name == f"{step}_{kind}" or name.startswith(f"{step}_{kind}_")}
        for step in STEPS
    }


def problems_in(words: str, locale: str, lists: WordLists) -> list[str]:
    """Why words are not said to a person like that; nothing = they may be.

    Args:
        words: As they were written.
        locale: In which language; one without lists is looked at for blanks alone.
        lists: Of the message linter.
    """
    problems = ["a blank is still open: fill it, or take the sentence out"] if BLANK in words else []
    language = lists.languages.get(locale)
    if language is None:
        return problems
    for rule in REFUSED:
        hits = found(words, language.lists[rule], language.writing)
        if hits:
            problems.append(f"{', '.join(f'“{hit}”' for hit in hits)}: {RULES[rule].because}; {RULES[rule].instead}")
    return problems
