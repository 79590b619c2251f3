"""Import a portfolio: read the files, check every row, write what is new or changed, account for all of it.

In:   a mapping of config/imports/, paths of files.
Out:  rows in the ledger, a file of rejects, a file of changes, and the reconciliation.
Pure: no. One transaction: whatever goes wrong with a file as a whole, nothing is written.
"""

from __future__ import annotations

import csv
import fnmatch
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import polars as pl
from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from config.aging import aging_policy
from config.fairness import attributes_held
from config.import_mapping import FOLDER, FileForm, ImportMapping, RowsForm, import_mapping
from config.settings import HOUSE, settings
from config.zones import zone_tables
from decisions import card_panel
from decisions.money import minor_units
from decisions.portfolio import KINDS, Checked, check, shape
from decisions.portfolio_columns import Known, Writing
from ledger.engine import connection
from ledger.import_keys import ImportKeys
from ledger.imports import UNKNOWN_CURRENCY, Import, ReconciliationError
from tasks.portfolio_files import Batch, ImportRefused, file_hash, read_batches
from tasks.progress import WHOLE, tell

CHANGES_SHOWN_MAX: Final = 100
# Reading takes so much of an import, in percent.
READ: Final = 60.0
OUTCOMES: Final = ("new", "changed", "same", "rejected")
# Which amounts of a kind are its money.
MONEY_FIELDS: Final = {
    "loans": ("principal",),
    "instalments": ("principal", "interest", "fee", "penalty"),
    "payments": ("amount",),
    "allocations": ("amount",),
    "delinquency_snapshots": ("balance",),
    "wallet_flows": ("amount",),
}
REJECT_COLUMNS: Final = ("file", "line", "column", "value", "reason")
CHANGE_COLUMNS: Final = ("kind", "key", "columns")


@dataclass(frozen=True, slots=True)
class Step:
    """How far an import is.

    Attributes:
        what: What is being done: `reading` a file, `writing` a kind of rows.
        name: The file or the kind.
        done: Bytes read so far, or kinds written.
        total: Bytes of the file, or kinds.
    """

    what: str
    name: str
    done: int
    total: int


Progress = Callable[[Step], None]


@dataclass(slots=True)
class ImportReport:
    """What an import did. Holds no personal value; keys are the lender's own ids.

    Attributes:
        mapping: Its name.
        batch_id: The import's id in the ledger, for tracing each fact back to it; None for a dry run.
        dry_run: Nothing was written.
        files: File → lines that hold rows.
        rows: Kind → read, new, changed, same, rejected; read is the sum of the others.
        money: Kind → currency → the same, in the currency's main unit, exact. `unknown` = of rows whose loan, and so whose
            currency, is not known.
        unreadable_amounts: Kind → rejected rows whose amount could not be read at all.
        changes: The first changed rows: kind, key, columns; all of them are in `changes_file`.
        rejects_file: Where every rejected row is listed; None = none was.
        changes_file: Where every changed row is listed; None = none was.
        zones_derived_again: Parties whose zones changed because their numbers did.
        creditor_changed: What the mapping changed about the creditor.
    """

    mapping: str
    dry_run: bool
    batch_id: int | None = None
    files: dict[str, int] = field(default_factory=dict)
    rows: dict[str, dict[str, int]] = field(default_factory=dict)
    money: dict[str, dict[str, dict[str, Decimal]]] = field(default_factory=dict)
    unreadable_amounts: dict[str, int] = field(default_factory=dict)
    changes: list[dict[str, Any]] = field(default_factory=list)
    rejects_file: Path | None = None
    changes_file: Path | None = None
    zones_derived_again: int = 0
    creditor_changed: tuple[str, ...] = ()

    def total(self, what: str) -> int:
        """Rows of all kinds: read, new, changed, same or rejected."""
        return sum(counts[what] for counts in self.rows.values())

    def as_json(self) -> dict[str, Any]:
        """Everything as plain JSON values; amounts are texts, because a JSON number is a float to many readers."""
        money = {
            kind: {currency: {what: str(amount) for what, amount in sums.items()} for currency, sums in by_currency.items()}
            for kind, by_currency in self.money.items()
        }
        return {
            "mapping": self.mapping,
            "dry_run": self.dry_run,
            "batch": self.batch_id,
            **{what: self.total(what) for what in ("read", *OUTCOMES)},
            "files": self.files,
            "kinds": self.rows,
            "money": money,
            "unreadable_amounts": self.unreadable_amounts,
            "changes": self.changes,
            "rejects_file": None if self.rejects_file is None else str(self.rejects_file),
            "changes_file": None if self.changes_file is None else str(self.changes_file),
            "zones_derived_again": self.zones_derived_again,
            "creditor_changed": list(self.creditor_changed),
        }


class _NothingIsKept(Exception):  # no error: the way out of a dry run's transaction
    """Ends a dry run."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One kind of rows of one file: what a rejected row's number of its part stands for."""

    file: str
    kind: str
    columns: dict[str, str]


def import_files(
    mapping: ImportMapping | Path,
    files: Sequence[Path],
    *,
    as_of: date | None = None,
    covers_until: datetime | None = None,
    dry_run: bool = False,
    rejects: Path | None = None,
    progress: Progress = lambda _: None,
) -> ImportReport:
    """Import files of one portfolio in one transaction.

    Args:
        mapping: The mapping or its file.
        files: CSV, gzipped CSV or Parquet; each must match exactly one entry of the mapping.
        as_of: For panels: the day of their last statement; default is the mapping's.
        covers_until: How far the payments in the files reach; default is now, unless the very same files were imported before.
        dry_run: Check and count, write nothing but the lists of rejects and changes.
        rejects: Where to list what was rejected; default is build/imports/ of the checkout. The changes are listed beside it.
        progress: Told of each step.

    Raises:
        ConfigError: The mapping is malformed.
        ImportRefused: A file cannot be imported at all, or matches no entry of the mapping.
        ReconciliationError: A bug; nothing was written.
    """
    mapping = import_mapping(mapping) if isinstance(mapping, Path) else mapping
    forms = _match(mapping, files)
    report = ImportReport(mapping=mapping.name, dry_run=dry_run)
    hashed = file_hash(files)
    try:
        with connection() as tx, Import(tx, mapping, file_hash=hashed, tables=zone_tables()) as work:
            rejects = rejects or HOUSE / "build" / "imports" / f"{mapping.name}-{work.batch_id}-rejects.csv"
            with _listing(rejects, REJECT_COLUMNS) as rejected, _listing(_changes_file(rejects), CHANGE_COLUMNS) as changed:
                run = _Run(work, report, rejected.write, as_of or mapping.as_of, country=mapping.form.creditor.country)
                for path, form in zip(files, forms, strict=True):
                    run.read(path, form, progress)
                run.write(changed.write, progress)
                if run.pays and mapping.form.payments_feed is not None and (covers_until is not None or not work.seen_before):
                    work.cover(covers_until or work.now, mapping.form.payments_feed.age_seconds_max)
            report.rejects_file, report.changes_file = rejected.written, changed.written
            report.batch_id = None if dry_run else work.batch_id
            work.close(report.as_json())
            _keep(unless=dry_run)
    except _NothingIsKept:
        pass
    return report


def _keep(*, unless: bool) -> None:
    """Leave the transaction by an error where nothing is to be kept: that takes everything back."""
    if unless:
        raise _NothingIsKept


def import_by_name(
    mapping: str, files: Sequence[Path], *, as_of: date | None = None, dry_run: bool = False, progress: Progress = lambda _: None
) -> ImportReport:
    """Import under a mapping of config/imports by its name, as operations give it in the Prefect UI.

    Raises:
        ConfigError: There is no such mapping.
        ImportRefused: See `import_files`.
    """
    return import_files(FOLDER / f"{mapping}.yaml", files, as_of=as_of, dry_run=dry_run, progress=progress)


@task(task_run_name="import {mapping}", persist_result=False, cache_policy=NO_CACHE)
def import_and_report(mapping: str, files: Sequence[Path], *, as_of: date | None = None, dry_run: bool = False) -> dict[str, int]:
    """Import, and show the reconciliation as an artifact of the flow run.

    Returns:
        Rows read, new, changed, same, rejected.

    Raises:
        ConfigError, ImportRefused: See `import_by_name`.
    """
    report = import_by_name(mapping, files, as_of=as_of, dry_run=dry_run, progress=_bar(len(files)))
    create_table_artifact(
        key=f"import-{mapping}",
        description=f"**import {mapping}**{' (dry run)' if dry_run else ''}: read = new + changed + same + rejected, for each kind of row.",
        table=[{"rows": kind, **counts} for kind, counts in report.rows.items()],
    )
    return {what: report.total(what) for what in ("read", *OUTCOMES)}


def _bar(files: int) -> Progress:
    """Moves the run's bar: reading takes the first part of it, writing the rest. Files are numbered: a name may say too much."""
    begun: dict[str, int] = {}

    def told(step: Step) -> None:
        share = step.done / step.total if step.total else 1.0
        if step.what == "reading":
            number = begun.setdefault(step.name, len(begun) + 1)
            tell(READ * (number - 1 + share) / files, f"reading file {number} of {files}")
        else:
            tell(READ + (WHOLE - READ) * share, f"writing {step.name}" if step.name else "written")

    return told


def _match(mapping: ImportMapping, files: Sequence[Path]) -> list[FileForm]:
    """The entry of the mapping for each file."""
    forms = []
    for path in files:
        name = path.name.removesuffix(".gz")
        fitting = [form for form in mapping.form.files if fnmatch.fnmatchcase(name, form.match)]
        if len(fitting) != 1:
            which = "no entry" if not fitting else "several entries"
            raise ImportRefused(
                path.name,
                None,
                f"{which} of the mapping {mapping.name} match the file's name ({', '.join(form.match for form in mapping.form.files)})",
            )
        forms.append(fitting[0])
    return forms


def _changes_file(rejects: Path) -> Path:
    stem = rejects.stem.removesuffix("-rejects").removesuffix(".rejects")
    return rejects.with_name(f"{stem}-changes.csv")


class _List:
    """A CSV file that exists only when something is written to it."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.written: Path | None = None
        self._path = path
        self._columns = columns
        self._handle: Any = None
        self._writer: Any = None

    def write(self, *cells: object) -> None:
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = self._path.open("w", encoding="utf-8", newline="")
            self._writer = csv.writer(self._handle, lineterminator="\n")
            self._writer.writerow(self._columns)
            self.written = self._path
        self._writer.writerow(cells)

    def close(self, *, keep: bool) -> None:
        if self._handle is not None:
            self._handle.close()
            if not keep:
                self._path.unlink()


@contextmanager
def _listing(path: Path, columns: Sequence[str]) -> Iterator[_List]:
    """A list of rows; a refused import leaves none."""
    listing = _List(path, columns)
    try:
        yield listing
    except BaseException:
        listing.close(keep=False)
        raise
    listing.close(keep=True)


class _Run:
    """What one import knows while it reads."""

    def __init__(self, work: Import, report: ImportReport, reject: Callable[..., None], as_of: date | None, *, country: str) -> None:
        self.pays = False
        self._work = work
        self._report = report
        self._reject = reject
        self._as_of = as_of
        self._parts: list[_Part] = []
        self._rejected: dict[str, int] = {}
        # Counted while reading; writing must arrive at the same.
        self._read_rows: dict[str, int] = {}
        self._read_money: dict[str, int] = {}
        self._known = Known(
            tables=zone_tables(),
            schemes=frozenset(aging_policy().schemes),
            live=settings().is_real,
            attributes=attributes_held(country),
        )

    # --- reading ----------------------------------------------------------------------------------------------------

    def read(self, path: Path, form: FileForm, progress: Progress) -> None:
        """Check and stage every row of a file."""
        size = path.stat().st_size
        columns = card_panel.COLUMNS if form.derive else tuple(form.columns())
        self._report.files[path.name] = self._report.files.get(path.name, 0)
        parts: dict[tuple[str, int], int] = {}
        progress(Step("reading", path.name, 0, size))
        for batch in read_batches(path, form, columns):
            self._batch(path.name, form, batch, parts)
            progress(Step("reading", path.name, min(batch.read_bytes, size), size))
        progress(Step("reading", path.name, size, size))

    def _batch(self, file: str, form: FileForm, batch: Batch, parts: dict[tuple[str, int], int]) -> None:
        self._report.files[file] += batch.rows.height + len(batch.ragged)
        first = "parties" if form.derive else form.rows[0].kind
        for row in batch.ragged:
            self._count(first, rejected=1)
            if first in MONEY_FIELDS:
                self._report.unreadable_amounts[first] = self._report.unreadable_amounts.get(first, 0) + 1
            self._reject(file, row.line, "", "", row.reason)
        if form.derive:
            self._derived(file, form, batch, parts)
        for number, rows in enumerate(form.rows):
            part = self._part(parts, (rows.kind, number), _Part(file, rows.kind, rows.columns))
            self._rows(rows.kind, part, _texts(rows, batch.rows, form), form.writing, parts)

    def _derived(self, file: str, form: FileForm, batch: Batch, parts: dict[tuple[str, int], int]) -> None:
        if self._as_of is None:
            raise ImportRefused(file, None, "its dates must be shifted: give --as-of, or as_of in the mapping")
        names = {f"file:{name}": name for name in card_panel.COLUMNS}
        derived, problems = card_panel.derive(
            batch.rows.select("line", *(pl.col(cell).str.strip_chars().alias(name) for cell, name in names.items())), self._as_of
        )
        self._problems(_Part(file, "parties", {}), problems)
        self._count("parties", rejected=problems["line"].n_unique())
        for kind, texts in derived.items():
            part = self._part(parts, (kind, 0), _Part(file, kind, {}))
            self._rows(kind, part, texts, form.writing, parts)

    def _part(self, parts: dict[tuple[str, int], int], key: tuple[str, int], part: _Part) -> int:
        if key not in parts:
            parts[key] = len(self._parts)
            self._parts.append(part)
        return parts[key]

    def _rows(self, kind: str, part: int, texts: pl.DataFrame, writing: Writing, parts: dict[tuple[str, int], int]) -> None:
        """Check one frame of one kind; stage the good, list the bad, and what the good ones say beside."""
        checked = self._without_erased(kind, part, check(kind, texts, writing, self._known))
        self.pays = self.pays or kind == "payments"
        self._problems(self._parts[part], checked.problems)
        self._count(kind, good=checked.good.height, rejected=checked.bad.height)
        self._stage(kind, part, checked, writing)
        if kind == "loans":
            liable = checked.good.filter(pl.col("party").is_not_null()).select(
                "line",
                "party",
                "effective_at",
                loan="external_id",
                role=pl.lit("borrower"),
                starts_on=pl.lit(None, pl.Date),
                ends_on=pl.lit(None, pl.Date),
            )
            self._beside("loan_parties", liable, parts, self._parts[part])
        if kind == "contact_points":
            given = checked.good.explode("consent", empty_as_null=True).filter(pl.col("consent").is_not_null()).select(
                "line", "party", channel="consent", given_to="consent_given_to", at="consent_at",
                until=pl.lit(None, pl.Datetime("us", "UTC")), withdrawn_at=pl.lit(None, pl.Datetime("us", "UTC")),
            )  # fmt: skip
            self._beside("consents", given.unique(["party", "channel", "given_to", "at"], maintain_order=True), parts, self._parts[part])

    def _without_erased(self, kind: str, part: int, checked: Checked) -> Checked:
        """Whoever was erased stays so, whatever a file says; her loans stay in the books, without her."""
        whose = "external_id" if kind == "parties" else "party"
        erased = self._work.erased(checked.good[whose]) if whose in checked.good.columns else []
        if not erased:
            return checked
        is_hers = pl.col(whose).is_in(erased).fill_null(value=False)
        if kind == "loans":
            return replace(checked, good=checked.good.with_columns(party=pl.when(~is_hers).then(pl.col(whose))))
        hers = checked.good.filter(is_hers)
        for line in hers["line"]:
            self._reject(self._parts[part].file, line, self._parts[part].columns.get(whose, whose), "", "this person was erased")
        self._count(kind, rejected=hers.height)
        return replace(checked, good=checked.good.filter(~is_hers))

    def _beside(self, kind: str, rows: pl.DataFrame, parts: dict[tuple[str, int], int], source: _Part) -> None:
        """Rows of another kind that a row implies: who is liable, what a contact point may be used for."""
        if rows.height:
            part = self._part(parts, (kind, -1), _Part(source.file, kind, {}))
            self._count(kind, good=rows.height)
            self._work.stage(kind, part, rows)

    def _stage(self, kind: str, part: int, checked: Checked, writing: Writing) -> None:
        good = checked.good
        if kind in MONEY_FIELDS:
            good = _with_money(kind, good, writing)
            bad = _with_money(kind, checked.bad, writing)
            total = int(good["raw_amount"].sum()) + int(bad["raw_amount"].sum())
            self._read_money[kind] = self._read_money.get(kind, 0) + total
            unreadable = bad["raw_amount"].null_count() if kind != "delinquency_snapshots" else 0
            if unreadable:
                self._report.unreadable_amounts[kind] = self._report.unreadable_amounts.get(kind, 0) + unreadable
            loan = pl.col("external_id") if kind == "loans" else pl.col("loan") if "loan" in bad.columns else pl.lit(None, pl.String)
            self._work.stage_unread(kind, part, bad.select("line", "currency", "raw_amount", "in_minor", loan=loan))
        self._work.stage(kind, part, _SHAPED.get(kind, _as_is)(good, self._work.keys))

    def _problems(self, part: _Part, problems: pl.DataFrame) -> None:
        for line, name, value, reason in problems.iter_rows():
            self._reject(part.file, line, part.columns.get(name, name), shape(value), reason)

    def _count(self, kind: str, *, good: int = 0, rejected: int = 0) -> None:
        self._read_rows[kind] = self._read_rows.get(kind, 0) + good + rejected
        self._rejected[kind] = self._rejected.get(kind, 0) + rejected

    # --- writing ----------------------------------------------------------------------------------------------------

    def write(self, list_change: Callable[..., None], progress: Progress) -> None:
        """Write what was staged, and account for everything."""
        done = 0

        def writing(kind: str) -> None:
            nonlocal done
            progress(Step("writing", kind, done, len(KINDS)))
            done += 1

        written = self._work.write(progress=writing)
        for row in self._work.rejects():
            part = self._parts[row.part]
            self._reject(part.file, row.line, part.columns.get(row.field, row.field), shape(row.value), row.reason)
        for change in self._work.changes():
            list_change(change.kind, change.key, ";".join(change.columns))
            if len(self._report.changes) < CHANGES_SHOWN_MAX:
                self._report.changes.append({"kind": change.kind, "key": change.key, "columns": list(change.columns)})
        for kind in KINDS:
            counts = written.rows.get(kind, dict.fromkeys(OUTCOMES, 0))
            counts["rejected"] += self._rejected.get(kind, 0)
            read = self._read_rows.get(kind, 0)
            if read != sum(counts.values()):
                raise ReconciliationError(f"{kind}: {read} rows were read, {sum(counts.values())} are accounted for")
            if self._read_money.get(kind, 0) != self._work.money_staged(kind):
                raise ReconciliationError(f"{kind}: the money that was read is not the money that is accounted for")
            if read:
                self._report.rows[kind] = {"read": read, **counts}
        self._report.money = _sums(written.money)
        self._report.zones_derived_again = written.zones_derived_again
        self._report.creditor_changed = written.creditor_changed
        progress(Step("writing", "", len(KINDS), len(KINDS)))


def _texts(rows: RowsForm, lines: pl.DataFrame, form: FileForm) -> pl.DataFrame:
    """The texts of one kind of rows, named by field."""
    if rows.when is not None:
        cell = pl.col(f"file:{rows.when}").str.strip_chars()
        lines = lines.filter(cell.is_not_null() & ~cell.is_in(["", *form.nulls]))
    present = {name: column for name, column in rows.columns.items() if f"file:{column}" in lines.columns}
    return lines.select(
        "line",
        *(_translated(pl.col(f"file:{column}"), rows.values.get(name)).alias(name) for name, column in present.items()),
        *(pl.lit(constant, pl.String).alias(name) for name, constant in rows.constants.items()),
    )


def _translated(text: pl.Expr, words: dict[str, str] | None) -> pl.Expr:
    return text if words is None else text.str.strip_chars().replace(words)


def _with_money(kind: str, rows: pl.DataFrame, writing: Writing) -> pl.DataFrame:
    """Add the row's money as it stands in the file: ten-thousandths of the main unit, or minor units."""
    fields = MONEY_FIELDS[kind]
    total = pl.sum_horizontal(fields, ignore_nulls=False)
    return rows.with_columns(raw_amount=total, in_minor=pl.lit(writing.in_minor))


def _as_is(rows: pl.DataFrame, _: ImportKeys) -> pl.DataFrame:
    return rows


def _sealed_parties(rows: pl.DataFrame, keys: ImportKeys) -> pl.DataFrame:
    """Names under lock; the digest tells whether a name changed."""
    sealed, key_ids, indexes = keys.seal(rows["name"].to_list(), rows["external_id"].to_list())
    return rows.drop("name").with_columns(
        pl.Series("name_encrypted", sealed, pl.Binary), pl.Series("key_id", key_ids, pl.String), pl.Series("digest", indexes, pl.Binary)
    )


def _sealed_contact_points(rows: pl.DataFrame, keys: ImportKeys) -> pl.DataFrame:
    """Values under lock; a contact point without an id of its own is known by its kind and its value's blind index."""
    sealed, key_ids, indexes = keys.seal(rows["value"].to_list(), rows["party"].to_list())
    return (
        rows.drop("value")
        .with_columns(
            pl.Series("value_encrypted", sealed, pl.Binary),
            pl.Series("key_id", key_ids, pl.String),
            pl.Series("blind_index", indexes, pl.Binary),
        )
        .with_columns(
            external_id=pl.col("external_id").fill_null(pl.concat_str("kind", pl.lit("-"), pl.col("blind_index").bin.encode("hex")))
        )
    )


def _loans(rows: pl.DataFrame, _: ImportKeys) -> pl.DataFrame:
    return rows.rename({"apr_percent": "apr_basis_points"})


def _contacts(rows: pl.DataFrame, _: ImportKeys) -> pl.DataFrame:
    return rows.with_columns(pl.col("loans").list.unique(maintain_order=True))


_SHAPED: Final[dict[str, Callable[[pl.DataFrame, ImportKeys], pl.DataFrame]]] = {
    "parties": _sealed_parties,
    "contact_points": _sealed_contact_points,
    "loans": _loans,
    "contacts": _contacts,
}


def _sums(money: dict[str, dict[str, dict[str, Decimal]]]) -> dict[str, dict[str, dict[str, Decimal]]]:
    """Kind → currency → read, new, changed, same, rejected, with the currency's own decimals where there are no more."""
    sums: dict[str, dict[str, dict[str, Decimal]]] = {}
    for kind, by_currency in money.items():
        for currency, outcomes in sorted(by_currency.items()):
            each = {what: _cents(outcomes.get(what, Decimal(0)), currency) for what in OUTCOMES}
            sums.setdefault(kind, {})[currency] = {"read": sum(each.values(), Decimal(0)), **each}
    return sums


def _cents(amount: Decimal, currency: str) -> Decimal:
    if currency == UNKNOWN_CURRENCY:
        return amount.normalize() + 0
    exact = amount.quantize(Decimal(1).scaleb(-minor_units(currency)))
    return exact if exact == amount else amount
