"""`tideover plans`: what was offered, by which figures and why, for whoever is asked about it."""

from __future__ import annotations

from datetime import timedelta

from typer.testing import CliRunner

from config.affordability import plan_policy
from decisions.means import Declared
from ledger import plan_offers, plans
from ledger.engine import connection
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tideover import app

OWN = Declared(income_minor=160_000, essential_minor=100_000, debts_minor=0, cycle="weekly", next_income_on=TODAY + timedelta(days=5))


def test_an_offer_is_shown_with_its_figures_and_reasons_and_a_plan_with_how_it_stands(portfolio: Portfolio) -> None:
    portfolio.clock(noon("US"))
    her = portfolio.borrower()
    with connection() as tx:
        offer = plan_offers.make(tx, her.party_id, her.loan_id, OWN, plan_policy(), at=noon("US"), channel="sms")
        assert offer is not None
        plans.choose(tx, her.party_id, offer, 0, plan_policy(), at=noon("US"))
    shown = CliRunner().invoke(app, ["plans", "show", f"#{her.party_id}"])
    assert shown.exit_code == 0
    for said in (
        "plan, a choice was taken",
        "figures from borrower",
        "open 105.00 USD; a month: comes in 1600.00 USD, cannot wait 1286.31 USD (the floor),",
        "because: income, needs, half",
        "105.00 USD in all",
        "of loan 1: plan, accepted",
    ):
        assert said in shown.output
    assert CliRunner().invoke(app, ["plans", "show", "#99"]).exit_code == 2
    nobody = portfolio.borrower()
    assert "no plan was offered" in CliRunner().invoke(app, ["plans", "show", f"#{nobody.party_id}"]).output
