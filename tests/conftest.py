"""What every test gets: fixtures from tests/plugins, and no socket beyond loopback (pyproject.toml, addopts)."""

from __future__ import annotations

from pathlib import Path

pytest_plugins = [f"tests.plugins.{path.stem}" for path in sorted((Path(__file__).parent / "plugins").glob("*.py"))]
