"""Approving a strategy: two people say yes to exactly the files of its folder; one more comma is another strategy.

What is approved is the list of its stages with the hash of each file. With the real providers a stage's run is opened, and sends, only by
a file that stands in a list that is approved.

In:   a strategy's name, a name of a person; a connection.
Out:  rows of `approval`; lines for the two people, with what is different; where every strategy stands; why a run may not be.
Pure: no; reads files, writes the ledger.
Source: ARCHITECTURE.md, four eyes; docs/adr/0074.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from difflib import unified_diff
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, text

from config.load import ConfigError
from config.policies import ARM, Policy
from config.settings import settings
from config.strategy_files import STRATEGIES, stages_of, strategy, strategy_body, strategy_names
from ledger import approvals, clock
from ledger.approvals import Approval, ApprovalRefused
from ledger.campaigns import write_policies
from ledger.engine import connection

SHOWN_CHARACTERS: Final = 12
KIND: Final = "strategy"


class StrategyNotApproved(ApprovalRefused):
    """No run is opened by it with the real providers; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a strategy, as its files are now, stands.

    Attributes:
        name: Of its folder.
        version: Of all its files together.
        stages: Stage → version of its file.
        approved: Whether live mode may use all of it now.
        last: The last step about it; None = nobody has asked.
    """

    name: str
    version: str
    stages: Mapping[str, str]
    approved: bool
    last: Approval | None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "strategy": self.name,
            "version": self.version,
            "stages": dict(self.stages),
            "approved": self.approved,
            **approvals.as_json(self.last),
        }

    def __str__(self) -> str:
        """One line of a list."""
        return f"strategy {self.name:<20}  {self.version[:SHOWN_CHARACTERS]}  {approvals.in_words(self.last, approved=self.approved)}"


def approve_strategy(name: str, *, by: str, reject: bool = False, reason: str | None = None, until: date | None = None) -> list[str]:
    """Ask for approval of a strategy as its files are now, or give it, or reject it; the first person asks, another one decides.

    Args:
        name: Of its folder in config/strategies.
        by: Who.
        reject: Refuse what was asked for, or take an approval back.
        reason: In their words.
        until: Local date, in the portfolio's zone, at whose start an approval ends.

    Returns:
        Lines that say what was written down, what is different from what was approved before, and what is to be done next.

    Raises:
        ApprovalRefused: There is no such strategy; the same person twice; nothing to reject; an end that has passed.
        ConfigError: A file of it cannot be read.
    """
    whole = _whole(name)
    ends = None if until is None else datetime.combine(until, time(), ZoneInfo(settings().business_zone))
    with connection() as tx:
        write_policies(tx, [whole, *(Policy(KIND, f"{name}/{stage}", strategy_body(name, stage)) for stage in stages_of(name))])
        different = list(differences(tx, name))
        step = approvals.ask_or_approve(
            tx, whole.hash, by=by, at=clock.now(tx), reject=reject, reason=reason, until=ends, kind=approvals.STRATEGY
        )
    return [_said(step, name), *different, *_next(step, name)]


def standings() -> list[Standing]:
    """Where every strategy stands, by name."""
    with connection(read_only=True) as tx:
        approved = approved_strategies(tx, clock.now(tx))
        last = {step.subject_hash: step for step in approvals.read_steps(tx, kind=approvals.STRATEGY)}
    found = []
    for name in strategy_names():
        whole = _whole(name)
        stages = _stages(whole.body)
        all_of_it = all((f"{name}/{stage}", version) in approved for stage, version in stages.items())
        found.append(Standing(name=name, version=whole.hash, stages=stages, approved=all_of_it, last=last.get(whole.hash)))
    return found


def differences(tx: Connection, name: str) -> Iterator[str]:
    """What is different from what was approved last, line by line."""
    before = approvals.last_approved(tx, name, but=_whole(name).hash, kind=approvals.STRATEGY)
    if before is None:
        yield f"no other version of {name} was approved before: {', '.join(stages_of(name))}"
        return
    old = _stages(_body(tx, before) or "")
    yield f"against {before[:SHOWN_CHARACTERS]}, which was approved before:"
    for stage in sorted({*old, *stages_of(name)}):
        was = _body(tx, old[stage]) or "" if stage in old else ""
        now = strategy_body(name, stage) if stage in stages_of(name) else ""
        yield from (
            f"  {line}" for line in unified_diff(was.splitlines(), now.splitlines(), f"{stage} before", f"{stage} now", "", "", 1, "")
        )


def approved_strategies(tx: Connection, at: datetime) -> frozenset[tuple[str, str]]:
    """(strategy/stage, version of its file) of all that two people have approved."""
    rows = tx.execute(_WHOLE, {"hashes": list(approvals.approved(tx, at, kind=approvals.STRATEGY))})
    return frozenset((f"{row.name}/{stage}", version) for row in rows for stage, version in _stages(row.body).items())


def why_not(tx: Connection, policy_hashes: Mapping[str, str]) -> str | None:
    """Why a run with these policies may not be with the real providers, and what to do; None where it may, as any may in the sandbox.

    Args:
        tx: Any.
        policy_hashes: `kind/name` → hash, as a run names them; one that names no strategy treats no stage.
    """
    used = [(key.partition("/")[2], version) for key, version in policy_hashes.items() if key.startswith((f"{KIND}/", f"{ARM}/"))]
    if not used or not settings().is_real:
        return None
    approved = approved_strategies(tx, clock.now(tx))
    lacking = [key for key, version in used if (key, version) not in approved]
    if not lacking:
        return None
    name = lacking[0].partition("/")[0]
    return (
        f"the strategy {lacking[0]} is not approved as its file stands, so nobody is contacted by it: two people approve it at "
        f"/desk/approvals/strategy/{name}, or with `tideover approve strategy {name} --by NAME`"
    )


def must_be_approved(tx: Connection, policies: Iterable[Policy]) -> None:
    """Refuse what no run may be opened by.

    Raises:
        StrategyNotApproved: With the real providers, a strategy that two people have not approved.
    """
    if why := why_not(tx, {f"{policy.kind}/{policy.name}": policy.hash for policy in policies}):
        raise StrategyNotApproved(why)


def _whole(name: str) -> Policy:
    """All of a strategy's files, by their hashes.

    Raises:
        ApprovalRefused: There is no such strategy.
        ConfigError: A file of it cannot be read.
    """
    if name not in strategy_names():
        raise ApprovalRefused(f"no strategy {name!r}: config/strategies has {', '.join(strategy_names())}")
    try:
        versions = [(stage, strategy(name, stage).version) for stage in stages_of(name)]
    except OSError as error:
        raise ConfigError(STRATEGIES / name, None, "", f"cannot be read ({type(error).__name__})") from None
    return Policy(KIND, name, f"strategy {name}\n" + "".join(f"{stage} {version}\n" for stage, version in versions))


def _stages(body: str) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in body.splitlines()[1:])


def _body(tx: Connection, version: str) -> str | None:
    found: str | None = tx.execute(_BODY, {"hash": version}).scalar()
    return found


def _said(step: Approval, name: str) -> str:
    until = f", until {step.until.isoformat()}" if step.until else ""
    called = f"{name} ({step.subject_hash[:SHOWN_CHARACTERS]})"
    if step.verdict == "asked":
        return f"asked for the approval of the strategy {called}, by {step.asked_by}{until}"
    what = "approved" if step.verdict == "approved" else "rejected"
    return f"{what}: the strategy {called}, asked for by {step.asked_by}, {what} by {step.approved_by}{until}"


def _next(step: Approval, name: str) -> list[str]:
    if step.verdict != "asked":
        return []
    return [f"not approved yet: a second person approves it with `tideover approve strategy {name} --by NAME`, or rejects it with --reject"]


_WHOLE = text("SELECT name, body FROM policy_version WHERE hash = ANY(:hashes)")
_BODY = text("SELECT body FROM policy_version WHERE hash = :hash")
