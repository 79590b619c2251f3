"""Who wrote of danger and waits for a person; and the event by which people are told.

The portal tells it the moment it has heard (portal/calling.py); `dispatch` tells it again until somebody has said that it is
handled (tasks/dispatch.py). Telling twice is harmless: the automation tells people once an hour of each answer.

In:   the ledger.
Out:  ids of answers; what an event is about. Nobody's name, nothing of what was written.
Pure: no; reads the ledger.
Source: docs/adr/0036.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from ledger import clock
from ledger.answers import in_danger
from ledger.engine import connection

PERSON_NEEDED: Final = "tideover.person.needed"
AT_ONCE_MAX: Final = 100


def waiting(*, within: timedelta, besides: Sequence[int] = ()) -> list[int]:
    """Answers of people who wrote of danger lately, and that nobody has handled; ids, the longest waiting first.

    Args:
        within: How far back.
        besides: Ids that are left out.
    """
    with connection() as tx:
        return in_danger(tx, since=clock.now(tx) - within, at_most=AT_ONCE_MAX, besides=besides)


def resource(answer: int) -> dict[str, str]:
    """What the event is about: the answer's id and nobody."""
    return {"prefect.resource.id": f"tideover.answer.{answer}", "prefect.resource.name": f"answer {answer}"}
