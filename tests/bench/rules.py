"""Rules: the engine over a million candidates with the whole law of the United States, and the gate's check of one shard.

The floor is what any engine would have to do that looks at each candidate's person and past at all: join the candidate to
the person and the contact point, count the past contacts of the last seven days by person, and compare.

In:   a number of candidates; each has a borrower, a loan, a contact point, two consents and 5 past contacts of its own.
Out:  results for a hundredth, a tenth and all, and the growth exponent; one result for a gate's shard of 500.
Pure: no; measures. No database is involved: facts are in memory, as they are when rules are asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from config.rule_files import rule_packs
from config.zones import zone_tables
from decisions import facts
from decisions.facts import CANDIDATES, Facts, Schema
from decisions.rules import judge
from decisions.zones import place_zones
from tests.bench.ground import apart
from tests.bench.harness import Result, by_turns, exponent

CANDIDATES_MAX: Final = 1_000_000
GATE_SHARD: Final = 500
CONTACTS_EACH: Final = 5
SECONDS_TARGET: Final = 8.0
MEMORY_TARGET_BYTES: Final = 3 * 2**30
GATE_SECONDS_TARGET: Final = 0.050
ROUNDS: Final = 3
ROUNDS_OF_A_SHARD: Final = 25
SECONDS_MAX: Final = 120.0
SEED: Final = 20_260_317
# Noon in New York, nine in Los Angeles.
AT: Final = datetime(2026, 9, 15, 16, tzinfo=UTC)
# Region, and the city with rules of its own.
STATES: Final = (
    ("US-NY", "NYC"),
    ("US-NY", None),
    ("US-MA", None),
    ("US-CA", None),
    ("US-WA", None),
    ("US-DC", None),
    ("US-WV", None),
    ("US-FL", None),
    ("US-TX", None),
    ("US-OH", None),
)
# New York State, with and without its city.
ONE_STATE: Final = 2
WAYS: Final = ("sms", "call", "email", "voice")
RESULTS: Final = ("no_answer", "voicemail", "conversation", "delivered", "busy")


def run(*, scale: int) -> Iterator[Result | dict[str, object]]:
    """Measure the engine at three sizes, and the gate's shard.

    Args:
        scale: Divides the size.
    """
    sizes = [CANDIDATES_MAX // scale // part for part in (100, 10, 1)]
    results = [_result(apart(partial(measure, size)), size) for size in sizes]
    yield from results
    yield {"name": "rules", "exponent": round(exponent(sizes, [one.seconds for one in results]), 3)}
    for name, states in (("rules-gate", ONE_STATE), ("rules-gate-ten-states", len(STATES))):
        report = apart(partial(measure, GATE_SHARD, states=states, when=True))
        yield Result(
            name=name,
            size=GATE_SHARD,
            **report,
            ratio=report["seconds"] / report["floor_seconds"],
            unit="candidates",
            ratio_means="seconds ÷ floor_seconds",
            target=f"≤ {GATE_SECONDS_TARGET * 1000:g} ms",
            met=report["seconds"] <= GATE_SECONDS_TARGET,
        )


def _result(report: dict[str, Any], size: int) -> Result:
    return Result(
        name="rules",
        size=size,
        **report,
        ratio=report["seconds"] / report["floor_seconds"],
        unit="candidates",
        ratio_means="seconds ÷ floor_seconds",
        target=f"≤ {SECONDS_TARGET:g} s, ≤ {MEMORY_TARGET_BYTES / 2**30:g} GiB at {CANDIDATES_MAX:,} candidates",
        met=report["seconds"] <= SECONDS_TARGET and report["peak_rss_bytes"] <= MEMORY_TARGET_BYTES,
        more={"microseconds_per_candidate": report["seconds"] / size * 1e6},
    )


def measure(size: int, *, states: int = len(STATES), when: bool = False) -> dict[str, Any]:
    """Judge `size` candidates who live in so many states and do the floor's work, by turns."""
    known, asked = world(size, states)
    packs = rule_packs()
    rounds = ROUNDS if size > GATE_SHARD else ROUNDS_OF_A_SHARD
    sides = by_turns(lambda: judge(known, asked, packs, when=when), lambda: floor(known, asked), rounds=rounds, seconds_max=SECONDS_MAX)
    return sides.report()


def floor(known: Facts, asked: pl.DataFrame) -> pl.Series:
    """The least that an engine must do."""
    rows = asked.join(known.borrowers.select("party_id", "jurisdictions", "zones"), on="party_id", how="left").join(
        known.contact_points.select("contact_point_id", "status"), on="contact_point_id", how="left"
    )
    recent = known.history.filter(pl.col("at") > AT - timedelta(days=7)).group_by("party_id").len()
    return rows.join(recent, on="party_id", how="left").select(allowed=pl.col("len").fill_null(0) < 7)["allowed"]


def world(size: int, states: int = len(STATES)) -> tuple[Facts, pl.DataFrame]:
    """Facts and candidates, drawn with a fixed seed."""
    draw = np.random.default_rng(SEED)
    tables = zone_tables()
    places = pl.DataFrame(
        {
            "state": range(len(STATES)),
            "region": [region for region, _ in STATES],
            "zones": [place_zones("US", region, tables) for region, _ in STATES],
            "jurisdictions": [["US", region, *([f"{region}-{city}"] if city else [])] for region, city in STATES],
        }
    )
    party = np.arange(1, size + 1)
    people = pl.DataFrame({"party_id": party, "state": draw.integers(0, states, size)}).join(places, on="state", how="left")
    people = people.with_columns(
        creditor_id=pl.lit(1),
        creditor_role=pl.lit("third_party"),
        country=pl.lit("US"),
        locale=pl.lit("en"),
        home_zones=pl.col("zones"),
        facts=pl.lit([], dtype=pl.List(pl.String)),
        payments_fresh_until=pl.lit(AT + timedelta(days=1)),
        paused=pl.lit(value=False),
        paused_channels=pl.lit([], dtype=pl.List(pl.String)),
    )
    loans = pl.DataFrame({"party_id": party, "loan_id": party}).with_columns(
        role=pl.lit("borrower"),
        product=pl.lit("wallet_credit"),
        currency=pl.lit("USD"),
        past_due_minor=pl.lit(10_000),
        days_past_due=pl.Series(draw.integers(1, 90, size)),
        disputed_minor=pl.lit(0),
        charged_off=pl.lit(value=False),
        time_barred=pl.lit(value=False),
        servicing_status=pl.lit("active"),
    )
    way = draw.integers(0, len(WAYS), size)
    points = pl.DataFrame({"party_id": party, "contact_point_id": party, "way": way}).with_columns(
        kind=pl.when(pl.col("way") == 2).then(pl.lit("email")).otherwise(pl.lit("mobile")),
        owner=pl.lit("borrower"),
        employer_owned=pl.lit(value=False),
        country=pl.lit("US"),
        zones=pl.lit([], dtype=pl.List(pl.String)),
        verified_on=pl.lit(date(2026, 9, 1)),
        status=pl.lit("active"),
        ownership=pl.lit("verified"),
    )
    consents = pl.concat(
        pl.DataFrame({"party_id": party}).with_columns(
            channel=pl.lit(channel), given_to=pl.lit("collector"), at=pl.lit(AT - timedelta(days=10)), until=pl.lit(None)
        )
        for channel in ("sms", "voice")
    )
    known = Facts(
        borrowers=_frame(people, facts.BORROWERS),
        loans=_frame(loans, facts.LOANS),
        contact_points=_frame(points, facts.CONTACT_POINTS),
        consents=_frame(consents, facts.CONSENTS),
        opt_outs=_few(party, draw, facts.OPT_OUTS, channel="all", at=AT - timedelta(days=3)),
        holds=_few(party, draw, facts.HOLDS, kind="dispute", starts_at=AT - timedelta(days=3)),
        wishes=facts.empty(facts.WISHES),
        agreements=facts.empty(facts.AGREEMENTS),
        notices=facts.empty(facts.NOTICES),
        history=_history(party, draw),
    )
    asked = pl.DataFrame({"candidate": party, "party_id": party, "contact_point_id": party, "way": way}).with_columns(
        channel=pl.col("way").replace_strict(dict(enumerate(WAYS)), return_dtype=pl.String),
        purpose=pl.lit("collection"),
        at=pl.lit(AT),
        loans=pl.concat_list(pl.col("party_id")),
        counterparty=pl.lit("borrower"),
        automated=pl.col("way") != 1,
    )
    return known, _frame(asked, CANDIDATES)


def _history(party: npt.NDArray[np.int64], draw: np.random.Generator) -> pl.DataFrame:
    count = len(party) * CONTACTS_EACH
    minutes = draw.integers(60, 21 * 24 * 60, count)
    return _frame(
        pl.DataFrame(
            {
                "party_id": np.repeat(party, CONTACTS_EACH),
                "event_id": np.arange(count),
                "minutes": minutes,
                "way": draw.integers(0, len(WAYS), count),
                "end": draw.integers(0, len(RESULTS), count),
            }
        ).with_columns(
            at=pl.lit(AT) - pl.duration(minutes="minutes"),
            channel=pl.col("way").replace_strict(dict(enumerate(WAYS)), return_dtype=pl.String),
            direction=pl.lit("outbound"),
            loans=pl.concat_list(pl.col("party_id")),
            contact_point_id=pl.col("party_id"),
            counterparty=pl.lit("borrower"),
            purpose=pl.lit("collection"),
            result=pl.col("end").replace_strict(dict(enumerate(RESULTS)), return_dtype=pl.String),
        ),
        facts.HISTORY,
    )


def _few(party: npt.NDArray[np.int64], draw: np.random.Generator, schema: Schema, **columns: Any) -> pl.DataFrame:
    """One row for each of a fiftieth of the people."""
    some = draw.choice(party, size=len(party) // 50, replace=False)
    return _frame(
        pl.DataFrame({"party_id": np.sort(some)}).with_columns(**{name: pl.lit(value) for name, value in columns.items()}), schema
    )


def _frame(frame: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """The schema's columns, in its types and order; what is not given is null."""
    return frame.select((pl.col(name) if name in frame.columns else pl.lit(None)).cast(kind).alias(name) for name, kind in schema.items())
