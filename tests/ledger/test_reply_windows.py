"""Who wrote to which address of the lender's, and when last: a window is two addresses', and of one channel."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from channels import codes
from channels.windows import REPLY_WINDOWS
from config.replies import reply_policy_in_force
from decisions.planned import Planned
from ledger import addresses, clock, inbox, reply_windows, vault
from ledger.engine import connection
from ledger.inbox import Said, Vocabulary
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, made_up_number, noon
from tests.plugins.sent import Known

NUMBER = made_up_number("US", 42)
PERSON = "5400000000000042"
OURS = "+15005550006"
SERVICE = "MG" + "a" * 32
NOON = noon("US")
VOCABULARY = Vocabulary(
    state_of=codes.state_of,
    meaning_of=codes.meaning_of_callback,
    intent_of=codes.intent_of,
    replies=reply_policy_in_force(),
    intent_of_button=codes.intent_of_button,
)


@pytest.fixture
def borrower(portfolio: Portfolio) -> BorrowerIds:
    portfolio.clock(NOON)
    return portfolio.borrower(number=NUMBER)


def wrote(sender: str = f"whatsapp:{NUMBER}", to: str = f"whatsapp:{OURS}", body: str = "hello", **fields: str) -> list[int]:
    said = Said(
        provider="twilio",
        provider_id=f"SM{uuid4().hex}",
        kind="inbound",
        status="received",
        token=None,
        error_code=None,
        fields={"From": sender, "To": to, "Body": body, **fields},
    )
    return inbox.receive([said], VOCABULARY)


def last(channel: str = "whatsapp", number: str = NUMBER, sender: str | None = OURS, at: datetime = NOON) -> datetime | None:
    """When the gate would find that a person wrote last to where an attempt would be sent from."""
    planned = Planned(
        business_date=TODAY,
        id=1,
        party_id=1,
        contact_point_id=1,
        channel=channel,
        purpose="collection",
        message="early_reminder",
        locale="en",
        token=uuid4(),
        send_after=NOON,
        expires_at=NOON,
        creditor_name="Lantern",
        creditor_role="first_party",
        sender=sender,
        value_encrypted=b"x",
        key_id="k",
        blind_index=vault.blind_index(number),
    )
    with connection() as tx:
        found = reply_windows.read_last(tx, [planned], channels=REPLY_WINDOWS, at=at)
    line = addresses.line_of(planned)
    return None if line is None else found.get(line)


def test_what_a_person_wrote_opens_the_line_between_the_two_addresses(borrower: BorrowerIds, known: Known) -> None:
    assert last() is None
    wrote()
    assert last() == NOON
    assert last(sender=f"whatsapp:{OURS}") == NOON
    assert known.inbound(borrower) == [("whatsapp", "received", False)]


def test_nobody_elses_line_is_opened_and_no_other_sender_may_use_it(borrower: BorrowerIds) -> None:
    del borrower
    wrote()
    assert last(number=made_up_number("US", 43)) is None
    assert last(sender="+15005550007") is None
    assert last(channel="messenger") is None
    assert last(sender=None) is None


def test_a_text_message_opens_nothing_and_a_page_knows_people_by_its_own_ids(borrower: BorrowerIds) -> None:
    del borrower
    wrote(sender=NUMBER, to=OURS)
    assert last() is None
    wrote(sender=f"messenger:{PERSON}", to="messenger:100200300400500")
    assert last(channel="messenger", number=PERSON, sender="100200300400500") == NOON


def test_a_messaging_service_that_has_the_number_may_answer_too(borrower: BorrowerIds) -> None:
    del borrower
    wrote(MessagingServiceSid=SERVICE)
    assert last(sender=SERVICE) == last(sender=OURS) == NOON


def test_the_last_message_counts_and_none_that_came_later_than_the_moment(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    del borrower
    wrote()
    portfolio.clock(NOON + timedelta(hours=3))
    wrote()
    assert last(at=NOON + timedelta(hours=4)) == NOON + timedelta(hours=3)
    assert last(at=NOON + timedelta(hours=2)) == NOON


def test_a_number_of_nobody_is_remembered_for_whoever_it_will_belong_to(portfolio: Portfolio) -> None:
    portfolio.clock(NOON)
    wrote()
    assert last() == NOON


def test_said_twice_it_is_kept_once(borrower: BorrowerIds) -> None:
    del borrower
    (event_id,) = wrote()
    with connection() as tx:
        value = vault.blind_index(NUMBER)
        for _ in range(2):
            reply_windows.keep(
                tx, event_id=event_id, sender=f"whatsapp:{NUMBER}", senders_of_ours=[OURS, "", OURS], blind_index=value, at=clock.now(tx)
            )
    assert last() == NOON


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("whatsapp:+12125550142", ("whatsapp", "+12125550142")),
        ("messenger:5400000000000042", ("messenger", "5400000000000042")),
        ("rcs:lantern_agent", ("rcs", "lantern_agent")),
        ("+12125550142", ("sms", "+12125550142")),
        ("instagram:lantern", ("sms", "instagram:lantern")),
        ("", ("sms", "")),
    ],
)
def test_an_address_names_its_channel(address: str, expected: tuple[str, str]) -> None:
    assert addresses.split(address) == expected
