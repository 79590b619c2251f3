"""What providers' codes mean: which condemn the address, which the message, which the whole account.

In:   codes of Twilio and FCM, as they arrive in a refusal or in a status callback.
Out:  one of the `ChannelError` family, or what a callback says about the contact point.
Pure: yes; tables and functions over values.
Source: PROVIDERS.md A7 and B3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

from channels import AccountHalted, BadAddress, ChannelError, FateUnknown, NeverWorks, OptedOut, TryLater

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
# Google asks for at least a minute before a quota is tried again, and for at least ten seconds otherwise.
FCM_QUOTA_RETRY_SECONDS: Final = 60.0
FCM_RETRY_SECONDS: Final = 10.0

# Refusals of the call itself ---------------------------------------------------------------------------------------

TWILIO_BAD_ADDRESS: Final = frozenset(
    {
        21211,  # invalid 'To'
        21217,  # not a valid phone number
        21265,  # 'To' cannot be a short code
        21614,  # not a mobile number
        21635,  # landline: no text ever arrives, a call may
    }
)
TWILIO_OPTED_OUT: Final = frozenset({21610})  # the person said stop to this sender
TWILIO_ACCOUNT: Final = frozenset(
    {
        20003,  # authentication
        20005,  # account not active
        20404,  # no such account at this address: nothing can be sent through it
        30002,  # account suspended
    }
)
TWILIO_BUSY: Final = frozenset({20429})  # "never processed, always safe to retry"
TWILIO_QUEUE_FULL: Final = frozenset({21611, 30001})  # the sender's queue holds hours of messages: refused, not queued

# What a callback says about the contact point ----------------------------------------------------------------------


class Meaning(StrEnum):
    """What a delivery report's error code says about the contact point."""

    INVALID = "invalid"
    UNREACHABLE = "unreachable"
    OPTED_OUT = "opted_out"
    # Transient, or about our sender, text or account: says nothing about the person's address.
    NOTHING = "nothing"


_CALLBACK: Final[Mapping[int, Meaning]] = {
    21211: Meaning.INVALID,
    21217: Meaning.INVALID,
    21614: Meaning.INVALID,
    21635: Meaning.UNREACHABLE,  # landline: unreachable by text
    30004: Meaning.UNREACHABLE,  # blocked by carrier or register
    30005: Meaning.UNREACHABLE,  # unknown or inactive handset
    30006: Meaning.UNREACHABLE,  # landline or carrier that cannot be reached: "do not retry the same SMS"
    63003: Meaning.UNREACHABLE,  # not a user of that service
    63024: Meaning.UNREACHABLE,  # invalid recipient
    63032: Meaning.UNREACHABLE,  # the service does not let us reach this user
    63036: Meaning.UNREACHABLE,  # handset without RCS
    21610: Meaning.OPTED_OUT,
    63014: Meaning.OPTED_OUT,  # the user blocked us
    63033: Meaning.OPTED_OUT,  # the recipient blocked us
}


def meaning_of_callback(code: str | None) -> Meaning:
    """What a status callback's `ErrorCode` says about the contact point it was sent to."""
    return _CALLBACK.get(int(code), Meaning.NOTHING) if code is not None and code.isdecimal() else Meaning.NOTHING


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
    },
    # FCM itself never tells that a notification arrived; the lender's app does.
    "app": {"received": "delivered", "opened": "read"},
}
# What Advanced Opt-Out of a messaging service recognised by itself.
_OPT_OUT_TYPES: Final[Mapping[str, str]] = {"STOP": "stop", "START": "start", "HELP": "help"}


def state_of(provider: str, status: str) -> str | None:
    """The attempt's state that a provider's (or the app's) status stands for; None where it says nothing."""
    return _STATES.get(provider, {}).get(status)


def intent_of(opt_out_type: str | None) -> str | None:
    """The intent that Twilio's `OptOutType` stands for; None where it gave none, or one that is not known."""
    return _OPT_OUT_TYPES.get((opt_out_type or "").upper())


def twilio_refusal(*, status: int, code: int | None, headers: Mapping[str, str]) -> ChannelError:
    """What is known of a message whose call Twilio answered with an HTTP status of 300 or above.

    Args:
        status: HTTP status.
        code: Twilio's own code in the body, None where the body could not be read.
        headers: Response headers, looked up case-insensitively by the caller's mapping.
    """
    word = str(status if code is None else code)
    refusal: ChannelError
    if status >= HTTP_SERVER_ERROR or status == HTTP_REQUEST_TIMEOUT:
        # Creating a message is not idempotent and Twilio documents no 5xx as unprocessed (20500).
        refusal = FateUnknown(code=word)
    elif status == HTTP_TOO_MANY_REQUESTS or code in TWILIO_BUSY:
        refusal = TryLater(code=word, retry_after_seconds=retry_after_seconds(headers, default=TWILIO_RETRY_SECONDS))
    elif code in TWILIO_QUEUE_FULL:
        refusal = TryLater(code=word, retry_after_seconds=retry_after_seconds(headers, default=TWILIO_QUEUE_RETRY_SECONDS))
    elif code in TWILIO_OPTED_OUT:
        refusal = OptedOut(code=word)
    elif code in TWILIO_BAD_ADDRESS:
        refusal = BadAddress(code=word)
    elif status == HTTP_UNAUTHORIZED or code in TWILIO_ACCOUNT:
        refusal = AccountHalted(code=word)
    else:
        # Content, sender, template or route: no retry, a person looks (also for a code that is not in the tables).
        refusal = NeverWorks(code=word)
    return refusal


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
