"""What somebody has to see to this morning, each with the command to do it.

In:   a connection; the business date and instant; the files of config/.
Out:  `Item` values, in no order.
Pure: no; reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import IntEnum
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from config.cases import case_terms
from config.clearances import clearances
from config.desk_files import desk_policy_in_force
from config.load import ConfigError
from config.message_files import message_texts
from config.settings import settings
from config.strategy_files import stages_of, strategy, strategy_names
from decisions.choose import NO_TEXT
from decisions.messages import SPOKEN
from decisions.voice import VOICE_PROMPTS
from gate.text_approvals import text_standings
from ledger import (
    agencies,
    agency_feeds,
    agency_lines,
    audit_results,
    call_queue,
    campaigns,
    canaries,
    case_lists,
    core_outbox,
    experiments,
    incidents,
    outbox,
    overview,
    partitions,
    run_standings,
    staff_views,
    strategy_approvals,
    wallet_payments,
)
from ledger.law import law_in_force
from ledger.overview import FeedAge
from ledger.pack_approvals import standings
from tasks.markdown import counted, lasted, local
from tasks.pause import standing_pauses

# So long before something ends it is said; a text needs a writer and an approval, a clearance needs a provider.
SOON: Final = timedelta(days=14)
CLEARANCE_SOON: Final = timedelta(days=30)
# So long a payment of the wallet may take into the lender's books.
BOOKED_WITHIN: Final = timedelta(days=3)
STOPPED_SHOWN: Final = timedelta(days=7)
LOANS_SHOWN: Final = 5
# A night's planning of a small portfolio may lie beside its month until the next night; a month's may not.
STRAYS_MAX: Final = 100_000
ONE_DAY: Final = timedelta(days=1)
DANGER: Final = "danger"
# Of the words for a run of which few go first: those that end only when people decide.
ASKS_PEOPLE: Final = ("stopped", "untried")


class Urgency(IntEnum):
    """How soon somebody has to act; worst first."""

    NOW = 1
    BEFORE_TODAYS_RUNS = 2
    TODAY = 3
    SOON = 4
    KNOW = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing.

    Attributes:
        urgency: How soon.
        what: What is the matter.
        do: The command, or what to do.
    """

    urgency: Urgency
    what: str
    do: str


def find(tx: Connection, *, day: date, at: datetime) -> Iterator[Item]:
    """Look for everything that needs a person; a file that cannot be read is an item and hides no other one."""
    yield from _audit(tx, day)
    yield from _unfinished(tx, day)
    yield from _asked(tx)
    yield from _canaries(tx)
    yield from stopped_arms(tx, day)
    yield from _feeds(tx, at)
    yield from _people(tx, at)
    yield from _call_backs(tx, at)
    yield from _incidents(tx)
    yield from _fates(tx)
    yield from _core(tx)
    yield from _unbooked(tx, at)
    yield from maybe_counted_twice(tx)
    yield from _promises(tx, day)
    yield from _strays(tx)
    yield from _agencies(tx, day)
    yield from unusual_looks(tx, desk_policy_in_force().unusual_views)
    yield from _pauses()
    yield from _untranslated(tx, day)
    for look in (_cases(tx, day), _law(tx), _texts(day), _packs(at), _strategies(), _clearances(day)):
        try:
            yield from look
        except ConfigError as error:
            yield Item(urgency=Urgency.NOW, what=f"a file cannot be read, and nobody is contacted by it: {error}", do="mend the file")


def _audit(tx: Connection, day: date) -> Iterator[Item]:
    kept = audit_results.last_kept(tx)
    if kept is None:
        yield Item(urgency=Urgency.TODAY, what="nothing was audited yet", do="`tideover audit`")
        return
    period = f"{kept.first.isoformat()} to {kept.last.isoformat()}"
    if kept.violations:
        found = ", ".join(f"{name} {count}" for name, count in kept.found.items())
        yield Item(
            urgency=Urgency.NOW,
            what=f"the last audit ({period}) found {kept.violations} violations: {found}",
            do="`tideover pause --because … --by …`, then `tideover audit` and `tideover evidence --attempt …`",
        )
    if kept.last < day - ONE_DAY:
        yield Item(
            urgency=Urgency.BEFORE_TODAYS_RUNS, what=f"yesterday was not audited; the last audit is of {period}", do="`tideover audit`"
        )
    if kept.warnings:
        yield Item(
            urgency=Urgency.TODAY,
            what=f"the last audit ({period}) could not look at all: {'; '.join(kept.warnings)}",
            do="`tideover audit`",
        )


def _core(tx: Connection) -> Iterator[Item]:
    """What was agreed and is not in the books yet; what is refused is among the cases."""
    standing = core_outbox.counts(tx)
    if standing.get("late"):
        what = f"{counted(standing['late'], 'instruction', 'instructions')} to the core system not accepted in time"
        yield Item(urgency=Urgency.BEFORE_TODAYS_RUNS, what=what, do="`tideover core list --state late`, `tideover core reconcile`")
    if standing.get("needs_approval"):
        what = f"{counted(standing['needs_approval'], 'instruction', 'instructions')} above a limit: another person has to stand for it"
        yield Item(urgency=Urgency.TODAY, what=what, do="`tideover core list --state needs_approval`, `tideover core approve`")


def _unbooked(tx: Connection, at: datetime) -> Iterator[Item]:
    """Money that she paid and that the books do not show: it counts here, and there it is asked for."""
    found = wallet_payments.unbooked(tx, before=at - BOOKED_WITHIN)
    if found:
        what = f"{counted(found, 'payment', 'payments')} by wallet not in the books after {BOOKED_WITHIN.days} days"
        yield Item(
            urgency=Urgency.TODAY, what=what, do="import the books' payments; they name a payment by the wallet's id (docs/wallet.md)"
        )


def maybe_counted_twice(tx: Connection) -> Iterator[Item]:
    """What may be one payment under two names: it is counted twice until the books name it by the wallet's id."""
    found = wallet_payments.maybe_twice(tx)
    if found:
        shown = ", ".join(f"#{loan}" for loan in found[:LOANS_SHOWN])
        more = f" and {len(found) - LOANS_SHOWN} more" if len(found) > LOANS_SHOWN else ""
        yield Item(
            urgency=Urgency.TODAY,
            what=f"a payment by wallet and one of the books have the same amount, a day apart at most, and two names: loans {shown}{more}",
            do="ask whoever keeps the books whether it is one payment; if so, have it named by the wallet's id (docs/wallet.md)",
        )


def _unfinished(tx: Connection, day: date) -> Iterator[Item]:
    """Runs of the last date that were never closed; what they had planned has expired or still waits."""
    last = overview.last_run_date(tx, before=day)
    for run_id in [] if last is None else campaigns.runs_of(tx, last):
        run = campaigns.read_run(tx, run_id)
        left = campaigns.unfinished(tx, run_id)
        if run.state == "open" and run.may_send:
            name = run.stage.replace("_", "-")
            part = "" if run.scope == campaigns.ALL else f" --param country={run.scope}"
            said = ", ".join(f"{count} {what}" for what, count in left.items()) or "it did not come to its end"
            yield Item(
                urgency=Urgency.BEFORE_TODAYS_RUNS,
                what=f"{run.stage} of {run.business_date.isoformat()} is unfinished: {said}",
                do=f"`prefect deployment run {name}/daily --param as_of={run.business_date.isoformat()}{part}`",
            )


def _asked(tx: Connection) -> Iterator[Item]:
    for one in run_standings.waiting(tx):
        yield Item(
            urgency=Urgency.BEFORE_TODAYS_RUNS,
            what=f"waits until people say yes: {one}",
            do=f"`tideover approve run {one.campaign_run_id}`, or its form in the Prefect UI",
        )


def _canaries(tx: Connection) -> Iterator[Item]:
    for one in canaries.stands(tx):
        decides = one.canary in ASKS_PEOPLE
        yield Item(
            urgency=Urgency.BEFORE_TODAYS_RUNS if decides else Urgency.KNOW,
            what=f"few went first: {one}",
            do=f"`tideover canary decide {one.campaign_run_id} --go-on|--reject --because …`" if decides else "`tideover canary list`",
        )


def stopped_arms(tx: Connection, day: date) -> Iterator[Item]:
    """Arms of experiments that were stopped of late."""
    for name in experiments.started(tx):
        for seen in experiments.looks(tx, name):
            if seen["stopped"] and day - seen["looked_on"] <= STOPPED_SHOWN:
                arms = ", ".join(seen["stopped"])
                yield Item(
                    urgency=Urgency.KNOW,
                    what=f"experiment {name}: {arms} stopped on {seen['looked_on'].isoformat()}, for it harmed more than was allowed",
                    do=f"`tideover experiments show {name}`",
                )


def _feeds(tx: Connection, at: datetime) -> Iterator[Item]:
    for feed in overview.feeds(tx, at=at):
        name = f"feed {feed.kind} of {feed.creditor}, which reaches to {local(feed.covers_until)}"
        if feed.is_late:
            yield Item(
                urgency=Urgency.BEFORE_TODAYS_RUNS,
                what=f"late: {name}. Nobody is contacted on its word",
                do="`tideover import --mapping … FILE`",
            )
        elif _late_within(feed, ONE_DAY):
            yield Item(urgency=Urgency.TODAY, what=f"will be late before tomorrow: {name}", do="`tideover import --mapping … FILE`")


def _late_within(feed: FeedAge, span: timedelta) -> bool:
    return feed.age_seconds + span.total_seconds() > feed.age_seconds_max


def _people(tx: Connection, at: datetime) -> Iterator[Item]:
    for one in overview.waiting_for_a_person(tx):
        waits = f"{counted(one.people, 'person waits', 'people wait')} for somebody: {one.intent}"
        yield Item(
            urgency=Urgency.NOW if one.intent == DANGER else Urgency.TODAY,
            what=f"{waits}, the oldest since {local(one.since)}, {lasted(at - one.since)}",
            do=f"`tideover waiting --intent {one.intent}`, then `tideover person handled ANSWER --by … --done …`",
        )


def _call_backs(tx: Connection, at: datetime) -> Iterator[Item]:
    missed, since = call_queue.overdue(tx, at=at)
    if since is not None:
        yield Item(
            urgency=Urgency.TODAY,
            what=f"{counted(missed, 'call-back was', 'call-backs were')} missed, the oldest due {local(since)}, {lasted(at - since)} ago",
            do="`tideover calls queue`, then `tideover calls take`: they come first",
        )


def _cases(tx: Connection, day: date) -> Iterator[Item]:
    """What people are owed an answer to: late by law, late by the house, near; the rest is to know."""
    for one in case_lists.standings(tx, on=day, near_days=case_terms().near_days):
        name = one.kind.replace("_", " ")
        due, do = one.late + one.near, f"`tideover cases list --due --kind {one.kind}`, then `tideover cases show N`"
        if one.unlawful:
            late = counted(one.unlawful, "case has", "cases have")
            yield Item(urgency=Urgency.NOW, what=f"{name}: {late} no answer, and the law's date has passed", do=do)
        if one.late > one.unlawful:
            late = counted(one.late - one.unlawful, "case is", "cases are")
            yield Item(urgency=Urgency.BEFORE_TODAYS_RUNS, what=f"{name}: {late} past the next deadline", do=do)
        if one.near:
            near = counted(one.near, "case is", "cases are")
            yield Item(urgency=Urgency.TODAY, what=f"{name}: {near} near the next deadline", do=do)
        if one.open > due:
            rest = counted(one.open - due, "case is", "cases are")
            yield Item(urgency=Urgency.KNOW, what=f"{name}: {rest} open, in time", do=f"`tideover cases list --kind {one.kind}`")


def _incidents(tx: Connection) -> Iterator[Item]:
    for one in incidents.read_all(tx, closed_too=False):
        yield Item(
            urgency=Urgency.TODAY,
            what=f"incident {one.id} ({one.kind.replace('_', ' ')}) is open, {local(one.opened_at)}",
            do=f"`tideover incident show {one.id}`, then `correct` or `close`",
        )


def _fates(tx: Connection) -> Iterator[Item]:
    fates = overview.fates(tx)
    if fates["parked"]:
        yield Item(
            urgency=Urgency.TODAY,
            what=f"{counted(fates['parked'], 'attempt is', 'attempts are')} parked: nobody could find out whether it was sent",
            do="`tideover parked`, then `tideover parked settle ATTEMPT --sent|--not-sent --by … --because …`",
        )
    if fates["unknown"]:
        yield Item(
            urgency=Urgency.KNOW,
            what=f"the fate of {counted(fates['unknown'], 'attempt', 'attempts')} is unknown; reconcile asks every five minutes",
            do="look at `reconcile/settle-unknown` if this does not go down",
        )


def _promises(tx: Connection, day: date) -> Iterator[Item]:
    past = overview.promises_past(tx, on=day)
    if past:
        yield Item(
            urgency=Urgency.KNOW,
            what=f"{counted(past, 'promise', 'promises')} whose day has passed: not judged yet (settling, or the feed is late)",
            do="`promises/daily` judges them; a late feed needs `tideover import`",
        )


def _strays(tx: Connection) -> Iterator[Item]:
    """Tables that fill up beside their months: what reads a month then reads all that has none."""
    full = [table for table in partitions.PARTITIONED if partitions.count_others(tx, table, at_most=STRAYS_MAX + 1) > STRAYS_MAX]
    if full:
        yield Item(
            urgency=Urgency.TODAY,
            what=f"more than {STRAYS_MAX:,} rows lie in no month of their own: {', '.join(full)}",
            do="`prefect deployment run retention/daily` makes their months, at an hour without runs; look why it did not in the night",
        )


def _pauses() -> Iterator[Item]:
    for one in standing_pauses():
        by = one.pause.by if one.pause else None
        ours = by == "tideover"
        yield Item(
            urgency=Urgency.BEFORE_TODAYS_RUNS if ours else Urgency.KNOW,
            what=str(one),
            do=f"`tideover resume {one.pause.id if one.pause else ''} --by …`" + (", when what it names is mended" if ours else ""),
        )


def _untranslated(tx: Connection, day: date) -> Iterator[Item]:
    last = overview.last_run_date(tx, before=day + ONE_DAY)
    people = 0 if last is None else overview.left_in_peace_for(tx, NO_TEXT, on=last)
    if last is not None and people:
        yield Item(
            urgency=Urgency.TODAY,
            what=f"{counted(people, 'person was', 'people were')} left in peace on {last.isoformat()} without a text in their language",
            do="write it in config/messages/, and have it approved",
        )


def _law(tx: Connection) -> Iterator[Item]:
    fault = law_in_force(tx).fault
    if fault is not None:
        yield Item(urgency=Urgency.NOW, what=fault, do="mend the file, then `tideover rules list`")


def _texts(day: date) -> Iterator[Item]:
    steps = [step for name in strategy_names() for stage in stages_of(name) for step in strategy(name, stage).steps]
    used = {step.message for step in steps} | {VOICE_PROMPTS for step in steps if SPOKEN in step.channels}
    for text in message_texts().by_key.values():
        name, urgent = f"text {text.message}/{text.locale}", text.message in used
        file = f"config/messages/{text.message}/{text.locale}.yaml"
        if not text.approved:
            yield Item(
                urgency=Urgency.BEFORE_TODAYS_RUNS if urgent else Urgency.SOON,
                what=f"{name} is not approved: nobody receives it{'' if urgent else ' (no strategy uses it)'}",
                do=f"have it read and approved, then say so in {file}",
            )
        elif text.approved_until is not None and text.approved_until <= day + SOON:
            over = text.approved_until <= day
            yield Item(
                urgency=Urgency.BEFORE_TODAYS_RUNS if over and urgent else Urgency.SOON,
                what=f"the approval of {name} {'ended' if over else 'ends'} on {text.approved_until.isoformat()}",
                do=f"have it read again, then set `approved_until` in {file}",
            )
    yield from _four_eyes_on_texts(used)


def _four_eyes_on_texts(used: Collection[str]) -> Iterator[Item]:
    """Texts that live mode does not use, or not for long; a language whose drafts nobody has read is one item."""
    found = text_standings()
    drafts = sorted({one.text.locale for one in found if one.text.approved and one.text.draft})
    if drafts:
        yield Item(
            urgency=Urgency.KNOW,
            what=f"texts that nobody who reads the language has approved, used in sandbox mode only: {', '.join(drafts)}",
            do="have somebody read them (`tideover message preview MESSAGE`), then write `approved: true` into the file",
        )
    for one in found:
        if one.last is not None and one.last.verdict == "asked":
            yield Item(
                urgency=Urgency.TODAY,
                what=f"the text {one.text.message}/{one.text.locale} waits for a second person; {one.last.asked_by} asked",
                do=f"`tideover message approve {one.text.message}/{one.text.locale} --by …`",
            )
    lacking = [one.text for one in found if one.text.message in used and one.text.approved and not one.text.draft and not one.approved]
    if lacking:
        yield Item(
            urgency=Urgency.BEFORE_TODAYS_RUNS if settings().is_real else Urgency.KNOW,
            what=f"{len(lacking)} texts that a strategy uses are not approved as they stand, so live mode sends none of them",
            do="`tideover message list`, `tideover message approve early_reminder/en --by …`, by two people",
        )


def _packs(at: datetime) -> Iterator[Item]:
    live = settings().is_real
    without = []
    for one in standings():
        if one.status == "other":
            continue
        if one.approved and one.last is not None and one.last.until is not None and one.last.until <= at + SOON:
            yield Item(
                urgency=Urgency.SOON,
                what=f"the approval of the rule pack {one.jurisdiction} ends at {local(one.last.until)}",
                do=f"`tideover approve pack {one.jurisdiction} --by …`, by two people",
            )
        elif one.last is not None and one.last.verdict == "asked":
            yield Item(
                urgency=Urgency.TODAY,
                what=f"the rule pack {one.jurisdiction} waits for a second person; {one.last.asked_by} asked",
                do=f"`tideover approve pack {one.jurisdiction} --by …`",
            )
        elif not one.approved:
            without.append(one.jurisdiction)
    if without:
        yield Item(
            urgency=Urgency.BEFORE_TODAYS_RUNS if live else Urgency.KNOW,
            what=f"{len(without)} rule packs are not approved, so live mode contacts nobody under them: {', '.join(without)}",
            do="`tideover approve list`, `tideover approve pack US --by …`",
        )


def _strategies() -> Iterator[Item]:
    used = settings().strategy
    for one in strategy_approvals.standings():
        if one.last is not None and one.last.verdict == "asked":
            yield Item(
                urgency=Urgency.TODAY,
                what=f"the strategy {one.name} waits for a second person; {one.last.asked_by} asked",
                do=f"/desk/approvals, or `tideover approve strategy {one.name} --by …`",
            )
        elif one.name == used and not one.approved:
            yield Item(
                urgency=Urgency.BEFORE_TODAYS_RUNS if settings().is_real else Urgency.KNOW,
                what=f"the strategy in force, {one.name}, is not approved as its files stand, so live mode contacts nobody by it",
                do=f"`tideover approve strategy {one.name} --by …`, by two people",
            )


def unusual_looks(tx: Connection, usual: int) -> Iterator[Item]:
    """Who of the staff looked at more than `usual` people, on the last two days by the wall clock; by number, no name."""
    zone = settings().business_zone
    today = outbox.wall_clock(tx).astimezone(ZoneInfo(zone)).date()
    for on in (today - ONE_DAY, today):
        for one in staff_views.looks(tx, day=on, zone=zone):
            if one.people > usual:
                yield Item(
                    urgency=Urgency.TODAY,
                    what=f"staff {one.staff_id} looked at {one.people} people on {on.isoformat()}, more than is usual ({usual})",
                    do=f"ask why; `tideover staff views --day {on.isoformat()} --staff {one.staff_id}` lists whom",
                )


def _agencies(tx: Connection, day: date) -> Iterator[Item]:
    for one in agency_feeds.late(tx, on=day):
        yield Item(
            urgency=Urgency.TODAY,
            what=f"the agency {one.agency} has not acknowledged feed {one.number} of {one.business_date.isoformat()}",
            do=f"ask it; `tideover agencies feed {one.agency} --again {one.number}` writes it once more",
        )
    for code, licence in agencies.expiring(tx, by=day + CLEARANCE_SOON):
        yield Item(
            urgency=Urgency.SOON,
            what=f"the licence of the agency {code} for {licence.jurisdiction} ends on {licence.until_on.isoformat()}",
            do=f"`tideover agencies add {code} … --licence …`, or take its loans back",
        )
    found = Counter(one["agency"] for one in agency_lines.findings(tx, since=day - ONE_DAY * 7))
    for code, number in sorted(found.items()):
        yield Item(
            urgency=Urgency.TODAY,
            what=f"contacts of the agency {code} within a week were against a rule: {counted(number, 'finding', 'findings')}",
            do=f"`tideover agencies findings {code}`",
        )


def _clearances(day: date) -> Iterator[Item]:
    for one in clearances():
        if one.mode == ("live" if settings().is_real else "sandbox") and one.until <= day + CLEARANCE_SOON:
            yield Item(
                urgency=Urgency.SOON,
                what=f"the clearance of {one.provider} for {one.channel} in {one.country} ({one.role}) ends on {one.until.isoformat()}",
                do="ask the provider, then write its answer into config/clearances.yaml",
            )
