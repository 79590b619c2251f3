"""A strategy is approved by two people as its files are; with the real providers no run is opened, and none sends, by another one."""

from __future__ import annotations

import json
from hashlib import sha256
from types import SimpleNamespace

import pytest
from prefect.logging import disable_run_logger
from typer.testing import CliRunner

from config import strategy_files
from config.message_files import message_texts
from config.policies import policies
from config.settings import Settings
from config.strategy_files import strategy
from gate.claim import Door, take_chunk
from gate.permit import Rulebook
from ledger import approvals, clock, strategy_approvals
from ledger.approvals import ApprovalRefused
from ledger.campaigns import open_run, read_run
from ledger.engine import connection
from ledger.law import law_in_force, texts_in_force
from ledger.outbox import EVERY_PARTY
from ledger.strategy_approvals import StrategyNotApproved, approve_strategy, standings
from tasks.record import open_campaign
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tideover import app

NAME = "static-ladder"


@pytest.fixture(autouse=True)
def _at_noon(portfolio: Portfolio) -> None:
    portfolio.clock(noon("US"))


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with the real providers, as far as approvals go."""
    monkeypatch.setattr(Settings, "is_real", True)
    monkeypatch.setattr("ledger.clock.settings", lambda: type("Simulated", (), {"is_real": False}))


def approve(*names: str, reject: bool = False) -> None:
    for name in names:
        approve_strategy(NAME, by=name, reject=reject)


def opened(*, preview: bool = False) -> int:
    with disable_run_logger():
        return open_campaign.fn("early", TODAY, preview=preview, limit=None, named=NAME)


def test_in_the_sandbox_it_needs_no_approval() -> None:
    assert opened() > 0


@pytest.mark.usefixtures("real")
def test_no_run_is_opened_until_two_people_have_said_yes() -> None:
    with pytest.raises(StrategyNotApproved, match=f"tideover approve strategy {NAME} --by NAME"):
        opened()
    assert opened(preview=True) > 0
    approve("anna")
    with pytest.raises(ApprovalRefused, match="four eyes"):
        approve("Anna")
    with pytest.raises(StrategyNotApproved):
        opened()
    approve("ben")
    assert opened() > 0


@pytest.mark.usefixtures("real")
def test_what_is_taken_back_sends_no_more() -> None:
    approve("anna", "ben")
    with connection() as tx:
        kept, at = policies("early", named=NAME), noon("US")
        run = read_run(tx, open_run(tx, stage="early", business_date=TODAY, preview=False, borrowers_max=None, policies=kept, at=at))
        door = Door(run=run, parties=EVERY_PARTY, book=Rulebook(law_in_force(tx).packs), texts=texts_in_force(tx, message_texts()))
    assert not take_chunk(door, at_most={"sms": 1}, after={"sms": -1}).stopped
    approve("ben", reject=True)
    assert take_chunk(door, at_most={"sms": 1}, after={"sms": -1}).stopped


@pytest.mark.usefixtures("real")
def test_a_file_that_is_changed_by_a_letter_is_another_strategy(monkeypatch: pytest.MonkeyPatch) -> None:
    approve("anna", "ben")
    with connection() as tx:
        kept = {f"{one.kind}/{one.name}": one.hash for one in policies("early", named=NAME)}
        assert strategy_approvals.why_not(tx, kept) is None
        other = {**kept, f"strategy/{NAME}/early": "0" * 64}
        assert "is not approved as its file stands" in str(strategy_approvals.why_not(tx, other))
        # The same file under another name was not approved.
        assert strategy_approvals.why_not(tx, {"strategy/every-channel/early": kept[f"strategy/{NAME}/early"]}) is not None
        # Whoever treats no stage has no strategy.
        assert strategy_approvals.why_not(tx, {"message/page_code/en": "0" * 64}) is None
    before = strategy_files.strategy_body

    def changed(name: str, stage: str) -> str:
        return before(name, stage) + ("# more\n" if stage == "early" else "")

    monkeypatch.setattr(strategy_approvals, "strategy_body", changed)
    monkeypatch.setattr(
        strategy_approvals, "strategy", lambda name, stage: SimpleNamespace(version=sha256(changed(name, stage).encode()).hexdigest())
    )
    with connection() as tx:
        lines = list(strategy_approvals.differences(tx, NAME))
    assert lines[0].startswith("against ")
    assert "  +# more" in lines
    (standing,) = [one for one in standings() if one.name == NAME]
    assert (standing.approved, standing.last) == (False, None)


def test_the_command_asks_approves_lists_and_names_what_there_is() -> None:
    def run(*words: str) -> tuple[int, str]:
        found = CliRunner().invoke(app, ["approve", *words])
        return found.exit_code, found.output

    code, said = run("strategy", NAME, "--by", "anna")
    assert (code, f"tideover approve strategy {NAME} --by NAME" in said) == (0, True)
    assert "no other version of static-ladder was approved before: early, late, mid, pre_due, recovery" in said
    assert run("strategy", NAME, "--by", "anna")[0] == 1
    assert run("strategy", NAME, "--by", "ben", "--reason", "tried on staff")[0] == 0
    code, said = run("list", "--json")
    listed = [json.loads(line) for line in said.splitlines()]
    (found,) = [one for one in listed if one.get("strategy") == NAME]
    assert (found["approved"], found["asked_by"], found["approved_by"]) == (True, "anna", "ben")
    assert found["stages"]["early"] == strategy(NAME, "early").version
    code, said = run("strategy", "none-such", "--by", "anna")
    assert (code, "config/strategies has calls-everyone, every-channel, learned, static-ladder" in said) == (1, True)
    with connection() as tx:
        assert approvals.approved(tx, clock.now(tx), kind=approvals.STRATEGY) == {found["version"]}
