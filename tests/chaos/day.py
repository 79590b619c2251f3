"""A day to be played: who is owed a message, where they live, and how far the sending has come.

In:   a running house (house.py); how many messages, in which countries, on which date.
Out:  a planned campaign of the early stage, its people in the town; counts from the ledger.
Pure: no; fills the house's ledger, and tells the sandbox.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from prefect.logging import disable_run_logger
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from config.policies import policies
from config.strategy_files import strategy
from ledger import clock, vault
from ledger.campaigns import open_run
from ledger.engine import connection
from ledger.run_standings import standing
from tasks.approve_run import answer_on_terminal, ask_people, make_code
from tasks.choose import choose
from tasks.pick import pick
from tests.bench.portfolio import Wanted, fill_ledger
from tests.chaos.house import ChaosError, House

SENDER: Final = "+15005550006"
# Not everybody is contacted: some have no app and are not late enough for a text.
SPARE: Final = 1.15
RESIDENTS_A_CALL: Final = 1000


def plan_day(house: House, *, messages: int, on: date, at: datetime, countries: tuple[str, ...] = ("TW",)) -> list[str]:
    """Fill the ledger, plan the early stage of a date, and let the people move into the town; returns their numbers."""
    wanted = Wanted(borrowers=round(messages * SPARE), as_of=on, paid=2, countries=countries, with_push=house.with_push)
    fill_ledger(wanted)
    with connection() as tx:
        clock.step(tx, at)
        run = open_run(
            tx,
            stage="early",
            business_date=on,
            preview=False,
            borrowers_max=None,
            policies=policies("early"),
            at=at,
            approval_above=strategy("static-ladder", "early").approval_above,
        )
    with disable_run_logger():
        for shard in pick.fn(run):
            choose.fn(shard, run)
    _say_yes(run)
    people = _people()
    if not house.outside:
        residents: list[dict[str, Any]] = [
            {"phone": number, "push_token": app, "locale": "en", "zone": "UTC", "loans": []} for number, app in people
        ]
        for start in range(0, len(residents), RESIDENTS_A_CALL):
            house.sandbox("POST", "town", {"residents": residents[start : start + RESIDENTS_A_CALL]})
    return [number for number, _ in people]


def begin_anew(house: House, at: datetime) -> None:
    """Empty the ledger, the town, and the folder of the heads; the programs stay as they are."""
    for heads in Path(house.environment["TIDEOVER_EVIDENCE_DIR"]).glob("heads-*.jsonl"):
        heads.unlink()
    with connection() as tx:
        tables = tx.execute(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'")
        ).scalars()
        # What names a row keeps it from being emptied; here all of it goes at once.
        tx.execute(text("SET LOCAL session_replication_role = replica"))
        tx.execute(text(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY CASCADE"))
    house.sandbox("POST", "reset", {"at": at.isoformat()})


def step(house: House, at: datetime) -> None:
    """Move both clocks: ours, then the town's."""
    with connection() as tx:
        clock.step(tx, at)
    house.sandbox("POST", "clock", {"at": at.isoformat()})


def states() -> Counter[str]:
    """State → attempts."""
    return Counter(dict(rows("SELECT state, count(*) FROM attempt GROUP BY state")))


def planned() -> Counter[str]:
    """Channel → attempts that are still planned."""
    return Counter(dict(rows("SELECT channel, count(*) FROM attempt WHERE state = 'planned' GROUP BY channel")))


def inbox_waiting() -> int:
    """How much was heard and not applied."""
    return int(rows("SELECT count(*) FROM provider_event WHERE applied_at IS NULL")[0][0])


def rows(statement: str) -> list[tuple[Any, ...]]:
    """A question to the ledger, asked again while its server is being started."""
    for patience in (0.2, 0.5, 1.0, 2.0, 4.0):
        with suppress(SQLAlchemyError), connection() as tx:
            return [tuple(row) for row in tx.execute(text(statement))]
        time.sleep(patience)
    with connection() as tx:
        return [tuple(row) for row in tx.execute(text(statement))]


def in_words(counts: Counter[str]) -> str:
    """Counts as one line."""
    return ", ".join(f"{what} {number}" for what, number in sorted(counts.items()) if number)


def _say_yes(run: int) -> None:
    """Approve a run that is so large that people are asked, before anybody is killed: by two, since nobody known started it."""
    ask_people(run)
    for person, role in (("olga", "operations"), ("carl", "compliance")):
        with connection() as tx:
            if standing(tx, run).approval != "awaiting":
                return
        answer_on_terminal(run, code=make_code(person=person, role=role), approve=True, up_to=None, reason=None)
    with connection() as tx:
        found = standing(tx, run)
    if not found.may_send:
        raise ChaosError(f"the run cannot be approved: {found.approval}")


def _people() -> list[tuple[str, str | None]]:
    """Number and app of everybody."""
    found = rows(
        """SELECT m.value_encrypted, m.key_id, p.value_encrypted, p.key_id
           FROM contact_point k JOIN contact_point_version m ON m.contact_point_id = k.id AND m.superseded_at IS NULL
           LEFT JOIN contact_point a ON a.party_id = k.party_id AND a.kind = 'push'
           LEFT JOIN contact_point_version p ON p.contact_point_id = a.id AND p.superseded_at IS NULL
           WHERE k.kind = 'mobile' ORDER BY k.party_id"""
    )
    return [(vault.decrypt(number, key), None if app is None else vault.decrypt(app, app_key)) for number, key, app, app_key in found]
