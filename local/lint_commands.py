"""`tideover message lint`: what nobody should have to read, found in the texts before anybody does.

In:   the files of config/; another folder of messages where one is named.
Out:  text or one JSON object on standard output; exit 1 on an error in a text, 2 where a file cannot be read.
Pure: no. No database and no server is needed. Rooms are imported inside the command.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from decisions.lint_all import Linted
    from decisions.messages import Texts

ERRORS = 1
UNREADABLE = 2


def lint(
    *,
    locales: Annotated[list[str] | None, typer.Option("--locale", help="Only this locale, such as es; may be given again.")] = None,
    messages: Annotated[list[str] | None, typer.Option("--message", help="Only this message, such as early_reminder; as above.")] = None,
    folder: Annotated[Path | None, typer.Option(help="Texts of another folder of the same form.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object in place of words.")] = False,
) -> None:
    """Look for what no borrower should read: threats, shame, false urgency, revealed debts, what the law wants said and is not."""
    from config.lint_files import beside, places
    from config.load import ConfigError
    from config.message_files import MESSAGES, message_texts
    from config.voice_files import voice_prompts
    from decisions.lint_all import of_all
    from decisions.lint_voice import of_prompts
    from decisions.voice import VOICE_PROMPTS

    where = folder or MESSAGES
    try:
        texts = message_texts(where)
        # What every automated call says stands beside the messages, in a folder of its own.
        prompts = voice_prompts() if folder is None else {}
        chosen = _chosen(texts, messages, locales, {VOICE_PROMPTS: set(prompts)} if prompts else {})
        known = beside(texts, datetime.now().astimezone().date())
        linted = of_all(chosen, known, sisters=texts)
        asked = not messages or VOICE_PROMPTS in messages
        spoken = [one for locale, one in sorted(prompts.items()) if asked and (not locales or locale in locales)]
        linted = replace(linted, findings=(*linted.findings, *(one for said in spoken for one in of_prompts(said, known))))
        found = [(_shown(file), line) for file, line in places(linted.findings, where)]
    except (ConfigError, LookupError) as error:
        typer.echo(error.args[0] if isinstance(error, LookupError) else error, err=True)
        raise typer.Exit(UNREADABLE) from None
    if as_json:
        versions = {(text.message, text.locale): text.version for text in chosen.by_key.values()}
        versions |= {(VOICE_PROMPTS, one.locale): one.version for one in spoken}
        typer.echo(json.dumps(_plainly(linted, found, versions), ensure_ascii=False))
    else:
        _tell(linted, found)
    raise typer.Exit(ERRORS if linted.errors else 0)


def _chosen(texts: Texts, messages: list[str] | None, locales: list[str] | None, others: Mapping[str, Collection[str]]) -> Texts:
    """Texts that were asked for; `others` are no texts, and may be asked for too (name → locales).

    Raises:
        LookupError: There are none of that name.
    """
    from decisions.messages import Texts

    for part, (what, wanted) in enumerate((("message", messages), ("locale", locales))):
        known = {key[part] for key in (*texts.by_key, *((name, tag) for name, tags in others.items() for tag in tags))}
        if unknown := sorted(set(wanted or ()) - known):
            raise LookupError(f"no {what} {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return Texts(
        by_key={
            (message, locale): text
            for (message, locale), text in texts.by_key.items()
            if (not messages or message in messages) and (not locales or locale in locales)
        }
    )


def _shown(file: str) -> str:
    """As seen from where the command was given."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


def _plainly(linted: Linted, found: list[tuple[str, int]], versions: dict[tuple[str, str], str]) -> dict[str, Any]:
    findings = [
        {**asdict(one), "file": file, "line": line, "version": versions.get((one.message, one.locale))}
        for one, (file, line) in zip(linted.findings, found, strict=True)
    ]
    return {
        "messages": linted.messages,
        "locales": linted.locales,
        "findings": findings,
        "errors": linted.errors,
        "text_messages": [
            {"message": cost.message, "locale": cost.locale, "currency": cost.currency, **asdict(cost.size)} for cost in linted.costs
        ],
    }


def _tell(linted: Linted, found: list[tuple[str, int]]) -> None:
    for one, (file, line) in zip(linted.findings, found, strict=True):
        place = ".".join(part for part in (one.channel, one.part) if part)
        words = f" “{one.words}”" if one.words else ""
        typer.echo(f"{file}:{line}: {one.severity}: {one.rule}: {place}{words}: {one.because}; {one.instead}")
    longest: Counter[str] = Counter()
    for cost in linted.costs:
        longest[cost.locale] = max(longest[cost.locale], cost.size.segments)
    warnings = len(linted.findings) - linted.errors
    typer.echo(
        f"{linted.messages} messages in {linted.locales} locales: {linted.errors} errors, {warnings} warnings. "
        f"The longest text messages, in segments: {', '.join(f'{locale} {count}' for locale, count in sorted(longest.items())) or 'none'}"
    )
