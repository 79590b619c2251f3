"""The canary's judgement: whether few contacts went well enough for the rest to follow.

In:   what became of the few, limits, an instant.
Out:  a verdict with its reason, in words.
Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

# What is counted, in the words of config/canary.yaml.
MEASURES: Final = ("opt_out", "wrong_person", "dispute", "undelivered")

Word = Literal["trying", "passed", "stopped", "nobody"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Stop where more than a share of the few, and at least so many people, did it."""

    share: float
    people: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """How few go first, and when they stop.

    Attributes:
        modes: Modes in which it holds.
        allowlist_first: In live mode, what is new has to have been sent to staff before.
        share: Of the run's contacts.
        contacts_max: Never more.
        wait: From the last of the few on.
        stops_at: Measure → limit.
    """

    modes: tuple[str, ...]
    allowlist_first: bool
    share: float
    contacts_max: int
    wait: timedelta
    stops_at: Mapping[str, Limit]

    def size(self, contacts: int) -> int:
        """How many of a run's contacts go first: at least one."""
        return max(1, min(int(self.share * contacts), self.contacts_max))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What became of the few.

    Attributes:
        planned: Still to be sent.
        contacts: That were made.
        people: Measure → how many people.
        last_at: When the last contact was made; None = none was.
    """

    planned: int
    contacts: int
    people: Mapping[str, int]
    last_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What follows, and why.

    Attributes:
        word: trying: wait on; passed: the rest follows; stopped: people decide; nobody: none of the few was contacted, others are tried.
        because: In words, counts only.
    """

    word: Word
    because: str


def judge(seen: Seen, canary: Canary, *, at: datetime) -> Verdict:
    """Judge the few: bad news at once, good news only after the wait."""
    too_many = [
        f"{measure} {count} of {seen.contacts} (at most {limit.share:.1%})"
        for measure, limit in canary.stops_at.items()
        if (count := seen.people.get(measure, 0)) >= limit.people and count > limit.share * seen.contacts
    ]
    if too_many:
        return Verdict(word="stopped", because="; ".join(too_many))
    if seen.planned:
        return Verdict(word="trying", because=f"{seen.planned} of the few are still to be sent")
    if seen.last_at is None:
        return Verdict(word="nobody", because="none of the few could be contacted")
    ends_at = seen.last_at + canary.wait
    if at < ends_at:
        return Verdict(word="trying", because=f"{seen.contacts} were contacted; the wait ends at {ends_at:%Y-%m-%d %H:%M} UTC")
    counted = ", ".join(f"{measure} {seen.people.get(measure, 0)}" for measure in canary.stops_at)
    return Verdict(word="passed", because=f"{seen.contacts} were contacted: {counted}")
