"""`tideover email`, `tideover letter`: what is heard, what is refused, and that nothing personal is said about it."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from tests.channels.test_bounces import POSTFIX, TO
from tideover import app


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def test_a_mailbox_is_counted(ledger_url: str, tmp_path: Path) -> None:
    del ledger_url
    (tmp_path / "one.eml").write_text(POSTFIX)
    told = run("email", "bounces", str(tmp_path / "one.eml"))
    assert (told.exit_code, told.stdout) == (0, "1 messages: 1 report on emails of ours, 0 are answers of people\n")
    assert TO not in told.output


def test_a_list_is_counted_by_status(ledger_url: str, tmp_path: Path) -> None:
    del ledger_url
    file = tmp_path / "told.csv"
    file.write_text(f"token,status,reason\n{uuid4()},posted,\n{uuid4()},posted,\n{uuid4()},returned,moved\n")
    told = run("letter", "told", str(file))
    assert (told.exit_code, told.stdout) == (0, "2 posted, 1 returned\n")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("status\nposted\n", "no column token"),
        ("token,status\nx,posted\n", "told.csv:2: token"),
        ("token,status\n0b0f7e0e-2a4c-4a3e-9b1e-1a2b3c4d5e6f,eaten\n", "told.csv:2: status"),
        ("token,status,reason\n0b0f7e0e-2a4c-4a3e-9b1e-1a2b3c4d5e6f,returned,because\n", "told.csv:2: reason"),
    ],
)
def test_a_list_of_another_form_is_refused_whole(tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "told.csv"
    file.write_text(content)
    told = run("letter", "told", str(file))
    assert told.exit_code == 2
    assert says in told.stderr


def test_a_mailbox_that_is_none_is_refused(tmp_path: Path) -> None:
    told = run("email", "bounces", str(tmp_path / "none"))
    assert told.exit_code == 2
    assert "no Maildir" in told.stderr
