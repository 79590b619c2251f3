"""The preview of a message: every language and channel of it, with made-up values or with one borrower's own.

In:   a message; the ids of a borrower, where it is hers.
Out:  a `MessagePreview`; with a borrower's values it is personal: shown to whoever asked, kept for its owner alone.
Pure: no; reads files, and the ledger where a borrower is named. Nothing is sent by it, nothing is written down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from config.message_files import message_texts
from config.prices import prices
from config.promises import promise_terms_in_force
from config.settings import settings
from config.voice_files import voice_prompts
from decisions.candidates import owed
from decisions.messages import NoTextError, Text
from decisions.text_samples import SAMPLE_LINK, Filling, Shown, names_of, sample_filling, sample_of_a_call, shown
from decisions.voice import VOICE_PROMPTS, as_text
from gate.text_approvals import status
from ledger import clock, previews, promises
from ledger.decisions_log import find_party
from ledger.engine import connection
from ledger.facts import read_facts

# Of no day in particular: the newest prices.
LATEST: Final = date.max


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """One locale of a message.

    Attributes:
        locale: Its tag.
        own_name: How its readers call it.
        english_name: How we call it.
        status: ready, draft or withdrawn: what the file says.
        stop: The word that stops messages.
        version: Of the text.
        hers: Whether this is what the borrower would read.
        shown: Channel by channel.
    """

    locale: str
    own_name: str
    english_name: str
    status: str
    stop: str
    version: str
    hers: bool
    shown: tuple[Shown, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePreview:
    """A message in its languages.

    Attributes:
        message: Folder in config/messages.
        purpose: Of CASES.md.
        personal: Whether a borrower's own values stand in it.
        languages: One a locale.
    """

    message: str
    purpose: str
    personal: bool
    languages: tuple[Language, ...]

    @property
    def channels(self) -> tuple[str, ...]:
        """Every channel on which some language says something, in the order of the files."""
        return tuple(dict.fromkeys(one.channel for language in self.languages for one in language.shown))


def preview_message(message: str, *, locales: Sequence[str] = (), borrower: str | None = None) -> MessagePreview:
    """Gather what is shown.

    Args:
        message: Folder in config/messages; `voice` = what every automated call says.
        locales: Only these; none = all that there are.
        borrower: The lender's id, or ours as #123, of whose amount, date and lender fill it; None = made-up values.

    Raises:
        NoTextError: There is no such message, or not in one of the locales.
        UnknownBorrowerError: Nobody, or several, have that id.
        ConfigError: A file cannot be read.
    """
    if message == VOICE_PROMPTS:
        texts = [sample_of_a_call(as_text(prompts)) for prompts in voice_prompts().values()]
    else:
        texts = [text for (name, _), text in message_texts().by_key.items() if name == message]
    if not texts:
        raise NoTextError(message, None, "no such message in config/messages")
    for missing in sorted(set(locales) - {text.locale for text in texts}):
        raise NoTextError(message, missing, "no such text in config/messages")
    filling, hers, on = (None, None, LATEST) if borrower is None else _of_borrower(borrower, message)
    return MessagePreview(
        message=message,
        purpose=texts[0].purpose,
        personal=filling is not None,
        languages=tuple(
            _language(text, filling, hers=text.locale == hers, on=on) for text in texts if not locales or text.locale in locales
        ),
    )


def _language(text: Text, filling: Filling | None, *, hers: bool, on: date) -> Language:
    own_name, english_name = names_of(text.locale)
    return Language(
        locale=text.locale,
        own_name=own_name,
        english_name=english_name,
        status=status(text),
        stop=text.stop,
        version=text.version,
        hers=hers,
        shown=tuple(shown(text, filling or sample_filling(text), prices=prices(), on=on)),
    )


def _of_borrower(named: str, message: str) -> tuple[Filling, str | None, date]:
    """What fills the text for one borrower, which locale she would read, and today's date for her lender."""
    with connection() as tx:
        party, at = find_party(tx, named), clock.now(tx)
        on = at.astimezone(ZoneInfo(settings().business_zone)).date()
        facts = read_facts(tx, parties=[party], at=at, business_date=on, loans="now")
        creditor_name = previews.creditor_of(tx, party)
        until = on + timedelta(days=promise_terms_in_force().ahead_days_max)
        promised = promises.still_open(tx, [party], on=on, until=until).get(party)
    person = next(facts.borrowers.iter_rows(named=True))
    asked = next(owed(facts.loans).iter_rows(named=True), {})
    texts = message_texts()
    channels = sorted(texts.channels_of(message))
    hers = next((tag for one in channels if (tag := texts.locale_for(person["locale"], message, one, person["creditor_role"]))), None)
    filling = Filling(
        creditor_name=creditor_name,
        amount_minor=asked.get("amount_minor"),
        currency=asked.get("currency"),
        due_on=asked.get("due_on"),
        link=SAMPLE_LINK,
        country=person["country"],
        promised=promised,
    )
    return filling, hers, on
