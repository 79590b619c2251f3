"""The HTTP client to a lender's own gateway: nothing is done to a person without the gate's permit, looked at last.

In:   a path, a query or a body; a permit.
Out:  an `Answer` (channels/signed_http.py).
Pure: no; talks to the gateway, or to the sandbox on loopback.
Source: docs/gateway.md; PROVIDERS.md, "Ceiling and recipe".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from channels import AccountHalted, NoPermit, Permit
from channels.signed_http import Answer, SignedHttp
from config.settings import Settings

__all__ = ["Answer", "GatewayHttp", "NoGatewayError"]


class NoGatewayError(AccountHalted):
    """A creditor's sender goes through the gateway, and TIDEOVER_GATEWAY_BASE_URL is not set."""

    def __init__(self) -> None:
        super().__init__(code="gateway_base_url_not_set")


class GatewayHttp:
    """One session for the life of a channel or a list, bound to the loop of its first request."""

    def __init__(self, settings: Settings) -> None:
        """Prepare; connects with the first request.

        Raises:
            NoGatewayError: The settings name none.
            ForbiddenHost: Its address is not one of this mode.
        """
        if not settings.gateway_base_url:
            raise NoGatewayError
        self._http = SignedHttp(
            settings.gateway_base_url,
            settings.gateway_keys.get_secret_value(),
            mode=settings.mode,
            connections_max=settings.gateway_concurrency,
            seconds_max=settings.call_seconds_max,
        )

    async def ask(self, path_and_query: str) -> Answer:
        """Ask a question, which reaches no person.

        Raises:
            aiohttp.ClientError, TimeoutError: As the transport found it.
        """
        return await self._http.ask(path_and_query)

    async def post(self, path: str, value: Mapping[str, Any], permit: Permit | None) -> Answer:
        """Ask for something to be done to a person.

        Raises:
            NoPermit: Nobody gave leave.
            PermitExpired, NotMarked: Nor is it any that holds.
            aiohttp.ClientError, TimeoutError: As the transport found it.
        """
        if permit is None:
            raise NoPermit

        def still_allowed() -> None:
            permit.refuse_if_not_marked()
            permit.refuse_if_late()

        return await self._http.tell(path, value, at_last=still_allowed)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.close()
