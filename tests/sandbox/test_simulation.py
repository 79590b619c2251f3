"""A simulated world shows a lender what the wire would, and nothing else of the town."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta

from twilio.rest import Client  # type: ignore[import-untyped]  # twilio ships no py.typed

from sandbox.simulation import open_world
from tests.plugins.sandbox_process import Sandbox

DAY = date(2026, 3, 17)
TEXT = "您有 100.00 TWD 未繳。請至 https://pay.example/x"
LIVELY = {"self_pay_forgot": 0.3, "sms_effect_forgot": 0.5, "sms_effect_timing": 0.3, "reply_rate": 0.5, "posted_late_share": 0.5}


def test_the_wire_and_the_simulation_tell_the_same_story(sandbox: Sandbox, client: Client) -> None:
    """Same seed, same messages: the same payments at the same instants, through either door."""
    world = open_world("w", "shared", LIVELY, borrowers=60, first_day=DAY)
    start = world.town.now
    sandbox.reset(at=start.isoformat(), seed="shared", drawn=True, world=LIVELY)
    sandbox.settle(
        [
            {
                "phone": one.phone,
                "push_token": one.push_token,
                "locale": one.locale,
                "zone": one.zone,
                "loans": [{"loan_ref": one.loan_ref, "currency": one.currency, "owed_minor": one.owed_minor}],
            }
            for one in world.borrowers
        ]
    )
    heard = []
    for days in (0, 2):
        at = start + timedelta(days=days, hours=9)
        heard += list(world.advance(at))
        sandbox.step(at.isoformat())
        for one in world.borrowers:
            message_id = f"{one.loan_ref}-{days}"
            world.hand_over(
                message_id, channel="sms", address=one.phone, sender="x", text=TEXT, expires_at=at + timedelta(hours=10), plan=()
            )
            client.messages.create(to=one.phone, from_="+12025550150", body=TEXT)
    heard += list(world.advance(start + timedelta(days=5)))
    sandbox.step((start + timedelta(days=5)).isoformat())
    rows = csv.DictReader(io.StringIO(sandbox.control("GET", "payments.csv")))
    by_wire = [(row["posted_at"], row["loan_ref"], int(row["amount_minor"])) for row in rows]
    here = [(one.at.isoformat(), one.loan_ref, one.amount_minor) for one in heard if one.kind == "paid"]
    assert sorted(by_wire) == sorted(here)
    assert len(here) > 10
    counts = sandbox.summary()["counts"]
    assert counts["sms delivered"] == sum(one.kind == "delivered" for one in heard)
    assert sum(number for name, number in counts.items() if name.startswith("reply ")) == sum(one.kind == "reply" for one in heard) > 0


def test_a_world_is_drawn_with_its_seed_and_shows_nobody_elses_luck() -> None:
    one, same, other = (open_world("w", seed, {}, borrowers=30, first_day=DAY).borrowers for seed in ("a", "a", "b"))
    assert one == same != other
    assert open_world("w", "a", {}, borrowers=60, first_day=DAY).borrowers[:30] == one


def test_what_a_lender_hears_names_no_reason_why_people_are_late() -> None:
    world = open_world(
        "w", "a", {"borrows_elsewhere": 1.0, "empty_wallet_share": 1.0, "sms_effect_timing": 1.0}, borrowers=60, first_day=DAY
    )
    at = world.town.now + timedelta(hours=9)
    heard = list(world.advance(at))
    for one in world.borrowers:
        world.hand_over(one.loan_ref, channel="sms", address=one.phone, sender="x", text=TEXT, expires_at=at + timedelta(hours=9), plan=())
    heard += list(world.advance(at + timedelta(days=2)))
    # Harm is in the truth, and in nothing that is heard.
    assert sum(one.borrowed_minor for one in world.truth()) > 0
    assert {one.kind for one in heard} <= {"delivered", "undelivered", "read", "reply", "paid"}
