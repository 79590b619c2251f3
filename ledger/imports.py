"""Writing an imported portfolio: typed rows go to staging tables by COPY, and set-based statements make versions of them.

In:   one open transaction; frames as decisions/portfolio.py makes them.
Out:  identities and versions; what became of each row: new, changed, same, rejected; money by currency.
Pure: no. Everything happens in the caller's transaction: an import that fails has written nothing.

The way of a row: `stage` (COPY, in a thread of its own: the caller reads on meanwhile) → `write`: identities of parties,
loans and contact points → for each kind a table of results, which resolves the parents, finds rows that contradict each
other and compares with the version in force → the old versions get `superseded_at`, the new ones are inserted. Staging and
result tables are temporary and end with the transaction. What a source said last is remembered by its rows: a row that
says the same again changes nothing, even where we ourselves changed the fact since (a number that was retired, a hold that
was lifted). What was taken back was never said (ledger/withdrawals.py).
"""

# ruff: noqa: S608  # statements are built from the constants of imports_targets.py; what files hold never is part of one

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, Final, Self

import polars as pl
from psycopg import sql
from sqlalchemy import Connection, text

from config.import_mapping import CreditorForm, ImportMapping
from decisions.money import currencies, minor_units
from decisions.portfolio_columns import AMOUNT_DECIMALS
from decisions.zones import ZoneTables, place_zones
from ledger import clock, erasures
from ledger.import_keys import ImportKeys
from ledger.imports_targets import KIND_MONEY, STAGE_FIRST, TARGETS, Target
from ledger.locks import lock_borrowers
from ledger.placements import recall_held

FETCH_ROWS: Final = 10_000
ANALYZE_ROWS_MIN: Final = 1_000
# Rows that ANALYZE looks at are 300 times this.
SAMPLE_TARGET: Final = 10
UNKNOWN_CURRENCY: Final = "unknown"


class ReconciliationError(RuntimeError):
    """What was read is not what was written and rejected: a bug. The import was taken back."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that could not be written. `value` is for its shape only."""

    part: int
    line: int
    field: str
    value: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Changed:
    """A row that says something else than before: which key, which columns; no values."""

    kind: str
    key: str
    columns: tuple[str, ...]


@dataclass(slots=True)
class Written:
    """What an import did.

    Attributes:
        rows: Kind → outcome (new, changed, same, rejected) → rows.
        money: Kind → currency (or `unknown`) → outcome → amount in the currency's main unit.
        zones_derived_again: Parties whose zones changed because their numbers did.
        creditor_changed: Columns of the creditor that the mapping changed.
    """

    rows: dict[str, dict[str, int]] = field(default_factory=dict)
    money: dict[str, dict[str, dict[str, Decimal]]] = field(default_factory=dict)
    zones_derived_again: int = 0
    creditor_changed: tuple[str, ...] = ()


class Import:
    """One import in one transaction: `stage` as often as needed, then `write` once.

    A context manager: whoever leaves it may end the transaction, because nothing is being copied any more.
    """

    def __init__(self, tx: Connection, mapping: ImportMapping, *, file_hash: str, tables: ZoneTables) -> None:
        """Open the batch: creditor, batch, mapping's version, staging tables. One import of a creditor at a time.

        Args:
            tx: The transaction.
            mapping: Whose portfolio, under which rules.
            file_hash: SHA-256 over the files.
            tables: Zones of places.
        """
        self._tx = tx
        self._tables = tables
        self._source = mapping.form.source
        self.written = Written()
        # What later statements always read; other kinds join when rows of them are staged.
        self._kinds = {"parties", "contact_points"}
        self._staged: Counter[str] = Counter()
        self._copier = ThreadPoolExecutor(1, thread_name_prefix="import-copy")
        self._copying: Future[None] | None = None
        self.now: datetime = clock.now(tx)
        self.creditor_id = self._creditor(mapping.form.creditor)
        self._anybody_erased = erasures.any_erased(tx)
        self.seen_before = bool(tx.execute(_SEEN, {"file_hash": file_hash, "name": mapping.name}).scalar())
        tx.execute(_POLICY, {"hash": mapping.hash, "name": mapping.name, "body": mapping.body})
        self.keys = ImportKeys()
        self.batch_id = int(tx.execute(_BATCH, {"name": mapping.name, "hash": mapping.hash, "file_hash": file_hash}).scalar_one())
        for kind, target in TARGETS.items():
            tx.execute(text(f"CREATE TEMP TABLE stage_{kind} ({STAGE_FIRST}, {target.stage}) ON COMMIT DROP"))
        tx.execute(_UNREAD)
        tx.execute(_CURRENCY)
        codes = [{"code": code, "unit": 10 ** (AMOUNT_DECIMALS - minor_units(code))} for code in sorted(currencies())]
        tx.execute(text("INSERT INTO import_currency VALUES (:code, :unit)"), codes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._copier.shutdown(wait=True)

    def erased(self, external_ids: pl.Series) -> list[str]:
        """Of the lender's ids in a frame, those of people who were erased."""
        if not self._anybody_erased:
            return []
        return sorted(erasures.erased_among(self._tx, self.creditor_id, external_ids.drop_nulls().unique()))

    # --- staging ----------------------------------------------------------------------------------------------------

    def stage(self, kind: str, part: int, rows: pl.DataFrame) -> None:
        """Copy checked rows of one kind into its staging table.

        Args:
            kind: A kind of decisions/portfolio.py.
            part: Which part of the import they come from; handed back with what is rejected.
            rows: `line` and the columns of the staging table; lists are List[String], bytes Binary.
        """
        if rows.height:
            self._kinds.add(kind)
            self._staged[kind] += rows.height
            names = [column.split()[0] for column in _split(TARGETS[kind].stage)]
            self._copy(f"stage_{kind}", ["part", "line", *names], rows.with_columns(part=pl.lit(part)))

    def stage_unread(self, kind: str, part: int, rows: pl.DataFrame) -> None:
        """Keep the money of rows that were rejected before staging, so that it is accounted for.

        Args:
            kind: As `stage`.
            part: As `stage`.
            rows: line, loan, currency (String), raw_amount (Int64), in_minor (Boolean).
        """
        if rows.height:
            self._kinds.add(kind)
            columns = ["part", "line", "kind", "loan", "currency", "raw_amount", "in_minor"]
            self._copy("stage_unread", columns, rows.with_columns(part=pl.lit(part), kind=pl.lit(kind)))

    def _copy(self, table: str, columns: list[str], rows: pl.DataFrame) -> None:
        """Copy as soon as the frame before is copied: never more than one waits, so that memory stays bounded."""
        self._copied()
        self._copying = self._copier.submit(self._copy_now, table, columns, rows)

    def _copied(self) -> None:
        """Wait until nothing is being copied; what went wrong with it is raised here."""
        if self._copying is not None:
            self._copying.result()
            self._copying = None

    def _copy_now(self, table: str, columns: list[str], rows: pl.DataFrame) -> None:
        # An empty text is no null in COPY's CSV only when it is quoted, and there is none: empty cells became null before.
        data = rows.select(_as_csv(rows.schema[name], name) for name in columns).write_csv(include_header=False)
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        with self._driver().cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(data)

    def _driver(self) -> Any:
        return self._tx.connection.driver_connection

    # --- writing ----------------------------------------------------------------------------------------------------

    def write(self, *, progress: Callable[[str], None] = lambda _: None) -> Written:
        """Write everything that was staged.

        Args:
            progress: Told the kind before it is written.

        Raises:
            ReconciliationError: The money that was written is not the money that was read.
        """
        self._copied()
        kinds = [kind for kind in TARGETS if kind in self._kinds]
        for kind in kinds:
            self._analyze(f"stage_{kind}")
        self._lock()
        self._learned_at: datetime = self._tx.execute(text("SELECT clock_timestamp()")).scalar_one()
        self._identities("parties")
        self._identities("loans")
        self._compare("parties")
        for kind in kinds:
            if kind == "parties":
                continue
            progress(kind)
            if kind == "contact_points":
                self._identities(kind)
            self._compare(kind)
            if kind == "contacts":
                self._append_contacts()
            else:
                self._supersede_and_insert(kind)
        progress("parties")
        self._contact_values()
        self._zones()
        self._supersede_and_insert("parties")
        self._derive_zones_again()
        self._keep_keys()
        # Whatever these rows say of somebody whose loan an agency has: it is called back in the transaction that learns it.
        recall_held(self._tx, None, at=self.now)
        self._reconcile()
        return self.written

    def cover(self, covers_until: datetime, age_seconds_max: int) -> None:
        """Say how far the payments' feed reaches now; never less far than it did."""
        values = {
            "creditor": self.creditor_id, "until": covers_until, "age": age_seconds_max, "now": self.now,
            "source": self._source, "batch": self.batch_id,
        }  # fmt: skip
        self._tx.execute(_COVER_OLD, values)
        self._tx.execute(_COVER_NEW, values)

    def close(self, counts: Mapping[str, Any]) -> None:
        """Note what became of the import."""
        self._tx.execute(_CLOSE, {"batch": self.batch_id, "counts": json.dumps(counts)})

    def rejects(self) -> Iterator[Rejected]:
        """Rows that the ledger could not take: unknown parents, contradictions. In the order of parts and lines, by kind."""
        for kind in filter(self._kinds.__contains__, TARGETS):
            columns = _REJECT.replace("{key_field}", TARGETS[kind].key_field)
            yield from (
                Rejected(*row)
                for row in self._stream(f"SELECT {columns} FROM result_{kind} r WHERE outcome = 'rejected' ORDER BY part, line")
            )

    def changes(self) -> Iterator[Changed]:
        """Rows that changed what was known."""
        for kind in filter(self._kinds.__contains__, TARGETS):
            for key, columns in self._stream(
                f"SELECT key_text, changed FROM result_{kind} r WHERE outcome = 'changed' ORDER BY part, line"
            ):
                yield Changed(kind, key, tuple(columns))

    def money_staged(self, kind: str) -> int:
        """Sum of the amounts of every row of a kind, written or rejected, as their files write them (whole units of the file)."""
        if kind not in KIND_MONEY or kind not in self._kinds:
            return 0
        statement = _STAGED_MONEY.replace("{kind}", kind)
        return int(self._tx.execute(text(statement), {"kind": kind}).scalar_one())

    def _creditor(self, form: CreditorForm) -> int:
        values = {**form.model_dump(), "senders": json.dumps(form.senders, sort_keys=True)}
        self._tx.execute(_CREDITOR_NEW, values)
        before = self._tx.execute(_CREDITOR, {"external_id": form.external_id}).mappings().one()
        wanted = form.model_dump()
        self.written.creditor_changed = tuple(name for name in wanted if before[name] != wanted[name])
        if self.written.creditor_changed:
            self._tx.execute(_CREDITOR_CHANGE, values)
        return int(before["id"])

    def _analyze(self, table: str) -> None:
        """Tell the planner how large a temporary table is: a small sample says that as well as a large one."""
        self._tx.execute(text(f"SET LOCAL default_statistics_target = {SAMPLE_TARGET}"))
        self._tx.execute(text(f"ANALYZE {table}"))
        self._tx.execute(text("SET LOCAL default_statistics_target TO DEFAULT"))

    def _lock(self) -> None:
        """Hold every borrower whom the import touches: facts are read by later statements."""
        touched = self._tx.execute(text(_TOUCHED.replace("{creditor}", str(self.creditor_id)))).scalars()
        lock_borrowers(self._tx, touched)

    def _identities(self, kind: str) -> None:
        """Give ids to what is seen for the first time; rows that contradict each other give none."""
        statement = self._filled(_IDENTITIES[kind])
        # Comparing whole rows is for the few keys that stand in several.
        again, equal = "count(*) > 1", f"count(DISTINCT ROW({_IDENTITY_CONTENTS[kind]})) = 1"
        new = self._tx.execute(text(statement.replace("{having}", "count(*) = 1"))).rowcount
        if new < self._staged[kind]:
            new += self._tx.execute(text(statement.replace("{having}", f"{again} AND {equal}"))).rowcount
        if new > ANALYZE_ROWS_MIN:
            # The planner would otherwise still believe these tables to be small.
            self._tx.execute(text(f"ANALYZE {_IDENTITY_TABLES[kind]}"))

    def _compare(self, kind: str) -> None:
        """Make result_<kind>: every staged row with its parents, the version in force, and its outcome."""
        target = TARGETS[kind]
        source = self._filled(target.source)
        current = "" if kind == "contacts" else "AND t.superseded_at IS NULL"
        match = _match(target, "r", "t") + (f" AND t.source = {self._name()}" if kind == "contacts" else "")
        differs = f"ROW({_listed('r', target.values)}) IS DISTINCT FROM ROW({_listed('t', target.values)})"
        changed = ", ".join(f"CASE WHEN r.{name} IS DISTINCT FROM t.{name} THEN '{_spoken(name)}' END" for name in target.values)
        self._tx.execute(
            text(f"""
            CREATE TEMP TABLE result_{kind} ON COMMIT DROP AS
            SELECT r.*, t.id AS version_id, 1::bigint AS nth,
                   CASE WHEN r.problem IS NOT NULL THEN 'rejected' WHEN t.id IS NULL THEN 'new'
                        WHEN {differs} THEN 'changed' ELSE 'same' END AS outcome,
                   CASE WHEN t.id IS NOT NULL AND {differs} THEN array_remove(ARRAY[{changed}], NULL) END AS changed
            FROM (SELECT s.part, s.line, {source}) r LEFT JOIN {target.table} t ON r.problem IS NULL AND {match} {current}
            """)
        )
        self._judge_repeated_keys(kind)
        if target.shared or kind in _AFTERWARDS:
            self._analyze(f"result_{kind}")
        if target.shared:
            self._keep_what_we_changed(kind)
        for statement in _AFTERWARDS.get(kind, ()):
            self._tx.execute(text(self._filled(statement)))
        self._count(kind)

    def _judge_repeated_keys(self, kind: str) -> None:
        """Rows about the same thing: with the same content only the first counts, with other content none does."""
        target = TARGETS[kind]
        keys = _listed("r", target.partition)
        same_key = " AND ".join(f"k.{name} IS NOT DISTINCT FROM r.{name}" for name in target.partition)
        self._tx.execute(
            text(f"""
            CREATE TEMP TABLE repeated_{kind} ON COMMIT DROP AS
            SELECT {keys} FROM result_{kind} r WHERE r.problem IS NULL GROUP BY {keys} HAVING count(*) > 1
            """)
        )
        if not self._tx.execute(text(f"SELECT EXISTS (SELECT FROM repeated_{kind})")).scalar():
            return
        over = f"PARTITION BY {keys}"
        self._tx.execute(
            text(f"""
            WITH hashed AS (
                SELECT r.part, r.line, {keys}, hashtextextended(ROW({_listed("r", target.values)})::text, 0) AS hash
                FROM result_{kind} r JOIN repeated_{kind} k ON {same_key} WHERE r.problem IS NULL
            ),
            judged AS (
                SELECT r.part, r.line, row_number() OVER ({over} ORDER BY r.part, r.line) AS nth,
                       min(r.hash) OVER ({over}) <> max(r.hash) OVER ({over}) AS contradicted
                FROM hashed r
            )
            UPDATE result_{kind} r
            SET nth = j.nth, outcome = CASE WHEN j.contradicted THEN 'rejected' WHEN j.nth > 1 THEN 'same' ELSE r.outcome END
            FROM judged j WHERE j.part = r.part AND j.line = r.line
            """)
        )

    def _keep_what_we_changed(self, kind: str) -> None:
        """A row that says what its source said last is the same row, whatever we made of the fact since."""
        target = TARGETS[kind]
        self._tx.execute(
            text(f"""
            WITH said AS (
                SELECT DISTINCT ON (r.part, r.line) r.part, r.line,
                       ROW({_listed("t", target.values)}) IS NOT DISTINCT FROM ROW({_listed("r", target.values)}) AS again
                FROM result_{kind} r JOIN {target.table} t ON {_match(target, "r", "t")} AND t.source = {self._name()}
                LEFT JOIN import_batch b ON b.id = t.import_batch_id
                WHERE r.outcome IN ('new', 'changed') AND b.withdrawn_at IS NULL
                ORDER BY r.part, r.line, t.id DESC
            )
            UPDATE result_{kind} r SET outcome = 'same' FROM said WHERE said.again AND said.part = r.part AND said.line = r.line
            """)
        )

    def _supersede_and_insert(self, kind: str) -> None:
        target = TARGETS[kind]
        self._tx.execute(
            text(
                f"UPDATE {target.table} t SET superseded_at = :at FROM result_{kind} r WHERE r.outcome = 'changed' AND t.id = r.version_id"
            ),
            {"at": self._learned_at},
        )
        written = {**{name: f"r.{name}" for name in (*target.key, *target.values)}, **target.extra}
        inserted = self._tx.execute(
            text(f"""
            INSERT INTO {target.table} ({", ".join(written)}, effective_at, recorded_at, source, import_batch_id)
            SELECT {", ".join(written.values())}, r.effective_at, :at, :source, :batch
            FROM result_{kind} r {target.joined} WHERE r.outcome IN ('new', 'changed')
            """),
            {"at": self._learned_at, "source": self._source, "batch": self.batch_id},
        ).rowcount
        if inserted > ANALYZE_ROWS_MIN:
            self._tx.execute(text(f"ANALYZE {target.table}"))

    def _append_contacts(self) -> None:
        self._tx.execute(_CONTACTS, {"source": self._source, "at": self._learned_at})

    def _contact_values(self) -> None:
        """Who owns a value: claimed when first seen, shared once two parties have it; what is known better stays."""
        values = {"at": self._learned_at, "now": self.now, "source": self._source, "batch": self.batch_id}
        self._tx.execute(_VALUES)
        self._analyze("import_value")
        self._tx.execute(_OWNERSHIP)
        self._tx.execute(_OWNERSHIP_OLD, values)
        self._tx.execute(_OWNERSHIP_NEW, values)

    def _zones(self) -> None:
        """Zones of every party that is new, changed, or has a new or changed contact point: union of place and numbers."""
        areas = self._tables.postal_areas
        self._tx.execute(text(_AFFECTED.format(countries=", ".join(f"'{country}'" for country in sorted(areas.countries)))))
        self._tx.execute(_PLACES)
        places = self._tx.execute(text("SELECT DISTINCT country, region, postal_code FROM import_affected")).all()
        known = [
            {
                "country": country,
                "region": region,
                "postal_code": code,
                "zones": place_zones(country, region, self._tables, areas.of(country, code)),
            }
            for country, region, code in places
            if country
        ]
        if known:
            self._tx.execute(text("INSERT INTO import_place VALUES (:country, :region, :postal_code, :zones)"), known)
        self._analyze("import_affected")
        self._tx.execute(_ZONES)
        self._analyze("import_zones")

    def _derive_zones_again(self) -> None:
        values = {"at": self._learned_at, "batch": self.batch_id, "now": self.now}
        self._tx.execute(_RESTATED)
        self.written.zones_derived_again = self._tx.execute(_RESTATED_OLD, values).rowcount
        self._tx.execute(_RESTATED_NEW, values)

    def _keep_keys(self) -> None:
        """Write the keys of everybody of whom something was written that this import has encrypted."""
        with self._driver().cursor(name="import_keys") as cursor:
            cursor.itersize = FETCH_ROWS
            cursor.execute(_KEYED)
            rows = cursor.fetchmany(FETCH_ROWS)
            while rows:
                kept = pl.DataFrame([self.keys.kept(*row) for row in rows], schema=_KEPT, orient="row")
                # The connection does one thing at a time: some are fetched, and wrapped while those before them are copied.
                self._copied()
                rows = cursor.fetchmany(FETCH_ROWS)
                self._copy("party_key", kept.columns, kept)
            self._copied()

    # --- accounting -------------------------------------------------------------------------------------------------

    def _count(self, kind: str) -> None:
        counted = self._tx.execute(text(f"SELECT outcome, count(*) FROM result_{kind} GROUP BY outcome")).all()
        self.written.rows[kind] = {"new": 0, "changed": 0, "same": 0, "rejected": 0} | {
            str(outcome): int(count) for outcome, count in counted if outcome
        }
        if kind in KIND_MONEY:
            statement = self._filled(_MONEY.replace("{kind}", kind))
            for currency, outcome, tenthousandths in self._tx.execute(text(statement), {"kind": kind}):
                by_outcome = self.written.money.setdefault(kind, {}).setdefault(currency, {})
                by_outcome[outcome] = by_outcome.get(outcome, Decimal(0)) + Decimal(tenthousandths).scaleb(-AMOUNT_DECIMALS)

    def _reconcile(self) -> None:
        """Prove from the written rows themselves that they are worth what was read."""
        for kind in KIND_MONEY:
            target = TARGETS[kind]
            of_loan = "JOIN loan_version lv ON lv.loan_id = t.loan_id AND lv.superseded_at IS NULL"
            rows = self._tx.execute(
                text(f"""
                SELECT cu.code, sum(({target.written_minor})::numeric * cu.unit) FROM {target.table} t
                {"" if target.currency else of_loan} JOIN import_currency cu ON cu.code = {target.currency or "lv.currency"}
                WHERE t.import_batch_id = :batch GROUP BY cu.code
                """),
                {"batch": self.batch_id},
            ).all()
            written = {code: Decimal(amount).scaleb(-AMOUNT_DECIMALS) for code, amount in rows if amount}
            meant = {
                currency: total
                for currency, outcomes in self.written.money.get(kind, {}).items()
                if (total := outcomes.get("new", Decimal(0)) + outcomes.get("changed", Decimal(0)))
            }
            if written != meant:
                raise ReconciliationError(f"{kind}: the sums of what was read and of what was written differ")

    def _stream(self, statement: str) -> Iterator[tuple[Any, ...]]:
        with self._driver().cursor(name="import_rows") as cursor:
            cursor.itersize = FETCH_ROWS
            cursor.execute(statement)
            yield from cursor

    def _filled(self, statement: str) -> str:
        now = f"'{self.now.isoformat()}'::timestamptz"
        return statement.replace("{creditor}", str(self.creditor_id)).replace("{now}", now).replace("{name}", self._name())

    def _name(self) -> str:
        """The source as SQL; a mapping allows letters, digits and . _ - in it."""
        return f"'{self._source}'"


def _split(columns: str) -> list[str]:
    return [column.strip() for column in columns.split(",")]


def _listed(alias: str, names: tuple[str, ...]) -> str:
    return ", ".join(f"{alias}.{name}" for name in names)


def _match(target: Target, left: str, right: str) -> str:
    """How a row finds its version. Plain equality where a column is never null: only that can be hashed or merged."""
    return " AND ".join(
        f"{right}.{name} IS NOT DISTINCT FROM {left}.{name}" if name in target.nullable else f"{right}.{name} = {left}.{name}"
        for name in target.key
    )


def _spoken(column: str) -> str:
    """What a column is called where people read of it: the value behind a digest has changed, not the digest."""
    return {"digest": "name", "blind_index": "value"}.get(column, column.removesuffix("_minor"))


def _as_csv(form: pl.DataType, name: str) -> pl.Expr:
    """A column as COPY's CSV writes it."""
    column = pl.col(name)
    if isinstance(form, pl.List):
        quoted = column.list.eval(
            pl.concat_str(
                pl.lit('"'), pl.element().str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '\\"', literal=True), pl.lit('"')
            )
        )
        return pl.concat_str(pl.lit("{"), quoted.list.join(","), pl.lit("}")).alias(name)
    if form == pl.Binary:
        return pl.concat_str(pl.lit("\\x"), column.bin.encode("hex")).alias(name)
    if isinstance(form, pl.Datetime):
        return column.dt.strftime("%Y-%m-%dT%H:%M:%S%.6f%z").alias(name)
    return column


_IDENTITY_TABLES: Final = {"parties": "party", "loans": "loan", "contact_points": "contact_point"}
_IDENTITY_CONTENTS: Final = {
    "parties": "s.digest, s.locale, s.country, s.region, s.postal_code, s.known_zone, s.facts",
    "loans": "s.product, s.account, s.currency, s.principal, s.in_minor, s.apr_basis_points, s.jurisdiction, s.opened_on, s.bucket_scheme, "
    "s.allocation_order, s.grace_days, s.status, s.servicing_status, s.disputed, s.charged_off, s.time_barred",
    "contact_points": "s.kind, s.blind_index, s.country, s.zones, s.owner, s.employer_owned, s.verified_on, s.status",
}
_IDENTITIES: Final = {
    "parties": """
        INSERT INTO party (creditor_id, external_id)
        SELECT {creditor}, s.external_id FROM stage_parties s
        WHERE NOT EXISTS (SELECT FROM party p WHERE p.creditor_id = {creditor} AND p.external_id = s.external_id)
        GROUP BY s.external_id HAVING {having} ORDER BY min(s.part), min(s.line)
        """,
    "loans": """
        INSERT INTO loan (creditor_id, external_id)
        SELECT {creditor}, s.external_id FROM stage_loans s JOIN import_currency cu ON cu.code = s.currency
        WHERE NOT EXISTS (SELECT FROM loan l WHERE l.creditor_id = {creditor} AND l.external_id = s.external_id)
          AND (s.in_minor OR (s.principal % cu.unit = 0 AND s.disputed % cu.unit = 0))
        GROUP BY s.external_id HAVING {having} ORDER BY min(s.part), min(s.line)
        """,
    "contact_points": """
        INSERT INTO contact_point (party_id, external_id, kind)
        SELECT p.id, s.external_id, min(s.kind)
        FROM stage_contact_points s JOIN party p ON p.creditor_id = {creditor} AND p.external_id = s.party
        WHERE NOT EXISTS (SELECT FROM contact_point cp WHERE cp.party_id = p.id AND cp.external_id = s.external_id)
        GROUP BY p.id, s.external_id HAVING {having} ORDER BY min(s.part), min(s.line)
        """,
}
# A reversal names a payment of its loan that is no reversal itself, and takes back no more than that.
_AFTERWARDS: Final = {
    "payments": (
        """
        CREATE TEMP TABLE import_reversed ON COMMIT DROP AS
        SELECT r.part, r.line, r.reverses_external_id, r.amount_minor, coalesce(o.amount_minor, t.amount_minor) AS paid_minor
        FROM result_payments r
        LEFT JOIN result_payments o ON o.loan_id = r.loan_id AND o.external_id = r.reverses_external_id
            AND o.state <> 'reversed' AND o.outcome <> 'rejected' AND o.nth = 1
        LEFT JOIN payment t ON t.loan_id = r.loan_id AND t.external_id = r.reverses_external_id
            AND t.state <> 'reversed' AND t.superseded_at IS NULL
        WHERE r.state = 'reversed' AND r.outcome <> 'rejected'
        """,
        "ANALYZE import_reversed",
        """
        UPDATE result_payments r SET outcome = 'rejected', problem = CASE
            WHEN v.paid_minor IS NULL THEN ARRAY['reverses', v.reverses_external_id, 'its loan has no such payment to take back']
            ELSE ARRAY['amount', v.amount_minor::text, 'takes back more than was paid'] END
        FROM import_reversed v
        WHERE v.part = r.part AND v.line = r.line AND (v.paid_minor IS NULL OR -v.amount_minor > v.paid_minor)
        """,
    ),
    "contacts": (
        """
        UPDATE result_contacts SET outcome = 'rejected',
            problem = ARRAY['external_id', external_id, 'a past contact under this id was imported before, with other content']
        WHERE outcome = 'changed'
        """,
    ),
    "contact_points": (
        # Rows that contradict each other got no identity: they have no contact point to hang a version on.
        "UPDATE result_contact_points SET outcome = 'rejected' WHERE contact_point_id IS NULL",
    ),
    "parties": ("UPDATE result_parties SET outcome = 'rejected' WHERE party_id IS NULL",),
    "loans": ("UPDATE result_loans SET outcome = 'rejected' WHERE loan_id IS NULL",),
}
_REJECT: Final = (
    "part, line, coalesce(problem[1], '{key_field}'), coalesce(problem[2], key_text), "
    "coalesce(problem[3], 'another row of this import says something else under the same key')"
)
_MONEY: Final = """
    SELECT coalesce(currency, 'unknown'), outcome, sum(raw_amount::numeric * CASE WHEN in_minor THEN unit ELSE 1 END)
    FROM result_{kind} WHERE raw_amount IS NOT NULL AND (unit IS NOT NULL OR NOT in_minor) GROUP BY 1, 2
    UNION ALL
    SELECT coalesce(cu.code, 'unknown'), 'rejected', sum(u.raw_amount::numeric * CASE WHEN u.in_minor THEN cu.unit ELSE 1 END)
    FROM stage_unread u
    LEFT JOIN loan l ON l.creditor_id = {creditor} AND l.external_id = u.loan
    LEFT JOIN loan_version lv ON lv.loan_id = l.id AND lv.superseded_at IS NULL
    LEFT JOIN import_currency cu ON cu.code = coalesce(u.currency, lv.currency)
    WHERE u.kind = :kind AND u.raw_amount IS NOT NULL AND (cu.unit IS NOT NULL OR NOT u.in_minor) GROUP BY 1
    """
_STAGED_MONEY: Final = """
    SELECT coalesce((SELECT sum(raw_amount) FROM result_{kind}), 0)
         + coalesce((SELECT sum(raw_amount) FROM stage_unread WHERE kind = :kind), 0)
    """
_UNREAD: Final = text(
    "CREATE TEMP TABLE stage_unread (part integer NOT NULL, line bigint NOT NULL, kind text NOT NULL, loan text, currency text, "
    "raw_amount bigint, in_minor boolean NOT NULL) ON COMMIT DROP"
)
_CURRENCY: Final = text("CREATE TEMP TABLE import_currency (code text PRIMARY KEY, unit bigint NOT NULL) ON COMMIT DROP")
# Nobody else may import for the same creditor meanwhile; a row that refers to the creditor does not wait for this.
_CREDITOR: Final = text("SELECT * FROM creditor WHERE external_id = :external_id FOR NO KEY UPDATE")
_CREDITOR_NEW: Final = text(
    "INSERT INTO creditor (external_id, name, role, country, licence, page_domain, senders) "
    "VALUES (:external_id, :name, :role, :country, :licence, :page_domain, :senders) ON CONFLICT (external_id) DO NOTHING"
)
_CREDITOR_CHANGE: Final = text(
    "UPDATE creditor SET name = :name, role = :role, country = :country, licence = :licence, page_domain = :page_domain, "
    "senders = :senders WHERE external_id = :external_id"
)
_SEEN: Final = text(
    "SELECT EXISTS (SELECT FROM import_batch WHERE file_hash = :file_hash AND mapping = :name AND finished_at IS NOT NULL "
    "AND withdrawn_at IS NULL)"
)
_POLICY: Final = text(
    "INSERT INTO policy_version (hash, kind, name, body) VALUES (:hash, 'mapping', :name, :body) ON CONFLICT (hash) DO NOTHING"
)
_BATCH: Final = text("INSERT INTO import_batch (mapping, mapping_hash, file_hash) VALUES (:name, :hash, :file_hash) RETURNING id")
_CLOSE: Final = text("UPDATE import_batch SET finished_at = clock_timestamp(), counts = :counts WHERE id = :batch")
_TOUCHED: Final = """
    SELECT p.id FROM party p WHERE p.creditor_id = {creditor} AND p.external_id IN (
        SELECT external_id FROM stage_parties UNION ALL SELECT party FROM stage_loan_parties
        UNION ALL SELECT party FROM stage_contact_points UNION ALL SELECT party FROM stage_wallet_flows
        UNION ALL SELECT party FROM stage_consents UNION ALL SELECT party FROM stage_opt_outs UNION ALL SELECT party FROM stage_holds
        UNION ALL SELECT party FROM stage_wishes UNION ALL SELECT party FROM stage_contacts
        UNION ALL SELECT party FROM stage_fairness_attributes)
    UNION
    SELECT lp.party_id FROM loan l JOIN loan_party lp ON lp.loan_id = l.id AND lp.superseded_at IS NULL
    WHERE l.creditor_id = {creditor} AND l.external_id IN (
        SELECT external_id FROM stage_loans UNION ALL SELECT loan FROM stage_instalments UNION ALL SELECT loan FROM stage_payments
        UNION ALL SELECT loan FROM stage_allocations UNION ALL SELECT loan FROM stage_holds)
    UNION
    SELECT o.party_id FROM party p
    JOIN loan_party lp ON lp.party_id = p.id AND lp.superseded_at IS NULL
    JOIN loan_party o ON o.loan_id = lp.loan_id AND o.superseded_at IS NULL
    WHERE p.creditor_id = {creditor} AND p.external_id IN (SELECT party FROM stage_holds WHERE all_liable)
    UNION
    -- Whoever else has a number that comes in, at any creditor: it becomes shared, and is not written to any more.
    SELECT cp.party_id FROM contact_point_version v JOIN contact_point cp ON cp.id = v.contact_point_id
    WHERE v.superseded_at IS NULL AND v.blind_index IN (SELECT blind_index FROM stage_contact_points)
    """
_CONTACTS: Final = text("""
    INSERT INTO contact_event (business_date, party_id, at, channel, direction, loans, contact_point_id, counterparty, purpose, result,
        counts, jurisdiction, external_id, source, recorded_at)
    SELECT r.business_date, r.party_id, r.at, r.channel, r.direction, r.loans, r.contact_point_id, r.counterparty, r.purpose, r.result,
        r.counts, r.jurisdiction, r.external_id, :source, :at
    FROM result_contacts r WHERE r.outcome = 'new' ORDER BY r.part, r.line
    """)
_VALUES: Final = text("""
    CREATE TEMP TABLE import_value ON COMMIT DROP AS
    SELECT v.blind_index, CASE WHEN count(DISTINCT cp.party_id) > 1 THEN 'shared' ELSE 'claimed' END AS ownership
    FROM contact_point_version v JOIN contact_point cp ON cp.id = v.contact_point_id
    WHERE v.superseded_at IS NULL AND v.blind_index IN (SELECT blind_index FROM result_contact_points WHERE outcome IN ('new', 'changed'))
    GROUP BY v.blind_index
    """)
_OWNERSHIP: Final = text("""
    CREATE TEMP TABLE import_ownership ON COMMIT DROP AS
    SELECT i.blind_index, i.ownership, t.id AS version_id FROM import_value i
    LEFT JOIN contact_value t ON t.blind_index = i.blind_index AND t.superseded_at IS NULL
    WHERE t.id IS NULL OR (i.ownership = 'shared' AND t.ownership IN ('claimed', 'verified'))
    """)
_OWNERSHIP_OLD: Final = text("UPDATE contact_value t SET superseded_at = :at FROM import_ownership i WHERE t.id = i.version_id")
_OWNERSHIP_NEW: Final = text("""
    INSERT INTO contact_value (blind_index, ownership, effective_at, recorded_at, source, import_batch_id)
    SELECT i.blind_index, i.ownership, :now, :at, :source, :batch FROM import_ownership i
    """)
# A postal code of a country without postal areas says nothing: it would only make one place many.
_AFFECTED: Final = """
    CREATE TEMP TABLE import_affected ON COMMIT DROP AS
    SELECT r.party_id, r.country, r.region, CASE WHEN r.country IN ({countries}) THEN r.postal_code END AS postal_code, r.known_zone,
           true AS rewritten
    FROM result_parties r WHERE r.outcome IN ('new', 'changed')
    UNION ALL
    SELECT v.party_id, v.country, v.region, CASE WHEN v.country IN ({countries}) THEN v.postal_code END, v.known_zone, false
    FROM party_version v
    WHERE v.superseded_at IS NULL
      AND v.party_id IN (SELECT c.party_id FROM result_contact_points c WHERE c.outcome IN ('new', 'changed'))
      AND v.party_id NOT IN (SELECT r.party_id FROM result_parties r WHERE r.outcome IN ('new', 'changed'))
    """
_PLACES: Final = text(
    "CREATE TEMP TABLE import_place (country text NOT NULL, region text, postal_code text, zones text[] NOT NULL) ON COMMIT DROP"
)
_ZONES: Final = text("""
    CREATE TEMP TABLE import_zones ON COMMIT DROP AS
    WITH found AS (
        SELECT a.party_id, unnest(pl.zones) AS zone FROM import_affected a
        JOIN import_place pl ON pl.country = a.country AND coalesce(pl.region, '') = coalesce(a.region, '')
            AND coalesce(pl.postal_code, '') = coalesce(a.postal_code, '')
        UNION ALL
        SELECT cp.party_id, unnest(v.zones) FROM import_affected a JOIN contact_point cp ON cp.party_id = a.party_id
        JOIN contact_point_version v ON v.contact_point_id = cp.id AND v.superseded_at IS NULL AND v.status = 'active'
    ),
    joined AS (SELECT party_id, array_agg(DISTINCT zone COLLATE "C" ORDER BY zone COLLATE "C") AS zones FROM found GROUP BY party_id)
    SELECT a.party_id, a.rewritten,
           CASE WHEN a.known_zone IS NOT NULL THEN ARRAY[a.known_zone] ELSE coalesce(j.zones, '{}') END AS zones
    FROM import_affected a LEFT JOIN joined j ON j.party_id = a.party_id
    """)
_RESTATED: Final = text("""
    CREATE TEMP TABLE import_restated ON COMMIT DROP AS
    SELECT v.id AS version_id, z.zones FROM import_zones z JOIN party_version v ON v.party_id = z.party_id AND v.superseded_at IS NULL
    WHERE NOT z.rewritten AND v.zones IS DISTINCT FROM z.zones
    """)
_RESTATED_OLD: Final = text("UPDATE party_version v SET superseded_at = :at FROM import_restated i WHERE v.id = i.version_id")
_RESTATED_NEW: Final = text("""
    INSERT INTO party_version (party_id, name_encrypted, key_id, locale, country, region, postal_code, known_zone, zones, facts, digest,
        effective_at, recorded_at, source, import_batch_id)
    SELECT v.party_id, v.name_encrypted, v.key_id, v.locale, v.country, v.region, v.postal_code, v.known_zone, i.zones, v.facts, v.digest,
        :now, :at, v.source, :batch
    FROM import_restated i JOIN party_version v ON v.id = i.version_id
    """)
_KEYED: Final = """
    SELECT p.id, p.external_id FROM party p WHERE p.id IN (
        SELECT party_id FROM result_parties WHERE outcome IN ('new', 'changed') AND key_id IS NOT NULL
        UNION SELECT party_id FROM result_contact_points WHERE outcome IN ('new', 'changed') AND key_id IS NOT NULL)
    """
_KEPT: Final = {"id": pl.String, "party_id": pl.Int64, "wrapped_by": pl.String, "wrapped": pl.Binary}
_COVER_OLD: Final = text("""
    UPDATE feed SET superseded_at = clock_timestamp() WHERE creditor_id = :creditor AND kind = 'payments' AND superseded_at IS NULL
        AND (covers_until < :until OR age_seconds_max <> :age)
    """)
_COVER_NEW: Final = text("""
    INSERT INTO feed (creditor_id, kind, covers_until, age_seconds_max, effective_at, source, import_batch_id)
    SELECT :creditor, 'payments',
           greatest(:until, (SELECT max(covers_until) FROM feed WHERE creditor_id = :creditor AND kind = 'payments')),
           :age, :now, :source, :batch
    WHERE NOT EXISTS (SELECT FROM feed WHERE creditor_id = :creditor AND kind = 'payments' AND superseded_at IS NULL)
    """)
