"""What a text message costs, from 3GPP TS 23.038 and 23.040; borders first."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.segments import GSM_BASIC, GSM_EXTENSION, measure, smart


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        ("", "GSM-7", 0, 1),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("€" * 80, "GSM-7", 160, 1),
        ("€" * 81, "GSM-7", 162, 2),
        ("字" * 70, "UCS-2", 70, 1),
        ("字" * 71, "UCS-2", 71, 2),
        ("字" * 134, "UCS-2", 134, 2),
        ("字" * 135, "UCS-2", 135, 3),
        ("😀" * 35, "UCS-2", 70, 1),
        ("😀" * 36, "UCS-2", 72, 2),
        ("Pago de mañana, ¿le conviene?", "GSM-7", 29, 1),
        ("Más tiempo", "UCS-2", 10, 1),
        ("ç", "UCS-2", 1, 1),
        ("Ç", "GSM-7", 1, 1),
        ("\t", "UCS-2", 1, 1),
        ("\x1b", "UCS-2", 1, 1),
    ],
)
def test_a_text_costs_what_the_standard_says(text: str, encoding: str, units: int, segments: int) -> None:
    size = measure(text)
    assert (size.encoding, size.units, size.segments) == (encoding, units, segments)


def test_an_extension_character_is_never_split_across_segments() -> None:
    """153 units end inside the euro sign: it goes whole into the next one, and what follows no longer fits into two."""
    split_would_fit = "a" * 152 + "€" + "a" * 152
    assert measure(split_would_fit).units == 306
    assert measure(split_would_fit).segments == 3


def test_a_surrogate_pair_is_never_split_across_segments() -> None:
    split_would_fit = "字" * 66 + "😀" + "字" * 66
    assert measure(split_would_fit).units == 134
    assert measure(split_would_fit).segments == 3


@given(st.text(alphabet=sorted(GSM_BASIC | GSM_EXTENSION), max_size=700))
def test_a_text_never_needs_more_segments_than_one_unit_lost_in_each(text: str) -> None:
    size = measure(text)
    if size.units <= 160:
        assert size.segments == 1
    else:
        assert ceil(size.units / 153) <= size.segments <= ceil(size.units / 152)


@given(st.text(max_size=400), st.text(max_size=10))
def test_more_text_never_costs_less_in_the_same_encoding(text: str, more: str) -> None:
    before, after = measure(text), measure(text + more)
    if before.encoding == after.encoding:
        assert before.segments <= after.segments


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("“quoted”", '"quoted"'),
        ("don’t", "don't"),
        ("a – b — c…", "a - b - c..."),
        ("1\u00a0000", "1 000"),
        ("ＡＢ１", "AB1"),
        ("¼", "1/4"),
        ("zero\u200bwidth", "zerowidth"),
        ("más", "más"),
        ("字", "字"),
        ("x²", "x²"),
    ],
)
def test_look_alikes_are_written_plainly_and_nothing_else(written: str, sent: str) -> None:
    assert smart(written) == sent


@given(st.text(alphabet=sorted(GSM_BASIC | GSM_EXTENSION)))
def test_a_text_of_the_short_alphabet_stays_as_it_is(text: str) -> None:
    assert smart(text.replace("`", "'")) == text.replace("`", "'")
