"""What machines ask: alive, ready, figures; and who may see those."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from httpx import Client
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from config.cases import case_terms
from config.settings import settings
from ledger import cases, clock, pauses
from ledger.cases import Statement
from ledger.engine import connection
from ledger.gauges import TOPICS
from ledger.pauses import Scope
from portal import metrics, watch
from portal.app import app
from tests.plugins.portfolio import TODAY, Portfolio, made_up_number, noon
from tests.plugins.sending import Outbox
from tests.plugins.sent import Sent

NUMBER = made_up_number("US", 42)
Serve = Callable[[], AbstractContextManager[str]]
Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def client(serve_portal: Serve, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    # Every question counts anew.
    monkeypatch.setattr(metrics, "FRESH_SECONDS", -1.0)
    with serve_portal() as url, Client(base_url=url, trust_env=False) as open_client:
        yield open_client


@pytest.fixture
def database_away(client: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """The database is gone while the portal runs: port 1 of loopback, where nobody answers."""
    monkeypatch.setenv("TIDEOVER_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    settings.cache_clear()
    return client


def figures(client: Client) -> Figures:
    """Sample and labels → value."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)
    return {(sample.name, frozenset(sample.labels.items())): sample.value for family in families for sample in family.samples}


def figure(found: Figures, name: str, **labels: str) -> float:
    """One value."""
    return found[name, frozenset(labels.items())]


def test_a_portal_that_works_is_alive_and_ready(client: Client) -> None:
    assert client.get("/health").json()["status"] == "ok"
    answer = client.get("/ready")
    assert (answer.status_code, answer.json()) == (200, {"ledger": "ok", "migrations": "ok", "inbox": "ok"})


def test_without_its_database_it_is_alive_and_not_ready(database_away: Client) -> None:
    answer = database_away.get("/health")
    assert (answer.status_code, answer.json()["inbox_waiting"]) == (200, None)
    answer = database_away.get("/ready")
    assert answer.status_code == 503
    assert answer.json() == {"ledger": "away (OperationalError)", "migrations": "not known", "inbox": "ok"}
    assert figure(figures(database_away), metrics.READABLE) == 0
    assert "tideover_inbox_waiting" not in database_away.get("/metrics").text


def test_a_ledger_that_must_be_migrated_is_not_ready_and_one_that_a_newer_version_migrated_is(client: Client) -> None:
    for revision, code in (("3f21e2886228", 503), ("ffff00000000", 200)):
        with connection() as tx:
            tx.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
        answer = client.get("/ready")
        assert answer.status_code == code, answer.json()


def test_a_portal_that_no_longer_applies_what_it_hears_asks_to_be_restarted(client: Client) -> None:
    healer: asyncio.Task[None] = app.state.works["healer"]
    healer.get_loop().call_soon_threadsafe(healer.cancel)
    answers = [client.get(path) for path in ("/ready", "/health", "/ready", "/health")][2:]
    assert [answer.status_code for answer in answers] == [503, 503]
    assert answers[1].json()["status"] == "stopped: healer"


@pytest.mark.parametrize("header", [*watch.FORWARDED, "X-Forwarded-For"])
def test_whoever_comes_through_a_proxy_sees_no_figures(client: Client, header: str) -> None:
    assert client.get("/metrics", headers={header: "127.0.0.1"}).status_code == 404


def test_with_a_token_it_alone_opens_the_figures(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEOVER_METRICS_TOKEN", "let me see")
    settings.cache_clear()
    codes = [
        client.get("/metrics", headers=given).status_code
        for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "let me see"})
    ]
    assert codes == [404, 404, 404]
    assert client.get("/metrics", headers={"Authorization": "Bearer let me see", "X-Forwarded-For": "203.0.113.9"}).status_code == 200


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", True), ("::1", True), ("10.0.0.7", False), ("", False), ("testclient", False)]
)
def test_only_this_machine_is_loopback(host: str, expected: bool) -> None:
    assert watch._is_loopback(host) == expected  # noqa: SLF001  # a test cannot come from another machine


def test_figures_say_what_the_ledger_holds(client: Client, portfolio: Portfolio, outbox: Outbox, send: Callable[..., Sent]) -> None:
    portfolio.clock(noon("US"))
    people = [portfolio.borrower(push=False, number=NUMBER if number == 0 else None) for number in range(4)]
    send(people[0])
    run = outbox.run(scope="US")
    due, later, unknown = (outbox.plan(run, person) for person in people[1:])
    with connection() as tx:
        tx.execute(text("UPDATE attempt SET send_after = :at WHERE id = :id"), {"at": clock.now(tx), "id": due})
        tx.execute(text("UPDATE attempt SET send_after = expires_at WHERE id = :id"), {"id": later})
        tx.execute(
            text("UPDATE attempt SET state = 'unknown', call_deadline = clock_timestamp() - interval '1 hour' WHERE id = :id"),
            {"id": unknown},
        )
        tx.execute(
            text(
                "INSERT INTO provider_event (provider, provider_id, kind, status, at, times_received, received_at)"
                " VALUES ('twilio', 'SM1', 'status', 'delivered', now(), 1, clock_timestamp() - interval '2 minutes')"
            )
        )
        pauses.write_pause(tx, Scope(channel="sms"), because="test", by="anna", at=clock.now(tx))
        tx.execute(
            text(
                "INSERT INTO audit_result (first, last, at, attempts, violations, invariants) VALUES"
                ' (:day, :day, now(), 3, 2, \'{"I1": "held", "I4": "broken"}\'), (\'2020-01-01\', \'2020-01-01\', now(), 9, 0, \'{"I4": "held"}\')'
            ),
            {"day": TODAY},
        )
        said = Statement(party_id=people[0].party_id, kind="dispute", at=noon("US") - timedelta(days=60), channel="person")
        cases.open_case(tx, said, case_terms())
    found = figures(client)
    here = {"scope": "US", "stage": "early", "channel": "sms"}
    assert figure(found, "tideover_attempts", scope="all", stage="early", channel="sms", state="accepted") == 1
    assert figure(found, "tideover_attempts", **here, state="planned") == 2
    assert figure(found, "tideover_gate_let_through", scope="all", stage="early", channel="sms") == 1
    assert (figure(found, "tideover_send_due", **here), figure(found, "tideover_send_later", **here)) == (1, 1)
    assert figure(found, "tideover_send_unknown") == 1
    assert figure(found, "tideover_send_unknown_seconds") >= 3600
    assert figure(found, "tideover_inbox_waiting") == 1
    assert figure(found, "tideover_inbox_oldest_seconds") >= 120
    assert figure(found, "tideover_pauses", what="a part") == 1
    # The audit of the newest dates, not the one that was made last.
    assert figure(found, "tideover_audit_violations") == 2
    assert (
        figure(found, "tideover_audit_invariant_held", invariant="I1"),
        figure(found, "tideover_audit_invariant_held", invariant="I4"),
    ) == (1, 0)
    assert figure(found, "tideover_feed_stale", kind="payments") == 0
    assert [figure(found, f"tideover_cases_{what}", kind="dispute") for what in ("open", "late", "unlawful")] == [1, 1, 0]
    assert figure(found, metrics.READABLE) == 1


def test_why_people_were_withheld_is_told_by_rule_and_no_figure_knows_a_person(
    client: Client, portfolio: Portfolio, outbox: Outbox
) -> None:
    portfolio.clock(noon("US"))
    borrower = portfolio.borrower(push=False, number=NUMBER)
    run = outbox.run()
    attempt = outbox.plan(run, borrower)
    with connection() as tx:
        tx.execute(
            text('UPDATE attempt SET state = \'withheld\', permit = \'{"blocked_by": ["HOUSE-HOLD", "US-REGF-CEASE"]}\' WHERE id = :id'),
            {"id": attempt},
        )
        tx.execute(text("INSERT INTO reason_set (reasons) VALUES ('{HOUSE-STALE-PAYMENTS}')"))
        tx.execute(text("SET LOCAL session_replication_role = replica"))  # a row keeps its keys; here the past is made up
        tx.execute(
            text(
                "UPDATE decision SET action = 'no_contact', channel = NULL, contact_point_id = NULL, message = NULL,"
                " reason_set_id = (SELECT max(id) FROM reason_set)"
            )
        )
        tx.execute(text("SET LOCAL session_replication_role = origin"))
    found = figures(client)
    told = {
        (dict(labels)["said_by"], dict(labels)["reason"]): value for (name, labels), value in found.items() if name == "tideover_withheld"
    }
    assert told == {("gate", "HOUSE-HOLD"): 1, ("gate", "US-REGF-CEASE"): 1, ("decision", "HOUSE-STALE-PAYMENTS"): 1}
    text_of = client.get("/metrics").text
    assert NUMBER not in text_of
    assert "party-" not in text_of


def test_rare_reasons_beyond_the_limit_are_added_up(
    client: Client, outbox: Outbox, portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.gauges.REASONS_MAX", 2)
    portfolio.clock(noon("US"))
    run = outbox.run()
    for reasons in ("A,B,C", "A,B,D"):
        attempt = outbox.plan(run, portfolio.borrower(push=False))
        blocked = ", ".join(f'"{reason}"' for reason in reasons.split(","))
        with connection() as tx:
            tx.execute(
                text("UPDATE attempt SET state = 'withheld', permit = CAST(:permit AS jsonb) WHERE id = :id"),
                {"permit": f'{{"blocked_by": [{blocked}]}}', "id": attempt},
            )
    told = {dict(labels)["reason"]: value for (name, labels), value in figures(client).items() if name == "tideover_withheld"}
    assert told == {"A": 2, "B": 2, "other": 2}


def test_a_topic_that_takes_too_long_is_missing_and_the_others_are_there(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.gauges.STATEMENT_SECONDS_MAX", 1)
    monkeypatch.setitem(TOPICS, "answers", text("SELECT count(*) AS waiting FROM pg_sleep(30)"))
    found = figures(client)
    assert (figure(found, metrics.READABLE), figure(found, metrics.MISSING)) == (1, 1)
    assert ("tideover_answers_waiting", frozenset()) not in found
    assert figure(found, "tideover_inbox_waiting") == 0


def test_what_was_heard_and_refused_is_counted(client: Client) -> None:
    before = figures(client)
    client.post("/webhooks/twilio/inbound", content="x=1", headers={"X-Twilio-Signature": "nonsense"})
    after = figures(client)
    answered = ("tideover_webhooks_total", frozenset({("address", "inbound"), ("code", "403")}))
    refused = ("tideover_webhooks_refused_total", frozenset({("reason", "not signed by Twilio")}))
    assert after[answered] - before.get(answered, 0) == 1
    assert after[refused] - before.get(refused, 0) == 1


def test_a_crowd_that_asks_counts_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert figure(figures(client), "tideover_answers_waiting") == 0
    with connection() as tx:
        tx.execute(text("INSERT INTO creditor (id, external_id, name, role, country) VALUES (1, 'c', 'C', 'first_party', 'TW')"))
        tx.execute(text("INSERT INTO party (id, creditor_id, external_id) VALUES (1, 1, 'p')"))
        tx.execute(text("INSERT INTO outcome (party_id, channel, intent, needs_person, at) VALUES (1, 'sms', 'help', true, now())"))
    monkeypatch.setattr(metrics, "FRESH_SECONDS", 3600.0)
    assert figure(figures(client), "tideover_answers_waiting") == 0
    monkeypatch.setattr(metrics, "FRESH_SECONDS", -1.0)
    assert figure(figures(client), "tideover_answers_waiting") == 1
