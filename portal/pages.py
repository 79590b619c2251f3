"""What all of the borrower's pages share: language, forms, guards, headers, and how a page is written.

A page works without a script, loads one small stylesheet and nothing from elsewhere, and stays in nobody's cache. Whatever goes wrong, a
kind page says so; the log has the class of the error and no address, which may hold a token.

In:   requests; templates (portal/templates), texts (config/portal).
Out:  pages.
Pure: no; reads files.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property, lru_cache
from typing import Any, Final
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from babel.dates import format_time
from sqlalchemy.exc import SQLAlchemyError
from starlette import status
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from config.page_texts import USUAL, PageWords
from config.portal_files import page_words_in_force
from decisions.messages import closest, date_text, known_locale, money_text
from decisions.text_samples import names_of
from portal.receiver import NotKeptError
from portal.web import TEMPLATES, Fields, Refused, check_form, cookie, headers, read_form, templates
from portal.web import guard_of as guard_for

_log = logging.getLogger(__name__)

STYLESHEET: Final = TEMPLATES / "page.css"
# All of it lies below one path, which a proxy guards (deploy/nginx).
BASE: Final = "/b"
SESSION_COOKIE: Final = "tideover_page"
LANGUAGE_COOKIE: Final = "tideover_language"
LANGUAGE_SECONDS: Final = 180 * 86_400
# What forms of the page are guarded by; desks have another one.
FORM: Final = "page form"
STYLE_SECONDS: Final = 3_600


@dataclass(frozen=True)
class Asked:
    """One request, as a page needs it.

    Attributes:
        request: As it came.
        fields: Of the form; empty where none was sent.
    """

    request: Request
    fields: Fields = field(default_factory=dict, repr=False)

    @cached_property
    def words(self) -> PageWords:
        """In the language that she chose, else in that of her browser, else in English."""
        known = page_words_in_force()
        chosen = self.request.query_params.get("lang") or self.request.cookies.get(LANGUAGE_COOKIE)
        named = [part.split(";")[0].strip() for part in self.request.headers.get("accept-language", "").split(",")]
        found = (closest(_tag(tag), known) for tag in [chosen, *named] if tag and tag.replace("-", "").isalnum())
        return known[next((one for one in found if one is not None), USUAL)]

    @property
    def secret(self) -> str | None:
        """What her browser shows of a page that she opened."""
        return self.request.cookies.get(SESSION_COOKIE)


Handler = Callable[[Asked], Awaitable[Response]]


def _tag(tag: str) -> str:
    """A browser's tag in a form that tells Chinese apart where it names no place: what is written on the mainland is meant."""
    return "zh-CN" if tag.lower() == "zh" else tag


def page(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Answer whatever happens with a page."""

    async def answer(request: Request) -> Response:
        asked = Asked(request)
        try:
            if request.method == "POST" and _is_plain(request):
                asked = Asked(request, await read_form(request))
            response = await handler(asked)
        except (Refused, ClientDisconnect):
            return failed(asked, status.HTTP_403_FORBIDDEN)
        except (SQLAlchemyError, NotKeptError) as error:
            _log.error("a page could not be shown (%s)", type(error).__name__)
            return failed(asked, status.HTTP_503_SERVICE_UNAVAILABLE)
        except Exception as error:  # noqa: BLE001  # a bug: the class alone, since its words may repeat what a person wrote
            _log.error("a page could not be shown: bug (%s)", type(error).__name__)
            return failed(asked, status.HTTP_500_INTERNAL_SERVER_ERROR)
        if request.query_params.get("lang"):
            response.set_cookie(LANGUAGE_COOKIE, asked.words.locale, max_age=LANGUAGE_SECONDS, **cookie(BASE))
        return response

    return answer


def show(asked: Asked, template: str, *, code: int = status.HTTP_200_OK, **values: Any) -> Response:
    """A page.

    Args:
        asked: The request.
        template: Name in portal/templates, without its ending.
        code: HTTP status.
        **values: For the template.
    """
    words = asked.words
    languages = [(tag, names_of(tag)[0]) for tag in page_words_in_force()]
    shared = {
        "t": words.say,
        "lang": words.locale,
        "ways": words.ways,
        "base": BASE,
        "languages": languages,
        # A page that answers a form is not asked for again in another language.
        "back": None,
        "here": asked.request.url.path if asked.request.method == "GET" else None,
        "money": lambda minor, currency: money(minor, currency, words),
        "day": lambda on: day(on, words),
        "instant": lambda at, zone: instant(at, zone, words),
    }
    return HTMLResponse(templates().get_template(f"{template}.html").render(shared | values), code, headers=headers())


def failed(asked: Asked, code: int) -> Response:
    """The page that says that nothing was changed."""
    return show(asked, "message", code=code, heading=asked.words.say("failed_title"), body=asked.words.say("failed"))


def wait_first(asked: Asked, seconds: int) -> Response:
    """The page for whoever has tried too often: it says so kindly, and machines how long."""
    text = asked.words.say("code_wait")
    response = show(asked, "message", code=status.HTTP_429_TOO_MANY_REQUESTS, heading=asked.words.say("failed_title"), body=text)
    response.headers["Retry-After"] = str(seconds)
    return response


def go(path: str) -> Response:
    """After a form: look at another page, so that going back sends nothing twice."""
    return RedirectResponse(f"{BASE}/{path}", status.HTTP_303_SEE_OTHER, headers=headers())


def remember(response: Response, secret: str) -> None:
    """Let the browser show that she opened her page; scripts and other sites do not see it."""
    response.set_cookie(SESSION_COOKIE, secret, **cookie(BASE))


def forget(response: Response) -> None:
    """Let it show that no more."""
    response.delete_cookie(SESSION_COOKIE, **cookie(BASE))


def guard_of(secret: str) -> str:
    """The token of every form on a page that only who has this secret (or link) has seen."""
    return guard_for(FORM, secret)


def check(asked: Asked, secret: str) -> None:
    """Refuse a form that was not made by us for whoever sends it.

    Raises:
        Refused: Another site sent it, or it has not the right token.
    """
    check_form(asked.request, asked.fields, use=FORM, secret=secret)


def named_once(fields: Fields) -> str:
    """What a form names itself by, so that it is heard once; a new name where it has none."""
    try:
        return UUID(fields.get("once", "")).hex
    except ValueError:
        return uuid4().hex


def money(minor: int, currency: str, words: PageWords) -> str:
    """An amount as she writes it, to the minor unit; what went back has a minus."""
    written = money_text(abs(minor), currency, words.writes_like)
    return f"\u2212{written}" if minor < 0 else written


def day(on: date, words: PageWords) -> str:
    """A date as she writes it."""
    return date_text(on, words.writes_like)


def local_day(at: datetime, zone: str) -> date:
    """The day where she is."""
    return at.astimezone(ZoneInfo(zone)).date()


def instant(at: datetime, zone: str, words: PageWords) -> str:
    """A day and time of day where she is."""
    local = at.astimezone(ZoneInfo(zone))
    return f"{date_text(local.date(), words.writes_like)}, {format_time(local, 'short', locale=known_locale(words.writes_like))}"


def last_day(until: datetime, zone: str) -> date:
    """The local day on which something ends that lasts until an instant: a midnight belongs to the day before."""
    local = until.astimezone(ZoneInfo(zone))
    return date.fromordinal(local.date().toordinal() - (local.time().isoformat() == "00:00:00"))


async def stylesheet(request: Request) -> Response:
    """The one stylesheet."""
    del request
    return Response(_style(), media_type="text/css", headers=headers() | {"Cache-Control": f"public, max-age={STYLE_SECONDS}"})


def _is_plain(request: Request) -> bool:
    """Whether a form is without files; one with files is read only where they are taken, by whoever opened her page."""
    return not request.headers.get("content-type", "").lower().startswith("multipart/")


@lru_cache(maxsize=1)
def _style() -> str:
    return STYLESHEET.read_text("utf-8")
