"""Columns of a portfolio's files: how the text of one field is read, and what makes it a bad one.

In:   an expression over texts; what the field is; how the file writes; what exists (countries, zones, bucket schemes).
Out:  an expression of the typed value, and one of the reason why there is none (null = fine).
Pure: no I/O, no clock; expressions only.
Source: ISO 4217, ISO 3166-1 and -2, ISO 8601, BCP 47.

Whatever could mean two things is a problem, never a guess: `1,234.50` without a declared thousands mark, an id that a
spreadsheet turned into `1.23E+15`, a number with more decimals than its currency has. No float is ever made.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import polars as pl

from decisions.aging import COMPONENTS
from decisions.money import currencies
from decisions.zones import ZoneTables

# Amounts travel as whole ten-thousandths of the currency's main unit: no currency has more than four decimals.
AMOUNT_DECIMALS: Final = 4
AMOUNT_DIGITS_MAX: Final = 14
MINOR_DIGITS_MAX: Final = 17
YEAR_FIRST: Final = 1900
YEAR_LAST: Final = 2199
TEXT_CHARACTERS_MAX: Final = 4096
COUNT_DIGITS_MAX: Final = 6
# Compared case by case with what exports write where nothing is.
NOT_AN_ID: Final = r"^(?i:nan|null|none|nil|n/a|#n/a|na|\?|-+|#ref!|#value!|#name\?|#null!|#num!|undefined)$"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a kind of row.

    Attributes:
        name: As a mapping names it.
        form: How its text is read; a key of `_FORMS`.
        required: A row without it is bad.
        default: Text used where the row has none.
        choices: The only words allowed, for the forms `choice` and `choices`.
    """

    name: str
    form: str
    required: bool = False
    default: str | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How a file writes what it says.

    Attributes:
        date_format: As strftime writes it.
        zone: Of instants that carry no offset, and of bare dates; None = such instants are bad rows.
        decimal_mark: "." or ",".
        thousands_mark: None = a number with groups is a bad row.
        in_minor: Amounts are whole minor units.
        list_separator: Between the items of a list.
        nulls: Texts that mean nothing, beside the empty one.
    """

    date_format: str = "%Y-%m-%d"
    zone: str | None = None
    decimal_mark: str = "."
    thousands_mark: str | None = None
    in_minor: bool = False
    list_separator: str = ";"
    nulls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the columns are checked against.

    Attributes:
        tables: Countries, regions, zones.
        schemes: Names of bucket schemes.
        live: Numbers must be ones that their plan gives out.
        attributes: Of people, which may be held to measure fairness.
    """

    tables: ZoneTables
    schemes: frozenset[str]
    live: bool
    attributes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Read:
    """One field's typed value and its reason to be bad (null = fine), as expressions over its text."""

    value: pl.Expr
    reason: pl.Expr


def plain(field: Field, writing: Writing) -> pl.Expr:
    """The field's text without surrounding space; null where it says nothing; the default where there is one."""
    text = pl.col(field.name).cast(pl.String).str.strip_chars()
    text = pl.when(text.is_in(["", *writing.nulls])).then(None).otherwise(text)
    return text if field.default is None else text.fill_null(default_text(field, writing))


def default_text(field: Field, writing: Writing) -> str | None:
    """A default list is written with ";" here, and with the file's own separator there."""
    return field.default.replace(";", writing.list_separator) if field.default and field.form == "order" else field.default


def read_field(field: Field, writing: Writing, known: Known) -> Read:
    """Read a field from the column of its name. A region is read beside the column `country`."""
    text = pl.col(field.name)
    read = _FORMS[field.form](text, field, writing, known)
    missing = pl.lit("missing") if field.required else pl.lit(None, pl.String)
    too_long = text.str.len_chars() > TEXT_CHARACTERS_MAX
    control = text.str.contains(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
    reason = (
        pl.when(text.is_null())
        .then(missing)
        .when(too_long)
        .then(pl.lit(f"more than {TEXT_CHARACTERS_MAX} characters"))
        .when(control)
        .then(pl.lit("holds a control character"))
        .otherwise(read.reason)
    )
    return Read(read.value, reason)


def _when(*wrongs: tuple[pl.Expr, str]) -> pl.Expr:
    """The reason of the first that is wrong; null where none is."""
    return pl.coalesce(pl.when(wrong).then(pl.lit(reason)) for wrong, reason in wrongs)


def _text(text: pl.Expr, field: Field, writing: Writing, known: Known) -> Read:
    del field, writing, known
    return Read(text, pl.lit(None, pl.String))


def _id_reason(text: pl.Expr) -> pl.Expr:
    return _when(
        (text.str.contains(NOT_AN_ID), "a placeholder for nothing stands where an id is due"),
        (text.str.contains(r"^[+-]?[0-9]+([.,][0-9]+)?[eE][+-]?[0-9]+$"), "a spreadsheet turned the id into a rounded number"),
        (text.str.contains(r"^[0-9]+\.0+$"), "an export turned the id into a decimal number"),
        (text.str.contains(r"[\t\r\n]"), "an id of several lines"),
    )


def _id(text: pl.Expr, field: Field, writing: Writing, known: Known) -> Read:
    del field, writing, known
    return Read(text, _id_reason(text))


def _ids(text: pl.Expr, field: Field, writing: Writing, known: Known) -> Read:
    del field, known
    items = _items(text, writing)
    return Read(items, _when((items.list.eval(_id_reason(pl.element()).is_not_null()).list.any(), "an item of the list is not an id")))


def _word(text: pl.Expr, field: Field, writing: Writing, known: Known) -> Read:
    del field, writing, known
    return Read(text, _when((~text.str.contains(r"^[A-Za-z0-9_.+-]{1,64}$"), "not one word of letters, digits and _ . + -")))


def _words(text: pl.Expr, field: Field, writing: Writing, known: Known) -> Read:
    del field, known
    items = _items(text, writing)
    good = items.list.eval(pl.element().str.contains(r"^[a-z][a-z0-9_]{0,63}$")).list.all()
    return Read(items, _when((~good, "not a list of words such as military")))


def _items(text: pl.Expr, writing: Writing) -> pl.Expr:
    """The items of a list; a row that says nothing has none."""
    split = (
        text.str.split(writing.list_separator).list.eval(pl.element().str.strip_chars()).list.eval(pl.element().filter(pl.element() != ""))
    )
    return pl.when(text.is_null()).then(pl.lit([], pl.List(pl.String))).otherwise(split)


def _one_choice(text: pl.Expr, field: Field, writing: Writing, known: Known) -> Read:
    del writing, known
    return Read(text, _when((~text.is_in(field.choices), f"not one of {', '.join(field.choices)}")))


def _many_choices(text: pl.Expr, field: Field, writing: Writing, known: Known) -> Read:
    del known
    items = _items(text, writing)
    good = items.list.eval(pl.element().is_in(list(field.choices))).list.all()
    return Read(items, _when((~good, f"an item is not one of {', '.join(field.choices)}")))


def _order(text: pl.Expr, field: Field, writing: Writing, known: Known) -> Read:
    del field, known
    items = _items(text, writing)
    whole = items.list.sort() == pl.lit(sorted(COMPONENTS), pl.List(pl.String))
    return Read(items, _when((~whole, f"does not name each of {', '.join(COMPONENTS)} once")))


def _locale(text: pl.Expr, field: Field, writing: Writing, known: Known) -> Read:
    del field, writing, known
    tag = text.str.replace_all("_", "-")
    good = tag.str.contains(r"^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$")
    return Read(tag, _when((~good, "not a language such as en or zh-Hant")))


def _country(text: pl.Expr, field: Field, writing: Writing, known: Known) -> Read:
    del field, writing
    return Read(text, _when((~text.is_in(sorted(known.tables.countries)), "not a country of ISO 3166-1 (two capital letters)")))


def _region(text: pl.Expr, field: Field, writing: Writing, known: Known) -> Read:
    del field, writing
    code = pl.when(text.str.contains("^[A-Z]{2}-")).then(text).otherwise(pl.concat_str(pl.col("country"), pl.lit("-"), text))
    listed = pl.col("country").is_in(sorted(known.tables.countries_with_regions))
    malformed = ~code.str.contains("^[A-Z]{2}-[A-Z0-9]{1,3}$") | (code.str.head(2) != pl.col("country"))
    reason = _when(
        (pl.col("country").is_null(), "a region without its country"),
        (malformed, "not a region of its country as ISO 3166-2 writes it (US-NY, or NY)"),
        (listed & ~code.is_in(sorted(known.tables.regions)), "its country has no such region (ISO 3166-2)"),
    )
    return Read(code, reason)


def _jurisdiction(text: pl.Expr, field: Field, writing: Writing, known: Known) -> Read:
    del field, writing
    country = text.str.head(2)
    good = text.str.contains("^[A-Z]{2}(-[A-Z0-9]{1,3})*$") & country.is_in(sorted(known.tables.countries))
    return Read(text, _when((~good, "not a jurisdiction such as MX or US-NY")))


def _zone(text: pl.Expr, field: Field, writing: Writing, known: Known) -> Read:
    del field, writing
    return Read(text, _when((~text.is_in(sorted(known.tables.names)), "not a zone of the tz database such as America/New_York")))


def _scheme(text: pl.Expr, field: Field, writing: Writing, known: Known) -> Read:
    del field, writing
    return Read(text, _when((~text.is_in(sorted(known.schemes)), f"not one of {', '.join(sorted(known.schemes))}")))


def _currency(text: pl.Expr, field: Field, writing: Writing, known: Known) -> Read:
    del field, writing, known
    return Read(text, _when((~text.is_in(sorted(currencies())), "not a currency of ISO 4217 (three capital letters)")))


def _count(text: pl.Expr, field: Field, writing: Writing, known: Known) -> Read:
    del field, writing, known
    # An export of a column with gaps writes 3 as 3.0: that means nothing else.
    whole = text.str.replace(r"\.0+$", "")
    good = whole.str.contains(rf"^[0-9]{{1,{COUNT_DIGITS_MAX}}}$")
    return Read(pl.when(good).then(whole).cast(pl.Int64), _when((~good, "not a whole number from 0 on")))


def _flag(text: pl.Expr, field: Field, writing: Writing, known: Known) -> Read:
    del field, writing, known
    word = text.str.to_lowercase()
    yes, no = word.is_in(["true", "yes", "y", "1", "t"]), word.is_in(["false", "no", "n", "0", "f"])
    return Read(pl.when(yes).then(True).when(no).then(False), _when((~(yes | no), "neither true nor false")))


def _hour(text: pl.Expr, field: Field, writing: Writing, known: Known) -> Read:
    del field, writing, known
    return Read(text, _when((~text.str.contains(r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$"), "not a time of day such as 09:30")))


def _date(text: pl.Expr, field: Field, writing: Writing, known: Known) -> Read:
    del field, known
    day = text.str.to_date(writing.date_format, strict=False)
    day = pl.when(day.dt.year().is_between(YEAR_FIRST, YEAR_LAST)).then(day)
    return Read(day, _when((day.is_null(), f"not a date as the mapping says ({writing.date_format})")))


def _instant(text: pl.Expr, field: Field, writing: Writing, known: Known) -> Read:
    del field, known
    bare = text.str.to_date(writing.date_format, strict=False).cast(pl.Datetime("us"))
    iso = r"^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}:[0-9]{2})(:[0-9]{2})?(\.[0-9]{1,6})?(Z|[+-](?:0[0-9]|1[0-4]):?[0-5][0-9])?)?$"
    part = text.str.extract_groups(iso)
    names = ("1", "2", "3", "4", "5")
    day, minute, second, fraction, offset = (part.struct.field(name) for name in names)
    local = pl.concat_str(day, pl.lit("T"), minute.fill_null("00:00"), second.fill_null(":00"), fraction.fill_null(".0")).str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False
    )
    local = pl.coalesce(local, bare)
    local = pl.when(local.dt.year().is_between(YEAR_FIRST, YEAR_LAST)).then(local)
    digits = offset.str.replace("Z", "+0000").str.replace(":", "")
    minutes = digits.str.slice(1, 2).cast(pl.Int64) * 60 + digits.str.slice(3, 2).cast(pl.Int64)
    shift = pl.duration(minutes=pl.when(digits.str.starts_with("-")).then(-minutes).otherwise(minutes))
    given = (local - shift).dt.replace_time_zone("UTC")
    # A clock that was put back shows an hour twice: the earlier is meant, as it is the one that was seen first.
    in_zone = (
        pl.lit(None, pl.Datetime("us", "UTC"))
        if writing.zone is None
        else local.dt.replace_time_zone(writing.zone, ambiguous="earliest", non_existent="null").dt.convert_time_zone("UTC")
    )
    at = pl.when(offset.is_not_null()).then(given).otherwise(in_zone)
    reason = _when(
        (local.is_null(), "not an instant such as 2026-03-31T09:30:00Z"),
        (offset.is_null() & pl.lit(writing.zone is None), "an instant without an offset, and the mapping names no zone"),
        (at.is_null(), "the clock skipped this time of day in the mapping's zone"),
    )
    return Read(at, reason)


def _number_text(text: pl.Expr, writing: Writing) -> tuple[pl.Expr, pl.Expr]:
    """The number as plain digits with a point, and whether its groups are as declared."""
    point = re.escape(writing.decimal_mark)
    if writing.thousands_mark is None:
        return text.str.replace(point, "."), pl.lit(True)
    group = re.escape(writing.thousands_mark)
    grouped = text.str.contains(rf"^[+-]?(?:[0-9]+|[0-9]{{1,3}}(?:{group}[0-9]{{3}})+)(?:{point}[0-9]+)?$")
    return text.str.replace_all(group, "").str.replace(point, "."), grouped


def _scaled(number: pl.Expr, decimals: int, digits_max: int) -> tuple[pl.Expr, pl.Expr]:
    """A plain decimal text as a whole number of its 10^-decimals, and whether nothing was lost; without floats."""
    part = number.str.extract_groups(rf"^([+-]?)([0-9]{{1,{digits_max}}})(?:\.([0-9]+))?$")
    sign, whole, fraction = (part.struct.field(name) for name in ("1", "2", "3"))
    fraction = fraction.fill_null("")
    exact = whole.is_not_null() & ~fraction.str.slice(decimals).str.contains("[1-9]")
    size = whole.cast(pl.Int64) * 10**decimals + fraction.str.slice(0, decimals).str.pad_end(decimals, "0").cast(
        pl.Int64, strict=False
    ).fill_null(0)
    return pl.when(exact).then(pl.when(sign == "-").then(-size).otherwise(size)), exact


def _amount(text: pl.Expr, field: Field, writing: Writing, known: Known) -> Read:
    del field, known
    number, grouped = _number_text(text, writing)
    if writing.in_minor:
        value, exact = _scaled(number, 0, MINOR_DIGITS_MAX)
        return Read(pl.when(grouped).then(value), _when((~(grouped & exact), "not a whole number of minor units")))
    value, exact = _scaled(number, AMOUNT_DECIMALS, AMOUNT_DIGITS_MAX)
    reason = _when(
        (number.str.contains(r"^[+-]?[0-9]{1,14}\.[0-9]+$") & grouped & ~exact, "more decimals than any currency has"),
        (~(grouped & exact), "not a plain decimal number such as 1234.50 (the mapping declares any other mark)"),
    )
    return Read(pl.when(grouped).then(value), reason)


def _percent(text: pl.Expr, field: Field, writing: Writing, known: Known) -> Read:
    del field, known
    number, grouped = _number_text(text, writing)
    value, exact = _scaled(number, 2, COUNT_DIGITS_MAX)
    good = grouped & exact & (value >= 0)
    return Read(pl.when(good).then(value), _when((~good.fill_null(False), "not a rate in per cent with at most two decimals")))


_FORMS: Final = {
    "text": _text,
    "id": _id,
    "ids": _ids,
    "word": _word,
    "words": _words,
    "choice": _one_choice,
    "choices": _many_choices,
    "order": _order,
    "locale": _locale,
    "country": _country,
    "region": _region,
    "jurisdiction": _jurisdiction,
    "zone": _zone,
    "scheme": _scheme,
    "currency": _currency,
    "count": _count,
    "flag": _flag,
    "hour": _hour,
    "date": _date,
    "instant": _instant,
    "amount": _amount,
    "percent": _percent,
}
