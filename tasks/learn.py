"""Learn: models from what was decided, what was known then and what came of it; kept in the ledger, used by nobody without leave.

In:   a local business date; kinds; the ledger.
Out:  rows of `model_version`; a page and a reliability curve for each model, or why there is none. Counts and shares, no person.
Pure: no. Learned again from the same rows, a model is the same, and kept once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import polars as pl
from prefect import get_run_logger, task
from prefect.artifacts import create_image_artifact, create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from config.learning import group_gap_max, learning_looks_at, learning_terms
from decisions.learning import KINDS, TooThinError, Trained, errs_for, train
from ledger import clock, model_versions
from ledger.engine import arrow, connection
from ledger.fairness_groups import read_groups
from ledger.outbox import wall_clock
from ledger.training import batches, training_rows
from tasks.pictures import as_address
from tasks.progress import tell
from tasks.reliability import reliability_picture

# The same rows give the same model.
SEED: Final = 2026
SHOWN_CHARACTERS: Final = 12
# Reading is the longer part of it.
READ_PERCENT: Final = 80
WHOLE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What came of one kind.

    Attributes:
        kind: Of model.
        trained: None = there is too little.
        reasons: What is missing then.
        is_new: Whether it was written; False of a dry run, or of one that the ledger had.
    """

    kind: str
    trained: Trained | None
    reasons: tuple[str, ...] = ()
    is_new: bool = False

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        one = self.trained
        return {
            "kind": self.kind,
            "version": one.model.version if one else None,
            "method": one.method if one else None,
            "data_hash": one.data_hash if one else None,
            "metrics": dict(one.metrics) if one else None,
            "calibration": one.calibration.to_dicts() if one else None,
            "fairness": one.fairness.to_dicts() if one else None,
            "refused": list(self.reasons) or None,
            "is_new": self.is_new,
        }

    def __str__(self) -> str:
        """One line."""
        if self.trained is None:
            return f"{self.kind:<15} no model: {'; '.join(self.reasons)}"
        said = self.trained.metrics
        figures = f"AUC {said['auc']:.3f} (a line: {said['baseline_auc']:.3f}), calibration error {said['calibration_error']:.3f}"
        rows = f"{said['rows_trained']:,} rows trained on, {said['rows_measured']:,} later ones of other people measured"
        return f"{self.kind:<15} {self.trained.model.version[:SHOWN_CHARACTERS]} {self.trained.method}: {figures}; {rows}"


@task(task_run_name="learn {day}", retries=1, retry_delay_seconds=[30], persist_result=False, cache_policy=NO_CACHE)
def learn_models(day: date, kinds: Sequence[str] = (), *, dry_run: bool = False) -> dict[str, str]:
    """Learn, keep, and show what was learned.

    Args:
        day: Local business date: what came about before it counts.
        kinds: Which; empty = all.
        dry_run: Keep nothing.

    Returns:
        Kind → version, or why there is no model.

    Raises:
        ConfigError: config/learning.yaml cannot be read.
        ValueError: There is no such kind.
    """
    found = learn(day, kinds, dry_run=dry_run)
    for one in found:
        show(one)
        get_run_logger().info("%s%s", one, " (kept)" if one.is_new else "")
    return {one.kind: one.trained.model.version if one.trained else "; ".join(one.reasons) for one in found}


def learn(day: date, kinds: Collection[str] = (), *, dry_run: bool = False) -> list[Learned]:
    """As `learn_models`, without Prefect."""
    if unknown := sorted(set(kinds) - KINDS.keys()):
        raise ValueError(f"there is no kind {unknown[0]!r}: one of {', '.join(KINDS)}")
    rows = read_rows(day)
    with arrow(read_only=True) as source:
        groups = read_groups(source, rows["party_id"].unique().sort().to_list())
    terms = learning_terms()
    found = []
    for number, kind in enumerate(kinds or KINDS):
        tell(READ_PERCENT + (WHOLE - READ_PERCENT) * number / len(kinds or KINDS), kind)
        try:
            trained = train(rows, kind=kind, seed=SEED, terms=terms, groups=groups)
        except TooThinError as error:
            found.append(Learned(kind=kind, trained=None, reasons=error.reasons))
            continue
        with connection() as tx:
            is_new = not dry_run and model_versions.keep(tx, trained, seed=SEED, as_of=clock.now(tx))
        found.append(Learned(kind=kind, trained=trained, is_new=is_new))
    return found


def read_rows(day: date) -> pl.DataFrame:
    """Rows to learn from: what was decided in the last days, as known then, and what came about before a date, as known now."""
    looked = learning_looks_at()
    with connection(read_only=True, archive=True) as tx:
        parts, known_at = batches(tx, since=day - timedelta(days=looked.days), until=day - timedelta(days=1)), wall_clock(tx)
    with arrow(read_only=True, archive=True) as source:
        return training_rows(
            source,
            parts,
            on=day,
            paid_percent_min=looked.paid_percent_min,
            rows_max=looked.rows_max,
            seed=SEED,
            known_at=known_at,
            progress=lambda done, whole: tell(READ_PERCENT * done / whole, f"read {done} of {whole} parts"),
        )


def show(learned: Learned) -> None:
    """Put a model into the Prefect UI: a page and a picture."""
    key = f"model-{learned.kind.replace('_', '-')}"
    create_markdown_artifact(key=key, markdown=page(learned), description=f"**{learned.kind}**: how good the model is, or what is missing.")
    if learned.trained is not None:
        picture = reliability_picture(learned.trained.calibration, title=learned.kind)
        create_image_artifact(
            image_url=as_address(picture),
            key=f"{key}-reliability",
            description=f"**{learned.kind}**: what was predicted, and what came about",
        )


def page(learned: Learned) -> str:
    """A model on one page of Markdown."""
    trained = learned.trained
    if trained is None:
        return "\n".join([f"# {learned.kind}: no model", "", *(f"- {reason}" for reason in learned.reasons)])
    version = trained.model.version[:SHOWN_CHARACTERS]
    lines = [
        f"# {learned.kind} `{version}`",
        "",
        f"{trained.method}; kept in the ledger: {'now' if learned.is_new else 'no, or before'}. With the real providers nothing is decided",
        f"by it until two people have said yes: `tideover learn approve {version} --by NAME`.",
        *_table("measured on people and days that it had not seen", ""),
        *(f"| {name.replace('_', ' ')} | {_figure(value)} |" for name, value in trained.metrics.items()),
        *_table("predicted", "came about", "rows"),
        *(f"| {row['predicted']:.1%} | {row['observed']:.1%} | {row['rows']:,} |" for row in trained.calibration.to_dicts()),
    ]
    if trained.fairness.is_empty():
        return "\n".join([*lines, "", f"No group of at least {learning_terms().group_min} people was measured."])
    lines += _table("group", "people", "predicted", "came about", "gap", "calibration error", "selected", "AUC")
    for row in trained.fairness.to_dicts():
        shares = " | ".join(f"{row[name]:.1%}" for name in ("predicted", "observed"))
        beside = f"{row['gap']:+.1%} | {row['calibration_error']:.1%} | {row['selected']:.1%} | {_figure(row['auc'])}"
        lines.append(f"| {row['attribute']} {row['value']} | {row['people']:,} | {shares} | {beside} |")
    if errs := errs_for(trained.fairness.to_dicts(), gap_max=group_gap_max()):
        lines += ["", f"**It errs for {', '.join(errs)}**: who approves it says why, with `--reason`."]
    return "\n".join(lines)


def _table(*columns: str) -> list[str]:
    return ["", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
