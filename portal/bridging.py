"""Putting a colleague through: she has picked up, and now the person whom the gate let her call is dialled.

Her number is told to Twilio at this moment and not before, and only if nothing was learned about her since the gate said yes. Where the
call is recorded the person is told so, in her language, before a word is recorded; where there are no words for that, it is not.

In:   an attempt's token.
Out:  TwiML.
Pure: no; reads the ledger, and writes down what became of the line.
Source: docs/adr/0057; PROVIDERS.md A4.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection

from channels import twiml
from channels.registry import BRIDGE_PATH
from channels.voice import RING_SECONDS
from config.call_scripts import RECORDING, spoken
from config.settings import settings
from decisions.messages import closest
from ledger import agent_calls
from ledger.agent_calls import Bridged
from ledger.engine import connection
from ledger.law import voice_in_force


def put_through(token: UUID) -> str:
    """Whom the colleague on the line talks to; nobody where the person must not be called any more."""
    with connection() as tx:
        found = agent_calls.bridged(tx, token)
        if found is None:
            return twiml.hang_up()
        is_recorded = _announced(tx, found) is not None
        if is_recorded:
            agent_calls.note_recorded(tx, token)
    address = f"{settings().public_url}/{BRIDGE_PATH}/{token}/announce" if is_recorded else None
    return twiml.put_through(found.number, caller=found.sender, announce=address, seconds=RING_SECONDS)


def announce(token: UUID) -> str:
    """That the talk is recorded; where nothing may be said, nobody talks either."""
    with connection(read_only=True) as tx:
        found = agent_calls.bridged(tx, token)
        said = None if found is None else _announced(tx, found)
    return twiml.hang_up() if said is None else twiml.announce(said[0], language=said[1])


def ended(token: UUID, provider_id: str, word: str) -> None:
    """The colleague's leg has ended."""
    with connection() as tx:
        agent_calls.note_end(tx, token, provider_id=provider_id, line=word)


def _announced(tx: Connection, call: Bridged) -> tuple[str, str] | None:
    """Words and voice that say that a call is recorded; None where it is not, or cannot be said in her language."""
    voices = voice_in_force(tx)
    tag = closest(call.locale, voices)
    (said,) = spoken([RECORDING], call.locale)
    return (said.words, voices[tag].language) if call.may_record and tag is not None and said.words is not None else None
