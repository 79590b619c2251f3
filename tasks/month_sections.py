"""The parts of a month's page: each a question, its answer in a table and a picture, and how it is defined.

A rate of too few people is not told, and few people are not shown at all: `Section.too_few` says so in place of a number.

In:   frames and counts of ledger/month_figures.py; `ReportPolicy`.
Out:  `Section`s. Counts, shares and words of ours only.
Pure: yes.
Source: SCIENCE.md F; docs/report.md has every definition.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from config.report import ReportPolicy
from decisions.assignment import CHAMPION, MINIMUM, ORDINARY
from decisions.kpis import CURED, WRITTEN_OFF, Share, per_thousand
from decisions.money import from_minor
from decisions.month_kpis import Difference, difference, masked, spread
from decisions.prices import Cost
from ledger.month_figures import Compliance, Reach
from tasks.report import Roll

NOTHING: Final = "–"
FEW: Final = "not shown: too few in one of its parts"
MEANS: Final[Mapping[str, str]] = {
    "rolls": (
        "Of the loans in each bucket on the first date, the share in each state on the second; the denominator is fixed on the "
        "first, so a row adds up to 100 %. Cured: current or paid off by money that came in; a plan, a corrected date (re-"
        "aged), a write-off or a sale is none. Rolled forward: in any later bucket, or written off."
    ),
    "flow": (
        "Loans that are late, by bucket, on every date that was aged. Flow rate: the balance in a bucket at the month's end, of"
        " the balance in the bucket before it at the end of the month before; it may exceed 100 %, since what stayed is in it "
        "too."
    ),
    "cures": (
        "Only a contrast that was drawn by chance credits the campaign; who pays after a message might have paid without. "
        "Decisions in which both a contact and none had a chance, each counted for as many as it stands for (1 / probability; "
        "the number of people is what they are worth, Kish). Interval of the difference: Newcombe."
    ),
    "held-out": (
        "Of the borrowers who were late on the first date of the roll rates over 30 days, those all of whose loans were cured on the"
        " second, by how chance assigned them for good: to the strategy, to the minimum (`hold_outs` in its file), or to the champion."
        " What the campaign added: the first less the second, with Newcombe's interval. Nothing else credits it."
    ),
    "promises": (
        "Promises whose day fell in the month. Kept: at least 90 % by the day and two business days, of those judged (kept, "
        "partial, broken); open and withdrawn ones stand apart. By amount: where one was named."
    ),
    "plans": (
        "Kaplan-Meier: of the plans and later dates agreed so far, the share not broken so many days after they were agreed; "
        "one that is paid up, changed, or still running counts until it was last seen. Interval: Greenwood, log-log."
    ),
    "liquidation": (
        "Paid so far, less what was taken back, of what was owed when a loan was first late; one line for the loans of each "
        "month, up to the day that all of them have reached. The denominator is fixed at the beginning."
    ),
    "vintage": (
        "Share of the loans of each origination month that were ever 30 days late, by whole months on book, up to the month "
        "that all of them have reached. Late is what was aged here: lateness before the ledger began is not in it."
    ),
    "contacts": (
        "Contacts that the caps count, by calendar week, of everybody who was late in it, those with none included; weeks that "
        "ended in the month. A law's own caps come on top of the strategies'."
    ),
    "complaints": ("Borrowers who complained, said stop, disputed, or were the wrong person, in the month."),
    "harm": (
        "Payments after which the wallet held less than what is left aside (config/affordability.yaml), where its end of day is"
        " known; payments after which the same person took a new loan here within seven days; contacts about money after a "
        "stop, which must be none."
    ),
    "peace": (
        "Borrowers who were left in peace on some day of the month, under each reason; planned contacts that the gate held back"
        " at the last moment, under each rule (near misses). What those paid whom chance left alone stands beside it."
    ),
    "hours": (
        "Contacts by weekday and hour where the person is: of each cell's contacts, the share that was answered within a day, "
        "and after which money came within seven. Cells of too few are empty. It shows when people were contacted as much as "
        "when they answer: no cause."
    ),
    "funnel": (
        "Borrowers in the month. Delivered is reach; spoken with is a right party: a talk with the borrower, or her answer. A promise "
        "counts where she was spoken with. Contact rate: delivered to, of those looked at. Right party: contacts in which she herself "
        "talked; a log-in to her page asks who she is. Promises in talks and in answers are told apart."
    ),
    "compliance": (
        "Dates up to which the nightly audit looked, and on how many of them it found something that must not be: of all countries. "
        "Incidents that concern somebody here. Offers that the same rule made in the same circumstances, to the last minor unit, and "
        "whether they differed."
    ),
    "cost": (
        "What providers charge for messages; people's time, agencies' fees and concessions are not in it. What came in came "
        "with and without contact: the two are no ratio of cause."
    ),
}
DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A chart.

    Attributes:
        png: Its bytes.
        says: What it shows, for whoever does not see it.
    """

    png: bytes
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of the page.

    Attributes:
        key: Of its address in the page, and in `--json`.
        title: Heading.
        means: How it is defined, in a sentence or two.
        rows: Tables: heading → rows with the same columns.
        pictures: Charts.
        too_few: Why there is nothing, or not all; empty = there is all.
    """

    key: str
    title: str
    means: str
    rows: Mapping[str, Sequence[Mapping[str, Any]]]
    pictures: tuple[Picture, ...] = ()
    too_few: str = ""


class Teller:
    """Says counts and shares, or that they are too few."""

    def __init__(self, policy: ReportPolicy) -> None:
        """Take the limits."""
        self.policy = policy

    def count(self, people: int) -> str:
        """A count of people."""
        return f"{people:,}" if people == 0 or people >= self.policy.cell_min else f"fewer than {self.policy.cell_min}"

    def share(self, share: Share) -> str:
        """A share with its interval; words where it is of too few."""
        if share.whole < self.policy.enough:
            return f"too few ({self.count(share.whole)})"
        low, high = share.interval or (0.0, 1.0)
        rest = share.whole - share.part
        if self._is_few(share.part) or self._is_few(rest):
            few, edge = (
                ("under", self.policy.cell_min) if share.part < self.policy.cell_min else ("over", share.whole - self.policy.cell_min)
            )
            return f"{few} {100 * edge / share.whole:.1f} % of {share.whole:,}"
        return f"{100 * share.part / share.whole:.1f} % ({share.part:,} of {share.whole:,}; {100 * low:.1f} to {100 * high:.1f})"

    def amounts(self, share: Share, currency: str, people: Share) -> str:
        """A share of money, and whose: of few people an amount says as much as a name."""
        rest = people.whole - people.part
        if people.whole < self.policy.enough or not share.whole or self._is_few(people.part) or self._is_few(rest):
            return f"too few (of {self.count(people.whole)})"
        return f"{100 * share.part / share.whole:.1f} % ({_money(share.part, currency)} of {_money(share.whole, currency)})"

    def _is_few(self, people: int) -> bool:
        return 0 < people < self.policy.cell_min

    def rate(self, count: int, of: int, *, per: int) -> str:
        """Rare things: how many of a thousand, or ten thousand."""
        if of < self.policy.enough:
            return f"too few ({self.count(of)})"
        if 0 < count < self.policy.cell_min:
            return f"under {per * self.policy.cell_min / of:.1f}"
        return f"{(per_thousand(count, of) or 0) * per / 1000:.1f}"

    def difference(self, difference: Difference | None) -> str:
        """In percentage points."""
        if difference is None:
            return NOTHING
        return f"{100 * difference.value:+.1f} points ({100 * difference.low:+.1f} to {100 * difference.high:+.1f})"

    def lacking(self, what: str, count: int) -> str:
        """Why a part says nothing."""
        return f"Too few to say: {self.count(count)} {what}; at least {self.policy.enough} are needed."


def _money(minor: int, currency: str) -> str:
    return f"{currency} {from_minor(minor, currency):,}"


def roll_section(key: str, title: str, rolls: Mapping[str, Roll], tell: Teller, pictures: Iterable[bytes]) -> Section:
    """Where loans went, by scheme of buckets; cures and forward rolls read off it, by accounts and by amount."""
    rows: dict[str, list[dict[str, Any]]] = {}
    pngs = tuple(pictures)
    for scheme, roll in rolls.items():
        hidden = hidden_cells(roll.matrix, tell.policy.cell_min)
        # One hidden cell alone could be worked out from the sum.
        cured = tell.share(roll.cure) if sum(to in CURED for _, to in hidden) != 1 else FEW
        figures = [{"figure": "accounts cured", "value": cured}]
        figures += [
            {"figure": f"of the balance, {currency}", "value": tell.amounts(share, currency, roll.cure)}
            for currency, share in roll.cure_by_balance.items()
            if share.whole
        ]
        for bucket, share in roll.forward.items():
            worse = [to in _worse(roll, bucket) for row, to in hidden if row == bucket]
            figures.append({"figure": f"{bucket}: rolled forward", "value": FEW if any(worse) and not all(worse) else tell.share(share)})
        rows[f"{scheme}, {roll.since} to {roll.until}"] = figures
        rows[f"{scheme}, by loans"] = _matrix(roll.matrix, "accounts", tell)
        rows |= {
            f"{scheme}, late, by balance, {currency}": _matrix(part, "balance_minor", tell) for currency, part in roll.by_currency.items()
        }
    says = [f"Heat map of roll rates, buckets of the scheme {scheme}, from {roll.since} to {roll.until}." for scheme, roll in rolls.items()]
    return Section(
        key=key,
        title=title,
        means=MEANS["rolls"],
        rows=rows,
        pictures=tuple(Picture(png=png, says=said) for png, said in zip(pngs, says, strict=False)),
        too_few="" if rolls else "No two dates that far apart were aged: there is nothing to compare yet.",
    )


def _matrix(matrix: pl.DataFrame, what: str, tell: Teller) -> list[dict[str, str]]:
    """Rows that had enough loans, columns that something came to; shares of what was in a row at the beginning."""
    share = "account_share" if what == "accounts" else "balance_share"
    hidden = hidden_cells(matrix, tell.policy.cell_min)
    reached = [name for (name,), part in matrix.group_by("to_bucket", maintain_order=True) if part["accounts"].sum()]
    rows = []
    for (name,), row in matrix.group_by("from_bucket", maintain_order=True):
        whole = int(row["accounts"].sum())
        # What is not late was not aged: of what it owes nothing is known.
        if whole < tell.policy.enough or (what != "accounts" and name in CURED):
            continue
        cells = {to: (value, count) for to, value, count in row.select("to_bucket", share, "accounts").iter_rows()}
        told = {to: "few" if (name, to) in hidden else _cell(*cells[to], counted=what == "accounts") for to in reached}
        rows.append({"from": f"{name} ({whole:,} loans)", **told})
    return rows


def _cell(share: float | None, loans: int, *, counted: bool) -> str:
    if not loans or share is None:
        return NOTHING
    return f"{100 * share:.1f} %" + (f" ({loans:,})" if counted else "")


def hidden_cells(matrix: pl.DataFrame, least: int) -> set[tuple[str, str]]:
    """Cells of a roll-rate matrix (from, to) that are too few to be shown, or could tell of one that is."""
    found = set()
    for (name,), row in matrix.group_by("from_bucket", maintain_order=True):
        columns = row["to_bucket"].to_list()
        shown = masked(row["accounts"].to_list(), least)
        found |= {(str(name), to) for to, count in zip(columns, shown, strict=True) if count is None}
    return found


def _worse(roll: Roll, bucket: str) -> tuple[str, ...]:
    return (*roll.buckets[roll.buckets.index(bucket) + 1 :], WRITTEN_OFF)


def flow_section(
    rates: Mapping[str, Mapping[str, tuple[Share, Share]]],
    ends: Mapping[str, Mapping[str, tuple[int, int]]],
    loans: int,
    tell: Teller,
    pngs: Mapping[str, bytes],
) -> Section:
    """Late loans by day, how they stood at last, and flow rates from month to month.

    Args:
        rates: Scheme and currency → bucket → by amount, by loans.
        ends: Scheme and currency → bucket → loans and balance on the last aged date.
        loans: Late on it.
        tell: Says what may be said.
        pngs: Scheme → picture.
    """
    rows = {
        f"On the last date, {what}": [
            {"bucket": bucket, "loans": tell.count(count), "balance": _balance(count, minor, what.split(", ")[-1], tell)}
            for bucket, (count, minor) in found.items()
        ]
        for what, found in ends.items()
    }
    rows |= {
        f"Flow rates, {what}": [
            {
                "bucket": bucket,
                "balance, of the bucket before a month earlier": _flowed(by_amount, by_loans, tell, currency=what.split(", ")[-1]),
                "loans": _flowed(by_loans, by_loans, tell, currency=None),
            }
            for bucket, (by_amount, by_loans) in found.items()
        ]
        for what, found in rates.items()
        if found
    }
    return Section(
        key="flow",
        title="Days past due",
        means=MEANS["flow"],
        rows=rows,
        pictures=tuple(
            Picture(png=png, says=f"Stacked areas: late loans by bucket and day, scheme {scheme}.") for scheme, png in pngs.items()
        ),
        too_few="" if pngs else tell.lacking("late loans", loans),
    )


def _balance(loans: int, minor: int, currency: str, tell: Teller) -> str:
    return "too few" if loans < tell.policy.cell_min else _money(minor, currency)


def _flowed(share: Share, loans: Share, tell: Teller, *, currency: str | None) -> str:
    """A flow rate, where enough loans stand on both sides of it."""
    if min(loans.part, loans.whole) < tell.policy.cell_min or loans.whole < tell.policy.enough:
        return "too few"
    of = f"{share.part:,} of {share.whole:,}" if currency is None else f"{_money(share.part, currency)} of {_money(share.whole, currency)}"
    return f"{100 * share.part / share.whole:.1f} % ({of})"


def held_section(cured: Mapping[str, Share], tell: Teller) -> Section:
    """Cures of people who were held out, beside everybody else's."""
    nobody = Share(0, 0)
    ordinary, held, champion = (cured.get(name, nobody) for name in (ORDINARY, MINIMUM, CHAMPION))
    enough = min(ordinary.whole, held.whole) >= tell.policy.enough
    few = any(0 < part < tell.policy.cell_min for one in (ordinary, held) for part in (one.part, one.whole - one.part))
    rows = []
    if enough:
        rows = [
            {"figure": "cured, treated by the strategy", "value": tell.share(ordinary)},
            {"figure": "cured by themselves: no contact but what has to be said", "value": tell.share(held)},
            {"figure": "what the campaign added", "value": FEW if few else tell.difference(difference(ordinary, held))},
            {"figure": "cured, treated by the champion", "value": tell.share(champion)},
        ]
    return Section(
        key="held-out",
        title="Cures, beside whom chance leaves in peace",
        means=MEANS["held-out"],
        rows={"": rows},
        too_few=""
        if enough
        else f"No standing hold-out of enough people: {tell.count(held.whole)} late people were left in peace all month.",
    )


def cure_section(
    sustained: Share | None,
    late_again: Share | None,
    contacted: Share,
    left: Share,
    gain: Difference | None,
    drawn: tuple[int, int],
    tell: Teller,
) -> Section:
    """Cures that last, what people do by themselves, and what contacting adds.

    Args:
        sustained: Of the loans late 60 days before, those cured after 30 and at the end.
        late_again: Of the loans cured 90 days before, those late on some date since.
        contacted: Of those contacted, as if drawn evenly.
        left: Of those left alone, likewise.
        gain: The one less the other.
        drawn: Decisions of each, as many as there were.
        tell: Says what may be said.
    """
    enough = min(contacted.whole, left.whole) >= tell.policy.enough
    rows = [
        {"figure": "cured and still current 30 days later", "value": NOTHING if sustained is None else tell.share(sustained)},
        {"figure": "late again within 90 days of a cure", "value": NOTHING if late_again is None else tell.share(late_again)},
    ]
    if enough:
        worth = ", ".join(
            f"{what} {of:,} as {one.whole:,}" for what, of, one in zip(("contacted", "left alone"), drawn, (contacted, left), strict=True)
        )
        rows += [
            {"figure": "decisions, and how many evenly drawn ones they are worth (Kish)", "value": worth},
            {"figure": "paid within 7 days, left alone by chance", "value": tell.share(left)},
            {"figure": "paid within 7 days, contacted with the same chance", "value": tell.share(contacted)},
            {"figure": "what contacting added", "value": tell.difference(gain)},
        ]
    return Section(
        key="cures",
        title="What one contact adds",
        means=MEANS["cures"],
        rows={"": rows},
        too_few=""
        if enough
        else "Nobody can say what people pay by themselves: too few were left alone by chance ("
        f"{tell.count(left.whole)}). A strategy with `exploration` or a hold-out leaves some.",
    )


def promise_section(kept: Share, by_amount: Mapping[str, tuple[Share, Share]], states: Mapping[str, int], tell: Teller) -> Section:
    """Promises that fell due."""
    judged = kept.whole
    return Section(
        key="promises",
        title="Promises",
        means=MEANS["promises"],
        rows={
            "": [{"figure": "kept", "value": tell.share(kept)}]
            + [
                {"figure": f"kept, of the amount, {currency}", "value": tell.amounts(share, currency, promises)}
                for currency, (share, promises) in by_amount.items()
            ]
            + [{"figure": state, "value": tell.count(count)} for state, count in states.items()]
        },
        too_few="" if judged >= tell.policy.enough else tell.lacking("promises were judged", judged),
    )


def plan_section(curve: pl.DataFrame, plans: int, takeup: Share, tell: Teller, png: bytes | None) -> Section:
    """Plans: taken, and kept."""
    rows = [{"figure": "took a plan or later date, of those who saw one that fits", "value": tell.share(takeup)}]
    if png is not None and not curve.is_empty():
        last = curve.row(-1, named=True)
        rows.append(
            {
                "figure": f"plans not broken after {last['day']} days",
                "value": f"{100 * last['survival']:.1f} % ({100 * last['low']:.1f} to {100 * last['high']:.1f})",
            }
        )
    return Section(
        key="plans",
        title="Plans",
        means=MEANS["plans"],
        rows={"": rows},
        pictures=() if png is None else (Picture(png=png, says="Step line: share of plans not broken, with its interval."),),
        too_few="" if plans >= tell.policy.enough else tell.lacking("plans", plans),
    )


def curve_section(
    key: str, title: str, means: str, loans: int, tell: Teller, pngs: Mapping[str, bytes], curves: Mapping[str, pl.DataFrame]
) -> Section:
    """Liquidation or vintage curves.

    Args:
        key: Of the section.
        title: Likewise.
        means: Likewise.
        loans: In all cohorts.
        tell: Says what may be said.
        pngs: What is drawn → picture.
        curves: The same → `cohort`, a count of days or months, `share`: of cohorts that are large enough.
    """
    return Section(
        key=key,
        title=title,
        means=means,
        rows={what: _last_points(curve) for what, curve in curves.items()},
        pictures=tuple(
            Picture(png=png, says=f"Lines by cohort: {title.lower()}{f', {what}' if what else ''}.") for what, png in pngs.items()
        ),
        too_few="" if pngs else tell.lacking("loans in any cohort", loans),
    )


def _last_points(curve: pl.DataFrame) -> list[dict[str, str]]:
    """Where each cohort's line ends."""
    unit = "day" if "day" in curve.columns else "month"
    last = curve.sort(unit).group_by("cohort", maintain_order=True).last().sort("cohort")
    return [
        {"cohort": cohort, f"{unit}s": f"{end:,}", "share so far": f"{100 * share:.1f} %"}
        for cohort, end, share in last.select("cohort", unit, "share").iter_rows()
    ]


def contact_section(weeks: Mapping[int, int], house: str, per_cured: float | None, cured: int, tell: Teller) -> Section:
    """How often people are contacted."""
    found = spread(weeks)
    if found is None or found.people < tell.policy.enough:
        rows, too_few = [], tell.lacking("borrower-weeks", 0 if found is None else found.people)
    else:
        rows = [
            {"figure": "contacts a borrower-week, mean", "value": f"{found.mean:.2f} (of {found.people:,})"},
            {"figure": "95 % have at most", "value": f"{found.p95}"},
            {"figure": "the most in one week", "value": f"{found.largest}"},
            {"figure": "at most, by the strategies in force", "value": house},
            {
                "figure": "contacts for each cured borrower",
                "value": f"too few ({tell.count(cured)})" if per_cured is None or cured < tell.policy.enough else f"{per_cured:.1f}",
            },
        ]
        too_few = ""
    return Section(
        key="contacts",
        title="How often people are contacted",
        means=MEANS["contacts"],
        rows={"": rows},
        too_few=too_few,
    )


def complaint_section(contacts: int, borrowers: int, said: Mapping[str, int], upheld: Share, tell: Teller) -> Section:
    """What people objected to."""
    names = {"complaint": "complaints", "stop": "stops", "dispute": "disputes", "wrong_person": "wrong persons"}
    rows = [
        {
            "what": name,
            "borrowers": tell.count(said.get(what, 0)),
            "per 1,000 borrowers contacted": tell.rate(said.get(what, 0), borrowers, per=1000),
            "per 10,000 contacts": tell.rate(said.get(what, 0), contacts, per=10_000),
        }
        for what, name in names.items()
    ]
    return Section(
        key="complaints",
        title="Complaints, and what stands for them",
        means=MEANS["complaints"],
        rows={"": rows, "Complaints that were closed": [{"figure": "upheld, whole or in part", "value": tell.share(upheld)}]},
        too_few="" if borrowers >= tell.policy.enough else tell.lacking("borrowers were contacted", borrowers),
    )


def harm_section(
    short: Share, new_loans: Share, after_stop: int, hardship: Share, days: float | None, oldest: int | None, tell: Teller
) -> Section:
    """What must not happen, or is watched."""
    return Section(
        key="harm",
        title="Harm watch",
        means=MEANS["harm"],
        rows={
            "": [
                {"figure": "contacts after a stop (must be 0)", "value": f"{after_stop:,}"},
                {"figure": "payments that left the wallet short", "value": tell.share(short)},
                {"figure": "new loan within seven days of a payment", "value": tell.share(new_loans)},
                {"figure": "relief, of whom the rule says that nothing remains", "value": tell.share(hardship)},
                {
                    "figure": "days to it, median",
                    "value": NOTHING if days is None or hardship.part < tell.policy.cell_min else f"{days:.1f}",
                },
                {"figure": "oldest open hardship case", "value": "none" if oldest is None else f"{oldest} days"},
            ]
        },
    )


def peace_section(
    reasons: Sequence[tuple[str, int]], misses: Sequence[tuple[str, int]], left: Share, tell: Teller, *, means: Mapping[str, str]
) -> Section:
    """Messages not sent; `means`: reason or rule → what it says."""
    return Section(
        key="peace",
        title="Messages not sent",
        means=MEANS["peace"],
        rows={
            "Left in peace": [
                {"reason": reason, "borrowers": tell.count(count), "what it means": means.get(reason, NOTHING)} for reason, count in reasons
            ],
            "Near misses that the gate caught": [
                {"rule": rule, "planned contacts": tell.count(count), "what it means": means.get(rule, NOTHING)} for rule, count in misses
            ],
            "Left alone by chance": [{"figure": "paid within 7 days", "value": tell.share(left)}],
        },
    )


def hour_section(contacts: int, tell: Teller, pngs: Mapping[str, bytes]) -> Section:
    """When people answer and pay."""
    return Section(
        key="hours",
        title="Hour and weekday",
        means=MEANS["hours"],
        rows={},
        pictures=tuple(
            Picture(png=png, says=f"Heat map by weekday and hour: share {what}, with the number of contacts.") for what, png in pngs.items()
        ),
        too_few=""
        if pngs
        else f"Too few to say: no hour of a weekday has {tell.policy.enough} contacts, of {tell.count(contacts)} in the month.",
    )


def funnel_section(steps: Mapping[str, int], reach: Reach, tell: Teller, png: bytes | None) -> Section:
    """From looked at to kept, and whom contacts got through to."""
    looked = steps.get("looked at", 0)
    rates = {
        "contact rate: delivered to, of those looked at": Share(steps.get("delivered", 0), looked),
        "calls that somebody answered": Share(reach.answered, reach.calls),
        "right party, of contacts": Share(reach.right_party, reach.contacts),
        "right party, of borrowers looked at": Share(min(reach.spoken_with, looked), looked),
        "logged in to their page, of borrowers looked at": Share(min(reach.logged_in, looked), looked),
        "promises, of talks with the borrower": Share(min(reach.talk_promises, reach.right_party), reach.right_party),
        "promises, of messages that people wrote": Share(min(reach.reply_promises, reach.replies), reach.replies),
    }
    return Section(
        key="funnel",
        title="From looked at to kept",
        means=MEANS["funnel"],
        rows={
            "": [{"step": step, "borrowers": tell.count(count)} for step, count in steps.items()],
            "Got through": [{"figure": name, "value": tell.share(share)} for name, share in rates.items()],
        },
        pictures=() if png is None else (Picture(png=png, says="Bars: borrowers at each step."),),
        too_few="" if png is not None else tell.lacking("borrowers were looked at", steps.get("looked at", 0)),
    )


def compliance_section(found: Compliance, misses: int, tell: Teller) -> Section:
    """What must not be, what was caught, what went wrong."""
    rows = [
        {
            "figure": "nights on which the audit found what must not be (must be 0)",
            "value": f"{found.broken:,} of {found.nights:,} audited",
        },
        {"figure": "near misses that the gate caught", "value": tell.count(misses)},
        {"figure": "incidents", "value": f"{found.incidents:,}"},
        {"figure": "borrowers whom they concern", "value": tell.count(found.concerned)},
        {"figure": "offers in circumstances in which another one was made", "value": tell.count(found.offers)},
        {"figure": "of these circumstances, with offers that differ (must be 0)", "value": f"{found.apart:,}"},
    ]
    return Section(
        key="compliance",
        title="What must not be",
        means=MEANS["compliance"],
        rows={"": rows},
        too_few="" if found.nights else "No audit looked at this month: nobody can say that nothing was wrong (`tideover audit`).",
    )


def cost_section(cost: Cost, collected: Mapping[str, int], tell: Teller, late: int) -> Section:
    """What it cost."""
    rows = [{"figure": "messages", "value": str(cost)}]
    if cost.unpriced:
        rows.append({"figure": "segments without a price in config/prices.yaml", "value": f"{cost.unpriced:,}"})
    if late >= tell.policy.enough:
        rows += [
            {"figure": "came in on late loans, less what was taken back", "value": _money(minor, currency)}
            for currency, minor in collected.items()
        ]
        rows += [
            {"figure": f"messages, of what came in, {currency}", "value": f"{100 * cost.minor[currency] / minor:.2f} %"}
            for currency, minor in collected.items()
            if minor > 0 and currency in cost.minor and not cost.unpriced
        ]
    return Section(
        key="cost",
        title="Cost to collect",
        means=MEANS["cost"],
        rows={"": rows},
    )
