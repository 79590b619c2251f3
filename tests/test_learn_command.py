"""`tideover learn`: from decisions in the ledger to a model that is kept, shown and approved."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from config.learning import learning_terms
from decisions.learning import Terms
from ledger.engine import connection
from tasks import learn as steps
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.sending import Outbox
from tideover import app

LATER = TODAY + timedelta(days=20)
PEOPLE = 60


def learn(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["learn", *arguments])


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few people are enough here."""
    terms: Terms = replace(learning_terms(), rows_min=40, people_min=30, of_each_min=8, folds=2, rounds=3, rows_a_leaf=5, group_min=5)
    monkeypatch.setattr(steps, "learning_terms", lambda: terms)


@pytest.fixture
def decided(portfolio: Portfolio, outbox: Outbox) -> list[BorrowerIds]:
    """People who were written to on two days; whoever is less late pays."""
    portfolio.clock(noon("US", LATER))
    people = [portfolio.borrower(days_past_due=2 + number % 25, consent=(), push=False) for number in range(PEOPLE)]
    for day in (TODAY, TODAY + timedelta(days=8)):
        run = outbox.run(business_date=day)
        for who in people:
            outbox.plan(run, who)
    with connection() as tx:
        tx.execute(text("UPDATE decision SET facts_known_at = now(), probability = 0.5"))
    for number, who in enumerate(people):
        if number % 25 < 12 or number % 7 == 0:
            portfolio.payment(who.loan_id, 3_000, paid_on=TODAY + timedelta(days=2))
            portfolio.payment(who.loan_id, 3_000, paid_on=TODAY + timedelta(days=10))
    return people


@pytest.mark.usefixtures("small", "decided")
def test_a_model_is_trained_kept_once_shown_and_approved_by_two() -> None:
    dry = learn("train", "paid_7d", "--dry-run")
    assert (dry.exit_code, "not kept: a dry run" in dry.output) == (0, True), dry.output
    assert learn("list").output == ""
    trained = json.loads(learn("train", "paid_7d", "--json").stdout)
    assert trained["is_new"]
    assert trained["metrics"]["auc"] > 0.6
    again = json.loads(learn("train", "paid_7d", "--json").stdout)
    assert (again["version"], again["is_new"]) == (trained["version"], False)
    version = trained["version"]
    (listed,) = [json.loads(line) for line in learn("list", "--json").stdout.splitlines()]
    assert (listed["version"], listed["data_hash"], listed["approved"]) == (version, trained["data_hash"], False)
    assert "nobody has asked" in learn("list").output
    shown = learn("show", version[:8])
    assert "days_past_due" in shown.output
    assert json.loads(learn("show", version[:8], "--json").stdout)["model"]["name"] == "paid_7d"
    # So few rows make a model that errs for everybody who speaks English: yes is said with a reason, or not at all.
    assert "errs for language en" in shown.output
    assert "calibration error" in shown.output
    refused = learn("approve", version[:8], "--by", "Ada")
    assert (refused.exit_code, "says why, with --reason" in refused.output) == (2, True)
    because = ("--reason", "to be tried on staff alone")
    assert "waits for a second person" in learn("approve", version[:8], "--by", "Ada", *because).output
    assert learn("approve", version[:8], "--by", "Ada", *because).exit_code == 2
    assert "approved: Ada and Grace" in learn("approve", version[:8], "--by", "Grace", *because).output


def test_thin_data_are_told_and_unknown_names_refused(decided: list[BorrowerIds]) -> None:
    assert len(decided) == PEOPLE
    thin = learn("train", "paid_7d")
    assert (thin.exit_code, "no model: 120 rows" in thin.output) == (0, True), thin.output
    assert json.loads(learn("train", "paid_7d", "--json").stdout)["refused"]
    for arguments in (("train", "sex"), ("show", "abcdef"), ("approve", "abc", "--by", "Ada")):
        assert learn(*arguments).exit_code == 2
