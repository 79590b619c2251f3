"""The door of the borrower's page: what a link shows, a code, "this is not me".

Looking at a link changes nothing and shows nothing of anybody: chat programs look at every link. Whatever is wrong with a link (no such
one, too old, closed), the page is the same.

In:   GET and POST below /b/TOKEN.
Out:  pages; a code, sent through the gate; the way to the wallet's own log-in and back; an open page; the answer "not me", which does
      what a reply with these words does.
Pure: no.
Source: docs/adr/0040, 0041, 0067.
"""

from __future__ import annotations

import logging
from typing import Final
from uuid import UUID

from starlette import status
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from config.limits import What
from config.portal_files import page_policy_in_force
from ledger import clock, page_codes, page_links, page_sessions
from ledger.engine import connection
from ledger.inbox import Said
from ledger.page_links import Link
from ledger.replies import PRESSED, Pressed
from portal import wallet_sign_in
from portal.answering import send_code
from portal.limits import limits_of
from portal.oidc import IssuerAwayError, SignInRefused
from portal.pages import BASE, Asked, Handler, check, go, guard_of, page, remember, show, wait_first
from portal.receiver import Receiver
from portal.web import cookie, headers

_log = logging.getLogger(__name__)

PROVIDER: Final = "page"
# What became of asking for a code, or of entering one → what is said.
ASKED: Final = {"too many": "code_wait", "not now": "code_not_now"}
ENTERED: Final = {"wrong": "code_wrong", "over": "code_over", "too many": "code_wait"}


def limited(handler: Handler, counted: What | None = None) -> Handler:
    """Let an address wait that guessed links, or that did what is counted here, too often.

    Args:
        handler: Of one address below /b.
        counted: What each use of it counts as; None = nothing but dead links.
    """

    async def answer(asked: Asked) -> Response:
        limits = limits_of(asked.request)
        for what in ("dead_link", *((counted,) if counted else ())):
            wait = limits.wait(what, asked.request)
            if wait is not None:
                return wait_first(asked, wait)
        if counted:
            limits.count(counted, asked.request)
        return await handler(asked)

    return answer


async def look(asked: Asked) -> Response:
    """What the link shows to anybody."""
    link = await run_in_threadpool(_link, asked)
    return _dead(asked) if link is None else await run_in_threadpool(_door, asked, link)


async def ask(asked: Asked) -> Response:
    """Send a code."""
    link = await run_in_threadpool(_link, asked)
    if link is None:
        return _dead(asked)
    check(asked, str(link.token))
    became = await run_in_threadpool(send_code, link)
    if became in ASKED:
        return await run_in_threadpool(_door, asked, link, trouble=ASKED[became])
    return go(f"{link.token}/code")


async def code(asked: Asked) -> Response:
    """Where a code is entered; who asked for none is led back."""
    link = await run_in_threadpool(_link, asked)
    if link is None:
        return _dead(asked)
    return _code(asked, link) if await run_in_threadpool(_is_open, link) else go(str(link.token))


async def enter(asked: Asked) -> Response:
    """Open the page by a code."""
    link = await run_in_threadpool(_link, asked)
    if link is None:
        return _dead(asked)
    check(asked, str(link.token))
    entered, secret = await run_in_threadpool(_enter, link, asked.fields.get("code", ""))
    if secret is None:
        return _code(asked, link, trouble=ENTERED[entered])
    response = go("account")
    remember(response, secret)
    return response


async def to_wallet(asked: Asked) -> Response:
    """To the wallet's own log-in, where her lender has one."""
    link = await run_in_threadpool(_link, asked)
    if link is None:
        return _dead(asked)
    if not await run_in_threadpool(wallet_sign_in.is_offered, link):
        return go(str(link.token))
    try:
        address, kept = await run_in_threadpool(wallet_sign_in.begin, link)
    except IssuerAwayError as error:
        _log.error("the wallet's issuer of sign-ins cannot be used: %s", error)
        return await run_in_threadpool(_door, asked, link, trouble="wallet_away")
    response = RedirectResponse(address, status.HTTP_303_SEE_OTHER, headers=headers())
    response.set_cookie(wallet_sign_in.COOKIE, kept, max_age=wallet_sign_in.SECONDS_MAX, **cookie(wallet_sign_in.COOKIE_PATH))
    return response


async def from_wallet(asked: Asked) -> Response:
    """From the wallet's log-in: her page, where the account is hers; whatever else it was, the page is the same."""
    kept = asked.request.cookies.get(wallet_sign_in.COOKIE)
    link = await run_in_threadpool(_link_of, wallet_sign_in.token_of(kept))
    if link is None or kept is None:
        return _dead(asked)
    try:
        is_hers = await run_in_threadpool(wallet_sign_in.is_hers, link, kept, dict(asked.request.query_params))
        trouble = None if is_hers else "wallet_refused"
    except SignInRefused as error:
        _log.warning("a wallet's sign-in was refused: %s", error.because)
        trouble = "wallet_refused"
    except IssuerAwayError as error:
        _log.error("the wallet's issuer of sign-ins cannot be used: %s", error)
        trouble = "wallet_away"
    if trouble is None:
        response = go("account")
        remember(response, await run_in_threadpool(_begin, link))
    else:
        response = await run_in_threadpool(_door, asked, link, trouble=trouble)
    response.delete_cookie(wallet_sign_in.COOKIE, **cookie(wallet_sign_in.COOKIE_PATH))
    return response


async def not_me(asked: Asked) -> Response:
    """Whoever has the message is not whom it is for: nobody is written to there any more, and nothing is told."""
    link = await run_in_threadpool(_link, asked)
    if link is None:
        return _dead(asked)
    check(asked, str(link.token))
    address = await run_in_threadpool(_address, link)
    if address is not None:
        receiver: Receiver = asked.request.app.state.receiver
        await receiver.receive(said(link.token, address, Pressed(intent="wrong_person"), name=f"not-me/{link.attempt_id}"))
        await run_in_threadpool(_close, link)
    return show(asked, "message", heading=asked.words.say("title"), body=asked.words.say("not_me_done"))


async def nothing(asked: Asked) -> Response:
    """An address that is none."""
    return _dead(asked)


def said(token: UUID, address: str, pressed: Pressed, *, name: str, words: str = "") -> Said:
    """What was said on a page, as the inbox takes a reply to that message.

    Args:
        token: Of the message.
        address: Where it went: the reply comes from there.
        pressed: What is meant.
        name: Of this answer; the same one is heard once.
        words: Her own, which a person reads; kept encrypted, and read by no machine.
    """
    return Said(
        provider=PROVIDER,
        provider_id=name,
        kind="inbound",
        status="received",
        token=token,
        error_code=None,
        fields={"From": address, "Body": words, PRESSED: pressed.field},
    )


def _link(asked: Asked) -> Link | None:
    return _link_of(asked.request.path_params["token"])


def _link_of(token: UUID | None) -> Link | None:
    if token is None:
        return None
    with connection() as tx:
        return page_links.read(tx, token, page_policy_in_force(), at=clock.now(tx))


def _begin(link: Link) -> str:
    with connection() as tx:
        return page_sessions.begin(tx, link.party_id, link=(link.business_date, link.attempt_id))


def _address(link: Link) -> str | None:
    with connection() as tx:
        return page_links.address_of(tx, link)


def _is_open(link: Link) -> bool:
    with connection() as tx:
        return page_codes.is_open(tx, link, page_policy_in_force())


def _close(link: Link) -> None:
    with connection() as tx:
        page_sessions.end_all(tx, link.party_id)


def _enter(link: Link, typed: str) -> tuple[str, str | None]:
    """What became of a code, and the secret of the page that it opened."""
    with connection() as tx:
        entered = page_codes.enter(tx, link, typed, page_policy_in_force())
        if entered != "right":
            return entered, None
        return entered, page_sessions.begin(tx, link.party_id, link=(link.business_date, link.attempt_id))


def _door(asked: Asked, link: Link, *, trouble: str | None = None) -> Response:
    wallet = wallet_sign_in.is_offered(link)
    return show(asked, "door", path=f"{BASE}/{link.token}", guard=guard_of(str(link.token)), trouble=trouble, wallet=wallet)


def _code(asked: Asked, link: Link, *, trouble: str | None = None) -> Response:
    minutes = str(int(page_policy_in_force().code_valid.total_seconds() // 60))
    path, guard = f"{BASE}/{link.token}", guard_of(str(link.token))
    return show(asked, "code", path=path, guard=guard, trouble=trouble, minutes=minutes)


def _dead(asked: Asked) -> Response:
    limits_of(asked.request).count("dead_link", asked.request)
    heading, body = asked.words.say("dead_title"), asked.words.say("dead")
    return show(asked, "message", code=status.HTTP_404_NOT_FOUND, heading=heading, body=body)


routes: Final = [
    Route(f"{BASE}/{{token:uuid}}", page(limited(look)), methods=["GET"]),
    Route(f"{BASE}/{{token:uuid}}", page(limited(ask, "code_asked")), methods=["POST"]),
    Route(f"{BASE}/{{token:uuid}}/code", page(limited(code)), methods=["GET"]),
    Route(f"{BASE}/{{token:uuid}}/code", page(limited(enter, "code_entered")), methods=["POST"]),
    Route(f"{BASE}/{{token:uuid}}/wallet", page(limited(to_wallet, "code_asked")), methods=["GET"]),
    Route(wallet_sign_in.BACK, page(limited(from_wallet, "code_entered")), methods=["GET"]),
    Route(f"{BASE}/{{token:uuid}}/not-me", page(limited(not_me)), methods=["POST"]),
    # Whatever else is below it: the same page as for a link that opens nothing.
    Route(f"{BASE}/{{rest:path}}", page(limited(nothing)), methods=["GET", "POST"]),
]
