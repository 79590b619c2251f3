"""Reads config/aging.yaml: schemes of buckets and stages, order of allocation, which loans age.

In:   the file.
Out:  `decisions.aging.AgingPolicy`.
Pure: no; reads one file.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Final

from config.load import ConfigError, Strict, Whole, checked, parse
from decisions.aging import AgingPolicy, Scheme

AGING_FILE: Final = Path(__file__).with_name("aging.yaml")


class SchemeForm(Strict):
    """One entry of `schemes`, as written: names with their first delinquent day."""

    buckets: dict[str, Whole]
    stages: dict[str, Whole]
    pre_due_days: Whole


class AgingForm(Strict):
    """The file, as written."""

    schemes: dict[str, SchemeForm]
    default_scheme: str
    allocation: tuple[str, ...]
    ageing_statuses: frozenset[str]


def aging_policy(path: Path = AGING_FILE, text: str | None = None) -> AgingPolicy:
    """Read the policy of ageing in force.

    Args:
        path: The file.
        text: What it holds, where that is kept elsewhere; None = read it.

    Raises:
        ConfigError: The file is not of that form, or does not make sense (first days that do not ascend, …).
    """
    document = parse(path, text)
    form = checked(document, document.plain, AgingForm)
    try:
        schemes = {
            name: Scheme(tuple(scheme.buckets.items()), tuple(scheme.stages.items()), scheme.pre_due_days)
            for name, scheme in form.schemes.items()
        }
        return AgingPolicy(schemes, form.default_scheme, form.allocation, form.ageing_statuses)
    except ValueError as error:
        raise ConfigError(path, None, "", str(error)) from error


def aging_hash() -> str:
    """Hash of the shipped file: rows that another one named are aged anew."""
    return sha256(AGING_FILE.read_bytes()).hexdigest()
