"""Stop everything, or a part, from the Prefect UI; and resume it.

A worker takes about ten seconds to start a run; `tideover pause` on a terminal takes effect at once. From its commit on
both stop the gate within a second, for work that is queued already too.

In:   what is stopped, why, who says so.
Out:  a pause in the ledger, and a line in the run's log with what it concerns.
"""

from __future__ import annotations

from typing import Annotated

from prefect import flow, get_run_logger
from prefect.runtime import flow_run
from pydantic import Field

from decisions.words import CHANNELS
from flows.run_names import by_minute
from ledger.pauses import JURISDICTION
from ledger.tables import SERVICES, STAGES
from tasks.pause import Scope, pause_contact, resume_contact

# Free text goes into Prefect's own records: no names of borrowers there.
Said = Annotated[str, Field(min_length=1, max_length=200)]
Part = Annotated[str, Field(json_schema_extra={"enum": [*STAGES, *SERVICES]})] | None
Channel = Annotated[str, Field(json_schema_extra={"enum": list(CHANNELS)})] | None
Jurisdiction = Annotated[str, Field(pattern=f"^{JURISDICTION.pattern}$", examples=["US-NY"])] | None
Sender = Annotated[str, Field(min_length=1, max_length=100)] | None
Number = Annotated[int, Field(ge=1)] | None


def pause_name() -> str:
    """Name the run by what it stops; why and by whom are in the ledger."""
    asked = flow_run.parameters
    parts = [str(asked[part]) for part in ("stage", "channel", "jurisdiction") if asked.get(part)]
    return by_minute(f"pause {' '.join([*parts, *(['a sender'] if asked.get('sender') else [])]) or 'everything'}")()


def resume_name() -> str:
    """Name the run by what goes on."""
    number = flow_run.parameters.get("pause_id")
    return by_minute(f"resume {'all' if number is None else f'#{number}'}")()


@flow(name="pause", flow_run_name=pause_name, timeout_seconds=120)
def pause(
    because: Said,
    by: Said,
    stage: Part = None,
    channel: Channel = None,
    jurisdiction: Jurisdiction = None,
    sender: Sender = None,
) -> int:
    """Stop contact. Nothing but why and by whom = everything at once.

    Args:
        because: Why; kept with the pause, and in Prefect: name no borrower.
        by: Who says so.
        stage: Only this stage, or this service. Empty = every one.
        channel: Only this channel. Empty = every one.
        jurisdiction: Only people to whom this law attaches: US, US-NY, EU, ….
        sender: Only what goes out from this sender of a creditor's, as its number or name is written there.

    Returns:
        Number of the pause.

    Raises:
        PauseRefused: The scope names nothing that there is; nothing is paused.
    """
    scope = Scope(stage=stage, channel=channel, jurisdiction=jurisdiction, sender=sender)
    told = pause_contact(scope, because=because, by=by)
    get_run_logger().info("%s", told)
    assert told.pause is not None  # noqa: S101  # only a dry run writes none
    return told.pause.id


@flow(name="resume", flow_run_name=resume_name, timeout_seconds=120)
def resume(by: Said, pause_id: Number = None) -> int:
    """Resume contact: one pause by its number, or, with no number, all that is paused.

    Args:
        by: Who says so.
        pause_id: Number of the pause; empty = all.

    Returns:
        How many pauses ended.

    Raises:
        PauseRefused: Nothing of that kind is paused.
    """
    ended = resume_contact(None, by=by, pause_id=pause_id)
    for one in ended:
        get_run_logger().info("%s", one)
    return len(ended)
