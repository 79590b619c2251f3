"""A hidden value tells two people apart and is of no use to anybody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from decisions.masked import HIDDEN, masked


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        ("+12125550188", "mobile", f"+{HIDDEN}88"),
        ("+12125550188", "whatsapp", f"+{HIDDEN}88"),
        ("+1212", "mobile", HIDDEN),
        ("anna@example.com", "email", f"a{HIDDEN}@e{HIDDEN}"),
        ("1 Main Street\nAlbany", "address", HIDDEN),
        ("some-token", "push", HIDDEN),
    ],
)
def test_most_is_hidden(value: str, kind: str, shown: str) -> None:
    assert masked(value, kind) == shown


@given(some.text(min_size=1), some.sampled_from(["mobile", "email", "push", "address", "messenger", "social"]))
def test_never_more_than_two_characters_of_it_are_left(value: str, kind: str) -> None:
    left = masked(value, kind).replace(HIDDEN, "")
    assert len(left.replace("+", "", 1).replace("@", "", 1)) <= 2
