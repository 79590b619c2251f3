"""Keys: one person's values die with her keys, and everything moves to a new key while everything stays readable."""

from __future__ import annotations

import base64
import json
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from sqlalchemy import BigInteger, text
from typer.testing import CliRunner

from config.keys_command import KeysAwayError
from config.settings import settings
from ledger import inbox, key_rotation, vault
from ledger.all_tables import METADATA
from ledger.engine import connection
from ledger.inbox import Said
from ledger.vault import MissingKeyError
from tasks import keys as key_tasks
from tests.plugins.portfolio import Portfolio
from tests.plugins.sending import Outbox
from tideover import app

OLD = "madeup-test:" + base64.b64encode(b"k" * 32).decode()
NEW = "madeup-next:" + base64.b64encode(b"n" * 32).decode()
MANY = 10_000


def have(monkeypatch: pytest.MonkeyPatch, *keys: str) -> None:
    """As a process that begins with these keys."""
    monkeypatch.setenv("TIDEOVER_ENCRYPTION_KEYS", ",".join(keys))
    settings.cache_clear()
    vault.forget(list(vault._remembered))  # noqa: SLF001  # what a process remembers


def opened(statement: str = "SELECT value_encrypted, key_id FROM contact_point_version ORDER BY id") -> list[str]:
    with connection() as tx:
        rows = tx.execute(text(statement)).all()
        vault.learn(tx, [row[1] for row in rows])
    return [vault.decrypt(*row) for row in rows]


def run(*words: str) -> str:
    done = CliRunner().invoke(app, ["keys", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def many(portfolio: Portfolio) -> int:
    """Ten thousand people with a name, one in ten closed by the house's own key, as before people had keys."""
    creditor = portfolio.creditor()
    with connection() as tx:
        parties = list(tx.execute(_PARTIES, {"creditor": creditor, "many": MANY}).scalars())
        ids = [f"{vault.PERSON}{party}-{vault.new_label()}" for party in parties]
        keys = [party.to_bytes(32) for party in parties]
        wrapped = [vault.seal(key, bound_to=one)[0] for one, key in zip(ids, keys, strict=True)]
        tx.execute(_KEYS, {"ids": ids, "parties": parties, "wrapped": wrapped, "by": vault.first_key_id()})
        closed = [
            (*vault.encrypt(f"Person {party}"),) if party % 10 == 0 else (vault.encrypt_with_raw(key, f"Person {party}"), one)
            for party, one, key in zip(parties, ids, keys, strict=True)
        ]
        tx.execute(_NAMES, {"parties": parties, "names": [name for name, _ in closed], "keys": [one for _, one in closed]})
    return MANY


def test_ten_thousand_people_move_to_a_new_key_while_everything_is_read(many: int, monkeypatch: pytest.MonkeyPatch, outbox: Outbox) -> None:
    names = "SELECT name_encrypted, key_id FROM party_version ORDER BY party_id"
    before = opened(names)
    have(monkeypatch, NEW, OLD)
    assert json.loads(run("rotate", "--dry-run", "--json")) == {"to_move": many + many // 10}
    # Broken off after the first batches: what is moved stays moved, and the rest is still read.
    with connection() as tx:
        done, ended = key_rotation.rewrap(tx, after="", at_most=3_000)
    assert (done, ended is not None) == (3_000, True)
    assert opened(names) == before
    assert json.loads(run("status", "--json"))["wrapped_by"] == {"madeup-next": 3_000, "madeup-test": many - 3_000}
    moved = json.loads(run("rotate", "--json"))["moved"]
    assert moved == {"party_key": many - 3_000, "party_version": many // 10}
    assert json.loads(run("rotate", "--json"))["moved"] == {}
    assert opened(names) == before
    # From now on the old key may go.
    stand = json.loads(run("status", "--json"))
    assert (stand["to_move"], stand["needless"], stand["not_at_hand"]) == (0, ["madeup-test"], [])
    have(monkeypatch, NEW)
    assert opened(names) == before
    assert outbox.rows("SELECT count(*) FROM party_version WHERE key_id NOT LIKE 'person-%'")[0][0] == 0


def test_every_encrypted_column_is_moved_by_its_own_key_and_a_number_that_is_unique() -> None:
    found = key_rotation.sealed_columns()
    assert len({(one.name, one.key) for one in found}) == len(found)
    for one in found:
        table = METADATA.tables[one.name]
        assert isinstance(table.columns[one.place].type, BigInteger)
        assert one.key in table.columns


def test_what_is_nobodys_yet_moves_to_the_houses_new_key(portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch, outbox: Outbox) -> None:
    portfolio.borrower()
    told = Said(
        provider="twilio", provider_id="SM1", kind="status", status="sent", token=None, error_code=None, fields={"To": "+12125550101"}
    )
    with connection() as tx:
        inbox.keep(tx, [told])
    have(monkeypatch, NEW, OLD)
    key_tasks.rotate()
    have(monkeypatch, NEW)
    assert [row.key_id for row in outbox.rows("SELECT key_id FROM provider_event_payload")] == ["madeup-next"]
    assert json.loads(opened("SELECT payload_encrypted, key_id FROM provider_event_payload")[0]) == {"To": "+12125550101"}


def test_without_its_key_a_rotation_stops_and_says_which(portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch) -> None:
    portfolio.borrower()
    have(monkeypatch, NEW)
    done = CliRunner().invoke(app, ["keys", "rotate"])
    assert (done.exit_code, "madeup-test" in done.stderr, "Traceback" in done.output) == (2, True, False)
    assert json.loads(run("status", "--json"))["not_at_hand"] == ["madeup-test"]


def test_a_person_gets_a_new_data_key_and_the_old_ones_open_nothing(portfolio: Portfolio, outbox: Outbox) -> None:
    her, him = portfolio.borrower(), portfolio.borrower()
    before = opened()
    (old,) = outbox.rows("SELECT id, wrapped_by, wrapped FROM party_key WHERE party_id = :party", party=her.party_id)
    run("rotate", "--borrower", f"#{her.party_id}")
    assert opened() == before
    assert [row.id for row in outbox.rows("SELECT id FROM party_key WHERE party_id = :party", party=her.party_id)] != [old.id]
    assert outbox.rows("SELECT count(*) FROM contact_point_version WHERE key_id = :old", old=old.id)[0][0] == 0
    assert outbox.rows("SELECT count(*) FROM party_key WHERE party_id = :party", party=him.party_id)[0][0] == 1


def test_what_a_destroyed_key_closed_is_read_by_nobody(portfolio: Portfolio, outbox: Outbox) -> None:
    her = portfolio.borrower(push=False)
    (row,) = outbox.rows("SELECT value_encrypted, key_id FROM contact_point_version")
    with connection() as tx:
        assert key_rotation.destroy(tx, her.party_id) == 1
    with pytest.raises(MissingKeyError, match="erased"):
        vault.decrypt(row.value_encrypted, row.key_id)


def test_a_process_forgets_a_key_that_another_destroyed(portfolio: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    her = portfolio.borrower(push=False)
    (row,) = outbox.rows("SELECT value_encrypted, key_id FROM contact_point_version")
    assert vault.decrypt(row.value_encrypted, row.key_id).startswith("+1")
    with connection() as tx:
        tx.execute(text("DELETE FROM party_key WHERE party_id = :party"), {"party": her.party_id})
    later = time.monotonic() + vault.REMEMBERED_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: later)
    with pytest.raises(MissingKeyError, match="erased"):
        vault.decrypt(row.value_encrypted, row.key_id)


def test_keys_that_were_just_learned_are_not_forgotten_in_the_middle_of_their_use(
    portfolio: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each value of a chunk asks for its key by a connection of its own, while borrowers are held."""
    portfolio.borrower(push=False)
    (row,) = outbox.rows("SELECT value_encrypted, key_id FROM contact_point_version")
    began = time.monotonic()
    with connection() as tx:
        vault.learn(tx, [row.key_id])
        monkeypatch.setattr(time, "monotonic", lambda: began + vault.REMEMBERED_SECONDS - 1)
        vault.learn(tx, [row.key_id])
    monkeypatch.setattr(time, "monotonic", lambda: began + vault.REMEMBERED_SECONDS + 1)
    monkeypatch.setattr(vault, "apart", lambda: pytest.fail("asked for its key once more"))
    assert vault.decrypt(row.value_encrypted, row.key_id).startswith("+1")


def test_one_persons_key_opens_nothing_of_anothers_and_is_no_good_under_her_name(portfolio: Portfolio, outbox: Outbox) -> None:
    """Whoever can write to the database cannot make one person's row readable as another's."""
    her, him = portfolio.borrower(push=False), portfolio.borrower(push=False)
    mine, his = outbox.rows("SELECT value_encrypted, key_id FROM contact_point_version ORDER BY id")
    with pytest.raises(InvalidTag):
        vault.decrypt(mine.value_encrypted, his.key_id)
    with connection() as tx:
        tx.execute(
            text("UPDATE party_key SET wrapped = (SELECT wrapped FROM party_key WHERE party_id = :his) WHERE party_id = :her"),
            {"his": him.party_id, "her": her.party_id},
        )
    vault.forget([mine.key_id])
    with pytest.raises(InvalidTag):
        vault.decrypt(mine.value_encrypted, mine.key_id)


def test_whoever_holds_every_connection_still_reads_a_value(portfolio: Portfolio, outbox: Outbox) -> None:
    """A key is asked for beside the pool: who holds one of its connections does not wait for a second."""
    portfolio.borrower(push=False)
    (row,) = outbox.rows("SELECT value_encrypted, key_id FROM contact_point_version")
    with ExitStack() as held:
        for _ in range(32):
            held.enter_context(connection())
        vault.forget([row.key_id])
        assert vault.decrypt(row.value_encrypted, row.key_id).startswith("+1")


def test_keys_come_from_a_program_where_one_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "keys.sh"
    program.write_text(
        f"#!/bin/sh\necho once >> {tmp_path}/asked\necho TIDEOVER_ENCRYPTION_KEYS={NEW}\necho TIDEOVER_INDEX_KEY=from-a-kms\n"
    )
    program.chmod(0o700)
    monkeypatch.delenv("TIDEOVER_ENCRYPTION_KEYS", raising=False)
    monkeypatch.setenv("TIDEOVER_INDEX_KEY", "of-the-environment")
    monkeypatch.setenv("TIDEOVER_KEYS_COMMAND", str(program))
    settings.cache_clear()
    assert settings().encryption_keys.get_secret_value() == NEW
    assert settings().index_key.get_secret_value() == "of-the-environment"
    assert (tmp_path / "asked").read_text().split() == ["once"]
    settings.cache_clear()


@pytest.mark.parametrize("program", ["/nowhere/at-all", "false", "echo TIDEOVER_DATABASE_URL=postgresql://secret", "echo secret"])
def test_a_program_that_does_not_print_keys_stops_the_process_and_is_not_quoted(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setenv("TIDEOVER_KEYS_COMMAND", program)
    settings.cache_clear()
    with pytest.raises(KeysAwayError) as refused:
        settings()
    assert "secret" not in str(refused.value)


_PARTIES = text("INSERT INTO party (creditor_id, external_id) SELECT :creditor, 'many-' || n FROM generate_series(1, :many) n RETURNING id")
_KEYS = text("""
    INSERT INTO party_key (id, party_id, wrapped, wrapped_by)
    SELECT *, :by FROM unnest(CAST(:ids AS text[]), CAST(:parties AS bigint[]), CAST(:wrapped AS bytea[]))
""")
_NAMES = text("""
    INSERT INTO party_version (party_id, name_encrypted, key_id, locale, digest, source, effective_at)
    SELECT *, 'en', 'd', 't', '2026-01-01Z' FROM unnest(CAST(:parties AS bigint[]), CAST(:names AS bytea[]), CAST(:keys AS text[]))
""")
