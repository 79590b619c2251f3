"""Experiments on the ledger: frozen at their start, borrowers in one arm, replayed, looked at on promised days, stopped by harm."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from prefect.logging import disable_run_logger
from sqlalchemy import text
from typer.testing import CliRunner

from config import experiment_files, strategy_files
from config.experiment_files import EXPERIMENTS
from config.strategy_files import STRATEGIES
from ledger import experiments
from ledger.engine import connection
from tasks.backfill_requests import THEN
from tasks.choose import choose
from tasks.experiments import LookRefused, look, take_looks
from tasks.explain import explain_borrower
from tasks.morning_items import stopped_arms
from tasks.pick import pick
from tasks.re_decide import decided_again
from tasks.record import StrategyRefused, open_campaign
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.tasks.test_choose_learned import kept, model, rows
from tideover import app

# A model against the ladder, and a ladder against it.
BY_MODEL = (
    (EXPERIMENTS / "learned-in-early.yaml")
    .read_text()
    .replace("from: 0.10, to: 0.30", "from: 0, to: 1")
    .replace("starts_on: 2027-02-01", "starts_on: 2026-03-16")
    .replace("looks_on: [2027-03-15, 2027-04-15, 2027-06-30]", "looks_on: [2027-04-15]")
)
BODY = BY_MODEL.replace("strategy: learned}", "strategy: every-channel}")


@pytest.fixture(autouse=True)
def _quietly() -> Iterator[None]:
    with disable_run_logger():
        yield


def only_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let experiments be those of a folder."""
    for what in ("experiment", "experiment_names", "experiment_body", "running"):
        monkeypatch.setattr(getattr(experiment_files, what), "__defaults__", (folder,))
    monkeypatch.setattr(experiment_files, "ALIKE", ("purpose",))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An experiment on everybody between two ladders, in a folder of its own."""
    write(tmp_path, BODY)
    only_in(tmp_path, monkeypatch)
    return tmp_path


def write(folder: Path, body: str) -> None:
    (folder / "learned-in-early.yaml").write_text(body)


def decided(portfolio: Portfolio, people: int = 20, named: str = "static-ladder") -> int:
    for _ in range(people):
        portfolio.borrower(days_past_due=12)
    portfolio.clock(noon("US"))
    run = open_campaign.fn("early", TODAY, preview=False, limit=None, named=named)
    for shard in pick.fn(run):
        choose.fn(shard, run)
    return run


def groups(run: int) -> dict[int, str]:
    with connection() as tx:
        rows = tx.execute(
            text("""SELECT d.party_id, one FROM decision d JOIN reason_set r ON r.id = d.reason_set_id, unnest(r.reasons) one
                    WHERE d.campaign_run_id = :run AND one LIKE 'group:%'"""),
            {"run": run},
        )
        return {row.party_id: row.one for row in rows}


def test_everybody_is_in_one_arm_and_the_run_replays(portfolio: Portfolio, folder: Path) -> None:
    del folder
    run = decided(portfolio)
    arms = groups(run)
    assert len(arms) == 20
    assert set(arms.values()) == {"group:experiment:learned-in-early/champion", "group:experiment:learned-in-early/challenger"}
    with connection() as tx:
        at, known_at = tx.execute(text("SELECT max(decided_at), max(facts_known_at) FROM decision")).one()
    request = {"stages": ["early"], "facts": "as known then", "policies": THEN, "instead": {}}
    assert decided_again(request, TODAY, at=at, known_at=known_at)[1].height == 0


@pytest.fixture
def another_with_models(folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The strategy with a model against one that asks other kinds of models, on whoever is not held out."""
    strategies = tmp_path_factory.mktemp("strategies") / "strategies"
    shutil.copytree(STRATEGIES, strategies)
    shutil.copytree(strategies / "learned", strategies / "by-month")
    early = strategies / "by-month" / "early.yaml"
    asks = early.read_text().replace("  model: paid_7d ", "  harm_model: harm_7d\n  model: paid_30d ")
    early.write_text(asks[: asks.index("  hold_outs:")] + asks[asks.index("approval:") :])
    for what in ("strategy", "strategy_names", "strategy_body", "stages_of"):
        monkeypatch.setattr(getattr(strategy_files, what), "__defaults__", (strategies,))
    by_month = BY_MODEL.replace("strategy: learned}", "strategy: by-month}").replace("strategy: static-ladder}", "strategy: learned}")
    write(folder, by_month.replace("from: 0, to: 1", "from: 0.10, to: 1"))


@pytest.mark.usefixtures("another_with_models")
@pytest.mark.parametrize(
    ("within_30_days", "harm", "are_texted"), [(1.5, -9.0, True), (-1.5, -9.0, False), (1.5, 2.0, False)], ids=["helps", "hinders", "harms"]
)
def test_every_arm_is_decided_by_the_models_that_its_own_strategy_asks(
    portfolio: Portfolio, within_30_days: float, harm: float, are_texted: bool
) -> None:
    for one in (model(sms=1.5), model(sms=within_30_days, kind="paid_30d"), model(sms=0.0, kind="harm_7d", without=harm)):
        kept(one)
    run = decided(portfolio, people=40, named="learned")
    arms = groups(run)
    texted: dict[str, list[bool]] = defaultdict(list)
    for row in rows(run):
        texted[arms.get(row["party_id"], "").rpartition("/")[2]].append(row["channel"] == "sms")
    assert min(len(texted["champion"]), len(texted["challenger"])) > 8
    assert sum(texted["champion"]) > len(texted["champion"]) / 2
    assert (sum(texted["challenger"]) > len(texted["challenger"]) / 2) == are_texted
    with connection() as tx:
        at, known_at = tx.execute(text("SELECT max(decided_at), max(facts_known_at) FROM decision")).one()
    request = {"stages": ["early"], "facts": "as known then", "policies": THEN, "instead": {}}
    assert decided_again(request, TODAY, at=at, known_at=known_at)[1].height == 0
    challenged = next(party for party, group in arms.items() if group.endswith("/challenger"))
    told = explain_borrower(f"#{challenged}", TODAY)
    assert (told["replays"], list(told["strategy"]["models"])) == (True, ["paid_30d", "harm_7d"])


@pytest.mark.usefixtures("another_with_models")
def test_a_run_is_refused_where_an_arm_asks_a_kind_of_model_that_there_is_not(portfolio: Portfolio) -> None:
    kept(model(sms=1.5))
    with pytest.raises(StrategyRefused, match="there is no model of paid_30d"):
        decided(portfolio, people=1, named="learned")


def test_an_edit_after_the_start_is_refused(portfolio: Portfolio, folder: Path) -> None:
    decided(portfolio, people=1)
    write(folder, BODY.replace("margin: 0.002", "margin: 0.2"))
    with pytest.raises(StrategyRefused, match="has begun with another file"):
        open_campaign.fn("early", date(2026, 3, 18), preview=False, limit=None, named="static-ladder")


def test_a_stopped_arms_borrowers_are_treated_by_the_champion_from_the_next_run_on(portfolio: Portfolio, folder: Path) -> None:
    del folder
    portfolio.clock(noon("US"))
    first = open_campaign.fn("early", date(2026, 3, 16), preview=False, limit=None, named="static-ladder")
    assert first
    with connection() as tx:
        experiments.write_look(tx, "learned-in-early", day=TODAY, number=1, verdicts={}, stopped=["challenger"])
    run = decided(portfolio)
    challengers = [party for party, group in groups(run).items() if group.endswith("/challenger")]
    assert challengers
    with connection() as tx:
        kept = tx.execute(text("SELECT trials FROM run_policy WHERE campaign_run_id = :run"), {"run": run}).scalar_one()
    assert kept == {"learned-in-early": ["challenger"]}


def test_a_look_is_taken_on_the_promised_day_alone_once(portfolio: Portfolio, folder: Path) -> None:
    with pytest.raises(LookRefused, match="has not begun"):
        look("learned-in-early")
    decided(portfolio)
    with pytest.raises(LookRefused, match="the next look is on 2027-04-15"):
        look("learned-in-early")
    write(folder, BODY)
    with connection() as tx:
        tx.execute(text("UPDATE policy_version SET body = replace(body, 'looks_on: [2027-04-15]', '') WHERE kind = 'experiment'"))
    tried = look("learned-in-early", dry_run=True)
    assert (tried["number"], tried["verdicts"], tried["borrowers"]) == (1, None, {"champion": 0, "challenger": 0})
    first = look("learned-in-early")
    assert first["verdicts"]["challenger"]["says"] == "not enough borrowers yet"
    assert look("learned-in-early")["number"] == 1
    told = CliRunner().invoke(app, ["experiments", "show", "learned-in-early", "--json"])
    assert json.loads(told.stdout)["seen"][0]["number"] == 1
    listed = CliRunner().invoke(app, ["experiments", "list"])
    assert "100% of borrowers" in listed.stdout


def test_the_days_run_takes_the_look_that_was_promised_for_today_and_takes_it_once(portfolio: Portfolio, folder: Path) -> None:
    del folder
    decided(portfolio)
    assert take_looks.fn() == {}
    portfolio.clock(datetime(2027, 4, 15, 4, tzinfo=UTC))
    assert take_looks.fn() == {"learned-in-early": []}
    assert take_looks.fn() == {}


def test_the_morning_page_names_an_arm_that_was_stopped_for_a_week(portfolio: Portfolio, folder: Path) -> None:
    del folder
    decided(portfolio, people=1)
    with connection() as tx:
        experiments.write_look(tx, "learned-in-early", day=TODAY, number=1, verdicts={}, stopped=["challenger"])
        told = [item.what for item in stopped_arms(tx, TODAY + timedelta(days=7))]
        later = list(stopped_arms(tx, TODAY + timedelta(days=8)))
    assert told == [f"experiment learned-in-early: challenger stopped on {TODAY.isoformat()}, for it harmed more than was allowed"]
    assert later == []
