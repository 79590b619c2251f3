"""`make demo`: five business days of the early stage against a simulated town, told as a person would like to read it.

In:   a part of the Taiwan panel (config/imports/data), numbers that no one can own (made by the sandbox), a seed.
Out:  lines for people; pictures and files in build/demo/; one JSON object.
Pure: no. The demo has a state folder and databases of its own, made anew each time, and never touches those of
      `make up`. It plays the outsiders' parts over HTTP: it steps the town's clock, and fetches the wallet's payment feed.
"""

from __future__ import annotations

import csv
import gzip
import json
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen
from zoneinfo import ZoneInfo

import holidays
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.logging.handlers import PrefectConsoleHandler

from config.audit_limits import audit_limits
from config.settings import HOUSE, settings
from flows.dispatch import dispatch
from flows.early import early
from ledger import clock, embedded, outbox, vault
from ledger.aging_facts import age_portfolio
from ledger.audit import Received, Violation, find_violations
from ledger.debts import read_debts
from ledger.engine import connection
from ledger.funnel import STEPS, Funnel, count_borrowers, read_answers, read_funnel
from local.services import ServiceError, Services
from tasks.import_portfolio import import_files
from tasks.pictures import funnel_picture

STATE = HOUSE / ".tideover" / "demo"
BUILD = HOUSE / "build" / "demo"
IMPORTS = HOUSE / "config" / "imports"
PANEL = IMPORTS / "data" / "uci_credit_card_taiwan.csv.gz"
DATABASE = "tideover_demo"
COUNTRY = "TW"
FIRST_DAY = date(2026, 3, 2)
DAWN = time_of_day(8, 0)
MORNING = time_of_day(10, 0)
# The hours at which the clock stops during a day; between them people read, answer and pay. A model plans for 12, 16 and 20 o'clock.
HOURS = (11, 12, 14, 16, 18, 20, 22)
ACCOUNTS = 3000
DAYS = 5
SEED = 2026
RESIDENTS_A_CALL = 1000
# What a month brings to a wallet, about, in Taiwan dollars.
A_MONTH = 42_000
DEPLOYMENT_SECONDS_MAX = 120
# No demo plays longer.
REACH = timedelta(days=60)
SATURDAY = 5

Say = Callable[[str], None]


@dataclass
class Story:
    """What the demo found, day by day."""

    days: list[tuple[date, Funnel]] = field(default_factory=list)
    payments: int = 0
    violations: list[Violation] = field(default_factory=list)


class Town:
    """The sandbox's control API, spoken from outside."""

    def __init__(self, address: str) -> None:
        """Take the sandbox's address."""
        self.address = address

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST a JSON object, get one back."""
        request = Request(self.address + path, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310  # loopback
        with urlopen(request, timeout=120) as answer:  # noqa: S310  # loopback
            got: dict[str, Any] = json.loads(answer.read())
            return got

    def get(self, path: str) -> bytes:
        """GET a document."""
        with urlopen(self.address + path, timeout=120) as answer:  # noqa: S310  # loopback
            body: bytes = answer.read()
            return body

    def received(self) -> list[Received]:
        """What reached people's phones, as the auditor wants it."""
        rows = [json.loads(line) for line in self.get("/sandbox/received").decode().splitlines()]
        return [
            Received(
                channel=row["channel"],
                blind_index=vault.blind_index(row["to"]),
                provider_id=row["provider_id"],
                at=datetime.fromisoformat(row["received_at"]),
            )
            for row in rows
        ]


def play(*, accounts: int = ACCOUNTS, days: int = DAYS, say: Say = print) -> dict[str, int]:
    """Play the demo from nothing to its counts.

    Args:
        accounts: How many of the panel's accounts to import.
        days: Business days to play, at least 1.
        say: Receives what a person would like to read, line by line.

    Returns:
        The counts that CASES.md names for `make demo`, and a few more.

    Raises:
        ServiceError: A program did not come up, or the deployment's run failed.
    """
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    say("Starting PostgreSQL, Prefect, portal and sandbox on loopback …")
    with _database(), stage(Services(STATE, database=DATABASE), say) as services:
        town = Town(services.addresses["sandbox"])
        move_in(town, accounts, BUILD, say)
        story = Story()
        for day in business_days(FIRST_DAY, days):
            funnel, paid = play_day(town, day, BUILD, deployed=day == FIRST_DAY)
            story.days.append((day, funnel))
            story.payments += paid
            _tell(day, funnel, paid, say)
        story.violations = audit(town)
        return _close(story, say)


@contextmanager
def _database() -> Iterator[None]:
    """The embedded server, left as it was found: running for `make up`, or not."""
    folder = embedded.default_folder()
    ours = settings().database_url is None and not embedded.is_running(folder)
    try:
        yield
    finally:
        if ours and embedded.is_running(folder):
            embedded.stop(folder)


@contextmanager
def stage(services: Services, say: Say) -> Iterator[Services]:
    """Services on databases made anew, for as long as the block runs."""
    services.stop()
    shutil.rmtree(services.folder, ignore_errors=True)
    services.drop_databases()
    services.start(seed=SEED, say=lambda line: say(f"  {line}"))
    _quiet_console()
    try:
        yield services
    finally:
        services.stop()


def _quiet_console() -> None:
    """Prefect's progress is in its UI; here people read the story."""
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict if name.startswith("prefect")]
    for handler in {handler for logger in [logging.root, *loggers] for handler in logger.handlers}:
        if isinstance(handler, PrefectConsoleHandler):
            handler.setLevel(logging.WARNING)


def move_in(town: Town, accounts: int, folder: Path, say: Say) -> None:
    """Import a part of the panel, give its people numbers that no one can own, and let them move into the town."""
    dawn = local(FIRST_DAY, DAWN)
    with connection() as tx:
        clock.step(tx, dawn)
    town.post("/sandbox/reset", {"at": dawn.isoformat(), "seed": SEED})

    part = folder / "uci_credit_card_part.csv"
    with gzip.open(PANEL, "rt", newline="") as panel, part.open("w", newline="") as file:
        file.writelines(line for _, line in zip(range(accounts + 1), panel, strict=False))
    say(f"Importing {accounts} real card accounts of Taiwan (UCI no. 350, CC BY 4.0), last statement on {FIRST_DAY.isoformat()} …")
    _import([part], say, as_of=FIRST_DAY)
    age_portfolio(FIRST_DAY)
    with connection() as tx:
        debts = read_debts(tx, FIRST_DAY)

    people = town.post("/sandbox/invent", {"count": len(debts), "country": COUNTRY})["people"]
    points = folder / "contact_points.csv"
    with points.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["party", "kind", "value", "consent"])
        for party, person in zip(debts, people, strict=True):
            writer.writerow([party, "mobile", person["phone"], "sms"])
            if person["push_token"]:
                writer.writerow([party, "push", person["push_token"], "push"])
    _import([points], say)
    points.unlink()  # numbers, even of people who do not exist, live in the ledger alone

    flows = folder / "wallet_flows.csv"
    with flows.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["party", "day", "kind", "amount"])
        # Whoever owes nothing needs no plan.
        owners, until = [party for party, loans in debts.items() if loans], (FIRST_DAY - timedelta(days=1)).isoformat()
        for start in range(0, len(owners), RESIDENTS_A_CALL):
            asked = {"owners": owners[start : start + RESIDENTS_A_CALL], "until": until, "a_month": A_MONTH, "seed": SEED}
            writer.writerows(town.post("/sandbox/wallets", asked)["rows"])
    _import([flows], say)
    flows.unlink()

    residents = [
        {"phone": person["phone"], "push_token": person["push_token"], "locale": person["locale"], "zone": person["zone"], "loans": loans}
        for loans, person in zip(debts.values(), people, strict=True)
    ]
    for start in range(0, len(residents), RESIDENTS_A_CALL):
        town.post("/sandbox/town", {"residents": residents[start : start + RESIDENTS_A_CALL]})
    say(f"  {len(residents)} people moved into the town. What is on their minds, only the town knows.")


def play_day(town: Town, day: date, folder: Path, *, deployed: bool) -> tuple[Funnel, int]:
    """One business day: contact in the morning, then people live until night, then the wallet's payments come in.

    Args:
        town: Where the people live.
        day: Local date.
        folder: For the payment feed and the day's picture.
        deployed: Run the deployment through the worker, as operations do; else call the flow.

    Returns:
        The day's funnel at night, and how many payments came in.
    """
    step(town, local(day, MORNING))
    if deployed:
        _run_deployment(day)
    else:
        early(as_of=day)
    for hour in HOURS:
        step(town, local(day, time_of_day(hour)))
        _send_due()
    paid = _fetch_payments(town, day, folder)
    run = early(as_of=day)  # plans and sends nothing twice; brings the artifacts up to date
    assert isinstance(run, int)  # noqa: S101  # no holiday is played
    with connection() as tx:
        funnel = read_funnel(tx, run)
    (folder / f"early-{day.isoformat()}.png").write_bytes(funnel_picture(funnel, title=f"early {day.isoformat()}"))
    return funnel, paid


def _send_due() -> None:
    """Send what was planned for later in the day; operations have a deployment for it, every few minutes."""
    with connection() as tx:
        due = outbox.lanes_due(tx, at=clock.now(tx), at_most=1)
    if due:
        dispatch()


def step(town: Town, at: datetime) -> None:
    """Move both clocks to `at`: ours, then the town's, whose people do what they do until then."""
    with connection() as tx:
        clock.step(tx, at)
    town.post("/sandbox/clock", {"at": at.isoformat()})


def audit(town: Town) -> list[Violation]:
    """Ask the town what was received, and the auditor whether it was allowed."""
    with connection() as tx:
        return find_violations(tx, town.received(), audit_limits(FIRST_DAY, FIRST_DAY + REACH))


def local(day: date, at: time_of_day) -> datetime:
    """An instant of a day in the portfolio's zone."""
    return datetime.combine(day, at, ZoneInfo(settings().business_zone))


def business_days(first: date, count: int) -> Iterator[date]:
    """The first `count` days from `first` on that are neither weekend nor public holiday."""
    closed = holidays.country_holidays(COUNTRY)
    day, found = first, 0
    while found < count:
        if day.weekday() < SATURDAY and day not in closed:
            yield day
            found += 1
        day += timedelta(days=1)


def _import(files: list[Path], say: Say, *, as_of: date | None = None) -> None:
    report = import_files(IMPORTS / "taiwan.yaml", files, as_of=as_of)
    counts = " + ".join(f"{report.total(what)} {what}" for what in ("new", "changed", "same", "rejected"))
    say(f"  {files[0].name}: {report.total('read')} rows read = {counts}")


def _run_deployment(day: date) -> None:
    run = run_deployment(
        "early/daily", parameters={"as_of": day.isoformat()}, timeout=DEPLOYMENT_SECONDS_MAX, poll_interval=1, as_subflow=False
    )
    assert isinstance(run, FlowRun)  # noqa: S101  # a coroutine only where a loop runs, and here none does
    if run.state is None or not run.state.is_completed():
        raise ServiceError(f"the deployment's run ended as {run.state.name if run.state else 'nothing'}; its log is in the Prefect UI")


def _fetch_payments(town: Town, day: date, folder: Path) -> int:
    """Fetch what the wallet took in and import it, as a lender's nightly job does; returns how many payments were new."""
    feed = folder / f"payments-{day.isoformat()}.csv"
    feed.write_bytes(town.get("/sandbox/payments.csv"))
    return import_files(IMPORTS / "taiwan.yaml", [feed]).total("new")


def _tell(day: date, funnel: Funnel, paid: int, say: Say) -> None:
    """One day in a few lines."""
    say("")
    say(f"{day.strftime('%A')} {day.isoformat()}: {funnel.borrowers} borrowers 1 to 30 days late were looked at")
    say(
        f"  left in peace {funnel.withheld:>6}   "
        + ", ".join(f"{row['reason']} {row['borrowers']}" for row in funnel.by_reason.head(4).to_dicts())
    )
    for row in funnel.by_channel.to_dicts():
        say(
            f"  {row['channel']:<13} "
            + ", ".join(f"{row[step]} {step}" for step in STEPS)
            + f", {row['failed']} failed, {row['unknown']} unknown"
        )
    say(f"  {paid} payments came in")


def _close(story: Story, say: Say) -> dict[str, int]:
    """The sum of all days, and the auditor's word."""
    with connection() as tx:
        answers = read_answers(tx)
        borrowers = count_borrowers(tx)
    say("")
    say("What people answered: " + (", ".join(f"{intent} {count}" for intent, count in answers.items()) or "nothing yet"))
    looked_at = sum(funnel.borrowers for _, funnel in story.days)
    withheld = sum(funnel.withheld for _, funnel in story.days)
    say(f"Not contacting was the decision {withheld} of {looked_at} times.")
    say(f"The auditor asked the town what it received and found {len(story.violations)} messages that a rule forbade.")
    for violation in story.violations[:10]:
        say(f"  {violation.check}: party {violation.party_id}, {violation.provider_id}")
    say(f"Pictures: {BUILD.relative_to(HOUSE)}/")
    totals = {
        step: sum(funnel.total(step) for _, funnel in story.days)
        for step in ("planned", "sent", "delivered", "read", "answered", "paid", "unknown")
    }
    return {
        "borrowers": borrowers,
        **totals,
        "withheld": withheld,
        "violations": len(story.violations),
        "payments": story.payments,
        "days": len(story.days),
    }
