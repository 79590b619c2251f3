"""Twilio's Messages resource, API 2010-04-01: what it accepts, refuses, remembers and answers.

In:   form fields, query fields, and what the town says became of a message.
Out:  records, JSON bodies, form fields of callbacks and inbound posts, errors with Twilio's codes.
Pure: yes, but for the account's own records; the HTTP part is app.py. Checked against Twilio's published OpenAPI
      document (tests/sandbox/test_twilio_spec.py). Codes and statuses: PROVIDERS A3, A5, A7.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode, urlsplit

from sandbox.chance import Chance
from sandbox.segments import segments
from sandbox.social import SERVICE_ADDRESSES, Button, Content, ContentError, Templates, Windows, bare, channel_of, is_person, is_sender

BODY_CHARACTERS_MAX = 1600
VALIDITY_SECONDS_MAX = 36000
SCHEDULE_AHEAD = (timedelta(minutes=5), timedelta(days=35))
PAGE_SIZE, PAGE_SIZE_MAX = 50, 1000
STOP_WORDS = frozenset({"STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"})
START_WORDS = frozenset({"START", "YES", "UNSTOP"})
CREATE_FIELDS = frozenset(
    {
        "To",
        "StatusCallback",
        "ApplicationSid",
        "MaxPrice",
        "ProvideFeedback",
        "Attempt",
        "ValidityPeriod",
        "ForceDelivery",
        "ContentRetention",
        "AddressRetention",
        "SmartEncoded",
        "PersistentAction",
        "TrafficType",
        "ShortenUrls",
        "ScheduleType",
        "SendAt",
        "SendAsMms",
        "ContentVariables",
        "RiskCheck",
        "From",
        "FallbackFrom",
        "MessagingServiceSid",
        "Body",
        "MediaUrl",
        "ContentSid",
    }
)
UPDATE_FIELDS = frozenset({"Body", "Status"})
LIST_FIELDS = frozenset({"To", "From", "DateSent", "DateSent<", "DateSent>", "PageSize", "Page", "PageToken"})
_CHOICES = {
    "ContentRetention": {"retain", "discard"},
    "AddressRetention": {"retain", "obfuscate"},
    "TrafficType": {"free"},
    "ScheduleType": {"fixed"},
    "RiskCheck": {"enable", "disable"},
}
_BOOLEANS = ("ProvideFeedback", "ForceDelivery", "SmartEncoded", "ShortenUrls", "SendAsMms")
_NOT_SENT = frozenset({"accepted", "scheduled", "queued"})
_FINAL = frozenset({"delivered", "undelivered", "failed", "canceled", "received"})
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
_PLACES = ("Country", "State", "City", "Zip")
# What became of it, in the town's words → final status and code.
_ENDS = {
    "expired": ("failed", 30036),
    "handset_off": ("undelivered", 30003),
    "unknown_handset": ("undelivered", 30005),
    "landline": ("undelivered", 30006),
    "carrier_unknown": ("undelivered", 30008),
}
# Where another channel than text messages has a code of its own.
_ENDS_OF = {
    ("whatsapp", "not_there"): ("undelivered", 63024),
    ("messenger", "not_there"): ("undelivered", 63003),
    ("rcs", "not_there"): ("undelivered", 63036),
    **{(channel, "carrier_unknown"): ("undelivered", 63012) for channel in ("whatsapp", "messenger", "rcs")},
}
# Twilio itself hears a stop in these; on the others only the lender does.
_HEARS_STOP = frozenset({"sms", "rcs"})
_OUT_OF_WINDOW = 63016
_MEANINGS = {
    20001: "Unknown parameter",
    20003: "Authenticate",
    20004: "Method not allowed",
    20009: "Message is not finished",
    20404: "The requested resource was not found",
    20429: "Too Many Requests",
    20500: "Internal Server Error",
    20503: "Service Unavailable",
    21201: "No 'To' number is specified",
    21205: "Invalid URL",
    21211: "Invalid 'To' Phone Number",
    21212: "Invalid From Number",
    21213: "Caller phone number is required",
    21220: "Invalid call state",
    21266: "'To' and 'From' number cannot be the same",
    21602: "Message body is required",
    21603: "A 'From' phone number is required",
    21604: "A 'To' phone number is required",
    21609: "Invalid StatusCallback url",
    21610: "Attempt to send to unsubscribed recipient",
    21617: "The concatenated message body exceeds the 1600 character limit",
    21655: "The ContentSid is Invalid",
    21656: "The ContentVariables Parameter is invalid",
    21664: "'FallbackFrom' cannot be used with a 'From' sender",
    21910: "Invalid 'From' and 'To' pair. 'From' and 'To' should be of the same channel",
    30003: "Unreachable destination handset",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30008: "Unknown error",
    30036: "Validity period expired",
    30409: "Message cannot be canceled",
    35111: "SendAt is required for scheduled messages",
    35114: "SendAt is not a time within the window for scheduling",
    35118: "MessagingServiceSid is required to schedule a message",
    63003: "Channel could not find To address",
    63012: "Channel provider returned an internal service error",
    63013: "Channel policy violation",
    63016: "Outside messaging window. For WhatsApp, use a Message Template instead",
    63021: "Channel invalid content error",
    63024: "Invalid message recipient",
    63028: "Number of parameters provided does not match the expected number of parameters",
    63036: "The specified phone number cannot be reached by RBM at this time",
    90007: "ValidityPeriod is out of range",
}


class TwilioError(Exception):
    """An answer that is an error: HTTP status, Twilio's code, and a sentence."""

    def __init__(self, code: int, status: int = 400, detail: str = "") -> None:
        """Keep the parts."""
        super().__init__(code)
        self.code = code
        self.status = status
        self.detail = detail

    @property
    def body(self) -> dict[str, Any]:
        """As Twilio writes it."""
        message = _MEANINGS.get(self.code, "Request refused") + (f": {self.detail}" if self.detail else "")
        more_info = f"https://www.twilio.com/docs/errors/{self.code}"
        return {"code": self.code, "message": message, "more_info": more_info, "status": self.status}


@dataclass(slots=True)
class Record:
    """One message resource. Times are UTC on the sandbox's clock."""

    serial: int
    sid: str
    to: str
    sender: str | None
    service_sid: str | None
    body: str
    direction: str
    status: str
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None = None
    send_at: datetime | None = None
    expires_in: timedelta = timedelta(seconds=VALIDITY_SECONDS_MAX)
    callback_url: str | None = None
    error_code: int | None = None
    media: int = 0
    # It is decided beforehand that no phone gets it: by a fault, or because free words may not leave.
    doomed_code: int | None = None
    buttons: tuple[Button, ...] = ()
    # Of an inbound message: what was tapped, and which message it answers.
    tapped: Button | None = None
    answers_sid: str | None = None

    @property
    def channel(self) -> str:
        """Of the person's address."""
        return channel_of((self.sender or "") if self.direction == "inbound" else self.to)


class Account:
    """One Twilio account's messages and who has told which of its senders to stop."""

    def __init__(self, *, account_sid: str, seed: str) -> None:
        """An account with no messages."""
        self.account_sid = account_sid
        self._chance = Chance(seed)
        self._records: list[Record] = []
        self._by_sid: dict[str, Record] = {}
        self._by_to: dict[str, list[Record]] = {}
        self._stopped: set[tuple[str, str]] = set()
        self._windows = Windows()
        self.templates = Templates()

    def __len__(self) -> int:
        """How many messages there are, either way."""
        return len(self._by_sid)

    @property
    def newest(self) -> Record:
        """The message that was filed last."""
        return self._records[-1]

    def records(self) -> Iterator[Record]:
        """All messages, oldest first."""
        return iter(self._records)

    # Creating

    def create(self, fields: Sequence[tuple[str, str]], now: datetime) -> Record:
        """Take a message on.

        Raises:
            TwilioError: As Twilio would refuse it.
        """
        form = _checked_form(fields)
        to = form.get("To", "")
        if not to:
            raise TwilioError(21604)
        sender, service_sid = form.get("From") or None, form.get("MessagingServiceSid") or None
        if not sender and not service_sid:
            raise TwilioError(21603)
        _check_addresses(to, sender, service_sid, form)
        media = sum(1 for name, value in fields if name == "MediaUrl" and value)
        content = self._content(form, media)
        if (service_sid or sender, to) in self._stopped:
            raise TwilioError(21610)
        send_at = _schedule(form, now)
        record = Record(
            serial=0,
            sid="",
            to=to,
            sender=None if service_sid else sender,
            service_sid=service_sid,
            body=content.text,
            direction="outbound-api",
            status="scheduled" if send_at else "accepted" if service_sid else "queued",
            created_at=now,
            updated_at=now,
            send_at=send_at,
            expires_in=_validity(form),
            callback_url=_callback(form),
            media=media,
            buttons=content.buttons,
        )
        if not (self._windows.is_open(service_sid or sender or "", to, now) or (content.approved and record.channel == "whatsapp")):
            record.doomed_code = _OUT_OF_WINDOW
        return self.keep(record)

    def _content(self, form: Mapping[str, str], media: int) -> Content:
        """What a message says.

        Raises:
            TwilioError: Nothing, too much, or a template that is none.
        """
        sid = form.get("ContentSid", "")
        if not sid:
            return Content(_body(form, media))
        try:
            return self.templates.fill(sid, form.get("ContentVariables", ""))
        except ContentError as error:
            raise TwilioError(error.code) from None

    def receive(
        self,
        *,
        sender: str,
        to: str,
        text: str,
        service_sid: str | None,
        now: datetime,
        tapped: Button | None = None,
        answers_sid: str | None = None,
        media: int = 0,
    ) -> Record:
        """A text from someone; a stop word blocks, a start word unblocks, whoever they answered; the reply window opens."""
        word = text.strip().upper()
        pair = (service_sid or to, sender)
        if word in STOP_WORDS and channel_of(sender) in _HEARS_STOP:
            self._stopped.add(pair)
        elif word in START_WORDS:
            self._stopped.discard(pair)
        self._windows.open([to, *([service_sid] if service_sid else [])], sender, now)
        record = Record(
            serial=0,
            sid="",
            to=to,
            sender=sender,
            service_sid=service_sid,
            body=text,
            direction="inbound",
            status="received",
            created_at=now,
            updated_at=now,
            sent_at=now,
            media=media,
            tapped=tapped,
            answers_sid=answers_sid,
        )
        return self.keep(record)

    def answer(self, inbound: Record, text: str, now: datetime) -> Record:
        """A text that the webhook's TwiML sends back to who has written."""
        record = Record(
            serial=0,
            sid="",
            to=inbound.sender or "",
            sender=None if inbound.service_sid else inbound.to,
            service_sid=inbound.service_sid,
            body=text[:BODY_CHARACTERS_MAX],
            direction="outbound-reply",
            status="queued",
            created_at=now,
            updated_at=now,
        )
        return self.keep(record)

    def is_stopped(self, record: Record) -> bool:
        """Whether the recipient has told this sender to stop."""
        return (record.service_sid or record.sender or "", record.to) in self._stopped

    def keep(self, record: Record) -> Record:
        """File a new record under an id of its own."""
        record.serial = len(self._by_sid) + 1
        prefix = "MM" if record.media else "SM"
        record.sid = prefix + self._chance.hexadecimal(32, "message", record.serial)
        self._records.append(record)
        self._by_sid[record.sid] = record
        self._by_to.setdefault(record.to, []).append(record)
        return record

    # Asking and changing

    def fetch(self, sid: str) -> Record:
        """One message.

        Raises:
            TwilioError: There is none.
        """
        record = self._by_sid.get(sid)
        if record is None or record.status == "deleted":
            raise TwilioError(20404, 404)
        return record

    def update(self, sid: str, fields: Sequence[tuple[str, str]], now: datetime) -> Record:
        """Cancel a message that has not been sent, or redact one that is finished.

        Raises:
            TwilioError: There is none, or its state forbids it.
        """
        record, form = self.fetch(sid), dict(fields)
        if set(form) - UPDATE_FIELDS or form.get("Status", "canceled") != "canceled" or form.get("Body"):
            raise TwilioError(20001)
        if "Status" in form:
            if record.status not in _NOT_SENT:
                raise TwilioError(30409)
            record.status, record.updated_at = "canceled", now
        if "Body" in form:
            if record.status not in _FINAL:
                raise TwilioError(20009)
            record.body, record.updated_at = "", now
        return record

    def delete(self, sid: str) -> None:
        """Remove a finished message.

        Raises:
            TwilioError: There is none, or it is under way.
        """
        record = self.fetch(sid)
        if record.status not in _FINAL:
            raise TwilioError(20009)
        record.status, record.body = "deleted", ""

    def page(self, query: Mapping[str, str]) -> dict[str, Any]:
        """One page of the messages that match, newest first.

        Raises:
            TwilioError: A field that the list does not have, or a value that is none.
        """
        if set(query) - LIST_FIELDS:
            raise TwilioError(20001, detail=", ".join(sorted(set(query) - LIST_FIELDS)))
        size, page = _whole(query, "PageSize", PAGE_SIZE), _whole(query, "Page", 0)
        size = min(max(size, 1), PAGE_SIZE_MAX)
        matches = self._matching(query)
        after = self._by_sid.get(query["PageToken"][2:]) if "PageToken" in query else None
        skip = 0 if after is not None else page * size
        shown: list[Record] = []
        more = False
        for record in matches:
            if after is not None and record.serial >= after.serial:
                continue
            if skip:
                skip -= 1
                continue
            if len(shown) == size:
                more = True
                break
            shown.append(record)
        return self._page_body(query, shown, size=size, page=page, more=more)

    def _matching(self, query: Mapping[str, str]) -> Iterator[Record]:
        bounds = _bounds(query)
        sender = query.get("From")
        for record in reversed(self._by_to.get(query["To"], []) if "To" in query else self._records):
            if record.status == "deleted" or (sender is not None and sender != shown_sender(record)):
                continue
            if bounds and (record.sent_at is None or not all(low <= record.sent_at < high for low, high in bounds)):
                continue
            yield record

    def _page_body(self, query: Mapping[str, str], shown: list[Record], *, size: int, page: int, more: bool) -> dict[str, Any]:
        path = f"/2010-04-01/Accounts/{self.account_sid}/Messages.json"
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
            "messages": [self.resource(record) for record in shown],
        }

    # Showing

    def resource(self, record: Record) -> dict[str, Any]:
        """The JSON of a message."""
        uri = f"/2010-04-01/Accounts/{self.account_sid}/Messages/{record.sid}"
        unassigned = record.service_sid is not None and record.status in _NOT_SENT
        return {
            "account_sid": self.account_sid,
            "api_version": "2010-04-01",
            "body": record.body,
            "date_created": _rfc2822(record.created_at),
            "date_sent": _rfc2822(record.sent_at) if record.sent_at else None,
            "date_updated": _rfc2822(record.updated_at),
            "direction": record.direction,
            "error_code": record.error_code,
            "error_message": _MEANINGS.get(record.error_code, "Message failed") if record.error_code else None,
            "from": None if unassigned else shown_sender(record),
            "messaging_service_sid": record.service_sid,
            "num_media": str(record.media),
            "num_segments": "0" if unassigned else _segments(record),
            "price": None,
            "price_unit": None,
            "sid": record.sid,
            "status": record.status,
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": record.to,
            "uri": f"{uri}.json",
        }

    def callback_fields(self, record: Record) -> list[tuple[str, str]]:
        """What a status callback says now."""
        fields = [
            ("ApiVersion", "2010-04-01"),
            ("AccountSid", self.account_sid),
            ("From", shown_sender(record)),
            ("To", record.to),
            ("MessageSid", record.sid),
            ("SmsSid", record.sid),
            ("MessageStatus", record.status),
            ("SmsStatus", record.status),
        ]
        if record.service_sid:
            fields.append(("MessagingServiceSid", record.service_sid))
        if record.error_code is not None:
            fields.append(("ErrorCode", str(record.error_code)))
        if record.channel != "sms":
            # Extras of channels; a receiver must take what it does not know (PROVIDERS A5).
            fields += [("ChannelPrefix", record.channel), ("ChannelToAddress", bare(record.to)), ("EventType", record.status.upper())]
        elif record.status in {"delivered", "undelivered"}:
            fields.append(("RawDlrDoneDate", record.updated_at.strftime("%y%m%d%H%M")))
        return fields

    def inbound_fields(self, record: Record) -> list[tuple[str, str]]:
        """What an inbound post says. An advanced opt-out is named where a messaging service got the text."""
        fields = [
            *(_places(record) if record.channel == "sms" else _profile(record)),
            ("SmsMessageSid", record.sid),
            ("MessageSid", record.sid),
            ("SmsSid", record.sid),
            ("SmsStatus", "received"),
            ("NumMedia", str(record.media)),
            ("NumSegments", _segments(record)),
            ("Body", record.body),
            ("From", record.sender or ""),
            ("To", record.to),
            ("AccountSid", self.account_sid),
            ("ApiVersion", "2010-04-01"),
        ]
        for number in range(record.media):
            url = f"https://api.twilio.com/2010-04-01/Accounts/{self.account_sid}/Messages/{record.sid}/Media/ME{number:032x}"
            fields += [(f"MediaUrl{number}", url), (f"MediaContentType{number}", "image/jpeg")]
        if record.service_sid:
            fields.append(("MessagingServiceSid", record.service_sid))
            word = record.body.strip().upper()
            kind = "STOP" if word in STOP_WORDS else "START" if word in START_WORDS else None
            if kind is not None:
                fields.append(("OptOutType", kind))
        return fields


def conclude(record: Record, status: str, at: datetime, reason: str | None = None) -> None:
    """Move a record on to what the town says became of it."""
    record.updated_at = at
    if status == "sent":
        record.status, record.sent_at = "sent", at
    elif record.doomed_code is not None:
        record.status, record.error_code = "undelivered", record.doomed_code
    elif reason is not None:
        record.status, record.error_code = _ENDS_OF.get((record.channel, reason)) or _ENDS[reason]
    else:
        record.status = status


def shown_sender(record: Record) -> str:
    """The number a message comes from, once the messaging service has chosen one."""
    return record.sender or SERVICE_ADDRESSES[channel_of(record.to)]


def is_loopback_url(url: str) -> bool:
    """Whether an address is one that the sandbox may post to."""
    parts = urlsplit(url)
    return parts.scheme in {"http", "https"} and parts.hostname in {"127.0.0.1", "localhost", "::1"}


def _checked_form(fields: Sequence[tuple[str, str]]) -> dict[str, str]:
    form = dict(fields)
    unknown = set(form) - CREATE_FIELDS
    if unknown:
        raise TwilioError(20001, detail=", ".join(sorted(unknown)))
    for name, choices in _CHOICES.items():
        if form.get(name) and form[name] not in choices:
            raise TwilioError(20001, detail=name)
    for name in _BOOLEANS:
        if form.get(name) and form[name].lower() not in {"true", "false"}:
            raise TwilioError(20001, detail=name)
    return form


def _check_addresses(to: str, sender: str | None, service_sid: str | None, form: Mapping[str, str]) -> None:
    """Whether somebody, and somebody of that channel, may be written to by that sender.

    Raises:
        TwilioError: Not so.
    """
    if not is_person(to):
        raise TwilioError(21211)
    if service_sid and not _SERVICE.fullmatch(service_sid):
        raise TwilioError(21212)
    if form.get("FallbackFrom") and sender:
        raise TwilioError(21664)
    if sender:
        if channel_of(sender) != channel_of(to):
            raise TwilioError(21910)
        if not is_sender(sender):
            raise TwilioError(21212)
        if sender == to:
            raise TwilioError(21266)


def _body(form: Mapping[str, str], media: int) -> str:
    body = form.get("Body", "")
    if not body and not media:
        raise TwilioError(21602)
    if len(body) > BODY_CHARACTERS_MAX:
        raise TwilioError(21617)
    return body


def _segments(record: Record) -> str:
    """Text messages are cut into segments; on other channels a message is one."""
    return str(segments(record.body)) if record.channel == "sms" else "1"


def _places(record: Record) -> list[tuple[str, str]]:
    """Where two numbers are, as far as the sandbox knows."""
    of_both = (("To", _country(record.to)), ("From", _country(record.sender or "")))
    return [(f"{whose}{what}", country if what == "Country" else "") for whose, country in of_both for what in _PLACES]


def _profile(record: Record) -> list[tuple[str, str]]:
    """Who wrote on another channel, what was tapped, and what is answered."""
    person = bare(record.sender or "")
    fields = [("ProfileName", "Nobody"), *([("WaId", person.removeprefix("+"))] if record.channel == "whatsapp" else [])]
    if record.tapped is not None:
        fields += [("ButtonText", record.tapped.text), ("ButtonPayload", record.tapped.payload)]
    if record.answers_sid is not None:
        fields += [("OriginalRepliedMessageSid", record.answers_sid), ("OriginalRepliedMessageSender", record.to)]
    return fields


def _validity(form: Mapping[str, str]) -> timedelta:
    text = form.get("ValidityPeriod", "")
    if not text:
        return timedelta(seconds=VALIDITY_SECONDS_MAX)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= VALIDITY_SECONDS_MAX:
        raise TwilioError(90007)
    return timedelta(seconds=int(text))


def _callback(form: Mapping[str, str]) -> str | None:
    url = form.get("StatusCallback", "")
    if not url:
        return None
    if not is_loopback_url(url):
        raise TwilioError(21609, detail="the sandbox posts to loopback only")
    return url


def _schedule(form: Mapping[str, str], now: datetime) -> datetime | None:
    if not form.get("ScheduleType"):
        return None
    if not form.get("MessagingServiceSid"):
        raise TwilioError(35118)
    if not form.get("SendAt"):
        raise TwilioError(35111)
    at = _instant(form["SendAt"])
    if at is None or not SCHEDULE_AHEAD[0] <= at - now <= SCHEDULE_AHEAD[1]:
        raise TwilioError(35114)
    return at


def _bounds(query: Mapping[str, str]) -> list[tuple[datetime, datetime]]:
    """Half-open intervals of date_sent that all must hold; a bare date is its GMT midnight, and alone the whole day."""
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    bounds = []
    for name in ("DateSent", "DateSent>", "DateSent<"):
        if not query.get(name):
            continue
        at = _instant(query[name])
        if at is None:
            raise TwilioError(20001, detail=name)
        if name == "DateSent":
            day = datetime.combine(at.date(), datetime.min.time(), UTC)
            bounds.append((day, day + timedelta(days=1)))
        elif name == "DateSent>":
            bounds.append((at, last))
        else:
            bounds.append((first, at + timedelta(seconds=1)))
    return bounds


def _instant(text: str) -> datetime | None:
    try:
        at = (
            datetime.fromisoformat(text)
            if len(text) > len("2026-01-01")
            else datetime.combine(date.fromisoformat(text), datetime.min.time())
        )
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _whole(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit():
        raise TwilioError(20001, detail=name)
    return int(text)


def _country(number: str) -> str:
    codes = {"+886": "TW", "+86": "CN", "+52": "MX", "+44": "GB", "+1": "US"}
    return next((country for code, country in codes.items() if number.startswith(code)), "")


@lru_cache(maxsize=4096)
def _rfc2822(at: datetime) -> str:
    return format_datetime(at)
