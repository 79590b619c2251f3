"""Blocks of a long text: paragraphs, and tables whose cells stand a tab apart. A letter and an email are laid out from the same words.

In:   a body as decisions/messages.py rendered it: paragraphs with an empty line between.
Out:  its blocks in order; as lines of plain text where a channel knows no tables.
Pure: yes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

# What no value of a gap may hold: decisions/statements.py writes it between the cells of a table.
CELL: Final = "\t"
_EMPTY_LINES: Final = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells.

    Attributes:
        head: What each column says.
        rows: As many cells as the head.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Block: TypeAlias = str | Table


def blocks(body: str) -> tuple[Block, ...]:
    """The paragraphs and tables of a body, in order; a paragraph keeps its own line ends."""
    return tuple(_block(part) for part in _EMPTY_LINES.split(body.strip("\n")) if part.strip())


def table_lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as it stands in a body.

    Raises:
        ValueError: A row has not as many cells as the head, or the table has fewer than two columns.
    """
    if len(head) < 2 or any(len(row) != len(head) for row in rows):  # noqa: PLR2004  # one column is a paragraph
        raise ValueError("a table has two columns at least, and a cell for each of them in every row")
    return "\n".join(CELL.join(one_line(cell) for cell in row) for row in (head, *rows))


def one_line(value: str) -> str:
    """A value without line ends and tabs, so that it stays in its cell."""
    return " ".join(value.split())


def plain(body: str) -> str:
    """The body for readers without tables: each row becomes one line that names its columns."""
    return "\n\n".join(block if isinstance(block, str) else _named(block) for block in blocks(body))


def _named(table: Table) -> str:
    first, *others = table.head
    return "\n".join(
        f"{first} {row[0]}: " + ", ".join(f"{name} {cell}" for name, cell in zip(others, row[1:], strict=True) if cell)
        for row in table.rows
    )


def _block(part: str) -> Block:
    lines = [tuple(line.split(CELL)) for line in part.split("\n")]
    head, rows = lines[0], lines[1:]
    if len(head) > 1 and rows and all(len(row) == len(head) for row in rows):
        return Table(head, tuple(rows))
    return part
