"""Recovery stage, more than 90 days past due: an open door once a month, by the channels that the law leaves.

Nobody is treated by it to whom the late stage was not offered; they get a first, mild contact instead (I12). Settlements
and long plans belong here once they exist. What the law closes (time-barred, charged off, placed, sold) is left in peace by
config/rules/ and by what is asked for; the rest is said by config/strategies/<strategy>/recovery.yaml. Scheduled in
prefect.yaml. Safe to run again for the same date: a second run plans and sends nothing twice.
"""

from __future__ import annotations

from datetime import date

from prefect import unmapped
from prefect.client.schemas.objects import State
from prefect.futures import wait
from prefect.states import Completed

from flows.hands import hands
from flows.stage import AskPeople, Country, Ladder, Limit, RequestCode, stage_flow
from tasks.approve_run import approved, ask_people
from tasks.canary import try_few_first
from tasks.choose import choose
from tasks.holidays import holiday
from tasks.pick import pick
from tasks.preview import show_preview
from tasks.record import close_campaign, open_campaign
from tasks.send import send

STAGE = "recovery"


@stage_flow("recovery")
def recovery(
    as_of: date | None = None,
    country: Country = None,
    preview: bool = False,  # noqa: FBT001, FBT002  # parameters of a flow are given by name, in the UI's form
    limit: Limit = None,
    strategy: Ladder = None,
    approval: AskPeople = "as the strategy says",
    request_code: RequestCode = "",
) -> int | State[int]:
    """Keep the door open for every borrower of the recovery stage; first, mildly, whom the late stage was not offered.

    Args:
        as_of: Local business date to treat the portfolio at. Empty = the date on which this run was due, by the country's clock.
        country: Only borrowers of creditors in this country, as two letters (TW, MX). Empty = all, by the clock of TIDEOVER_BUSINESS_ZONE.
        preview: Decide and show, send nothing.
        limit: Treat at most so many borrowers, the same ones each time; empty = all.
        strategy: The ladder to treat them by, a folder of config/strategies. Empty = the one in force (TIDEOVER_STRATEGY).
        approval: `required` asks people before anything is sent, however few the contacts; the strategy's file may ask for it anyway.
        request_code: One-time code of whoever starts this run (`tideover approve code`); somebody else approves it. Empty and not
            started by a schedule = two people have to say yes.

    Returns:
        Id of the campaign run; results live in the ledger and in this run's artifacts. On a holiday none: the run ends with a note.

    Raises:
        ShardsUnfinished: A shard neither finished nor was skipped. The run shows as failed while what did finish
            stands; run the flow again to complete it.
    """
    if note := holiday(STAGE, as_of, country, strategy):
        return Completed(name="Holiday", message=note)

    campaign = open_campaign(STAGE, as_of, country, named=strategy, preview=preview, limit=limit, approval=approval)
    shards = pick(campaign)

    with hands("choose", campaign, shards) as mine:
        wait(choose.map(mine, unmapped(campaign)))  # a mild first contact for whom the late stage was not offered
    ask_people(campaign, request_code=request_code)  # where the strategy or `approval` wants it
    show_preview(campaign)
    if not preview and approved(campaign):  # waits until they have said yes
        try_few_first(campaign)  # where a text or the strategy is new
        with hands("send", campaign, shards) as mine:
            wait(send.map(mine, unmapped(campaign)))  # the gate checks every rule again, at this instant

    return close_campaign(campaign)  # asks the ledger what is missing, and raises
