"""What she wishes on her page holds at the gate, narrows alone, and is hers to change back; reads, free help, and one question."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta

import pytest
from httpx import Response
from sqlalchemy import text

from config.education import education_terms
from decisions.words import WEEKDAYS
from gate.lane import run_lane
from ledger import answers, case_work, clock, helped, wishes
from ledger.engine import connection
from ledger.facts import read_facts
from ledger.helped import Solved
from ledger.wishes import Wanted
from portal.account import all_ways
from portal.my_wishes import UnclearError, wanted_of
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel
from tests.plugins.sent import Known, Sent
from tests.plugins.the_page import Visit, heading, words

NOON = noon("US")


@pytest.fixture
def hers(portfolio: Portfolio, send: Callable[..., Sent], visit: Visit) -> BorrowerIds:
    portfolio.clock(NOON)
    borrower = portfolio.borrower()
    send(borrower)
    visit.open(borrower)
    return borrower


def wish(visit: Visit, *, off: tuple[str, ...] = (), **fields: str) -> Response:
    """The form with every box ticked but those that are off."""
    boxes = {f"way_{way}": "on" for way in all_ways() if way not in off} | {f"day_{day}": "on" for day in WEEKDAYS if day not in off}
    return visit.post(visit.get("/b/wishes"), "/b/wishes", **boxes, **fields)


def standing(borrower: BorrowerIds) -> tuple[Wanted, bool]:
    with connection() as tx:
        return wishes.standing(tx, borrower.party_id, at=clock.now(tx))


def blocked(outbox: Outbox, borrower: BorrowerIds, *, on: date, at: datetime) -> list[str]:
    """Why an attempt at an instant is not sent; empty = it was."""
    run = outbox.run(business_date=on)
    attempt = outbox.plan(run, borrower, send_after=at, expires_at=at + timedelta(hours=20))
    channel = RecordingChannel()
    run_lane(run, shard=None, channels={"sms": lambda: channel})
    kept = outbox.attempt(attempt)
    return [] if channel.sent else [rule for rule in (kept["permit"] or {}).get("blocked_by", ["later"]) if rule in {"HOUSE-WISH", "later"}]


def test_wishes_hold_at_the_gate_and_are_changed_back(hers: BorrowerIds, visit: Visit, portfolio: Portfolio, outbox: Outbox) -> None:
    assert standing(hers) == (Wanted(), False)
    page = wish(visit, off=("sms", "sat", "sun"), opens="09:00", closes="18:00")
    assert heading(page) == "How and when we may contact you"
    assert "It holds from now on" in words(page)
    wanted = Wanted(channels_off=frozenset({"sms"}), days_off=frozenset({"sat", "sun"}), opens=time(9), closes=time(18))
    assert standing(hers) == (wanted, False)
    assert 'name="way_sms">' in page.text
    assert "<option selected>09:00</option>" in page.text
    before = outbox.rows("SELECT count(*) FROM wish")[0][0]
    wish(visit, off=("sms", "sat", "sun"), opens="09:00", closes="18:00")
    assert outbox.rows("SELECT count(*) FROM wish")[0][0] == before, "said twice it stands once"

    # The day after, so that yesterday's message is no reason.
    tomorrow = TODAY + timedelta(days=2)
    portfolio.clock(noon("US", tomorrow))
    assert blocked(outbox, hers, on=tomorrow, at=noon("US", tomorrow)) == ["HOUSE-WISH"]
    assert "Nothing was changed" in words(wish(visit, opens="18:00", closes="09:00"))
    assert standing(hers)[0] == wanted
    wish(visit)
    assert standing(hers) == (Wanted(), False)
    after = TODAY + timedelta(days=3)
    portfolio.clock(noon("US", after))
    assert blocked(outbox, hers, on=after, at=noon("US", after)) == []
    # What was known then is known still: the wish stood on the day before.
    ended = outbox.rows("SELECT count(*) FROM wish WHERE superseded_at IS NULL AND until IS NOT NULL")[0][0]
    assert ended == before


def test_wishes_narrow_alone(hers: BorrowerIds, visit: Visit, portfolio: Portfolio, known: Known) -> None:
    """A stop of hers is taken back where she ticks it; one that came another way, and other wishes, stay."""
    with connection() as tx:
        answers.opt_out(tx, [hers.party_id], ["sms"], at=NOON)
    portfolio.opt_out(hers.party_id, channel="push")
    portfolio.wish(hers.party_id, "not_channel", channels=["email"])
    page = visit.get("/b/wishes")
    assert words(page).count("(you stopped this; mark it to allow it again)") == 2
    assert "You told us more wishes in another way." in words(page)
    wish(visit, off=("sms", "push"))
    assert known.opt_outs(hers) == [("push", True), ("sms", True)], "an untouched form changes no stop"
    assert standing(hers) == (Wanted(), True), "what is stopped needs no wish beside it"
    wish(visit)
    assert known.opt_outs(hers) == [("push", True), ("sms", False)]
    with connection() as tx:
        facts = read_facts(tx, parties=[hers.party_id], at=NOON, business_date=TODAY, loans="now")
        assert facts.wishes["channels"].to_list() == [["email"]]


def test_a_language_is_chosen_where_no_message_is_missed(hers: BorrowerIds, visit: Visit, portfolio: Portfolio, outbox: Outbox) -> None:
    wish(visit, language="es")
    with connection() as tx:
        assert wishes.language(tx, hers.party_id) == "es-US"
        facts = read_facts(tx, parties=[hers.party_id], at=NOON, business_date=TODAY, loans="now")
    assert facts.borrowers["locale"].to_list() == ["es-US"]
    wish(visit, language="fr")
    wish(visit, language="xx'; DROP TABLE party --")
    with connection() as tx:
        assert wishes.language(tx, hers.party_id) == "es-US"
    assert len(outbox.rows("SELECT 1 FROM language_wish")) == 1
    collected = portfolio.borrower(creditor_role="third_party")
    run = outbox.run(scope="x")
    outbox.plan(run, collected)
    visit.open(collected)
    offered = visit.get("/b/wishes").text
    assert ('value="es"' in offered, 'value="ja"' in offered) == (True, False), "a collector has no words in Japanese for the United States"
    wish(visit, language="ja")
    with connection() as tx:
        assert wishes.language(tx, collected.party_id) is None


@pytest.mark.parametrize("hours", [("18:00", "09:00"), ("09:00", "09:00"), ("03:00", ""), ("9", ""), ("", "24:00")])
def test_hours_that_cannot_be_are_refused(hours: tuple[str, str]) -> None:
    with pytest.raises(UnclearError):
        wanted_of({"opens": hours[0], "closes": hours[1]}, ["sms"])


def test_short_reads_and_free_help_are_there(hers: BorrowerIds, visit: Visit, portfolio: Portfolio, outbox: Outbox) -> None:
    page = visit.get("/b/reads")
    terms = education_terms()
    assert page.text.count("<summary>") == 1 + len(terms.before_due) + len(terms.after_cure) + 1, "and the languages"
    assert "What a late payment does to a credit record" in words(page)
    assert "1-800-388-2227" in page.text
    assert "Qué es el interés" in words(visit.get("/b/reads?lang=es"))
    elsewhere = portfolio.borrower(country="CN")
    outbox.plan(outbox.run(scope="cn"), elsewhere)
    visit.open(elsewhere)
    assert "No free service is known to us" in words(visit.get("/b/reads?lang=en"))
    assert hers.party_id != elsewhere.party_id


def test_did_this_help_is_asked_once_and_decides_nothing(hers: BorrowerIds, visit: Visit, portfolio: Portfolio, outbox: Outbox) -> None:
    assert "Did this help?" not in words(visit.get("/b/account"))
    with connection() as tx:
        external = tx.execute(text("SELECT external_id FROM party WHERE id = :id"), {"id": hers.party_id}).scalar_one()
    case, _ = case_work.open_case(external, kind="complaint", by="anna", reference="letter 1")
    case_work.answer(case.id, by="anna", reference="letter 2")
    case_work.close(case.id, by="anna", result="upheld")
    page = visit.get("/b/account")
    assert "Did this help?" in words(page)
    assert "Thank you." in words(visit.post(page, "/b/helped", helped="no"))
    visit.post(page, "/b/helped", helped="yes")  # the first answer stays
    assert "Did this help?" not in words(visit.get("/b/account"))
    assert [tuple(row) for row in outbox.rows("SELECT about, about_id, has_helped FROM helped")] == [("case", case.id, False)]
    with connection() as tx:
        assert helped.counts(tx, since=NOON, until=NOON + timedelta(days=1)) == {"case": (0, 1)}
        # What was not solved, or is not hers, is not counted.
        assert not helped.answer(tx, hers.party_id, Solved(about="case", about_id=case.id + 1), has_helped=True, at=NOON)
    other = portfolio.borrower()
    with connection() as tx:
        assert not helped.answer(tx, other.party_id, Solved(about="case", about_id=case.id), has_helped=True, at=NOON)
    for about, number in (("case", "x"), ("plan", "1"), ("harm", "1")):
        visit.browser.post(
            "/b/helped", data={"guard": page.text.split('name="guard" value="')[1].split('"')[0], "about": about, "id": number}
        )
    assert len(outbox.rows("SELECT 1 FROM helped")) == 1
