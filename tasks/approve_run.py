"""Asking people whether a run may send: by a form in the Prefect UI, or on the terminal; the ledger keeps what they said.

A suspended flow run ends its process and runs again from its top when it is resumed. That is harmless: whether people were
asked, what they answered and what was done about it stands in the ledger, and each form is taken once.

In:   a campaign run whose decisions are made; one-time codes.
Out:  whether the run may send; rows of ledger/run_approvals.py; nothing is sent here.
Pure: no.
Source: PREFECT.md D: constraints of the form are checked again after a resume, and an answer that does not do leads to a new form.
"""

from __future__ import annotations

import getpass
from datetime import timedelta
from typing import Annotated, Final, Literal
from uuid import UUID, uuid4

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas import SetStateStatus
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from pydantic import Field, ValidationError

from config.settings import settings
from ledger import approval_codes, campaigns, run_approvals, run_standings
from ledger.approval_codes import HOURS_DEFAULT, CodeRefused
from ledger.engine import connection
from ledger.in_force import treatment_of
from ledger.run_answers import answer_run, flaw, withhold_rest
from ledger.run_approvals import SCHEDULE, Answer, Answered
from ledger.run_standings import NoSuchRun, Standing
from tasks.preview import preview_key

__all__ = ["CodeRefused", "NoSuchRun"]

# What the form sends back where the terminal has answered already, and only the flow has to go on.
ANSWERED_ELSEWHERE: Final = "answered on the terminal"
CODE_CHARACTERS_MAX: Final = 64
REASON_CHARACTERS_MAX: Final = 500

Decision = Literal["approve", "approve up to", "reject"]


class ApprovalNeeded(RuntimeError):
    """People have to say yes, and this call cannot wait for them; nothing was sent."""

    def __init__(self, standing: Standing) -> None:
        super().__init__(
            f"campaign run {standing.campaign_run_id} ({standing.name}) waits for approval of {standing.planned} contacts; nothing is sent."
            f" Answer with `tideover approve run {standing.campaign_run_id} --code CODE`, or run the deployment, which asks in the UI"
        )
        self.campaign_run_id = standing.campaign_run_id


class ApprovalForm(RunInput):
    """The form that a suspended run shows."""

    decision: Annotated[Decision, Field(description="What you say to the preview.")]
    up_to: Annotated[int, Field(ge=0, description="For `approve up to`: how many contacts at most; the others are not made.")] = 0
    reason: Annotated[
        str, Field(max_length=REASON_CHARACTERS_MAX, description="Why, for the record; asked for when you reject. No names, no numbers.")
    ] = ""
    code: Annotated[
        str,
        Field(
            min_length=1,
            max_length=CODE_CHARACTERS_MAX,
            description="Your one-time approval code (`tideover approve code`). It says who you are, and is spent by this.",
        ),
    ]


def ask_people(campaign_run_id: int, *, request_code: str = "") -> None:
    """Ask people whether a run may send, where they have to be asked; asking again changes nothing.

    Called in a flow's body, when its shards are decided. A preview asks nobody.

    Args:
        campaign_run_id: The run.
        request_code: One-time code of whoever started it; empty = nobody known, unless a schedule did.
    """
    this = _this_flow_run()
    with connection() as tx:
        run = campaigns.read_run(tx, campaign_run_id)
        treatment = treatment_of(tx, run)
        if not run.preview:
            run_approvals.ask(
                tx,
                campaign_run_id,
                wait=timedelta(hours=treatment.approval_wait_hours),
                flow_run=this.id if this else None,
                asked_by=SCHEDULE if this and this.auto_scheduled else None,
            )
        if request_code:
            # Spent also where nobody has to be asked: it stands in the run's parameters, where others can read it.
            form = f"{this.id if this else uuid4()} asks"
            done = run_approvals.who_asks(tx, campaign_run_id, code=request_code, roles=treatment.approval_roles, form=form)
            get_run_logger().info("campaign run %d: %s", campaign_run_id, done.said)


def approved(campaign_run_id: int) -> bool:
    """Say whether a run may send; where people are asked, wait for them.

    Called in a flow's body: it suspends the flow run, which comes back here from its top when somebody has answered.

    Args:
        campaign_run_id: The run, after `ask_people`.

    Returns:
        True = send. False = it was rejected, it is a preview, or not all of it is decided.

    Raises:
        ApprovalNeeded: People are asked, and this run of the flow was started without a deployment.
    """
    logger = get_run_logger()
    while True:
        with connection() as tx:
            standing = run_standings.standing(tx, campaign_run_id)
        if standing.approval in {"narrowing", "rejected"}:
            withhold_rest(campaign_run_id)
        if standing.approval == "narrowing":
            continue
        if standing.approval != "awaiting":
            logger.info("%s: approval: %s%s", standing.name, standing.approval, f" ({standing.last_said})" if standing.last_said else "")
            return standing.may_send
        this = _this_flow_run()
        if this is None or this.deployment_id is None:
            raise ApprovalNeeded(standing)
        logger.info("%s: %d contacts wait for approval until %s", standing.name, standing.planned, standing.until)
        answered = _answer_by_form(standing, this)
        logger.info("%s: %s: %s", standing.name, answered.outcome, answered.said)


def answer_on_terminal(campaign_run_id: int, *, code: str, approve: bool, up_to: int | None, reason: str | None) -> Answered:
    """Take an answer that was given on a terminal, and let a flow run that waits for it go on.

    Raises:
        NoSuchRun: There is none with this id.
    """
    missing = flaw(approve=approve, reason=reason)
    given = Answer(form=f"terminal {uuid4()}", by=code, approve=approve, up_to=up_to, reason=reason, flaw=missing)
    done, before = answer_run(campaign_run_id, given)
    if done.outcome not in {"approved", "rejected"} or before.approval != "awaiting" or before.flow_run is None:
        return done
    return Answered(outcome=done.outcome, said=f"{done.said}. {_go_on(before.flow_run)}")


def make_code(*, person: str, role: str, hours: int = HOURS_DEFAULT, campaign_run_id: int | None = None) -> str:
    """Make a one-time code; it is told here and nowhere again.

    Raises:
        CodeRefused: No name, no role, no such run, or a time that is no time; or people sign in at a desk, which makes them.
    """
    if not settings().terminal_codes_allowed:
        raise CodeRefused("codes are made at the desk, by whoever signs in: see TIDEOVER_DESK_URL, or set TIDEOVER_TERMINAL_CODES=true")
    with connection() as tx:
        return approval_codes.make_code(
            tx, person=person, role=role, made_by=getpass.getuser(), hours=hours, campaign_run_id=campaign_run_id
        )


def waiting_runs() -> list[Standing]:
    """Runs that wait for people, what ends first coming first."""
    with connection() as tx:
        return run_standings.waiting(tx)


def _this_flow_run() -> FlowRun | None:
    """The flow run that this is called in, as Prefect knows it."""
    context = FlowRunContext.get()
    return None if context is None else context.flow_run


def _answer_by_form(standing: Standing, this: FlowRun) -> Answered:
    """Suspend until a form comes back, and take it. Raises Prefect's own signal where the run has to wait."""
    run_id, mine = standing.campaign_run_id, f"{this.id} form "
    with connection() as tx:
        number = run_approvals.forms_taken(tx, run_id, mine)
    assert standing.until is not None  # noqa: S101  # the table's own check
    # The same key until its form was taken; another one after that, and for whoever is asked anew after the time was over.
    key = f"approval-{standing.until:%Y%m%d-%H%M%S}-{number}"
    name = f"{mine}{key}"
    try:
        filled = suspend_flow_run(
            wait_for_input=ApprovalForm.with_initial_data(description=words(standing)),
            timeout=max(1, int(standing.seconds_left)),
            key=key,
        )
    except ValidationError as error:
        if error.title != ApprovalForm.__name__:
            raise
        # Resumed without the form, or past its own checks.
        with connection() as tx:
            return run_approvals.refuse(tx, run_id, form=name, because="the form came back without what it asks for")
    assert isinstance(filled, ApprovalForm)  # noqa: S101  # a coroutine only where a loop runs, and here none does
    given = Answer(
        form=name,
        by=filled.code,
        approve=filled.decision != "reject",
        up_to=filled.up_to or None if filled.decision == "approve up to" else None,
        reason=filled.reason.strip() or None,
        flaw=flaw(
            approve=filled.decision != "reject",
            reason=filled.reason,
            up_to_missing=filled.decision == "approve up to" and not filled.up_to,
        ),
    )
    with connection() as tx:
        run = campaigns.read_run(tx, run_id)
        roles = treatment_of(tx, run).approval_roles
        return run_approvals.answer(tx, run_id, given, roles=roles, subject=standing.subject)


def words(standing: Standing) -> str:
    """What the form says above its fields, as Markdown."""
    who = (
        f"Asked for by **{standing.asked_by}**; somebody else approves it."
        if standing.asked_by
        else "Nobody known asked for it, so **two people** say yes, one after the other, each with a code of their own."
    )
    lines = [
        f"**{standing.name}: may {standing.planned:,} contacts be made?** Nothing is sent before you say yes.",
        f"Look at the artifact `{preview_key(standing.name)}` of this run first. {who}",
        f"The form waits until **{standing.until:%Y-%m-%d %H:%M} UTC**; after that nothing is sent, and the run can be started again.",
    ]
    if standing.last_said:
        lines.insert(0, f"**The last answer: {standing.last_said}.**")
    return "\n\n".join(lines)


def _go_on(waiting: UUID) -> str:
    """Resume the flow run that waits, if Prefect can be reached; the ledger has the answer in any case."""
    filled = {"decision": "reject", "reason": ANSWERED_ELSEWHERE, "code": ANSWERED_ELSEWHERE}
    try:
        with get_client(sync_client=True) as client:
            told = client.resume_flow_run(waiting, run_input=filled)
    except Exception as error:  # noqa: BLE001  # whatever Prefect's client meets, the answer stands in the ledger
        return f"Its run in Prefect could not be told ({type(error).__name__}); `dispatch` takes it up within five minutes"
    if told.status != SetStateStatus.ACCEPT:
        return "Its run in Prefect does not wait any more; `dispatch` takes it up within five minutes"
    return "Its run in Prefect goes on"
