"""Signing in with somebody else's log-in: OpenID Connect, authorization code with PKCE, against any issuer.

What the browser has to keep meanwhile is one random word with its time, in a cookie. State, nonce and the code verifier follow from it
and a key of ours, so nothing of a sign-in that was begun lies anywhere, and one that was not begun here cannot be ended here.

In:   the issuer's address and our name there; the query with which a browser comes back.
Out:  where to send the browser; who signed in, as the issuer says it and its keys prove it.
Pure: no; asks the issuer for its addresses and keys (kept an hour) and for the answer to a code.
Source: OpenID Connect Core 1.0, 3.1.3.7; OpenID Connect RP-Initiated Logout 1.0, 2; RFC 7636; RFC 9207; RFC 9700. docs/adr/0052.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import urlencode, urlsplit

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey
from pydantic import SecretStr

from config.settings import LOOPBACK_HOSTS
from ledger import vault

# Signed with the issuer's private key alone: what is not signed, or signed with a shared word, is nobody's.
ALGORITHMS: Final = ("ES256", "PS256", "RS256")
CALL_SECONDS_MAX: Final = 5.0
KEPT_SECONDS: Final = 3_600.0
# A key that we do not know may be the issuer's newest; but whoever invents keys must not make us ask for ever.
AGAIN_SECONDS: Final = 60.0
# Clocks differ.
LEEWAY_SECONDS: Final = 60
SUBJECT_MAX: Final = 255
TOKEN_BYTES_MAX: Final = 16_384

# Why nobody is signed in, in a word for the log and the counter; the person reads one text for all of them.
Because = Literal[
    "not begun here", "too late", "issuer said no", "another issuer", "no code", "code refused", "token refused", "weak sign-in"
]


class SignInRefused(RuntimeError):
    """Nobody is signed in.

    Attributes:
        because: Why, in a word of ours.
    """

    def __init__(self, because: Because) -> None:
        self.because = because
        super().__init__(because)


class IssuerAwayError(RuntimeError):
    """The issuer does not answer, or not as the standard says; nobody can sign in for now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Our name at an issuer.

    Attributes:
        issuer: As it calls itself.
        client_id: As it calls us.
        client_secret: What shows that it is us.
        use: What the sign-in is for; one that was begun for something else is good for nothing here.
        back: Where it sends browsers back to.
        acr: Ways of signing in that are good enough; empty = any.
    """

    issuer: str
    client_id: str
    client_secret: SecretStr
    use: str
    back: str
    acr: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Who signed in.

    Attributes:
        issuer: Who vouches for it.
        subject: As it names the person.
        name: As it calls her; empty where it does not say.
        claims: All that it says of her.
    """

    issuer: str
    subject: str
    name: str = field(repr=False)
    claims: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Issuer:
    """What an issuer says of itself, and when we asked."""

    authorization_endpoint: str
    token_endpoint: str
    is_basic: bool
    keys: KeySet
    asked_at: float
    end_session_endpoint: str | None


_known: dict[str, _Issuer] = {}
_lock: Final = threading.Lock()


def begin(client: Client) -> tuple[str, str]:
    """Begin a sign-in: where to send the browser, and what it has to keep.

    Raises:
        IssuerAwayError: The issuer does not answer.
    """
    begun = f"{secrets.token_urlsafe(32)}.{int(time.time())}"
    session = _session(client)
    asked = {"nonce": _derived(client, begun, "nonce"), "code_verifier": _derived(client, begun, "verifier")}
    if client.acr:
        asked["acr_values"] = " ".join(sorted(client.acr))
    address, _ = session.create_authorization_url(
        _issuer(client).authorization_endpoint, state=_derived(client, begun, "state"), redirect_uri=client.back, **asked
    )
    return str(address), begun


def finish(client: Client, begun: str | None, query: Mapping[str, str], *, seconds_max: float) -> Known:
    """End a sign-in: who it is.

    Args:
        client: As it was begun with.
        begun: What the browser kept.
        query: With which it came back.
        seconds_max: So long it may have taken.

    Raises:
        SignInRefused: It is nobody.
        IssuerAwayError: The issuer does not answer.
    """
    begun = _own(client, begun, query, seconds_max)
    if "error" in query:
        raise SignInRefused("issuer said no")
    if not query.get("code"):
        raise SignInRefused("no code")
    issuer = _issuer(client)
    try:
        tokens = _session(client, issuer).fetch_token(
            issuer.token_endpoint,
            grant_type="authorization_code",
            code=query["code"],
            code_verifier=_derived(client, begun, "verifier"),
            timeout=CALL_SECONDS_MAX,
            allow_redirects=False,
        )
    except AuthlibBaseError:
        raise SignInRefused("code refused") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IssuerAwayError(type(error).__name__) from None
    token = tokens.get("id_token")
    if not isinstance(token, str) or len(token) > TOKEN_BYTES_MAX:
        raise SignInRefused("token refused")
    claims = _claims(client, issuer, token, nonce=_derived(client, begun, "nonce"))
    if client.acr and claims.get("acr") not in client.acr:
        raise SignInRefused("weak sign-in")
    name = claims.get("name")
    return Known(issuer=client.issuer, subject=str(claims["sub"]), name=name if isinstance(name, str) else "", claims=claims)


def end_at(client: Client, *, back: str) -> str | None:
    """Where a browser ends its session at the issuer too, and comes back from; None where the issuer has no such place.

    No token of hers is kept here, so the issuer knows us by our name, and may ask her whether she means it.

    Args:
        client: Our name there.
        back: Registered there as the address after a sign-out.

    Raises:
        IssuerAwayError: The issuer does not answer.
    """
    place = _issuer(client).end_session_endpoint
    if place is None:
        return None
    asked = urlencode({"client_id": client.client_id, "post_logout_redirect_uri": back})
    return f"{place}{'&' if urlsplit(place).query else '?'}{asked}"


def forget_issuers() -> None:
    """Ask every issuer anew."""
    with _lock:
        _known.clear()


def _own(client: Client, begun: str | None, query: Mapping[str, str], seconds_max: float) -> str:
    """What the browser kept; refused where it did not begin this here, lately, with this issuer."""
    kept = begun or ""
    at = kept.rpartition(".")[2]
    if not hmac.compare_digest(query.get("state", "").encode(), _derived(client, kept, "state").encode()):
        raise SignInRefused("not begun here")
    # What has our state was written by us.
    if not 0 <= time.time() - int(at) <= seconds_max:
        raise SignInRefused("too late")
    if query.get("iss", client.issuer) != client.issuer:
        raise SignInRefused("another issuer")
    return kept


def _claims(client: Client, issuer: _Issuer, token: str, *, nonce: str) -> dict[str, Any]:
    """What the issuer says of the person, once its signature and all that names us are found right."""
    try:
        read = _decoded(client, issuer, token)
        jwt.JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": client.issuer},
            aud={"essential": True, "value": client.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        ).validate(read.claims)
    except (JoseError, ValueError, TypeError):
        raise SignInRefused("token refused") from None
    claims = read.claims
    audience, party = claims["aud"], claims.get("azp")
    # More than one audience: the token must say that it was made for us.
    is_for_us = party == client.client_id if party is not None else isinstance(audience, str) or len(audience) == 1
    subject = claims["sub"]
    if not is_for_us or not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_MAX:
        raise SignInRefused("token refused")
    return dict(claims)


def _decoded(client: Client, issuer: _Issuer, token: str) -> jwt.Token:
    try:
        return jwt.decode(token, issuer.keys, algorithms=list(ALGORITHMS))
    except (JoseError, ValueError):
        # Its keys may have changed since we asked.
        if time.monotonic() - issuer.asked_at < AGAIN_SECONDS:
            raise
        return jwt.decode(token, _asked(client).keys, algorithms=list(ALGORITHMS))


def _derived(client: Client, begun: str, what: str) -> str:
    return vault.keyed(f"sign-in {client.use} {what}", begun).hex()


def _session(client: Client, issuer: _Issuer | None = None) -> OAuth2Session:
    method = "client_secret_basic" if issuer is None or issuer.is_basic else "client_secret_post"
    session = OAuth2Session(
        client.client_id,
        client.client_secret.get_secret_value(),
        scope="openid profile",
        redirect_uri=client.back,
        token_endpoint_auth_method=method,
        code_challenge_method="S256",
    )
    # A proxy of the house's stands between us and an issuer elsewhere, never on the way to this machine.
    session.trust_env = urlsplit(client.issuer).hostname not in LOOPBACK_HOSTS
    return session


def _issuer(client: Client) -> _Issuer:
    found = _known.get(client.issuer)
    if found is not None and time.monotonic() - found.asked_at < KEPT_SECONDS:
        return found
    return _asked(client)


def _asked(client: Client) -> _Issuer:
    """Ask the issuer what it says of itself."""
    with _lock:
        session = _session(client)
        said = _get(session, f"{client.issuer.rstrip('/')}/.well-known/openid-configuration")
        if said.get("issuer") != client.issuer:
            raise IssuerAwayError("another issuer answers there")
        places = {name: said.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
        if not all(isinstance(place, str) and _is_as_safe(place, client.issuer) for place in places.values()):
            raise IssuerAwayError("an address that is not as safe as the issuer's own")
        ends = said.get("end_session_endpoint")
        methods = said.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        found = _Issuer(
            authorization_endpoint=str(places["authorization_endpoint"]),
            token_endpoint=str(places["token_endpoint"]),
            is_basic="client_secret_basic" in methods,
            keys=_keys(_get(session, str(places["jwks_uri"]))),
            asked_at=time.monotonic(),
            end_session_endpoint=ends if isinstance(ends, str) and _is_as_safe(ends, client.issuer) else None,
        )
        _known[client.issuer] = found
    return found


def _get(session: OAuth2Session, address: str) -> Mapping[str, Any]:
    try:
        answer = session.get(address, withhold_token=True, timeout=CALL_SECONDS_MAX, allow_redirects=False)
        if not answer.ok:
            raise IssuerAwayError(f"status {answer.status_code}")
        said = answer.json()
    except (OSError, ValueError) as error:
        raise IssuerAwayError(type(error).__name__) from None
    if not isinstance(said, dict):
        raise IssuerAwayError("no object")
    return said


def _keys(said: Mapping[str, Any]) -> KeySet:
    """The keys that may sign; whatever else is there is left alone."""
    listed = [key for key in said.get("keys", []) if isinstance(key, dict) and key.get("use", "sig") == "sig"]
    kinds: dict[str, type[RSAKey | ECKey]] = {"RSA": RSAKey, "EC": ECKey}
    try:
        keys: list[Any] = [kinds[key["kty"]].import_key(key) for key in listed if key.get("kty") in kinds]
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise IssuerAwayError(type(error).__name__) from None
    if not keys:
        raise IssuerAwayError("no key that signs")
    return KeySet(keys)


def _is_as_safe(address: str, issuer: str) -> bool:
    """https, or on this machine where the issuer is."""
    parts = urlsplit(address)
    if parts.scheme == "https":
        return True
    return parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS and urlsplit(issuer).hostname in LOOPBACK_HOSTS
