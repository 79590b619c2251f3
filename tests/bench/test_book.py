"""The book of results: nothing that was measured is lost, and growth is that of one run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import book
from tests.bench.__main__ import BY_BORROWERS, FULL_SIZES, NAMES, QUICK_SIZES, Job, jobs


def test_what_is_measured_again_gives_way_and_everything_else_stays(tmp_path: Path) -> None:
    file = tmp_path / "build" / "bench.json"
    book.add(
        [{"name": "plan", "size": 10, "seconds": 1.0}, {"name": "plan", "exponent": 1.1}, {"name": "send", "size": 10, "seconds": 3.0}],
        file,
    )
    book.add([{"name": "plan", "size": 100, "seconds": 9.0}], file)
    book.add([{"name": "plan", "size": 10, "seconds": 2.0}, {"name": "plan", "exponent": 0.9}], file)
    found = {(one["name"], one.get("size")): one.get("seconds", one.get("exponent")) for one in book.read(file)}
    assert found == {("plan", 10): 2.0, ("plan", 100): 9.0, ("plan", None): 0.9, ("send", 10): 3.0}


def test_a_book_that_cannot_be_read_is_not_written_over(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    file.write_text('[{"name": "plan"')
    with pytest.raises(SystemExit, match="move it away"):
        book.add([{"name": "plan", "size": 10, "seconds": 1.0}], file)
    assert file.read_text() == '[{"name": "plan"'


def test_growth_is_of_time_by_size_or_of_one_item_where_the_work_stays_the_same() -> None:
    measured = [
        {"name": "plan", "size": 10_000, "seconds": 1.0, "cpu_seconds": 0.1},
        {"name": "plan", "size": 100_000, "seconds": 4.0, "cpu_seconds": 0.1},
        {"name": "plan", "size": 1_000_000, "seconds": 40.0, "cpu_seconds": 0.1},
        {"name": "gate", "size": 10_000, "seconds": 1.0, "cpu_seconds": 0.1, "items": 1_000},
        {"name": "gate", "size": 100_000, "seconds": 5.0, "cpu_seconds": 0.1, "items": 5_000},
        {"name": "rules", "size": 10_000, "seconds": 1.0, "cpu_seconds": 0.1},
    ]
    grown = {one["name"]: one for one in book.growth(measured)}
    assert grown["plan"]["exponent"] == pytest.approx(0.801, abs=1e-3)
    assert grown["plan"]["last_exponent"] == 1.0
    assert grown["gate"]["exponent"] == 0.0
    assert set(grown) == {"plan", "gate"}


def test_small_sizes_come_first_so_that_a_budget_loses_the_largest() -> None:
    found = jobs(NAMES, FULL_SIZES, quick=False)
    assert {one.name for one in found} == set(NAMES)
    assert [one.size for one in found if one.name == "plan"] == [10_000, 100_000, 1_000_000]
    assert [str(one) for one in found[-len(BY_BORROWERS) :]] == [f"{name} at 1,000,000" for name in BY_BORROWERS]
    assert all(
        one.seconds_max >= Job("plan", size).seconds_max
        for one, size in zip(jobs(["plan"], FULL_SIZES, quick=False), QUICK_SIZES, strict=False)
    )
