"""A contact value as a colleague may see it who need not have it: enough to tell two apart, too little to use.

In:   a value in its canonical form, its kind.
Out:  the same with most of it hidden.
Pure: yes.
"""

from __future__ import annotations

from typing import Final

from decisions.portfolio import PHONE_KINDS

HIDDEN: Final = "•••"
# Of a number the end is shown; of a short one nothing is left to guess from.
DIGITS_SHOWN: Final = 2
DIGITS_MIN: Final = 6


def masked(value: str, kind: str) -> str:
    """A value, hidden.

    Args:
        value: As the ledger has it.
        kind: Of its contact point.
    """
    if kind in PHONE_KINDS:
        return f"+{HIDDEN}{value[-DIGITS_SHOWN:]}" if len(value) >= DIGITS_MIN else HIDDEN
    if kind == "email":
        name, _, domain = value.partition("@")
        return f"{name[:1]}{HIDDEN}@{domain[:1]}{HIDDEN}"
    # A token, a handle, lines of an address: any part of them would say something.
    return HIDDEN
