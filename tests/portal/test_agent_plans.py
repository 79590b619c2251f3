"""A plan on a call: two clicks to the choices of her own page, in her language, agreed only once the core system says so."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from httpx import Client, Response
from sqlalchemy import text

from decisions.core_instructions import AUTOMATIC
from ledger import call_queue, core_answers
from ledger.call_queue import CallWindow
from ledger.engine import connection
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.staff_desk import Desk
from tests.plugins.team import Team

NOON = noon("MX")
HOUR = timedelta(hours=1)


class Call:
    """A call that anna makes, up to the outcome's form."""

    def __init__(self, desk: Desk, team: Team, her: BorrowerIds) -> None:
        self.desk, self.her = desk, her
        with connection() as tx:
            tx.execute(text("""UPDATE creditor SET senders = senders || '{"call": "+15005550006"}'"""))
            window = CallWindow(NOON, NOON + 2 * HOUR)
            self.task = call_queue.enqueue_callback(tx, party_id=her.party_id, because="sms: call_me", window=window, at=NOON)
        self.browser = desk.sign_in("agent", subject="staff-anna")
        staff_id = desk.add("agent", subject="staff-anna")
        team.agent("anna", staff_id=staff_id, languages=["es", "en"], jurisdictions=["MX"])
        card = desk.post(self.browser, self.browser.get("/desk/calls"), "/desk/calls/take")
        self.page = desk.post(self.browser, card, f"{self.path}/call")

    @property
    def path(self) -> str:
        return f"/desk/calls/{self.task}"

    def plan(self) -> Response:
        ticked = dict.fromkeys(re.findall(r'name="(said_\w+)"', self.page.text), "1")
        return self.desk.post(self.browser, self.page, f"{self.path}/outcome", outcome="plan", **ticked)


def rows(sql: str) -> list[tuple[object, ...]]:
    with connection() as tx:
        return [tuple(row) for row in tx.execute(text(sql))]


def answer(said: str) -> None:
    with connection() as tx:
        token = tx.execute(text("SELECT token FROM core_instruction")).scalar_one()
        core_answers.hear(tx, token, said, at=NOON + timedelta(minutes=1))


@pytest.fixture
def her(portfolio: Portfolio) -> BorrowerIds:
    portfolio.clock(NOON)
    return portfolio.borrower(country="MX", locale="es-MX")


def test_two_clicks_to_what_fits_by_her_wallet_and_agreed_only_after_the_core_system(
    desk: Desk, team: Team, portfolio: Portfolio, her: BorrowerIds
) -> None:
    portfolio.wallet(her.party_id, currency="MXN", income_minor=800_000, essential_minor=105_000, balance_minor=1_000_000)
    call = Call(desk, team, her)
    found = call.plan()
    assert found.url.path.startswith(f"{call.path}/plan/{her.loan_id}/offers/")
    said = unescape(found.text)
    # What is read out is in her language, the frame in the agent's.
    assert "What person" in said
    assert "Al final usted paga $105.00" in said
    action = re.findall(r'action="([^"]*/offers/\d+/\d)"', found.text)[0]
    stands = desk.post(call.browser, found, action)
    assert stands.url.path == f"{call.path}/plan/{her.loan_id}/stands"
    assert "it is agreed when the lender has said yes" in stands.text
    ((kind, by, role, relief, state),) = rows("SELECT kind, asked_by, asked_as, relief_minor, state FROM core_instruction")
    assert (kind in {"plan", "extension"}, "staff-anna" in str(by), role, relief, state) == (True, True, "agent", 0, "queued")
    assert role != AUTOMATIC
    answer("accepted")
    assert "it is agreed when the lender has said yes" not in call.browser.get(stands.url.path).text
    assert rows("SELECT DISTINCT kind FROM borrower_case") == []
    looks = {str(row[0]): row[1] for row in rows("SELECT what, count(*) FROM staff_view GROUP BY what")}
    assert looks["plan on a call"] == 5
    # Sent again by a double click nothing is new.
    desk.post(call.browser, found, action)
    assert len(rows("SELECT id FROM core_instruction")) == 1


def test_what_she_says_is_filled_in_and_where_nothing_fits_a_person_looks(desk: Desk, team: Team, her: BorrowerIds) -> None:
    call = Call(desk, team, her)
    form = call.plan()
    assert form.url.path == f"{call.path}/plan/{her.loan_id}/ask"
    # From the click on, before any figure, she is left in peace.
    assert rows("SELECT kind FROM hold WHERE superseded_at IS NULL") == [("plan",)]
    action = f"{call.path}/plan/{her.loan_id}"
    lines = {"income": "4,800", "essential": "4,700", "debts": "0", "cycle": "weekly", "next": (TODAY + timedelta(days=5)).isoformat()}
    wrong = desk.post(call.browser, form, action, **{**lines, "income": "mucho"})
    assert (wrong.status_code, rows("SELECT id FROM plan_offer")) == (422, [])
    assert 'value="4,700"' in wrong.text
    found = desk.post(call.browser, form, action, **lines)
    assert "Nothing fits by itself." in found.text
    assert "/offers/" not in "".join(re.findall(r'action="([^"]*)"', found.text))
    assert rows("SELECT kind, loan_id FROM borrower_case") == [("hardship", her.loan_id)]


def test_where_none_of_it_fits_her_a_person_looks(desk: Desk, team: Team, portfolio: Portfolio, her: BorrowerIds) -> None:
    portfolio.wallet(her.party_id, currency="MXN", income_minor=800_000, essential_minor=105_000, balance_minor=1_000_000)
    call = Call(desk, team, her)
    done = desk.post(call.browser, call.plan(), f"{call.path}/plan/none")
    assert done.url.path == f"{call.path}/done"
    assert rows("SELECT kind FROM borrower_case") == [("hardship",)]
    assert rows("SELECT id FROM plan") == []


def test_where_she_only_stands_for_it_nothing_is_chosen_and_a_person_looks(desk: Desk, team: Team, her: BorrowerIds) -> None:
    call = Call(desk, team, her)
    with connection() as tx:
        tx.execute(text("UPDATE loan_party SET role = 'guarantor'"))
    assert call.plan().url.path == f"{call.path}/done"
    assert rows("SELECT kind FROM borrower_case") == [("hardship",)]


def test_of_another_agents_call_or_another_day_there_is_no_plan(desk: Desk, team: Team, portfolio: Portfolio, her: BorrowerIds) -> None:
    portfolio.wallet(her.party_id, currency="MXN", income_minor=800_000, essential_minor=105_000, balance_minor=1_000_000)
    call = Call(desk, team, her)
    before = call.browser.get(f"{call.path}/plan")
    assert before.status_code == 404, "the talk is written down first"
    found = call.plan()
    ben: Client = desk.sign_in("agent", subject="staff-ben")
    team.agent("ben", staff_id=desk.add("agent", subject="staff-ben"))
    assert ben.get(found.url.path).status_code == 404
    portfolio.clock(NOON + 24 * HOUR)
    assert call.browser.get(found.url.path).status_code == 404
