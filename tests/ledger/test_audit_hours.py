"""The auditor's own hours and the judge's verdicts agree in every country that has hours, hour by hour and on holidays."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from sqlalchemy import text

from config.audit_limits import audit_limits
from config.rule_cases import read_rule_cases
from config.rule_files import rule_packs
from decisions.rule_answers import answers
from ledger import vault
from ledger.audit import Received, find_violations
from ledger.engine import connection
from tests.plugins.portfolio import Portfolio, made_up_number

# Where a person is known to be → her law. Easter week, a first of May, and the day on which Europe's clocks change.
PLACES = {
    "Australia/Sydney": ("AU", "NSW"),
    "America/Maceio": ("BR", "AL"),
    "America/Manaus": ("BR", "AM"),
    "America/Sao_Paulo": ("BR", "ES"),
    "Asia/Shanghai": ("CN", None),
    "America/Bogota": ("CO", None),
    "Europe/London": ("GB", "SCT"),
    "Asia/Hong_Kong": ("HK", None),
    "Asia/Jakarta": ("ID", None),
    "Asia/Kolkata": ("IN", None),
    "Asia/Tokyo": ("JP", None),
    "Africa/Nairobi": ("KE", None),
    "Asia/Seoul": ("KR", None),
    "America/Mexico_City": ("MX", None),
    "Africa/Lagos": ("NG", None),
    "Asia/Manila": ("PH", None),
    "Asia/Singapore": ("SG", None),
    "Asia/Bangkok": ("TH", None),
    "Asia/Taipei": ("TW", None),
    "America/New_York": ("US", "FL"),
    "America/Los_Angeles": ("US", "CA"),
    "America/Chicago": ("US", "TX"),
    "Asia/Ho_Chi_Minh": ("VN", None),
    "Europe/Berlin": ("DE", None),
    "Europe/Warsaw": ("PL", None),
}
# Where clocks change on other days: in the north and in the south, an hour that is missing and one that comes twice.
CHANGES = {
    "Australia/Sydney": (date(2026, 4, 5), date(2026, 10, 4)),
    "Europe/London": (date(2026, 10, 25),),
    "Europe/Berlin": (date(2026, 10, 25),),
    "America/New_York": (date(2026, 3, 8), date(2026, 11, 1)),
    "America/Los_Angeles": (date(2026, 3, 8), date(2026, 11, 1)),
}
DAYS = (date(2026, 3, 29), date(2026, 4, 3), date(2026, 4, 4), date(2026, 4, 7), date(2026, 5, 1), date(2026, 12, 25))
EVERY_DAY = {*DAYS, *(day for days in CHANGES.values() for day in days)}
MINUTES = tuple(range(0, 24 * 60, 60)) + tuple(hour * 60 + minute for hour in (8, 9, 18, 19, 20, 21) for minute in (30, 59))


def instants(zone: str) -> list[datetime]:
    return sorted(
        {
            (datetime.combine(day, datetime.min.time(), ZoneInfo(zone)) + timedelta(minutes=minutes)).replace(fold=fold).astimezone(UTC)
            for day in (*DAYS, *CHANGES.get(zone, ()))
            for minutes in MINUTES
            for fold in (0, 1)
        }
    )


def judged(folder: Path, channel: str) -> dict[str, set[str]]:
    """Case → rules that forbid it because of the hour."""
    cases = [
        {
            "id": f"{zone} {at.isoformat()}",
            "creditor_role": "first_party",
            "loans": [{"id": "L1", "product": "wallet_credit", "currency": "USD", "past_due": 10500, "days_past_due": 5}],
            "borrower": {"country": country, **({"region": region} if region else {}), "known_zone": zone},
            "proposed": {
                "at": at.isoformat(),
                "channel": channel,
                "loans": ["L1"],
                "party": "borrower",
                "purpose": "collection",
                "automated": True,
            },
        }
        for zone, (country, region) in PLACES.items()
        for at in instants(zone)
    ]
    file = folder / "cases.yaml"
    file.write_text(yaml.safe_dump(cases))
    read, packs = read_rule_cases(file), rule_packs()
    return {
        answer["id"]: {rule["rule"] for rule in answer["blocked_by"] if rule["kind"] == "window"}
        for answer in answers(read.ids, read.facts, read.candidates, packs)
    }


def audited(portfolio: Portfolio, channel: str) -> dict[str, set[str]]:
    """The same, by the auditor."""
    heard, places = [], {}
    for serial, (zone, (country, region)) in enumerate(PLACES.items()):
        number = made_up_number("TW", serial)
        party = portfolio.borrower(country="TW", number=number, push=False).party_id
        with connection() as tx:
            tx.execute(
                text("UPDATE party_version SET country = :country, region = :region, known_zone = :zone WHERE party_id = :party"),
                {"country": country, "region": region, "zone": zone, "party": party},
            )
        for at in instants(zone):
            key = f"{zone} {at.isoformat()}"
            places[key] = zone
            heard.append(Received(channel=channel, blind_index=vault.blind_index(number), provider_id=key, at=at))
    found: defaultdict[str, set[str]] = defaultdict(set)
    with connection() as tx:
        for violation in find_violations(tx, heard, audit_limits(min(EVERY_DAY), max(EVERY_DAY))):
            if violation.check == "outside_hours":
                found[str(violation.provider_id)].add(str(violation.detail))
    return {key: found[key] for key in places}


@pytest.mark.parametrize("channel", ["sms", "voice"])
def test_auditor_and_judge_forbid_the_same_hours(portfolio: Portfolio, tmp_path: Path, channel: str) -> None:
    # One sentence of a law may be several rules; answers name the law's.
    law = {rule.id: rule.part_of or rule.id for pack in rule_packs().packs for rule in pack.rules}
    # Where a rule forbids, an answer leaves out those that only ask for a person.
    asking = {rule.id for pack in rule_packs().packs for rule in pack.rules if rule.outcome == "review"}
    expected, by_rule = judged(tmp_path, channel), audited(portfolio, channel)
    found = {key: {law[rule] for rule in (rules - asking or rules)} for key, rules in by_rule.items()}
    assert len(expected) > 4000
    differing = {key: (sorted(expected[key]), sorted(found[key])) for key in expected if expected[key] != found[key]}
    assert differing == {}
    forbidden = sum(bool(rules) for rules in expected.values())
    assert 0.3 < forbidden / len(expected) < 0.9
    # Every window that is proved again was seen to forbid something.
    windows = {window.scope.rule for window in audit_limits(min(EVERY_DAY), max(EVERY_DAY)).windows if channel in window.scope.channels}
    seen = set().union(*by_rule.values())
    assert windows - seen <= WITHOUT_A_CASE


# Another state's, another product's, an agency's.
WITHOUT_A_CASE = {"BR-RJ-HOURS", "BR-SP-HOURS", "IN-MFI-HOURS", "PH-BSP-HOURS", "US-MA-HOURS", "US-WA-HOURS"}
