"""How often one address has done what could be done by guessing, and whether it has to wait.

The address is that of the connection, or what a proxy says whom uvicorn trusts (FORWARDED_ALLOW_IPS); what a caller claims about itself is
worth nothing. Of an IPv6 address the network counts, since one house has as many addresses as it likes.

In:   requests; config/limits.yaml.
Out:  counts in this process's memory; seconds to wait.
Pure: no; holds counts, reads the real clock.
Source: docs/adr/0055.
"""

from __future__ import annotations

import time
from collections import Counter
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.requests import Request

from config.limits import What, limits_in_force

NETWORK_BITS: Final = 64
# What was held back → how often, since this process began; portal/metrics.py shows it.
held: Final[Counter[str]] = Counter()


class Limits:
    """The counts of one process."""

    def __init__(self) -> None:
        """Nobody has done anything yet."""
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._items = {what: RateLimitItemPerMinute(limit.times, limit.minutes, what) for what, limit in limits_in_force().items()}

    def count(self, what: What, request: Request) -> None:
        """One more."""
        self._limiter.hit(self._items[what], address_of(request))

    def wait(self, what: What, request: Request) -> int | None:
        """Seconds to wait; None where this address need not."""
        item, address = self._items[what], address_of(request)
        if self._limiter.test(item, address):
            return None
        held[what] += 1
        return max(1, int(self._limiter.get_window_stats(item, address).reset_time - time.time()) + 1)


def limits_of(request: Request) -> Limits:
    """Those of the portal that answers."""
    found: Limits = request.app.state.limits
    return found


def address_of(request: Request) -> str:
    """Whose counts these are; every caller without an address is one."""
    host = request.client.host if request.client is not None else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped is not None else str(ip_network((address, NETWORK_BITS), strict=False))
    return host
