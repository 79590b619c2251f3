"""The auditor's checks of the ledger itself, each of which asks whether its own rows bear out what it promises.

Each statement asks over attempts, decisions and runs of a period of business dates. Some promises are kept by constraints and
triggers of the database; they are asked all the same, since a constraint can be dropped. What SQL alone cannot see is in
`BEYOND_SQL`, with what stands in for it.

In:   `:first`, `:last` (business dates), `:live` (whether this is live mode).
Out:  statements; each answers what should not be.
Pure: yes.
Source: ARCHITECTURE.md, "Invariants" and "Attempt state machine", read anew: nothing of ledger/attempts.py or gate/ is used.
"""

from __future__ import annotations

from typing import Final

from ledger.audit_check import Check

# Attempts and decisions of the period.
_A: Final = "a.business_date BETWEEN :first AND :last"
_D: Final = "d.business_date BETWEEN :first AND :last"
_ROW: Final = "a.provider_id, a.party_id, a.id AS attempt_id"
_LEFT: Final = "('accepted', 'sent', 'delivered', 'read', 'replied', 'undelivered', 'failed', 'rejected', 'unknown', 'parked')"
_LIVE: Final = "('planned', 'submitting', 'accepted', 'sent', 'delivered', 'read', 'replied', 'unknown', 'parked')"
# A permit is valid for five seconds.
PERMIT_SECONDS: Final = 5
# What failed because the provider's list did not show it (docs/adr/0012).
NO_RECORD: Final = "no_record"
# What looks like a number or an address has no place in these columns. Our own ids are shorter, or hexadecimal.
_PERSONAL: Final = r"(\+[1-9][0-9]{7,14}|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,})"

# Invariant → what cannot be proved from SQL alone, and what stands in for it.
BEYOND_SQL: Final = {
    "I1": "that the commit came before the call: only the order of our own rows is seen. Stands in: the provider's list, on which every"
    " message has an intention; tests/gate/test_killed_lane.py",
    "I2": "a message that the provider sent and does not list (push has no list). Stands in: the sandbox's record of what phones received",
    "I3": "that every rule was asked, and that the call followed within seconds. Hours and caps are worked out anew, other rules are not"
    " (they are named). Stands in: tests/gate/test_one_implementation.py, and the channel's own refusal of a late permit",
    "I4": "the instant of a commit: `recorded_at` is a moment before it. Stands in: the borrower's lock, the last look before each call"
    " (ledger/calls.py), and tests of the gate",
    "I6": "Prefect's database, logs and files. Stands in: tests/journeys/test_a_real_day.py::test_prefect_knows_no_person",
    "I7": "that a local date was taken from the right zone. Stands in: tests of decisions/aging and decisions/zones",
    "I8": "that a decision replays byte for byte. Stands in: the evidence over decisions, and a sample that the audit makes again",
    "I9": "which clock a program read. Stands in: the permit's clock beside the database's; settings refuse simulated parts in live mode",
    "I11": "an unreadable rule and an unavailable ledger, which leave no rows. Stands in: tests of ledger/law and of the gate",
    "I12": "what an agency before us offered. Stands in: nothing; such contacts do not count as offers",
}

CHECKS: Final = (
    Check(
        name="left_without_an_intention",
        invariant="I1",
        sql=f"""
        SELECT {_ROW}, a.state AS detail FROM attempt a
        WHERE {_A} AND (a.state IN {_LEFT} OR a.provider_id IS NOT NULL) AND NOT EXISTS (
            SELECT 1 FROM attempt_transition t
            WHERE t.business_date = a.business_date AND t.attempt_id = a.id
              AND t.to_state = 'submitting')
        """,
    ),
    Check(
        name="answered_before_the_intention",
        invariant="I1",
        sql=f"""
        SELECT {_ROW}, 'transition ' || t.id AS detail FROM attempt a
        JOIN attempt_transition t ON t.business_date = a.business_date AND t.attempt_id = a.id AND t.to_state IN {_LEFT}
        WHERE {_A} AND t.recorded_at < (
            SELECT min(s.recorded_at) FROM attempt_transition s
            WHERE s.business_date = a.business_date AND s.attempt_id = a.id AND s.to_state = 'submitting')
        """,
    ),
    # Since there are marks, a permit says so. A word about an earlier call of the same attempt needs no mark of its later claim.
    Check(
        name="left_without_a_mark",
        invariant="I1",
        sql=f"""
        SELECT {_ROW}, a.state AS detail FROM attempt a
        WHERE {_A} AND a.state IN {_LEFT} AND a.permit ? 'marks_calls' AND a.called_at IS NULL AND NOT EXISTS (
            SELECT 1 FROM attempt_transition t
            WHERE t.business_date = a.business_date AND t.attempt_id = a.id AND t.from_state = 'submitting' AND t.to_state = 'planned')
        """,
    ),
    Check(
        name="marked_outside_its_permit",
        invariant="I1",
        sql=f"""
        SELECT {_ROW}, NULL AS detail FROM attempt a
        WHERE {_A} AND NOT a.called_at BETWEEN (a.permit ->> 'issued_at')::timestamptz AND a.call_deadline
        """,
    ),
    Check(
        name="idempotency_key_twice",
        invariant="I1",
        sql=f"""
        SELECT NULL AS provider_id, a.party_id, max(a.id) AS attempt_id, count(*)::text AS detail FROM attempt a
        WHERE {_A} GROUP BY a.business_date, a.party_id, a.stage, a.step, a.try_number HAVING count(*) > 1
        """,
    ),
    Check(
        name="provider_id_twice",
        invariant="I1",
        sql=f"""
        SELECT a.provider_id, max(a.party_id) AS party_id, max(a.id) AS attempt_id, count(*)::text AS detail FROM attempt a
        WHERE {_A} AND a.provider_id IS NOT NULL GROUP BY a.provider, a.provider_id HAVING count(*) > 1
        """,
    ),
    Check(
        name="sent_again_though_its_fate_was_unknown",
        invariant="I2",
        sql=f"""
        SELECT {_ROW}, t.from_state || ' to ' || t.to_state AS detail FROM attempt a
        JOIN attempt_transition t ON t.business_date = a.business_date AND t.attempt_id = a.id
        WHERE {_A} AND t.from_state IN ('unknown', 'parked') AND t.to_state IN ('planned', 'submitting')
        """,
    ),
    # Another try of the same borrower, day and stage left while this one's fate was not known. A code that she asks for anew is
    # another code.
    Check(
        name="another_try_though_the_fate_was_unknown",
        invariant="I2",
        sql=f"""
        SELECT {_ROW}, 'attempt ' || b.id AS detail FROM attempt a
        JOIN attempt_transition u ON u.business_date = a.business_date AND u.attempt_id = a.id AND u.to_state = 'unknown'
        JOIN attempt b ON b.business_date = a.business_date AND b.party_id = a.party_id AND b.stage = a.stage AND b.id <> a.id
         AND a.stage <> 'code'
        JOIN attempt_transition s ON s.business_date = b.business_date AND s.attempt_id = b.id AND s.to_state = 'submitting'
        WHERE {_A} AND s.recorded_at > u.recorded_at AND NOT EXISTS (
            SELECT 1 FROM attempt_transition v
            WHERE v.business_date = a.business_date AND v.attempt_id = a.id AND v.from_state IN ('unknown', 'parked')
              AND v.to_state <> 'parked' AND v.details ->> 'error_code' IS DISTINCT FROM '{NO_RECORD}' AND v.recorded_at < s.recorded_at)
        """,
    ),
    Check(
        name="two_live_at_once",
        invariant="I2",
        sql=f"""
        SELECT NULL AS provider_id, a.party_id, max(a.id) AS attempt_id, count(*)::text AS detail FROM attempt a
        WHERE {_A} AND a.state IN {_LIVE} AND a.stage <> 'code' GROUP BY a.business_date, a.party_id, a.stage HAVING count(*) > 1
        """,
    ),
    Check(
        name="moves_do_not_follow",
        invariant="I2",
        sql=f"""
        SELECT {_ROW}, 'transition ' || t.id AS detail FROM attempt a
        JOIN LATERAL (
            SELECT x.id, x.from_state, lag(x.to_state, 1, 'planned') OVER (ORDER BY x.id) AS stood
            FROM attempt_transition x WHERE x.business_date = a.business_date AND x.attempt_id = a.id) t
          ON t.from_state IS DISTINCT FROM t.stood
        WHERE {_A}
        """,
    ),
    Check(
        name="state_is_not_the_last_move",
        invariant="I2",
        sql=f"""
        SELECT {_ROW}, a.state AS detail FROM attempt a
        WHERE {_A} AND a.state <> coalesce((
            SELECT t.to_state FROM attempt_transition t
            WHERE t.business_date = a.business_date AND t.attempt_id = a.id ORDER BY t.id DESC LIMIT 1), 'planned')
        """,
    ),
    # Whoever made the call is gone, and nobody has asked what became of it: reconcile does within minutes.
    Check(
        name="submitting_and_forgotten",
        invariant="I2",
        sql=f"""
        SELECT {_ROW}, NULL AS detail FROM attempt a
        WHERE {_A} AND a.state = 'submitting' AND a.call_deadline < clock_timestamp() - interval '1 day'
        """,
    ),
    Check(
        name="permit_is_not_whole",
        invariant="I3",
        sql=f"""
        SELECT {_ROW}, NULL AS detail FROM attempt a
        WHERE {_A} AND (a.state = 'submitting' OR a.state IN {_LEFT}) AND (
            a.permit IS NULL OR NOT a.permit ?& ARRAY['rules', 'packs', 'zones', 'clock', 'text', 'issued_at']
            OR jsonb_array_length(a.permit -> 'rules') = 0 OR jsonb_array_length(a.permit -> 'zones') = 0
            OR NOT (a.permit -> 'packs') ? 'house' OR a.text_hash IS NULL)
        """,
    ),
    Check(
        name="permit_of_another_instant",
        invariant="I3",
        sql=f"""
        SELECT {_ROW}, NULL AS detail FROM attempt a
        WHERE {_A} AND (a.state = 'submitting' OR a.state IN {_LEFT}) AND a.permit ? 'issued_at' AND (
            (a.permit ->> 'clock')::timestamptz IS DISTINCT FROM a.submitted_at
            OR a.call_deadline > (a.permit ->> 'issued_at')::timestamptz + interval '{PERMIT_SECONDS} seconds'
            OR NOT EXISTS (
                SELECT 1 FROM attempt_transition t
                WHERE t.business_date = a.business_date AND t.attempt_id = a.id AND t.to_state = 'submitting'
                  AND t.recorded_at BETWEEN (a.permit ->> 'issued_at')::timestamptz AND a.call_deadline))
        """,
    ),
    Check(
        name="permit_of_a_version_that_nobody_kept",
        invariant="I3",
        sql=f"""
        SELECT {_ROW}, p.key AS detail FROM attempt a CROSS JOIN LATERAL jsonb_each_text(a.permit -> 'packs') p
        WHERE {_A} AND a.permit IS NOT NULL AND NOT EXISTS (SELECT 1 FROM policy_version v WHERE v.kind = 'rules' AND v.hash = p.value)
        """,
    ),
    Check(
        name="left_and_not_counted",
        invariant="I5",
        sql=f"""
        SELECT {_ROW}, a.state AS detail FROM attempt a
        WHERE {_A} AND (a.state IN ('submitting', 'accepted', 'sent', 'delivered', 'read', 'replied', 'unknown', 'parked')
                        OR a.state = 'failed' AND a.error_code = '{NO_RECORD}') AND NOT EXISTS (
            SELECT 1 FROM contact_event c
            WHERE c.attempt_business_date = a.business_date AND c.attempt_id = a.id AND c.counts AND NOT EXISTS (
                SELECT 1 FROM contact_event u WHERE u.party_id = c.party_id AND u.about_event_id = c.id AND u.uncounts))
        """,
    ),
    Check(
        name="personal_in_the_clear",
        invariant="I6",
        sql=f"""
        SELECT NULL AS provider_id, NULL::bigint AS party_id, found.attempt_id, found.place AS detail FROM (
            SELECT t.attempt_id, 'attempt_transition.cause' AS place, t.cause AS said FROM attempt_transition t
            WHERE t.business_date BETWEEN :first AND :last
            UNION ALL SELECT NULL, 'provider_event.effect', effect FROM provider_event
            UNION ALL SELECT NULL, 'pause.reason', reason FROM pause
            UNION ALL SELECT NULL, 'reason_set', array_to_string(reasons, ' ') FROM reason_set
            UNION ALL SELECT a.id, 'attempt.permit', a.permit::text FROM attempt a WHERE {_A}
            UNION ALL SELECT a.id, 'attempt.error_code', a.error_code FROM attempt a WHERE {_A}) found
        WHERE found.said ~ '{_PERSONAL}'
        """,
    ),
    Check(
        name="personal_not_under_lock",
        invariant="I6",
        sql="""
        SELECT NULL AS provider_id, p.party_id, NULL::bigint AS attempt_id, 'contact_point_version ' || v.id AS detail
        FROM contact_point_version v JOIN contact_point p ON p.id = v.contact_point_id
        WHERE octet_length(v.value_encrypted) < 28 OR octet_length(v.blind_index) <> 16 OR v.key_id = ''
        """,
    ),
    Check(
        name="money_is_not_whole",
        invariant="I7",
        sql="""
        SELECT NULL AS provider_id, NULL::bigint AS party_id, NULL::bigint AS attempt_id, table_name || '.' || column_name AS detail
        FROM information_schema.columns
        WHERE table_schema = 'public' AND column_name LIKE '%\\_minor' AND data_type NOT IN ('bigint', 'integer')
        """,
    ),
    Check(
        name="an_instant_without_a_zone",
        invariant="I7",
        sql="""
        SELECT NULL AS provider_id, NULL::bigint AS party_id, NULL::bigint AS attempt_id, table_name || '.' || column_name AS detail
        FROM information_schema.columns
        WHERE table_schema = 'public' AND data_type = 'timestamp without time zone'
        """,
    ),
    Check(
        name="an_amount_without_its_currency",
        invariant="I7",
        sql="""
        SELECT NULL AS provider_id, NULL::bigint AS party_id, NULL::bigint AS attempt_id, found.place AS detail FROM (
            SELECT 'loan_version ' || id AS place, currency FROM loan_version
            UNION ALL SELECT 'promise ' || id, currency FROM promise WHERE amount_minor IS NOT NULL
            UNION ALL SELECT 'outcome ' || id, currency FROM outcome WHERE amount_minor IS NOT NULL) found
        WHERE found.currency IS NULL OR found.currency !~ '^[A-Z]{3}$'
        """,
    ),
    Check(
        name="a_contact_of_another_date",
        invariant="I7",
        sql="""
        SELECT NULL AS provider_id, c.party_id, c.attempt_id, 'contact_event ' || c.id AS detail FROM contact_event c
        WHERE c.attempt_business_date BETWEEN :first AND :last AND c.source = 'gate' AND c.business_date <> c.attempt_business_date
        """,
    ),
    Check(
        name="a_policy_that_nobody_kept",
        invariant="I8",
        sql="""
        SELECT NULL AS provider_id, NULL::bigint AS party_id, NULL::bigint AS attempt_id, 'run ' || r.id || ' ' || p.key AS detail
        FROM campaign_run r CROSS JOIN LATERAL jsonb_each_text(r.policy_hashes) p
        LEFT JOIN policy_version v ON v.hash = p.value
        WHERE r.business_date BETWEEN :first AND :last
          AND (v.hash IS NULL OR encode(sha256(convert_to(v.body, 'UTF8')), 'hex') <> v.hash)
        """,
    ),
    Check(
        name="another_offer_in_the_same_circumstances",
        invariant="I8",
        sql="""
        SELECT b.party_id, NULL::bigint AS attempt_id, NULL::text AS provider_id, 'plan offers ' || a.id || ' and ' || b.id AS detail
        FROM plan_offer a
        JOIN plan_offer b ON b.rule_hash = a.rule_hash AND b.circumstances_digest = a.circumstances_digest AND b.id > a.id
         AND b.offer_digest <> a.offer_digest
        WHERE b.at >= CAST(:first AS date) AND b.at < CAST(:last AS date) + 2
        """,
    ),
    Check(
        name="a_decision_that_knew_the_future",
        invariant="I8",
        sql=f"""
        SELECT NULL AS provider_id, d.party_id, NULL::bigint AS attempt_id, 'decision ' || d.id AS detail FROM decision d
        JOIN evidence_batch b ON b.campaign_run_id = d.campaign_run_id AND b.kind = 'decisions' AND b.shard = d.shard
        WHERE {_D} AND d.facts_known_at > b.recorded_at
        """,
    ),
    Check(
        name="a_run_without_its_seed",
        invariant="I8",
        sql="""
        SELECT NULL AS provider_id, NULL::bigint AS party_id, NULL::bigint AS attempt_id, 'run ' || r.id AS detail
        FROM campaign_run r WHERE r.business_date BETWEEN :first AND :last AND r.seed = ''
        """,
    ),
    Check(
        name="a_simulated_clock_in_live_mode",
        invariant="I9",
        sql="""
        SELECT NULL AS provider_id, NULL::bigint AS party_id, NULL::bigint AS attempt_id, NULL AS detail FROM sandbox_clock WHERE :live
        """,
    ),
    Check(
        name="a_permit_of_another_clock_in_live_mode",
        invariant="I9",
        sql=f"""
        SELECT {_ROW}, NULL AS detail FROM attempt a
        WHERE {_A} AND :live AND a.permit ? 'issued_at'
          AND abs(extract(epoch FROM (a.permit ->> 'clock')::timestamptz - (a.permit ->> 'issued_at')::timestamptz)) > 60
        """,
    ),
    Check(
        name="a_decision_without_its_probability",
        invariant="I10",
        sql=f"""
        SELECT NULL AS provider_id, d.party_id, NULL::bigint AS attempt_id, 'decision ' || d.id AS detail FROM decision d
        WHERE {_D} AND (d.probability IS NULL OR NOT (d.probability > 0 AND d.probability <= 1))
        """,
    ),
    # The odds of all arms make one, and one of them is the odds of the arm that was chosen.
    Check(
        name="odds_that_do_not_fit",
        invariant="I10",
        sql=f"""
        SELECT NULL AS provider_id, d.party_id, NULL::bigint AS attempt_id, 'decision ' || d.id AS detail FROM decision d
        CROSS JOIN LATERAL (
            SELECT sum(p.value::numeric) AS total, bool_or(abs(p.value::float8 - d.probability) < 1e-9) AS chosen
            FROM jsonb_each_text(d.propensities) p) odds
        WHERE {_D} AND jsonb_typeof(d.propensities) = 'object' AND (abs(odds.total - 1) > 0.000001 OR NOT odds.chosen)
        """,
    ),
    Check(
        name="left_in_peace_without_a_reason",
        invariant="I11",
        sql=f"""
        SELECT NULL AS provider_id, d.party_id, NULL::bigint AS attempt_id, 'decision ' || d.id AS detail FROM decision d
        LEFT JOIN reason_set r ON r.id = d.reason_set_id
        WHERE {_D} AND d.action = 'no_contact' AND coalesce(cardinality(r.reasons), 0) = 0
        """,
    ),
    Check(
        name="withheld_without_a_reason",
        invariant="I11",
        sql=f"""
        SELECT {_ROW}, NULL AS detail FROM attempt a
        WHERE {_A} AND a.state = 'withheld' AND coalesce(jsonb_array_length(a.permit -> 'blocked_by'), 0) = 0
        """,
    ),
    # A run that people were asked about, or had to be, sends on their yes alone. What went out before they were asked is not asked for it.
    Check(
        name="sent_without_the_yes_that_it_needed",
        invariant="I11",
        sql=f"""
        SELECT {_ROW}, 'run ' || r.id AS detail
        FROM attempt a
        JOIN campaign_run r ON r.id = a.campaign_run_id AND r.approval_above IS NOT NULL
        JOIN (SELECT campaign_run_id, sum(planned) AS contacts FROM campaign_shard GROUP BY campaign_run_id) s ON s.campaign_run_id = r.id
        WHERE {_A} AND (a.state = 'submitting' OR a.state IN {_LEFT})
          AND CASE WHEN r.approval_asked_at IS NULL THEN s.contacts > r.approval_above
                   ELSE CAST(a.permit ->> 'issued_at' AS timestamptz) >= r.approval_asked_at END
          AND NOT EXISTS (
            SELECT 1 FROM approval o
            WHERE o.subject_kind = 'campaign run' AND o.subject_hash = a.permit ->> 'approval' AND o.verdict = 'approved'
              AND o.at <= a.submitted_at)
        """,
    ),
    # In live mode only what two people approved by its hash may let a contact pass.
    Check(
        name="sent_under_an_unapproved_pack",
        invariant="I11",
        sql=f"""
        SELECT {_ROW}, p.key AS detail FROM attempt a CROSS JOIN LATERAL jsonb_each_text(a.permit -> 'packs') p
        WHERE {_A} AND :live AND (a.state = 'submitting' OR a.state IN {_LEFT}) AND NOT EXISTS (
            SELECT 1 FROM approval o
            WHERE o.subject_hash = p.value AND o.verdict = 'approved' AND o.at <= a.submitted_at
              AND (o.until IS NULL OR o.until > a.submitted_at))
        """,
    ),
)

# What is open at the end of the period: not a violation, and told.
OPEN: Final = f"""
    SELECT count(*) FILTER (WHERE a.state = 'unknown' OR (a.state = 'submitting' AND a.call_deadline < clock_timestamp())) AS unknown,
           count(*) FILTER (WHERE a.state = 'parked') AS parked
    FROM attempt a WHERE {_A}
"""
# What we call sent and the provider, asked for everything of the period, does not list. One that it has only taken waits in its
# queue, and is on no list by date yet.
NOT_LISTED: Final = f"""
    SELECT {_ROW}, a.state AS detail FROM attempt a
    WHERE {_A} AND a.channel = :channel AND a.state IN ('sent', 'delivered', 'read', 'replied') AND NOT EXISTS (
        SELECT 1 FROM heard h WHERE h.channel = a.channel AND h.provider_id = a.provider_id)
"""
