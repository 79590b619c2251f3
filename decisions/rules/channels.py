"""Channels and contact points: which may be used at all for this person.

In:   a rule; the table.
Out:  a constraint. A contact that names no contact point (a call dialled by hand, a visit) is not looked at; one that is
      named and not known is refused.
Pure: values only.
Source: 12 CFR 1006.22(f)(3), (4), 1006.14(b)(2)(i)-3 (wrong numbers); DOMAIN.md "contact point".
"""

from __future__ import annotations

from typing import Final

import polars as pl

from decisions.packs import ChannelRule
from decisions.rules.constraints import Fixed
from decisions.rules.table import Table

LIABLE: Final = ("borrower", "co_borrower", "guarantor")


def constrain(rule: ChannelRule, table: Table) -> Fixed:
    """Allowed where the contact point is all that the rule wants."""
    if rule.barred:
        return Fixed(pl.repeat(False, len(table.rows), dtype=pl.Boolean, eager=True))
    known = pl.col("kind").is_not_null()
    fits = known
    if rule.kinds is not None:
        fits = fits & pl.col("kind").is_in(rule.kinds)
    if rule.statuses is not None:
        fits = fits & pl.col("status").is_in(rule.statuses).fill_null(False)
    if rule.forbids_ownership:
        fits = fits & pl.col("ownership").is_in(rule.forbids_ownership).fill_null(False).not_()
    if rule.owner_is_contacted:
        # A contact point's owner is named as seen from its party: the person herself is "borrower", whatever her liability.
        herself = (pl.col("owner") == "borrower") & pl.col("counterparty").is_in(LIABLE)
        fits = fits & (herself | (pl.col("owner") == pl.col("counterparty"))).fill_null(False)
    if rule.forbids_employer_owned:
        fits = fits & pl.col("employer_owned").fill_null(True).not_()
    if rule.forbids_wrong_numbers and len(table.wrong_points):
        fits = fits & pl.col("contact_point_id").is_in(table.wrong_points.implode()).fill_null(False).not_()
    unnamed = pl.col("contact_point_id").is_null()
    return Fixed(table.rows.select((unnamed | fits).alias("fits"))["fits"])
