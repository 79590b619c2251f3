"""`tideover morning`: worst first, each thing with the command to do it; what changed, what falls due; never a person."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from config.cases import case_terms
from config.load import ConfigError
from config.message_files import message_texts
from config.policies import policies
from config.settings import settings
from ledger import cases
from ledger.aging_facts import age_portfolio
from ledger.call_queue import CallWindow, enqueue_callback
from ledger.campaigns import open_run
from ledger.cases import Statement
from ledger.engine import connection
from tasks import morning as mornings
from tasks import morning_items
from tasks.morning import keep, read_morning
from tasks.morning_items import Urgency
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sending import Outbox
from tideover import app

DAWN = noon("TW") - timedelta(hours=4, minutes=30)
YESTERDAY = TODAY - timedelta(days=1)
NUMBER = "+12125550121"


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def told() -> dict[str, Any]:
    answer = run("morning", "--json")
    assert answer.exit_code == 0, answer.output
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def do(statement: str, **values: Any) -> None:
    with connection() as tx:
        tx.execute(text(statement), values)


def urgency_of(beginning: str) -> str:
    """The urgency of the one item that begins like that."""
    (found,) = [item["urgency"] for item in told()["items"] if item["what"].startswith(beginning)]
    return str(found)


@pytest.fixture(autouse=True)
def _dawn(portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    settings.cache_clear()
    portfolio.clock(DAWN)


def audited(*, violations: int = 0, last: date = YESTERDAY) -> None:
    do(
        "INSERT INTO audit_result (first, last, at, attempts, violations, invariants, found) VALUES (:last, :last, :at, 9, :count, '{}',"
        " CAST(:found AS jsonb))",
        last=last,
        at=DAWN,
        count=violations,
        found=json.dumps({"I5 too_often": violations} if violations else {}),
    )


def test_a_quiet_morning_says_what_there_is_to_know(portfolio: Portfolio) -> None:
    portfolio.creditor("TW")
    audited()
    answer = run("morning")
    assert answer.exit_code == 0, answer.output
    assert answer.stdout.startswith(
        "# Morning of Tuesday, 2026-03-17\n\n**SANDBOX**: nobody real is contacted. As it stood at 2026-03-17 07:30 (Asia/Taipei).\n"
    )
    assert "No promise, hold or time limit ends today." in answer.stdout
    assert "What is scheduled is not known: no Prefect server was asked" in answer.stdout
    assert "rule packs are not approved, so live mode contacts nobody under them" in answer.stdout
    assert "Nothing is known of before: this is the first morning, and no stage has run yet." in answer.stdout
    assert told()["changed"] is None
    assert [item for item in told()["items"] if item["urgency"] in {"now", "before_todays_runs"}] == []


def test_the_first_morning_compares_with_the_runs_before_it(portfolio: Portfolio) -> None:
    del portfolio
    with connection() as tx:
        open_run(tx, stage="early", business_date=YESTERDAY, preview=False, borrowers_max=None, policies=policies("early"), at=DAWN)
    found = told()
    assert found["since"] is None
    assert all("is new" in line and not line.startswith(("rules/", "file/")) for line in found["changed"])
    assert "## What changed since the last runs" in run("morning").stdout


def test_the_worst_comes_first_and_each_thing_has_its_command(portfolio: Portfolio, outbox: Outbox) -> None:
    who = portfolio.borrower(number=NUMBER)
    do("UPDATE attempt SET state = 'parked' WHERE id = :id", id=outbox.plan(outbox.run(business_date=YESTERDAY), who))
    audited(violations=3)
    do("UPDATE feed SET covers_until = :at", at=DAWN - timedelta(days=3))
    for intent in ("danger", "call_me"):
        do(
            "INSERT INTO outcome (party_id, channel, intent, needs_person, at) VALUES (:who, 'sms', :intent, true, :at)",
            who=who.party_id,
            intent=intent,
            at=DAWN,
        )
    with connection() as tx:
        for kind, days in (("dispute", 60), ("data_request", 20), ("complaint", 0)):
            said = Statement(party_id=who.party_id, kind=kind, at=DAWN - timedelta(days=days), channel="person")
            cases.open_case(tx, said, case_terms())
    for key, state in (("late", "late"), ("asks", "needs_approval")):
        do(
            """INSERT INTO core_instruction (key, token, loan_id, party_id, kind, relief_minor, currency, asked_by, asked_as, asked_at, state)
               VALUES (:key, gen_random_uuid(), :loan, :party, 'waiver', 1, 'USD', 'anna', 'agent', :at, :state)""",
            key=key,
            loan=who.loan_id,
            party=who.party_id,
            at=DAWN,
            state=state,
        )
    for name, hours in (("WP1", 84), ("WP2", 60)):
        do(
            """INSERT INTO payment (loan_id, external_id, state, amount_minor, paid_on, booked, effective_at, source)
               VALUES (:loan, :name, 'posted', 1, :on, false, :at, 'wallet')""",
            loan=who.loan_id,
            name=name,
            on=YESTERDAY,
            at=DAWN - timedelta(hours=hours),
        )
    do("UPDATE borrower_case SET law_answer_by = :day, law_rule = 'ZZ-1' WHERE kind = 'dispute'", day=YESTERDAY)
    items = told()["items"]
    order = [Urgency[item["urgency"].upper()] for item in items]
    assert order == sorted(order)
    assert all(item["do"] for item in items)
    assert urgency_of("the last audit (2026-03-16 to 2026-03-16) found 3 violations: I5 too_often 3") == "now"
    assert urgency_of("1 person waits for somebody: danger") == "now"
    assert urgency_of("1 person waits for somebody: call_me") == "today"
    assert urgency_of("dispute: 1 case has no answer, and the law's date has passed") == "now"
    assert urgency_of("data request: 1 case is past the next deadline") == "before_todays_runs"
    assert urgency_of("complaint: 1 case is open, in time") == "know"
    assert urgency_of("late: feed payments of lender-US-first_party") == "before_todays_runs"
    assert urgency_of("early of 2026-03-16 is unfinished") == "before_todays_runs"
    assert urgency_of("1 attempt is parked") == "today"
    assert urgency_of("1 instruction to the core system not accepted in time") == "before_todays_runs"
    assert urgency_of("1 instruction above a limit") == "today"
    assert urgency_of("1 payment by wallet not in the books after 3 days") == "today"
    page = run("morning").stdout
    assert "`prefect deployment run early/daily --param as_of=2026-03-16`" in page
    assert page.index("## Now") < page.index("## Before today's runs") < page.index("## Today") < page.index("## To know")
    assert NUMBER[2:] not in page
    assert "Nobody Atall" not in page


def test_it_says_how_long_people_wait_and_which_call_backs_were_missed(portfolio: Portfolio) -> None:
    who = portfolio.borrower(number=NUMBER).party_id
    for intent, hours in (("danger", 3), ("unclear", 50)):
        do(
            "INSERT INTO outcome (party_id, channel, intent, needs_person, at) VALUES (:who, 'sms', :intent, true, :at)",
            who=who,
            intent=intent,
            at=DAWN - timedelta(hours=hours),
        )
    with connection() as tx:
        due = CallWindow(DAWN - timedelta(hours=30), DAWN - timedelta(hours=26))
        enqueue_callback(tx, party_id=who, because="sms: call_me", window=due, at=DAWN - timedelta(hours=31))
    said = {item["what"]: item["do"] for item in told()["items"]}
    (danger,) = [what for what in said if "danger" in what]
    assert danger.endswith("(Asia/Taipei), 3 hours")
    assert "tideover person handled" in said[danger]
    assert any("unclear" in what and what.endswith(", 2 days") for what in said)
    (missed,) = [what for what in said if what.startswith("1 call-back was missed")]
    assert missed.endswith(", 1 day ago")
    assert "tideover calls take" in said[missed]


@pytest.mark.parametrize(
    ("covers_hours_ago", "said"), [(24.0, "will be late before tomorrow"), (25, "late"), (-1, None), (0.5, "will be late before tomorrow")]
)
def test_a_feed_is_late_or_will_be_before_tomorrow(portfolio: Portfolio, covers_hours_ago: float, said: str | None) -> None:
    portfolio.creditor("US")
    do("UPDATE feed SET covers_until = :at, age_seconds_max = 86400", at=DAWN - timedelta(hours=covers_hours_ago))
    found = [item["what"].split(":")[0] for item in told()["items"] if "feed payments" in item["what"]]
    assert found == ([said] if said else [])


def test_promises_holds_and_time_limits_of_today_are_counted(portfolio: Portfolio) -> None:
    people = [portfolio.borrower(country="TW") for _ in range(4)]
    for who, due_on, amount, state in zip(
        people, (TODAY, TODAY, YESTERDAY, TODAY), (5_000, None, 100, 700), ("open", "open", "open", "withdrawn"), strict=True
    ):
        do(
            "INSERT INTO promise (effective_at, source, party_id, due_on, amount_minor, currency, state)"
            " VALUES (:at, 'reply', :party, :due, :amount, 'TWD', :state)",
            at=DAWN,
            party=who.party_id,
            due=due_on,
            amount=amount,
            state=state,
        )
    portfolio.hold(people[0].party_id, "dispute", until=DAWN + timedelta(hours=3))
    portfolio.hold(people[1].party_id, "illness", until=DAWN + timedelta(days=1))
    portfolio.notice(people[2].party_id, opt_out_by=TODAY)
    found = told()
    assert found["promises_due"] == {"promises": 2, "minor": {"TWD": 5_000}}
    assert (found["holds_ending"], found["notices_ending"]) == ({"dispute": 1}, 1)
    assert urgency_of("1 promise whose day has passed: not judged yet") == "know"
    assert "| promises to pay | 2 | TWD 50.00 |" in run("morning").stdout


def test_what_changed_is_said_against_the_morning_before(portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch) -> None:
    portfolio.borrower(days_past_due=10)
    portfolio.clock(DAWN)
    keep(read_morning())
    keep(read_morning())  # of several looks at one date the first one stays
    portfolio.clock(DAWN + timedelta(days=1))
    assert told()["changed"] == []
    assert told()["since"] == "2026-03-17"

    portfolio.borrower(days_past_due=10)
    age_portfolio(TODAY)
    now = mornings._policies()  # noqa: SLF001  # the files of the test's tree must not change
    monkeypatch.setattr(mornings, "_policies", lambda: now | {"rules/us": "feedfeedfeed", "message/new/en": "abcdefabcdef"})
    monkeypatch.setenv("TIDEOVER_SMS_PER_SECOND", "7")
    settings.cache_clear()
    found = told()
    assert found["changed"] == [
        "message/new/en is new (abcdefabcdef)",
        f"rules/us changed, {now['rules/us']} → feedfeedfeed: `tideover rules diff US@{now['rules/us']} US@current`",
        "setting sms_per_second: 100.0 → 7.0",
    ]
    assert found["portfolio"]["borrowers"] == {"now": 2, "change": 1}
    assert found["portfolio"]["loans in M1"] == {"now": 2, "change": None}
    assert "| borrowers | 2 | +1 |" in run("morning").stdout


def test_no_secret_is_kept_with_a_morning(portfolio: Portfolio) -> None:
    del portfolio
    keep(read_morning())
    with connection() as tx:
        facts = json.dumps(tx.execute(text("SELECT facts FROM morning")).scalar_one())
    chosen = settings()
    for secret in (chosen.index_key, chosen.seed):
        assert secret.get_secret_value() not in facts
    assert chosen.encryption_keys.get_secret_value().partition(":")[2] not in facts
    assert "madeup-test" in facts


def test_a_text_whose_approval_ends_is_said_in_time(portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch) -> None:
    del portfolio
    texts = message_texts()
    changed: dict[tuple[str, str], dict[str, Any]] = {
        ("early_reminder", "en"): {"approved": False},
        ("early_reminder", "es"): {"approved_until": TODAY},
        ("early_need_time", "en"): {"approved_until": TODAY + timedelta(days=14)},
        ("early_need_time", "es"): {"approved_until": TODAY + timedelta(days=15)},
    }
    known = {key: replace(words, **changed.get(key, {})) for key, words in texts.by_key.items()}
    monkeypatch.setattr(morning_items, "message_texts", lambda: replace(texts, by_key=known))
    assert urgency_of("text early_reminder/en is not approved: nobody receives it") == "before_todays_runs"
    assert urgency_of("the approval of text early_reminder/es ended on 2026-03-17") == "before_todays_runs"
    assert urgency_of("the approval of text early_need_time/en ends on 2026-03-31") == "soon"
    assert not any("early_need_time/es" in item["what"] for item in told()["items"])


def test_a_file_that_cannot_be_read_hides_nothing_else(portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch) -> None:
    del portfolio
    monkeypatch.setattr(morning_items, "clearances", lambda: (_ for _ in ()).throw(ConfigError("clearances.yaml", 3, "", "is no YAML")))
    assert urgency_of("a file cannot be read, and nobody is contacted by it: clearances.yaml:3: is no YAML") == "now"
    assert urgency_of("nothing was audited yet") == "today"


def test_pauses_of_tideover_itself_are_to_be_mended_first(portfolio: Portfolio) -> None:
    del portfolio
    assert run("pause", "--channel", "push", "--because", "a test", "--by", "anna").exit_code == 0
    assert run("pause", "--channel", "sms", "--because", "account refused", "--by", "tideover").exit_code == 0
    assert urgency_of("paused #1: channel push") == "know"
    assert urgency_of("paused #2: channel sms") == "before_todays_runs"


def test_a_run_whose_few_went_badly_waits_for_people(portfolio: Portfolio, outbox: Outbox) -> None:
    stopped, trying = outbox.run(), outbox.run(stage="mid")
    for run_id, canary in ((stopped, "stopped"), (trying, "trying")):
        outbox.plan(run_id, portfolio.borrower())
        do("UPDATE campaign_run SET canary = :canary, canary_said = 'why', canary_rank = 1 WHERE id = :id", canary=canary, id=run_id)
    assert urgency_of(f"few went first: run {stopped}") == "before_todays_runs"
    assert urgency_of(f"few went first: run {trying}") == "know"
    found = json.loads(run("status", "--json").stdout)
    assert [(one["campaign_run_id"], one["canary"]) for one in found["few_first"]] == [(stopped, "stopped"), (trying, "trying")]
    assert "! few went first: run" in run("status").stdout


def test_holidays_of_the_creditors_countries_are_announced(portfolio: Portfolio) -> None:
    portfolio.creditor("MX")
    # Benito Juárez's day was the day before; Taiwan's Children's Day and Tomb Sweeping Day come in April.
    assert told()["holidays"] == {}
    portfolio.clock(noon("TW", date(2026, 4, 2)))
    portfolio.creditor("TW")
    assert list(told()["holidays"]) == ["2026-04-03", "2026-04-04", "2026-04-05", "2026-04-06"]


def test_what_to_expect_is_what_each_stage_did_last(portfolio: Portfolio, outbox: Outbox) -> None:
    for day, sent in ((YESTERDAY - timedelta(days=1), 2), (YESTERDAY, 1)):
        run_id = outbox.run(business_date=day)
        for _ in range(sent):
            attempt = outbox.plan(run_id, portfolio.borrower())
            do("UPDATE attempt SET state = 'sent', submitted_at = :at WHERE id = :id", at=DAWN, id=attempt)
    assert told()["expected"] == [{"stage": "early", "business_date": "2026-03-16", "borrowers": 0, "sent": 1}]


def test_who_waits_is_listed_by_our_id(portfolio: Portfolio) -> None:
    assert run("waiting").stdout == "nobody waits\n"
    who = portfolio.borrower().party_id
    do("INSERT INTO outcome (party_id, channel, intent, needs_person, at) VALUES (:who, 'sms', 'call_me', true, :at)", who=who, at=DAWN)
    assert run("waiting").stdout == f"answer 1: #{who}  call_me  by sms  since 2026-03-16T23:30:00+00:00\n"
    assert run("waiting", "--intent", "danger").stdout == "nobody waits\n"
    (one,) = [json.loads(line) for line in run("waiting", "--json").stdout.splitlines()]
    assert one == {"answer": 1, "borrower": who, "intent": "call_me", "channel": "sms", "since": "2026-03-16T23:30:00+00:00"}


def test_a_prefect_server_that_is_away_is_said_and_the_rest_is_told(portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch) -> None:
    del portfolio
    monkeypatch.setenv("TIDEOVER_PREFECT_API_URL", "http://127.0.0.1:1/api")
    settings.cache_clear()
    answer = run("morning", "--json")
    assert (answer.exit_code, answer.stderr) == (0, "the Prefect server does not answer (ConnectError)\n")
    assert json.loads(answer.stdout)["planned"] is None
