"""Few first: where a strategy or a text of a run is new, a small part of it is sent, and the rest only after that went well.

New is what was never sent in this mode under the same hash, in a run whose few went well. Who goes first is said by a rank of
the run's seed; the gate and `dispatch` let nobody of a higher rank through meanwhile.

    undecided ─begin─► none (nothing is new) | untried (never sent to staff) | trying ─judge─► passed | stopped
                                                   └──────── people ────────────┴──────────────────► go on, or reject

In:   a connection inside a transaction; a run, whose decisions are made and to which people have said yes.
Out:  the run's `canary`; counts of what became of the few.
Pure: no. What follows from the counts is said by decisions/canary.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import Connection, text

from decisions.canary import MEASURES, Canary, Seen, Verdict
from ledger import approval_codes, clock
from ledger.approval_codes import Holder, NoCode
from ledger.run_standings import RANK

KIND = "canary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stands:
    """Where a run stands with its few.

    Attributes:
        campaign_run_id: The run.
        stage: early, ….
        name: Stage and business date.
        canary: A word of `ledger.tables.RUN_CANARIES`.
        said: Why.
        held: Planned contacts that wait for it.
    """

    campaign_run_id: int
    stage: str
    name: str
    canary: str
    said: str | None
    held: int

    def __str__(self) -> str:
        """One line of a list."""
        return f"run {self.campaign_run_id}  {self.name}  {self.canary}; {self.held} contacts wait: {self.said or 'to be begun'}"


def stands(connection: Connection, campaign_run_id: int | None = None) -> list[Stands]:
    """Runs of which something waits for their few, or one run however it stands."""
    return [Stands(**row) for row in connection.execute(_STANDS, {"id": campaign_run_id}).mappings()]


def begin(connection: Connection, campaign_run_id: int, canary: Canary) -> Stands:
    """Decide whether few go first, and who; a run that is not `undecided`, or to which people have still to say yes, stays as it is."""
    run = connection.execute(_LOCK, {"id": campaign_run_id}).one()
    ready = run.canary == "undecided" and run.approval in {"none", "approved"} and not run.undecided_shards and not run.preview
    if ready:
        new = _new(connection, campaign_run_id, run.mode)
        planned = int(connection.execute(_PLANNED, {"id": campaign_run_id}).scalar_one())
        staff_first = run.mode == "live" and canary.allowlist_first and run.canary_said is None
        staff_first = run.mode == "live" and canary.allowlist_first and run.canary_said is None
        untried = _never_sent_to_staff(connection, new) if staff_first else []
        if not new or planned <= 1:
            _set(connection, campaign_run_id, "none", said="nothing is new" if not new else "there is one contact at most")
        elif untried:
            _set(connection, campaign_run_id, "untried", said=f"never sent to staff: {', '.join(untried)}")
        else:
            size = canary.size(planned)
            said = f"{size} of {planned} go first; new: {', '.join(name for name, _ in new)}"
            connection.execute(_TRY, {"id": campaign_run_id, "size": size, "said": said})
    (found,) = stands(connection, campaign_run_id)
    return found


def to_begin(connection: Connection) -> list[int]:
    """Runs of which it can be decided whether few go first."""
    return list(connection.execute(_TO_BEGIN).scalars())


def to_judge(connection: Connection) -> list[int]:
    """Runs whose few are being tried."""
    return list(connection.execute(_TO_JUDGE).scalars())


def look(connection: Connection, campaign_run_id: int) -> Seen:
    """What became of a run's few so far."""
    row = connection.execute(_SEEN, {"id": campaign_run_id}).mappings().one()
    return Seen(
        planned=row["planned"], contacts=row["contacts"], people={measure: row[measure] for measure in MEASURES}, last_at=row["last_at"]
    )


def conclude(connection: Connection, campaign_run_id: int, verdict: Verdict) -> None:
    """Write down what was judged of a run that is being tried; where nobody could be contacted, others are drawn."""
    word = {"nobody": "undecided"}.get(verdict.word, verdict.word)
    connection.execute(_CONCLUDE, {"id": campaign_run_id, "canary": word, "said": verdict.because})


def decide(connection: Connection, campaign_run_id: int, *, code: str, go_on: bool, reason: str, roles: Sequence[str]) -> tuple[bool, str]:
    """People decide about few that were stopped, or never sent to staff: go on, or send nothing more of the run.

    Returns:
        Whether it was taken, and what came of it in words. A code that was typed is spent.
    """
    connection.execute(_LOCK, {"id": campaign_run_id}).one()
    (found,) = stands(connection, campaign_run_id)
    if found.canary not in {"stopped", "untried"}:
        return False, f"run {campaign_run_id} ({found.name}) waits for nobody here: {found.canary}"
    what = "going on with" if go_on else "rejecting"
    who = approval_codes.redeem(connection, code, roles=roles, campaign_run_id=campaign_run_id, used_for=f"{what} run {campaign_run_id}")
    if isinstance(who, NoCode):
        return False, who.because
    _keep(connection, found, who, go_on=go_on, reason=reason)
    said = f"{'let go on' if go_on else 'rejected'} by {who.person} ({who.role}): {reason}"
    if not go_on:
        connection.execute(_REJECT, {"id": campaign_run_id, "said": said})
    else:
        # What was never sent to staff is still tried on few; what was tried and stopped goes to the rest.
        _set(connection, campaign_run_id, "undecided" if found.canary == "untried" else "passed", said=said)
    return True, said


def _new(connection: Connection, campaign_run_id: int, mode: str) -> list[tuple[str, str]]:
    """(Policy, hash) of the strategy and the planned texts that were never sent in this mode in a run that went well."""
    return [(row.name, row.hash) for row in connection.execute(_NEW, {"id": campaign_run_id, "mode": mode})]


def _never_sent_to_staff(connection: Connection, new: Sequence[tuple[str, str]]) -> list[str]:
    keys = {"names": [name for name, _ in new], "hashes": [version for _, version in new]}
    tried = set(connection.execute(_SENT_TO_STAFF, keys).scalars())
    return [name for name, _ in new if name not in tried]


def _keep(connection: Connection, found: Stands, who: Holder, *, go_on: bool, reason: str) -> None:
    keys = {
        "kind": KIND,
        "hash": sha256(f"{KIND} {found.campaign_run_id} {found.said}".encode()).hexdigest(),
        "asked_by": f"the canary of run {found.campaign_run_id}",
        "approved_by": who.person,
        "role": who.role,
        "verdict": "approved" if go_on else "rejected",
        "reason": f"{found.said} | {reason}",
        "at": clock.now(connection),
    }
    connection.execute(_APPROVAL, keys)


def _set(connection: Connection, campaign_run_id: int, canary: str, *, said: str) -> None:
    connection.execute(_SET, {"id": campaign_run_id, "canary": canary, "said": said})


_LOCK = text("""
    SELECT r.canary, r.canary_said, r.approval, r.mode, r.preview,
           (SELECT count(*) FROM campaign_shard s WHERE s.campaign_run_id = r.id AND s.decided_at IS NULL) AS undecided_shards
    FROM campaign_run r WHERE r.id = :id FOR UPDATE
""")
_STANDS = text("""
    SELECT r.id AS campaign_run_id, r.stage, r.stage || ' ' || r.business_date AS name, r.canary, r.canary_said AS said,
           (SELECT count(*) FROM attempt a WHERE a.campaign_run_id = r.id AND a.state = 'planned') AS held
    FROM campaign_run r
    WHERE r.id = :id OR (CAST(:id AS bigint) IS NULL AND r.canary IN ('untried', 'trying', 'stopped') AND NOT r.preview
                         AND r.state IN ('open', 'closed'))
    ORDER BY r.id
""")
# What a person dials is tried by whoever dials it: it is none of the few, and holds nobody up.
_PLANNED = text("SELECT count(*) FROM attempt WHERE campaign_run_id = :id AND state = 'planned' AND channel <> 'call'")
# Of the texts only those that are planned: what nobody is to read need not be tried.
_NEW = text("""
    SELECT p.key AS name, p.value AS hash
    FROM campaign_run r CROSS JOIN LATERAL jsonb_each_text(r.policy_hashes) p
    WHERE r.id = :id AND (
        starts_with(p.key, 'strategy/')
        OR p.key IN (SELECT 'message/' || a.message || '/' || a.locale
                     FROM attempt a WHERE a.campaign_run_id = r.id AND a.state = 'planned' AND a.channel <> 'call'))
      AND NOT EXISTS (
        SELECT 1 FROM campaign_run b
        WHERE b.id <> r.id AND b.mode = :mode AND b.canary IN ('none', 'passed') AND b.policy_hashes ->> p.key = p.value AND EXISTS (
            SELECT 1 FROM attempt a WHERE a.campaign_run_id = b.id AND a.submitted_at IS NOT NULL
              AND (starts_with(p.key, 'strategy/') OR p.key = 'message/' || a.message || '/' || a.locale)))
    ORDER BY p.key
""")
_SENT_TO_STAFF = text("""
    SELECT n.name FROM unnest(CAST(:names AS text[]), CAST(:hashes AS text[])) AS n(name, hash)
    WHERE EXISTS (
        SELECT 1 FROM campaign_run b JOIN attempt a ON a.campaign_run_id = b.id AND a.submitted_at IS NOT NULL
        WHERE b.mode = 'allowlist' AND b.policy_hashes ->> n.name = n.hash
          AND (starts_with(n.name, 'strategy/') OR n.name = 'message/' || a.message || '/' || a.locale))
""")
_TRY = text(f"""
    UPDATE campaign_run u SET canary = 'trying', canary_said = :said, canary_rank = (
        SELECT {RANK} FROM attempt a JOIN campaign_run r ON r.id = a.campaign_run_id
        WHERE r.id = :id AND a.state = 'planned' AND a.channel <> 'call' ORDER BY 1 LIMIT 1 OFFSET :size - 1)
    WHERE u.id = :id
""")  # noqa: S608  # the rank of run_standings.py
_TO_BEGIN = text("""
    SELECT r.id FROM campaign_run r
    WHERE r.canary = 'undecided' AND r.approval IN ('none', 'approved') AND r.state IN ('open', 'closed') AND NOT r.preview
      AND EXISTS (SELECT 1 FROM attempt a WHERE a.campaign_run_id = r.id AND a.state = 'planned')
      AND NOT EXISTS (SELECT 1 FROM campaign_shard s WHERE s.campaign_run_id = r.id AND s.decided_at IS NULL)
    ORDER BY r.id
""")
_TO_JUDGE = text("SELECT id FROM campaign_run WHERE canary = 'trying' AND state IN ('open', 'closed') ORDER BY id")
_SEEN = text(f"""
    SELECT count(*) FILTER (WHERE a.state = 'planned' AND a.channel <> 'call') AS planned,
           count(*) FILTER (WHERE a.submitted_at IS NOT NULL) AS contacts,
           count(DISTINCT a.party_id) FILTER (WHERE a.submitted_at IS NOT NULL AND (
               EXISTS (SELECT 1 FROM opt_out o
                       WHERE o.party_id = a.party_id AND o.superseded_at IS NULL AND o.at >= a.submitted_at)
               OR EXISTS (SELECT 1 FROM outcome o
                          WHERE o.party_id = a.party_id AND o.intent = 'stop' AND o.at >= a.submitted_at))) AS opt_out,
           count(DISTINCT a.party_id) FILTER (WHERE a.submitted_at IS NOT NULL AND EXISTS (
               SELECT 1 FROM outcome o
               WHERE o.party_id = a.party_id AND o.intent = 'wrong_person' AND o.at >= a.submitted_at)) AS wrong_person,
           count(DISTINCT a.party_id) FILTER (WHERE a.submitted_at IS NOT NULL AND EXISTS (
               SELECT 1 FROM outcome o
               WHERE o.party_id = a.party_id AND o.intent = 'dispute' AND o.at >= a.submitted_at)) AS dispute,
           count(DISTINCT a.party_id) FILTER (WHERE a.state IN ('undelivered', 'failed', 'rejected')) AS undelivered,
           max(a.submitted_at) AS last_at
    FROM attempt a JOIN campaign_run r ON r.id = a.campaign_run_id
    WHERE r.id = :id AND {RANK} <= r.canary_rank
""")  # noqa: S608  # as above
_CONCLUDE = text("UPDATE campaign_run SET canary = :canary, canary_said = :said WHERE id = :id AND canary = 'trying'")
_SET = text("UPDATE campaign_run SET canary = :canary, canary_said = :said WHERE id = :id")
_REJECT = text("UPDATE campaign_run SET state = 'rejected', approval = 'rejected', canary_said = :said WHERE id = :id")
_APPROVAL = text("""
    INSERT INTO approval (subject_kind, subject_hash, asked_by, approved_by, role, verdict, reason, at)
    VALUES (:kind, :hash, :asked_by, :approved_by, :role, :verdict, :reason, :at)
""")
