"""Holds: ends that a law gives them, quiet after them, and the house that follows the law."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.plugins.packs import rule
from tests.plugins.rule_cases import EAST, WEST, Row, answer, instant, local

HOUSE = rule("HOUSE-HOLD", "hold", holds="all", ends_with_law=True, basis="house")


def hold(value: Row, rule_id: str = "XA-HOLD", **fields: Any) -> Row:
    return rule(rule_id, "hold", **{"holds": ["illness"], "values": {"2020-01-01": value}, **fields})


def ill(begins: str | None, until: str | None = None, **columns: Any) -> Row:
    return {"kind": "illness", "from": begins and local(begins), "until": until and local(until), **columns}


@pytest.mark.parametrize(
    ("lasts", "begins", "over"),
    [
        ("P60D", "2026-01-08T23:59", "2026-03-09T00:00"),
        ("P30D", "2026-10-03T00:00", "2026-11-02T00:00"),
        ("P3M", "2026-01-15T09:00", "2026-04-15T00:00"),
        ("P3M", "2025-11-30T09:00", "2026-03-01T00:00"),
        ("PT72H", "2026-03-06T09:00", "2026-03-09T10:00"),
    ],
)
def test_a_hold_without_an_end_ends_when_the_law_says(lasts: str, begins: str, over: str) -> None:
    one = hold({"lasts": lasts})
    last = (instant(over) - timedelta(minutes=1)).isoformat()
    blocked = answer(one, over, holds=[ill(begins)], proposed={"at": last})
    assert (blocked["blocked_by"], blocked["next_allowed_at"]) == (["XA-HOLD"], instant(over))
    assert answer(one, over, holds=[ill(begins)])["allowed"]


def test_its_own_earlier_end_goes_before_the_laws_and_a_later_one_does_not() -> None:
    one = hold({"lasts": "P10D"})
    assert answer(one, "2026-03-10T12:00", holds=[ill("2026-03-10T09:00", "2026-03-12T09:00")])["next_allowed_at"] == instant(
        "2026-03-12T09:00"
    )
    assert answer(one, "2026-03-15T12:00", holds=[ill("2026-03-10T09:00", "2026-06-12T09:00")])["next_allowed_at"] == instant(
        "2026-03-20T00:00"
    )


def test_a_hold_of_which_nobody_knows_the_beginning_does_not_end() -> None:
    found = answer(hold({"lasts": "P10D"}), "2026-03-15T12:00", holds=[ill(None)], house=HOUSE)
    assert (found["blocked_by"], found["blocked_for_good"]) == (["XA-HOLD", "HOUSE-HOLD"], True)


def test_after_a_hold_it_stays_quiet_for_as_long_as_the_law_says() -> None:
    one = hold({"after": "P30D"})
    ended = ill("2026-01-10T09:00", "2026-02-07T15:00")
    assert answer(one, "2026-03-08T23:59", holds=[ended])["next_allowed_at"] == instant("2026-03-09T00:00")
    assert answer(one, "2026-03-09T00:00", holds=[ended])["allowed"]
    assert answer(one, "2026-03-09T00:00", holds=[ill("2026-01-10T09:00")])["blocked_for_good"]


def test_quiet_follows_the_end_that_the_law_gave() -> None:
    one = hold({"lasts": "P3D", "after": "P2D"})
    # 10, 11, 12 March; the hold ends as the 13th begins, which is the first of two days.
    assert answer(one, "2026-03-13T12:00", holds=[ill("2026-03-10T09:00")])["next_allowed_at"] == instant("2026-03-15T00:00")


def test_a_hold_that_was_taken_back_as_it_began_leaves_no_quiet_behind() -> None:
    assert answer(hold({"after": "P30D"}), "2026-03-11T12:00", holds=[ill("2026-03-10T09:00", "2026-03-10T09:00")])["allowed"]


def test_a_hold_ends_where_the_day_ends_last() -> None:
    one = hold({"lasts": "P2D"})
    begun = [ill("2026-03-10T02:00")]  # Monday 23:00 in Los Angeles
    assert answer(one, "2026-03-11T12:00", EAST, WEST, holds=begun)["next_allowed_at"] == instant("2026-03-12T00:00")
    assert answer(one, "2026-03-10T12:00", WEST, holds=begun)["next_allowed_at"] == instant("2026-03-11T00:00", WEST)


def test_a_hold_until_the_end_of_time_is_for_good() -> None:
    found = answer(hold({"after": "P30D"}), "2026-03-11T12:00", holds=[{"kind": "illness", "from": "2026-03-01", "until": "9999-12-31"}])
    assert found["blocked_for_good"]


BEGUN = ill("2026-03-10T09:00")
LAW = hold({"lasts": "P5D"})


@pytest.mark.parametrize("law", [LAW, hold({"lasts": "P3D", "after": "P2D"})])
def test_the_house_lets_go_of_a_hold_at_the_instant_at_which_the_law_does(law: Row) -> None:
    found = answer(law, "2026-03-14T23:59", holds=[BEGUN], house=HOUSE)
    assert (found["blocked_by"], found["next_allowed_at"]) == (["XA-HOLD", "HOUSE-HOLD"], instant("2026-03-15T00:00"))
    assert answer(law, "2026-03-15T00:00", holds=[BEGUN], house=HOUSE)["allowed"]


@pytest.mark.parametrize(
    "law",
    [
        hold({}),
        hold({"after": "P2D"}),
        hold({"lasts": "P5D"}, holds=["bereavement"]),
        hold({"lasts": "P5D"}, basis={"third_party": "law"}),
        hold({"lasts": "P5D"}, applies_to={"loans": {"charged_off": True}}),
        hold({"lasts": "P5D"}, applies_to={"facts": ["elderly"]}),
        rule("XA-HOLD", "hold", holds=["illness"], values={"2020-01-01": {"lasts": "P5D"}, "2026-03-01": "ended"}),
        rule("XA-HOLD", "hold", holds=["illness"], values={"2026-04-01": {"lasts": "P5D"}}),
    ],
)
def test_without_a_law_that_ends_it_the_house_keeps_a_hold(law: Row) -> None:
    found = answer(law, "2026-03-20T12:00", holds=[BEGUN], house=HOUSE, creditor_role="first_party", loans=[{"id": "L1"}])
    assert "HOUSE-HOLD" in found["blocked_by"]
    assert found["blocked_for_good"]


def test_the_house_keeps_a_hold_to_the_end_that_it_names_whatever_the_law() -> None:
    holds = [ill("2026-03-10T09:00", "2026-03-18T09:00"), BEGUN]
    found = answer(LAW, "2026-03-16T12:00", holds=holds, house=HOUSE)
    assert (found["blocked_by"], found["next_allowed_at"]) == (["HOUSE-HOLD"], instant("2026-03-18T09:00"))


def test_of_several_laws_the_last_to_let_go_frees_for_the_house() -> None:
    laws = [LAW, hold({"lasts": "P8D"}, "XA-LONGER"), hold({"lasts": "P30D"}, "XA-OTHERS", holds=["promise"])]
    for given in (laws, laws[::-1]):
        found = answer(given, "2026-03-16T12:00", holds=[BEGUN], house=HOUSE)
        assert (found["blocked_by"], found["next_allowed_at"]) == (["XA-LONGER", "HOUSE-HOLD"], instant("2026-03-18T00:00"))


@pytest.mark.parametrize("values", [{"2020-01-01": {"after": "P2D"}}, {"2020-01-01": {"after": "P2D"}, "2027-01-01": {"lasts": "P9D"}}])
def test_a_law_that_asks_for_quiet_alone_does_not_take_the_end_that_another_gives(values: Row) -> None:
    laws = [LAW, hold({}, "XA-AFTER", values=values)]
    assert answer(laws, "2026-03-16T12:00", holds=[BEGUN], house=HOUSE)["blocked_by"] == ["XA-AFTER"]


def test_a_house_that_does_not_say_so_keeps_a_hold_after_the_law() -> None:
    house = rule("HOUSE-HOLD", "hold", holds="all", basis="house")
    assert answer(LAW, "2026-03-20T12:00", holds=[BEGUN], house=house)["blocked_for_good"]


def test_a_law_ends_the_holds_of_its_loans_alone() -> None:
    law = hold({"lasts": "P5D"}, applies_to={"loans": {"products": ["microfinance"]}})
    loans = [{"id": "L1", "product": "microfinance"}, {"id": "L2", "product": "credit_card"}]
    for loan, allowed in (("L1", True), ("L2", False)):
        found = answer(law, "2026-03-20T12:00", holds=[BEGUN], house=HOUSE, loans=loans, proposed={"loans": [loan]})
        assert found["allowed"] is allowed
