"""The last look before a call, and the mark that a call is about to be made.

Between the gate's commit and the call lie up to some seconds in a sender's queue. So the gate notes how far the ledger had got
when it read the facts (`Known`), and just before the call the same transaction asks whether anything was learned since that
concerns the person (a stop, a hold, a wish, a payment, a promise, a pause, any new version of a fact that rules look at) and,
if not, writes the mark. No call is made without it: what is `submitting` past its deadline and bears none was never called.

Whoever writes such a fact takes the borrower's lock first. What is written after the gate has let go of that lock gets an id
above every id that was given out before: the sequences say how far they are, whenever their rows are committed. Pauses take no
lock; they are counted as they are committed.

In:   a connection; attempts under one claim, and what was known when they were judged.
Out:  for each whether it may be called now.
Pure: no.
Source: docs/adr/0012; ARCHITECTURE.md, invariants I1, I2, I4.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from typing import Final, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

# Table → how its rows name the person: themselves, by a loan, by a contact point, by a number that several may have.
_BY_PERSON: Final = ("opt_out", "hold", "wish", "promise", "consent", "agreement", "notice", "party_version", "loan_party")
_BY_LOAN: Final = ("payment", "loan_version")
_TABLES: Final = (*_BY_PERSON, *_BY_LOAN, "contact_point_version", "contact_value")

Refusal = Literal["learned", "over"]


class Known(NamedTuple):
    """How far the ledger had got.

    Attributes:
        pauses: How many rows of `pause` were committed; only ever more.
        ids: For each table of facts the highest id that was given out, committed or not.
    """

    pauses: int = 0
    ids: tuple[int, ...] = (0,) * len(_TABLES)


def known(connection: Connection) -> Known:
    """How far the ledger has got; to be read before the facts are."""
    row = connection.execute(_KNOWN).one()
    return Known(row[0], tuple(row[1:]))


def mark_calls(
    connection: Connection, *, business_date: date, claim_id: UUID, before: Known, parties: Mapping[int, int]
) -> dict[int, datetime | Refusal]:
    """Mark attempts of one claim that are about to be called.

    Args:
        connection: Inside a transaction that ends at once; nobody is called before it has committed.
        business_date: Of the attempts.
        claim_id: Under which they are `submitting`.
        before: What was known when they were judged.
        parties: Attempt id → party id.

    Returns:
        Attempt id → the mark (the database's wall clock); `learned`: something concerns the person that the gate did not
        know, so that it has to be judged again; `over`: it is no longer ours to call, or its deadline has passed.
    """
    refused = _learned_about(connection, before, set(parties.values()))
    answers: dict[int, datetime | Refusal] = {one: "learned" if party_id in refused else "over" for one, party_id in parties.items()}
    asked = sorted(attempt_id for attempt_id, answer in answers.items() if answer == "over")
    if asked:
        keys = {"dates": [business_date] * len(asked), "ids": asked, "claim": claim_id}
        answers |= {row.id: row.called_at for row in connection.execute(_MARK, keys)}
    return answers


def _learned_about(connection: Connection, before: Known, parties: AbstractSet[int]) -> AbstractSet[int]:
    """Of which of these people something was learned."""
    present = known(connection)
    if present.pauses != before.pauses:
        # What operations paused or resumed may concern anybody.
        return parties
    if present.ids == before.ids:
        return set()
    since = dict(zip(_TABLES, before.ids, strict=True))
    return set(connection.execute(_LEARNED, {"parties": sorted(parties), **since}).scalars())


_LAST = ", ".join(f"(SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {table}_id_seq)" for table in _TABLES)  # noqa: S608  # names above
# Pauses are counted, not read off their sequence: they take no lock, and one may have its id long before it is committed.
_KNOWN = text(f"SELECT (SELECT count(*) FROM pause), {_LAST}")  # noqa: S608  # names above
# Joined by the whole key: of a day that is newer than its statistics the planner believes that it has hardly any rows, and would
# read all of them by the date alone. And `coalesce`, so that it does not go by the index of all that is open, with every entry that
# was closed since the last vacuum: with 256 calls in flight a mark cost six times as much.
_MARK = text("""
    UPDATE attempt a SET called_at = clock_timestamp()
    FROM unnest(CAST(:dates AS date[]), CAST(:ids AS bigint[])) AS k(business_date, id)
    WHERE a.business_date = k.business_date AND a.id = k.id AND a.claim_id = :claim AND coalesce(a.state = 'submitting', false)
      AND a.call_deadline > clock_timestamp()
    RETURNING a.id, a.called_at
""")
_LEARNED = text(
    " UNION ".join(
        [
            *(f"SELECT f.party_id FROM {table} f WHERE f.id > :{table} AND f.party_id = ANY(:parties)" for table in _BY_PERSON),  # noqa: S608  # names above
            *(
                f"SELECT o.party_id FROM {table} f JOIN loan_party o ON o.loan_id = f.loan_id AND o.superseded_at IS NULL"  # noqa: S608  # names above
                f" WHERE f.id > :{table} AND o.party_id = ANY(:parties)"
                for table in _BY_LOAN
            ),
            # A hold on whoever is liable concerns the others too: by its loan, or by any loan that they share.
            """
            SELECT o.party_id FROM hold f
            JOIN loan_party l ON l.superseded_at IS NULL AND (l.loan_id = f.loan_id OR f.loan_id IS NULL AND l.party_id = f.party_id)
            JOIN loan_party o ON o.loan_id = l.loan_id AND o.superseded_at IS NULL
            WHERE f.id > :hold AND f.all_liable AND o.party_id = ANY(:parties)
            """,
            """
            SELECT p.party_id FROM contact_point_version f JOIN contact_point p ON p.id = f.contact_point_id
            WHERE f.id > :contact_point_version AND p.party_id = ANY(:parties)
            """,
            """
            SELECT p.party_id FROM contact_value f JOIN contact_point_version v ON v.blind_index = f.blind_index AND v.superseded_at IS NULL
            JOIN contact_point p ON p.id = v.contact_point_id
            WHERE f.id > :contact_value AND p.party_id = ANY(:parties)
            """,
        ]
    )
)
