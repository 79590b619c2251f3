"""The wallet's own log-in in place of a code: the wallet's issuer says which account it is, and the ledger whose link this is.

What the browser keeps meanwhile names the link and a random word; state and verifier follow from both, so that a sign-in that was begun
through one link opens no other.

In:   a link; the query with which the issuer sends the browser back.
Out:  where to send the browser; whether the account is that of the link's person.
Pure: no; asks the issuer (portal/oidc.py), reads the ledger.
Source: docs/adr/0067.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from config.settings import settings
from ledger import page_links
from ledger.engine import connection
from ledger.page_links import Link
from portal import oidc
from portal.oidc import Client
from portal.pages import BASE

BACK: Final = f"{BASE}/wallet/back"
COOKIE: Final = "tideover_wallet"
COOKIE_PATH: Final = f"{BASE}/wallet"
# So long somebody may take at the issuer's page.
SECONDS_MAX: Final = 600
_BETWEEN: Final = "~"


def is_offered(link: Link) -> bool:
    """Whether the link's lender is the one whose wallet has an issuer here."""
    if not settings().wallet_oidc_issuer:
        return False
    with connection(read_only=True) as tx:
        return page_links.account_of(tx, link)[0] == settings().wallet_oidc_creditor


def begin(link: Link) -> tuple[str, str]:
    """Where to send the browser, and what it has to keep.

    Raises:
        IssuerAwayError: The issuer does not answer.
    """
    address, begun = oidc.begin(_client(link.token))
    return address, f"{link.token.hex}{_BETWEEN}{begun}"


def token_of(kept: str | None) -> UUID | None:
    """The link through which a browser began; None where it kept nothing of ours. It proves nothing yet."""
    try:
        return UUID((kept or "").partition(_BETWEEN)[0])
    except ValueError:
        return None


def is_hers(link: Link, kept: str, query: Mapping[str, str]) -> bool:
    """Whether who signed in has the account of the link's person.

    Raises:
        SignInRefused: Nobody signed in.
        IssuerAwayError: The issuer does not answer.
    """
    known = oidc.finish(_client(link.token), kept.partition(_BETWEEN)[2], query, seconds_max=SECONDS_MAX)
    account = known.claims.get(settings().wallet_oidc_claim)
    with connection(read_only=True) as tx:
        creditor, hers = page_links.account_of(tx, link)
    is_ours = creditor == settings().wallet_oidc_creditor
    return is_ours and isinstance(account, str) and hmac.compare_digest(account.encode(), hers.encode())


def _client(token: UUID) -> Client:
    return Client(
        issuer=settings().wallet_oidc_issuer,
        client_id=settings().wallet_oidc_client_id,
        client_secret=settings().wallet_oidc_client_secret,
        use=f"page {token.hex}",
        back=f"{settings().public_url}{BACK}",
    )
