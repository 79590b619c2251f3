"""Scores: how much is to be preferred about an arm, as an integer.

The ladder's score knows nothing of the person but what the lender knows: a higher place on the ladder (a later step, within it
the channel that is named first) counts more than anything else, then a contact point that is verified, then the offer that stands
first. Doing nothing scores 0. A learned score takes this one's place behind the same column.

In:   arms, one row each.
Out:  the column `score`, whole points, never null: the same on every machine, so that a decision replays.
Pure: no I/O, no randomness.
"""

from __future__ import annotations

from typing import Final

import polars as pl

NO_CONTACT_SCORE: Final = 0
# Orders of preference, not estimates: each is larger than all below it together.
POINTS_A_PLACE: Final = 1_000
# What failed of late comes behind everything that did not, and still before doing nothing.
POINTS_IN_VAIN: Final = 100
POINTS_OWNERSHIP_VERIFIED: Final = 200
POINTS_VERIFIED_ONCE: Final = 100
OFFERS_MAX: Final = 100


def score() -> pl.Expr:
    """Points of an arm with `place`, `in_vain`, `ownership`, `verified_on` and `offer_rank` (0 = the offer that stands first)."""
    return (
        pl.when("in_vain").then(POINTS_IN_VAIN).otherwise(pl.col("place").cast(pl.Int64) * POINTS_A_PLACE)
        + (pl.col("ownership") == "verified").fill_null(False).cast(pl.Int64) * POINTS_OWNERSHIP_VERIFIED
        + pl.col("verified_on").is_not_null().cast(pl.Int64) * POINTS_VERIFIED_ONCE
        - pl.col("offer_rank").cast(pl.Int64).clip(0, OFFERS_MAX - 1)
    ).alias("score")
