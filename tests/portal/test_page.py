"""The borrower's page: what a link shows, the code, what is open and why, and forms that do what a reply does; over HTTP, on a real ledger."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from httpx import Client, Response
from sqlalchemy import Connection, text

from channels.registry import openers
from config.audit_limits import audit_limits
from config.policies import policies
from config.settings import settings
from decisions.messages import date_text
from gate.lane import run_lane
from ledger import campaigns, page_reads
from ledger.audit import audit, seal
from ledger.engine import connection
from ledger.law import law_in_force
from portal.account import DOES
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.sandbox_process import Sandbox
from tests.plugins.sending import Outbox
from tests.plugins.sent import Known, Sent
from tests.plugins.the_page import Visit, heading, words

NOON = noon("US")
CODES = "+15005550007"
CODES_SENDER = f"""senders || '{{"sms/one_time_code": "{CODES}"}}'"""
PAGE_BYTES_MAX = 60_000
# What nobody learns from a link: the lender, the person, money.
PERSONAL = ("Lantern", "Nobody", "105", "$", "loan", "due")


@dataclass
class House(Visit):
    """A portal, phones, and a browser."""

    portfolio: Portfolio
    sandbox: Sandbox
    outbox: Outbox
    minutes: int = 0

    def remind(self, borrower: BorrowerIds) -> str:
        """A reminder goes out by the gate; returns its link's path."""
        with connection() as tx:
            run = campaigns.open_run(
                tx,
                stage="early",
                business_date=TODAY,
                preview=False,
                borrowers_max=None,
                policies=policies("early", law_in_force(tx).bodies),
                at=NOON,
            )
        attempt = self.outbox.plan(run, borrower)
        assert run_lane(run, shard=None, channels=openers()).accepted == 1
        return f"/b/{self.outbox.token(attempt)}"

    def texts(self) -> list[dict[str, Any]]:
        """What phones got, once what is on its way has arrived."""
        self.minutes += 1
        self.sandbox.step((NOON + timedelta(minutes=self.minutes)).isoformat())
        return self.sandbox.received("sms")

    def code(self) -> str:
        """The newest code that a phone got."""
        (found,) = re.findall(r"\b\d{6}\b", self.texts()[-1]["body"])
        return str(found)


@pytest.fixture
def house(
    portfolio: Portfolio,
    sandbox: Sandbox,
    outbox: Outbox,
    serve_portal: Callable[[], AbstractContextManager[str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[House]:
    # What other tests kept of their runs' heads would contradict the runs of this ledger.
    monkeypatch.setenv("TIDEOVER_EVIDENCE_DIR", str(tmp_path / "heads"))
    given = {"TWILIO_BASE_URL": sandbox.url, "TWILIO_ACCOUNT_SID": sandbox.account_sid, "TWILIO_AUTH_TOKEN": sandbox.auth_token}
    for name, value in given.items():
        monkeypatch.setenv(f"TIDEOVER_{name}", value)
    portfolio.clock(NOON)
    sandbox.reset(at=NOON.isoformat())
    portfolio.creditor()
    _senders(CODES_SENDER)
    with serve_portal() as url, Client(base_url=url, trust_env=False, follow_redirects=True) as browser:
        monkeypatch.setenv("TIDEOVER_PUBLIC_URL", url)
        settings.cache_clear()
        yield House(browser, portfolio, sandbox, outbox)


def _senders(become: str) -> None:
    """The creditor's senders, by an expression of SQL."""
    with connection() as tx:
        tx.execute(text(f"UPDATE creditor SET senders = {become}"))  # noqa: S608  # the two above


def rows(outbox: Outbox) -> list[int]:
    """How many rows there are of whatever a page could write."""
    tables = ("page_code", "page_session", "page_closing", "provider_event", "outcome", "attempt", "contact_event", "hold", "opt_out")
    return [outbox.rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables]  # noqa: S608  # the tables above


def test_looking_at_a_link_shows_nothing_of_anybody_and_changes_nothing(house: House, send: Callable[..., Sent]) -> None:
    link = f"/b/{send(house.portfolio.borrower(locale='es')).token}"
    before = rows(house.outbox)
    page = house.get(link)
    assert (page.status_code, heading(page)) == (200, "Your page")
    assert [word for word in PERSONAL if word in page.text] == []
    assert heading(house.get(f"{link}/code")) == "Your page", "nobody reads of a code who has asked for none"
    assert '<html lang="ja">' in house.browser.get(link, headers={"Accept-Language": "fr;q=0.9, ja-JP"}).text
    assert '<html lang="zh-Hant">' in house.browser.get(f"{link}?lang=zh-Hant").text
    assert '<html lang="zh-Hant">' in house.get(link).text, "what was chosen is remembered"
    assert page.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in page.headers
    assert "<script" not in page.text
    assert rows(house.outbox) == before
    style = house.browser.get("/b/page.css")
    assert style.headers["content-type"].startswith("text/css")
    assert len(page.content) + len(style.content) < PAGE_BYTES_MAX


def test_whatever_is_wrong_with_a_link_the_page_is_the_same(house: House, send: Callable[..., Sent]) -> None:
    old, closed, wrong = (send(house.portfolio.borrower(), provider_id=f"SM{number:032}") for number in range(3))
    unsent = house.outbox.plan(house.outbox.run(stage="mid"), house.portfolio.borrower())
    with connection() as tx:
        tx.execute(text("UPDATE attempt SET submitted_at = submitted_at - interval '61 days' WHERE id = :id"), {"id": old.attempt_id})
        tx.execute(
            text("INSERT INTO page_closing (party_id, at) SELECT party_id, :at FROM attempt WHERE id = :id"),
            {"at": NOON, "id": closed.attempt_id},
        )
        tx.execute(
            text("""INSERT INTO contact_value (effective_at, source, blind_index, ownership)
                    SELECT :at, 'test', v.blind_index, 'wrong' FROM attempt a JOIN contact_point_version v USING (contact_point_id) WHERE a.id = :id"""),
            {"at": NOON, "id": wrong.attempt_id},
        )
    tokens = [uuid4(), old.token, closed.token, wrong.token, house.outbox.token(unsent)]
    pages = [house.get(f"/b/{token}") for token in tokens] + [house.get("/b/nothing"), house.get(f"/b/{old.token}/code")]
    pages += [house.browser.post(f"/b/{old.token}{rest}", data={"guard": "x"}) for rest in ("", "/code", "/not-me")]
    assert {page.status_code for page in pages} == {404}
    assert {words(page) for page in pages} == {words(pages[0])}
    assert heading(pages[0]) == "This link does not open a page"
    assert house.outbox.rows("SELECT 1 FROM page_code UNION ALL SELECT 1 FROM outcome") == []


def test_a_code_opens_the_page_once(house: House, caplog: pytest.LogCaptureFixture) -> None:
    borrower = house.portfolio.borrower()
    house.portfolio.opt_out(borrower.party_id, channel="push")
    link = house.remind(borrower)
    door = house.get(link)
    refused = [
        house.browser.post(link),
        house.browser.post(link, data={"guard": "0" * 64}),
        house.browser.post(
            link, data={"guard": re.findall(r'name="guard" value="(\w+)"', door.text)[0]}, headers={"Sec-Fetch-Site": "cross-site"}
        ),
    ]
    assert {page.status_code for page in refused} == {403}
    assert {heading(page) for page in refused} == {"That did not work"}
    _senders("senders - 'sms/one_time_code'")
    assert "We cannot send a code at the moment" in words(house.post(door, link)), "without a sender for codes"
    assert len(house.texts()) == 1

    _senders(CODES_SENDER)
    page = house.post(door, link)
    assert heading(page) == "Enter your code"
    assert [one["from"] for one in house.texts()] == ["+15005550006", CODES]
    code = house.code()
    assert "not the code" in words(house.post(page, f"{link}/code", code=f"{(int(code) + 1) % 10**6:06}"))
    opened = house.browser.post(f"{link}/code", data={"guard": _guard(page), "code": f" {code[:3]} {code[3:]}"}, follow_redirects=False)
    cookie = opened.headers["set-cookie"]
    assert (opened.status_code, opened.headers["location"]) == (303, "/b/account")
    assert {"HttpOnly", "SameSite=lax", "Path=/b"} <= set(cookie.split("; "))
    assert heading(house.get("/b/account")) == "What is open, and why"
    assert "cannot be used any more" in words(house.post(page, f"{link}/code", code=code)), "a code is good once"
    again = house.post(house.get(link), link)
    assert heading(again) == "Enter your code"
    assert house.code() != code

    kept = house.outbox.rows("SELECT secret_hash FROM page_session")[0][0]
    assert cookie.split("=", 1)[1].split(";")[0].encode() not in kept
    closed = house.post(house.get("/b/account"), "/b/out")
    assert "Your page is closed" in words(closed)
    assert "Your page is closed" in words(house.get("/b/account"))
    sms = next(iter(house.outbox.rows("SELECT permit FROM attempt WHERE stage = 'code' ORDER BY id DESC")))[0]
    assert "HOUSE-OWNERSHIP" in sms["rules"]
    with connection() as tx:
        seal(tx, TODAY, TODAY)
        audited = audit(tx, period=(TODAY, TODAY), listed={}, complete=(), limits=audit_limits(TODAY), live=False)
    # The test's own reminder was planned without a planner.
    reminders = {row[0] for row in house.outbox.rows("SELECT id FROM attempt WHERE stage <> 'code'")}
    assert [one.check for one in audited.violations if one.attempt_id not in reminders] == []
    assert audited.attempts == 4, "a reminder, a code that could not leave, two that did"
    assert str(link.rsplit("/", 1)[1]) not in caplog.text


def _guard(page: Response) -> str:
    return str(re.findall(r'name="guard" value="(\w+)"', page.text)[0])


def test_not_me_blocks_the_number_and_tells_nothing(house: House, known: Known, send: Callable[..., Sent]) -> None:
    borrower = house.portfolio.borrower()
    link = f"/b/{send(borrower).token}"
    house.open(borrower)
    page = house.post(house.get(link), f"{link}/not-me")
    assert "We will not write to this number or address any more." in words(page)
    assert [word for word in PERSONAL if word in page.text] == []
    assert known.outcomes(borrower) == [("wrong_person", True)]
    index = house.outbox.rows("SELECT blind_index FROM contact_point_version WHERE contact_point_id = :id", id=borrower.sms_id)[0][0]
    assert known.ownership(index) == "wrong"
    assert "Your page is closed" in words(house.get("/b/account"))
    assert house.get(link).status_code == 404


def test_the_page_says_what_is_open_and_what_was_said(house: House) -> None:
    borrower = house.portfolio.borrower(account="W-77")
    house.portfolio.payment(borrower.loan_id, 2_550)
    house.portfolio.contact(borrower.party_id, NOON - timedelta(days=3), channel="call")
    house.remind(borrower)
    stranger = house.outbox.plan(house.outbox.run(stage="mid"), house.portfolio.borrower())
    house.open(borrower)
    page = house.get("/b/account")
    said = words(page)
    for expected in (
        "Lender: Lantern Wallet US (LIC-1)",
        "Loan W-77",
        "Due and not paid yet $79.50",
        "All that is still to pay $184.50",
        "Days since the due date 5",
        "Due on Mar 12, 2026 Loan amount $100.00 Interest $5.00 Together $105.00 Paid $25.50 Still open $79.50",
        "Mar 17, 2026 $25.50",
        "The next payment is $105.00, due on Apr 11, 2026.",
        "We may remind you in these ways: notice in the app,",
        "We use no other ways than these:",
    ):
        assert expected in said
    assert house.get("/b/account?lang=es").text.count("USD 79.50") == 2
    house.get("/b/account?lang=en")

    made = house.get("/b/contacts")
    assert re.findall(r"Mar \d+, 2026, \d+:\d+.[AP]M, [a-z ]+", words(made)) == [
        "Mar 17, 2026, 12:00 PM, text message ",
        "Mar 14, 2026, 12:00 PM, call from a person ",
    ]
    (one,) = re.findall(r'href="(/b/contacts/\d+)"', made.text)
    contact = house.get(one)
    assert "Lantern Wallet US: your loan payment of $79.50 was due on Mar 12, 2026" in words(contact)
    assert "HOUSE-1ADAY A machine asks a person at most once a day, over all channels." in words(contact)
    assert heading(house.get(f"/b/contacts/{stranger}")) == heading(made), "nobody sees what was sent to somebody else"
    assert house.bytes_max < PAGE_BYTES_MAX


# Form, what is filled in → outcomes, holds, stops; and what the page says then.
ACTS: list[tuple[str, dict[str, str], list[Any], list[str], list[Any], str]] = [
    ("promise", {"day": "2026-03-20", "amount": "50.00"}, [("promise", False)], ["promise"], [], "until Mar 24, 2026"),
    ("promise", {"day": "2026-06-20", "amount": ""}, [("promise", True)], [], [], "A person will look at it and answer you."),
    ("more_time", {}, [("cannot_pay", True)], ["hardship"], [], "A person will look for a way with you."),
    ("cannot_pay", {}, [("cannot_pay", True)], ["hardship"], [], "We stop asking you to pay for now."),
    ("paid", {}, [("paid", False)], ["paid_claimed"], [], "until Mar 20, 2026"),
    ("dispute", {"amount": "5", "reason": "the interest"}, [("dispute", True)], ["dispute"], [], "a person checks it"),
    ("not_mine", {"which": "loan", "reason": ""}, [("dispute", True)], ["dispute"], [], "a person checks it"),
    ("not_mine", {"which": "other_person"}, [("wrong_person", True)], [], [], "excuse us"),
    ("complaint", {"reason": "you shouted"}, [("complaint", True)], ["complaint"], [], "a person looks at what happened"),
    ("call_me", {}, [("call_me", True)], ["callback"], [], "A person will call you."),
    ("stop", {"which": "way"}, [("stop", False)], [], [("sms", True)], "You get no more messages"),
    ("stop", {"which": "all"}, [("stop", False)], [], [("all", True)], "You get no more messages"),
]


def test_every_form_does_what_a_reply_with_its_meaning_does(house: House, known: Known, send: Callable[..., Sent]) -> None:
    assert {act for act, *_ in ACTS} == set(DOES)
    for number, (act, fields, outcomes, holds, stops, says) in enumerate(ACTS):
        borrower = house.portfolio.borrower()
        send(borrower, provider_id=f"SM{number:032}")
        house.open(borrower)
        form = house.get(f"/b/do/{act}")
        done = house.post(form, f"/b/do/{act}", **fields)
        house.post(form, f"/b/do/{act}", **fields)  # a double click
        assert says in words(done), act
        owed = house.outbox.rows(
            "SELECT answer_by FROM borrower_case WHERE party_id = :id AND kind <> 'wrong_number'", id=borrower.party_id
        )
        assert [f"We answer you by {date_text(on, 'en-US')}." in words(done) for (on,) in owed] == [True] * (
            holds in (["hardship"], ["dispute"], ["complaint"])
        ), act
        assert known.outcomes(borrower) == outcomes, act
        assert [kind for kind, _ in known.holds(borrower)] == holds, act
        assert known.opt_outs(borrower) == stops, act
        assert known.inbound(borrower) == [("sms", "received", False)], act
    promised = house.outbox.rows("SELECT due_on::text, amount_minor, currency FROM promise")
    assert [tuple(row) for row in promised] == [("2026-03-20", 5_000, "USD")]
    assert [tuple(row) for row in house.outbox.rows("SELECT because, amount_minor FROM outcome WHERE amount_minor = 500")] == [
        ("page: dispute", 500)
    ]
    cases = house.outbox.rows("SELECT kind, disputed_minor FROM borrower_case ORDER BY id")
    assert [tuple(row) for row in cases] == [
        ("hardship", None),
        ("hardship", None),
        ("dispute", None),
        ("dispute", None),
        ("wrong_number", None),
        ("complaint", None),
    ]
    payloads = b"".join(bytes(row[0]) for row in house.outbox.rows("SELECT payload_encrypted FROM provider_event_payload"))
    assert b"shouted" not in payloads


def test_a_page_that_only_shows_cannot_write(house: House, send: Callable[..., Sent], monkeypatch: pytest.MonkeyPatch) -> None:
    borrower = house.portfolio.borrower()
    send(borrower)
    house.open(borrower)

    def write(tx: Connection, party_id: int) -> list[object]:
        tx.execute(text("UPDATE page_session SET ended_at = clock_timestamp() WHERE party_id = :party"), {"party": party_id})
        return []

    with monkeypatch.context() as broken:
        broken.setattr(page_reads, "contacts", write)
        assert house.get("/b/contacts").status_code == 503
    assert house.get("/b/contacts").status_code == 200


def test_a_form_that_cannot_be_understood_changes_nothing_and_pages_close(house: House, known: Known, send: Callable[..., Sent]) -> None:
    borrower = house.portfolio.borrower()
    link = f"/b/{send(borrower).token}"
    house.open(borrower)
    form = house.get("/b/do/promise")
    assert "Please choose a day from today on." in words(house.post(form, "/b/do/promise", day="2026-03-16", amount=""))
    wrong = house.post(form, "/b/do/promise", day="2026-03-20", amount="a lot")
    assert "Please write an amount like 105." in words(wrong)
    assert 'value="2026-03-20"' in wrong.text, "what was right is kept"
    assert house.browser.post("/b/do/stop", data={"which": "all"}).status_code == 403
    assert house.browser.post("/b/do/stop", content=b"x" * 40_000).status_code == 403
    assert heading(house.get("/b/do/harm")) == "What is open, and why"
    assert (known.outcomes(borrower), known.opt_outs(borrower)) == ([], [])

    with connection() as tx:
        tx.execute(text("UPDATE page_session SET seen_at = seen_at - interval '31 minutes'"))
    assert "Your page is closed" in words(house.get("/b/account"))
    house.open(borrower)
    assert "are closed" in words(house.post(house.get("/b/account"), "/b/close-links"))
    assert house.get(link).status_code == 404
    assert "Your page is closed" in words(house.get("/b/account"))
