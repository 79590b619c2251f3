"""Reads config/case_letters: what acknowledgements and answers of cases begin with, by language (config/page_texts.py).

In:   config/case_letters/<locale>/letters.yaml; the message linter's word lists.
Out:  `Letters`.
Pure: no; reads files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from config.lint_files import word_lists_in_force
from config.page_texts import PageWords, page_texts
from config.settings import settings
from decisions.lint import WordLists

LETTERS: Final = Path(__file__).with_name("case_letters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Letters:
    """What a person begins with, and the words that she may not use.

    Attributes:
        words: Locale → templates.
        lists: The message linter's.
    """

    words: Mapping[str, PageWords]
    lists: WordLists


@lru_cache(maxsize=1)
def letters_in_force() -> Letters:
    """The shipped files, read once a process; with the real providers no drafts."""
    return Letters(words=page_texts(LETTERS, drafts=not settings().is_real), lists=word_lists_in_force())
