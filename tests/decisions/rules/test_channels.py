"""Channels that a provider's policy bars: off until the lender has recorded the provider's clearance."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from decisions.facts import CANDIDATES
from decisions.packs import Packs
from decisions.rules import judge
from tests.plugins.known_facts import NOON_IN_NEW_YORK, Known, facts_of
from tests.plugins.packs import pack, rule

LAST = date(2026, 3, 17)  # the local date of NOON_IN_NEW_YORK
BARRED = {"barred_by_provider": "twilio", "applies_to": {"channels": ["sms"]}, "basis": "provider_policy"}


def clearance(**fields: Any) -> dict[str, Any]:
    usual = {"provider": "twilio", "channel": "sms", "country": "US", "role": "third_party", "reference": "a letter"}
    return {**usual, "until": LAST, "mode": "live", **fields}


def packs(*clearances: dict[str, Any], where: str = "US", live: bool = False) -> Packs:
    both = {where: [rule(f"{where.upper()}-BARRED", "channel", **BARRED)]}
    law = (pack("US", *both.get("US", ())), pack("MX"), pack("house", *both.get("house", ())))
    return Packs.model_validate({"packs": law, "clearances": clearances, "live": live, "approved": {"US", "MX", "house"}})


def said(
    law: Packs, *, at: datetime = NOON_IN_NEW_YORK, role: str | None = "third_party", of: tuple[str, ...] = ("US", "US-NY"), by: str = "sms"
) -> dict[str, Any]:
    known = Known(person={"creditor_role": role, "jurisdictions": list(of)})
    row = {"candidate": 1, "party_id": 1, "at": at, "channel": by, "purpose": "collection", "counterparty": "borrower", "loans": [100]}
    return judge(facts_of(known), pl.DataFrame([{name: row.get(name) for name in CANDIDATES}], schema=CANDIDATES), law).row(0, named=True)


def test_a_channel_that_a_provider_bars_is_off() -> None:
    answer = said(packs())
    assert (answer["blocked_by"], answer["next_allowed_at"], answer["blocked_for_good"]) == (["US-BARRED"], None, True)
    assert said(packs(), by="push")["allowed"], "another channel is none of its business"


def test_a_recorded_clearance_opens_it() -> None:
    assert said(packs(clearance()))["allowed"]


@pytest.mark.parametrize(
    "other",
    [{"provider": "another"}, {"channel": "whatsapp"}, {"country": "CA"}, {"role": "first_party"}, {"until": date(2026, 3, 16)}],
)
def test_a_clearance_of_something_else_does_not(other: dict[str, Any]) -> None:
    assert said(packs(clearance(**other)))["blocked_by"] == ["US-BARRED"]


def test_a_clearance_ends_with_its_last_local_day() -> None:
    law = packs(clearance())
    assert said(law, at=datetime(2026, 3, 18, 3, 59, tzinfo=UTC))["allowed"], "23:59 in New York"
    over = said(law, at=datetime(2026, 3, 18, 4, 0, tzinfo=UTC))
    assert (over["blocked_by"], over["next_allowed_at"]) == (["US-BARRED"], None)
    assert said(law)["allowed_until"] == datetime(2026, 3, 18, 4, 0, tzinfo=UTC)


def test_one_clearance_may_follow_another() -> None:
    law = packs(clearance(), clearance(until=date(2026, 4, 1), country="*"))
    assert said(law, at=datetime(2026, 4, 1, 16, tzinfo=UTC))["allowed"]
    assert not said(law, at=datetime(2026, 4, 2, 16, tzinfo=UTC))["allowed"]


def test_what_the_sandbox_allows_clears_nothing_in_live_mode() -> None:
    sandbox = clearance(mode="sandbox")
    assert said(packs(sandbox))["allowed"]
    assert said(packs(sandbox, live=True))["blocked_by"] == ["US-BARRED"]
    assert said(packs(clearance(), live=True))["allowed"]


def test_a_role_that_is_not_known_needs_every_roles_clearance() -> None:
    one = clearance(role="first_party")
    assert not said(packs(one, clearance()), role=None)["allowed"]
    assert said(packs(one, clearance(), clearance(role="debt_buyer")), role=None)["allowed"]


def test_a_countrys_rule_asks_for_its_own_country_and_the_houses_for_each_of_the_persons() -> None:
    both = ("MX", "US", "US-NY")
    assert said(packs(clearance()), of=both)["allowed"]
    assert not said(packs(clearance(country="MX")), of=both)["allowed"]
    assert said(packs(clearance(), where="house"), of=both)["blocked_by"] == ["HOUSE-BARRED"]
    assert said(packs(clearance(), clearance(country="MX"), where="house"), of=both)["allowed"]
    assert said(packs(clearance(country="*"), where="house"), of=both)["allowed"]


def test_the_layer_of_the_union_is_no_country_that_needs_clearing() -> None:
    assert said(packs(clearance(country="DE"), where="house"), of=("EU", "DE"))["allowed"]


def test_where_no_country_is_known_nothing_is_cleared() -> None:
    assert said(packs(clearance(country="*"), where="house"), of=())["blocked_by"] == ["HOUSE-BARRED"]
