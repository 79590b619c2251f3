"""What people see before they say yes to a run: counts, and sample messages that nobody can be recognised by.

In:   groups of planned contacts, texts as they would be sent.
Out:  the values below; masked texts; segments and their cost, as far as both are known.
Pure: no I/O, no clock.
Source: ARCHITECTURE.md I6. A text names no person; its link opens one person's page, and an amount to the cent can be looked up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from math import ceil
from typing import Final

from decisions.capacity import THOUSAND
from decisions.messages import money_text
from decisions.policy import FULL, PER_MILLION, MedianOwed, PoolPrice, for_her_peace
from decisions.prices import Cost, Price, Usage, cost_of
from decisions.strategy import Peace

# What stands where a link to a person's own page would.
MASKED_LINK: Final = "[link to the borrower's own page]"
DIGITS_SHOWN: Final = 2
# How colleagues read figures, whatever the borrowers speak.
FIGURES_LIKE: Final = "en-US"
HASH_SHOWN: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Planned contacts that are alike.

    Attributes:
        channel: sms, push, ….
        country: Of the person, or None where it is not known.
        message: Folder in config/messages.
        locale: Of the text.
        offer: What it offers, or None.
        contacts: How many.
    """

    channel: str
    country: str | None
    message: str
    locale: str
    offer: str | None
    contacts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One message as it would be sent, masked.

    Attributes:
        channel: sms, push, ….
        message: Folder in config/messages.
        locale: Of the text.
        text: Heading and words, with rounded amount and without the link.
        segments: Of the words as they are; 1 for a channel without segments.
    """

    channel: str
    message: str
    locale: str
    text: str = field(repr=False)
    segments: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """The last run of the same stage and part of the portfolio, in counts of what it had decided.

    Attributes:
        business_date: Its date.
        borrowers: Looked at.
        by_channel: Channel → contacts.
        by_message: Message → contacts.
        by_reason: Reason → borrowers left in peace.
    """

    business_date: date
    borrowers: int
    by_channel: Mapping[str, int]
    by_message: Mapping[str, int]
    by_reason: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Treated:
    """Borrowers who are treated alike.

    Attributes:
        group: `ordinary`, `champion`, `minimum`, or `experiment:NAME/ARM` (decisions/assignment.py).
        contacts: How many of them would be contacted.
        left_alone: How many would not.
    """

    group: str
    contacts: int
    left_alone: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scarce:
    """What a run takes of one creditor's capacity for a day; thousandths of a contact, or of a minor unit where it is one of money.

    Attributes:
        creditor: Its name.
        pool: Bound, what was expected, price, and whether without a price more would be used.
        planned: What the contacts use that are planned.
        of_money: Whether it bounds money, or contacts.
    """

    creditor: str
    pool: PoolPrice
    planned: int
    of_money: bool

    def amount(self, thousandths: int) -> str:
        """Contacts, or money of the currency that is owed in."""
        if self.of_money:
            return money_text(thousandths // THOUSAND, self.pool.currency, FIGURES_LIKE)
        return f"{thousandths / THOUSAND:,.0f}"

    @property
    def price(self) -> str:
        """What one contact more, or one unit of money more, is worth to those who are left without; nothing where there is enough."""
        if not self.pool.price:
            return ""
        return f"{self.pool.price / THOUSAND:,.2f} " + (
            "for each 1 spent" if self.of_money else f"minor units of {self.pool.currency} a contact"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """What counts against a contact where a model has a say; set by people, in a strategy's file.

    Attributes:
        group: Of borrowers, as in `Treated`.
        strategy: That treats them.
        a_complaint_counts: Currency → thousandths of a minor unit, for each complaint or opt-out.
        peace: What every contact counts, as a share of what the median borrower of her creditor owes.
    """

    group: str
    strategy: str
    a_complaint_counts: Mapping[str, int]
    peace: Peace

    @property
    def complaint(self) -> str:
        """What one counts, in words."""
        return ", ".join(money_text(harm // THOUSAND, currency, FIGURES_LIKE) for currency, harm in sorted(self.a_complaint_counts.items()))

    @property
    def written(self) -> str:
        """The share of a written contact, in words."""
        return _share(self.peace.written)

    @property
    def spoken(self) -> str:
        """The share of a call, in words."""
        return _share(self.peace.spoken)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactCounts:
    """What the shares of a `Say` come to for one creditor's borrowers.

    Attributes:
        group: Of the `Say`.
        creditor: Its name.
        owed: What its median borrower owes.
        peace: The shares.
    """

    group: str
    creditor: str
    owed: MedianOwed
    peace: Peace

    @property
    def median(self) -> str:
        """What the median borrower owes, in words."""
        return money_text(self.owed.amount_minor, self.owed.currency, FIGURES_LIKE)

    @property
    def written(self) -> str:
        """What a written contact counts, in words."""
        return self._counts(self.peace.written)

    @property
    def spoken(self) -> str:
        """What a call counts, in words."""
        return self._counts(self.peace.spoken)

    def _counts(self, share: int) -> str:
        return money_text(for_her_peace(self.owed.amount_minor, share) // THOUSAND, self.owed.currency, FIGURES_LIKE)


def _share(parts: int) -> str:
    return f"{FULL * parts / PER_MILLION:g} %"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What a model has a say in, in one run, and who is treated otherwise.

    Attributes:
        models: Kind → version; the same ones for every group that a model has a say in.
        says: Of each such group.
        contacts: What contacts count by creditor, of those whose median is known; of others it is a share of what each owes herself.
        treated: Every group of borrowers in it.
        scarce: What is bounded for a day.
        unread: Why `says`, `contacts` and `scarce` are not known: the run's own strategies cannot be read any more; None = they are.
    """

    models: Mapping[str, str]
    says: Sequence[Say]
    contacts: Sequence[ContactCounts]
    treated: Sequence[Treated]
    scarce: Sequence[Scarce]
    unread: str | None = None

    @property
    def model(self) -> str:
        """The models, by kind and version."""
        return ", ".join(f"{kind} {version[:HASH_SHOWN]}" for kind, version in self.models.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A run before it sends.

    Attributes:
        name: Stage and date.
        borrowers: Looked at.
        groups: What is planned.
        by_reason: Reason → borrowers left in peace; one with several stands under each.
        withheld: Borrowers left in peace.
        samples: Masked messages.
        segments: (channel, message, locale) → segments of a message, on average.
        first_at: Business instant from which on the first one may be sent.
        last_until: Business instant by which the last one must have been.
        changed_policies: `kind/name` of every policy that is another one than in the last run.
        before: The last run; None = this is the first one.
        weighed: What a model weighs and who is tried on; None = a ladder decides for everybody.
    """

    name: str
    borrowers: int
    groups: Sequence[Group]
    by_reason: Mapping[str, int]
    withheld: int
    samples: Sequence[Sample]
    segments: Mapping[tuple[str, str, str], float]
    first_at: datetime | None
    last_until: datetime | None
    changed_policies: Sequence[str]
    before: Before | None
    weighed: Weighed | None = None

    @property
    def contacts(self) -> int:
        """How many would be contacted."""
        return sum(group.contacts for group in self.groups)

    def added(self, attribute: str) -> dict[str, int]:
        """Contacts by one attribute of their groups, most first."""
        found: dict[str, int] = {}
        for group in self.groups:
            name = getattr(group, attribute) or "-"
            found[name] = found.get(name, 0) + group.contacts
        return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))

    def usage(self, on: date) -> list[Usage]:
        """Segments that would go out; whole numbers, rounded up for each group."""
        return [
            Usage(channel=group.channel, country=group.country, on=on, segments=ceil(group.contacts * self.segments_of(group)))
            for group in self.groups
        ]

    def segments_of(self, group: Group) -> float:
        """Segments of one message of a group; 1 where no sample of it could be written."""
        return self.segments.get((group.channel, group.message, group.locale), 1.0)

    def cost(self, prices: Sequence[Price], on: date) -> Cost:
        """What it would cost, as far as prices are known."""
        return cost_of(self.usage(on), prices)


def shown_amount(amount_minor: int | None) -> int | None:
    """An amount rounded to its first two digits, so that it looks like itself and belongs to many: 10,523 → 11,000."""
    if amount_minor is None:
        return None
    step: int = 10 ** max(0, len(str(amount_minor)) - DIGITS_SHOWN)
    return (amount_minor + step // 2) // step * step
