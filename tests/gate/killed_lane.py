"""A lane in a process of its own, for tests that kill it in the middle of a call.

Prints one line a call, before the provider would have answered, then waits: whoever reads the line kills the process.
"""

from __future__ import annotations

import sys
import time

from channels import Message, Permit, Receipt
from gate.lane import run_lane
from tests.plugins.sending import RecordingChannel, taken


def say_and_wait(message: Message, permit: Permit) -> Receipt:
    """Tell the test that the provider has the message, and answer far too late."""
    del permit
    print(message.token, flush=True)  # noqa: T201  # how the test learns of the call
    time.sleep(60)
    return taken(message)


if __name__ == "__main__":
    run_lane(int(sys.argv[1]), shard=None, channels={"sms": lambda: RecordingChannel(answer=say_and_wait)})
