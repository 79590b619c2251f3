"""How groups of people were treated in a month, beside everybody in the same circumstances; and what arms brought, in money and in harm.

Circumstances are how late somebody was when the month began for her, and how much of her income she had to spare. What a group would have
had if it were treated as everybody in each of its circumstances is what it is held against; so a group that is later than others is not
said to be contacted more than others for that alone.

In:   rows of people with counts (ledger/month_people.py), their groups, their arms.
Out:  figures that know of how many they speak and how surely they differ.
Pure: no I/O, no clock.
Source: SCIENCE.md C3 ("within the same affordability band"), F ("frontier"). Indirect standardisation: Breslow & Day 1987, chapter 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

import polars as pl

from decisions.fairness_parts import parted
from decisions.fairness_words import ATTRIBUTES
from decisions.kpis import Z_95, Share

# Figure → what is counted, of what.
FIGURES: Final[Mapping[str, tuple[str, str]]] = {
    "contacts a borrower-week": ("contacts", "weeks"),
    "reached": ("reached", "borrowers"),
    "cured": ("cured", "late_then"),
    "complained or said stop": ("objected", "borrowers"),
    "offered what fits": ("offered", "borrowers"),
    "relief or a plan": ("relieved", "borrowers"),
    "promises kept": ("kept", "judged"),
}
# Shares of income that somebody has to spare: below each, in words.
SPARE_BANDS: Final = ((0.0, "nothing"), (0.2, "under a fifth"), (0.4, "under two fifths"))
SPARE_MORE: Final = "more"
SPARE_UNKNOWN: Final = "not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A group's figure, beside what it would be if the group were treated as everybody in the same circumstances.

    Attributes:
        count: What was counted.
        of: Of how many.
        expected: What would have been counted.
        error: Standard error of the difference, from person to person.
    """

    count: int
    of: int
    expected: float
    error: float

    @property
    def ratio(self) -> tuple[float, float, float] | None:
        """Counted to expected, with its 95 % interval; None where nothing was to be expected."""
        if self.expected <= 0:
            return None
        value, reach = self.count / self.expected, Z_95 * self.error / self.expected
        return value, max(0.0, value - reach), value + reach

    def is_apart(self, low: float, high: float) -> bool:
        """Whether it lies outside of these ratios, and surely not at everybody's."""
        if self.ratio is None:
            return False
        value, least, most = self.ratio
        return not low <= value <= high and not least <= 1 <= most


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTreated:
    """A group of people.

    Attributes:
        attribute: language, region, …
        value: Of it.
        borrowers: How many; None = too few to be shown, or could tell of some that are.
        figures: Name of `FIGURES` → figure; empty where there are too few.
    """

    attribute: str
    value: str
    borrowers: int | None
    figures: Mapping[str, Beside]


def spare_band(share: pl.Expr) -> pl.Expr:
    """A share of income in words."""
    bands = [pl.when(share <= below).then(pl.lit(band)) for below, band in SPARE_BANDS]
    return pl.when(share.is_null()).then(pl.lit(SPARE_UNKNOWN)).otherwise(pl.coalesce(*bands, pl.lit(SPARE_MORE)))


def treated(people: pl.DataFrame, groups: pl.DataFrame, *, enough: int, cell_min: int) -> list[GroupTreated]:
    """Every group of every attribute, beside everybody in the same circumstances.

    Args:
        people: `party_id`, `bucket`, `spare_share` and the columns that `FIGURES` names; one row a person.
        groups: `party_id`, `attribute`, `value`.
        enough: Of fewer people a group has no figures.
        cell_min: Fewer people are not shown, nor what they could be worked out from.

    Returns:
        By attribute, in the order of its words, else the largest group first; of whom it is not known is in no group.
    """
    columns = sorted({name for pair in FIGURES.values() for name in pair})
    alike = ["bucket", "band"]
    each = people.with_columns(band=spare_band(pl.col("spare_share"))).with_columns(
        pl.col(name).sum().over(alike).alias(f"all:{name}") for name in columns
    )
    each = each.with_columns(
        pl.when(pl.col(f"all:{of}") > 0)
        .then(pl.col(of) * pl.col(f"all:{what}") / pl.col(f"all:{of}"))
        .otherwise(0.0)
        .alias(f"expected:{name}")
        for name, (what, of) in FIGURES.items()
    )
    found = [
        GroupTreated(
            attribute=attribute,
            value=value,
            borrowers=count,
            figures={} if count is None or count < enough else {name: _beside(part, name) for name in FIGURES},
        )
        for attribute, value, part, count in parted(each, groups, cell_min=cell_min)
    ]
    return sorted(found, key=_order)


def _order(one: GroupTreated) -> tuple[str, int, str]:
    words = ATTRIBUTES.get(one.attribute)
    return one.attribute, -(one.borrowers or 0) if words is None else words.index(one.value), one.value


def _beside(part: pl.DataFrame, name: str) -> Beside:
    what, of = FIGURES[name]
    apart = part[what] - part[f"expected:{name}"]
    return Beside(
        count=int(part[what].sum()),
        of=int(part[of].sum()),
        expected=float(part[f"expected:{name}"].sum()),
        error=sqrt(float((apart**2).sum())),
    )


def known_of(people: pl.DataFrame, groups: pl.DataFrame, attributes: Sequence[str]) -> dict[str, Share]:
    """Attribute → of how many of these people it is known."""
    mine = groups.join(people.select("party_id"), on="party_id", how="semi")
    counts = dict(mine.group_by("attribute").agg(pl.col("party_id").n_unique()).iter_rows())
    return {attribute: Share(int(counts.get(attribute, 0)), people.height) for attribute in attributes}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """What came of borrowers whom chance put into one arm.

    Attributes:
        name: Of the arm.
        borrowers: How many.
        paid: Mean share of what each owed that came in, with its 95 % interval; None of fewer than two.
        objected: How many complained, disputed, said stop or were the wrong person.
        contacts: All that were made with them.
    """

    name: str
    borrowers: int
    paid: tuple[float, float, float] | None
    objected: Share
    contacts: int


def arms(people: pl.DataFrame, assigned: pl.DataFrame) -> list[Arm]:
    """Money and harm of each arm.

    Args:
        people: `party_id`, `owed_minor`, `paid_minor`, `objected`, `contacts`.
        assigned: `party_id`, `assigned`.
    """
    each = people.filter(pl.col("owed_minor") > 0).join(assigned, on="party_id")
    shares = each.with_columns(share=(pl.col("paid_minor") / pl.col("owed_minor")).clip(0, 1))
    return [
        Arm(
            name=str(name),
            borrowers=part.height,
            paid=_mean(part["share"]),
            objected=Share(int(part["objected"].sum()), part.height),
            contacts=int(part["contacts"].sum()),
        )
        for (name,), part in shares.sort("assigned").group_by("assigned", maintain_order=True)
    ]


def _mean(shares: pl.Series) -> tuple[float, float, float] | None:
    if len(shares) < 2:  # noqa: PLR2004  # one number has no variance
        return None
    value, spread = float(shares.mean()), float(shares.std())  # type: ignore[arg-type]  # numbers, and two at least
    reach = Z_95 * spread / sqrt(len(shares))
    return value, max(0.0, value - reach), min(1.0, value + reach)
