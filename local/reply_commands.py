"""`tideover reply read`: what answers mean, one JSON object a line in and out, as CASES.md says.

In:   standard input.
Out:  standard output; a line that cannot be read ends the command with its number on standard error.
Pure: no. No database and no server is needed.
"""

from __future__ import annotations

import json
import sys
from datetime import date, datetime
from typing import Any

import typer

UNREADABLE = 2

reply = typer.Typer(no_args_is_help=True, help="Answers that people write: what they mean.")


class _LineError(ValueError):
    """A line that is no question; says why, without what the person wrote."""


@reply.callback()
def answers() -> None:
    """Answers that people write: what they mean."""


@reply.command(name="read")
def read_answers() -> None:
    """Say what texts mean: reads {"text": …, "locale": …, "received_at": …, "currency": …} a line, answers a line each."""
    from config.replies import reply_policy_in_force

    lexicons = reply_policy_in_force().lexicons
    for number, line in enumerate(sys.stdin.buffer, start=1):
        if not line.strip():
            continue
        try:
            told = _told(line, lexicons)
        except _LineError as error:
            typer.echo(f"standard input:{number}: {error}", err=True)
            raise typer.Exit(UNREADABLE) from None
        typer.echo(json.dumps(told, ensure_ascii=False))


@reply.command(name="measure")
def measure_answers() -> None:
    """Say how well the labelled replies of tests/cases/replies/ are read: the tables of docs/replies.md, and what is read otherwise."""
    from config.replies import reply_policy_in_force
    from config.reply_cases import as_page, read_replies

    replies = read_replies(reply_policy_in_force().lexicons)
    typer.echo(as_page(replies), nl=False)
    for one in replies:
        if not one.is_right:
            typer.echo(f"{one.language} {one.set_name}: {one.text}: meant {one.intent}, read {', '.join(one.reading.intents)}", err=True)


def _told(line: bytes, lexicons: Any) -> dict[str, Any]:
    from decisions.replies import HERE, Setting, read_reply

    given = _given(line)
    setting = Setting(today=_local_date(given["received_at"]), locale=given["locale"], currency=given["currency"])
    reading = read_reply(given["text"], lexicons.of(given["locale"]), setting=setting)
    # A text message, unless it says otherwise: nobody tells here by which channel it came.
    channels = list(dict.fromkeys("sms" if channel == HERE else channel for channel in reading.scope))
    return {
        "intent": reading.intent,
        "date": reading.on.isoformat() if reading.on else None,
        "amount_minor": reading.amount_minor,
        "also": list(reading.also),
        "scope": "all" if channels == ["all"] else channels,
        "because": reading.because,
    }


def _given(line: bytes) -> dict[str, Any]:
    try:
        given = json.loads(line)
    except ValueError:
        given = None
    if not isinstance(given, dict) or not isinstance(given.get("text"), str):
        raise _LineError('not a JSON object like {"text": "...", "received_at": "2026-03-17T12:00:00-04:00"}')
    known = {"text": None, "locale": None, "received_at": None, "currency": None}
    if unknown := sorted(given.keys() - known.keys()):
        raise _LineError(f"unknown fields: {', '.join(unknown)}")
    for name in known:
        if given.get(name) is not None and not isinstance(given[name], str):
            raise _LineError(f"{name}: not a text")
    return known | given


def _local_date(received_at: str | None) -> date | None:
    """The date where the reply came in, by the instant's own offset."""
    if received_at is None:
        return None
    try:
        at = datetime.fromisoformat(received_at)
    except ValueError:
        raise _LineError("received_at: not an instant like 2026-03-17T12:00:00-04:00") from None
    if at.tzinfo is None:
        raise _LineError("received_at: an instant has an offset, like 2026-03-17T12:00:00-04:00")
    return at.date()
