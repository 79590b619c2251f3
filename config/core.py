"""Reads config/core.yaml and config/authority.yaml: by when the core system must answer, and whose word suffices for relief.

In:   the files.
Out:  `CoreTerms`; `decisions.core_instructions.Authority`.
Pure: no; reads files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from config.load import ConfigError, Day, Document, Strict, checked, parse, read
from decisions.core_instructions import KINDS, NO_RELIEF, Authority, InstructionKind, Powers
from decisions.money import NotAnAmountError, UnknownCurrencyError, to_minor

CORE_FILE: Final = Path(__file__).with_name("core.yaml")
AUTHORITY_FILE: Final = Path(__file__).with_name("authority.yaml")
Count = Annotated[int, Field(ge=1)]
Phrase = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreTerms:
    """By when the core system has to have answered.

    Attributes:
        accepted: Kind → from the moment at which it was queued.
        applied: Likewise.
        retry_seconds: After each failed delivery; the last one for all further ones.
    """

    accepted: Mapping[str, timedelta]
    applied: Mapping[str, timedelta]
    retry_seconds: tuple[int, ...]

    def retry_after(self, tries: int) -> int:
        """Seconds until the next try, after so many."""
        return self.retry_seconds[min(tries, len(self.retry_seconds)) - 1]


class HoursForm(Strict):
    """The hours of one kind, as written."""

    accepted: Count
    applied: Count


class CoreForm(Strict):
    """The file, as written."""

    owner: Phrase
    reviewed_on: Day
    answer_hours: dict[InstructionKind, HoursForm]
    retry_seconds: Annotated[tuple[Count, ...], Field(min_length=1)]


class PowersForm(Strict):
    """What one role may grant, as written: kind → currency → amount."""

    alone: dict[InstructionKind, dict[str, str]] = Field(default_factory=dict)
    with_another: dict[InstructionKind, dict[str, str]] = Field(default_factory=dict)


class AuthorityForm(Strict):
    """The file, as written."""

    owner: Phrase
    reviewed_on: Day
    adds_up_days: Count
    roles: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], PowersForm]


def core_terms(path: Path = CORE_FILE) -> CoreTerms:
    """Read by when the core system must answer.

    Raises:
        ConfigError: The file is not of that form, a kind has no hours, or would be applied before it is accepted.
    """
    form = read(path, CoreForm)
    if missing := [kind for kind in KINDS if kind not in form.answer_hours]:
        raise ConfigError(path, None, "answer_hours", f"says nothing of {missing[0]}")
    for kind, hours in form.answer_hours.items():
        if hours.applied < hours.accepted:
            raise ConfigError(path, None, f"answer_hours.{kind}", "would be applied before it is accepted")
    return CoreTerms(
        accepted={kind: timedelta(hours=hours.accepted) for kind, hours in form.answer_hours.items()},
        applied={kind: timedelta(hours=hours.applied) for kind, hours in form.answer_hours.items()},
        retry_seconds=form.retry_seconds,
    )


def authority_limits(path: Path = AUTHORITY_FILE) -> Authority:
    """Read whose word suffices for how much relief.

    Raises:
        ConfigError: The file is not of that form; a currency or an amount is none; a limit stands where nothing is given up.
    """
    document = parse(path)
    form = checked(document, document.plain, AuthorityForm)
    return Authority(
        powers={
            role: Powers(
                alone=_limits(document, powers.alone, ["roles", role, "alone"]),
                with_another=_limits(document, powers.with_another, ["roles", role, "with_another"]),
            )
            for role, powers in form.roles.items()
        },
        adds_up_days=form.adds_up_days,
    )


def _limits(document: Document, written: Mapping[InstructionKind, Mapping[str, str]], where: list[str | int]) -> dict[str, dict[str, int]]:
    limits: dict[str, dict[str, int]] = {}
    for kind, amounts in written.items():
        if amounts and kind in NO_RELIEF:
            raise document.error([*where, kind], "gives nothing up: leave it empty ({})")
        limits[kind] = {}
        for currency, amount in amounts.items():
            try:
                limits[kind][currency] = to_minor(amount, currency)
            except UnknownCurrencyError:
                raise document.error([*where, kind, currency], "is no currency of ISO 4217 in use") from None
            except NotAnAmountError:
                raise document.error([*where, kind, currency], "is no amount of its currency") from None
            if limits[kind][currency] < 0:
                raise document.error([*where, kind, currency], "is below nothing")
    return limits


@lru_cache(maxsize=1)
def core_terms_in_force() -> CoreTerms:
    """The shipped file's, read once a process."""
    return core_terms()


@lru_cache(maxsize=1)
def authority_in_force() -> Authority:
    """The shipped file's, read once a process."""
    return authority_limits()
