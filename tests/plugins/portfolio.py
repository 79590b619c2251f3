"""Fixture: a builder that writes small, consistent portfolios straight into a fresh ledger.

The people do not exist and their numbers belong to nobody: 555-01xx in the United States, ranges that no operator has
elsewhere. All rows were learned before the test began and took effect 60 days before `TODAY`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, text

from ledger import clock, vault
from ledger.engine import connection

TODAY = date(2026, 3, 17)
SINCE = datetime(2026, 1, 16, 12, tzinfo=UTC)
INSTALMENT_MINOR = 10_000
INTEREST_MINOR = 500
SOURCE = "portfolio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What goes with a country: where its people are, what they speak, which money they owe."""

    region: str | None
    locale: str
    zones: tuple[str, ...]
    currency: str


PLACES = {
    "US": Place(region="NY", locale="en", zones=("America/New_York",), currency="USD"),
    "TW": Place(region=None, locale="zh-Hant", zones=("Asia/Taipei",), currency="TWD"),
    "CN": Place(region=None, locale="zh-Hans", zones=("Asia/Shanghai",), currency="CNY"),
    "MX": Place(region=None, locale="es", zones=("America/Mexico_City",), currency="MXN"),
}
US_AREAS = ("212", "315", "347", "516", "518", "585", "607", "631", "646", "716", "718", "845", "914", "917")


@dataclass(frozen=True, slots=True, kw_only=True)
class BorrowerIds:
    """Ids of what one call wrote; a contact point that was not asked for is None."""

    party_id: int
    loan_id: int
    sms_id: int | None
    push_id: int | None


def noon(country: str, on: date = TODAY) -> datetime:
    """The UTC instant at which it is noon in a country's (first) zone: inside every contact window."""
    return datetime.combine(on, time(12), ZoneInfo(PLACES[country].zones[0])).astimezone(UTC)


class Portfolio:
    """Writes borrowers and what happens to them. Each call is a transaction of its own."""

    def __init__(self) -> None:
        """Count names and numbers from one; creditors are made when first needed."""
        self._numbers = count(1)
        self._creditors: dict[tuple[str, str], int] = {}

    def creditor(self, country: str = "US", *, role: str = "first_party", fresh_until: datetime | None = None) -> int:
        """The creditor of a country, with a payment feed that covers up to `fresh_until` (default: the day after `TODAY`)."""
        known = self._creditors.get((country, role))
        if known is not None:
            return known
        with connection() as tx:
            creditor_id = _insert(
                tx,
                "creditor",
                external_id=f"lender-{country}-{role}",
                name=f"Lantern Wallet {country}",
                role=role,
                country=country,
                licence="LIC-1",
                page_domain="pay.lantern.example",
                senders=json.dumps({"sms": "+15005550006", "push": "lantern"}),
            )
            covers = fresh_until or datetime.combine(TODAY + timedelta(days=1), time(23), UTC)
            _fact(tx, "feed", creditor_id=creditor_id, kind="payments", covers_until=covers, age_seconds_max=86_400)
        self._creditors[country, role] = creditor_id
        return creditor_id

    def borrower(
        self,
        *,
        country: str = "US",
        days_past_due: int = 5,
        phone: bool = True,
        push: bool = True,
        consent: Sequence[str] = ("sms", "push"),
        consent_to: str = "creditor",
        creditor_role: str = "first_party",
        zones: Sequence[str] | None = None,
        known_zone: str | None = None,
        region: str | None = None,
        postal_code: str | None = None,
        locale: str | None = None,
        facts: Sequence[str] = (),
        number: str | None = None,
        push_token: str | None = None,
        product: str = "wallet_credit",
        account: str | None = None,
    ) -> BorrowerIds:
        """A borrower with one loan whose first instalment fell due `days_past_due` days before `TODAY`; the next is 30 days later.

        A negative `days_past_due` is an instalment that is still to come. Ask for several loans with `loan`.
        """
        place = PLACES[country]
        creditor_id = self.creditor(country, role=creditor_role)
        serial = next(self._numbers)
        with connection() as tx:
            party_id = _insert(tx, "party", creditor_id=creditor_id, external_id=f"party-{serial}")
            name, key_id = vault.encrypt_for(tx, party_id, f"Nobody Atall {serial}")
            _fact(
                tx,
                "party_version",
                party_id=party_id,
                name_encrypted=name,
                key_id=key_id,
                locale=locale or place.locale,
                country=country,
                region=region or place.region,
                postal_code=postal_code,
                known_zone=known_zone,
                zones=list(place.zones if zones is None else zones),
                facts=list(facts),
                digest=b"portfolio",
            )
            for channel in consent:
                _fact(tx, "consent", party_id=party_id, channel=channel, given_to=consent_to, at=SINCE)
        sms_id = self.contact_point(party_id, "mobile", number or made_up_number(country, serial), country=country) if phone else None
        push_id = self.contact_point(party_id, "push", push_token or secrets.token_urlsafe(48), country=country) if push else None
        loan_id = self.loan(
            party_id, country=country, days_past_due=days_past_due, creditor_role=creditor_role, product=product, account=account
        )
        return BorrowerIds(party_id=party_id, loan_id=loan_id, sms_id=sms_id, push_id=push_id)

    def loan(
        self,
        party_id: int,
        *,
        country: str = "US",
        days_past_due: int = 5,
        creditor_role: str = "first_party",
        role: str = "borrower",
        product: str = "wallet_credit",
        account: str | None = None,
        grace_days: int = 0,
        status: str = "active",
        servicing_status: str = "active",
        disputed_minor: int = 0,
    ) -> int:
        """One more loan of a party; returns its id."""
        creditor_id = self.creditor(country, role=creditor_role)
        due_on = TODAY - timedelta(days=days_past_due)
        with connection() as tx:
            loan_id = _insert(tx, "loan", creditor_id=creditor_id, external_id=f"loan-{next(self._numbers)}")
            _fact(
                tx,
                "loan_version",
                loan_id=loan_id,
                product=product,
                account=account,
                currency=PLACES[country].currency,
                principal_minor=2 * INSTALMENT_MINOR,
                jurisdiction=country,
                bucket_scheme="standard",
                allocation_order=["penalty", "fee", "interest", "principal"],
                grace_days=grace_days,
                status=status,
                servicing_status=servicing_status,
                disputed_minor=disputed_minor,
                charged_off=False,
                time_barred=False,
                digest=b"portfolio",
            )
            for number, due in enumerate((due_on, due_on + timedelta(days=30)), start=1):
                _fact(
                    tx,
                    "instalment",
                    loan_id=loan_id,
                    number=number,
                    due_on=due,
                    principal_minor=INSTALMENT_MINOR,
                    interest_minor=INTEREST_MINOR,
                    fee_minor=0,
                    penalty_minor=0,
                )
        self.liable(loan_id, party_id, role=role)
        return loan_id

    def liable(
        self, loan_id: int, party_id: int, *, role: str = "co_borrower", starts_on: date | None = None, ends_on: date | None = None
    ) -> None:
        """Say that a party stands for a loan."""
        with connection() as tx:
            _fact(tx, "loan_party", loan_id=loan_id, party_id=party_id, role=role, starts_on=starts_on, ends_on=ends_on)

    def contact_point(
        self,
        party_id: int,
        kind: str,
        value: str,
        *,
        country: str = "US",
        zones: Sequence[str] | None = None,
        owner: str = "borrower",
        employer_owned: bool = False,
        verified_on: date | None = date(2026, 3, 1),
        status: str = "active",
    ) -> int:
        """A phone number, push token or address; returns the id of the contact point."""
        with connection() as tx:
            encrypted, key_id = vault.encrypt_for(tx, party_id, value)
            point = _insert(tx, "contact_point", party_id=party_id, external_id=f"{kind}-{next(self._numbers)}", kind=kind)
            _fact(
                tx,
                "contact_point_version",
                contact_point_id=point,
                value_encrypted=encrypted,
                blind_index=vault.blind_index(value),
                key_id=key_id,
                country=country,
                zones=list(PLACES[country].zones if zones is None else zones),
                owner=owner,
                employer_owned=employer_owned,
                verified_on=verified_on,
                status=status,
                digest=b"portfolio",
            )
        return point

    def ownership(self, value: str, ownership: str) -> None:
        """Say who owns a number: claimed, verified, shared, reassigned, wrong."""
        with connection() as tx:
            _fact(tx, "contact_value", blind_index=vault.blind_index(value), ownership=ownership)

    def payment(
        self,
        loan_id: int,
        amount_minor: int,
        *,
        paid_on: date = TODAY,
        state: str = "posted",
        external_id: str | None = None,
        reverses: str | None = None,
    ) -> str:
        """Money in; with `reverses`, money that went back (negative). Returns the payment's external id."""
        name = external_id or f"payment-{next(self._numbers)}"
        with connection() as tx:
            _fact(
                tx,
                "payment",
                loan_id=loan_id,
                external_id=name,
                state="reversed" if reverses else state,
                amount_minor=amount_minor,
                paid_on=paid_on,
                reverses_external_id=reverses,
                reversal_reason="returned" if reverses else None,
            )
        return name

    def hold(
        self,
        party_id: int,
        kind: str,
        *,
        loan_id: int | None = None,
        all_liable: bool = False,
        channel: str | None = None,
        purpose: str | None = None,
        starts_at: datetime = SINCE,
        until: datetime | None = None,
    ) -> None:
        """A reason not to contact."""
        with connection() as tx:
            _fact(
                tx,
                "hold",
                party_id=party_id,
                loan_id=loan_id,
                all_liable=all_liable,
                kind=kind,
                channel=channel,
                purpose=purpose,
                starts_at=starts_at,
                until=until,
            )

    def opt_out(
        self,
        party_id: int,
        *,
        channel: str = "all",
        contact_point_id: int | None = None,
        at: datetime = SINCE,
        until: datetime | None = None,
    ) -> None:
        """A stop."""
        with connection() as tx:
            _fact(tx, "opt_out", party_id=party_id, channel=channel, contact_point_id=contact_point_id, at=at, until=until)

    def wish(self, party_id: int, kind: str, **columns: Any) -> None:
        """What the person asked for; columns as in the table `wish`."""
        with connection() as tx:
            _fact(tx, "wish", party_id=party_id, kind=kind, **{"starts_at": SINCE, **columns})

    def agreement(self, party_id: int, *, opens: str, closes: str, requested_by: str = "borrower", at: datetime = SINCE) -> None:
        """Hours that both sides agreed on."""
        with connection() as tx:
            _fact(tx, "agreement", party_id=party_id, kind="contact_hours", opens=opens, closes=closes, requested_by=requested_by, at=at)

    def notice(self, party_id: int, kind: str = "validation", *, bounced: bool = False, **columns: Any) -> None:
        """A notice that was sent; columns as in the table `notice`."""
        with connection() as tx:
            _fact(tx, "notice", party_id=party_id, kind=kind, bounced=bounced, **{"sent_at": SINCE, **columns})

    def ageing_pause(self, loan_id: int, starts_on: date, ends_on: date) -> None:
        """Days of a loan, [starts_on, ends_on), that do not age."""
        with connection() as tx:
            _fact(tx, "ageing_pause", loan_id=loan_id, starts_on=starts_on, ends_on=ends_on, reason="test")

    def wallet(
        self, party_id: int, *, currency: str, income_minor: int, essential_minor: int, balance_minor: int, every: int = 14, days: int = 90
    ) -> None:
        """A wallet's last days up to yesterday, in which all that comes in goes out again, what cannot wait first.

        Income every so many days, the last time the day before yesterday; spending every week.
        """
        can_wait_minor = income_minor * 7 // every - essential_minor
        flows = [(back, "salary", income_minor) for back in range(2, days + 1, every)]
        flows += [(back, "essential", essential_minor) for back in range(1, days + 1, 7)]
        flows += [(back, "other", can_wait_minor) for back in range(4, days + 1, 7)]
        flows += [(days, "other", 1), (1, "balance", balance_minor)]
        with connection() as tx:
            for back, kind, minor in flows:
                moved_on = TODAY - timedelta(days=back)
                _fact(tx, "wallet_flow", party_id=party_id, moved_on=moved_on, kind=kind, currency=currency, amount_minor=minor)

    def plan(self, loan_id: int, *, instalments: Sequence[dict[str, Any]], status: str = "active", agreed_on: date = TODAY) -> int:
        """A payment plan; instalments as {due_on: ISO date, amount_minor}. Returns its id."""
        with connection() as tx:
            plan_id = _insert(tx, "plan", loan_id=loan_id, kind="plan")
            _fact(tx, "plan_version", plan_id=plan_id, version=1, status=status, agreed_on=agreed_on, instalments=json.dumps(instalments))
        return plan_id

    def pause(
        self,
        *,
        creditor_id: int | None = None,
        stage: str | None = None,
        channel: str | None = None,
        starts_at: datetime = SINCE,
        until: datetime | None = None,
    ) -> None:
        """Operations stop contact."""
        with connection() as tx:
            _insert(
                tx,
                "pause",
                creditor_id=creditor_id,
                stage=stage,
                channel=channel,
                reason="test",
                starts_at=starts_at,
                until=until,
                source=SOURCE,
                effective_at=starts_at,
            )

    def contact(
        self,
        party_id: int,
        at: datetime,
        *,
        channel: str = "sms",
        direction: str = "outbound",
        result: str = "delivered",
        loans: Sequence[int] = (),
        contact_point_id: int | None = None,
        counterparty: str = "borrower",
        purpose: str | None = "collection",
        about_event_id: int | None = None,
        counts: bool = True,
        uncounts: bool = False,
    ) -> int:
        """Something that happened between us and a person; with `about_event_id`, a result of it. Returns the event's id."""
        with connection() as tx:
            return _insert(
                tx,
                "contact_event",
                # What becomes of a contact stands under the contact's own date.
                business_date=at.date() if about_event_id is None else tx.execute(_DATE_OF, {"id": about_event_id}).scalar_one(),
                party_id=party_id,
                at=at,
                channel=channel,
                direction=direction,
                loans=list(loans),
                contact_point_id=contact_point_id,
                counterparty=counterparty,
                purpose=purpose,
                result=result,
                about_event_id=about_event_id,
                counts=counts and about_event_id is None,
                uncounts=uncounts,
                source=SOURCE,
            )

    def clock(self, at: datetime) -> None:
        """Set the simulated clock."""
        with connection() as tx:
            clock.step(tx, at)


def made_up_number(country: str, serial: int) -> str:
    """A number of a country that no one owns, in E.164.

    Raises:
        ValueError: The country has no such number left.
    """
    if country == "US":
        area, line = divmod(serial, 100)
        if area >= len(US_AREAS):
            raise ValueError("555-0100 to 555-0199 are used up in every area code listed")
        return f"+1{US_AREAS[area]}55501{line:02}"
    # Of the right length, with beginnings that no operator can be given (docs/town.md).
    prefix, digits = {"TW": ("+88630", 7), "CN": ("+86124", 8), "MX": ("+5250", 8)}[country]
    return f"{prefix}{serial:0{digits}}"


@pytest.fixture
def portfolio(ledger_url: str) -> Portfolio:
    """An empty portfolio in a fresh ledger."""
    del ledger_url
    return Portfolio()


def _fact(tx: Connection, table: str, **columns: Any) -> int:
    return _insert(tx, table, **{"effective_at": SINCE, "source": SOURCE, **columns})


_DATE_OF = text("SELECT business_date FROM contact_event WHERE id = :id")


def _insert(tx: Connection, table: str, **columns: Any) -> int:
    """Insert one row; a name of a table or column never comes from outside a test."""
    given = {name: value for name, value in columns.items() if value is not None}
    statement = f"INSERT INTO {table} ({', '.join(given)}) VALUES ({', '.join(':' + name for name in given)}) RETURNING id"  # noqa: S608  # see above
    return int(tx.execute(text(statement), given).scalar_one())
