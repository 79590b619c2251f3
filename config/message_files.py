"""Reads config/messages: one folder a message, one file a locale, and locales.yaml for what all texts of a locale share.

In:   the files.
Out:  `decisions.messages.Texts`; the version of a text is the hash of its file and of its locale's words.
Pure: no; reads files. What a file says is read once for as long as it says it: with a dozen languages there are hundreds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from config.load import ConfigError, Strict, checked, parse, text_of
from decisions.messages import GAP, SPOKEN, VOICEMAIL, GapError, NoTextError, Registration, Text, Texts, Words, gaps, known_locale
from decisions.statements import BREAKDOWN
from decisions.words import NOTICE_MESSAGES

MESSAGES: Final = Path(__file__).with_name("messages")
LOCALES: Final = "locales.yaml"
# Field of a file → channel and part of its words. The first channel that a text speaks on stands for it where one is shown.
FIELDS: Final[Mapping[str, tuple[str, str]]] = {
    "sms": ("sms", "body"),
    "push_title": ("push", "title"),
    "push_body": ("push", "body"),
    "in_app_title": ("in_app", "title"),
    "in_app_body": ("in_app", "body"),
    "whatsapp": ("whatsapp", "body"),
    "messenger": ("messenger", "body"),
    "rcs": ("rcs", "body"),
    "voice": (SPOKEN, "body"),
    # What a colleague who dials says first.
    "call": ("call", "body"),
    "voicemail": (VOICEMAIL, "body"),
    "email_subject": ("email", "title"),
    "email_body": ("email", "body"),
    "letter_title": ("letter", "title"),
    "letter_body": ("letter", "body"),
}
# What opens a person's page stands in one kind of text, and in each of it.
ONE_TIME_CODE: Final = "one_time_code"
# A written collection text says who writes, what is owed, since when, where to act and how to stop.
COLLECTION_GAPS: Final = frozenset({"creditor", "amount", "due_on", "link", "stop"})
WHOLE_BY_THEMSELVES: Final = ("sms", "whatsapp", "messenger", "rcs", "email_body")
# Nobody answers a letter with one word.
COLLECTION_LETTER_GAPS: Final = frozenset({"creditor", "amount", "due_on", "link"})
# A notice (decisions/words.py, NOTICE_MESSAGES) shows the whole account, and on which day it stood so.
NOTICE_GAPS: Final = frozenset({"as_of", BREAKDOWN})
# Others see a lock screen and a list of mail, and hear a machine: there nothing says what is owed.
# Where a table can be laid out (decisions/blocks.py).
SHOWS_ACCOUNTS: Final = ("email_body", "letter_body")
SEEN_BY_OTHERS: Final = ("push_title", "push_body", "email_subject", "voicemail")
WORDS_HASH_LENGTH: Final = 12
# More than there are, so that a change of some does not make the others be read again.
FILES_KEPT_MAX: Final = 4_096
SEVERAL: Final = 16
# Behind a file's own text stands what its locale says, as a line that YAML passes over.
WORDS_BEGIN: Final = '# {"writes_like":'
Phrase = Annotated[str, Field(min_length=1)]


class LocaleForm(Strict):
    """What all texts of one locale share.

    `read_by` names the readers who share it officially: such a one gets it where her own language has no text. A reader stands
    under one locale at most, so nobody has to choose for her.
    """

    writes_like: Phrase
    stop: Phrase
    read_by: tuple[Phrase, ...] = ()


class RegistrationForm(Strict):
    """What a provider knows the words of one channel by. It holds for exactly the words that were registered."""

    id: Phrase
    words: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    variables: tuple[Phrase, ...] = ()


class BreakdownForm(Strict):
    """What stands over the columns of an account, before a loan's own number, and beside the sums.

    `opened_on` and `rate`: before the day and the rate of a loan's contract, where a law wants them named; a notice is not sent
    where they are not known then.
    """

    due_on: Phrase
    principal: Phrase
    interest: Phrase
    fee: Phrase
    penalty: Phrase
    paid: Phrase
    open: Phrase
    loan: Phrase
    disputed: Phrase
    total: Phrase
    opened_on: Phrase | None = None
    rate: Phrase | None = None


class TextForm(Strict):
    """One file, as written.

    `approved` is what the house says of its words. `draft`: nobody who reads the language has said yes to them yet, so they are
    used in sandbox mode and nowhere else. `true`: ready; live mode asks besides that two people have approved exactly these words
    (`tideover message approve`), by their hash. `false`: withdrawn, nobody receives them in any mode.
    """

    purpose: Phrase
    creditor_roles: Annotated[frozenset[Literal["first_party", "third_party", "debt_buyer"]], Field(min_length=1)]
    approved: Literal["true", "draft", "false"]
    approved_until: date | None = None
    sms: Phrase | None = None
    push_title: Phrase | None = None
    push_body: Phrase | None = None
    in_app_title: Phrase | None = None
    in_app_body: Phrase | None = None
    whatsapp: Phrase | None = None
    messenger: Phrase | None = None
    rcs: Phrase | None = None
    voice: Phrase | None = None
    call: Phrase | None = None
    voicemail: Phrase | None = None
    email_subject: Phrase | None = None
    email_body: Phrase | None = None
    letter_title: Phrase | None = None
    letter_body: Phrase | None = None
    breakdown: BreakdownForm | None = None
    registered: dict[str, RegistrationForm] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        """Only known gaps; a heading has its text; a collection text says all that it must, and none where others look on."""
        written = self.written()
        if not written or set(written) == {VOICEMAIL}:
            raise ValueError("says nothing on any channel")
        for channel, words in written.items():
            titled = f"{channel}_title" if channel != "email" else "email_subject"
            if titled in FIELDS and not (words.title and words.body):
                raise ValueError(f"{titled} and {channel}_body come together")
        if VOICEMAIL in written and SPOKEN not in written:
            raise ValueError("voicemail: is left in place of what voice says, and there is no voice")
        for field in FIELDS:
            self._has_its_gaps(field)
        self._is_registered_as_it_stands(written)
        return self

    def _has_its_gaps(self, field: str) -> None:
        try:
            found = gaps(getattr(self, field) or "")
        except GapError as error:
            raise ValueError(f"{field}: {error}") from error
        if BREAKDOWN in found and (field not in SHOWS_ACCOUNTS or self.breakdown is None):
            raise ValueError(f"{field}: an account is shown in {' or '.join(SHOWS_ACCOUNTS)}, with the words of `breakdown`")
        if getattr(self, field) is not None and ("code" in found) != (self.purpose == ONE_TIME_CODE):
            raise ValueError(f"{field}: {{code}} is what a text of purpose {ONE_TIME_CODE} says, and no other does")
        if self.purpose != "collection" or getattr(self, field) is None:
            return
        if field in WHOLE_BY_THEMSELVES and (missing := sorted(COLLECTION_GAPS - found)):
            raise ValueError(f"{field}: a collection text must name {', '.join(missing)}")
        if field == "letter_body" and (missing := sorted(COLLECTION_LETTER_GAPS - found)):
            raise ValueError(f"{field}: a collection letter must name {', '.join(missing)}")
        if field in SEEN_BY_OTHERS and "amount" in found:
            raise ValueError(f"{field}: others see or hear it too, so it names no amount")

    def _is_registered_as_it_stands(self, written: Mapping[str, Words]) -> None:
        for channel, one in self.registered.items():
            if channel not in written or channel == VOICEMAIL:
                raise ValueError(f"registered: there are no words for {channel} that a provider could know")
            words = written[channel]
            if sorted(one.variables) != sorted(gaps(words.title) | gaps(words.body)):
                raise ValueError(f"registered: {channel}: variables must name each gap of the words once")
            if one.words != (now := words_hash(words)):
                raise ValueError(f"registered: {channel}: other words were registered; register these and write words: {now}")

    def written(self) -> dict[str, Words]:
        """Channel → its words, in the order of `FIELDS`."""
        parts: dict[str, dict[str, str]] = {}
        for field, (channel, part) in FIELDS.items():
            if (words := getattr(self, field)) is not None:
                parts.setdefault(channel, {"body": ""})[part] = words
        return {channel: Words(**found) for channel, found in parts.items()}


def words_hash(words: Words) -> str:
    """What a registration at a provider names the words by that were registered."""
    return sha256(f"{words.title}\0{words.body}".encode()).hexdigest()[:WORDS_HASH_LENGTH]


def numbered(words: Words) -> tuple[str, tuple[str, ...]]:
    """The words as a provider wants them registered, with {{1}} for the first gap, and the gaps in that order."""
    said = f"{words.title}\n{words.body}".strip()
    variables = tuple(dict.fromkeys(GAP.findall(said)))
    return GAP.sub(lambda gap: f"{{{{{variables.index(gap[1]) + 1}}}}}", said), variables


def message_texts(folder: Path = MESSAGES) -> Texts:
    """Read all messages in all locales.

    Raises:
        ConfigError: A file is not of that form, or its locale is not in locales.yaml.
    """
    locales = _locales(folder / LOCALES, text_of(folder / LOCALES))
    texts = {}
    for path in sorted(folder.glob("*/*.yaml")):
        if path.stem not in locales:
            raise ConfigError(path, None, "", f"the locale of this file's name is not in {LOCALES}")
        texts[path.parent.name, path.stem] = _read(path, text_of(path), locales[path.stem])
    return Texts(by_key=texts)


def texts_of(bodies: Mapping[str, str], where: Path) -> Texts:
    """Read messages whose texts are kept elsewhere, as `message_body` made them.

    Args:
        bodies: "early_reminder/en" → what was kept.
        where: What errors call the place where they are kept.

    Raises:
        ConfigError: A text is not of that form.
    """
    texts = {}
    for name, body in bodies.items():
        path = where / f"{name}.yaml"
        file, mark, words = body.rpartition(WORDS_BEGIN)
        document, shared = parse(path, file), parse(path, mark.removeprefix("# ") + words)
        form = checked(document, document.plain, TextForm)
        texts[path.parent.name, path.stem] = _text(path, form, checked(shared, shared.plain, LocaleForm), body)
    return Texts(by_key=texts)


def message_body(text: Text, folder: Path = MESSAGES) -> str:
    """What the ledger keeps under the text's version: the file, and what its locale says."""
    words = _locales(folder / LOCALES, text_of(folder / LOCALES))[text.locale]
    return _body(text_of(folder / text.message / f"{text.locale}.yaml"), words)


def _body(file: str, words: LocaleForm) -> str:
    return f"{file}# {words.model_dump_json(exclude_defaults=True)}\n"


def locale_words(folder: Path = MESSAGES) -> Mapping[str, LocaleForm]:
    """What all texts of a locale share, by locale.

    Raises:
        ConfigError: The file is not of that form.
    """
    return _locales(folder / LOCALES, text_of(folder / LOCALES))


@lru_cache(maxsize=FILES_KEPT_MAX)
def _read(path: Path, file: str, words: LocaleForm) -> Text:
    document = parse(path, file)
    return _text(path, _whole(path, checked(document, document.plain, TextForm)), words, _body(file, words))


@lru_cache(maxsize=SEVERAL)
def _locales(path: Path, file: str) -> dict[str, LocaleForm]:
    document = parse(path, file)
    locales = checked(document, document.plain, dict[str, LocaleForm])
    seen: dict[str, str] = {}
    for tag, words in locales.items():
        _can_be_written(path, tag, words)
        for reader in words.read_by:
            if reader in seen or reader == tag:
                raise document.error([tag, "read_by"], f"{reader} stands under {seen.get(reader, tag)} already")
            seen[reader] = tag
    return locales


def _whole(path: Path, form: TextForm) -> TextForm:
    """The form; of a notice only where it shows the whole account wherever it says something."""
    if path.parent.name in NOTICE_MESSAGES:
        for channel, words in form.written().items():
            if missing := sorted(NOTICE_GAPS - gaps(words.body)):
                raise ConfigError(path, None, channel, f"a notice must name {', '.join(missing)}")
    return form


def _text(path: Path, form: TextForm, words: LocaleForm, body: str) -> Text:
    return Text(
        message=path.parent.name,
        locale=path.stem,
        purpose=form.purpose,
        version=sha256(body.encode()).hexdigest(),
        writes_like=words.writes_like,
        stop=words.stop,
        creditor_roles=form.creditor_roles,
        approved=form.approved != "false",
        draft=form.approved == "draft",
        read_by=words.read_by,
        approved_until=form.approved_until,
        words=form.written(),
        breakdown=None if form.breakdown is None else form.breakdown.model_dump(exclude_none=True),
        registered={channel: Registration(id=one.id, variables=one.variables) for channel, one in form.registered.items()},
    )


def _can_be_written(path: Path, tag: str, words: LocaleForm) -> None:
    try:
        known_locale(words.writes_like)
    except NoTextError as error:
        raise ConfigError(path, None, tag, "writes_like is no locale that is known") from error
