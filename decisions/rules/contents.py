"""Contents: what a text must say, and must not say.

A text is looked at where it is known: at the gate, and in a case. Presence is checked by phrases that the pack names for each
language; tone is not, and needs a person's eye (message approval).

In:   a rule (elements required and forbidden, by sequence and form); the table (texts, language, history).
Out:  a constraint; the names of what a text must carry.
Pure: values only.
Source: the pack of each jurisdiction (US-REGF-OPTOUT-NOTICE, US-REGF-MINIMIRANDA, US-REGF-LCM).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import polars as pl

from decisions.rule_forms import ContentRule, Element
from decisions.rules.constraints import Fixed
from decisions.rules.table import Table

EVERY_LANGUAGE: Final = "*"


def constrain(rule: ContentRule, _: object, table: Table) -> Fixed:
    """Allowed where the text is not known, or carries all that is required and nothing that is forbidden."""
    allowed = table.all_rows(value=True)
    if table.rows["text"].null_count() == len(table.rows):
        return Fixed(allowed)
    known = table.rows.filter(pl.col("text").is_not_null())
    told = known.select("row", "text", "form", locale=table.of_borrower("locale").gather(known["row"])).with_columns(
        first=pl.Series(table.first_communication[known["row"].to_numpy()])
    )
    breaks = [
        row
        for row, text, form, locale, first in told.iter_rows()
        if any(not carries(text, one, locale) for one in elements(rule.requires, first=first, form=form))
        or any(carries(text, one, locale) for one in elements(rule.forbids, first=first, form=form))
    ]
    allowed[breaks] = False
    return Fixed(allowed)


def elements(listed: Sequence[Element], *, first: bool, form: str | None) -> list[Element]:
    """Those that concern a contact of that place in the sequence and that form; an unknown form is each."""
    return [
        one
        for one in listed
        if one.sequence in {"any", "first" if first else "later"} and (one.forms is None or form is None or form in one.forms)
    ]


def carries(text: str, element: Element, locale: str | None) -> bool:
    """Whether a text has one of the element's phrases in its language; in an unknown language, any language's."""
    languages = [name for name in element.phrases if name == EVERY_LANGUAGE or locale is None or _speaks(locale, name)]
    return any(_pattern(phrase).search(text) for name in languages for phrase in element.phrases[name])


def _speaks(locale: str, language: str) -> bool:
    return locale == language or locale.startswith(f"{language}-")


@lru_cache(maxsize=4096)
def _pattern(phrase: str) -> re.Pattern[str]:
    """A phrase, regardless of case and of how it is spaced; not inside a longer word."""
    words = r"\s+".join(re.escape(word) for word in phrase.split())
    before = r"\b" if phrase[:1].isascii() and phrase[:1].isalnum() else ""
    after = r"\b" if phrase[-1:].isascii() and phrase[-1:].isalnum() else ""
    return re.compile(before + words + after, re.IGNORECASE)
