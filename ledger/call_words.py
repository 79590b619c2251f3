"""What a voice may say in a call: kept as the gate judged it, encrypted, and read when somebody has picked up.

The words are not made again when the phone is answered: what is spoken is what was judged, to the letter, and nothing of it
stands in the provider's record of the call. What was learned about the person while it rang ends the call before a word.

In:   a connection; words that the gate let pass; an attempt's token.
Out:  rows of `call_words`, until the call is over; the words, or nothing.
Pure: no; reads and writes the ledger.
Source: docs/adr/0030; invariant I4.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, text

from ledger import vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """What may be said in one call.

    Attributes:
        business_date: Of the attempt.
        attempt_id: Which.
        party_id: For whom.
        token: Of the attempt.
        locale: In which language.
        title: To whoever picks up.
        body: To the person, once she has said who she is.
        voicemail: To a machine; None = nothing.
    """

    business_date: date
    attempt_id: int
    party_id: int
    token: UUID
    locale: str
    title: str = field(repr=False)
    body: str = field(repr=False)
    voicemail: str | None = field(repr=False)


def keep(tx: Connection, spoken: Sequence[Spoken]) -> None:
    """Keep the words of calls that are about to be made; those of an attempt that is called again take the place of the old ones."""
    for one in spoken:
        said = {"locale": one.locale, "title": one.title, "body": one.body, "voicemail": one.voicemail}
        encrypted, key_id = vault.encrypt(json.dumps(said, ensure_ascii=False))
        keys = {"day": one.business_date, "id": one.attempt_id, "token": one.token, "words": encrypted, "key": key_id}
        tx.execute(_KEEP, keys)


def read(tx: Connection, token: UUID) -> Spoken | None:
    """What may be said in the call of that token.

    Returns:
        None where there is no such call, or where something about the person was learned since it was begun.
    """
    row = tx.execute(_READ, {"token": token}).one_or_none()
    if row is None or row.learned:
        return None
    said: dict[str, Any] = json.loads(vault.decrypt(row.words_encrypted, row.key_id))
    return Spoken(business_date=row.business_date, attempt_id=row.attempt_id, party_id=row.party_id, token=token, **said)


def learned_since(attempt: str) -> str:
    """Condition: a stop, a hold or "not me" was written down after the call of an attempt was begun.

    Args:
        attempt: Name of its row in the statement.
    """
    return f"""(EXISTS (SELECT 1 FROM opt_out f WHERE f.party_id = {attempt}.party_id AND f.recorded_at > {attempt}.called_at
                     AND f.superseded_at IS NULL AND f.until IS NULL AND f.channel IN ('all', {attempt}.channel))
        OR EXISTS (SELECT 1 FROM hold f WHERE f.party_id = {attempt}.party_id AND f.recorded_at > {attempt}.called_at
                     AND f.superseded_at IS NULL)
        OR EXISTS (SELECT 1 FROM contact_point_version v JOIN contact_value f ON f.blind_index = v.blind_index
                   WHERE v.contact_point_id = {attempt}.contact_point_id AND v.superseded_at IS NULL AND f.superseded_at IS NULL
                     AND f.recorded_at > {attempt}.called_at AND f.ownership IN ('wrong', 'reassigned', 'shared')))"""  # noqa: S608  # a name of ours


def drop_over(tx: Connection) -> int:
    """Drop the words of calls that are over, and of those that were never made; how many calls.

    A call that ended is asked about no more an hour later; none lasts, or waits at a provider, for a day.
    """
    return tx.execute(_DROP, {"open": list(OPEN), "after": AFTER_ITS_END, "at_latest": AT_LATEST}).rowcount


def names(tx: Connection, party_ids: Sequence[int]) -> dict[int, str]:
    """Party id → the name as it is known now; whose name is not known is missing."""
    rows = tx.execute(_NAMES, {"parties": list(party_ids)}).all()
    vault.learn(tx, [row.key_id for row in rows])
    return {row.party_id: vault.decrypt(row.name_encrypted, row.key_id) for row in rows}


# Of these attempts the phone may still ring, or somebody may be listening.
OPEN: Final = ("submitting", "unknown", "accepted", "sent")
# Seconds of the wall clock since the words were kept.
AFTER_ITS_END: Final = 3_600
AT_LATEST: Final = 86_400

_DROP = text("""
    DELETE FROM call_words w USING attempt a
    WHERE a.business_date = w.business_date AND a.id = w.attempt_id
      AND w.recorded_at < clock_timestamp() - make_interval(secs => CASE WHEN a.state = ANY(:open) THEN :at_latest ELSE :after END)
""")
_KEEP = text("""
    INSERT INTO call_words (business_date, attempt_id, token, words_encrypted, key_id) VALUES (:day, :id, :token, :words, :key)
    ON CONFLICT (business_date, attempt_id) DO UPDATE
    SET words_encrypted = excluded.words_encrypted, key_id = excluded.key_id, recorded_at = clock_timestamp()
""")
_READ = text(f"""
    SELECT w.business_date, w.attempt_id, w.words_encrypted, w.key_id, a.party_id, {learned_since("a")} AS learned
    FROM call_words w JOIN attempt a ON a.business_date = w.business_date AND a.id = w.attempt_id
    WHERE w.token = :token AND a.channel = 'voice' AND a.called_at IS NOT NULL
""")  # noqa: S608  # the words above
_NAMES = text("""
    SELECT party_id, name_encrypted, key_id FROM party_version
    WHERE party_id = ANY(:parties) AND superseded_at IS NULL AND name_encrypted IS NOT NULL
""")
