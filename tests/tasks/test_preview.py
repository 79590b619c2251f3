"""The preview: every count is the ledger's, and nobody can be recognised by what it shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from prefect.logging import disable_run_logger
from sqlalchemy import text

from config.policies import policies
from decisions.preview import MASKED_LINK, shown_amount
from decisions.prices import Price
from ledger.campaigns import open_run, read_run
from ledger.engine import connection
from ledger.run_standings import standing
from tasks.choose import choose
from tasks.pick import pick
from tasks.preview import page, read_preview
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.tasks.test_choose_learned import decided, kept, model

PRICES = (Price(channel="sms", country="US", since=TODAY, currency="USD", minor_per_1000=790, source="test"),)


@pytest.fixture(autouse=True)
def _quietly() -> Iterator[None]:
    with disable_run_logger():
        yield


def shown(*, days: int = 0, preview: bool = False) -> str:
    """The page of the early stage's run, decided on a day."""
    with connection() as tx:
        run_id = open_run(
            tx,
            stage="early",
            business_date=TODAY + timedelta(days=days),
            preview=preview,
            borrowers_max=None,
            policies=policies("early"),
            at=noon("US"),
            approval_above=0,
        )
    for shard in pick.fn(run_id):
        choose.fn(shard, run_id)
    with connection() as tx:
        stands, run = standing(tx, run_id), read_run(tx, run_id)
        return page(read_preview(tx, run, stands.name), run, stands, PRICES)


def lines(page: str, start: str) -> list[str]:
    return [line for line in page.splitlines() if line.startswith(start)]


def test_it_counts_who_is_contacted_how_at_what_cost_and_who_is_not(portfolio: Portfolio) -> None:
    portfolio.clock(noon("US"))
    for _ in range(3):
        portfolio.borrower(days_past_due=5, push=False)
    portfolio.borrower(days_past_due=2)
    stopped = portfolio.borrower(days_past_due=5, push=False)
    portfolio.opt_out(stopped.party_id)
    said = shown()
    assert said.startswith(f"# early {TODAY}: 4 contacts planned")
    assert "| sms | US | early_reminder | en | pay_link | 3 | 2.0 |" in said
    assert "| push | US | early_reminder | en | pay_link | 1 | 1.0 |" in said
    assert lines(said, "| borrowers looked at") == ["| borrowers looked at | 5 |  |  |"]
    assert lines(said, "| left in peace") == ["| left in peace | 1 |  |  |"]
    assert "HOUSE-OPTOUT` | 1 |" in said
    # Six segments at 0.79 cents, rounded up; the notification has no price here.
    assert "Cost, about: **USD 0.05 + 1 segments of unknown price**" in said
    assert "This is the first run of this stage." in said
    assert "tideover approve run" in said


def test_nobody_can_be_recognised_by_a_sample(portfolio: Portfolio) -> None:
    portfolio.clock(noon("US"))
    person = portfolio.borrower(days_past_due=5, push=False)
    said = shown()
    with connection() as tx:
        token = tx.execute(text("SELECT token FROM attempt")).scalar_one()
    assert MASKED_LINK in said
    assert "/b/" not in said
    assert str(token) not in said
    assert re.search(r"\+1\d", said) is None
    assert "Nobody Atall" not in said
    assert "$110.00" in said
    assert "$105.00" not in said, "an amount to the cent can be looked up"
    assert f"#{person.party_id}" not in said


def test_it_says_what_has_changed_since_the_last_run(portfolio: Portfolio) -> None:
    portfolio.clock(noon("US"))
    for _ in range(2):
        portfolio.borrower(days_past_due=5, push=False)
    shown()
    portfolio.borrower(days_past_due=8, push=False)
    said = shown(days=1)
    assert lines(said, "| would be contacted") == ["| would be contacted | 3 | 2 | +1 |"]
    assert lines(said, "| borrowers looked at") == ["| borrowers looked at | 3 | 2 | +1 |"]
    assert "Neither rules nor strategy nor texts; only people and days." in said
    with connection() as tx:
        tx.execute(
            text(
                'UPDATE campaign_run SET policy_hashes = policy_hashes || \'{"message/early_reminder/en": "older"}\' WHERE business_date = :on'
            ),
            {"on": TODAY},
        )
    assert "another text, rule or strategy: `message/early_reminder/en`" in shown(days=1)


def test_a_preview_says_that_it_sends_nothing_and_asks_for_no_answer(portfolio: Portfolio) -> None:
    portfolio.clock(noon("US"))
    portfolio.borrower(days_past_due=5, push=False)
    said = shown(preview=True)
    assert "A preview: nothing of it is sent." in said
    assert "tideover approve run" not in said


def test_it_shows_what_a_model_weighs_who_is_treated_otherwise_and_what_is_scarce(portfolio: Portfolio) -> None:
    version = kept(model(sms=1.5))
    run_id = decided(portfolio, people=60)
    with connection() as tx:
        stands, run = standing(tx, run_id), read_run(tx, run_id)
        found = read_preview(tx, run, stands.name)
    said = page(found, run, stands, PRICES)
    assert f"Model: `paid_7d` {version[:12]}" in said
    assert "| ordinary | learned | $50.00 | 1.65 % | 8 % |" in said
    assert "| $105.00 | $1.73 | $8.40 |" in said, "of what the median borrower owes"
    with connection() as tx:
        tx.execute(text("UPDATE run_policy SET prices = prices - 'medians'"))
        without = page(read_preview(tx, run, stands.name), run, stands, PRICES)
    assert "| ordinary | learned | $50.00 | 1.65 % | 8 % |" in without
    assert "A contact counts that share of what each borrower owes." in without
    assert "is set by people, in the strategy's file" in said
    assert found.weighed is not None
    treated = {one.group: (one.contacts, one.left_alone) for one in found.weighed.treated}
    assert next(iter(treated)) == "ordinary"
    assert "champion" in treated
    assert sum(map(sum, treated.values())) == found.borrowers == 60
    assert sum(contacts for contacts, _ in treated.values()) == found.contacts
    texts = sum(group.contacts for group in found.groups if group.channel == "sms")
    (spending,) = [one for one in found.weighed.scarce if one.pool.cap == "spending"]
    assert spending.planned == 2_000 * texts > 0
    (row,) = [line for line in said.splitlines() if "spending (USD)" in line]
    assert row.split(" | ")[2:5] == ["$1,000.00", spending.amount(spending.pool.expected), spending.amount(spending.planned)]
    assert row.endswith("| none: there is enough |")
    assert "`group:" not in said


def test_a_ladder_alone_weighs_nothing(portfolio: Portfolio) -> None:
    portfolio.clock(noon("US"))
    portfolio.borrower(days_past_due=5, push=False)
    assert "What a model weighs" not in shown()


@pytest.mark.parametrize(
    ("amount", "rounded"), [(None, None), (0, 0), (7, 7), (99, 99), (104, 100), (105, 110), (10_523, 11_000), (999_999, 1_000_000)]
)
def test_an_amount_keeps_its_first_two_digits(amount: int | None, rounded: int | None) -> None:
    assert shown_amount(amount) == rounded
