"""Retention: what is kept long enough ends, in batches and not before, and whose day has come is erased."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from config.load import ConfigError
from config.retention import RETENTION, retention_policy
from decisions.retention import RecordDuty, keeping
from flows.retention import retention
from ledger import inbox
from ledger.engine import connection
from ledger.inbox import Said
from ledger.retention import OVER, end
from tasks.erasure import ask_erasure
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sending import Outbox

DAYS = retention_policy().days


def kept(outbox: Outbox) -> list[str]:
    return [row.provider_id for row in outbox.rows(
        "SELECT e.provider_id FROM provider_event e JOIN provider_event_payload p ON p.provider_event_id = e.id ORDER BY e.id"
    )]  # fmt: skip


@pytest.fixture
def callbacks(portfolio: Portfolio, outbox: Outbox) -> list[str]:
    """Twelve callbacks: five of too long ago, one of them never heard; the sixth of the last day that counts."""
    portfolio.clock(noon("US"))
    names = [f"SM{number:02}" for number in range(12)]
    told = [
        Said(provider="twilio", provider_id=name, kind="status", status="sent", token=None, error_code=None, fields={}) for name in names
    ]
    with connection() as tx:
        inbox.keep(tx, told)
        tx.execute(text("UPDATE provider_event SET applied_at = received_at WHERE provider_id <> 'SM00'"))
        old = {"old": names[:5], "nearly": names[5:6], "days": DAYS["raw_callbacks"]}
        tx.execute(_AGE, old)
    assert kept(outbox) == names
    return names


@pytest.mark.usefixtures("prefect_server")
def test_what_is_over_ends_in_batches_and_what_nobody_has_heard_stays(callbacks: list[str], portfolio: Portfolio, outbox: Outbox) -> None:
    her = portfolio.borrower()
    with connection() as tx:
        tx.execute(text("UPDATE loan_version SET servicing_status = 'paid'"))
    ask_erasure(f"#{her.party_id}", by="anna", reference="letter 1")

    assert retention(TODAY, dry_run=True)["raw_callbacks"] == 4
    assert kept(outbox) == callbacks
    with connection() as tx:
        assert end(tx, "raw_callbacks", days=DAYS["raw_callbacks"], at_most=3) == 3
    assert retention(TODAY) == {**dict.fromkeys(OVER, 0), "raw_callbacks": 1, "erased": 0, "waiting": 1, "archived": 0}
    assert kept(outbox) == [callbacks[0], *callbacks[5:]]

    # She is erased on her day, and not on the day before.
    last = TODAY.replace(year=TODAY.year + 3) - timedelta(days=60)  # the portfolio's facts took effect sixty days before
    assert retention(last - timedelta(days=1))["erased"] == 0
    assert retention(last + timedelta(days=1)) == {**dict.fromkeys(OVER, 0), "erased": 1, "waiting": 0, "archived": 0}
    assert outbox.rows("SELECT 1 FROM party_key") == []


def test_every_kind_of_row_has_days_and_every_days_a_kind_of_row() -> None:
    assert set(DAYS) == set(OVER)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("{where: house,", "{where: ZZ,"), "the house has no years"),
        (("{where: CN,", "{where: US,"), "US stands twice"),
        (("  page_codes: 90 ", "  #"), "says nothing of page_codes"),
        (("raw_callbacks: 30", "raw_callbacks: 0"), "raw_callbacks"),
    ],
)
def test_a_file_that_would_keep_somebody_for_ever_or_nothing_is_refused(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    file = tmp_path / "retention.yaml"
    content = RETENTION.read_text()
    assert change[0] in content
    file.write_text(content.replace(*change))
    with pytest.raises(ConfigError, match=says):
        retention_policy(file)


def test_the_longest_duty_counts_and_an_unknown_place_has_the_houses_years() -> None:
    duties = (
        RecordDuty(where="house", years=10, source="ours", confidence="R"),
        RecordDuty(where="US", years=3, source="Reg F", confidence="V1"),
        RecordDuty(where="US-XX", years=7, source="state", confidence="V2"),
    )
    day = TODAY.replace(month=2, day=28)
    assert (keeping({"US"}, day, duties).until.year, keeping({"US", "US-XX"}, day, duties).until.year) == (day.year + 3, day.year + 7)
    unknown = keeping({"ZZ"}, day, duties)
    assert (unknown.until.year, unknown.is_known, "does not mean that there is none" in unknown.in_words()) == (day.year + 10, False, True)
    leap = day.replace(year=2028, month=2, day=29)
    assert keeping({"US"}, leap, duties).until == leap.replace(year=2031, month=3, day=1)


_AGE = text("""
    UPDATE provider_event_payload p
    SET received_at = clock_timestamp() - make_interval(days => :days) + CASE WHEN e.provider_id = ANY(:old)
        THEN interval '-1 minute' ELSE interval '1 hour' END
    FROM provider_event e WHERE e.id = p.provider_event_id AND e.provider_id = ANY(CAST(:old AS text[]) || CAST(:nearly AS text[]))
""")
