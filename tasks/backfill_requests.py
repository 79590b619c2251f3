"""What operations may ask a backfill for: three things under one name, each with its own choices.

In:   a form of the Prefect UI, or the options of the command.
Out:  `ReDecide`, `CatchUp` or `ReRecord`; `Request` is any of them, told apart by `what`.
Pure: values only.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

DAYS_MAX: Final = 400
Stage = Literal["pre_due", "early", "mid", "late", "recovery"]
EVERY_STAGE: Final[tuple[Stage, ...]] = ("pre_due", "early", "mid", "late", "recovery")
THEN: Final = "then in force"
FILES: Final = "as in the files now"


def _in_order(schema: dict[str, Any]) -> None:
    """Number the fields as they stand here, `what` last: the server keeps them in an order of its own, and the form asks for a number."""
    fields = schema["properties"]
    for position, name in enumerate(sorted(fields, key=lambda name: name == "what")):
        fields[name]["position"] = position


class _Dates(BaseModel):
    """A range of business dates; what all three have."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_in_order)

    first: Annotated[date, Field(title="From", description="First business date, included.")]
    last: Annotated[date, Field(title="To", description=f"Last business date, included; at most {DAYS_MAX} dates in one backfill.")]

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.last < self.first:
            raise ValueError("`last` lies before `first`")
        if (self.last - self.first).days + 1 > DAYS_MAX:
            raise ValueError(f"more than {DAYS_MAX} dates: make several backfills of it")
        return self

    @property
    def dates(self) -> list[date]:
        """All dates, ascending."""
        return [self.first + timedelta(days=number) for number in range((self.last - self.first).days + 1)]


class _Stages(_Dates):
    """Dates of some stages."""

    stages: Annotated[tuple[Stage, ...], Field(title="Stages", description="Which stages; all unless you take some out.", min_length=1)] = (
        EVERY_STAGE
    )


def _tag(word: str) -> dict[str, Any]:
    """Asked for when a request is read, filled in by the form: a request without it must not pass for another one."""
    return {"default": word, "enum": [word]}


class ReDecide(_Stages):
    """What would have been done on past dates. Sends nothing, plans nothing: it only compares."""

    model_config = ConfigDict(title="Re-decide: what would have been done?")

    what: Annotated[Literal["re-decide"], Field(title="What", json_schema_extra=_tag("re-decide"))]
    policies: Annotated[
        Literal["as in the files now", "then in force"],
        Field(title="Rules, strategy and texts", description="Of today's files, or those that were in force on each date."),
    ] = "as in the files now"
    instead: Annotated[
        tuple[Annotated[str, Field(min_length=6, max_length=300)], ...],
        Field(
            title="Other versions in their place",
            description="Each the hash (or its first 6 characters) of a version that the ledger keeps, or the path, on the worker's "
            "machine, of a rule pack or strategy that is to be tried.",
        ),
    ] = ()
    facts: Annotated[
        Literal["as known then", "as known now"],
        Field(
            title="Facts",
            description="What was known when each date was decided, or also what was learned since (late payments, for example). "
            "Dates on which nothing was decided are always looked at with what is known now.",
        ),
    ] = "as known then"


class CatchUp(_Stages):
    """Days missed by an outage: recorded as missed, and today's stages run. Sends only what is right today."""

    model_config = ConfigDict(title="Catch up: days that an outage missed")

    what: Annotated[Literal["catch-up"], Field(title="What", json_schema_extra=_tag("catch-up"))]
    country: Annotated[
        str | None,
        Field(
            title="Country",
            description="Only creditors of this country, as two letters, where each has runs of its own. Empty = all.",
            pattern="^[A-Z]{2}$",
        ),
    ] = None
    sundays: Annotated[
        bool, Field(title="Sundays too", description="Stages run on Sundays here, so that a Sunday without a run was missed.")
    ] = False
    dry_run: Annotated[
        bool, Field(title="Dry run", description="Only say what was missed and what would be sent today. Sends nothing.")
    ] = True


class ReRecord(_Dates):
    """Late files, provider events and payments for past dates: history aged again, outcomes recomputed, differences listed."""

    model_config = ConfigDict(title="Re-record: what was learned late")

    what: Annotated[Literal["re-record"], Field(title="What", json_schema_extra=_tag("re-record"))]
    known_until: Annotated[
        datetime | None,
        Field(
            title="Compare with what was known at",
            description="For deliveries and outcomes. Empty = before the last import, or at the last re-record of the date.",
        ),
    ] = None
    dry_run: Annotated[bool, Field(title="Dry run", description="Only count the differences, write nothing.")] = False


class _AnyOf:
    """Both of Prefect's pages know `anyOf`, and show one tab for each; the older one does not know `oneOf`."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The same choice in the word that both know."""
        schema = handler(core)
        return {"anyOf": schema["oneOf"]}


Request: TypeAlias = Annotated[ReDecide | CatchUp | ReRecord, Field(discriminator="what"), _AnyOf]
