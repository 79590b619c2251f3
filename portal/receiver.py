"""The receiver: takes what is said to us one by one and hands it to the inbox in groups.

What comes in while one group is being written forms the next: nobody waits for a group to fill, and under load a
transaction is shared by many. Each caller is answered when what it said is kept.

In:   things said, already known to be genuine.
Out:  rows of the inbox (ledger/inbox.py) and what they do.
Pure: no.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ledger import inbox
from ledger.inbox import Said, Vocabulary
from portal import metrics

GROUP_MAX: Final = 200

Waiting = tuple[Said, asyncio.Future[None]]


class NotKeptError(RuntimeError):
    """Something could not be kept; names the class of the error alone, since a database's own repeats the values."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"not kept: {reason}")


class Receiver:
    """One for each process, run by the portal as long as it lives."""

    def __init__(self, vocabulary: Vocabulary, on_message: Callable[[], None] = lambda: None) -> None:
        """Take nothing yet; `run` does.

        Args:
            vocabulary: What is understood.
            on_message: Called when something that a person wrote is kept, and applied if it could be.
        """
        self._vocabulary, self._on_message = vocabulary, on_message
        self._waiting: asyncio.Queue[Waiting] = asyncio.Queue()

    async def receive(self, said: Said) -> None:
        """Wait until this is kept.

        Raises:
            NotKeptError: It could not be kept; whoever said it must be told so.
        """
        kept = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((said, kept))
        await kept

    async def run(self) -> None:
        """Hand over group after group, until cancelled."""
        while True:
            group = [await self._waiting.get()]
            while len(group) < GROUP_MAX and not self._waiting.empty():
                group.append(self._waiting.get_nowait())
            await self._hand_over(group)

    async def _hand_over(self, group: list[Waiting]) -> None:
        try:
            with metrics.KEPT_SECONDS.time():
                await asyncio.to_thread(inbox.receive, [said for said, _ in group], self._vocabulary)
        except Exception as error:  # noqa: BLE001  # each caller hears of its own
            if len(group) > 1:
                # One that the database refuses must not take the others along.
                for one in group:
                    await self._hand_over([one])
            elif not group[0][1].done():
                group[0][1].set_exception(NotKeptError(type(error).__name__))
            return
        metrics.KEPT.inc(len(group))
        if any(said.kind == "inbound" for said, _ in group):
            self._on_message()
        for _, kept in group:
            if not kept.done():  # the caller may have hung up
                kept.set_result(None)
