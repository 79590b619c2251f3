"""A month of one country, gathered from the ledger: what the month's page shows.

In:   a month, a country; the ledger; config/report.yaml.
Out:  a `MonthReport`: sections with tables and pictures.
Pure: no; reads. Counts and words of ours only.
Source: SCIENCE.md F.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
from sqlalchemy import Connection

from config.affordability import plan_policy
from config.aging import aging_policy
from config.prices import prices
from config.report import ReportPolicy, report_policy
from config.settings import settings
from config.strategy_files import stages_of, strategy_in_force
from decisions.fairness_words import ATTRIBUTES, LANGUAGE, REGION
from decisions.kpis import CURED, JUDGED, Share
from decisions.month_fairness import arms, known_of, treated
from decisions.month_kpis import difference, effective_share, flow_rates, kaplan_meier, liquidation, vintage
from decisions.prices import cost_of
from ledger import clock, experiments, figures, month_figures, month_people
from ledger.engine import arrow, connection
from ledger.fairness_groups import read_groups
from ledger.month_figures import Period
from tasks.month_comparisons import (
    ARM_NAMES,
    Look,
    comparable,
    fairness_section,
    frontier_section,
    harm_of,
    model_name,
    reliability_section,
    told_bins,
)
from tasks.month_pictures import arms_picture, flow_picture, hour_picture, line_picture, step_picture, survival_picture
from tasks.month_sections import (
    MEANS,
    Section,
    Teller,
    complaint_section,
    compliance_section,
    contact_section,
    cost_section,
    cure_section,
    curve_section,
    flow_section,
    funnel_section,
    harm_section,
    held_section,
    hour_section,
    peace_section,
    plan_section,
    promise_section,
    roll_section,
)
from tasks.pictures import roll_picture
from tasks.reliability import reliability_picture
from tasks.report import Roll, roll_of
from tasks.report_page import ROWS_SHOWN_MAX, meanings

ONE_DAY = timedelta(days=1)
DECEMBER = 12
# Whoever cured is looked at again for so many days (SCIENCE.md F, "re-default").
AGAIN_DAYS = 90


class MonthRefused(ValueError):
    """There is no such month to show; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthReport:
    """A month's page.

    Attributes:
        month: "2026-03".
        period: Its country and dates.
        is_over: Whether the month was over at the look.
        at: Business instant of the look.
        sections: In the order of the page.
    """

    month: str
    period: Period
    is_over: bool
    at: datetime
    sections: tuple[Section, ...]

    @property
    def name(self) -> str:
        """Of its file: "2026-03-tw"."""
        return f"{self.month}-{self.period.country.lower()}"


def months_and_countries(month: str | None, country: str | None) -> tuple[str, list[str]]:
    """Which pages are meant: the month (None = the last whole one), and each country of which there are loans.

    Raises:
        MonthRefused: The month lies in the future or is none; of that country there is no loan.
    """
    with connection(read_only=True, archive=True) as tx:
        today = _today(tx)
        there = month_figures.countries(tx)
    chosen = month or f"{(today.replace(day=1) - ONE_DAY):%Y-%m}"
    first, _ = _dates(chosen)
    if first > today:
        raise MonthRefused(f"{chosen} has not been yet: today is {today}")
    if country is not None and country not in there:
        raise MonthRefused(f"no creditor of {country} has loans here; there are {', '.join(there) or 'none'}")
    return chosen, there if country is None else [country]


def read_month(month: str, country: str, policy: ReportPolicy | None = None) -> MonthReport:
    """Gather a month of one country, as it stands now.

    Args:
        month: "2026-03".
        country: ISO 3166-1.
        policy: How many people a figure needs; None = config/report.yaml.

    Raises:
        MonthRefused: It is no month.
    """
    policy = policy or report_policy()
    tell = Teller(policy)
    first, last = _dates(month)
    with connection(read_only=True, archive=True) as tx:
        at, today = clock.now(tx), _today(tx)
        period = Period(country=country, first=first, last=min(last, today))
        over = _dates_of_rolls(tx, period, policy)
        cured = _cures(over)
        sections = [
            *_rolls(tx, period, over, policy, tell),
            *_held(tx, period, over, cured, tell),
            _flow(tx, period, policy, tell),
            *_paying(tx, period, policy, tell),
            *_contact(tx, period, policy, tell),
            _fairness(period, cured, policy, tell),
            _reliability(tx, period, tell),
        ]
    order = (
        "funnel",
        "rolls",
        "month-ends",
        "flow",
        "held-out",
        "cures",
        "frontier",
        "promises",
        "plans",
        "liquidation",
        "vintage",
        "contacts",
        "hours",
        "complaints",
        "peace",
        "harm",
        "fairness",
        "reliability",
        "compliance",
        "cost",
    )
    return MonthReport(
        month=month,
        period=period,
        is_over=today > last,
        at=at,
        sections=tuple(sorted(sections, key=lambda one: order.index(one.key))),
    )


def _today(tx: Connection) -> date:
    return clock.now(tx).astimezone(ZoneInfo(settings().business_zone)).date()


def _dates(month: str) -> tuple[date, date]:
    """First and last date of "2026-03"."""
    try:
        first = date.fromisoformat(f"{month}-01")
    except ValueError:
        raise MonthRefused("a month is written like 2026-03") from None
    after = date(first.year + first.month // DECEMBER, first.month % DECEMBER + 1, 1)
    return first, after - ONE_DAY


def _rolls(tx: Connection, period: Period, over: Period | None, policy: ReportPolicy, tell: Teller) -> list[Section]:
    """Where loans went in 30 days (`over`) and from month-end to month-end."""
    until = month_figures.last_aged(tx, from_=period.first, until=period.last)
    before = period.first - ONE_DAY
    ends = month_figures.last_aged(tx, from_=before - timedelta(days=policy.roll_slack_days), until=before)
    of_loan = month_figures.schemes(tx, period.country)
    found = []
    for key, title, start in (
        ("rolls", f"Roll rates over {policy.roll_days} days", None if over is None else over.first),
        ("month-ends", "Roll rates from month-end to month-end", ends),
    ):
        rolls = {} if start is None or until is None else _by_scheme(start, until, period.country, of_loan)
        pngs = [roll_picture([roll], title=f"{scheme} buckets", least=policy.cell_min) for scheme, roll in rolls.items()]
        found.append(roll_section(key, title, rolls, tell, [png for png in pngs if png is not None]))
    return found


def _held(tx: Connection, period: Period, over: Period | None, cured: pl.DataFrame, tell: Teller) -> list[Section]:
    """Cures by assignment, and money beside harm, over the dates of the roll rates; experiments, as they were looked at last."""
    looks = [
        Look(experiment=name, looked_on=seen["looked_on"].isoformat(), verdicts=seen["verdicts"])
        for name in experiments.started(tx)
        if (seen := next((one for one in reversed(experiments.looks(tx, name)) if one["looked_on"] <= period.last), None)) is not None
    ]
    pngs = {look.experiment: png for look in looks if (png := _look_picture(look, tell)) is not None}
    if over is None:
        return [held_section({}, tell), frontier_section([], looks, tell, pngs)]
    assigned = month_figures.assigned(tx, over)
    with arrow(read_only=True, archive=True) as source:
        found = arms(month_people.owed_and_paid(source, over), assigned)
    counts = cured.join(assigned, on="party_id").group_by("assigned").agg(part=pl.col("cured").sum(), whole=pl.len())
    told = comparable(found, tell)
    harmed_by, harm = harm_of(told, tell)
    points = {ARM_NAMES[one.name]: (harm[one.name], one.paid) for one in told if one.paid is not None}
    if (png := arms_picture(points, x=harmed_by, y="came in, of what each owed")) is not None:
        pngs = {"": png, **pngs}
    return [
        held_section({name: Share(part, whole) for name, part, whole in counts.iter_rows()}, tell),
        frontier_section(found, looks, tell, pngs),
    ]


def _look_picture(look: Look, tell: Teller) -> bytes | None:
    """Each arm less the champion, in complaints and in money; the champion itself at nothing."""
    points = {"champion": ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))}
    for arm, verdict in look.verdicts.items():
        bounds = {one["name"]: (one["value"], one["low"], one["high"]) for one in verdict["differences"]}
        if min(verdict["borrowers"]) >= tell.policy.enough and {"money", "complaints"} <= bounds.keys():
            points[arm] = (bounds["complaints"], bounds["money"])
    return arms_picture(points, x="complaints a borrower, less the champion's", y="came in, less the champion's")


def _dates_of_rolls(tx: Connection, period: Period, policy: ReportPolicy) -> Period | None:
    """The aged dates of the roll rates over 30 days; None where no two lie so far apart."""
    until = month_figures.last_aged(tx, from_=period.first, until=period.last)
    if until is None:
        return None
    due = until - timedelta(days=policy.roll_days)
    since = month_figures.last_aged(tx, from_=due - timedelta(days=policy.roll_slack_days), until=due)
    return None if since is None else replace(period, first=since, last=until)


def _by_scheme(since: date, until: date, country: str, of_loan: pl.DataFrame) -> dict[str, Roll]:
    """Scheme of buckets → where its loans went."""
    with arrow(read_only=True, archive=True) as source:
        pair = figures.moved(source, since=since, until=until, stage=None, scope=country)
    rolls = {}
    for scheme in of_loan["scheme"].unique().sort():
        mine = of_loan.filter(pl.col("scheme") == scheme)
        part = replace(pair, before=pair.before.join(mine, on="loan_id", how="semi"), after=pair.after.join(mine, on="loan_id", how="semi"))
        if part.before.height:
            rolls[str(scheme)] = roll_of(part, None, country)
    return rolls


def _flow(tx: Connection, period: Period, policy: ReportPolicy, tell: Teller) -> Section:
    """Late loans by day, and what flowed from bucket to bucket between month-ends."""
    flow = month_figures.flow(tx, period)
    before = month_figures.flow(tx, replace(period, first=(period.first - ONE_DAY).replace(day=1), last=period.first - ONE_DAY))
    rates, ends, pngs = {}, {}, {}
    for scheme, currency in flow.select("scheme", "currency").unique().sort("scheme", "currency").iter_rows():
        buckets = [name for name, _ in sorted(aging_policy().schemes[scheme].buckets, key=lambda one: one[1])]
        owed, loans = (
            flow_rates(_at_end(before, scheme, currency, what), _at_end(flow, scheme, currency, what), buckets)
            for what in ("owed_minor", "loans")
        )
        standing = [_at_end(flow, scheme, currency, what) for what in ("loans", "owed_minor")]
        ends[f"{scheme}, {currency}"] = {bucket: (standing[0][bucket], standing[1][bucket]) for bucket in buckets if bucket in standing[0]}
        rates[f"{scheme}, {currency}"] = {bucket: (share, loans[bucket]) for bucket, share in owed.items() if bucket in loans}
        mine = flow.filter(pl.col("scheme") == scheme)
        if _late_at_end(mine) >= policy.enough and (png := flow_picture(mine, buckets, title=scheme, least=policy.cell_min)) is not None:
            pngs[scheme] = png
    return flow_section(rates, {what: found for what, found in ends.items() if found}, _late_at_end(flow), tell, pngs)


def _late_at_end(flow: pl.DataFrame) -> int:
    return int(flow.filter(pl.col("business_date") == pl.col("business_date").max())["loans"].sum())


def _at_end(flow: pl.DataFrame, scheme: str, currency: str, what: str) -> dict[str, int]:
    """Bucket → balance, or loans, on the last aged date."""
    last = flow.filter(pl.col("business_date") == pl.col("business_date").max(), pl.col("scheme") == scheme, pl.col("currency") == currency)
    return dict(last.select("bucket", what).iter_rows())


def _paying(tx: Connection, period: Period, policy: ReportPolicy, tell: Teller) -> list[Section]:
    """Cures, promises, plans, and what came in by cohort."""
    drawn = month_figures.drawn(tx, period)
    left, contacted = (effective_share(one.weights, one.paid, one.squares) for one in (drawn["no_contact"], drawn["contact"]))
    sustained = _sustained(tx, period, policy)
    promised = month_figures.promised(tx, period)
    lives = month_figures.plan_lives(tx, period)
    curve = kaplan_meier(lives)
    took, offered = month_figures.plan_takeup(tx, period)
    survival = survival_picture(curve, lives.height) if lives.height >= policy.enough else None
    return [
        cure_section(
            sustained,
            _late_again(tx, period, policy),
            contacted,
            left,
            difference(contacted, left),
            (drawn["contact"].people, drawn["no_contact"].people),
            tell,
        ),
        _promises(promised, tell),
        plan_section(curve, lives.height, Share(took, offered), tell, survival),
        _liquidation(tx, period, policy, tell),
        _vintage(tx, period, policy, tell),
    ]


def _sustained(tx: Connection, period: Period, policy: ReportPolicy) -> Share | None:
    """Of the accounts in arrears 60 days before the last aged date, those cured 30 days later and still cured at it."""
    found = _cured_before(tx, period, policy, policy.roll_days)
    if found is None:
        return None
    start, _, until, late, cured = found
    with arrow(read_only=True, archive=True) as source:
        still = figures.moved(source, since=start, until=until, stage=None, scope=period.country)
    stayed = cured.join(still.after.filter(pl.col("bucket").is_in(CURED)), on="loan_id", how="semi")
    return Share(stayed.height, late.height)


def _late_again(tx: Connection, period: Period, policy: ReportPolicy) -> Share | None:
    """Of the accounts that were in arrears and had cured 90 days before the last aged date, those late on some date since."""
    found = _cured_before(tx, period, policy, AGAIN_DAYS)
    if found is None:
        return None
    _, between, until, _, cured = found
    return Share(month_figures.late_again(tx, cured["loan_id"].to_list(), after=between, until=until), cured.height)


def _cured_before(
    tx: Connection, period: Period, policy: ReportPolicy, days: int
) -> tuple[date, date, date, pl.DataFrame, pl.DataFrame] | None:
    """Loans that were late, and of them those cured so many days before the last aged date: both dates, the last, and the loans."""
    until = month_figures.last_aged(tx, from_=period.first, until=period.last)
    if until is None:
        return None
    before, roll, slack = timedelta(days=days), timedelta(days=policy.roll_days), timedelta(days=policy.roll_slack_days)
    between = month_figures.last_aged(tx, from_=until - before - slack, until=until - before)
    start = None if between is None else month_figures.last_aged(tx, from_=between - roll - slack, until=between - roll)
    if between is None or start is None:
        return None
    with arrow(read_only=True, archive=True) as source:
        pair = figures.moved(source, since=start, until=between, stage=None, scope=period.country)
    late = pair.before.filter(~pl.col("bucket").is_in([*CURED, "in plan", "written off"]))
    cured = late.join(pair.after.filter(pl.col("bucket").is_in(CURED)), on="loan_id", how="semi")
    return start, between, until, late, cured


def _promises(promised: pl.DataFrame, tell: Teller) -> Section:
    states = dict(promised.group_by("state").agg(pl.col("promises").sum()).iter_rows())
    judged = promised.filter(pl.col("state").is_in(JUDGED))
    kept = Share(states.get("kept", 0), int(judged["promises"].sum()))
    by_amount = {
        str(currency): (_kept(rows, "amount_minor"), _kept(rows, "promises"))
        for (currency,), rows in judged.drop_nulls("currency").sort("currency").group_by("currency", maintain_order=True)
    }
    return promise_section(kept, by_amount, {state: states.get(state, 0) for state in ("partial", "broken", "open", "withdrawn")}, tell)


def _kept(rows: pl.DataFrame, what: str) -> Share:
    return Share(int(rows.filter(pl.col("state") == "kept")[what].sum()), int(rows[what].sum()))


def _liquidation(tx: Connection, period: Period, policy: ReportPolicy, tell: Teller) -> Section:
    placed, paid = month_figures.placed(tx, period), month_figures.paid_since(tx, period)
    whole = placed.filter(pl.col("loans") >= policy.enough)
    pngs, found = {}, {}
    for (currency,), mine in whole.sort("currency").group_by("currency", maintain_order=True):
        until = {cohort: (period.last - placed_on).days for cohort, placed_on in mine.select("cohort", "last_placed_on").iter_rows()}
        curves = liquidation(mine, paid.filter(pl.col("currency") == currency), until_day=until)
        png = line_picture(curves, x="day", label=f"days since a loan was first late ({currency})")
        if png is not None:
            pngs[str(currency)], found[str(currency)] = png, curves
    return curve_section(
        "liquidation",
        "What came in, by when loans were first late",
        MEANS["liquidation"],
        int(placed["loans"].sum()),
        tell,
        pngs,
        found,
    )


def _vintage(tx: Connection, period: Period, policy: ReportPolicy, tell: Teller) -> Section:
    booked = month_figures.booked(tx, period)
    sizes = booked.group_by("cohort").agg(pl.col("loans").sum())
    large = booked.join(sizes.filter(pl.col("loans") >= policy.enough), on="cohort", how="semi")
    curves = vintage(large)
    png = line_picture(curves, x="month", label="months on book")
    return curve_section(
        "vintage",
        "Ever 30 days late, by when loans were made",
        MEANS["vintage"],
        int(booked["loans"].sum()),
        tell,
        {} if png is None else {"": png},
        {} if png is None else {"": curves},
    )


def _contact(tx: Connection, period: Period, policy: ReportPolicy, tell: Teller) -> list[Section]:
    """How people were contacted, what they said, who was left in peace."""
    reasons, caught = month_figures.not_contacted(tx, period)[:ROWS_SHOWN_MAX], month_figures.near_misses(tx, period)
    misses = caught[:ROWS_SHOWN_MAX]
    weeks = month_figures.contacts_a_week(tx, period)
    said = month_figures.spoken(tx, period)
    drawn = month_figures.drawn(tx, period)["no_contact"]
    hours = month_figures.hours(tx, period)
    steps = month_figures.funnel(tx, period)
    cured = _cured(period)
    heat = {
        what: hour_picture(hours, column, title=what, enough=policy.enough, least=policy.cell_min)
        for what, column in (("answered within a day", "answered"), ("paid within seven days", "paid"))
    }
    aside = {currency: money.aside_min for currency, money in plan_policy().terms.money.items()}
    harm = month_figures.harm(tx, period, aside_minor=aside)
    reached, granted, days, oldest = month_figures.relief(tx, period)
    cost = cost_of(month_figures.usage(tx, period), prices())
    return [
        contact_section(weeks, _house_cap(), said.contacts / cured if cured else None, cured, tell),
        complaint_section(said.contacts, said.borrowers, said.complaints, Share(said.upheld, said.closed), tell),
        harm_section(
            Share(harm.short, harm.payments),
            Share(harm.new_loans, harm.payers),
            harm.after_stop,
            Share(granted, reached),
            days,
            oldest,
            tell,
        ),
        peace_section(
            reasons,
            misses,
            effective_share(drawn.weights, drawn.paid, drawn.squares),
            tell,
            means=meanings([name for name, _ in (*reasons, *misses)]),
        ),
        hour_section(said.contacts, tell, {what: png for what, png in heat.items() if png is not None}),
        funnel_section(steps, month_figures.reach(tx, period), tell, step_picture(steps, least=policy.cell_min)),
        compliance_section(month_figures.compliance(tx, period), month_figures.held_back(tx, period), tell),
        cost_section(cost, month_figures.collected(tx, period), tell, said.borrowers),
    ]


def _fairness(period: Period, cured: pl.DataFrame, policy: ReportPolicy, tell: Teller) -> Section:
    """Groups of those who were late, beside everybody who was as late and had as much to spare."""
    with arrow(read_only=True, archive=True) as source:
        people = month_people.late_people(source, period)
        groups = read_groups(source, people["party_id"].to_list())
    each = people.join(cured, on="party_id", how="left").with_columns(pl.col("cured", "late_then").fill_null(0))
    found = treated(each, groups, enough=policy.enough, cell_min=policy.cell_min)
    return fairness_section(found, known_of(people, groups, (LANGUAGE, REGION, *ATTRIBUTES)), tell)


def _cures(over: Period | None) -> pl.DataFrame:
    """`party_id`, `late_then`, `cured` (0 or 1), of those late on the first date of the roll rates."""
    if over is None:
        return pl.DataFrame(schema={"party_id": pl.Int64, "late_then": pl.Int64, "cured": pl.Int64})
    with arrow(read_only=True, archive=True) as source:
        cured = figures.cured_by_borrower(figures.moved(source, since=over.first, until=over.last, stage=None, scope=over.country))
    return cured.select("party_id", late_then=pl.lit(1, pl.Int64), cured=pl.col("cured").cast(pl.Int64))


def _reliability(tx: Connection, period: Period, tell: Teller) -> Section:
    """The calibration of the models by which runs of the month decided."""
    models = month_figures.weighed(tx, period)
    pngs = {
        model_name(one): reliability_picture(pl.DataFrame(bins), title=model_name(one)) for one in models if (bins := told_bins(one, tell))
    }
    return reliability_section(models, tell, pngs)


def _cured(period: Period) -> int:
    """Borrowers whose loans were late at the first aged date of the month and are all cured at its last."""
    with connection(read_only=True, archive=True) as tx:
        until = month_figures.last_aged(tx, from_=period.first, until=period.last)
        since = month_figures.last_aged(tx, from_=period.first - timedelta(days=7), until=period.first)
    if until is None or since is None or since >= until:
        return 0
    with arrow(read_only=True, archive=True) as source:
        return figures.cured_borrowers(figures.moved(source, since=since, until=until, stage=None, scope=period.country))


def _house_cap() -> str:
    """What the strategies in force allow: "2 in 7 days (early, mid)"."""
    name = settings().strategy
    caps: dict[str, list[str]] = {}
    for stage in stages_of(name):
        treatment = strategy_in_force(name, stage)
        caps.setdefault(f"{treatment.contacts_max} in {treatment.span_days} days", []).append(stage)
    return "; ".join(f"{cap} ({', '.join(stages)})" for cap, stages in caps.items())
