"""Webhooks: what providers and the lender's app tell us. Genuine or refused; kept raw first; then applied.

In:   POSTs of Twilio (status of a message or a call, message of a person, somebody picked up, a key) and of a lender's gateway
      (status of a message, message of a person), and of the app (a notification arrived or was opened).
Out:  rows of the inbox (ledger/inbox.py) and what they do. What is refused (forged, malformed, too large) leaves nothing
      behind but a number in `refused`, and a line in the log, at most one a second for each reason.
Pure: no.
Source: PROVIDERS.md A5, A6; docs/gateway.md. A status may come before our own call has returned, so its address carries the attempt's
token; what it is signed for is the public address, not the one behind a proxy.

Plain routes, not FastAPI's: a busy day brings thousands of callbacks a second, and each costs three times as much when
its parameters are solved for it (tests/bench/webhooks.py).
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import lru_cache
from time import monotonic
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

from starlette import status
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from channels import codes, signatures
from config.replies import reply_policy_in_force
from config.settings import settings
from config.signing_keys import read_signing_keys
from decisions.words import GATEWAY_SENDER
from ledger.inbox import Said, Vocabulary
from portal import bridging, metrics, talking
from portal.receiver import NotKeptError, Receiver

_log = logging.getLogger(__name__)

# A message of 1,600 characters with ten media addresses is far below this.
BODY_BYTES_MAX: Final = 65_536
FIELDS_MAX: Final = 200
# An answer that sends nothing: Twilio itself confirms a stop.
NO_MESSAGE: Final = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
# How ledger/addresses.py knows the channel of a sender: by nothing before a number of text messages, else by its name.
GATEWAY_CARRIERS: Final = {"sms": ""} | {name: f"{name}:" for name in ("whatsapp", "rcs", "messenger", "push", "in_app", "voice")}
APP_EVENTS: Final = frozenset({"received", "opened"})
LOG_SECONDS: Final = 1.0

Fields = list[tuple[str, str]]
Handler = Callable[[Request], Awaitable[Response]]

# Reason → how often since the process began; /health and /metrics tell them.
refused: Final[Counter[str]] = Counter()
_logged_at: Final[dict[str, float]] = {}


class Refused(RuntimeError):
    """A call that is not heard.

    Attributes:
        code: HTTP status that it is answered with.
        reason: A word of ours; nothing of what was said.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason} ({code})")
        self.code, self.reason = code, reason


def answering(address: str, handler: Handler) -> Handler:
    """Answer whatever happens, and count it: nobody outside can make the log grow, or read a stack trace."""

    async def answer(request: Request) -> Response:
        response = await answered(request)
        metrics.WEBHOOKS.labels(address, response.status_code).inc()
        return response

    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except Refused as error:
            return _refusal(error.code, error.reason)
        except ClientDisconnect:
            return _refusal(status.HTTP_400_BAD_REQUEST, "hung up")
        except NotKeptError as error:
            # Whoever spoke is told that nobody heard; Twilio keeps a list of such calls.
            return _refusal(status.HTTP_503_SERVICE_UNAVAILABLE, str(error))
        except Exception as error:  # noqa: BLE001  # a bug: the class alone, since its words may repeat what a person wrote
            return _refusal(status.HTTP_500_INTERNAL_SERVER_ERROR, f"bug: {type(error).__name__}")

    return answer


def _refusal(code: int, reason: str) -> Response:
    refused[reason] += 1
    moment = monotonic()
    if moment - _logged_at.get(reason, -LOG_SECONDS) >= LOG_SECONDS:
        _logged_at[reason] = moment
        _log.warning("webhook refused with %d: %s (%d since the start)", code, reason, refused[reason])
    return Response(status_code=code)


@lru_cache(maxsize=1)
def vocabulary() -> Vocabulary:
    """What providers' words and people's replies mean."""
    return Vocabulary(
        state_of=codes.state_of,
        meaning_of=codes.meaning_of_callback,
        intent_of=codes.intent_of,
        replies=reply_policy_in_force(),
        intent_of_button=codes.intent_of_button,
        result_of=codes.result_of,
    )


def _receiver(request: Request) -> Receiver:
    """The process's receiver; portal/app.py makes it."""
    receiver: Receiver = request.app.state.receiver
    return receiver


async def _body(request: Request) -> bytes:
    """The body of a request, read up to a limit.

    Raises:
        Refused: 413 when it is larger.
    """
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES_MAX:
            raise Refused(status.HTTP_413_CONTENT_TOO_LARGE, "too large")
    return bytes(body)


async def _twilio_fields(request: Request) -> Fields:
    """The form fields of a call that Twilio signed.

    Raises:
        Refused: 403 when it did not, 400 when it is no form.
    """
    body = await _body(request)
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=FIELDS_MAX)
    except ValueError:
        raise Refused(status.HTTP_400_BAD_REQUEST, "no form") from None
    genuine = signatures.is_from_twilio(
        secret=settings().twilio_auth_token.get_secret_value(),
        url=_public_address(request),
        fields=fields,
        signature=request.headers.get(signatures.TWILIO_HEADER),
    )
    if not genuine:
        raise Refused(status.HTTP_403_FORBIDDEN, "not signed by Twilio")
    return fields


async def _app_event(request: Request) -> dict[str, Any]:
    """The JSON object of a call that the app signed.

    Raises:
        Refused: 403 when it did not, 400 when it is no object.
    """
    body = await _body(request)
    secret = settings().app_secret.get_secret_value()
    if not signatures.is_from_app(secret=secret, body=body, signature=request.headers.get(signatures.APP_HEADER)):
        raise Refused(status.HTTP_403_FORBIDDEN, "not signed by the app")
    return _object(body)


async def _gateway_event(request: Request, kind: str) -> dict[str, Any]:
    """The JSON object of a call that the lender's gateway signed lately.

    Raises:
        Refused: As `signed_event`.
    """
    return await signed_event(request, settings().gateway_keys.get_secret_value(), kind, "the gateway")


async def signed_event(request: Request, keys: str, kind: str, who: str) -> dict[str, Any]:
    """The JSON object of a call that one of the lender's own systems signed lately.

    Args:
        request: As it came.
        keys: `KEYID:SECRET` pairs that are believed; without one nothing is.
        kind: What the event has to say that it is.
        who: Whose it should be, in words.

    Raises:
        Refused: 401 when it was not signed so, 400 when it is no object of this kind.
    """
    body = await _body(request)
    genuine = signatures.is_signed(
        read_signing_keys(keys),
        method=request.method,
        target=_public_address(request).removeprefix(_origin()),
        body=body,
        signature=request.headers.get(signatures.SIGNATURE_HEADER),
        at_seconds=time.time(),
    )
    if not genuine:
        raise Refused(status.HTTP_401_UNAUTHORIZED, f"not signed by {who}")
    event = _object(body)
    if event.get("type") != kind:
        raise Refused(status.HTTP_400_BAD_REQUEST, "says nothing")
    return event


def _object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body.

    Raises:
        Refused: 400 when it is none.
    """
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict):
        raise Refused(status.HTTP_400_BAD_REQUEST, "no JSON object")
    return event


async def twilio_status(request: Request) -> Response:
    """A message of ours moved on."""
    given = dict(await _twilio_fields(request))
    said = Said(
        provider="twilio",
        provider_id=_required(given, "MessageSid", "SmsSid"),
        kind="status",
        status=_required(given, "MessageStatus", "SmsStatus"),
        token=request.path_params["token"],
        error_code=given.get("ErrorCode") or None,
        fields=given,
    )
    await _receiver(request).receive(said)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


async def twilio_inbound(request: Request) -> Response:
    """A person wrote."""
    given = dict(await _twilio_fields(request))
    said = Said(
        provider="twilio",
        provider_id=_required(given, "MessageSid", "SmsSid"),
        kind="inbound",
        status="received",
        token=None,
        error_code=None,
        fields={**given, "From": _required(given, "From")},
    )
    await _receiver(request).receive(said)
    return Response(NO_MESSAGE, media_type="text/xml")


async def twilio_call(request: Request) -> Response:
    """A call of ours moved on."""
    given = dict(await _twilio_fields(request))
    word = codes.call_status(_required(given, "CallStatus"), given.get("AnsweredBy"))
    await _receiver(request).receive(talking.told(given, _required(given, "CallSid"), request.path_params["token"], word))
    return Response(status_code=status.HTTP_204_NO_CONTENT)


async def twilio_answered(request: Request) -> Response:
    """Somebody, or a machine, picked up: what is said."""
    return await _talk(request, talking.answered)


async def twilio_first_key(request: Request) -> Response:
    """Whoever picked up said who she is, or is not, or wants no more calls."""
    return await _talk(request, talking.first_key)


async def twilio_key(request: Request) -> Response:
    """The person asked for answered by a key."""
    return await _talk(request, talking.key)


async def _talk(request: Request, part: talking.Part) -> Response:
    given = dict(await _twilio_fields(request))
    sid, token = _required(given, "CallSid"), request.path_params["token"]
    words = await asyncio.to_thread(talking.words_of, token)
    turn = talking.NOTHING if words is None else part(words, given)
    for said in turn.said(given, sid, token):
        # Kept and applied before a word is said about it.
        await _receiver(request).receive(said)
    return Response(turn.twiml, media_type="text/xml")


async def twilio_bridge(request: Request) -> Response:
    """A colleague whose phone rang has picked up: whom she is put through to."""
    await _twilio_fields(request)
    said = await asyncio.to_thread(bridging.put_through, request.path_params["token"])
    return Response(said, media_type="text/xml")


async def twilio_bridge_announce(request: Request) -> Response:
    """The person has picked up: that the talk is recorded, before it begins."""
    await _twilio_fields(request)
    said = await asyncio.to_thread(bridging.announce, request.path_params["token"])
    return Response(said, media_type="text/xml")


async def twilio_bridge_line(request: Request) -> Response:
    """The colleague's leg has ended."""
    given = dict(await _twilio_fields(request))
    sid, word = _required(given, "CallSid"), _required(given, "CallStatus")
    await asyncio.to_thread(bridging.ended, request.path_params["token"], sid, word)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


async def app_acknowledgement(request: Request) -> Response:
    """A notification arrived at a phone, or was opened."""
    event = await _app_event(request)
    data, word = event.get("data"), event.get("event")
    token = token_of(data.get("ack")) if isinstance(data, dict) else None
    if token is None or not isinstance(word, str) or word not in APP_EVENTS:
        raise Refused(status.HTTP_400_BAD_REQUEST, "says nothing")
    said = Said(
        provider="app",
        provider_id=str(token),
        kind="acknowledgement",
        status=word,
        token=token,
        error_code=None,
        fields={"event": json.dumps(event)},
    )
    await _receiver(request).receive(said)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


async def gateway_status(request: Request) -> Response:
    """A message that went through the lender's gateway moved on."""
    event = await _gateway_event(request, "status")
    if token_of(event.get("key")) != request.path_params["token"]:
        raise Refused(status.HTTP_400_BAD_REQUEST, "says nothing")
    error = event.get("error")
    said = Said(
        provider="gateway",
        provider_id=_text(event, "id"),
        kind="status",
        status=_text(event, "status"),
        token=request.path_params["token"],
        error_code=error if isinstance(error, str) and error else None,
        fields={"event": json.dumps(event, ensure_ascii=False)},
    )
    await _receiver(request).receive(said)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


async def gateway_inbound(request: Request) -> Response:
    """A person wrote through the lender's gateway."""
    event = await _gateway_event(request, "inbound")
    carrier = _text(event, "carrier")
    if carrier not in GATEWAY_CARRIERS:
        raise Refused(status.HTTP_400_BAD_REQUEST, "says nothing")
    text, intent = event.get("text"), event.get("intent")
    said = Said(
        provider="gateway",
        provider_id=_text(event, "id"),
        kind="inbound",
        status="received",
        token=None,
        error_code=None,
        fields={
            "event": json.dumps(event, ensure_ascii=False),
            "From": GATEWAY_CARRIERS[carrier] + _text(event, "from"),
            # As the creditor's senders name it: whoever wrote there may be written to from there (ledger/reply_windows.py).
            "To": GATEWAY_SENDER + _text(event, "to"),
            "Body": text if isinstance(text, str) else "",
            # As Twilio says it (ledger/inbox.py): what the provider itself took the text for.
            "OptOutType": intent.upper() if isinstance(intent, str) else "",
        },
    )
    await _receiver(request).receive(said)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


# What names no attempt's token is no address of ours: 404, before anything of it is read.
routes: Final = [
    Route("/webhooks/twilio/status/{token:uuid}", answering("status", twilio_status), methods=["POST"]),
    Route("/webhooks/twilio/inbound", answering("inbound", twilio_inbound), methods=["POST"]),
    Route("/webhooks/gateway/status/{token:uuid}", answering("status", gateway_status), methods=["POST"]),
    Route("/webhooks/gateway/inbound", answering("inbound", gateway_inbound), methods=["POST"]),
    Route("/webhooks/twilio/call/{token:uuid}", answering("call", twilio_call), methods=["POST"]),
    Route("/webhooks/twilio/call/{token:uuid}/answer", answering("call answered", twilio_answered), methods=["POST"]),
    Route("/webhooks/twilio/call/{token:uuid}/first", answering("call key", twilio_first_key), methods=["POST"]),
    Route("/webhooks/twilio/call/{token:uuid}/key", answering("call key", twilio_key), methods=["POST"]),
    Route("/webhooks/twilio/bridge/{token:uuid}", answering("bridge", twilio_bridge), methods=["POST"]),
    Route("/webhooks/twilio/bridge/{token:uuid}/announce", answering("bridge", twilio_bridge_announce), methods=["POST"]),
    Route("/webhooks/twilio/bridge/{token:uuid}/line", answering("bridge", twilio_bridge_line), methods=["POST"]),
    Route("/webhooks/app/acknowledgement", answering("acknowledgement", app_acknowledgement), methods=["POST"]),
]


def _public_address(request: Request) -> str:
    """The address as it was given to the provider: ours, whatever a proxy made of it."""
    raw_path: bytes = request.scope.get("raw_path") or request.url.path.encode()
    query: bytes = request.scope["query_string"]
    return settings().public_url + raw_path.split(b"?")[0].decode("latin-1") + ("?" + query.decode("latin-1") if query else "")


def _origin() -> str:
    """Scheme and host of the public address: what a signed target leaves out."""
    parts = urlsplit(settings().public_url)
    return f"{parts.scheme}://{parts.netloc}"


def _text(event: dict[str, Any], name: str) -> str:
    """A text of an event that says something.

    Raises:
        Refused: 400 when it does not.
    """
    value = event.get(name)
    if not isinstance(value, str) or not value:
        raise Refused(status.HTTP_400_BAD_REQUEST, "says nothing")
    return value


def _required(given: dict[str, str], *names: str) -> str:
    """The first of these fields that says something.

    Raises:
        Refused: 400 when none does.
    """
    value = next((given[name] for name in names if given.get(name)), None)
    if value is None:
        raise Refused(status.HTTP_400_BAD_REQUEST, "says nothing")
    return value


def token_of(value: object) -> UUID | None:
    """A value as a UUID; None where it is none."""
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
