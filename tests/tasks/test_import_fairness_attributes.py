"""Attributes for fairness come in by a file, in coarse words and by leave alone; they are hers to see, and go when she is erased."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from config import fairness
from config.fairness import attributes_held
from config.import_mapping import FOLDER
from config.load import ConfigError
from decisions.fairness_words import ATTRIBUTES
from ledger import pauses, withdrawals
from ledger.engine import connection
from ledger.fairness_groups import read_groups
from ledger.pauses import Scope
from ledger.person_export import everything_of
from tasks.import_portfolio import ImportReport, import_files
from tests.plugins.portfolio import noon

WALLET = FOLDER / "wallet.yaml"
PARTIES = "external_id,locale,country,region\nP1,en,US,NY\nP2,es,US,\n"
ATTRIBUTED = """party,attribute,value
P1,age_band,25_34
P1,sex,female
P2,age_band,1987
P2,religion,none
P2,sex,25_34
P9,sex,male
P2,disability,no
"""


def bring(folder: Path, **files: str) -> ImportReport:
    paths = []
    for name, content in files.items():
        paths.append(folder / f"{name}.csv")
        paths[-1].write_text(content)
    return import_files(WALLET, paths, rejects=folder / "rejects.csv")


def ids() -> list[int]:
    with connection() as tx:
        return list(tx.execute(text("SELECT id FROM party ORDER BY external_id")).scalars())


def groups() -> set[tuple[int, str, str]]:
    people = ids()
    with connection() as tx:
        return {(people.index(party), attribute, value) for party, attribute, value in read_groups(tx, people).iter_rows()}


def test_they_are_accounted_for_corrected_and_taken_back(ledger_url: str, tmp_path: Path) -> None:
    del ledger_url
    first = bring(tmp_path, parties=PARTIES, fairness_attributes=ATTRIBUTED)
    assert first.rows["fairness_attributes"] == {"read": 7, "new": 3, "changed": 0, "same": 0, "rejected": 4}
    rejects = (tmp_path / "rejects.csv").read_text()
    for where, reason in (
        (":4", "of age_band not one of under_25"),
        (":5", "not one of age_band, sex, disability"),
        (":6", "of sex not one of female"),
        (":7", "unknown party"),
    ):
        assert reason in next(line for line in rejects.splitlines() if line.startswith(f"fairness_attributes.csv,{where[1:]},"))
    assert "1987" not in rejects
    known = {(0, "language", "en"), (0, "region", "US-NY"), (1, "language", "es")}
    assert groups() == known | {(0, "age_band", "25_34"), (0, "sex", "female"), (1, "disability", "no")}
    again = bring(tmp_path, fairness_attributes=ATTRIBUTED.replace("P1,age_band,25_34", "P1,age_band,35_44"))
    assert again.rows["fairness_attributes"] == {"read": 7, "new": 0, "changed": 1, "same": 2, "rejected": 4}
    assert (0, "age_band", "35_44") in groups()
    with connection() as tx:
        pauses.write_pause(tx, Scope(), because="test", by="anna", at=noon("US"))
        assert again.batch_id is not None
        withdrawals.withdraw(tx, again.batch_id, by="anna", because="test", at=noon("US"))
    assert (0, "age_band", "25_34") in groups()


def test_what_is_held_is_told_to_her(ledger_url: str, tmp_path: Path) -> None:
    del ledger_url
    bring(tmp_path, parties=PARTIES, fairness_attributes=ATTRIBUTED)
    with connection(read_only=True) as tx:
        told = everything_of(tx, ids()[0])["kept"]["what_is_held_to_see_whether_groups_are_treated_alike"]
    assert {(row["attribute"], row["value"]) for row in told} == {("age_band", "25_34"), ("sex", "female")}


def test_without_leave_nothing_is_taken_in_and_the_row_says_so(ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del ledger_url
    monkeypatch.setattr(
        "tasks.import_portfolio.attributes_held", lambda country: frozenset({"age_band"}) if country == "US" else frozenset()
    )
    found = bring(tmp_path, parties=PARTIES, fairness_attributes=ATTRIBUTED)
    assert found.rows["fairness_attributes"]["new"] == 1
    assert "there is no leave to hold it of people of this creditor (config/fairness.yaml)" in (tmp_path / "rejects.csv").read_text()


def test_leave_is_asked_for_with_the_real_providers_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "fairness.yaml"
    shipped = fairness.FAIRNESS.read_text()
    line = "{country: MX, attributes: [age_band, sex], leave: counsel}"
    file.write_text(shipped.replace("held: []", f"held: [{line}]"))
    assert attributes_held("US", file) == set(ATTRIBUTES)

    class Real:
        is_real = True

    monkeypatch.setattr(fairness, "settings", Real)
    assert attributes_held("US") == attributes_held("US", file) == frozenset()
    assert attributes_held("MX", file) == {"age_band", "sex"}
    file.write_text(shipped.replace("held: []", f"held: [{line}, {line}]"))
    with pytest.raises(ConfigError, match="MX stands twice"):
        attributes_held("MX", file)
    file.write_text(shipped.replace("held: []", "held: [{country: MX, attributes: [income], leave: counsel}]"))
    with pytest.raises(ConfigError):
        attributes_held("MX", file)


@pytest.mark.parametrize(("attribute", "value"), [("age_band", "female"), ("sex", "25_34"), ("religion", "yes"), ("age_band", "41")])
def test_the_ledger_itself_holds_no_other_words(ledger_url: str, tmp_path: Path, attribute: str, value: str) -> None:
    del ledger_url
    bring(tmp_path, parties=PARTIES)
    with pytest.raises(IntegrityError, match="fairness_attribute_words"), connection() as tx:
        tx.execute(
            text("""INSERT INTO fairness_attribute (party_id, attribute, value, source, effective_at)
                    VALUES (:party, :attribute, :value, 'test', now())"""),
            {"party": ids()[0], "attribute": attribute, "value": value},
        )
