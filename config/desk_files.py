"""Reads config/desk.yaml, how the staff's desks are guarded; what they say stands in config/desk (config/page_texts.py).

In:   the files.
Out:  `DeskPolicy`; `PageWords` by locale.
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

POLICY: Final = Path(__file__).with_name("desk.yaml")
DESKS: Final = Path(__file__).with_name("desk")

Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskPolicy:
    """How the desks are guarded.

    Attributes:
        idle: A session that rests so long has ended.
        longest: And one that lasted so long.
        sign_in: So long somebody may take at the issuer's page.
        unusual_views: More people a day than so many, looked at by one of the staff, are told.
    """

    idle: timedelta
    longest: timedelta
    sign_in: timedelta
    unusual_views: int


class SessionForm(Strict):
    """How long a session lasts, as written."""

    idle_minutes: Count
    hours_max: Count


class SignInForm(Strict):
    """How long signing in may take, as written."""

    minutes: Count


class ViewsForm(Strict):
    """How many looks at people are unusual, as written."""

    unusual_a_day: Count


class PolicyForm(Strict):
    """The file, as written."""

    owner: Annotated[str, Field(min_length=1)]
    reviewed_on: Day
    session: SessionForm
    sign_in: SignInForm
    views: ViewsForm


def desk_policy(path: Path = POLICY) -> DeskPolicy:
    """Read how the desks are guarded.

    Raises:
        ConfigError: The file is not of that form.
    """
    document = parse(path)
    form = checked(document, document.plain, PolicyForm)
    return DeskPolicy(
        idle=timedelta(minutes=form.session.idle_minutes),
        longest=timedelta(hours=form.session.hours_max),
        sign_in=timedelta(minutes=form.sign_in.minutes),
        unusual_views=form.views.unusual_a_day,
    )


@lru_cache(maxsize=1)
def desk_policy_in_force() -> DeskPolicy:
    """The shipped file's, read once a process."""
    return desk_policy()


@lru_cache(maxsize=1)
def desk_words_in_force() -> dict[str, PageWords]:
    """The shipped files, read once a process; with the real providers no drafts."""
    return page_texts(DESKS, drafts=not settings().is_real)
