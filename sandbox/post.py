"""What the sandbox posts to webhooks: in order for each address, a bounded number at once, retried like Twilio does.

In:   posts, in the order in which they are due.
Out:  what the webhooks answered.
Pure: no; HTTP to loopback. An answer of 500 or more, or none, is tried twice more; then the post is lost, and counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

RETRY_SECONDS = (0.05, 0.3)
AT_ONCE_MAX = 32
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Post:
    """One post. Those of one `group` go out one after the other; `about` is the record that an answer would be about.

    `sign` makes the headers that say when it was signed: anew for each try. `channel` says whose faults strike it.
    """

    group: str
    url: str
    body: bytes
    headers: dict[str, str]
    about: str | None = None
    sign: Callable[[], dict[str, str]] | None = None
    channel: str = "sms"


@dataclass(slots=True)
class Postman:
    """Carries posts; `posted` and `lost` count them, `under_way` those that wait for an answer at this moment."""

    timeout_seconds: float
    posted: int = 0
    lost: int = 0
    under_way: int = 0
    _session: aiohttp.ClientSession | None = field(default=None)

    async def deliver(self, posts: Iterable[Post]) -> list[tuple[Post, str]]:
        """Carry posts and wait for all; returns the answers to those that have an `about`, in the order of arrival."""
        groups: dict[str, list[Post]] = {}
        for post in posts:
            groups.setdefault(post.group, []).append(post)
        waiting = iter(groups.values())
        answers: list[tuple[Post, str]] = []

        async def carry() -> None:
            for group in waiting:
                for post in group:
                    answer = await self._carry(post)
                    if post.about is not None and answer:
                        answers.append((post, answer))

        await asyncio.gather(*(carry() for _ in range(min(AT_ONCE_MAX, len(groups)))))
        return answers

    async def ask(self, post: Post) -> str:
        """Carry one post whose answer somebody waits for; empty where there is none."""
        return await self._carry(post)

    async def close(self) -> None:
        """Hang up."""
        if self._session is not None:
            await self._session.close()

    async def _carry(self, post: Post) -> str:
        for wait_seconds in (0.0, *RETRY_SECONDS):
            if wait_seconds:
                await asyncio.sleep(wait_seconds)
            self.under_way += 1
            try:
                answer = await self._try(post)
            finally:
                self.under_way -= 1
            if answer is not None:
                self.posted += 1
                return answer
        self.lost += 1
        return ""

    async def _try(self, post: Post) -> str | None:
        """The answer's text, or None when it is worth another try."""
        if self._session is None:
            # Proxies of the environment are not asked: everything is on loopback.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=AT_ONCE_MAX),
                timeout=aiohttp.ClientTimeout(total=self.timeout_seconds),
                trust_env=False,
            )
        try:
            # As written, since it was signed as written.
            headers = post.headers if post.sign is None else {**post.headers, **post.sign()}
            async with self._session.post(URL(post.url, encoded=True), data=post.body, headers=headers, allow_redirects=False) as response:
                text = await response.text(errors="replace")
                return None if response.status >= _SERVER_ERROR else text
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None
