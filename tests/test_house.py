"""The house keeps its own rules: rooms, names, doors. What is not checked here is not a rule."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
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
    "channels/gateway_check.py": "whether a gateway's clock is right",
    "local/demo.py": "how long a demo took",
    "local/law_commands.py": "today, for whoever reads a rule",
    "local/lint_commands.py": "today, whose law a text is held to",
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


# Who may name attributes that are held to measure fairness, and why: nobody who decides anything about anybody (docs/adr/0094).
SEES_GROUPS = {
    "config/retention.py": "how long they are kept",
    "decisions/portfolio.py": "what a file may say of them",
    "ledger/erasure_rows.py": "that they go when she is erased",
    "ledger/fairness_groups.py": "reads them",
    "ledger/imports.py": "brings them",
    "ledger/imports_targets.py": "brings them",
    "ledger/person_export.py": "tells her of them",
    "ledger/retention.py": "how long they are kept",
    "ledger/tables_fairness.py": "declares them",
    "ledger/withdrawals.py": "takes them back",
    "tasks/experiments.py": "whether an arm contacts some group more than another",
    "tasks/month_report.py": "how groups were treated",
    "tasks/learn.py": "for whom a model errs",
}


def test_attributes_held_for_fairness_are_seen_by_nobody_who_decides() -> None:
    naming = re.compile(r"fairness_(attribute|groups)\b|fairness_attributes")
    found = {str(path.relative_to(HOUSE)) for path in MODULES if naming.search(path.read_text())}
    assert found == set(SEES_GROUPS)


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


# Who may speak HTTP for itself, and to whom; nobody else has a way past channels/.
SPEAKS_HTTP = {
    "local/clock.py": "to the sandbox: what time it is",
    "local/demo.py": "to the sandbox and to Prefect",
    "local/deploy.py": "to Prefect's server, through its client: what it refuses",
    "local/services.py": "to programs of this machine: whether they are ready",
    "portal/oidc.py": "to the issuer of sign-ins: its keys, and who signed in",
    "tasks/audit.py": "to the sandbox: what phones received",
}
HTTP = (
    "twilio",
    "firebase_admin",
    "google",
    "aiohttp",
    "requests",
    "httpx",
    "urllib3",
    "http",
    "urllib.request",
    "socket",
    "smtplib",
    "authlib",
)
# Who else may name what opens it.
DOOR = {
    "Permit": ("gate/permit.py",),
    "write_permit": ("gate/permit.py", "gate/claim.py"),
    "mark_letter": ("gate/permit.py", "gate/marks.py"),
    "send": ("gate/sender.py",),
    "open_channel": (),
}
# Whatever sends, and the registry that opens it; the registry as a whole is named by nobody, so that this sees what is used of it.
_CLASSES = [
    (path.stem, node)
    for path in (HOUSE / "channels").glob("*.py")
    for node in ast.parse(path.read_text()).body
    if isinstance(node, ast.ClassDef)
]
_SENDS = {node.name for _, node in _CLASSES for part in node.body if isinstance(part, ast.AsyncFunctionDef) and part.name == "send"}
OPENS = {"channels.registry", "channels.registry.openers", "channels.registry.ready_openers"} | {
    f"channels.{stem}.{node.name}" for stem, node in _CLASSES if _SENDS & {node.name, *(ast.unparse(base) for base in node.bases)}
}
SDK_SENDS = {"create", "create_async", "send_each", "send_each_async", "send_each_for_multicast", "send_each_for_multicast_async"}


def ways_past_the_gate(path: str, source: str) -> list[str]:
    """Whatever in a file could reach a person without the gate's permit: line and what it is."""
    room = path.split("/", maxsplit=1)[0]
    nodes = [] if room == "sandbox" else list(ast.walk(ast.parse(source)))
    ways = _ways_in_channels if room == "channels" else _ways_elsewhere
    return [f"{path}:{getattr(node, 'lineno', 0)} {way}" for node in nodes for way in (*_hidden_ways(node), *ways(path, node))]


def _hidden_ways(node: ast.AST) -> Iterator[str]:
    called = _called(node)
    if called == "import_module" or (isinstance(node, ast.Name) and node.id in {"__import__", "eval", "exec"}):
        yield "loads what nobody sees"
    if called == "replace" and isinstance(node, ast.Call) and any("permit" in ast.unparse(part).lower() for part in node.args[:1]):
        yield "writes a permit anew"


def _ways_in_channels(_: str, node: ast.AST) -> Iterator[str]:
    """The channels have the SDKs: there, every function that makes one send demands a permit, and none makes one."""
    if _called(node) == "Permit":
        yield "makes a permit"
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not _demands_permit(node):
        yield from ("sends without a permit" for part in ast.walk(node) if _is_sdk_send(part))


def _ways_elsewhere(path: str, node: ast.AST) -> Iterator[str]:
    for name in _imported(node):
        if path not in SPEAKS_HTTP and any(name == way or name.startswith(f"{way}.") for way in HTTP):
            yield f"imports {name}"
        # The step that sends, and the portal, which answers at once: both hand it to the one lane.
        if path not in {"tasks/send.py", "portal/answering.py"} and name in OPENS and _is_the_thing(node, name):
            yield "opens a channel"
        # It writes to whom an operator names by hand, with texts that say that they are a test (docs/adr/0026).
        if path != "local/gateway_commands.py" and name == "channels.gateway_check":
            yield "writes without a permit"
        if not path.startswith("gate/") and name in {"channels.Permit", "channels.Message", "channels.*", "gate.permit.write_permit"}:
            yield f"takes {name}"
    named = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) and node.id != "send" else ""
    if path not in DOOR.get(named, (path,)):
        yield f"uses {named}"


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def _is_the_thing(node: ast.AST, name: str) -> bool:
    """Whether an import binds that very name; `from channels.registry import WAYS` names the module on its way."""
    return isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and node.module != name)


def _called(node: ast.AST) -> str | None:
    if not isinstance(node, ast.Call):
        return None
    function = node.func
    return function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else None


def _is_sdk_send(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and (_called(node) in SDK_SENDS or ast.unparse(node.func) == "messaging.send")


def _demands_permit(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(argument.annotation is not None and ast.unparse(argument.annotation) == "Permit" for argument in function.args.args)


def test_only_the_gate_makes_permits_and_calls_a_channel() -> None:
    """A permit is leave to contact a person: nobody else may write one, and there is no other way to a provider (docs/adr/0005)."""
    found = [
        way
        for path in [*MODULES, HOUSE / "tideover.py"]
        for way in ways_past_the_gate(path.relative_to(HOUSE).as_posix(), path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("portal/desk.py", "from channels import Permit"),
        ("portal/desk.py", "import channels\np = channels.Permit(attempt_id=1)"),
        ("tasks/send.py", "from gate.permit import write_permit"),
        ("tasks/send.py", "from gate import permit\npermit.write_permit(book, attempt_id=1)"),
        ("gate/lane.py", "from channels import Permit\np = Permit(attempt_id=1)"),
        ("gate/lane.py", "p = replace(letter.permit, attempt_id=2)"),
        ("gate/sender.py", "letter = mark_letter(letter, now)"),
        ("gate/lane.py", "await channel.send(message, permit)"),
        ("portal/desk.py", "later = channel.send"),
        ("portal/desk.py", "from channels.sms import Sms"),
        ("portal/desk.py", "from channels.whatsapp import WhatsApp"),
        ("portal/desk.py", "from channels.registry import openers"),
        ("portal/desk.py", "from channels import registry"),
        ("portal/desk.py", "from channels.registry import WAYS\nWAYS['sms'].open_channel(settings())"),
        ("portal/desk.py", "from channels.gateway_check import check_gateway"),
        ("portal/desk.py", "from channels.gateway import Gateway"),
        ("portal/desk.py", "from twilio.rest import Client"),
        ("tideover.py", "def command():\n    import firebase_admin"),
        ("local/demo2.py", "import requests"),
        ("ledger/inbox.py", "from urllib.request import urlopen"),
        ("tasks/record.py", "import importlib\nimportlib.import_module('twi' + 'lio')"),
        ("channels/sms.py", "async def hello(client):\n    await client.messages.create_async(to='x')"),
        ("channels/push.py", "def hello():\n    messaging.send(m)"),
        ("channels/push.py", "p = Permit(attempt_id=1)"),
    ],
)
def test_the_lint_of_the_gate_finds_each_way_past_it(path: str, source: str) -> None:
    assert ways_past_the_gate(path, source)


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


def test_no_two_decisions_have_one_number() -> None:
    assert len({path.stem[:4] for path in ADRS}) == len(ADRS)


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
