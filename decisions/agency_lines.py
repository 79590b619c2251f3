"""What an agency writes to us, one JSON object a line: a contact, something a person said to it, that it has read a feed.

In:   one line of a file.
Out:  a `Line`, or why it is none; never what it says.
Pure: values only.
Source: docs/agencies.md, which names every field.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, get_args
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from decisions.words import Channel, Direction, Purpose, Result

# What a person said to an agency → the case that it opens here.
Said = Literal["dispute", "complaint", "hardship", "deceased"]
SAID: Final[tuple[str, ...]] = get_args(Said)
WORDS_MAX: Final = 4000


class LineError(ValueError):
    """A line that cannot be read; the message names field and reason, and repeats nothing of it."""


def _instant(value: object) -> object:
    # A number would be read as seconds since 1970.
    if not isinstance(value, str):
        raise ValueError("not an instant like 2026-03-17T09:30:00-04:00")  # noqa: TRY004  # pydantic collects ValueErrors
    return value


Instant = Annotated[AwareDatetime, BeforeValidator(_instant)]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
PersonRef = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class _About(_Strict):
    """What every line about a person has."""

    # The agency's own: told twice, it is written once.
    id: Id
    placement: UUID
    # Left out where one person alone stands for the loan.
    person: PersonRef | None = None
    at: Instant


class Contact(_About):
    """A try to reach a person, or a person's own call or message."""

    kind: Literal["contact"]
    channel: Channel
    direction: Direction = "outbound"
    result: Result
    purpose: Purpose = "collection"
    # Which number or address of the feed; left out = not known.
    point: PersonRef | None = None


class Heard(_About):
    """What a person said to the agency, and is owed an answer to by the lender."""

    kind: Literal["heard"]
    what: Said
    channel: Channel
    words: Annotated[str, StringConstraints(max_length=WORDS_MAX)] | None = Field(default=None, repr=False)


class Stopped(_About):
    """A person told the agency to stop, by one channel or by all."""

    kind: Literal["stopped"]
    channel: Literal["all"] | Channel


class Acknowledged(_Strict):
    """The agency has read a feed and acts by it."""

    kind: Literal["acknowledged"]
    feed: Annotated[int, Field(ge=1, strict=True)]


Line = Contact | Heard | Stopped | Acknowledged
_LINE: Final[TypeAdapter[Line]] = TypeAdapter(Annotated[Line, Field(discriminator="kind")])


def read_line(raw: str, *, now: datetime) -> Line:
    """One line of an agency's file.

    Args:
        raw: The line.
        now: Business instant; what was done later was not done.

    Raises:
        LineError: It is none.
    """
    try:
        plain: Any = json.loads(raw)
    except ValueError:
        raise LineError("no JSON object") from None
    if not isinstance(plain, dict):
        raise LineError("no JSON object")
    try:
        line = _LINE.validate_python(plain)
    except ValidationError as error:
        raise LineError("; ".join(_problem(one) for one in error.errors(include_input=False, include_url=False))) from None
    if not isinstance(line, Acknowledged):
        if line.at > now:
            raise LineError("at: lies in the future")
        return line.model_copy(update={"at": line.at.astimezone(UTC)})
    return line


def _problem(error: Any) -> str:
    # The first part of a place is the kind that pydantic chose by; a message may repeat a value, its type does not.
    place = ".".join(str(part) for part in error["loc"] if part not in {"contact", "heard", "stopped", "acknowledged"})
    reason = {"missing": "is missing", "extra_forbidden": "no such field"}.get(error["type"], f"not as it must be ({error['type']})")
    # Names of fields that we do not know are theirs, and might hold anything.
    return reason if error["type"] == "extra_forbidden" else f"{place or 'kind'}: {reason}"
