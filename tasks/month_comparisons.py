"""Parts of a month's page that compare: groups in the same circumstances, arms that chance made, predictions with what came about.

In:   values of decisions/month_fairness.py, looks at experiments, calibrations of models; `Teller`.
Out:  `Section`s. Counts, shares and words of ours only.
Pure: yes.
Source: SCIENCE.md C3, F; docs/report.md has every definition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from decisions.assignment import CHAMPION, MINIMUM, ORDINARY
from decisions.kpis import Share
from decisions.month_fairness import FIGURES, Arm, Beside, GroupTreated
from ledger.month_figures import Weighed
from tasks.month_sections import NOTHING, Picture, Section, Teller

FAIRNESS_MEANS: Final = (
    "People who were late, by attributes that no decision sees. Beside each figure, in brackets, how it compares with what the group "
    "would have if it were treated as everybody who was as late when the month began for her and had as much of her income to spare "
    "(nothing, under a fifth, under two fifths, more, not known); with its 95 % interval. Marked ⚠ where that is outside {ratio_low:g}"
    " to {ratio_high:g} and no chance of people: a question to look into, not yet an answer."
)
FRONTIER_MEANS: Final = (
    "Only arms that were drawn by chance are compared. Held out for good: of borrowers who were late on the first date of the roll "
    "rates over 30 days, the mean share of what each owed that came in until the second, beside how many complained, disputed, said "
    "stop or were the wrong person; intervals of 95 %. Experiments: what the last look that was promised found, less the champion, "
    "within bounds that hold at all looks; between looks nothing is told. Up is more money, left is less harm."
)
RELIABILITY_MEANS: Final = (
    "Of each model by which runs of the month decided: what it predicted beside what came about, in tenths of the prediction, on "
    "people and days that it had not seen when it was learned. On the dashed line it means what it says."
)
ARM_NAMES: Final[Mapping[str, str]] = {
    ORDINARY: "treated by the strategy",
    CHAMPION: "treated by the champion",
    MINIMUM: "no contact but what has to be said",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was found at the last look at an experiment until the month's end.

    Attributes:
        experiment: Its name.
        looked_on: Date of the look.
        verdicts: Arm → as tasks/experiments.look wrote it down.
    """

    experiment: str
    looked_on: str
    verdicts: Mapping[str, Mapping[str, Any]]


def fairness_section(groups: Sequence[GroupTreated], known: Mapping[str, Share], tell: Teller) -> Section:
    """How groups are treated, beside everybody in the same circumstances."""
    policy = tell.policy
    rows: dict[str, list[dict[str, Any]]] = {
        "Known of late borrowers": [{"attribute": _words(name), "known of": tell.share(share)} for name, share in known.items()]
    }
    for one in groups:
        figures = {name: _beside(one.figures[name], tell, people=name != "contacts a borrower-week") for name in one.figures}
        borrowers = NOTHING if one.borrowers is None else f"{one.borrowers:,}"
        rows.setdefault(f"By {_words(one.attribute)}", []).append(
            {_words(one.attribute): _words(one.value), "borrowers": borrowers, **(figures or dict.fromkeys(FIGURES, "too few"))}
        )
    shown = [one.attribute for one in groups if one.figures]
    return Section(
        key="fairness",
        title="Fairness",
        means=FAIRNESS_MEANS.format(ratio_low=policy.ratio_low, ratio_high=policy.ratio_high),
        rows=rows,
        too_few="" if len(shown) > len(set(shown)) else "Of no attribute are two groups large enough to be compared.",
    )


def _words(name: str) -> str:
    return name.replace("_", " ")


def _beside(figure: Beside, tell: Teller, *, people: bool) -> str:
    """A group's figure, marked where it is far from what everybody in its circumstances has."""
    policy = tell.policy
    if figure.of < policy.enough:
        return "too few"
    if figure.ratio is None:
        return "none"
    if people and 0 < min(figure.count, figure.of - figure.count) < policy.cell_min:
        return f"{'under' if figure.count < policy.cell_min else 'over'} {_edge(figure, policy.cell_min):.2f}"
    ratio, low, high = figure.ratio
    mark = " ⚠" if figure.is_apart(policy.ratio_low, policy.ratio_high) else ""
    return f"{figure.count / figure.of:.2f} ({ratio:.2f}×, {low:.2f} to {high:.2f}){mark}"


def _edge(figure: Beside, least: int) -> float:
    return (least if figure.count < least else figure.of - least) / figure.of


def frontier_section(arms: Sequence[Arm], looks: Sequence[Look], tell: Teller, pngs: Mapping[str, bytes]) -> Section:
    """Money beside harm, of arms that chance made.

    Args:
        arms: Of the standing assignment; any size.
        looks: At experiments.
        tell: Says what may be said.
        pngs: "" for the standing assignment, else the experiment → picture.
    """
    rows: dict[str, list[dict[str, str]]] = {}
    told = comparable(arms, tell)
    if told:
        rows["Held out for good"] = [
            {
                "arm": ARM_NAMES.get(one.name, one.name),
                "borrowers": f"{one.borrowers:,}",
                "came in, of what each owed": _interval(one.paid),
                "complained or said stop": tell.share(one.objected),
                "contacts each": f"{one.contacts / one.borrowers:.2f}",
            }
            for one in told
        ]
    for look in looks:
        rows[f"{look.experiment}, look of {look.looked_on}"] = [
            {
                "arm": arm,
                "borrowers, and the champion's": " and ".join(tell.count(int(count)) for count in verdict["borrowers"]),
                **_differences(verdict, tell),
                "what may be said": str(verdict["says"]),
            }
            for arm, verdict in look.verdicts.items()
        ]
    says = {"": "; ".join(f"{ARM_NAMES.get(one.name, one.name)}: {_said(one, tell)}" for one in told)} | {
        look.experiment: f"each arm of {look.experiment} less its champion, as in the table" for look in looks
    }
    return Section(
        key="frontier",
        title="Money and harm",
        means=FRONTIER_MEANS,
        rows=rows,
        pictures=tuple(
            Picture(png=png, says=f"Points with intervals, money up and harm to the right. {says[what]}.") for what, png in pngs.items()
        ),
        too_few=""
        if rows
        else "No two arms of a standing hold-out are large enough, and no experiment was looked at: nothing can be compared.",
    )


def comparable(arms: Sequence[Arm], tell: Teller) -> list[Arm]:
    """Arms that are large enough to be told, where there are two at least."""
    large = [one for one in arms if one.borrowers >= tell.policy.enough and one.name in ARM_NAMES]
    return large if len(large) > 1 else []


def harm_of(told: Sequence[Arm], tell: Teller) -> tuple[str, dict[str, tuple[float, float, float]]]:
    """What the arms are held against, and each arm's figure with its interval: objections, or contacts where those are too few."""
    shown = all(one.objected.part == 0 or min(one.objected.part, one.borrowers - one.objected.part) >= tell.policy.cell_min for one in told)
    if not shown:
        each = {one.name: one.contacts / one.borrowers for one in told}
        return "contacts each (too few complained to be shown)", {name: (value, value, value) for name, value in each.items()}
    found = {}
    for one in told:
        low, high = one.objected.interval or (0.0, 0.0)
        found[one.name] = (1000 * (one.objected.value or 0.0), 1000 * low, 1000 * high)
    return "complained or said stop, of 1,000 borrowers", found


def _said(one: Arm, tell: Teller) -> str:
    return (
        f"{_interval(one.paid)} came in, {tell.rate(one.objected.part, one.borrowers, per=1000)} of 1,000 complained or said stop, "
        f"{one.contacts / one.borrowers:.2f} contacts each"
    )


def _interval(paid: tuple[float, float, float] | None) -> str:
    if paid is None:
        return NOTHING
    value, low, high = paid
    return f"{100 * value:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def _differences(verdict: Mapping[str, Any], tell: Teller) -> dict[str, str]:
    enough = min(int(count) for count in verdict["borrowers"]) >= tell.policy.enough
    return {
        f"{one['name']}, less the champion": f"{one['value']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f})" if enough else "too few"
        for one in verdict["differences"]
    }


def reliability_section(models: Sequence[Weighed], tell: Teller, pngs: Mapping[str, bytes]) -> Section:
    """What models predicted, beside what came about."""
    rows: dict[str, list[dict[str, str]]] = {}
    for one in models:
        name = model_name(one)
        if one.calibration is None:
            rows[name] = [
                {"predicted": "it was not learned from this ledger: it is not measured here", "came about": NOTHING, "rows": NOTHING}
            ]
        else:
            rows[name] = [
                {"predicted": f"{row['predicted']:.1%}", "came about": f"{row['observed']:.1%}", "rows": f"{row['rows']:,}"}
                for row in told_bins(one, tell)
            ]
    return Section(
        key="reliability",
        title="What models predicted, and what came about",
        means=RELIABILITY_MEANS,
        rows=rows,
        pictures=tuple(
            Picture(png=png, says=f"Reliability of {name}. " + "; ".join(_bin(row) for row in rows[name]) + ".")
            for name, png in pngs.items()
        ),
        too_few="" if models else "No model had a say in this month.",
    )


def model_name(one: Weighed) -> str:
    """As the page calls it."""
    return f"{one.kind} {one.version[:12]}"


def told_bins(one: Weighed, tell: Teller) -> list[dict[str, Any]]:
    """The tenths of a calibration that have enough rows."""
    return [row for row in one.calibration or [] if row["rows"] >= tell.policy.enough]


def _bin(row: Mapping[str, str]) -> str:
    return f"predicted {row['predicted']}, came about {row['came about']} of {row['rows']} rows"
