"""What a voice may say is dropped when the call is over, and not before."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from ledger import call_words
from ledger.call_words import AFTER_ITS_END, AT_LATEST, Spoken
from ledger.engine import connection
from tests.plugins.portfolio import TODAY, Portfolio
from tests.plugins.sending import Outbox

# State of the attempt, seconds since the words were kept, whether they are kept on.
CASES: Final = (
    ("delivered", AFTER_ITS_END + 60, False),
    ("withheld", AFTER_ITS_END + 60, False),
    # Somebody may still be listening, or press a key.
    ("delivered", AFTER_ITS_END - 60, True),
    # It may still ring.
    ("accepted", AFTER_ITS_END + 60, True),
    ("unknown", AT_LATEST - 60, True),
    ("sent", AT_LATEST + 60, False),
)


def test_words_go_when_nobody_can_hear_them_any_more(portfolio: Portfolio, outbox: Outbox) -> None:
    run = outbox.run()
    attempts = []
    for state, seconds_ago, _ in CASES:
        borrower = portfolio.borrower()
        attempt = outbox.plan(run, borrower)
        words = Spoken(
            business_date=TODAY,
            attempt_id=attempt,
            party_id=borrower.party_id,
            token=outbox.token(attempt),
            locale="en",
            title="Hello",
            body="words",
            voicemail=None,
        )
        with connection() as tx:
            call_words.keep(tx, [words])
        ago = timedelta(seconds=seconds_ago)
        outbox._do("UPDATE attempt SET state = :state WHERE id = :id", state=state, id=attempt)  # noqa: SLF001  # a plain statement
        outbox._do(  # noqa: SLF001  # as above
            "UPDATE call_words SET recorded_at = clock_timestamp() - CAST(:ago AS interval) WHERE attempt_id = :id", ago=ago, id=attempt
        )
        attempts.append(attempt)
    with connection() as tx:
        assert [call_words.drop_over(tx), call_words.drop_over(tx)] == [3, 0]
    kept = {row.attempt_id for row in outbox.rows("SELECT attempt_id FROM call_words")}
    assert [attempt in kept for attempt in attempts] == [is_kept for *_, is_kept in CASES]
