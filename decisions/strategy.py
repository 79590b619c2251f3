"""A stage's strategy: which step is taken on which day, how often at most, and how much is left to chance.

In:   values that config/load.py made of config/strategies/<strategy>/<stage>.yaml.
Out:  the types below; they hold no figure of their own.
Pure: values only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# A contact point's kind is reached through one channel; other channels come with their own kinds.
CHANNEL_OF_KIND: Final = {"mobile": "sms", "push": "push"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One rung of the ladder.

    Attributes:
        number: Place in the ladder, from 1; part of the attempt's key.
        from_day: First delinquent day on which it may be taken.
        channel: Channel of CASES.md.
        message: Folder in config/messages.
        offers: What the message may offer, dearest wish first; each is an arm of its own. Empty = nothing but the text.
    """

    number: int
    from_day: int
    channel: str
    message: str
    offers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """How a stage's borrowers are treated.

    Attributes:
        name: Folder in config/strategies, for example `static-ladder`.
        stage: Stage of DOMAIN.md.
        purpose: Purpose of every contact made (CASES.md).
        version: Hash of the file.
        first_day: First delinquent day, included.
        last_day: Last delinquent day, included.
        contacts_max: Contacts of this purpose per borrower within `span_days` local days, today included.
        span_days: Length of that span.
        gap_days_min: Local days from one contact to the next; 1 = the next day.
        steps: The ladder, by number.
        exploration: Share of choices made evenly among all that is allowed, no contact included: 0 to 1.
        temperature: How far scores may lie apart and still compete, in points of score; 0 = the best one wins.
        approval_above: Contacts above which a run asks for approval; None = never.
    """

    name: str
    stage: str
    purpose: str
    version: str
    first_day: int
    last_day: int
    contacts_max: int
    span_days: int
    gap_days_min: int
    steps: tuple[Step, ...]
    exploration: float
    temperature: int
    approval_above: int | None

    def reached(self, day: int) -> dict[str, Step]:
        """By channel, the last step that a borrower who is `day` delinquent days late has reached; empty outside the stage."""
        if not self.first_day <= day <= self.last_day:
            return {}
        return {step.channel: step for step in self.steps if step.from_day <= day}
