"""Disputes' steps: say that a case was received or answered, note who was told so, and tell whose deadline is near or has passed.

In:   a local business date; the ledger; config/cases.yaml.
Out:  planned messages, states of cases, an event for each deadline, a table and a log line of counts: ids and dates only.
Pure: no. A second look at the same date plans nothing twice and tells nothing twice.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from config.cases import case_terms
from ledger import case_lists, cases, clock
from ledger.case_lists import Case
from ledger.cases import CaseRefused
from ledger.engine import connection
from tasks.service_messages import plan_service

DUE_EVENT: Final = "tideover.case.due"
# What is told by a machine, and in which message.
MESSAGES: Final = {"received": case_lists.RECEIVED, "answered": case_lists.ANSWERED}
PURPOSE: Final = "dispute_response"
# An answer that nobody could be told of for so long is old news.
ANSWERS_TOLD_FOR: Final = timedelta(days=7)


@task(task_run_name="note who was told {on}", retries=2, retry_delay_seconds=[10, 60], persist_result=False, cache_policy=NO_CACHE)
def note_acknowledged(on: date) -> int:
    """Write down of each open case whose message has gone out that the person was told; how many.

    Args:
        on: Local business date; names the step.

    Raises:
        ConfigError: config/cases.yaml cannot be read.
    """
    terms, noted = case_terms(), 0
    with connection() as tx:
        told = case_lists.acknowledged_by_message(tx, terms.acknowledges)
    for case_id, attempt_id in told.items():
        # One transaction a case, so that no lock is held over many people.
        with connection() as tx:
            try:
                noted += cases.acknowledge(tx, case_id, by=cases.MACHINE, at=clock.now(tx), reference=f"attempt {attempt_id}")
            except CaseRefused:
                continue  # somebody has closed it meanwhile
    if noted:
        get_run_logger().info("%s: %d cases are acknowledged, their message went out", on.isoformat(), noted)
    return noted


@task(task_run_name="plan messages {on}", retries=2, retry_delay_seconds=[10, 60], persist_result=False, cache_policy=NO_CACHE)
def plan_case_messages(on: date) -> dict[str, int]:
    """Plan one message to everybody who waits to hear that a case was received, or was answered; `dispatch` sends it through the gate.

    Idempotent: those of a day are planned once. Whom no rule lets a machine write to is left to the case's owner.

    Args:
        on: Local business date on which they go out.

    Returns:
        `received` and `answered` → how many are planned now.

    Raises:
        ConfigError: Terms, texts or rule packs cannot be read.
    """
    return {what: _plan(message, f"{what}-{on:%Y%m%d}", on) for what, message in MESSAGES.items()}


def _plan(message: str, scope: str, on: date) -> int:
    with connection() as tx:
        waiting = case_lists.to_tell(tx, message, case_terms().acknowledges, answered_since=clock.now(tx) - ANSWERS_TOLD_FOR)
        planned = plan_service(tx, waiting, message, stage=case_lists.STAGE, scope=scope, purpose=PURPOSE, on=on)
    get_run_logger().info("%s: %d people wait for %s, %d are told", on.isoformat(), waiting.height, message, planned)
    return planned


@task(task_run_name="tell deadlines {on}", retries=2, retry_delay_seconds=[10, 60], persist_result=False, cache_policy=NO_CACHE)
def tell_deadlines(on: date) -> dict[str, int]:
    """Tell of each case whose next deadline is near, once; of each that is late, once a day.

    Args:
        on: Local business date.

    Returns:
        `open`, `near`, `late`, `unlawful` (later than the law's own date) → how many cases; and `told` → how many events.

    Raises:
        ConfigError: config/cases.yaml cannot be read.
    """
    terms = case_terms()
    with connection() as tx:
        found = case_lists.listed(tx)
        standings = case_lists.standings(tx, on=on, near_days=terms.near_days)
    told = sum(_tell(case, on) for case in found if case.is_late(on) or case.is_near(on, terms.near_days))
    counts = {
        "open": sum(one.open for one in standings),
        "near": sum(one.near for one in standings),
        "late": sum(one.late for one in standings),
        "unlawful": sum(one.unlawful for one in standings),
    }
    get_run_logger().info("%s: %s", on.isoformat(), ", ".join(f"{count} {what}" for what, count in counts.items()))
    create_table_artifact(
        key="disputes",
        description=f"Cases on {on.isoformat()}; `tideover cases list --due` names them. The house's deadlines are in config/cases.yaml.",
        table=[
            {
                "kind": one.kind.replace("_", " "),
                "open": one.open,
                "near": one.near,
                "late": one.late,
                "later than the law says": one.unlawful,
            }
            for one in standings
        ],
    )
    return {**counts, "told": told}


def _tell(case: Case, on: date) -> bool:
    """Tell of one case, unless it was told; whether it was told now."""
    if case.due is None:
        return False
    what, by = case.due
    kind, reference = ("late", f"{what} {by.isoformat()}, {on.isoformat()}") if by < on else ("near", f"{what} {by.isoformat()}")
    with connection() as tx:
        if not cases.tell(tx, case.id, kind=kind, reference=reference, at=clock.now(tx)):
            return False
    emit_event(
        event=DUE_EVENT,
        resource={"prefect.resource.id": f"tideover.case.{case.id}", "prefect.resource.name": f"case {case.id}"},
        payload={
            "kind": case.kind,
            "standing": "unlawful" if case.breaks_law(on) else kind,
            "what": what,
            "by": by.isoformat(),
            "owner": case.owner,
        },
    )
    return True
