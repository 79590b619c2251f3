"""Constraints by themselves: from when each lets a contact through."""

from __future__ import annotations

import numpy as np

from decisions.rules.constraints import Excused, Grants, Moment, NotBefore, Place, Spans
from decisions.rules.timetable import NEVER_US

MOMENT = Moment(np.array([100, 100, 100, 100]), np.array([0, 0, 0, 0]), [Place(())])


def grants(*entries: tuple[int, int, int]) -> Grants:
    return Grants(Spans(*np.array(entries).T))


def test_a_grant_is_now_or_when_the_next_one_begins_or_never() -> None:
    known = grants((0, 50, 150), (1, 300, 400), (1, 200, 250), (2, 50, 100), (2, 300, 200))
    assert known.frees(MOMENT).tolist() == [100, 200, NEVER_US, NEVER_US]
    assert known.take(np.array([1, 3])).frees(Moment(MOMENT.at[:2], MOMENT.place[:2], MOMENT.places)).tolist() == [200, NEVER_US]


def test_an_excuse_frees_when_it_begins_and_what_it_excuses_when_that_ends() -> None:
    excused = Excused(NotBefore(np.array([300, 300, 300, 0])), grants((0, 50, 150), (1, 200, 250), (2, 400, 500)))
    assert excused.frees(MOMENT).tolist() == [100, 200, 300, 100]
