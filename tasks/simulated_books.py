"""A lender's books in memory: what a ledger would know of simulated borrowers, as the facts that rules and choices read.

Many worlds of one strategy stand in the same books, so that one question to the rules serves them all; their borrowers never
meet. Answers do here what they do in the ledger (ledger/replies.py), read by the same reader; what a person would have to do,
the desk's answer to a case, is taken to come on the case's last day.

In:   borrowers; what the lender hears of them.
Out:  `decisions.facts.Facts`, the same in shape and content as ledger/facts.py would read.
Pure: but for the files of config, which are read once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

import polars as pl

from config.affordability import affordability_terms, plan_policy_in_force
from config.aging import aging_policy
from config.cases import case_terms_in_force
from config.places import with_places
from config.promises import promise_terms_in_force
from config.replies import reply_policy_in_force
from decisions import facts, past
from decisions.affordability import TO_A_PERSON, Circumstances, Payment, offer, skips_of
from decisions.aging import AgingPolicy, age
from decisions.business_days import business_day_after, business_days_end, day_ends_at
from decisions.facts import Facts, Schema, type_instant
from decisions.offered import NEVER_ARRIVED
from decisions.past import Past
from decisions.plans import COMPLETED, LATE, stands
from decisions.promises import gives_peace
from decisions.replies import HERE, Reading, Setting, read_reply
from decisions.wallet_flows import CYCLES, Cycle
from tasks.simulated_world import Borrower, Heard, Payments, World

# Parties of world n are numbered from n × this; its lender is number n + 1, so that nothing scarce is shared between worlds.
STRIDE: Final = 100_000
CREDITOR_NAME: Final = "Example Wallet"
# Kind of contact point → its place among a party's four numbers.
POINTS: Final = {"mobile": 0, "push": 1, "email": 2}
POINTS_EACH: Final = 4
# The payment feed of a simulated lender is never older than this.
FEED_FRESH: Final = timedelta(hours=30)
# A loan's customers agreed to these with the contract, on the day that it was paid out.
CONSENTED: Final = ("sms", "push", "email", "whatsapp", "rcs")
MONTH_AND_MORE: Final = timedelta(days=45)
_CONTACT: Final[Schema] = {
    "party_id": pl.Int64,
    "event_id": pl.Int64,
    "at": type_instant,
    "channel": pl.String,
    "direction": pl.String,
    "loans": pl.List(pl.Int64),
    "contact_point_id": pl.Int64,
    "counterparty": pl.String,
    "purpose": pl.String,
    "stage": pl.String,
    "message": pl.String,
}
_PAID: Final[Schema] = {"loan_id": pl.Int64, "paid_on": pl.Date, "amount_minor": pl.Int64}
# What a provider or the phone team says → the result in the contact log.
RESULTS: Final = {
    "delivered": "delivered",
    "undelivered": "undelivered",
    "read": "read",
    "no_answer": "no_answer",
    "busy": "busy",
    "failed": "not_in_service",
    "machine": "voicemail",
    "conversation": "conversation",
}
_CYCLE_OF: Final[dict[int, Cycle]] = {days: name for name, days in CYCLES.items()}  # type: ignore[misc]  # the table's keys are the cycles


@dataclass(slots=True)
class Plan:
    """An agreed plan of a loan; `state` as in decisions/plans.py."""

    agreed_on: date
    payments: Payments
    state: str = "active"


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact that was made, for whoever counts afterwards."""

    event_id: int
    party_id: int
    at: datetime
    channel: str
    contact_point_id: int
    purpose: str
    message: str


@dataclass
class _Rows:
    """Rows of a frame that only grows."""

    schema: Schema
    _kept: pl.DataFrame = field(init=False)
    _new: list[tuple[Any, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._kept = facts.empty(self.schema)

    def add(self, *row: Any) -> None:
        self._new.append(row)

    def frame(self) -> pl.DataFrame:
        if self._new:
            # In one piece: of hundreds of small ones every question would begin with putting them together.
            self._kept = pl.concat([self._kept, pl.DataFrame(self._new, schema=self.schema, orient="row")], rechunk=True)
            self._new = []
        return self._kept


class Books:
    """What the lender knows of everybody in some worlds."""

    def __init__(self, worlds: Sequence[World], *, first_day: date) -> None:
        """Enter everybody.

        Args:
            worlds: At their beginning.
            first_day: Local day on which they begin.
        """
        self.first_day = first_day
        self.people: dict[int, Borrower] = {
            number * STRIDE + place + 1: one for number, world in enumerate(worlds) for place, one in enumerate(world.borrowers)
        }
        self._party_of = {(party // STRIDE, one.loan_ref): party for party, one in self.people.items()}
        self._contacts = _Rows(_CONTACT)
        self._results: list[str] = []
        self._paid = _Rows(_PAID)
        self.paid_minor: Counter[int] = Counter()
        self._paid_on: dict[int, list[tuple[date, int]]] = defaultdict(list)
        self._opt_outs = _Rows(facts.OPT_OUTS)
        self._holds = _Rows(facts.HOLDS)
        self._failures = _Rows(facts.FAILURES)
        self._replies = _Rows(past.REPLIES)
        self._complained: list[tuple[int, datetime]] = []
        self.made: list[Contact] = []
        self.stops: list[tuple[int, str, datetime]] = []
        self.held: list[tuple[int, str, datetime, datetime | None]] = []
        self.disowned: dict[int, datetime] = {}
        self.posted: dict[int, list[tuple[datetime, int]]] = defaultdict(list)
        self.plans: dict[int, Plan] = {}
        self._plan_changes = 0
        self._aged: tuple[tuple[date, int, int], pl.DataFrame] | None = None
        self.taken: Counter[int] = Counter()
        self.broken: Counter[int] = Counter()
        self.talks: Counter[int] = Counter()
        self.intents: Counter[tuple[int, str]] = Counter()
        self._said_paid: dict[int, datetime] = {}
        # Party → (made on, due on).
        self._promised: dict[int, list[tuple[date, date]]] = defaultdict(list)
        self._borrowers = self._entered()
        self._points = self._addresses()
        self._consents = self._agreed_to()
        self._loans = pl.DataFrame(
            [(party, one.currency, one.owed_minor, first_day - timedelta(days=one.days_late)) for party, one in self.people.items()],
            schema={"loan_id": pl.Int64, "currency": pl.String, "principal_minor": pl.Int64, "due_on": pl.Date},
            orient="row",
        )
        self._flows = self._wallets()
        self._senders = pl.DataFrame(
            [(number + 1, channel, None) for number in range(len(worlds)) for channel in ("sms", "push", "email", "voice", "call")],
            schema=facts.SENDERS,
            orient="row",
        )

    def _entered(self) -> pl.DataFrame:
        rows = [
            {"party_id": party, "creditor_id": party // STRIDE + 1, "creditor_role": "first_party", "country": one.country, "region": None,
             "postal_code": None, "locale": one.locale, "known_zone": None, "zones": [one.zone], "facts": []}
            for party, one in self.people.items()
        ]  # fmt: skip
        schema = {name: kind for name, kind in facts.BORROWERS.items() if name in rows[0]} | {"postal_code": pl.String}
        return (
            pl.DataFrame(rows, schema=schema, orient="row")
            .pipe(with_places)
            .with_columns(
                payments_fresh_until=pl.lit(None, type_instant), paused=pl.lit(False), paused_channels=pl.lit([], pl.List(pl.String))
            )
            .select(facts.BORROWERS.keys())
            .sort("party_id")
        )

    def _addresses(self) -> pl.DataFrame:
        rows = [
            (party, point_of(party, kind), kind, "borrower", False, one.country, [one.zone], None, "active", "claimed")
            for party, one in self.people.items()
            for kind, address in (("mobile", one.phone), ("push", one.push_token), ("email", one.email))
            if address
        ]
        return pl.DataFrame(rows, schema=facts.CONTACT_POINTS, orient="row")

    def _agreed_to(self) -> pl.DataFrame:
        at = datetime.combine(self.first_day, datetime.min.time(), UTC) - MONTH_AND_MORE
        rows = [(party, channel, "creditor", at, None) for party in self.people for channel in CONSENTED]
        return pl.DataFrame(rows, schema=facts.CONSENTS, orient="row")

    # What is known

    def known(self, at: datetime, on: date, *, parties: Sequence[int] | None = None, looks_at: Sequence[str] = ()) -> Facts:
        """The facts as of an instant and a local business date.

        Args:
            at: Instant.
            on: Date as of which loans are late.
            parties: Whom they are about; None = all.
            looks_at: Stages whose tries are told (`Strategy.looks_at`).
        """
        mine = (lambda frame: frame) if parties is None else _only(parties)
        contacts = self._contacts.frame().with_columns(result=pl.Series(self._results, dtype=pl.String))
        told = mine(contacts)
        none = facts.empty
        return Facts(
            borrowers=mine(self._borrowers).with_columns(payments_fresh_until=pl.lit(at + FEED_FRESH, type_instant)),
            loans=mine(self.aged(on)),
            contact_points=mine(self._points),
            consents=mine(self._consents),
            opt_outs=mine(self._opt_outs.frame()),
            holds=mine(self._holds.frame()),
            wishes=none(facts.WISHES),
            agreements=none(facts.AGREEMENTS),
            notices=none(facts.NOTICES),
            history=told.filter(pl.col("at") >= at - timedelta(days=facts.HISTORY_DAYS)).select(facts.HISTORY.keys()),
            treatments=told.filter(pl.col("stage").is_in(list(looks_at))).select(facts.TREATMENTS.keys())
            if looks_at
            else none(facts.TREATMENTS),
            failures=mine(self._failures.frame()).group_by("party_id", "contact_point_id", "channel").agg(pl.col("at").max()),
            payments=mine(self._paid.frame().rename({"loan_id": "party_id"}).with_columns(loan_id="party_id"))
            .filter(pl.col("amount_minor") > 0)
            .group_by("party_id", "loan_id")
            .agg(pl.col("paid_on").max())
            .select(facts.PAYMENTS.keys()),
            senders=self._senders,
        )

    def aged(self, on: date) -> pl.DataFrame:
        """Loans that are late, as decisions/facts.LOANS, by the one rule of ageing; those that were paid up are not among them."""
        paid = self._paid.frame()
        # Morning and gate ask alike, and mostly nobody has paid meanwhile.
        as_of = (on, paid.height, self._plan_changes)
        if self._aged is None or self._aged[0] != as_of:
            self._aged = as_of, self._age(on, paid)
        return self._aged[1]

    def _age(self, on: date, paid: pl.DataFrame) -> pl.DataFrame:
        owing = self._loans
        plans = [
            (loan, plan.agreed_on, due_on, minor)
            for loan, plan in self.plans.items()
            if plan.state != "broken"
            for due_on, minor in plan.payments
        ]
        aged = age(
            owing.select("loan_id", status=pl.lit("active")),
            owing.select(
                "loan_id",
                "due_on",
                "principal_minor",
                penalty_minor=pl.lit(0, pl.Int64),
                fee_minor=pl.lit(0, pl.Int64),
                interest_minor=pl.lit(0, pl.Int64),
            ),
            paid,
            plans=pl.DataFrame(
                plans, schema={"loan_id": pl.Int64, "agreed_on": pl.Date, "due_on": pl.Date, "amount_minor": pl.Int64}, orient="row"
            ),
            policy=_ageing(),
            as_of=on,
        )
        return (
            aged.filter((pl.col("days_past_due") > 0) | pl.col("stage").is_not_null())
            .with_columns(stage="treatment")
            .join(owing.select("loan_id", "currency"), on="loan_id", maintain_order="left")
            .select(
                party_id="loan_id",
                loan_id="loan_id",
                role=pl.lit("borrower"),
                product=pl.lit("wallet_credit"),
                account=pl.lit(None, pl.String),
                currency="currency",
                past_due_minor="past_due_minor",
                outstanding_minor="outstanding_minor",
                days_past_due="days_past_due",
                delinquent_days="delinquent_days",
                oldest_unpaid_due_on="oldest_unpaid_due_on",
                next_due_on="next_due_on",
                bucket="bucket",
                stage="stage",
                disputed_minor=pl.lit(0, pl.Int64),
                charged_off=pl.lit(False),
                time_barred=pl.lit(False),
                servicing_status=pl.lit("active"),
            )
            .select(pl.col(name).cast(kind) for name, kind in facts.LOANS.items())
        )

    def past(self, known: Facts, at: datetime) -> Past:
        """The past of the facts' people as of the instant, in the shape that ledger/past.py reads.

        Args:
            known: Read as of the same instant.
            at: Nothing that was heard later is told.
        """
        parties = known.borrowers["party_id"].to_list()
        mine = _only(parties)
        contacts = mine(self._contacts.frame().with_columns(result=pl.Series(self._results, dtype=pl.String)))
        said = pl.col("result")
        arrived = said.is_in(["delivered", "read", "conversation", "voicemail"])
        stopped = mine(self._opt_outs.frame())
        today = at.astimezone(ZoneInfo(next(iter(self.people.values())).zone)).date()
        disowned = pl.col("ownership").is_in(["wrong", "reassigned"])
        return Past(
            people=known.borrowers.select("party_id", zone=pl.col("zones").list.first()),
            loans=known.loans.select(past.LOANS.keys()),
            instalments=mine(self._loans.with_columns(party_id="loan_id")).select(
                "party_id", "loan_id", "due_on", amount_minor="principal_minor"
            ),
            payments=mine(self._paid.frame().with_columns(party_id="loan_id"))
            .filter(pl.col("amount_minor") > 0)
            .select("party_id", "loan_id", "paid_on", pl.lit(None, type_instant).alias("paid_at"), "amount_minor"),
            contacts=contacts.filter(pl.col("direction") == "outbound").select(
                "party_id",
                "at",
                "channel",
                delivered=pl.when(arrived).then(True).when(said.is_in(list(NEVER_ARRIVED))).then(False),
                read=said.is_in(["read", "conversation"]),
                answered=said == "conversation",
            ),
            replies=mine(self._replies.frame()),
            promises=self._promises_of(parties, at),
            plans=mine(pl.DataFrame([(party, party, plan.state) for party, plan in self.plans.items()], schema=past.PLANS, orient="row")),
            flows=mine(self._flows).filter(pl.col("moved_on").is_between(today - timedelta(days=past.FLOW_DAYS), today, closed="right")),
            reach=mine(self._points).filter(~disowned).select("party_id", "kind", verified=pl.col("verified_on").is_not_null()),
            stops=stopped.select("party_id", "channel").unique(),
        )

    def _promises_of(self, parties: Sequence[int], at: datetime) -> pl.DataFrame:
        """Kept = something came in on the day or before, after it was promised."""
        rows = []
        for party in parties:
            today = at.astimezone(ZoneInfo(self.people[party].zone)).date()
            for made_on, due_on in self._promised.get(party, ()):
                kept = any(made_on <= day <= due_on and minor > 0 for day, minor in self._paid_on[party])
                rows.append((party, due_on, "kept" if kept else "open" if due_on >= today else "broken"))
        return pl.DataFrame(rows, schema=past.PROMISES, orient="row")

    def _wallets(self) -> pl.DataFrame:
        """What moved in wallets, from a quarter before the first day on: each income, and what goes out until the next one."""
        rows = []
        for party, one in self.people.items():
            share = one.income_every_days / past.FLOW_DAYS * 3
            day = one.next_income_on
            while day > self.first_day - timedelta(days=past.FLOW_DAYS):
                day -= timedelta(days=one.income_every_days)
            while day <= self.first_day + timedelta(days=past.FLOW_DAYS):
                rows.append((party, day, one.currency, int(one.income_minor * share), int(one.essential_minor * share), None))
                day += timedelta(days=one.income_every_days)
        return pl.DataFrame(rows, schema=past.FLOWS, orient="row")

    def harms(self) -> dict[int, list[datetime]]:
        """When each party complained or stopped a channel."""
        found: dict[int, list[datetime]] = defaultdict(list)
        for party, at in [*self._complained, *((party, at) for party, _, at in self.stops)]:
            found[party].append(at)
        return found

    def open_minor(self, party: int) -> int:
        """What is owed, as the lender knows it."""
        return max(0, self.people[party].owed_minor - self.paid_minor[party])

    # What is done and heard

    def contact(self, party: int, *, at: datetime, channel: str, point: int, purpose: str, stage: str, message: str) -> str:
        """Enter a contact that is being made; returns its id for the provider."""
        event = self._enter(party, at, channel, "outbound", point, purpose, stage, message, "sent")
        self.made.append(Contact(event, party, at, channel, point, purpose, message))
        return str(event)

    def _enter(
        self, party: int, at: datetime, channel: str, direction: str, point: int, purpose: str | None, stage: str, message: str, result: str
    ) -> int:
        event = len(self._results) + 1
        self._contacts.add(party, event, at, channel, direction, [party], point, "borrower", purpose, stage, message)
        self._results.append(result)
        return event

    def hear(self, world: int, heard: Heard) -> None:
        """Enter what the lender heard of somebody of a world."""
        if heard.kind in RESULTS:
            self._result(int(heard.message_id), heard)
        elif heard.kind in {"reply", "said"}:
            self._answer(int(heard.message_id), heard)
        else:
            _OF_A_LOAN[heard.kind](self, self._party_of[world, heard.loan_ref], heard)

    def _result(self, event: int, heard: Heard) -> None:
        self._results[event - 1] = RESULTS[heard.kind]
        contact = self._made(event)
        if heard.kind == "conversation":
            self.talks[contact.party_id // STRIDE] += contact.channel == "call"
        if RESULTS[heard.kind] in NEVER_ARRIVED:
            self._failures.add(contact.party_id, contact.contact_point_id, contact.channel, heard.at)

    def channel_of(self, message_id: str) -> str:
        """By which channel a contact was made."""
        return self._made(int(message_id)).channel

    def results(self) -> list[str]:
        """The latest result of every event, by number."""
        return self._results

    def _made(self, event: int) -> Contact:
        # Inbound events have numbers too: the contact is the last one with at most this number.
        low, high = 0, len(self.made) - 1
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.made[middle].event_id <= event else (low, middle - 1)
        return self.made[low]

    def _answer(self, event: int, heard: Heard) -> None:
        """An answer in words is read by the reader of replies; one to a colleague or a menu says itself what it means."""
        contact = self._made(event)
        party = contact.party_id
        one = self.people[party]
        if heard.kind == "said":
            reading = Reading(intent=heard.text, on=heard.on, scope=(HERE,) if heard.text == "stop" else ())
        else:
            today = heard.at.astimezone(ZoneInfo(one.zone)).date()
            lexicon = reply_policy_in_force().lexicons.of(one.locale)
            reading = read_reply(heard.text, lexicon, setting=Setting(today=today, locale=one.locale, currency=one.currency))
        self._enter(party, heard.at, contact.channel, "inbound", contact.contact_point_id, None, "", "", "received")
        for intent in reading.intents:
            self.intents[party // STRIDE, intent] += 1
            self._replies.add(party, heard.at, contact.channel, intent)
            effect = _EFFECTS.get(intent)
            if effect is not None:
                effect(self, contact, reading, heard.at)

    def _hold(self, party: int, kind: str, at: datetime, until: datetime | None, *, loan: int | None = None) -> None:
        self._holds.add(party, loan, kind, None, None, at, until)
        self.held.append((party, kind, at, until))

    def _case(self, contact: Contact, kind: str, at: datetime) -> None:
        """A person answers, by the last day that the house allows."""
        until = self._business_days_end(contact.party_id, at, case_terms_in_force().days[kind].answer)
        self._hold(contact.party_id, kind, at, until)

    def _business_days_end(self, party: int, at: datetime, days: int) -> datetime:
        one = self.people[party]
        return business_days_end(at, zones=(one.zone,), country=one.country, business_days=days)

    def _stop(self, contact: Contact, reading: Reading, at: datetime) -> None:
        for channel in dict.fromkeys(contact.channel if scope == HERE else scope for scope in reading.scope or (HERE,)):
            self._opt_outs.add(contact.party_id, channel, None, at, None)
            self.stops.append((contact.party_id, channel, at))

    def _danger(self, contact: Contact, reading: Reading, at: datetime) -> None:
        self._hold(contact.party_id, reading.danger_kind or "complaint", at, None)

    def _disown(self, contact: Contact, _: Reading, at: datetime) -> None:
        self.disowned.setdefault(contact.contact_point_id, at)
        wrong = pl.col("contact_point_id") == contact.contact_point_id
        self._points = self._points.with_columns(ownership=pl.when(wrong).then(pl.lit("wrong")).otherwise("ownership"))

    def _claim(self, contact: Contact, reading: Reading, at: datetime) -> None:
        policy, party = reply_policy_in_force(), contact.party_id
        before = self._said_paid.get(party)
        self._said_paid[party] = at
        if before is not None and at - before <= timedelta(days=policy.paid_repeated_within_days):
            self._case(contact, "dispute", at)
            return
        del reading
        self._hold(party, "paid_claimed", at, self._business_days_end(party, at, policy.paid_hold_business_days))

    def _promise(self, contact: Contact, reading: Reading, at: datetime) -> None:
        terms, party = promise_terms_in_force(), contact.party_id
        one = self.people[party]
        today = at.astimezone(ZoneInfo(one.zone)).date()
        broken = sum(day < today for _, day in self._promised[party])
        good = reading.on is not None and gives_peace(reading.on, None, terms, today=today, past_due_minor=self.open_minor(party))
        if reading.on is None or not good or broken >= terms.broken_max:
            return
        self._promised[party].append((today, reading.on))
        last = business_day_after(reading.on, country=one.country, business_days=terms.settlement_business_days)
        self._hold(party, "promise", at, day_ends_at(last, zones=(one.zone,)))

    def _callback(self, contact: Contact, _: Reading, at: datetime) -> None:
        days = reply_policy_in_force().callback_business_days
        self._hold(contact.party_id, "callback", at, self._business_days_end(contact.party_id, at, days))

    def _pay(self, party: int, heard: Heard) -> None:
        on = heard.on or heard.at.date()
        self._paid.add(party, on, heard.amount_minor)
        self.paid_minor[party] += heard.amount_minor
        self._paid_on[party].append((on, heard.amount_minor))
        self.posted[party].append((heard.at, heard.amount_minor))

    def _complain(self, party: int, heard: Heard) -> None:
        self._complained.append((party, heard.at))
        self._hold(party, "complaint", heard.at, self._business_days_end(party, heard.at, case_terms_in_force().days["complaint"].answer))

    def _take_plan(self, party: int, heard: Heard) -> None:
        self.plans[party] = Plan(heard.at.astimezone(ZoneInfo(self.people[party].zone)).date(), heard.payments)
        self._plan_changes += 1
        self.taken[party // STRIDE] += 1

    # Plans

    def look_at_plans(self, on: date) -> None:
        """Say of every plan how it stands; one that is late is over, without the weeks in which a person would mend it."""
        terms, late_days = affordability_terms(), plan_policy_in_force().late_days
        for party, plan in self.plans.items():
            if plan.state != "active":
                continue
            payments = [Payment(day, minor) for day, minor in plan.payments]
            country = self.people[party].country
            in_time = [_business_day_after(day, country, late_days) for day, _ in plan.payments]
            paid = sum(minor for day, minor in self._paid_on[party] if day >= plan.agreed_on)
            skips = skips_of(len(payments), terms)
            every = (plan.payments[1][0] - plan.payments[0][0]).days if len(payments) > 1 else 0
            state = stands(payments, paid, on=on, in_time_until=in_time, skips=skips, catch_up_days=every)
            if state == LATE:
                plan.state = "broken"
                self._plan_changes += 1
                self.broken[party // STRIDE] += 1
            elif state == COMPLETED:
                plan.state = COMPLETED
                self._plan_changes += 1

    def plan_for(self, party: int, at: datetime) -> Payments:
        """What the page behind a link would offer: the largest payment that fits, by the rule of affordability; empty = none by itself."""
        one, terms = self.people[party], affordability_terms()
        left = self.open_minor(party)
        today = at.astimezone(ZoneInfo(one.zone)).date()
        floor = terms.floors.get(one.country)
        if left <= 0 or (party in self.plans and self.plans[party].state == "active"):
            return ()
        income_on = one.next_income_on
        while income_on <= today:
            income_on += timedelta(days=one.income_every_days)
        found = offer(
            Circumstances(
                today=today,
                currency=one.currency,
                open_minor=left,
                income_minor=one.income_minor,
                essential_minor=max(one.essential_minor, floor[1] if floor and floor[0] == one.currency else 0),
                debts_minor=0,
                aside_minor=0,
                cycle=_CYCLE_OF[one.income_every_days],
                next_income_on=income_on,
                has_floor=floor is not None and floor[0] == one.currency,
            ),
            terms,
        )
        if found.road in TO_A_PERSON or not found.choices:
            return ()
        return tuple((payment.due_on, payment.amount_minor) for payment in found.choices[-1].payments)


def point_of(party: int, kind: str) -> int:
    """A party's contact point of a kind."""
    return party * POINTS_EACH + POINTS[kind]


def _only(parties: Iterable[int]) -> Callable[[pl.DataFrame], pl.DataFrame]:
    wanted = pl.DataFrame({"party_id": list(parties)}, schema={"party_id": pl.Int64})
    return lambda frame: frame.join(wanted, on="party_id", how="semi", maintain_order="left")


@lru_cache(maxsize=1)
def _ageing() -> AgingPolicy:
    return aging_policy()


@lru_cache(maxsize=4096)
def _business_day_after(day: date, country: str, days: int) -> date:
    return business_day_after(day, country=country, business_days=days)


_EFFECTS: Final[dict[str, Callable[[Books, Contact, Reading, datetime], None]]] = {
    "stop": Books._stop,  # noqa: SLF001  # the table of its own methods
    "danger": Books._danger,  # noqa: SLF001
    "wrong_person": Books._disown,  # noqa: SLF001
    "paid": Books._claim,  # noqa: SLF001
    "promise": Books._promise,  # noqa: SLF001
    "call_me": Books._callback,  # noqa: SLF001
    "cannot_pay": lambda books, contact, _, at: books._case(contact, "hardship", at),  # noqa: SLF001
    "dispute": lambda books, contact, _, at: books._case(contact, "dispute", at),  # noqa: SLF001
    "complaint": lambda books, contact, _, at: books._case(contact, "complaint", at),  # noqa: SLF001
}
_OF_A_LOAN: Final[dict[str, Callable[[Books, int, Heard], None]]] = {
    "paid": Books._pay,  # noqa: SLF001
    "complaint": Books._complain,  # noqa: SLF001
    "plan": Books._take_plan,  # noqa: SLF001
}
