"""Answers: whoever asks for help gets a helpful text, and a stop its one confirmation, at once and through the gate like any message.

They are planned attempts of a run of their own kind, judged by every rule, sent by the one lane. The portal plans and sends them
the moment it has heard (`answer_now`); what a crash left, `dispatch` plans and sends.

In:   what is owed (ledger/answers_owed.py), texts, rule packs, how long an answer is worth giving (config/replies.yaml).
Out:  decisions and planned attempts; messages.
Pure: no.
Source: docs/adr/0014.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

import polars as pl

from config.message_files import message_texts
from config.policies import service_policies
from config.replies import reply_policy_in_force
from decisions.choose import DECISIONS, NO_TEXT
from decisions.messages import Texts
from gate.lane import ChannelFactory, run_lane
from ledger import clock, outbox
from ledger.answers_owed import CONFIRM_STOP, HELP, Owed, read_owed
from ledger.engine import connection
from ledger.law import law_in_force, texts_in_force
from ledger.locks import lock_borrowers
from ledger.service_runs import write_service_run

# Folders of config/messages.
MESSAGES: Final[Mapping[str, str]] = {HELP: "help", CONFIRM_STOP: "opt_out_confirmation"}
AT_ONCE_MAX: Final = 500


def plan_answers() -> list[int]:
    """Plan every answer that is owed now. Planning again, or at the same time elsewhere, plans nothing twice.

    Returns:
        Ids of the campaign runs that were planned, one for each kind and local date.

    Raises:
        ConfigError: Texts, rule packs or config/replies.yaml cannot be used.
    """
    groups: dict[tuple[str, date], list[int]] = {}
    for one in _owed():
        groups.setdefault((one.service, one.business_date), []).append(one.party_id)
    planned = [_plan(service, on, party_ids) for (service, on), party_ids in sorted(groups.items())]
    return [run for run in planned if run is not None]


def answer_now(channels: Mapping[str, ChannelFactory]) -> Counter[str]:
    """Plan what is owed and send it.

    Returns:
        What became of the answers, as in `LaneReport.became`.

    Raises:
        LaneHalted: A provider takes nothing; what was not sent is still planned.
        ConfigError: As above.
    """
    became: Counter[str] = Counter()
    for run in plan_answers():
        became += run_lane(run, shard=None, channels=channels).became
    return became


def _owed() -> list[Owed]:
    policy = reply_policy_in_force()
    with connection() as tx:
        return read_owed(tx, at=clock.now(tx), help_within=policy.help_within, stop_within=policy.confirm_stop_within, at_most=AT_ONCE_MAX)


def _plan(service: str, on: date, party_ids: Sequence[int]) -> int | None:
    """Write one run: what is still owed under the borrowers' lock; None where somebody else was faster."""
    policy = reply_policy_in_force()
    with connection() as tx:
        texts = texts_in_force(tx, message_texts())
        locked = set(lock_borrowers(tx, party_ids))
        at, known_at = clock.now(tx), outbox.wall_clock(tx)
        found = read_owed(tx, at=at, help_within=policy.help_within, stop_within=policy.confirm_stop_within, at_most=AT_ONCE_MAX)
        still = [one for one in found if one.service == service and one.business_date == on and one.party_id in locked]
        if not still:
            return None
        within = policy.help_within if service == HELP else policy.confirm_stop_within
        run, _ = write_service_run(
            tx,
            _decided(still, texts.as_of(at), within),
            stage=service,
            business_date=on,
            scope=f"message-{min(one.event_id for one in still)}",
            parties=[one.party_id for one in still],
            policies=service_policies(MESSAGES[service], rules=law_in_force(tx).bodies),
            at=at,
            facts_known_at=known_at,
        )
    return run


def _decided(owed: Sequence[Owed], texts: Texts, within: timedelta) -> pl.DataFrame:
    """One row a person: an answer where they wrote from, in their language, or none where there is no text."""
    rows = [_row(one, texts.locale_for(one.locale, MESSAGES[one.service], one.channel, one.creditor_role), within) for one in owed]
    return pl.DataFrame(rows, schema=DECISIONS, orient="row").sort("party_id")


def _row(one: Owed, locale: str | None, within: timedelta) -> dict[str, Any]:
    answer = {
        "channel": one.channel,
        "contact_point_id": one.contact_point_id,
        "purpose": one.service,
        "message": MESSAGES[one.service],
        "locale": locale,
        "send_after": one.asked_at,
        "expires_at": one.asked_at + within,
    }
    none = dict.fromkeys(answer)
    return {
        "party_id": one.party_id,
        "action": "contact" if locale else "no_contact",
        **(answer if locale else none),
        "offer": None,
        "step": 1,
        "score": 0,
        "probability": 1.0,
        "propensities": None,
        "reasons": [] if locale else [NO_TEXT],
    }
