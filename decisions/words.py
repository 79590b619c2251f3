"""The closed lists of words that facts, rules and cases are written in.

In:   nothing.
Out:  types for pydantic and mypy, and the same words as tuples.
Pure: values only.
Source: CASES.md (words), DOMAIN.md.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

Channel = Literal["sms", "voice", "call", "push", "in_app", "whatsapp", "messenger", "rcs", "email", "letter", "visit", "social_public"]
# A creditor's own gateway as a provider, and how its sender on a channel says that it goes through it (docs/gateway.md).
GATEWAY: Final = "gateway"
GATEWAY_SENDER: Final = "gateway:"
GATEWAY_CHANNELS: Final = frozenset({"sms", "push", "in_app", "whatsapp", "messenger", "rcs", "voice"})
Purpose = Literal[
    "reminder",
    "collection",
    "locate",
    "legal_notice",
    "hardship_offer",
    "dispute_response",
    "confirmation",
    "education",
    "reply",
    "consent_request",
    "receipt",
    "plan_confirmation",
    "statement",
    "correction",
    "callback",
    "one_time_code",
]
Party = Literal[
    "borrower", "co_borrower", "spouse", "guarantor", "attorney", "employer", "reference", "household", "third_party", "executor"
]
Role = Literal["first_party", "third_party", "debt_buyer"]
ContactPointKind = Literal["mobile", "landline", "email", "address", "push", "whatsapp", "messenger", "social"]
Result = Literal[
    "no_answer",
    "busy",
    "not_in_service",
    "dropped",
    "voicemail",
    "limited_content_voicemail",
    "ringless_voicemail",
    "conversation",
    "delivered",
    "read",
    "undelivered",
    "failed",
    "wrong_number",
    "sent",
    "received",
]
Direction = Literal["outbound", "inbound"]
HoldKind = Literal[
    "dispute",
    "cease",
    "refusal_to_pay",
    "hardship",
    "bankruptcy",
    "deceased",
    "breathing_space",
    "mental_health_crisis",
    "attorney",
    "complaint",
    "fraud",
    "paid_claimed",
    "promise",
    "disaster",
    "illness",
    "bereavement",
    "military",
    "plan",
    "placed",
    "sold",
    "litigation",
    "debt_adviser",
    "callback",
    "economic_abuse",
    "identity_theft",
    "restricted",
]
Kind = Literal[
    "window",
    "zone",
    "cap",
    "cooldown",
    "consent",
    "optout",
    "wish",
    "hold",
    "party",
    "place",
    "channel",
    "content",
    "order",
    "deadline",
    "duty",
]
Basis = Literal["law", "presumption", "guidance", "draft", "provider_policy", "house"]

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
# Where a person is when a contact reaches her, as far as the contact point tells.
Where = Literal["home", "work", "other"]
Product = Literal["wallet_credit", "personal_loan", "consumer_loan", "microfinance", "credit_card", "student_loan"]

# What answers, confirms, puts right or teaches: it asks for nothing, so nothing has to be due and no stage treats by it.
SERVICE_PURPOSES: Final[frozenset[Purpose]] = frozenset(
    {"reply", "confirmation", "correction", "callback", "one_time_code", "dispute_response", "plan_confirmation", "education"}
)
# What a person must still get who has stopped all else: a provider blocks the sender that she told to stop, so these have one of their own.
OWN_SENDER_PURPOSES: Final[frozenset[Purpose]] = frozenset({"one_time_code", "receipt"})
# Messages that are notices, each of the kind of its name: when one was sent, arrived or came back stands in the ledger (ledger/notices.py).
NOTICE_MESSAGES: Final = frozenset({"formal_notice"})
CHANNELS: Final[tuple[str, ...]] = get_args(Channel)
PURPOSES: Final[tuple[str, ...]] = get_args(Purpose)
PARTIES: Final[tuple[str, ...]] = get_args(Party)
HOLD_KINDS: Final[tuple[str, ...]] = get_args(HoldKind)
RESULTS: Final[tuple[str, ...]] = get_args(Result)
DIRECTIONS: Final[tuple[str, ...]] = get_args(Direction)
CONTACT_POINT_KINDS: Final[tuple[str, ...]] = get_args(ContactPointKind)
ROLES: Final[tuple[str, ...]] = get_args(Role)
WHERE: Final[tuple[str, ...]] = get_args(Where)
WEEKDAYS: Final[tuple[str, ...]] = get_args(Weekday)
# The strictest first: where the creditor's role is not known, the strictest reading is named.
BASES: Final[tuple[str, ...]] = get_args(Basis)
