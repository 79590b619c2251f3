"""Delivering at once: what is agreed on a page or a desk goes to the core system within seconds, so that she can read "agreed".

What cannot be delivered now is left to its next try, and to the flow `core-delivery`.

In:   the ledger's outbox.
Out:  instructions, delivered and answered (gate/core.py).
Pure: no; a task of the portal, which lives as long as it.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Final

from channels import ForbiddenHost
from channels.core_system import CoreSystem
from config.settings import settings
from gate.core import deliver

_log = logging.getLogger(__name__)
# So long is what was agreed under way at most before it is delivered, where nothing stands in between.
LOOKS_EVERY_SECONDS: Final = 1.0


async def run() -> None:
    """Deliver what is due, again and again, until cancelled. Without a core system nothing is."""
    while True:
        if settings().core_base_url:
            await _once()
        await asyncio.sleep(LOOKS_EVERY_SECONDS)


async def _once() -> None:
    system = None
    try:
        system = CoreSystem(settings())
        became = await deliver(system)
    except ForbiddenHost as error:
        _log.error("the core system's address is not one of this mode (%s)", type(error).__name__)
        return
    except Exception as error:  # noqa: BLE001  # a ledger that is away, a bug: the next look tries again
        # The class alone: a database's error repeats the values of its statement.
        _log.error("what was agreed waits to be delivered (%s)", type(error).__name__)
        return
    finally:
        if system is not None:
            with suppress(Exception):
                await system.close()
    if became:
        _log.info("the core system said: %s", ", ".join(f"{state} {count}" for state, count in sorted(became.items())))
