"""`make chaos KILLS=200 MESSAGES=5000`: kill everything, again and again, and count who was contacted twice, lost, or against a rule.

In:   options; `TIDEOVER_TWILIO_BASE_URL` and its like for another server of the same protocols.
Out:  progress on standard error; on standard output one JSON object: kills, messages, twice, lost, against_rule, unknown, parked.
      Exit code 0 where twice, lost, against_rule and unknown are 0, the audit found nothing and every kill was made, else 1.
Pure: no.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.house import ChaosError, House
from tests.chaos.outages import Journey, JourneyError, every_journey
from tests.chaos.plan import NOON
from tests.chaos.play import play

OUTAGE_MESSAGES = 300
DATABASE_AWAY_SECONDS = 30.0
_BEGAN = time.monotonic()


def main(arguments: Sequence[str] | None = None) -> int:
    """Play, say, count."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=_positive, default=200)
    parser.add_argument("--messages", type=_positive, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--logs", type=Path, help="where to keep the programs' logs")
    parser.add_argument(
        "--outages", action="store_true", help="then play the outages too: database, provider, disk, clocks (our sandbox only)"
    )
    parser.add_argument(
        "--provider-seconds", type=float, default=60, help="how long the provider is away on the wall; ten minutes by the clock"
    )
    given = parser.parse_args(arguments)

    def keep_logs(house: House) -> None:
        if given.logs is not None:
            given.logs.mkdir(parents=True, exist_ok=True)
            for file in house.folder.glob("*.log"):
                shutil.copy(file, given.logs)

    # However it ends, what it started is cleared away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    journeys: list[Journey] = []
    try:
        played = play(kills=given.kills, messages=given.messages, seed=given.seed, say=_say, keep_logs=keep_logs)
        if given.outages:
            journeys = _outages(given.seed, given.provider_seconds)
    except (ChaosError, JourneyError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("stopped; everything is cleared away\n")
        return 1
    if played.line["kills"] < given.kills:
        _say(f"only {played.line['kills']} of {given.kills} kills found unfinished work; give it more messages")
    line = played.line
    for journey in journeys:
        line["messages"] += journey.messages
        for name in ("twice", "lost", "against_rule", "unknown", "parked"):
            line[name] += getattr(journey.verdict, name)
    sys.stdout.write(json.dumps(line) + "\n")
    return 0 if played.held and line["kills"] >= given.kills and all(journey.held for journey in journeys) else 1


def _outages(seed: int, provider_seconds: float) -> list[Journey]:
    """Play every outage in an installation of its own."""
    played = []
    house = House(seed=seed, at=NOON.isoformat(), with_relay=True)
    try:
        house.start()
        house.wait()
        with tempfile.TemporaryDirectory() as folder:
            every = every_journey(
                house,
                messages=OUTAGE_MESSAGES,
                folder=Path(folder),
                database_seconds=DATABASE_AWAY_SECONDS,
                provider_seconds=provider_seconds,
            )
            for journey in every:
                played.append(journey)
                found = ", ".join(journey.violations) or "every invariant held"
                counts = {name: getattr(journey.verdict, name) for name in ("twice", "lost", "against_rule", "unknown", "parked")}
                _say(f"{journey.name}: {journey.messages} messages, met {journey.hits} times; {counts}; audit: {found}")
    finally:
        house.stop()
    return played


def _say(line: str) -> None:
    sys.stderr.write(f"{time.monotonic() - _BEGAN:6.1f} s  {line}\n")
    sys.stderr.flush()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
