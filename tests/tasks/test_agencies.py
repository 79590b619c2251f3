"""What agencies are told and tell: feeds that only they can open, contacts in the one log, findings, stops and disputes at once."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from decisions.agency_lines import SAID
from gate.lane import run_lane
from ledger import agency_feeds, agency_lines, placements
from ledger.agencies import AgencyRefused
from ledger.engine import connection
from ledger.placing import recall_loan
from tasks import agencies as step
from tasks.agencies import read_file, write_feed
from tasks.person import hold_person, stop_person
from tests.plugins.portfolio import Portfolio, made_up_number
from tests.plugins.sending import Outbox, RecordingChannel
from tests.plugins.with_agency import CODE, NOON, Harbour, contact, later, placeable, placed, ref, stands

NUMBER = made_up_number("US", 42)


def test_a_feed_tells_each_thing_once_and_no_more_than_is_needed(harbour: Harbour, portfolio: Portfolio, outbox: Outbox) -> None:
    borrower = placeable(portfolio, number=NUMBER)
    portfolio.contact_point(borrower.party_id, "mobile", made_up_number("US", 43), owner="employer")
    portfolio.wish(borrower.party_id, "not_at", days=["sun"])
    found = placed(borrower)
    sent = write_feed(CODE)
    assert (sent.number, sent.counts) == (1, {"placed": 1, "wish": 1})
    assert sent.file is not None
    assert (sent.file.name, sent.file.stat().st_mode & 0o777) == ("harbour-000001.p7m", 0o600)
    assert NUMBER.encode() not in sent.file.read_bytes()
    _, told, wish = harbour.opened(sent.file)
    (person,) = told["people"]
    assert [one["value"] for one in person["points"]] == [NUMBER]
    assert (told["placement"], told["past_due_minor"], told["currency"]) == (str(found.reference), 21000, "USD")
    assert (person["person"], wish["person"], wish["days"]) == (ref(found.reference, borrower.party_id),) * 2 + (["sun"],)
    # Neither our ids nor the lender's are in it.
    assert "party" not in json.dumps(told)
    assert write_feed(CODE).file is None
    # What is said, paid and asked for from now on is told once, and a hold without its kind.
    portfolio.payment(borrower.loan_id, 700)
    stop_person(f"#{borrower.party_id}", channel="sms", by="anna", because="letter 2")
    hold_person(f"#{borrower.party_id}", kind="cease", by="anna", because="letter 2")
    again = write_feed(CODE)
    assert (again.number, again.counts) == (2, {"hold": 1, "opt_out": 1, "payment": 1})
    assert again.file is not None
    assert "cease" not in json.dumps(harbour.opened(again.file))
    # Written again after a crash, it says the same.
    lost = harbour.opened(again.file)[1:]
    again.file.unlink()
    once_more = write_feed(CODE, number=2)
    assert once_more.file == again.file
    assert harbour.opened(again.file)[1:] == lost
    recall_loan(f"#{borrower.loan_id}", because="the borrower asked", by="anna")
    last = write_feed(CODE)
    assert last.file is not None
    assert [line["kind"] for line in harbour.opened(last.file)] == ["feed", "recalled"]
    # Of a loan that it has no more it is told nothing more.
    portfolio.payment(borrower.loan_id, 800)
    assert write_feed(CODE).file is None
    assert len(outbox.rows("SELECT 1 FROM agency_feed_item")) == 6


def test_what_was_recalled_before_it_was_told_is_never_told(harbour: Harbour, portfolio: Portfolio) -> None:
    assert harbour.key.exists()
    borrower = placeable(portfolio)
    placed(borrower)
    recall_loan(f"#{borrower.loan_id}", because="a mistake", by="anna")
    assert write_feed(CODE).file is None


def test_a_feed_that_cannot_be_written_counts_as_untold(harbour: Harbour, portfolio: Portfolio) -> None:
    placed(placeable(portfolio))
    (harbour.folder / "outbox").write_text("a file, where the folder should be")
    with pytest.raises(OSError, match="outbox"):
        write_feed(CODE)
    with connection() as tx:
        assert agency_feeds.states(tx) == []
    (harbour.folder / "outbox").unlink()
    assert write_feed(CODE, dry_run=True).counts == {"placed": 1}
    assert write_feed(CODE).number == 1


def test_silence_until_the_end_of_the_day_is_told_once_a_day(harbour: Harbour, portfolio: Portfolio) -> None:
    placed(placeable(portfolio))
    write_feed(CODE)
    on = placements.lenders_date(NOON)
    with connection() as tx:
        assert agency_feeds.tell_late(tx, on=on) == []
        assert [one.number for one in agency_feeds.tell_late(tx, on=on + timedelta(days=1))] == [1]
        assert agency_feeds.tell_late(tx, on=on + timedelta(days=1)) == []
        assert len(agency_feeds.tell_late(tx, on=on + timedelta(days=2))) == 1
    said = harbour.says({"kind": "acknowledged", "feed": 1}, {"kind": "acknowledged", "feed": 1}, {"kind": "acknowledged", "feed": 9})
    read = read_file(CODE, said)
    assert (dict(read.taken.counts), read.taken.rejected) == ({"acknowledged": 1, "same": 1}, [(3, "feed: there is none of that number")])
    with connection() as tx:
        assert agency_feeds.tell_late(tx, on=on + timedelta(days=3)) == []


def test_good_lines_are_kept_once_and_bad_ones_are_named_without_what_they_say(
    harbour: Harbour, portfolio: Portfolio, outbox: Outbox
) -> None:
    found = placed(placeable(portfolio))
    at = NOON + timedelta(hours=1)
    later(portfolio, timedelta(hours=2))
    good = contact(found, "A-1", at)
    said = harbour.says(
        good,
        "{",
        {**good, "id": "A-2", "channel": "pigeon"},
        {**good, "id": "A-3", "at": (NOON + timedelta(days=1)).isoformat()},
        {**good, "id": "A-4", "at": "2026-03-17T12:00:00"},
        {**good, "id": "A-5", "placement": "00000000-0000-0000-0000-000000000000"},
        {**good, "id": "A-6", "person": "0" * 16},
        {**good, "id": "A-7", "secret": NUMBER},
        {**good, "id": "A-8", "point": "f" * 16},
        {"kind": "confession", "words": NUMBER},
        {**good, "result": "conversation"},
        good,
        "[1]",
    )
    dry = read_file(CODE, said, dry_run=True)
    assert outbox.rows("SELECT 1 FROM contact_event") == []
    read = read_file(CODE, said)
    assert dry.as_json() == read.as_json()
    assert dict(read.taken.counts) == {"contacts": 1, "same": 1}
    assert [number for number, _ in sorted(read.taken.rejected)] == [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13]
    assert NUMBER not in json.dumps(read.as_json())
    again = read_file(CODE, said)
    assert dict(again.taken.counts) == {"same": 2}
    (event,) = outbox.rows("SELECT * FROM contact_event")
    assert (event.external_id, event.source, event.counts, event.jurisdiction) == ("A-1", "agency:harbour", True, "US-NY")
    assert event.loans == [found.loan_id]


def test_I5_what_an_agency_did_counts_at_the_gate(harbour: Harbour, portfolio: Portfolio, outbox: Outbox) -> None:
    """One message by the agency about one loan: the house's message of the day about her other loan does not leave any more."""
    borrower = placeable(portfolio)
    found = placed(borrower)
    portfolio.loan(borrower.party_id, days_past_due=5)
    later(portfolio, timedelta(hours=1))
    run = outbox.run()
    attempt = outbox.plan(run, borrower, send_after=NOON, expires_at=NOON + timedelta(hours=5))
    read_file(CODE, harbour.says(contact(found, "A-1", NOON + timedelta(minutes=5), channel="sms", result="delivered")))
    channel = RecordingChannel()
    run_lane(run, shard=None, channels={"sms": lambda: channel})
    assert channel.sent == []
    assert [cause for _, _, cause in outbox.causes(attempt)] == ["blocked: HOUSE-1ADAY"]


def test_a_contact_against_a_rule_is_kept_counted_and_found(harbour: Harbour, portfolio: Portfolio) -> None:
    borrower = placeable(portfolio)
    found = placed(borrower)
    at_night = NOON + timedelta(hours=11)
    later(portfolio, timedelta(days=2))
    stop_person(f"#{borrower.party_id}", channel="call", by="anna", because="letter 2")
    lines = [
        contact(found, "lawful", NOON + timedelta(minutes=1)),
        contact(found, "at-night", at_night),
        contact(found, "before", NOON - timedelta(hours=1)),
    ]
    read = read_file(CODE, harbour.says(*lines))
    assert read.taken.counts["contacts"] == 3
    with connection() as tx:
        told = agency_lines.findings(tx)
    assert {one["rule"] for one in told if one["at"] == at_night} >= {"US-REGF-HOURS"}
    assert [one["rule"] for one in told if one["at"] == NOON + timedelta(minutes=1)] == []
    assert agency_lines.NOT_PLACED in {one["rule"] for one in told if one["at"] < NOON}
    # Recalled, what the agency does is a finding whatever the hour.
    recall_loan(f"#{borrower.loan_id}", because="the borrower asked", by="anna")
    day_after = later(portfolio, timedelta(days=1))
    read = read_file(CODE, harbour.says(contact(found, "recalled", day_after)))
    assert read.taken.findings[agency_lines.NOT_PLACED] == 1


def test_the_eighth_call_within_a_week_is_found_and_the_first_seven_are_not(harbour: Harbour, portfolio: Portfolio) -> None:
    """Each is judged after those before it, also where all come in one file, the latest first."""
    found = placed(placeable(portfolio))
    later(portfolio, timedelta(days=6))
    days = [NOON + timedelta(days=n, minutes=1) for n in range(6)]
    calls = [contact(found, f"A-{n}", at) for n, at in enumerate([*days, days[0] + timedelta(hours=1), days[1] + timedelta(hours=1)])]
    read_file(CODE, harbour.says(*reversed(calls)))
    with connection() as tx:
        told = [one["at"] for one in agency_lines.findings(tx) if one["rule"] == "US-REGF-7IN7"]
    assert told == [days[5]]


@pytest.mark.parametrize("what", SAID)
def test_what_she_says_to_the_agency_she_has_said_to_the_lender(harbour: Harbour, portfolio: Portfolio, outbox: Outbox, what: str) -> None:
    borrower = placeable(portfolio)
    found = placed(borrower)
    later(portfolio, timedelta(hours=1))
    line = {
        "kind": "heard", "id": "H-1", "placement": str(found.reference), "at": NOON.isoformat(), "what": what, "channel": "call",
        "words": "I never had this loan",
    }  # fmt: skip
    stop = {"kind": "stopped", "id": "S-1", "placement": str(found.reference), "at": NOON.isoformat(), "channel": "all"}
    assert dict(read_file(CODE, harbour.says(line, stop)).taken.counts) == {"heard": 1, "stopped": 1}
    assert read_file(CODE, harbour.says(line)).taken.counts["same"] == 1
    (case,) = outbox.rows("SELECT kind, party_id, loan_id FROM borrower_case")
    assert (case.kind, case.party_id, case.loan_id) == (what, borrower.party_id, found.loan_id)
    assert (stands(found).ended_because or "complaint") == what
    assert [row.channel for row in outbox.rows("SELECT channel FROM opt_out")] == ["all"]


def test_another_agency_cannot_speak_of_the_loan(harbour: Harbour, portfolio: Portfolio, pair: tuple[Path, Path]) -> None:
    found = placed(placeable(portfolio))
    step.add_agency("rival", name="Rival", contact="r@rival.example", certificate=pair[1], by="anna")
    later(portfolio, timedelta(hours=1))
    assert read_file("rival", harbour.says(contact(found, "A-1", NOON))).taken.rejected == [(1, "placement: unknown")]
    with pytest.raises(AgencyRefused, match="no feed 1"):
        write_feed("rival", number=1)
