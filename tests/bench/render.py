"""Render: text messages in six languages, each with an amount, a date and a link of its own.

The floor is what any program would have to do with each of them: put values that are written already into a format string.

In:   a number of messages, in turns of the six languages, all amounts different.
Out:  one result.
Pure: no; measures. No database is involved.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from typing import Any, Final

from config.message_files import message_texts
from decisions.messages import Text, date_text, money_text, render
from tests.bench.ground import apart
from tests.bench.harness import Result, by_turns

MESSAGES: Final = 100_000
SECONDS_TARGET: Final = 10.0
ROUNDS: Final = 3
SECONDS_MAX: Final = 120.0
LANGUAGES: Final = {"en": "USD", "es": "MXN", "zh-Hans": "CNY", "zh-Hant": "TWD", "hi": "INR", "id": "IDR"}
MESSAGE: Final = "early_reminder"
FIRST_DUE: Final = date(2026, 3, 1)
DUE_DAYS: Final = 90
LINK: Final = "https://pay.lantern.example/b/"


def run(*, scale: int) -> Iterator[Result]:
    """Measure.

    Args:
        scale: Divides the number of messages.
    """
    size = MESSAGES // scale
    report = apart(partial(measure, size))
    yield Result(
        name="render",
        size=size,
        **report,
        ratio=report["seconds"] / report["floor_seconds"],
        unit="messages",
        ratio_means="seconds ÷ floor_seconds",
        target=f"≤ {SECONDS_TARGET:g} s for {MESSAGES:,} messages in {len(LANGUAGES)} languages",
        met=report["seconds"] <= SECONDS_TARGET / scale,
        more={"microseconds_per_message": report["seconds"] / size * 1e6},
    )


def measure(size: int) -> dict[str, Any]:
    """Render `size` messages and do the floor's work, by turns. Amounts and dates are written anew each round, as on a new day."""
    texts = [(message_texts().text(MESSAGE, locale), currency) for locale, currency in LANGUAGES.items()]
    asked = [(*texts[number % len(texts)], 10_000 + number, FIRST_DUE + timedelta(days=number % DUE_DAYS)) for number in range(size)]
    ready = [_ready(number, *one) for number, one in enumerate(asked)]
    sides = by_turns(
        partial(product, asked), partial(floor, ready), rounds=ROUNDS, seconds_max=SECONDS_MAX, before_product=money_text.cache_clear
    )
    return sides.report()


def product(asked: list[tuple[Text, str, int, date]]) -> int:
    """Every message as its reader gets it; returns how many letters they have, so that none is left out."""
    return sum(
        len(
            render(
                text,
                channel="sms",
                creditor_name="Lantern Wallet",
                amount_minor=amount_minor,
                currency=currency,
                due_on=due_on,
                link=f"{LINK}{number}",
            ).body
        )
        for number, (text, currency, amount_minor, due_on) in enumerate(asked)
    )


def _ready(number: int, text: Text, currency: str, amount_minor: int, due_on: date) -> tuple[str, dict[str, str]]:
    values = {
        "creditor": "Lantern Wallet",
        "amount": money_text(amount_minor, currency, text.writes_like),
        "due_on": date_text(due_on, text.writes_like),
        "link": f"{LINK}{number}",
        "stop": text.stop,
    }
    return text.words["sms"].body, values


def floor(ready: list[tuple[str, dict[str, str]]]) -> int:
    """The least that a program must do."""
    return sum(len(words.format_map(values)) for words, values in ready)
