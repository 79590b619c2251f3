"""A worker made to be killed: sends whatever is due of any run, lane after lane, beside the flow process that does the same.

In:   the ledger.
Out:  the ledger moves on; one line for each thing that went wrong.
Pure: no. It ends with whoever started it. Without Prefect, which takes seconds to be there again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from channels.registry import openers
from config.settings import settings
from gate.lane import ChannelFactory, LaneHalted, run_lane
from ledger import clock, outbox
from ledger.engine import connection

REST_SECONDS: Final = 0.3
LANES_MAX: Final = 200
CHANNELS: Final[Mapping[str, ChannelFactory]] = openers()


def send() -> None:
    """Send whatever is due, part by part."""
    with connection() as tx:
        lanes = outbox.lanes_due(tx, at=clock.now(tx), at_most=LANES_MAX)
    for lane in lanes:
        run_lane(lane.campaign_run_id, shard=lane.shard, channels=CHANNELS)


def main() -> None:
    """Go on until killed; a database or a provider that is away is waited for, anything else ends the process with its traceback."""
    parent = os.getppid()
    assert settings().mode == "sandbox"
    while os.getppid() == parent:
        try:
            send()
        except (LaneHalted, SQLAlchemyError) as error:
            print(type(error).__name__, flush=True)  # noqa: T201  # the process's log; the error itself may be long
        time.sleep(REST_SECONDS)


if __name__ == "__main__":
    main()
