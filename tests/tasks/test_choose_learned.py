"""A model decides from the ledger: refused without one, drawn by logged chances at the run's prices, replayed byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from prefect.logging import disable_run_logger
from sqlalchemy import text

from config.settings import settings
from config.strategy_files import strategy
from decisions.backfills import DECIDED
from decisions.explain import words
from decisions.models import Calibration, Input, Line, Model, Term
from decisions.policy import NO_PRICES
from decisions.strategy import Cap
from ledger import model_versions
from ledger.engine import connection
from ledger.run_policies import read_common
from tasks.backfill_requests import THEN
from tasks.choose import choose
from tasks.explain import explain_borrower
from tasks.pick import pick
from tasks.re_decide import decided_again
from tasks.record import StrategyRefused, open_campaign
from tests.ledger.test_model_versions import trained
from tests.plugins.portfolio import INSTALMENT_MINOR, INTEREST_MINOR, SINCE, TODAY, Portfolio, noon


@pytest.fixture(autouse=True)
def _quietly() -> Iterator[None]:
    with disable_run_logger():
        yield


def model(sms: float, *, kind: str = "paid_7d", without: float = -1.5) -> Model:
    """Days late count a little against it; a text makes it likelier by so many log odds."""
    return Model(
        name=kind,
        inputs=(Input(name="days_past_due"), Input(name="channel", words=("none", "sms"))),
        parts=(
            Line(
                intercept=without,
                terms=(
                    Term(columns=((0, 0.0, 60.0, 30.0, 15.0),), weight=-0.2),
                    Term(columns=((2, 0.0, 1.0, 0.0, 1.0),), weight=sms),
                ),
            ),
        ),
        calibration=Calibration(),
        typical={"days_past_due": 30.0, "channel": "none"},
    )


def kept(one: Model) -> str:
    with connection() as tx:
        model_versions.keep(tx, replace(trained(), model=one), seed=1, as_of=SINCE)
    return one.version


def opened() -> int:
    return open_campaign.fn("early", TODAY, preview=False, limit=None, named="learned")


def rows(run: int) -> list[dict[str, Any]]:
    with connection() as tx:
        found = tx.execute(
            text("""SELECT d.party_id, d.action, d.channel, d.probability, d.propensities, d.hour_slot, r.reasons
                    FROM decision d JOIN reason_set r ON r.id = d.reason_set_id WHERE d.campaign_run_id = :run ORDER BY d.party_id"""),
            {"run": run},
        )
        return [dict(row) for row in found.mappings()]


def decided(portfolio: Portfolio, people: int = 30) -> int:
    for _ in range(people):
        portfolio.borrower(days_past_due=12)
    portfolio.clock(noon("US"))
    run = opened()
    for shard in pick.fn(run):
        choose.fn(shard, run)
    return run


def test_without_a_model_no_run_is_opened_and_it_says_what_to_do(portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch) -> None:
    portfolio.clock(noon("US"))
    monkeypatch.setattr("tasks.weigh.shipped_model", lambda _kind: None)
    with pytest.raises(StrategyRefused, match=r"learned/early is not run: there is no model of paid_7d: train one"):
        opened()
    with connection() as tx:
        assert tx.execute(text("SELECT count(*) FROM campaign_run")).scalar() == 0


def test_a_straw_man_treats_no_real_person(portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch) -> None:
    portfolio.clock(noon("US"))
    monkeypatch.setattr(type(settings()), "is_real", property(lambda _self: True))
    with pytest.raises(StrategyRefused, match="calls-everyone is a straw man"):
        open_campaign.fn("early", TODAY, preview=False, limit=None, named="calls-everyone")


def test_I8_I10_a_models_decisions_carry_their_chances_and_replay_from_the_ledger(portfolio: Portfolio) -> None:  # the invariants' names
    kept(model(sms=1.5))
    run = decided(portfolio)
    found = rows(run)
    ordinary = [row for row in found if not any(reason.startswith("group:") for reason in row["reasons"])]
    assert len(ordinary) > 20
    for row in ordinary:
        assert abs(sum(row["propensities"].values()) - 1) < 1e-9
        assert row["probability"] in row["propensities"].values()
        assert (row["hour_slot"] is None) == (row["action"] == "no_contact")
    assert sum(row["channel"] == "sms" for row in ordinary) > len(ordinary) / 2
    told = explain_borrower(f"#{ordinary[0]['party_id']}", TODAY)
    assert (told["policies_changed"], told["policies_not_kept"]) == ([], []), "the run named its strategy, which is not the one in force"
    # Another model since then, and other capacity, change nothing of it.
    kept(model(sms=-1.5))
    with connection() as tx:
        at, known_at = tx.execute(text("SELECT max(decided_at), max(facts_known_at) FROM decision")).one()
    request = {"stages": ["early"], "facts": "as known then", "policies": THEN, "instead": {}}
    counts, differing = decided_again(request, TODAY, at=at, known_at=known_at)
    assert (counts["early"]["policies_not_kept"], differing.height) == ([], 0)
    for row in found[:6]:
        told = explain_borrower(f"#{row['party_id']}", TODAY)
        assert (told["replays"], told["differences"]) == (True, [])
        assert told["policies_changed"] == ["model/paid_7d"]
    asked = [explain_borrower(f"#{row['party_id']}", TODAY) for row in ordinary[:3]]
    assert all(one["model"]["probability"] > one["model"]["without"] for one in asked)
    assert "The model expects that she pays with a chance of" in "\n".join(words(asked[0]))
    shipped = strategy("learned", "early").learned
    assert shipped is not None
    of_median = (INSTALMENT_MINOR + INTEREST_MINOR) * shipped.peace.written // 1_000
    assert {one["strategy"]["weights"]["a_written_contact_counts"] for one in asked} == {of_median}
    text_of = "\n".join(words(told))
    assert "brings" in text_of or "treated as" in text_of
    assert "propensities" not in DECIDED


def test_the_models_of_a_run_stay_its_own_when_a_newer_one_comes(portfolio: Portfolio) -> None:
    first = kept(model(sms=1.5))
    run = decided(portfolio, people=3)
    kept(model(sms=-1.5))
    assert opened() == run
    with connection() as tx:
        hashes = tx.execute(text("SELECT policy_hashes FROM campaign_run WHERE id = :run"), {"run": run}).scalar_one()
        common = tx.execute(text("SELECT prices FROM run_policy WHERE campaign_run_id = :run"), {"run": run}).scalar_one()
    assert hashes["model/paid_7d"] == first
    assert "arm/static-ladder/early" in hashes
    assert {pool["cap"] for pool in common["pools"]} == {"talks", "spending"}
    assert [(median["currency"], median["amount_minor"]) for median in common["medians"]] == [("USD", INSTALMENT_MINOR + INTEREST_MINOR)]


def test_what_a_contact_counts_is_found_where_nothing_is_scarce_and_a_run_that_wrote_none_down_is_still_read(
    portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(model(sms=1.5))
    shipped = strategy("learned", "early")
    assert shipped.learned is not None
    plenty = replace(shipped, learned=replace(shipped.learned, caps=()))
    monkeypatch.setattr("tasks.choose.strategy", lambda _name, _stage: plenty)
    run = decided(portfolio, people=3)
    with connection() as tx:
        common = read_common(tx, run)
        assert common is not None
        assert [median.amount_minor for median in common.prices.medians] == [INSTALMENT_MINOR + INTEREST_MINOR]
        assert common.prices.pools == ()
        tx.execute(text("UPDATE run_policy SET prices = prices - 'medians' WHERE campaign_run_id = :run"), {"run": run})
        assert read_common(tx, run) == replace(common, prices=NO_PRICES)


def test_a_cap_that_is_full_puts_people_off_and_says_so_and_that_replays(portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch) -> None:
    kept(model(sms=1.5))
    shipped = strategy("learned", "early")
    assert shipped.learned is not None
    # What a text costs, eight times and a half; nothing has a price, so that the draw passes it.
    cap = Cap(name="spending", channels=frozenset({"sms"}), money={"USD": 17_000})
    scarce = replace(shipped, learned=replace(shipped.learned, caps=(cap,)))
    monkeypatch.setattr("tasks.choose.strategy", lambda _name, _stage: scarce)
    monkeypatch.setattr("tasks.weigh._prices", lambda *_run, **_at: NO_PRICES)
    run = decided(portfolio)
    capped = [row for row in rows(run) if "capped" in row["reasons"]]
    assert capped
    assert sum(row["channel"] == "sms" for row in rows(run)) == 8
    with connection() as tx:
        assert tx.execute(text("SELECT sum(used) FROM shard_use WHERE campaign_run_id = :run"), {"run": run}).scalar_one() == 16_000
    assert all(row["action"] == "no_contact" and row["hour_slot"] is None for row in capped)
    for row in capped:
        assert explain_borrower(f"#{row['party_id']}", TODAY)["replays"]
    with connection() as tx:
        at, known_at = tx.execute(text("SELECT max(decided_at), max(facts_known_at) FROM decision")).one()
    request = {"stages": ["early"], "facts": "as known then", "policies": THEN, "instead": {}}
    assert decided_again(request, TODAY, at=at, known_at=known_at)[1].height == 0
