"""An automated call from the gate to the phone and back: the real lane, Twilio's SDK, the portal over HTTP, and who hears what."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen

import pytest

from channels.registry import list_openers, openers
from config.settings import settings
from gate.lane import LaneReport, run_lane
from gate.reconcile import reconcile
from tests.plugins.portfolio import BorrowerIds, Portfolio, made_up_number, noon
from tests.plugins.sandbox_process import Sandbox
from tests.plugins.sending import Outbox
from tests.plugins.sent import Known

NUMBER = made_up_number("US", 61)
NOON = noon("US")
LATER = noon("US").replace(minute=5)
# Words about money, of any text: what nobody else may hear.
DEBT = ("$", "due", "pay", "105.00", "more time")


@dataclass
class House:
    """A borrower who may be called, a portal that is asked what to say, a town in which the phone rings."""

    borrower: BorrowerIds
    sandbox: Sandbox
    outbox: Outbox
    attempt: int = 0

    def call(self, answers: str, *keys: str, message: str = "early_call") -> LaneReport:
        """Plan a call, let the lane make it, and let it ring."""
        self.sandbox.control("POST", "phones", {"number": NUMBER, "answers": answers, "keys": list(keys)})
        run = self.outbox.run()
        self.attempt = self.outbox.plan(run, self.borrower, message=message)
        self.outbox._do("UPDATE attempt SET channel = 'voice' WHERE id = :id", id=self.attempt)  # noqa: SLF001  # a plain statement
        report = run_lane(run, shard=None, channels=openers())
        self.sandbox.step(LATER.isoformat())
        return report

    @property
    def heard(self) -> str:
        """What was heard at the phone."""
        return " ".join(one["body"] for one in self.sandbox.received("voice"))

    @property
    def state(self) -> str:
        """Where the attempt stands."""
        return str(self.outbox.attempt(self.attempt)["state"])

    @property
    def result(self) -> str:
        """The latest result that caps are counted by."""
        return [result for result, *_ in self.outbox.events(self.attempt) if result != "received"][-1]


@pytest.fixture
def house(
    portfolio: Portfolio,
    sandbox: Sandbox,
    outbox: Outbox,
    serve_portal: Callable[[], AbstractContextManager[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[House]:
    given = {
        "TWILIO_BASE_URL": sandbox.url,
        "TWILIO_ACCOUNT_SID": sandbox.account_sid,
        "TWILIO_AUTH_TOKEN": sandbox.auth_token,
        "VOICEMAIL_NAME": "Anna",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"TIDEOVER_{name}", value)
    portfolio.clock(NOON)
    sandbox.reset(at=NOON.isoformat())
    borrower = portfolio.borrower(number=NUMBER, consent=("sms", "push", "voice"))
    outbox._do("""UPDATE creditor SET senders = senders || '{"voice": "+15005550006"}'""")  # noqa: SLF001  # a plain statement
    with serve_portal() as url:
        monkeypatch.setenv("TIDEOVER_PUBLIC_URL", url)
        settings.cache_clear()
        yield House(borrower, sandbox, outbox)


def test_the_person_hears_what_it_is_about_only_after_saying_who_she_is(house: House) -> None:
    assert house.call("human", "1", "3").accepted == 1
    before, after = house.heard.split("press 9", maxsplit=1)
    assert "Lantern Wallet US" in before
    assert "Nobody Atall 1" in before
    assert [word for word in DEBT if word in before] == []
    assert "$105.00 that was due on" in after
    assert house.heard.endswith("A colleague will call you back. Goodbye.")
    assert (house.state, house.result) == ("replied", "conversation")


@pytest.mark.parametrize(
    ("pressed", "state", "result"),
    [
        ((), "undelivered", "dropped"),
        (("",), "undelivered", "dropped"),
        (("5", "7"), "undelivered", "dropped"),
        (("1",), "delivered", "conversation"),
    ],
)
def test_whoever_does_not_say_that_it_is_she_hears_nothing_of_a_debt(
    house: House, pressed: tuple[str, ...], state: str, result: str
) -> None:
    house.call("human", *pressed)
    if pressed != ("1",):
        assert [word for word in DEBT if word in house.heard] == []
    assert (house.state, house.result) == (state, result)


EFFECTS = [
    ("1", [("paid", False)], ["paid_claimed"], []),
    ("2", [("cannot_pay", True)], ["hardship"], []),
    ("3", [("call_me", True)], ["callback"], []),
    ("4", [("help", True)], ["callback"], []),
    ("9", [("stop", False)], [], [("call", True), ("voice", True)]),
]


@pytest.mark.parametrize(("key", "outcomes", "holds", "stops"), EFFECTS)
def test_a_key_does_what_a_reply_does(
    house: House, known: Known, key: str, outcomes: list[Any], holds: list[str], stops: list[Any]
) -> None:
    house.call("human", "1", key)
    assert known.outcomes(house.borrower) == outcomes
    assert [kind for kind, _ in known.holds(house.borrower)] == holds
    assert known.opt_outs(house.borrower) == stops
    assert ("voice", "received", False) in known.inbound(house.borrower)
    owed = house.outbox.rows("SELECT reason, state, contact_point_id FROM call_task")
    assert [tuple(row) for row in owed] == ([("callback", "waiting", house.borrower.sms_id)] if "callback" in holds else [])


def test_not_me_blocks_the_number_and_a_stop_needs_no_name(house: House, known: Known) -> None:
    house.call("human", "2")
    assert known.outcomes(house.borrower) == [("wrong_person", True)]
    assert house.heard.endswith("We will not call this number again. Goodbye.")
    assert [word for word in DEBT if word in house.heard] == []


def test_a_stop_before_a_name_stops_calls(house: House, known: Known) -> None:
    house.call("human", "9")
    assert known.opt_outs(house.borrower) == [("call", True), ("voice", True)]


def test_a_machine_hears_a_voicemail_that_reveals_nothing(house: House) -> None:
    house.call("machine")
    assert house.heard == (
        "This is Lantern Wallet US. Please call Anna back. The phone number is 1 5 0 0 5 5 5 0 0 0 6. "
        "To stop these calls, tell us at that number. Thank you."
    )
    assert (house.state, house.result) == ("sent", "limited_content_voicemail")


def test_without_a_name_to_ask_for_nothing_is_left_with_a_machine(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEOVER_VOICEMAIL_NAME", "")
    settings.cache_clear()
    house.call("machine")
    assert house.heard == ""
    assert (house.state, house.result) == ("undelivered", "dropped")


@pytest.mark.parametrize(
    ("answers", "state", "result"),
    [
        ("busy", "undelivered", "busy"),
        ("no-answer", "undelivered", "no_answer"),
        ("failed", "failed", "failed"),
        ("fax", "undelivered", "dropped"),
    ],
)
def test_how_a_call_ended_is_said_in_the_words_that_caps_count(house: House, answers: str, state: str, result: str) -> None:
    house.call(answers)
    assert (house.heard, house.state, house.result) == ("", state, result)


def test_what_is_learned_while_it_rings_ends_the_call_before_a_word(house: House, portfolio: Portfolio) -> None:
    house.sandbox.control("POST", "phones", {"number": NUMBER, "answers": "human", "keys": ["1"]})
    run = house.outbox.run()
    house.attempt = house.outbox.plan(run, house.borrower, message="early_call")
    house.outbox._do("UPDATE attempt SET channel = 'voice' WHERE id = :id", id=house.attempt)  # noqa: SLF001  # a plain statement
    run_lane(run, shard=None, channels=openers())
    portfolio.opt_out(house.borrower.party_id)
    house.sandbox.step(LATER.isoformat())
    assert house.heard == ""
    assert house.result == "dropped"


def test_a_message_without_spoken_words_calls_nobody(house: House) -> None:
    report = house.call("human", message="help")
    assert report.accepted == 0
    assert house.state == "withheld"
    assert house.sandbox.summary()["calls"] == {}


def test_nothing_of_what_is_said_stands_in_the_providers_record(house: House) -> None:
    house.call("human", "1")
    base = f"{house.sandbox.url}/2010-04-01/Accounts/{house.sandbox.account_sid}/Calls.json"

    pair = base64.b64encode(f"{house.sandbox.account_sid}:{house.sandbox.auth_token}".encode()).decode()
    with urlopen(Request(base, headers={"Authorization": f"Basic {pair}"})) as answer:  # noqa: S310  # loopback
        listed = json.loads(answer.read())
    assert len(listed["calls"]) == 1
    assert "Nobody" not in json.dumps(listed)
    assert "105" not in json.dumps(listed)


@pytest.mark.parametrize(("fault", "state"), [("accept_then_500", "undelivered"), ("drop_before_accept", "failed")])
def test_I2_a_call_of_unknown_fate_is_settled_by_the_list_and_never_made_again(house: House, fault: str, state: str) -> None:
    house.sandbox.faults({"fault": fault, "channel": "voice"}, {"fault": "callback_lost", "channel": "voice"})
    house.call("busy")
    assert house.state == "unknown"
    house.sandbox.faults()
    for _ in range(2):
        house.outbox._do(  # noqa: SLF001  # a plain statement
            """UPDATE attempt SET call_deadline = call_deadline - interval '10 minutes',
                                  not_listed_at = not_listed_at - interval '10 minutes'"""
        )
        reconcile(list_openers())
    assert house.state == state
    run_lane(house.outbox.attempt(house.attempt)["campaign_run_id"], shard=None, channels=openers())
    assert sum(house.sandbox.summary()["calls"].values()) == (1 if state == "undelivered" else 0)
