"""Packs with one number changed: whether a pack's cases notice is how one knows that they pin it.

A rule is taken apart as its file would write it; each number, time of day, period and date in it is moved by the smallest
step in its own unit, both ways, and the rule is put together again. What the form of a rule refuses is no mutation.

In:   a pack.
Out:  `Mutation` values.
Pure: values only.
Source: issue "The law as data", item 5.

Not moved, because no case could notice: what lists a source, a phrase or a name; duties; the days of a deadline, which gates
nothing and is named as long as it is open, and its date a day earlier (a case can expect a name, not its absence); and
2000-01-01, with which a pack says "always".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from decisions.packs import Pack
from decisions.rule_forms import DAY_MINUTES, DeadlineRule, DutyRule, Rule

ALWAYS: Final = date(2000, 1, 1)
# Fields that hold words.
WORDS: Final = frozenset(
    {"id", "says", "extends", "reason", "reference", "unverified", "reviewed_by", "phrases", "name", "clock", "calendar"}
)
STEPS: Final = (-1, 1)
_RULE: Final[TypeAdapter[Rule]] = TypeAdapter(Rule)

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """A pack in which one number is another one.

    Attributes:
        rule: Id of the rule that holds it.
        field: Where in the rule, such as `counts.span` or `values.2021-11-30.at_most`.
        before: As the pack writes it.
        after: As the mutated pack would write it.
        pack: The mutated pack.
    """

    rule: str
    field: str
    before: str
    after: str
    pack: Pack

    def __str__(self) -> str:
        """One line of a list."""
        return f"{self.rule}: {self.field}: {self.before} → {self.after}"


def mutations(pack: Pack) -> Iterator[Mutation]:
    """Every mutation of a pack, rule by rule in its order."""
    for number, rule in enumerate(pack.rules):
        if isinstance(rule, DutyRule):
            continue
        written = rule.model_dump(mode="json", exclude_unset=True)
        for path, before, after in _moves(written, deadline=isinstance(rule, DeadlineRule)):
            mutated = _read(_put(written, path, before, after))
            if mutated is not None and mutated != rule:
                rules = (*pack.rules[:number], mutated, *pack.rules[number + 1 :])
                yield Mutation(
                    rule=rule.id,
                    field=".".join(map(str, path)),
                    before=str(before),
                    after=str(after),
                    pack=pack.model_copy(update={"rules": rules}),
                )


def _read(written: dict[str, Any]) -> Rule | None:
    """A rule of what would be written; None where its form refuses it."""
    try:
        return _RULE.validate_python(written)
    except ValidationError:
        return None


def _moves(written: dict[str, Any], *, deadline: bool) -> Iterator[tuple[Path, Any, Any]]:
    """(where, before, after) of every number in a rule. For a date, `where` ends before it."""
    for since in written["values"]:
        if date.fromisoformat(since) != ALWAYS:
            for step in STEPS[1:] if deadline else STEPS:
                yield ("values",), since, (date.fromisoformat(since) + timedelta(days=step)).isoformat()
    for path, value in _leaves(written, ()):
        if deadline and path[0] == "values":
            continue
        for step in STEPS:
            after = _moved(value, step)
            if after is not None:
                yield path, value, after


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in WORDS:
                yield from _leaves(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(inner, (*path, number))
    else:
        yield path, value


def _moved(value: Any, step: int) -> Any:
    """A number, time of day or period a step on; None where the value is none of them, or has nowhere to go."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value + step
    if not isinstance(value, str):
        return None
    if found := re.fullmatch(r"([0-9]{2}):([0-9]{2})", value):
        minutes = int(found[1]) * 60 + int(found[2]) + step
        return f"{minutes // 60:02d}:{minutes % 60:02d}" if 0 <= minutes <= DAY_MINUTES else None
    if found := re.fullmatch(r"(PT?)([0-9]+)([DMH])", value):
        return f"{found[1]}{int(found[2]) + step}{found[3]}"
    return None


def _put(written: dict[str, Any], path: Path, before: Any, after: Any) -> dict[str, Any]:
    """A copy in which one place holds `after`; at `values`, the date `before` is called `after`."""
    if path == ("values",):
        return written | {"values": {after if since == before else since: value for since, value in written["values"].items()}}
    mutated = _replaced(written, path, after)
    assert isinstance(mutated, dict)  # noqa: S101  # a path into a rule is not empty
    return mutated


def _replaced(value: Any, path: Sequence[str | int], after: Any) -> Any:
    if not path:
        return after
    step, *rest = path
    if isinstance(value, list):
        return [_replaced(inner, rest, after) if number == step else inner for number, inner in enumerate(value)]
    return {key: _replaced(inner, rest, after) if key == step else inner for key, inner in value.items()}
