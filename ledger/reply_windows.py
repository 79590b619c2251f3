"""When a person last wrote to an address of the lender's: what a provider lets a lender write in free words depends on it.

The window belongs to two addresses, the person's and the lender's, and not to a borrower: who wrote to one lender may not be
written to by another, and a number that is shared is one person's to the provider.

In:   a connection inside a transaction; a message that came in, or attempts that are locked.
Out:  rows of `person_wrote`, one for each message and address of ours; the last of them by address.
Pure: no; reads and writes the ledger. channels/windows.py says how long a window lasts.
Source: PROVIDERS.md A10.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

from decisions.planned import Planned
from ledger.addresses import Line, line_of, split

# A text message and a call have no such window; a row for each of them would be for nothing.
CHANNELS: Final = frozenset({"whatsapp", "messenger", "rcs"})


def keep(tx: Connection, *, event_id: int, sender: str, senders_of_ours: Sequence[str], blind_index: bytes, at: datetime) -> None:
    """Write down that a person wrote.

    Args:
        tx: The transaction that applies the message; it holds the borrowers of the number.
        event_id: Inbox row of the message.
        sender: The person's address as the provider wrote it.
        senders_of_ours: What it was written to: a number or id, and the messaging service that has it, if any.
        blind_index: Of the person's bare address.
        at: Business instant.
    """
    channel, _ = split(sender)
    ours = sorted({split(one)[1] for one in senders_of_ours if one})
    if channel in CHANNELS and ours:
        tx.execute(_KEEP, {"event": event_id, "channel": channel, "value": blind_index, "ours": ours, "at": at})


def read_last(tx: Connection, planned: Sequence[Planned], *, channels: Collection[str], at: datetime) -> Mapping[Line, datetime]:
    """When each person last wrote to the address that an attempt would be sent from.

    Args:
        tx: The transaction that holds the borrowers.
        planned: Attempts; those of other channels are passed over.
        channels: That have a window.
        at: Business instant: what was written after it is not of this moment.

    Returns:
        One is missing that never wrote there.
    """
    lines = sorted({line for one in planned if one.channel in channels and (line := line_of(one)) is not None})
    if not lines:
        return {}
    names, values, ours = zip(*lines, strict=True)
    rows = tx.execute(_LAST, {"channels": list(names), "values": list(values), "ours": list(ours), "at": at})
    return {(row.channel, bytes(row.blind_index), row.sender): row.at for row in rows}


_KEEP = text("""
    INSERT INTO person_wrote (provider_event_id, sender, channel, blind_index, at)
    SELECT :event, ours, :channel, :value, :at FROM unnest(CAST(:ours AS text[])) AS ours
    ON CONFLICT DO NOTHING
""")
_LAST = text("""
    SELECT k.channel, k.blind_index, k.sender, max(w.at) AS at
    FROM unnest(CAST(:channels AS text[]), CAST(:values AS bytea[]), CAST(:ours AS text[])) AS k(channel, blind_index, sender)
    JOIN person_wrote w ON w.blind_index = k.blind_index AND w.channel = k.channel AND w.sender = k.sender AND w.at <= :at
    GROUP BY k.channel, k.blind_index, k.sender
""")
