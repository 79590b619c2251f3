"""Audit: prove the invariants again over a period, by the ledger's rows and by what the outside world says was sent.

In:   first and last business date; the ledger; the providers' own lists; in the sandbox its record of what phones received by push.
Out:  an `Audited`; for the nightly flow an event a violation, tables in the UI, and a failed run.
Pure: no. Links what the evidence has not linked yet, keeps the heads outside, and writes down what it found; contacts nobody, changes
      nothing else.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen
from zoneinfo import ZoneInfo

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from channels import ChannelError
from channels.listed import Listed
from channels.registry import WAYS, Way, keyed_openers, list_openers, provider_of
from config.audit_limits import audit_limits
from config.settings import LOOPBACK_HOSTS, settings
from decisions.words import GATEWAY
from ledger import audit as auditor
from ledger import audit_results, clock, vault
from ledger.audit import Audited, Received, Violation
from ledger.audit_ledger import BEYOND_SQL
from ledger.engine import connection
from ledger.evidence_heads import keep_head
from tasks.explain import explain_borrower
from tasks.progress import WHOLE, tell

LISTS: Final = list_openers()
# A business date somewhere on earth, in UTC, and a day in which a late message may still leave.
REACH: Final = timedelta(days=2)
REPLAYED_MAX: Final = 20
EVENTS_MAX: Final = 200
ROWS_SHOWN_MAX: Final = 200
ASK_SECONDS_MAX: Final = 60.0


class InvariantsBroken(RuntimeError):
    """The audit found what must not be; the run's artifacts name it."""

    def __init__(self, audited: Audited) -> None:
        broken = ", ".join(name for name, state in audited.invariants.items() if state == "broken")
        super().__init__(
            f"{len(audited.violations)} violations from {audited.first.isoformat()} to {audited.last.isoformat()}: {broken} broken;"
            " `tideover audit` names them"
        )
        self.audited = audited


class AuditIncomplete(RuntimeError):
    """Nothing that was looked at is broken, but not all could be looked at, or a head could not be kept outside; the message says what."""

    def __init__(self, warnings: tuple[str, ...]) -> None:
        super().__init__("; ".join(warnings))
        self.warnings = warnings


@dataclass(slots=True)
class Lists:
    """What the outside world says.

    Attributes:
        listed: Channel → messages.
        complete: Channels that were read to the end.
        trouble: Why something could not be read.
    """

    listed: dict[str, list[Received]] = field(default_factory=dict)
    complete: set[str] = field(default_factory=set)
    trouble: list[str] = field(default_factory=list)


def business_period(first: date | None, last: date | None) -> tuple[date, date]:
    """The dates to audit: those that are given, else yesterday and today on the one clock, in the portfolio's zone.

    Raises:
        ValueError: The first is behind the last.
    """
    if last is None:
        with connection() as tx:
            last = clock.now(tx).astimezone(ZoneInfo(settings().business_zone)).date()
        last = max(last, first or last)
    first = first or last - timedelta(days=1)
    if first > last:
        raise ValueError(f"the period begins on {first.isoformat()}, behind its end on {last.isoformat()}")
    return first, last


def audit_period(first: date, last: date) -> Audited:
    """Audit a period.

    Args:
        first: Business date.
        last: Included.

    Raises:
        ConfigError: A rule pack cannot be read: there is nothing to audit against.
    """
    tell(0, "linking the evidence")
    limits = audit_limits(first - REACH, last + REACH)
    with connection() as tx:
        heads = auditor.seal(tx, first, last)
    for head in heads:
        keep_head(head)
    tell(10, "reading the providers' lists")
    lists = read_lists(first, last)
    tell(40, "checking every message and every row")
    with connection(archive=True) as tx:
        audited = auditor.audit(
            tx,
            period=(first, last),
            listed={channel: tuple(some) for channel, some in lists.listed.items()},
            complete=lists.complete,
            limits=limits,
            live=settings().is_real,
        )
        chosen = auditor.sample(tx, first, last, at_most=REPLAYED_MAX)
    tell(80, f"making {len(chosen)} decisions again")
    audited = replace(
        audited,
        violations=(*audited.violations, *_not_replaying(chosen)),
        warnings=(*audited.warnings, *lists.trouble),
    )
    with connection() as tx:
        audit_results.keep(tx, audited, at=clock.now(tx))
    tell(WHOLE, "done")
    return audited


@task(task_run_name="audit {first} to {last}", persist_result=False, cache_policy=NO_CACHE)
def audit_and_show(first: date, last: date) -> dict[str, Any]:
    """Audit a period, and show what was found.

    Returns:
        The counts, as CASES.md names them.

    Raises:
        InvariantsBroken: Something is broken.
        AuditIncomplete: Nothing is, as far as could be seen.
    """
    audited = audit_period(first, last)
    for violation in audited.violations[:EVENTS_MAX]:
        _tell(violation)
    show(audited)
    get_run_logger().info(
        "%s to %s: %d attempts, %d violations, %d unknown, %d parked",
        first.isoformat(),
        last.isoformat(),
        audited.attempts,
        len(audited.violations),
        audited.unknown,
        audited.parked,
    )
    if audited.violations:
        raise InvariantsBroken(audited)
    if audited.warnings:
        raise AuditIncomplete(audited.warnings)
    return audited.as_json()


def read_lists(first: date, last: date) -> Lists:
    """Ask the providers what was sent from a day before the first business date to a day after the last."""
    since = datetime.combine(first, time(), UTC) - REACH
    until = datetime.combine(last, time(), UTC) + timedelta(days=1) + REACH
    lists = Lists()
    with connection(archive=True) as tx:
        used = auditor.channels_used(tx, first, last)
        by_gateway = auditor.channels_used(tx, first, last, by_gateway=True)
    for name in LISTS:
        asyncio.run(_read_list(lists, WAYS[name], since, until, needed=name in used))
    _read_push(lists, since, until)
    if by_gateway:
        # What went through the gateway stands in its list alone; what went both ways is complete where both are.
        if _read_gateway(lists, since, until):
            lists.complete |= by_gateway - used
        else:
            lists.complete -= by_gateway
    return lists


def show(audited: Audited) -> None:
    """Put invariants, violations and what was not proved into the Prefect UI; ids, counts and rule ids only."""
    period = f"{audited.first.isoformat()} to {audited.last.isoformat()}"
    create_table_artifact(
        key="audit-invariants",
        description=f"**{period}**: {audited.attempts} attempts, {len(audited.violations)} violations, {audited.unknown} unknown,"
        f" {audited.parked} parked. What SQL cannot see has something that stands in for it.",
        table=[
            {"invariant": name, "state": state, "not to be seen in SQL": BEYOND_SQL.get(name, "")}
            for name, state in audited.invariants.items()
        ],
    )
    if audited.violations:
        create_table_artifact(
            key="audit-violations",
            description=f"**{period}**: the first {ROWS_SHOWN_MAX} of {len(audited.violations)}. `tideover audit --json` names more.",
            table=[_row(violation) for violation in audited.violations[:ROWS_SHOWN_MAX]],
        )
    lines = [f"- {warning}" for warning in audited.warnings]
    lines += [f"- not proved again: {rule}: {why}" for rule, why in audited.not_proved]
    create_markdown_artifact(key="audit-limits", markdown="\n".join(lines) or "Nothing.", description="What this audit did not look at.")


def _row(violation: Violation) -> dict[str, Any]:
    return {
        "invariant": violation.invariant,
        "check": violation.check,
        "detail": violation.detail or "",
        "attempt": violation.attempt_id or "",
        "borrower": violation.party_id or "",
        "message": violation.provider_id or "",
    }


def _tell(violation: Violation) -> None:
    emit_event(
        event="tideover.audit.violation",
        resource={
            "prefect.resource.id": f"tideover.invariant.{violation.invariant}",
            "prefect.resource.name": f"{violation.invariant} {violation.check}",
        },
        payload=_row(violation),
    )


async def _read_list(lists: Lists, way: Way, since: datetime, until: datetime, *, needed: bool) -> None:
    """A provider's list, one sender after the other; a list that breaks off is no list."""
    if missing := way.missing(settings()):
        if needed:
            lists.trouble.append(f"the list of {way.name} was not asked for: {', '.join(missing)} is not set")
        return
    with connection() as tx:
        senders = [sender for sender in auditor.senders(tx, way.name) if provider_of(sender, own="") != GATEWAY]
    found: dict[str, Received] = {}
    try:
        source = LISTS[way.name]()
        try:
            for sender in senders:
                async for page in source.sent(sender=sender, since=since, until=until):
                    for one in page:
                        if one.created_at is not None:
                            found[one.provider_id] = _received(way.name, one.to, one.provider_id, one.created_at)
        finally:
            await source.close()
    except ChannelError as error:
        lists.trouble.append(f"the provider's list of {way.name} could not be read ({type(error).__name__} {error.code})")
        return
    lists.listed[way.name] = list(found.values())
    lists.complete.add(way.name)


def _read_gateway(lists: Lists, since: datetime, until: datetime) -> bool:
    """The list of a lender's own gateway; whether it was read to its end. It names keys and no addresses: those are the ledger's."""
    try:
        taken = asyncio.run(_taken(since, until))
    except ChannelError as error:
        lists.trouble.append(f"the gateway's list could not be read ({type(error).__name__} {error.code})")
        return False
    with connection() as tx:
        known = auditor.addresses_of_tokens(tx, [one.key for one in taken if one.key is not None])
    # In the sandbox, phones have told of some of them.
    told = {one.provider_id for some in lists.listed.values() for one in some}
    for one in taken:
        if one.key is None or one.created_at is None or one.provider_id in told:
            continue
        channel, index = known.get(one.key, (one.channel or "in_app", b""))
        row = Received(channel=channel, blind_index=index, provider_id=one.provider_id, at=one.created_at)
        lists.listed.setdefault(channel, []).append(row)
    return True


async def _taken(since: datetime, until: datetime) -> list[Listed]:
    source = keyed_openers()[GATEWAY]()
    try:
        return [one async for page in source.taken(since=since, until=until) for one in page]
    finally:
        await source.close()


def _read_push(lists: Lists, since: datetime, until: datetime) -> None:
    """What phones received by push, which only the sandbox can say; FCM has no list, and another server no such record."""
    address = settings().fcm_base_url
    if settings().mode != "sandbox" or urlsplit(address).hostname not in LOOPBACK_HOSTS:
        return
    try:
        pushed = [one for one in _record(address) if since <= one.at < until]
    except (OSError, ValueError, KeyError):
        return
    lists.listed["push"] = pushed


def _record(address: str) -> Iterator[Received]:
    after, more = "0", True
    while more:
        asked = f"{address}/sandbox/received?{urlencode({'channel': 'push', 'after': after})}"
        with urlopen(asked, timeout=ASK_SECONDS_MAX) as answer:  # noqa: S310  # loopback
            for line in answer.read().decode().splitlines():
                row = json.loads(line)
                yield _received("push", row["to"], row["provider_id"], datetime.fromisoformat(row["received_at"]))
            more, after = answer.headers["X-Next-After"] != after, answer.headers["X-Next-After"]


def _received(channel: str, to: str, provider_id: str, at: datetime) -> Received:
    return Received(channel=channel, blind_index=vault.blind_index(to), provider_id=provider_id, at=at)


def _not_replaying(chosen: list[tuple[int, date]]) -> Iterator[Violation]:
    """Decisions of a sample that do not come out again; one whose policies the ledger does not keep cannot be made again."""
    for party, day in chosen:
        told = explain_borrower(f"#{party}", day)
        if told["replays"] is False and not told["policies_not_kept"]:
            detail = f"{day.isoformat()}: {', '.join(told['differences'])}"
            yield Violation(check="a_decision_that_does_not_replay", invariant="I8", party_id=party, detail=detail)
