"""An auditor of simulated contacts: counts what should not have been, from what happened and the packs' figures alone.

It shares nothing with the rules but the figures in config/rules: hours are compared by hand, caps recounted, stops, holds, payments
and wrong numbers looked up by their instants. Where the rules and this differ, one of them is wrong.

In:   the books of a simulation, when it is over.
Out:  violations, one text each, by world.
Pure: but for the packs' files.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from config.load import parse
from config.rule_files import RULES
from tasks.simulated_books import STRIDE, Books, Contact

# A colleague dials these; everything else a machine does.
BY_PERSON: Final = "call"
SUNDAY: Final = 6
SATURDAY: Final = 5


@lru_cache(maxsize=8)
def _figures(pack: str, rule_id: str) -> Any:
    """The values of a rule as its file has them, at their latest date."""
    rules = parse(RULES / f"{pack}.yaml").plain["rules"]
    values = next(rule for rule in rules if rule["id"] == rule_id)["values"]
    return values[max(values)]


@lru_cache(maxsize=1)
def _uncounted() -> frozenset[str]:
    """Results that are no contact for the caps."""
    rules = parse(RULES / "house.yaml").plain["rules"]
    return frozenset(next(rule for rule in rules if rule["id"] == "HOUSE-1ADAY")["counts"]["except_results"])


def violations(books: Books, results: list[str]) -> list[tuple[int, str]]:
    """(World's number, what was wrong) of every contact that should not have been made.

    Args:
        books: When all is over.
        results: Of every event of theirs, by number.
    """
    found = []
    stops, held = _by_party(books.stops), _by_party(books.held)
    machine: dict[int, list[tuple[date, int]]] = defaultdict(list)
    for contact in books.made:
        local = contact.at.astimezone(ZoneInfo(books.people[contact.party_id].zone))
        wrong = [*_outside_hours(contact, local), *_over_caps(contact, local.date(), machine, results)]
        wrong += _unwanted(books, contact, stops, held)
        found += [(contact.party_id // STRIDE, one) for one in wrong]
        if contact.channel != BY_PERSON:
            machine[contact.party_id].append((local.date(), contact.event_id))
    return found


def _outside_hours(contact: Contact, local: datetime) -> Iterator[str]:
    law = _figures("tw", "TW-HOURS")
    if not time.fromisoformat(law["opens"]) <= local.time() < time.fromisoformat(law["closes"]):
        yield "outside the law's hours"
    if contact.channel != BY_PERSON:
        day = {SUNDAY: "sunday", SATURDAY: "saturday"}.get(local.weekday(), "weekday")
        house = _figures("house", "HOUSE-HOURS")[day]
        if not time.fromisoformat(house["opens"]) <= local.time() < time.fromisoformat(house["closes"]):
            yield "outside the house's hours"


def _over_caps(contact: Contact, on: date, machine: dict[int, list[tuple[date, int]]], results: list[str]) -> Iterator[str]:
    if contact.channel == BY_PERSON:
        return
    counted = [day for day, event in machine[contact.party_id] if results[event - 1] not in _uncounted()]
    if sum(day == on for day in counted) >= int(_figures("house", "HOUSE-1ADAY")["at_most"]):
        yield "more than one a day"
    if sum(day > on - timedelta(days=7) for day in counted) >= int(_figures("house", "HOUSE-3IN7")["at_most"]):
        yield "more than three in seven days"


_Told = TypeVar("_Told", bound=tuple[Any, ...])


def _by_party(told: Iterable[_Told]) -> dict[int, list[_Told]]:
    found: dict[int, list[_Told]] = defaultdict(list)
    for one in told:
        found[one[0]].append(one)
    return found


def _unwanted(
    books: Books,
    contact: Contact,
    stops: dict[int, list[tuple[int, str, datetime]]],
    held: dict[int, list[tuple[int, str, datetime, datetime | None]]],
) -> Iterator[str]:
    party, at = contact.party_id, contact.at
    if any(channel in {"all", contact.channel} and since < at for _, channel, since in stops.get(party, ())):
        yield "after a stop"
    if any(since < at and (until is None or at < until) for _, _, since, until in held.get(party, ())):
        yield "while held"
    disowned = books.disowned.get(contact.contact_point_id)
    if disowned is not None and disowned < at:
        yield "at somebody else's address"
    posted = sum(minor for since, minor in books.posted[party] if since < at)
    if posted >= books.people[party].owed_minor:
        yield "for a debt that was paid"
