"""`tideover staff`: who may sign in, in which roles, and who looked at whom; what is refused says why."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from config.desk_files import desk_policy_in_force
from config.settings import settings
from ledger import staff_sessions
from ledger.engine import connection
from ledger.staff_views import note_view
from tests.plugins.portfolio import Portfolio
from tideover import app

ADA = ("Ada Agent", "--subject", "s-1", "--by", "chief")


@pytest.fixture(autouse=True)
def _issuer(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    del ledger_url
    for name, value in (("ISSUER", "https://login.example"), ("CLIENT_ID", "desk"), ("CLIENT_SECRET", "made-up")):
        monkeypatch.setenv(f"TIDEOVER_OIDC_{name}", value)
    settings.cache_clear()


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["staff", *words])
    return done.exit_code, done.output


def test_somebody_comes_changes_her_roles_and_leaves_with_her_desks_closed() -> None:
    assert "tideover staff add" in run("list")[1]
    assert run("add", *ADA, "--role", "agent") == (0, "1: Ada Agent may sign in as agent\n")
    code, said = run("list")
    assert (code, "1: Ada Agent (s-1), agent, added by chief; never at a desk" in said) == (0, True)
    assert run("roles", "1", "--role", "agent", "--role", "supervisor", "--by", "chief") == (0, "1: agent, supervisor\n")
    (listed,) = [json.loads(line) for line in run("list", "--json")[1].splitlines()]
    assert (listed["name"], sorted(listed["roles"]), listed["issuer"]) == ("Ada Agent", ["agent", "supervisor"], "https://login.example")
    with connection() as tx:
        secret = staff_sessions.begin(tx, 1, instead_of=None)
        assert staff_sessions.find(tx, secret, desk_policy_in_force()) is not None
    assert "last at a desk" in run("list")[1]
    assert run("end", "1", "--by", "chief")[0] == 0
    with connection() as tx:
        assert staff_sessions.find(tx, secret, desk_policy_in_force()) is None
    assert "nobody of the staff" in run("list")[1]
    assert "; left " in run("list", "--all")[1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("add", *ADA, "--role", "wizard"), "wizard"),
        (("add", *ADA[:-1], " ", "--role", "agent"), "--by"),
        (("roles", "99", "--role", "agent", "--by", "chief"), "99"),
        (("end", "99", "--by", "chief"), "99"),
        (("views", "--day", "soon"), "--day is a date"),
    ],
)
def test_what_cannot_be_is_refused_in_words(words: tuple[str, ...], says: str) -> None:
    code, said = run(*words)
    assert (code, says in said) == (2, True), said
    with connection() as tx:
        assert tx.execute(text("SELECT count(*) FROM staff")).scalar_one() == 0


def test_views_say_who_looked_at_whom_and_count_people(portfolio: Portfolio) -> None:
    people = [portfolio.borrower().party_id for _ in range(2)]
    run("add", *ADA, "--role", "agent")
    with connection() as tx:
        for party_id in (*people, people[0]):
            note_view(tx, 1, party_id, "person", "asked by letter")
    code, said = run("views")
    assert (code, said.count("Ada Agent (1) looked at borrower #"), said.count("asked by letter")) == (0, 3, 3)
    assert run("views", "--borrower", str(people[1]))[1].count("looked at") == 1
    assert run("views", "--staff", "2") == (0, "")
    assert run("views", "--day", "2020-01-01") == (0, "")
    assert run("views", "--count") == (0, "1: Ada Agent looked at 2 people, 3 times\n")
    (counted,) = [json.loads(line) for line in run("views", "--count", "--json")[1].splitlines()]
    assert (counted["people"], counted["views"], counted["unusual"]) == (2, 3, False)
