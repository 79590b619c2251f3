"""Portfolio rows: what a file of the lender's core system may say, column by column, and what is wrong with it.

In:   a frame of texts, one column for each field of a kind of row, and how the file writes dates and numbers.
Out:  the same rows typed, without the bad ones; and the problems: line, field, value, reason. A value stays inside
      the program: what goes to people is its `shape`.
Pure: no I/O, no clock.
Source: DOMAIN.md "Portfolio facts the importer accepts"; ISO 4217, ISO 3166, ISO 8601, E.164.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from decisions.aging import COMPONENTS
from decisions.fairness_words import ATTRIBUTES
from decisions.portfolio_columns import Field, Known, Writing, default_text, plain, read_field
from decisions.wallet_flows import FLOW_KINDS
from decisions.words import CHANNELS, HOLD_KINDS, PARTIES, RESULTS, WEEKDAYS
from decisions.zones import NotAPhoneError, ZoneTables, read_phone

SHAPE_CHARACTERS_MAX: Final = 40
EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")

# What the window of an envelope holds beside the name and the country.
ADDRESS_LINES_MAX: Final = 6
ADDRESS_LINE_CHARACTERS_MAX: Final = 60
NO_ADDRESS: Final = f"not an address of 1 to {ADDRESS_LINES_MAX} lines, each of {ADDRESS_LINE_CHARACTERS_MAX} characters at most"

PHONE_KINDS: Final = frozenset({"mobile", "landline", "whatsapp"})


def _choice(name: str, words: Sequence[str], default: str | None = None, *, required: bool = False) -> Field:
    return Field(name, "choice", required=required, default=default, choices=tuple(words))


def _choices(name: str, words: Sequence[str], default: str | None = None) -> Field:
    return Field(name, "choices", default=default, choices=tuple(words))


def _must(name: str, form: str) -> Field:
    return Field(name, form, required=True)


_EFFECTIVE: Final = Field("effective_at", "instant")

# Kind of row → its fields. The order of the kinds is the order in which they are written.
KINDS: Final[dict[str, tuple[Field, ...]]] = {
    "parties": (
        _must("external_id", "id"),
        Field("name", "text"),
        _must("locale", "locale"),
        Field("country", "country"),
        Field("region", "region"),
        Field("postal_code", "text"),
        Field("known_zone", "zone"),
        Field("facts", "words"),
        _EFFECTIVE,
    ),
    "loans": (
        _must("external_id", "id"),
        Field("party", "id"),
        _must("product", "word"),
        Field("account", "id"),
        _must("currency", "currency"),
        _must("principal", "amount"),
        Field("apr_percent", "percent"),
        Field("jurisdiction", "jurisdiction"),
        Field("opened_on", "date"),
        Field("bucket_scheme", "scheme", default="standard"),
        Field("allocation_order", "order", default=";".join(COMPONENTS)),
        Field("grace_days", "count", default="0"),
        _choice("status", ["active", "written_off", "submitted", "approved", "rejected", "withdrawn", "closed", "overpaid"], "active"),
        _choice(
            "servicing_status", ["active", "in_plan", "written_off", "placed", "sold", "settled", "paid", "estate", "forgiven"], "active"
        ),
        Field("disputed", "amount", default="0"),
        Field("charged_off", "flag", default="false"),
        Field("time_barred", "flag", default="false"),
        _EFFECTIVE,
    ),
    "loan_parties": (
        _must("loan", "id"),
        _must("party", "id"),
        _choice("role", ["borrower", "co_borrower", "guarantor", "executor", "attorney", "debt_adviser"], "borrower"),
        Field("starts_on", "date"),
        Field("ends_on", "date"),
        _EFFECTIVE,
    ),
    "instalments": (
        _must("loan", "id"),
        _must("number", "count"),
        _must("due_on", "date"),
        _must("principal", "amount"),
        Field("interest", "amount", default="0"),
        Field("fee", "amount", default="0"),
        Field("penalty", "amount", default="0"),
        Field("currency", "currency"),
        _EFFECTIVE,
    ),
    "payments": (
        _must("loan", "id"),
        _must("external_id", "id"),
        _must("amount", "amount"),
        Field("currency", "currency"),
        _choice("state", ["claimed", "pending", "posted", "reversed"], "posted"),
        Field("paid_on", "date"),
        Field("paid_at", "instant"),
        Field("rail", "word"),
        Field("reverses", "id"),
        _choice("reversal_reason", ["returned", "chargeback", "misposted", "refund", "fraud"]),
        _EFFECTIVE,
    ),
    "allocations": (
        _must("loan", "id"),
        _must("payment", "id"),
        _must("instalment", "count"),
        _choice("component", COMPONENTS, required=True),
        _must("amount", "amount"),
        Field("currency", "currency"),
        _EFFECTIVE,
    ),
    "delinquency_snapshots": (
        _must("loan", "id"),
        _must("as_of", "date"),
        _must("months_past_due", "count"),
        _must("status_code", "word"),
        Field("balance", "amount"),
        Field("currency", "currency"),
    ),
    "wallet_flows": (
        _must("party", "id"),
        _must("day", "date"),
        _choice("kind", FLOW_KINDS, required=True),
        _must("amount", "amount"),
        _must("currency", "currency"),
        _EFFECTIVE,
    ),
    "contact_points": (
        _must("party", "id"),
        Field("external_id", "id"),
        _choice("kind", ["mobile", "landline", "email", "address", "push", "whatsapp", "messenger", "social"], required=True),
        _must("value", "text"),
        Field("country", "country"),
        _choice("owner", PARTIES, "borrower"),
        Field("employer_owned", "flag", default="false"),
        Field("verified_on", "date"),
        _choice("status", ["active", "inactive", "invalid", "unreachable"], "active"),
        _choices("consent", CHANNELS),
        Field("consent_at", "instant"),
        Field("consent_given_to", "word", default="creditor"),
        _EFFECTIVE,
    ),
    "consents": (
        _must("party", "id"),
        _choice("channel", CHANNELS, required=True),
        Field("given_to", "word", default="creditor"),
        Field("at", "instant"),
        Field("until", "instant"),
        Field("withdrawn_at", "instant"),
    ),
    "opt_outs": (
        _must("party", "id"),
        _choice("channel", ("all", *CHANNELS), "all"),
        Field("contact_point", "id"),
        Field("at", "instant"),
        Field("until", "instant"),
    ),
    "holds": (
        _must("party", "id"),
        Field("loan", "id"),
        Field("all_liable", "flag", default="false"),
        _choice("kind", HOLD_KINDS, required=True),
        _choice("channel", CHANNELS),
        Field("purpose", "word"),
        Field("starts_at", "instant"),
        Field("until", "instant"),
    ),
    "wishes": (
        _must("party", "id"),
        _choice("kind", ["not_at", "not_place", "not_channel"], required=True),
        _choices("days", WEEKDAYS),
        Field("opens", "hour"),
        Field("closes", "hour"),
        Field("place", "word"),
        _choices("channels", CHANNELS),
        Field("starts_at", "instant"),
        Field("until", "instant"),
        Field("form", "word"),
    ),
    "contacts": (
        _must("external_id", "id"),
        _must("party", "id"),
        _must("at", "instant"),
        _choice("channel", CHANNELS, required=True),
        _choice("direction", ("outbound", "inbound"), "outbound"),
        Field("loans", "ids"),
        Field("contact_point", "id"),
        _choice("counterparty", PARTIES, "borrower"),
        Field("purpose", "word", default="collection"),
        _choice("result", RESULTS, required=True),
        Field("counts", "flag", default="true"),
        Field("jurisdiction", "jurisdiction"),
    ),
    "fairness_attributes": (
        _must("party", "id"),
        _choice("attribute", tuple(ATTRIBUTES), required=True),
        _must("value", "word"),
        _EFFECTIVE,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What became of a frame of rows.

    Attributes:
        good: line (Int64) and every field of the kind, typed (amounts: Int64, minor units or whole ten-thousandths, see
            decisions.portfolio_columns.AMOUNT_DECIMALS; lists: List[String]; instants: UTC). Contact points get `zones`
            beside their canonical `value`, and numbers their own `country`.
        bad: line and every field, typed as far as it could be read: money that was refused still counts.
        problems: line, field, value, reason (String): one row a problem, several for one line.
    """

    good: pl.DataFrame
    bad: pl.DataFrame
    problems: pl.DataFrame


def check(kind: str, rows: pl.DataFrame, writing: Writing, known: Known) -> Checked:
    """Type and check the rows of one kind.

    Args:
        kind: A key of KINDS.
        rows: `line` (Int64) and texts (String), named by field; fields that are not there take their default.
        writing: How the file writes.
        known: What the columns are checked against.
    """
    fields = KINDS[kind]
    texts = rows.select(
        "line",
        *(
            (plain(field, writing) if field.name in rows.columns else pl.lit(default_text(field, writing), pl.String)).alias(field.name)
            for field in fields
        ),
    )
    reads = {field.name: read_field(field, writing, known) for field in fields}
    typed = texts.with_columns(
        *(read.value.alias(f"value:{name}") for name, read in reads.items()),
        *(read.reason.cast(pl.String).alias(f"reason:{name}") for name, read in reads.items()),
    )
    typed = _across(kind, typed, writing, known)
    if kind == "contact_points":
        typed = _contact_values(typed, writing, known)
    wrong = pl.any_horizontal(pl.col(f"reason:{field.name}").is_not_null() for field in fields)
    extra = ["zones"] if kind == "contact_points" else []
    shown = ["line", *(pl.col(f"value:{field.name}").alias(field.name) for field in fields), *extra]
    marked = typed.with_columns(wrong=wrong)
    return Checked(
        good=marked.filter(~pl.col("wrong")).select(shown),
        bad=marked.filter("wrong").select(shown),
        problems=_problems(marked.filter("wrong"), [field.name for field in fields]),
    )


def address_lines(value: str, separator: str) -> list[str]:
    """Lines of an address as the post reads them, without the name and the country; a line ends at a line's end or a separator."""
    return [line for part in value.splitlines() for piece in part.split(separator) if (line := " ".join(piece.split()))]


def shape(value: str | None) -> str:
    """What a value looks like, without saying it: "9 digits, no +", "12 characters: aaaa 99-aaaa".

    Letters become `a`, digits `9`; it never starts with a character that a spreadsheet takes for a formula.
    """
    if value is None or value == "":
        return "empty"
    digits = re.sub(r"[ ().-]", "", value)
    if digits.isdigit() and digits.isascii():
        return f"{len(digits)} digits, no +"
    if digits.startswith("+") and digits[1:].isdigit() and digits.isascii():
        return f"+ and {len(digits) - 1} digits"
    drawn = "".join(_drawn(character) for character in value[:SHAPE_CHARACTERS_MAX])
    return f"{len(value)} characters: {drawn}{'…' if len(value) > SHAPE_CHARACTERS_MAX else ''}"


def _drawn(character: str) -> str:
    if character.isalpha():
        return "a"
    if character.isdigit():
        return "9"
    return character if character.isascii() and character.isprintable() else "?"


def _problems(bad: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """One row a problem, in the order of the lines."""
    parts = [
        bad.filter(pl.col(f"reason:{name}").is_not_null()).select(
            "line", pl.lit(name).alias("field"), pl.col(name).alias("value"), pl.col(f"reason:{name}").alias("reason")
        )
        for name in names
    ]
    return pl.concat(parts).sort("line", maintain_order=True)


# --- what only several columns together can say -----------------------------------------------------------------------


def _across(kind: str, typed: pl.DataFrame, writing: Writing, known: Known) -> pl.DataFrame:
    """Add the reasons that lie between columns."""
    value = {name.removeprefix("value:"): pl.col(name) for name in typed.columns if name.startswith("value:")}
    wrongs: list[tuple[str, pl.Expr, str]] = []
    if kind == "loans":
        wrongs = [(name, value[name] < 0, "a negative amount") for name in ("principal", "disputed")]
    elif kind == "loan_parties":
        wrongs = [("ends_on", value["ends_on"] < value["starts_on"], "ends before it starts")]
    elif kind == "instalments":
        wrongs = [(name, value[name] < 0, "a negative amount") for name in ("principal", "interest", "fee", "penalty")]
        wrongs.append(("number", value["number"] < 1, "instalments are numbered from 1 on"))
    elif kind == "payments":
        typed = _with_paid_on(typed, writing)
        wrongs = _payment_wrongs(value)
    elif kind == "wallet_flows":
        wrongs = [("amount", value["amount"] < 0, "a negative amount: the kind says which way it moved")]
    elif kind == "allocations":
        wrongs = [("amount", value["amount"] == 0, "nothing was allocated")]
    elif kind == "fairness_attributes":
        wrongs = _attribute_wrongs(value, known)
    elif kind in {"consents", "opt_outs", "holds", "wishes"}:
        start = value["starts_at"] if kind in {"holds", "wishes"} else value["at"]
        wrongs = [("until", value["until"] < start, "ends before it starts")]
    if kind == "wishes":
        hours = value["opens"].is_null() | value["closes"].is_null() | (value["opens"] == value["closes"])
        wrongs += [
            ("opens", (value["kind"] == "not_at") & hours, "a wish about hours needs two different hours"),
            ("place", (value["kind"] == "not_place") & value["place"].is_null(), "a wish about a place names none"),
            ("channels", (value["kind"] == "not_channel") & (value["channels"].list.len() == 0), "a wish about channels names none"),
        ]
    return typed.with_columns(
        [
            pl.coalesce(f"reason:{name}", *(pl.when(wrong).then(pl.lit(reason)) for field, wrong, reason in wrongs if field == name)).alias(
                f"reason:{name}"
            )
            for name in dict.fromkeys(field for field, _, _ in wrongs)
        ]
    )


def _with_paid_on(typed: pl.DataFrame, writing: Writing) -> pl.DataFrame:
    """The local day of a payment that names only its instant: in the mapping's zone, else as its own offset wrote it."""
    at = pl.col("value:paid_at")
    local = (
        pl.when(at.is_not_null()).then(pl.col("paid_at").str.head(10).str.to_date("%Y-%m-%d", strict=False))
        if writing.zone is None
        else at.dt.convert_time_zone(writing.zone).dt.date()
    )
    return typed.with_columns(pl.coalesce("value:paid_on", local).alias("value:paid_on"))


def _payment_wrongs(value: dict[str, pl.Expr]) -> list[tuple[str, pl.Expr, str]]:
    taken_back = value["state"] == "reversed"
    return [
        ("paid_on", pl.col("paid_on").is_null() & pl.col("paid_at").is_null(), "neither paid_on nor paid_at"),
        ("amount", value["amount"] == 0, "nothing was paid"),
        ("amount", taken_back & (value["amount"] > 0), "a reversal is negative"),
        ("amount", ~taken_back & (value["amount"] < 0), "only a reversal is negative"),
        ("reverses", taken_back & value["reverses"].is_null(), "a reversal names the payment that it takes back"),
        ("reverses", ~taken_back & value["reverses"].is_not_null(), "only a reversal takes a payment back"),
        ("reverses", value["reverses"] == value["external_id"], "a payment cannot take itself back"),
        ("reversal_reason", taken_back & value["reversal_reason"].is_null(), "a reversal says why"),
        ("reversal_reason", ~taken_back & value["reversal_reason"].is_not_null(), "only a reversal has a reason"),
    ]


def _attribute_wrongs(value: dict[str, pl.Expr], known: Known) -> list[tuple[str, pl.Expr, str]]:
    held = value["attribute"].is_in(sorted(known.attributes))
    return [
        ("attribute", ~held, "there is no leave to hold it of people of this creditor (config/fairness.yaml)"),
        *(
            ("value", (value["attribute"] == attribute) & ~value["value"].is_in(words), f"of {attribute} not one of {', '.join(words)}")
            for attribute, words in ATTRIBUTES.items()
        ),
    ]


def _contact_values(typed: pl.DataFrame, writing: Writing, known: Known) -> pl.DataFrame:
    """Canonical values, and what numbers say of place; the reason where a value is none of its kind."""
    canonical: list[str | None] = []
    countries: list[str | None] = []
    # Joined, because a column of lists is slow to make from Python.
    zones: list[str] = []
    reasons: list[str | None] = []
    columns = ("value:kind", "value:value", "value:country", "reason:value")
    for kind, value, given, reason in zip(*(typed[name] for name in columns), strict=True):
        text, country, where, problem = (
            (value, None, (), reason) if reason or value is None else _contact_value(kind, value, writing, known)
        )
        canonical.append(text)
        countries.append(country or given)
        zones.append(" ".join(where))
        reasons.append(problem)
    return typed.with_columns(
        pl.Series("value:value", canonical, pl.String),
        pl.Series("reason:value", reasons, pl.String),
        pl.Series("value:country", countries, pl.String),
        pl.Series("zones", zones, pl.String).str.split(" ").list.filter(pl.element() != ""),
    )


def canonical_values(typed: str, tables: ZoneTables) -> list[str]:
    """What a contact value that somebody typed could stand for in the ledger: the number, the address, the token, the lines.

    Args:
        typed: By a person who looks for somebody.
        tables: Zones of places.
    """
    writing, known = Writing(), Known(tables=tables, schemes=frozenset(), live=False)
    read = (_contact_value(kind, typed.strip(), writing, known)[0] for kind in ("mobile", "email", "push", "address"))
    return list(dict.fromkeys(value for value in read if value))


def _contact_value(kind: str, value: str, writing: Writing, known: Known) -> tuple[str | None, str | None, tuple[str, ...], str | None]:
    """Canonical value, country, zones, reason."""
    if kind in PHONE_KINDS:
        try:
            phone = read_phone(value, tables=known.tables, live=known.live)
        except NotAPhoneError as error:
            return None, None, (), str(error)
        return phone.e164, phone.country, phone.zones, None
    if kind == "email" and not EMAIL.fullmatch(value):
        return None, None, (), "not an address such as name@example.com"
    if kind == "push" and re.search(r"\s", value):
        return None, None, (), "a push token has no spaces"
    if kind == "address":
        lines = address_lines(value, writing.list_separator)
        fits = 1 <= len(lines) <= ADDRESS_LINES_MAX and all(len(line) <= ADDRESS_LINE_CHARACTERS_MAX for line in lines)
        return ("\n".join(lines), None, (), None) if fits else (None, None, (), NO_ADDRESS)
    return value.lower() if kind == "email" else value, None, (), None
