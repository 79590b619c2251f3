"""`tideover message …`: what texts cost, how they look, and who has said yes to their words.

In:   arguments, standard input, files; the ledger only where a borrower is named or somebody approves.
Out:  text or JSON on standard output, complaints on standard error, exit codes as in CASES.md; a page in the state folder.
Pure: no. Rooms are imported inside commands, so that one that needs no database starts without it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from local.law_commands import REFUSED, UNREADABLE
from local.refusals import ledger_errors, said

if TYPE_CHECKING:
    from tasks.preview_message import MessagePreview

OWNER_ONLY: Final = 0o600
FOLDER_OWNER_ONLY: Final = 0o700

message = typer.Typer(no_args_is_help=True, help="Texts: how they look in every language, what they cost, who has approved them.")

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object in place of words.")]


@message.command()
def measure(
    *,
    smart: Annotated[
        bool, typer.Option("--smart", help="Write look-alikes of GSM-7 plainly first, as Twilio's Smart Encoding does.")
    ] = False,
) -> None:
    """Say what texts cost: reads {"text": …} a line on standard input, answers encoding, units and segments a line."""
    from decisions import segments

    for number, line in enumerate(sys.stdin.buffer, start=1):
        if not line.strip():
            continue
        try:
            given = json.loads(line)
        except ValueError:
            given = None
        if not isinstance(given, dict) or not isinstance(given.get("text"), str):
            typer.echo(f'standard input:{number}: not a JSON object like {{"text": "..."}}', err=True)
            raise typer.Exit(UNREADABLE)
        text = segments.smart(given["text"]) if smart else given["text"]
        typer.echo(json.dumps(asdict(segments.measure(text))))


@message.command()
def preview(
    named: Annotated[str, typer.Argument(metavar="MESSAGE", help="Folder in config/messages, such as early_reminder.")],
    *,
    locale: Annotated[list[str] | None, typer.Option(help="Only this language; may be given several times. Left out = all.")] = None,
    borrower: Annotated[
        str | None, typer.Option(help="The lender's id of a borrower, or ours as #123: with that person's amount, date and lender.")
    ] = None,
    sample: Annotated[bool, typer.Option("--sample", help="With made-up values, which is what happens without --borrower.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a message as it would read, on every channel and in all languages side by side: writes one page and prints where it is."""
    from decisions.messages import NoTextError
    from ledger.decisions_log import UnknownBorrowerError
    from local.message_page import page
    from tasks.preview_message import preview_message

    if sample and borrower is not None:
        typer.echo("--sample and --borrower: say one of them", err=True)
        raise typer.Exit(UNREADABLE)
    with ledger_errors(NoTextError, UnknownBorrowerError):
        found = preview_message(named, locales=locale or (), borrower=borrower)
    file = _kept(f"{named}-borrower.html" if found.personal else f"{named}.html", page(found))
    typer.echo(json.dumps(_as_json(found, file), ensure_ascii=False) if as_json else file)
    if found.personal:
        typer.echo("personal: one borrower's own values stand in it. Only you may read the file; delete it when you have looked.", err=True)


def _kept(name: str, text: str) -> Path:
    """Write for its owner alone; the name says nothing of anybody, and the next preview takes its place."""
    from config.settings import STATE_FOLDER

    folder = STATE_FOLDER / "previews"
    folder.mkdir(mode=FOLDER_OWNER_ONLY, parents=True, exist_ok=True)
    file = folder / name
    file.touch(mode=OWNER_ONLY)
    file.chmod(OWNER_ONLY)
    file.write_text(text, "utf-8")
    return file


def _as_json(found: MessagePreview, file: Path) -> dict[str, Any]:
    """Plain values; of a borrower's own preview without the words."""
    return {
        "message": found.message,
        "purpose": found.purpose,
        "personal": found.personal,
        "file": str(file),
        "texts": [
            {
                "locale": language.locale,
                "status": language.status,
                "version": language.version,
                "hers": language.hers,
                "channel": one.channel,
                **({} if found.personal else {"title": one.title, "body": one.body}),
                "lacks": one.lacks,
                **(asdict(one.size) if one.size else {"encoding": None, "units": None, "segments": None}),
                "cost": one.cost,
            }
            for language in found.languages
            for one in language.shown
        ],
    }


@message.command()
def approve(
    named: Annotated[str, typer.Argument(metavar="MESSAGE/LOCALE", help="Such as early_reminder/es.")],
    *,
    by: Annotated[str, typer.Option(help="Who asks, approves or rejects; somebody who reads the language.")],
    reject: Annotated[bool, typer.Option("--reject", help="Refuse what was asked for, or take an approval back.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why, for the record.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The approval ends when this local date begins.")] = None,
) -> None:
    """Approve the words of a text for live mode: the first person asks, the same command by another one approves."""
    from decisions.messages import NoTextError
    from gate.text_approvals import approve_text
    from ledger import schema
    from ledger.approvals import ApprovalRefused, typed

    folder, _, locale = named.partition("/")
    with ledger_errors(NoTextError), said(ApprovalRefused, code=REFUSED):
        schema.migrate()
        told = approve_text(
            folder, locale, by=typed(by, reject=reject), reject=reject, reason=reason, until=until.date() if until else None
        )
    for line in told:
        typer.echo(line)


@message.command()
def template(
    named: Annotated[str, typer.Argument(metavar="MESSAGE/LOCALE", help="Such as early_reminder/es.")],
    *,
    channel: Annotated[str, typer.Option(help="Whose words are registered.")] = "whatsapp",
    known_as: Annotated[str, typer.Option("--id", help="What the provider calls it, such as Twilio's ContentSid.")] = "HX…",
) -> None:
    """Print a text as its provider wants it registered, gaps numbered, and the lines for its file once the provider has given its id."""
    from config.load import ConfigError
    from config.message_files import message_texts, numbered, words_hash

    folder, _, locale = named.partition("/")
    try:
        text = message_texts().by_key.get((folder, locale))
    except ConfigError as error:
        typer.echo(error, err=True)
        raise typer.Exit(UNREADABLE) from None
    if text is None or not text.says(channel):
        typer.echo(f"{named} says nothing on {channel}", err=True)
        raise typer.Exit(UNREADABLE)
    words = text.words[channel]
    body, variables = numbered(words)
    standing = text.registered.get(channel)
    typer.echo(body)
    typer.echo(f"\n# Language {locale}. In config/messages/{named}.yaml, once the provider has approved it:")
    typer.echo(f"registered:\n  {channel}: {{id: {known_as}, words: {words_hash(words)}, variables: [{', '.join(variables)}]}}")
    typer.echo(f"# These words are {f'registered as {standing.id}' if standing else 'not registered yet'}.")


@message.command(name="list")
def list_texts(
    named: Annotated[str | None, typer.Argument(metavar="[MESSAGE]", help="Only this one; left out = all.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List every text with its version, what its file says of it, whether two people have approved it, and what is not registered."""
    from gate.text_approvals import text_standings
    from ledger import schema

    with ledger_errors():
        schema.migrate()
        found = text_standings(named)
    typer.echo(json.dumps([one.as_json() for one in found], ensure_ascii=False) if as_json else "\n".join(map(str, found)))
