"""A lane: chunk after chunk through the gate to the channels, until nothing is due.

One loop in the calling thread sends; one thread gates the next chunk while the present one is on its way, another writes
receipts. Nothing is ever held here that the ledger does not know: whoever kills the lane at any point finds every attempt
either planned, or `submitting` under a claim whose deadline passes by itself, with a mark if it was called.

In:   a campaign run, a shard or everybody, and how to open the channels.
Out:  a `LaneReport`: counts and the time of each phase.
Pure: no.
Source: ARCHITECTURE.md, "One borrower through one stage" 5; invariants I1 to I5.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Final, TypeVar

from sqlalchemy.exc import OperationalError
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_random_exponential

from channels import Channel
from channels.registry import WAYS, per_second
from config.message_files import message_texts
from config.settings import settings
from config.strategy_files import strategy
from decisions import gate_verdict
from gate.claim import Chunk, Door, take_chunk
from gate.late import close_late
from gate.marks import Marks
from gate.pace import pace_of
from gate.permit import Rulebook
from gate.receipts import Result, write_results
from gate.sender import Sender
from ledger import attempts, campaigns, clock, evidence, evidence_heads, outbox, pauses, strategy_approvals
from ledger.engine import connection
from ledger.law import law_in_force, texts_in_force
from ledger.lessons import WE_OURSELVES
from ledger.pauses import Scope
from ledger.tables import STAGES

T = TypeVar("T")
ChannelFactory = Callable[[], Channel]

# Receipts are written in groups: one commit for what came back within this time.
RECEIPT_SECONDS: Final = 0.1
# A database that is away for less than this costs nobody's receipt.
RECEIPT_PATIENCE_SECONDS: Final = 60.0
# How often a lane goes through its borrowers again when nothing came of the pass before.
IDLE_PASSES_MAX: Final = 3
# Whoever holds a borrower for an instant (an answer that is being written down, another lane's chunk) is waited for so long a pass,
# and as much longer each time: else what is due would wait for `dispatch`.
HELD_SECONDS: Final = 0.2
BEFORE_ALL: Final = -1
# A call that takes this share of the time it is given is slow.
SLOW_SHARE: Final = 0.5


class LaneHalted(RuntimeError):
    """A provider takes nothing from us at the moment: what was not sent is still planned, and the lane may be run again.

    Attributes:
        channel: Which channel.
        code: The provider's word, or ours, for why.
        for_good: The account or its configuration is refused: running again does not help until somebody has mended it.
    """

    def __init__(self, channel: str, code: str, *, for_good: bool) -> None:
        """Say what to do."""
        advice = "paused until it is mended and `tideover resume` says so" if for_good else "run again later"
        super().__init__(f"channel {channel} halted ({code}): {advice}; what was not sent is still planned")
        self.channel, self.code, self.for_good = channel, code, for_good


@dataclass(slots=True, kw_only=True)
class LaneReport:
    """What a lane did, in counts.

    Attributes:
        chunks: Transactions that let letters through.
        actions: Verdicts of the gate: send, later, leave, withhold, expire.
        became: Results of calls: accepted, planned (surely not processed), rejected, unknown, known.
        unknown_found: `submitting` of a lane that is gone, called unknown now.
        never_called_found: The same, but no call was made: planned again now.
        expired_found: Planned attempts whose window had passed before the lane began.
        paused: Due attempts that operations have paused.
        later: Attempts planned for later.
        stopped: The run is paused, rejected or a preview; or the caller cancelled.
        law_fault: Why nothing may be sent, or the rule packs are the last good ones and not those of the files; None where all is well.
        seconds: Time by phase: claim, read, judge, write, commit (gating), receipts, total.
    """

    chunks: int = 0
    actions: Counter[str] = field(default_factory=Counter)
    became: Counter[str] = field(default_factory=Counter)
    unknown_found: int = 0
    never_called_found: int = 0
    expired_found: int = 0
    paused: int = 0
    later: int = 0
    stopped: bool = False
    law_fault: str | None = None
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def accepted(self) -> int:
        """Messages that providers took."""
        return self.became["accepted"]

    @property
    def progress(self) -> int:
        """Attempts that are further than they were: whatever was not left as it is, or sent back."""
        held = sum(count for action, count in self.actions.items() if action not in {gate_verdict.SEND, gate_verdict.LEAVE})
        return held + sum(count for state, count in self.became.items() if state != "planned")


def run_lane(
    campaign_run_id: int, *, shard: int | None, channels: Mapping[str, ChannelFactory], cancelled: Callable[[], bool] = lambda: False
) -> LaneReport:
    """Send whatever is due of a run, each message after a last look at the rules.

    Safe to run again and beside other lanes: borrowers that another lane holds are passed over.

    Args:
        campaign_run_id: The run.
        shard: A part of its borrowers; None = whoever is due.
        channels: Channel name → how to open it in this lane's loop; opened when something is planned for it. What is
            planned for another channel stays planned.
        cancelled: Asked between chunks.

    Raises:
        LaneHalted: A provider refuses everything; all receipts are written by then.
        LookupError: No such run or shard.
    """
    return asyncio.run(_Lane(campaign_run_id, shard, cancelled).run(channels))


class _Lane:
    """One run of a lane; lives as long as its loop."""

    def __init__(self, campaign_run_id: int, shard: int | None, cancelled: Callable[[], bool]) -> None:
        self._run_id, self._shard, self._cancelled = campaign_run_id, shard, cancelled
        self._report = LaneReport()
        self._senders: dict[str, Sender] = {}
        self._results: list[Result] = []
        self._hungry = asyncio.Event()
        self._all_written = asyncio.Event()
        self._closing = False

    async def run(self, channels: Mapping[str, ChannelFactory]) -> LaneReport:
        """Open, drive, and whatever happens: finish the calls, write the receipts, close."""
        began = monotonic()
        # A thread each: receipts never wait behind a chunk that is being gated.
        with ThreadPoolExecutor(1, "gate") as self._gating, ThreadPoolExecutor(1, "receipts") as self._writing:
            door, planned = await self._in(self._gating, self._begin)
            keeper = asyncio.create_task(self._keep_receipts())
            self._marks = Marks()
            try:
                for name in sorted(planned & channels.keys()):
                    self._senders[name] = self._sender(name, channels[name]())
                await self._drive(door, keeper)
            finally:
                await self._finish(keeper)
                self._marks.close()
            await self._in(self._gating, partial(self._end, door))
        self._report.seconds["total"] = monotonic() - began
        halted = [
            LaneHalted(sender.name, sender.halted, for_good=sender.halted_for_good)
            for sender in self._senders.values()
            if sender.halted is not None
        ]
        for error in halted:
            if error.for_good:
                # Else every lane after this one would lose as many messages to the same trouble.
                await asyncio.to_thread(_pause, door.run.stage, error, account=self._senders[error.channel].account_halted)
        if halted:
            raise halted[0]
        return self._report

    def _begin(self) -> tuple[Door, set[str]]:
        """Read what this lane lets through and on which channels, and close what others left open behind them."""
        with connection() as tx:
            at = clock.now(tx)
            run = campaigns.read_run(tx, self._run_id)
            part = None if self._shard is None else campaigns.read_shard(tx, self._run_id, self._shard)
            parties = outbox.EVERY_PARTY if part is None else (part.first_party_id, part.last_party_id)
            self._report.unknown_found, self._report.never_called_found = close_late(tx, campaign_run_id=run.id, at=at)
            self._report.expired_found = attempts.expire_planned(tx, campaign_run_id=run.id, at=at)
            channels = outbox.channels_planned(tx, campaign_run_id=run.id, parties=parties)
            law = law_in_force(tx)
            texts = texts_in_force(tx, message_texts())
            self._report.law_fault = strategy_approvals.why_not(tx, run.policy_hashes) or law.fault
        treatment = strategy(run.strategy, run.stage) if run.stage in STAGES else None
        return Door(run=run, parties=parties, book=Rulebook(law.packs), texts=texts, treatment=treatment), channels

    def _sender(self, name: str, channel: Channel) -> Sender:
        chosen, way = settings(), WAYS[name]
        sender = Sender(
            channel,
            concurrency=way.concurrency(chosen),
            per_second=way.per_second(chosen),
            pace_of=lambda sender: pace_of(name, sender, per_second(name, sender)),
            slow_seconds=chosen.call_seconds_max * SLOW_SHARE,
            marks=self._marks,
            on_result=self._results.append,
            on_hungry=self._hungry.set,
        )
        sender.start()
        return sender

    async def _drive(self, door: Door, keeper: asyncio.Task[None]) -> None:
        """Go through the borrowers until a pass finds nobody, or nothing comes of it."""
        idle = 0
        while idle < IDLE_PASSES_MAX and not self._report.stopped:
            before = self._report.progress
            claimed = await self._pass(door, keeper)
            await self._settle(keeper)
            idle = 0 if self._report.progress > before else idle + 1
            if not claimed:
                over = self._report.stopped or idle == IDLE_PASSES_MAX
                if over or not await self._in(self._gating, partial(self._is_due, door)):
                    return
                await asyncio.sleep(HELD_SECONDS * idle)

    def _is_due(self, door: Door) -> bool:
        """Whether something can be claimed that a pass has passed over, because others held it."""
        names = [name for name, sender in self._senders.items() if sender.halted is None]
        with connection() as tx:
            run = campaigns.read_run(tx, door.run.id)
            return run.may_send and outbox.is_due(
                tx, campaign_run_id=run.id, channels=names, parties=door.parties, at=clock.now(tx), rank_max=run.rank_max
            )

    async def _pass(self, door: Door, keeper: asyncio.Task[None]) -> int:
        """Once through the borrowers in the order of their ids, at most one chunk ahead of the senders; returns how many were claimed."""
        after = dict.fromkeys(self._senders, BEFORE_ALL)
        left = set(self._senders)
        claimed = 0
        while left := {name for name in left if self._senders[name].halted is None}:
            if keeper.done() or self._cancelled():
                self._report.stopped = True
                self._send_back()
                break
            self._hungry.clear()
            at_most = {name: room for name in sorted(left) if (room := self._senders[name].room())}
            if not at_most:
                await self._wait_for_room(left)
                continue
            chunk = await self._in(self._gating, partial(take_chunk, door, at_most=at_most, after=after))
            self._count(chunk)
            if chunk.stopped:
                break
            for name, party_ids in chunk.claimed.items():
                claimed += len(party_ids)
                after[name] = party_ids[-1] if party_ids else after[name]
                if len(party_ids) < at_most[name]:
                    left.discard(name)
                self._senders[name].put([letter for letter in chunk.letters if letter.channel == name])
        return claimed

    async def _wait_for_room(self, left: set[str]) -> None:
        """Until a queue runs low, or a provider's rest is over."""
        rests = [rest for name in left if (rest := self._senders[name].resting_seconds())]
        try:
            await asyncio.wait_for(self._hungry.wait(), min(rests, default=None))
        except TimeoutError:
            return

    def _count(self, chunk: Chunk) -> None:
        self._report.chunks += bool(chunk.letters)
        self._report.actions.update(chunk.actions)
        self._report.stopped |= chunk.stopped
        for phase, seconds in chunk.seconds.items():
            self._report.seconds[phase] += seconds

    async def _settle(self, keeper: asyncio.Task[None]) -> None:
        """Until every letter has its result, and every result is written: only then is it known what is still due."""
        for sender in self._senders.values():
            await sender.settle()
        self._all_written.clear()
        if self._results and not keeper.done():
            await self._all_written.wait()

    async def _keep_receipts(self) -> None:
        """Write results in groups until the lane closes."""
        try:
            while not (closing := self._closing) or self._results:
                await self._write_group()
                if not closing:
                    await asyncio.sleep(RECEIPT_SECONDS)
        finally:
            self._all_written.set()

    async def _write_group(self) -> None:
        """Write what has come back by now."""
        group = list(self._results)
        if group:
            began = monotonic()
            became = await self._in(self._writing, partial(_write, group, self._run_id))
            self._report.seconds["receipts"] += monotonic() - began
            self._report.became.update(became)
            del self._results[: len(group)]
        if not self._results:
            self._all_written.set()

    async def _finish(self, keeper: asyncio.Task[None]) -> None:
        """Send back what was not called, wait for what was, write it all down."""
        self._send_back()
        for sender in self._senders.values():
            await sender.settle()
        self._closing = True
        try:
            await keeper
        finally:
            for sender in self._senders.values():
                await sender.close()

    def _send_back(self) -> None:
        for sender in self._senders.values():
            sender.send_back()

    def _end(self, door: Door) -> None:
        """Count what is left, and keep the head of the evidence outside the database."""
        with connection() as tx:
            at = clock.now(tx)
            self._report.paused, self._report.later = outbox.count_waiting(tx, campaign_run_id=self._run_id, parties=door.parties, at=at)
            sealed = evidence.seal_run(tx, self._run_id)
        if sealed is not None:
            # Where it cannot be kept, that is said; the audit tries again. What was sent stays sent.
            evidence_heads.keep_head(evidence_heads.head_of(door.run.business_date, self._run_id, *sealed))

    async def _in(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(threads, work)


def _pause(stage: str, error: LaneHalted, *, account: bool) -> None:
    """Stop what cannot work until somebody has mended it: the stage on that channel, or with the account the whole channel."""
    scope = Scope(channel=error.channel) if account else Scope(channel=error.channel, stage=stage)
    with connection() as tx:
        pauses.write_pause(tx, scope, because=str(error), by=WE_OURSELVES, at=clock.now(tx))


@retry(
    retry=retry_if_exception_type(OperationalError),
    wait=wait_random_exponential(multiplier=0.2, max=5),
    stop=stop_after_delay(RECEIPT_PATIENCE_SECONDS),
    reraise=True,
)
def _write(group: list[Result], campaign_run_id: int) -> Counter[str]:
    """Write a group; writing it twice changes nothing, so a lost connection is no reason to lose it."""
    return write_results(group, campaign_run_id=campaign_run_id)
