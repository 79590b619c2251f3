"""Twilio's Calls resource, API 2010-04-01: what it accepts, refuses, remembers and answers.

In:   form fields, query fields, and what the town says became of a call.
Out:  records, JSON bodies, form fields of callbacks and of the requests for TwiML, errors with Twilio's codes.
Pure: yes, but for its own records; the HTTP part is app.py, the course of a call switchboard.py. Checked against Twilio's published
      OpenAPI document (tests/sandbox/test_specifications.py). Fields and statuses: PROVIDERS A4.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import urlencode

from sandbox.chance import Chance
from sandbox.twilio import PAGE_SIZE, PAGE_SIZE_MAX, TwilioError, is_loopback_url

CREATE_FIELDS = frozenset(
    {
        "To",
        "From",
        "Method",
        "FallbackUrl",
        "FallbackMethod",
        "StatusCallback",
        "StatusCallbackEvent",
        "StatusCallbackMethod",
        "SendDigits",
        "Timeout",
        "Record",
        "RecordingChannels",
        "RecordingStatusCallback",
        "RecordingStatusCallbackMethod",
        "SipAuthUsername",
        "SipAuthPassword",
        "MachineDetection",
        "MachineDetectionTimeout",
        "RecordingStatusCallbackEvent",
        "Trim",
        "CallerId",
        "MachineDetectionSpeechThreshold",
        "MachineDetectionSpeechEndThreshold",
        "MachineDetectionSilenceTimeout",
        "AsyncAmd",
        "AsyncAmdStatusCallback",
        "AsyncAmdStatusCallbackMethod",
        "Byoc",
        "CallReason",
        "CallToken",
        "RecordingTrack",
        "TimeLimit",
        "ClientNotificationUrl",
        "Url",
        "Twiml",
        "ApplicationSid",
    }
)
UPDATE_FIELDS = frozenset(
    {
        "Url",
        "Method",
        "Status",
        "FallbackUrl",
        "FallbackMethod",
        "StatusCallback",
        "StatusCallbackMethod",
        "Twiml",
        "TimeLimit",
    }
)
LIST_FIELDS = frozenset(
    {
        "To",
        "From",
        "ParentCallSid",
        "Status",
        "StartTime",
        "StartTime<",
        "StartTime>",
        "EndTime",
        "EndTime<",
        "EndTime>",
        "PageSize",
        "Page",
        "PageToken",
    }
)
EVENTS = frozenset({"initiated", "ringing", "answered", "completed"})
STATUSES = frozenset({"queued", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled"})
ENDS = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
_SUBRESOURCES = (
    "notifications",
    "recordings",
    "payments",
    "events",
    "siprec",
    "streams",
    "transcriptions",
    "user_defined_message_subscriptions",
    "user_defined_messages",
)
TIMEOUT_SECONDS, TIMEOUT_SECONDS_MAX = 60, 600
TIME_LIMIT_SECONDS: Final = 4 * 3600
TWIML_CHARACTERS_MAX = 4000
_E164 = re.compile(r"\+[1-9]\d{6,14}")


@dataclass(slots=True)
class CallRecord:
    """One call resource. Times are UTC on the sandbox's clock.

    Attributes:
        detects: `Enable` or `DetectMessageEnd` where a machine is told from a person; else empty.
        told: Which of `EVENTS` are posted to `callback_url`.
        said: How many status callbacks were posted: each has a number.
        parent: Sid of the call for whose caller this number was dialled; None = it was asked for.
        recorded: A `Dial` asked for a recording from the answer on.
    """

    serial: int
    sid: str
    to: str
    sender: str
    status: str
    created_at: datetime
    updated_at: datetime
    url: str | None
    twiml: str | None
    method: str
    detects: str
    timeout_seconds: int
    time_limit_seconds: int
    callback_url: str | None = None
    told: frozenset[str] = frozenset({"completed"})
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_seconds: int | None = None
    answered_by: str | None = None
    said: int = 0
    heard: list[str] = field(default_factory=list)
    parent: str | None = None
    recorded: bool = False


class Calls:
    """One Twilio account's calls."""

    def __init__(self, *, account_sid: str, seed: str) -> None:
        """An account that has called nobody."""
        self.account_sid = account_sid
        self._chance = Chance(f"{seed} calls")
        self._records: list[CallRecord] = []
        self._by_sid: dict[str, CallRecord] = {}

    def __len__(self) -> int:
        """How many calls there are."""
        return len(self._records)

    def records(self) -> Iterator[CallRecord]:
        """All calls, oldest first."""
        return iter(self._records)

    def create(self, fields: Sequence[tuple[str, str]], now: datetime) -> CallRecord:
        """Take a call on.

        Raises:
            TwilioError: As Twilio would refuse it.
        """
        form = _checked(fields)
        to, sender = form.get("To", ""), form.get("From", "")
        if not to:
            raise TwilioError(21201)
        if not sender:
            raise TwilioError(21213)
        if not _E164.fullmatch(to):
            raise TwilioError(21211)
        if not _E164.fullmatch(sender):
            raise TwilioError(21212)
        record = CallRecord(
            serial=len(self._records) + 1,
            sid="CA" + self._chance.hexadecimal(32, "call", len(self._records) + 1),
            to=to,
            sender=sender,
            status="queued",
            created_at=now,
            updated_at=now,
            url=_address(form, "Url", 21205),
            twiml=form.get("Twiml") or None,
            method=form.get("Method", "POST"),
            detects=form.get("MachineDetection", ""),
            timeout_seconds=_whole(form, "Timeout", TIMEOUT_SECONDS, TIMEOUT_SECONDS_MAX),
            time_limit_seconds=_whole(form, "TimeLimit", TIME_LIMIT_SECONDS, TIME_LIMIT_SECONDS),
            callback_url=_address(form, "StatusCallback", 21609),
            told=frozenset(value for name, value in fields if name == "StatusCallbackEvent") or frozenset({"completed"}),
        )
        self._records.append(record)
        self._by_sid[record.sid] = record
        return record

    def dial(self, parent: CallRecord, *, to: str, sender: str, url: str | None, timeout_seconds: int, recorded: bool) -> CallRecord:
        """Dial a number for whoever is on the line of a call.

        Raises:
            TwilioError: It is no number.
        """
        fields = [("To", to), ("From", sender), ("Timeout", str(timeout_seconds))]
        # Without a document of its own the talk simply begins.
        child = self.create([*fields, ("Url", url) if url else ("Twiml", "<Response/>")], parent.updated_at)
        child.parent, child.recorded = parent.sid, recorded
        return child

    def fetch(self, sid: str) -> CallRecord:
        """One call.

        Raises:
            TwilioError: There is none.
        """
        record = self._by_sid.get(sid)
        if record is None:
            raise TwilioError(20404, 404)
        return record

    def update(self, sid: str, fields: Sequence[tuple[str, str]], now: datetime) -> CallRecord:
        """Take back a call that has not been answered, or end one that has.

        Raises:
            TwilioError: There is none, its state forbids it, or it is asked for something else.
        """
        record, form = self.fetch(sid), dict(fields)
        if set(form) - UPDATE_FIELDS or form.get("Status") not in {"canceled", "completed"}:
            raise TwilioError(20001, detail="the sandbox only ends calls")
        if record.status in ENDS:
            raise TwilioError(21220)
        if record.status == "in-progress" and form["Status"] == "canceled":
            raise TwilioError(21220)
        record.status = "canceled" if record.status in {"queued", "ringing"} else "completed"
        record.updated_at = record.ended_at = now
        return record

    def page(self, query: Mapping[str, str]) -> dict[str, Any]:
        """One page of the calls that match, newest first.

        Raises:
            TwilioError: A field that the list does not have, or a value that is none.
        """
        if set(query) - LIST_FIELDS:
            raise TwilioError(20001, detail=", ".join(sorted(set(query) - LIST_FIELDS)))
        size = min(max(_whole(query, "PageSize", PAGE_SIZE, PAGE_SIZE_MAX), 1), PAGE_SIZE_MAX)
        page = _whole(query, "Page", 0, 10**9)
        after = self._by_sid.get(query["PageToken"][2:]) if "PageToken" in query else None
        skip = 0 if after is not None else page * size
        found = [one for one in self._matching(query) if after is None or one.serial < after.serial]
        shown, more = found[skip : skip + size], len(found) > skip + size
        path = f"/2010-04-01/Accounts/{self.account_sid}/Calls.json"
        kept = {name: value for name, value in query.items() if name not in {"Page", "PageToken", "PageSize"}}

        def uri(number: int, token: str | None = None) -> str:
            return f"{path}?" + urlencode(kept | {"PageSize": size, "Page": number} | ({"PageToken": token} if token else {}))

        return {
            "uri": uri(page, query.get("PageToken")),
            "first_page_uri": uri(0),
            "next_page_uri": uri(page + 1, "PA" + shown[-1].sid) if more else None,
            "previous_page_uri": uri(page - 1) if page > 0 else None,
            "page": page,
            "page_size": size,
            "start": page * size,
            "end": page * size + max(0, len(shown) - 1),
            "calls": [self.resource(record) for record in shown],
        }

    def _matching(self, query: Mapping[str, str]) -> Iterator[CallRecord]:
        started, ended = _bounds(query, "StartTime"), _bounds(query, "EndTime")
        for record in reversed(self._records):
            if any(query.get(name) not in {None, "", value} for name, value in (("To", record.to), ("From", record.sender))):
                continue
            if query.get("Status") not in {None, "", record.status} or query.get("ParentCallSid") not in {None, "", record.parent}:
                continue
            if _within(record.started_at, started) and _within(record.ended_at, ended):
                yield record

    def resource(self, record: CallRecord) -> dict[str, Any]:
        """The JSON of a call."""
        uri = f"/2010-04-01/Accounts/{self.account_sid}/Calls/{record.sid}"
        return {
            "account_sid": self.account_sid,
            "answered_by": record.answered_by,
            "api_version": "2010-04-01",
            "caller_name": None,
            "date_created": _rfc2822(record.created_at),
            "date_updated": _rfc2822(record.updated_at),
            "direction": _direction(record),
            "duration": None if record.duration_seconds is None else str(record.duration_seconds),
            "end_time": _rfc2822(record.ended_at),
            "forwarded_from": None,
            "from": record.sender,
            "from_formatted": record.sender,
            "group_sid": None,
            "parent_call_sid": record.parent,
            "phone_number_sid": None,
            "price": None,
            "price_unit": "USD",
            "queue_time": "0",
            "sid": record.sid,
            "start_time": _rfc2822(record.started_at),
            "status": record.status,
            "subresource_uris": {name: f"{uri}/{''.join(part.title() for part in name.split('_'))}.json" for name in _SUBRESOURCES},
            "to": record.to,
            "to_formatted": record.to,
            "trunk_sid": None,
            "uri": f"{uri}.json",
        }

    def fields(self, record: CallRecord) -> list[tuple[str, str]]:
        """What every request about a call says."""
        said = [
            ("AccountSid", self.account_sid),
            ("ApiVersion", "2010-04-01"),
            ("CallSid", record.sid),
            ("CallStatus", record.status),
            ("Called", record.to),
            ("Caller", record.sender),
            ("Direction", _direction(record)),
            ("From", record.sender),
            ("To", record.to),
        ]
        # Known from the moment at which it was answered.
        return said + ([("AnsweredBy", record.answered_by)] if record.answered_by else [])

    def callback_fields(self, record: CallRecord, status: str) -> list[tuple[str, str]]:
        """What a status callback says of one step of a call."""
        said = [(name, status if name == "CallStatus" else value) for name, value in self.fields(record)]
        said += [
            ("CallbackSource", "call-progress-events"),
            ("SequenceNumber", str(record.said)),
            ("Timestamp", format_datetime(record.updated_at)),
        ]
        record.said += 1
        if status in ENDS:
            said += [("CallDuration", str(record.duration_seconds or 0)), ("Duration", str(-(-(record.duration_seconds or 0) // 60)))]
        return said


def _direction(record: CallRecord) -> str:
    return "outbound-api" if record.parent is None else "outbound-dial"


def _checked(fields: Sequence[tuple[str, str]]) -> dict[str, str]:
    form = dict(fields)
    if unknown := set(form) - CREATE_FIELDS:
        raise TwilioError(20001, detail=", ".join(sorted(unknown)))
    if any(name == "StatusCallbackEvent" and value not in EVENTS for name, value in fields):
        raise TwilioError(20001, detail="StatusCallbackEvent")
    if form.get("MachineDetection", "") not in {"", "Enable", "DetectMessageEnd"}:
        raise TwilioError(20001, detail="MachineDetection")
    if form.get("Method", "POST") not in {"GET", "POST"}:
        raise TwilioError(20001, detail="Method")
    given = [name for name in ("Url", "Twiml", "ApplicationSid") if form.get(name)]
    if not given or given == ["ApplicationSid"]:
        raise TwilioError(21205, detail="the sandbox keeps no applications" if given else "")
    if len(form.get("Twiml", "")) > TWIML_CHARACTERS_MAX:
        raise TwilioError(20001, detail="Twiml")
    return form


def _address(form: Mapping[str, str], name: str, code: int) -> str | None:
    url = form.get(name, "")
    if url and not is_loopback_url(url):
        raise TwilioError(code, detail="the sandbox posts to loopback only")
    return url or None


def _whole(form: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = form.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit():
        raise TwilioError(20001, detail=name)
    return min(int(text), most)


def _bounds(query: Mapping[str, str], name: str) -> list[tuple[datetime, datetime]]:
    """Half-open intervals that all must hold; a bare date is its GMT midnight, and alone the whole day."""
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    bounds = []
    for key in (name, f"{name}>", f"{name}<"):
        if not query.get(key):
            continue
        at = _instant(query[key], key)
        if key == name:
            day = datetime.combine(at.date(), datetime.min.time(), UTC)
            bounds.append((day, day + timedelta(days=1)))
        else:
            bounds.append((at, last) if key.endswith(">") else (first, at + timedelta(seconds=1)))
    return bounds


def _within(at: datetime | None, bounds: Sequence[tuple[datetime, datetime]]) -> bool:
    return not bounds or (at is not None and all(low <= at < high for low, high in bounds))


def _instant(text: str, name: str) -> datetime:
    try:
        at = (
            datetime.fromisoformat(text)
            if len(text) > len("2026-01-01")
            else datetime.combine(date.fromisoformat(text), datetime.min.time())
        )
    except ValueError:
        raise TwilioError(20001, detail=name) from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _rfc2822(at: datetime | None) -> str | None:
    return None if at is None else format_datetime(at)
