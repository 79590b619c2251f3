"""What goes wrong, and when: drawn from a seed, so that a run that failed can be played again.

In:   a seed.
Out:  whom to strike next and after how long, which faults are in force, who writes what.
Pure: yes. How far a run is the same the second time: the plan is; which message a strike meets depends on the machine.
"""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from typing import Any, Final

# In Taiwan, whose people are written to at that hour.
TODAY: Final = date(2026, 3, 17)
NOON: Final = datetime(2026, 3, 17, 4, 0, tzinfo=UTC)
# Who is killed. `flow` runs Prefect's flows, `worker` sends the same campaign's lanes beside it, `webhooks` is the portal.
# What each should have of all kills; a flow takes longest to be there again.
SHARES: Final = {"flow": 0.15, "worker": 0.3, "webhooks": 0.3, "database": 0.25}
PAUSE_SECONDS: Final = (0.05, 0.6)
# What people write: a stop that the provider knows and confirms itself, one that only we understand, and a question that is answered.
WORDS: Final = ("STOP", "please stop texting me", "help")
# So many strikes with the same weather.
WEATHER_STRIKES: Final = 5
# What every weather may bring: probability at most, and seconds. Longer than the time-out of a call (house.py): its fate is not known.
TOO_SLOW_SECONDS: Final = 2.0
FAULTS: Final[tuple[tuple[str, float, float], ...]] = (
    ("accept_then_drop", 0.06, 0.0),
    ("accept_then_500", 0.06, 0.0),
    ("drop_before_accept", 0.03, 0.0),
    ("unavailable", 0.02, 0.2),
    ("internal", 0.02, 0.0),
    ("too_many_requests", 0.10, 0.3),
    ("delayed_accept", 0.04, TOO_SLOW_SECONDS),
    ("delayed_answer", 0.04, TOO_SLOW_SECONDS),
    ("callback_before_response", 0.10, 0.0),
    ("never_reported", 0.06, 0.0),
    ("callback_lost", 0.15, 0.0),
    ("callback_duplicated", 0.20, 0.0),
    ("callback_reordered", 0.20, 0.0),
    ("callback_late", 0.15, 1.0),
    ("list_unavailable", 0.30, 0.0),
    ("list_dropped", 0.20, 0.0),
)
# Now and then nothing gets through for a while; a provider that says so has surely not processed anything.
AWAY: Final[list[dict[str, Any]]] = [
    {"fault": "too_many_requests", "seconds": 1.0},
    {"fault": "list_unavailable"},
    {"fault": "callback_late", "seconds": 2.0},
]
AWAY_ODDS: Final = 0.1


class Plan:
    """The draws of one run, one after the other."""

    def __init__(self, seed: int) -> None:
        """Begin."""
        # Each kind of draw has a stream of its own: one more strike does not change the weather.
        self._strikes, self._weather, self._words = (random.Random(f"{seed} {what}") for what in ("strikes", "weather", "words"))  # noqa: S311  # to be played again, not to be secret

    def pause_seconds(self) -> float:
        """How long to wait before the next strike."""
        return self._strikes.uniform(*PAUSE_SECONDS)

    def order(self) -> list[str]:
        """Whom to strike; whoever holds no unfinished work is passed over for the next one."""
        return self._strikes.sample(list(SHARES), len(SHARES))

    def weather(self) -> list[dict[str, Any]]:
        """Faults to be in force, as the sandbox takes them."""
        if self._weather.random() < AWAY_ODDS:
            return AWAY
        return [
            {"fault": fault, "probability": round(self._weather.uniform(0, most), 3), "seconds": seconds} for fault, most, seconds in FAULTS
        ]

    def who_writes(self, numbers: list[str]) -> tuple[str, str]:
        """One of these numbers, and what is written from it."""
        return self._words.choice(numbers), self._words.choice(WORDS)
