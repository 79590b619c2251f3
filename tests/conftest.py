"""What every test gets: fixtures from tests/plugins, and no socket beyond loopback (pyproject.toml, addopts)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

# What `make up` left in this checkout must not reach into tests.
_STATE = tempfile.TemporaryDirectory(prefix="tideover-test-state-")
os.environ["TIDEOVER_STATE_DIR"] = _STATE.name

pytest_plugins = [f"tests.plugins.{path.stem}" for path in sorted((Path(__file__).parent / "plugins").glob("*.py"))]


def pytest_unconfigure() -> None:
    """Leave nothing behind."""
    _STATE.cleanup()
