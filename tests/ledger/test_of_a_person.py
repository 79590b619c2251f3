"""No table escapes: each is about a person, and then in her export and erasure, or says why it is not."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Integer, MetaData, Table, Text

from ledger.all_tables import METADATA
from ledger.of_a_person import OF_NOBODY, ways
from ledger.person_export import COLLEAGUES, HEADINGS, TOLD_ELSEWHERE


def test_every_table_is_about_a_person_or_says_why_it_is_not() -> None:
    """If this fails for your table: give it `party_id`, a foreign key to what is hers, or a reason in ledger/of_a_person.py."""
    tables = {table.name for table in METADATA.sorted_tables}
    assert tables - set(ways(METADATA)) - set(OF_NOBODY) == set()
    assert set(OF_NOBODY) - tables == set()
    assert set(OF_NOBODY) & set(ways(METADATA)) == set()


def test_what_is_said_of_tables_is_said_of_tables_that_are_hers() -> None:
    hers = set(ways(METADATA))
    assert (set(HEADINGS) | set(TOLD_ELSEWHERE)) - hers == set()
    assert len(set(HEADINGS.values())) == len(HEADINGS)


def test_a_table_that_nothing_leads_to_is_found_out() -> None:
    def declared(*columns: Column[Any]) -> set[str]:
        metadata = MetaData()
        Table("note_about_somebody", metadata, Column("id", Integer, primary_key=True), *columns)
        return set(ways(metadata))

    assert declared(Column("party_id", Integer)) == {"note_about_somebody"}
    assert declared(Column("loan_id", Integer)) == {"note_about_somebody"}
    assert declared(Column("about", Integer)) == set()


def test_names_of_colleagues_stand_in_columns_that_are_left_out() -> None:
    """A column that names who did something is called like one of those that are; another name would be exported."""
    named = {
        column.name
        for table in METADATA.sorted_tables
        for column in table.columns
        if column.name.endswith("_by") and isinstance(column.type, Text)
    }
    # Whose wish it is, who states it: a role; which key: none of anybody's names.
    assert named - COLLEAGUES - {"requested_by", "stated_by", "wrapped_by"} == set()
