"""FCM v1 and Google's token endpoint: what they accept, refuse and answer.

In:   JSON requests, form fields of a token request, the sandbox's clock, and whether a token is registered.
Out:  accepted pushes, access tokens, errors in google.rpc.Status form with FcmError details.
Pure: yes, but for the project's own key, tokens and pushes; wall time is handed in. Checked against Google's discovery
      document (tests/sandbox/test_fcm_spec.py). Error forms: PROVIDERS B3.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sandbox.chance import Chance
from sandbox.fcm_fields import FIELDS

PAYLOAD_BYTES_MAX = 4096
TTL_MAX = timedelta(weeks=4)
TOKEN_SECONDS = 3599
ACCESS_TOKENS_MAX = 1000
CLOCK_SKEW_SECONDS = 300
# What google-auth writes as the audience, whatever the account's token_uri is.
GOOGLE_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address, not a secret
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_RESERVED = re.compile(r"from|message_type|(google|gcm\.notification)(\..*)?$")
_TOKEN = re.compile(r"[A-Za-z0-9_:\-.%~]{8,4096}")
_DURATION = re.compile(r"(\d{1,9})(\.\d{1,9})?s")
# FCM error code → HTTP status, google.rpc code, message.
ERRORS = {
    "UNREGISTERED": (404, "NOT_FOUND", "Requested entity was not found."),
    "SENDER_ID_MISMATCH": (403, "PERMISSION_DENIED", "SenderId mismatch"),
    "INVALID_ARGUMENT": (400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
    "QUOTA_EXCEEDED": (429, "RESOURCE_EXHAUSTED", "Quota exceeded."),
    "UNAVAILABLE": (503, "UNAVAILABLE", "The service is currently unavailable."),
    "INTERNAL": (500, "INTERNAL", "Internal error encountered."),
    "THIRD_PARTY_AUTH_ERROR": (401, "UNAUTHENTICATED", "Auth error from APNS or Web Push Service"),
    "UNAUTHENTICATED": (
        401,
        "UNAUTHENTICATED",
        "Request had invalid authentication credentials. Expected an OAuth 2 access token.",
    ),
}
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int, str),
    "number": (int, float, str),
    "array": (list,),
    "any": (dict, list, str, int, float, bool),
}


class FcmError(Exception):
    """An answer that is an error."""

    def __init__(self, code: str, message: str = "", *, field: str = "", retry_after_seconds: float | None = None) -> None:
        """Keep the parts; `code` is one of ERRORS."""
        super().__init__(code)
        self.code = code
        self.status, self.rpc_code, general = ERRORS[code]
        self.message = message or general
        self.field = field
        self.retry_after_seconds = retry_after_seconds

    @property
    def body(self) -> dict[str, Any]:
        """As FCM writes it."""
        details: list[dict[str, Any]] = []
        if self.code != "UNAUTHENTICATED":
            details.append({"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": self.code})
        if self.field:
            violation = {"field": self.field, "description": self.message}
            details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]})
        error: dict[str, Any] = {"code": self.status, "message": self.message, "status": self.rpc_code}
        return {"error": error | ({"details": details} if details else {})}


class OAuthError(Exception):
    """A token request that is refused."""

    def __init__(self, description: str) -> None:
        """Keep the reason."""
        super().__init__(description)
        self.body = {"error": "invalid_grant", "error_description": description}


@dataclass(frozen=True, slots=True)
class Push:
    """One accepted push: what the app will be handed."""

    name: str
    token: str
    title: str
    body: str
    data: dict[str, str]
    expires_at: datetime
    validate_only: bool


class Project:
    """One Firebase project: a service account whose key was made at start, its access tokens, its message names."""

    def __init__(self, *, project_id: str, token_uri: str, seed: str) -> None:
        """Make a key pair."""
        self.project_id = project_id
        self.token_uri = token_uri
        self.client_email = f"sandbox@{project_id}.iam.gserviceaccount.com"
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._key_id = secrets.token_hex(20)
        self._access_tokens: dict[str, float] = {}
        self._chance = Chance(seed)
        self._pushes = 0

    def restart(self, seed: str) -> None:
        """Number pushes from one again; the key and the access tokens stay."""
        self._chance = Chance(seed)
        self._pushes = 0

    @property
    def service_account(self) -> dict[str, str]:
        """The service account's key file, as Google's console would give it."""
        private_key = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return {
            "type": "service_account",
            "project_id": self.project_id,
            "private_key_id": self._key_id,
            "private_key": private_key,
            "client_email": self.client_email,
            "client_id": "100000000000000000000",
            "token_uri": self.token_uri,
        }

    def grant(self, form: Mapping[str, str], wall_seconds: float) -> dict[str, Any]:
        """An access token for a signed assertion (RFC 7523).

        Args:
            form: The request's form fields.
            wall_seconds: Real time, seconds since 1970; assertions do not follow the simulated clock.

        Raises:
            OAuthError: The assertion is not one of this service account's, or is out of date.
        """
        if form.get("grant_type") != JWT_BEARER:
            raise OAuthError("unsupported grant type")
        claims = self._claims(form.get("assertion", ""))
        if claims.get("iss") != self.client_email or claims.get("aud") not in {self.token_uri, GOOGLE_TOKEN_URI}:
            raise OAuthError("issuer or audience is not this service account's")
        issued, expires = claims.get("iat"), claims.get("exp")
        if not isinstance(issued, int | float) or not isinstance(expires, int | float):
            raise OAuthError("iat and exp are required")
        if not issued - CLOCK_SKEW_SECONDS <= wall_seconds <= expires + CLOCK_SKEW_SECONDS:
            raise OAuthError("the assertion is out of date")
        token = f"ya29.{secrets.token_urlsafe(48)}"
        self._access_tokens[token] = wall_seconds + TOKEN_SECONDS
        while len(self._access_tokens) > ACCESS_TOKENS_MAX:
            del self._access_tokens[next(iter(self._access_tokens))]
        return {"access_token": token, "expires_in": TOKEN_SECONDS, "token_type": "Bearer"}

    def _claims(self, assertion: str) -> dict[str, Any]:
        """The claims of a JWT whose RS256 signature is ours."""
        try:
            signed, _, signature = assertion.rpartition(".")
            header, claims = (json.loads(_base64url(part)) for part in signed.split("."))
            if header.get("alg") != "RS256":
                raise OAuthError("the assertion is not signed with RS256")
            self._key.public_key().verify(_base64url(signature), signed.encode(), padding.PKCS1v15(), SHA256())
        except (ValueError, AttributeError, binascii.Error, InvalidSignature) as error:
            raise OAuthError("Invalid JWT Signature.") from error
        if not isinstance(claims, dict):
            raise OAuthError("Invalid JWT Signature.")
        return claims

    def authorise(self, header: str, wall_seconds: float) -> None:
        """Check a Bearer header.

        Raises:
            FcmError: It carries no access token that is in force.
        """
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or self._access_tokens.get(token, 0.0) < wall_seconds:
            raise FcmError("UNAUTHENTICATED")

    def accept(self, project_id: str, request: Any, now: datetime) -> Push:
        """Take a push on; whether its token is registered is for the caller to ask.

        Raises:
            FcmError: As FCM would refuse it.
        """
        if project_id != self.project_id:
            raise FcmError("SENDER_ID_MISMATCH")
        tidy = _checked(request, "SendMessageRequest", "")
        message = tidy.get("message")
        if not isinstance(message, dict):
            raise FcmError("INVALID_ARGUMENT", "message is required", field="message")
        token = _one_target(message)
        android = message.get("android", {})
        data = android.get("data", message.get("data", {}))
        notification = {**message.get("notification", {}), **android.get("notification", {})}
        _check_payload(data, notification)
        push = Push(
            name="",
            token=token,
            title=notification.get("title", ""),
            body=notification.get("body", ""),
            data=data,
            expires_at=now + _ttl(android.get("ttl", f"{int(TTL_MAX.total_seconds())}s")),
            validate_only=tidy.get("validateOnly", False),
        )
        return self._named(push)

    def _named(self, push: Push) -> Push:
        if push.validate_only:
            number = "fake_message_id"
        else:
            self._pushes += 1
            number = f"0:{1_700_000_000_000_000 + self._pushes}%{self._chance.hexadecimal(16, 'push', self._pushes)}"
        return Push(
            name=f"projects/{self.project_id}/messages/{number}",
            token=push.token,
            title=push.title,
            body=push.body,
            data=push.data,
            expires_at=push.expires_at,
            validate_only=push.validate_only,
        )


def _base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _camel(name: str) -> str:
    """proto-JSON takes both spellings; the discovery document has this one."""
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def _checked(value: Any, kind: str, path: str) -> Any:
    """The value with its fields in camelCase; only fields and types that FCM knows.

    Raises:
        FcmError: An unknown field or a value of another type, with its path.
    """
    if kind == "strings":
        if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
            raise FcmError("INVALID_ARGUMENT", f"Invalid value at '{path}' (TYPE_STRING)", field=path)
        return value
    if kind in _TYPES:
        wrong_bool = isinstance(value, bool) and kind in {"integer", "number"}
        if wrong_bool or not isinstance(value, _TYPES[kind]):
            raise FcmError("INVALID_ARGUMENT", f"Invalid value at '{path}' ({kind})", field=path)
        return value
    if not isinstance(value, dict):
        raise FcmError("INVALID_ARGUMENT", f"Invalid value at '{path}' (object)", field=path)
    fields, tidy = FIELDS[kind], {}
    for name, inner in value.items():
        camel = _camel(name)
        if camel not in fields:
            text = f"Invalid JSON payload received. Unknown name {json.dumps(name)} at '{path}': Cannot find field."
            raise FcmError("INVALID_ARGUMENT", text, field=path)
        if inner is not None:
            tidy[camel] = _checked(inner, fields[camel], f"{path}.{name}".lstrip("."))
    return tidy


def _one_target(message: Mapping[str, Any]) -> str:
    targets = [name for name in ("token", "fid", "topic", "condition") if message.get(name)]
    if len(targets) != 1:
        raise FcmError("INVALID_ARGUMENT", "Exactly one of token, topic or condition is required.", field="message")
    if targets[0] not in {"token", "fid"}:
        raise FcmError("INVALID_ARGUMENT", "The sandbox has no topics.", field=f"message.{targets[0]}")
    token = message[targets[0]]
    if not _TOKEN.fullmatch(token):
        text = "The registration token is not a valid FCM registration token"
        raise FcmError("INVALID_ARGUMENT", text, field="message.token")
    return str(token)


def _check_payload(data: Mapping[str, str], notification: Mapping[str, Any]) -> None:
    for name in data:
        if _RESERVED.fullmatch(name):
            raise FcmError("INVALID_ARGUMENT", f"Invalid data payload key: {name}", field="message.data")
    size = sum(len(name.encode()) + len(value.encode()) for name, value in data.items())
    size += sum(len(str(value).encode()) for value in notification.values())
    if size > PAYLOAD_BYTES_MAX:
        raise FcmError("INVALID_ARGUMENT", "Message is too big", field="message")


def _ttl(text: Any) -> timedelta:
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    ttl = timedelta(seconds=float(text[:-1])) if match else None
    if ttl is None or ttl > TTL_MAX:
        raise FcmError("INVALID_ARGUMENT", "Invalid value at 'message.android.ttl' (Duration)", field="message.android.ttl")
    return ttl
