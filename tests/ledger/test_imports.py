"""Writing an import: under the borrower's lock, one import of a creditor at a time, and never more or less than was read."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from config.import_mapping import FOLDER
from ledger.engine import connection
from ledger.import_keys import ImportKeys
from ledger.imports import ReconciliationError
from ledger.imports_targets import TARGETS
from ledger.tables import Party
from tasks.import_portfolio import ImportReport, import_files

WALLET = FOLDER / "wallet.yaml"
WAIT_SECONDS = 20
PARTIES = "external_id,locale\nA,en\nB,en\n"
LOANS = "external_id,party,product,currency,principal\nL1,A,nano,USD,10\n"


def put(folder: Path, **texts: str) -> list[Path]:
    files = [folder / f"{name}.csv" for name in texts]
    for path, content in zip(files, texts.values(), strict=True):
        path.write_text(content)
    return files


@pytest.mark.parametrize("kind", TARGETS)
def test_every_target_names_columns_that_its_table_has(kind: str) -> None:
    target = TARGETS[kind]
    columns = set(Party.metadata.tables[target.table].columns.keys())
    # A past contact finds its former self by its own id; its table keeps no versions.
    assert set(target.key) | set(target.values) | set(target.extra) <= columns
    assert target.nullable <= set(target.key)


@pytest.mark.parametrize(
    "texts",
    [
        {"holds": "party,kind\nA,dispute\n"},
        {"opt_outs": "party,channel\nA,sms\n"},
        {"payments": "loan,external_id,amount,paid_on\nL1,P1,1,2026-03-01\n"},
        {"wishes": "party,kind,channels\nA,not_channel,voice\n"},
        {"contact_points": "party,kind,value\nA,mobile,+12125550100\n"},
    ],
    ids=lambda texts: next(iter(texts)),
)
def test_an_import_waits_for_whoever_holds_the_borrower(ledger_url: str, tmp_path: Path, texts: dict[str, str]) -> None:
    del ledger_url
    import_files(WALLET, put(tmp_path, parties=PARTIES, loans=LOANS))
    done = threading.Event()
    reports: list[ImportReport] = []

    def run() -> None:
        reports.append(import_files(WALLET, put(tmp_path, **texts)))
        done.set()

    with connection() as tx:
        tx.execute(text("SELECT id FROM party WHERE external_id = 'A' FOR UPDATE"))
        worker = threading.Thread(target=run)
        worker.start()
        with connection() as watch:
            _wait_until(watch, "SELECT count(*) FROM pg_locks WHERE NOT granted")
        assert not done.is_set()
    assert done.wait(WAIT_SECONDS)
    worker.join()
    assert reports[0].total("new") == 1


def test_two_imports_of_one_creditor_take_turns(ledger_url: str, tmp_path: Path) -> None:
    del ledger_url
    import_files(WALLET, put(tmp_path, parties=PARTIES))
    files = put(tmp_path, loans=LOANS)
    reports: list[ImportReport] = []
    workers = [threading.Thread(target=lambda: reports.append(import_files(WALLET, files))) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(WAIT_SECONDS)
    assert sorted((report.rows["loans"]["new"], report.rows["loans"]["same"]) for report in reports) == [(0, 1), (0, 1), (1, 0)]


def test_books_that_do_not_agree_take_the_import_back(ledger_url: str, tmp_path: Path) -> None:
    """A trigger writes another amount than it was told, as a bug of ours might."""
    del ledger_url
    with connection() as tx:
        tx.execute(
            text(
                "CREATE FUNCTION cheat() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.principal_minor := NEW.principal_minor - 1; RETURN NEW; END'"
            )
        )
        tx.execute(text("CREATE TRIGGER cheat BEFORE INSERT ON loan_version FOR EACH ROW EXECUTE FUNCTION cheat()"))
    with pytest.raises(ReconciliationError, match="loans"):
        import_files(WALLET, put(tmp_path, parties=PARTIES, loans=LOANS))
    with connection() as tx:
        assert tx.execute(text("SELECT count(*) FROM party")).scalar() == 0


def test_a_creditor_that_the_mapping_describes_otherwise_changes_and_is_named(ledger_url: str, tmp_path: Path) -> None:
    del ledger_url
    files = put(tmp_path, parties=PARTIES)
    assert import_files(WALLET, files).creditor_changed == ()
    other = tmp_path / "wallet.yaml"
    other.write_text(WALLET.read_text().replace("name: Lantern Wallet", "name: Lantern Pay"))
    assert import_files(other, files).creditor_changed == ("name",)
    with connection() as tx:
        assert tx.execute(text("SELECT name FROM creditor")).scalars().all() == ["Lantern Pay"]
        assert tx.execute(text("SELECT count(*) FROM policy_version WHERE kind = 'mapping'")).scalar() == 2


@pytest.mark.usefixtures("keys")
def test_sealed_values_are_equal_in_their_index_only() -> None:
    ciphertexts, key_ids, indexes = ImportKeys().seal(["+12125550100", "+12125550100", None], ["A", "B", "C"])
    assert indexes[0] == indexes[1] != indexes[2] == b""
    assert ciphertexts[0] != ciphertexts[1]
    assert (ciphertexts[2], key_ids[2]) == (None, None)


def _wait_until(watch: Connection, statement: str) -> None:
    """Look until a statement's answer is not zero."""
    pause = threading.Event()
    for _ in range(WAIT_SECONDS * 20):
        if watch.execute(text(statement)).scalar():
            return
        pause.wait(0.05)
    raise AssertionError("nobody waits for the lock")
