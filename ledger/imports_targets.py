"""Where each kind of imported row goes: its staging columns, how it finds its parents, its key, and what is compared.

In:   nothing; values only.
Out:  `TARGETS`, which ledger/imports.py turns into set-based statements.
Pure: yes.

A `source` is the tail of a SELECT over the staging table `s`. It must give the columns of `key`, `values` and `extra`, and
`problem`: null, or {field, value, reason} of a row that cannot be written. Placeholders: {creditor} its id, {now} the
business instant, {name} the source's name, all written by the program itself.
"""

# ruff: noqa: S608  # these are the constants of which ledger/imports.py builds its statements

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

KIND_MONEY: Final = ("loans", "instalments", "payments", "allocations", "delinquency_snapshots", "wallet_flows")
# Every staging table begins with these: which part of the import, which line of its file.
STAGE_FIRST: Final = "part integer NOT NULL, line bigint NOT NULL"
MONEY_STAGE: Final = ", currency text, raw_amount bigint, in_minor boolean NOT NULL"
NO_MONEY: Final = "NULL::text AS currency, NULL::bigint AS unit, NULL::bigint AS raw_amount, false AS in_minor"
# What is staged is the label; who has the key is known once there is a party (ledger/import_keys.py).
KEY_ID: Final = "'person-' || r.party_id || '-' || r.key_id"
MONEY: Final = "s.raw_amount, s.in_minor, cu.unit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One kind of row.

    Attributes:
        table: Where its versions stand.
        stage: Columns of the staging table, in order, with types.
        source: See the module's docstring.
        partition: Rows of one import with the same of these are about the same thing.
        key: Columns by which a row finds its version in force.
        values: Columns that are compared: a difference is a changed row.
        extra: Columns that are written but not compared → expression over the result `r`.
        key_field: Field that a complaint about the key names.
        nullable: Columns of the key that may be null, and then match each other.
        joined: What `extra` reads beside the result.
        shared: Other parts of the program write such facts too: a row that says what it said in the former import
            changes nothing, whatever became of it here since.
        written_minor: Money of a written row `t`, in minor units.
        currency: Of a written row `t`; None = that of its loan.
    """

    table: str
    stage: str
    source: str
    partition: tuple[str, ...]
    key: tuple[str, ...]
    values: tuple[str, ...]
    key_field: str
    nullable: frozenset[str] = frozenset()
    extra: dict[str, str] = field(default_factory=dict)
    joined: str = ""
    shared: bool = False
    written_minor: str | None = None
    currency: str | None = None


def minor(column: str) -> str:
    """Minor units of a staged amount; null where the currency has fewer decimals than the amount."""
    return f"CASE WHEN s.in_minor THEN s.{column} WHEN s.{column} % cu.unit = 0 THEN s.{column} / cu.unit END"


def _inexact(*columns: str) -> str:
    """Branches of a CASE that complain about amounts with too many decimals."""
    return " ".join(
        f"WHEN NOT s.in_minor AND s.{column} % cu.unit <> 0 "
        f"THEN ARRAY['{column}', trim_scale(s.{column}::numeric / 10000)::text, 'more decimals than ' || cu.code || ' has']"
        for column in columns
    )


_PARTY: Final = "LEFT JOIN party p ON p.creditor_id = {creditor} AND p.external_id = s.party"
_NO_PARTY: Final = "WHEN p.id IS NULL THEN ARRAY['party', s.party, 'unknown party']"
_LOAN: Final = (
    "LEFT JOIN loan l ON l.creditor_id = {creditor} AND l.external_id = s.loan "
    "LEFT JOIN loan_version lv ON lv.loan_id = l.id AND lv.superseded_at IS NULL "
    "LEFT JOIN import_currency cu ON cu.code = lv.currency"
)
_NO_LOAN: Final = (
    "WHEN lv.id IS NULL THEN ARRAY['loan', s.loan, 'unknown loan'] "
    "WHEN s.currency <> lv.currency THEN ARRAY['currency', s.currency, 'not the currency of its loan']"
)
_POINT: Final = "LEFT JOIN contact_point cp ON cp.party_id = p.id AND cp.external_id = s.contact_point"
_NO_POINT: Final = (
    "WHEN s.contact_point IS NOT NULL AND cp.id IS NULL THEN ARRAY['contact_point', s.contact_point, 'unknown contact point']"
)

TARGETS: Final[dict[str, Target]] = {
    "parties": Target(
        table="party_version",
        stage="external_id text, digest bytea, name_encrypted bytea, key_id text, locale text, country text, region text, "
        "postal_code text, known_zone text, facts text[], effective_at timestamptz",
        source=f"p.id AS party_id, s.external_id, s.digest, s.name_encrypted, s.key_id, s.locale, s.country, s.region, s.postal_code, "
        f"s.known_zone, s.facts, coalesce(s.effective_at, {{now}}) AS effective_at, s.external_id AS key_text, {NO_MONEY}, "
        "NULL::text[] AS problem FROM stage_parties s LEFT JOIN party p ON p.creditor_id = {creditor} AND p.external_id = s.external_id",
        partition=("external_id",),
        key=("party_id",),
        values=("digest", "locale", "country", "region", "postal_code", "known_zone", "facts"),
        extra={
            "name_encrypted": "r.name_encrypted",
            "key_id": KEY_ID,
            "zones": "coalesce(z.zones, '{}')",
        },
        joined="LEFT JOIN import_zones z ON z.party_id = r.party_id",
        key_field="external_id",
        shared=True,
    ),
    "loans": Target(
        table="loan_version",
        stage="external_id text, product text, account text, principal bigint, apr_basis_points integer, jurisdiction text, "
        "opened_on date, bucket_scheme text, allocation_order text[], grace_days integer, status text, servicing_status text, "
        "disputed bigint, charged_off boolean, time_barred boolean, effective_at timestamptz" + MONEY_STAGE,
        source=f"l.id AS loan_id, s.external_id, s.product, s.account, s.currency, {minor('principal')} AS principal_minor, "
        "s.apr_basis_points, s.jurisdiction, s.opened_on, s.bucket_scheme, s.allocation_order, s.grace_days, s.status, s.servicing_status, "
        f"{minor('disputed')} AS disputed_minor, s.charged_off, s.time_barred, coalesce(s.effective_at, {{now}}) AS effective_at, "
        f"s.external_id AS key_text, {MONEY}, CASE {_inexact('principal', 'disputed')} "
        "WHEN v.currency <> s.currency THEN ARRAY['currency', s.currency, 'the loan was in another currency before'] END AS problem "
        "FROM stage_loans s LEFT JOIN import_currency cu ON cu.code = s.currency "
        "LEFT JOIN loan l ON l.creditor_id = {creditor} AND l.external_id = s.external_id "
        "LEFT JOIN loan_version v ON v.loan_id = l.id AND v.superseded_at IS NULL",
        partition=("external_id",),
        key=("loan_id",),
        values=(
            "product", "account", "currency", "principal_minor", "apr_basis_points", "jurisdiction", "opened_on", "bucket_scheme",
            "allocation_order", "grace_days", "status", "servicing_status", "disputed_minor", "charged_off", "time_barred",
        ),
        extra={"digest": "decode(md5(ROW(r.currency, r.principal_minor, r.status, r.servicing_status, r.disputed_minor)::text), 'hex')"},
        key_field="external_id",
        written_minor="t.principal_minor",
    ),
    "loan_parties": Target(
        table="loan_party",
        stage="loan text, party text, role text, starts_on date, ends_on date, effective_at timestamptz",
        source="l.id AS loan_id, p.id AS party_id, s.role, s.starts_on, s.ends_on, coalesce(s.effective_at, {now}) AS effective_at, "
        f"concat_ws(' / ', s.loan, s.party, s.role) AS key_text, {NO_MONEY}, "
        f"CASE WHEN l.id IS NULL THEN ARRAY['loan', s.loan, 'unknown loan'] {_NO_PARTY} END AS problem "
        "FROM stage_loan_parties s LEFT JOIN loan l ON l.creditor_id = {creditor} AND l.external_id = s.loan " + _PARTY,
        partition=("loan_id", "party_id", "role"),
        key=("loan_id", "party_id", "role"),
        values=("starts_on", "ends_on"),
        key_field="loan",
    ),
    "instalments": Target(
        table="instalment",
        stage="loan text, number integer, due_on date, principal bigint, interest bigint, fee bigint, penalty bigint, "
        "effective_at timestamptz" + MONEY_STAGE,
        source=f"l.id AS loan_id, s.number, s.due_on, {minor('principal')} AS principal_minor, {minor('interest')} AS interest_minor, "
        f"{minor('fee')} AS fee_minor, {minor('penalty')} AS penalty_minor, coalesce(s.effective_at, {{now}}) AS effective_at, "
        f"concat_ws(' / ', s.loan, s.number) AS key_text, lv.currency, {MONEY}, "
        f"CASE {_NO_LOAN} {_inexact('principal', 'interest', 'fee', 'penalty')} END AS problem FROM stage_instalments s {_LOAN}",
        partition=("loan_id", "number"),
        key=("loan_id", "number"),
        values=("due_on", "principal_minor", "interest_minor", "fee_minor", "penalty_minor"),
        key_field="number",
        written_minor="t.principal_minor + t.interest_minor + t.fee_minor + t.penalty_minor",
    ),
    "payments": Target(
        table="payment",
        stage="loan text, external_id text, amount bigint, state text, paid_on date, paid_at timestamptz, rail text, "
        "reverses text, reversal_reason text, effective_at timestamptz" + MONEY_STAGE,
        source=f"l.id AS loan_id, s.external_id, s.state, {minor('amount')} AS amount_minor, s.paid_on, s.paid_at, s.rail, "
        "s.reverses AS reverses_external_id, s.reversal_reason, true AS booked, "
        "coalesce(s.effective_at, s.paid_at, s.paid_on::timestamp AT TIME ZONE 'UTC') AS effective_at, "
        f"concat_ws(' / ', s.loan, s.external_id) AS key_text, lv.currency, {MONEY}, "
        f"CASE {_NO_LOAN} {_inexact('amount')} END AS problem FROM stage_payments s {_LOAN}",
        partition=("loan_id", "external_id"),
        key=("loan_id", "external_id"),
        # `booked`: what the wallet told of before is in the books now, whatever else is the same (docs/adr/0045).
        values=("state", "amount_minor", "paid_on", "paid_at", "rail", "reverses_external_id", "reversal_reason", "booked"),
        key_field="external_id",
        written_minor="t.amount_minor",
    ),
    "allocations": Target(
        table="allocation",
        stage="loan text, payment text, instalment integer, component text, amount bigint, effective_at timestamptz" + MONEY_STAGE,
        source=f"l.id AS loan_id, s.payment AS payment_external_id, s.instalment AS instalment_number, s.component, "
        f"{minor('amount')} AS amount_minor, coalesce(s.effective_at, {{now}}) AS effective_at, "
        f"concat_ws(' / ', s.loan, s.payment, s.instalment, s.component) AS key_text, lv.currency, {MONEY}, "
        f"CASE {_NO_LOAN} {_inexact('amount')} WHEN pay.id IS NULL THEN ARRAY['payment', s.payment, 'its loan has no such payment'] "
        "WHEN i.id IS NULL THEN ARRAY['instalment', s.instalment::text, 'its loan has no such instalment'] END AS problem "
        f"FROM stage_allocations s {_LOAN} "
        "LEFT JOIN payment pay ON pay.loan_id = l.id AND pay.external_id = s.payment AND pay.superseded_at IS NULL "
        "LEFT JOIN instalment i ON i.loan_id = l.id AND i.number = s.instalment AND i.superseded_at IS NULL",
        partition=("loan_id", "payment_external_id", "instalment_number", "component"),
        key=("loan_id", "payment_external_id", "instalment_number", "component"),
        values=("amount_minor",),
        key_field="payment",
        written_minor="t.amount_minor",
    ),
    "delinquency_snapshots": Target(
        table="delinquency_snapshot",
        stage="loan text, as_of date, months_past_due integer, status_code text, balance bigint" + MONEY_STAGE,
        source=f"l.id AS loan_id, s.as_of, s.months_past_due, s.status_code, {minor('balance')} AS balance_minor, "
        "s.as_of::timestamp AT TIME ZONE 'UTC' AS effective_at, "
        f"concat_ws(' / ', s.loan, s.as_of) AS key_text, lv.currency, {MONEY}, "
        f"CASE {_NO_LOAN} {_inexact('balance')} END AS problem FROM stage_delinquency_snapshots s {_LOAN}",
        partition=("loan_id", "as_of"),
        key=("loan_id", "as_of"),
        values=("months_past_due", "status_code", "balance_minor"),
        key_field="as_of",
        written_minor="t.balance_minor",
    ),
    "wallet_flows": Target(
        table="wallet_flow",
        stage="party text, day date, kind text, amount bigint, effective_at timestamptz" + MONEY_STAGE,
        source=f"p.id AS party_id, s.day AS moved_on, s.kind, s.currency, {minor('amount')} AS amount_minor, "
        "coalesce(s.effective_at, s.day::timestamp AT TIME ZONE 'UTC') AS effective_at, "
        f"concat_ws(' / ', s.party, s.day, s.kind) AS key_text, {MONEY}, "
        f"CASE {_NO_PARTY} {_inexact('amount')} END AS problem "
        f"FROM stage_wallet_flows s {_PARTY} LEFT JOIN import_currency cu ON cu.code = s.currency",
        partition=("party_id", "moved_on", "kind", "currency"),
        key=("party_id", "moved_on", "kind", "currency"),
        values=("amount_minor",),
        key_field="party",
        written_minor="t.amount_minor",
        currency="t.currency",
    ),
    "contact_points": Target(
        table="contact_point_version",
        stage="party text, external_id text, kind text, blind_index bytea, value_encrypted bytea, key_id text, country text, "
        "zones text[], owner text, employer_owned boolean, verified_on date, status text, effective_at timestamptz",
        source="p.id AS party_id, s.external_id, s.kind, cp.id AS contact_point_id, s.blind_index, s.value_encrypted, s.key_id, s.country, "
        "s.zones, s.owner, s.employer_owned, s.verified_on, s.status, coalesce(s.effective_at, {now}) AS effective_at, "
        f"concat_ws(' / ', s.party, s.external_id) AS key_text, {NO_MONEY}, "
        f"CASE {_NO_PARTY} WHEN cp.kind <> s.kind THEN ARRAY['kind', s.kind, 'was of another kind before'] END AS problem "
        f"FROM stage_contact_points s {_PARTY} LEFT JOIN contact_point cp ON cp.party_id = p.id AND cp.external_id = s.external_id",
        partition=("party_id", "external_id"),
        key=("contact_point_id",),
        values=("blind_index", "country", "zones", "owner", "employer_owned", "verified_on", "status"),
        extra={
            "value_encrypted": "r.value_encrypted",
            "key_id": KEY_ID,
            "digest": "r.blind_index",
        },
        key_field="external_id",
        shared=True,
    ),
    "consents": Target(
        table="consent",
        stage="party text, channel text, given_to text, at timestamptz, until timestamptz, withdrawn_at timestamptz",
        source="p.id AS party_id, s.channel, s.given_to, coalesce(s.at, known.at, {now}) AS at, s.until, s.withdrawn_at, "
        "coalesce(s.at, {now}) AS effective_at, "
        f"concat_ws(' / ', s.party, s.channel, s.given_to) AS key_text, {NO_MONEY}, CASE {_NO_PARTY} END AS problem "
        f"FROM stage_consents s {_PARTY} LEFT JOIN (SELECT party_id, channel, given_to, max(at) AS at FROM consent "
        "WHERE source = {name} GROUP BY party_id, channel, given_to) known ON known.party_id = p.id "
        "AND known.channel = s.channel AND known.given_to = s.given_to",
        partition=("party_id", "channel", "given_to", "at"),
        key=("party_id", "channel", "given_to", "at"),
        values=("until", "withdrawn_at"),
        key_field="party",
        shared=True,
    ),
    "opt_outs": Target(
        table="opt_out",
        stage="party text, channel text, contact_point text, at timestamptz, until timestamptz",
        source="p.id AS party_id, s.channel, cp.id AS contact_point_id, coalesce(s.at, known.at, {now}) AS at, s.until, "
        "coalesce(s.at, {now}) AS effective_at, "
        f"concat_ws(' / ', s.party, s.channel, s.contact_point) AS key_text, {NO_MONEY}, CASE {_NO_PARTY} {_NO_POINT} END AS problem "
        f"FROM stage_opt_outs s {_PARTY} {_POINT} LEFT JOIN (SELECT party_id, channel, contact_point_id, max(at) AS at FROM opt_out "
        "WHERE source = {name} GROUP BY party_id, channel, contact_point_id) known ON known.party_id = p.id AND known.channel = s.channel "
        "AND known.contact_point_id IS NOT DISTINCT FROM cp.id",
        partition=("party_id", "channel", "contact_point_id", "at"),
        key=("party_id", "channel", "contact_point_id", "at"),
        nullable=frozenset({"contact_point_id"}),
        values=("until",),
        key_field="party",
        shared=True,
    ),
    "holds": Target(
        table="hold",
        stage="party text, loan text, all_liable boolean, kind text, channel text, purpose text, starts_at timestamptz, until timestamptz",
        source="p.id AS party_id, l.id AS loan_id, s.all_liable, s.kind, s.channel, s.purpose, "
        "coalesce(s.starts_at, known.at, {now}) AS starts_at, s.until, coalesce(s.starts_at, {now}) AS effective_at, "
        f"concat_ws(' / ', s.party, s.loan, s.kind) AS key_text, {NO_MONEY}, CASE {_NO_PARTY} "
        "WHEN s.loan IS NOT NULL AND l.id IS NULL THEN ARRAY['loan', s.loan, 'unknown loan'] END AS problem "
        f"FROM stage_holds s {_PARTY} LEFT JOIN loan l ON l.creditor_id = {{creditor}} AND l.external_id = s.loan "
        "LEFT JOIN (SELECT party_id, kind, loan_id, channel, purpose, max(starts_at) AS at FROM hold WHERE source = {name} "
        "GROUP BY party_id, kind, loan_id, channel, purpose) known ON known.party_id = p.id AND known.kind = s.kind "
        "AND known.loan_id IS NOT DISTINCT FROM l.id AND known.channel IS NOT DISTINCT FROM s.channel "
        "AND known.purpose IS NOT DISTINCT FROM s.purpose",
        partition=("party_id", "loan_id", "kind", "channel", "purpose", "starts_at"),
        key=("party_id", "loan_id", "kind", "channel", "purpose", "starts_at"),
        nullable=frozenset({"loan_id", "channel", "purpose"}),
        values=("all_liable", "until"),
        key_field="party",
        shared=True,
    ),
    "wishes": Target(
        table="wish",
        stage="party text, kind text, days text[], opens text, closes text, place text, channels text[], starts_at timestamptz, "
        "until timestamptz, form text",
        source="p.id AS party_id, s.kind, s.days, s.opens, s.closes, s.place, s.channels, "
        "coalesce(s.starts_at, known.at, {now}) AS starts_at, s.until, s.form, coalesce(s.starts_at, {now}) AS effective_at, "
        f"concat_ws(' / ', s.party, s.kind) AS key_text, {NO_MONEY}, CASE {_NO_PARTY} END AS problem "
        f"FROM stage_wishes s {_PARTY} LEFT JOIN (SELECT party_id, kind, days, opens, closes, place, channels, "
        "max(starts_at) AS at FROM wish "
        "WHERE source = {name} GROUP BY party_id, kind, days, opens, closes, place, channels) known "
        "ON known.party_id = p.id AND known.kind = s.kind AND known.days = s.days AND known.opens IS NOT DISTINCT FROM s.opens "
        "AND known.closes IS NOT DISTINCT FROM s.closes AND known.place IS NOT DISTINCT FROM s.place AND known.channels = s.channels",
        partition=("party_id", "kind", "days", "opens", "closes", "place", "channels", "starts_at"),
        key=("party_id", "kind", "days", "opens", "closes", "place", "channels", "starts_at"),
        nullable=frozenset({"opens", "closes", "place"}),
        values=("until", "form"),
        key_field="party",
        shared=True,
    ),
    "contacts": Target(
        table="contact_event",
        stage="external_id text, party text, at timestamptz, channel text, direction text, loans text[], contact_point text, "
        "counterparty text, purpose text, result text, counts boolean, jurisdiction text",
        source="p.id AS party_id, s.external_id, s.at, (s.at AT TIME ZONE 'UTC')::date AS business_date, s.channel, s.direction, "
        "array(SELECT l.id FROM loan l WHERE l.creditor_id = {creditor} AND l.external_id = ANY(s.loans) ORDER BY l.id) AS loans, "
        "cp.id AS contact_point_id, s.counterparty, s.purpose, s.result, s.counts, s.jurisdiction, s.at AS effective_at, "
        f"s.external_id AS key_text, {NO_MONEY}, CASE {_NO_PARTY} {_NO_POINT} "
        "WHEN cardinality(s.loans) > (SELECT count(*) FROM loan l WHERE l.creditor_id = {creditor} AND l.external_id = ANY(s.loans)) "
        "THEN ARRAY['loans', array_to_string(s.loans, ';'), 'unknown loan'] END AS problem "
        f"FROM stage_contacts s {_PARTY} {_POINT}",
        partition=("external_id",),
        key=("external_id",),
        values=(
            "party_id", "at", "channel", "direction", "loans", "contact_point_id", "counterparty", "purpose", "result", "counts",
            "jurisdiction",
        ),
        key_field="external_id",
    ),
    "fairness_attributes": Target(
        table="fairness_attribute",
        stage="party text, attribute text, value text, effective_at timestamptz",
        source="p.id AS party_id, s.attribute, s.value, coalesce(s.effective_at, {now}) AS effective_at, "
        f"concat_ws(' / ', s.party, s.attribute) AS key_text, {NO_MONEY}, CASE {_NO_PARTY} END AS problem "
        f"FROM stage_fairness_attributes s {_PARTY}",
        partition=("party_id", "attribute"),
        key=("party_id", "attribute"),
        values=("value",),
        key_field="party",
    ),
}  # fmt: skip
