"""The units: systemd takes them, they hold nothing that is secret, and give their programs nothing that these do not need."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from config.secret_blocks import secret_names
from config.settings import Settings

HOUSE = Path(__file__).resolve().parents[2]
UNITS = HOUSE / "deploy" / "systemd"
ENVIRONMENTS = sorted((HOUSE / "deploy" / "etc").glob("*.env"))
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
# 0 = shut away, 10 = as any program; systemd calls less than 2 "OK".
EXPOSURE_MAX = 2.0
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(
    ANALYZE is None, reason="systemd-analyze is not on this machine (Debian: apt-get install systemd; .ci/run does)"
)
# Read before there are settings (config/settings.py), or by the switch of config/secret_blocks.py.
BESIDE_SETTINGS = {"TIDEOVER_STATE_DIR", "TIDEOVER_SECRETS", "TIDEOVER_HOME"}


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units as they would lie on a machine whose checkout is elsewhere; the folder that systemd reads."""
    folder = tmp_path / "units"
    shutil.copytree(UNITS, folder)
    for path in folder.rglob("*.service"):
        programs = path.read_text().replace("/opt/tideover/.venv/bin", str(Path(sys.executable).parent))
        path.write_text(programs)
        if "@" in path.name:
            path.with_name(path.name.replace("@", "@1")).write_text(programs)
    return folder


def analyze(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"SYSTEMD_UNIT_PATH": f"{folder}:", "PATH": "/usr/bin:/bin", "SYSTEMD_COLORS": "0"}
    return subprocess.run([str(ANALYZE), *words], check=False, capture_output=True, text=True, env=environment)


@needs_systemd
def test_systemd_takes_every_unit_without_a_word(installed: Path) -> None:
    units = [
        str(path) for path in sorted(installed.iterdir()) if path.suffix in {".service", ".timer", ".target"} and "@." not in path.name
    ]
    assert len(units) == len(SERVICES) + 2
    done = analyze(installed, "verify", "--man=no", *units)
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_systemd_would_notice_a_mistake(installed: Path) -> None:
    unit = installed / "tideover-portal.service"
    unit.write_text(unit.read_text().replace("Restart=always", "Restart=perhaps"))
    assert "perhaps" in analyze(installed, "verify", "--man=no", str(unit)).stderr


@needs_systemd
@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_shut_away(installed: Path, service: str) -> None:
    done = analyze(installed, "security", "--offline=yes", "--no-pager", str(installed / service.replace("@", "@1")))
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert level, done.stderr
    assert float(level[1]) < EXPOSURE_MAX


def test_what_the_services_run_is_there() -> None:
    programs = {
        line.split("=", 1)[1].split()[0] for name in SERVICES for line in (UNITS / name).read_text().splitlines() if "ExecStart=" in line
    }
    assert {Path(program).parent for program in programs} == {Path("/opt/tideover/.venv/bin")}
    folder = Path(sys.executable).parent
    assert [program for program in programs if not (folder / Path(program).name).exists()] == []


def test_no_unit_holds_a_secret_and_only_root_files_are_read() -> None:
    secret = re.compile("|".join(name.upper() for name in secret_names(Settings)) + "|AUTH_STRING=|ENCRYPTION_KEY=|PASSWORD")
    for path in UNITS.rglob("*"):
        if path.is_file():
            assert not secret.search(path.read_text()), path.name
    read = {line.split("=", 1)[1] for name in SERVICES for line in (UNITS / name).read_text().splitlines() if "EnvironmentFile=" in line}
    assert read == {f"/etc/tideover/{path.name}" for path in ENVIRONMENTS}


def test_a_backup_and_the_prefect_server_get_no_key_of_ours() -> None:
    for name in ("tideover-backup.service", "tideover-prefect.service"):
        assert "tideover.env" not in (UNITS / name).read_text()


def names(path: Path) -> set[str]:
    return {line.split("=")[0] for line in path.read_text().splitlines() if line and not line.startswith("#")}


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.name)
def test_every_name_in_an_environment_is_one_that_is_read(path: Path) -> None:
    ours = {f"TIDEOVER_{name.upper()}" for name in Settings.model_fields} | BESIDE_SETTINGS
    assert {name for name in names(path) if name.startswith("TIDEOVER_")} - ours == set()
    for line in (line for line in path.read_text().splitlines() if not line.startswith("#")):
        assert "BASE64" in line or "PASSWORD" in line or not re.search(r"(KEY|TOKEN|SECRET|SEED|AUTH_STRING)S?=.", line), line


def test_the_environment_has_what_live_mode_asks_for() -> None:
    assert {"TIDEOVER_ENCRYPTION_KEYS", "TIDEOVER_INDEX_KEY", "TIDEOVER_SEED", "TIDEOVER_PUBLIC_URL"} <= names(
        HOUSE / "deploy/etc/tideover.env"
    )
