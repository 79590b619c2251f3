"""Planning and gate judge with the same function (docs/adr/0003)."""

from __future__ import annotations

import ast
from pathlib import Path

HOUSE = Path(__file__).parent.parent.parent


def taken_from_the_rules(room: str) -> dict[str, set[str]]:
    """File → what it imports from decisions.rules, whatever the way it is written."""
    found: dict[str, set[str]] = {}
    for path in (HOUSE / room).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("decisions.rules"):
                names = {alias.name for alias in node.names} if node.module == "decisions.rules" else {f"{node.module}:*"}
                found.setdefault(path.name, set()).update(names)
            if isinstance(node, ast.Import):
                found.setdefault(path.name, set()).update(alias.name for alias in node.names if alias.name.startswith("decisions.rules"))
    return {name: names for name, names in found.items() if names}


def test_planning_and_gate_call_the_same_judge() -> None:
    assert taken_from_the_rules("gate") == {"judgement.py": {"judge"}}
    assert "judge" in taken_from_the_rules("decisions")["choose.py"]
