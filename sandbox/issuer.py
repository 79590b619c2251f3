"""An issuer of sign-ins: OpenID Connect on loopback, with a page on which one chooses who one is.

In:   browsers that are sent here, and whoever comes with the code they bring back.
Out:  a page, a code that is good once, an ID token signed by a key of this process (ES256).
Pure: no; holds the codes that were given, reads the real clock, draws keys and codes.
Source: OpenID Connect Core 1.0; OpenID Connect Discovery 1.0; RFC 7636; RFC 9207.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from joserfc import jwt
from joserfc.jwk import ECKey, OctKey
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.twilio import is_loopback_url

# Who works at the lender: subject → name. Which of them may do what is the lender's own business.
PEOPLE = {
    "staff-agent": "Ada Agent",
    "staff-agent-2": "Abel Agent",
    "staff-supervisor": "Sol Supervisor",
    "staff-compliance": "Kim Compliance",
    "staff-compliance-2": "Koa Compliance",
    "staff-ops": "Olu Operations",
    "staff-auditor": "Ari Auditor",
    "staff-inspector": "Ines Inspector",
}
# What is wrong with the next tokens, or with the issuer; switched on by POST /sandbox/issuer.
FAULTS = (
    "access_denied",  # the person says no at the issuer's page
    "another_issuer_answers",  # the browser comes back with another issuer's name
    "away",  # 503, whatever is asked
    "bad_code",  # no code is taken
    "expired",  # the token ended an hour ago
    "future",  # the token was made an hour from now
    "no_nonce",
    "no_subject",
    "shared_word",  # signed with the client's secret (HS256)
    "several_audiences",  # made for us among others, and it does not say for whom
    "unsigned",  # alg none
    "wrong_audience",
    "wrong_issuer",
    "wrong_key",  # signed with a key that is not the issuer's, under the name of its own
    "wrong_nonce",
)
TOKEN_SECONDS = 300
CODES_MAX = 10_000
SUBJECT_MAX = 255
HOUR = 3_600


class IssuerFaultError(ValueError):
    """No such fault."""


@dataclass(frozen=True, slots=True)
class _Given:
    """What a code stands for."""

    client_id: str
    back: str
    nonce: str
    challenge: str
    subject: str


class Issuer:
    """One issuer, all clients of which have one secret."""

    def __init__(self, url: str, client_secret: str, wall_seconds: Callable[[], int]) -> None:
        """Draw its key."""
        self.url = url
        self.fault: str | None = None
        self._client_secret = client_secret
        self._wall_seconds = wall_seconds
        self._key = ECKey.generate_key("P-256", {"kid": secrets.token_hex(8), "use": "sig", "alg": "ES256"}, auto_kid=False)
        self._codes: dict[str, _Given] = {}

    def put_fault(self, fault: str | None) -> None:
        """Have this fault in force; None = no fault.

        Raises:
            IssuerFaultError: There is no such fault.
        """
        if fault is not None and fault not in FAULTS:
            raise IssuerFaultError(f"fault is one of {', '.join(FAULTS)}, or null")
        self.fault = fault

    @property
    def routes(self) -> list[BaseRoute]:
        """Discovery, keys, the page, tokens."""
        return [
            Route("/.well-known/openid-configuration", self._present(self._discovery), methods=["GET"]),
            Route("/keys", self._present(self._keys), methods=["GET"]),
            Route("/authorize", self._present(self._ask), methods=["GET"]),
            Route("/authorize", self._present(self._choose), methods=["POST"]),
            Route("/token", self._present(self._token), methods=["POST"]),
            Route("/end-session", self._present(self._end), methods=["GET"]),
        ]

    def _present(self, endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            return Response(status_code=503) if self.fault == "away" else await endpoint(request)

        return answer

    async def _discovery(self, request: Request) -> Response:
        del request
        return JSONResponse(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
                "end_session_endpoint": f"{self.url}/end-session",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
                "authorization_response_iss_parameter_supported": True,
            }
        )

    async def _keys(self, request: Request) -> Response:
        del request
        return JSONResponse({"keys": [self._key.as_dict(private=False)]})

    async def _ask(self, request: Request) -> Response:
        """The page on which one chooses who one is."""
        query = dict(request.query_params)
        if wrong := _wrong(query):
            return HTMLResponse(f"<p>{escape(wrong)}</p>", 400)
        hidden = "".join(f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in query.items())
        buttons = "".join(
            f'<p><button name="subject" value="{escape(subject)}">{escape(name)} ({escape(subject)})</button></p>'
            for subject, name in PEOPLE.items()
        )
        other = '<p><label>Another account: <input name="other" autocomplete="off"></label> <button>Sign in with it</button></p>'
        return HTMLResponse(
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            "<title>Sandbox sign-in</title></head><body><main><h1>Sandbox: who are you?</h1>"
            f'<form method="post" action="{escape(self.url)}/authorize">{hidden}{buttons}{other}</form></main></body></html>'
        )

    async def _choose(self, request: Request) -> Response:
        """Whoever was chosen goes back with a code."""
        given = await _form(request)
        subject = given.get("subject") or given.get("other", "").strip()
        if wrong := _wrong(given):
            return HTMLResponse(f"<p>{escape(wrong)}</p>", 400)
        if not 0 < len(subject) <= SUBJECT_MAX:
            return HTMLResponse("<p>Choose somebody, or write an account.</p>", 400)
        name = f"{self.url}/other" if self.fault == "another_issuer_answers" else self.url
        answer = {"state": given.get("state", ""), "iss": name}
        if self.fault == "access_denied":
            answer["error"] = "access_denied"
        else:
            code = secrets.token_urlsafe(24)
            if len(self._codes) >= CODES_MAX:
                self._codes.clear()
            self._codes[code] = _Given(
                given["client_id"], given["redirect_uri"], given.get("nonce", ""), given.get("code_challenge", ""), subject
            )
            answer["code"] = code
        return RedirectResponse(f"{given['redirect_uri']}?{urlencode(answer)}", 303)

    async def _end(self, request: Request) -> Response:
        """Nobody is signed in here for longer than one page: whoever comes goes back to where she came from."""
        back = request.query_params.get("post_logout_redirect_uri", "")
        if not request.query_params.get("client_id") or not is_loopback_url(back):
            return HTMLResponse("<p>Signed out.</p>")
        return RedirectResponse(back, 303)

    async def _token(self, request: Request) -> Response:
        """An ID token for a code, once."""
        given = await _form(request)
        client_id = self._client(request.headers.get("authorization", ""))
        if client_id is None:
            return JSONResponse({"error": "invalid_client"}, 401, {"WWW-Authenticate": "Basic"})
        code = self._codes.pop(given.get("code", ""), None)
        verifier = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        if (
            code is None
            or self.fault == "bad_code"
            or given.get("grant_type") != "authorization_code"
            or (code.client_id, code.back, code.challenge) != (client_id, given.get("redirect_uri"), challenge)
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        answer = {"access_token": secrets.token_urlsafe(24), "token_type": "Bearer", "expires_in": TOKEN_SECONDS}
        return JSONResponse({**answer, "id_token": self._id_token(code)}, headers={"Cache-Control": "no-store"})

    def _client(self, authorization: str) -> str | None:
        """Which client it is by its own secret; None where it is none."""
        try:
            name, secret = base64.b64decode(authorization.removeprefix("Basic "), validate=True).decode().split(":", 1)
        except ValueError:
            return None
        return unquote(name) if hmac.compare_digest(unquote(secret).encode(), self._client_secret.encode()) else None

    def _id_token(self, code: _Given) -> str:
        now = self._wall_seconds()
        claims: dict[str, Any] = {
            "iss": self.url,
            "sub": code.subject,
            "aud": code.client_id,
            "iat": now,
            "exp": now + TOKEN_SECONDS,
            "nonce": code.nonce,
            "name": PEOPLE.get(code.subject, code.subject),
            "acr": "sandbox",
            "groups": [f"group-of-{code.subject}"],
        }
        changes: Mapping[str, Mapping[str, Any]] = {
            "expired": {"iat": now - 2 * HOUR, "exp": now - HOUR},
            "future": {"iat": now + HOUR, "exp": now + 2 * HOUR},
            "no_nonce": {"nonce": None},
            "no_subject": {"sub": None},
            "several_audiences": {"aud": [code.client_id, "somebody-else"]},
            "wrong_audience": {"aud": "somebody-else"},
            "wrong_issuer": {"iss": f"{self.url}/other"},
            "wrong_nonce": {"nonce": secrets.token_hex(16)},
        }
        claims = {name: value for name, value in (claims | dict(changes.get(self.fault or "", {}))).items() if value is not None}
        kid = str(self._key.kid)
        if self.fault == "unsigned":
            return jwt.encode({"alg": "none"}, claims, OctKey.import_key(secrets.token_hex(32)), algorithms=["none"])
        if self.fault == "shared_word":
            return jwt.encode({"alg": "HS256", "kid": kid}, claims, OctKey.import_key(self._client_secret), algorithms=["HS256"])
        key = ECKey.generate_key("P-256") if self.fault == "wrong_key" else self._key
        return jwt.encode({"alg": "ES256", "kid": kid}, claims, key, algorithms=["ES256"])


def _wrong(asked: Mapping[str, str]) -> str | None:
    """What keeps a browser from being signed in, in words."""
    if not is_loopback_url(asked.get("redirect_uri", "")):
        return "redirect_uri must be on loopback"
    if not asked.get("client_id"):
        return "client_id is missing"
    if asked.get("response_type") != "code" or "openid" not in asked.get("scope", "").split():
        return "response_type must be code, scope must have openid"
    if not asked.get("code_challenge") or asked.get("code_challenge_method") != "S256":
        return "code_challenge must be there, by S256"
    return None


async def _form(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))
