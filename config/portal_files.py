"""Reads config/portal.yaml, how the borrower's page is guarded, and config/portal: what it says, one file a locale.

In:   the files; config/messages/locales.yaml, for how each locale writes money and dates.
Out:  `PagePolicy`; `PageWords` by locale.
Pure: no; reads files. A file that leaves out a text, or has one too many, or a gap that nothing fills, is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from config.load import ConfigError, Day, Strict, checked, parse
from config.message_files import locale_words
from config.settings import settings
from decisions.messages import GAP, known_locale
from decisions.words import CHANNELS

POLICY: Final = Path(__file__).with_name("portal.yaml")
PAGES: Final = Path(__file__).with_name("portal")
# What is said in English where a browser names no language of ours.
USUAL: Final = "en"
# Text → gaps that it has.
_GAPS: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset(gap.split())
    for name, gap in {
        "loan": "number",
        "code_minutes": "minutes",
        "next_until": "date",
        "next_answer": "date",
        "next_due": "amount date",
        "next_ways": "ways",
        "next_stopped": "ways",
        "never_other": "ways",
        "next_promise": "date",
        "next_promise_amount": "amount date",
        "bad_amount": "example",
        "stop_this": "way",
        "asked_by": "creditor",
    }.items()
}
_PLAIN: Final = """
    title skip language close back send_code welcome not_me not_me_note not_me_done code_title code_label open code_sent code_wrong
    code_over    code_wait code_not_now code_again dead_title dead closed failed failed_title
    owe_title nothing_open open_now open_total late_days disputed instalments due_on principal interest fee penalty paid still_open total
    payments no_payments pending went_back next_title next_person never_title never_cost
    contacts_title contacts_note no_contacts contact_more contact_said said_not_kept contact_rules contact_rules_note contact_no_rules
    contest who_decided
    do_title do_promise do_more_time do_cannot_pay do_paid do_not_mine do_dispute do_complaint do_call_me do_stop
    about_promise about_cannot_pay about_paid about_dispute about_complaint about_call_me about_stop
    day_label amount_label part_label reason_label tell bad_day stop_all loan_not_mine other_person
    done_title done_person done_waits close_links close_links_note links_closed
"""
TEXTS: Final = frozenset(_PLAIN.split()) | frozenset(_GAPS)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class PageWords:
    """What the page says in one locale.

    Attributes:
        locale: BCP 47 tag of the file's name.
        writes_like: Tag of the region whose way to write money and dates it follows.
        stop: Word that stops messages in its language.
        texts: `TEXTS`.
        ways: Channel → what a person calls it.
    """

    locale: str
    writes_like: str
    stop: str
    texts: Mapping[str, str]
    ways: Mapping[str, str]

    def say(self, text: str, **values: str) -> str:
        """A text with its gaps filled."""
        return GAP.sub(lambda gap: values[gap[1]], self.texts[text])


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


class WordsForm(Strict):
    """What the page says in one locale, as written. `draft`: nobody who reads the language has said yes to it yet."""

    approved: Literal["true", "draft"]
    ways: dict[str, Phrase]
    texts: dict[str, Phrase]


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


def page_words(folder: Path = PAGES, *, drafts: bool = True) -> dict[str, PageWords]:
    """Read what the page says in every locale.

    Args:
        folder: Of the files.
        drafts: Also what nobody has said yes to.

    Raises:
        ConfigError: A file is not of that form, its locale is not in locales.yaml, or there is none in `USUAL`.
    """
    shared = locale_words()
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        if path.stem not in shared:
            raise ConfigError(path, None, "", "the locale of this file's name is not in locales.yaml")
        document = parse(path)
        form = checked(document, document.plain, WordsForm)
        for place, given, asked in (("texts", set(form.texts), TEXTS), ("ways", set(form.ways), frozenset(CHANNELS))):
            if given != asked:
                raise document.error([place], f"missing {', '.join(sorted(asked - given))}; unknown {', '.join(sorted(given - asked))}")
        for name, words in form.texts.items():
            if set(GAP.findall(words)) != (asked := _GAPS.get(name, frozenset())):
                raise document.error(["texts", name], f"has exactly the gaps {', '.join(sorted(asked)) or 'of none'}")
        if drafts or form.approved == "true":
            own = shared[path.stem]
            known_locale(own.writes_like)
            found[path.stem] = PageWords(locale=path.stem, writes_like=own.writes_like, stop=own.stop, texts=form.texts, ways=form.ways)
    if USUAL not in found:
        raise ConfigError(folder, None, "", f"nothing is approved in {USUAL}, which is shown where no other language is asked for")
    return found


@lru_cache(maxsize=1)
def page_words_in_force() -> dict[str, PageWords]:
    """The shipped files, read once a process; with the real providers no drafts."""
    return page_words(drafts=not settings().is_real)
