"""A permit names the rules that were checked and lives for seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from channels import PERMIT_SECONDS_MAX, PermitExpired
from config.rule_files import rule_packs
from gate.permit import Rulebook, record, refusal, write_permit


def test_a_permit_names_the_rules_of_the_place_and_of_the_house_and_no_others() -> None:
    packs = rule_packs()
    permit = write_permit(Rulebook(packs), attempt_id=1, jurisdictions=("US", "US-NY"), issued_at=datetime.now(UTC))
    expected = {rule.id for pack in packs.packs if pack.jurisdiction in {"US", "US-NY", "house"} for rule in pack.gating}
    assert set(permit.rules) == expected
    assert dict(permit.packs) == {name: packs.versions[name] for name in ("US", "US-NY", "house")}


def test_a_permit_is_refused_after_its_seconds() -> None:
    issued = datetime.now(UTC) - timedelta(seconds=PERMIT_SECONDS_MAX)
    permit = write_permit(Rulebook(rule_packs()), attempt_id=9, jurisdictions=("US",), issued_at=issued)
    with pytest.raises(PermitExpired):
        permit.refuse_if_late()


def test_what_is_recorded_holds_rules_versions_zones_and_clock() -> None:
    book = Rulebook(rule_packs())
    at = datetime(2026, 3, 17, 16, tzinfo=UTC)
    permit = write_permit(book, attempt_id=1, jurisdictions=("TW",), issued_at=at)
    written = record(permit, zones=("Asia/Taipei",), at=at, text_version="hash")
    assert written["packs"] == dict(permit.packs)
    assert (written["zones"], written["clock"], written["text"]) == (["Asia/Taipei"], at.isoformat(), "hash")
    assert refusal(["A", "B"], book, at=at)["blocked_by"] == ["A", "B"]
