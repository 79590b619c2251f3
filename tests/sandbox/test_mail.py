"""The sandbox's relay and print shop, spoken to by the channels themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from channels import BadAddress, Receipt, TryLater
from tests.channels import test_email, test_letter
from tests.plugins.sandbox_process import Sandbox


def test_the_town_receives_email(sandbox: Sandbox) -> None:
    (receipt,) = test_email.send(sandbox.smtp_url)
    assert isinstance(receipt, Receipt)
    (mail,) = sandbox.received("email")
    assert (mail["to"], mail["title"], mail["provider_id"]) == (test_email.TO, "A letter for you", test_email.TOKEN)
    assert "Ñandú 您好" in mail["body"]
    assert "\n.\n" in mail["body"].replace("\r", "")


@pytest.mark.parametrize(("mailbox", "error"), [("nobody-there", BadAddress), ("full", TryLater), ("greylisted", TryLater)])
def test_some_mailboxes_say_no(sandbox: Sandbox, mailbox: str, error: type[Exception]) -> None:
    (outcome,) = test_email.send(sandbox.smtp_url, test_email.message(to=f"{mailbox}@borrower.example"))
    assert isinstance(outcome, error)
    assert sandbox.received("email") == []


def test_the_print_shop_fetches_each_letter_once_and_prints_what_is_whole(sandbox: Sandbox, tmp_path: Path) -> None:
    test_letter.send(tmp_path, test_letter.message(), test_letter.message(token=test_letter.OTHER))
    (tmp_path / f"{test_letter.OTHER}.pdf").write_bytes(b"changed by somebody")
    told = sandbox.control("POST", "print-shop", {"outbox": str(tmp_path)})
    assert told == f"token,status\n{test_letter.TOKEN},posted\n{test_letter.OTHER},not_printed\n"
    assert [letter["provider_id"] for letter in sandbox.received("letter")] == [test_letter.TOKEN]
    assert sandbox.control("POST", "print-shop", {"outbox": str(tmp_path)}) == "token,status\n"
    # Sent again by mistake: it is known although the manifest was fetched.
    test_letter.send(tmp_path)
    assert sandbox.control("POST", "print-shop", {"outbox": str(tmp_path)}) == "token,status\n"
