"""The canary's judgement: bad news at once, good news only after the wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from decisions.canary import MEASURES, Canary, Limit, Seen, judge

NOON = datetime(2026, 3, 17, 12, tzinfo=UTC)
CANARY = Canary(
    modes=("live",),
    allowlist_first=True,
    share=0.01,
    contacts_max=200,
    wait=timedelta(hours=2),
    stops_at=dict.fromkeys(MEASURES, Limit(share=0.02, people=2)),
)


def seen(*, planned: int = 0, contacts: int = 100, last_at: datetime | None = NOON, people: dict[str, int] | None = None) -> Seen:
    return Seen(planned=planned, contacts=contacts, people=people or {}, last_at=last_at)


@pytest.mark.parametrize(("contacts", "few"), [(2, 1), (99, 1), (199, 1), (200, 2), (19_999, 199), (20_000, 200), (1_000_000, 200)])
def test_few_are_one_percent_one_at_least_and_two_hundred_at_most(contacts: int, few: int) -> None:
    assert CANARY.size(contacts) == few


@pytest.mark.parametrize("measure", MEASURES)
def test_each_measure_stops_above_its_share_and_its_people(measure: str) -> None:
    late = NOON + timedelta(days=1)
    assert judge(seen(people={measure: 2}), CANARY, at=late).word == "passed", "two of a hundred are not more than two percent"
    stopped = judge(seen(people={measure: 3}), CANARY, at=late)
    assert (stopped.word, stopped.because) == ("stopped", f"{measure} 3 of 100 (at most 2.0%)")
    assert judge(seen(contacts=3, people={measure: 1}), CANARY, at=late).word == "passed", "one person alone is no rate"


def test_bad_news_stops_at_once_while_some_are_still_to_be_sent() -> None:
    assert judge(seen(planned=50, contacts=20, people={"opt_out": 2}), CANARY, at=NOON).word == "stopped"


def test_good_news_waits_for_the_last_of_the_few_and_then_for_the_time() -> None:
    assert judge(seen(planned=1), CANARY, at=NOON + timedelta(days=1)).word == "trying"
    assert judge(seen(), CANARY, at=NOON + timedelta(hours=2) - timedelta(microseconds=1)).word == "trying"
    assert judge(seen(), CANARY, at=NOON + timedelta(hours=2)).word == "passed"


def test_where_none_of_the_few_could_be_contacted_nothing_is_known() -> None:
    assert judge(seen(contacts=0, last_at=None), CANARY, at=NOON + timedelta(days=1)).word == "nobody"
