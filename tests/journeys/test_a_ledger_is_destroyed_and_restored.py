"""Back-up and restore, tried as an engineer would: a portfolio, sends, a backup, the database gone, restored, audited, proved."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.logging import disable_run_logger
from sqlalchemy import text
from typer.testing import CliRunner

from config.policies import policies
from config.settings import settings
from ledger import embedded, schema, vault
from ledger.campaigns import open_run
from ledger.engine import connection, engine_of
from ledger.vault import MissingKeyError
from tasks.choose import choose
from tasks.pick import pick
from tasks.send import send
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sandbox_process import Sandbox
from tests.plugins.sending import Outbox
from tideover import app

HOUSE = Path(__file__).resolve().parents[2]
BORROWERS = 12
DAY = ("--from", TODAY.isoformat(), "--to", TODAY.isoformat())


@dataclass(frozen=True)
class Before:
    """The ledger before it was destroyed."""

    file: Path
    counts: dict[str, int]
    owed_minor: int
    numbers: frozenset[str]


def tideover(*words: str, exit_code: int = 0) -> str:
    """Run the command; returns what it printed."""
    result = CliRunner().invoke(app, words)
    assert result.exit_code == exit_code, result.output
    return result.stdout


@pytest.fixture
def before(portfolio: Portfolio, sandbox: Sandbox, ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Before:
    """A day was planned and sent through the providers' SDKs; then a backup was made and the database dropped."""
    given = {
        "TWILIO_BASE_URL": sandbox.url,
        "TWILIO_ACCOUNT_SID": sandbox.account_sid,
        "TWILIO_AUTH_TOKEN": sandbox.auth_token,
        "EVIDENCE_DIR": str(tmp_path / "heads"),
    }
    for name, value in given.items():
        monkeypatch.setenv(f"TIDEOVER_{name}", value)
    settings.cache_clear()
    portfolio.clock(noon("US"))
    sandbox.step(noon("US").isoformat())
    people = [portfolio.borrower(push=False) for _ in range(BORROWERS)]
    portfolio.payment(people[0].loan_id, 2_500)
    with connection() as tx:
        run = open_run(tx, stage="early", business_date=TODAY, preview=False, borrowers_max=None, policies=policies("early"), at=noon("US"))
    with disable_run_logger():
        for shard in pick.fn(run):
            choose.fn(shard, run)
            assert send.fn(shard, run) == BORROWERS
    # Twilio lists what has left.
    sandbox.step((noon("US") + timedelta(minutes=1)).isoformat())

    file = tmp_path / "ledger.backup"
    tideover("backup", str(file))
    kept = Before(file, rows(), owed(), numbers())
    engine_of(ledger_url).dispose()
    schema.drop_database(ledger_url)
    return kept


def rows() -> dict[str, int]:
    """Rows of every table but the pauses, of which the restore writes one."""
    with connection() as tx:
        tables = tx.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'pause'")).scalars().all()
        return {table: int(tx.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()) for table in tables}  # noqa: S608  # the database's own names


def owed() -> int:
    """Sum of all instalments less all payments, in minor units."""
    with connection() as tx:
        return int(
            tx.execute(
                text(
                    "SELECT (SELECT sum(principal_minor + interest_minor + fee_minor + penalty_minor) FROM instalment)"
                    " - (SELECT coalesce(sum(amount_minor), 0) FROM payment)"
                )
            ).scalar_one()
        )


def numbers() -> frozenset[str]:
    """Every number, decrypted."""
    with connection() as tx:
        return frozenset(vault.decrypt(*row) for row in tx.execute(text("SELECT value_encrypted, key_id FROM contact_point_version")).all())


def test_everything_is_as_it_was_and_the_audit_is_green(before: Before, tmp_path: Path) -> None:
    said = tideover("restore", str(before.file))
    assert "All contact is paused" in said
    assert rows() == before.counts
    assert owed() == before.owed_minor
    assert numbers() == before.numbers
    assert len(before.numbers) == BORROWERS

    audited = json.loads(tideover("audit", *DAY, "--json"))
    assert (audited["violations"], audited["warnings"], audited["listed"]["sms"]) == (0, [], BORROWERS)
    assert set(audited["invariants"].values()) == {"held"}

    with connection() as tx:
        attempt = tx.execute(text("SELECT min(id) FROM attempt WHERE state = 'accepted'")).scalar_one()
    tideover("evidence", "--attempt", str(attempt), "--out", str(tmp_path / "case"))
    assert "all that is proved matches" in tideover("evidence", "--verify", str(tmp_path / "case"), "--heads", str(tmp_path / "heads"))


def test_nobody_is_contacted_after_a_restore_until_somebody_resumes(
    before: Before, sandbox: Sandbox, portfolio: Portfolio, outbox: Outbox
) -> None:
    tideover("restore", str(before.file))
    run = outbox.run(scope="US")
    outbox.plan(run, portfolio.borrower(push=False))
    with disable_run_logger():
        assert send.fn(None, run) == 0
        assert sum(sandbox.summary()["messages"].values()) == BORROWERS
        tideover("resume", "--by", "anna")
        assert send.fn(None, run) == 1


def test_what_was_sent_after_the_backup_is_named_and_once_brought_in_it_counts(
    before: Before, sandbox: Sandbox, portfolio: Portfolio, outbox: Outbox, ledger_url: str, tmp_path: Path
) -> None:
    """A second backup is missing one message: Twilio lists it; nobody is contacted a second time on that day."""
    tideover("restore", str(before.file))
    tideover("resume", "--by", "anna")
    newcomer = portfolio.borrower(push=False)
    tideover("backup", str(tmp_path / "second.backup"))
    run = outbox.run(scope="US")
    outbox.plan(run, newcomer)
    with disable_run_logger():
        assert send.fn(None, run) == 1
    sandbox.step((noon("US") + timedelta(minutes=2)).isoformat())
    engine_of(ledger_url).dispose()
    schema.drop_database(ledger_url)

    tideover("restore", str(tmp_path / "second.backup"))
    audited = json.loads(tideover("audit", *DAY, "--json", exit_code=1))
    assert audited["listed"]["sms"] == BORROWERS + 1
    assert audited["invariants"]["I1"] == "broken"
    unknown = [found for found in audited["named"] if found["invariant"] == "I1"]
    (missing,) = {found["provider_id"] for found in unknown}

    with connection() as tx:
        party = tx.execute(text("SELECT external_id FROM party WHERE id = :id"), {"id": newcomer.party_id}).scalar_one()
    mapping = yaml.safe_load((HOUSE / "config" / "imports" / "wallet.yaml").read_text())
    mapping["creditor"] |= {"external_id": "lender-US-first_party", "name": "Lantern Wallet US"}
    (tmp_path / "mapping.yaml").write_text(yaml.safe_dump(mapping))
    log = tmp_path / "contacts.csv"
    log.write_text(f"external_id,party,at,channel,result\n{missing},{party},{noon('US').isoformat()},sms,delivered\n")
    books = json.loads(tideover("import", "--mapping", str(tmp_path / "mapping.yaml"), str(log), "--json"))
    assert (books["new"], books["rejected"]) == (1, 0)
    tideover("resume", "--by", "anna")
    again = outbox.run(scope="US")
    attempt = outbox.plan(again, newcomer)
    with disable_run_logger():
        assert send.fn(None, again) == 0
    assert outbox.attempt(attempt)["state"] == "withheld"
    assert "HOUSE-1ADAY" in outbox.attempt(attempt)["permit"]["blocked_by"]


def test_a_backup_is_worth_nothing_without_the_keys_which_are_not_in_it(before: Before, monkeypatch: pytest.MonkeyPatch) -> None:
    text_of = [str(embedded.program("pg_restore")), "--file=-", str(before.file)]
    plain = subprocess.run(text_of, check=True, capture_output=True, text=True).stdout
    assert "COPY public.contact_point_version" in plain
    keys: list[Any] = [settings().encryption_keys, settings().index_key]
    secrets = {part for key in keys for part in key.get_secret_value().split(":") if not part.startswith("madeup-test")}
    assert sum(plain.count(value) for value in before.numbers | secrets) == 0

    tideover("restore", str(before.file))
    monkeypatch.setenv("TIDEOVER_ENCRYPTION_KEYS", "")
    settings.cache_clear()
    vault.forget(list(vault._remembered))  # noqa: SLF001  # as a process that is started without the keys
    with pytest.raises(MissingKeyError, match="no encryption key with the id madeup-test"):
        numbers()
