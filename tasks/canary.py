"""Few first: begin where something is new, look at how it goes, and stop or go on; people decide about what was stopped.

In:   campaign runs; config/canary.yaml.
Out:  the run's word (ledger/canaries.py), an event and an artifact where few were stopped.
Pure: no; nothing is sent here.
"""

from __future__ import annotations

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from config.canary import canary
from decisions.canary import judge
from ledger import campaigns, canaries, clock
from ledger.canaries import Stands
from ledger.engine import connection
from ledger.in_force import treatment_of
from ledger.run_answers import withhold_rest


@task(
    task_run_name="few first of run {campaign_run_id}", retries=2, retry_delay_seconds=[5, 30], persist_result=False, cache_policy=NO_CACHE
)
def try_few_first(campaign_run_id: int) -> None:
    """Decide who goes first, where a strategy or a text of the run is new; else the run goes whole. Asking again changes nothing."""
    _begin(campaign_run_id)


def watch_canaries() -> None:
    """Begin what was approved meanwhile, and judge every run whose few are being tried."""
    with connection() as tx:
        begin, look = canaries.to_begin(tx), canaries.to_judge(tx)
    for run in begin:
        _begin(run)
    for run in look:
        with connection() as tx:
            verdict = judge(canaries.look(tx, run), canary(), at=clock.now(tx))
            canaries.conclude(tx, run, verdict)
            (stands,) = canaries.stands(tx, run)
        get_run_logger().info("%s: the few: %s: %s", stands.name, verdict.word, verdict.because)
        if verdict.word == "stopped":
            _tell(stands)


def held_runs() -> list[Stands]:
    """Runs of which something waits for their few, or for people to decide about them."""
    with connection() as tx:
        return canaries.stands(tx)


def decide(campaign_run_id: int, *, code: str, go_on: bool, reason: str) -> tuple[bool, str]:
    """People decide about few that were stopped or never sent to staff.

    Raises:
        LookupError: There is no such run.
    """
    with connection() as tx:
        found = canaries.stands(tx, campaign_run_id)
        if not found:
            raise LookupError(f"there is no campaign run {campaign_run_id}; `tideover canary list` shows those that wait")
        run = campaigns.read_run(tx, campaign_run_id)
        roles = treatment_of(tx, run).approval_roles
        taken, said = canaries.decide(tx, campaign_run_id, code=code, go_on=go_on, reason=reason, roles=roles)
    if taken:
        withhold_rest(campaign_run_id)
    return taken, said


def _begin(campaign_run_id: int) -> None:
    with connection() as tx:
        stands = canaries.begin(tx, campaign_run_id, canary())
    get_run_logger().info("%s: few first: %s%s", stands.name, stands.canary, f": {stands.said}" if stands.said else "")
    if stands.canary == "untried":
        _tell(stands)


def _tell(stands: Stands) -> None:
    """Say loudly that a run is held: in the log, as an event for automations, and on a page."""
    get_run_logger().error("%s: HELD: %s; %d contacts wait", stands.name, stands.said, stands.held)
    emit_event(
        event="tideover.canary.stopped",
        resource={"prefect.resource.id": f"tideover.campaign-run.{stands.campaign_run_id}", "prefect.resource.name": stands.name},
        payload={"campaign_run_id": stands.campaign_run_id, "canary": stands.canary, "because": stands.said, "held": stands.held},
    )
    create_markdown_artifact(
        key=f"{stands.name.lower().replace('_', '-').replace(' ', '-')}-canary",
        markdown="\n".join(
            [
                f"# {stands.name}: held",
                "",
                f"**{stands.said}.** {stands.held:,} contacts wait, and expire with their windows.",
                "",
                "Look at what was sent and answered, then decide, each with a one-time code (`tideover approve code`):",
                "",
                f"    tideover canary decide {stands.campaign_run_id} --go-on --because … --code CODE     # after all",
                f"    tideover canary decide {stands.campaign_run_id} --reject --because … --code CODE    # nothing more of it",
            ]
        ),
        description=f"**{stands.name}**: the few who went first were stopped; nothing more is sent until people decide.",
    )
