"""Asking a provider something that reaches no person: a few times where that can help, and without a number in what goes wrong.

In:   a question, as a coroutine function of the SDK's.
Out:  the answer, or one `ChannelError`: nothing was learned.
Pure: no; talks to the provider.
Source: PROVIDERS.md A8.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential
from twilio.base.exceptions import TwilioException, TwilioRestException  # type: ignore[import-untyped]  # twilio ships no py.typed

from channels import AccountHalted, ChannelError, ForbiddenHost, TryLater
from channels.codes import TWILIO_RETRY_SECONDS, twilio_refusal
from channels.twilio_http import Exchange, exchange_now

QUESTIONS_MAX: Final = 4
REST_SECONDS_MAX: Final = 8.0
Question = Callable[[], Awaitable[Any]]


async def ask(question: Question) -> Any:
    """Ask, a few times where that can help.

    Raises:
        ChannelError: Nothing was learned.
    """
    again = AsyncRetrying(
        stop=stop_after_attempt(QUESTIONS_MAX),
        wait=wait_random_exponential(multiplier=0.2, max=REST_SECONDS_MAX),
        retry=retry_if_exception_type(TryLater),
        reraise=True,
    )
    return await again(_answered, question)


async def _answered(question: Question) -> Any:
    """The answer, or what stood in its way, without a number in it."""
    # Another question may have been asked meanwhile, in this very task.
    exchange_now.set(Exchange(None))
    try:
        return await question()
    except Exception as error:  # noqa: BLE001  # whatever it is, nothing was learned, and the SDK's errors quote what was asked
        trouble = _trouble(error)
    raise trouble


def _trouble(error: Exception) -> ChannelError:
    if isinstance(error, ForbiddenHost):
        return AccountHalted(code=type(error).__name__)
    status = exchange_now.get().status
    if isinstance(error, TwilioException) and status is not None:
        code = error.code if isinstance(error, TwilioRestException) and isinstance(error.code, int) else None
        refusal = twilio_refusal(status=status, code=code, headers=exchange_now.get().headers)
        if isinstance(refusal, AccountHalted):
            return refusal
        return TryLater(code=refusal.code, retry_after_seconds=TWILIO_RETRY_SECONDS)
    # No answer, or one that cannot be read.
    return TryLater(code=type(error).__name__, retry_after_seconds=TWILIO_RETRY_SECONDS)
