"""A stage's day as one page of markdown: a sentence first, then a table for each question that operations ask.

In:   a `StageDay`.
Out:  markdown. Counts, rule ids and words of ours only.
Pure: but for the settings' mode and zone, yes.
Source: SCIENCE.md F and its corrections: "withheld as likely self-cure" is shown with what the hold-out paid; a share with its n.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final

from config.load import ConfigError
from config.rule_files import rule_packs
from decisions.explain import REASONS
from decisions.kpis import COMPLAINTS, Share, kept_rate, per_thousand
from decisions.money import from_minor
from ledger.figures import HOLD_OUT_DAYS, LABEL_DAYS
from ledger.funnel import STEPS, Funnel
from ledger.tables import SENDING_APPROVALS
from tasks.markdown import counted, local, mode, section
from tasks.report import Roll, StageDay

NOTHING: Final = "–"
# A full stop that ends a sentence, and not an abbreviation or a number.
SENTENCE: Final = re.compile(r"(?<=[a-z0-9)]{2}\.) (?=[A-Z])")
ROWS_SHOWN_MAX: Final = 20


def page(found: StageDay) -> str:
    """The day as one page of markdown."""
    return "\n".join(_lines(found))


def portfolio_page(day: date, rolls: Sequence[Roll]) -> str:
    """Where all loans went, as one page of markdown."""
    return "\n".join([f"# portfolio {day.isoformat()}", "", mode(), "", *_rolls(rolls)])


def _lines(found: StageDay) -> Iterator[str]:
    funnel = found.funnel
    yield f"# {found.title}"
    yield ""
    yield mode()
    yield ""
    yield (
        f"{counted(funnel.borrowers, 'borrower was', 'borrowers were')} looked at, {funnel.withheld:,} left in peace, "
        f"{counted(funnel.total('sent'), 'message', 'messages')} went out to {found.contacted:,}. As it stood at {local(found.at)}."
    )
    yield from _run(found)
    yield from section("From planned to paid", _funnel_rows(funnel), empty="Nothing was planned.")
    yield from section("Planned, but not with the person, and why", found.not_sent[:ROWS_SHOWN_MAX], empty="Whatever was planned went out.")
    if len(found.not_sent) > ROWS_SHOWN_MAX:
        yield f"… and {len(found.not_sent) - ROWS_SHOWN_MAX} more kinds."
    yield from section("Left in peace, by reason", _reasons(funnel), empty="Nobody was left in peace.")
    yield "`tideover rules show RULE` says what a rule says, `tideover explain --borrower ID` why for one person."
    yield from _hold_out(found)
    yield from _rolls(found.rolls)
    yield from section("Promises that fell due in the last seven days", _promises(found.promises), empty="None fell due.")
    yield from section("Complaints, and what stands for them", _complaints(found), empty="Nobody was contacted.")
    yield "Complaints on the borrower's page, and stops, disputes and wrong persons among the answers to these messages."
    yield from section('"Did this help?", in four weeks, of all stages', _helped(found), empty="Nobody has answered.")
    yield from section("What it cost", _cost(found))


def _run(found: StageDay) -> Iterator[str]:
    run = found.run
    strategies = [name for name in run.policy_hashes if name.startswith("strategy/")]
    by = ", ".join(f"{name.removeprefix('strategy/')} {run.policy_hashes[name][:12]}" for name in strategies)
    yield ""
    waits = "" if run.approval in SENDING_APPROVALS else f", approval: {run.approval}"
    yield f"- campaign run {run.id}: {run.state}{waits}{', by ' + by if by else ''}"
    for place in found.places:
        yield f"- its run in Prefect: {place}"


def _funnel_rows(funnel: Funnel) -> list[dict[str, Any]]:
    columns = ("channel", *STEPS, "waiting", "failed", "unknown")
    rows = [{name: row[name] for name in columns} for row in funnel.by_channel.to_dicts()]
    if len(rows) > 1:
        rows.append({"channel": "**all**", **{name: funnel.total(name) for name in columns[1:]}})
    return rows


def _reasons(funnel: Funnel) -> list[dict[str, Any]]:
    rows = funnel.by_reason.head(ROWS_SHOWN_MAX).to_dicts()
    means = meanings([row["reason"] for row in rows])
    return [{"reason": row["reason"], "borrowers": row["borrowers"], "what it means": means.get(row["reason"], NOTHING)} for row in rows]


def meanings(reasons: Sequence[str]) -> Mapping[str, str]:
    """Reason or rule → what it says in a sentence, at least of these; rules are read only where there is one among them."""
    return REASONS if all(reason in REASONS for reason in reasons) else {**_rules(), **REASONS}


def _rules() -> dict[str, str]:
    """Rule → the first sentence of what it says; nothing where the packs cannot be read, which is said elsewhere."""
    try:
        packs = rule_packs().packs
    except ConfigError:
        return {}
    return {rule.id: SENTENCE.split(" ".join(rule.says.split()), maxsplit=1)[0] for pack in packs for rule in pack.rules}


def _hold_out(found: StageDay) -> Iterator[str]:
    """Nobody is left in peace as likely to pay by themselves unless chance also leaves some alone, and it is shown what those paid."""
    yield ""
    yield "## Not sent, likely to pay by themselves"
    yield ""
    out = found.hold_out
    if not out.held_out:
        yield (
            "No hold-out yet: no strategy leaves anybody in peace for that reason, and none leaves some alone by chance "
            "(`exploration` is 0), so nobody can say what people pay by themselves."
        )
        return
    alone, written = Share(out.held_out_paid, out.held_out), Share(out.contacted_paid, out.contacted)
    yield (
        f"Of those left alone by chance {_with_interval(alone)} paid within {LABEL_DAYS} days; of those contacted with the same chance"
        f" {_with_interval(written)}. Decisions of {HOLD_OUT_DAYS} days whose labels are frozen."
    )


def _rolls(rolls: Sequence[Roll]) -> Iterator[str]:
    if not rolls:
        yield from section("Roll rates and cures", [], empty="No earlier date was aged: there is nothing to compare with yet.")
        return
    for roll in rolls:
        yield from section(
            f"Roll rates from {roll.since.isoformat()} to {roll.until.isoformat()}",
            list(_matrix_rows(roll)),
            empty="The stage had no loans on that date.",
        )
    yield from section("Cures", _cures(rolls))
    yield (
        "Cured: current or paid off by money that came in. A plan, a corrected instalment (re-aged), a write-off or a sale is no cure."
        " A borrower is cured when all loans of the stage are. Contacts are what the caps count."
    )


def _matrix_rows(roll: Roll) -> Iterator[dict[str, Any]]:
    """Rows with loans, columns that something came to; counts beside shares."""
    reached = [name for (name,), part in roll.matrix.group_by("to_bucket", maintain_order=True) if part["accounts"].sum()]
    for (name,), row in roll.matrix.group_by("from_bucket", maintain_order=True):
        whole = int(row["accounts"].sum())
        if whole:
            cells = {to: (share, count) for to, share, count in row.select("to_bucket", "account_share", "accounts").iter_rows()}
            shown = {to: f"{100 * cells[to][0]:.1f} % ({cells[to][1]:,})" if cells[to][1] else NOTHING for to in reached}
            yield {"from": f"**{name}** ({whole:,})", **shown}


def _cures(rolls: Sequence[Roll]) -> list[dict[str, str]]:
    """A figure a line, a date a column: the UI cuts what is wider than its page."""
    told = {f"since {roll.since.isoformat()}": dict(_figures(roll)) for roll in rolls}
    names = dict.fromkeys(name for figures in told.values() for name in figures)
    return [{"figure": name, **{since: figures.get(name, NOTHING) for since, figures in told.items()}} for name in names]


def _figures(roll: Roll) -> Iterator[tuple[str, str]]:
    yield "accounts cured", str(roll.cure)
    for currency, share in roll.cure_by_balance.items():
        yield f"of the balance, {currency}", _amounts(share, currency)
    for bucket, share in roll.forward.items():
        yield f"{bucket}: rolled forward", str(share)
    yield "borrowers cured", f"{roll.cured_borrowers:,}"
    yield "contacts in between", f"{roll.contacts:,}"
    yield "contacts per cured borrower", NOTHING if roll.per_cured is None else f"{roll.per_cured:.1f}"


def _promises(states: Mapping[str, int]) -> list[dict[str, Any]]:
    if not states:
        return []
    shown = {state: states.get(state, 0) for state in ("kept", "partial", "broken", "open", "withdrawn")}
    return [{**shown, "kept, of those judged": str(kept_rate(states))}]


def _complaints(found: StageDay) -> list[dict[str, Any]]:
    messages = found.funnel.total("sent")
    names = {"complaint": "complaints", "stop": "stops", "dispute": "disputes", "wrong_person": "wrong persons"}
    return [
        {
            "what": names[what],
            "borrowers": found.answers.get(what, 0),
            "per 1,000 contacted": _rate(per_thousand(found.answers.get(what, 0), found.contacted)),
            "per 10,000 messages": _rate(per_thousand(10 * found.answers.get(what, 0), messages)),
        }
        for what in COMPLAINTS
        if found.contacted
    ]


def _helped(found: StageDay) -> list[dict[str, Any]]:
    names = {"case": "a case that was closed", "plan": "a plan that was kept", "paid": "a loan that was paid back"}
    return [{"after": names[about], "it helped": yes, "of those who answered": of} for about, (yes, of) in found.helped.items()]


def _cost(found: StageDay) -> list[dict[str, Any]]:
    rows = [{"what": "all messages", "segments": found.cost.segments, "cost": str(found.cost)}]
    if found.cost.unpriced:
        rows.append({"what": "without a price in config/prices.yaml", "segments": found.cost.unpriced, "cost": "unknown"})
    return rows


def _amounts(share: Share, currency: str) -> str:
    if share.value is None:
        return NOTHING
    return f"{100 * share.value:.1f} % ({from_minor(share.part, currency):,} of {from_minor(share.whole, currency):,})"


def _with_interval(share: Share) -> str:
    low, high = share.interval or (0.0, 1.0)
    return f"{share}, between {100 * low:.0f} and {100 * high:.0f} %,"


def _rate(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1f}"
