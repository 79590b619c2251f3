"""Consents: some channels need the person's leave, given and not taken back.

In:   a rule (to whom the consent must have been given); the table.
Out:  a constraint: allowed while such a consent to the channel is in force.
Pure: values only.
Source: 47 USC 227(b), 47 CFR 64.1200(a)(1) (United States, automated calls and texts); the house for every other channel.
"""

from __future__ import annotations

import polars as pl

from decisions.packs import ConsentRule
from decisions.rules.constraints import Grants
from decisions.rules.table import Table


def constrain(rule: ConsentRule, table: Table) -> Grants:
    """Allowed while a consent that counts for the rule is in force."""
    return Grants(table.consents.filter(pl.col("given_to").is_in(rule.given_to)).select("row", "since", "until"))
