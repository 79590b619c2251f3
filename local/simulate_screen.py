"""`tideover simulate`: reads the worlds, has them played with progress, writes what came of it.

In:   a world file, strategies, how worlds are opened and checked (the sandbox's, handed in by tideover.py).
Out:  the report as a value; in a folder, if asked for: report.json, frontier.png.
Pure: no. Rooms that only some of it needs are imported inside: learning and pictures take a second each to load.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from config.strategy_files import strategy_names
from config.world_files import WorldSpec, read_worlds
from tasks.simulate import SHUFFLED
from tasks.simulated_world import Opens
from tasks.simulation_report import report
from tasks.simulations import logs, run

# What the strategy `learned` asks (config/strategies/learned).
KIND: Final = "paid_7d"
SEED: Final = 2026
PLANS: Final[Mapping[str, tuple[bool, ...]]] = {"on": (True,), "off": (False,), "both": (False, True)}


class SimulationRefused(ValueError):
    """What was asked for cannot be simulated; the message says what to do."""


def simulate(
    worlds: Path,
    strategies: Sequence[str],
    *,
    opens: Opens,
    check: Callable[[Mapping[str, float]], object],
    days: int,
    borrowers: int,
    seeds: int,
    plans: str,
    processes: int | None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Play and report.

    Args:
        worlds: World file.
        strategies: Folders of config/strategies.
        opens: How a world begins.
        check: Raises ValueError where a world cannot be set so.
        days: How many.
        borrowers: In each world.
        seeds: Each world is played so many times, each time with people and luck of its own.
        plans: on, off or both.
        processes: At most; None = one a core.
        say: Is told how far it is.

    Raises:
        SimulationRefused: No such strategy, or plans is none of the three.
        ConfigError: The world file, a strategy, a text or a pack cannot be used.
    """
    if unknown := [name for name in strategies if name.removesuffix(f":{SHUFFLED}") not in strategy_names()]:
        raise SimulationRefused(f"no strategy {unknown[0]!r}: config/strategies has {', '.join(strategy_names())}")
    if plans not in PLANS:
        raise SimulationRefused("--plans is on, off or both")
    found = run(
        _often(read_worlds(worlds, check), seeds),
        list(dict.fromkeys(strategies)),
        opens,
        days=days,
        borrowers=borrowers,
        plans=PLANS[plans],
        processes=processes,
        progress=lambda done, total: say(f"{done} of {total} worlds x strategies played"),
    )
    return report(found, days=days)


def train_shipped(
    worlds: Path,
    *,
    opens: Opens,
    check: Callable[[Mapping[str, float]], object],
    parameters: str,
    days: int,
    borrowers: int,
    processes: int | None,
    folder: Path,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Try in every world what rules and ladder leave open, learn from the log, and write the model with a note of what it was made of.

    Args:
        worlds: World file.
        opens: How a world begins.
        check: Raises ValueError where a world cannot be set so.
        parameters: SHA-256 of the worlds' parameters and ranges.
        days: How many.
        borrowers: In each world.
        processes: At most; None = one a core.
        folder: Where models stand.
        say: Is told how far it is.

    Raises:
        ConfigError: The world file, the strategy, a text or a pack cannot be used.
        SimulationRefused: The worlds are too few, or too small.
    """
    from config.learning import learning_terms
    from decisions.learning import TooThinError, train
    from tasks.simulated_learning import note_of

    specs = read_worlds(worlds, check)
    say(f"trying in {len(specs)} worlds")
    rows = logs(specs, opens, days=days, borrowers=borrowers, processes=processes)
    say(f"learning from {rows.height} choices")
    # A line told better whom a contact helps than trees did (docs/adr/0092), and is a tenth of the size.
    try:
        trained = train(rows, kind=KIND, seed=SEED, terms=learning_terms(), method="logistic")
    except TooThinError as error:
        raise SimulationRefused(str(error)) from None
    made_of = {"worlds": sha256(worlds.read_bytes()).hexdigest(), "parameters": parameters}
    note = note_of(trained, made_of=made_of, days=days, borrowers=borrowers)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{KIND}.json").write_text(trained.model.as_json(), "utf-8")
    (folder / f"{KIND}.note.json").write_text(json.dumps(note, indent=1) + "\n", "utf-8")
    return note


def _often(specs: Sequence[WorldSpec], seeds: int) -> list[WorldSpec]:
    """Each world as often as asked; the first time is the file's own."""
    return [
        one if number == 0 else replace(one, id=f"{one.id}#{number + 1}", seed=f"{one.seed}#{number + 1}")
        for one in specs
        for number in range(seeds)
    ]


def write(told: dict[str, Any], folder: Path) -> list[Path]:
    """The report and the picture, in a folder that is made."""
    from tasks.simulation_picture import frontier

    folder.mkdir(parents=True, exist_ok=True)
    report_file, picture = folder / "report.json", folder / "frontier.png"
    report_file.write_text(json.dumps(told, indent=1) + "\n")
    picture.write_bytes(frontier(told))
    return [report_file, picture]
