"""Cases as people and the flow `disputes` read them: lists without anything personal, one case's history, whose deadline is near.

In:   a connection; a case's number, local dates, the business instant.
Out:  `Case` and `CaseEntry` values, ids, counts. Words about a case are decrypted for one case alone.
Pure: no; reads.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, text

from decisions.cases import ANSWERED_FIRST
from decisions.service_messages import REACHED
from ledger import vault
from ledger.cases import CaseRefused

# Runs that say that a case was received or answered, and the folders of config/messages that do.
STAGE: Final = "case"
RECEIVED: Final = "case_acknowledged"
ANSWERED: Final = "case_answered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A case as it stands; nothing of it is personal.

    Attributes:
        id: Number.
        kind: One of `decisions.cases.CASE_KINDS`.
        party_id: Whose.
        loan_id: About which loan; None = no one in particular.
        stated_by: Who said so.
        channel: How it came.
        disputed_minor: The part that is disputed, where one was named.
        currency: Of that part.
        owner: Who answers for it.
        opened_at: Business instant.
        opened_on: Local date.
        acknowledge_by: Last local date for saying that it was received.
        acknowledge_rule: Who says so: a rule's id, or `house`.
        answer_by: Last local date for the answer.
        answer_rule: As above.
        law_answer_by: The law's own date; None = no pack knows one.
        law_rule: Its rule.
        state: open, acknowledged, answered, closed.
        acknowledged_at: When.
        answered_at: When.
        closed_at: When.
        result: How it ended.
    """

    id: int
    kind: str
    party_id: int
    loan_id: int | None
    stated_by: str
    channel: str
    disputed_minor: int | None
    currency: str | None
    owner: str
    opened_at: datetime
    opened_on: date
    acknowledge_by: date
    acknowledge_rule: str
    answer_by: date
    answer_rule: str
    law_answer_by: date | None
    law_rule: str | None
    state: str
    acknowledged_at: datetime | None
    answered_at: datetime | None
    closed_at: datetime | None
    result: str | None

    @property
    def due(self) -> tuple[str, date] | None:
        """What has to be done next (`acknowledge`, `answer`), by when; None = nothing has a deadline any more."""
        if self.state == "open" and self.acknowledge_by <= self.answer_by:
            return "acknowledge", self.acknowledge_by
        return ("answer", self.answer_by) if self.state in {"open", "acknowledged"} else None

    def is_late(self, on: date) -> bool:
        """Whether its next deadline has passed on a local date."""
        return self.due is not None and self.due[1] < on

    def is_near(self, on: date, near_days: int) -> bool:
        """Whether its next deadline is near, and has not passed: an answer's so many days before, an acknowledgement's on its last day."""
        if self.due is None:
            return False
        what, by = self.due
        return on <= by <= (on + timedelta(days=near_days) if what == "answer" else on)

    def breaks_law(self, on: date) -> bool:
        """Whether the law's own date has passed without an answer."""
        return self.state in {"open", "acknowledged"} and self.law_answer_by is not None and self.law_answer_by < on


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseEntry:
    """One row of a case's history.

    Attributes:
        at: Business instant.
        kind: One of `ledger.tables.CASE_EVENTS`.
        said_by: Who.
        reference: Where it can be read.
        words: What was said or written, decrypted.
    """

    at: datetime
    kind: str
    said_by: str
    reference: str | None
    words: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Open cases of one kind, in counts.

    Attributes:
        kind: Of the cases.
        open: How many are not closed.
        near: Of these, whose next deadline is near.
        late: Whose next deadline has passed.
        unlawful: Whose answer is later than the law says.
    """

    kind: str
    open: int
    near: int
    late: int
    unlawful: int


def read(connection: Connection, case_id: int) -> Case:
    """One case.

    Raises:
        CaseRefused: There is none with this number.
    """
    row = connection.execute(_ONE, {"id": case_id}).mappings().one_or_none()
    if row is None:
        raise CaseRefused(f"no case {case_id}; `tideover cases list --all` names them")
    return Case(**row)


def listed(connection: Connection, *, closed_too: bool = False, kind: str | None = None, party_id: int | None = None) -> list[Case]:
    """Cases, whose next deadline comes first at the top.

    Args:
        connection: Any.
        closed_too: The closed ones too, at the end.
        kind: Only this kind.
        party_id: Only this person's.
    """
    keys = {"closed_too": closed_too, "kind": kind, "party": party_id}
    found = [Case(**row) for row in connection.execute(_LISTED, keys).mappings()]
    return sorted(found, key=lambda one: (one.state == "closed", one.due is None, one.due[1] if one.due else one.opened_on, one.id))


def of_person(connection: Connection, party_id: int) -> list[Case]:
    """A person's cases as she sees them, the newest first: those that are answered, whoever wrote them down."""
    keys = {"party": party_id, "kinds": sorted(ANSWERED_FIRST), "id": None}
    return [Case(**row) for row in connection.execute(_OF_PERSON, keys).mappings()]


def find_of_person(connection: Connection, party_id: int, case_id: int) -> Case | None:
    """One of these; None where it is none of them."""
    keys = {"party": party_id, "kinds": sorted(ANSWERED_FIRST), "id": case_id}
    row = connection.execute(_OF_PERSON, keys).mappings().one_or_none()
    return None if row is None else Case(**row)


def history(connection: Connection, case_id: int) -> list[CaseEntry]:
    """What happened to a case, oldest first.

    Raises:
        MissingKeyError: Words were encrypted with a key that is gone.
    """
    rows = connection.execute(_HISTORY, {"id": case_id}).all()
    vault.learn(connection, [row.key_id for row in rows])
    return [
        CaseEntry(
            at=row.at,
            kind=row.kind,
            said_by=row.said_by,
            reference=row.reference,
            words=None if row.words_encrypted is None else vault.decrypt(row.words_encrypted, row.key_id),
        )
        for row in rows
    ]


def standings(connection: Connection, *, on: date, near_days: int) -> list[Standing]:
    """How the open cases of each kind stand on a local date; kinds without an open one are left out."""
    by_kind: dict[str, list[Case]] = {}
    for one in listed(connection):
        by_kind.setdefault(one.kind, []).append(one)
    return [
        Standing(
            kind=kind,
            open=len(cases),
            near=sum(one.is_near(on, near_days) for one in cases),
            late=sum(one.is_late(on) for one in cases),
            unlawful=sum(one.breaks_law(on) for one in cases),
        )
        for kind, cases in sorted(by_kind.items())
    ]


def to_tell(connection: Connection, message: str, kinds: Collection[str], *, answered_since: datetime) -> pl.DataFrame:
    """Who waits to hear that a case was received, or was answered, and where their last answer came from.

    Whoever was written to with that message since, or waits for it, is left out.

    Args:
        connection: Any.
        message: `RECEIVED` or `ANSWERED`.
        kinds: Of the cases.
        answered_since: What was answered before is not told any more.

    Returns:
        `REACHED`, one row a person, by id; the contact point is null where no answer came by one that we know.
    """
    keys = {"kinds": sorted(kinds), "stage": STAGE, "message": message, "received": message == RECEIVED, "since": answered_since}
    rows = connection.execute(_TO_TELL, keys).all()
    return pl.DataFrame([tuple(row) for row in rows], schema=REACHED, orient="row")


def acknowledged_by_message(connection: Connection, kinds: Collection[str]) -> Mapping[int, int]:
    """Open case → the attempt that has told the person since that it was received."""
    rows = connection.execute(_ACKNOWLEDGED, {"kinds": sorted(kinds), "stage": STAGE, "message": RECEIVED})
    return {row.case_id: row.attempt_id for row in rows}


def loan_of(connection: Connection, party_id: int, named: str) -> int:
    """Id of the loan that the lender calls `named`, or we call `#123`, and that the person stands for.

    Raises:
        CaseRefused: The person has no such loan.
    """
    number = named.removeprefix("#") if named.startswith("#") else ""
    keys: dict[str, Any] = {"party": party_id, "id": int(number) if number.isascii() and number.isdigit() else None, "named": named}
    found: int | None = connection.execute(_LOAN_OF, keys).scalar()
    if found is None:
        raise CaseRefused("the borrower has no loan with that id; give the lender's id, or ours as #123")
    return found


_COLUMNS = """c.id, c.kind, c.party_id, c.loan_id, c.stated_by, c.channel, c.disputed_minor, c.currency, c.owner, c.opened_at, c.opened_on,
           c.acknowledge_by, c.acknowledge_rule, c.answer_by, c.answer_rule, c.law_answer_by, c.law_rule, c.state, c.acknowledged_at,
           c.answered_at, c.closed_at, c.result"""
_ONE = text(f"SELECT {_COLUMNS} FROM borrower_case c WHERE c.id = :id")  # noqa: S608  # our own words
_LISTED = text(f"""
    SELECT {_COLUMNS} FROM borrower_case c
    WHERE (:closed_too OR c.state <> 'closed') AND (CAST(:kind AS text) IS NULL OR c.kind = CAST(:kind AS text))
      AND (CAST(:party AS bigint) IS NULL OR c.party_id = CAST(:party AS bigint))
""")  # noqa: S608  # our own words
_OF_PERSON = text(f"""
    SELECT {_COLUMNS} FROM borrower_case c
    WHERE c.party_id = :party AND c.kind = ANY(:kinds) AND (CAST(:id AS bigint) IS NULL OR c.id = CAST(:id AS bigint))
    ORDER BY c.opened_at DESC, c.id DESC
""")  # noqa: S608  # our own words
_HISTORY = text("SELECT at, kind, said_by, reference, words_encrypted, key_id FROM case_event WHERE case_id = :id ORDER BY id")
# Where a provider has taken it, as far as is known, or may have, or will be asked to. Who wants no answer is told of none.
_TO_TELL = text("""
    SELECT DISTINCT c.party_id, e.contact_point_id
    FROM borrower_case c
    LEFT JOIN LATERAL (
        SELECT i.contact_point_id FROM contact_event i WHERE i.party_id = c.party_id AND i.direction = 'inbound'
        ORDER BY i.at DESC, i.id DESC LIMIT 1) e ON true
    WHERE c.kind = ANY(:kinds)
      AND CASE WHEN :received THEN c.state = 'open'
               ELSE c.answered_at > CAST(:since AS timestamptz) AND c.result IS DISTINCT FROM 'withdrawn' END
      AND NOT EXISTS (
        SELECT 1 FROM attempt a WHERE a.party_id = c.party_id AND a.stage = :stage AND a.message = :message
          AND (a.state IN ('planned', 'submitting', 'unknown', 'parked')
               OR (a.state IN ('accepted', 'sent', 'delivered', 'read', 'replied')
                   AND a.submitted_at >= CASE WHEN :received THEN c.opened_at ELSE c.answered_at END)))
    ORDER BY c.party_id
""")
_ACKNOWLEDGED = text("""
    SELECT c.id AS case_id, max(a.id) AS attempt_id
    FROM borrower_case c JOIN attempt a ON a.party_id = c.party_id AND a.stage = :stage AND a.message = :message
     AND a.submitted_at >= c.opened_at AND a.state IN ('accepted', 'sent', 'delivered', 'read', 'replied')
    WHERE c.state = 'open' AND c.kind = ANY(:kinds)
    GROUP BY c.id ORDER BY c.id
""")
_LOAN_OF = text("""
    SELECT l.id FROM loan_party lp JOIN loan l ON l.id = lp.loan_id
    WHERE lp.party_id = :party AND lp.superseded_at IS NULL AND (l.id = CAST(:id AS bigint) OR l.external_id = :named)
    ORDER BY l.id LIMIT 1
""")
