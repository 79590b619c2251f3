"""Bounces: reports as relays write them, out of each kind of mailbox, and everything that is none."""

from __future__ import annotations

import mailbox
from email import message_from_string
from pathlib import Path
from uuid import UUID

import pytest

from channels.bounces import Answer, Bounce, NoMailbox, read_mailbox, read_message, read_report

TOKEN = UUID("0b0f7e0e-2a4c-4a3e-9b1e-1a2b3c4d5e6f")
TO = "nobody@borrower.example"
# As Postfix writes it.
POSTFIX = f"""\
From: MAILER-DAEMON@relay.example (Mail Delivery System)
To: notices@lantern.example
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

I'm sorry to have to inform you that your message could not be delivered.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; relay.example
Arrival-Date: Tue, 17 Mar 2026 16:00:00 +0000

Final-Recipient: rfc822; {TO}
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 <{TO}>: no such user

--b
Content-Type: message/rfc822

From: Lantern Wallet <notices@lantern.example>
To: {TO}
Subject: A letter for you
Message-ID: <{TOKEN}@lantern.example>

Hello
--b--
"""
# As Exchange and others do: the head alone, as text.
HEAD_ONLY = POSTFIX.replace("Content-Type: message/rfc822\n\nFrom", "Content-Type: text/rfc822-headers\n\nFrom").replace(
    "\n\nHello\n", "\n\n"
)
# With the envelope's id and nothing of the message.
ENVELOPE = (
    POSTFIX[: POSTFIX.index("--b\nContent-Type: message/rfc822")].replace("Arrival-Date", f"Original-Envelope-Id: {TOKEN}\nArrival-Date")
    + "--b--\n"
)
FAILED = Bounce(token=TOKEN, action="failed", code="5.1.1")


@pytest.mark.parametrize("report", [POSTFIX, HEAD_ONLY, ENVELOPE], ids=["postfix", "head", "envelope"])
def test_a_report_names_our_message_and_says_why(report: str) -> None:
    assert read_report(message_from_string(report)) == FAILED


def test_a_delay_is_no_end() -> None:
    assert read_report(message_from_string(POSTFIX.replace("Action: failed", "Action: delayed"))) is None


def test_a_delivery_is_told_too() -> None:
    told = read_report(
        message_from_string(POSTFIX.replace("Action: failed", "Action: delivered").replace("Status: 5.1.1", "Status: 2.0.0"))
    )
    assert told == Bounce(token=TOKEN, action="delivered", code="2.0.0")


def test_a_report_without_a_code_has_none() -> None:
    assert read_report(message_from_string(POSTFIX.replace("Status: 5.1.1\n", ""))) == Bounce(token=TOKEN, action="failed", code=None)


@pytest.mark.parametrize(
    "words",
    [
        "From: a@b.example\nAuto-Submitted: auto-replied\nSubject: hello\nMessage-ID: <1@b>\n\nI am on holiday\n",
        POSTFIX.replace(str(TOKEN), "somebody-elses"),
        POSTFIX.replace("Content-Type: message/delivery-status", "Content-Type: text/plain"),
        "",
        "Content-Type: multipart/report; boundary=b\n\nbroken",
    ],
    ids=["holiday", "not ours", "no status", "empty", "broken"],
)
def test_what_is_no_report_about_ours_is_nothing(words: str) -> None:
    assert read_message(message_from_string(words)) is None


def answer(body: str, kind: str = "text/plain", **heads: str) -> str:
    given = {"From": "Nobody <Nobody@Borrower.example>", "To": "notices@lantern.example", "Message-ID": "<1@b>", "Subject": "Re: A letter"}
    return "".join(f"{name}: {value}\n" for name, value in {**given, **heads}.items()) + f"Content-Type: {kind}; charset=utf-8\n\n{body}"


@pytest.mark.parametrize(
    "body",
    [
        "I will pay on Friday\n",
        "I will pay on Friday\n\nOn Tue, 17 Mar 2026, Lantern Wallet <notices@lantern.example> wrote:\n> reply STOP\n",
        "I will pay on Friday\n\n> To get no more emails about this, reply STOP.\n",
        "I will pay on Friday\n\nAm Dienstag schrieb Lantern Wallet:\n> reply STOP\n",
        "I will pay on Friday\n\n-----Original Message-----\nFrom: Lantern\nreply STOP\n",
        "I will pay on Friday\n________________________________\nFrom: Lantern\nreply STOP\n",
    ],
)
def test_of_an_answer_only_what_the_person_wrote_is_read(body: str) -> None:
    found = read_message(message_from_string(answer(body)))
    assert found == Answer(message_id="<1@b>", sender="nobody@borrower.example", text="I will pay on Friday")


def test_an_answer_in_html_is_read_between_its_tags() -> None:
    found = read_message(message_from_string(answer("<style>p {}</style><p>STOP &amp; please</p>", "text/html")))
    assert isinstance(found, Answer)
    assert found.text == "STOP & please"


def test_an_answer_of_nothing_but_a_subject_is_that() -> None:
    found = read_message(message_from_string(answer("\n> quoted\n", Subject="STOP")))
    assert isinstance(found, Answer)
    assert found.text == "STOP"


@pytest.mark.parametrize(
    "heads", [{"Auto-Submitted": "auto-replied"}, {"List-Id": "news"}, {"Precedence": "bulk"}, {"From": "a@b.c, d@e.f"}, {"Message-ID": ""}]
)
def test_what_a_machine_writes_is_no_answer(heads: dict[str, str]) -> None:
    assert read_message(message_from_string(answer("STOP", **heads))) is None


def test_every_kind_of_mailbox_is_read_and_left_as_it_is(tmp_path: Path) -> None:
    kept = mailbox.Maildir(tmp_path / "maildir")
    box = mailbox.mbox(tmp_path / "mbox")
    for report in (POSTFIX, "From: a@b.example\n\nhello\n"):
        kept.add(report)
        box.add(report)
    box.close()
    (tmp_path / "one.eml").write_text(POSTFIX)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert sorted(map(str, read_mailbox(tmp_path / "maildir"))) == sorted([str(FAILED), "None"])
    assert list(read_mailbox(tmp_path / "mbox")) == [FAILED, None]
    assert list(read_mailbox(tmp_path / "one.eml")) == [FAILED]
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_no_mailbox_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoMailbox):
        list(read_mailbox(tmp_path / "none"))


def test_a_bounce_says_nothing_of_a_person() -> None:
    assert TO not in repr(read_report(message_from_string(POSTFIX)))
    assert "obody" not in repr(read_message(message_from_string(answer("STOP"))))
