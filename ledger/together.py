"""Several small reads in one statement: a page asks a dozen things of one person, and each statement costs a turn.

In:   a connection; statements that share their parameters.
Out:  rows of each by its name, in its order.
Pure: no; reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from sqlalchemy import Connection, TextClause, text

Rows: TypeAlias = list[dict[str, Any]]


def together(tx: Connection, statements: Mapping[str, str], keys: Mapping[str, Any]) -> dict[str, Rows]:
    """Read all of them as of one instant.

    Args:
        tx: Inside a transaction.
        statements: Name → SELECT, for a handful of rows.
        keys: Parameters of all of them.

    Returns:
        Name → rows by column. They travel as JSON: numbers stay exact, days and instants are ISO 8601 text.
    """
    return dict(tx.execute(_statement(tuple(statements.items())), keys).mappings().one())


@lru_cache(maxsize=64)
def _statement(statements: tuple[tuple[str, str], ...]) -> TextClause:
    parts = ", ".join(f"(SELECT coalesce(json_agg(r), '[]') FROM ({one}) r) AS {name}" for name, one in statements)  # noqa: S608  # statements of this room
    return text(f"SELECT {parts}")
