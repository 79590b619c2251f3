"""Why a borrower is contacted, or left in peace: every candidate, every rule's verdict with its source, score, choice.

In:   the facts of one borrower and the policies that decided; what the log says of the decision, where there is one.
Out:  a plain dictionary (for --json) and the same in words. Ids, kinds, amounts and dates; never a name, number or text.
Pure: no I/O, no clock. It decides again with the same functions: nothing here knows a rule of its own.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any, Final

import polars as pl

from decisions.assignment import ORDINARY, Trial, groups
from decisions.capacity import THOUSAND
from decisions.choose import DECISIONS, By, Considered, conclude, consider_group, defer
from decisions.draws import draw_key
from decisions.facts import Facts
from decisions.messages import Texts, money_text
from decisions.model_words import model_words
from decisions.packs import HOUSE, Packs
from decisions.parts import PARTS
from decisions.policy import VALUED, Predicts, Prices, for_her_peace
from decisions.strategy import Strategy

# What the strategy's own reasons mean, for people.
REASONS: Final = {
    "not_in_stage": "is not in this stage: nothing undisputed is past due, or the worst loan belongs to another stage",
    "business_day_over": "the business day is over where the borrower lives",
    "strategy_wait": "the strategy waits: the last contact is too recent, or no step is reached yet",
    "strategy_budget": "the strategy's budget of contacts for this span is used up",
    "milder_stage_not_offered": "the milder stage was not offered yet (neither delivered, nor tried often enough): only onboarding is open",
    "no_contact_point": "no contact point in use fits a step that is reached",
    "answered_lately": "the borrower wrote to us or talked with us, and is left in peace for now",
    "paid_lately": "money of the borrower's has just come in, and she is left in peace for now",
    "kept_for_next_step": "the next step of the ladder opens soon; the contact is kept for it",
    "no_sender": "the lender has no sender on this channel",
    "locale_without_text": "there is no approved text in the borrower's language for this lender",
    "zone_unknown": "the borrower's time zone is not known",
    "drawn_no_contact": "the draw fell on no contact",
    "no_contact_is_worth_more": "by the model, no contact is expected to bring more than it costs and bothers",
    "currency_not_weighed": "what is owed is in a currency that the strategy's `worth` does not name",
    "held_out_minimum": "she is held out, to know what happens without us: only what has to be said is said",
    "capped": "the day's capacity was used up; she is looked at again tomorrow",
}


def explain(
    facts: Facts,
    strategy: Strategy,
    packs: Packs,
    texts: Texts,
    *,
    at: datetime,
    business_date: date,
    seed: bytes,
    predicts: Predicts | None = None,
    prices: Prices | None = None,
    trials: Sequence[Trial] = (),
    line: bytes | None = None,
    put_off: bool = False,
) -> dict[str, Any]:
    """Decide again for one borrower and tell everything on the way.

    Args:
        facts: Of one borrower.
        strategy: Of the stage.
        packs: Rule packs.
        texts: All messages.
        at: Business instant of the decision.
        business_date: Local day that is treated.
        seed: Of the run.
        predicts: Whom a strategy with a model asks.
        prices: Of scarce capacity in the run.
        trials: Experiments that ran in the stage.
        line: Who is held out or tried on.
        put_off: Whether a full cap put her off: no fact of hers says so.

    Returns:
        `party_id`, `business_date`, `at`, `strategy`, `owed`, `candidates` (each with its `verdicts`), `arms`, `decision`;
        JSON types only, instants in ISO 8601.

    Raises:
        ValueError: The facts are not about exactly one borrower.
    """
    if facts.borrowers.height != 1:
        raise ValueError(f"an explanation is about one borrower, not {facts.borrowers.height}")
    (group,) = groups(facts.borrowers["party_id"], strategy, trials, key=line)
    by = By(packs=packs, texts=texts, at=at, business_date=business_date, predicts=predicts, prices=prices)
    considered = consider_group(facts, group, by)
    concluded = conclude(considered, key=draw_key(seed, strategy.stage, business_date))
    decision = (defer(concluded, group.party_ids) if put_off else concluded).row(0, named=True)
    strategy = group.strategy
    stands = considered.stands.row(0, named=True)
    places = {HOUSE, *(facts.borrowers.row(0, named=True)["jurisdictions"] or [])}
    told = {
        "party_id": stands["party_id"],
        "business_date": business_date,
        "at": at,
        "strategy": {
            "name": f"{strategy.name}/{strategy.stage}",
            "version": strategy.version,
            "group": group.name,
            "models": {kind: predicts.version(kind) for kind in strategy.learned.kinds} if predicts and strategy.learned else {},
            "weights": _weights(strategy, considered, facts),
            "prices": [asdict(pool) for pool in considered.prices.pools] if strategy.learned else [],
            "step_reached": stands["step"],
            **{name: stands[name] for name in ("in_stage", "offered", "waits", "budget_reached", "rests", "day_over")},
        },
        "owed": _owed(stands),
        "candidates": [
            {**candidate, "verdicts": list(_verdicts(considered, candidate, packs, stands["creditor_role"], places))}
            for candidate in _candidates(considered, facts)
        ],
        "arms": list(_arms(considered)),
        "decision": _decision(decision),
    }
    return as_json(told)


def differences(told: Mapping[str, Any], stored: Mapping[str, Any]) -> list[str]:
    """Columns in which the decision as it was written down differs from the one made again; empty = it replays (I8).

    Args:
        told: From `explain`.
        stored: The decision's row in the log, columns as in decisions/choose.DECISIONS.
    """
    again, before = told["decision"], as_json(_decision(stored))
    return [name for name in DECISIONS if again[name] != before[name]]


def words(told: Mapping[str, Any]) -> Iterator[str]:
    """The explanation as people read it, line by line."""
    strategy, owed = told["strategy"], told["owed"]
    yield f"Borrower #{told['party_id']} on {told['business_date']}, looked at {told['at']}"
    yield f"Strategy: {strategy['name']}, version {strategy['version'][:12]}."
    if strategy["group"] != ORDINARY:
        yield f"She is treated as {strategy['group']}, drawn once by a secret and the same every day: {strategy['name']} decides for her."
    if strategy["models"]:
        said = ", ".join(f"{kind} {version[:12]}" for kind, version in strategy["models"].items())
        yield f"What an arm is expected to bring is said by {said}; rules and the ladder bound it."
        yield from model_words(told.get("model"))
    if owed is None:
        yield "Nothing is asked for: no undisputed amount is past due on a loan that is treated by stage."
    else:
        loans = ", ".join(f"#{loan}" for loan in owed["loans"])
        if owed["amount"] is None:
            yield f"Reminded of: the payment due on {owed['due_on']} on loan {loans}, {-owed['day']} days ahead, stage {owed['stage']}."
        else:
            yield f"Asked for: {owed['amount']} on loan {loans}, due on {owed['due_on']}, {owed['day']} days late, stage {owed['stage']}."
        if strategy["in_stage"] and not strategy["offered"]:
            yield "The milder stage was not offered yet: instead of the ladder, only a first, mild contact is open."
        yield f"The ladder: step {strategy['step_reached']} is reached."
    for candidate in told["candidates"]:
        yield from _candidate_words(candidate)
    if not told["candidates"]:
        yield "No candidate: there is nothing that a rule could judge."
    yield "Arms:"
    for arm in told["arms"]:
        name = "no contact" if arm["channel"] is None else f"{arm['channel']} to #{arm['contact_point_id']}, offer {arm['offer'] or 'none'}"
        yield f"  {name}{_hours(arm)}: score {arm['score']}{_worth(arm, owed)}, probability {arm['probability']}"
    yield from _decision_words(told["decision"])


def _hours(arm: Mapping[str, Any]) -> str:
    return "" if arm["hour_slot"] is None else f", {4 * arm['hour_slot']:02d} to {4 * arm['hour_slot'] + 4:02d} h"


def _worth(arm: Mapping[str, Any], owed: Mapping[str, Any] | None) -> str:
    """What a model's value is made of, in the currency of what is owed."""
    if arm["gain"] is None or owed is None:
        return ""
    said = {"brings": arm["gain"], "costs": arm["spent"], "bothers": arm["harm"], "is scarce": arm["price"]}
    return (
        " (" + ", ".join(f"{name} {value / THOUSAND:.2f}" for name, value in said.items() if value or name == "brings") + " in minor units)"
    )


def log_words(told: Mapping[str, Any]) -> Iterator[str]:
    """What the log says of the same date, line by line; for an explanation that tasks/explain completed."""
    if told["stored"] is None:
        yield "Nothing is decided for this date; this is what would be decided."
    elif told["replays"]:
        yield f"The decision of campaign run {told['campaign_run_id']}, made again from what was known then, is the same."
    else:
        yield f"NOT THE SAME as the decision of campaign run {told['campaign_run_id']}: {', '.join(told['differences'])} differ."
        yield from ("  " + line.strip() for line in _decision_words(told["stored"]))
    for place in told["flow_runs"]:
        yield f"Its run in Prefect: {place}"
    if told["policies_changed"]:
        yield f"Policies that changed since then, which change nothing here: {', '.join(told['policies_changed'])}."
    if told["policies_not_kept"]:
        yield f"Not kept, so that today's stand in: {', '.join(told['policies_not_kept'])}."
    for attempt in told["attempts"]:
        point = f"{attempt['channel']} to contact point #{attempt['contact_point_id']}"
        yield f"Attempt #{attempt['id']}, step {attempt['step']}, try {attempt['try_number']}: {point}, now {attempt['state']}"
        for move in attempt["moves"]:
            yield f"  {move['at']}: {move['from'] or 'new'} -> {move['to']} ({move['cause']})"


def _candidate_words(candidate: Mapping[str, Any]) -> Iterator[str]:
    text = candidate["text_locale"] or "no text in the borrower's language"
    point = f"contact point #{candidate['contact_point_id']} ({candidate['kind']})"
    yield f"Candidate: step {candidate['step']}, {candidate['channel']} to {point}, message {candidate['message']} ({text})"
    if not candidate["has_sender"]:
        yield "  Not open: the lender has no sender on this channel."
        return
    for verdict in candidate["verdicts"]:
        source = "; ".join(" ".join(filter(None, (reference["title"], reference["section"]))) for reference in verdict["reference"])
        said = "allows" if verdict["allows"] else "FORBIDS"
        yield f"  {said} {verdict['rule']} ({verdict['kind']}, {verdict['basis']}): {verdict['says']} [{source}]"
    if candidate["allowed"]:
        yield "  Every rule allows it."
    elif candidate["next_allowed_at"] is None:
        yield "  Forbidden, and no instant is known from which on it is allowed."
    else:
        yield f"  Forbidden now; allowed from {candidate['next_allowed_at']} on."


def _decision_words(decision: Mapping[str, Any]) -> Iterator[str]:
    if decision["action"] == "contact":
        yield (
            f"Decision: {decision['channel']} to contact point #{decision['contact_point_id']}, message {decision['message']}"
            f" ({decision['locale']}), offer {decision['offer'] or 'none'}, step {decision['step']}, not before {decision['send_after']},"
            f" not after {decision['expires_at']}; probability {decision['probability']}."
        )
    else:
        yield f"Decision: no contact; probability {decision['probability']}."
    for reason in decision["reasons"]:
        yield f"  because {reason}" + (f": {REASONS[reason]}" if reason in REASONS else "")


def _owed(stands: Mapping[str, Any]) -> dict[str, Any] | None:
    if stands["loans"] is None:
        return None
    fields = ("loans", "amount_minor", "currency", "due_on", "day", "stage", "counterparty")
    amount = None if stands["amount_minor"] is None else money_text(stands["amount_minor"], stands["currency"], "en-US")
    return {name: stands[name] for name in fields} | {"amount": amount}


def _candidates(considered: Considered, facts: Facts) -> list[dict[str, Any]]:
    kinds = facts.contact_points.select("contact_point_id", "kind")
    shown = (
        "candidate",
        "contact_point_id",
        "kind",
        "channel",
        "purpose",
        "counterparty",
        "automated",
        "step",
        "message",
        "offers",
        "text_locale",
        "has_sender",
    )
    judged = ("allowed", "blocked_by", "blocked_for_good", "next_allowed_at", "plannable", "send_after")
    return considered.candidates.join(kinds, on="contact_point_id", how="left").sort("candidate").select(*shown, *judged).to_dicts()


def _verdicts(
    considered: Considered, candidate: Mapping[str, Any], packs: Packs, role: str | None, places: Collection[str]
) -> Iterator[dict[str, Any]]:
    """What each rule said of one candidate that looks at such a contact of such a creditor in these places."""
    if not candidate["has_sender"]:
        return
    row = considered.verdicts.filter(pl.col("candidate") == candidate["candidate"]).row(0, named=True)
    for pack, rule in packs.gating():
        basis = rule.basis_for(role)
        looks = rule.applies_to.covers(
            channel=candidate["channel"],
            purpose=candidate["purpose"],
            party=candidate["counterparty"],
            automated=candidate["automated"],
            place=None,
        )
        binds = basis is not None and pack.jurisdiction in places and looks
        if rule.id in row and (binds or not row[rule.id]):
            yield {
                "rule": rule.id,
                "kind": rule.kind,
                "allows": row[rule.id],
                "basis": basis,
                "says": rule.says,
                "reference": [{"title": reference.title, "section": reference.section} for reference in rule.reference],
                "pack": pack.jurisdiction,
                "version": pack.version,
            }


def _weights(strategy: Strategy, considered: Considered, facts: Facts) -> dict[str, int] | None:
    """What counts against a contact in the currency of what is owed, in thousandths of a minor unit; None = no model weighs."""
    stands, creditor = considered.stands.row(0, named=True), facts.borrowers.row(0, named=True)["creditor_id"]
    weights = strategy.learned.weights.get(stands["currency"] or "") if strategy.learned else None
    if strategy.learned is None or weights is None or stands["amount_minor"] is None:
        return None
    medians = {(one.creditor_id, one.currency): one.amount_minor for one in considered.prices.medians}
    owed_minor = medians.get((creditor, stands["currency"]), stands["amount_minor"])
    return {
        "a_complaint_counts": weights.harm,
        "a_written_contact_counts": for_her_peace(owed_minor, strategy.learned.peace.written),
        "a_spoken_contact_counts": for_her_peace(owed_minor, strategy.learned.peace.spoken),
        "temperature": weights.temperature,
    }


def _arms(considered: Considered) -> Iterator[dict[str, Any]]:
    for arm in considered.arms.iter_rows(named=True):
        shown = {name: arm[name] for name in ("channel", "contact_point_id", "offer", "score", *VALUED)}
        yield {**shown, "probability": arm["parts"] / PARTS}


def _decision(row: Mapping[str, Any]) -> dict[str, Any]:
    propensities = row["propensities"]
    return {name: row[name] for name in DECISIONS} | {"propensities": None if propensities is None else json.loads(propensities)}


def as_json(value: Mapping[str, Any]) -> dict[str, Any]:
    """The same with JSON's types only: instants in UTC and dates as ISO 8601, ids and tokens as text where they are no numbers."""
    return {str(key): _plain(item) for key, item in value.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return as_json(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value.isoformat() if isinstance(value, date) else value
