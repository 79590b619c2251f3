"""Marks: the ledger says of each call that it is about to be made, in groups, and looks a last time whether it may be.

A letter may wait for some seconds in its sender's queue. Just before its call the ledger is asked whether anything was learned
meanwhile that concerns the person, or operations have paused something; if not, the call is marked (ledger/calls.py). What is
not marked is not called: it goes back through the gate. Where the ledger is out of reach nobody is called.

In:   letters, one by one.
Out:  each on a marked permit, or one `ChannelError`: no call may be made.
Pure: no; one transaction for what came in within some hundredths of a second, in a thread of its own.
Source: docs/adr/0012; ARCHITECTURE.md, invariants I1, I4.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from time import monotonic
from typing import Final
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from channels import PermitExpired, TryLater
from gate.permit import Letter, mark_letter
from gate.receipts import REST_SECONDS_MAX
from ledger.calls import Refusal, mark_calls
from ledger.engine import connection

# One commit for what is asked for within this time: some thirty commits a second at most.
GROUP_SECONDS: Final = 0.025
# Before a slot in time its mark is asked for this long, so that it is there when the slot comes.
AHEAD_SECONDS: Final = 0.05
# A mark that is older when the call can begin is made anew: so long at most does a call follow the last look at the ledger.
SECONDS_MAX: Final = 0.25
# Why a letter went back uncalled: it is judged again, with what was learned.
LEARNED_SINCE: Final = "learned_since"
NO_MARK: Final = "no_mark"

Answer = tuple[datetime | Refusal | None, float]


class Marks:
    """One for each lane; lives in the loop that sends."""

    def __init__(self) -> None:
        """Begin with nothing to ask."""
        self._thread = ThreadPoolExecutor(1, "marks")
        self._waiting: list[tuple[Letter, asyncio.Future[Answer]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def mark(self, letter: Letter) -> tuple[Letter, float]:
        """Ask for leave to make a letter's call now.

        Returns:
            The letter on its marked permit, and when the last look began (monotonic).

        Raises:
            TryLater: Something was learned since the letter was judged, or the ledger is out of reach.
            PermitExpired: It is too late to call, or somebody else has taken the attempt up.
        """
        told: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((letter, told))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        answer, looked_at = await told
        if isinstance(answer, datetime):
            return mark_letter(letter, answer), looked_at
        if answer == "over":
            raise PermitExpired(attempt_id=letter.attempt_id)
        code = NO_MARK if answer is None else LEARNED_SINCE
        raise TryLater(code=code, retry_after_seconds=REST_SECONDS_MAX, attempt_id=letter.attempt_id)

    def close(self) -> None:
        """Let go of the thread; nobody asks any more."""
        self._thread.shutdown(wait=True)

    async def _write(self) -> None:
        """Group after group, while anybody asks."""
        while self._waiting:
            await asyncio.sleep(GROUP_SECONDS)
            group, self._waiting = self._waiting, []
            began = monotonic()
            try:
                answers = await asyncio.get_running_loop().run_in_executor(self._thread, write_marks, [letter for letter, _ in group])
            except SQLAlchemyError:
                answers = {}
            except Exception as error:  # noqa: BLE001  # a bug: whoever waits is told, and halts
                for _, told in group:
                    if not told.done():
                        told.set_exception(error)
                continue
            for letter, told in group:
                if not told.done():
                    told.set_result((answers.get(letter.attempt_id), began))
        self._writer = None


def marked(letter: Letter) -> Letter | None:
    """One letter with its mark; None where something was learned since it was judged, or its time is over."""
    answer = write_marks([letter]).get(letter.attempt_id)
    return mark_letter(letter, answer) if isinstance(answer, datetime) else None


def write_marks(letters: Sequence[Letter]) -> dict[int, datetime | Refusal]:
    """Mark what may be called, in one transaction; attempt id → the mark, or why there is none."""
    claims: defaultdict[tuple[date, UUID], list[Letter]] = defaultdict(list)
    for letter in letters:
        claims[letter.business_date, letter.claim_id].append(letter)
    answers: dict[int, datetime | Refusal] = {}
    with connection() as tx:
        for (business_date, claim_id), members in claims.items():
            parties = {letter.attempt_id: letter.party_id for letter in members}
            answers |= mark_calls(tx, business_date=business_date, claim_id=claim_id, before=members[0].known, parties=parties)
    return answers
