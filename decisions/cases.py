"""Cases: what a person is owed an answer to, by when, and how it may end.

A deadline of the law is the number of a rule of kind `deadline` in the packs; where no pack has one, the house's own holds,
and says that it is the house's. Where both are known the earlier one is the date that people work by.

In:   a kind of case, the local date on which it was opened, whose law attaches, the packs, the house's terms.
Out:  `Deadlines`.
Pure: no I/O, no clock; public holidays come with their package.
Source: the packs; LAW.md, primitive 11; docs/adr/0038.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal, get_args

from decisions.business_days import business_day_after
from decisions.packs import HOUSE, Packs
from decisions.rule_forms import OWN_COUNTRY, DeadlineRule, Waits, value_on
from decisions.rules.calendars import calendar_of, day_after_waiting
from decisions.rules.timetable import EPOCH, day_number

CaseKind = Literal[
    "dispute", "complaint", "hardship", "deceased", "data_request", "wrong_number", "incident", "core_instruction", "payment"
]
CaseState = Literal["open", "acknowledged", "answered", "closed"]
StatedBy = Literal[
    "borrower", "co_borrower", "guarantor", "executor", "attorney", "debt_adviser", "household", "third_party", "authority", "unknown"
]
CASE_KINDS: Final[tuple[str, ...]] = get_args(CaseKind)
CASE_STATES: Final[tuple[str, ...]] = get_args(CaseState)
STATED_BY: Final[tuple[str, ...]] = get_args(StatedBy)
CLOSED: Final = "closed"
WITHDRAWN: Final = "withdrawn"

# The event of a deadline rule → the kind of case that it begins.
_BEGUN_BY: Final[Mapping[str, str]] = {"dispute": "dispute", "complaint": "complaint", "hardship": "hardship", "request": "data_request"}
# A deadline whose notice is one of these is about saying that the case was received; any other, about answering it.
ACKNOWLEDGEMENTS: Final = frozenset({"complaint_acknowledgement"})

# Kind → how it may be closed → whether its hold ends with it. What is not in here is no result.
RESULTS_OF: Final[Mapping[str, Mapping[str, bool]]] = {
    "dispute": {"upheld": True, "partly_upheld": True, "not_upheld": True, WITHDRAWN: True},
    "complaint": {"upheld": True, "partly_upheld": True, "not_upheld": True, WITHDRAWN: True},
    "hardship": {"relief_agreed": True, "relief_refused": True, WITHDRAWN: True},
    # Nobody writes to the dead again; that it was somebody else of the family ends the peace that mourning had.
    "deceased": {"borrower_died": False, "somebody_else_died": True, "mistaken": True},
    "data_request": {"fulfilled": True, "refused": True, WITHDRAWN: True},
    "wrong_number": {"corrected": True, "blocked": True},
    "incident": {"settled": True, "unfounded": True},
    # What the core system did not accept or did not answer (docs/core.md), and money that came in and fits nowhere.
    "core_instruction": {"applied": True, "offered_anew": True, WITHDRAWN: True},
    "payment": {"booked": True, "paid_back": True, "mistaken": True},
}
# The person is right about what is owed: the hold stays until the books say so too.
NEEDS_CORRECTION: Final = frozenset({("dispute", "upheld"), ("dispute", "partly_upheld")})
# Peace for good, and letters to somebody else about her money: somebody has seen that it is true.
NEEDS_PROOF: Final = frozenset({("deceased", "borrower_died")})
# Nobody is left without an answer, unless she wants none.
ANSWERED_FIRST: Final = frozenset({"dispute", "complaint", "hardship", "data_request"})
# Kind → the hold that stands while the case is open; its own kinds come from CASES.md.
HOLD_OF: Final[Mapping[str, str]] = {
    "dispute": "dispute",
    "complaint": "complaint",
    "hardship": "hardship",
    "deceased": "deceased",
    "payment": "paid_claimed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseDays:
    """The house's own deadlines of one kind, in whole business days after the day on which a case was opened.

    Attributes:
        acknowledge: Until it is said that the case was received.
        answer: Until it is answered.
    """

    acknowledge: int
    answer: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseTerms:
    """What operations may change about cases.

    Attributes:
        owner: Who answers for a case that nobody has taken.
        days: Kind → the house's deadlines.
        near_days: So many days before an answer is due it is near.
        acknowledges: Kinds of which a machine says that they were received, and that they were answered.
    """

    owner: str
    days: Mapping[str, HouseDays]
    near_days: int
    acknowledges: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Whose law attaches to a case.

    Attributes:
        jurisdictions: That attach to the person ("US", "US-NY"); empty = not known.
        country: Of residence, ISO 3166-1, whose holidays are the house's; None = weekends only.
        role: Of the creditor.
        charged_off: Whether the loan was; None = not known, or no loan in particular.
        product: Of the loan; None = not known, or no loan in particular.
    """

    jurisdictions: frozenset[str]
    country: str | None
    role: str | None
    charged_off: bool | None = None
    product: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A date, and who says so.

    Attributes:
        on: Last local date on which it is in time.
        rule: Id of the law's rule, or `house`.
    """

    on: date
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Until when a case has to be acknowledged and answered.

    Attributes:
        acknowledge: The earlier of the house's date and the law's.
        answer: Likewise.
        law_answer: The law's date for the answer; None = no pack knows one.
    """

    acknowledge: Due
    answer: Due
    law_answer: Due | None


def deadlines(kind: str, opened_on: date, setting: Setting, terms: CaseTerms, packs: Packs | None) -> Deadlines:
    """Work out until when a case has to be acknowledged and answered.

    Args:
        kind: One of `CASE_KINDS`.
        opened_on: Local date where the person is; not one of the days that are counted.
        setting: Whose law attaches.
        terms: The house's.
        packs: In force; None = the law cannot be read: only the house's dates are known.

    Returns:
        Of several laws the earliest date.
    """
    own = terms.days[kind]
    found = [] if packs is None else list(_of_law(kind, opened_on, setting, packs))
    acknowledge = [Due(on=on, rule=rule.id) for rule, on in found if _acknowledges(rule)]
    answer = [Due(on=on, rule=rule.id) for rule, on in found if not _acknowledges(rule)]
    return Deadlines(
        acknowledge=_earliest([*acknowledge, _of_house(opened_on, own.acknowledge, setting, packs)]),
        answer=_earliest([*answer, _of_house(opened_on, own.answer, setting, packs)]),
        law_answer=_earliest(answer) if answer else None,
    )


def _of_law(kind: str, opened_on: date, setting: Setting, packs: Packs) -> Iterator[tuple[DeadlineRule, date]]:
    """The deadlines that the person's laws set for such a case."""
    for pack, rule in packs.deadlines():
        value = value_on(rule.values, opened_on)
        if (
            _BEGUN_BY.get(rule.after) == kind
            and isinstance(value, Waits)
            and pack.jurisdiction in setting.jurisdictions
            and rule.basis_for(setting.role) is not None
            and _is_about(rule, setting)
        ):
            yield rule, _after(opened_on, value, rule.calendar, setting.country, packs)


def _is_about(rule: DeadlineRule, setting: Setting) -> bool:
    """Whether a rule may be about the case's loan; what is not known of it does not take the rule off."""
    loans = rule.applies_to.loans
    if loans is None:
        return True
    charged_off = loans.charged_off is None or setting.charged_off in {None, loans.charged_off}
    product = setting.product is None or (
        (loans.products is None or setting.product in loans.products) and setting.product not in loans.except_products
    )
    return charged_off and product


def _acknowledges(rule: DeadlineRule) -> bool:
    return not ACKNOWLEDGEMENTS.isdisjoint(rule.notices)


def _earliest(dues: Sequence[Due]) -> Due:
    """The first to be due; of one day the one that is named first, so that the law goes before the house."""
    return min(dues, key=lambda due: due.on)


def _of_house(opened_on: date, business_days: int, setting: Setting, packs: Packs | None) -> Due:
    return Due(on=_after(opened_on, Waits(business_days=business_days), OWN_COUNTRY, setting.country, packs), rule=HOUSE)


def _after(day: date, waits: Waits, calendar: str | None, country: str | None, packs: Packs | None) -> date:
    """The last day of a time limit; the holidays are those that the lender knows better, where the packs could be read."""
    name = country if calendar == OWN_COUNTRY else calendar
    if waits.business_days is not None and (name is None or packs is None):
        return business_day_after(day, country=name, business_days=waits.business_days)
    try:
        known = None if name is None or packs is None else calendar_of(name, packs)
        return EPOCH + timedelta(days=day_after_waiting(day_number(day), waits, known))
    except NotImplementedError:
        # Nobody knows the holidays there: weekends only, so that the date is no later than it should be.
        return business_day_after(day, country=None, business_days=waits.business_days or 1)
