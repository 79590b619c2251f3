"""Stepping the simulated clock by hand: ours in the ledger, and the sandbox's over HTTP.

In:   an instant, as text.
Out:  both clocks at that instant; the town's people have done what they do until then.
Pure: no. Another server on loopback that speaks the providers' protocols has no such clock; then ours steps alone.
"""

from __future__ import annotations

import json
from datetime import datetime
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from config.settings import settings
from ledger import clock
from ledger.engine import connection


class ClockRefused(RuntimeError):
    """The clock was not stepped; the message says why."""


def step_both(text: str) -> str:
    """Step both clocks to the instant that `text` names; returns what was done.

    Raises:
        ClockRefused: No instant with an offset, one before the present instant, or live mode.
    """
    try:
        at = datetime.fromisoformat(text)
        with connection() as tx:
            clock.step(tx, at)
    except (ValueError, clock.LiveClockError) as error:
        raise ClockRefused(str(error)) from None
    request = Request(  # noqa: S310  # sandbox mode: settings let loopback alone be an address
        f"{settings().twilio_base_url}/sandbox/clock", json.dumps({"at": at.isoformat()}).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urlopen(request, timeout=120):  # noqa: S310  # as above
            return f"the clock stands at {at.isoformat()}, in the ledger and in the sandbox"
    except HTTPError as error:
        with error:
            return f"the clock stands at {at.isoformat()} in the ledger; the server at the provider's address did not step: {error.code}"
    except URLError:
        return f"the clock stands at {at.isoformat()} in the ledger; no sandbox answers"
