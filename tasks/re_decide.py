"""Re-decide: what would have been done on past dates, by other versions of rules, strategy and texts, or by those of then.

Each date stands for itself: people's history is what really happened, not what other versions would have made of the days
before. Nothing can be sent from here: this file and all that it imports know neither the gate nor a channel, nor how an
attempt is written (pyproject.toml, import-linter), and what it reads it reads in transactions that the database keeps from writing.

In:   a `ReDecide`.
Out:  a step of the backfill a date: counts, and one row of differences for each borrower who was decided otherwise.
Pure: no; reads the ledger, writes `backfill_*` and the texts of the versions tried.
Source: ARCHITECTURE.md I8; issue 6, item 4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo

import polars as pl
from sqlalchemy import Connection

from config.load import parse
from config.policies import ARM, Policy, message_policies, policies, price_policy, rule_policy
from config.rule_files import pack_text
from config.settings import settings
from config.strategy_files import strategy_body, tried_strategy
from config.zones import zone_tables
from decisions.assignment import kinds_asked, with_stopped
from decisions.backfills import DECIDED, booked_on, changed, compare_decisions
from decisions.choose import CAPPED, defer
from decisions.facts import Facts, type_instant
from decisions.models import UnreadableModelError
from ledger import backfill_reads, clock
from ledger.aging_facts import loan_chunks
from ledger.backfill_reads import DecidedRun
from ledger.backfills import Backfill, no_differences, open_backfill, wall_clock, write_step
from ledger.campaigns import ALL, SHARD_BORROWERS_MAX, seed_of, write_policies
from ledger.engine import arrow, connection
from ledger.facts import read_facts
from ledger.frames import Source
from ledger.in_force import InForce, in_force, policy_key
from ledger.law import law_in_force
from ledger.model_versions import NoModelError
from ledger.policies import find_policy
from ledger.run_policies import Common, read_common
from tasks.backfill_requests import THEN, ReDecide
from tasks.weigh import Weighing, looked_at, model_policies, weighed

MIDDAY: Final = time(12)
# What errors call the place of a strategy that is tried.
TRIED: Final = Path("tried")
HASH: Final = re.compile(r"[0-9a-f]{6,64}")


class BackfillRefused(ValueError):
    """It is not begun; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One run of a date, or, where there was none, what it would have been.

    Attributes:
        stage: Whose.
        scope: `all`, or the creditors' country.
        seed: Of its draws.
        hashes: `kind/name` → hash of what is to decide now.
        at: Business instant, for borrowers of whom nothing is decided.
        known_at: Wall clock, for the same.
        run: The run; None = there was none.
        common: What a model weighed by in it; None = nothing, or there was no run.
    """

    stage: str
    scope: str
    seed: str
    hashes: Mapping[str, str]
    at: datetime
    known_at: datetime
    run: DecidedRun | None
    common: Common | None = None

    @property
    def stopped(self) -> Mapping[str, Sequence[str]]:
        """Experiment → arms that were stopped by then."""
        return {} if self.common is None else self.common.trials


def open_re_decide(asked: ReDecide) -> Backfill:
    """Open the backfill, or take up the one that was broken off.

    Raises:
        BackfillRefused: Its dates lie in the future, or a version is not what it should be.
        UnknownVersionError: The ledger keeps no such version.
        ConfigError: A file cannot be read.
    """
    with connection() as tx:
        at = clock.now(tx)
        request = _request(asked, tx, at)
        return open_backfill(tx, "re_decide", request, first_on=asked.first, last_on=asked.last, at=at)


def foresee_re_decide(asked: ReDecide) -> dict[date, dict[str, Any]]:
    """The same without keeping what is found: date → stage → counts. Keeps the texts of the versions that are tried.

    Raises:
        BackfillRefused: As `open_re_decide`; likewise the other errors.
    """
    with connection() as tx:
        at, known_at = clock.now(tx), wall_clock(tx)
        request = _request(asked, tx, at)
    return {day: decided_again(request, day, at=at, known_at=known_at)[0] for day in asked.dates}


def _request(asked: ReDecide, tx: Connection, at: datetime) -> dict[str, Any]:
    """What is asked for, with every version by its hash. What cannot be read is said before anything is begun."""
    refuse_future(asked.last, at)
    instead = [_version(named, tx) for named in asked.instead]
    try:
        needed = needed_beside(tx, instead, at=at)
    except (NoModelError, UnreadableModelError) as fault:
        raise BackfillRefused(str(fault)) from None
    files = policies_in_files(tx, asked.stages)
    request = {
        "stages": list(asked.stages),
        "facts": asked.facts,
        "policies": THEN if asked.policies == THEN else files,
        "instead": write_policies(tx, instead),
        # Left out where nothing is needed: a backfill that was broken off before there was such a part is taken up again.
        **({"beside": write_policies(tx, needed)} if needed else {}),
    }
    for stage in asked.stages:
        _deciding(Part(stage=stage, scope=ALL, seed="", hashes=files[stage], at=at, known_at=at, run=None), request, tx)
    return request


def policies_in_files(tx: Connection, stages: Sequence[str]) -> dict[str, dict[str, str]]:
    """Stage → `kind/name` → hash of what is in force now, kept."""
    law = law_in_force(tx)
    return {stage: write_policies(tx, policies(stage, law.bodies)) for stage in stages}


def refuse_future(last: date, at: datetime) -> None:
    """What has not been yet cannot be looked back at.

    Raises:
        BackfillRefused: The last date lies behind today.
    """
    today = at.astimezone(ZoneInfo(settings().business_zone)).date()
    if last > today:
        raise BackfillRefused(f"{last.isoformat()} has not been yet: today is {today.isoformat()}")


def _version(named: str, tx: Connection) -> Policy:
    """A version by its hash, or a file that is to be tried."""
    if HASH.fullmatch(named):
        kept = find_policy(tx, named)
        return Policy(kept.kind, kept.name, kept.body)
    path = Path(named)
    if not path.is_file():
        raise BackfillRefused(f"{named} is neither the beginning of a hash (6 characters at least) nor a file")
    text = pack_text(path)
    plain = parse(path, text.removeprefix("\ufeff")).plain
    if isinstance(plain, dict) and isinstance(plain.get("jurisdiction"), str):
        return rule_policy(plain["jurisdiction"], text)
    if isinstance(plain, dict) and isinstance(plain.get("stage"), str):
        name, stage = path.parent.name or "tried", plain["stage"]
        tried_strategy(name, stage, text, path)
        return Policy("strategy", f"{name}/{stage}", text)
    raise BackfillRefused(f"{named} is neither a rule pack (jurisdiction: …) nor a strategy (stage: …)")


def re_decide_date(backfill: Backfill, day: date) -> Mapping[str, Any]:
    """Decide one date again and write down what differs; a date that is done is read back.

    Returns:
        Stage → counts, as `decisions.backfills.compare_decisions` gives them, and `policies_not_kept`.
    """
    if day in backfill.done:
        return backfill.done[day]
    counts, differences = decided_again(backfill.request, day, at=backfill.opened_at, known_at=backfill.known_at)
    with connection() as tx:
        write_step(tx, backfill, day, counts, differences)
    return counts


def decided_again(request: Mapping[str, Any], day: date, *, at: datetime, known_at: datetime) -> tuple[dict[str, Any], pl.DataFrame]:
    """Decide one date again. Writes nothing.

    Args:
        request: As `open_re_decide` writes it; `scope`, if any, is that of stages that had no run.
        day: Business date.
        at: Business instant of now.
        known_at: Wall clock: what is known now was recorded until then.

    Returns:
        Stage → counts; `ledger.backfills.DIFFERENCES`.
    """
    zone = _zone(request.get("scope", ALL))
    today = at.astimezone(zone).date()
    moment = at if day == today else datetime.combine(day, MIDDAY, zone).astimezone(UTC)
    booked = booked_on(day, today=today, closes_after_days=settings().month_closes_after_days)
    counts: dict[str, Any] = {}
    rows = [no_differences()]
    with connection(read_only=True, archive=True) as tx:
        parts = _parts(request, day, tx=tx, at=moment, known_at=known_at)
        deciding = [(part, _deciding(part, request, tx)) for part in parts]
        chunks = loan_chunks(tx)
    with arrow(read_only=True, archive=True) as source:
        people = _People(source, chunks, day)
        for stage in request["stages"]:
            then, now = [_NOBODY], [_NOBODY]
            not_kept: set[str] = set()
            for part, policy in deciding:
                if part.stage == stage:
                    before = _NOBODY if part.run is None else backfill_reads.read_decided(source, part.run)
                    then.append(before.select("party_id", *DECIDED))
                    now.extend(_decide(part, policy, before, people, latest=known_at if request["facts"] != AS_KNOWN_THEN else None))
                    not_kept |= set(policy.not_kept)
            frames = pl.concat(then), pl.concat(now)
            counts[stage] = {**compare_decisions(*frames), "policies_not_kept": sorted(not_kept)}
            differing = changed(*frames, key="party_id", columns=DECIDED)
            rows.append(
                differing.select(pl.lit(f"decision/{stage}").alias("what"), "subject_id", "before", "after", booked_on=pl.lit(booked))
            )
    return counts, pl.concat(rows)


def _zone(scope: str) -> ZoneInfo:
    """By whose clock a date begins."""
    own = None if scope == ALL else zone_tables().business_zone(scope)
    return ZoneInfo(own or settings().business_zone)


AS_KNOWN_THEN: Final = "as known then"
_NOBODY: Final = pl.DataFrame(schema={name: kind for name, kind in backfill_reads.DECIDED.items() if name == "party_id" or name in DECIDED})


def _parts(request: Mapping[str, Any], day: date, *, tx: Connection, at: datetime, known_at: datetime) -> list[Part]:
    """The runs of the date; for a stage that had none, one that would have been."""
    runs = backfill_reads.decided_runs(tx, day, request["stages"])
    scope = request.get("scope", ALL)
    parts = [
        Part(
            stage=run.stage,
            scope=run.scope,
            seed=run.seed,
            hashes=run.policy_hashes,
            at=run.decided_at,
            known_at=run.facts_known_at,
            run=run,
            common=read_common(tx, run.id),
        )
        for run in runs
    ]
    for stage in sorted(set(request["stages"]) - {run.stage for run in runs}):
        before = backfill_reads.policies_before(tx, stage, day) or {}
        parts.append(Part(stage=stage, scope=scope, seed=seed_of(stage, day, scope), hashes=before, at=at, known_at=known_at, run=None))
    if request["policies"] == THEN:
        return parts
    return [replace(part, hashes=request["policies"][part.stage]) for part in parts]


def _deciding(part: Part, request: Mapping[str, Any], tx: Connection) -> InForce:
    """The policies that decide now: the part's, with other versions in their place."""
    return policies_then(tx, part.stage, part.hashes, instead=request["instead"], beside=request.get("beside", {}), at=part.at)


def needed_beside(tx: Connection, tried: Iterable[Policy], *, at: datetime) -> tuple[Policy, ...]:
    """What strategies that are tried need beside their texts, as it is now: who treats whom they hold out, prices, models.

    Raises:
        ConfigError: A strategy, or its champion's file, cannot be read.
        NoModelError: It asks a kind of model of which there is none that may be used.
        UnreadableModelError: Its model's text is not what its version says.
    """
    found: list[Policy] = []
    for one in tried:
        if one.kind != "strategy":
            continue
        name, _, stage = one.name.partition("/")
        read = tried_strategy(name, stage, one.body, TRIED)
        if read.learned and read.learned.hold_outs:
            champion = read.learned.hold_outs.champion.name
            found.append(Policy(ARM, f"{champion}/{stage}", strategy_body(champion, stage)))
        if read.weighs_cost:
            found.append(price_policy())
        found += model_policies(tx, kinds_asked(read), {}, at=at)
    return tuple({policy_key(policy): policy for policy in found}.values())


def policies_then(
    tx: Connection,
    stage: str,
    then: Mapping[str, str],
    *,
    instead: Mapping[str, str],
    beside: Mapping[str, str] = MappingProxyType({}),
    at: datetime,
    tried: Sequence[Policy] = (),
) -> InForce:
    """The policies by which a stage decided, with other versions in their place.

    Args:
        tx: Any.
        stage: Whose.
        then: `kind/name` → hash; empty = today's.
        instead: Likewise, in their place; another strategy than the stage's takes the place of the stage's.
        beside: Likewise, where there was none of that name.
        at: Business instant, for approvals in live mode.
        tried: Policies that `instead` or `beside` names and the ledger does not keep.
    """
    today = (*tried, *policies(stage))
    hashes = dict(then) or {policy_key(policy): policy.hash for policy in policies(stage)}
    for name, version in instead.items():
        if name.startswith("strategy/"):
            if not name.endswith(f"/{stage}"):
                continue
            hashes = {other: kept for other, kept in hashes.items() if not other.startswith("strategy/")}
        hashes[name] = version
    hashes = {**beside, **hashes}
    found = in_force(tx, hashes, today, stage=stage, at=at)
    held_out = found.treatment.learned.hold_outs if found.treatment.learned else None
    treated = (found.treatment,) if held_out is None else (found.treatment, held_out.champion)
    without_text = {step.message for one in treated for step in one.steps} - {message for message, _ in found.texts.by_key}
    if not without_text:
        return found
    # A message that was not said then: its texts are today's.
    more = {policy_key(policy): policy for policy in message_policies(without_text)}
    hashes |= {name: policy.hash for name, policy in more.items()}
    return replace(in_force(tx, hashes, (*today, *more.values()), stage=stage, at=at), not_kept=found.not_kept)


class _People:
    """Who was in which stage on a date; each way of knowing it is worked out once."""

    def __init__(self, source: Source, chunks: Sequence[range], day: date) -> None:
        """Ask a source, about loans in these ranges of ids."""
        self.source, self.day = source, day
        self._chunks = chunks
        self._staged: dict[tuple[datetime, str], pl.DataFrame] = {}

    def of(self, part: Part, policy: InForce, *, known_at: datetime) -> list[int]:
        """Party ids of the part's stage."""
        key = (known_at, policy.hashes["ageing/ageing"])
        if key not in self._staged:
            self._staged[key] = backfill_reads.staged_as_known(self.source, self._chunks, self.day, known_at=known_at, policy=policy.ageing)
        mine = pl.col("stage") == part.stage
        if part.scope != ALL:
            mine &= pl.col("country") == part.scope
        return self._staged[key].filter(mine)["party_id"].to_list()


def _decide(part: Part, policy: InForce, before: pl.DataFrame, people: _People, *, latest: datetime | None) -> Iterator[pl.DataFrame]:
    """Decide for everybody of a part again: who was decided for, by the facts of that moment; who would be in the stage besides."""
    groups: dict[tuple[datetime, datetime], list[int]] = {}
    if part.run is not None:
        for key, group in before.group_by("decided_at", "facts_known_at", maintain_order=True):
            groups[key[0], key[1]] = group["party_id"].to_list()
    known = set(before["party_id"])
    # A full cap is no fact about a borrower: whom it put off then is put off again.
    put_off = before.filter(pl.col("reasons").list.contains(CAPPED))["party_id"].to_list()
    # A run for the first so many borrowers says nothing of the others.
    whole_stage = part.run is None or part.run.borrowers_max is None
    besides = [party for party in people.of(part, policy, known_at=latest or part.known_at) if party not in known] if whole_stage else []
    groups.setdefault((part.at, part.known_at), []).extend(besides)
    for (at, known_at), parties in groups.items():
        whole = sorted(parties)
        for start in range(0, len(whole), SHARD_BORROWERS_MAX):
            shard = whole[start : start + SHARD_BORROWERS_MAX]
            facts = facts_then(people.source, shard, policy, at=at, day=people.day, known_at=latest or known_at)
            if latest is not None or part.run is None:
                facts = _until(facts, at)
            found = weighed(
                people.source,
                facts,
                policy.treatment,
                policy.packs,
                policy.texts,
                Weighing(common=part.common, models=policy.models, trials=with_stopped(policy.trials, part.stopped)),
                at=at,
                business_date=people.day,
                seed=part.seed.encode(),
                known_at=latest or known_at,
            )
            yield defer(found, put_off).select("party_id", *DECIDED)


def facts_then(source: Source, parties: Sequence[int], policy: InForce, *, at: datetime, day: date, known_at: datetime) -> Facts:
    """What could be known about borrowers when a date was decided, as far as these policies look at it."""
    return read_facts(
        source,
        parties=parties,
        at=at,
        business_date=day,
        loans="now",
        known_at=known_at,
        **looked_at(policy.treatment, policy.trials, day),
        ageing=policy.ageing,
    )


def _until(facts: Facts, at: datetime) -> Facts:
    """Without the contacts that came only afterwards, the day's own among them."""
    earlier = pl.col("at") < pl.lit(at, dtype=type_instant)
    return replace(facts, history=facts.history.filter(earlier), treatments=facts.treatments.filter(earlier))
