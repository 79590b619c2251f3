"""Falling back in planning: the channel that is named first and can be used, then the next one, then the step before; one budget over all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from config.load import ConfigError
from config.message_files import message_texts
from config.rule_files import rule_packs
from config.strategy_files import strategy, strategy_of
from decisions.choose import BUDGET, NO_SENDER, WAIT, decide
from decisions.facts import FAILURES, SENDERS, Facts
from decisions.messages import Texts, Words
from decisions.prices import Price
from decisions.strategy import Step, Strategy
from tests.plugins.known_facts import CONSENTS, LONG_AGO, NOON_IN_NEW_YORK, TODAY, Known, facts_of, point

EARLY = strategy("static-ladder", "early")
POINTS = (point(11), point(12, "push"), point(13, "whatsapp"), point(14, "email"))
SAYS = Words(body="{creditor}: {amount} was due on {due_on}. {link} Reply {stop} to stop.")


def ladder(*steps: tuple[int, tuple[str, ...]]) -> Strategy:
    rungs = [
        Step(number=number, from_day=day, channels=channels, message="early_reminder", offers=())
        for number, (day, channels) in enumerate(steps, start=1)
    ]
    return replace(EARLY, steps=tuple(rungs))


THREE = ladder((1, ("push", "sms", "email")))


def texts() -> Texts:
    """The early reminder with words for mail."""
    found = message_texts()
    text = found.text("early_reminder", "en")
    return Texts(by_key={**found.by_key, ("early_reminder", "en"): replace(text, words={**text.words, "email": SAYS, "whatsapp": SAYS})})


def facts(*, failed: Sequence[tuple[int, str, float]] = (), senders: Sequence[tuple[str, str | None]] = (), **known: Any) -> Facts:
    """One borrower with consent to all; `failed`: contact point, channel, days ago."""
    consents = [
        {"party_id": 1, "channel": channel, "given_to": "creditor", "at": LONG_AGO} for channel in ("sms", "push", "email", "whatsapp")
    ]
    failures = [
        {"party_id": 1, "contact_point_id": number, "channel": channel, "at": NOON_IN_NEW_YORK - timedelta(days=days)}
        for number, channel, days in failed
    ]
    found = facts_of(Known(**{"points": POINTS, **known}))
    assert CONSENTS
    return replace(
        found,
        consents=pl.DataFrame([{**dict.fromkeys(found.consents.columns), **row} for row in consents], schema=found.consents.schema),
        failures=pl.DataFrame(failures, schema=FAILURES),
        senders=pl.DataFrame([(1, channel, purpose) for channel, purpose in senders], schema=SENDERS, orient="row"),
    )


def chosen(chosen_by: Strategy, given: Facts) -> dict[str, Any]:
    return decide(given, chosen_by, rule_packs(), texts(), at=NOON_IN_NEW_YORK, business_date=TODAY, seed=b"s").row(0, named=True)


def test_the_channel_that_is_named_first_is_taken() -> None:
    assert chosen(THREE, facts())["channel"] == "push"
    assert chosen(ladder((1, ("email", "sms", "push"))), facts())["channel"] == "email"


@pytest.mark.parametrize(
    ("columns", "channel"),
    [
        ({"points": (POINTS[0], POINTS[3])}, "sms"),
        ({"points": (POINTS[0], {**POINTS[1], "status": "invalid"}, POINTS[3])}, "sms"),
        ({"opt_outs": [{"channel": "push"}]}, "sms"),
        ({"opt_outs": [{"channel": "push"}, {"channel": "sms"}]}, "email"),
        ({"person": {"paused_channels": ["push"]}}, "sms"),
    ],
    ids=["no app", "dead app", "stop", "two stops", "paused"],
)
def test_where_the_first_cannot_be_used_the_next_one_is(columns: dict[str, Any], channel: str) -> None:
    assert chosen(THREE, facts(**columns))["channel"] == channel


def test_what_failed_of_late_comes_last_and_is_tried_again_where_there_is_nothing_else() -> None:
    assert chosen(THREE, facts(failed=[(12, "push", 1)]))["channel"] == "sms"
    assert chosen(THREE, facts(failed=[(12, "push", 1), (11, "sms", 1)]))["channel"] == "email"
    again = chosen(THREE, facts(failed=[(12, "push", 1), (11, "sms", 1), (14, "email", 1)]))
    assert (again["action"], again["channel"]) == ("contact", "push")
    assert again["score"] > 0


def test_a_failure_is_forgotten_after_the_budgets_span_or_once_something_arrived() -> None:
    assert chosen(THREE, facts(failed=[(12, "push", EARLY.span_days + 1)]))["channel"] == "push"
    since = {"at": NOON_IN_NEW_YORK - timedelta(days=5), "channel": "push", "contact_point_id": 12, "result": "delivered"}
    assert chosen(THREE, facts(failed=[(12, "push", 6)], history=[since]))["channel"] == "push"
    assert chosen(THREE, facts(failed=[(12, "push", 4)], history=[since]))["channel"] == "sms"


def test_another_number_of_the_same_channel_is_tried_before_the_next_channel() -> None:
    two = (POINTS[0], point(15), POINTS[3])
    assert chosen(ladder((1, ("sms", "email"))), facts(points=two, failed=[(11, "sms", 1)]))["contact_point_id"] == 15


def test_where_a_whole_step_fails_the_one_before_is_taken() -> None:
    """Each step of its own channels: the later one first, and back when none of it can be used."""
    steps = ladder((1, ("email", "whatsapp")), (3, ("push", "sms")))
    assert chosen(steps, facts())["step"] == 2
    back = chosen(steps, facts(failed=[(12, "push", 1), (11, "sms", 1)]))
    assert (back["step"], back["channel"]) == (1, "email")


def test_a_channel_without_a_sender_is_passed_over_and_the_decision_says_so() -> None:
    assert chosen(THREE, facts(senders=[("sms", None), ("push", None)]))["channel"] == "push"
    without_push = chosen(THREE, facts(senders=[("sms", "collection")]))
    assert (without_push["channel"], without_push["reasons"]) == ("sms", [NO_SENDER])
    nobody = chosen(THREE, facts(senders=[("sms", "receipt")]))
    assert (nobody["action"], nobody["reasons"]) == ("no_contact", [NO_SENDER])


def test_a_step_of_one_channel_scores_and_stays_as_it_was() -> None:
    """Decisions of before replay (I8): nothing is asked that was not asked then."""
    given = facts(failed=[(12, "push", 1)], senders=[])
    single = ladder((1, ("push",)), (4, ("sms",)))
    assert chosen(single, given)["channel"] == "sms"
    assert chosen(single, given)["score"] == 2 * 1_000 + 100
    assert single.places == {(1, "push"): 1, (2, "sms"): 2}
    assert chosen(ladder((1, ("push",))), given)["channel"] == "push"


@pytest.mark.parametrize("before", ["sms", "push", "email", "whatsapp", "voice", "letter", "call"])
def test_one_budget_counts_the_contacts_of_all_channels(before: str) -> None:
    contacts = [{"at": NOON_IN_NEW_YORK - timedelta(days=days), "channel": before, "contact_point_id": None} for days in (6, 4)]
    told = chosen(THREE, facts(history=contacts))
    assert told["action"] == "no_contact"
    assert BUDGET in told["reasons"]
    assert chosen(THREE, facts(history=contacts[:1]))["action"] == "contact"


@pytest.mark.parametrize("before", ["sms", "push", "email", "whatsapp"])
def test_the_gap_holds_over_all_channels(before: str) -> None:
    told = chosen(THREE, facts(history=[{"at": NOON_IN_NEW_YORK - timedelta(days=1), "channel": before}]))
    assert told["action"] == "no_contact"
    assert WAIT in told["reasons"]


@pytest.mark.parametrize("result", ["undelivered", "failed"])
def test_what_surely_reached_nobody_uses_up_no_budget(result: str) -> None:
    contacts = [{"at": NOON_IN_NEW_YORK - timedelta(days=days), "channel": "push", "result": result} for days in (6, 4)]
    assert chosen(THREE, facts(history=contacts))["action"] == "contact"


def test_the_houses_cap_of_one_a_day_holds_over_all_channels_too() -> None:
    """Whatever the strategy's own budget: HOUSE-1ADAY and HOUSE-3IN7 are rules, and the gate asks them again."""
    generous = replace(THREE, contacts_max=99, gap_days_min=0)
    told = chosen(generous, facts(history=[{"at": NOON_IN_NEW_YORK - timedelta(hours=3), "channel": "email"}]))
    assert told["action"] == "no_contact"
    assert "HOUSE-1ADAY" in told["reasons"]


def test_a_channel_that_a_providers_policy_bars_is_off_until_its_word_is_recorded() -> None:
    whatsapp_first = ladder((1, ("whatsapp", "sms")))
    assert chosen(whatsapp_first, facts())["channel"] == "whatsapp"
    barred = decide(
        facts(),
        whatsapp_first,
        rule_packs().model_copy(update={"clearances": ()}),
        texts(),
        at=NOON_IN_NEW_YORK,
        business_date=TODAY,
        seed=b"s",
    ).row(0, named=True)
    assert (barred["channel"], barred["reasons"]) == ("sms", ["HOUSE-PROVIDER-WHATSAPP"])


def price(channel: str, minor_per_1000: int, *, country: str = "US", currency: str = "USD", since: date = date(2026, 1, 1)) -> Price:
    return Price(channel=channel, country=country, since=since, currency=currency, minor_per_1000=minor_per_1000, source="a test")


ALIKE = replace(
    EARLY,
    steps=(
        Step(number=1, from_day=1, channels=("push", "sms", "email"), message="early_reminder", offers=(), cheapest_of=("sms", "email")),
    ),
)


@pytest.mark.parametrize(
    ("prices", "channel"),
    [
        ((), "sms"),
        ((price("sms", 800), price("email", 100)), "email"),
        ((price("sms", 100), price("email", 900)), "sms"),
        # The text takes two segments.
        ((price("sms", 100), price("email", 150)), "email"),
        ((price("email", 100),), "email"),
        ((price("sms", 100, country="MX"), price("email", 900)), "email"),
        ((price("sms", 100, country="*"), price("email", 900)), "sms"),
        # A price of tomorrow is none yet, and amounts in two currencies cannot be compared.
        ((price("sms", 800), price("email", 100, since=date(2027, 1, 1))), "sms"),
        ((price("sms", 800), price("email", 100, currency="EUR")), "sms"),
    ],
    ids=str,
)
def test_of_channels_that_are_as_good_the_cheapest_is_taken(prices: tuple[Price, ...], channel: str) -> None:
    ladder_of_equals = replace(ALIKE, prices=prices)
    assert chosen(ladder_of_equals, facts(points=(POINTS[0], POINTS[3])))["channel"] == channel
    # Whatever they cost, what is preferred is preferred, and what is barred stays barred.
    assert chosen(ladder_of_equals, facts())["channel"] == "push"
    left = {"sms": "email", "email": "sms"}[channel]
    assert chosen(ladder_of_equals, facts(points=(POINTS[0], POINTS[3]), opt_outs=[{"channel": channel}]))["channel"] == left


def test_equals_share_a_place_and_a_file_says_which_they_are() -> None:
    assert ALIKE.places == {(1, "email"): 1, (1, "sms"): 1, (1, "push"): 2}
    several = "channels: [push, sms, email], cheapest_of: [sms, email], message: early_reminder"
    read = strategy_of("x", "early", BODY.replace(FIRST, several, 1), Path("x"))
    assert (read.steps[0].cheapest_of, read.weighs_cost, EARLY.weighs_cost) == (("sms", "email"), True, False)


BODY = (Path(__file__).parents[2] / "config" / "strategies" / "static-ladder" / "early.yaml").read_text()
FIRST = "channel: push, message: early_reminder"


def test_a_file_names_one_channel_or_several() -> None:
    read = strategy_of("x", "early", BODY.replace(FIRST, "channels: [push, sms, whatsapp], message: early_reminder", 1), Path("x"))
    assert read.steps[0].channels == ("push", "sms", "whatsapp")
    assert read.falls_back
    assert not EARLY.falls_back
    assert [read.places[1, channel] for channel in ("push", "sms", "whatsapp")] == [3, 2, 1]


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("message: early_reminder", "give either channel, or channels"),
        ("channel: push, channels: [push, sms], message: early_reminder", "give either channel, or channels"),
        ("channels: [push], message: early_reminder", "at least 2"),
        ("channels: [push, sms, email], cheapest_of: [push, email], message: early_reminder", "side by side"),
        ("channels: [push, sms], cheapest_of: [sms, email], message: early_reminder", "side by side"),
        ("channels: [push, sms], cheapest_of: [sms], message: early_reminder", "at least 2"),
        ("channels: [push, push], message: early_reminder", "named twice"),
        ("channels: [push, visit], message: early_reminder", "no kind of contact point is reached through"),
    ],
)
def test_a_step_without_a_channel_or_with_one_twice_is_refused(written: str, reason: str) -> None:
    assert FIRST in BODY
    with pytest.raises(ConfigError, match=reason):
        strategy_of("x", "early", BODY.replace(FIRST, written, 1), Path("x"))
