"""`make chaos`: a day's campaign while every program is killed again and again, and then who was contacted twice, lost, or against a rule.

Only strikes that hit unfinished work count. A sender is stopped for an instant and killed only where the provider says that it
waits for an answer (of a message, or of a question about one); the portal only while a webhook's post is under way; PostgreSQL only
while messages are on their way under a committed claim.

In:   how many kills and messages, a seed.
Out:  lines about what happens; the counts of CASES.md.
Pure: no. An installation of its own (house.py), gone at the end.
"""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import ceil
from typing import Final
from urllib.error import URLError

import psutil
from sqlalchemy.exc import SQLAlchemyError

from tasks.audit import audit_period
from tests.chaos.day import SENDER, in_words, inbox_waiting, plan_day, planned, states
from tests.chaos.house import House, hang_up
from tests.chaos.plan import NOON, SHARES, TODAY, WEATHER_STRIKES, Plan
from tests.chaos.verdict import Verdict, judge

SENDERS: Final = ("flow", "worker")
# What a kill takes, until this is measured: waiting for the instant, and what restarts.
KILL_SECONDS: Final = 2.5
# Sending is spread so that there is still unfinished work for the last kill.
SPREAD: Final = 0.5
LEFT_SHARE_MIN: Final = 2
RATE_MIN, RATE_MAX, CALM_CONCURRENCY = 1.0, 60.0, 32
LOOKS_MAX: Final = 8
LOOK_SECONDS: Final = 0.02
DRY_SECONDS_MAX: Final = 40
SHARED_SECONDS_MAX: Final = 15
SETTLE_SECONDS: Final = 90
PROGRESS_SECONDS: Final = 10
# One in so many strikes, somebody writes.
WRITE_EVERY: Final = 2

Say = Callable[[str], None]


@dataclass
class Played:
    """What happened."""

    messages: int
    kills: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    wrote: int = 0
    verdict: Verdict = field(default_factory=Verdict)
    # What the whole audit found, by invariant and check.
    violations: Counter[str] = field(default_factory=Counter)

    @property
    def line(self) -> dict[str, int]:
        """The counts that CASES.md names, in its order."""
        return {
            "kills": self.kills.total(),
            "messages": self.messages,
            **{name: getattr(self.verdict, name) for name in ("twice", "lost", "against_rule", "unknown", "parked")},
        }

    @property
    def held(self) -> bool:
        """Whether every promise was kept."""
        return not (self.verdict.twice or self.verdict.lost or self.verdict.against_rule or self.verdict.unknown or self.violations)


def play(*, kills: int, messages: int, seed: int, say: Say, keep_logs: Callable[[House], None] = lambda _: None) -> Played:
    """Play it.

    Args:
        kills: How many strikes at unfinished work.
        messages: About how many attempts to plan; the result says how many it were.
        seed: Of every draw.
        say: Receives lines for people.
        keep_logs: Called with the house before it is gone.

    Returns:
        What happened; `kills` is smaller than asked where the work was finished before.
    """
    house = House(seed=seed, at=NOON.isoformat())
    try:
        say("starting PostgreSQL, Prefect, portal and the outside in a folder of their own …")
        house.start()
        game = _Game(house, Plan(seed), kills, say)
        game.move_in(messages)
        house.wait()
        game.strike()
        game.settle()
        game.played.verdict = judge(house, TODAY)
        game.audit()
        game.tell()
        return game.played
    finally:
        keep_logs(house)
        house.stop()


class _Game:
    """One run."""

    def __init__(self, house: House, plan: Plan, kills: int, say: Say) -> None:
        self._house, self._plan, self._kills, self._say = house, plan, kills, say
        self._numbers: list[str] = []
        self.played = Played(messages=0)

    def move_in(self, messages: int) -> None:
        """Fill the ledger, plan the day, and let the people move into the town."""
        self._numbers = plan_day(self._house, messages=messages, on=TODAY, at=NOON)
        self.played.messages = states().total()
        self._say(
            f"{self.played.messages} messages are planned for {len(self._numbers)} people who do not exist; {self._kills} kills to come"
        )

    def strike(self) -> None:
        """Send, and kill, until enough kills have hit or nothing is left to be hit."""
        began = told = hit_at = time.monotonic()
        self._set_pace(KILL_SECONDS)
        for name in SENDERS:
            self._house.spawn(name)
        while self.played.kills.total() < self._kills and time.monotonic() - hit_at < DRY_SECONDS_MAX:
            done = self.played.kills.total()
            if done % WEATHER_STRIKES == 0 and not self._house.outside:
                self._house.sandbox("POST", "faults", {"faults": self._plan.weather()})
            time.sleep(self._plan.pause_seconds())
            self._house.revive()
            self._somebody_writes(done)
            if any(self._hit(name) for name in self._plan.order() if self._is_to_be_hit(name, time.monotonic() - hit_at)):
                hit_at = time.monotonic()
                self._set_pace((hit_at - began) / self.played.kills.total())
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                self._progress()
        self._progress()

    def settle(self) -> None:
        """Calm weather, everybody alive: send what is left, and find out what became of the rest."""
        self._say("no more kills: sending what is left, asking the provider for what is unknown …")
        if not self._house.outside:
            self._house.sandbox("DELETE", "faults")
            self._house.sandbox("POST", "latency", {"latency_ms": 40, "latency_jitter_ms": 20})
        for name in SENDERS:
            with suppress(psutil.NoSuchProcess):
                self._house.kill(name)
        for channel in ("SMS", "PUSH"):
            self._house.environment[f"TIDEOVER_{channel}_PER_SECOND"] = str(RATE_MAX)
            self._house.environment[f"TIDEOVER_{channel}_CONCURRENCY"] = str(CALM_CONCURRENCY)
        for name in SENDERS:
            self._house.spawn(name)
        deadline = time.monotonic() + SETTLE_SECONDS + self.played.messages / RATE_MAX
        while time.monotonic() < deadline:
            self._house.revive()
            standing = states()
            if not standing.keys() & {"planned", "submitting", "unknown"} and not inbox_waiting():
                break
            time.sleep(0.5)
        self._progress()
        self._house.stop_senders()

    def audit(self) -> None:
        """Prove every invariant again, as every night does; another server's clock is not ours, and its hours say nothing."""
        if not self._house.outside:
            audited = audit_period(TODAY, TODAY)
            self.played.violations.update(f"{found.invariant} {found.check}" for found in audited.violations)
            self._say(f"audit of {audited.attempts} attempts: " + (in_words(self.played.violations) or "every invariant held"))

    def tell(self) -> None:
        """What was found, in a few lines."""
        verdict = self.played.verdict
        self._say(
            "killed: "
            + in_words(self.played.kills)
            + f"; wrote: {self.played.wrote}; passed over, nothing unfinished: "
            + in_words(self.played.missed)
        )
        self._say("attempts: " + in_words(verdict.states))
        self._say("found: " + (in_words(verdict.because) or "nothing to explain"))
        if verdict.attempts_in_question:
            self._say(f"attempts in question: {verdict.attempts_in_question[:20]}")
        if self._house.outside:
            self._say(
                "not to be known of another server: what became of pushes, what phones received of what it lists, when by its own clock"
            )

    def _is_to_be_hit(self, name: str, dry_seconds: float) -> bool:
        """Whether it has not had its share yet; where nobody else could be hit for a while, anybody will do."""
        return dry_seconds > SHARED_SECONDS_MAX or self.played.kills[name] < ceil(self._kills * SHARES[name])

    def _hit(self, name: str) -> bool:
        """Kill it if it holds unfinished work, and start it again."""
        strikes = {"database": self._hits_database, "webhooks": self._hits_portal}
        with suppress(psutil.NoSuchProcess, FileNotFoundError, SQLAlchemyError, URLError, OSError):
            if strikes.get(name, self._hits_sender)(name):
                self.played.kills[name] += 1
                self._house.restart(name)
                return True
        self.played.missed[name] += 1
        return False

    def _hits_sender(self, name: str) -> bool:
        """Look at it, stopped, a few times; kill it in the middle of a call."""
        for _ in range(LOOKS_MAX):
            with self._stopped(name) as victim:
                if self._house.holds_a_call(name):
                    self._house.kill(name)
                    return True
            del victim
            time.sleep(LOOK_SECONDS)
        return False

    def _hits_portal(self, name: str) -> bool:
        """The same, in the middle of a webhook's post; of another server nobody knows that, and any connection will do."""
        for _ in range(LOOKS_MAX):
            with self._stopped(name) as victim:
                busy = (
                    self._house.is_heard_by(victim) if self._house.outside else json.loads(self._house.sandbox("GET", "open"))["posts"] > 0
                )
                if busy:
                    self._house.kill(name)
                    return True
            time.sleep(LOOK_SECONDS)
        return False

    def _hits_database(self, name: str) -> bool:
        """Kill it while messages are on their way and nobody has written yet what became of them."""
        for _ in range(LOOKS_MAX):
            if states().get("submitting", 0):
                self._house.kill(name)
                hang_up()
                return True
            time.sleep(LOOK_SECONDS)
        return False

    @contextmanager
    def _stopped(self, name: str) -> Iterator[psutil.Process]:
        """The process, standing still."""
        victim = self._house.process(name)
        victim.send_signal(signal.SIGSTOP)
        try:
            yield victim
        finally:
            with suppress(psutil.NoSuchProcess):
                victim.send_signal(signal.SIGCONT)

    def _set_pace(self, kill_seconds: float) -> None:
        """Make the rest of the work last for the rest of the kills; whoever is started from now on goes at this pace."""
        left_planned = planned()
        # Towards the end not ever faster: a fast sender has more under way when it is killed.
        left = max(self._kills / LEFT_SHARE_MIN, self._kills - self.played.kills.total())
        for channel in ("sms", "push"):
            rate = left_planned.get(channel, 0) * SPREAD / (left * kill_seconds)
            self._house.environment[f"TIDEOVER_{channel.upper()}_PER_SECOND"] = f"{min(max(rate, RATE_MIN), RATE_MAX):.2f}"

    def _somebody_writes(self, done: int) -> None:
        if self._house.outside or done % WRITE_EVERY or self.played.wrote > done // WRITE_EVERY:
            return
        number, words = self._plan.who_writes(self._numbers)
        self._house.sandbox("POST", "texts", {"from": number, "to": SENDER, "text": words})
        self.played.wrote += 1

    def _progress(self) -> None:
        standing = states()
        self._say(f"{self.played.kills.total():>4} kills   " + in_words(standing))
