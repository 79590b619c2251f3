"""Plans: offered by the figures that count, chosen once, agreed only by the core system, and peace as long as they last."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, timedelta

import pytest
from sqlalchemy import text

from config.affordability import plan_policy
from config.cases import case_terms_in_force
from decisions.aging import IN_PLAN
from decisions.means import Declared
from ledger import cases, core_answers, plan_keeping, plan_offers, plans
from ledger.aging_facts import age_loans
from ledger.cases import Statement
from ledger.engine import connection
from ledger.locks import lock_borrowers
from ledger.plan_offers import Offered
from ledger.plans import PlanRefused, Standing
from tests.plugins.locks import waiting_for
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon

NOON = noon("MX")
POLICY = plan_policy()
# A wallet that shows enough: 8,000 a fortnight, 1,050 a week for what cannot wait; the floor is a little higher.
FORTNIGHT_MINOR = 800_000
WEEK_MINOR = 105_000
BALANCE_MINOR = 1_000_000
OPEN_MINOR = 10_500
NOTHING = Declared()


@dataclass
class Her:
    """One borrower in Mexico with 105.00 past due, or as much as a test makes it."""

    portfolio: Portfolio
    ids: BorrowerIds

    def offer(self, declared: Declared = NOTHING) -> Offered | None:
        with connection() as tx:
            number = plan_offers.make(tx, self.ids.party_id, self.ids.loan_id, declared, POLICY, at=NOON, channel="sms")
            return None if number is None else plan_offers.read(tx, self.ids.party_id, number)

    def choose(self, offered: Offered, place: int = 0) -> int:
        with connection() as tx:
            return plans.choose(tx, self.ids.party_id, offered.id, place, POLICY, at=NOON)

    def answers(self, plan_id: int, *said: str) -> None:
        with connection() as tx:
            token = tx.execute(text("SELECT token FROM core_instruction WHERE key = :key"), {"key": f"plan {plan_id}"}).scalar_one()
            for one in said:
                core_answers.hear(tx, token, one, at=NOON + timedelta(minutes=1), reason="closed" if one == "refused" else None)

    def standing(self) -> Standing | None:
        with connection() as tx:
            return plans.standings(tx, self.ids.party_id, POLICY).get(self.ids.loan_id)

    def holds(self) -> list[tuple[str, bool, bool]]:
        """Kind, whether of the loan alone, whether without an end; in force just after noon."""
        with connection() as tx:
            rows = tx.execute(
                text("""
                SELECT kind, loan_id IS NOT NULL AS of_loan, until IS NULL AS open FROM hold
                WHERE party_id = :id AND superseded_at IS NULL AND starts_at <= :at AND (until IS NULL OR until > :at) ORDER BY 1, 2, 3
                """),
                {"id": self.ids.party_id, "at": NOON + timedelta(minutes=2)},
            )
            return [(row.kind, row.of_loan, row.open) for row in rows]

    def cases(self) -> list[str]:
        with connection() as tx:
            return list(tx.execute(text("SELECT kind FROM borrower_case WHERE state <> 'closed' ORDER BY kind")).scalars())

    def count(self, table: str) -> int:
        with connection() as tx:
            return int(tx.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())  # noqa: S608  # the tables below


@pytest.fixture
def her(portfolio: Portfolio) -> Her:
    portfolio.clock(NOON)
    return Her(portfolio, portfolio.borrower(country="MX"))


@pytest.fixture
def with_wallet(her: Her) -> Her:
    her.portfolio.wallet(
        her.ids.party_id, currency="MXN", income_minor=FORTNIGHT_MINOR, essential_minor=WEEK_MINOR, balance_minor=BALANCE_MINOR
    )
    return her


def test_a_wallet_that_shows_enough_is_offered_from_without_a_question(with_wallet: Her) -> None:
    found = with_wallet.offer()
    assert found is not None
    assert found.figures_from == "wallet"
    known = found.record.circumstances
    assert (known["open_minor"], known["income_minor"]) == (OPEN_MINOR, 2 * FORTNIGHT_MINOR)
    # The floor of her country counts, since she spends less; what falls due here within 30 days is kept free.
    assert (found.record.essential_is_floor, known["essential_minor"]) == (True, POLICY.terms.floors["MX"][1])
    assert known["debts_minor"] == found.record.due_minor > 0
    assert {choice.total_minor for choice in found.record.offer.choices} == {OPEN_MINOR}
    # While she chooses nobody asks her for anything.
    assert with_wallet.holds() == [("plan", False, False)]


@pytest.mark.parametrize(
    ("spoils", "why"),
    [
        ("DELETE FROM wallet_flow", "no wallet"),
        ("DELETE FROM wallet_flow WHERE moved_on < CAST(:today AS date) - 59", "too few days"),
        ("DELETE FROM wallet_flow WHERE moved_on > CAST(:today AS date) - 9", "too old"),
        ("UPDATE wallet_flow SET currency = 'USD'", "another currency"),
        ("UPDATE wallet_flow SET kind = 'refund' WHERE kind = 'salary'", "no income"),
        ("UPDATE party_version SET country = 'KE'", "no floor known"),
    ],
)
def test_where_too_little_is_known_she_is_asked_and_nothing_is_guessed(with_wallet: Her, spoils: str, why: str) -> None:
    with connection() as tx:
        tx.execute(text(spoils), {"today": TODAY} if ":today" in spoils else {})
    assert with_wallet.offer() is None, why
    assert with_wallet.count("plan_offer") == 0
    said = Declared(
        income_minor=1_600_000, essential_minor=700_000, debts_minor=0, cycle="monthly", next_income_on=TODAY + timedelta(days=5)
    )
    found = with_wallet.offer(said)
    assert found is not None
    if "floor" in why:
        # Nothing is granted by itself where nobody knows what a household needs.
        assert (found.record.offer.road, found.record.offer.reasons[-1].name) == ("review", "person_grants")
        assert with_wallet.cases() == ["hardship"]
    else:
        assert found.figures_from == "borrower"
        assert found.record.offer.choices


def test_her_figures_win_and_thin_data_are_never_worse(with_wallet: Her) -> None:
    """She earns most of it elsewhere: the wallet sees less than 60 %, and is not replayed against her."""
    with connection() as tx:
        tx.execute(text("UPDATE wallet_flow SET amount_minor = 0 WHERE kind = 'balance'"))
    poor = with_wallet.offer()
    assert poor is not None
    assert poor.record.offer.road == "review"
    said = Declared(
        income_minor=3_000_000, essential_minor=900_000, debts_minor=0, cycle="fortnightly", next_income_on=TODAY + timedelta(days=5)
    )
    found = with_wallet.offer(said)
    assert found is not None
    assert found.figures_from == "borrower"
    assert all(choice.replay is None for choice in found.record.offer.choices)
    assert found.record.offer.choices
    less = with_wallet.offer(replace(said, at_most_minor=3_000))
    assert less is not None
    assert {choice.payments[0].amount_minor for choice in less.record.offer.choices} <= {2_000, 3_000}


def test_a_choice_is_sent_and_is_a_plan_only_once_the_core_system_has_accepted(with_wallet: Her) -> None:
    offered = with_wallet.offer(replace(NOTHING, at_most_minor=2_000))
    assert offered is not None
    plan_id = with_wallet.choose(offered)
    assert with_wallet.choose(offered) == plan_id
    assert (with_wallet.count("plan"), with_wallet.count("core_instruction")) == (1, 1)
    standing = with_wallet.standing()
    assert standing is not None
    assert (standing.status, standing.agreed_on) == ("accepted", None)
    assert ("plan", True, True) in with_wallet.holds()
    assert with_wallet.offer() is None, "no second plan beside one that is under way"
    with connection() as tx:
        assert IN_PLAN not in age_loans(tx, [with_wallet.ids.loan_id], business_date=TODAY)["stage"].to_list()
        terms = tx.execute(text("SELECT terms FROM core_instruction")).scalar_one()
    assert sum(one["amount_minor"] for one in terms["instalments"]) == OPEN_MINOR
    assert terms["freezes"] == ["penalty", "fee", "interest"]
    with_wallet.answers(plan_id, "received")
    assert with_wallet.standing() == standing
    with_wallet.answers(plan_id, "accepted", "accepted", "applied")
    standing = with_wallet.standing()
    assert standing is not None
    assert (standing.status, standing.agreed_on) == ("active", TODAY)
    # From now on peace has an end: that of the plan.
    assert [hold for hold in with_wallet.holds() if hold[1]] == [("plan", True, False)]
    with connection() as tx:
        assert age_loans(tx, [with_wallet.ids.loan_id], business_date=TODAY)["stage"].to_list() == [IN_PLAN]


def test_what_the_lender_refuses_goes_to_a_person_and_she_stays_in_peace(with_wallet: Her) -> None:
    offered = with_wallet.offer()
    assert offered is not None
    plan_id = with_wallet.choose(offered)
    with_wallet.answers(plan_id, "refused")
    standing = with_wallet.standing()
    assert standing is not None
    assert standing.status == "refused"
    assert with_wallet.cases() == ["core_instruction", "hardship"]
    assert ("hardship", True, True) in with_wallet.holds()
    # The way is free for another choice.
    assert with_wallet.offer() is not None


def test_nothing_left_opens_a_case_at_once_and_offers_nothing(her: Her) -> None:
    said = Declared(income_minor=300_000, essential_minor=290_000, debts_minor=0, cycle="monthly", next_income_on=TODAY + timedelta(days=5))
    for _ in range(2):
        found = her.offer(said)
        assert found is not None
        assert (found.record.offer.road, found.record.offer.choices) == ("hardship", ())
    assert her.cases() == ["hardship"]
    assert ("hardship", True, True) in her.holds()
    assert found is not None
    with pytest.raises(PlanRefused, match="no such choice"):
        her.choose(found)


def paid_meanwhile(her: Her) -> None:
    her.portfolio.payment(her.ids.loan_id, 5_000, paid_on=TODAY)


def disputed_meanwhile(her: Her) -> None:
    with connection() as tx:
        cases.open_case(
            tx,
            Statement(party_id=her.ids.party_id, kind="dispute", at=NOON, channel="sms", loan_id=her.ids.loan_id),
            case_terms_in_force(),
        )


def another_day(her: Her) -> None:
    with connection() as tx:
        tx.execute(text("UPDATE party_version SET known_zone = 'Pacific/Kiritimati' WHERE party_id = :id"), {"id": her.ids.party_id})


@pytest.mark.parametrize("change", [paid_meanwhile, disputed_meanwhile, another_day])
def test_a_choice_that_no_longer_fits_what_is_open_is_not_taken(with_wallet: Her, change: Callable[[Her], None]) -> None:
    offered = with_wallet.offer()
    assert offered is not None
    change(with_wallet)
    with pytest.raises(PlanRefused):
        with_wallet.choose(offered)
    assert with_wallet.count("core_instruction") == 0


def test_nobody_takes_what_was_offered_to_somebody_else_or_for_a_loan_that_she_only_stands_for(with_wallet: Her) -> None:
    offered = with_wallet.offer()
    assert offered is not None
    other = with_wallet.portfolio.borrower(country="MX")
    with_wallet.portfolio.liable(with_wallet.ids.loan_id, other.party_id, role="guarantor")
    with connection() as tx:
        assert plan_offers.read(tx, other.party_id, offered.id) is None
        assert plan_offers.situation(tx, other.party_id, with_wallet.ids.loan_id, POLICY, at=NOON) is None
        assert plans.standings(tx, other.party_id, POLICY) == {}
    with pytest.raises(PlanRefused, match="no such choice"), connection() as tx:
        plans.choose(tx, other.party_id, offered.id, 0, POLICY, at=NOON)


def test_chosen_twice_at_once_it_is_one_plan(with_wallet: Her) -> None:
    first, second = with_wallet.offer(), with_wallet.offer()
    assert first is not None
    assert second is not None

    def take(offered: Offered) -> int | None:
        try:
            return with_wallet.choose(offered)
        except PlanRefused:
            return None

    with ThreadPoolExecutor(4) as threads:
        taken = [one for one in threads.map(take, [first, second, first, second]) if one is not None]
    assert len(set(taken)) == 1
    assert (with_wallet.count("plan"), with_wallet.count("plan_choice"), with_wallet.count("core_instruction")) == (1, 1, 1)


def test_the_same_circumstances_get_the_same_offer_and_no_figure_stands_in_the_clear(with_wallet: Her) -> None:
    first, second = with_wallet.offer(), with_wallet.offer()
    assert first is not None
    assert second is not None
    assert first.record == second.record
    with connection() as tx:
        alike = tx.execute(text("SELECT count(DISTINCT (circumstances_digest, offer_digest)) FROM plan_offer")).scalar_one()
        assert alike == 1
        kept = tx.execute(text("SELECT encode(record_encrypted, 'escape') FROM plan_offer LIMIT 1")).scalar_one()
    # Figures of a person stand nowhere in the clear.
    assert "income" not in kept


def test_what_falls_due_soon_may_be_put_off_before_it_is_late(portfolio: Portfolio) -> None:
    portfolio.clock(NOON)
    her = Her(portfolio, portfolio.borrower(country="MX", days_past_due=-3))
    portfolio.wallet(
        her.ids.party_id, currency="MXN", income_minor=FORTNIGHT_MINOR, essential_minor=WEEK_MINOR, balance_minor=BALANCE_MINOR
    )
    found = her.offer()
    assert found is not None
    assert found.record.offer.road == "extension"
    (only,) = found.record.offer.choices[0].payments if found.record.offer.choices[0].kind == "extension" else ()
    assert only.amount_minor == OPEN_MINOR
    her.choose(found)
    with connection() as tx:
        terms = tx.execute(text("SELECT terms FROM core_instruction WHERE kind = 'extension'")).scalar_one()
    assert (terms["due_on"], terms["new_due_on"]) == ((TODAY + timedelta(days=3)).isoformat(), only.due_on.isoformat())


# --- keeping one --------------------------------------------------------------------------------------------------------


@pytest.fixture
def agreed(with_wallet: Her) -> tuple[Her, int]:
    """A plan of six payments of 20.00 (the last of 5.00), the first on March 30, agreed today; the feed reaches far ahead."""
    offered = with_wallet.offer(replace(NOTHING, at_most_minor=2_000))
    assert offered is not None
    place = next(number for number, one in enumerate(offered.record.offer.choices) if one.payments[0].amount_minor == 2_000)
    plan_id = with_wallet.choose(offered, place)
    with_wallet.answers(plan_id, "accepted")
    with connection() as tx:
        tx.execute(text("UPDATE feed SET covers_until = '2027-01-01'"))
        # Only what a test is about changes her income.
        tx.execute(text("DELETE FROM wallet_flow"))
    return with_wallet, plan_id


def judged(plan_id: int, on: date) -> str | None:
    with connection() as tx:
        return plan_keeping.judge(tx, plan_id, POLICY, on=on, at=noon("MX", on))


def days_of(her: Her) -> list[date]:
    found = her.standing()
    assert found is not None
    return [one.due_on for one in found.payments]


def test_one_payment_of_six_may_be_paid_later_and_then_a_person_comes_first(agreed: tuple[Her, int]) -> None:
    her, plan_id = agreed
    days = days_of(her)
    assert len(days) == 6
    assert judged(plan_id, days[0] + timedelta(days=10)) is None
    assert judged(plan_id, days[1] + timedelta(days=1)) is None, "two business days are for settlement"
    assert judged(plan_id, days[1] + timedelta(days=10)) == "late"
    assert judged(plan_id, days[1] + timedelta(days=10)) is None
    assert her.cases() == ["hardship"]
    with connection() as tx:
        # She asked for nothing, and is not thanked for it.
        assert tx.execute(text("SELECT state FROM borrower_case")).scalar_one() == "acknowledged"
        assert age_loans(tx, [her.ids.loan_id], business_date=days[1] + timedelta(days=10))["stage"].to_list() == [IN_PLAN]
    # It is not broken while a person owes her a talk, however long it takes.
    assert judged(plan_id, days[5] + timedelta(days=90)) is None
    with connection() as tx:
        number = tx.execute(text("SELECT id FROM borrower_case")).scalar_one()
        cases.answer(tx, number, by="ben", at=NOON, reference="letter 7")
        cases.close(tx, number, by="ben", result="relief_refused", at=NOON)
    assert judged(plan_id, days[1] + timedelta(days=30)) is None
    assert judged(plan_id, days[5] + timedelta(days=90)) == "broken"
    assert [hold for hold in her.holds() if hold[1]] == [("plan", True, False)], "the peace of the day itself stands in its past"


def test_what_comes_later_catches_up_and_all_of_it_ends_the_plan(agreed: tuple[Her, int]) -> None:
    her, plan_id = agreed
    days = days_of(her)
    her.portfolio.payment(her.ids.loan_id, 2_000, paid_on=days[0])
    assert judged(plan_id, days[1] + timedelta(days=10)) is None
    assert judged(plan_id, days[2] + timedelta(days=10)) == "late"
    her.portfolio.payment(her.ids.loan_id, 4_000, paid_on=days[2] + timedelta(days=10))
    assert judged(plan_id, days[2] + timedelta(days=11)) == "active"
    her.portfolio.payment(her.ids.loan_id, 4_500, paid_on=days[2] + timedelta(days=12))
    assert judged(plan_id, days[2] + timedelta(days=12)) == "completed"
    assert judged(plan_id, days[5] + timedelta(days=99)) is None


def test_nothing_is_called_late_that_the_feed_does_not_reach(agreed: tuple[Her, int]) -> None:
    her, plan_id = agreed
    with connection() as tx:
        tx.execute(text("UPDATE feed SET covers_until = :at"), {"at": NOON})
    assert judged(plan_id, days_of(her)[3] + timedelta(days=10)) == plan_keeping.WAITING
    assert her.cases() == []


def test_who_earns_much_less_than_when_she_chose_is_looked_at_once_by_a_person(agreed: tuple[Her, int]) -> None:
    her, plan_id = agreed
    for income_minor, became in ((620_000, None), (590_000, plan_keeping.FALLEN), (590_000, None)):
        with connection() as tx:
            tx.execute(text("DELETE FROM wallet_flow"))
        her.portfolio.wallet(her.ids.party_id, currency="MXN", income_minor=income_minor, essential_minor=WEEK_MINOR, balance_minor=1)
        assert judged(plan_id, TODAY) == became
    assert her.cases() == ["hardship"]


def test_that_it_is_agreed_is_told_once_and_a_payment_that_is_near_is_remembered_unless_it_is_there(agreed: tuple[Her, int]) -> None:
    her, _ = agreed
    first = days_of(her)[0]
    with connection() as tx:
        assert plan_keeping.to_tell(tx, agreed_since=NOON - timedelta(days=7))["party_id"].to_list() == [her.ids.party_id]
        assert plan_keeping.to_tell(tx, agreed_since=NOON + timedelta(hours=1)).is_empty()
        assert plan_keeping.to_remind(tx, first)["party_id"].to_list() == [her.ids.party_id]
        assert plan_keeping.to_remind(tx, first + timedelta(days=1)).is_empty()
    her.portfolio.payment(her.ids.loan_id, 2_000, paid_on=TODAY)
    with connection() as tx:
        assert plan_keeping.to_remind(tx, first).is_empty()


def test_who_judges_a_plan_waits_for_whoever_holds_her(agreed: tuple[Her, int]) -> None:
    """As the gate does while it judges a message to her (the gate itself asks for nothing of a loan in a plan)."""
    her, plan_id = agreed
    last = days_of(her)[-1]
    with ThreadPoolExecutor(1) as thread:
        with connection() as tx:
            lock_borrowers(tx, [her.ids.party_id])
            judging: Future[object] = thread.submit(judged, plan_id, last + timedelta(days=90))
            _, query = waiting_for(tx.execute(text("SELECT pg_backend_pid()")).scalar_one(), judging)
            assert query.startswith("SELECT id FROM party WHERE id = ANY")
        assert judging.result(20) == "late"
