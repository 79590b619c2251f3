"""What a voice may say is dropped when the call is over, and not before."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ledger import call_words
from ledger.call_words import AFTER_ITS_END, AT_LATEST, Spoken
from ledger.engine import connection
from tests.plugins.portfolio import TODAY, Portfolio
from tests.plugins.sending import Outbox


@pytest.mark.parametrize(
    ("state", "seconds_ago", "left"),
    [
        ("delivered", AFTER_ITS_END + 60, 0),
        ("withheld", AFTER_ITS_END + 60, 0),
        # Somebody may still be listening, or press a key.
        ("delivered", AFTER_ITS_END - 60, 1),
        # It may still ring.
        ("submitting", AFTER_ITS_END + 60, 1),
        ("unknown", AT_LATEST - 60, 1),
        ("sent", AT_LATEST + 60, 0),
    ],
)
def test_words_go_when_nobody_can_hear_them_any_more(portfolio: Portfolio, outbox: Outbox, state: str, seconds_ago: int, left: int) -> None:
    borrower = portfolio.borrower()
    attempt = outbox.plan(outbox.run(), borrower)
    with connection() as tx:
        call_words.keep(
            tx,
            [
                Spoken(
                    business_date=TODAY,
                    attempt_id=attempt,
                    party_id=borrower.party_id,
                    token=outbox.token(attempt),
                    locale="en",
                    title="Hello",
                    body="words",
                    voicemail=None,
                )
            ],
        )
    outbox._do("UPDATE attempt SET state = :state WHERE id = :id", state=state, id=attempt)  # noqa: SLF001  # a plain statement
    outbox._do("UPDATE call_words SET recorded_at = clock_timestamp() - :ago", ago=timedelta(seconds=seconds_ago))  # noqa: SLF001  # as above
    with connection() as tx:
        assert call_words.drop_over(tx) == 1 - left
        assert call_words.drop_over(tx) == 0
    assert len(outbox.rows("SELECT 1 FROM call_words")) == left
