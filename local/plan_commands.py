"""`tideover plans …`: what a person was offered, by which figures and why, and how her plans stand.

In:   the lender's id of a borrower, or ours; the ledger.
Out:  lines on standard output; complaints on standard error.
Pure: no; reads. Rooms are imported inside commands, so that the others start without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from local.refusals import refusals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.plan_offers import Offered


plans = typer.Typer(no_args_is_help=True, help="Plans that fit: what was offered and why, what was chosen, how it stands.")


@plans.command()
def show(borrower: Annotated[str, typer.Argument(help="The lender's id of the borrower, or ours as #123.")]) -> None:
    """Show every offer of a plan that was made to a borrower, with its figures and reasons, and how each plan stands; decrypts figures."""
    from config.affordability import plan_policy
    from config.load import ConfigError
    from ledger import plan_offers
    from ledger import plans as kept
    from ledger.decisions_log import UnknownBorrowerError, find_party
    from ledger.engine import connection
    from ledger.vault import MissingKeyError

    with refusals(UnknownBorrowerError, MissingKeyError, ConfigError, then="try again"), connection(read_only=True) as tx:
        party_id = find_party(tx, borrower)
        offers, standings = plan_offers.all_of(tx, party_id), kept.standings(tx, party_id, plan_policy())
    for offered in offers:
        for line in _offer(offered):
            typer.echo(line)
    for loan_id, one in standings.items():
        late = ", the lender has not answered in time" if one.is_late else ""
        typer.echo(f"plan {one.id} of loan {loan_id}: {one.kind}, {one.status}{late}; {len(one.payments)} payments")
    if not offers and not standings:
        typer.echo("no plan was offered, and there is none")


def _offer(offered: Offered) -> Iterator[str]:
    """An offer as the rule made it."""
    from decisions.money import from_minor

    known, said = offered.record.circumstances, offered.record.offer
    currency = known["currency"]

    def money(minor: int) -> str:
        return f"{from_minor(minor, currency)} {currency}"

    taken = ", a choice was taken" if offered.is_taken else ""
    yield f"offer {offered.id} of {offered.at.isoformat(timespec='minutes')}, loan {offered.loan_id}: {said.road}{taken}"
    yield f"  rule {offered.rule_hash[:12]}; figures from {offered.figures_from}"
    floor = " (the floor)" if offered.record.essential_is_floor else ""
    needs = f"cannot wait {money(known['essential_minor'])}{floor}, due {money(known['debts_minor'])}, aside {money(said.aside_minor)}"
    yield f"  open {money(known['open_minor'])}; a month: comes in {money(known['income_minor'])}, {needs}"
    yield f"  {money(said.left_minor)} remain, {money(said.payable_minor)} at most"
    yield f"  because: {', '.join(reason.name.replace('_', ' ') for reason in said.reasons)}"
    for choice in said.choices:
        first, last = choice.payments[0], choice.payments[-1]
        went = "" if choice.replay is None else f"; {choice.replay.short_days} of {choice.replay.days} days would have been short"
        yield (
            f"  choice: {choice.kind}, {len(choice.payments)} × {money(first.amount_minor)} {choice.cycle}"
            f" from {first.due_on} to {last.due_on}, {money(choice.total_minor)} in all{went}"
        )
