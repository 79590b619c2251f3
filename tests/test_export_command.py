"""An outsider counts for himself: every attempt is written out with its number, as the ledger has it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from channels import FateUnknown
from gate.lane import run_lane
from ledger import vault
from ledger.engine import connection
from local import export_commands
from tests.plugins.portfolio import Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel, taken
from tideover import app

NUMBERS = ("+12125550101", "+12125550102", "+12125550103")
LATER_NUMBER = "+12125550109"


@pytest.fixture
def attempts(portfolio: Portfolio, outbox: Outbox) -> list[int]:
    """One that was taken, one of unknown fate, one that is still planned."""
    portfolio.clock(noon("US"))
    run = outbox.run()
    planned = [outbox.plan(run, portfolio.borrower(number=number)) for number in NUMBERS[:2]]
    run_lane(
        run,
        shard=None,
        channels={"sms": lambda: RecordingChannel(answer=lambda m, _: taken(m) if m.to == NUMBERS[0] else FateUnknown(code="20500"))},
    )
    return [*planned, outbox.plan(run, portfolio.borrower(number=NUMBERS[2]))]


def exported() -> list[dict[str, Any]]:
    done = CliRunner().invoke(app, ["export", "attempts", "--json"])
    assert done.exit_code == 0
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_attempt_is_one_line_with_exactly_the_fields_that_were_promised(
    attempts: list[int], outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_commands, "PAGE", 2)
    rows = exported()
    assert [list(row) for row in rows] == [["attempt_id", "channel", "to", "state", "provider_id", "submitted_at"]] * 3
    assert [row["attempt_id"] for row in rows] == attempts
    assert [(row["channel"], row["to"], row["state"]) for row in rows] == [
        ("sms", NUMBERS[0], "accepted"),
        ("sms", NUMBERS[1], "unknown"),
        ("sms", NUMBERS[2], "planned"),
    ]
    assert [row["provider_id"] for row in rows] == [f"R{outbox.token(attempts[0])}", None, None]
    assert [row["submitted_at"] for row in rows] == [noon("US").isoformat(), noon("US").isoformat(), None]


def test_a_number_that_changed_later_is_shown_as_it_was_when_the_message_went_out(attempts: list[int]) -> None:
    sealed, key_id = vault.encrypt(LATER_NUMBER)
    with connection() as tx:
        tx.execute(text(_CHANGED), {"value": sealed, "key": key_id, "blind": vault.blind_index(LATER_NUMBER), "attempts": attempts})
    assert [row["to"] for row in exported()] == [NUMBERS[0], NUMBERS[1], LATER_NUMBER]


def test_an_empty_ledger_has_no_lines(ledger_url: str) -> None:
    del ledger_url
    assert exported() == []


def test_nothing_personal_is_written_unless_it_is_asked_for_by_name(attempts: list[int]) -> None:
    del attempts
    done = CliRunner().invoke(app, ["export", "attempts"])
    assert done.exit_code == 2
    assert "--json" in done.output
    assert "555" not in done.output


def test_the_help_says_that_it_decrypts() -> None:
    told = CliRunner().invoke(app, ["export", "attempts", "--help"]).output
    assert "decrypts" in told
    assert "IN THE CLEAR" in told


def test_a_key_that_is_missing_is_named_and_nothing_else(attempts: list[int]) -> None:
    del attempts
    with connection() as tx:
        tx.execute(text("UPDATE contact_point_version SET key_id = 'lost'"))
    done = CliRunner().invoke(app, ["export", "attempts", "--json"])
    assert done.exit_code == 2
    assert "no encryption key with the id lost" in done.output


_CHANGED = """
    WITH old AS (
        UPDATE contact_point_version v SET superseded_at = clock_timestamp()
        FROM attempt a WHERE a.contact_point_id = v.contact_point_id AND v.superseded_at IS NULL AND a.id = ANY(:attempts)
        RETURNING v.*
    )
    INSERT INTO contact_point_version (effective_at, source, contact_point_id, value_encrypted, blind_index, key_id, country, zones, owner,
                                       employer_owned, status, digest)
    SELECT effective_at, source, contact_point_id, :value, :blind, :key, country, zones, owner, employer_owned, status, digest FROM old
"""
