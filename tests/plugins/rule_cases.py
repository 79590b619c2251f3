"""Random cases of `tideover rules check`, and what is said of them: for properties that every rule must keep."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import strategies as st

from config.rule_cases import RuleCase, RuleCases, cases_of
from config.rule_files import rule_packs
from decisions.rules import judge

Row = dict[str, Any]
# Both hemispheres' changes of the clock, a half-hour zone, one that changes at midnight, and those of the packs.
ZONES = (
    "America/New_York",
    "America/Los_Angeles",
    "America/St_Johns",
    "America/Santiago",
    "America/Mexico_City",
    "Asia/Shanghai",
    "Asia/Taipei",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
)
CHANNELS = ("sms", "voice", "call", "push", "letter", "email")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# A year with all its changes of the clock.
FIRST, LAST = datetime(2026, 1, 1), datetime(2026, 12, 31)  # noqa: DTZ001  # hypothesis wants them naive


def instants() -> st.SearchStrategy[datetime]:
    return st.datetimes(FIRST, LAST, timezones=st.just(UTC)).map(lambda at: at.replace(microsecond=0))


def _time_of_day() -> st.SearchStrategy[str]:
    return st.builds(lambda hour, minute: f"{hour:02d}:{minute:02d}", st.integers(0, 23), st.sampled_from((0, 15, 30, 59)))


def _around(at: datetime, *, days: int) -> st.SearchStrategy[datetime]:
    return st.integers(-days * 86_400, days * 86_400).map(lambda seconds: at + timedelta(seconds=seconds))


def holds(at: datetime) -> st.SearchStrategy[list[Row]]:
    one = st.builds(
        lambda kind, loan, begins, lasts: {
            "kind": kind,
            "loan": loan,
            "from": begins.isoformat(),
            "until": None if lasts is None else (begins + timedelta(hours=lasts)).isoformat(),
        },
        st.sampled_from(("cease", "dispute", "promise", "illness", "callback", "attorney")),
        st.sampled_from((None, "L1", "L2")),
        _around(at, days=9),
        st.none() | st.integers(0, 240),
    )
    return st.lists(one, max_size=3)


def wishes(at: datetime) -> st.SearchStrategy[list[Row]]:
    one = st.builds(
        lambda days, begins, ends, since, until, channels: {
            "kind": "not_at",
            "days": days,
            "from": begins,
            "to": ends,
            "since": since.isoformat(),
            "until": None if until is None else until.isoformat(),
            "channels": channels,
        },
        st.lists(st.sampled_from(DAYS), unique=True, max_size=6),
        _time_of_day(),
        _time_of_day(),
        _around(at, days=5),
        st.none() | _around(at, days=9),
        st.lists(st.sampled_from(CHANNELS), unique=True, max_size=2),
    )
    return st.lists(one, max_size=2)


def history(at: datetime) -> st.SearchStrategy[list[Row]]:
    one = st.builds(
        lambda ago, channel, direction, loans, result: {
            "at": (at - timedelta(minutes=ago)).isoformat(),
            "channel": channel,
            "direction": direction,
            "loans": loans,
            "result": result,
        },
        st.integers(0, 10 * 24 * 60),
        st.sampled_from(("call", "voice", "sms", "push")),
        st.sampled_from(("outbound", "outbound", "inbound")),
        st.lists(st.sampled_from(("L1", "L2")), unique=True, max_size=2),
        st.sampled_from(("no_answer", "conversation", "delivered", "busy", "dropped", None)),
    )
    return st.lists(one, max_size=9)


def agreements() -> st.SearchStrategy[list[Row]]:
    one = st.builds(
        lambda opens, closes, days, who: {
            "kind": "contact_hours",
            "days": days,
            "opens": opens,
            "closes": closes,
            "requested_by": who,
            "at": "2026-01-01T00:00:00Z",
        },
        st.sampled_from(("06:00", "07:00", "10:00")),
        st.sampled_from(("18:00", "22:30", "24:00")),
        st.lists(st.sampled_from(DAYS), unique=True, max_size=3),
        st.sampled_from(("borrower", "creditor")),
    )
    return st.lists(one, max_size=1)


@st.composite
def rule_cases(draw: st.DrawFn) -> tuple[Row, list[str]]:
    """A case as its file would have it, and the zones where the person may be."""
    at = draw(instants())
    case = {
        "id": "case",
        "jurisdictions": [draw(st.sampled_from(("US", "US-NY", "CN", "TW", "MX")))],
        "creditor_role": draw(st.sampled_from((None, "first_party", "third_party"))),
        "loans": [{"id": "L1", "past_due": 100}, {"id": "L2", "past_due": 100, "account": "A"}],
        "consents": [{"channel": "all", "given_to": "creditor", "at": "2025-01-01T00:00:00Z"}],
        "holds": draw(holds(at)),
        "wishes": draw(wishes(at)),
        "history": draw(history(at)),
        "agreements": draw(agreements()),
        "proposed": {
            "at": at.isoformat(),
            "channel": draw(st.sampled_from(CHANNELS)),
            "loans": draw(st.sampled_from((["L1"], ["L2"], ["L1", "L2"], []))),
            "purpose": draw(st.sampled_from(("collection", "reminder", "receipt", "reply"))),
            "automated": draw(st.sampled_from((None, True, False))),
        },
    }
    return case, draw(st.lists(st.sampled_from(ZONES), min_size=1, max_size=3, unique=True))


def frames(*cases: tuple[Row, Sequence[str]]) -> RuleCases:
    return cases_of([RuleCase.model_validate(case) for case, _ in cases], [list(zones) for _, zones in cases])


def judged(cases: RuleCases, *, at: Sequence[datetime] | None = None) -> pl.DataFrame:
    """The verdicts on some cases, or on the same at other instants."""
    candidates = cases.candidates
    if at is not None:
        candidates = candidates.with_columns(pl.Series("at", list(at), dtype=candidates.schema["at"]))
        # The feed's word is good for as long as anything here is asked about.
        fresh = cases.facts.borrowers.with_columns(
            payments_fresh_until=pl.lit(datetime(2028, 1, 1, tzinfo=UTC)).cast(candidates.schema["at"])
        )
        return judge(
            type(cases.facts)(**{**{name: getattr(cases.facts, name) for name in cases.facts.__slots__}, "borrowers": fresh}),
            candidates,
            rule_packs(),
        )
    return judge(cases.facts, candidates, rule_packs())
