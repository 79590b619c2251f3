"""The portal answers the moment it has heard: over HTTP, through the provider's own SDK, to the phone that asked."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from time import monotonic, sleep

import pytest
from sqlalchemy import text

from config.settings import settings
from ledger.engine import connection
from tests.plugins.portfolio import Portfolio, made_up_number, noon
from tests.plugins.sandbox_process import Sandbox

SECONDS_MAX = 30
NUMBER, ANOTHER = made_up_number("US", 43), made_up_number("US", 44)
SENDER = "+15005550006"


def test_help_is_answered_and_a_stop_in_words_confirmed_at_once(
    portfolio: Portfolio, sandbox: Sandbox, serve_portal: Callable[[], AbstractContextManager[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"TWILIO_BASE_URL": sandbox.url, "TWILIO_ACCOUNT_SID": sandbox.account_sid, "TWILIO_AUTH_TOKEN": sandbox.auth_token}
    for name, value in given.items():
        monkeypatch.setenv(f"TIDEOVER_{name}", value)
    # The callbacks of what is sent are not of this test; the address of what people write is.
    portfolio.clock(noon("US"))
    sandbox.reset(at=noon("US").isoformat(), settle_ms=20)
    sandbox.settle(
        [{"phone": one, "push_token": None, "locale": "en", "zone": "America/New_York", "loans": []} for one in (NUMBER, ANOTHER)]
    )
    for number in (NUMBER, ANOTHER):
        portfolio.borrower(number=number)
    with serve_portal() as url:
        monkeypatch.setenv("TIDEOVER_PUBLIC_URL", url)
        settings.cache_clear()
        sandbox.webhooks(inbound_url=f"{url}/webhooks/twilio/inbound")
        for number, words in ((NUMBER, "help"), (ANOTHER, "please stop texting me"), (NUMBER, "help")):
            sandbox.control("POST", "texts", {"from": number, "to": SENDER, "text": words})
        until = monotonic() + SECONDS_MAX
        while len(sandbox.received("sms")) < 2 and monotonic() < until:
            sleep(0.05)
    received = {message["to"]: message["body"] for message in sandbox.received("sms")}
    assert "A person reads your reply" in received[NUMBER]
    assert received[ANOTHER].endswith("This is the last one.")
    assert len(sandbox.received("sms")) == 2
    with connection() as tx:
        assert sorted(tx.execute(text("SELECT purpose FROM attempt")).scalars()) == ["confirmation", "reply"]
