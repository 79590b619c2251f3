"""Simulated strategies meet the real rules and the real gate, see only what a lender sees, and are counted by an auditor of its own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

import tideover
from config.world_files import WorldSpec
from decisions.choose import decide
from decisions.facts import Facts
from decisions.messages import Texts
from decisions.packs import Packs
from decisions.strategy import Strategy
from sandbox.simulation import TownWorld, open_world
from tasks.simulate import FIRST_DAY, Chosen, Played, play
from tasks.simulated_audit import violations
from tasks.simulated_books import STRIDE, Books, point_of
from tasks.simulation_picture import frontier
from tasks.simulation_report import CAVEAT, interval, report, worst_decile
from tasks.simulations import run

TEMPERS = ("forgot", "timing", "hardship", "unwilling")
ZERO = {
    **{f"{kind}_effect_{temper}": 0.0 for kind in ("sms", "call") for temper in TEMPERS},
    **{f"plan_accept_{temper}": 0.0 for temper in TEMPERS},
    "promise_kept": 0.0,
}
EVERYONE = {"sms_delivered": 1.0, "sms_read": 1.0, "wrong_number_share": 0.0, "landline_share": 0.0}


def _world(settings: Mapping[str, float] | None = None, *, name: str = "w", borrowers: int = 40) -> TownWorld:
    return open_world(name, f"seed-{name}", settings or {}, borrowers=borrowers, first_day=FIRST_DAY)


def _without_seconds(played: list[Played]) -> list[tuple[object, ...]]:
    return [(one.id, one.people, one.by_channel, round(one.cost_minor, 6)) for one in played]


@pytest.fixture(scope="module")
def ladder() -> list[Played]:
    """Two worlds for nine days by the ladder."""
    return play([_world(EVERYONE, name="a"), _world(name="b")], "static-ladder", days=9, plans=False)


def test_people_are_contacted_by_the_ladder_and_nothing_is_wrong(ladder: list[Played]) -> None:
    assert [one.violations for one in ladder] == [(), ()]
    for one in ladder:
        assert set(one.by_channel) <= {"push", "sms"}
        assert 40 < sum(person.tries for person in one.people) <= 40 * 9
        # Two in seven days by the strategy's budget, and so at most three in nine that were noticed, one more where a read came late.
        assert max(person.contacts for person in one.people) <= 4


def test_a_world_is_the_same_alone_and_beside_others(ladder: list[Played]) -> None:
    alone = play([_world(name="b")], "static-ladder", days=9, plans=False)
    assert _without_seconds(alone)[0][1:] == _without_seconds(ladder)[1][1:]
    specs = [WorldSpec(id=name, seed=f"seed-{name}", settings=settings) for name, settings in (("a", EVERYONE), ("b", {}))]
    again = run(specs, ["static-ladder"], open_world, days=9, borrowers=40, plans=[False], processes=1)
    assert _without_seconds(again) == _without_seconds(ladder)


def test_where_nothing_moves_anybody_every_strategy_ties_to_the_cent() -> None:
    paid = {
        name: [person.paid_minor for person in play([_world(ZERO)], name, days=12, plans=True)[0].people]
        for name in ("static-ladder", "every-channel")
    }
    assert paid["static-ladder"] == paid["every-channel"]
    assert sum(paid["static-ladder"]) > 0


def test_whatever_a_strategy_wants_the_gate_stands_behind_it() -> None:
    """A choice that writes to everybody before the hours open, every day, reaches nobody at a forbidden hour, nor too often."""

    def reckless(books: Books, facts: Facts, treatment: Strategy, packs: Packs, texts: Texts, at: datetime, on: date) -> pl.DataFrame:
        del books
        chosen = decide(facts, treatment, packs, texts, at=at, business_date=on, seed=b"x")
        everybody = facts.borrowers["party_id"].to_list()
        points = [point_of(party, "mobile") for party in everybody]
        return pl.DataFrame(
            [
                {
                    **dict.fromkeys(chosen.columns),
                    "party_id": party,
                    "action": "contact",
                    "channel": "sms",
                    "contact_point_id": point,
                    "purpose": "collection",
                    "message": "early_reminder",
                    "offer": "pay_link",
                    "locale": "zh-Hant",
                    "send_after": at,
                    "expires_at": at + timedelta(hours=12),
                }
                for party, point in zip(everybody, points, strict=True)
            ],
            schema=chosen.schema,
        )

    (played,) = play([_world(EVERYONE)], "static-ladder", days=9, plans=False, decides=reckless)
    assert played.violations == ()
    assert 0 < max(person.contacts for person in played.people) <= 6


def test_the_auditor_finds_what_it_is_there_for() -> None:
    """Contacts that no gate let through, each wrong in one way."""
    books = Books([_world(EVERYONE)], first_day=FIRST_DAY)
    noon = datetime.fromisoformat("2026-03-04T12:00+08:00")

    def wrong(party: int, at: datetime = noon) -> None:
        books.contact(
            party, at=at, channel="sms", point=point_of(party, "mobile"), purpose="collection", stage="early", message="early_reminder"
        )

    wrong(1, noon - timedelta(hours=9))
    wrong(2)
    wrong(2, noon + timedelta(hours=1))
    books.stops.append((3, "all", noon - timedelta(days=1)))
    wrong(3)
    books.held.append((4, "dispute", noon - timedelta(days=1), None))
    wrong(4)
    books.posted[5].append((noon - timedelta(days=1), books.people[5].owed_minor))
    wrong(5)
    books.disowned[point_of(6, "mobile")] = noon - timedelta(days=1)
    wrong(6)
    for days in range(4):
        wrong(7, noon + timedelta(days=days))
    wrong(8)
    assert Counter(what for _, what in violations(books, books.results())) == {
        "outside the law's hours": 1,
        "outside the house's hours": 1,
        "more than one a day": 1,
        "after a stop": 1,
        "while held": 1,
        "for a debt that was paid": 1,
        "at somebody else's address": 1,
        "more than three in seven days": 1,
    }


def test_a_stop_ends_contact_and_a_promise_gives_peace() -> None:
    (played,) = play([_world({**EVERYONE, "stop_rate": 1.0})], "static-ladder", days=12, plans=False)
    by_text = [person for person in played.people if person.contacts]
    assert played.stops > 20
    # Each stopped text messages at the first; only the app may still speak.
    assert played.by_channel["sms"] <= len(by_text)
    assert played.violations == ()


def test_plans_are_taken_only_where_they_are_offered_and_fit() -> None:
    seen = {**EVERYONE, **{f"plan_accept_{temper}": 1.0 for temper in TEMPERS}, **{name: 0.0 for name in ZERO if "effect" in name}}
    quiet = {f"self_pay_{temper}": 0.0 for temper in TEMPERS}
    (offered,) = play([_world({**seen, **quiet})], "static-ladder", days=20, plans=True)
    (not_offered,) = play([_world({**seen, **quiet})], "static-ladder", days=20, plans=False)
    assert offered.plans_taken > 10
    assert not_offered.plans_taken == 0
    assert offered.violations == ()


def test_a_choice_sees_what_a_lender_sees_and_not_why_people_are_late() -> None:
    """Two worlds that differ in nothing but what is hidden look the same on the first morning."""
    mornings: list[list[Facts]] = [[], []]
    for settings, told in zip(({}, {"sms_effect_forgot": 0.0, "borrows_elsewhere": 1.0}), mornings, strict=True):

        def tell(chosen: Chosen, told: list[Facts] = told) -> None:
            told.append(chosen.facts)

        play([_world(settings)], "static-ladder", days=1, plans=False, told=tell)
    (one,), (other,) = mornings
    assert one.borrowers.equals(other.borrowers)
    assert one.loans.equals(other.loans)


def test_the_report_compares_person_by_person_and_says_what_it_is() -> None:
    base = play([_world(name="a")], "static-ladder", days=3, plans=False)
    better = [
        replace(base[0], strategy="better", people=tuple(replace(one, paid_minor=one.owed_minor, contacts=0) for one in base[0].people))
    ]
    told = report([*base, *better], days=3)
    assert told["simulated"] == CAVEAT
    against = told["worlds"][1]["against"]["recovered_share"]
    assert 0 < against["low"] < against["value"] < against["high"]
    assert told["summary"][1]["against"]["fewer_contacts"] == 1.0
    # One world says nothing of others: no gain is claimed.
    assert not told["summary"][1]["against"]["claims_gain"]
    assert told["worlds"][1]["cured"] == 40


def test_intervals_and_deciles_are_the_textbooks() -> None:
    # Student's t with four degrees of freedom: 2.776 × 1.5811 / √5.
    found = interval([1, 2, 3, 4, 5])
    assert found.value == 3
    assert found.high - found.value == pytest.approx(1.9632, abs=1e-4)
    assert worst_decile([float(value) for value in range(20, 0, -1)]) == 1.5


def test_the_command_answers_in_the_agreed_form_and_refuses_with_reasons(tmp_path: Path) -> None:
    file = tmp_path / "worlds.yaml"
    file.write_text("worlds:\n  - {id: w, seed: 1}\n")
    asked = ["simulate", "--strategies", "static-ladder", "--worlds", str(file), "--days", "2", "--borrowers", "10", "--json"]
    found = CliRunner().invoke(tideover.app, asked)
    assert found.exit_code == 0
    told = json.loads(found.stdout)
    agreed = "id strategy plans borrowers cured recovered_minor owed_minor contacts complaints cost_minor violations"
    assert set(agreed.split()) <= set(told["worlds"][0])
    assert told["summary"]
    assert told["summary"][0]["recovered_share"]["low"] is None, "of one world alone no bound is known"
    assert frontier(told).startswith(b"\x89PNG")
    for wrong, code in ((["--strategies", "harass"], "no strategy 'harass'"), (["--plans", "maybe"], "on, off or both")):
        refused = CliRunner().invoke(tideover.app, [*asked, *wrong])
        assert refused.exit_code == 2
        assert code in refused.stderr


def test_parties_of_two_worlds_never_meet() -> None:
    books = Books([_world(name="a"), _world(name="b")], first_day=FIRST_DAY)
    assert len({party // STRIDE for party in books.people}) == 2
