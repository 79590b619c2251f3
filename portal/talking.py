"""A call, turn by turn: what is said to whoever picked up, and what a pressed key does.

Nothing of a debt is said before the person has said who she is. What a key means takes effect as a reply does, before the voice
confirms it. Nobody is asked for a promise.

In:   what the gate let pass (ledger/call_words.py), the prompts of its locale, who picked up, a key.
Out:  TwiML, and things said to the inbox.
Pure: but for reading the words, yes.
Source: decisions/voice.py; DOMAIN.md, "What the borrower's answer does".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias
from uuid import UUID

from channels import twiml
from channels.codes import is_machine
from channels.registry import callback_url
from decisions.voice import FIRST_KEYS, IDENTIFIED, KEYS, STOPPED, Prompts
from ledger import call_words
from ledger.call_words import Spoken
from ledger.engine import connection
from ledger.inbox import Said
from ledger.law import voice_in_force
from ledger.replies import PRESSED, Pressed

VOICEMAIL_LEFT: Final = "voicemail left"
HUNG_UP: Final = "hung up on a machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What may be said in a call, and the prompts of its locale."""

    spoken: Spoken
    prompts: Prompts


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What is said now, and what is known since.

    Attributes:
        twiml: What Twilio does next.
        became: What the call is now known to be (`channels.codes.state_of`); None = no more than before.
        pressed: What a key said; None = none did.
        name: Of that key, for the inbox: a key is heard once.
    """

    twiml: str
    became: str | None = None
    pressed: Pressed | None = None
    name: str = ""

    def said(self, given: Mapping[str, str], sid: str, token: UUID) -> Iterator[Said]:
        """What the inbox is told, in order."""
        if self.became is not None:
            yield told(given, sid, token, self.became)
        if self.pressed is not None:
            number = given.get("To", "")
            yield Said(
                provider="twilio",
                provider_id=f"{sid}/{self.name}",
                kind="inbound",
                status="received",
                token=token,
                error_code=None,
                fields={**given, "From": f"voice:{number}", PRESSED: self.pressed.field},
            )


NOTHING: Final = Turn(twiml=twiml.hang_up())
Part: TypeAlias = Callable[[Words, Mapping[str, str]], Turn]


def words_of(token: UUID) -> Words | None:
    """What may be said in the call of that token; None where nothing may."""
    with connection() as tx:
        spoken = call_words.read(tx, token)
        prompts = None if spoken is None else voice_in_force(tx).get(spoken.locale)
    return None if spoken is None or prompts is None else Words(spoken=spoken, prompts=prompts)


def told(given: Mapping[str, str], sid: str, token: UUID, word: str) -> Said:
    """A step of a call, for the inbox."""
    return Said(
        provider="twilio",
        provider_id=sid,
        kind="status",
        status=word,
        token=token,
        error_code=given.get("ErrorCode") or None,
        fields=dict(given),
    )


def answered(words: Words, given: Mapping[str, str]) -> Turn:
    """Somebody picked up: who calls, and for whom; a machine hears what reveals nothing, or nothing."""
    by = given.get("AnsweredBy")
    language = words.prompts.language
    if is_machine(by) and words.spoken.voicemail is not None:
        return Turn(twiml=twiml.say(words.spoken.voicemail, language=language), became=VOICEMAIL_LEFT)
    if is_machine(by) or by == "fax":
        return Turn(twiml=twiml.hang_up(), became=HUNG_UP)
    return Turn(twiml=twiml.ask(words.spoken.title, language=language, action=_address(words, "first"), otherwise=words.prompts.goodbye))


def first_key(words: Words, given: Mapping[str, str]) -> Turn:
    """The first key: "I am", "not me", "no more calls"; any other is asked for again."""
    digit = given.get("Digits", "")
    meant = FIRST_KEYS.get(digit)
    if meant is None:
        return answered(words, {})
    if meant == IDENTIFIED:
        menu = twiml.ask(words.spoken.body, language=words.prompts.language, action=_address(words, "key"), otherwise=words.prompts.goodbye)
        return Turn(twiml=menu, became=IDENTIFIED)
    # Whoever holds the phone: it protects everybody whose number it is.
    return _confirmed(words, meant, f"first {digit}", None)


def key(words: Words, given: Mapping[str, str]) -> Turn:
    """The person's answer; another key is asked for again."""
    digit = given.get("Digits", "")
    meant = KEYS.get(digit)
    if meant is None:
        return first_key(words, {"Digits": "1"})
    return _confirmed(words, meant, f"key {digit}", words.spoken.party_id)


def _confirmed(words: Words, intent: str, name: str, party_id: int | None) -> Turn:
    scope = STOPPED if intent == "stop" else ()
    return Turn(
        twiml=twiml.say(words.prompts.answers[intent], language=words.prompts.language),
        pressed=Pressed(intent=intent, scope=scope, party_id=party_id),
        name=name,
    )


def _address(words: Words, part: str) -> str:
    base = callback_url("voice", words.spoken.token)
    assert base is not None, "voice has an address of its own"  # noqa: S101  # channels/registry.py
    return f"{base}/{part}"
