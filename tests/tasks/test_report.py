"""A stage's day on one page: what is there is said, what is not known is said to be unknown, and nothing personal stands in it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from config import prices as price_file
from decisions.prices import Price
from ledger.aging_facts import age_portfolio
from ledger.engine import connection
from tasks import report
from tasks.markdown import table
from tasks.pictures import roll_picture
from tasks.report import read_stage_day
from tasks.report_page import page
from tests.plugins.portfolio import INSTALMENT_MINOR, INTEREST_MINOR, TODAY, Portfolio, noon
from tests.plugins.sending import Outbox

WEEK_AGO = TODAY - timedelta(days=7)
PHONE = "+12125550143"


@pytest.fixture
def day(portfolio: Portfolio, outbox: Outbox) -> int:
    """A run: one message was delivered and brought the money in, one was withheld, one person had paid before. Returns the run."""
    portfolio.clock(noon("US"))
    reached, withheld, cured = (portfolio.borrower(days_past_due=10, number=number) for number in (PHONE, None, None))
    age_portfolio(WEEK_AGO)
    portfolio.payment(cured.loan_id, INSTALMENT_MINOR + INTEREST_MINOR, paid_on=TODAY - timedelta(days=1))
    age_portfolio(TODAY)
    run = outbox.run()
    sent, stopped = outbox.plan(run, reached), outbox.plan(run, withheld)
    with connection() as tx:
        tx.execute(
            text("UPDATE attempt SET state = 'delivered', submitted_at = :at, segments = 2 WHERE id = :id"), {"id": sent, "at": noon("US")}
        )
        tx.execute(
            text("""UPDATE attempt SET state = 'withheld', permit = '{"blocked_by": ["US-REGF-7IN7"]}' WHERE id = :id"""), {"id": stopped}
        )
        # What people answered to "Did this help?": a moment before, and before the four weeks that count.
        asked = {"parties": [reached.party_id, withheld.party_id], "old": cured.party_id, "at": noon("US")}
        tx.execute(
            text("""INSERT INTO helped (party_id, about, about_id, has_helped, at)
                    SELECT id, 'case', 1, id = (CAST(:parties AS bigint[]))[1], CAST(:at AS timestamptz) - interval '1 minute'
                    FROM party WHERE id = ANY(:parties)
                    UNION ALL SELECT :old, 'case', 2, true, CAST(:at AS timestamptz) - interval '29 days'"""),
            asked,
        )
    portfolio.contact(cured.party_id, noon("US", TODAY - timedelta(days=2)))
    portfolio.contact(reached.party_id, noon("US", TODAY - timedelta(days=2)))
    return run


def test_the_page_says_what_the_day_came_to(day: int) -> None:
    told = page(read_stage_day(day))
    assert told.startswith("# early 2026-03-17\n\n**SANDBOX**: nobody real is contacted.")
    assert "2 borrowers were looked at, 1 left in peace, 1 message went out to 1." in told
    assert f"- campaign run {day}: open" in told
    assert "| sms | withheld | US-REGF-7IN7 | 1 |" in told
    assert "## Roll rates from 2026-03-10 to 2026-03-17" in told
    assert "| **M1** (3) | 33.3 % (1) | 66.7 % (2) |" in told
    for row in (
        "| figure | since 2026-03-10 |",
        "| accounts cured | 33.3 % (1 of 3) |",
        "| of the balance, USD | 33.3 % (210.00 of 630.00) |",
        "| M1: rolled forward | 0.0 % (0 of 3) |",
        "| borrowers cured | 1 |",
        "| contacts in between | 2 |",
        "| contacts per cured borrower | 2.0 |",
    ):
        assert row in told
    assert "| US-REGF-7IN7 | 1 | " in told
    assert "| US-REGF-7IN7 | 1 | – |" not in told
    assert "No hold-out yet" in told
    assert "| stops | 0 | 0.0 | 0.0 |" in told
    assert "| a case that was closed | 1 | 2 |" in told
    assert "2 segments of unknown price" in told
    assert PHONE[2:] not in told


def test_a_price_makes_a_cost(day: int, monkeypatch: pytest.MonkeyPatch) -> None:
    price = Price(channel="sms", country="US", since=WEEK_AGO, currency="USD", minor_per_1000=790, source="test")
    monkeypatch.setattr(report, "prices", lambda: (*price_file.prices(), price))
    assert "| all messages | 2 | USD 0.02 |" in page(read_stage_day(day))


def test_a_run_without_anybody_has_a_page_too(portfolio: Portfolio, outbox: Outbox) -> None:
    portfolio.clock(noon("US"))
    found = read_stage_day(outbox.run(stage="pre_due", scope="TW"))
    assert (found.title, found.key) == ("pre_due TW 2026-03-17", "pre-due-tw-2026-03-17")
    told = page(found)
    for said in (
        "Nothing was planned.",
        "Whatever was planned went out.",
        "there is nothing to compare with yet",
        "None fell due.",
        "Nobody was contacted.",
    ):
        assert said in told
    assert roll_picture(found.rolls, title=found.title) is None


def test_where_loans_went_is_a_picture(day: int) -> None:
    png = roll_picture(read_stage_day(day).rolls, title="early")
    assert png is not None
    assert png.startswith(b"\x89PNG\r\n")


def test_a_cell_cannot_break_its_table() -> None:
    assert list(table([{"what": "a|b\nc", "count": 1_000}])) == ["| what | count |", "| --- | ---: |", "| a\\|b c | 1,000 |"]
