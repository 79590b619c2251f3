"""Reading a portfolio's files batch by batch: CSV (gz too) and Parquet, as texts with the line they stand on.

In:   a path, and what the mapping says about the file.
Out:  frames of texts, `line` first; rows of the wrong length beside them.
Pure: no; reads files. At most one batch is in memory.

A file is refused whole when it may not be what its sender wrote: it ends in the middle of a row or of a quoted value, its
compression is cut or damaged, it is not in the encoding that the mapping says, it holds NUL bytes, a column is missing,
given twice or unknown. Because the caller reads within one transaction, nothing of such a file is ever written.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from config.import_mapping import FileForm

BATCH_ROWS: Final = 50_000
HASH_BYTES: Final = 1 << 20
GZIP_FIRST: Final = b"\x1f\x8b"
PARQUET_FIRST: Final = b"PAR1"
UTF16_FIRST: Final = (b"\xff\xfe", b"\xfe\xff")
CELL_CHARACTERS_MAX: Final = 131_072
# What a spreadsheet of the wrong delimiter looks like: one column whose name holds the real one.
OTHER_DELIMITERS: Final = ";\t|,"


class ImportRefused(Exception):  # what happened, as people say it: the import was refused
    """A file cannot be imported at all; nothing was written. The message holds no value of a row.

    Attributes:
        file: The file's name.
        line: Where, from 1; None = the whole file.
        reason: Why.
    """

    def __init__(self, file: str, line: int | None, reason: str) -> None:
        """Build the message: `file:line: reason`."""
        self.file, self.line, self.reason = file, line, reason
        super().__init__(f"{file if line is None else f'{file}:{line}'}: {reason}; nothing was imported")


@dataclass(frozen=True, slots=True)
class Ragged:
    """A row that has not as many values as the file has columns, or whose quotes do not match."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a file.

    Attributes:
        rows: line (Int64: the true line of a CSV file, quoted line breaks counted; the row of a Parquet file, from 1) and the
            file's columns (String).
        ragged: Rows that are none.
        read_bytes: How far into the file this batch reaches.
    """

    rows: pl.DataFrame
    ragged: Sequence[Ragged]
    read_bytes: int


def file_hash(paths: Sequence[Path]) -> str:
    """SHA-256 over the contents of the files, in the order given.

    Raises:
        ImportRefused: A file cannot be read.
    """
    total = hashlib.sha256()
    for path in paths:
        one = hashlib.sha256()
        with _refusing(path), path.open("rb") as source:
            while chunk := source.read(HASH_BYTES):
                one.update(chunk)
        total.update(one.digest())
    return total.hexdigest()


def read_batches(path: Path, form: FileForm, columns: Sequence[str]) -> Iterator[Batch]:
    """Read a file batch by batch.

    Args:
        path: CSV, gzipped CSV or Parquet; what it is shows in its first bytes, not in its name.
        form: How it is written.
        columns: The columns that must be there.

    Raises:
        ImportRefused: See the module's docstring.
    """
    with _refusing(path), path.open("rb") as source:
        first = source.read(4)
        if first == PARQUET_FIRST or path.suffix == ".parquet":
            yield from _parquet(path, form, columns)
            return
        source.seek(0)
        if first[:2] == GZIP_FIRST:
            with gzip.open(source, "rb") as unpacked:
                yield from _csv(path, form, columns, unpacked, source.tell)
        else:
            yield from _csv(path, form, columns, source, source.tell)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Say of every way in which a file can be damaged that the file is refused."""
    try:
        yield
    except EOFError as error:
        raise ImportRefused(path.name, None, "the compressed file is cut in the middle") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ImportRefused(path.name, None, "the compressed file is damaged") from error
    except pa.ArrowException as error:
        raise ImportRefused(path.name, None, "not a whole Parquet file (cut in the middle, or damaged)") from error
    except OSError as error:
        raise ImportRefused(path.name, None, f"cannot be read: {error.strerror or 'damaged'}") from error


# --- CSV ------------------------------------------------------------------------------------------------------------


class _Lines:
    """The text lines of a file, checked; knows the last one's number and whether it ended."""

    def __init__(self, name: str, source: IO[bytes] | gzip.GzipFile, encoding: str) -> None:
        self.name = name
        self.number = 0
        self.ended = True
        self._source = source
        self._text: io.TextIOWrapper | None = None
        self._utf8 = encoding.lower().replace("_", "-") in {"utf-8", "utf8", "utf-8-sig"}
        self._encoding = "utf-8-sig" if self._utf8 else encoding

    def release(self) -> None:
        """Let go of the file without closing it: whoever opened it does that."""
        if self._text is not None:
            self._text.detach()
            self._text = None

    def __iter__(self) -> Iterator[str]:
        start = self._source.peek(2)[:2] if hasattr(self._source, "peek") else b""
        if self._utf8 and start in UTF16_FIRST:
            raise ImportRefused(self.name, None, "the file is UTF-16, the mapping says UTF-8")
        self._text = io.TextIOWrapper(self._source, encoding=self._encoding, errors="strict", newline="")
        lines = iter(self._text)
        while True:
            try:
                line = next(lines)
            except StopIteration:
                return
            except UnicodeError as error:
                raise ImportRefused(
                    self.name, self.number + 1, f"not {self._encoding.removesuffix('-sig').upper()} text from about here on"
                ) from error
            self.number += 1
            if "\0" in line:
                raise ImportRefused(self.name, self.number, "holds NUL bytes: another encoding, or no text at all")
            self.ended = line.endswith(("\n", "\r"))
            yield line


def _csv(
    path: Path, form: FileForm, columns: Sequence[str], source: IO[bytes] | gzip.GzipFile, position: Callable[[], int]
) -> Iterator[Batch]:
    lines = _Lines(path.name, source, form.encoding)
    try:
        yield from _rows(path, form, columns, lines, position)
    finally:
        lines.release()


def _rows(path: Path, form: FileForm, columns: Sequence[str], lines: _Lines, position: Callable[[], int]) -> Iterator[Batch]:
    reader = csv.reader(iter(lines), delimiter=form.delimiter, strict=True)
    header = _header(path.name, reader, lines, form, columns)
    width = len(header)
    numbers: list[int] = []
    # A tuple of texts is let go by the garbage collector at its first look; lists it would walk again and again.
    rows: list[tuple[str, ...]] = []
    ragged: list[Ragged] = []
    last_short = False
    while True:
        line = lines.number + 1
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                raise ImportRefused(path.name, line, "the file ends inside a quoted value: it is cut in the middle") from error
            reason = "a value is longer than any may be" if "field limit" in str(error) else "quotes that do not match"
            _refuse_if_long(path.name, line, lines.number, reason)
            ragged.append(Ragged(line, reason))
            continue
        last_short = False
        if len(row) == width:
            numbers.append(line)
            rows.append(tuple(row))
        elif row:  # a blank line is none
            reason = f"{len(row)} values where the file has {width} columns"
            _refuse_if_long(path.name, line, lines.number, reason)
            ragged.append(Ragged(line, reason))
            last_short = len(row) < width
        if len(rows) + len(ragged) >= BATCH_ROWS:
            yield Batch(_frame(header, numbers, rows), ragged, position())
            numbers, rows, ragged = [], [], []
    if last_short:
        raise ImportRefused(path.name, lines.number, "the last row has too few values: the file is cut in the middle")
    if not lines.ended and form.last_line_break == "required":
        raise ImportRefused(
            path.name,
            lines.number,
            "the last line does not end with a line break: the file may be cut (a mapping may say last_line_break: optional)",
        )
    yield Batch(_frame(header, numbers, rows), ragged, position())


def _header(name: str, reader: Iterator[list[str]], lines: _Lines, form: FileForm, columns: Sequence[str]) -> list[str]:
    try:
        header = [cell.strip() for cell in next(reader)]
    except StopIteration:
        raise ImportRefused(name, None, "the file is empty") from None
    except csv.Error as error:
        raise ImportRefused(name, lines.number, "quotes in the header do not match") from error
    hint = ""
    if len(header) == 1:
        other = next((mark for mark in OTHER_DELIMITERS if mark != form.delimiter and mark in header[0]), None)
        hint = "" if other is None else f" (is {other!r} the delimiter? the mapping says {form.delimiter!r})"
    _check_columns(name, header, form, columns, hint)
    return header


def _check_columns(name: str, header: Sequence[str], form: FileForm, columns: Sequence[str], hint: str = "") -> None:
    if twice := sorted({column for column in header if list(header).count(column) > 1}):
        raise ImportRefused(name, 1, f"column given twice: {', '.join(twice)}")
    if missing := [column for column in dict.fromkeys(columns) if column not in header and column not in form.optional]:
        raise ImportRefused(name, 1, f"column missing: {', '.join(missing)}{hint}")
    if unknown := [column for column in header if column not in columns and column not in form.ignored]:
        raise ImportRefused(name, 1, f"column that the mapping does not know: {', '.join(unknown)} (name it, or list it under ignored)")


def _refuse_if_long(name: str, first: int, last: int, reason: str) -> None:
    """One bad line is a bad row; a bad row of several lines may have swallowed good ones."""
    if last > first:
        raise ImportRefused(name, first, f"{reason}, and the row reaches to line {last}: a quote is missing, good rows may be lost in it")


def _frame(header: Sequence[str], numbers: Sequence[int], rows: Sequence[Sequence[str]]) -> pl.DataFrame:
    cells = list(zip(*rows, strict=True)) if rows else [()] * len(header)
    return pl.DataFrame(
        [
            pl.Series("line", numbers, pl.Int64),
            *(pl.Series(_cell(name), column, pl.String) for name, column in zip(header, cells, strict=True)),
        ]
    )


def _cell(column: str) -> str:
    """A column of the file inside a frame: it cannot be taken for `line`."""
    return f"file:{column}"


# --- Parquet ----------------------------------------------------------------------------------------------------------


def _parquet(path: Path, form: FileForm, columns: Sequence[str]) -> Iterator[Batch]:
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        _check_columns(path.name, names, form, columns)
        wanted = [name for name in names if name in columns]
        for name in wanted:
            if pa.types.is_nested(file.schema_arrow.field(name).type) and not pa.types.is_list(file.schema_arrow.field(name).type):
                raise ImportRefused(path.name, None, f"column {name} is nested")
        size, done = path.stat().st_size, 0
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=wanted):
            frame = pl.DataFrame(pl.from_arrow(batch))
            texts = frame.select(
                pl.int_range(done + 1, done + 1 + frame.height, dtype=pl.Int64).alias("line"),
                *(_as_text(path.name, name, frame.schema[name], form).alias(_cell(name)) for name in wanted),
            )
            done += frame.height
            yield Batch(texts, (), size * done // max(file.metadata.num_rows, 1))


def _as_text(file: str, name: str, form: pl.DataType, writing: FileForm) -> pl.Expr:
    """A typed column as the text that the mapping would read the same from: exact, never rounded."""
    column = pl.col(name)
    if form in {pl.String, pl.Categorical, pl.Enum} or form.is_integer() or form in {pl.Boolean, pl.Null}:
        return column.cast(pl.String)
    if form.is_decimal() or form.is_float():
        # The shortest text that gives the same float again: 0.1 stays 0.1, and a sum that went wrong shows its decimals.
        return column.cast(pl.String).str.replace(".", writing.decimal_mark, literal=True)
    if form == pl.Date:
        return column.dt.strftime(writing.date_format)
    if isinstance(form, pl.Datetime):
        return column.dt.strftime("%Y-%m-%dT%H:%M:%S%.6f" + ("" if form.time_zone is None else "%z"))
    if isinstance(form, pl.List) and form.inner == pl.String:
        return column.list.join(writing.list_separator)
    raise ImportRefused(file, None, f"column {name} is of a type that is not read ({_type_name(form)})")


def _type_name(form: Any) -> str:
    return str(form).partition("(")[0]
