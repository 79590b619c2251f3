"""Import mappings: what operations may write, and what is refused before a file is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.import_mapping import FOLDER, import_mapping
from config.load import ConfigError
from decisions.portfolio import KINDS

WHOLE = """
source: core
creditor: {external_id: c, name: C, role: first_party, country: TW}
payments_feed: {age_seconds_max: 86400}
files:
  - match: parties*.csv
    rows:
      - kind: parties
        columns: {external_id: no}
        constants: {locale: zh-Hant}
"""


def mapped(folder: Path, text: str) -> Path:
    file = folder / "core.yaml"
    file.write_text(text)
    return file


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_mapping_is_whole(path: Path) -> None:
    mapping = import_mapping(path)
    assert mapping.name == path.stem
    assert len(mapping.hash) == 64


def test_the_wallet_mapping_knows_every_kind_and_every_field() -> None:
    form = import_mapping(FOLDER / "wallet.yaml").form
    named = {rows.kind: set(rows.columns) for file in form.files for rows in file.rows}
    assert named == {kind: {field.name for field in fields} - {"effective_at"} for kind, fields in KINDS.items()}


def test_the_document_explains_every_kind_and_every_setting() -> None:
    page = (FOLDER.parent.parent / "docs" / "import.md").read_text()
    file = import_mapping(FOLDER / "wallet.yaml").form.files[0]
    words = [
        *KINDS,
        *(field.name for fields in KINDS.values() for field in fields),
        *type(file).model_fields,
        *type(file.rows[0]).model_fields,
    ]
    assert [word for word in words if f"`{word}`" not in page] == []


def test_a_mapping_says_what_it_means(tmp_path: Path) -> None:
    mapping = import_mapping(mapped(tmp_path, WHOLE))
    assert mapping.form.files[0].rows[0].constants == {"locale": "zh-Hant"}
    assert mapping.body == WHOLE


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("kind: parties", "kind: people", "kind must be one of"),
        ("{external_id: no}", "{external_id: no, shoe_size: s}", "no field shoe_size"),
        ("constants: {locale: zh-Hant}", "constants: {}", "no column and no constant for locale"),
        ("{external_id: no}", "{external_id: no, locale: l}", "both a column and a constant for locale"),
        ("match: parties*.csv", "match: parties*.csv\n    encoding: klingon", "unknown encoding klingon"),
        ("match: parties*.csv", "match: parties*.csv\n    zone: Mars/Olympus", "no such zone"),
        ("match: parties*.csv", "match: parties*.csv\n    date_format: '%d/%m/%y'", "date_format must hold %Y"),
        ("match: parties*.csv", "match: parties*.csv\n    thousands_mark: '.'", "thousands_mark must differ"),
        ("match: parties*.csv", "match: parties*.csv\n    derive: uci-credit-card", "give either rows or derive"),
        ("match: parties*.csv", "match: parties*.csv\n    delimiter: ';;'", "at most 1 character"),
        ("match: parties*.csv", "match: parties*.csv\n    colour: red", "unknown field"),
        ("country: TW", "country: Taiwan", "not a country"),
        ("role: first_party", "role: shark", "role"),
        ("country: TW", "country: TW, senders: {sms/shouting: a}", "neither a channel nor a channel/purpose"),
        ("country: TW", "country: TW, senders: {telegram: a}", "neither a channel nor a channel/purpose"),
        ("country: TW", "country: TW, senders: {letter: 'gateway:post'}", "letter cannot go through a gateway"),
        ("country: TW", "country: TW, senders: {sms: 'gateway:'}", "sms cannot go through a gateway"),
        ("source: core", 'source: "core\'; --"', "pattern"),
        ("age_seconds_max: 86400", "age_seconds_max: 0", "greater than 0"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(tmp_path: Path, old: str, new: str, reason: str) -> None:
    assert old in WHOLE
    file = mapped(tmp_path, WHOLE.replace(old, new, 1))
    with pytest.raises(ConfigError, match=reason) as refusal:
        import_mapping(file)
    assert refusal.value.file == str(file)


def test_a_sender_may_be_of_a_purpose(tmp_path: Path) -> None:
    file = mapped(tmp_path, WHOLE.replace("country: TW", 'country: TW, senders: {sms: "+1", sms/receipt: "+2"}', 1))
    assert import_mapping(file).form.creditor.senders == {"sms": "+1", "sms/receipt": "+2"}


def test_payments_need_to_say_how_old_their_word_may_be(tmp_path: Path) -> None:
    text = (
        WHOLE.replace("payments_feed: {age_seconds_max: 86400}\n", "")
        + """
  - match: payments*.csv
    rows:
      - kind: payments
        columns: {loan: l, external_id: p, amount: a, paid_on: d}
"""
    )
    with pytest.raises(ConfigError, match="how old their word may be"):
        import_mapping(mapped(tmp_path, text))
