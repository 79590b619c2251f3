"""The town: residents who receive, read, ignore, reply, pay, move and lose phones, on a clock that steps.

In:   a seed, a world's parameters, residents with what they owe, messages handed over by a provider, and "it is now T".
Out:  what happened up to T, in order.
Pure: yes; a kernel of state and steps without I/O, wall clock or unnamed chance (chance.py). Same loads and steps, same
      events; messages to different people may be handed over in any order.

What a resident is like is hidden: nobody outside may read it. A resident reads a text as a person would: does it say how
much, and how to pay? Parameters and their sources: parameters.py, docs/town.md.
"""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sandbox import keys, words
from sandbox.chance import Chance
from sandbox.happenings import (
    Borrowed,
    Complained,
    Delivered,
    Event,
    Message,
    NotTaken,
    Opened,
    Paid,
    Phone,
    PickedUp,
    Plan,
    Replied,
    Ring,
    Ringing,
    Said,
    Seen,
    Sent,
    TookPlan,
    Undelivered,
)
from sandbox.purse import Purse, draw_purse, is_empty, keeps_instalment
from sandbox.social import PREFIXES

WAKES, SLEEPS = 7, 23
CARRIER_GIVES_UP = timedelta(hours=4)
READ_MINUTES_MEDIAN = 20
PROMISE_DAYS_MAX = 10
NUMBER_RESTS_DAYS = 21
# How many missed instalments in a row end a plan, and after how many days words about consequences have worn off.
MISSED_MAX = 2
CONSEQUENCE_DAYS = 7
# Contacts that are still felt before one more makes a complaint likelier.
PATIENCE = 2
# Whoever reads them does so wherever their number has gone.
_NOT_BY_NUMBER = frozenset({"push", "messenger", "email", "in_app"})
_AMOUNT = re.compile(r"\d")
_WAY_TO_PAY = re.compile(r"https?://|www\.|\bpay at\b|[a-z0-9-]+\.[a-z]{2,}/", re.IGNORECASE)
# The tone of a text, in the languages that the town reads.
_CONSEQUENCE = re.compile(
    r"consequence|legal|court|credit bureau|後果|後續|法律|訴訟|聯徵|后果|诉讼|征信|consecuencia|judicial|demanda", re.IGNORECASE
)
_WARM = re.compile(
    r"\bhelp|together|more time|\btalk\b|協助|幫|一起|商量|更多時間|帮|协助|更多时间|ayud|juntos|más tiempo|hablar", re.IGNORECASE
)
# What people of each temper write when they write of their own accord (weights, assumed).
_INTENTS = {
    "forgot": (("promise", 0.5), ("paid", 0.25), ("call_me", 0.05), ("unclear", 0.2)),
    "timing": (("promise", 0.7), ("cannot_pay", 0.1), ("call_me", 0.1), ("unclear", 0.1)),
    "hardship": (("cannot_pay", 0.6), ("promise", 0.1), ("call_me", 0.15), ("unclear", 0.15)),
    "unwilling": (("dispute", 0.5), ("stop", 0.2), ("unclear", 0.3)),
}
# What they press in a menu that they listen to (weights, assumed).
_WANTS = {
    "forgot": (("paid", 0.4), ("cannot_pay", 0.3), ("call_me", 0.3)),
    "timing": (("cannot_pay", 0.6), ("call_me", 0.3), ("help", 0.1)),
    "hardship": (("cannot_pay", 0.5), ("call_me", 0.2), ("help", 0.3)),
    "unwilling": (("help", 0.5), ("stop", 0.5)),
}
# Channels on which opening is not a matter of course, and those on which people talk.
_READ_SHARE = {"push": "push_opened", "in_app": "push_opened", "email": "email_opened"}
_CALLS = frozenset({"voice", "call"})
# Where someone who moves may go.
_ZONES = {
    "America": ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"),
    "Mexico": ("America/Mexico_City", "America/Hermosillo", "America/Tijuana", "America/Cancun"),
}


@dataclass(slots=True)
class Loan:
    """What a resident owes; `age_days` counts from the day the town heard of it."""

    loan_ref: str
    currency: str
    owed_minor: int
    since: date
    payments: int = 0


@dataclass(slots=True)
class Resident:
    """Someone of the town. All but address, locale and zone is hidden."""

    key: str
    phone: str | None
    push_token: str | None
    locale: str
    zone: str
    temper: str
    purse: Purse
    number: str
    app: str
    taste: tuple[float, ...]
    # Channels beside text messages on which this person is reached, and whether a sender sees that a message was read.
    on: frozenset[str] = frozenset()
    shows_reading: bool = False
    loans: dict[str, Loan] = field(default_factory=dict)
    phone_off_until: datetime | None = None
    email: str | None = None
    plan: Plan | None = None
    missed: int = 0
    talks: int = 0
    pressed_at: datetime | None = None
    recent_contacts: float = 0.0
    stranger_answered: bool = False
    paid_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _NewDay:
    """Midnight in a zone."""

    zone: str


@dataclass(frozen=True, slots=True)
class _Read:
    """Someone looks at a message."""

    resident: Resident
    message: Message


@dataclass(frozen=True, slots=True)
class _Pay:
    """Someone sits down to pay; `lends` = with money borrowed elsewhere."""

    resident: Resident
    loan_ref: str
    lends: bool = False


@dataclass(frozen=True, slots=True)
class _Instalment:
    """The day of the plan's next payment."""

    resident: Resident
    loan_ref: str
    plan: Plan
    place: int


class Town:
    """Residents, their phones and the time. `now` only moves forward."""

    def __init__(self, *, seed: str, world: Mapping[str, float], now: datetime, prompt: bool = False) -> None:
        """An empty town.

        Args:
            seed: Of everything that happens.
            world: A value for each of PARAMETERS.
            now: Where the clock stands (UTC).
            prompt: Carriers take no time and no phone is off for a while: each message ends at once (tests, benchmarks).
        """
        self.now = now
        self._chance = Chance(seed)
        self._world = world
        self._prompt = prompt
        self._residents: dict[str, Resident] = {}
        self._by_phone: dict[str, Resident] = {}
        self._by_token: dict[str, Resident] = {}
        self._by_messenger: dict[str, Resident] = {}
        self._by_email: dict[str, Resident] = {}
        self._by_zone: dict[str, dict[str, Resident]] = {}
        self._owner: dict[str, str] = {}
        self._dead_tokens: set[str] = set()
        self._withdrawn: set[str] = set()
        self._messages_to: dict[str, int] = {}
        self._calls_to: dict[str, int] = {}
        self._phones: dict[str, Phone] = {}
        # Call → for how many keys it has waited.
        self._waited_for: dict[str, int] = {}
        self._agenda: list[tuple[datetime, str, int, Event | _NewDay | _Read | _Pay | _Instalment]] = []
        self._serial = 0

    # Who lives here

    def settle(
        self,
        *,
        phone: str | None,
        push_token: str | None,
        locale: str,
        zone: str,
        loans: Iterable[tuple[str, str, int]],
        messenger_id: str | None = None,
        email: str | None = None,
        income_minor: int = 0,
    ) -> Resident:
        """Someone moves in, or someone known owes a further loan. A loan that is known stays as it is.

        Args:
            phone: E.164, or None.
            push_token: The app's registration token, or None.
            locale: What they read and write.
            zone: IANA name.
            loans: (loan_ref, ISO 4217, owed in minor units).
            messenger_id: What the lender's page knows them by on Messenger, or None.
            email: Address of their post, or None.
            income_minor: What comes into the wallet in 30 days; 0 = not known. Counts when they move in.

        Raises:
            ValueError: Neither phone nor token and no loan, an unknown zone, or an amount that is not positive.
        """
        debts = list(loans)
        if any(owed_minor <= 0 for _, _, owed_minor in debts):
            raise ValueError("owed_minor must be positive")
        if not (phone or push_token or debts):
            raise ValueError("a resident needs a phone, a push token or a loan")
        resident = self._known(phone, push_token, debts) or self._newcomer(phone, push_token, debts, locale, zone, income_minor)
        if messenger_id is not None:
            self._by_messenger[messenger_id] = resident
        if email is not None:
            resident.email = email
            self._by_email[email] = resident
        today = self.now.astimezone(ZoneInfo(resident.zone)).date()
        for loan_ref, currency, owed_minor in debts:
            if loan_ref not in self._owner:
                self._owner[loan_ref] = resident.key
                resident.loans[loan_ref] = Loan(loan_ref, currency, owed_minor, today)
        return resident

    def _known(self, phone: str | None, push_token: str | None, debts: list[tuple[str, str, int]]) -> Resident | None:
        for loan_ref, _, _ in debts:
            if loan_ref in self._owner:
                return self._residents[self._owner[loan_ref]]
        if push_token is not None:
            return self._by_token.get(push_token)
        return None if phone is None or debts else self._by_phone.get(phone)

    def _newcomer(
        self, phone: str | None, push_token: str | None, debts: list[tuple[str, str, int]], locale: str, zone: str, income_minor: int
    ) -> Resident:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"unknown zone {zone!r}") from error
        # A number is the likeliest to stay the same from one load to the next; a household shares one.
        key = phone if phone is not None and phone not in self._by_phone else push_token or debts[0][0]
        draw, world = self._chance, self._world
        tempers = [(temper, world[f"{temper}_share"]) for temper in _INTENTS]
        dead = (1 - world["sms_delivered"]) / 2
        numbers = [
            ("wrong", world["wrong_number_share"]),
            ("landline", world["landline_share"]),
            ("dead", dead),
            ("own", max(0.0, 1 - dead - world["wrong_number_share"] - world["landline_share"])),
        ]
        temper = draw.pick(tempers, key, "temper")
        spread = world["hour_taste_spread"]
        resident = Resident(
            key=key,
            phone=phone,
            push_token=push_token,
            locale=locale,
            zone=zone,
            temper=temper,
            purse=draw_purse(draw, world, key, temper, income_minor),
            number=draw.pick(numbers, key, "number"),
            app="shows" if draw.unit(key, "permission") < world["push_permitted"] else "silent",
            taste=tuple(draw.within(1 - spread, 1 + spread, key, "taste", slot) for slot in range(4)),
            on=frozenset(channel for channel in ("whatsapp", "rcs") if draw.unit(key, channel) < world[f"{channel}_share"]),
            shows_reading=draw.unit(key, "receipts") < world["read_receipts"],
        )
        self._residents[key] = resident
        if phone is not None:
            # A phone in a household rings with whoever had it first.
            self._by_phone.setdefault(phone, resident)
        if push_token is not None:
            self._by_token[push_token] = resident
            if draw.unit(key, "stale") < world["stale_token_share"]:
                self._dead_tokens.add(push_token)
        self._move_in(resident, zone)
        return resident

    def _move_in(self, resident: Resident, zone: str) -> None:
        neighbours = self._by_zone.setdefault(zone, {})
        if not neighbours:
            self._plan(self._midnight_after(self.now, zone), "", _NewDay(zone))
        neighbours[resident.key] = resident
        resident.zone = zone

    @property
    def residents(self) -> int:
        """How many live here."""
        return len(self._residents)

    def paid_elsewhere(self, loan_ref: str, amount_minor: int) -> None:
        """Somebody paid by the wallet: so much less is owed, and nobody pays it a second time."""
        if loan_ref in self._owner:
            loan = self._residents[self._owner[loan_ref]].loans[loan_ref]
            loan.owed_minor = max(0, loan.owed_minor - amount_minor)

    @property
    def owed_minor(self) -> dict[str, int]:
        """What is still owed, by currency."""
        owed: dict[str, int] = {}
        for resident in self._residents.values():
            for loan in resident.loans.values():
                owed[loan.currency] = owed.get(loan.currency, 0) + loan.owed_minor
        return owed

    # What a provider may ask and hand over

    def is_registered(self, push_token: str) -> bool:
        """Whether an app with this token is installed. A token the town never heard of belongs to someone out of town."""
        return push_token not in self._dead_tokens

    def submit(self, message: Message) -> None:
        """Hand a message to the carrier now; what becomes of it are later events."""
        resident = self._whose(message)
        # The how-manieth to this address names the draws, so that ids decide nothing.
        nth = self._messages_to[message.address] = self._messages_to.get(message.address, 0) + 1
        carried = replace(message, nth=nth)
        if message.channel in {"push", "in_app"}:
            self._carry_push(carried, resident)
        else:
            self._carry_text(carried, resident)

    def _whose(self, message: Message) -> Resident | None:
        """Who has an address; None = someone out of town."""
        known = {
            "push": self._by_token,
            "in_app": self._by_token,
            "messenger": self._by_messenger,
            "email": self._by_email,
        }.get(message.channel, self._by_phone)
        return known.get(message.address)

    def withdraw(self, message_id: str) -> None:
        """Forget a message that has not reached the carrier yet."""
        self._withdrawn.add(message_id)

    def _carry_text(self, message: Message, resident: Resident | None) -> None:
        """Plan delivery: at once, later when the phone is back, or never, with the reason."""
        sent_at = self._soon(1.0, message, "sent")
        arrives_at = max(self._soon(10.0, message, "arrives"), sent_at)
        reason = _never_there(message.channel, resident)
        if reason is not None:
            self._plan(sent_at, message.address, Sent(sent_at, message))
            self._plan(arrives_at, message.address, Undelivered(arrives_at, message, reason))
            return
        back_at = self._phone_back_at(message, resident)
        if back_at is not None and message.expires_at < min(back_at, self.now + CARRIER_GIVES_UP):
            self._plan(message.expires_at, message.address, Undelivered(message.expires_at, message, "expired"))
            return
        self._plan(sent_at, message.address, Sent(sent_at, message))
        if message.doomed or (resident is not None and self._fails(message)):
            self._plan(arrives_at, message.address, Undelivered(arrives_at, message, "carrier_unknown"))
        elif back_at is None:
            self._plan(arrives_at, message.address, Delivered(arrives_at, message))
        elif back_at <= self.now + CARRIER_GIVES_UP:
            self._plan(max(back_at, arrives_at), message.address, Delivered(max(back_at, arrives_at), message))
        else:
            gives_up_at = arrives_at if self._prompt else self.now + CARRIER_GIVES_UP
            self._plan(gives_up_at, message.address, Undelivered(gives_up_at, message, "handset_off"))

    def _carry_push(self, message: Message, resident: Resident | None) -> None:
        shown_at = self._soon(3.0, message, "arrives")
        reason = None
        if resident is not None and resident.app == "silent":
            reason = "not_shown"
        elif resident is not None and resident.phone_off_until is not None and resident.phone_off_until > shown_at:
            shown_at = resident.phone_off_until
        if reason is None and shown_at > message.expires_at:
            shown_at, reason = message.expires_at, "expired"
        event = Delivered(shown_at, message) if reason is None else Undelivered(shown_at, message, reason)
        self._plan(shown_at, message.address, event)

    # Calls

    def lend(self, number: str, phone: Phone) -> None:
        """Have a number answer as a test wants it, whoever lives there."""
        self._phones[number] = phone

    def ring(self, ring: Ring) -> None:
        """Let a phone ring now; who answers are later events. The numbers of people out of town ring and are not answered."""
        nth = self._calls_to[ring.address] = self._calls_to.get(ring.address, 0) + 1
        carried = replace(ring, nth=nth)
        answers = self._answers(carried)
        rung = self._by_phone.get(ring.address)
        if rung is not None and rung.number == "own" and answers != "failed":
            # A call that nobody takes disturbs as well.
            self._bear(rung, ring.address, "call", nth)
        rings_at = self.now if self._prompt else self.now + timedelta(seconds=self._chance.within(1, 3, ring.address, "rings", nth))
        if answers == "failed":
            self._plan(rings_at, ring.address, NotTaken(rings_at, carried, "failed"))
            return
        self._plan(rings_at, ring.address, Ringing(rings_at, carried))
        seconds = self._chance.within(3, max(4, ring.patience_seconds), ring.address, "picks-up", nth)
        if answers in {"busy", "no-answer"}:
            ends_at = rings_at if self._prompt else rings_at + timedelta(seconds=1 if answers == "busy" else ring.patience_seconds)
            self._plan(ends_at, ring.address, NotTaken(ends_at, carried, answers))
        else:
            taken_at = rings_at if self._prompt else rings_at + timedelta(seconds=seconds)
            self._plan(taken_at, ring.address, PickedUp(taken_at, carried, answers))

    def _answers(self, ring: Ring) -> str:
        if ring.address in self._phones:
            return self._phones[ring.address].answers
        resident = self._by_phone.get(ring.address)
        if resident is None:
            return "no-answer"
        if resident.number == "dead":
            return "failed"
        draw, world = self._chance, self._world
        awake = WAKES <= self.now.astimezone(ZoneInfo(resident.zone)).hour < SLEEPS
        if draw.unit(ring.address, "busy", ring.nth) < world["call_busy"]:
            return "busy"
        answered = world["call_answered_named" if ring.named else "call_answered"]
        if awake and draw.unit(ring.address, "answers-call", ring.nth) < answered:
            return "human"
        return "machine" if draw.unit(ring.address, "machine") < world["call_machine_share"] else "no-answer"

    def press(self, ring: Ring, heard: str) -> str | None:
        """The key that whoever picked up presses now, having heard that; None = none, or they have hung up."""
        waited = self._waited_for.get(ring.call_id, 0)
        self._waited_for[ring.call_id] = waited + 1
        phone = self._phones.get(ring.address)
        if phone is not None:
            return phone.keys[waited] or None if waited < len(phone.keys) else None
        resident = self._by_phone.get(ring.address)
        want = None if resident is None else self._want(resident, ring, heard, waited)
        return None if resident is None or want is None else keys.key_for(want, heard, resident.locale)

    def wants(self, ring: Ring) -> str | None:
        """What whoever picked up wants of a menu that a machine reads out, for whoever has no menu at hand; None = nothing, or no more."""
        waited = self._waited_for.get(ring.call_id, 0)
        self._waited_for[ring.call_id] = waited + 1
        resident = self._by_phone.get(ring.address)
        return None if resident is None else self._want(resident, ring, "", waited)

    def _want(self, resident: Resident, ring: Ring, heard: str, waited: int) -> str | None:
        """What somebody wants of a menu: to say who they are, and then what someone of this temper wants."""
        draw = self._chance
        if resident.number == "wrong":
            return "not_me" if draw.unit(resident.key, "stranger-call", ring.nth) < self._world["stranger_answers"] else None
        if not waited:
            return "me" if draw.unit(ring.address, "says-who", ring.nth) < self._world["call_confirmed"] else None
        if waited > 1:
            return None
        self._weigh(resident, Message(ring.call_id, "voice", ring.address, ring.sender, heard, self.now, nth=ring.nth, plan=ring.plan))
        if draw.unit(ring.address, "stops-calls", ring.nth) < min(1.0, self._world["stop_rate"] * 1.2**resident.recent_contacts):
            return "stop"
        paid_lately = resident.paid_at is not None and self.now - resident.paid_at < timedelta(days=4)
        return "paid" if paid_lately else draw.pick(_WANTS[resident.temper], ring.address, "wants", ring.nth)

    def _talk(self, ring: Ring) -> None:
        """A colleague of the lender talks with whoever picked up."""
        resident = self._by_phone.get(ring.address)
        if resident is None or ring.address in self._phones:
            return
        if resident.number != "own":
            self._plan(self.now, ring.address, Said(self.now, ring, "wrong_person"))
            return
        self._weigh(resident, Message(ring.call_id, "call", ring.address, ring.sender, "", self.now, nth=ring.nth, plan=ring.plan))
        resident.talks += 1
        said = self._says(resident, ring)
        if said is None:
            return
        # Named apart from what is promised in answer to a text.
        call = Message(ring.call_id, "call", f"{ring.address}|call", ring.sender, "", self.now, nth=ring.nth)
        self._plan(self.now, resident.key, Said(self.now, ring, said, self._promise(resident, call) if said == "promise" else None))

    def _says(self, resident: Resident, ring: Ring) -> str | None:
        """What somebody lets a colleague know: a stop, or what someone of this temper says; mostly nothing that commits."""
        draw = self._chance
        if draw.unit(ring.address, "stops-calls", ring.nth) < min(1.0, self._world["stop_rate"] * 1.2**resident.recent_contacts):
            return "stop"
        if draw.unit(ring.address, "says", ring.nth) >= self._world["call_says"]:
            return None
        said = draw.pick(_INTENTS[resident.temper], ring.address, "says-what", ring.nth)
        return None if said == "unclear" else said

    def _bear(self, resident: Resident, address: str, channel: str, nth: int) -> None:
        """One contact more; some complain, the likelier the more they still feel."""
        rate = self._world["complaint_call" if channel == "call" else "complaint_message"]
        rate *= 1.5 ** max(0.0, resident.recent_contacts - PATIENCE)
        resident.recent_contacts += 1
        if self._chance.unit(address, channel, "complains", nth) < min(1.0, rate):
            at = self.now + timedelta(minutes=self._chance.within(5, 600, address, channel, "complains-in", nth))
            loan = next(iter(resident.loans), None)
            self._plan(at, resident.key, Complained(at, loan, address, channel))

    def _phone_back_at(self, message: Message, resident: Resident | None) -> datetime | None:
        """When a phone that is off now is on again; None when it is on. People out of town always have theirs on."""
        if resident is None:
            return None
        if resident.phone_off_until is not None and resident.phone_off_until > self.now:
            return resident.phone_off_until
        # A quarter of the undelivered are phones that are off for a while; some come back before the carrier gives up.
        if (
            self._prompt
            or message.at_once
            or self._chance.unit(message.address, "off", message.nth) >= (1 - self._world["sms_delivered"]) / 4
        ):
            return None
        return self.now + timedelta(hours=self._chance.within(0.5, 12, message.address, "off-hours", message.nth))

    def _fails(self, message: Message) -> bool:
        return self._chance.unit(message.address, "fails", message.nth) < (1 - self._world["sms_delivered"]) / 4

    def _soon(self, seconds: float, message: Message, what: str) -> datetime:
        if self._prompt or message.at_once:
            return self.now
        return self.now + timedelta(
            seconds=round(self._chance.within(0.5, 2, message.address, message.channel, what, message.nth) * seconds, 3)
        )

    # Time

    def next_at(self) -> datetime | None:
        """When the next thing happens; None when nothing is planned."""
        return self._agenda[0][0] if self._agenda else None

    def advance(self, to: datetime) -> Iterator[Event]:
        """Let time pass; yields what outsiders can notice, in order. Run it to its end before anything else is asked.

        Raises:
            ValueError: Time would run backwards.
        """
        if to < self.now:
            raise ValueError("the clock does not run backwards")
        while self._agenda and self._agenda[0][0] <= to:
            at, _, _, what = heapq.heappop(self._agenda)
            self.now = max(self.now, at)
            match what:
                case _NewDay() | _Read() | _Pay() | _Instalment():
                    self._live(what)
                case Sent() | Delivered() | Undelivered() | Ringing() | PickedUp() | NotTaken():
                    if not self._is_withdrawn(what):
                        self._follow(what)
                        yield what
                case Paid(state="reversed"):
                    self._residents[self._owner[what.loan_ref]].loans[what.loan_ref].owed_minor -= what.amount_minor
                    yield what
                case _:
                    yield what
        self.now = to

    def _live(self, what: _NewDay | _Read | _Pay | _Instalment) -> None:
        """What nobody outside notices by itself."""
        match what:
            case _NewDay():
                self._begin_day(what.zone)
            case _Read():
                self._read(what.resident, what.message)
            case _Pay():
                self._pay(what.resident, what.loan_ref, lends=what.lends)
            case _Instalment():
                self._keep_plan(what)

    def _follow(self, what: Sent | Delivered | Undelivered | Ringing | PickedUp | NotTaken) -> None:
        """What follows of its having arrived."""
        if isinstance(what, Delivered):
            self._look(what.message)
        elif isinstance(what, PickedUp) and what.by == "human" and what.ring.by_person:
            self._talk(what.ring)

    def _is_withdrawn(self, what: Sent | Delivered | Undelivered | Ringing | PickedUp | NotTaken) -> bool:
        told = what.message.message_id if isinstance(what, Sent | Delivered | Undelivered) else what.ring.call_id
        return told in self._withdrawn

    def _plan(self, at: datetime, whose: str, what: Event | _NewDay | _Read | _Pay | _Instalment) -> None:
        """Put something on the agenda. Ties are broken by whose it is, so that loading order does not show."""
        self._serial += 1
        heapq.heappush(self._agenda, (at, whose, self._serial, what))

    def _midnight_after(self, at: datetime, zone: str) -> datetime:
        local = at.astimezone(ZoneInfo(zone))
        midnight = datetime.combine(local.date() + timedelta(days=1), time(), ZoneInfo(zone))
        return midnight.astimezone(at.tzinfo)

    def _today(self, resident: Resident) -> date:
        return self.now.astimezone(ZoneInfo(resident.zone)).date()

    def _at_hour(self, day: date, resident: Resident, hour: float) -> datetime:
        local = datetime.combine(day, time(int(hour), int(hour % 1 * 60)), ZoneInfo(resident.zone))
        return local.astimezone(self.now.tzinfo)

    def _awake(self, at: datetime, resident: Resident, *name: object) -> datetime:
        """The instant, or the next morning if people sleep then."""
        local = at.astimezone(ZoneInfo(resident.zone))
        if WAKES <= local.hour < SLEEPS:
            return at
        day = local.date() if local.hour < WAKES else local.date() + timedelta(days=1)
        return self._at_hour(day, resident, WAKES + self._chance.within(0, 1.5, resident.key, "morning", *name))

    # What people do

    def _begin_day(self, zone: str) -> None:
        """Morning plans and the day's accidents, for everyone in a zone; a zone that emptied has no more days."""
        neighbours = self._by_zone[zone]
        if not neighbours:
            return
        self._plan(self._midnight_after(self.now, zone), "", _NewDay(zone))
        today = self.now.astimezone(ZoneInfo(zone)).date()
        # Written once for all draws of the day.
        day = str(today)
        for resident in list(neighbours.values()):
            resident.recent_contacts *= self._world["memory_per_day"]
            self._meet_accidents(resident, day)
            for loan in resident.loans.values():
                if resident.plan is not None:
                    continue
                if loan.owed_minor > 0 and self._chance.unit(resident.key, "self-pay", loan.loan_ref, day) < self._hazard(
                    resident, loan, today
                ):
                    hour = self._chance.within(WAKES + 1, SLEEPS - 1, resident.key, "pay-hour", loan.loan_ref, today)
                    self._plan(self._at_hour(today, resident, hour), resident.key, _Pay(resident, loan.loan_ref))

    def _hazard(self, resident: Resident, loan: Loan, today: date) -> float:
        """Chance to pay today unasked."""
        age_days = max(0, (today - loan.since).days)
        hazard = self._world[f"self_pay_{resident.temper}"] * math.exp(-age_days / max(1.0, self._world["self_pay_decay_days"]))
        if resident.temper == "timing":
            since_income = resident.purse.days_since_income(today)
            hazard *= self._world["payday_factor"] if since_income < 3 else 0.5  # noqa: PLR2004  # "in the 3 days after income"
        return float(hazard)

    def _meet_accidents(self, resident: Resident, today: str) -> None:
        chance, world, key = self._chance, self._world, resident.key
        if chance.unit(key, "lost", today) < world["phone_lost_rate"]:
            resident.phone_off_until = self.now + timedelta(days=chance.within(1, 5, key, "off-days", today))
            if resident.push_token is not None:
                self._dead_tokens.add(resident.push_token)
        if resident.number == "own" and chance.unit(key, "given-up", today) < world["number_given_up_rate"]:
            resident.number = "dead"
        elif resident.number == "dead" and chance.unit(key, "reassigned", today) < 1 / NUMBER_RESTS_DAYS:
            # Not before someone gave it up: a number that was dead from the start finds a new owner just the same.
            resident.number = "wrong"
        if chance.unit(key, "moved", today) < world["moved_rate"]:
            self._move_away(resident, today)

    def _move_away(self, resident: Resident, today: str) -> None:
        places = next((zones for zones in _ZONES.values() if resident.zone in zones), None)
        if places is None:
            return
        others = [zone for zone in places if zone != resident.zone]
        del self._by_zone[resident.zone][resident.key]
        self._move_in(resident, others[int(self._chance.unit(resident.key, "where", today) * len(others))])

    def _look(self, message: Message) -> None:
        """Decide whether, and when, what has just arrived is read; people out of town never answer."""
        resident = self._whose(message)
        if resident is None:
            return
        share = self._world[_READ_SHARE.get(message.channel, "sms_read")]
        if self._chance.unit(message.address, "reads", message.nth) >= share:
            return
        minutes = self._chance.waiting(READ_MINUTES_MEDIAN, message.address, "read-minutes", message.nth)
        at = self.now + timedelta(minutes=min(minutes, 600), seconds=5)
        at = self._awake(at, resident, message.nth)
        self._plan(at, resident.key, _Read(resident, message))

    def _read(self, resident: Resident, message: Message) -> None:
        if message.channel in PREFIXES and resident.shows_reading:
            self._plan(self.now, resident.key, Seen(self.now, message))
        if message.channel not in _NOT_BY_NUMBER and resident.number == "wrong":
            self._puzzle_stranger(resident, message)
            return
        if message.channel in _READ_SHARE:
            self._plan(self.now, resident.key, Opened(self.now, message))
        self._weigh(resident, message)
        if message.channel not in {"push", "in_app"}:
            self._answer(resident, message)
        self._bear(resident, message.address, message.channel, message.nth)

    def _puzzle_stranger(self, resident: Resident, message: Message) -> None:
        if resident.stranger_answered or self._chance.unit(resident.key, "stranger") >= self._world["stranger_answers"]:
            return
        resident.stranger_answered = True
        self._write(resident, message, "wrong_person", None)

    def _weigh(self, resident: Resident, message: Message) -> None:
        """Somebody who has read, or was told, may agree to what is offered, or pay the same day, or neither."""
        debts = [loan for loan in resident.loans.values() if loan.owed_minor > 0]
        if not debts or resident.plan is not None or self._agrees(resident, debts[0], message):
            return
        # Calls count apart from texts: each has its own luck.
        luck = (message.address, message.channel) if message.channel in _CALLS else (message.address,)
        if self._chance.unit(*luck, "moved-to-pay", message.nth) < self._effect(resident, debts[0], message):
            at = self.now + timedelta(minutes=self._chance.within(1, 120, *luck, "pays-in", message.nth))
            borrows = is_empty(resident.purse, resident.temper, self._today(resident), self._world)
            lends = borrows and self._chance.unit(*luck, "borrows", message.nth) < self._world["borrows_elsewhere"]
            self._plan(at, resident.key, _Pay(resident, debts[0].loan_ref, lends))

    def _effect(self, resident: Resident, debt: Loan, message: Message) -> float:
        """Extra chance to pay the same day."""
        world = self._world
        drifted = (self._today(resident) - debt.since).days >= world["drift_day"]
        slot = (self.now.astimezone(ZoneInfo(resident.zone)).hour // 6 + (int(world["drift_slots"]) if drifted else 0)) % 4
        effect = resident.taste[slot] * world["fatigue_factor"] ** resident.recent_contacts * (world["drift_factor"] if drifted else 1.0)
        if message.channel in _CALLS:
            effect *= world[f"call_effect_{resident.temper}"]
            if message.channel == "voice":
                return float(effect * world["bot_effect_factor"])
            return float(effect * (world["known_sender_factor"] if resident.talks else 1.0))
        effect *= world[f"sms_effect_{resident.temper}"] * self._tone(resident, message)
        if message.channel in {"push", "in_app"}:
            effect *= world["push_effect_factor"]
        elif message.channel == "email":
            effect *= world["email_effect_factor"]
        for named in (_AMOUNT, _WAY_TO_PAY):
            if not named.search(message.text):
                effect *= world["unclear_text_factor"]
        return float(effect)

    def _tone(self, resident: Resident, message: Message) -> float:
        """Kind words help a little; what speaks of consequences helps at first and puts off after a week of it."""
        if _CONSEQUENCE.search(message.text):
            resident.pressed_at = resident.pressed_at or self.now
            worn = min(1.0, (self.now - resident.pressed_at) / timedelta(days=CONSEQUENCE_DAYS))
            return self._world["tone_consequence"] + worn * (self._world["tone_worn"] - self._world["tone_consequence"])
        return self._world["tone_warm"] if _WARM.search(message.text) else 1.0

    def _agrees(self, resident: Resident, debt: Loan, message: Message) -> bool:
        """Whether somebody takes the plan that stands on the page, or that a colleague offers."""
        if message.plan is None:
            return False
        share = self._world[f"plan_accept_{resident.temper}"] * (self._world["plan_call_factor"] if message.channel in _CALLS else 1.0)
        if self._chance.unit(message.address, message.channel, "agrees", message.nth) >= share:
            return False
        resident.plan, resident.missed = message.plan, 0
        at = self.now + timedelta(minutes=self._chance.within(1, 60, message.address, message.channel, "agrees-in", message.nth))
        self._plan(at, resident.key, TookPlan(at, debt.loan_ref, message.plan))
        self._await(resident, debt.loan_ref, message.plan, 0)
        return True

    def _await(self, resident: Resident, loan_ref: str, plan: Plan, place: int) -> None:
        """Put the day of a plan's payment on the agenda."""
        on, _ = plan.payments[place]
        hour = self._chance.within(WAKES + 1, SLEEPS - 1, resident.key, "instalment-hour", loan_ref, on)
        self._plan(max(self.now, self._at_hour(on, resident, hour)), resident.key, _Instalment(resident, loan_ref, plan, place))

    def _keep_plan(self, due: _Instalment) -> None:
        """Pay an instalment, or miss it; whoever misses some in a row gives the plan up."""
        resident, plan = due.resident, due.plan
        if resident.plan is not plan:
            return
        on, amount_minor = plan.payments[due.place]
        keeps = self._chance.unit(resident.key, "keeps-instalment", due.loan_ref, on) < keeps_instalment(resident.purse, plan, self._world)
        resident.missed = 0 if keeps else resident.missed + 1
        if keeps:
            self._pay(resident, due.loan_ref, at_most_minor=amount_minor)
        if resident.missed >= MISSED_MAX or due.place + 1 == len(plan.payments) or resident.loans[due.loan_ref].owed_minor <= 0:
            resident.plan = None
        else:
            self._await(resident, due.loan_ref, plan, due.place + 1)

    def _answer(self, resident: Resident, message: Message) -> None:
        """Perhaps write back: a stop, "I paid" from those who did, or what someone of this temper writes."""
        draw = self._chance.unit(message.address, "answers", message.nth)
        stop = min(1.0, self._world["stop_rate"] * 1.2**resident.recent_contacts)
        rate = self._world["reply_rate"]
        paid_lately = resident.paid_at is not None and self.now - resident.paid_at < timedelta(days=4)
        if draw < stop:
            self._write(resident, message, "stop", None)
        elif paid_lately and draw < stop + min(1.0, 4 * rate):
            self._write(resident, message, "paid", None)
        elif not paid_lately and draw < stop + rate:
            intent = self._chance.pick(_INTENTS[resident.temper], message.address, "intent", message.nth)
            self._write(resident, message, intent, self._promise(resident, message) if intent == "promise" else None)

    def _promise(self, resident: Resident, message: Message) -> date:
        """Name a day, and keep it or not."""
        days = 1 + int(self._chance.unit(message.address, "promise", message.nth) * PROMISE_DAYS_MAX)
        on = self._today(resident) + timedelta(days=days)
        if self._chance.unit(message.address, "keeps", message.nth) < self._world["promise_kept"]:
            hour = self._chance.within(WAKES + 1, SLEEPS - 1, message.address, "promised-hour", message.nth)
            debt = next((loan.loan_ref for loan in resident.loans.values() if loan.owed_minor > 0), None)
            if debt is not None:
                self._plan(self._at_hour(on, resident, hour), resident.key, _Pay(resident, debt))
        return on

    def _write(self, resident: Resident, message: Message, intent: str, on: date | None) -> None:
        tapped = next((button for button in message.buttons if button.payload in words.TAPS.get(intent, ())), None)
        text = tapped.text if tapped else words.reply(intent, resident.locale, self._chance.unit(message.address, "words", message.nth), on)
        at = self.now + timedelta(minutes=self._chance.within(0.5, 10, message.address, "types", message.nth))
        self._plan(at, resident.key, Replied(at, message, text, intent, tapped))

    def _pay(self, resident: Resident, loan_ref: str, *, lends: bool = False, at_most_minor: int | None = None) -> None:
        """Pay all or a part, or an instalment; the feed may hear of it late, and money may come back."""
        loan = resident.loans[loan_ref]
        if loan.owed_minor <= 0:
            return
        loan.payments += 1
        chance, name = self._chance, (resident.key, loan_ref, loan.payments)
        partial = min(1.0, self._world["partial_share"] * (3 if resident.temper == "hardship" else 1))
        amount_minor = loan.owed_minor
        if at_most_minor is not None:
            amount_minor = min(amount_minor, at_most_minor)
        elif chance.unit("partial", *name) < partial:
            amount_minor = max(1, int(amount_minor * chance.within(0.2, 0.6, "part", *name)))
        loan.owed_minor -= amount_minor
        resident.paid_at = self.now
        external_id = f"PAY-{chance.hexadecimal(16, 'payment', *name).upper()}"
        late = chance.unit("posted-late", *name) < self._world["posted_late_share"]
        posted_at = self.now + (timedelta(days=chance.within(1, 2, "late-days", *name)) if late else timedelta(0))
        posted_at += timedelta(days=self._world["posting_delay_days"])
        if lends:
            self._plan(self.now, resident.key, Borrowed(self.now, loan_ref, amount_minor))
        paid = Paid(posted_at, external_id, loan_ref, loan.currency, amount_minor, self.now, "posted", None)
        self._plan(posted_at, resident.key, paid)
        if chance.unit("returned", *name) < self._world["returned_share"]:
            back_at = max(posted_at, self.now) + timedelta(days=3)
            returned = Paid(back_at, f"RET-{external_id[4:]}", loan_ref, loan.currency, -amount_minor, back_at, "reversed", external_id)
            self._plan(back_at, resident.key, returned)


def _never_there(channel: str, resident: Resident | None) -> str | None:
    """Why a message to somebody of the town never arrives on a channel; None where it may. People out of town have them all."""
    if resident is None or channel in _NOT_BY_NUMBER:
        return None
    if channel in PREFIXES:
        # A number that is nobody's, or no mobile phone's, is on none of them.
        return None if channel in resident.on and resident.number in {"own", "wrong"} else "not_there"
    return {"landline": "landline", "dead": "unknown_handset"}.get(resident.number)
