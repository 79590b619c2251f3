"""What a failed message teaches: of the address, of the person, of our text or sender, or only that it is worth another try.

In:   a connection that holds the borrower; a provider's event that ended an attempt, and what its error code means
      (channels/codes.py, `Meaning`).
Out:  retired contact points, opt-outs, another try planned within the same window, or a pause of what cannot work.
Pure: no; reads and writes the ledger.
Source: PROVIDERS.md A7. Another try passes the gate like the first one: every cap counts what was tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

from ledger import answers, outbox, pauses
from ledger.pauses import Scope

# Congestion passes; a phone that is off comes on again in some hours. The law's hours and caps are the gate's.
AGAIN: Final[Mapping[str, timedelta]] = {"again_soon": timedelta(minutes=15), "again_in_hours": timedelta(hours=3)}
# The first, and one more.
TRIES_MAX: Final = 2
# So many failures of a run by one code of ours (a filtered text, an unregistered sender), and it is not chance.
STOPS_AT: Final = 20
WE_OURSELVES: Final = "tideover"
# A number that this channel does not reach is still a number: it is left as it is for the others.
LEAVES_THE_NUMBER: Final = frozenset({"rcs"})


def learn(tx: Connection, *, provider: str, token: UUID | None, provider_id: str, at: datetime, meaning: str) -> None:
    """Draw the consequence of an attempt's end.

    Args:
        tx: Inside the transaction that moved the attempt; its borrower is locked.
        provider: Who said it.
        token: The attempt's, where it came along.
        provider_id: The provider's id of the message.
        at: When it was said.
        meaning: A word of `channels.codes.Meaning`.
    """
    if meaning == "nothing":
        return
    about = tx.execute(_ABOUT, {"token": token, "provider_id": provider_id}).one()
    source = f"provider:{provider}"
    if meaning == "opted_out":
        answers.opt_out(tx, [about.party_id], [about.channel], at=at, source=source)
    elif meaning in AGAIN:
        keys = {"business_date": about.business_date, "id": about.id, "after": at + AGAIN[meaning], "tries_max": TRIES_MAX}
        tx.execute(_PLAN_AGAIN, keys)
    elif meaning == "account":
        because = f"{source} halted the account ({about.error_code}); mend it, then resume"
        pauses.write_pause(tx, Scope(channel=about.channel), because=because, by=WE_OURSELVES, at=at)
    elif meaning == "campaign":
        alike = tx.execute(_ALIKE, {"business_date": about.business_date, "id": about.id}).scalar_one()
        if alike >= STOPS_AT:
            because = f"{alike} messages failed by {source} {about.error_code}; mend the text or the sender, then resume"
            pauses.write_pause(tx, Scope(stage=about.stage, channel=about.channel), because=because, by=WE_OURSELVES, at=at)
    elif meaning != "unreachable" or about.channel not in LEAVES_THE_NUMBER:
        outbox.retire_contact_points(tx, [about.contact_point_id], at=at, source=source, status=meaning)


_ABOUT = text("""
    SELECT business_date, id, party_id, contact_point_id, channel, stage, error_code FROM attempt
    WHERE token = :token OR (CAST(:token AS uuid) IS NULL AND provider_id = :provider_id)
    LIMIT 1
""")
# What was said to be over is not planned again; another live attempt of that day and stage takes its place.
_PLAN_AGAIN = text("""
    INSERT INTO attempt (business_date, decision_id, campaign_run_id, party_id, contact_point_id, stage, step, try_number, channel, purpose,
                         message, offer, locale, state, token, send_after, expires_at)
    SELECT business_date, decision_id, campaign_run_id, party_id, contact_point_id, stage, step, try_number + 1, channel, purpose,
           message, offer, locale, 'planned', gen_random_uuid(), :after, expires_at
    FROM attempt
    WHERE business_date = :business_date AND id = :id AND try_number < :tries_max AND expires_at > :after
    ON CONFLICT DO NOTHING
""")
_ALIKE = text("""
    SELECT count(*) FROM attempt a JOIN attempt e ON e.business_date = :business_date AND e.id = :id
    WHERE a.business_date = e.business_date AND a.campaign_run_id = e.campaign_run_id AND a.channel = e.channel
      AND a.error_code = e.error_code AND a.state IN ('undelivered', 'failed', 'rejected')
""")
