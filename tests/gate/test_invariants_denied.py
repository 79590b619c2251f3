"""I11, attacked between planning and gate: what is not known, not fresh, not approved or not reachable reaches nobody, and the reason says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from shutil import copytree

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from config.load import ConfigError
from config.message_files import MESSAGES, message_texts
from config.rule_files import rule_packs
from config.settings import settings
from decisions.messages import Texts
from gate.claim import Chunk, Door, take_chunk
from gate.lane import run_lane
from gate.permit import Rulebook
from ledger.campaigns import read_run
from ledger.engine import connection, engine_of
from ledger.outbox import EVERY_PARTY
from tests.plugins.portfolio import Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel

NOON = noon("US")
MOMENT = timedelta(microseconds=1)
DAY = timedelta(days=1)


def chunk(run: int, texts: Texts | None = None) -> Chunk:
    with connection() as tx:
        door = Door(run=read_run(tx, run), parties=EVERY_PARTY, book=Rulebook(rule_packs()), texts=texts or message_texts())
    return take_chunk(door, at_most={"sms": 8}, after={"sms": -1})


def withheld_because(outbox: Outbox, attempt: int) -> list[str]:
    row = outbox.attempt(attempt)
    assert (row["state"], outbox.events(attempt)) == ("withheld", [])
    return list(row["permit"]["blocked_by"])


@pytest.mark.parametrize(("age", "sent"), [(DAY - MOMENT, True), (DAY, False), (DAY + MOMENT, False)])
def test_I11_a_payment_feed_is_fresh_up_to_its_limit_and_not_at_it(
    portfolio: Portfolio, outbox: Outbox, age: timedelta, sent: bool
) -> None:
    portfolio.creditor("US", fresh_until=NOON - age)
    portfolio.clock(NOON)
    attempt = outbox.plan(run := outbox.run(), portfolio.borrower())
    assert bool(chunk(run).letters) == sent
    if not sent:
        assert "HOUSE-STALE-PAYMENTS" in withheld_because(outbox, attempt)


UNKNOWN: dict[str, tuple[str, str]] = {
    "no feed was ever heard of": ("DELETE FROM feed", "HOUSE-STALE-PAYMENTS"),
    "the feed stopped between planning and gate": ("UPDATE feed SET covers_until = '2026-03-01'", "HOUSE-STALE-PAYMENTS"),
    "nobody knows the person's zone": ("UPDATE party_version SET zones = '{}', country = 'US', region = NULL", "HOUSE-UNKNOWN-ZONE"),
    "nobody has read that country's law": ("UPDATE party_version SET country = 'IS', region = NULL", "HOUSE-UNKNOWN-JURISDICTION"),
    "nothing is known of the person": ("UPDATE party_version SET superseded_at = clock_timestamp()", "HOUSE-UNKNOWN-JURISDICTION"),
    "the contact point was taken away": ("UPDATE contact_point_version SET superseded_at = clock_timestamp()", "no_contact_point"),
    "the consent was never given": ("DELETE FROM consent", "HOUSE-CONSENT"),
    "nobody stands for the loan any more": ("UPDATE loan_party SET superseded_at = clock_timestamp()", "nothing_due"),
}


@pytest.mark.parametrize("what", sorted(UNKNOWN))
def test_I11_what_is_not_known_at_the_gate_withholds_and_says_so(portfolio: Portfolio, outbox: Outbox, what: str) -> None:
    portfolio.clock(NOON)
    attempt = outbox.plan(run := outbox.run(), portfolio.borrower())
    statement, reason = UNKNOWN[what]
    with connection() as tx:
        assert tx.execute(text(statement)).rowcount
    assert chunk(run).letters == []
    assert reason in withheld_because(outbox, attempt)


def unapproved(folder: Path) -> None:
    rewrite(folder, "approved: true", "approved: false")


def ended(folder: Path) -> None:
    rewrite(folder, "approved: true", "approved: true\napproved_until: 2026-03-17")


def gone(folder: Path) -> None:
    (folder / "early_reminder" / "en.yaml").unlink()


def without_words_for_text_messages(folder: Path) -> None:
    file = folder / "early_reminder" / "en.yaml"
    file.write_text("".join(line for line in file.read_text().splitlines(keepends=True) if not line.startswith("sms:")))


def of_another_role(folder: Path) -> None:
    rewrite(folder, "[first_party]", "[third_party]")


def rewrite(folder: Path, old: str, new: str) -> None:
    file = folder / "early_reminder" / "en.yaml"
    words = file.read_text()
    assert old in words
    file.write_text(words.replace(old, new))


@pytest.mark.parametrize("change", [unapproved, ended, gone, without_words_for_text_messages, of_another_role])
def test_I11_a_text_that_is_not_approved_at_the_gate_is_not_sent(
    portfolio: Portfolio, outbox: Outbox, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """It was, when the attempt was planned."""
    portfolio.clock(NOON)
    attempt = outbox.plan(run := outbox.run(), portfolio.borrower())
    folder = Path(copytree(MESSAGES, tmp_path / "messages"))
    change(folder)
    assert chunk(run, message_texts(folder)).letters == []
    assert withheld_because(outbox, attempt) == ["locale_without_text"]


def test_I11_an_approval_ends_where_its_date_begins_first() -> None:
    """Kiritimati is fourteen hours ahead of UTC: there the 17th begins at ten in the morning of the 16th."""
    texts = message_texts()
    key = ("early_reminder", "en")
    until = Texts(by_key={**texts.by_key, key: replace(texts.by_key[key], approved_until=date(2026, 3, 17))})
    begins = datetime(2026, 3, 16, 10, tzinfo=UTC)
    assert [until.as_of(at).by_key[key].approved for at in (begins - MOMENT, begins, begins + 365 * DAY)] == [True, False, False]
    assert texts.as_of(begins) is texts


def test_I11_an_end_of_approval_that_is_no_date_is_refused(tmp_path: Path) -> None:
    folder = Path(copytree(MESSAGES, tmp_path / "messages"))
    rewrite(folder, "approved: true", "approved: true\napproved_until: soon")
    with pytest.raises(ConfigError, match="approved_until"):
        message_texts(folder)


def test_I11_a_ledger_that_cannot_be_reached_lets_nobody_through(
    portfolio: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    portfolio.clock(NOON)
    attempt = outbox.plan(run := outbox.run(), portfolio.borrower())
    address = settings().database_url
    assert address is not None
    monkeypatch.setenv("TIDEOVER_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/nowhere")
    settings.cache_clear()
    channel = RecordingChannel()
    with pytest.raises(OperationalError):
        run_lane(run, shard=None, channels={"sms": lambda: channel})
    engine_of("postgresql://nobody@127.0.0.1:9/nowhere").dispose()
    monkeypatch.setenv("TIDEOVER_DATABASE_URL", address)
    settings.cache_clear()
    assert (channel.sent, outbox.attempt(attempt)["state"]) == ([], "planned")
