"""What all desks share: who is signed in, which rights a page asks for, forms and their guard, headers, and how a page is written.

A desk works without a script; htmx, from our own origin, only spares reloading. Every page names its right, and whoever has not got it
reads so. Whatever goes wrong, a page says it; the log has the class of the error and no word that somebody wrote.

    Route("/desk/cases/{case}", desk_page(case, right="cases.see", shows_person=True), methods=["GET"])

A page about a person calls `Asked.note` in the transaction that reads what it shows; one that is written and noted no look is not shown.

In:   requests; templates (portal/templates/desk), texts (config/desk).
Out:  pages.
Pure: no.
Source: docs/adr/0052, 0053.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from starlette import status
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from config.desk_files import desk_policy_in_force, desk_words_in_force
from config.page_texts import USUAL, PageWords
from config.roles import roles_in_force
from config.settings import settings
from decisions.messages import closest
from decisions.text_samples import names_of
from ledger import clock, staff_sessions
from ledger.engine import connection
from ledger.staff import Staff
from ledger.staff_views import note_view
from portal.pages import day, instant, money
from portal.receiver import NotKeptError
from portal.uploads import is_multipart, read_parts
from portal.web import BODY_BYTES_MAX, POLICY, Fields, Refused, check_form, cookie, guard_of, headers, read_form, templates

_log = logging.getLogger(__name__)

BASE: Final = "/desk"
FORM: Final = "desk form"
SESSION_COOKIE: Final = "tideover_desk"
LANGUAGE_COOKIE: Final = "tideover_desk_language"
LANGUAGE_SECONDS: Final = 180 * 86_400
# One script, our own file; it may run nothing that stands in a page.
DESK_POLICY: Final = f"{POLICY}; script-src 'self'; connect-src 'self'; img-src 'self'"


class NotFound(RuntimeError):
    """There is no such page, or not for her: she reads the same."""


class NotNotedError(RuntimeError):
    """A page about a person noted no look: a bug of ours, and what is not noted is not shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """One desk, for the list of desks (portal/desk/rooms.py).

    Attributes:
        name: Its text is `nav_NAME`.
        path: Of its first page, below /desk; empty = it stands in no menu.
        right: Who sees it in the menu.
        routes: All of its pages.
    """

    name: str
    path: str
    right: str
    routes: tuple[Route, ...]


@dataclass(frozen=True)
class Asked:
    """One request of somebody who is signed in.

    Attributes:
        request: As it came.
        staff: Who asks.
        session_id: Of her session.
        secret: What her browser shows of it.
        at: What the ledger's clock shows.
        fields: Of the form; empty where none was sent.
        files: What came with the form, where the page takes files; none of it was looked at.
    """

    request: Request
    staff: Staff
    session_id: int
    secret: str = field(repr=False)
    at: datetime
    fields: Fields = field(default_factory=dict, repr=False)
    files: tuple[bytes, ...] = field(default=(), repr=False)
    _looks: list[str] = field(default_factory=list, repr=False)

    def note(self, tx: Connection, party_id: int, what: str, why: str | None = None) -> None:
        """Note that she looks at a person; in the transaction that reads what is shown (`ledger.staff_views.note_view`)."""
        note_view(tx, self.staff.id, party_id, what, why)
        self._looks.append(what)

    def nobody(self) -> None:
        """A page that may show people shows none this time: nothing was found, or nothing waits."""
        self._looks.append("nobody")

    @property
    def has_noted(self) -> bool:
        """Whether it is known whom this page shows."""
        return bool(self._looks)

    @cached_property
    def words(self) -> PageWords:
        """In the language that she chose, else in that of her browser, else in English."""
        return words_of(self.request)

    @property
    def is_part(self) -> bool:
        """Whether htmx asks, which wants the inside of a page."""
        return self.request.headers.get("hx-request") == "true"


Handler = Callable[[Asked], Awaitable[Response]]


def desk_page(
    handler: Handler, *, right: str, shows_person: bool, bytes_max: int = BODY_BYTES_MAX, file_bytes_max: int | None = None
) -> Callable[[Request], Awaitable[Response]]:
    """Answer whoever is signed in and has the right, whatever happens with a page.

    Args:
        handler: Makes the page; a form's guard has been checked before.
        right: Of config/roles.yaml.
        shows_person: Whether it may show anything of a person; no default, so that whoever writes a page has thought of it.
        bytes_max: So long a form may be.
        file_bytes_max: So long a file may be that comes with it; None = the page takes none.

    Raises:
        KeyError: There is no such right: nobody would ever see the page.
    """
    _ = roles_in_force().rights[right]

    async def answer(request: Request) -> Response:
        secret = request.cookies.get(SESSION_COOKIE, "")
        try:
            asked = await run_in_threadpool(_open, request, secret) if secret else None
            if asked is None:
                return sign_in_first(request)
            response = await _answer(handler, asked, right=right, shows=shows_person, bytes_max=bytes_max, file_bytes_max=file_bytes_max)
        except (SQLAlchemyError, NotKeptError) as error:
            _log.error("a desk could not be shown (%s)", type(error).__name__)
            return _plain(request, "away", status.HTTP_503_SERVICE_UNAVAILABLE)
        except Exception as error:  # noqa: BLE001  # a bug: the class alone, since its words may repeat what somebody wrote
            _log.error("a desk could not be shown: bug (%s)", type(error).__name__)
            return _plain(request, "broken", status.HTTP_500_INTERNAL_SERVER_ERROR)
        return remember_language(request, response)

    return answer


async def _answer(handler: Handler, asked: Asked, *, right: str, shows: bool, bytes_max: int, file_bytes_max: int | None) -> Response:
    """The page, once she is known; what is refused is said inside her desk."""
    if right not in asked.staff.rights:
        _log.warning("a desk was refused to staff %d: the right %s is missing", asked.staff.id, right)
        return message(asked, "no_right", code=status.HTTP_403_FORBIDDEN)
    try:
        if asked.request.method == "POST":
            fields, files = await _sent(asked.request, bytes_max=bytes_max, file_bytes_max=file_bytes_max)
            check_form(asked.request, fields, use=FORM, secret=asked.secret)
            asked = Asked(asked.request, asked.staff, asked.session_id, asked.secret, asked.at, fields, files)
        response = await handler(asked)
    except (Refused, ClientDisconnect):
        return message(asked, "form_refused", code=status.HTTP_403_FORBIDDEN)
    except NotFound:
        return message(asked, "not_found", code=status.HTTP_404_NOT_FOUND)
    if shows and response.status_code == status.HTTP_200_OK and not asked.has_noted:
        raise NotNotedError
    return response


async def _sent(request: Request, *, bytes_max: int, file_bytes_max: int | None) -> tuple[Fields, tuple[bytes, ...]]:
    """Fields and files of a form; a file that is too large is passed over."""
    if file_bytes_max is None or not is_multipart(request):
        return await read_form(request, bytes_max=bytes_max), ()
    parts = await read_parts(request, file_bytes_max=file_bytes_max, files_max=1)
    return parts.fields, () if parts.trouble else parts.contents


def show(asked: Asked, template: str, *, code: int = status.HTTP_200_OK, **values: Any) -> Response:
    """A page of a desk; its template begins with `{% extends layout %}` and fills the blocks `heading` and `main`.

    Args:
        asked: The request.
        template: Name in portal/templates, without its ending, such as `desk/cases`.
        code: HTTP status.
        **values: For the template, beside `t`, `money`, `day`, `instant`, `guard`, `staff`, `can` and `base`.
    """
    zone = settings().business_zone
    inside = {
        "layout": "desk/part.html" if asked.is_part else "desk/base.html",
        "staff": asked.staff,
        "can": asked.staff.rights.__contains__,
        "guard": guard_of(FORM, asked.secret),
        "nav": [room for room in asked.request.app.state.rooms if room.path and room.right in asked.staff.rights],
        "now": instant(asked.at, zone, asked.words),
        "zone": zone,
    }
    return _written(asked.request, asked.words, template, code, inside | values)


def message(asked: Asked, text: str, *, code: int = status.HTTP_200_OK) -> Response:
    """A page with one text of config/desk, whose heading is `TEXT_title`."""
    return show(asked, "desk/message", code=code, title=asked.words.say(f"{text}_title"), body=asked.words.say(text))


def go(path: str) -> Response:
    """After a form: look at another page below /desk, so that going back sends nothing twice."""
    return RedirectResponse(f"{BASE}/{path}".rstrip("/"), status.HTTP_303_SEE_OTHER, headers=desk_headers())


def outside(request: Request, template: str, *, code: int = status.HTTP_200_OK, **values: Any) -> Response:
    """A page for whoever is not signed in."""
    return _written(request, words_of(request), template, code, {"layout": "desk/base.html", "staff": None, "nav": (), **values})


def sign_in_first(request: Request) -> Response:
    """Whoever is not signed in is led there; htmx is told to load that page as a whole."""
    address = f"{BASE}/sign-in"
    if request.headers.get("hx-request") == "true":
        return Response(status_code=status.HTTP_401_UNAUTHORIZED, headers=desk_headers() | {"HX-Redirect": address})
    response = RedirectResponse(address, status.HTTP_303_SEE_OTHER, headers=desk_headers())
    forget(response)
    return response


def words_of(request: Request) -> PageWords:
    """The language that somebody chose, else that of the browser, else English."""
    known = desk_words_in_force()
    chosen = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
    named = [part.split(";")[0].strip() for part in request.headers.get("accept-language", "").split(",")]
    found = (closest(tag, known) for tag in [chosen, *named] if tag and tag.replace("-", "").isalnum())
    return known[next((one for one in found if one is not None), USUAL)]


def remember(response: Response, secret: str) -> None:
    """Let the browser show that she is signed in; scripts and other sites do not see it."""
    response.set_cookie(SESSION_COOKIE, secret, **cookie(BASE))


def forget(response: Response) -> None:
    """Let it show that no more."""
    response.delete_cookie(SESSION_COOKIE, **cookie(BASE))


def remember_language(request: Request, response: Response) -> Response:
    """Keep the language that was chosen by a link."""
    if request.query_params.get("lang"):
        response.set_cookie(LANGUAGE_COOKIE, words_of(request).locale, max_age=LANGUAGE_SECONDS, **cookie(BASE))
    return response


def desk_headers() -> dict[str, str]:
    """Of every page of a desk."""
    return headers() | {"Content-Security-Policy": DESK_POLICY, "Vary": "HX-Request"}


def _open(request: Request, secret: str) -> Asked | None:
    with connection() as tx:
        found = staff_sessions.find(tx, secret, desk_policy_in_force())
        return None if found is None else Asked(request, found.staff, found.id, secret, clock.now(tx))


def _plain(request: Request, text: str, code: int) -> Response:
    """A text for when it is not known who asks."""
    words = words_of(request)
    return outside(request, "desk/message", code=code, title=words.say(f"{text}_title"), body=words.say(text))


def _written(request: Request, words: PageWords, template: str, code: int, values: dict[str, Any]) -> Response:
    shared = {
        "t": words.say,
        "lang": words.locale,
        "base": BASE,
        "mode": settings().mode,
        "languages": [(tag, names_of(tag)[0]) for tag in desk_words_in_force()],
        # A page that answers a form is not asked for again in another language.
        "here": request.url.path if request.method == "GET" else None,
        "money": lambda minor, currency: money(minor, currency, words),
        "day": lambda on: day(on, words),
        "instant": lambda at, zone: instant(at, zone, words),
    }
    return HTMLResponse(templates().get_template(f"{template}.html").render(shared | values), code, headers=desk_headers())
