"""What every page of the portal has in common, whoever reads it: headers, forms and their guards, cookies, templates.

In:   requests; templates (portal/templates).
Out:  fields of a form, headers, cookies' settings; `Refused` where a form is not taken.
Pure: no; reads files.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request

from config.settings import settings
from ledger import vault

TEMPLATES: Final = Path(__file__).with_name("templates")
# What a person writes into a form is far below this.
BODY_BYTES_MAX: Final = 32_768
FIELDS_MAX: Final = 60
# Browsers say where a form was sent from; who says nothing is no browser of today's, and has the token of the form to show.
OWN_SITES: Final = frozenset({"same-origin", "none"})
# Nothing but our own stylesheet; a desk adds its script (portal/desk/frame.py).
POLICY: Final = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}

Fields = Mapping[str, str]


class Refused(RuntimeError):
    """A form that is not taken; the person reads that nothing was changed."""


def headers() -> dict[str, str]:
    """Of every page."""
    return HEADERS | ({"Strict-Transport-Security": "max-age=31536000"} if is_secure() else {})


def cookie(path: str) -> dict[str, Any]:
    """How a cookie is set that scripts and other sites do not see.

    Lax and not strict: whoever follows a link in a message, or comes back from signing in, is to be known at once. What changes something
    is a form, and has its guard.
    """
    return {"path": path, "httponly": True, "samesite": "lax", "secure": is_secure()}


def is_secure() -> bool:
    """Whether people reach the portal by https alone."""
    return settings().public_url.startswith("https://")


def guard_of(use: str, secret: str) -> str:
    """The token of every form of a kind that only who has this secret has seen."""
    return vault.keyed(use, secret).hex()


def check_form(request: Request, fields: Fields, *, use: str, secret: str) -> None:
    """Refuse a form that was not made by us for whoever sends it.

    Raises:
        Refused: Another site sent it, or it has not the right token.
    """
    site = request.headers.get("sec-fetch-site", "none")
    if site not in OWN_SITES or not hmac.compare_digest(fields.get("guard", "").encode(), guard_of(use, secret).encode()):
        raise Refused


async def read_form(request: Request, *, bytes_max: int = BODY_BYTES_MAX) -> Fields:
    """The fields of a form, the first of each name.

    Raises:
        Refused: It is too large, or no form.
    """
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > bytes_max:
            raise Refused
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError:
        raise Refused from None
    return dict(reversed(pairs))


@lru_cache(maxsize=1)
def templates() -> Environment:
    """All of them; whatever is put into one is text, never markup."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
