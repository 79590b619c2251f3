"""What a benchmark leaves is gone before the next one begins."""

from __future__ import annotations

from sqlalchemy.engine import make_url

from ledger import schema
from tests.bench.ground import drop_ledgers


def test_ledgers_of_benchmarks_are_dropped_and_no_other_database(server_url: str) -> None:
    address = make_url(server_url).set(database="bench_of_a_test").render_as_string(hide_password=False)
    schema.create_database(address)
    assert drop_ledgers(server_url) == ["bench_of_a_test"]
    assert drop_ledgers(server_url) == []
