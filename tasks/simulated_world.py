"""What a world must be for `tideover simulate` to play on it. The sandbox's town is one; nothing here knows it.

In:   nothing.
Out:  the shapes of a world, of whom it holds, of what a lender hears of it, and of what became of them.
Pure: types only. What a world keeps to itself is not among them, but for `truth`, which is asked once, when all is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol, TypeAlias

# Instalments: (local day, minor units), ascending.
Payments: TypeAlias = tuple[tuple[date, int], ...]


class Borrower(Protocol):
    """Somebody as the lender knows her. Money in minor units, incomes for 30 days."""

    @property
    def loan_ref(self) -> str: ...  # noqa: D102  # unique in its world
    @property
    def phone(self) -> str: ...  # noqa: D102
    @property
    def push_token(self) -> str: ...  # noqa: D102
    @property
    def email(self) -> str | None: ...  # noqa: D102
    @property
    def locale(self) -> str: ...  # noqa: D102
    @property
    def zone(self) -> str: ...  # noqa: D102
    @property
    def country(self) -> str: ...  # noqa: D102
    @property
    def currency(self) -> str: ...  # noqa: D102
    @property
    def owed_minor(self) -> int: ...  # noqa: D102
    @property
    def days_late(self) -> int: ...  # noqa: D102  # on the first day
    @property
    def income_minor(self) -> int: ...  # noqa: D102
    @property
    def essential_minor(self) -> int: ...  # noqa: D102
    @property
    def income_every_days(self) -> int: ...  # noqa: D102  # 7, 14 or 30
    @property
    def next_income_on(self) -> date: ...  # noqa: D102  # after the first day


class Heard(Protocol):
    """Something that the lender hears of: by a provider's webhook, a feed, a hotline or a colleague's note."""

    @property
    def at(self) -> datetime: ...  # noqa: D102
    @property
    def kind(self) -> str:
        """One of: delivered, undelivered, read, no_answer, busy, failed, machine, conversation, reply, said, paid, complaint, plan."""

    @property
    def message_id(self) -> str: ...  # noqa: D102  # empty where it is about no message
    @property
    def loan_ref(self) -> str: ...  # noqa: D102  # empty where it is about no loan
    @property
    def text(self) -> str: ...  # noqa: D102  # of `said` the intent
    @property
    def on(self) -> date | None: ...  # noqa: D102  # day of a promise, or on which money moved
    @property
    def amount_minor(self) -> int: ...  # noqa: D102  # negative = taken back
    @property
    def payments(self) -> Payments: ...  # noqa: D102  # of a plan


class Truth(Protocol):
    """What became of somebody, whether the lender saw it or not."""

    @property
    def owed_minor(self) -> int: ...  # noqa: D102  # still
    @property
    def paid_minor(self) -> int: ...  # noqa: D102  # less what was taken back
    @property
    def complaints(self) -> int: ...  # noqa: D102
    @property
    def borrowed_minor(self) -> int: ...  # noqa: D102  # paid with money borrowed elsewhere


class World(Protocol):
    """A world that is played once, from the first midnight on."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def borrowers(self) -> Sequence[Borrower]: ...  # noqa: D102
    @property
    def prices_minor(self) -> Mapping[str, float]: ...  # noqa: D102  # by channel, and `talk` beside a call's try

    def hand_over(
        self, message_id: str, *, channel: str, address: str, sender: str, text: str, expires_at: datetime, plan: Payments
    ) -> None:
        """Hand a message over, now."""

    def call(self, message_id: str, *, address: str, sender: str, by_person: bool, plan: Payments) -> None:
        """Let a phone ring, now."""

    def advance(self, to: datetime) -> Iterable[Heard]:
        """Let time pass; what is heard of, in order."""

    def truth(self) -> Sequence[Truth]:
        """What became of everybody, in the order of `borrowers`."""


class Opens(Protocol):
    """How a world begins: at the midnight of its first day."""

    def __call__(self, world_id: str, seed: str, settings: Mapping[str, float], *, borrowers: int, first_day: date) -> World:
        """Open it.

        Raises:
            ValueError: A parameter's name or value is not one that a world can have.
        """
