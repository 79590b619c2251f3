"""The gate's verdict: what becomes of a planned attempt now that its facts were read again, under the lock.

The rules say whether a person may be contacted (`decisions.rules.judge`); this says what follows for the attempt.

In:   planned attempts with what they lack, the rules' answers, an instant.
Out:  one action an attempt, with reasons.
Pure: no I/O, no clock.
Source: ARCHITECTURE.md, "One borrower through one stage" 5: what is blocked for now but not for good goes back to planned.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl

from decisions.choose import NO_CONTACT_POINT, NO_SENDER
from decisions.facts import type_instant
from decisions.packs import Packs
from decisions.rule_forms import ChannelRule

SEND: Final = "send"
LATER: Final = "later"  # blocked for now, free before it expires: stays planned, with another `send_after`
LEAVE: Final = "leave"  # operations paused it: stays planned as it is
WITHHOLD: Final = "withhold"
EXPIRE: Final = "expire"

# What an attempt may lack, beside the reasons of decisions/choose.py and the rules' ids.
NO_ENVELOPE: Final = "no_envelope"
NOTHING_DUE: Final = "nothing_due"
NOTHING_PROMISED: Final = (
    "nothing_promised"  # the promise was kept or moved, or nothing of it, or of the plan's next payment, is open any more
)
WORDS_REFUSED: Final = "words_refused"  # with the linter's rule behind a colon: `tideover message lint` says where and why
NOT_ON_ALLOWLIST: Final = "not_on_allowlist"  # in allowlist mode only staff may be reached
WINDOW_CLOSED: Final = "window_closed"  # the person did not write lately, and this channel lets nobody write before she does
# The person did not write lately, and the words stand under no `registered:` in the text's file: `tideover message template` helps.
TEMPLATE_NOT_REGISTERED: Final = "template_not_registered"
# What stands against a way to the person, and says nothing against writing to her.
_OF_THE_WAY: Final = frozenset({NO_SENDER, NO_CONTACT_POINT, NO_ENVELOPE, WINDOW_CLOSED, TEMPLATE_NOT_REGISTERED})


def reasons_of_the_way(packs: Packs) -> frozenset[str]:
    """Reasons for which a contact is withheld that another channel may not share: what the way lacks, and providers' policies.

    Whatever else a rule says, it says of the person, the hour or the words; that is an answer, and nothing takes its place.
    """
    providers = {rule.id for _, rule in packs.gating() if isinstance(rule, ChannelRule) and rule.barred_by_provider is not None}
    return _OF_THE_WAY | providers


def verdicts(planned: pl.DataFrame, judged: pl.DataFrame, *, at: datetime) -> pl.DataFrame:
    """What to do with each planned attempt.

    Args:
        planned: `candidate` (unique), `expires_at`, `paused: Boolean`, `lacks: List[String]` (why it cannot be sent
            whatever the rules say; empty = nothing is missing).
        judged: From `decisions.rules.judge`: `candidate`, `allowed`, `blocked_by`, `asked_by`, `blocked_for_good`,
            `next_allowed_at`, `allowed_until`.
        at: Now.

    Returns:
        `candidate`, `action` (one of the words above), `reasons: List[String]`, `send_after` (for `later`, else null),
        `ends_at` (by then it must have been delivered), in the order of `planned`.

    Raises:
        ValueError: The rules did not answer for every attempt.
    """
    answered = judged.select("candidate", "allowed", "blocked_by", "asked_by", "blocked_for_good", "next_allowed_at", "allowed_until")
    both = planned.join(answered, on="candidate", how="left", maintain_order="left", validate="1:1").with_columns(
        ends_at=pl.min_horizontal("expires_at", "allowed_until")
    )
    if both["allowed"].has_nulls():
        raise ValueError("a planned attempt was not judged")
    now = pl.lit(at, dtype=type_instant)
    whole = pl.col("lacks").list.len() == 0
    frees_in_time = (
        ~pl.col("blocked_for_good")
        & (pl.col("next_allowed_at") > now).fill_null(False)
        & (pl.col("next_allowed_at") < pl.col("expires_at"))
    )
    action = (
        # A provider is given whole seconds in which to deliver; with none left there is nothing to send.
        pl.when(pl.col("ends_at") < now + pl.duration(seconds=1))
        .then(pl.lit(EXPIRE))
        .when("paused")
        .then(pl.lit(LEAVE))
        .when(pl.col("allowed") & whole)
        .then(pl.lit(SEND))
        .when(whole & frees_in_time.fill_null(False))
        .then(pl.lit(LATER))
        .otherwise(pl.lit(WITHHOLD))
    )
    return both.with_columns(action=action).select(
        "candidate",
        "action",
        # What asks for a person is withheld until one has decided.
        reasons=pl.concat_list("blocked_by", "asked_by", "lacks"),
        send_after=pl.when(pl.col("action") == LATER).then("next_allowed_at").otherwise(pl.lit(None, dtype=type_instant)),
        ends_at="ends_at",
    )
