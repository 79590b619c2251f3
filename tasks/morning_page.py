"""The morning as one page of markdown: who can be reached, then what to do, worst first, then what to know.

In:   a `Morning`.
Out:  markdown, the same for the Prefect UI and for a terminal.
Pure: but for the settings' mode and zone, yes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from zoneinfo import ZoneInfo

from config.settings import settings
from decisions.money import from_minor
from tasks.markdown import counted, local, mode, section
from tasks.morning import Morning
from tasks.morning_items import Item, Urgency
from tasks.schedule import Scheduled

HEADINGS: Final = {
    Urgency.NOW: "Now",
    Urgency.BEFORE_TODAYS_RUNS: "Before today's runs",
    Urgency.TODAY: "Today",
    Urgency.SOON: "Soon",
    Urgency.KNOW: "To know",
}
STARTS_SHOWN_MAX: Final = 3
CHANGES_SHOWN_MAX: Final = 40
NOTHING: Final = "–"


def page(morning: Morning) -> str:
    """The whole page."""
    return "\n".join(_lines(morning))


def _lines(morning: Morning) -> Iterator[str]:
    yield f"# Morning of {morning.day:%A}, {morning.day.isoformat()}"
    yield ""
    yield f"{mode()} As it stood at {local(morning.at)}."
    to_do = [item for item in morning.items if item.urgency is not Urgency.KNOW]
    yield ""
    yield f"{counted(len(to_do), 'thing', 'things')} to do." if to_do else "Nothing has to be done."
    for urgency, heading in HEADINGS.items():
        yield from _items(heading, [item for item in morning.items if item.urgency is urgency])
    yield from section("Falls due today", list(_due(morning)), empty="No promise, hold or time limit ends today.")
    yield from _planned(morning)
    yield from _changed(morning)
    yield from section("The portfolio", list(_portfolio(morning)))


def _items(heading: str, items: list[Item]) -> Iterator[str]:
    if items:
        yield ""
        yield f"## {heading}"
        yield ""
        for item in items:
            yield f"- **{item.what}**"
            yield f"  → {item.do}"


def _due(morning: Morning) -> Iterator[dict[str, str | int]]:
    if morning.promises.promises:
        named = ", ".join(f"{currency} {from_minor(minor, currency):,}" for currency, minor in morning.promises.minor.items())
        yield {"what": "promises to pay", "how many": morning.promises.promises, "of": named or "no amount named"}
    for kind, holds in morning.holds_ending.items():
        yield {"what": f"holds that end: {kind}", "how many": holds, "of": "people who may be contacted again"}
    if morning.notices:
        yield {"what": "time limits of notices", "how many": morning.notices, "of": "people who may object until tonight"}


def _planned(morning: Morning) -> Iterator[str]:
    if morning.planned is None:
        yield from section("Planned today", [], empty="What is scheduled is not known: no Prefect server was asked (`PREFECT_API_URL`).")
    else:
        yield from section("Planned today", [_start(one) for one in morning.planned], empty="No run is scheduled for the rest of the day.")
    yield f"Messages waiting from before: {morning.due:,} due now, {morning.later:,} for a later hour."
    if morning.volumes:
        yield from section(
            "Expected, by each stage's last date",
            [
                {"stage": row["stage"], "date": row["business_date"].isoformat(), "borrowers": row["borrowers"], "messages": row["sent"]}
                for row in morning.volumes
            ],
        )
    for on, named in morning.holidays.items():
        when = "**Today is a holiday**" if on == morning.day else f"Holiday on {on:%A}, {on.isoformat()}"
        yield f"- {when}: {named}. Stages that rest on holidays say so and contact nobody."


def _start(one: Scheduled) -> dict[str, str]:
    zone = ZoneInfo(settings().business_zone)
    times = [f"{start.astimezone(zone):%H:%M}" for start in one.starts[:STARTS_SHOWN_MAX]]
    more = len(one.starts) - STARTS_SHOWN_MAX
    asked = ", ".join(f"{name} {value}" for name, value in one.parameters.items())
    return {"starts": ", ".join(times) + (f" and {more} times more" if more > 0 else ""), "deployment": one.name, "with": asked or NOTHING}


def _changed(morning: Morning) -> Iterator[str]:
    if morning.changed is None:
        yield from section("What changed", [], empty="Nothing is known of before: this is the first morning, and no stage has run yet.")
        return
    since = f"since the morning of {morning.since.isoformat()}" if morning.since else "since the last runs"
    yield ""
    yield f"## What changed {since}"
    yield ""
    yield from [f"- {line}" for line in morning.changed[:CHANGES_SHOWN_MAX]] or [
        "Nothing: the same rules, strategies, texts and settings are in force."
    ]

    if len(morning.changed) > CHANGES_SHOWN_MAX:
        yield f"- … and {len(morning.changed) - CHANGES_SHOWN_MAX} more; `tideover morning --json` names them"


def _portfolio(morning: Morning) -> Iterator[dict[str, str | int]]:
    for name, (now, change) in morning.portfolio.items():
        yield {"what": name, "now": now, "change": NOTHING if change is None else f"{change:+,}"}
