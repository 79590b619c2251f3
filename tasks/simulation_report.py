"""What simulated strategies came to: rows, paired comparisons, words.

In:   worlds as they were played (simulate.py).
Out:  the JSON of `tideover simulate`, lines for people.
Pure: yes.
Source: SCIENCE.md D1: the distribution and the worst decile, not the mean of a good world; every strategy meets the same people with the
        same luck, so what is compared is a difference person by person, or world by world.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, Final

from tasks.simulate import Played

CAVEAT: Final = "simulated; parameters from published ranges, many assumed"
PLANS_CAVEAT: Final = "with plans: rests on assumed effects of plans"
BASELINE: Final = "static-ladder"
LEVEL: Final = 0.95
A_THOUSAND: Final = 1000


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % interval; of one value alone it is not known and stretches over everything."""

    value: float
    low: float
    high: float

    def as_json(self) -> dict[str, float | None]:
        """Bounds that are not known are null."""
        bounds = {"value": self.value, "low": self.low, "high": self.high}
        return {name: round(bound, 6) if math.isfinite(bound) else None for name, bound in bounds.items()}


def interval(values: Sequence[float]) -> Interval:
    """Student's interval of the mean of independent values."""
    mean = fmean(values)
    if len(values) < 2:  # noqa: PLR2004  # one value says nothing of its spread
        return Interval(mean, -math.inf, math.inf)
    # Of one strategy in one world there is nothing to compare, and it takes as long to load as the world's town.
    from scipy.special import stdtrit  # noqa: PLC0415

    half = float(stdtrit(len(values) - 1, (1 + LEVEL) / 2)) * stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def recovered_share(played: Played) -> float:
    """Of what was owed."""
    return sum(one.paid_minor for one in played.people) / sum(one.owed_minor for one in played.people)


def row(played: Played, baseline: Played | None) -> dict[str, Any]:
    """One world by one strategy, as the JSON has it; `against` compares person by person with the baseline."""
    people = played.people
    cured, contacts = sum(one.cured for one in people), sum(one.contacts for one in people)
    told: dict[str, Any] = {
        "id": played.id,
        "strategy": played.strategy,
        "plans": "on" if played.plans else "off",
        "borrowers": len(people),
        "cured": cured,
        "recovered_minor": sum(one.paid_minor for one in people),
        "owed_minor": sum(one.owed_minor for one in people),
        "contacts": contacts,
        "tries": sum(one.tries for one in people),
        "complaints": sum(one.complaints for one in people),
        "cost_minor": round(played.cost_minor),
        "violations": len(played.violations),
        "recovered_share": round(recovered_share(played), 6),
        "contacts_each": round(contacts / len(people), 3),
        "contacts_per_cured": round(contacts / cured, 3) if cured else None,
        "stops": played.stops,
        "on_plan": sum(one.on_plan for one in people),
        "plans_taken": played.plans_taken,
        "plans_broken": played.plans_broken,
        "borrowed_elsewhere_minor": sum(one.borrowed_minor for one in people),
        "by_channel": dict(sorted(played.by_channel.items())),
    }
    if baseline is not None and baseline is not played:
        # Per cent of what was owed, so that a large debt counts as much as in the share.
        owed_each = told["owed_minor"] / len(people)
        paid = [(one.paid_minor - other.paid_minor) / owed_each for one, other in zip(people, baseline.people, strict=True)]
        told["against"] = {"strategy": baseline.strategy, "recovered_share": interval(paid).as_json()}
    return told


def report(played: Sequence[Played], *, days: int) -> dict[str, Any]:
    """Everything, as `tideover simulate --json` prints it."""
    of = {(one.id, one.strategy, one.plans): one for one in played}
    rows = [row(one, of.get((one.id, BASELINE, one.plans))) for one in played]
    kinds = list(dict.fromkeys((one.strategy, one.plans) for one in played))
    summary = [_summary(kind, [one for one in played if (one.strategy, one.plans) == kind], of) for kind in kinds]
    return {"simulated": CAVEAT, "days": days, "worlds": rows, "summary": summary}


def _summary(kind: tuple[str, bool], mine: Sequence[Played], of: dict[tuple[str, str, bool], Played]) -> dict[str, Any]:
    name, plans = kind
    shares = [recovered_share(one) for one in mine]
    told: dict[str, Any] = {
        "strategy": name,
        "plans": "on" if plans else "off",
        **({"rests_on": PLANS_CAVEAT} if plans else {}),
        "worlds": len(mine),
        "cured_share": interval([sum(p.cured for p in one.people) / len(one.people) for one in mine]).as_json(),
        "recovered_share": interval(shares).as_json(),
        "recovered_share_worst_decile": round(worst_decile(shares), 6),
        "contacts_each": interval([_each(one, "contacts") for one in mine]).as_json(),
        "complaints_per_1000": interval([A_THOUSAND * _each(one, "complaints") for one in mine]).as_json(),
        "cost_share_of_recovered": round(
            sum(one.cost_minor for one in mine) / max(1, sum(p.paid_minor for one in mine for p in one.people)), 6
        ),
        "plans_taken": sum(one.plans_taken for one in mine),
        "plans_broken": sum(one.plans_broken for one in mine),
        "borrowed_elsewhere_minor": sum(p.borrowed_minor for one in mine for p in one.people),
        "violations": sum(len(one.violations) for one in mine),
    }
    pairs = [(one, of[one.id, BASELINE, plans]) for one in mine if (one.id, BASELINE, plans) in of]
    if name != BASELINE and pairs:
        told["against"] = _against(pairs)
    return told


def _against(pairs: Sequence[tuple[Played, Played]]) -> dict[str, Any]:
    base = [recovered_share(other) for _, other in pairs]
    gain = interval([recovered_share(one) - recovered_share(other) for one, other in pairs])
    contacts = [sum(p.contacts for p in one.people) for one, _ in pairs], [sum(p.contacts for p in other.people) for _, other in pairs]
    return {
        "strategy": BASELINE,
        "recovered_share_difference": gain.as_json(),
        "claims_gain": gain.low > 0,
        "recovered_ratio": round(sum(map(recovered_share, (one for one, _ in pairs))) / sum(base), 6),
        "worst_decile_difference": round(worst_decile([recovered_share(one) for one, _ in pairs]) - worst_decile(base), 6),
        "fewer_contacts": round(1 - sum(contacts[0]) / max(1, sum(contacts[1])), 6),
        "complaints_per_1000_difference": interval(
            [A_THOUSAND * (_each(one, "complaints") - _each(other, "complaints")) for one, other in pairs]
        ).as_json(),
    }


def worst_decile(values: Sequence[float]) -> float:
    """Mean of the lowest tenth, of one value at least."""
    lowest = sorted(values)[: max(1, len(values) // 10)]
    return fmean(lowest)


def _each(played: Played, what: str) -> float:
    return float(sum(getattr(one, what) for one in played.people) / len(played.people))


def lines(told: dict[str, Any]) -> Iterable[str]:
    """The summary as a person reads it."""
    yield f"{told['days']} days. {CAVEAT}. Brackets: 95 % of the mean over worlds."
    for one in told["summary"]:
        yield f"{one['strategy']}, plans {one['plans']}, {one['worlds']} worlds"
        worst, each = one["recovered_share_worst_decile"], one["contacts_each"]["value"]
        yield f"  recovered {_percent(one['recovered_share'])}, worst decile {worst:.1%}; cured {_percent(one['cured_share'])}"
        complaints, cost = one["complaints_per_1000"]["value"], one["cost_share_of_recovered"]
        yield f"  {each:.1f} contacts each, {complaints:.1f} complaints per 1,000, cost {cost:.2%} of what came in"
        yield f"  {one['violations']} violations"
        if one["plans"] == "on":
            yield f"  {one['plans_taken']} plans taken, {one['plans_broken']} broken. {PLANS_CAVEAT}"
        if "against" in one:
            yield from _compared(one["against"])


def _compared(against: dict[str, Any]) -> Iterable[str]:
    difference = _percent(against["recovered_share_difference"], signed=True)
    claim = "a gain" if against["claims_gain"] else "no gain that can be claimed"
    yield f"  against {against['strategy']}: recovered x {against['recovered_ratio']:.3f}, difference {difference}: {claim}"
    worst = against["worst_decile_difference"]
    yield f"  {against['fewer_contacts']:.0%} fewer contacts, worst decile {worst:+.1%}"


def _percent(told: dict[str, float | None], *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    low, high = told["low"], told["high"]
    bounds = "" if low is None or high is None else f" [{low:{sign}.1%}, {high:{sign}.1%}]"
    return f"{told['value']:{sign}.1%}{bounds}"
