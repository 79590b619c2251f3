"""What becomes true for the borrower when the core system accepts an instruction, or refuses one: by kind, in the answer's transaction.

A kind that is not in here needs nothing: what it changes comes back with the lender's books.

In:   a connection inside the answer's transaction, with the borrower and all who stand for the loan locked; the instruction; the instant.
Out:  rows of whoever owns the effect.
Pure: no.
Source: docs/adr/0043.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, TypeAlias

from sqlalchemy import Connection

from ledger import plans
from ledger.core_instructions import Instruction

Effect: TypeAlias = Callable[[Connection, Instruction, datetime], None]

WHEN_ACCEPTED: Final[Mapping[str, Effect]] = {"plan": plans.agreed, "extension": plans.agreed}
# Also where it was accepted before.
WHEN_REFUSED: Final[Mapping[str, Effect]] = {"plan": plans.refused, "extension": plans.refused}
