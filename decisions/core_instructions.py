"""What a lender's core system may be told, the states that such an instruction passes, and whose word suffices for relief.

In:   a kind, its terms, an amount of relief, who signs.
Out:  whether the terms are whole; which state may follow which; whether one person's word suffices, or another's is needed.
Pure: yes.
Source: DOMAIN.md, "relief", "authority limit"; docs/adr/0043, 0044.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal, get_args

InstructionKind = Literal["plan", "extension", "fee_freeze", "interest_freeze", "waiver", "stop_debit", "status"]
InstructionState = Literal["needs_approval", "queued", "delivered", "late", "accepted", "applied", "refused"]
KINDS: Final[tuple[str, ...]] = get_args(InstructionKind)
STATES: Final[tuple[str, ...]] = get_args(InstructionState)

# Who grants where no person looks: what a borrower chooses on her page.
AUTOMATIC: Final = "automatic"

# The one table of what may follow what. `late` says that nobody has answered in time, and whatever is answered then still counts.
TRANSITIONS: Final[Mapping[str, frozenset[str]]] = {
    "needs_approval": frozenset({"queued", "refused"}),
    "queued": frozenset({"delivered", "late", "accepted", "refused"}),
    # Queued anew where the core system says that it never had it.
    "delivered": frozenset({"queued", "late", "accepted", "refused"}),
    "late": frozenset({"accepted", "refused"}),
    "accepted": frozenset({"applied", "refused"}),
    "applied": frozenset(),
    "refused": frozenset(),
}
# What a core system answers. `received` says that it has it, and no more.
ANSWERS: Final = ("received", "accepted", "applied", "refused")
# Answer → the states that it leads through, in their order.
LEADS_TO: Final[Mapping[str, tuple[str, ...]]] = {
    "received": ("delivered",),
    "accepted": ("accepted",),
    "applied": ("accepted", "applied"),
    "refused": ("refused",),
}
# What still waits for the core system, one way or another.
WAITING: Final = ("queued", "delivered", "late", "accepted")
# How far each has come; what says less than is known says nothing.
_RANK: Final[Mapping[str, int]] = {"needs_approval": 0, "queued": 1, "late": 2, "delivered": 2, "accepted": 3, "applied": 4, "refused": 5}

# Kind → the names that its terms must have, and those that they may have (docs/core.md says what each means).
_TERMS: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    "plan": (frozenset({"instalments"}), frozenset({"plan", "replaces", "freezes"})),
    "extension": (frozenset({"due_on", "new_due_on"}), frozenset({"plan", "amount_minor", "freezes"})),
    "fee_freeze": (frozenset({"starts_on", "ends_on"}), frozenset()),
    "interest_freeze": (frozenset({"starts_on", "ends_on"}), frozenset()),
    "waiver": (frozenset({"component", "amount_minor"}), frozenset()),
    "stop_debit": (frozenset({"starts_on"}), frozenset({"ends_on"})),
    "status": (frozenset({"servicing_status"}), frozenset({"reason"})),
}
_COMPONENTS: Final = frozenset({"penalty", "fee", "interest", "principal"})
_DATES: Final = frozenset({"due_on", "new_due_on", "starts_on", "ends_on"})
# Nobody gives anything up by these: an amount of relief with one of them is a mistake.
NO_RELIEF: Final = frozenset({"stop_debit", "status"})


def problem_of(kind: str, terms: Mapping[str, Any], relief_minor: int) -> str | None:
    """What is wrong with an instruction's terms, in words; None where they are whole."""
    if kind not in KINDS:
        return f"no kind {kind!r}; there are {', '.join(KINDS)}"
    if problem := _names_problem(kind, terms) or _days_problem(terms):
        return problem
    if relief_minor < 0 or (relief_minor and kind in NO_RELIEF):
        return f"a {kind} gives nothing up: its relief is 0" if kind in NO_RELIEF else "relief is 0 or more, in minor units"
    if kind == "waiver":
        return _waiver_problem(terms, relief_minor)
    return _instalments_problem(terms["instalments"]) if kind == "plan" else None


def _names_problem(kind: str, terms: Mapping[str, Any]) -> str | None:
    must, may = _TERMS[kind]
    if missing := sorted(must - terms.keys()):
        return f"the terms of a {kind} lack {', '.join(missing)}"
    foreign = sorted(terms.keys() - must - may)
    return f"the terms of a {kind} have no {', '.join(foreign)}" if foreign else None


def _days_problem(terms: Mapping[str, Any]) -> str | None:
    wrong = [name for name in sorted(_DATES & terms.keys()) if not _is_day(terms[name])]
    if wrong:
        return f"{wrong[0]} is a date like 2026-03-31"
    is_empty = {"starts_on", "ends_on"} <= terms.keys() and str(terms["ends_on"]) <= str(terms["starts_on"])
    return "ends_on lies behind starts_on: the day from which it holds no more" if is_empty else None


def _waiver_problem(terms: Mapping[str, Any], relief_minor: int) -> str | None:
    if terms["component"] not in _COMPONENTS:
        return f"component is one of {', '.join(sorted(_COMPONENTS))}"
    return None if _is_amount(terms["amount_minor"]) and terms["amount_minor"] == relief_minor else "a waiver's relief is its amount_minor"


def _instalments_problem(instalments: object) -> str | None:
    rows = instalments if isinstance(instalments, list) else []
    if not rows or not all(isinstance(row, dict) and _is_day(row.get("due_on")) and _is_amount(row.get("amount_minor")) for row in rows):
        return "instalments is a list of {due_on, amount_minor}, at least one"
    days = [str(row["due_on"]) for row in rows]
    return None if days == sorted(set(days)) else "instalments stand in the order of their days, one a day"


def _is_amount(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_day(value: object) -> bool:
    try:
        return isinstance(value, str) and date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def is_news(state: str, answer: str) -> bool:
    """Whether an answer of the core system says more than is known; one that was heard, or overtaken, does not."""
    return _RANK[LEADS_TO[answer][-1]] > _RANK[state] or (answer != "received" and contradicts(state, answer))


def contradicts(state: str, answer: str) -> bool:
    """Whether an answer says the contrary of what was answered for good: a person looks."""
    ended = {"applied": {"refused"}, "refused": {"accepted", "applied"}}
    return answer in ended.get(state, set())


Limits = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Powers:
    """What a role may grant: kind → currency → minor units; a kind without the currency: nothing may be given up in it.

    Attributes:
        alone: By one person's word; a kind that stands here may be asked for.
        with_another: As the second one of two people.
    """

    alone: Limits
    with_another: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """Whose word suffices for how much relief.

    Attributes:
        powers: Role → what it may grant; a role that is not here may grant nothing.
        adds_up_days: Relief of the same kind for the same loan in so many days is counted together.
    """

    powers: Mapping[str, Powers]
    adds_up_days: int


@dataclass(frozen=True, slots=True)
class Signer:
    """A person who stands for an instruction.

    Attributes:
        name: Who.
        role: In which role.
    """

    name: str
    role: str


def may_ask(authority: Authority, role: str, kind: str) -> bool:
    """Whether somebody in this role may ask for such a thing at all."""
    return kind in _of(authority, role).alone


def suffices_alone(authority: Authority, role: str, kind: str, currency: str, minor: int) -> bool:
    """Whether one word in this role suffices. An amount in a currency without a limit is above it."""
    powers = _of(authority, role).alone
    return kind in powers and minor <= powers[kind].get(currency, 0)


def may_sign(authority: Authority, role: str, kind: str, currency: str, minor: int) -> bool:
    """Whether a person in this role may be one of the two."""
    powers = _of(authority, role).with_another
    return suffices_alone(authority, role, kind, currency, minor) or (kind in powers and minor <= powers[kind].get(currency, 0))


def is_granted(
    authority: Authority,
    kind: str,
    currency: str,
    minor: int,
    *,
    asked_by: Signer,
    signers: Iterable[Signer],
    same: Callable[[str, str], bool],
) -> bool:
    """Whether enough people stand for an amount.

    Args:
        authority: The limits.
        kind: Of instruction.
        currency: Of the relief.
        minor: With what was granted for the same loan before.
        asked_by: Who asked for it; a machine is nobody.
        signers: Who approved it since.
        same: Whether two names are one person's.
    """
    people: list[Signer] = [] if asked_by.role == AUTOMATIC else [asked_by]
    for signer in signers:
        if signer.role == AUTOMATIC or any(same(signer.name, one.name) for one in people):
            continue
        if not may_sign(authority, signer.role, kind, currency, minor):
            continue
        if suffices_alone(authority, signer.role, kind, currency, minor) or people:
            return True
        people.append(signer)
    return suffices_alone(authority, asked_by.role, kind, currency, minor)


def _of(authority: Authority, role: str) -> Powers:
    return authority.powers.get(role, _NOTHING)


_NOTHING: Final = Powers(alone={}, with_another={})
