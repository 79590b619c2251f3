"""What can go wrong between a sender and a provider, switched on by hand, drawn by the seed.

In:   a list of faults to have in force, and "a call of this channel comes in".
Out:  which faults strike it.
Pure: yes, but for its own counters. What each fault means on the wire: docs/sandbox.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.chance import Chance
from sandbox.fcm import ERRORS
from sandbox.gateway import ERRORS as GATEWAY_ERRORS
from sandbox.signed import OF_LOANS
from sandbox.social import CHANNELS

# The lender's own systems.
OWN = ("gateway", "core", "wallet")
# Twilio's calls, beside the channels of its messages.
VOICE = "voice"
# Strike when a message is created.
CREATE_FAULTS = (
    "accept_then_drop",  # takes the message, then the connection breaks without an answer
    "accept_then_500",  # takes the message, answers 500
    "drop_before_accept",  # the connection breaks, the message is not taken
    "unavailable",  # 503, not taken
    "internal",  # 500, not taken
    "too_many_requests",  # 429 (Twilio 20429, FCM QUOTA_EXCEEDED, a gateway's busy), not taken; `seconds` is Retry-After
    "delayed_accept",  # `seconds` pass, then the message is taken and answered, even if the caller has gone
    "delayed_answer",  # taken at once, answered after `seconds`
    "rejected",  # refused with `code` (a Twilio code, an FCM error code or a gateway's)
    "undelivered",  # taken, and later reported with `code` (Twilio and gateway)
    "callback_before_response",  # taken, delivered and reported before the answer
    "never_reported",  # taken and delivered, and no status callback ever says so
)
# Strike when a status callback is due; `seconds` is how late a late one is.
CALLBACK_FAULTS = ("callback_lost", "callback_duplicated", "callback_reordered", "callback_late")
# Strike when somebody asks for the list of messages.
LIST_FAULTS = ("list_unavailable", "list_dropped")
FAULTS = CREATE_FAULTS + CALLBACK_FAULTS + LIST_FAULTS


class FaultError(ValueError):
    """A fault that cannot be switched on, and why."""


@dataclass(slots=True)
class Fault:
    """One fault in force: strikes each call with `probability`, at most `count` times (None: without end)."""

    fault: str
    channel: str = "any"
    probability: float = 1.0
    count: int | None = None
    seconds: float = 1.0
    code: int | str | None = None
    to: str | None = None
    seen: int = 0
    struck: int = 0


class Faults:
    """The faults in force. The first that strikes a call is the one."""

    def __init__(self, seed: str) -> None:
        """None in force."""
        self._chance = Chance(seed)
        self._in_force: list[Fault] = []

    def put(self, described: Sequence[Mapping[str, Any]]) -> None:
        """Put these in force instead of those before.

        Raises:
            FaultError: One is not described rightly; then none changes.
        """
        self._in_force = [_read(one) for one in described]

    def strike(self, channel: str, to: str, kinds: Sequence[str]) -> Fault | None:
        """The fault that strikes this call, if any."""
        for number, fault in enumerate(self._in_force):
            if fault.fault not in kinds or fault.channel not in {"any", channel} or fault.to not in {None, to}:
                continue
            if fault.count is not None and fault.struck >= fault.count:
                continue
            fault.seen += 1
            if self._chance.unit("fault", number, fault.fault, fault.seen) < fault.probability:
                fault.struck += 1
                return fault
        return None

    @property
    def in_force(self) -> list[dict[str, Any]]:
        """Each fault with how often it had its chance and struck."""
        return [{name: getattr(fault, name) for name in Fault.__slots__} for fault in self._in_force]

    def __bool__(self) -> bool:
        """Whether any is in force."""
        return bool(self._in_force)


def _read(described: Mapping[str, Any]) -> Fault:
    unknown = set(described) - (set(Fault.__slots__) - {"seen", "struck"})
    if unknown:
        raise FaultError(f"a fault has no {', '.join(sorted(unknown))}")
    fault = Fault(**{"fault": "", **described})
    if fault.fault not in FAULTS:
        raise FaultError(f"no fault {fault.fault!r}; known: {', '.join(FAULTS)}")
    if fault.channel not in {"any", "push", *OWN, VOICE, *CHANNELS}:
        raise FaultError(f"channel is any, push, {', '.join(OWN)} or one of Twilio's: {', '.join((*CHANNELS, VOICE))}")
    if not _is_number(fault.probability) or not 0 <= fault.probability <= 1:
        raise FaultError("probability is from 0 to 1")
    if fault.count is not None and (not _is_number(fault.count) or fault.count != int(fault.count) or fault.count < 1):
        raise FaultError("count is a whole number from 1, or null")
    if not _is_number(fault.seconds) or not 0 <= fault.seconds <= 600:  # noqa: PLR2004  # longer than any time-out
        raise FaultError("seconds is from 0 to 600")
    if fault.fault == "rejected" and not _is_refusal(fault):
        raise FaultError(
            "rejected needs a channel of Twilio's and a Twilio code, or channel push and an FCM error code,"
            " or a channel of the lender's own and its code"
        )
    if fault.fault == "undelivered" and not (
        (_is_twilio_code(fault) and fault.channel != VOICE) or (fault.channel == "gateway" and isinstance(fault.code, str))
    ):
        raise FaultError("undelivered needs a channel of Twilio's and a Twilio code, or channel gateway and its code")
    return fault


def _is_refusal(fault: Fault) -> bool:
    if fault.channel in {"push", *OWN}:
        return fault.code in (ERRORS if fault.channel == "push" else GATEWAY_ERRORS | OF_LOANS)
    return _is_twilio_code(fault)


def _is_twilio_code(fault: Fault) -> bool:
    return fault.channel in (*CHANNELS, VOICE) and isinstance(fault.code, int) and not isinstance(fault.code, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
