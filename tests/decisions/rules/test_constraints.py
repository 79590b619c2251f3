"""Constraints by themselves: from when each lets a contact through."""

from __future__ import annotations

import polars as pl

from decisions.rules.constraints import Excused, Grants, Moment, NotBefore, Place
from decisions.rules.timetable import NEVER_US

MOMENT = Moment(pl.Series([100, 100, 100, 100]), pl.Series([0, 0, 0, 0]), [Place(())])


def grants(*entries: tuple[int, int, int]) -> Grants:
    return Grants(pl.DataFrame(entries, schema=["row", "since", "until"], orient="row"))


def test_a_grant_is_now_or_when_the_next_one_begins_or_never() -> None:
    known = grants((0, 50, 150), (1, 300, 400), (1, 200, 250), (2, 50, 100), (2, 300, 200))
    assert known.frees(MOMENT).to_list() == [100, 200, NEVER_US, NEVER_US]
    assert known.take(pl.Series([1, 3])).frees(Moment(MOMENT.at[:2], MOMENT.place[:2], MOMENT.places)).to_list() == [200, NEVER_US]


def test_an_excuse_frees_when_it_begins_and_what_it_excuses_when_that_ends() -> None:
    excused = Excused(NotBefore(pl.Series([300, 300, 300, 0])), grants((0, 50, 150), (1, 200, 250), (2, 400, 500)))
    assert excused.frees(MOMENT).to_list() == [100, 200, 300, 100]
