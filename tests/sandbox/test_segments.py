"""Segments of a text."""

from __future__ import annotations

import pytest

from sandbox.segments import segments


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 1),
        ("x" * 160, 1),
        ("x" * 161, 2),
        ("x" * 306, 2),
        ("x" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        # An escape and its character stay together: 152 + 2 does not fit into 153.
        ("x" * 152 + "€" + "x" * 152, 3),
        ("字" * 70, 1),
        ("字" * 71, 2),
        ("👍" * 35, 1),
        ("👍" * 36, 2),
        ("x" * 69 + "👍", 2),
    ],
)
def test_a_text_takes_as_many_segments_as_its_alphabet_needs(text: str, count: int) -> None:
    assert segments(text) == count
