"""Portfolios of any size for benchmarks: people who do not exist, made in chunks so that memory does not grow with them.

Four countries, 1.3 loans and 1.8 contact points a borrower, loans per borrower skewed as wallet lenders know it. Every
number is one that no one can own (sandbox/people.py). The same seed and size make the same portfolio.

In:   a `Wanted` portfolio.
Out:  `write_files`: CSV files for config/imports/wallet.yaml; `fill_ledger`: the same people straight into a ledger.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from sqlalchemy import Connection, text

from ledger import vault
from ledger.engine import connection
from sandbox.people import invent_people

CHUNK_BORROWERS: Final = 20_000
MONTH_DAYS: Final = 30
SOURCE: Final = "bench"
CONSENTED_DAYS: Final = 200
# Of 100 borrowers so many have one loan, two, three, four.
LOANS_OF_HUNDRED: Final = (78, 15, 5, 2)
PUSH_SHARE: Final = 0.8
SENDERS: Final = {"sms": "+15005550006", "push": "lantern", "in_app": "lantern", "rcs": "lantern", "email": "desk@pay.lantern.example"}
# What somebody with three contact points has agreed to, by their kinds.
CHANNELS_OF_POINT: Final = {"mobile": ["sms", "rcs"], "push": ["push", "in_app"], "email": ["email"]}
# Who has so many that they could be told apart by them: the United States keep only so many numbers for fiction.
US_BORROWERS_MAX: Final = 30_000


@dataclass(frozen=True, slots=True)
class Place:
    """A country of the portfolio: its share, how its people are addressed, and how its made-up numbers are written."""

    share: int
    currency: str
    locale: str
    zone: str
    prefix: str
    digits: int


# The last one takes what the United States have no numbers for.
PLACES: Final = {
    "US": Place(15, "USD", "en", "", "", 0),
    "CN": Place(20, "CNY", "zh-Hans", "Asia/Shanghai", "+86124", 8),
    "MX": Place(25, "MXN", "es", "America/Mexico_City", "+5250", 8),
    "TW": Place(40, "TWD", "zh-Hant", "Asia/Taipei", "+88630", 7),
}
REGIONS: Final = {
    "America/New_York": "NY",
    "America/Chicago": "IL",
    "America/Denver": "CO",
    "America/Los_Angeles": "CA",
    "America/Phoenix": "AZ",
    "Pacific/Honolulu": "HI",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What kind of portfolio.

    Attributes:
        borrowers: How many.
        as_of: The date as of which one loan of each late borrower is 1 to 30 days late; further loans are not late.
        late_share: Of borrowers who are late; the next instalment of the others falls due within 30 days.
        instalments: Of each loan, a month apart; all before the oldest unpaid one are paid.
        paid: At most so many of them.
        contacts: Past contacts of each borrower before `as_of`.
        contact_days: From each of them to the next.
        countries: Of `PLACES`.
        with_push: Whether four of five borrowers have the app.
        with_email: Whether everybody has an email address too, and the app: three contact points each, for five channels.
        seed: Of every draw.
    """

    borrowers: int
    as_of: date
    late_share: float = 1.0
    instalments: int = 3
    paid: int = 0
    contacts: int = 0
    contact_days: int = 4
    countries: tuple[str, ...] = tuple(PLACES)
    with_push: bool = True
    with_email: bool = False
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some borrowers with all that is theirs; `party` and `loan` are numbers that count through the portfolio from 0."""

    parties: pl.DataFrame
    loans: pl.DataFrame
    instalments: pl.DataFrame
    payments: pl.DataFrame
    points: pl.DataFrame
    consents: pl.DataFrame
    contacts: pl.DataFrame


@dataclass(slots=True)
class Filled:
    """How many rows a portfolio has, by kind."""

    rows: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Rows of all kinds."""
        return sum(self.rows.values())

    def add(self, kind: str, rows: int) -> None:
        """Count some."""
        self.rows[kind] = self.rows.get(kind, 0) + rows


def chunks(wanted: Wanted) -> Iterator[Chunk]:
    """The portfolio, some thousand borrowers at a time."""
    loans_before = 0
    for first in range(0, wanted.borrowers, CHUNK_BORROWERS):
        chance = np.random.default_rng([wanted.seed, first])
        numbers = np.arange(first, min(first + CHUNK_BORROWERS, wanted.borrowers))
        parties = _parties(numbers, wanted)
        loans = _loans(parties, loans_before, wanted, chance)
        loans_before += loans.height
        instalments = _instalments(loans, wanted)
        points = _points(parties, wanted, chance)
        yield Chunk(
            parties=parties,
            loans=loans,
            instalments=instalments,
            payments=instalments.filter(pl.col("number") <= pl.col("paid")).select("loan", "number", paid_on="due_on", amount="due"),
            points=points,
            consents=_consents(points, wanted),
            contacts=_contacts(parties, loans, wanted),
        )


def _parties(numbers: np.ndarray[Any, np.dtype[np.int64]], wanted: Wanted) -> pl.DataFrame:
    """party, country, currency, locale, region, zone, phone."""
    shares = [PLACES[country].share for country in wanted.countries]
    cycle = [country for country, share in zip(wanted.countries, shares, strict=True) for _ in range(share)]
    # Spread over the cycle, so that every chunk has everybody.
    of_cycle = numbers * 37 % len(cycle)
    countries = pl.Series([cycle[place] for place in of_cycle], dtype=pl.String)
    serial_in_us = pl.Series(numbers // len(cycle) * cycle.count("US") + of_cycle, dtype=pl.Int64)
    frame = pl.DataFrame({"party": numbers, "country": countries, "us": serial_in_us})
    if "US" in wanted.countries:
        frame = frame.with_columns(
            country=pl.when((pl.col("country") == "US") & (pl.col("us") >= US_BORROWERS_MAX))
            .then(pl.lit(wanted.countries[-1]))
            .otherwise("country")
        ).join(_americans(), on="us", how="left", maintain_order="left")
    else:
        frame = frame.with_columns(pl.lit(None, pl.String).alias(name) for name in ("us_phone", "us_zone"))
    american = pl.col("country") == "US"
    written = [
        pl.when(pl.col("country") == country).then(pl.lit(place.prefix) + pl.col("party").cast(pl.String).str.zfill(place.digits))
        for country, place in PLACES.items()
        if country != "US"
    ]
    told = {name: {country: getattr(place, name) for country, place in PLACES.items()} for name in ("currency", "locale", "zone")}
    return frame.with_columns(
        phone=pl.when(american).then("us_phone").otherwise(pl.coalesce(written)),
        zone=pl.when(american).then("us_zone").otherwise(pl.col("country").replace_strict(told["zone"])),
        region=pl.when(american).then(pl.col("us_zone").replace_strict(REGIONS, default=None)),
        currency=pl.col("country").replace_strict(told["currency"]),
        locale=pl.col("country").replace_strict(told["locale"]),
    ).drop("us", "us_phone", "us_zone")


@cache
def _americans() -> pl.DataFrame:
    """Numbers of the United States with the zone of their area code."""
    found = invent_people("bench", "US", US_BORROWERS_MAX)
    return pl.DataFrame(
        {"us": range(len(found)), "us_phone": [person.phone for person in found], "us_zone": [person.zone for person in found]},
        schema_overrides={"us": pl.Int64},
    )


def _loans(parties: pl.DataFrame, before: int, wanted: Wanted, chance: np.random.Generator) -> pl.DataFrame:
    """loan, party, country, currency, instalment (minor units), oldest_unpaid_on, paid (instalments)."""
    shares = np.array(LOANS_OF_HUNDRED) / 100
    counts = chance.choice(np.arange(1, len(shares) + 1), size=parties.height, p=shares)
    of_party = np.repeat(np.arange(parties.height), counts)
    is_first = np.concatenate([[True], of_party[1:] != of_party[:-1]])
    days_late = np.where(is_first, chance.integers(1, 31, of_party.size), -chance.integers(5, 26, of_party.size))
    if wanted.late_share < 1:
        on_time = np.repeat(chance.random(parties.height) >= wanted.late_share, counts)
        days_late = np.where(on_time, -chance.integers(0, 30, of_party.size), days_late)
    return parties.select("party", "country", "currency")[of_party].with_columns(
        loan=pl.Series(np.arange(before, before + of_party.size)),
        instalment=pl.Series(chance.integers(2_000, 90_000, of_party.size)),
        oldest_unpaid_on=pl.lit(wanted.as_of) - pl.duration(days=pl.lit(pl.Series(days_late))),
        paid=pl.Series(chance.integers(0, wanted.paid + 1, of_party.size)),
    )


def _instalments(loans: pl.DataFrame, wanted: Wanted) -> pl.DataFrame:
    """loan, number (from 1), due_on, principal, interest, due (minor units), paid (instalments of the loan)."""
    return (
        loans.select("loan", "instalment", "oldest_unpaid_on", "paid", number=pl.int_ranges(1, wanted.instalments + 1))
        .explode("number")
        .select(
            "loan",
            "number",
            "paid",
            due_on=pl.col("oldest_unpaid_on") + pl.duration(days=(pl.col("number") - 1 - pl.col("paid")) * MONTH_DAYS),
            principal=pl.col("instalment"),
            interest=pl.col("instalment") // 20,
            due=pl.col("instalment") + pl.col("instalment") // 20,
        )
    )


def _points(parties: pl.DataFrame, wanted: Wanted, chance: np.random.Generator) -> pl.DataFrame:
    """party, kind, channel, value, country, zone: a mobile number each, the app for most, email where it is wanted."""
    columns = ("party", "kind", "channel", "value", "country", "zone")
    phones = parties.with_columns(kind=pl.lit("mobile"), channel=pl.lit("sms"), value="phone").select(columns)
    if not wanted.with_push:
        return phones
    has_app = chance.random(parties.height) < (1 if wanted.with_email else PUSH_SHARE)
    apps = parties.filter(pl.Series(has_app)).with_columns(
        kind=pl.lit("push"),
        channel=pl.lit("push"),
        value=pl.format("bench-app-of-nobody-{}-{}", pl.lit(wanted.seed), pl.col("party").hash(wanted.seed)),
    )
    addresses = parties.head(parties.height if wanted.with_email else 0).with_columns(
        kind=pl.lit("email"), channel=pl.lit("email"), value=pl.format("bench-{}@nobody.example", "party")
    )
    return pl.concat([phones, apps.select(columns), addresses.select(columns)]).sort("party", "kind")


def _consents(points: pl.DataFrame, wanted: Wanted) -> pl.DataFrame:
    """party, channel: what each agreed to when she gave the contact point."""
    if not wanted.with_email:
        return points.select("party", "channel")
    agreed = pl.col("kind").replace_strict(CHANNELS_OF_POINT, return_dtype=pl.List(pl.String))
    return points.select("party", channel=agreed).explode("channel")


def _contacts(parties: pl.DataFrame, loans: pl.DataFrame, wanted: Wanted) -> pl.DataFrame:
    """party, loan, number, on: past contacts, about the borrower's first loan."""
    days = [wanted.contact_days * number for number in range(1, wanted.contacts + 1)]
    first = loans.group_by("party", maintain_order=True).agg(pl.col("loan").first())
    return (
        parties.select("party", number=pl.lit(days, pl.List(pl.Int64)))
        .explode("number", empty_as_null=False)
        .join(first, on="party", maintain_order="left")
        .with_columns(on=pl.lit(wanted.as_of) - pl.duration(days="number"))
        # A log lies by its days, each through the portfolio.
        .sort("on", "party")
    )


# --- as a lender's files --------------------------------------------------------------------------------------------


def write_files(folder: Path, wanted: Wanted) -> tuple[list[Path], Filled]:
    """Write the portfolio as files for config/imports/wallet.yaml; payments and contacts only where there are any.

    Returns:
        The files, and how many rows each kind has.
    """
    filled = Filled()
    paths: dict[str, Path] = {}
    for chunk in chunks(wanted):
        for kind, rows in _as_lender(chunk).items():
            if rows.height:
                path = folder / f"{kind}.csv"
                with path.open("ab") as file:
                    rows.write_csv(file, include_header=kind not in paths)
                paths[kind] = path
                filled.add(kind, rows.height)
    return list(paths.values()), filled


def _as_lender(chunk: Chunk) -> dict[str, pl.DataFrame]:
    party, loan = pl.format("B{}", "party"), pl.format("L{}", "loan")
    return {
        "parties": chunk.parties.select("locale", "country", "region", external_id=party, name=pl.format("Nobody Atall {}", "party")),
        "loans": chunk.loans.select(
            "currency", external_id=loan, party=party, product=pl.lit("wallet_credit"), principal=_main_unit(pl.col("instalment") * 12), jurisdiction="country"
        ),
        "instalments": chunk.instalments.select("number", "due_on", loan=loan, principal=_main_unit(pl.col("principal")), interest=_main_unit(pl.col("interest"))),
        "payments": chunk.payments.select(
            "paid_on", loan=loan, external_id=pl.format("P{}-{}", "loan", "number"), amount=_main_unit(pl.col("amount"))
        ),
        "contact_points": chunk.points.select(
            "kind", "value", party=party, external_id=pl.format("{}-{}", "kind", "party"), consent="channel", consent_at=pl.lit("2026-01-05T09:00:00Z")
        ),
        "contacts": chunk.contacts.select(
            external_id=pl.format("E{}-{}", "party", "number"), party=party, at=pl.format("{}T04:00:00Z", "on"), channel=pl.lit("sms"), loans=loan, result=pl.lit("delivered")
        ),
    }  # fmt: skip


def _main_unit(minor: pl.Expr) -> pl.Expr:
    """Amounts as a lender writes them; every currency here has two decimals."""
    return pl.format("{}.{}", minor // 100, (minor % 100).cast(pl.String).str.zfill(2))


# --- straight into a ledger -----------------------------------------------------------------------------------------


def fill_ledger(wanted: Wanted) -> Filled:
    """Write the portfolio into an empty ledger by COPY, as one creditor's, with fresh payments; then take statistics."""
    filled = Filled()
    effective_at = datetime.combine(wanted.as_of - timedelta(days=CONSENTED_DAYS), time(12), UTC)
    with connection() as tx:
        # What is written refers to what was written before it: nothing is looked up row by row.
        tx.execute(text("SET LOCAL session_replication_role = replica"))
        senders = SENDERS if wanted.with_email else {channel: SENDERS[channel] for channel in ("sms", "push")}
        creditor_id = int(tx.execute(_CREDITOR, {"senders": json.dumps(senders)}).scalar_one())
        tx.execute(_FEED, {"creditor": creditor_id, "covers": datetime.combine(wanted.as_of, time(23), UTC), "at": effective_at})
        points_before = 0
        for chunk in chunks(wanted):
            for table, rows in _as_ledger(chunk, creditor_id, points_before, effective_at).items():
                copy(tx, table, rows)
                filled.add(table, rows.height)
            points_before += chunk.points.height
        for table in ("party", "loan", "contact_point"):
            tx.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"))  # noqa: S608  # names above
    with connection() as tx:
        tx.execute(text("ANALYZE"))
    return filled


def copy(tx: Connection, table: str, rows: pl.DataFrame) -> None:
    """COPY a frame into a table; lists of texts or numbers are written as PostgreSQL's own arrays, bytes in hexadecimal."""
    columns = [
        ("{" + pl.col(name).cast(pl.List(pl.String)).list.join(",") + "}").alias(name)
        if isinstance(kind, pl.List)
        else ("\\x" + pl.col(name).bin.encode("hex")).alias(name)
        if kind == pl.Binary
        else pl.col(name)
        for name, kind in rows.schema.items()
    ]
    driver: Any = tx.connection.driver_connection
    statement = f"COPY {table} ({', '.join(rows.columns)}) FROM STDIN WITH (FORMAT csv)"
    with driver.cursor() as cursor, cursor.copy(statement) as stream:
        stream.write(rows.select(columns).write_csv(include_header=False, datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ").encode())


def _as_ledger(chunk: Chunk, creditor_id: int, points_before: int, effective_at: datetime) -> dict[str, pl.DataFrame]:
    """Rows of the tables; ids count from 1 in the order of the portfolio."""
    fact = {"effective_at": pl.lit(effective_at, pl.Datetime("us", "UTC")), "source": pl.lit(SOURCE)}
    digest = pl.lit(b"bench")
    party_id, loan_id = pl.col("party") + 1, pl.col("loan") + 1
    points = chunk.points.with_columns(contact_point_id=pl.int_range(pl.len()) + points_before + 1, party_id=party_id)
    keys = {party: vault.keyed("bench", str(party)) for party in chunk.parties["party"]}
    key_ids = {party: f"{vault.PERSON}{party + 1}-{vault.new_label()}" for party in keys}
    wrapped = [vault.seal(keys[party], bound_to=key_ids[party]) for party in keys]
    sealed = [vault.encrypt_with_raw(keys[party], value) for party, value in points.select("party", "value").iter_rows()]
    blind = pl.Series([vault.blind_index(value) for value in points["value"]], dtype=pl.Binary)
    names = [vault.encrypt_with_raw(key, f"Nobody Atall {party}") for party, key in keys.items()]
    no_words = pl.lit([], pl.List(pl.String))
    zones = pl.concat_list("zone")
    return {
        "party": chunk.parties.select(id=party_id, creditor_id=pl.lit(creditor_id), external_id=pl.format("B{}", "party")),
        "party_version": chunk.parties.select(
            "locale", "country", "region", party_id=party_id, zones=zones, facts=no_words, digest=digest, **fact,
            name_encrypted=pl.Series(names, dtype=pl.Binary), key_id=pl.Series(list(key_ids.values())),
        ),
        "party_key": chunk.parties.select(
            party_id=party_id, id=pl.Series(list(key_ids.values())), wrapped_by=pl.Series([by for _, by in wrapped]),
            wrapped=pl.Series([one for one, _ in wrapped], dtype=pl.Binary),
        ),
        "loan": chunk.loans.select(id=loan_id, creditor_id=pl.lit(creditor_id), external_id=pl.format("L{}", "loan")),
        "loan_version": chunk.loans.select(
            "currency", loan_id=loan_id, product=pl.lit("wallet_credit"), principal_minor=pl.col("instalment") * 12, jurisdiction="country",
            bucket_scheme=pl.lit("standard"), allocation_order=no_words, grace_days=pl.lit(0), status=pl.lit("active"), servicing_status=pl.lit("active"),
            disputed_minor=pl.lit(0), charged_off=pl.lit(False), time_barred=pl.lit(False), digest=digest, **fact,
        ),
        "loan_party": chunk.loans.select(loan_id=loan_id, party_id=party_id, role=pl.lit("borrower"), **fact),
        "instalment": chunk.instalments.select(
            "number", "due_on", loan_id=loan_id, principal_minor="principal", interest_minor="interest", fee_minor=pl.lit(0), penalty_minor=pl.lit(0), **fact
        ),
        "payment": chunk.payments.select(
            "paid_on", loan_id=loan_id, external_id=pl.format("P{}-{}", "loan", "number"), state=pl.lit("posted"), amount_minor="amount", **fact
        ),
        "contact_point": points.select("kind", "party_id", id="contact_point_id", external_id=pl.format("{}-{}", "kind", "party")),
        "contact_point_version": points.select(
            "contact_point_id", "country", value_encrypted=pl.Series(sealed, dtype=pl.Binary),
            key_id=pl.Series([key_ids[party] for party in points["party"]]), blind_index=blind,
            zones=zones, owner=pl.lit("borrower"), employer_owned=pl.lit(False), status=pl.lit("active"), digest=digest, **fact,
        ),
        "contact_value": points.select(blind_index=blind, ownership=pl.lit("claimed"), **fact),
        "consent": chunk.consents.select("channel", party_id=party_id, given_to=pl.lit("creditor"), at=pl.lit(effective_at, pl.Datetime("us", "UTC")), **fact),
        "contact_event": chunk.contacts.select(
            business_date="on", party_id=party_id, at=pl.col("on").cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + pl.duration(hours=4),
            channel=pl.lit("sms"), direction=pl.lit("outbound"), loans=pl.concat_list(loan_id), counterparty=pl.lit("borrower"),
            purpose=pl.lit("collection"), result=pl.lit("delivered"), counts=pl.lit(True), source=pl.lit(SOURCE),
        ),
    }  # fmt: skip


_CREDITOR: Final = text("""
    INSERT INTO creditor (external_id, name, role, country, page_domain, senders)
    VALUES ('bench', 'Lantern Wallet', 'first_party', 'TW', 'pay.lantern.example', :senders) RETURNING id
""")
_FEED: Final = text("""
    INSERT INTO feed (creditor_id, kind, covers_until, age_seconds_max, effective_at, source)
    VALUES (:creditor, 'payments', :covers, 86400, :at, 'bench')
""")
