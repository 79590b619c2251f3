"""config/core.yaml and config/authority.yaml: what is malformed is refused, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.core import AUTHORITY_FILE, CORE_FILE, authority_limits, core_terms
from config.load import ConfigError
from decisions.core_instructions import AUTOMATIC, KINDS


def test_the_shipped_files_say_something_of_every_kind() -> None:
    terms, authority = core_terms(), authority_limits()
    assert set(terms.accepted) == set(terms.applied) == set(KINDS)
    assert set().union(*(powers.alone for powers in authority.powers.values())) == set(KINDS)
    # A machine gives least, and is no second person.
    machine = authority.powers[AUTOMATIC]
    assert machine.with_another == {}
    assert all(
        minor <= authority.powers["supervisor"].alone[kind].get(currency, minor)
        for kind, limits in machine.alone.items()
        for currency, minor in limits.items()
    )


@pytest.mark.parametrize(
    ("file", "was", "becomes", "says"),
    [
        (CORE_FILE, "status:          {accepted: 24, applied: 72}", "", "says nothing of status"),
        (CORE_FILE, "{accepted: 4, applied: 24}", "{accepted: 4, applied: 3}", "before it is accepted"),
        (CORE_FILE, "retry_seconds: [5, ", "retry_seconds: [0, ", "greater than or equal to 1"),
        (AUTHORITY_FILE, 'USD: "25.00"', 'USD: "25.001"', "no amount"),
        (AUTHORITY_FILE, 'USD: "25.00"', 'XXU: "25.00"', "no currency"),
        (AUTHORITY_FILE, 'USD: "25.00"', 'USD: "-1"', "below nothing"),
        (AUTHORITY_FILE, "stop_debit: {}", 'stop_debit: {USD: "1.00"}', "gives nothing up"),
        (AUTHORITY_FILE, "  agent:", "  agent:\n    allone: {}", "allone"),
    ],
)
def test_a_malformed_file_is_refused(tmp_path: Path, file: Path, was: str, becomes: str, says: str) -> None:
    text = file.read_text()
    assert was in text
    broken = tmp_path / file.name
    broken.write_text(text.replace(was, becomes, 1))
    with pytest.raises(ConfigError, match=says):
        (core_terms if file is CORE_FILE else authority_limits)(broken)
