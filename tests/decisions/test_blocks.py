"""Blocks of a long text: what a letter and an email lay out, and what readers without tables get."""

from __future__ import annotations

import pytest

from decisions.blocks import Table, blocks, plain, table_lines

TABLE = table_lines(["Due on", "Fees", "Open"], [["Mar 1", "$1.00", "$5.00"], ["To pay", "", "$5.00"]])


def test_paragraphs_and_tables_come_out_in_order() -> None:
    assert blocks(f"Hello,\nyou\n\n{TABLE}\n \n\nBye\n") == (
        "Hello,\nyou",
        Table(("Due on", "Fees", "Open"), (("Mar 1", "$1.00", "$5.00"), ("To pay", "", "$5.00"))),
        "Bye",
    )


@pytest.mark.parametrize("text", ["one\ttab", "a\tb\nc", "a\tb\nc\td\te"])
def test_what_is_no_whole_table_stays_a_paragraph(text: str) -> None:
    assert blocks(text) == (text,)


def test_without_tables_each_row_names_its_columns_and_leaves_out_what_is_empty() -> None:
    assert plain(f"Hello\n\n{TABLE}") == "Hello\n\nDue on Mar 1: Fees $1.00, Open $5.00\nDue on To pay: Open $5.00"


def test_no_value_breaks_out_of_its_cell() -> None:
    assert table_lines(["A", "B"], [["x\ty\n\nz", "1"]]) == "A\tB\nx y z\t1"


@pytest.mark.parametrize(("head", "rows"), [(["A"], [["1"]]), (["A", "B"], [["1"]])])
def test_a_table_has_columns_and_a_cell_for_each(head: list[str], rows: list[list[str]]) -> None:
    with pytest.raises(ValueError, match="two columns"):
        table_lines(head, rows)
