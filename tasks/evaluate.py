"""Evaluate: what another strategy would have brought, by the log of decisions; or that the log cannot tell, and why.

Every decision of the log is looked at again: by the facts, the law and the texts of that moment, but with the strategy that is judged.
What that would have done, and with which probability, is weighed against what the log did with which probability. Nothing can be sent
from here and nothing is written: what it reads it reads in transactions that the database keeps from writing.

In:   a strategy's file, or its folder; a time, a creditor, a currency; the ledger.
Out:  an `Evaluated`: for each outcome estimates with intervals, or a reason.
Pure: no; reads.
Source: SCIENCE.md C2; CASES.md, `tideover evaluate`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from config.evaluation import EvaluationPolicy, evaluation
from config.load import parse
from config.policies import Policy
from config.settings import settings
from config.strategy_files import tried_strategy
from decisions.assignment import kinds_asked
from decisions.candidates import candidates, standing
from decisions.choose import consider
from decisions.draws import keyed_numbers
from decisions.facts import Facts
from decisions.logged_arms import arms_of_log, arms_of_target, as_log, context, message_of_ways, side_by_side, slots_of_ways
from decisions.models import UnreadableModelError
from decisions.off_policy import Evaluation, Log, diagnose, evaluate
from decisions.strategy import STAGE_ORDER
from ledger import clock, figures, logged
from ledger.approvals import MODEL
from ledger.backfill_reads import DecidedRun
from ledger.campaigns import SHARD_BORROWERS_MAX
from ledger.engine import arrow, connection
from ledger.frames import Source
from ledger.in_force import InForce, policy_key
from ledger.model_versions import NoModelError, kept
from tasks.re_decide import facts_then, needed_beside, policies_then
from tasks.weigh import predictor

MONEY: Final = "money"
COMPLAINTS: Final = "complaints_and_opt_outs"
CONTACTS: Final = "contacts"
SEED: Final = b"tideover evaluate"
# Borrowers of whom a part is taken are drawn in parts of this.
PARTS: Final = 1_000_000_000

Say = Callable[[str], None]


class EvaluationRefused(ValueError):
    """It is not begun; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be judged.

    Attributes:
        file: A strategy's YAML of one stage, or a folder of several.
        since: First business date; None = as many days as config/evaluation.yaml says.
        until: Last one; None = the last whose labels are frozen.
        creditor: The lender's id of a creditor; None = all.
        currency: Of the money; None = the one that there is.
    """

    file: Path
    since: date | None = None
    until: date | None = None
    creditor: str | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """What the log says.

    Attributes:
        strategy: Its name.
        stages: Those that its files are for.
        since: First date that was looked at.
        until: Last one.
        currency: Of the money, in minor units; None = several, or none.
        share_of_borrowers: That were looked at; less than 1 where the log is long.
        outcomes: Outcome → what the log says of it.
        seen: Models that it asks and that may have learned from these days: kind → local date as of which it was trained.
    """

    strategy: str
    stages: tuple[str, ...]
    since: date
    until: date
    currency: str | None
    share_of_borrowers: float
    outcomes: Mapping[str, Evaluation]
    seen: Mapping[str, date]

    def as_json(self) -> dict[str, Any]:
        """As CASES.md says: the money's fields on top, every outcome beside them."""
        return {
            **_as_json(self.outcomes[MONEY]),
            "strategy": self.strategy,
            "stages": list(self.stages),
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "currency": self.currency,
            "share_of_borrowers": self.share_of_borrowers,
            "outcomes": {name: _as_json(found) for name, found in self.outcomes.items()},
            "seen": {kind: on.isoformat() for kind, on in self.seen.items()},
        }


def _as_json(found: Evaluation) -> dict[str, Any]:
    return {
        "estimates": [asdict(one) for one in found.estimates],
        "gain": None if found.gain is None else asdict(found.gain),
        "ess": found.diagnostics.ess,
        "refused": found.refused,
        "logged": found.logged,
        "diagnostics": asdict(found.diagnostics),
    }


def evaluate_strategy(asked: Asked, *, say: Say = lambda _: None, policy: EvaluationPolicy | None = None) -> Evaluated:
    """Judge a strategy by the log.

    Args:
        asked: Which, and by which part of the log.
        say: Hears which date is being looked at.
        policy: How much the log must say; None = config/evaluation.yaml.

    Raises:
        EvaluationRefused: There is no such creditor, file or model, or the dates make no sense.
        ConfigError: A file cannot be read.
        decisions.off_policy.MalformedLogError: The log contradicts itself.
    """
    policy = policy or evaluation()
    files = read_strategies(asked.file)
    stages = tuple(stage for stage in STAGE_ORDER if stage in files)
    with connection(read_only=True, archive=True) as tx:
        now, zone = clock.now(tx), ZoneInfo(settings().business_zone)
        today = now.astimezone(zone).date()
        until = asked.until or today - timedelta(days=policy.money_days + policy.posting_days)
        since = asked.since or until - timedelta(days=policy.days - 1)
        if until < since:
            raise EvaluationRefused(f"{since} comes after {until}: give --since and --until the other way round")
        creditor = None if asked.creditor is None else logged.creditor_id(tx, asked.creditor)
        if asked.creditor is not None and creditor is None:
            raise EvaluationRefused("no creditor has that id; `tideover status` lists them")
        try:
            tried = {stage: _Tried(one, needed_beside(tx, (one,), at=now)) for stage, one in files.items()}
        except (NoModelError, UnreadableModelError) as fault:
            raise EvaluationRefused(str(fault)) from None
        extent = logged.extent(tx, since=since, until=until, stages=stages, creditor=creditor)
        trained_on = {one.version: one.trained_as_of.astimezone(zone).date() for one in kept(tx, at=now)}
        runs = logged.logged_runs(tx, since=since, until=until, stages=stages)
        young = [] if runs or asked.until else logged.logged_runs(tx, since=until + timedelta(days=1), until=today, stages=stages)
    # A run with a model of its own kind is judged by that one, which was trained before it; what ships learned from nobody here.
    seen = {
        one.name: on
        for run in runs
        for one in tried[run.stage].beside
        if one.kind == MODEL and policy_key(one) not in run.policy_hashes and (on := trained_on.get(one.hash)) and on >= run.business_date
    }
    share = min(1.0, policy.decisions_max / extent.decisions) if extent.decisions else 1.0
    decisions, arms = [], []
    count = 0
    with arrow(read_only=True, archive=True) as source:
        for run in runs:
            say(f"{run.business_date} {run.stage}")
            for known, theirs in _of_run(run, tried[run.stage], source, creditor=creditor, share=share, policy=policy, today=today):
                numbered = known.with_row_index("decision", offset=count)
                decisions.append(numbered)
                arms.append(theirs.join(numbered.select("party_id", "decision"), on="party_id", maintain_order="left"))
                count += known.height
    frozen = _Frozen(policy, today)
    currency, outcomes = _judge(decisions, arms, frozen, policy, currency=asked.currency, until=until, nothing=_nothing(young, policy))
    return Evaluated(
        strategy=next(iter(files.values())).name.partition("/")[0],
        stages=stages,
        since=since,
        until=until,
        currency=currency,
        share_of_borrowers=share,
        outcomes=outcomes,
        seen=seen,
    )


def _nothing(young: list[DecidedRun], policy: EvaluationPolicy) -> str:
    """Why there are no decisions to look at; `young` are those of which it is not known yet what came of them."""
    if not young:
        return "no decision of that time and kind is in the log"
    first, days = young[0].business_date, policy.money_days + policy.posting_days
    from_ = first + timedelta(days=days)
    return f"what came of decisions is known {days} days after them, and the log's first one is of {first}: ask again from {from_} on"


def read_strategies(path: Path) -> dict[str, Policy]:
    """Stage → the strategy's text, from a file of one stage or a folder of them.

    Raises:
        EvaluationRefused: There is no such file, or it names no stage.
        ConfigError: It is no strategy.
    """
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise EvaluationRefused(f"{path} is neither a strategy's file nor a folder of them, such as config/strategies/static-ladder")
    found = {}
    for file in files:
        body = file.read_text("utf-8")
        plain = parse(file, body).plain
        stage = plain.get("stage") if isinstance(plain, dict) else None
        if stage not in STAGE_ORDER:
            raise EvaluationRefused(f"{file} names no stage: a strategy's file begins with one of {', '.join(STAGE_ORDER)}")
        name = file.parent.name or "tried"
        tried_strategy(name, stage, body, file)
        found[stage] = Policy("strategy", f"{name}/{stage}", body)
    return found


@dataclass(frozen=True, slots=True)
class _Tried:
    """A strategy, and what it needs beside its text where a run had none."""

    strategy: Policy
    beside: tuple[Policy, ...]


@dataclass(frozen=True, slots=True)
class _Frozen:
    """Up to which date a label of so many days is frozen."""

    policy: EvaluationPolicy
    today: date

    def until(self, days: int) -> date:
        return self.today - timedelta(days=days + self.policy.posting_days)


def _of_run(
    run: DecidedRun, tried: _Tried, source: Source, *, creditor: int | None, share: float, policy: EvaluationPolicy, today: date
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """A run's decisions with their labels, and their arms; a part at a time."""
    decided = _part_of(logged.read_logged(source, run, creditor=creditor), share)
    if decided.is_empty():
        return
    with connection(read_only=True, archive=True) as tx:
        then = policies_then(tx, run.stage, run.policy_hashes, instead={}, at=run.decided_at)
        other = policies_then(
            tx,
            run.stage,
            run.policy_hashes,
            instead={policy_key(tried.strategy): tried.strategy.hash},
            beside={policy_key(one): one.hash for one in tried.beside},
            at=run.decided_at,
            tried=(tried.strategy, *tried.beside),
        )
        kinds = kinds_asked(other.treatment)
    labels = _labels(run, source, policy, today)
    for (at, known_at), group in decided.group_by("decided_at", "facts_known_at", maintain_order=True):
        for start in range(0, group.height, SHARD_BORROWERS_MAX):
            part = group.slice(start, SHARD_BORROWERS_MAX)
            facts = facts_then(source, part["party_id"].to_list(), _wider(then, other), at=at, day=run.business_date, known_at=known_at)
            when: dict[str, Any] = {"at": at, "business_date": run.business_date}
            ways, slots = _ways_of_log(facts, then, weighs_hours=other.treatment.learned is not None, **when)
            predicts = predictor(source, facts, kinds, other.models, known_at=known_at, **when)
            judged = consider(facts, other.treatment, other.packs, other.texts, predicts=predicts, **when)
            target = arms_of_target(judged, in_slots=then.treatment.learned is not None and other.treatment.learned is None)
            # Who was erased since is in the log, and nothing is known of her.
            there = part.join(target, on="party_id", how="semi", maintain_order="left")
            arms = side_by_side(arms_of_log(there, ways, slots), target)
            known = (
                there.select("party_id", stage=pl.lit(run.stage), business_date=pl.lit(run.business_date))
                .with_columns(weekday=pl.lit(run.business_date.isoweekday()))
                .join(context(facts, at), on="party_id", how="left")
                .join(labels, on="party_id", how="left")
                .sort("party_id")
            )
            yield known, arms


def _ways_of_log(
    facts: Facts, then: InForce, *, weighs_hours: bool, at: datetime, business_date: date
) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """What the log's strategy had to say by each way; where only the other one weighs hours, also when it would have said it."""
    if weighs_hours and then.treatment.learned is None:
        considered = consider(facts, then.treatment, then.packs, then.texts, at=at, business_date=business_date)
        return message_of_ways(considered.candidates), slots_of_ways(considered)
    stands = standing(facts, then.treatment, at=at, business_date=business_date)
    return message_of_ways(candidates(facts, stands, then.treatment, then.texts)), None


def _wider(one: InForce, other: InForce) -> InForce:
    """The policies whose facts both strategies can be judged by: those of the one that looks at more."""
    looks = (len(other.treatment.looks_at), other.treatment.falls_back, other.treatment.rests.after_payment_days)
    return other if looks >= (len(one.treatment.looks_at), one.treatment.falls_back, one.treatment.rests.after_payment_days) else one


def _part_of(decided: pl.DataFrame, share: float) -> pl.DataFrame:
    """The decisions of a part of the borrowers, the same ones on every date."""
    if share >= 1:
        return decided
    drawn = keyed_numbers(decided["party_id"].to_numpy(), SEED.ljust(16)[:16])
    return decided.filter(pl.Series(drawn < share * PARTS))


def _labels(run: DecidedRun, source: Source, policy: EvaluationPolicy, today: date) -> pl.DataFrame:
    """What came of a run's decisions: `paid` (List of currency and amount), `contacts`, `complained`, `cured_…`; null = not known (yet)."""
    paid = logged.read_paid(source, run, days=policy.money_days)
    money = paid.group_by("party_id", maintain_order=True).agg(paid=pl.struct("currency", "paid_minor"))
    labels = money.join(logged.read_answered(source, run, days=policy.money_days), on="party_id", how="full", coalesce=True)
    for days in policy.cured_days:
        until = run.business_date + timedelta(days=days)
        with connection(read_only=True, archive=True) as tx:
            aged = until < today and figures.is_aged(tx, run.business_date) and figures.is_aged(tx, until)
        if aged:
            pair = figures.moved(source, since=run.business_date, until=until, stage=run.stage)
            cured = figures.cured_by_borrower(pair).rename({"cured": _cured(days)})
        else:
            cured = pl.DataFrame(schema={"party_id": pl.Int64, _cured(days): pl.Boolean})
        labels = labels.join(cured, on="party_id", how="left")
    return labels


def _cured(days: int) -> str:
    return f"cured_{days}_days"


def _judge(
    decisions: Sequence[pl.DataFrame],
    arms: Sequence[pl.DataFrame],
    frozen: _Frozen,
    policy: EvaluationPolicy,
    *,
    currency: str | None,
    until: date,
    nothing: str,
) -> tuple[str | None, dict[str, Evaluation]]:
    """Every outcome of the decisions whose label of it is frozen and known; `nothing` is said where there are none."""
    known = pl.concat(decisions) if decisions else None
    log = None if known is None else as_log(pl.concat(arms).sort("decision", maintain_order=True), known)
    days = {MONEY: policy.money_days, COMPLAINTS: policy.money_days, CONTACTS: policy.money_days}
    days |= {_cured(after): after for after in policy.cured_days}
    several = sorted(set() if known is None else known["paid"].explode().struct.field("currency").drop_nulls().unique())
    chosen = currency or (several[0] if len(several) == 1 else None)
    outcomes = {}
    for name, after in days.items():
        if log is None or known is None:
            outcomes[name] = _refused(None, nothing)
            continue
        if name == MONEY and chosen is None:
            outcomes[name] = _refused(log, f"the log has several currencies ({', '.join(several)}): name one with --currency")
            continue
        reward = _rewards(known, name, chosen)
        if until > frozen.until(after) and name != _cured(max(policy.cured_days)):
            outcomes[name] = _refused(
                log,
                f"what came of decisions until {until} is not known yet: with {after} days and {policy.posting_days} for posting, the last"
                f" frozen date is {frozen.until(after)} (--until)",
            )
            continue
        keep = (known["business_date"] <= frozen.until(after)).to_numpy() & np.isfinite(reward)
        if not keep.any():
            outcomes[name] = _refused(log, _unknown(name, after, frozen))
            continue
        outcomes[name] = evaluate(log.only(keep), reward[keep], policy.limits, seed=SEED)
    return chosen, outcomes


def _rewards(known: pl.DataFrame, name: str, currency: str | None) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """(n) of one outcome; NaN = not known."""
    if name == MONEY:
        of_currency = known.select("decision", "paid").explode("paid").unnest("paid").filter(pl.col("currency") == currency)
        paid = known.select("decision").join(of_currency, on="decision", how="left", maintain_order="left")["paid_minor"]
    else:
        paid = known[{COMPLAINTS: "complained", CONTACTS: "contacts"}.get(name, name)]
    return paid.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _unknown(name: str, after: int, frozen: _Frozen) -> str:
    if name in {MONEY, COMPLAINTS, CONTACTS}:
        return f"no decision until {frozen.until(after)}, the last date whose labels are frozen, has that outcome"
    return (
        f"no decision until {frozen.until(after)} was of somebody late whose loans were aged on its date and {after} days later:"
        " ageing is kept for dates on which a stage or the flow `age` ran"
    )


def _refused(log: Log | None, reason: str) -> Evaluation:
    return Evaluation(estimates=(), gain=None, logged=None, diagnostics=diagnose(log or _EMPTY), refused=reason)


_NONE: Final = np.zeros(0)
_EMPTY: Final = Log(
    borrower=_NONE.astype(np.int64),
    context=np.zeros((0, 1)),
    decision=_NONE.astype(np.int64),
    kind=_NONE.astype(np.int64),
    logged=_NONE,
    target=_NONE,
    chosen=_NONE.astype(np.int64),
)
