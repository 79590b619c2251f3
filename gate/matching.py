"""Which of the provider's messages is which attempt of ours? Only what can be nothing else counts.

An attempt's token stands in its text's link: that is the attempt, whatever the clocks say. Where a text carries no link,
the very words, at the very number, at the time of the call, are it, provided that nothing else fits. A call has no words.

In:   attempts whose fate is unknown and what the provider lists, all to one number.
Out:  for each attempt what was found, or that several messages might be it, or nothing.
Pure: yes.
Source: PROVIDERS.md A8, 3 to 6.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from channels.listed import Listed
from ledger.merkle import text_hash
from ledger.unknowns import Unknown

# Clocks differ; and a provider that was slow took the message after the caller had gone.
BEFORE: Final = timedelta(minutes=5)
AFTER: Final = timedelta(minutes=15)
_TOKEN: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the provider's list says about one attempt.

    Attributes:
        messages: That surely are it, oldest first; more than one means that the provider made several of one call.
        candidates: How many messages might be it, where none surely is: of its words, or, where there are none of them, of
            any words at all that are not known to be another attempt's.
    """

    messages: tuple[Listed, ...] = ()
    candidates: int = 0


def tokens_in(message: Listed) -> list[UUID]:
    """Tokens that stand in a text, or that the provider was given with it."""
    if message.key is not None:
        return [message.key]
    return [UUID(found) for found in _TOKEN.findall(message.body)]


def match(attempts: Sequence[Unknown], messages: Sequence[Listed], *, taken: Collection[str]) -> Mapping[int, Found]:
    """Find each attempt among the messages to its number.

    Args:
        attempts: Every attempt of unknown fate to that number.
        messages: What the provider lists for that number.
        taken: Provider's ids that other attempts bear already.

    Returns:
        Attempt id → what was found.
    """
    named = {message.provider_id: set(tokens_in(message)) for message in messages}
    found: dict[int, Found] = {}
    for attempt in attempts:
        certain = [one for one in messages if attempt.token in named[one.provider_id]]
        if certain:
            found[attempt.id] = Found(messages=tuple(sorted(certain, key=_age)))
    bound = {message.provider_id for one in found.values() for message in one.messages} | set(taken)
    left = [attempt for attempt in attempts if attempt.id not in found]
    free = [message for message in messages if message.provider_id not in bound]
    fitting = {attempt.id: [message for message in free if _fits(attempt, message)] for attempt in left}
    wanted = [message.provider_id for fits in fitting.values() for message in fits]
    for attempt in left:
        fits = fitting[attempt.id]
        # Of a call nothing is listed but its number and its time: one alone at that time is it.
        alone = len(fits) == 1 and (bool(fits[0].body) or fits[0].textless) and wanted.count(fits[0].provider_id) == 1
        # The provider may show other words than it was given; whatever bears another attempt's token is not this one.
        strange = [message for message in free if not named[message.provider_id] and _is_of_its_time(attempt, message)]
        found[attempt.id] = Found(messages=tuple(fits)) if alone else Found(candidates=len(fits) or len(strange))
    return found


def _age(message: Listed) -> tuple[bool, float, str]:
    at = message.created_at
    return at is None, at.timestamp() if at else 0.0, message.provider_id


def _fits(attempt: Unknown, message: Listed) -> bool:
    """Whether a message may be the attempt: the very words, at the time of the call."""
    # A text that was redacted says nothing either way.
    return _is_of_its_time(attempt, message) and (
        not message.body or text_hash(attempt.token, title="", body=message.body) == attempt.text_hash
    )


def _is_of_its_time(attempt: Unknown, message: Listed) -> bool:
    return message.created_at is not None and attempt.since - BEFORE <= message.created_at <= attempt.until + AFTER
