"""TwiML: what Twilio is told to say and to wait for in a call, written with its own library.

In:   what is said, in which voice, and where a pressed key is to be posted.
Out:  XML.
Pure: yes.
Source: PROVIDERS.md A4: a Gather without a key goes on with what stands behind it.
"""

from __future__ import annotations

from typing import Final

from twilio.twiml.voice_response import Gather, VoiceResponse  # type: ignore[import-untyped]  # twilio ships no py.typed

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


def hang_up() -> str:
    """Say nothing."""
    response = VoiceResponse()
    response.hangup()
    return str(response)
