"""Answering at once: the moment a person's message is heard, or a code is asked for, what is owed is sent, through the gate.

In:   a word that somebody wrote.
Out:  answers (gate/answers.py). What cannot be sent now is left to `dispatch`, and the log says why.
Pure: no; a task of the portal, which lives as long as it.
"""

from __future__ import annotations

import asyncio
import logging

from channels.registry import ready_openers
from gate import page_codes
from gate.answers import answer_now
from ledger.page_links import Link

_log = logging.getLogger(__name__)


def send_code(link: Link) -> page_codes.Asked:
    """Send a code for the page of a link, now; somebody waits for it."""
    return page_codes.send_code(link, ready_openers())


class Answering:
    """One for each portal."""

    def __init__(self) -> None:
        """Look once when it starts: a portal that was killed may have heard and not answered."""
        self._heard = asyncio.Event()
        self._heard.set()

    def hear(self) -> None:
        """Somebody wrote, and it is applied."""
        self._heard.set()

    async def run(self) -> None:
        """Answer, whenever somebody has written, until cancelled. Without an account at a provider only `dispatch` answers."""
        while True:
            await self._heard.wait()
            self._heard.clear()
            channels = ready_openers()
            if not channels:
                continue
            try:
                became = await asyncio.to_thread(answer_now, channels)
            except Exception as error:  # noqa: BLE001  # a ledger or a provider that is away, a pack that cannot be read: dispatch tries again
                # The class alone: a database's error repeats the values of its statement.
                _log.error("answers wait for dispatch (%s)", type(error).__name__)
                continue
            if became:
                _log.info("answered: %s", ", ".join(f"{state} {count}" for state, count in sorted(became.items())))
