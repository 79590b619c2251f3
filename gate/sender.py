"""A sender: one channel of one lane, with its queue of letters, its pace, and its limits of patience.

So many calls are in flight as the settings allow and the provider can take (gate/pace.py), at no more than the sender's rate.
No call is made that the ledger does not know to be about to be made (gate/marks.py).
A provider that says "later" gives every call a rest. Only what was surely not processed is tried again, a few times and under
the same permit; one that has become too old goes back through the gate.

In:   letters.
Out:  a `Result` for each, exactly one.
Pure: no; calls the provider.
Source: PROVIDERS.md A2 (429 is never processed), A7.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

from sqlalchemy.exc import SQLAlchemyError
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random

from channels import AccountHalted, Channel, ChannelError, FateUnknown, NeverWorks, PermitExpired, Receipt, TryLater
from channels.registry import provider_of
from gate import marks as marking
from gate.marks import Marks
from gate.pace import Pace, Window, calls_in_hand
from gate.permit import Letter
from gate.receipts import REST_SECONDS_MAX, Result

# What is gated at once: as much as is submitted in about two seconds, and never more than this. A lane begins with few, so that
# the first call is made soon, and takes one more for each that went well.
CHUNK_SECONDS: Final = 2.0
CHUNK_MAX: Final = 1_024
CHUNK_FIRST: Final = 256
# The next chunk is gated while the present one is sent, when no more than this much work is left, so that no permit waits longer
# than it lives.
LOW_WATER_SECONDS: Final = 1.0
CALLS_MAX: Final = 3
RETRY_REST_SECONDS_MAX: Final = 1.0
RETRY_JITTER_SECONDS: Final = 0.25
# So many failures of one kind in a row, and the provider, not the message, is the trouble.
TROUBLES_MIN: Final = 32
EXPIRED_IN_A_ROW_MAX: Final = 4 * CHUNK_MAX


class Sender:
    """Sends letters of one channel and hands in their results."""

    def __init__(
        self,
        channel: Channel,
        *,
        concurrency: int,
        per_second: float,
        pace_of: Callable[[str], Pace],
        slow_seconds: float,
        marks: Marks,
        on_result: Callable[[Result], None],
        on_hungry: Callable[[], None],
    ) -> None:
        """Prepare; `start` begins.

        Args:
            channel: What calls.
            concurrency: Calls in flight at most.
            per_second: Of each sender id.
            pace_of: Sender id → its pace.
            slow_seconds: A call that takes longer says that the provider has too much to do.
            marks: Gives leave for each call.
            on_result: Takes each result.
            on_hungry: Called when more letters are wanted.
        """
        self.name, self.provider = channel.name, channel.provider
        self._channel, self._pace_of, self._marks, self._concurrency = channel, pace_of, marks, concurrency
        self._window, self._slow_seconds = Window(concurrency), slow_seconds
        self._on_result, self._on_hungry = on_result, on_hungry
        self._queue: asyncio.Queue[Letter] = asyncio.Queue()
        # Letters that were not called yet, in the queue or in a worker's hands.
        self._uncalled: set[int] = set()
        self._workers: list[asyncio.Task[None]] = []
        self._chunk_most = max(1, min(CHUNK_MAX, int(per_second * CHUNK_SECONDS)))
        self._chunk_now = min(self._chunk_most, CHUNK_FIRST)
        self._low_water_most = max(1, int(per_second * LOW_WATER_SECONDS))
        self._troubles_max = max(TROUBLES_MIN, concurrency)
        self._troubles = self._expired_in_a_row = 0
        self._rest_until = 0.0
        self.halted: str | None = None
        self.halted_for_good = self.account_halted = False
        self._closing = False

    def start(self) -> None:
        """Begin to work; call once, in the loop that sends."""
        self._workers = [asyncio.create_task(self._work()) for _ in range(calls_in_hand(self._concurrency))]

    def put(self, letters: Sequence[Letter]) -> None:
        """Take letters whose intention is committed."""
        for letter in letters:
            self._uncalled.add(letter.attempt_id)
            self._queue.put_nowait(letter)

    def room(self) -> int:
        """How many letters may be gated for this sender now."""
        if self.halted is not None or self.resting_seconds() > 0:
            return 0
        return self._chunk_now if self._is_low() else 0

    def resting_seconds(self) -> float:
        """How long the provider wants to be left alone."""
        return max(0.0, self._rest_until - monotonic())

    def halt(self, code: str, *, for_good: bool) -> None:
        """Call nobody any more; what is in the queue goes back."""
        if self.halted is None:
            self.halted, self.halted_for_good = code, for_good
            self._on_hungry()

    def send_back(self) -> None:
        """Begin no further call: the lane is closing, and what is in the queue goes back to planned."""
        self._closing = True

    async def settle(self) -> None:
        """Wait until every letter has its result."""
        await self._queue.join()

    async def close(self) -> None:
        """Stop the workers, which are idle, and let go of the channel."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        await self._channel.close()

    async def _work(self) -> None:
        while True:
            letter = await self._queue.get()
            outcome = await self._outcome(letter)
            self._leaves(letter)
            self._weigh(outcome)
            provider = provider_of(letter.message.sender, own=self.provider)
            self._on_result(Result(letter=letter, provider=provider, outcome=outcome))
            self._queue.task_done()

    async def _outcome(self, letter: Letter) -> Receipt | ChannelError:
        """How the call ended: a value, whatever happens."""
        try:
            return await self._call(letter)
        except TryLater as error:
            if error.retry_after_seconds > RETRY_REST_SECONDS_MAX:
                return error
        except ChannelError as error:
            return error
        except Exception as error:  # noqa: BLE001  # a bug in a channel: the call may have gone out
            self.halt(type(error).__name__, for_good=True)
            return FateUnknown(code=type(error).__name__, attempt_id=letter.attempt_id)
        return await self._once_more(letter)

    async def _once_more(self, letter: Letter) -> Receipt | ChannelError:
        """Try again what was surely not processed; the permit stays the same and the channel looks at its age."""
        again = AsyncRetrying(
            stop=stop_after_attempt(CALLS_MAX - 1),
            wait=wait_random(0, RETRY_JITTER_SECONDS),
            retry=retry_if_exception(lambda error: isinstance(error, TryLater) and error.retry_after_seconds <= RETRY_REST_SECONDS_MAX),
            reraise=True,
        )
        try:
            return await again(self._call, letter)
        except ChannelError as error:
            return error
        except Exception as error:  # noqa: BLE001  # as above
            self.halt(type(error).__name__, for_good=True)
            return FateUnknown(code=type(error).__name__, attempt_id=letter.attempt_id)

    async def _call(self, letter: Letter) -> Receipt:
        await self._window.approach()
        try:
            marked, looked_at = await self._turn(letter)
            began = await self._window.enter()
        except BaseException:
            self._window.withdraw()
            raise
        well: bool | None = None
        try:
            # Another call may have been told to rest while this one waited for room, or the wait was long.
            while self.resting_seconds() or monotonic() - looked_at > marking.SECONDS_MAX:
                marked, looked_at = await self._turn(letter)
            self._refuse(letter)
            self._leaves(letter)
            called = monotonic()
            well = False
            receipt = await self._channel.send(marked.message, marked.permit)
            well = monotonic() - called < self._slow_seconds
        except TryLater as error:
            # A longer rest concerns this message alone, which comes back later in the day; if it is the account, the next ones say so.
            if well is False and error.retry_after_seconds <= REST_SECONDS_MAX:
                self._rest_until = max(self._rest_until, monotonic() + error.retry_after_seconds)
            raise
        except FateUnknown:
            raise
        except ChannelError:
            # An answer about this message, or no call at all: the provider is not the trouble.
            well = None
            raise
        finally:
            self._window.leave(began, well=well)
        return receipt

    async def _turn(self, letter: Letter) -> tuple[Letter, float]:
        """Wait until the provider's rest is over and a slot of the letter's sender has come, and have the call marked for it.

        Returns:
            The letter on its marked permit, and when the ledger was looked at (monotonic).

        Raises:
            TryLater: As `_refuse` and the marks do; or the ledger, which gives the slots, is away.
            PermitExpired: Too late to call; no slot is spent on it.
        """
        while True:
            if rest := self.resting_seconds():
                await asyncio.sleep(rest)
            self._refuse(letter)
            letter.permit.refuse_if_late()
            try:
                slot = await self._pace_of(letter.message.sender).turn(marking.AHEAD_SECONDS)
            except SQLAlchemyError:
                raise TryLater(code="no_slot", retry_after_seconds=REST_SECONDS_MAX, attempt_id=letter.attempt_id) from None
            self._refuse(letter)
            # Another call may have been told to rest while this one waited: its slot is gone, and it takes another one later.
            if self.resting_seconds():
                continue
            leave = await self._marks.mark(letter)
            if (wait := slot - monotonic()) > 0:
                await asyncio.sleep(wait)
            if not self.resting_seconds():
                return leave

    def _refuse(self, letter: Letter) -> None:
        """Call nobody any more once the sender is halted or closing; asked again after a wait for one's turn.

        Raises:
            TryLater: It is.
        """
        if self.halted is not None or self._closing:
            raise TryLater(code="not_called", retry_after_seconds=REST_SECONDS_MAX, attempt_id=letter.attempt_id)

    def _is_low(self) -> bool:
        """Whether so little is left to be called that more may be gated."""
        return len(self._uncalled) <= min(self._chunk_now, self._low_water_most)

    def _leaves(self, letter: Letter) -> None:
        """A letter is called now, or goes back uncalled."""
        if letter.attempt_id in self._uncalled:
            self._uncalled.remove(letter.attempt_id)
            if self._is_low():
                self._on_hungry()

    def _weigh(self, outcome: Receipt | ChannelError) -> None:
        """Go slower, faster, or not at all, by what came back."""
        if isinstance(outcome, TryLater) and outcome.code == marking.LEARNED_SINCE:
            return  # ours, not the provider's
        if isinstance(outcome, PermitExpired):
            # Gated more than could be sent while the permits lived.
            self._chunk_now = max(1, self._chunk_now // 2)
            self._expired_in_a_row += 1
            if self._expired_in_a_row > EXPIRED_IN_A_ROW_MAX:
                self.halt("permits_expire", for_good=False)
            return
        self._expired_in_a_row = 0
        self._chunk_now = min(self._chunk_most, self._chunk_now + 1)
        if not isinstance(outcome, (TryLater, FateUnknown, NeverWorks)):
            self._troubles = 0
            return
        self._troubles += 1
        if isinstance(outcome, AccountHalted):
            self.account_halted = True
            self.halt(outcome.code, for_good=True)
        elif self._troubles > self._troubles_max:
            self.halt(outcome.code, for_good=isinstance(outcome, NeverWorks))
