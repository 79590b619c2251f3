"""Envelopes: what the post reads."""

from __future__ import annotations

import pytest

from decisions.envelopes import Addressee, sender_lines, window_lines


def test_at_home_the_country_is_left_out() -> None:
    assert window_lines("Nobody Atall", "1 Example Street\nNew York NY 10001", country="US", sent_from="US") == (
        "Nobody Atall",
        "1 Example Street",
        "New York NY 10001",
    )


def test_abroad_the_country_stands_last_in_capitals() -> None:
    assert window_lines("Nobody Atall", "1 Rue\n75001 PARIS", country="FR", sent_from="US")[-1] == "FRANCE"


@pytest.mark.parametrize(("name", "address", "country"), [("", "1 Street", "US"), ("A", "", "US"), ("A", "1 Street", "ZZZ")])
def test_half_an_envelope_is_none(name: str, address: str, country: str) -> None:
    with pytest.raises(ValueError, match="an envelope"):
        window_lines(name, address, country=country, sent_from="GB")


def test_a_sender_is_its_lines() -> None:
    assert sender_lines("Lantern Wallet; PO Box 1 ;New York NY 10001;") == ("Lantern Wallet", "PO Box 1", "New York NY 10001")


@pytest.mark.parametrize(("name", "country", "whole"), [("A", "US", True), (" ", "US", False), (None, "US", False), ("A", None, False)])
def test_who_can_be_written_to(name: str | None, country: str | None, whole: bool) -> None:
    assert Addressee(name=name, country=country, sent_from="US").is_whole is whole
