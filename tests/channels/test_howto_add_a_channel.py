"""channels/README.md is true: a checkout in which somebody has done what it says has one channel more, and the house holds."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
README = (HOUSE / "channels" / "README.md").read_text("utf-8")
BLOCKS = dict(re.findall(r"```python\n# (\S+\.py(?:, [^\n]+)?)\n(.*?)```", README, re.DOTALL))
# Where the page says that a block goes → the line of the file before which it stands.
BEFORE = {
    "config/settings.py, among the fields of Settings": "    call_seconds_max: float",
    "channels/registry.py, before WAYS": "WAYS: Final[",
    "channels/registry.py, the last of WAYS": "    )\n}\n",
}
NOT_COPIED = shutil.ignore_patterns(
    ".venv", ".git", "build", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".tideover", "node_modules"
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout, with the blocks of the page where it says."""
    folder = tmp_path_factory.mktemp("howto") / "house"
    shutil.copytree(HOUSE, folder, ignore=NOT_COPIED)
    assert len(BLOCKS) == 5
    for where, block in BLOCKS.items():
        name, _, place = where.partition(", ")
        file = folder / name
        if not place:
            file.write_text(block, "utf-8")
            continue
        text, line = file.read_text("utf-8"), BEFORE[where]
        assert text.count(line) == 1, f"{name} has no one place before {line!r}"
        file.write_text(text.replace(line, block + line), "utf-8")
    return folder


def run(folder: Path, *command: str) -> str:
    """Run a tool in the copy; its own files come first, whatever is installed."""
    done = subprocess.run([sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_the_pages_own_test_passes_in_a_checkout_that_has_its_blocks(checkout: Path) -> None:
    assert re.search(r"\b14 passed", run(checkout, "pytest", "-q", "-p", "no:cacheprovider", "tests/channels/test_beacon.py"))


def test_the_house_still_holds_there(checkout: Path) -> None:
    """No way past the gate, a row for each file that sends, fields that are settings, style."""
    gate = "test_only_the_gate_makes_permits_and_calls_a_channel"
    run(checkout, "pytest", "-q", "-p", "no:cacheprovider", "tests/channels/test_registry.py", f"tests/test_house.py::{gate}")
    run(checkout, "ruff", "check", "--no-cache", "--ignore", "E501,I001,PLC0415", "channels/beacon.py", "tests/channels/test_beacon.py")


def test_it_is_really_the_copy_that_is_tried(checkout: Path) -> None:
    """A row that is left out is noticed there."""
    registry = checkout / "channels" / "registry.py"
    whole = registry.read_text("utf-8")
    registry.write_text(whole.replace(BLOCKS["channels/registry.py, the last of WAYS"], ""), "utf-8")
    try:
        with pytest.raises(AssertionError, match="test_the_house_knows_it"):
            run(checkout, "pytest", "-q", "-p", "no:cacheprovider", "tests/channels/test_beacon.py")
    finally:
        registry.write_text(whole, "utf-8")
