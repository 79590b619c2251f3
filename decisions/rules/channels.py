"""Channels and contact points: which may be used at all for this person.

In:   a rule; the table.
Out:  a constraint. A contact that names no contact point (a call dialled by hand, a visit) is not looked at; one that is
      named and not known is refused. A channel that a provider's policy bars is allowed on the local dates for which the lender
      has recorded the provider's clearance.
Pure: values only.
Source: 12 CFR 1006.22(f)(3), (4), 1006.14(b)(2)(i)-3 (wrong numbers); DOMAIN.md "contact point"; LAW.md "Further rules"
      (provider policy).
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

import polars as pl

from decisions.jurisdictions import COUNTRY, EU
from decisions.packs import HOUSE
from decisions.rule_forms import ChannelRule
from decisions.rules.constraints import Constraint, Fixed, Versions
from decisions.rules.table import Profile, Table
from decisions.rules.timetable import EPOCH, NEVER_US, day_number
from decisions.words import ROLES

LIABLE: Final = ("borrower", "co_borrower", "guarantor")


def constrain(rule: ChannelRule, _: object, table: Table) -> Constraint:
    """Allowed where the contact point is all that the rule wants, and the provider lets the lender use the channel."""
    fits = _fits(rule, table)
    return fits if rule.barred_by_provider is None else _where_cleared(rule.barred_by_provider, rule, fits, table)


def _where_cleared(provider: str, rule: ChannelRule, fits: Fixed, table: Table) -> Constraint:
    """Allowed where `fits`, on the local dates for which the provider's clearance is recorded."""
    pack, _ = table.packs.rule(rule.id)
    ends = sorted({day_number(one.until) + 1 for one in table.packs.clearances if one.provider == provider})
    parts = []
    for first, end in zip([0, *ends], [*ends, NEVER_US], strict=True):
        on = EPOCH + timedelta(days=first)
        cleared = table.of_profiles([_cleared(provider, pack.jurisdiction, profile, on, table) for profile in table.profiles])
        parts.append((first, end, Fixed(fits.allowed & cleared)))
    return Versions(tuple(parts)) if ends else parts[0][2]


def _cleared(provider: str, own: str, profile: Profile, on: date, table: Table) -> bool:
    """Whether a lender of the profile's role may use its channel: in the country whose rule it is (`own`), else in each of the person's.

    A role that is not known is cleared where every role is; a person of no country is not.
    """
    attached = {one for one in profile.jurisdictions if len(one) == COUNTRY and one != EU}
    countries = attached if own in {HOUSE, EU} else {own[:COUNTRY]}
    roles = ROLES if profile.role is None else (profile.role,)
    return bool(countries) and all(
        table.packs.cleared(provider=provider, channel=profile.channel, countries=frozenset({country}), role=role, day=on)
        for country in countries
        for role in roles
    )


def _fits(rule: ChannelRule, table: Table) -> Fixed:
    """Allowed where the contact point is all that the rule wants, whatever providers say."""
    if rule.barred:
        return Fixed(table.all_rows(value=False))
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
    return Fixed(table.rows.select((unnamed | fits).alias("fits"))["fits"].to_numpy())
