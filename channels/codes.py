"""What providers' codes mean: which condemn the address, which the message, which the whole account.

In:   codes of Twilio, FCM, SMTP and a lender's gateway, as they arrive in a refusal, a status callback or a bounce.
Out:  one of the `ChannelError` family, or what a callback says about the contact point.
Pure: yes; tables and functions over values.
Source: PROVIDERS.md A7 and B3; RFC 5321 4.2, RFC 3463; docs/gateway.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

from channels import AccountHalted, BadAddress, ChannelError, FateUnknown, NeverWorks, OptedOut, TryLater, Unreachable, WindowClosed

HTTP_REQUEST_TIMEOUT: Final = 408
HTTP_TOO_MANY_REQUESTS: Final = 429
HTTP_UNAUTHORIZED: Final = 401
HTTP_FORBIDDEN: Final = 403
HTTP_REFUSED: Final = 400
HTTP_SERVER_ERROR: Final = 500
# A 429 without Retry-After: the account's concurrency was exceeded, a moment later it may not be.
TWILIO_RETRY_SECONDS: Final = 1.0
# The number's own queue is full: it drains at one to a few segments a second.
TWILIO_QUEUE_RETRY_SECONDS: Final = 60.0
DAY_SECONDS: Final = 24 * 3600.0
# Google asks for at least a minute before a quota is tried again, and for at least ten seconds otherwise.
FCM_QUOTA_RETRY_SECONDS: Final = 60.0
FCM_RETRY_SECONDS: Final = 10.0


class Meaning(StrEnum):
    """What an error code says, of the contact point, the person, or ourselves (ledger/lessons.py draws the consequence)."""

    INVALID = "invalid"
    UNREACHABLE = "unreachable"
    OPTED_OUT = "opted_out"
    # Transient: another try, soon or in some hours, within the same window.
    AGAIN_SOON = "again_soon"
    AGAIN_IN_HOURS = "again_in_hours"
    # Our text, sender or registration: no message of this campaign will do better.
    CAMPAIGN = "campaign"
    # Our account: nothing can be sent at all.
    ACCOUNT = "account"
    # Of a day's limit, a closed window, or a code that nobody knows: no more of it today, and no lesson.
    NOTHING = "nothing"


_MEANINGS: Final[Mapping[int, Meaning]] = {
    21211: Meaning.INVALID,  # invalid 'To'
    21217: Meaning.INVALID,  # not a valid phone number
    21265: Meaning.INVALID,  # 'To' cannot be a short code
    13224: Meaning.INVALID,  # a number that cannot be dialled
    21614: Meaning.INVALID,  # not a mobile number
    21214: Meaning.UNREACHABLE,  # calls do not reach that number
    21635: Meaning.UNREACHABLE,  # landline: unreachable by text, a call may arrive
    30004: Meaning.UNREACHABLE,  # blocked by carrier or register
    30005: Meaning.UNREACHABLE,  # unknown or inactive handset
    30006: Meaning.UNREACHABLE,  # landline or carrier that cannot be reached: "do not retry the same SMS"
    63003: Meaning.UNREACHABLE,  # not a user of that service
    63024: Meaning.UNREACHABLE,  # invalid recipient
    63032: Meaning.UNREACHABLE,  # the service does not let us reach this user
    63036: Meaning.UNREACHABLE,  # handset without RCS
    21610: Meaning.OPTED_OUT,  # the person said stop to this sender
    63014: Meaning.OPTED_OUT,  # the user blocked us
    63033: Meaning.OPTED_OUT,  # the recipient blocked us
    30003: Meaning.AGAIN_IN_HOURS,  # handset off or out of reach, "transient"
    30001: Meaning.AGAIN_IN_HOURS,  # the sender's queue overflowed: never sent
    30008: Meaning.AGAIN_SOON,  # the carrier does not say why
    30017: Meaning.AGAIN_SOON,  # carrier congestion
    30022: Meaning.AGAIN_SOON,  # the campaign's rate was exceeded
    30036: Meaning.AGAIN_SOON,  # its validity passed in the queue: never sent
    30410: Meaning.AGAIN_SOON,  # the provider timed out
    63010: Meaning.AGAIN_SOON,  # the channel's own trouble
    63009: Meaning.AGAIN_SOON,  # as above
    63012: Meaning.AGAIN_SOON,  # as above
    63023: Meaning.AGAIN_SOON,  # as above
    21602: Meaning.CAMPAIGN,  # no text
    21617: Meaning.CAMPAIGN,  # text too long
    21205: Meaning.CAMPAIGN,  # no address at which to ask what to say
    21210: Meaning.CAMPAIGN,  # the number that we call from is not verified
    21212: Meaning.CAMPAIGN,  # the number that we call from is none
    21606: Meaning.CAMPAIGN,  # the sender cannot send this
    21654: Meaning.CAMPAIGN,  # template missing, of nobody, with variables that are none, or not for this channel
    21655: Meaning.CAMPAIGN,
    21656: Meaning.CAMPAIGN,
    92005: Meaning.CAMPAIGN,
    92006: Meaning.CAMPAIGN,
    216602: Meaning.CAMPAIGN,
    21659: Meaning.CAMPAIGN,  # not a number of the account
    21703: Meaning.CAMPAIGN,  # messaging service without senders, of the wrong kind, or of nobody
    21704: Meaning.CAMPAIGN,
    21705: Meaning.CAMPAIGN,
    21910: Meaning.CAMPAIGN,  # sender and recipient are of different channels
    30015: Meaning.CAMPAIGN,
    30016: Meaning.CAMPAIGN,
    30007: Meaning.CAMPAIGN,  # filtered as unwanted
    30010: Meaning.CAMPAIGN,  # dearer than the price allowed
    30018: Meaning.CAMPAIGN,  # sender id must be registered
    30024: Meaning.CAMPAIGN,  # sender not provisioned at the carrier
    30032: Meaning.CAMPAIGN,  # toll-free number not verified
    30034: Meaning.CAMPAIGN,  # number of no registered campaign
    63001: Meaning.CAMPAIGN,  # sender of that service not authenticated, suspended or unknown
    63002: Meaning.CAMPAIGN,
    63005: Meaning.CAMPAIGN,  # the service takes no such content
    63006: Meaning.CAMPAIGN,
    63007: Meaning.CAMPAIGN,  # no such sender on that service, or one that is not set up
    63008: Meaning.CAMPAIGN,
    63011: Meaning.CAMPAIGN,
    63013: Meaning.CAMPAIGN,  # against the service's policy
    63015: Meaning.CAMPAIGN,  # the sender is Twilio's own for trials: it reaches only who joined it
    63020: Meaning.CAMPAIGN,
    63021: Meaning.CAMPAIGN,  # content invalid
    63022: Meaning.CAMPAIGN,  # the sender's name is not certified
    63026: Meaning.CAMPAIGN,  # flagged as unwanted
    63027: Meaning.CAMPAIGN,  # template unknown, of other parameters, paused or disabled
    63028: Meaning.CAMPAIGN,
    63029: Meaning.CAMPAIGN,
    63030: Meaning.CAMPAIGN,
    63031: Meaning.CAMPAIGN,  # sender and recipient are the same
    63035: Meaning.CAMPAIGN,  # the RCS sender has not been launched
    63040: Meaning.CAMPAIGN,
    63041: Meaning.CAMPAIGN,
    20003: Meaning.ACCOUNT,  # authentication
    20005: Meaning.ACCOUNT,  # account not active
    20404: Meaning.ACCOUNT,  # no such account at this address: nothing can be sent through it
    30002: Meaning.ACCOUNT,  # account suspended
    63039: Meaning.ACCOUNT,  # the page's behaviour is found bothersome: restrictions follow unless it stops
}
_BUSY: Final = frozenset({20429})  # "never processed, always safe to retry"
_QUEUE_FULL: Final = frozenset({21611})  # the sender's queue holds hours of messages: refused, not queued
# The day's limit of the sender, the account or the person: nothing more before tomorrow.
_DAYS_LIMIT: Final = frozenset({30023, 30027, 63017, 63018, 63038, 63049})
# Nobody may write to this person before she writes: held, not retried.
_WINDOW_CLOSED: Final = frozenset({63016})


# A lender's gateway says it in words (docs/gateway.md, "Statuses").
_GATEWAY_MEANINGS: Final[Mapping[str, Meaning]] = {
    "invalid_address": Meaning.INVALID,
    "unreachable": Meaning.UNREACHABLE,
    "opted_out": Meaning.OPTED_OUT,
    "handset_off": Meaning.AGAIN_IN_HOURS,
    "busy": Meaning.AGAIN_IN_HOURS,
    "no_answer": Meaning.AGAIN_IN_HOURS,
    "carrier_trouble": Meaning.AGAIN_SOON,
    "expired": Meaning.AGAIN_SOON,
    "content_refused": Meaning.CAMPAIGN,
    "sender_refused": Meaning.CAMPAIGN,
    "suspended": Meaning.ACCOUNT,
}


def meaning_of_callback(code: str | None) -> Meaning:
    """What a callback's code (Twilio's number, a gateway's word), or a bounce's enhanced code, says about the message that failed."""
    if code is not None and ENHANCED.fullmatch(code):
        return _smtp_meaning(code)
    if code in _POST_MEANINGS:
        return _POST_MEANINGS[code]
    if code is not None and code.isdecimal():
        return _MEANINGS.get(int(code), Meaning.NOTHING)
    return _GATEWAY_MEANINGS.get(code or "", Meaning.NOTHING)


# RFC 3463: class, subject, detail. The class says whether it passes; subject and detail say of whom it is said.
ENHANCED: Final = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_SMTP_MEANINGS: Final[Mapping[str, Meaning]] = {
    "1.1": Meaning.INVALID,  # no such mailbox
    "1.2": Meaning.INVALID,  # no such host
    "1.3": Meaning.INVALID,  # no address at all
    "1.6": Meaning.INVALID,  # moved, no forwarding address
    "1.10": Meaning.INVALID,  # a domain that takes no mail (RFC 7505)
    "2.0": Meaning.UNREACHABLE,  # something is wrong with the mailbox
    "2.1": Meaning.UNREACHABLE,  # disabled
    "2.2": Meaning.AGAIN_IN_HOURS,  # full
    "4.1": Meaning.AGAIN_IN_HOURS,  # its host does not answer
    "4.4": Meaning.INVALID,  # its host cannot be found
    "4.7": Meaning.AGAIN_IN_HOURS,  # the relay gave up trying
    "7.13": Meaning.UNREACHABLE,  # the account is disabled
}

# Why a letter came back, in the words of the print shop's list (docs/letters.md).
_POST_MEANINGS: Final[Mapping[str | None, Meaning]] = {
    "unknown_address": Meaning.INVALID,
    "moved": Meaning.INVALID,
    "refused": Meaning.NOTHING,
    "unclaimed": Meaning.NOTHING,
    "other": Meaning.NOTHING,
}


def _smtp_meaning(code: str) -> Meaning:
    """What an enhanced code says; of our text, sender or standing where subject 7 (policy) or 6 (content) says it."""
    kind, _, rest = code.partition(".")
    if rest in _SMTP_MEANINGS:
        meaning = _SMTP_MEANINGS[rest]
        return Meaning.AGAIN_IN_HOURS if kind == "4" and meaning in {Meaning.INVALID, Meaning.UNREACHABLE} else meaning
    if kind == "4":
        return Meaning.AGAIN_IN_HOURS
    return Meaning.CAMPAIGN if rest.startswith(("6.", "7.")) else Meaning.NOTHING


# Their status → the attempt's state (ledger/attempts.py). A status that is not here says nothing about a person.
_STATES: Final[Mapping[str, Mapping[str, str]]] = {
    "twilio": {
        "accepted": "accepted",
        "scheduled": "accepted",
        "queued": "accepted",
        "sending": "accepted",
        "sent": "sent",
        "delivered": "delivered",
        "read": "read",
        "undelivered": "undelivered",
        "failed": "failed",
        "canceled": "failed",
        # Of calls (`call_status`). That somebody picked up says nothing: who it is, a key says, or a machine's greeting.
        "initiated": "accepted",
        "ringing": "accepted",
        "in-progress": "accepted",
        "identified": "delivered",
        "voicemail left": "sent",
        "hung up on a machine": "undelivered",
        "busy": "undelivered",
        "no-answer": "undelivered",
        "completed": "undelivered",
        "completed by a machine": "sent",
    },
    # A colleague of the phone team, who dialled (gate/dial.py).
    "phone_team": {
        "conversation": "delivered",
        "voicemail": "sent",
        "limited_content_voicemail": "sent",
        "dropped": "undelivered",
        "no_answer": "undelivered",
        "busy": "undelivered",
        "not_in_service": "failed",
        "wrong_number": "failed",
    },
    # A bounce, and what the print shop and the post tell of a letter (docs/letters.md).
    "smtp": {"failed": "undelivered", "delivered": "delivered", "relayed": "sent"},
    "print_shop": {"posted": "sent", "delivered": "delivered", "returned": "undelivered", "not_printed": "failed"},
    # FCM itself never tells that a notification arrived; the lender's app does.
    "app": {"received": "delivered", "opened": "read"},
    # A gateway speaks in our own words.
    "gateway": {word: word for word in ("accepted", "sent", "delivered", "read", "undelivered", "failed")},
}
# What Advanced Opt-Out of a messaging service recognised by itself.
_OPT_OUT_TYPES: Final[Mapping[str, str]] = {"STOP": "stop", "START": "start", "HELP": "help"}
# The button of a template of ours that the person tapped: its `id` there → the intent. docs/operate.md tells which to register.
_BUTTONS: Final[Mapping[str, str]] = {
    "paid": "paid",
    "more_time": "cannot_pay",
    "call_me": "call_me",
    "person": "help",
    "dispute": "dispute",
    "not_me": "wrong_person",
    "stop": "stop",
}


def state_of(provider: str, status: str) -> str | None:
    """The attempt's state that a provider's (or the app's) status stands for; None where it says nothing."""
    return _STATES.get(provider, {}).get(status)


# How a call ended, in the words of CASES.md, which caps are counted by; a status that is not here says no more than its state.
_RESULTS: Final[Mapping[str, Mapping[str, str]]] = {
    "twilio": {
        "identified": "conversation",
        "voicemail left": "limited_content_voicemail",
        # Somebody picked up, and it ended before anybody said that she is the person asked for: nothing was said of a debt.
        "hung up on a machine": "dropped",
        "completed": "dropped",
        "busy": "busy",
        "no-answer": "no_answer",
    },
    "phone_team": {word: word for word in _STATES["phone_team"]},
}


def result_of(provider: str, status: str) -> str | None:
    """How a call ended, in the words of CASES.md; None where a status says no more than its state."""
    return _RESULTS.get(provider, {}).get(status)


def call_status(status: str, answered_by: str | None) -> str:
    """Twilio's status of a call with who answered it, as one word for `state_of` and `result_of`."""
    by_a_machine = (answered_by or "").startswith(("machine", "fax"))
    return f"{status} by a machine" if status == "completed" and by_a_machine else status


def is_machine(answered_by: str | None) -> bool:
    """Whether Twilio's `AnsweredBy` names a machine; what it could not tell may be a person."""
    return (answered_by or "").startswith("machine")


def intent_of(opt_out_type: str | None) -> str | None:
    """The intent that Twilio's `OptOutType` stands for; None where it gave none, or one that is not known."""
    return _OPT_OUT_TYPES.get((opt_out_type or "").upper())


def intent_of_button(payload: str | None) -> str | None:
    """The intent of a button that was tapped, by its `ButtonPayload`; None where it is none of ours."""
    return _BUTTONS.get((payload or "").strip().lower())


def twilio_refusal(*, status: int, code: int | None, headers: Mapping[str, str]) -> ChannelError:
    """What is known of a message whose call Twilio answered with an HTTP status of 300 or above.

    Args:
        status: HTTP status.
        code: Twilio's own code in the body, None where the body could not be read.
        headers: Response headers, looked up case-insensitively by the caller's mapping.
    """
    word = str(status if code is None else code)
    if status >= HTTP_SERVER_ERROR or status == HTTP_REQUEST_TIMEOUT:
        # Creating a message is not idempotent and Twilio documents no 5xx as unprocessed (20500).
        return FateUnknown(code=word)
    rest_seconds = _rest_seconds(status, code)
    if rest_seconds is not None:
        return TryLater(code=word, retry_after_seconds=retry_after_seconds(headers, default=rest_seconds))
    if code in _WINDOW_CLOSED:
        return WindowClosed(code=word)
    if status == HTTP_UNAUTHORIZED:
        return AccountHalted(code=word)
    # Content, sender, template or route, or a code that is not in the tables: no retry, a person looks.
    return _REFUSALS.get(_MEANINGS.get(code or 0), NeverWorks)(code=word)


def _rest_seconds(status: int, code: int | None) -> float | None:
    """How long to leave it where the refusal passes by itself and names no time; None where it does not pass."""
    if status == HTTP_TOO_MANY_REQUESTS or code in _BUSY:
        return TWILIO_RETRY_SECONDS
    if code in _DAYS_LIMIT:
        return DAY_SECONDS
    return TWILIO_QUEUE_RETRY_SECONDS if code in _QUEUE_FULL or _MEANINGS.get(code or 0) in _AGAIN else None


_AGAIN: Final = frozenset({Meaning.AGAIN_SOON, Meaning.AGAIN_IN_HOURS})
_REFUSALS: Final[Mapping[Meaning | None, type[ChannelError]]] = {
    Meaning.INVALID: BadAddress,
    Meaning.UNREACHABLE: Unreachable,
    Meaning.OPTED_OUT: OptedOut,
    Meaning.ACCOUNT: AccountHalted,
}


# The relay's own limits pass by themselves; a greylisting relay wants minutes.
SMTP_BUSY_SECONDS: Final = 30.0
SMTP_LATER_SECONDS: Final = 900.0
# The relay closes the channel: what comes next on it is not heard.
SMTP_CLOSING: Final = 421
SMTP_SIGN_IN: Final = frozenset({530, 534, 535, 538})
SMTP_FOR_GOOD: Final = 500
# Without an enhanced code: said of a recipient, they condemn the mailbox.
SMTP_NO_MAILBOX: Final = frozenset({550, 551, 553})


def smtp_refusal(phase: str, code: int, words: bytes) -> ChannelError:
    """What is known of a message that a relay did not take: surely not sent, since it said so.

    Args:
        phase: MAIL, RCPT, DATA, or TEXT for the answer to the whole text.
        code: Of its reply.
        words: Of its reply; read for an enhanced code alone, since they may quote the address.
    """
    first = words.split(maxsplit=1)[0].decode("ascii", "replace") if words.split() else ""
    enhanced = first if ENHANCED.fullmatch(first) else None
    word = enhanced or str(code)
    if code in SMTP_SIGN_IN:
        return AccountHalted(code=word)
    if code < SMTP_FOR_GOOD:
        seconds = SMTP_BUSY_SECONDS if code == SMTP_CLOSING else SMTP_LATER_SECONDS
        return TryLater(code=word, retry_after_seconds=seconds)
    if phase == "MAIL":
        return NeverWorks(code=word)
    meaning = _smtp_meaning(enhanced) if enhanced else Meaning.INVALID if phase == "RCPT" and code in SMTP_NO_MAILBOX else Meaning.CAMPAIGN
    if meaning in _AGAIN:
        return TryLater(code=word, retry_after_seconds=DAY_SECONDS)
    return _REFUSALS.get(meaning, NeverWorks)(code=word)


FCM_BAD_ADDRESS: Final = frozenset(
    {
        "UNREGISTERED",  # the app was removed, or the token replaced
        "SENDER_ID_MISMATCH",  # the token belongs to another app
    }
)


def fcm_refusal(*, status: int, code: str, names_the_token: bool, headers: Mapping[str, str]) -> ChannelError:
    """What is known of a notification whose call FCM answered with an HTTP error.

    Args:
        status: HTTP status.
        code: FCM's error code, or the platform's where FCM gave none.
        names_the_token: Whether the error's text speaks of the registration token. INVALID_ARGUMENT is said of a token
            and of a payload alike: one bad text must not retire every phone it was sent to.
        headers: Response headers, looked up case-insensitively by the caller's mapping.
    """
    if status >= HTTP_SERVER_ERROR or status == HTTP_REQUEST_TIMEOUT:
        return FateUnknown(code=code)
    if status == HTTP_TOO_MANY_REQUESTS:
        return TryLater(code=code, retry_after_seconds=retry_after_seconds(headers, default=FCM_QUOTA_RETRY_SECONDS))
    if code in FCM_BAD_ADDRESS or (status == HTTP_REFUSED and names_the_token):
        return BadAddress(code=code)
    if code != "THIRD_PARTY_AUTH_ERROR" and status in {HTTP_UNAUTHORIZED, HTTP_FORBIDDEN}:
        return AccountHalted(code=code)
    # A key of Apple's or the browser's that is wrong (THIRD_PARTY_AUTH_ERROR) stops those phones, not the others.
    return NeverWorks(code=code)


# A gateway's word in a refusal → what is known (docs/gateway.md, "Errors"). `key_reused` says that this key was taken before.
_GATEWAY_REFUSALS: Final[Mapping[str, type[ChannelError]]] = {
    "invalid_address": BadAddress,
    "unreachable": Unreachable,
    "opted_out": OptedOut,
    "window_closed": WindowClosed,
    "key_reused": FateUnknown,
    "in_progress": FateUnknown,
}
# A busy gateway that does not say how long.
GATEWAY_RETRY_SECONDS: Final = 1.0
UNKNOWN_KEY: Final = "unknown_key"
IN_PROGRESS: Final = "in_progress"
NOT_TAKEN: Final = "not_taken"
HTTP_CONFLICT: Final = 409
HTTP_UNPROCESSABLE: Final = 422
HTTP_UNAVAILABLE: Final = 503


def gateway_refusal(*, status: int, code: str | None, headers: Mapping[str, str]) -> ChannelError:
    """What is known of a message whose call a lender's gateway answered with an HTTP status of 300 or above.

    Args:
        status: HTTP status.
        code: The gateway's word, None where its answer could not be read: then it may be a proxy's before it.
        headers: Response headers, looked up case-insensitively by the caller's mapping.
    """
    word = code or str(status)
    if status == HTTP_TOO_MANY_REQUESTS or (status == HTTP_UNAVAILABLE and code == NOT_TAKEN):
        return TryLater(code=word, retry_after_seconds=retry_after_seconds(headers, default=GATEWAY_RETRY_SECONDS))
    if status >= HTTP_SERVER_ERROR or status < HTTP_REFUSED or status in {HTTP_REQUEST_TIMEOUT, HTTP_CONFLICT}:
        return FateUnknown(code=word)
    if status in {HTTP_UNAUTHORIZED, HTTP_FORBIDDEN}:
        return AccountHalted(code=word)
    if status == HTTP_UNPROCESSABLE:
        return _GATEWAY_REFUSALS.get(word, NeverWorks)(code=word)
    # Malformed, too large, or no such path: the next message fares no better.
    return NeverWorks(code=word)


def retry_after_seconds(headers: Mapping[str, str], *, default: float) -> float:
    """Seconds that `Retry-After` asks for: a number, or a date counted from the response's own `Date`; else `default`."""
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", value):
        return float(value)
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, TypeError):  # one of the two is no date, or one has a zone and the other has none
        return default
    return max(0.0, wait.total_seconds())
