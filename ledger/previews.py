"""What a run has planned, before anything of it is sent: groups, a few examples, and how it stood the last time.

In:   a connection; a campaign run's id.
Out:  rows in counts; ids of the examples, for whoever writes their words.
Pure: no; reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy import Connection, text

from config.load import ConfigError
from decisions.assignment import ORDINARY, asking, with_stopped
from decisions.choose import GROUP
from decisions.policy import PoolPrice
from decisions.preview import Before, ContactCounts, Group, Say, Scarce, Treated, Weighed
from decisions.strategy import Learned
from ledger import approvals
from ledger.campaigns import Run
from ledger.in_force import treating
from ledger.run_policies import read_common, used_so_far
from ledger.run_standings import RANK

# What a model is called among the policies of a run.
MODEL: Final = f"{approvals.MODEL}/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A planned attempt whose words are to be shown."""

    party_id: int
    channel: str
    message: str
    locale: str
    creditor_name: str
    creditor_role: str


def read_groups(connection: Connection, campaign_run_id: int) -> list[Group]:
    """What is still planned, in groups, largest first."""
    return [Group(**row) for row in connection.execute(_GROUPS, {"id": campaign_run_id}).mappings()]


def read_window(connection: Connection, campaign_run_id: int) -> tuple[datetime | None, datetime | None]:
    """From when on the first planned attempt may be sent, and until when the last one."""
    row = connection.execute(_WINDOW, {"id": campaign_run_id}).one()
    return row.first_at, row.last_until


def read_examples(connection: Connection, campaign_run_id: int, *, of_each: int) -> list[Example]:
    """Planned attempts of every kind of message, up to so many of each; by a rank that says nothing about anybody."""
    keys = {"id": campaign_run_id, "of_each": of_each}
    return [Example(**row) for row in connection.execute(_EXAMPLES, keys).mappings()]


def read_weighed(connection: Connection, run: Run) -> Weighed | None:
    """What a model weighs in a run, and who is held out or tried on; None = a ladder decides for everybody, or nothing is decided.

    Read from the texts that the run was opened with, whatever became of their files.
    """
    common = read_common(connection, run.id)
    if common is None:
        return None
    models = {name.removeprefix(MODEL): version for name, version in sorted(run.policy_hashes.items()) if name.startswith(MODEL)}
    treated = [Treated(**row) for row in connection.execute(_TREATED, {"id": run.id, "group": GROUP, "ordinary": ORDINARY}).mappings()]
    try:
        treatment, trials = treating(connection, run.policy_hashes, stage=run.stage)
    except (ConfigError, LookupError) as error:
        return Weighed(models=models, says=(), contacts=(), treated=treated, scarce=(), unread=" ".join(str(error).split()))
    says = [(group, one.name, one.learned) for group, one in asking(treatment, with_stopped(trials, common.trials)) if one.learned]
    pools, medians = common.prices.pools, common.prices.medians
    ids = {pool.creditor_id for pool in pools} | {median.creditor_id for median in medians}
    names = {row.id: row.name for row in connection.execute(_CREDITORS, {"ids": sorted(ids)})}
    # Where nothing is bounded, and no median was found, no currency is known to be owed in: all that are weighed are named.
    owed_in = {pool.currency for pool in pools} | {median.currency for median in medians}
    return Weighed(
        models=models,
        says=[
            Say(
                group=group,
                strategy=name,
                a_complaint_counts={one: weights.harm for one, weights in learned.weights.items() if one in owed_in or not owed_in},
                peace=learned.peace,
            )
            for group, name, learned in says
        ],
        contacts=[
            ContactCounts(group=group, creditor=names[owed.creditor_id], owed=owed, peace=learned.peace)
            for group, _, learned in says
            for owed in medians
        ],
        treated=treated,
        # By the caps of the first one the whole run decides.
        scarce=_scarce(connection, run.id, pools, says[0][2], names) if says else (),
    )


def _scarce(
    connection: Connection, campaign_run_id: int, pools: Sequence[PoolPrice], learned: Learned, names: Mapping[int, str]
) -> list[Scarce]:
    used = {row[:3]: row[3] for row in used_so_far(connection, campaign_run_id).iter_rows()}
    of_money = {cap.name for cap in learned.caps if cap.contacts is None}
    return [
        Scarce(
            creditor=names[pool.creditor_id],
            pool=pool,
            planned=used.get((pool.creditor_id, pool.currency, pool.cap), 0),
            of_money=pool.cap in of_money,
        )
        for pool in pools
    ]


def creditor_of(connection: Connection, party_id: int) -> str:
    """Name of a borrower's lender, as the borrower knows it."""
    name: str = connection.execute(_CREDITOR, {"party": party_id}).scalar_one()
    return name


def run_before(connection: Connection, campaign_run_id: int) -> int | None:
    """The last run of the same stage and part of the portfolio that decided anything; None = there was none."""
    found: int | None = connection.execute(_BEFORE, {"id": campaign_run_id}).scalar()
    return found


def read_before(connection: Connection, campaign_run_id: int, *, business_date: date, by_reason: dict[str, int]) -> Before:
    """What a run had decided, in counts."""
    borrowers = 0
    by_channel: dict[str, int] = {}
    by_message: dict[str, int] = {}
    for row in connection.execute(_DECIDED, {"id": campaign_run_id}):
        borrowers += row.borrowers
        if row.channel is not None:
            by_channel[row.channel] = by_channel.get(row.channel, 0) + row.borrowers
            by_message[row.message] = by_message.get(row.message, 0) + row.borrowers
    return Before(business_date=business_date, borrowers=borrowers, by_channel=by_channel, by_message=by_message, by_reason=by_reason)


_CREDITOR = text("SELECT c.name FROM party p JOIN creditor c ON c.id = p.creditor_id WHERE p.id = :party")
_GROUPS = text("""
    SELECT a.channel, v.country, a.message, a.locale, a.offer, count(*) AS contacts
    FROM attempt a LEFT JOIN party_version v ON v.party_id = a.party_id AND v.superseded_at IS NULL
    WHERE a.campaign_run_id = :id AND a.state = 'planned'
    GROUP BY a.channel, v.country, a.message, a.locale, a.offer
    ORDER BY contacts DESC, a.channel, v.country, a.message, a.locale, a.offer
""")
_WINDOW = text("""
    SELECT min(send_after) AS first_at, max(expires_at) AS last_until FROM attempt WHERE campaign_run_id = :id AND state = 'planned'
""")
_EXAMPLES = text(f"""
    SELECT party_id, channel, message, locale, creditor_name, creditor_role FROM (
        SELECT a.party_id, a.channel, a.message, a.locale, c.name AS creditor_name, c.role AS creditor_role, {RANK} AS rank,
               row_number() OVER (PARTITION BY a.channel, a.message, a.locale ORDER BY {RANK}) AS number
        FROM attempt a
        JOIN campaign_run r ON r.id = a.campaign_run_id
        JOIN party p ON p.id = a.party_id
        JOIN creditor c ON c.id = p.creditor_id
        WHERE r.id = :id AND a.state = 'planned') ranked
    WHERE number <= :of_each ORDER BY number, channel, message, locale, rank
""")  # noqa: S608  # the rank of run_standings.py
_BEFORE = text("""
    SELECT b.id FROM campaign_run r
    JOIN campaign_run b ON b.stage = r.stage AND b.scope = r.scope AND b.business_date < r.business_date
    WHERE r.id = :id AND EXISTS (SELECT 1 FROM campaign_shard s WHERE s.campaign_run_id = b.id AND s.decided_at IS NOT NULL)
    ORDER BY b.business_date DESC LIMIT 1
""")
_CREDITORS = text("SELECT id, name FROM creditor WHERE id = ANY(:ids)")
# Reason sets are few, decisions many: whose group a set names is asked once a set.
_TREATED = text("""
    WITH named AS (
        SELECT r.id, coalesce(
            (SELECT min(substr(one, length(:group) + 1)) FROM unnest(r.reasons) one WHERE starts_with(one, :group)), :ordinary)
                   AS treated
        FROM reason_set r
    )
    SELECT n.treated AS "group", count(*) FILTER (WHERE d.action = 'contact') AS contacts,
           count(*) FILTER (WHERE d.action = 'no_contact') AS left_alone
    FROM decision d JOIN named n ON n.id = d.reason_set_id
    WHERE d.campaign_run_id = :id AND d.business_date = (SELECT business_date FROM campaign_run WHERE id = :id)
    GROUP BY n.treated ORDER BY n.treated <> :ordinary, n.treated
""")
_DECIDED = text("""
    SELECT channel, message, count(*) AS borrowers FROM decision
    WHERE campaign_run_id = :id AND business_date = (SELECT business_date FROM campaign_run WHERE id = :id)
    GROUP BY channel, message
""")
