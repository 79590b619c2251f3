"""`make bench`: how fast, as ratios to a floor that is measured in the same run.

In:   names of benchmarks (default: all), `--quick` for a tenth of the size.
Out:  one JSON line a result; all of them as a list in build/bench.json.
Pure: no. Each benchmark is a process of its own, so that none inherits another's memory; PostgreSQL is one server for all.
"""

from __future__ import annotations

import argparse
import importlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

from config.settings import HOUSE
from tests.bench.ground import ground, machine
from tests.bench.harness import Result

NAMES: Final = (
    "import",
    "rules",
    "render",
    "ageing",
    "plan",
    "send",
    "webhooks",
    "pages",
    "answers",
    "payments",
    "reconcile",
    "lint",
    "prefect",
)
MODULES: Final = {"import": "portfolio_import"}
QUICK: Final = 10
STOP_SECONDS_MAX: Final = 30


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; default: all")
    parser.add_argument("--quick", action="store_true", help="a tenth of the size")
    parser.add_argument("--alone", choices=NAMES, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.alone:
        return _alone(given.alone, quick=given.quick)
    if unknown := set(given.names) - set(NAMES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    about = machine()
    sys.stderr.write(", ".join(f"{what} {value}" for what, value in about.items()) + "\n")
    entries: list[dict[str, Any]] = []
    failed: list[str] = []
    try:
        with ground() as environment:
            failed.extend(name for name in given.names or NAMES if not _measure(name, environment, entries, quick=given.quick))
    except KeyboardInterrupt:
        sys.stderr.write("stopped; what was measured is kept\n")
        failed.append("stopped")
    finally:
        if entries:
            file = HOUSE / "build" / "bench.json"
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps([{**entry, "machine": about} for entry in entries], ensure_ascii=False, indent=1) + "\n")
    if failed:
        sys.stderr.write(f"not measured: {', '.join(failed)}\n")
    return 1 if failed else 0


def _measure(name: str, environment: dict[str, str], entries: list[dict[str, Any]], *, quick: bool) -> bool:
    """Run one benchmark in a process of its own; say whether it came to its end."""
    command = [sys.executable, "-m", "tests.bench", "--alone", name, *(["--quick"] if quick else [])]
    with subprocess.Popen(command, cwd=HOUSE, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("{"):
                    entries.append(json.loads(line))
                    sys.stdout.write(line)
                    sys.stdout.flush()
            return process.wait() == 0
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.wait(STOP_SECONDS_MAX)
            raise


def _alone(name: str, *, quick: bool) -> int:
    module = importlib.import_module(f"tests.bench.{MODULES.get(name, name)}")
    found: Iterator[Result | dict[str, Any]] = module.run(scale=QUICK if quick else 1)
    for one in found:
        sys.stdout.write((one.as_line() if isinstance(one, Result) else json.dumps(one)) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
