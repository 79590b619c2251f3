"""Accounts: what a few texts need beyond the facts: a whole account, an envelope, what is open of a promise, a code.

In:   nothing; account_reads.py reads it under the lock.
Out:  the shape.
Pure: a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final
from uuid import UUID

from decisions.envelopes import Addressee
from decisions.promises import StillPromised
from decisions.statements import Statement

LETTER: Final = "letter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """What stands beside the facts; personal, never logged.

    Attributes:
        as_of: Local business date of the statements; None = there are none.
        statements: Loan → what is past due of it, line by line.
        addressees: Contact point → whom its envelope is for.
        promised: Party → what is still open of the promise that a reminder speaks of.
        planned: Parties of whose plan the payment that a reminder speaks of is still open.
        codes: Token of an attempt → the code that it brings.
    """

    as_of: date | None = None
    statements: Mapping[int, Statement] = field(default_factory=dict, repr=False)
    addressees: Mapping[int, Addressee] = field(default_factory=dict, repr=False)
    promised: Mapping[int, StillPromised] = field(default_factory=dict, repr=False)
    planned: frozenset[int] = field(default=frozenset(), repr=False)
    codes: Mapping[UUID, str] = field(default_factory=dict, repr=False)


NOTHING: Final = Accounts()
