"""Reads config/imports/*.yaml: how the files of one lender's core system map to the kinds of rows that the importer knows.

In:   the mapping's file. docs/import.md explains it line by line.
Out:  an `ImportMapping`, checked against the fields of decisions/portfolio.py.
Pure: no; reads one file.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field as Limited
from pydantic import model_validator

from config.load import ConfigError, Day, Strict, Whole, read
from config.settings import HOUSE
from config.zones import zone_tables
from decisions.portfolio import KINDS
from decisions.portfolio_columns import Field, Writing
from decisions.words import CHANNELS, GATEWAY_CHANNELS, GATEWAY_SENDER, PURPOSES

FOLDER = HOUSE / "config" / "imports"
DATE_FORMAT = re.compile(r"(%[YmdbB]|[^%])+")

Character = Annotated[str, Limited(min_length=1, max_length=1)]


class CreditorForm(Strict):
    """The lender as the borrower knows it."""

    external_id: str
    name: str
    role: Literal["first_party", "third_party", "debt_buyer"]
    country: str
    licence: str | None = None
    page_domain: str | None = None
    senders: dict[str, str] = Limited(default_factory=dict)

    @model_validator(mode="after")
    def _senders_are_of_channels(self) -> CreditorForm:
        """`sms`, or `sms/receipt`: a purpose with a sender of its own."""
        for key, sender in self.senders.items():
            channel, apart, purpose = key.partition("/")
            if sender.startswith(GATEWAY_SENDER) and (channel not in GATEWAY_CHANNELS or sender == GATEWAY_SENDER):
                raise ValueError(f"senders: {key} cannot go through a gateway so; it carries {', '.join(sorted(GATEWAY_CHANNELS))}")
            if channel not in CHANNELS or (apart and purpose not in PURPOSES):
                raise ValueError(f"senders: {key} is neither a channel nor a channel/purpose; channels are {', '.join(CHANNELS)}")
        return self


class FeedForm(Strict):
    """How old the payments' word may be before nobody is contacted on it."""

    age_seconds_max: Annotated[Whole, Limited(gt=0)]


class RowsForm(Strict):
    """One kind of row that each line of a file holds.

    Attributes:
        kind: A kind of decisions/portfolio.py.
        columns: Field → column of the file.
        constants: Field → the same text for each row.
        values: Field → the file's word → our word; a word that is not listed stays as it is.
        when: A column: lines where it is empty hold no such row.
    """

    kind: str
    columns: dict[str, str]
    constants: dict[str, str] = Limited(default_factory=dict)
    values: dict[str, dict[str, str]] = Limited(default_factory=dict)
    when: str | None = None

    @model_validator(mode="after")
    def _fields_are_known(self) -> RowsForm:
        fields: dict[str, Field] = {field.name: field for field in KINDS.get(self.kind, ())}
        if not fields:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")
        given = [*self.columns, *self.constants]
        if unknown := [name for name in [*given, *self.values] if name not in fields]:
            raise ValueError(f"{self.kind} have no field {', '.join(unknown)}; they have {', '.join(fields)}")
        if twice := sorted(self.columns.keys() & self.constants.keys()):
            raise ValueError(f"both a column and a constant for {', '.join(twice)}")
        if missing := [name for name, field in fields.items() if field.required and field.default is None and name not in given]:
            raise ValueError(f"no column and no constant for {', '.join(missing)}")
        return self


class FileForm(Strict):
    """One kind of file.

    Attributes:
        match: Pattern of the file's name (`loans*.csv`); a suffix `.gz` of the file is left out first.
        rows: What each line holds; or
        derive: the rule that makes rows of it.
        optional: Columns that the file may leave out; their fields then take their defaults.
        ignored: Columns that are not used. Any other column that is not named is an error.
        encoding: Of a CSV file; strictly.
        delimiter: Of a CSV file.
        last_line_break: `required` refuses a file whose last line does not end: it may be cut. `optional` trusts it.
        date_format, zone, decimal_mark, thousands_mark, amounts, list_separator, nulls: See decisions.portfolio_columns.Writing.
    """

    match: str
    rows: tuple[RowsForm, ...] = ()
    derive: Literal["uci-credit-card"] | None = None
    optional: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    encoding: str = "utf-8"
    delimiter: Character = ","
    last_line_break: Literal["required", "optional"] = "required"
    date_format: str = "%Y-%m-%d"
    zone: str | None = None
    decimal_mark: Literal[".", ","] = "."
    thousands_mark: Character | None = None
    amounts: Literal["major", "minor"] = "major"
    list_separator: Character = ";"
    nulls: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _makes_sense(self) -> FileForm:
        if bool(self.rows) == bool(self.derive):
            raise ValueError("give either rows or derive")
        try:
            codecs.lookup(self.encoding)
        except LookupError as error:
            raise ValueError(f"unknown encoding {self.encoding}") from error
        if (
            not DATE_FORMAT.fullmatch(self.date_format)
            or "%Y" not in self.date_format
            or "%d" not in self.date_format
            or not re.search("%[mbB]", self.date_format)
        ):
            raise ValueError("date_format must hold %Y, a month (%m, %b or %B) and %d, and nothing else that begins with %")
        if self.zone is not None and self.zone not in zone_tables().names:
            raise ValueError(f"no such zone: {self.zone}")
        if self.thousands_mark is not None and (self.thousands_mark == self.decimal_mark or self.thousands_mark.isalnum()):
            raise ValueError("thousands_mark must differ from decimal_mark, and be neither a letter nor a digit")
        return self

    @property
    def writing(self) -> Writing:
        """How the file writes what it says."""
        return Writing(
            date_format=self.date_format,
            zone=self.zone,
            decimal_mark=self.decimal_mark,
            thousands_mark=self.thousands_mark,
            in_minor=self.amounts == "minor",
            list_separator=self.list_separator,
            nulls=self.nulls,
        )

    def columns(self) -> Iterator[str]:
        """Every column of the file that the mapping reads."""
        for rows in self.rows:
            yield from rows.columns.values()
            if rows.when is not None:
                yield rows.when


class MappingForm(Strict):
    """The file, as written.

    Attributes:
        source: Name of the core system; stands on every fact.
        creditor: Whose portfolio it is.
        payments_feed: Needed where a file holds payments.
        as_of: Day on which a derived panel's last statement falls; `--as-of` overrides it.
        files: What each file holds.
    """

    source: Annotated[str, Limited(pattern=r"^[A-Za-z0-9._-]+$")]
    creditor: CreditorForm
    payments_feed: FeedForm | None = None
    as_of: Day | None = None
    files: Annotated[tuple[FileForm, ...], Limited(min_length=1)]

    @model_validator(mode="after")
    def _payments_have_a_feed(self) -> MappingForm:
        pays = any(file.derive or any(rows.kind == "payments" for rows in file.rows) for file in self.files)
        if pays and self.payments_feed is None:
            raise ValueError("a mapping with payments must say payments_feed.age_seconds_max: how old their word may be")
        return self


@dataclass(frozen=True)
class ImportMapping:
    """A mapping that was read.

    Attributes:
        name: The file's name without its suffix.
        body: The file's text.
        form: What it says.
    """

    name: str
    body: str
    form: MappingForm

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the text: the mapping's version."""
        return hashlib.sha256(self.body.encode()).hexdigest()

    @property
    def as_of(self) -> date | None:
        """The mapping's own day."""
        return self.form.as_of


def import_mapping(path: Path) -> ImportMapping:
    """Read one mapping.

    Raises:
        ConfigError: The file is missing or malformed, or names a kind, field, zone or encoding that does not exist.
    """
    form = read(path, MappingForm)
    if form.creditor.country not in zone_tables().countries:
        raise ConfigError(path, None, "creditor.country", "not a country of ISO 3166-1")
    return ImportMapping(name=path.stem, body=path.read_text("utf-8-sig"), form=form)
