"""Lessons' step: who gets which short read today, decided and planned as one run; the next `dispatch` sends it.

In:   a local business date; the ledger; config/education.yaml.
Out:  decisions and planned attempts; a log line of counts.
Pure: no. Planning again plans nothing twice.
"""

from __future__ import annotations

from datetime import date

import polars as pl
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from config.education import education_terms
from config.message_files import message_texts
from config.policies import service_policies
from decisions.education import EDUCATION, next_lessons
from decisions.service_messages import nobody_met, plan_messages
from ledger import campaigns, clock, education
from ledger.decisions_log import write_decisions
from ledger.engine import connection
from ledger.facts import read_facts
from ledger.law import law_in_force, texts_in_force
from ledger.outbox import wall_clock


@task(task_run_name="plan lessons {on}", retries=2, retry_delay_seconds=[10, 60], persist_result=False, cache_policy=NO_CACHE)
def plan_lessons(on: date, *, preview: bool = False) -> int | None:
    """Plan today's lessons.

    Idempotent: a date is decided once; a preview that is followed by a run that sends becomes one that sends.

    Args:
        on: Local business date.
        preview: Decide and show, send nothing.

    Returns:
        Id of the campaign run; None where a lesson is in time for nobody.

    Raises:
        ConfigError: Terms, texts or rule packs cannot be read.
        RunRefused: The date was decided by other texts or rules.
    """
    terms = education_terms()
    with connection() as tx:
        at, known_at = clock.now(tx), wall_clock(tx)
        law, texts = law_in_force(tx), texts_in_force(tx, message_texts())
        people = education.in_question(tx, on=on, terms=terms)
        facts = read_facts(tx, parties=people["party_id"].to_list(), at=at, business_date=on, loans="now", falls_back=True)
        # Whether or not the day was aged: who is late, nearly due or in a plan now is left to what is about that.
        people = people.join(facts.loans, on="party_id", how="anti")
        parties = people["party_id"].to_list()
        lessons = next_lessons(people, education.had(tx, parties), terms)
        if not lessons:
            get_run_logger().info("%s: a lesson is in time for nobody", on.isoformat())
            return None
        run = campaigns.open_run(
            tx,
            stage=EDUCATION,
            business_date=on,
            preview=preview,
            borrowers_max=None,
            policies=service_policies(*terms.lessons, rules=law.bodies),
            at=at,
        )
        if not campaigns.read_shards(tx, run):
            frame = pl.concat(
                plan_messages(
                    facts.about(theirs),
                    nobody_met(),
                    lesson,
                    texts,
                    law.packs,
                    purpose=EDUCATION,
                    at=at,
                    business_date=on,
                    channels=terms.channels,
                )
                for lesson, theirs in lessons.items()
            ).sort("party_id")
            campaigns.cut_whole(tx, run, frame["party_id"].to_list())
            planned = write_decisions(tx, run, 1, frame, at=at, facts_known_at=known_at)
            get_run_logger().info("%s: %d people come into question, %d lessons planned", on.isoformat(), frame.height, planned)
        campaigns.close_run(tx, run, at=at)
    return run
