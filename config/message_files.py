"""Reads config/messages: one folder a message, one file a locale, and locales.yaml for what all texts of a locale share.

In:   the files.
Out:  `decisions.messages.Texts`; the version of a text is the hash of its file and of its locale's words.
Pure: no; reads files.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from config.load import ConfigError, Strict, read
from decisions.messages import GapError, NoTextError, Text, Texts, gaps, known_locale

MESSAGES: Final = Path(__file__).with_name("messages")
LOCALES: Final = "locales.yaml"
# A collection text message says who writes, what is owed, since when, where to act and how to stop.
COLLECTION_SMS_GAPS: Final = frozenset({"creditor", "amount", "due_on", "link", "stop"})
Words = Annotated[str, Field(min_length=1)]


class LocaleForm(Strict):
    """What all texts of one locale share."""

    writes_like: Words
    stop: Words


class TextForm(Strict):
    """One file, as written."""

    purpose: Words
    creditor_roles: Annotated[frozenset[Literal["first_party", "third_party", "debt_buyer"]], Field(min_length=1)]
    approved: Literal["true", "false"]
    sms: Words | None = None
    push_title: Words | None = None
    push_body: Words | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        """Only known gaps; a notification has both parts; a collection text says all that it must."""
        if self.sms is None and self.push_body is None:
            raise ValueError("neither sms nor push_body")
        if (self.push_title is None) != (self.push_body is None):
            raise ValueError("push_title and push_body come together")
        for field in ("sms", "push_title", "push_body"):
            try:
                found = gaps(getattr(self, field) or "")
            except GapError as error:
                raise ValueError(f"{field}: {error}") from error
            if field == "sms" and self.sms and self.purpose == "collection" and (missing := sorted(COLLECTION_SMS_GAPS - found)):
                raise ValueError(f"sms: a collection text must name {', '.join(missing)}")
        return self


def message_texts(folder: Path = MESSAGES) -> Texts:
    """Read all messages in all locales.

    Raises:
        ConfigError: A file is not of that form, or its locale is not in locales.yaml.
    """
    locales = read(folder / LOCALES, dict[str, LocaleForm])
    for tag, words in locales.items():
        _can_be_written(folder / LOCALES, tag, words)
    texts = {}
    for path in sorted(folder.glob("*/*.yaml")):
        if path.stem not in locales:
            raise ConfigError(path, None, "", f"the locale of this file's name is not in {LOCALES}")
        texts[path.parent.name, path.stem] = _text(path, read(path, TextForm), locales[path.stem])
    return Texts(by_key=texts)


def message_body(text: Text, folder: Path = MESSAGES) -> str:
    """What the ledger keeps under the text's version: the file, and what its locale says."""
    words = read(folder / LOCALES, dict[str, LocaleForm])[text.locale]
    return _body(folder / text.message / f"{text.locale}.yaml", words)


def _body(path: Path, words: LocaleForm) -> str:
    return f"{path.read_text('utf-8')}# {words.model_dump_json()}\n"


def _text(path: Path, form: TextForm, words: LocaleForm) -> Text:
    return Text(
        message=path.parent.name,
        locale=path.stem,
        purpose=form.purpose,
        version=sha256(_body(path, words).encode()).hexdigest(),
        writes_like=words.writes_like,
        stop=words.stop,
        creditor_roles=form.creditor_roles,
        approved=form.approved == "true",
        sms=form.sms,
        push_title=form.push_title,
        push_body=form.push_body,
    )


def _can_be_written(path: Path, tag: str, words: LocaleForm) -> None:
    try:
        known_locale(words.writes_like)
    except NoTextError as error:
        raise ConfigError(path, None, tag, "writes_like is no locale that is known") from error
