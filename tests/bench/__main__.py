"""`make bench`: how fast, as ratios to a floor that is measured in the same run.

In:   names of benchmarks (default: all), `--quick` for small sizes, `--full` for a million borrowers too, `--budget` in minutes.
Out:  one JSON line a result; build/bench.json, in which results of other benchmarks and sizes stay.
Pure: no. Each benchmark at each size is a process of its own, so that none inherits another's memory, and has a time limit; PostgreSQL
      is one server for all. Small sizes come first: a budget that ends loses the largest.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import IO, Any, Final

from config.settings import HOUSE
from tests.bench import book
from tests.bench.ground import SERVER_URL, database_bytes, drop_ledgers, ground, machine
from tests.bench.harness import Result

# In the order in which they are measured.
NAMES: Final = (
    "import",
    "ageing",
    "plan",
    "policy",
    "gate",
    "send",
    "webhooks",
    "prefect",
    "peers",
    "rules",
    "render",
    "pages",
    "answers",
    "payments",
    "reconcile",
    "lint",
)
MODULES: Final = {"import": "portfolio_import", "peers": "peers.measure"}
# Measured at sizes of a portfolio, in borrowers; what they do at each shows how it grows.
BY_BORROWERS: Final = ("import", "ageing", "plan", "policy", "gate", "send", "webhooks", "prefect")
QUICK_SIZES: Final = (2_000, 10_000)
SIZES: Final = (10_000, 100_000)
FULL_SIZES: Final = (*SIZES, 1_000_000)
QUICK: Final = 10
# Another program, with options of its own.
OTHERS: Final[dict[str, str]] = {
    "year": "365 days of runs, and what grows",
    "prefect_growth": "365 runs, and what they leave in Prefect's database",
}
LIMIT_SECONDS: Final = {2_000: 300, 10_000: 400, 100_000: 1_200, 1_000_000: 3_600}
LIMIT_SECONDS_OF_OTHERS: Final = 900
STOP_SECONDS_MAX: Final = 30
BEGIN_SECONDS_MIN: Final = 20


@dataclass(frozen=True, slots=True)
class Job:
    """One benchmark, at one size where it is measured at several."""

    name: str
    size: int | None = None
    quick: bool = False

    def __str__(self) -> str:
        return self.name if self.size is None else f"{self.name} at {self.size:,}"

    @property
    def seconds_max(self) -> int:
        """After so long it is ended, and the next one begins."""
        return LIMIT_SECONDS_OF_OTHERS if self.size is None else next(limit for size, limit in LIMIT_SECONDS.items() if size >= self.size)

    def words(self) -> list[str]:
        """As arguments of a process of its own."""
        return ["--alone", self.name, *([] if self.size is None else ["--size", str(self.size)]), *(["--quick"] if self.quick else [])]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    if (given_first := list(sys.argv[1:] if arguments is None else arguments)[:1]) and given_first[0] in OTHERS:
        module = importlib.import_module(f"tests.bench.{given_first[0]}")
        return int(module.main(list(sys.argv[2:] if arguments is None else arguments[1:])))
    given = _parser().parse_args(arguments)
    if given.alone:
        return _alone(Job(given.alone, given.size, given.quick))
    if unknown := set(given.names) - set(NAMES):
        raise SystemExit(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join([*NAMES, *OTHERS])}")
    sizes = [given.size] if given.size else QUICK_SIZES if given.quick else FULL_SIZES if given.full else SIZES
    about = machine()
    _say(", ".join(f"{what} {value}" for what, value in about.items()))
    book.read()
    run = _Run(about, ends_at=monotonic() + given.budget * 60 if given.budget else None)
    try:
        with ground() as environment:
            for job in jobs(given.names or NAMES, sizes, quick=given.quick):
                run.measure(job, environment)
    except KeyboardInterrupt:
        run.failed.append("the rest, stopped by hand")
    return run.close()


def jobs(names: Sequence[str], sizes: Sequence[int], *, quick: bool) -> list[Job]:
    """What is to be measured, in order: every benchmark at the smallest size, then at the next."""
    first, *larger = sizes
    return [
        *(Job(name, first if name in BY_BORROWERS else None, quick) for name in NAMES if name in names),
        *(Job(name, size, quick) for size in larger for name in BY_BORROWERS if name in names),
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__.splitlines()[0] if __doc__ else None,
        epilog="By themselves: " + "; ".join(f"`{name}`, {what}" for name, what in OTHERS.items()),
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; default: all")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", action="store_true", help=f"{' and '.join(f'{one:,}' for one in QUICK_SIZES)} borrowers; a few minutes")
    sizes.add_argument("--full", action="store_true", help="a million borrowers too")
    parser.add_argument("--size", type=int, metavar="BORROWERS", help="only this size")
    parser.add_argument("--budget", type=float, metavar="MINUTES", help="begin nothing after so long, and end what still runs")
    parser.add_argument("--alone", choices=NAMES, help=argparse.SUPPRESS)
    return parser


class _Run:
    """One run of several benchmarks."""

    def __init__(self, about: dict[str, str | int], *, ends_at: float | None) -> None:
        self.about = about
        self.ends_at = ends_at
        self.entries: list[dict[str, Any]] = []
        self.failed: list[str] = []

    def measure(self, job: Job, environment: dict[str, str]) -> None:
        """Run one benchmark in a process of its own; whatever it says is kept, however it ends."""
        left = float("inf") if self.ends_at is None else self.ends_at - monotonic()
        if left < BEGIN_SECONDS_MIN:
            self.failed.append(f"{job} (no time left)")
            return
        began = monotonic()
        fault = self._measure(job, environment, min(job.seconds_max, left))
        _say(f"{job}: {monotonic() - began:.0f} s{'' if fault is None else ', ' + fault}")
        if fault is not None:
            self.failed.append(f"{job} ({fault})")
        drop_ledgers(environment[SERVER_URL])

    def _measure(self, job: Job, environment: dict[str, str], seconds_max: float) -> str | None:
        """What went wrong, or None."""
        command = [sys.executable, "-m", "tests.bench", *job.words()]
        deadline = monotonic() + seconds_max
        with subprocess.Popen(command, cwd=HOUSE, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
            assert process.stdout is not None
            lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
            threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
            try:
                while (line := lines.get(timeout=max(0.0, deadline - monotonic()))) is not None:
                    if line.startswith("{"):
                        self._keep(json.loads(line))
                code = process.wait(max(0.0, deadline - monotonic()))
            except (queue.Empty, subprocess.TimeoutExpired):
                _end(process)
                return f"time limit of {seconds_max:.0f} s"
            except BaseException:
                _end(process)
                raise
            return None if code == 0 else f"exit code {code}"

    def _keep(self, entry: dict[str, Any]) -> None:
        entry = {
            **entry,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "load": round(os.getloadavg()[0], 1),
            "machine": self.about,
        }
        self.entries.append(entry)
        book.add([entry, *self._growth()])
        sys.stdout.write(json.dumps({name: value for name, value in entry.items() if name != "machine"}, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    def _growth(self) -> list[dict[str, Any]]:
        return book.growth(entry for entry in self.entries if entry["name"].split("-")[0] in BY_BORROWERS)

    def close(self) -> int:
        """Say how each grows and what is missing; returns the exit code."""
        for entry in self._growth():
            sys.stdout.write(json.dumps(entry) + "\n")
        if self.failed:
            _say(f"not measured: {'; '.join(self.failed)}")
        return 1 if self.failed else 0


def _read(stream: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _end(process: subprocess.Popen[str]) -> None:
    """Ask it to end, so that it ends its own programs; then end all of its session."""
    process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS_MAX)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _say(words: str) -> None:
    sys.stderr.write(words + "\n")
    sys.stderr.flush()


def _alone(job: Job) -> int:
    module = importlib.import_module(f"tests.bench.{MODULES.get(job.name, job.name)}")
    found: Iterator[Result | dict[str, Any]] = module.at(job.size) if job.size is not None else module.run(scale=QUICK if job.quick else 1)
    for one in found:
        if isinstance(one, Result):
            one.more |= database_bytes()
        sys.stdout.write((one.as_line() if isinstance(one, Result) else json.dumps(one)) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
