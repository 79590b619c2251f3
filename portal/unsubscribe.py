"""The link that ends emails: one click in a mail program (RFC 8058), or a page with one button.

Looking at the page changes nothing: programs that check mail for harm open every link in it.

In:   GET and POST of /u/TOKEN; the token is 128 random bits and is all that is asked.
Out:  an opt-out (ledger/unsubscribes.py); a page that says so in the message's language where it is one of ours.
Pure: no.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy.exc import SQLAlchemyError
from starlette import status
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from ledger import clock, unsubscribes
from ledger.engine import connection

# Said to whoever's language the browser names first; nothing here tells what the messages are about.
WORDS: Final = {
    "en": ("Stop these emails?", "Stop these emails", "You will get no more of these emails from us. You can close this page."),
    "es": (
        "¿Dejar de recibir estos correos?",
        "Dejar de recibirlos",
        "Ya no le enviaremos más de estos correos. Puede cerrar esta página.",
    ),
    "zh-hans": ("不再接收这类邮件？", "不再接收", "我们不会再向您发送这类邮件。您可以关闭此页面。"),
    "zh-hant": ("不再接收這類郵件？", "不再接收", "我們不會再寄這類郵件給您。您可以關閉此頁面。"),
}
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; form-action 'self'",
}


async def ask(request: Request) -> Response:
    """The page with the button."""
    language = _language(request)
    question, button, _ = WORDS[language]
    return _page(language, f'<h1>{question}</h1>\n<form method="post"><button type="submit">{button}</button></form>')


async def stop(request: Request) -> Response:
    """The click: a mail program's, or the button's."""
    try:
        channel = await run_in_threadpool(_stop, request)
    except SQLAlchemyError:
        # Mail programs try again.
        return Response(status_code=status.HTTP_503_SERVICE_UNAVAILABLE, headers={"Retry-After": "60"})
    if channel is None:
        return Response(status_code=status.HTTP_404_NOT_FOUND)
    language = _language(request)
    return _page(language, f"<h1>{WORDS[language][2]}</h1>")


def _stop(request: Request) -> str | None:
    with connection() as tx:
        return unsubscribes.unsubscribe(tx, request.path_params["token"], at=clock.now(tx))


def _page(language: str, inside: str) -> Response:
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="robots" content="noindex"><title>✉</title>'
    page = f'<!doctype html>\n<html lang="{language}">\n<head>{head}</head>\n<body>\n{inside}\n</body></html>\n'
    return HTMLResponse(page, headers=HEADERS)


def _language(request: Request) -> str:
    """The first language that the browser names and that we have words in."""
    for part in request.headers.get("accept-language", "").lower().split(","):
        tag = part.split(";")[0].strip()
        if tag.startswith("zh"):
            return "zh-hant" if any(place in tag for place in ("hant", "tw", "hk", "mo")) else "zh-hans"
        if tag.split("-")[0] in WORDS:
            return tag.split("-")[0]
    return "en"


routes: Final = [
    Route("/u/{token:uuid}", ask, methods=["GET"]),
    Route("/u/{token:uuid}", stop, methods=["POST"]),
]
