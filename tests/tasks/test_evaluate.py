"""Evaluate: another strategy weighed by the log, by the facts of each decision; or the reason why the log cannot tell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from prefect.logging import disable_run_logger
from sqlalchemy import text
from typer.testing import CliRunner

from config.evaluation import evaluation
from config.message_files import message_texts
from config.policies import Policy, policies
from config.settings import settings
from config.strategy_files import STRATEGIES, strategy_of
from decisions.choose import decide
from ledger import model_versions
from ledger.aging_facts import age_portfolio
from ledger.approvals import MODEL
from ledger.campaigns import open_run, read_run, read_shard, shard_borrowers
from ledger.decisions_log import write_decisions
from ledger.engine import arrow, connection
from ledger.facts import read_facts
from ledger.law import law_in_force
from ledger.outbox import wall_clock
from tasks.evaluate import Asked, EvaluationRefused, evaluate_strategy
from tasks.pick import pick
from tests.ledger.test_model_versions import trained
from tests.plugins.portfolio import INSTALMENT_MINOR, INTEREST_MINOR, TODAY, BorrowerIds, Portfolio, noon
from tests.tasks.test_choose_learned import kept, model
from tideover import app

LADDER = (STRATEGIES / "static-ladder" / "early.yaml").read_text()
EXPLORING = LADDER.replace("exploration: 0.0 ", "exploration: 0.6 ")
POLICY = evaluation()
# What a handful of decisions can pass.
EASY = replace(POLICY, limits=replace(POLICY.limits, ess_min=0, ess_share_min=0, one_borrower_max=1, mean_weight_off_max=9))
PEOPLE = 24
LATER = TODAY + timedelta(days=10)
WRITTEN = ("decision", "attempt", "campaign_run", "policy_version", "loan_aging", "backfill")


@pytest.fixture(autouse=True)
def _quietly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TIDEOVER_BUSINESS_ZONE", "America/New_York")
    settings.cache_clear()
    with disable_run_logger():
        yield


def decided(portfolio: Portfolio, body: str, on: date = TODAY, *, beside: tuple[Policy, ...] = ()) -> int:
    """A day of the early stage, decided by a strategy's text; `beside` are further policies of the run. Returns the run."""
    at = noon("US", on)
    portfolio.clock(at)
    others = [policy for policy in policies("early") if policy.kind != "strategy"]
    treatment = strategy_of("tried", "early", body, Path("tried"))
    with connection() as tx:
        named = (*others, *beside, Policy("strategy", "tried/early", body))
        run = open_run(tx, stage="early", business_date=on, preview=False, borrowers_max=None, policies=named, at=at)
    for shard in pick.fn(run):
        with connection() as tx:
            opened, part, law, known_at = read_run(tx, run), read_shard(tx, run, shard), law_in_force(tx), wall_clock(tx)
        with arrow() as source:
            facts = read_facts(source, parties=shard_borrowers(source, opened, part), at=at, business_date=on, loans="planned")
        rows = decide(facts, treatment, law.packs, message_texts(), at=at, business_date=on, seed=opened.seed.encode())
        with connection() as tx:
            write_decisions(tx, run, shard, rows, at=at, facts_known_at=known_at)
    return run


def file(tmp_path: Path, body: str) -> Path:
    folder = tmp_path / "tried"
    folder.mkdir(exist_ok=True)
    written = folder / "early.yaml"
    written.write_text(body)
    return written


@pytest.fixture
def people(portfolio: Portfolio) -> list[BorrowerIds]:
    """Borrowers, decided by a log that explores; every third paid two days later, all of them after the window."""
    who = [portfolio.borrower(days_past_due=5) for _ in range(PEOPLE)]
    decided(portfolio, EXPLORING)
    for number, one in enumerate(who):
        if number % 3 == 0:
            portfolio.payment(one.loan_id, INSTALMENT_MINOR + number, paid_on=TODAY + timedelta(days=2))
        portfolio.payment(one.loan_id, 999, paid_on=TODAY + timedelta(days=7))
    portfolio.clock(noon("US", LATER))
    return who


def log() -> dict[int, tuple[str, float, dict[str, float]]]:
    """Party → channel taken, its probability, all probabilities."""
    with connection() as tx:
        rows = tx.execute(text("SELECT party_id, coalesce(channel, 'none') AS channel, probability, propensities FROM decision")).all()
    return {row.party_id: (row.channel, row.probability, row.propensities) for row in rows}


def test_a_strategy_that_always_sends_is_weighed_as_by_hand(people: list[BorrowerIds], tmp_path: Path) -> None:
    found = evaluate_strategy(Asked(file=file(tmp_path, LADDER)), policy=EASY)
    took = log()
    assert {channel for channel, _, _ in took.values()} == {"sms", "push", "none"}
    paid = [INSTALMENT_MINOR + number if number % 3 == 0 else 0 for number in range(PEOPLE)]
    # The ladder sends an SMS on the fifth day: only those who got one count, each for as many as stand behind her.
    weights = [1 / took[one.party_id][1] if took[one.party_id][0] == "sms" else 0 for one in people]
    said = {one.estimator: one.value for one in found.outcomes["money"].estimates}
    weighed = sum(weight * amount for weight, amount in zip(weights, paid, strict=True))
    assert said["IPW"] == pytest.approx(weighed / PEOPLE)
    assert said["SNIPW"] == pytest.approx(weighed / sum(weights))
    assert found.outcomes["money"].logged == pytest.approx(sum(paid) / PEOPLE)
    assert found.currency == "USD"
    assert found.outcomes["money"].diagnostics.unsupported == 0
    assert found.outcomes["contacts"].logged == 0
    assert found.outcomes["complaints_and_opt_outs"].refused is None


def test_the_same_strategy_is_worth_what_the_log_shows(people: list[BorrowerIds], tmp_path: Path) -> None:
    found = evaluate_strategy(Asked(file=file(tmp_path, EXPLORING)), policy=EASY).outcomes["money"]
    assert found.diagnostics.agreeing == 1
    assert found.diagnostics.ess == pytest.approx(len(people))
    assert found.estimates[0].value == pytest.approx(found.logged)


def test_another_text_by_the_same_way_is_another_arm(people: list[BorrowerIds], tmp_path: Path) -> None:
    other = LADDER.replace(
        "{from_day: 4,  channel: sms,  message: early_reminder, ", "{from_day: 4,  channel: sms,  message: early_need_time, "
    )
    assert other != LADDER
    found = evaluate_strategy(Asked(file=file(tmp_path, other)), policy=EASY).outcomes["money"]
    assert found.diagnostics.unsupported == 1
    assert found.refused is not None
    assert "was never tried in that place" in found.refused
    assert len(people) == found.diagnostics.decisions


@pytest.mark.parametrize("sms", [1.5, -1.5])
def test_a_strategy_that_asks_another_kind_of_model_than_the_log_had_is_weighed_by_the_one_in_force(
    portfolio: Portfolio, tmp_path: Path, sms: float
) -> None:
    for _ in range(PEOPLE):
        portfolio.borrower(days_past_due=5)
    logged_by = model(sms=1.5)
    decided(portfolio, EXPLORING, beside=(Policy(MODEL, "paid_7d", logged_by.as_json()),))
    portfolio.clock(noon("US", LATER))
    kept(model(sms=sms, kind="paid_30d"))
    shipped = (STRATEGIES / "learned" / "early.yaml").read_text().replace("  model: paid_7d ", "  model: paid_30d ")
    found = evaluate_strategy(Asked(file=file(tmp_path, shipped)), policy=EASY).outcomes["money"]
    # What this model makes it send was never tried in the log; leaving people in peace was.
    assert (found.diagnostics.decisions, found.diagnostics.unsupported > 0.5) == (PEOPLE, sms > 0)


def test_a_model_that_may_have_learned_from_the_days_it_is_judged_by_is_named(people: list[BorrowerIds], tmp_path: Path) -> None:
    del people
    with connection() as tx:
        model_versions.keep(tx, replace(trained(), model=model(sms=-1.5)), seed=1, as_of=noon("US", TODAY - timedelta(days=1)))
        model_versions.keep(
            tx, replace(trained(), model=model(sms=-1.5, kind="paid_30d")), seed=1, as_of=noon("US", TODAY + timedelta(days=1))
        )
    shipped = (STRATEGIES / "learned" / "early.yaml").read_text()
    assert evaluate_strategy(Asked(file=file(tmp_path, shipped)), policy=EASY).seen == {}
    by_month = file(tmp_path, shipped.replace("  model: paid_7d ", "  model: paid_30d "))
    assert evaluate_strategy(Asked(file=by_month), policy=EASY).as_json()["seen"] == {"paid_30d": (TODAY + timedelta(days=1)).isoformat()}
    said = CliRunner().invoke(app, ["evaluate", "--strategy", str(by_month)])
    assert f"the model of paid_30d was trained as of {TODAY + timedelta(days=1)} and may have learned from these days" in said.stdout


def test_a_model_that_there_is_not_is_said_before_the_log_is_read(people: list[BorrowerIds], tmp_path: Path) -> None:
    del people
    shipped = (STRATEGIES / "learned" / "early.yaml").read_text().replace("  model: paid_7d ", "  model: paid_30d ")
    with pytest.raises(EvaluationRefused, match="there is no model of paid_30d: train one"):
        evaluate_strategy(Asked(file=file(tmp_path, shipped)), policy=EASY)


def test_a_log_of_few_decisions_is_refused_by_the_shipped_limits(people: list[BorrowerIds], tmp_path: Path) -> None:
    found = evaluate_strategy(Asked(file=file(tmp_path, LADDER)))
    told = found.as_json()
    assert told["estimates"] == []
    assert "more of it is needed" in told["refused"]
    assert 0 < told["ess"] < len(people)
    assert set(told["outcomes"]) == {"money", "complaints_and_opt_outs", "contacts", "cured_7_days", "cured_30_days"}


def test_a_ladder_that_leaves_nothing_to_chance_says_nothing_of_another_one(portfolio: Portfolio, tmp_path: Path) -> None:
    for _ in range(5):
        portfolio.borrower(days_past_due=5)
    decided(portfolio, LADDER)
    portfolio.clock(noon("US", LATER))
    gentler = LADDER.replace("from_day: 4, ", "from_day: 9, ")
    found = evaluate_strategy(Asked(file=file(tmp_path, gentler)), policy=EASY).outcomes["money"]
    assert found.diagnostics.unsupported == 1
    assert found.refused is not None
    assert "left nothing to chance there" in found.refused


def test_what_is_not_over_yet_is_not_read(people: list[BorrowerIds], portfolio: Portfolio, tmp_path: Path) -> None:
    asked = Asked(file=file(tmp_path, LADDER), since=TODAY, until=TODAY)
    portfolio.clock(noon("US", TODAY + timedelta(days=11)))
    assert evaluate_strategy(asked, policy=EASY).outcomes["money"].refused is None
    longer = replace(EASY, posting_days=9)
    refused = evaluate_strategy(asked, policy=longer).outcomes["money"].refused
    assert refused is not None
    assert "is not known yet" in refused
    assert "2026-03-12" in refused
    assert evaluate_strategy(replace(asked, until=None, since=None), policy=longer).outcomes["money"].diagnostics.decisions == 0
    assert people


def test_a_cure_is_read_from_the_dates_that_were_aged(people: list[BorrowerIds], tmp_path: Path) -> None:
    before = evaluate_strategy(Asked(file=file(tmp_path, LADDER)), policy=EASY).outcomes["cured_7_days"]
    assert before.refused is not None
    assert "were aged" in before.refused
    age_portfolio(TODAY + timedelta(days=7))
    after = evaluate_strategy(Asked(file=file(tmp_path, LADDER)), policy=EASY).outcomes["cured_7_days"]
    assert after.refused is None
    enough = sum(number % 3 == 0 and INSTALMENT_MINOR + number + 999 >= INSTALMENT_MINOR + INTEREST_MINOR for number in range(PEOPLE))
    assert after.logged == pytest.approx(enough / PEOPLE)
    assert people


def test_it_writes_nothing(people: list[BorrowerIds], tmp_path: Path) -> None:
    def rows() -> list[object]:
        with connection() as tx:
            return [tx.execute(text(f"SELECT count(*), max(xmin::text) FROM {table}")).one() for table in WRITTEN]  # noqa: S608

    before = rows()
    evaluate_strategy(Asked(file=file(tmp_path, LADDER.replace("gap_days: 3 ", "gap_days: 5 "))), policy=EASY)
    assert rows() == before
    assert people


def test_a_preview_and_another_creditors_borrowers_do_not_count(people: list[BorrowerIds], tmp_path: Path) -> None:
    asked = Asked(file=file(tmp_path, LADDER))
    assert (
        evaluate_strategy(replace(asked, creditor="lender-US-first_party"), policy=EASY).outcomes["money"].diagnostics.decisions == PEOPLE
    )
    with pytest.raises(EvaluationRefused, match="no creditor has that id"):
        evaluate_strategy(replace(asked, creditor="somebody"), policy=EASY)
    with connection() as tx:
        tx.execute(text("UPDATE campaign_run SET preview = true"))
    found = evaluate_strategy(asked, policy=EASY)
    assert found.as_json()["refused"] == "no decision of that time and kind is in the log"
    assert people


def test_a_log_that_is_too_young_says_from_when_on_it_can_be_asked(portfolio: Portfolio, tmp_path: Path) -> None:
    portfolio.borrower(days_past_due=5)
    decided(portfolio, EXPLORING)
    found = evaluate_strategy(Asked(file=file(tmp_path, LADDER)), policy=EASY)
    assert found.as_json()["refused"] == (
        "what came of decisions is known 9 days after them, and the log's first one is of 2026-03-17: ask again from 2026-03-26 on"
    )


def test_on_the_terminal(people: list[BorrowerIds], tmp_path: Path) -> None:
    written = str(file(tmp_path, LADDER))
    answer = CliRunner().invoke(app, ["evaluate", "--strategy", written, "--json"])
    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.stdout)
    assert {"estimates", "ess", "refused"} <= set(told)
    words = CliRunner().invoke(app, ["evaluate", "--strategy", written])
    assert "the log cannot tell: the log says as much as" in words.output
    broken = tmp_path / "broken" / "mine.yaml"
    broken.parent.mkdir()
    broken.write_text(LADDER.replace("gap_days: 3 ", "gap_days: 0 "))
    said = CliRunner().invoke(app, ["evaluate", "--strategy", str(broken)])
    assert said.exit_code
    assert f"{broken}:" in said.output.replace("\n", "")
    wrong = CliRunner().invoke(app, ["evaluate", "--strategy", str(tmp_path / "nothing.yaml")])
    assert wrong.exit_code == 2
    assert "neither a strategy's file nor a folder of them" in wrong.output
    assert people
