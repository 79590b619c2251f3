"""A month on one page: each figure by hand, few people never shown, too few said in words, nothing personal, nothing fetched."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from config.report import ReportPolicy
from ledger.aging_facts import age_portfolio
from ledger.engine import connection
from tasks.month_page import page, tables
from tasks.month_report import MonthRefused, MonthReport, read_month
from tests.plugins.portfolio import INSTALMENT_MINOR, INTEREST_MINOR, BorrowerIds, Portfolio, noon
from tideover import app

FIRST, MID, LAST = date(2026, 3, 1), date(2026, 3, 17), date(2026, 3, 31)
OWED = INSTALMENT_MINOR + INTEREST_MINOR
# What a handful of people can pass: the hiding of few has tests of its own.
EASY = ReportPolicy(enough=1, cell_min=1, roll_days=30, roll_slack_days=3, ratio_low=0.8, ratio_high=1.25)


def do(statement: str, **values: object) -> None:
    with connection() as tx:
        tx.execute(text(statement), values)


@pytest.fixture
def people(portfolio: Portfolio) -> list[BorrowerIds]:
    """Six borrowers of March: two pay, one rolls on, one breaks a plan, one says stop and is contacted all the same, one has a nano loan."""
    portfolio.creditor("US", fresh_until=datetime(2026, 4, 5, tzinfo=UTC))
    # Days late on 17 March: fell due on 25 February (four), 12 February, 14 March.
    who = [portfolio.borrower(days_past_due=days, push=False) for days in (20, 20, 20, 20, 33, 3)]
    pays, returns, rolls, plans, stops, nano = who
    do("UPDATE loan_version SET bucket_scheme = 'nano' WHERE loan_id = :id", id=nano.loan_id)
    do("UPDATE loan_version SET opened_on = '2026-01-15'")
    age_portfolio(FIRST)
    age_portfolio(date(2026, 3, 4))
    portfolio.payment(pays.loan_id, OWED, paid_on=date(2026, 3, 11))
    paid = portfolio.payment(returns.loan_id, OWED, paid_on=date(2026, 3, 12), external_id="returned-1")
    portfolio.payment(returns.loan_id, -OWED, paid_on=date(2026, 3, 20), state="reversed", external_id="returned-2", reverses=paid)
    age_portfolio(MID)
    age_portfolio(LAST)
    do(
        "INSERT INTO promise (party_id, loan_id, due_on, amount_minor, currency, state, effective_at, source) VALUES"
        " (:a, :l, '2026-03-10', 20000, 'USD', 'kept', '2026-03-02', 't'), (:b, NULL, '2026-03-12', 5000, 'USD', 'broken', '2026-03-02', 't'),"
        " (:c, NULL, '2026-03-30', NULL, NULL, 'open', '2026-03-02', 't'), (:c, NULL, '2026-04-02', 100, 'USD', 'kept', '2026-03-02', 't')",
        a=pays.party_id,
        l=pays.loan_id,
        b=returns.party_id,
        c=rolls.party_id,
    )
    plan = portfolio.plan(plans.loan_id, instalments=[], agreed_on=date(2026, 3, 5))
    do("UPDATE plan_version SET superseded_at = now(), effective_at = '2026-03-05' WHERE plan_id = :plan", plan=plan)
    do(
        "INSERT INTO plan_version (plan_id, version, status, agreed_on, instalments, effective_at, source)"
        " VALUES (:plan, 2, 'broken', '2026-03-05', '[]', '2026-03-25', 't')",
        plan=plan,
    )
    portfolio.plan(rolls.loan_id, instalments=[], agreed_on=date(2026, 3, 21))
    portfolio.opt_out(stops.party_id, at=datetime(2026, 3, 9, tzinfo=UTC))
    for one, days in ((pays, (3, 4, 10)), (rolls, (3,)), (stops, (5, 24))):
        for day in days:
            portfolio.contact(one.party_id, datetime.combine(date(2026, 3, day), time(15), UTC))
    portfolio.contact(pays.party_id, datetime(2026, 3, 10, 18, tzinfo=UTC), direction="inbound", result="received")
    portfolio.clock(noon("US", date(2026, 4, 3)))
    return who


def values(found: MonthReport, key: str, heading: str = "") -> dict[str, str]:
    """First column → second of a section's table."""
    (section,) = (one for one in found.sections if one.key == key)
    return {str(next(iter(row.values()))): str(list(row.values())[1]) for row in section.rows.get(heading, [])}


def test_every_figure_by_hand(people: list[BorrowerIds]) -> None:
    found = read_month("2026-03", "US", EASY)
    # Late on 1 March, standard buckets: five; one paid it all and is current at the end (its next instalment fell due on 27 March: late anew).
    rolls = values(found, "rolls", "standard, 2026-03-01 to 2026-03-31")
    assert rolls["M1: rolled forward"].startswith("80.0 % (4 of 5;")
    assert rolls["accounts cured"].startswith("0.0 % (0 of 5;")
    assert values(found, "month-ends") == {}
    assert values(found, "promises")["kept"].startswith("50.0 % (1 of 2;")
    assert values(found, "promises")["kept, of the amount, USD"] == "80.0 % (USD 200.00 of USD 250.00)"
    assert (values(found, "promises")["open"], values(found, "promises")["withdrawn"]) == ("1", "0")
    assert values(found, "plans")["plans not broken after 20 days"].startswith("0.0 %")
    contacts = values(found, "contacts")
    # Of the weeks with an aged date that ended in March: five people late until the 1st, five until the 8th (2, 1 and 1 contacts), four until the 22nd.
    assert contacts["contacts a borrower-week, mean"] == "0.29 (of 14)"
    assert contacts["the most in one week"] == "2"
    assert contacts["at most, by the strategies in force"].startswith("2 in 7 days (early, mid)")
    harm = values(found, "harm")
    assert harm["contacts after a stop (must be 0)"] == "1"
    assert harm["new loan within seven days of a payment"].startswith("0.0 % (0 of 2;")
    complaints = values(found, "complaints")
    assert complaints["stops"] == "1"
    (section,) = (one for one in found.sections if one.key == "complaints")
    assert section.rows[""][1]["per 1,000 borrowers contacted"] == "333.3"
    assert section.rows[""][1]["per 10,000 contacts"] == "1666.7"
    cost = values(found, "cost")
    # What came in on loans that were late, less the payment that was returned.
    assert cost["came in on late loans, less what was taken back"] == f"USD {OWED / 100:,.2f}"
    assert people


def test_what_the_campaign_added_is_read_from_whom_chance_left_in_peace(people: list[BorrowerIds]) -> None:
    """Late on 1 March: five. One of the treated and none of the held out is cured by the 31st; who is in an experiment does not count."""
    pays, _, rolls, plans, stops, _ = people
    do("UPDATE instalment SET superseded_at = now() WHERE loan_id = :id AND number = 2", id=pays.loan_id)
    do("DELETE FROM loan_aging WHERE business_date = '2026-03-31'")
    age_portfolio(LAST)
    do(
        "INSERT INTO campaign_run (id, stage, business_date, scope, state, preview, seed, opened_at) OVERRIDING SYSTEM VALUE"
        " VALUES (77, 'early', '2026-03-04', 'all', 'closed', false, 's', '2026-03-04')"
    )
    for one, group in ((pays, None), (rolls, "group:minimum"), (plans, None), (stops, "group:experiment:x/y")):
        do(
            "WITH kept AS (INSERT INTO reason_set (reasons) VALUES (CAST(:reasons AS text[])) ON CONFLICT (reasons) DO UPDATE SET reasons ="
            " excluded.reasons RETURNING id) INSERT INTO decision (business_date, campaign_run_id, shard, party_id, stage, step, action, score,"
            " probability, reason_set_id, decided_at, facts_known_at) SELECT '2026-03-04', 77, 0, :party, 'early', 0, 'no_contact', 0, 1, id,"
            " '2026-03-04', '2026-03-04' FROM kept",
            party=one.party_id,
            reasons=["strategy_wait", *([group] if group else [])],
        )
    told = values(read_month("2026-03", "US", EASY), "held-out")
    assert told["cured, treated by the strategy"].startswith("50.0 % (1 of 2;")
    assert told["cured by themselves: no contact but what has to be said"].startswith("0.0 % (0 of 1;")
    assert told["what the campaign added"].startswith("+50.0 points (")
    assert told["cured, treated by the champion"] == "too few (0)"
    # What was owed on 1 March and came in until the 31st: one of two treated paid it all; the one left in peace nothing.
    (section,) = (one for one in read_month("2026-03", "US", EASY).sections if one.key == "frontier")
    treated, left = sorted(section.rows["Held out for good"], key=lambda row: row["arm"], reverse=True)
    assert (treated["arm"], treated["borrowers"], treated["contacts each"]) == ("treated by the strategy", "2", "1.50")
    assert treated["came in, of what each owed"].startswith("50.0 % (")
    assert (left["arm"], left["borrowers"], left["came in, of what each owed"]) == ("no contact but what has to be said", "1", "–")


def test_groups_are_compared_by_what_is_held_of_them(people: list[BorrowerIds]) -> None:
    """Two attributes are known: the language of all, the sex of four. Whoever said stop stands beside everybody who was as late."""
    for one, sex in zip(people[:4], ("female", "female", "male", "male"), strict=True):
        do(
            "INSERT INTO fairness_attribute (party_id, attribute, value, effective_at, source) VALUES (:party, 'sex', :sex, '2026-03-01', 't')",
            party=one.party_id,
            sex=sex,
        )
    (section,) = (one for one in read_month("2026-03", "US", EASY).sections if one.key == "fairness")
    assert [row["known of"].split(" (")[1].split(";")[0] for row in section.rows["Known of late borrowers"]] == [
        "6 of 6", "6 of 6", "0 of 6", "4 of 6", "0 of 6",
    ]  # fmt: skip
    female, male = section.rows["By sex"]
    assert (female["sex"], female["borrowers"], male["sex"], male["borrowers"]) == ("female", "2", "male", "2")
    assert female["contacts a borrower-week"].startswith("0.50 (")
    assert male["contacts a borrower-week"].startswith("0.12 (")
    assert male["cured"] == "none"
    assert female["relief or a plan"].startswith("0.00 (0.00×")
    assert male["relief or a plan"].startswith("1.00 (")
    assert section.too_few == ""


def test_a_look_that_was_promised_and_a_model_that_had_a_say_are_shown(people: list[BorrowerIds]) -> None:
    verdict = {
        "borrowers": [500, 480],
        "says": "nothing can be said yet",
        "differences": [
            {"name": "money", "value": 0.02, "low": -0.01, "high": 0.05},
            {"name": "complaints", "value": 0.0, "low": -0.002, "high": 0.002},
        ],
    }
    do("INSERT INTO policy_version (hash, kind, name, body) VALUES ('e1', 'experiment', 'x', ''), ('m1', 'model', 'paid_7d', '')")
    do("INSERT INTO experiment_start (name, hash, started_on) VALUES ('x', 'e1', '2026-03-01')")
    do(
        "INSERT INTO experiment_look (name, looked_on, number, verdicts, stopped) VALUES ('x', '2026-03-20', 1, CAST(:seen AS jsonb), '{}'),"
        " ('x', '2026-04-02', 2, '{}', '{}')",
        seen=json.dumps({"challenger": verdict}),
    )
    do(
        "INSERT INTO model_version (version, kind, method, seed, data_hash, features, metrics, calibration, fairness, trained_as_of) VALUES"
        " ('m1', 'paid_7d', 'logistic', 1, 'd', '[]', '{}', CAST(:bins AS jsonb), '[]', '2026-03-01')",
        bins=json.dumps(
            [{"bin": 0, "rows": 900, "predicted": 0.05, "observed": 0.06}, {"bin": 9, "rows": 3, "predicted": 0.95, "observed": 1}]
        ),
    )
    do(
        "INSERT INTO campaign_run (stage, business_date, scope, state, preview, approval, seed, opened_at, policy_hashes) VALUES"
        " ('early', '2026-03-04', 'US', 'closed', false, 'none', 's', '2026-03-04', '{\"model/paid_7d\": \"m1\"}')"
    )
    found = {one.key: one for one in read_month("2026-03", "US", replace(EASY, enough=10, cell_min=10)).sections}
    (look,) = found["frontier"].rows["x, look of 2026-03-20"]
    assert (look["arm"], look["money, less the champion"], look["what may be said"]) == (
        "challenger",
        "+0.020 (-0.010 to +0.050)",
        "nothing can be said yet",
    )
    assert [picture.says for picture in found["frontier"].pictures] == [
        "Points with intervals, money up and harm to the right. each arm of x less its champion, as in the table."
    ]
    # Of a tenth with three rows nothing is told.
    assert found["reliability"].rows == {"paid_7d m1": [{"predicted": "5.0%", "came about": "6.0%", "rows": "900"}]}
    assert "predicted 5.0%, came about 6.0% of 900 rows" in found["reliability"].pictures[0].says
    assert people


def test_the_page_opens_by_itself_and_names_nobody(people: list[BorrowerIds]) -> None:
    found = read_month("2026-03", "US", EASY)
    told = page(found)
    assert told.count("<section") == len(found.sections) == 20
    assert not re.search(r"(?:src|href)=\"(?!data:image/png;base64,|#)", told)
    assert told.count("<img alt=") == sum(len(one.pictures) for one in found.sections) >= 5
    assert '<img alt=""' not in told
    assert "nobody real is contacted" in told
    markdown = tables(found, "2026-03-us.html")
    for who in people:
        assert f"party-{who.party_id}" not in told + markdown
    assert "Nobody Atall" not in told + markdown


def test_a_handful_of_people_is_never_shown(people: list[BorrowerIds]) -> None:
    """By the shipped limits nothing is said of six people: no picture, no rate, no amount, no count of fewer than ten."""
    found = read_month("2026-03", "US")
    assert [one.key for one in found.sections if one.pictures and one.key != "rolls"] == []
    for one in found.sections:
        for rows in one.rows.values():
            for row in rows:
                said = " ".join(str(value) for value in row.values())
                assert not re.search(r"\d \%|USD \d|\((?!0\b)\d \b", said), said
    few = {one.key for one in found.sections if one.too_few}
    assert {
        "funnel",
        "month-ends",
        "flow",
        "cures",
        "promises",
        "plans",
        "liquidation",
        "vintage",
        "hours",
        "complaints",
        "fairness",
    } <= few
    assert people


def test_on_the_terminal_a_page_is_made_for_each_country(portfolio: Portfolio, tmp_path: Path) -> None:
    for country in ("TW", "US"):
        portfolio.borrower(country=country)
    portfolio.clock(noon("US", LAST + timedelta(days=3)))
    answer = CliRunner().invoke(app, ["report", "--out", str(tmp_path / "pages"), "--json"])
    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.stdout)
    assert (told["month"], [one["country"] for one in told["pages"]]) == ("2026-03", ["TW", "US"])
    assert sorted(path.name for path in (tmp_path / "pages").iterdir()) == ["2026-03-tw.html", "2026-03-us.html"]
    words = CliRunner().invoke(app, ["report", "--month", "2026-04", "--country", "TW", "--out", str(tmp_path)])
    assert "too few to say all of" in words.output
    assert "The month is not over." in (tmp_path / "2026-04-tw.html").read_text()
    for wrong, said in (
        (["--month", "2026-13"], "written like 2026-03"),
        (["--month", "2027-01"], "has not been yet"),
        (["--country", "DE"], "no creditor of DE"),
    ):
        refused = CliRunner().invoke(app, ["report", *wrong])
        assert refused.exit_code == 2
        assert said in refused.output
    with pytest.raises(MonthRefused):
        read_month("March", "US")
