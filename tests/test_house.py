"""The house keeps its own rules: rooms, names, doors. What is not checked here is not a rule."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from typer.models import CommandInfo

HOUSE = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((HOUSE / "pyproject.toml").read_text())
ROOMS = sorted(path.parent.name for path in HOUSE.glob("*/__init__.py"))
MODULES = sorted(path for room in ROOMS for path in (HOUSE / room).rglob("*.py") if "versions" not in path.parts)
ADRS = sorted((HOUSE / "docs" / "adr").glob("*.md"))

# Who may read wall time or draw at random, and why.
WALL_TIME = {
    "channels/__init__.py": "a permit's age is wall time",
    "ledger/clock.py": "the one clock",
    "local/demo.py": "how long a demo took",
    "local/services.py": "waiting for programs",
    "ledger/embedded.py": "waiting for the server",
}


def test_wheel_contracts_types_and_folders_name_the_same_rooms() -> None:
    shipped = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    assert sorted(set(shipped) - {"tideover.py"}) == ROOMS
    assert sorted(PYPROJECT["tool"]["importlinter"]["root_packages"]) == ROOMS
    assert sorted(set(PYPROJECT["tool"]["mypy"]["files"]) - {"tideover.py", "tests"}) == ROOMS


def test_the_readme_names_every_room() -> None:
    readme = (HOUSE / "README.md").read_text()
    assert [room for room in ROOMS if f"{room}/" not in readme] == []


def test_no_installed_distribution_owns_a_room_name() -> None:
    owners = importlib.metadata.packages_distributions()
    assert {room: owners[room] for room in ROOMS if set(owners.get(room, [])) - {"tideover"}} == {}


def test_no_flow_file_shadows_a_room_or_the_standard_library() -> None:
    """Prefect puts flows/ first on sys.path when a flow is loaded by file (docs/adr/0002)."""
    stems = {path.stem for path in (HOUSE / "flows").glob("*.py")} - {"__init__"}
    assert stems & (set(ROOMS) | set(sys.stdlib_module_names)) == set()


def test_deployments_name_modules_not_files() -> None:
    deployments = yaml.safe_load((HOUSE / "prefect.yaml").read_text())["deployments"]
    assert [d["entrypoint"] for d in deployments if ".py" in d["entrypoint"]] == []


def test_every_schedule_names_its_zone_and_its_slug() -> None:
    deployments = yaml.safe_load((HOUSE / "prefect.yaml").read_text())["deployments"]
    schedules = [s for d in deployments for s in d.get("schedules", [])]
    assert schedules
    assert [s for s in schedules if not {"timezone", "slug"} <= set(s)] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), "no module docstring"


def test_nobody_reads_the_wall_clock_or_draws_at_random_in_decisions() -> None:
    forbidden = re.compile(r"datetime\.now|time\.time\(|date\.today|utcnow|uuid4|\brandom\.|os\.urandom|default_rng\(\)")
    found = [
        f"{path.relative_to(HOUSE)}:{number}"
        for path in MODULES
        if path.relative_to(HOUSE).parts[0] in {"decisions", "config"}
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if forbidden.search(line)
    ]
    assert found == []


def test_business_instants_come_from_the_one_clock() -> None:
    reading = re.compile(r"datetime\.now\(|date\.today\(|utcnow\(")
    found = {
        str(path.relative_to(HOUSE))
        for path in MODULES
        if path.relative_to(HOUSE).parts[0] != "sandbox" and any(reading.search(line) for line in path.read_text().splitlines())
    }
    assert found - set(WALL_TIME) == set()


def test_only_the_engine_commits() -> None:
    found = [
        f"{path.relative_to(HOUSE)}:{number}"
        for path in MODULES
        if path.name != "engine.py"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"\.commit\(\)", line)
    ]
    assert found == []


def test_sql_stands_in_the_ledger_only() -> None:
    statement = re.compile(r"\b(SELECT\s.+\sFROM|INSERT INTO|UPDATE\s+\w+\s+SET|DELETE FROM)\b")
    found = [
        f"{path.relative_to(HOUSE)}:{number}"
        for path in MODULES
        if path.relative_to(HOUSE).parts[0] not in {"ledger", "sandbox"}
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if statement.search(line)
    ]
    assert found == []


def test_only_the_gate_makes_permits_and_calls_a_channel() -> None:
    """A permit is leave to contact a person: nobody else may write one (docs/adr/0005)."""
    found = []
    for path in [*MODULES, HOUSE / "tideover.py"]:
        room = path.relative_to(HOUSE).parts[0]
        if room in {"gate", "channels", "sandbox"}:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            named = isinstance(node, ast.Name) and node.id == "Permit"
            imported = (
                isinstance(node, ast.ImportFrom)
                and (node.module or "").startswith("channels")
                and any(alias.name in {"Permit", "Message"} for alias in node.names)
            )
            if named or imported:
                found.append(f"{path.relative_to(HOUSE)}:{getattr(node, 'lineno', 0)}")
    assert found == []


def test_every_command_is_explained_and_documented() -> None:
    import tideover  # noqa: PLC0415  # the command is loaded only where it is examined

    docs = "\n".join(path.read_text() for path in [HOUSE / "README.md", *(HOUSE / "docs").rglob("*.md")])
    listed: dict[str, list[CommandInfo]] = {"": tideover.app.registered_commands} | {
        f"{group.name} ": group.typer_instance.registered_commands for group in tideover.app.registered_groups if group.typer_instance
    }
    commands = {
        prefix + str(command.name or getattr(command.callback, "__name__", "")): command
        for prefix, found in listed.items()
        for command in found
    }
    assert len(listed) > 1
    assert [name for name in commands if f"tideover {name}" not in docs] == []
    assert [name for name, command in commands.items() if not (command.help or (command.callback and command.callback.__doc__))] == []


@pytest.mark.parametrize("path", ADRS, ids=lambda path: path.stem)
def test_a_decision_names_what_enforces_it(path: Path) -> None:
    text = path.read_text()
    enforced = re.search(r"\*\*Enforced by:\*\*(.+)", text, re.DOTALL)
    assert enforced, "no 'Enforced by:'"
    named = re.findall(r"`([\w./-]+\.(?:py|toml|yaml|txt)|Makefile)(?:::(\w+))?`", enforced.group(1))
    assert named, "names no file"
    for file, test in named:
        source = (HOUSE / file).read_text()
        assert not test or f"def {test}(" in source, f"{file} has no {test}"


def test_requirements_carry_hashes_and_no_address() -> None:
    for file in (HOUSE / "requirements").glob("*.txt"):
        text = file.read_text()
        pins = re.findall(r"^[A-Za-z0-9_.-]+==", text, re.MULTILINE)
        assert len(pins) > 50
        assert len(re.findall(r"^[A-Za-z0-9_.-]+(?:\[[\w,]+\])?==[^\n]*\\\n\s+--hash=sha256:", text, re.MULTILINE)) == len(pins)
        assert "://" not in text


def test_no_tracked_file_names_a_path_of_this_machine() -> None:
    files = subprocess.run(["git", "ls-files", "-z"], cwd=HOUSE, capture_output=True, check=False).stdout.decode().split("\0")
    homes = [f"{HOUSE}/", f"{Path.home()}/"]
    found = []
    for name in filter(None, files):
        path = HOUSE / name
        if path.is_file() and path.suffix in {".py", ".md", ".toml", ".yaml", ".txt", ".html", ".css", ""}:
            text = path.read_text(errors="replace")
            found += [name for home in homes if len(home) > len("/x/") and home in text]
    assert found == []
