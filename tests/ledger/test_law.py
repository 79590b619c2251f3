"""The law in force: whole or not at all; the last good version only where operations say so; in live mode the approved one."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import text

from config.load import ConfigError
from config.message_files import message_texts
from config.policies import policies, rule_policy
from config.rule_files import RULES, pack_bodies, rule_packs
from config.settings import settings
from config.voice_files import voice_prompts, voice_prompts_in_force
from decisions.packs import HOUSE
from ledger import campaigns
from ledger.approvals import MESSAGE, ask_or_approve
from ledger.engine import connection
from ledger.law import Law, law_in_force, texts_in_force, voice_in_force
from ledger.policies import UnknownVersionError, find_pack, last_in_force
from tests.plugins.portfolio import TODAY

NOW = datetime(2026, 3, 17, 16, tzinfo=UTC)
LIVE = {
    "TIDEOVER_MODE": "live",
    "TIDEOVER_ENCRYPTION_KEYS": "2026-a:a2V5",
    "TIDEOVER_INDEX_KEY": "own-index",
    "TIDEOVER_SEED": "own-seed",
}


@pytest.fixture(autouse=True)
def _ledger(ledger_url: str) -> None:
    del ledger_url


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """The packs, one of which was cut off."""
    folder = tmp_path / "rules"
    shutil.copytree(RULES, folder)
    file = folder / "us.yaml"
    file.write_text(file.read_text("utf-8")[:900], "utf-8")
    return folder


def setting(monkeypatch: pytest.MonkeyPatch, **environment: str) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()


def run(on_day: int = 0) -> None:
    """A campaign run, which keeps the law by which it was opened."""
    with connection() as tx:
        day, at = TODAY + timedelta(days=on_day), NOW + timedelta(days=on_day)
        campaigns.open_run(tx, stage="early", business_date=day, preview=True, borrowers_max=None, policies=policies("early"), at=at)


def law(folder: Path = RULES) -> Law:
    with connection() as tx:
        return law_in_force(tx, folder)


def test_the_files_are_the_law() -> None:
    found = law()
    assert (found.packs, found.bodies, found.fault) == (rule_packs(), pack_bodies(), None)


def test_a_law_that_cannot_be_read_is_none(broken: Path) -> None:
    run()
    with pytest.raises(ConfigError) as refused:
        law(broken)
    assert Path(refused.value.file).name == "us.yaml"


def test_the_last_good_version_stands_in_where_operations_say_so(monkeypatch: pytest.MonkeyPatch, broken: Path) -> None:
    run()
    setting(monkeypatch, TIDEOVER_RULES_LAST_GOOD="yes")
    found = law(broken)
    assert found.packs == rule_packs()
    assert found.bodies == pack_bodies()
    assert found.fault is not None
    assert "us.yaml" in found.fault
    assert found.packs.versions["US"][:12] in found.fault
    assert law().fault is None, "with files that can be read nothing stands in"


def test_the_run_that_goes_on_keeps_the_same_policies(monkeypatch: pytest.MonkeyPatch, broken: Path) -> None:
    setting(monkeypatch, TIDEOVER_RULES_LAST_GOOD="yes")
    run()
    kept = {policy.name: policy.hash for policy in policies("early", law(broken).bodies)}
    assert kept == {policy.name: policy.hash for policy in policies("early")}


def test_before_the_first_run_there_is_no_last_good_version(monkeypatch: pytest.MonkeyPatch, broken: Path) -> None:
    setting(monkeypatch, TIDEOVER_RULES_LAST_GOOD="yes")
    with pytest.raises(ConfigError, match="no run has left a last good version"):
        law(broken)


def test_what_was_only_put_up_for_approval_was_never_in_force(monkeypatch: pytest.MonkeyPatch, broken: Path) -> None:
    run()
    setting(monkeypatch, TIDEOVER_RULES_LAST_GOOD="yes")
    with connection() as tx:
        campaigns.write_policies(tx, [rule_policy("TW", pack_bodies()["TW"] + "# stricter, some day\n")])
    assert law(broken).packs == rule_packs()


def test_the_last_run_is_the_one_that_was_opened_last() -> None:
    run(on_day=1)
    run()
    with connection() as tx:
        tx.execute(text("UPDATE campaign_run SET policy_hashes = policy_hashes - 'rules/tw' WHERE opened_at = :at"), {"at": NOW})
        assert "tw" in {pack.name for pack in last_in_force(tx)}


def test_live_mode_knows_only_what_was_approved(monkeypatch: pytest.MonkeyPatch) -> None:
    version = rule_packs().versions["TW"]
    with connection() as tx:
        for who in ("anna", "ben"):
            ask_or_approve(tx, version, by=who, at=NOW)
    assert law().packs.unapproved == frozenset()
    setting(monkeypatch, **LIVE)
    assert law().packs.unapproved == rule_packs().versions.keys() - {"TW"}
    assert HOUSE in law().packs.unapproved


def test_a_version_is_found_by_the_beginning_of_its_hash() -> None:
    body = pack_bodies()["TW"]
    with connection() as tx:
        campaigns.write_policies(tx, [rule_policy("TW", body), rule_policy("MX", body + "#\n")])
        version = sha256(body.encode()).hexdigest()
        assert find_pack(tx, version[:6], "TW").body == body
        assert find_pack(tx, version).name == "tw"
        for prefix, jurisdiction, says in (
            (version[:5], "TW", "at least 6"),
            (version[:8], "MX", "no version of the rule pack MX"),
            ("000000000", None, "the newest it keeps"),
            ("%%%%%%", None, "keeps no version"),
        ):
            with pytest.raises(UnknownVersionError, match=says):
                find_pack(tx, prefix, jurisdiction)


def test_an_empty_ledger_says_how_versions_come_into_it() -> None:
    with connection() as tx, pytest.raises(UnknownVersionError, match="tideover approve pack"):
        find_pack(tx, "abcdef")


def test_in_live_mode_only_the_words_that_two_people_approved_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    files = message_texts()
    read = files.text("early_reminder", "en")
    with connection() as tx:
        assert texts_in_force(tx, files) == files, "in sandbox mode drafts are used too"
        for name in ("anna", "ben"):
            ask_or_approve(tx, read.version, by=name, at=NOW, kind=MESSAGE)
            # A yes to a rule pack is none to a text.
            ask_or_approve(tx, files.text("help", "en").version, by=name, at=NOW)
    setting(monkeypatch, **LIVE)
    with connection() as tx:
        live = texts_in_force(tx, files)
    assert [key for key, text in live.by_key.items() if text.approved] == [("early_reminder", "en")]


def test_in_live_mode_a_voice_speaks_only_the_prompts_that_two_people_approved(monkeypatch: pytest.MonkeyPatch) -> None:
    files = voice_prompts()
    voice_prompts_in_force.cache_clear()
    with connection() as tx:
        assert voice_in_force(tx) == files, "in sandbox mode drafts are heard too"
        for name in ("anna", "ben"):
            ask_or_approve(tx, files["en"].version, by=name, at=NOW, kind=MESSAGE)
            ask_or_approve(tx, files["ja"].version, by=name, at=NOW, kind=MESSAGE)
        ask_or_approve(tx, files["es"].version, by="anna", at=NOW, kind=MESSAGE)
    setting(monkeypatch, **LIVE)
    voice_prompts_in_force.cache_clear()
    with connection() as tx:
        assert set(voice_in_force(tx)) == {"en"}, "neither a draft nor what one person approved"
    voice_prompts_in_force.cache_clear()
