"""An offer as it is kept: circumstances and what the rule said of them, as plain JSON, and back.

In:   values of decisions/affordability.py.
Out:  texts that are equal exactly where the values are.
Pure: yes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from decisions.affordability import Choice, Circumstances, Offer, Payment, Reason
from decisions.means import Declared
from decisions.wallet_flows import Replay


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is kept of an offer.

    Attributes:
        circumstances: As plain values; dates are texts.
        declared: What she said, likewise.
        essential_is_floor: The floor counted, not her own figure.
        due_minor: Of the payments that are due, those of this lender.
        offer: What the rule said.
    """

    circumstances: Mapping[str, Any]
    declared: Declared
    essential_is_floor: bool
    due_minor: int
    offer: Offer


def canonical(value: Circumstances | Offer) -> str:
    """One text for each value."""
    return json.dumps(asdict(value), sort_keys=True, default=str, separators=(",", ":"))


def written(known: Circumstances, declared: Declared, offer: Offer, *, essential_is_floor: bool, due_minor: int) -> str:
    """What is kept, encrypted, of an offer."""
    kept = {
        "circumstances": asdict(known),
        "declared": asdict(declared),
        "essential_is_floor": essential_is_floor,
        "due_minor": due_minor,
        "offer": asdict(offer),
    }
    return json.dumps(kept, sort_keys=True, default=str)


def read(text: str) -> Record:
    """What was kept."""
    kept = json.loads(text)
    said = kept["declared"]
    offer = kept["offer"]
    return Record(
        circumstances=kept["circumstances"],
        declared=Declared(**{**said, **{name: _day(said[name]) for name in ("next_income_on", "first_on")}}),
        essential_is_floor=kept["essential_is_floor"],
        due_minor=kept["due_minor"],
        offer=Offer(
            **{
                **offer,
                "choices": tuple(_choice(one) for one in offer["choices"]),
                "reasons": tuple(Reason(**one) for one in offer["reasons"]),
            }
        ),
    )


def _choice(kept: Mapping[str, Any]) -> Choice:
    payments = tuple(Payment(date.fromisoformat(one["due_on"]), one["amount_minor"]) for one in kept["payments"])
    replay = None if kept["replay"] is None else Replay(**kept["replay"])
    return Choice(kind=kept["kind"], cycle=kept["cycle"], payments=payments, skips=kept["skips"], replay=replay)


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
