"""The image and what is composed of it. Docker itself does not run where these tests do: files are read, and what they name must exist."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.secret_blocks import secret_names
from config.settings import Settings

HOUSE = Path(__file__).resolve().parents[2]
FOLDER = HOUSE / "deploy" / "docker"
# Lines that end in a backslash belong together.
LINES = [line for line in re.sub(r"\\\n\s*", "", (FOLDER / "Dockerfile").read_text()).splitlines() if line and not line.startswith("#")]
COMPOSED: dict[str, dict[str, Any]] = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
USER = "10001:10001"


def said(instruction: str) -> list[str]:
    """What follows an instruction, each time it is given."""
    return [line.split(maxsplit=1)[1] for line in LINES if line.startswith(f"{instruction} ")]


def test_the_image_is_made_in_two_stages_and_runs_as_nobody_in_particular() -> None:
    assert len(said("FROM")) == 2
    assert LINES.index(f"USER {USER}") > LINES.index("FROM ${PYTHON_IMAGE}")
    assert said("USER") == [USER]
    assert not any("latest" in base for base in said("ARG"))


def test_what_is_installed_has_a_hash_and_only_the_build_fetches_anything() -> None:
    installs = [line for line in LINES if "pip install" in line]
    assert all("--require-hashes --only-binary :all:" in line or "--no-deps --no-build-isolation --no-index" in line for line in installs)
    assert len(installs) == 2
    started = [*said("CMD"), *said("ENTRYPOINT"), *(" ".join(service["command"]) for service in COMPOSED.values())]
    assert [line for line in started if re.search(r"pip|curl|wget|apt|git ", line)] == []


def test_the_pools_requirements_hold_those_of_every_program() -> None:
    pinned = {
        name: set(re.findall(r"^([a-z0-9-]+)==(\S+)", (HOUSE / "requirements" / f"{name}.txt").read_text(), re.MULTILINE))
        for name in ("run", "pools")
    }
    assert pinned["run"] < pinned["pools"]
    assert {"prefect-docker", "prefect-kubernetes"} <= {name for name, _ in pinned["pools"]}


def test_only_named_things_go_into_the_image_and_every_room_but_the_sandbox_does() -> None:
    lines = [line for line in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    let_in = {line[1:] for line in lines if line.startswith("!")}
    shipped = set(tomllib.loads((HOUSE / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"])
    assert let_in - shipped == {"prefect.yaml", "pyproject.toml", "requirements", "README.md", "LICENSE"}
    assert shipped - let_in == {"sandbox"}
    assert [name for name in let_in if not (HOUSE / name).exists()] == []


@pytest.mark.parametrize("name", COMPOSED)
def test_every_service_is_shut_away_and_limited(name: str) -> None:
    service = COMPOSED[name]
    assert (service["user"], service["read_only"], service["cap_drop"]) == (USER, True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert not any("docker.sock" in volume for volume in service.get("volumes", []))
    if service["restart"] != "no":
        assert "healthcheck" in service
        assert {"mem_limit", "cpus"} <= set(service)


def test_every_service_reads_files_that_there_are_and_no_key_where_none_is_needed() -> None:
    for name, service in COMPOSED.items():
        files = {Path(file).name for file in service["env_file"]}
        assert files <= {path.name for path in (HOUSE / "deploy" / "etc").glob("*.env")}
        assert ("tideover.env" in files) == (name in {"worker", "portal"}), name
        assert not {f"TIDEOVER_{secret.upper()}" for secret in secret_names(Settings)} & set(service.get("environment", {}))


def test_every_program_that_is_started_understands_what_it_is_told() -> None:
    folder = Path(sys.executable).parent
    asked = {}
    for service in COMPOSED.values():
        program, *words = service["command"]
        flags = {word for word in words if word.startswith("--")}
        asked[program, *(word for word in words[: 2 if program == "prefect" else 1 if program == "tideover" else 0])] = flags
    for command, flags in asked.items():
        shown = subprocess.run([folder / command[0], *command[1:], "--help"], check=True, capture_output=True, text=True).stdout
        assert [flag for flag in flags if flag not in shown] == [], shlex.join(command)


def test_a_container_of_the_docker_pool_is_shut_away_and_gets_no_secret_from_prefect() -> None:
    template = json.loads((FOLDER / "base-job-template.json").read_text())
    defaults = {name: field.get("default") for name, field in template["variables"]["properties"].items()}
    assert set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(template["job_configuration"]))) <= set(defaults)
    assert defaults["privileged"] is False
    assert {**defaults["container_create_kwargs"], "tmpfs": None} == {
        "user": USER,
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "tmpfs": None,
    }
    # The file `env` of the state folder is where config/settings.py looks.
    assert defaults["env"]["TIDEOVER_STATE_DIR"] == "/run/tideover"
    assert "/etc/tideover/run:/run/tideover:ro" in defaults["volumes"]
    assert not {f"TIDEOVER_{secret.upper()}" for secret in secret_names(Settings)} & set(defaults["env"])
