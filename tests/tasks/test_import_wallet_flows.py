"""Wallet flows come in like every other fact: accounted for, corrected by a new version, taken back with their import."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from sqlalchemy import text

from config.import_mapping import FOLDER
from ledger import pauses, withdrawals
from ledger.engine import connection
from ledger.pauses import Scope
from tasks.import_portfolio import ImportReport, import_files
from tests.plugins.portfolio import noon

WALLET = FOLDER / "wallet.yaml"
PARTIES = "external_id,locale,country\nP1,en,US\n"
FLOWS = """party,day,kind,amount,currency
P1,2026-03-01,salary,210.50,USD
P1,2026-03-01,essential,-20,USD
P1,2026-03-02,essential,35.005,USD
P1,2026-03-02,gambling,1,USD
P9,2026-03-02,other,1,USD
P1,2026-03-02,balance,100,USD
P1,2026-03-02,balance,10000,JPY
"""


def bring(folder: Path, **files: str) -> ImportReport:
    paths = []
    for name, content in files.items():
        paths.append(folder / f"{name}.csv")
        paths[-1].write_text(content)
    return import_files(WALLET, paths, rejects=folder / "rejects.csv")


def in_force() -> list[tuple[str, str, int]]:
    with connection() as tx:
        rows = tx.execute(text("SELECT kind, currency, amount_minor FROM wallet_flow WHERE superseded_at IS NULL ORDER BY kind, currency"))
        return [tuple(row) for row in rows]


def test_flows_are_accounted_for_corrected_and_taken_back(ledger_url: str, tmp_path: Path) -> None:
    del ledger_url
    first = bring(tmp_path, parties=PARTIES, wallet_flows=FLOWS)
    assert first.rows["wallet_flows"] == {"read": 7, "new": 3, "changed": 0, "same": 0, "rejected": 4}
    assert first.money["wallet_flows"]["USD"]["new"] == Decimal("310.50")
    assert first.money["wallet_flows"]["JPY"]["new"] == Decimal(10_000)
    rejects = (tmp_path / "rejects.csv").read_text()
    for reason in ("a negative amount", "more decimals than USD has", "not one of salary", "unknown party"):
        assert reason in rejects
    assert in_force() == [("balance", "JPY", 10_000), ("balance", "USD", 10_000), ("salary", "USD", 21_050)]
    again = bring(tmp_path, wallet_flows=FLOWS.replace("210.50", "200"))
    assert again.rows["wallet_flows"] == {"read": 7, "new": 0, "changed": 1, "same": 2, "rejected": 4}
    with connection() as tx:
        pauses.write_pause(tx, Scope(), because="test", by="anna", at=noon("US"))
        assert again.batch_id is not None
        withdrawals.withdraw(tx, again.batch_id, by="anna", because="test", at=noon("US"))
    assert ("salary", "USD", 21_050) in in_force()
