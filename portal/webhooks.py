"""Webhooks: what providers and the lender's app tell us. Genuine or refused; kept raw first; then applied.

In:   POSTs of Twilio (status of a message, message of a person) and of the app (a notification arrived or was opened).
Out:  rows of the inbox (ledger/inbox.py) and what they do. A forged call is answered 403 and leaves nothing behind.
Pure: no.
Source: PROVIDERS.md A5, A6. A status may come before our own call has returned, so its address carries the attempt's
token; what it is signed for is the public address, not the one behind a proxy.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Request, Response, status

from channels import codes, signatures
from config.replies import reply_policy_in_force
from config.settings import settings
from ledger.inbox import Said, Vocabulary
from portal.receiver import Receiver

router = APIRouter(prefix="/webhooks", tags=["webhooks"])

# A message of 1,600 characters with ten media addresses is far below this.
BODY_BYTES_MAX: Final = 65_536
FIELDS_MAX: Final = 200
# An answer that sends nothing: Twilio itself confirms a stop.
NO_MESSAGE: Final = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
APP_EVENTS: Final = frozenset({"received", "opened"})

Fields = list[tuple[str, str]]


@lru_cache(maxsize=1)
def vocabulary() -> Vocabulary:
    """What providers' words and people's replies mean."""
    return Vocabulary(
        state_of=codes.state_of, meaning_of=codes.meaning_of_callback, intent_of=codes.intent_of, replies=reply_policy_in_force()
    )


def receiver_of(request: Request) -> Receiver:
    """The process's receiver; portal/app.py makes it."""
    receiver: Receiver = request.app.state.receiver
    return receiver


Receiving = Annotated[Receiver, Depends(receiver_of)]


async def body_of(request: Request) -> bytes:
    """The body of a request, read up to a limit.

    Raises:
        HTTPException: 413 when it is larger.
    """
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES_MAX:
            raise HTTPException(status.HTTP_413_CONTENT_TOO_LARGE)
    return bytes(body)


async def twilio_fields(request: Request, body: Annotated[bytes, Depends(body_of)]) -> Fields:
    """The form fields of a call that Twilio signed.

    Raises:
        HTTPException: 403 when it did not, 400 when it is no form.
    """
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=FIELDS_MAX)
    except ValueError:
        raise HTTPException(status.HTTP_400_BAD_REQUEST) from None
    known = settings()
    genuine = signatures.is_from_twilio(
        secret=known.twilio_auth_token.get_secret_value(),
        url=_public_address(request),
        fields=fields,
        signature=request.headers.get(signatures.TWILIO_HEADER),
    )
    if not genuine:
        raise HTTPException(status.HTTP_403_FORBIDDEN)
    return fields


async def app_event(request: Request, body: Annotated[bytes, Depends(body_of)]) -> dict[str, Any]:
    """The JSON object of a call that the app signed.

    Raises:
        HTTPException: 403 when it did not, 400 when it is no object.
    """
    secret = settings().app_secret.get_secret_value()
    if not signatures.is_from_app(secret=secret, body=body, signature=request.headers.get(signatures.APP_HEADER)):
        raise HTTPException(status.HTTP_403_FORBIDDEN)
    try:
        event = json.loads(body)
    except ValueError:
        raise HTTPException(status.HTTP_400_BAD_REQUEST) from None
    if not isinstance(event, dict):
        raise HTTPException(status.HTTP_400_BAD_REQUEST)
    return event


@router.post("/twilio/status/{token}", status_code=status.HTTP_204_NO_CONTENT)
async def twilio_status(token: UUID, fields: Annotated[Fields, Depends(twilio_fields)], receiver: Receiving) -> None:
    """A message of ours moved on."""
    given = dict(fields)
    said = Said(
        provider="twilio",
        provider_id=_required(given, "MessageSid", "SmsSid"),
        kind="status",
        status=_required(given, "MessageStatus", "SmsStatus"),
        token=token,
        error_code=given.get("ErrorCode") or None,
        fields=given,
    )
    await receiver.receive(said)


@router.post("/twilio/inbound")
async def twilio_inbound(fields: Annotated[Fields, Depends(twilio_fields)], receiver: Receiving) -> Response:
    """A person wrote."""
    given = dict(fields)
    said = Said(
        provider="twilio",
        provider_id=_required(given, "MessageSid", "SmsSid"),
        kind="inbound",
        status="received",
        token=None,
        error_code=None,
        fields={**given, "From": _required(given, "From")},
    )
    await receiver.receive(said)
    return Response(NO_MESSAGE, media_type="text/xml")


@router.post("/app/acknowledgement", status_code=status.HTTP_204_NO_CONTENT)
async def app_acknowledgement(event: Annotated[dict[str, Any], Depends(app_event)], receiver: Receiving) -> None:
    """A notification arrived at a phone, or was opened."""
    data, word = event.get("data"), event.get("event")
    token = _token(data.get("ack")) if isinstance(data, dict) else None
    if token is None or word not in APP_EVENTS:
        raise HTTPException(status.HTTP_400_BAD_REQUEST)
    said = Said(
        provider="app",
        provider_id=str(token),
        kind="acknowledgement",
        status=str(word),
        token=token,
        error_code=None,
        fields={"event": json.dumps(event)},
    )
    await receiver.receive(said)


def _public_address(request: Request) -> str:
    """The address as it was given to the provider: ours, whatever a proxy made of it."""
    raw_path: bytes = request.scope.get("raw_path") or request.url.path.encode()
    query: bytes = request.scope["query_string"]
    return settings().public_url + raw_path.split(b"?")[0].decode("latin-1") + ("?" + query.decode("latin-1") if query else "")


def _required(given: dict[str, str], *names: str) -> str:
    """The first of these fields that says something.

    Raises:
        HTTPException: 400 when none does.
    """
    value = next((given[name] for name in names if given.get(name)), None)
    if value is None:
        raise HTTPException(status.HTTP_400_BAD_REQUEST)
    return value


def _token(value: object) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
