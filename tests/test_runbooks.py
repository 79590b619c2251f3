"""docs/operate.md's runbooks are true: every command in them is run in a small installation in which just that has gone wrong.

A scenario prepares what went wrong and says what the words in capitals stand for. Where a runbook's block has a line that is
only a comment, something happens outside the terminal (the provider comes back, a flow runs by itself): the scenario does it.
At the end it looks whether all is well.
"""

from __future__ import annotations

import base64
import re
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from prefect.logging import disable_run_logger
from sqlalchemy import text
from sqlalchemy.engine import make_url
from typer.testing import CliRunner, Result

from config.import_mapping import FOLDER
from config.message_files import MESSAGES, message_texts
from config.policies import policies
from config.rule_files import RULES, rule_packs
from config.settings import settings
from gate.claim import Door, take_chunk
from gate.lane import LaneHalted, run_lane
from gate.permit import Rulebook
from gate.reconcile import reconcile
from ledger import clock, pauses, schema, vault
from ledger import outbox as ledger_outbox
from ledger.attempts import Move, move
from ledger.campaigns import open_run, read_run
from ledger.engine import connection, engine_of
from ledger.outbox import EVERY_PARTY
from tasks.choose import choose
from tasks.import_portfolio import import_files
from tasks.pick import pick
from tasks.reconcile import LISTS
from tasks.send import CHANNELS
from tests.plugins.portfolio import SINCE, TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.sandbox_process import Sandbox
from tests.plugins.sending import Outbox
from tideover import app

PAGE = (Path(__file__).parents[1] / "docs" / "operate.md").read_text("utf-8").split("\n## Runbooks\n")[1].split("\n## ")[0]
RUNBOOKS = dict(re.findall(r"^### \d+\. (.+?)$(.*?)(?=^### |\Z)", PAGE, re.MULTILINE | re.DOTALL))
NOON = noon("US")
DAY = TODAY.isoformat()
# What the words in capitals of a runbook stand for.
Words = dict[str, str]
Scenario = Callable[["House"], Iterator[Words]]
MAPPING = """
source: core
creditor:
  external_id: lender-US-first_party
  name: Lantern Wallet US
  role: first_party
  country: US
  page_domain: pay.lantern.example
  licence: LIC-1
  senders: {sms: "+15005550006", push: lantern}
payments_feed: {age_seconds_max: 86400}
files:
  - match: payments*
    rows: [{kind: payments, columns: {loan: loan, external_id: external_id, amount: amount, state: state, paid_on: paid_on}}]
"""


@dataclass(frozen=True)
class House:
    """A ledger, a portfolio, the provider, and what the runbook's commands have answered so far."""

    portfolio: Portfolio
    outbox: Outbox
    sandbox: Sandbox
    folder: Path
    patch: pytest.MonkeyPatch
    # A ledger that does not exist yet.
    restored: str
    said: list[Result] = field(default_factory=list)
    asked: list[int] = field(default_factory=lambda: [0])

    def dispatch(self) -> None:
        """Send what is due, as the flow `dispatch` does."""
        with connection() as tx:
            lanes = ledger_outbox.lanes_due(tx, at=clock.now(tx), at_most=99)
        for lane in lanes:
            run_lane(lane.campaign_run_id, shard=lane.shard, channels=CHANNELS)

    def sent(self) -> list[str]:
        """Bodies that phones were sent; an hour passes for them alone."""
        self.sandbox.step((NOON + timedelta(hours=len(self.asked))).isoformat())
        self.asked.append(len(self.asked))
        return [message["body"] for message in self.sandbox.received("sms")]

    def setting(self, **values: str) -> None:
        """Change the environment, and read it again."""
        for name, value in values.items():
            self.patch.setenv(f"TIDEOVER_{name}", value)
        settings.cache_clear()
        vault.forget(list(vault._remembered))  # noqa: SLF001  # as a program that is started again


@pytest.fixture
def house(
    ledger_url: str, portfolio: Portfolio, outbox: Outbox, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[House]:
    address = make_url(ledger_url)
    restored = address.set(database=f"{address.database}_restored").render_as_string(hide_password=False)
    found = House(portfolio, outbox, sandbox, tmp_path, monkeypatch, restored)
    found.setting(
        TWILIO_BASE_URL=sandbox.url,
        TWILIO_ACCOUNT_SID=sandbox.account_sid,
        TWILIO_AUTH_TOKEN=sandbox.auth_token,
        BUSINESS_ZONE="America/New_York",
        RECONCILE_AFTER_SECONDS="0",
        EVIDENCE_DIR=str(tmp_path / "heads"),
        CALL_SECONDS_MAX="3",
    )
    sandbox.step(NOON.isoformat())
    portfolio.clock(NOON)
    yield found
    if settings().database_url == restored:
        engine_of(restored).dispose()
        schema.drop_database(restored)


def planned(house: House, people: int) -> tuple[int, list[BorrowerIds], list[int]]:
    """So many people who are a few days late, decided for by the early stage; nothing is sent yet. Run, people, attempts."""
    borrowers = [house.portfolio.borrower(push=False) for _ in range(people)]
    run = decided("early")
    return run, borrowers, [row.id for row in house.outbox.rows("SELECT id FROM attempt ORDER BY party_id")]


def decided(stage: str) -> int:
    """A stage's run of the day, as its flow makes it up to the sending."""
    with connection() as tx:
        run = open_run(tx, stage=stage, business_date=TODAY, preview=False, borrowers_max=None, policies=policies(stage), at=clock.now(tx))
    with disable_run_logger():
        for shard in pick.fn(run):
            choose.fn(shard, run)
    return run


# --- what goes wrong -----------------------------------------------------------------------------------------------------


def provider_down(house: House) -> Iterator[Words]:
    run, _, _ = planned(house, 3)
    house.sandbox.faults(
        {"fault": "accept_then_500", "channel": "sms", "count": 1}, {"fault": "unavailable", "channel": "sms", "probability": 1.0}
    )
    with suppress(LaneHalted):
        run_lane(run, shard=None, channels=CHANNELS)
    assert "unknown" in house.outbox.states()
    yield {"SINCE": NOON.isoformat(timespec="minutes")}
    house.sandbox.faults()
    with connection() as tx:
        tx.execute(text("UPDATE attempt SET call_deadline = call_deadline - interval '1 hour' WHERE call_deadline IS NOT NULL"))
    reconcile(LISTS)
    yield {}
    house.dispatch()
    yield {}
    assert all(state not in {"planned", "submitting"} for state in house.outbox.states())
    assert len(house.sent()) == len(set(house.sent())) <= 3


def wrong_portfolio(house: House) -> Iterator[Words]:
    mapping = FOLDER / "wallet.yaml"
    right = {
        "parties.csv": "external_id,locale,country,region\nA,en,US,NY\nB,en,US,NY\n",
        "contact_points.csv": "party,kind,value\nA,mobile,+12125550100\nB,mobile,+12125550101\n",
        "loans.csv": "external_id,party,product,currency,principal\nL1,A,wallet_credit,USD,100\nL2,B,wallet_credit,USD,100\n",
        "instalments.csv": "loan,number,due_on,principal\nL1,1,2026-03-10,100\nL2,1,2026-03-20,100\n",
        "consents.csv": "party,channel,given_to,at\nA,sms,creditor,2026-01-02\nB,sms,creditor,2026-01-02\n",
        "payments.csv": "loan,external_id,amount,paid_on\nL1,P1,1,2026-03-12\n",
    }
    wrong = {"instalments.csv": "loan,number,due_on,principal\nL2,1,2026-03-10,100\n"}
    folder = house.folder
    for name, content in right.items():
        (folder / name).write_text(content)
    import_files(mapping, [folder / name for name in right], covers_until=NOON + timedelta(hours=1))
    (folder / "wrong").mkdir()
    for name, content in wrong.items():
        (folder / "wrong" / name).write_text(content)
    batch = import_files(mapping, [folder / "wrong" / name for name in wrong]).batch_id
    # B owes nothing yet, and is reminded of a payment that is not due; A, who owes, is still to be reminded.
    run = decided("early")
    assert run_part(run, 2) == 1
    yield {"BATCH": str(batch), "MAPPING": str(mapping), "FILES": " ".join(str(folder / name) for name in right), "BORROWER": "B"}
    house.dispatch()
    yield {}
    bodies = house.sent()
    assert [("was wrong" in body, "has not reached us" in body) for body in bodies].count((True, False)) == 1
    assert len(bodies) == 3
    assert "corrections: 1 accepted" in house.said[-1].stdout


def law_changes(house: House) -> Iterator[Words]:
    run, _, _ = planned(house, 1)
    pack = house.folder / "us.yaml"
    before = (RULES / "us.yaml").read_text("utf-8")
    pack.write_text(before.replace("2021-11-30: {at_most: 8}", "2021-11-30: {at_most: 7}", 1), "utf-8")
    yield {"PACK": str(pack)}
    assert "2021-11-30" in house.said[1].stdout
    house.dispatch()
    assert house.sent() == []
    yield {}
    assert any("us" in line.lower() and "approved" in line for line in house.said[-2].stdout.splitlines())
    run_lane(run, shard=None, channels=CHANNELS)
    assert len(house.sent()) == 1


def regulator(house: House) -> Iterator[Words]:
    _, people, attempts = planned(house, 2)
    house.dispatch()
    folder = house.folder / "case"
    yield {"BORROWER": f"#{people[0].party_id}", "ATTEMPT": str(attempts[0]), "FOLDER": str(folder), "DAY": DAY}
    assert (folder / "index.html").exists()
    assert len(house.sent()) == 2


def wrong_text(house: House) -> Iterator[Words]:
    run, people, attempts = planned(house, 4)
    house.setting(SMS_PER_SECOND="1")
    assert run_part(run, people[0].party_id) + run_part(run, people[1].party_id) == 2
    version = house.outbox.attempt(attempts[0])["permit"]["text"]
    yield {"VERSION": str(version)[:12]}
    mended = house.folder / "messages"
    shutil.copytree(MESSAGES, mended)
    file = mended / "early_reminder" / "en.yaml"
    file.write_text(file.read_text("utf-8").replace("Already paid?", "Paid already?"), "utf-8")
    house.patch.setattr("gate.lane.message_texts", lambda: message_texts(mended))
    house.setting(SMS_PER_SECOND="100")
    house.dispatch()
    assert len(house.sent()) == 2
    yield {}
    house.dispatch()
    yield {}
    bodies = house.sent()
    assert ["Already paid" in body for body in bodies].count(True) == 2
    assert ["Paid already" in body for body in bodies].count(True) == 2
    assert ["was wrong" in body for body in bodies].count(True) == 2
    assert house.said[-2].stdout.count("correction: accepted") == 2


def feed_late(house: House) -> Iterator[Words]:
    house.portfolio.creditor(fresh_until=NOON - timedelta(days=3))
    borrower = house.portfolio.borrower(push=False)
    with connection() as tx:
        loan = tx.execute(text("SELECT external_id FROM loan")).scalar_one()
    mapping, payments = house.folder / "core.yaml", house.folder / "payments.csv"
    mapping.write_text(MAPPING)
    payments.write_text(f"loan,external_id,amount,state,paid_on\n{loan},P1,5.00,posted,2026-03-16\n")
    yield {
        "BORROWER": f"#{borrower.party_id}",
        "MAPPING": str(mapping),
        "PAYMENTS": str(payments),
        "NOW": NOON.isoformat(timespec="minutes"),
    }
    assert "allows HOUSE-STALE-PAYMENTS" not in house.said[1].stdout
    assert "allows HOUSE-STALE-PAYMENTS" in house.said[3].stdout
    run_lane(decided("early"), shard=None, channels=CHANNELS)
    assert len(house.sent()) == 1
    yield {}


def database_gone(house: House) -> Iterator[Words]:
    _, _, attempts = planned(house, 2)
    house.dispatch()
    yield {"FILE": str(house.folder / "ledger.backup"), "DAY": DAY}
    house.setting(DATABASE_URL=house.restored)
    yield {}
    assert "restored from a backup" in house.said[2].stdout
    assert len(attempts) == len(house.outbox.states())
    with connection() as tx:
        assert pauses.in_force(tx, at=clock.now(tx)) == []
    house.dispatch()
    assert len(house.sent()) == 2


def worker_dead(house: House) -> Iterator[Words]:
    run, people, (lost, *_) = planned(house, 3)
    house.sandbox.faults({"fault": "internal", "channel": "sms", "count": 1})
    run_part(run, people[0].party_id)
    with connection() as tx:
        assert move(tx, [Move(business_date=TODAY, attempt_id=lost, from_state="unknown", to_state="parked", cause="test")], at=NOON)
        door = Door(run=read_run(tx, run), parties=EVERY_PARTY, book=Rulebook(rule_packs()), texts=message_texts())
    # It had let two messages through and was killed before it called anybody; of a third nobody knows.
    assert len(take_chunk(door, at_most={"sms": 9}, after={"sms": -1}).letters) == 2
    with connection() as tx:
        tx.execute(text("UPDATE attempt SET call_deadline = call_deadline - interval '1 hour' WHERE state = 'submitting'"))
    yield {"ATTEMPT": str(lost), "DAY": DAY}
    reconcile(LISTS)
    house.dispatch()
    house.dispatch()
    yield {}
    assert len(house.sent()) == 2
    assert house.outbox.states() == ["rejected", "accepted", "accepted"]


def violation(house: House) -> Iterator[Words]:
    _, people, attempts = planned(house, 2)
    house.dispatch()
    # Somebody's stop of long ago comes to light, as if it had been known all along.
    house.portfolio.opt_out(people[0].party_id)
    with connection() as tx:
        tx.execute(text("UPDATE opt_out SET recorded_at = :at"), {"at": SINCE})
    folder = house.folder / "case"
    yield {"ATTEMPT": str(attempts[0]), "BORROWER": f"#{people[0].party_id}", "DAY": DAY, "FOLDER": str(folder)}
    yield {}
    assert '"violations"' in house.said[1].stdout
    with connection() as tx:
        assert pauses.in_force(tx, at=clock.now(tx)) == []


def somebody_else(house: House) -> Iterator[Words]:
    run, people, attempts = planned(house, 2)
    assert run_part(run, people[0].party_id) == 1
    yield {"ATTEMPT": str(attempts[0]), "BORROWER": f"#{people[1].party_id}"}
    house.dispatch()
    assert len(house.sent()) == 1
    assert house.outbox.states() == ["accepted", "withheld"]


def keys(house: House) -> Iterator[Words]:
    planned(house, 2)
    house.dispatch()
    old = settings().encryption_keys.get_secret_value()
    new = "madeup-new:" + base64.b64encode(b"n" * 32).decode()
    yield {}
    house.setting(ENCRYPTION_KEYS=f"{new},{old}")
    yield {}
    house.setting(ENCRYPTION_KEYS=new)
    yield {}
    assert "madeup-test" in house.said[1].stderr
    house.setting(ENCRYPTION_KEYS=f"{new},{old}")
    yield {}
    assert house.said[0].stdout == house.said[2].stdout != ""


SCENARIOS: Mapping[str, Scenario] = {
    "A provider is down": provider_down,
    "The wrong portfolio was imported": wrong_portfolio,
    "The law changes tonight": law_changes,
    "The regulator asks about a complaint": regulator,
    "A text was wrong, and half of it is sent": wrong_text,
    "The payment feed is late": feed_late,
    "The database is gone, or came back from a backup": database_gone,
    "A worker or the server is dead": worker_dead,
    "The audit found a violation": violation,
    "A number belongs to somebody else, or a person is in distress": somebody_else,
    "Keys are rotated, or lost": keys,
}


def run_part(run: int, party_id: int) -> int:
    """Send to one of a run's people; how many were taken."""
    with connection() as tx:
        keys = {"run": run, "party": party_id, "shard": 100 + party_id}
        tx.execute(text("INSERT INTO campaign_shard VALUES (:run, :shard, :party, :party, 1)"), keys)
    accepted = run_lane(run, shard=100 + party_id, channels=CHANNELS).accepted
    with connection() as tx:
        tx.execute(text("DELETE FROM campaign_shard WHERE campaign_run_id = :run AND shard = :shard"), keys)
    return accepted


# --- the page is done ----------------------------------------------------------------------------------------------------


def lines(runbook: str) -> list[str]:
    """The lines of a runbook's code blocks."""
    return [line for block in re.findall(r"```sh\n(.*?)```", runbook, re.DOTALL) for line in block.splitlines() if line.strip()]


def test_every_runbook_is_tried() -> None:
    assert list(RUNBOOKS) == list(SCENARIOS)
    assert all(lines(runbook) for runbook in RUNBOOKS.values())


@pytest.mark.parametrize("title", RUNBOOKS)
def test_what_a_runbook_says_works(title: str, house: House) -> None:
    scenario = SCENARIOS[title](house)
    words = {"INCIDENT": "1", **next(scenario)}
    for line in lines(RUNBOOKS[title]):
        if line.startswith("#"):
            next(scenario)
            continue
        program, *arguments = shlex.split(re.sub(r"\b[A-Z]{3,}\b", lambda found: words.get(found[0], found[0]), line.split("  #")[0]))
        assert program == "tideover", f"only tideover's own commands are tried: {line}"
        answer = CliRunner().invoke(app, arguments)
        expected = re.search(r"# exits with (\d)", line)
        assert answer.exit_code == (int(expected[1]) if expected else 0), f"{line}\n{answer.output}\n{answer.exception!r}"
        house.said.append(answer)
    assert next(scenario, None) is None, "the scenario waits for a comment that the runbook does not have"
