"""What becomes of each table's rows when a person is erased: removed, emptied, or kept as they are, and why.

Kept is what identifies nobody once her names, numbers and ids are gone: dates, amounts, states, which rules were checked. So counts, money
and every proof stay true. A table of hers that is not in here stops the build.

In:   nothing; values only.
Out:  `REMOVED`, `EMPTIED`, `KEPT`.
Pure: yes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# Sixteen bytes that lead to nothing.
NOBODYS_INDEX: Final = "uuid_send(gen_random_uuid())"
NO_TEXTS: Final = "'{}'"

# In the order in which they go: what refers to another table's rows first.
REMOVED: Final[tuple[str, ...]] = (
    "provider_event_payload",
    "person_wrote",
    "call_words",
    "call_card",
    "page_session",
    "page_code",
    "person_file",
    "person_need",
    "wallet_flow",
    "fairness_attribute",
    "wish",
    "language_wish",
    "agreement",
    "contact_value",
)
EMPTIED: Final[Mapping[str, Mapping[str, str]]] = {
    "agent_call": {"why_encrypted": "NULL", "why_key_id": "NULL"},
    # Its token opened her page, and was the salt of what was said: without it the commitment proves that something was, and not what.
    "attempt": {"token": "gen_random_uuid()"},
    "call_score": {"note_encrypted": "NULL", "note_key_id": "NULL"},
    "case_event": {"words_encrypted": "NULL", "key_id": "NULL"},
    "contact_point": {"external_id": "'erased-' || t.id"},
    "contact_point_version": {
        "value_encrypted": "NULL",
        "blind_index": NOBODYS_INDEX,
        "digest": "''",
        "country": "NULL",
        "zones": NO_TEXTS,
        "verified_on": "NULL",
    },
    "party": {"external_id": "'erased-' || t.id"},
    "party_version": {
        "name_encrypted": "NULL",
        "key_id": "NULL",
        "region": "NULL",
        "postal_code": "NULL",
        "known_zone": "NULL",
        "zones": NO_TEXTS,
        "facts": NO_TEXTS,
        "digest": "''",
    },
    # Where she would have confirmed it; that money moved stands in `payment`.
    "payment_order": {"token": "gen_random_uuid()", "confirm_url": "NULL"},
    # What it closes, no key opens any more.
    "plan_offer": {"record_encrypted": "''", "circumstances_digest": "''", "offer_digest": "''"},
    "provider_event": {"token": "NULL"},
    "staff_view": {"why_encrypted": "NULL", "key_id": "NULL"},
}
# Of a loan that nobody else stands for: what she knew it by.
EMPTIED_IF_HERS_ALONE: Final[Mapping[str, Mapping[str, str]]] = {"loan_version": {"account": "NULL"}}
KEPT: Final[Mapping[str, str]] = {
    "agency_feed_item": "which fact an agency was told",
    "agency_finding": "which contact of an agency's broke which rule",
    "ageing_pause": "dates of a loan",
    "allocation": "money of a loan",
    "attempt_transition": "states and instants, under a proof",
    "backfill_difference": "figures of a date",
    "borrower_case": "kinds, dates and results",
    "call_task": "windows and results",
    "consent": "that it was given, and when",
    "contact_event": "that a contact was made, under a proof",
    "core_instruction": "amounts and dates that were agreed",
    "core_instruction_event": "states and instants",
    "decision": "that it was decided, under a proof",
    "delinquency_snapshot": "figures of a loan",
    "document_given": "that a document was handed out",
    "erasure": "that she was erased",
    "helped": "a yes or a no, for a count",
    "hold": "that nobody contacts her",
    "incident_person": "that an incident concerned somebody",
    "instalment": "money of a loan",
    "loan": "the lender's books know it",
    "loan_aging": "figures of a date",
    "loan_party": "that somebody stood for a loan",
    "loan_version": "money of a loan, and what others who stand for it know it by",
    "notice": "kinds and dates",
    "opt_out": "that somebody stopped a channel",
    "outcome": "what was meant, without a word of it",
    "outcome_handled": "that somebody saw to it",
    "page_closing": "that links were closed",
    "party_key": "destroyed, all of them",
    "payment": "money of a loan",
    "placement": "that a loan was with an agency",
    "plan": "that there was one",
    "plan_choice": "which plan was chosen",
    "plan_version": "money of a loan",
    "promise": "dates and amounts",
}
