"""Reads config/portal.yaml, how the borrower's page is guarded; what it says stands in config/portal (config/page_texts.py).

In:   the files.
Out:  `PagePolicy`; `PageWords` by locale.
Pure: no; reads files.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from config.load import Day, Strict, checked, parse
from config.page_texts import PageWords, page_texts
from config.settings import settings

POLICY: Final = Path(__file__).with_name("portal.yaml")
PAGES: Final = Path(__file__).with_name("portal")


@dataclass(frozen=True, slots=True, kw_only=True)
class PagePolicy:
    """How the page is guarded.

    Attributes:
        link_open: So long after its message a link asks for a code.
        code_valid: So long a code is good.
        tries_max: Wrong tries of one code.
        an_hour_max: Codes that a person may ask for.
        a_day_max: As above.
        wrong_a_day_max: Wrong tries of all her codes.
        idle: A page that rests so long is closed.
        longest: And one that was open so long.
    """

    link_open: timedelta
    code_valid: timedelta
    tries_max: int
    an_hour_max: int
    a_day_max: int
    wrong_a_day_max: int
    idle: timedelta
    longest: timedelta


Count = Annotated[int, Field(ge=1)]
Phrase = Annotated[str, Field(min_length=1)]


class LinkForm(Strict):
    """How long a link is open, as written."""

    open_days: Count


class CodeForm(Strict):
    """How a code is guarded, as written."""

    minutes: Count
    tries_max: Annotated[int, Field(ge=1, le=10)]
    an_hour_max: Count
    a_day_max: Count
    wrong_a_day_max: Annotated[int, Field(ge=1, le=50)]


class SessionForm(Strict):
    """How long a page stays open, as written."""

    idle_minutes: Count
    hours_max: Count


class PolicyForm(Strict):
    """The file, as written."""

    owner: Phrase
    reviewed_on: Day
    link: LinkForm
    code: CodeForm
    session: SessionForm


def page_policy(path: Path = POLICY) -> PagePolicy:
    """Read how the page is guarded.

    Raises:
        ConfigError: The file is not of that form.
    """
    document = parse(path)
    form = checked(document, document.plain, PolicyForm)
    return PagePolicy(
        link_open=timedelta(days=form.link.open_days),
        code_valid=timedelta(minutes=form.code.minutes),
        tries_max=form.code.tries_max,
        an_hour_max=form.code.an_hour_max,
        a_day_max=form.code.a_day_max,
        wrong_a_day_max=form.code.wrong_a_day_max,
        idle=timedelta(minutes=form.session.idle_minutes),
        longest=timedelta(hours=form.session.hours_max),
    )


@lru_cache(maxsize=1)
def page_policy_in_force() -> PagePolicy:
    """The shipped file's, read once a process."""
    return page_policy()


@lru_cache(maxsize=1)
def page_words_in_force() -> dict[str, PageWords]:
    """The shipped files, read once a process; with the real providers no drafts."""
    return page_texts(PAGES, drafts=not settings().is_real)
