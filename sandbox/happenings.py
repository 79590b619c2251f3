"""What can happen in the town, and what is handed to it: messages, calls, payments, answers. Values only.

In:   nothing.
Out:  the types that sandbox/town.py takes and yields.
Pure: yes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sandbox.social import Button


@dataclass(frozen=True, slots=True)
class Plan:
    """Instalments that are offered: (local day, minor units), ascending by day."""

    payments: tuple[tuple[date, int], ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One message as the carrier holds it.

    Attributes:
        address: Number, push token or Messenger id, without the channel's prefix.
        text: What the phone shows; of a push, title and body.
        buttons: That can be tapped in place of writing.
        plan: What the page behind the link offers; None = only to pay.
        at_once: The carrier takes no time over this one.
        doomed: The carrier will lose this one (a fault was switched on).
        nth: The how-manieth to this address; the town counts.
    """

    message_id: str
    channel: str
    address: str
    sender: str
    text: str
    expires_at: datetime
    at_once: bool = False
    doomed: bool = False
    nth: int = 0
    buttons: tuple[Button, ...] = ()
    plan: Plan | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """The carrier took the message on."""

    at: datetime
    message: Message


@dataclass(frozen=True, slots=True)
class Delivered:
    """The phone has it: a text is there, a notification is shown."""

    at: datetime
    message: Message


@dataclass(frozen=True, slots=True)
class Undelivered:
    """It never will be. Reasons: expired, handset_off, unknown_handset, landline, carrier_unknown, not_there; for a push: not_shown."""

    at: datetime
    message: Message
    reason: str


@dataclass(frozen=True, slots=True)
class Opened:
    """Someone tapped the notification."""

    at: datetime
    message: Message


@dataclass(frozen=True, slots=True)
class Seen:
    """Someone read a message, on a channel that shows it, and lets it be shown."""

    at: datetime
    message: Message


@dataclass(frozen=True, slots=True)
class Replied:
    """Someone answered a text, or tapped a button. `intent` is what they meant: for tests and the summary, not for the lender."""

    at: datetime
    message: Message
    text: str
    intent: str
    tapped: Button | None = None


@dataclass(frozen=True, slots=True)
class Paid:
    """Money moved; the lender's feed shows it from `at` on. A returned payment is negative and names what it takes back."""

    at: datetime
    external_id: str
    loan_ref: str
    currency: str
    amount_minor: int
    paid_at: datetime
    state: str
    reverses_external_id: str | None


@dataclass(frozen=True, slots=True)
class Ring:
    """One call as the carrier holds it.

    Attributes:
        patience_seconds: So long it rings.
        by_person: A colleague of the lender dials and talks; else a machine does.
        named: The phone shows whose number it is.
        plan: What the colleague may offer; None = nothing.
        nth: The how-manieth to this number; the town counts.
    """

    call_id: str
    address: str
    sender: str
    patience_seconds: int
    nth: int = 0
    by_person: bool = False
    named: bool = False
    plan: Plan | None = None


@dataclass(frozen=True, slots=True)
class Ringing:
    """The phone rings."""

    at: datetime
    ring: Ring


@dataclass(frozen=True, slots=True)
class PickedUp:
    """Somebody, or something, answered: `human`, `machine` or `fax`; `unknown` where a provider could not tell."""

    at: datetime
    ring: Ring
    by: str


@dataclass(frozen=True, slots=True)
class NotTaken:
    """Nobody answered. Reasons, as Twilio names them: busy, no-answer, failed."""

    at: datetime
    ring: Ring
    reason: str


@dataclass(frozen=True, slots=True)
class Phone:
    """How a phone of the test's own answers: by whom, or why not; and which keys are pressed, one for each time that one is waited for."""

    answers: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody said to a colleague on the phone, as the colleague writes it down. `on` is the day of a promise."""

    at: datetime
    ring: Ring
    intent: str
    on: date | None = None


@dataclass(frozen=True, slots=True)
class Complained:
    """Somebody complained of how they are treated, by whatever way; `channel` is what they complain of."""

    at: datetime
    loan_ref: str | None
    address: str
    channel: str


@dataclass(frozen=True, slots=True)
class TookPlan:
    """Somebody agreed to the instalments that they were shown, or told of."""

    at: datetime
    loan_ref: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class Borrowed:
    """Harm: somebody paid because of a message while the wallet was empty, with money borrowed elsewhere. No lender sees it."""

    at: datetime
    loan_ref: str
    amount_minor: int


Event = (
    Sent
    | Delivered
    | Undelivered
    | Opened
    | Seen
    | Replied
    | Paid
    | Ringing
    | PickedUp
    | NotTaken
    | Said
    | Complained
    | TookPlan
    | Borrowed
)
