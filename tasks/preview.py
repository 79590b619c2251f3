"""The preview of a run: what would be sent, to how many, at what cost, and what has changed, before anybody is contacted.

In:   a campaign run whose shards are decided.
Out:  one page as an artifact of the flow run: counts and masked samples, never a person.
Pure: no; reads the ledger, writes the artifact. `page` alone is pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from sqlalchemy import Connection

from channels.registry import WAYS
from config.message_files import message_texts
from config.prices import prices
from config.settings import settings
from decisions import segments
from decisions.candidates import owed
from decisions.explain import REASONS
from decisions.messages import GapError, NoTextError, Rendered, render
from decisions.money import UnknownCurrencyError
from decisions.preview import HASH_SHOWN, MASKED_LINK, Before, Preview, Sample, shown_amount
from decisions.prices import Price
from ledger import campaigns, clock, previews, run_standings
from ledger.campaigns import Run
from ledger.engine import connection
from ledger.facts import read_facts
from ledger.funnel import read_funnel
from ledger.previews import Example
from ledger.run_standings import Standing
from ledger.tables import SERVICES
from tasks.markdown import local, mode, section, table

SAMPLES_SHOWN_MAX: Final = 20
# Of each channel, message and language; enough for a mean of their segments.
SAMPLES_OF_EACH: Final = 5
ROWS_SHOWN_MAX: Final = 15
# As long as a token, so that a text is measured as it will be.
LIKE_A_TOKEN: Final = "0" * 36


def preview_key(name: str) -> str:
    """Key of the preview's artifact, from a run's name ("pre_due 2026-03-17")."""
    return f"{name.lower().replace('_', '-').replace(' ', '-')}-preview"


@task(
    task_run_name="preview of run {campaign_run_id}",
    retries=2,
    retry_delay_seconds=[5, 30],
    persist_result=False,
    cache_policy=NO_CACHE,
)
def show_preview(campaign_run_id: int) -> None:
    """Show what would be sent. Where nothing is planned any more and it is no preview, there is nothing to show."""
    with connection() as tx:
        run = campaigns.read_run(tx, campaign_run_id)
        standing = run_standings.standing(tx, campaign_run_id)
        if not standing.planned and not run.preview:
            return
        found = read_preview(tx, run, standing.name)
    get_run_logger().info("%s: %d contacts planned, %d borrowers left in peace", found.name, found.contacts, found.withheld)
    create_markdown_artifact(
        key=preview_key(found.name),
        markdown=page(found, run, standing, prices()),
        description=f"**{found.name}**: what would be sent to {found.contacts:,} people. Nothing of it is sent by looking at it.",
    )


def read_preview(tx: Connection, run: Run, name: str) -> Preview:
    """Everything that people look at before they say yes."""
    funnel = read_funnel(tx, run.id)
    samples = _samples(tx, run)
    earlier = previews.run_before(tx, run.id)
    before, changed = (None, []) if earlier is None else _before(tx, run, earlier)
    first_at, last_until = previews.read_window(tx, run.id)
    return Preview(
        name=name,
        borrowers=funnel.borrowers,
        groups=previews.read_groups(tx, run.id),
        by_reason=dict(funnel.by_reason.iter_rows()),
        withheld=funnel.withheld,
        samples=samples[:SAMPLES_SHOWN_MAX],
        segments=_means(samples),
        first_at=first_at,
        last_until=last_until,
        changed_policies=changed,
        before=before,
        weighed=previews.read_weighed(tx, run),
    )


def _before(tx: Connection, run: Run, earlier: int) -> tuple[Before, list[str]]:
    last = campaigns.read_run(tx, earlier)
    by_reason = dict(read_funnel(tx, earlier).by_reason.iter_rows())
    names = run.policy_hashes.keys() | last.policy_hashes.keys()
    changed = sorted(name for name in names if run.policy_hashes.get(name) != last.policy_hashes.get(name))
    return previews.read_before(tx, earlier, business_date=last.business_date, by_reason=by_reason), changed


def _samples(tx: Connection, run: Run) -> list[Sample]:
    """Messages as they would be sent now, masked; those that could not be written are left out."""
    examples = previews.read_examples(tx, run.id, of_each=SAMPLES_OF_EACH)
    if not examples:
        return []
    parties = sorted({example.party_id for example in examples})
    facts = read_facts(tx, parties=parties, at=clock.now(tx), business_date=run.business_date, loans="planned")
    asked = {row["party_id"]: row for row in owed(facts.loans).iter_rows(named=True)}
    # A service may speak to whom nothing is asked of; its text then names no amount and no date.
    nothing = dict.fromkeys(("amount_minor", "currency", "due_on")) if run.stage in SERVICES else None
    return [sample for example in examples if (sample := _sample(example, asked.get(example.party_id, nothing))) is not None]


def _sample(example: Example, asked: Mapping[str, Any] | None) -> Sample | None:
    if asked is None:
        return None
    link = f"{settings().public_url}/b/{LIKE_A_TOKEN}"
    try:
        real = _words(example, asked, asked["amount_minor"], link)
        shown = _words(example, asked, shown_amount(asked["amount_minor"]), MASKED_LINK)
    except (NoTextError, GapError, UnknownCurrencyError):
        return None
    return Sample(
        channel=example.channel,
        message=example.message,
        locale=example.locale,
        text=" · ".join(part for part in (shown.title, shown.body) if part),
        segments=segments.measure(real.body).segments if example.channel in WAYS and WAYS[example.channel].counts_segments else 1,
    )


def _words(example: Example, asked: Mapping[str, Any], amount_minor: int | None, link: str) -> Rendered:
    return render(
        message_texts().text(example.message, example.locale),
        channel=example.channel,
        creditor_name=example.creditor_name,
        amount_minor=amount_minor,
        currency=asked["currency"],
        due_on=asked["due_on"],
        link=link,
    )


def _means(samples: Iterable[Sample]) -> dict[tuple[str, str, str], float]:
    found: dict[tuple[str, str, str], list[int]] = {}
    for sample in samples:
        found.setdefault((sample.channel, sample.message, sample.locale), []).append(sample.segments)
    return {kind: sum(counts) / len(counts) for kind, counts in found.items()}


def page(preview: Preview, run: Run, standing: Standing, priced: Sequence[Price]) -> str:
    """The whole page, as Markdown."""
    return "\n".join(
        line
        for part in (
            _head(preview, run, standing, priced),
            _what(preview),
            _weighed(preview),
            _who_not(preview),
            _changes(preview),
            _messages(preview),
            _how(run, standing),
        )
        for line in (*part, "")
    )


def _head(preview: Preview, run: Run, standing: Standing, priced: Sequence[Price]) -> Iterator[str]:
    before = preview.before
    last = f"last run ({before.business_date.isoformat()})" if before else "last run (none yet)"
    yield f"# {preview.name}: {preview.contacts:,} contacts planned"
    yield ""
    yield f"{mode()} **{_state(run, standing)}** Ladder: `{run.strategy}`."
    yield ""
    yield from table(
        [
            _compared("borrowers looked at", preview.borrowers, None if before is None else before.borrowers, last=last),
            _compared("would be contacted", preview.contacts, None if before is None else sum(before.by_channel.values()), last=last),
            *(
                _compared(f"… by {channel}", count, None if before is None else before.by_channel.get(channel, 0), last=last)
                for channel, count in preview.added("channel").items()
            ),
            _compared("left in peace", preview.withheld, None, last=last),
        ]
    )
    yield ""
    if run.canary == "undecided":
        yield "Where the strategy or a text is new, few of them go first, and the rest after a wait (config/canary.yaml)."
        yield ""
    yield f"Cost, about: **{preview.cost(priced, run.business_date)}**."
    if preview.first_at and preview.last_until:
        yield f"May be sent from {local(preview.first_at)}, until {local(preview.last_until)} at the latest; then it expires."


def _state(run: Run, standing: Standing) -> str:
    if run.preview:
        return "A preview: nothing of it is sent."
    if standing.approval == "awaiting" and standing.until is not None:
        return f"Nothing is sent before people say yes. They are asked until {local(standing.until)}."
    if standing.approval == "undecided" and run.approval_above is not None and standing.decided > run.approval_above:
        return "Nothing is sent before people say yes."
    return "Nobody has to be asked: it is sent next." if standing.approval in {"none", "undecided"} else f"Approval: {standing.approval}."


def _what(preview: Preview) -> Iterator[str]:
    rows = [
        {
            "channel": group.channel,
            "country": group.country or "?",
            "message": group.message,
            "language": group.locale,
            "offer": group.offer or "-",
            "contacts": group.contacts,
            "segments each": f"{preview.segments_of(group):.1f}",
        }
        for group in preview.groups[:ROWS_SHOWN_MAX]
    ]
    yield from section("What is sent to whom", rows, empty="Nothing.")
    if len(preview.groups) > ROWS_SHOWN_MAX:
        yield f"… and {len(preview.groups) - ROWS_SHOWN_MAX} smaller groups."


def _weighed(preview: Preview) -> Iterator[str]:
    found = preview.weighed
    if found is None:
        return
    yield "## What a model weighs, and who is treated otherwise"
    yield ""
    if found.models:
        named = ", ".join(f"`{kind}` {version[:HASH_SHOWN]}" for kind, version in found.models.items())
        yield f"Model: {named} (`tideover learn show`). It only orders what rules and the ladder leave open, no contact among it."
    if found.unread:
        yield f"What counts against a contact and what is scarce is not shown: what the run was opened by cannot be read ({found.unread})."
    yield ""
    if found.says:
        yield from table(
            {
                "group": one.group,
                "strategy": one.strategy,
                "a complaint or opt-out counts": one.complaint,
                "a written contact": one.written,
                "a call": one.spoken,
            }
            for one in found.says
        )
        yield ""
        whose = "the median borrower of the same lender owes" if found.contacts else "each borrower owes"
        yield "What counts against a contact is set by people, in the strategy's file (`config/strategies/`)."
        yield f"A contact counts that share of what {whose}."
        yield ""
    if found.contacts:
        yield from table(
            {
                "group": one.group,
                "lender": one.creditor,
                "the median borrower owes": one.median,
                "a written contact counts": one.written,
                "a call counts": one.spoken,
            }
            for one in found.contacts[:ROWS_SHOWN_MAX]
        )
        yield ""
    yield from table(
        {
            "group": one.group,
            "borrowers": one.contacts + one.left_alone,
            "would be contacted": one.contacts,
            "left in peace": one.left_alone,
        }
        for one in found.treated
    )
    yield ""
    yield "`ordinary` is the run's own strategy; who is in another group was drawn once, by a secret, and stays there."
    if not found.scarce:
        return
    yield ""
    yield from table(
        {
            "lender": one.creditor,
            "scarce": f"{one.pool.cap} ({one.pool.currency})",
            "a day": one.amount(one.pool.bound),
            "expected": one.amount(one.pool.expected),
            "planned": one.amount(one.planned),
            "price": one.price or "none: there is enough",
        }
        for one in found.scarce[:ROWS_SHOWN_MAX]
    )
    yield ""
    yield "What is scarce goes to whom it is worth more than its price; whom a full cap leaves out has the reason `capped`."


def _who_not(preview: Preview) -> Iterator[str]:
    before = None if preview.before is None else preview.before.by_reason
    rows = [
        _compared(f"`{reason}`", count, None if before is None else before.get(reason, 0), of="reason", now="borrowers")
        | {"in words": REASONS.get(reason, "")}
        for reason, count in list(preview.by_reason.items())[:ROWS_SHOWN_MAX]
    ]
    yield from section("Who is left in peace, and why", rows, empty="Nobody.")
    yield "A borrower with several reasons stands under each. `tideover rules show RULE` says what a rule says; `tideover explain`, why."


def _changes(preview: Preview) -> Iterator[str]:
    yield "## What has changed since the last run"
    yield ""
    if preview.before is None:
        yield "This is the first run of this stage."
        return
    gone = sorted(set(preview.before.by_message) - set(preview.added("message")))
    new = sorted(set(preview.added("message")) - set(preview.before.by_message))
    lines = [f"- another text, rule or strategy: `{name}`" for name in preview.changed_policies]
    lines += [f"- a message that was not used then: `{name}`" for name in new] + [f"- not used any more: `{name}`" for name in gone]
    yield from lines or ["Neither rules nor strategy nor texts; only people and days."]


def _messages(preview: Preview) -> Iterator[str]:
    yield f"## {len(preview.samples)} messages as they would read"
    yield ""
    yield "Amounts are rounded, links left out; no name or number stands in a text."
    # A list: a table's cell would not wrap a whole text.
    for one in preview.samples:
        yield ""
        yield f"- **{one.channel}, {one.locale}, {one.message}**: {' '.join(one.text.split())}"


def _how(run: Run, standing: Standing) -> Iterator[str]:
    if run.preview or standing.approval not in {"awaiting", "undecided"} or run.approval_above is None:
        return
    yield "## How to answer"
    yield ""
    yield f"Each person has a one-time code made: `tideover approve code --for NAME --role ROLE --run {run.id}`."
    yield "Then **Resume** this flow run above and fill in the form; or, on a terminal:"
    yield ""
    yield f"    tideover approve run {run.id} --code CODE                       # all of it"
    yield f"    tideover approve run {run.id} --code CODE --up-to 200           # some of it; the others are not contacted"
    yield f"    tideover approve run {run.id} --code CODE --reject --reason …   # nothing"


def _compared(
    what: str, now_counts: int, before: int | None, *, of: str = "counted", now: str = "now", last: str = "last run"
) -> dict[str, Any]:
    """A row of a table: a count, the one of the last run, and the change."""
    change = "" if before is None else f"{now_counts - before:+,}"
    return {of: what, now: now_counts, last: "" if before is None else before, "change": change}
