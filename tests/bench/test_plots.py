"""The page of figures is made of the book, and what people wrote on it stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.bench import book, plots

ENTRY: dict[str, Any] = {
    "name": "plan",
    "size": 10_000,
    "seconds": 2.5,
    "cpu_seconds": 1.5,
    "floor_seconds": 0.5,
    "ratio": 5.0,
    "peak_rss_bytes": 2**29,
    "target": "≤ 3",
    "met": False,
    "at": "2026-11-29T23:00:00+00:00",
    "load": 9.5,
    "machine": {"cpu": "an abacus", "cores": 2},
}


def test_the_page_has_every_result_and_keeps_what_was_written_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "docs" / "benchmarks.md"
    (tmp_path / "docs" / "pictures").mkdir(parents=True)
    page.write_text(f"By hand above.\n{plots.BEGIN}\nof yesterday\n{plots.END}\nBy hand below.\n")
    file = tmp_path / "bench.json"
    file.write_text(
        json.dumps([ENTRY, {**ENTRY, "size": 100_000, "seconds": 20.0, "met": None}, *book.growth([ENTRY, {**ENTRY, "size": 100_000}])])
    )
    monkeypatch.setattr(plots, "HOUSE", tmp_path)
    monkeypatch.setattr(plots, "PAGE", page)
    monkeypatch.setattr(plots, "PICTURES", tmp_path / "docs" / "pictures")
    monkeypatch.setattr(plots, "YEAR", tmp_path / "no year")
    published = tmp_path / "docs" / "benchmarks.json"
    monkeypatch.setattr(plots, "PUBLISHED", published)
    older, newer = (
        {**ENTRY, "size": 10_000, "at": at, "seconds": 77.0} for at in ("2026-11-28T23:00:00+00:00", "2026-11-30T01:00:00+00:00")
    )
    published.write_text(json.dumps([older, {**newer, "name": "send"}]))
    monkeypatch.setattr(book, "FILE", file)

    assert plots.main() == 0

    said = page.read_text()
    assert [(entry["name"], entry.get("size")) for entry in json.loads(published.read_text())] == [
        ("plan", 10_000),
        ("plan", 100_000),
        ("plan", None),
        ("send", 10_000),
    ]
    (elsewhere,) = [line for line in said.splitlines() if line.startswith("| send |")]
    assert "| 77 |" in elsewhere, "measured elsewhere, and published before"
    assert said.startswith("By hand above.\n")
    assert said.endswith("\nBy hand below.\n")
    assert "of yesterday" not in said
    assert "Machine: cpu an abacus, cores 2." in said
    (small, large) = [line for line in said.splitlines() if line.startswith("| plan | 1")]
    assert "| **missed** | 2026-11-29, 9.5 |" in small
    assert "| 20 |" in large
    assert "missed" not in large
    assert (tmp_path / "docs" / "pictures" / "bench-growth.png").read_bytes().startswith(b"\x89PNG")


def test_the_real_page_has_its_markers() -> None:
    text = plots.PAGE.read_text()
    assert text.index(plots.BEGIN) < text.index(plots.END)
