"""Groups are held against everybody in the same circumstances; few people are not shown; arms know how surely they differ."""

from __future__ import annotations

from statistics import mean, stdev

import numpy as np
import polars as pl
import pytest

from decisions.kpis import Share
from decisions.month_fairness import FIGURES, GroupTreated, arms, known_of, spare_band, treated

COUNTED = sorted({name for pair in FIGURES.values() for name in pair})


def people(count: int, *, bucket: str = "M1", spare: float | None = 0.3, first: int = 0, **columns: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "party_id": range(first, first + count),
            "bucket": bucket,
            "spare_share": pl.Series([spare] * count, dtype=pl.Float64),
            **{name: pl.Series([columns.get(name, 0)] * count, dtype=pl.Int64) for name in COUNTED},
        }
    )


def group(value: str, ids: range, attribute: str = "language") -> pl.DataFrame:
    return pl.DataFrame({"party_id": ids, "attribute": attribute, "value": value})


def by_value(found: list[GroupTreated]) -> dict[str, GroupTreated]:
    return {one.value: one for one in found}


def test_who_is_later_is_not_said_to_be_contacted_more_for_that_alone() -> None:
    """Eighty of A are late by M2 and contacted twice a week, as everybody in M2; of B only twenty are: no group differs in its circumstances."""
    rows = pl.concat(
        [
            people(80, bucket="M2", weeks=4, contacts=8, borrowers=1, first=0),
            people(20, bucket="M1", weeks=4, contacts=4, borrowers=1, first=80),
            people(20, bucket="M2", weeks=4, contacts=8, borrowers=1, first=100),
            people(80, bucket="M1", weeks=4, contacts=4, borrowers=1, first=120),
        ]
    )
    found = by_value(treated(rows, pl.concat([group("A", range(100)), group("B", range(100, 200))]), enough=30, cell_min=10))
    contacts = {value: one.figures["contacts a borrower-week"] for value, one in found.items()}
    assert [contacts[value].count / contacts[value].of for value in "AB"] == [1.8, 1.2]
    assert [contacts[value].expected for value in "AB"] == [720, 480]
    assert [contacts[value].ratio for value in "AB"] == [(1, 1, 1), (1, 1, 1)]
    assert not any(one.is_apart(0.8, 1.25) for one in contacts.values())


def test_a_group_that_is_contacted_more_in_the_same_circumstances_is_found_with_how_surely() -> None:
    chance = np.random.default_rng(4)
    rows = people(2_000, weeks=4, borrowers=1).with_columns(
        contacts=pl.Series(np.concatenate([chance.poisson(6, 1_000), chance.poisson(3, 1_000)]), dtype=pl.Int64)
    )
    found = by_value(treated(rows, pl.concat([group("A", range(1_000)), group("B", range(1_000, 2_000))]), enough=30, cell_min=10))
    more, fewer = (found[value].figures["contacts a borrower-week"] for value in "AB")
    assert more.expected + fewer.expected == pytest.approx(more.count + fewer.count)
    assert more.ratio is not None
    value, low, high = more.ratio
    assert value == pytest.approx(6 / 4.5, rel=0.05)
    assert 1 < low < value < high
    assert more.is_apart(0.8, 1.25)
    assert fewer.is_apart(0.8, 1.25)
    # Where nobody is reached nothing is to be compared.
    assert found["A"].figures["reached"].ratio is None


def test_few_people_are_not_shown_nor_worked_out_from_the_rest() -> None:
    rows = people(208, weeks=4, borrowers=1)
    each = pl.concat([group("A", range(100)), group("B", range(100, 200)), group("C", range(200, 208))])
    assert {one.value: one.borrowers for one in treated(rows, each, enough=30, cell_min=10)} == {"A": None, "B": 100, "C": None}
    some = each.filter(pl.col("party_id") >= 12)
    assert {one.value: one.borrowers for one in treated(rows, some, enough=30, cell_min=10)} == {"A": 88, "B": 100, "C": None}
    assert by_value(treated(rows, each, enough=300, cell_min=10))["B"].figures == {}
    assert known_of(rows, some, ("language", "age_band")) == {"language": Share(196, 208), "age_band": Share(0, 208)}


def test_age_bands_stand_in_their_order() -> None:
    bands = pl.concat([group(band, range(20 * n, 20 * n + 20), "age_band") for n, band in enumerate(("35_44", "under_25", "65_and_over"))])
    assert [one.value for one in treated(people(60), bands, enough=10, cell_min=10)] == ["under_25", "35_44", "65_and_over"]


def test_what_somebody_has_to_spare_is_told_in_bands() -> None:
    shares = pl.DataFrame({"share": [None, -0.4, 0.0, 0.01, 0.2, 0.21, 0.4, 0.9]}, schema={"share": pl.Float64})
    assert shares.select(spare_band(pl.col("share")).alias("band"))["band"].to_list() == [
        "not known", "nothing", "nothing", "under a fifth", "under a fifth", "under two fifths", "under two fifths", "more",
    ]  # fmt: skip


def test_an_arms_money_is_a_mean_over_people_with_its_interval() -> None:
    owed = pl.DataFrame(
        {
            "party_id": [1, 2, 3, 4, 5],
            "owed_minor": [100, 100, 100, 100, 0],
            "paid_minor": [0, 50, 400, -20, 10],
            "objected": [1, 0, 0, 0, 0],
            "contacts": [2, 0, 1, 0, 9],
        }
    )
    (only,) = arms(owed, pl.DataFrame({"party_id": [1, 2, 3, 4, 5], "assigned": "ordinary"}))
    shares = [0.0, 0.5, 1.0, 0.0]
    assert (only.name, only.borrowers, only.objected, only.contacts) == ("ordinary", 4, Share(1, 4), 3)
    assert only.paid is not None
    value, low, high = only.paid
    assert value == mean(shares)
    assert (low, high) == pytest.approx((max(0, value - 1.959964 * stdev(shares) / 2), min(1, value + 1.959964 * stdev(shares) / 2)))
    assert arms(owed[:1], pl.DataFrame({"party_id": [1], "assigned": "minimum"}))[0].paid is None
