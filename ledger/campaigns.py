"""Campaign runs: one stage on one business date, and the shards into which its borrowers are cut.

The ledger, not Prefect, says what a run has done: a second run of the flow for the same date finds the row, its shards
and what was decided in them, and goes on from there.

In:   a connection inside a transaction; a stage, a date, a part of the portfolio.
Out:  rows of `campaign_run`, `campaign_shard`, `policy_version`; counts of what is left to do.
Pure: no.
"""

from __future__ import annotations

import hmac
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Any, Final, Protocol
from uuid import UUID

import polars as pl
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.sql import bindparam

from config.settings import settings
from ledger import clock
from ledger.frames import Source, ids_clause, read, widened
from ledger.tables import SENDING_APPROVALS, SENDING_CANARIES, SERVICES, STAGES, PolicyVersion

ALL: Final = "all"
STOPPED_STATES: Final = frozenset({"paused", "rejected"})
# A shard is what Prefect orchestrates, retries and shows; ARCHITECTURE.md, "One borrower through one stage".
SHARD_BORROWERS_MIN: Final = 5_000
SHARD_BORROWERS_MAX: Final = 20_000
# Every shard costs some hundred calls of fixed price: as few as keep several workers busy.
SHARDS_WANTED: Final = 10
# A shard is a task run when it is chosen and another when it is sent, and a run has at most 200 (docs/adr/0079).
SHARDS_MAX: Final = 90


class Policy(Protocol):
    """A rule pack, strategy, message, … as it was in force: what kind, its name, its text, the hash of the text."""

    @property
    def kind(self) -> str:
        """As in `policy_version.kind`: rules, strategy, message, experiment, calendar, ageing."""
        ...

    @property
    def name(self) -> str:
        """Unique among the policies of a kind: "us", "static-ladder/early", "early_reminder/en"."""
        ...

    @property
    def hash(self) -> str:
        """Of the body."""
        ...

    @property
    def body(self) -> str:
        """The whole text."""
        ...


class RunRefused(RuntimeError):
    """The run of this date cannot be taken up again as asked; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A campaign run as it stands.

    Attributes:
        id: Of `campaign_run`.
        stage: early, ….
        business_date: The local date at which the portfolio is treated.
        scope: `all`, or the creditors' country.
        state: open, closed, paused, rejected.
        preview: Decided and shown, nothing sent.
        borrowers_max: The first so many by id; None = all.
        seed: Of every draw in the run.
        policy_hashes: `kind/name` → hash, of what was in force when it was opened.
        approval: Whether people have said yes to it, a word of `ledger.tables.RUN_APPROVALS`.
        approval_above: Contacts above which they are asked; None = they are not asked.
        approval_subject: Hash of what they were asked about last.
        canary: Whether few go first, a word of `ledger.tables.RUN_CANARIES`.
        canary_rank: Who they are: those up to this rank.
    """

    id: int
    stage: str
    business_date: date
    scope: str
    state: str
    preview: bool
    borrowers_max: int | None
    seed: str
    policy_hashes: Mapping[str, str]
    approval: str
    approval_above: int | None
    approval_subject: str | None
    canary: str
    canary_rank: str | None

    @property
    def may_send(self) -> bool:
        """Whether anything of it may reach a person: no preview, not stopped, nobody has still to say yes, few went first or go now."""
        stopped = self.preview or self.state in STOPPED_STATES
        return not stopped and self.approval in SENDING_APPROVALS and self.canary in SENDING_CANARIES

    @property
    def strategy(self) -> str:
        """Name of the strategy that treats it, as its policies say; of a run that names none, of the one in force."""
        named = (policy.split("/")[1] for policy in self.policy_hashes if policy.startswith("strategy/"))
        return next(named, settings().strategy)

    @property
    def rank_max(self) -> str | None:
        """Only whose rank is no higher may be contacted now; None = everybody."""
        return self.canary_rank if self.canary == "trying" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A part of a run's borrowers: those of the stage whose party ids lie in [first, last]."""

    shard: int
    first_party_id: int
    last_party_id: int
    borrowers: int
    planned: int | None
    withheld: int | None
    decided_at: datetime | None


def open_run(
    connection: Connection,
    *,
    stage: str,
    business_date: date,
    scope: str = ALL,
    preview: bool,
    borrowers_max: int | None,
    policies: Iterable[Policy],
    at: datetime,
    approval_above: int | None = None,
    few_first: bool = False,
) -> int:
    """Open the stage's run for a date, or take up the one that is there.

    A preview that is followed by a run that sends becomes one that sends, never the other way about: what was let out
    stays a run of its own kind. A later run may reach further (a higher `borrowers_max`, or none), not less far. It may
    ask people about fewer contacts than before, never about more only.

    Args:
        connection: Inside a transaction.
        stage: One of `ledger.tables.STAGES`, or of `SERVICES`.
        business_date: Local date.
        scope: `all`, or an ISO 3166-1 country of creditors; of a service what it is about, as `incident-7` or `message-7`.
        preview: Decide and show only.
        borrowers_max: At most so many borrowers, ≥ 1; None = all.
        policies: What is in force; kept whole in `policy_version`.
        at: Business instant.
        approval_above: Contacts above which people are asked before anything is sent; None = they are not asked.
        few_first: Nothing is sent before it is decided whether few go first (ledger/canaries.py).

    Returns:
        Id of the run.

    Raises:
        ValueError: An unknown stage or scope, or no borrower at most.
        RunRefused: The run was rejected by a person; or shards were decided already, and since then the policies
            changed; or it reaches further than now asked for.
    """
    if stage not in (*STAGES, *SERVICES):
        raise ValueError(f"unknown stage {stage!r}: one of {', '.join((*STAGES, *SERVICES))}")
    if scope != ALL and not re.fullmatch("[A-Z]{2}" if stage in STAGES else "[a-z]+-[0-9]+", scope):
        raise ValueError(f"unknown scope {scope!r}: 'all' or a country such as TW")
    if borrowers_max is not None and borrowers_max < 1:
        raise ValueError("a run treats at least one borrower")
    hashes = write_policies(connection, policies)
    key = {"stage": stage, "business_date": business_date, "scope": scope}
    asked = {"preview": preview, "borrowers_max": borrowers_max, "policy_hashes": hashes, "above": approval_above, "mode": settings().mode}
    seed = seed_of(stage, business_date, scope)
    opened: int | None = connection.execute(_OPEN, {**key, **asked, "seed": seed, "at": at}).scalar()
    run = _take_up(connection, key, asked) if opened is None else opened
    if few_first:
        connection.execute(_FEW_FIRST, {"id": run})
    return run


def policies_of_run(connection: Connection, *, stage: str, business_date: date, scope: str) -> Mapping[str, str]:
    """By which policies a run was opened, `kind/name` → hash; empty = there is none."""
    key = {"stage": stage, "business_date": business_date, "scope": scope}
    return dict(connection.execute(_POLICIES_OF_RUN, key).scalar() or {})


def creditor_countries(connection: Connection) -> list[str]:
    """Countries (ISO 3166-1) in which creditors of the portfolio are, ascending."""
    return list(connection.execute(_CREDITOR_COUNTRIES).scalars())


def seed_of(stage: str, business_date: date, scope: str = ALL) -> str:
    """Seed of every draw in the run of that stage, date and part: nobody knows it who does not know the installation's."""
    return hmac.digest(settings().seed.get_secret_value().encode(), f"{stage} {business_date} {scope}".encode(), sha256).hex()


def _take_up(connection: Connection, key: Mapping[str, Any], asked: Mapping[str, Any]) -> int:
    """Widen the run that is there to what is asked for, and open it again."""
    found = connection.execute(_FIND, key).one()
    name = f"campaign run {found.id} ({key['stage']} {key['business_date'].isoformat()})"
    if found.caught_up_on is not None:
        raise RunRefused(
            f"{name} was missed, caught up on {found.caught_up_on.isoformat()}: what was due then is not sent any more; run today's date"
        )
    if found.state == "rejected":
        raise RunRefused(f"{name} was rejected by a person; it does not run again for this date")
    decided = found.decided > 0
    changed = sorted(
        policy
        for policy in found.policy_hashes.keys() | asked["policy_hashes"].keys()
        if found.policy_hashes.get(policy) != asked["policy_hashes"].get(policy)
    )
    if decided and changed:
        raise RunRefused(
            f"{name} has decided with other policies: {', '.join(changed)}. Bring them back to complete it, or begin with the next date"
        )
    limit = asked["borrowers_max"]
    if decided and limit is not None and (found.borrowers_max is None or found.borrowers_max > limit):
        reaches = "all borrowers" if found.borrowers_max is None else f"{found.borrowers_max} borrowers"
        raise RunRefused(f"{name} has decided for {reaches} already; it cannot be narrowed to {limit}")
    connection.execute(
        _TAKE_UP,
        {
            "id": found.id,
            "preview": found.preview and asked["preview"],
            "borrowers_max": limit,
            "policy_hashes": asked["policy_hashes"],
            "above": asked["above"],
        },
    )
    return int(found.id)


def write_policies(connection: Connection, policies: Iterable[Policy]) -> dict[str, str]:
    """Keep the text of policies that were not kept yet; returns `kind/name` → hash."""
    kept = list(policies)
    if kept:
        rows = [{"hash": policy.hash, "kind": policy.kind, "name": policy.name, "body": policy.body} for policy in kept]
        connection.execute(insert(PolicyVersion).on_conflict_do_nothing(), rows)
    return {f"{policy.kind}/{policy.name}": policy.hash for policy in kept}


def read_run(connection: Connection, campaign_run_id: int) -> Run:
    """One run.

    Raises:
        LookupError: There is none with this id.
    """
    row = connection.execute(_READ, {"id": campaign_run_id}).one_or_none()
    if row is None:
        raise LookupError(f"no campaign run {campaign_run_id}")
    return Run(**row._mapping)  # noqa: SLF001  # SQLAlchemy's public name for a row as a mapping


def note_flow_run(connection: Connection, campaign_run_id: int, flow_run_id: UUID) -> None:
    """Write down which run of a Prefect flow treats a run; noting it twice changes nothing."""
    connection.execute(_NOTE_FLOW_RUN, {"id": campaign_run_id, "flow_run": flow_run_id})


def read_flow_runs(connection: Connection, campaign_run_id: int) -> list[UUID]:
    """The runs of Prefect flows that treated a run, oldest first; empty where it was opened without Prefect."""
    return list(connection.execute(_FLOW_RUNS, {"id": campaign_run_id}).scalar_one_or_none() or [])


def runs_of(connection: Connection, business_date: date) -> list[int]:
    """Ids of a date's runs: of each stage, and of each part of the portfolio."""
    return list(connection.execute(_RUNS_OF, {"on": business_date}).scalars())


def close_run(connection: Connection, campaign_run_id: int, *, at: datetime) -> None:
    """Say that a run is done; a run that is paused or rejected stays what it is."""
    connection.execute(_CLOSE, {"id": campaign_run_id, "at": at})


def cut_shards(connection: Connection, campaign_run_id: int) -> list[int]:
    """Cut the stage's borrowers, as `loan_aging` has them, into shards.

    A borrower belongs to the stage of the worst loan for which they stand as borrower or co-borrower. Parts that were
    decided stay as they are; a run that now reaches further gets more parts behind them.

    Returns:
        Numbers of all shards of the run, ascending; empty when nobody is in the stage.
    """
    run = read_run(connection, campaign_run_id)
    # Two runs of the flow at once: the second waits, then finds the first one's shards.
    connection.execute(_LOCK_RUN, {"id": run.id})
    shards = read_shards(connection, run.id)
    if any(shard.decided_at is not None for shard in shards):
        behind, number = shards[-1].last_party_id, shards[-1].shard + 1
    else:
        connection.execute(_FORGET_SHARDS, {"id": run.id})
        behind, number, shards = 0, 0, []
    left = None if run.borrowers_max is None else run.borrowers_max - sum(shard.borrowers for shard in shards)
    if left is None or left > 0:
        where = {**_staged(run), "behind": behind, "left": left}
        connection.execute(_STAGE, where)
        borrowers = connection.execute(_COUNT_STAGED).scalar_one()
        size = shard_size(borrowers, shards_max=SHARDS_MAX - len(shards))
        connection.execute(_CUT, {"id": run.id, "number": number, "size": size})
        connection.execute(_UNSTAGE)
    return [shard.shard for shard in read_shards(connection, run.id)]


def cut_whole(connection: Connection, campaign_run_id: int, party_ids: Sequence[int]) -> None:
    """Make these people the one part of a service's run."""
    keys = {"run": campaign_run_id, "first": min(party_ids), "last": max(party_ids), "people": len(set(party_ids))}
    connection.execute(_CUT_WHOLE, keys)


def is_planned(connection: Connection, *, stage: str, scope: str) -> bool:
    """Whether a run of that stage and scope, of any date, has been cut into shards: what it is about is planned."""
    return connection.execute(_IS_PLANNED, {"stage": stage, "scope": scope}).scalar() is not None


def shard_size(borrowers: int, *, shards_max: int = SHARDS_MAX) -> int:
    """Borrowers a shard: about `SHARDS_WANTED` shards of 5,000 to 20,000, larger ones only where `shards_max` would not do."""
    usual = min(SHARD_BORROWERS_MAX, max(SHARD_BORROWERS_MIN, math.ceil(borrowers / SHARDS_WANTED)))
    return max(usual, math.ceil(borrowers / max(shards_max, 1)))


def read_shards(connection: Connection, campaign_run_id: int) -> list[Shard]:
    """The shards of a run, ascending."""
    return [Shard(**row._mapping) for row in connection.execute(_SHARDS, {"id": campaign_run_id})]  # noqa: SLF001  # as above


def read_shard(connection: Connection, campaign_run_id: int, shard: int) -> Shard:
    """One shard.

    Raises:
        LookupError: The run has no such shard.
    """
    for found in read_shards(connection, campaign_run_id):
        if found.shard == shard:
            return found
    raise LookupError(f"campaign run {campaign_run_id} has no shard {shard}")


def shard_borrowers(source: Source, run: Run, shard: Shard) -> list[int]:
    """Party ids of a shard's borrowers, ascending: those of its range who are in the run's stage."""
    staged = _staged(run)
    ends = {"first": shard.first_party_id, "last": shard.last_party_id}
    loans = read(source, _LOANS_OF_SHARD.format(**ends), {"loan_id": pl.Int64})["loan_id"].to_list()
    statement = _STAGED_LITERAL.format(
        on=f"'{run.business_date.isoformat()}'::date",
        severity=staged["severity"],
        # A scope is two capital letters or `all` (open_run, and the column's only writer).
        scope=run.scope,
        loans=ids_clause(widened(loans)),
        **ends,
    )
    return read(source, statement, {"party_id": pl.Int64})["party_id"].to_list()


def finish_shard(connection: Connection, campaign_run_id: int, shard: int, *, planned: int, withheld: int, at: datetime) -> None:
    """Say that a shard is decided; in the transaction that writes its decisions.

    Raises:
        LookupError: The run has no such shard, or it is decided already.
    """
    done = connection.execute(_FINISH, {"id": campaign_run_id, "shard": shard, "planned": planned, "withheld": withheld, "at": at})
    if done.rowcount != 1:
        raise LookupError(f"campaign run {campaign_run_id} has no undecided shard {shard}")
    # Whatever people have said, they said it of what was decided until then.
    connection.execute(_UNDECIDED_AGAIN, {"id": campaign_run_id})


def unfinished(connection: Connection, campaign_run_id: int) -> dict[str, int]:
    """What a run has still to do now; empty when all is done that can be done.

    Not counted: attempts that wait for a later hour (flows/dispatch takes them), that wait for the provider's evidence
    (flows/reconcile settles them), that wait for a person to dial (gate/dial.py), and those of a preview or of a run to which
    nobody has said yes.

    Returns:
        Of `shards undecided`, `attempts due`, `attempts submitting`: those above zero.
    """
    counts = connection.execute(_UNFINISHED, {"id": campaign_run_id, "now": clock.now(connection)}).mappings().one()
    return {what: count for what, count in counts.items() if count}


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftToDo:
    """How far a run is.

    Attributes:
        shards: How many it has.
        undecided: Of these.
        planned: Contacts that were planned.
        due: Of these, due now and not yet let go; all of them while shards are undecided.
    """

    shards: int
    undecided: int
    planned: int
    due: int


def left_to_do(connection: Connection, campaign_run_id: int) -> LeftToDo:
    """How far a run is: by its shards and by an index over what is still planned, so that it may be asked while it sends."""
    return LeftToDo(**connection.execute(_LEFT_TO_DO, {"id": campaign_run_id, "now": clock.now(connection)}).mappings().one())


def _staged(run: Run) -> dict[str, Any]:
    return {"business_date": run.business_date, "severity": STAGES.index(run.stage), "scope": run.scope}


_RUN_COLUMNS = (
    "id, stage, business_date, scope, state, preview, borrowers_max, seed, policy_hashes, approval, approval_above, approval_subject,"
    " canary, canary_rank"
)
_IS_PLANNED = text("""
    SELECT 1 FROM campaign_run r JOIN campaign_shard s ON s.campaign_run_id = r.id WHERE r.stage = :stage AND r.scope = :scope LIMIT 1
""")
_OPEN = text("""
    INSERT INTO campaign_run (stage, business_date, scope, state, preview, borrowers_max, seed, policy_hashes, opened_at,
                              approval, approval_above, mode)
    VALUES (:stage, :business_date, :scope, 'open', :preview, :borrowers_max, :seed, :policy_hashes, :at,
            CASE WHEN CAST(:above AS integer) IS NULL THEN 'none' ELSE 'undecided' END, :above, :mode)
    ON CONFLICT ON CONSTRAINT campaign_run_once DO NOTHING
    RETURNING id
""").bindparams(bindparam("policy_hashes", type_=JSONB))
_POLICIES_OF_RUN = text("SELECT policy_hashes FROM campaign_run WHERE stage = :stage AND business_date = :business_date AND scope = :scope")
_FIND = text("""
    SELECT r.id, r.state, r.caught_up_on, r.preview, r.borrowers_max, r.policy_hashes,
           (SELECT count(*) FROM campaign_shard s WHERE s.campaign_run_id = r.id AND s.decided_at IS NOT NULL) AS decided
    FROM campaign_run r
    WHERE r.stage = :stage AND r.business_date = :business_date AND r.scope = :scope
    FOR UPDATE
""")
_TAKE_UP = text("""
    UPDATE campaign_run
    SET preview = :preview, borrowers_max = :borrowers_max, policy_hashes = :policy_hashes,
        state = CASE state WHEN 'closed' THEN 'open' ELSE state END, closed_at = NULL,
        -- least() passes over NULL: whoever asks about fewer contacts wins.
        approval_above = least(approval_above, CAST(:above AS integer)),
        approval = CASE WHEN approval = 'none' AND (approval_above IS NULL OR CAST(:above AS integer) < approval_above)
                        AND CAST(:above AS integer) IS NOT NULL THEN 'undecided' ELSE approval END
    WHERE id = :id
""").bindparams(bindparam("policy_hashes", type_=JSONB))
_READ = text(f"SELECT {_RUN_COLUMNS} FROM campaign_run WHERE id = :id")  # noqa: S608  # the columns above
_NOTE_FLOW_RUN = text("""
    UPDATE campaign_run SET flow_run_ids = array_append(flow_run_ids, CAST(:flow_run AS uuid))
    WHERE id = :id AND CAST(:flow_run AS uuid) <> ALL (flow_run_ids)
""")
_RUNS_OF = text("SELECT id FROM campaign_run WHERE business_date = :on ORDER BY id")
_FLOW_RUNS = text("SELECT flow_run_ids FROM campaign_run WHERE id = :id")
_CREDITOR_COUNTRIES = text("SELECT DISTINCT country FROM creditor ORDER BY country")
_LOCK_RUN = text("SELECT id FROM campaign_run WHERE id = :id FOR UPDATE")
_CLOSE = text("UPDATE campaign_run SET state = 'closed', closed_at = :at WHERE id = :id AND state = 'open'")

_STAGES_BY_SEVERITY = "ARRAY[" + ", ".join(f"'{stage}'" for stage in STAGES) + "]"
# Borrowers of a stage: the stage of their worst loan. `in_plan` and "within grace" have no severity.
_STAGED = f"""
    SELECT lp.party_id
    FROM loan_aging a
    JOIN loan_party lp ON lp.loan_id = a.loan_id AND lp.superseded_at IS NULL AND lp.role IN ('borrower', 'co_borrower')
     AND (lp.starts_on IS NULL OR lp.starts_on <= a.business_date) AND (lp.ends_on IS NULL OR lp.ends_on > a.business_date)
    JOIN party p ON p.id = lp.party_id
    JOIN creditor c ON c.id = p.creditor_id
    WHERE a.business_date = {{on}} AND {{which}} AND ({{scope}} = 'all' OR c.country = {{scope}})
    GROUP BY lp.party_id
    HAVING max(array_position({_STAGES_BY_SEVERITY}, a.stage)) = {{severity}} + 1
    ORDER BY lp.party_id
"""  # noqa: S608  # our own words
_STAGED_BOUND = _STAGED.format(on=":business_date", which="lp.party_id > :behind", scope=":scope", severity=":severity") + " LIMIT :left"
# The shard's loans are handed over as a list: the planner would otherwise read the whole day's ageing once a shard.
_STAGED_LITERAL = _STAGED.replace(
    "{which}", "lp.party_id BETWEEN {first:d} AND {last:d} AND lp.loan_id {loans} AND a.loan_id {loans}"
).replace("{scope}", "'{scope}'")
_LOANS_OF_SHARD = (
    "SELECT DISTINCT loan_id FROM loan_party WHERE superseded_at IS NULL AND party_id BETWEEN {first:d} AND {last:d} ORDER BY loan_id"
)
# Found once, counted and cut.
_STAGE = text(f"CREATE TEMPORARY TABLE staged_now ON COMMIT DROP AS {_STAGED_BOUND}")
_COUNT_STAGED = text("SELECT count(*) FROM staged_now")
_CUT = text("""
    INSERT INTO campaign_shard (campaign_run_id, shard, first_party_id, last_party_id, borrowers)
    SELECT :id, :number + part, min(party_id), max(party_id), count(*)
    FROM (SELECT party_id, (row_number() OVER (ORDER BY party_id) - 1) / :size AS part FROM staged_now) numbered
    GROUP BY part
""")
_UNSTAGE = text("DROP TABLE staged_now")
_CUT_WHOLE = text("""
    INSERT INTO campaign_shard (campaign_run_id, shard, first_party_id, last_party_id, borrowers) VALUES (:run, 1, :first, :last, :people)
""")
_FORGET_SHARDS = text("DELETE FROM campaign_shard WHERE campaign_run_id = :id")
_SHARDS = text("""
    SELECT shard, first_party_id, last_party_id, borrowers, planned, withheld, decided_at
    FROM campaign_shard WHERE campaign_run_id = :id ORDER BY shard
""")
_FINISH = text("""
    UPDATE campaign_shard SET planned = :planned, withheld = :withheld, decided_at = :at
    WHERE campaign_run_id = :id AND shard = :shard AND decided_at IS NULL
""")
_LEFT_TO_DO = text("""
    SELECT count(*) AS shards, count(*) FILTER (WHERE s.decided_at IS NULL) AS undecided, coalesce(sum(s.planned), 0)::bigint AS planned,
           -- While shards are decided nothing is sent, and each that is would count what all have planned.
           CASE WHEN count(*) FILTER (WHERE s.decided_at IS NULL) > 0 THEN coalesce(sum(s.planned), 0)::bigint ELSE (
               SELECT count(*) FROM attempt a
               WHERE a.campaign_run_id = :id AND a.state = 'planned' AND a.send_after <= :now AND a.expires_at > :now
                 AND a.channel <> 'call') END AS due
    FROM campaign_shard s WHERE s.campaign_run_id = :id
""")
_FEW_FIRST = text("UPDATE campaign_run SET canary = 'undecided' WHERE id = :id AND canary = 'none'")
_UNDECIDED_AGAIN = text("""
    UPDATE campaign_run SET approval = 'undecided'
    WHERE id = :id AND approval_above IS NOT NULL AND approval NOT IN ('undecided', 'rejected')
""")
_UNFINISHED = text("""
    SELECT (SELECT count(*) FROM campaign_shard s WHERE s.campaign_run_id = r.id AND s.decided_at IS NULL) AS "shards undecided",
           (SELECT count(*) FROM attempt a
            WHERE a.campaign_run_id = r.id AND a.state = 'planned' AND a.send_after <= :now AND a.expires_at > :now AND a.channel <> 'call'
              AND NOT r.preview AND r.approval IN ('none', 'approved')
              AND (r.canary IN ('none', 'passed')
                   OR (r.canary = 'trying' AND md5(r.seed || ' ' || a.party_id) <= r.canary_rank))) AS "attempts due",
           (SELECT count(*) FROM attempt a WHERE a.campaign_run_id = r.id AND a.state = 'submitting') AS "attempts submitting"
    FROM campaign_run r WHERE r.id = :id
""")
