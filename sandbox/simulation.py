"""A world for `tideover simulate`: the town's kernel with a portfolio that lives in it, and only what a lender sees let out.

It is the kernel that also stands behind the wire (town.py): there is no second implementation of what people do. What a lender
would hear by webhook, feed or hotline comes out as `Heard`; what people are, and what they suffer unseen, only as `truth`, for
the report at the end.

In:   a world's seed and what is set, how many borrowers, the day on which it begins; messages, calls; "it is now T".
Out:  borrowers as the lender knows them; what it hears; at the end the truth.
Pure: yes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from statistics import NormalDist
from zoneinfo import ZoneInfo

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
    PickedUp,
    Plan,
    Replied,
    Ring,
    Ringing,
    Said,
    Seen,
    TookPlan,
    Undelivered,
)
from sandbox.parameters import drawn_world
from sandbox.people import InventedPerson, invent_people
from sandbox.town import Resident, Town

COUNTRY, CURRENCY, ZONE = "TW", "TWD", "Asia/Taipei"
# Minor units of the currency to a US dollar, about, in which the parameters are written.
MINOR_PER_USD = 3200
BALANCE_SIGMA, INCOME_SIGMA = 0.8, 0.35
BALANCE_USD, INCOME_USD = (5.0, 900.0), (500.0, 6000.0)
# A cohort that has just become late, so that sixty days show it from the first reminder to the second month.
LATE_DAYS_MAX = 5
EMAIL_SHARE = 0.6
PATIENCE_SECONDS = 40
# A machine's menu is over by then.
MENU = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Borrower:
    """Somebody as the lender knows her: addresses, debt, and what her wallet shows. Money in minor units, incomes for 30 days."""

    loan_ref: str
    phone: str
    push_token: str
    email: str | None
    locale: str
    zone: str
    country: str
    currency: str
    owed_minor: int
    days_late: int
    income_minor: int
    essential_minor: int
    income_every_days: int
    next_income_on: date


@dataclass(frozen=True, slots=True)
class Heard:
    """Something that the lender hears of.

    Attributes:
        at: When.
        kind: delivered, undelivered, read, no_answer, busy, failed, machine, conversation; reply; said; paid; complaint; plan.
        message_id: Of the message or call that it is about; empty where it is about none.
        loan_ref: Of the loan that it is about; empty where it is about none.
        text: What was written; of `said` the intent.
        on: Day of a promise, or on which money moved.
        amount_minor: That was paid; negative = taken back.
        payments: Of a plan: (local day, minor units).
    """

    at: datetime
    kind: str
    message_id: str = ""
    loan_ref: str = ""
    text: str = ""
    on: date | None = None
    amount_minor: int = 0
    payments: tuple[tuple[date, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Truth:
    """What became of somebody, whether a lender saw it or not."""

    loan_ref: str
    temper: str
    owed_minor: int
    paid_minor: int
    complaints: int
    borrowed_minor: int


@dataclass
class TownWorld:
    """One world with its borrowers; satisfies the protocol that `tideover simulate` plays on."""

    id: str
    town: Town
    borrowers: list[Borrower]
    residents: dict[str, Resident]
    prices_minor: Mapping[str, float]
    _complaints: Counter[str] = field(default_factory=Counter)
    _borrowed: Counter[str] = field(default_factory=Counter)
    # Machine's calls that were taken and whose menu is being heard.
    _heard_out: list[Ring] = field(default_factory=list)
    _rings: dict[str, Ring] = field(default_factory=dict)

    def hand_over(
        self, message_id: str, *, channel: str, address: str, sender: str, text: str, expires_at: datetime, plan: Payments
    ) -> None:
        """Hand a message over, now."""
        offered = Plan(plan) if plan else None
        self.town.submit(Message(message_id, channel, address, sender, text, expires_at, plan=offered))

    def call(self, message_id: str, *, address: str, sender: str, by_person: bool, plan: Payments) -> None:
        """Let a phone ring, now."""
        offered = Plan(plan) if plan else None
        self.town.ring(Ring(message_id, address, sender, PATIENCE_SECONDS, by_person=by_person, named=by_person, plan=offered))

    def advance(self, to: datetime) -> Iterator[Heard]:
        """Let time pass; what the lender hears of, in order. Run it to its end before anything else is asked."""
        while self._heard_out or self._rings:
            # Menus are heard out before anything else happens, so that what follows follows at its own time.
            step = min(to, self.town.now + MENU)
            yield from self._until(step)
            menus, self._heard_out = self._heard_out, []
            for ring in menus:
                yield from self._menu(ring)
            if step == to:
                break
        yield from self._until(to)

    def _until(self, to: datetime) -> Iterator[Heard]:
        for event in list(self.town.advance(to)):
            heard = self._told(event)
            if heard is not None:
                yield heard

    def _menu(self, ring: Ring) -> Iterator[Heard]:
        """What is pressed: first who it is, then what she wants."""
        for _ in range(2):
            want = self.town.wants(ring)
            if want is None:
                return
            if want != "me":
                intent = "wrong_person" if want == "not_me" else want
                yield Heard(self.town.now, "said", ring.call_id, text=intent)
                return

    def _told(self, event: Event) -> Heard | None:
        """What a lender hears of it; what it does not hear of is counted for the truth."""
        match event:
            case Delivered() | Undelivered() | Opened() | Seen() | Replied():
                text = event.reason if isinstance(event, Undelivered) else event.text if isinstance(event, Replied) else ""
                return Heard(event.at, _KINDS[type(event)], event.message.message_id, text=text)
            case Ringing():
                self._rings[event.ring.call_id] = event.ring
            case NotTaken() | PickedUp():
                return self._ended(event)
            case Said():
                return Heard(event.at, "said", event.ring.call_id, text=event.intent, on=event.on)
            case Paid() | TookPlan() | Complained():
                return self._of_a_loan(event)
            case Borrowed():
                self._borrowed[event.loan_ref] += event.amount_minor
        return None

    def _of_a_loan(self, event: Paid | TookPlan | Complained) -> Heard:
        loan_ref = event.loan_ref or ""
        if isinstance(event, Paid):
            on = event.paid_at.astimezone(ZoneInfo(ZONE)).date()
            return Heard(event.at, "paid", loan_ref=loan_ref, on=on, amount_minor=event.amount_minor)
        if isinstance(event, TookPlan):
            return Heard(event.at, "plan", loan_ref=loan_ref, payments=event.plan.payments)
        self._complaints[loan_ref] += 1
        return Heard(event.at, "complaint", loan_ref=loan_ref)

    def _ended(self, event: NotTaken | PickedUp) -> Heard:
        self._rings.pop(event.ring.call_id, None)
        if isinstance(event, NotTaken):
            return Heard(event.at, event.reason.replace("-", "_"), event.ring.call_id)
        if event.by == "human" and not event.ring.by_person:
            self._heard_out.append(event.ring)
        return Heard(event.at, "conversation" if event.by == "human" else "machine", event.ring.call_id)

    def truth(self) -> list[Truth]:
        """What became of everybody, in the order of `borrowers`."""
        return [
            Truth(
                loan_ref=one.loan_ref,
                temper=self.residents[one.loan_ref].temper,
                owed_minor=self.residents[one.loan_ref].loans[one.loan_ref].owed_minor,
                paid_minor=one.owed_minor - self.residents[one.loan_ref].loans[one.loan_ref].owed_minor,
                complaints=self._complaints[one.loan_ref],
                borrowed_minor=self._borrowed[one.loan_ref],
            )
            for one in self.borrowers
        ]


_KINDS = {Delivered: "delivered", Undelivered: "undelivered", Opened: "read", Seen: "read", Replied: "reply"}
# Instalments on offer: (local day, minor units).
Payments = tuple[tuple[date, int], ...]


def open_world(world_id: str, seed: str, settings: Mapping[str, float], *, borrowers: int, first_day: date) -> TownWorld:
    """A world at the midnight at which its first day begins.

    Args:
        world_id: Name.
        seed: Of everything in it.
        settings: Parameters that are set; all others are drawn with the seed.
        borrowers: How many.
        first_day: Local day.

    Raises:
        UnknownParameterError: A name or a value is not one that a world can have.
    """
    world, chance = drawn_world(seed, settings), Chance(seed)
    town = Town(seed=seed, world=world, now=datetime.combine(first_day, time(), ZoneInfo(ZONE)).astimezone(ZoneInfo("UTC")))
    known, residents = [], {}
    for place, person in enumerate(invent_people(seed, COUNTRY, borrowers)):
        borrower, resident = _move_in(town, chance, world, person, f"L{place + 1:06d}", first_day)
        known.append(borrower)
        residents[borrower.loan_ref] = resident
    prices = {
        "push": world["cost_push_usd"],
        "in_app": world["cost_push_usd"],
        "sms": world["cost_sms_usd"],
        "email": world["cost_email_usd"],
        "voice": world["cost_call_try_usd"],
        "call": world["cost_call_try_usd"],
        "talk": world["cost_talk_usd"],
    }
    return TownWorld(
        id=world_id,
        town=town,
        borrowers=known,
        residents=residents,
        prices_minor={name: usd * MINOR_PER_USD for name, usd in prices.items()},
    )


def _move_in(
    town: Town, chance: Chance, world: Mapping[str, float], person: InventedPerson, loan_ref: str, first_day: date
) -> tuple[Borrower, Resident]:
    key = person.phone
    owed = _lognormal(chance, world["balance_median_usd"], BALANCE_SIGMA, BALANCE_USD, key, "balance")
    income = _lognormal(chance, world["income_median_usd"], INCOME_SIGMA, INCOME_USD, key, "income-size")
    email = f"{loan_ref.lower()}@{_MAIL}" if chance.unit(key, "has-email") < EMAIL_SHARE else None
    resident = town.settle(
        phone=person.phone,
        push_token=person.push_token,
        locale=person.locale,
        zone=person.zone,
        loans=[(loan_ref, CURRENCY, owed)],
        email=email,
        income_minor=income,
    )
    borrower = Borrower(
        loan_ref=loan_ref,
        phone=person.phone,
        push_token=person.push_token,
        email=email,
        locale=person.locale,
        zone=person.zone,
        country=COUNTRY,
        currency=CURRENCY,
        owed_minor=owed,
        days_late=1 + int(chance.unit(key, "days-late") * LATE_DAYS_MAX),
        income_minor=income,
        essential_minor=max(0, income - resident.purse.seen_spare_minor),
        income_every_days=resident.purse.every_days,
        next_income_on=resident.purse.next_income_on(first_day),
    )
    return borrower, resident


# Nobody can own an address there (RFC 2606).
_MAIL = "people.example"


def _lognormal(chance: Chance, median_usd: float, sigma: float, within_usd: tuple[float, float], *name: object) -> int:
    """Whole hundreds of minor units."""
    drawn = median_usd * math.exp(sigma * NormalDist().inv_cdf(min(max(chance.unit(*name), 1e-9), 1 - 1e-9)))
    return max(1, round(min(max(drawn, within_usd[0]), within_usd[1]) * MINOR_PER_USD / 100)) * 100
