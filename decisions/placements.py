"""Placing a loan with an agency: what stands against it, and what calls it back at once.

In:   the agency's licences, whose law attaches, the facts about everybody who stands for the loan, the packs, the house's terms.
Out:  reasons in words; none = it may be placed.
Pure: values only.
Source: LAW.md (HK-COBP-NOTICE, TW-NOTICE, VN-NOAGENCY, US-WA); DOMAIN.md "placed"; docs/adr/0062.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

import polars as pl

from decisions.facts import CANDIDATES, Facts
from decisions.packs import Packs
from decisions.rules import judge

THIRD_PARTY: Final = "third_party"
PLACED: Final = "placed"
# The notice that tells a person which agency is to speak to her.
NOTICE: Final = "agency_appointed"
# Rules that say whether an agency may speak to a person about a loan at all; hours, caps and channels are each contact's own.
_ABOUT_PLACING: Final = frozenset({"hold", "order", "party", "zone"})
# Of a person, whichever loan it was written down for: an agency has nothing to do with her any more.
RECALLS_PERSON: Final = (
    "bankruptcy", "deceased", "breathing_space", "mental_health_crisis", "attorney", "disaster", "illness", "bereavement", "military",
    "debt_adviser", "economic_abuse", "identity_theft", "restricted",
)  # fmt: skip
# Of one loan, or of all where none is named.
RECALLS_LOAN: Final = ("dispute", "hardship", "fraud", "plan", "sold", "litigation")
# What an agency is told, and keeps the loan: it leaves her in peace meanwhile.
ONLY_TOLD: Final = ("cease", "refusal_to_pay", "complaint", "paid_claimed", "promise", "callback", PLACED)
# What the lender's own file says of a person.
RECALLS_FACTS: Final = ("attorney_represented", "bankrupt", "deceased", "mental_health_crisis", "minor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """Leave to collect in a jurisdiction, on the days [from, until)."""

    jurisdiction: str
    number: str
    from_on: date
    until_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementTerms:
    """What operations may change about placing.

    Attributes:
        stages: Of treatment in which a loan may be placed; no other one.
        notice_days: So long before it begins everybody who stands for the loan was told, whatever the law leaves open.
        days_max: A placement is no longer than this.
        licensed_by_region: Countries in which a licence of the country alone is none: the state's, or the city's, is asked for.
    """

    stages: frozenset[str]
    notice_days: int
    days_max: int
    licensed_by_region: frozenset[str]


def licence_missing(
    jurisdictions: Sequence[str], licences: Collection[Licence], on: date, until: date, terms: PlacementTerms
) -> str | None:
    """Why an agency may not work where a person is, in words; None where it may, from its first day to its last.

    Args:
        jurisdictions: That attach to the person, of one or several countries, each country's most general first.
        licences: The agency's.
        on: First day.
        until: The day after the last one.
        terms: The house's.
    """
    places = [code for code in jurisdictions if code != "EU"]
    if not places:
        return "the borrower's jurisdiction is not known"
    for country in dict.fromkeys(code.partition("-")[0] for code in places):
        narrowest = max((code for code in places if code.partition("-")[0] == country), key=len)
        exact = country in terms.licensed_by_region
        there = [
            one for one in licences if one.jurisdiction == narrowest or (not exact and f"{narrowest}-".startswith(f"{one.jurisdiction}-"))
        ]
        if not there:
            return f"no licence for {narrowest}"
        if not any(one.from_on <= on and until <= one.until_on for one in there):
            return f"the licence for {narrowest} does not reach from {on.isoformat()} to {until.isoformat()}"
    return None


def refusals(
    facts: Facts, *, loan_id: int, packs: Packs, terms: PlacementTerms, licences: Collection[Licence], at: datetime, on: date, until: date
) -> list[str]:
    """Why a loan may not be placed now, each in words; empty = it may.

    Args:
        facts: About everybody who stands for the loan, read under their locks, aged now.
        loan_id: Which loan.
        packs: In force.
        terms: The house's.
        licences: The agency's.
        at: Business instant from which on the agency would have it.
        on: The lender's date then.
        until: The day after its last.
    """
    loan = facts.loans.filter(pl.col("loan_id") == loan_id)
    found = [*_of_loan(loan, terms), *_of_people(facts, loan_id, at)]
    for party_id, places in facts.borrowers.select("party_id", "jurisdictions").iter_rows():
        if (missing := licence_missing(places or [], licences, on, until, terms)) is not None:
            found.append(missing)
        if (missing := _notice_missing(facts, party_id, loan_id, at, terms)) is not None:
            found.append(missing)
    found += _by_law(facts, loan_id, packs, at)
    return list(dict.fromkeys(found))


def as_third_party(facts: Facts) -> Facts:
    """The same facts, as the rules see them when an agency makes the contact: that it has the loan is no reason against it."""
    return replace(
        facts,
        borrowers=facts.borrowers.with_columns(creditor_role=pl.lit(THIRD_PARTY)),
        holds=facts.holds.filter(pl.col("kind") != PLACED),
    )


def kinds_of(packs: Packs) -> Mapping[str, str]:
    """Rule id → its kind."""
    return {rule.id: rule.kind for _, rule in packs.gating()}


def _of_loan(loan: pl.DataFrame, terms: PlacementTerms) -> Iterator[str]:
    if loan.is_empty():
        yield "nothing is late or nearly due of it"
        return
    row = loan.row(0, named=True)
    if row["stage"] not in terms.stages:
        stages = ", ".join(sorted(terms.stages))
        yield f"it is in stage {row['stage'] or 'none'}; loans are placed in {stages} alone: the milder steps come first"
    if row["disputed_minor"]:
        yield "a part of it is disputed"
    if row["time_barred"]:
        yield "it is time-barred"
    if row["servicing_status"] not in {"active", "written_off"}:
        yield f"its servicing status is {row['servicing_status']}"


def _of_people(facts: Facts, loan_id: int, at: datetime) -> Iterator[str]:
    """Holds in force, whatever their kind: who is to be left in peace is not handed on."""
    about = pl.col("loan_id").is_null() | (pl.col("loan_id") == loan_id) | pl.col("kind").is_in(RECALLS_PERSON)
    on = (pl.col("starts_at") <= at) & (pl.col("until").is_null() | (pl.col("until") > at))
    for kind in facts.holds.filter(about & on & (pl.col("kind") != PLACED))["kind"].unique().sort():
        yield f"a hold stands: {kind}"
    for said in facts.borrowers["facts"].explode(empty_as_null=True).drop_nulls().unique().sort():
        if said in RECALLS_FACTS:
            yield f"the borrower is {said}"


def _notice_missing(facts: Facts, party_id: int, loan_id: int, at: datetime, terms: PlacementTerms) -> str | None:
    sent = facts.notices.filter(
        (pl.col("party_id") == party_id)
        & (pl.col("kind") == NOTICE)
        & pl.col("bounced").fill_null(False).not_()
        & (pl.col("loan_id").is_null() | (pl.col("loan_id") == loan_id))
    )["sent_at"].drop_nulls()
    if sent.is_empty():
        return "the borrower has had no notice of the agency"
    youngest_allowed = at - timedelta(days=terms.notice_days)
    if not (sent <= youngest_allowed).any():
        return f"the notice of the agency is younger than {terms.notice_days} days"
    return None


def _by_law(facts: Facts, loan_id: int, packs: Packs, at: datetime) -> Iterator[str]:
    """What the packs say of an agency that speaks to these people about the loan."""
    rows = [
        {
            "candidate": number,
            "party_id": party_id,
            "contact_point_id": None,
            "channel": "call",
            "purpose": "collection",
            "at": at,
            "loans": [loan_id],
            "counterparty": "borrower",
            "automated": False,
        }
        for number, party_id in enumerate(facts.borrowers["party_id"])
    ]
    judged = judge(as_third_party(facts), pl.DataFrame(rows, schema=CANDIDATES, orient="row"), packs, when=False)
    kinds = kinds_of(packs)
    named = judged.select(rules=pl.concat_list("blocked_by", "asked_by"))["rules"].explode(empty_as_null=True).drop_nulls()
    for rule in named.unique(maintain_order=True):
        if kinds[rule] in _ABOUT_PLACING:
            yield f"{rule}: {packs.rule(rule)[1].says}"
