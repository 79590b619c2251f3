"""`tideover import`: what a person and a script see of an import."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.import_mapping import FOLDER
from tideover import app

WALLET = str(FOLDER / "wallet.yaml")


@pytest.fixture
def parties(ledger_url: str, tmp_path: Path) -> Path:
    del ledger_url
    file = tmp_path / "parties.csv"
    file.write_text("external_id,name,locale,country\nA,Ana Nadie,es,MX\nB,Bob Nobody,en,XX\n")
    return file


def test_json_is_one_object_and_nothing_else(parties: Path, tmp_path: Path) -> None:
    rejects = tmp_path / "bad.csv"
    done = CliRunner().invoke(app, ["import", "--mapping", WALLET, str(parties), "--json", "--rejects", str(rejects)])
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert {what: told[what] for what in ("read", "new", "changed", "same", "rejected")} == {
        "read": 2,
        "new": 1,
        "changed": 0,
        "same": 0,
        "rejected": 1,
    }
    assert told["rejects_file"] == str(rejects)
    assert rejects.read_text().splitlines() == [
        "file,line,column,value,reason",
        "parties.csv,3,country,2 characters: aa,not a country of ISO 3166-1 (two capital letters)",
    ]


def test_text_tells_what_became_of_the_rows_and_names_nobody(parties: Path, tmp_path: Path) -> None:
    options = ["--mapping", WALLET, str(parties), "--rejects", str(tmp_path / "bad.csv")]
    first = CliRunner().invoke(app, ["import", *options])
    assert "the books agree" in first.stdout
    assert "1 rejected rows" in first.stdout
    parties.write_text(parties.read_text().replace("Ana Nadie", "Ana Ninguna"))
    again = CliRunner().invoke(app, ["import", *options])
    assert "changed: parties A: name" in again.stdout
    assert not any(name in first.output + again.output for name in ("Nadie", "Ninguna", "Nobody"))


def test_a_dry_run_says_that_nothing_was_written(parties: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["import", "--mapping", WALLET, str(parties), "--dry-run", "--rejects", str(tmp_path / "bad.csv")])
    assert done.stdout.startswith("dry run, nothing was written")


def test_a_file_that_cannot_be_used_ends_with_two_and_says_where(parties: Path) -> None:
    parties.write_text("external_id,locale\nA,en\nB")
    done = CliRunner().invoke(app, ["import", "--mapping", WALLET, str(parties), "--json"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "parties.csv:3:" in done.stderr


def test_a_mapping_that_does_not_exist_ends_with_two(parties: Path) -> None:
    done = CliRunner().invoke(app, ["import", "--mapping", "no-such.yaml", str(parties)])
    assert done.exit_code == 2
    assert "no-such.yaml" in done.stderr
