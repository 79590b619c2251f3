"""TwiML: what Twilio is told to say and to wait for in a call, written with its own library.

In:   what is said, in which voice, and where a pressed key is to be posted.
Out:  XML.
Pure: yes.
Source: PROVIDERS.md A4: a Gather without a key goes on with what stands behind it.
"""

from __future__ import annotations

from typing import Final

from twilio.twiml.voice_response import Dial, Gather, VoiceResponse  # type: ignore[import-untyped]  # twilio ships no py.typed

KEY_SECONDS: Final = 6
# Whoever did not catch it hears it once more.
TIMES: Final = 2


def ask(said: str, *, language: str, action: str, otherwise: str) -> str:
    """Say something and wait for one key, twice; then say goodbye and hang up."""
    response = VoiceResponse()
    for _ in range(TIMES):
        gather = Gather(input="dtmf", num_digits=1, timeout=KEY_SECONDS, action=action, method="POST")
        gather.say(said, language=language)
        response.append(gather)
    response.say(otherwise, language=language)
    response.hangup()
    return str(response)


def say(said: str, *, language: str) -> str:
    """Say something and hang up."""
    response = VoiceResponse()
    response.say(said, language=language)
    response.hangup()
    return str(response)


def put_through(number: str, *, caller: str, announce: str | None, seconds: int) -> str:
    """Dial a number for whoever is on the line.

    Args:
        number: To be dialled, E.164.
        caller: What the phone there shows.
        announce: Where it is asked what is said there before anybody talks; the talk is recorded from then on. None = neither.
        seconds: So long it rings.
    """
    response = VoiceResponse()
    recorded = {} if announce is None else {"record": "record-from-answer-dual"}
    dial = Dial(caller_id=caller, timeout=seconds, answer_on_bridge=True, **recorded)
    dial.number(number, **({} if announce is None else {"url": announce, "method": "POST"}))
    response.append(dial)
    return str(response)


def announce(said: str, *, language: str) -> str:
    """Say something to whoever picked up, and let the talk begin."""
    response = VoiceResponse()
    response.say(said, language=language)
    return str(response)


def hang_up() -> str:
    """Say nothing."""
    response = VoiceResponse()
    response.hangup()
    return str(response)
