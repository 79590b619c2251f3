"""A person's facts in the form of a case of `tideover rules check`, so that a what-if begins with what is known and not with a guess.

Ids stand for loans and contact points; no number, name, postal code or text is taken along. Where the zone is not known, the country and
region stand in, which says no more than the numbers would: a what-if may be stricter than the gate, never milder.

In:   a connection; a party id; the business instant.
Out:  plain values of the form in CASES.md, with a contact proposed for now.
Pure: no; reads.
"""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from sqlalchemy import Connection

from config.settings import settings
from ledger.facts import read_facts


class NoFactsError(LookupError):
    """Nothing is known of the person."""


def case_of(connection: Connection, party_id: int, *, at: datetime, channel: str = "sms") -> dict[str, Any]:
    """What is known of a person now, and a contact proposed for now.

    Args:
        connection: Any.
        party_id: Whose.
        at: Business instant.
        channel: Of the contact.

    Raises:
        NoFactsError: There is no such person.
    """
    business_date = at.astimezone(ZoneInfo(settings().business_zone)).date()
    facts = read_facts(connection, parties=[party_id], at=at, business_date=business_date, loans="now")
    if facts.borrowers.height != 1:
        raise NoFactsError("nobody has that id")
    person = facts.borrowers.row(0, named=True)
    points = [
        _known(
            id=_point(row["contact_point_id"]),
            kind=row["kind"],
            owner=row["owner"],
            employer_owned=row["employer_owned"],
            verified_on=row["verified_on"],
            status=row["status"],
        )
        for row in _rows(facts.contact_points)
    ]
    loans = [
        _known(
            id=_loan(row["loan_id"]),
            product=row["product"],
            account=row["account"] and f"A{_first_with(facts.loans, row['account'])}",
            currency=row["currency"],
            past_due=row["past_due_minor"],
            days_past_due=row["days_past_due"],
            disputed=bool(row["disputed_minor"]),
            charged_off=bool(row["charged_off"]),
            time_barred=bool(row["time_barred"]),
        )
        for row in _rows(facts.loans)
    ]
    return _known(
        id=f"person-{party_id}",
        jurisdictions=person["jurisdictions"],
        creditor_role=person["creditor_role"],
        borrower=_known(
            known_zone=person["known_zone"],
            country=person["country"],
            region=person["region"],
            language=person["locale"],
            facts=person["facts"],
        ),
        loans=loans,
        contact_points=points,
        consents=[_of(row, "channel", "given_to", "at", "until") for row in _rows(facts.consents)],
        optouts=[_of(row, "channel", "at", "until") | _pointed(row) for row in _rows(facts.opt_outs)],
        holds=[
            _of(row, "kind", "until") | _known(**{"from": row["starts_at"]}, loan=_maybe_loan(row["loan_id"])) for row in _rows(facts.holds)
        ],
        agreements=[_of(row, "kind", "days", "opens", "closes", "requested_by", "at", "until") for row in _rows(facts.agreements)],
        wishes=[
            _of(row, "kind", "days", "place", "until", "channels", "form")
            | _known(**{"from": row["opens"], "to": row["closes"], "since": row["starts_at"]})
            for row in _rows(facts.wishes)
        ],
        notices=[
            _of(row, "kind", "sent_at", "received_on", "bounced", "opt_out_by") | _known(loan=_maybe_loan(row["loan_id"]))
            for row in _rows(facts.notices)
        ],
        history=[
            _of(row, "at", "channel", "direction", "purpose", "result")
            | _known(loans=[_loan(one) for one in row["loans"] or ()], party=row["counterparty"])
            | _pointed(row)
            for row in _rows(facts.history)
        ],
        proposed=_known(
            at=at,
            channel=channel,
            loans=[loan["id"] for loan in loans],
            contact_point=points[0]["id"] if points else None,
            party="borrower",
            purpose="collection",
            automated=True,
        ),
    )


def _rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    return frame.to_dicts()


def _of(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return _known(**{name: row[name] for name in names})


def _known(**values: Any) -> dict[str, Any]:
    """What is known, as the form writes it; a field that is left out means the same as none."""
    return {name: _written(value) for name, value in values.items() if value is not None and value not in ([], "", {})}


def _written(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, time):
        return value.isoformat("minutes")
    return value.isoformat() if isinstance(value, date) else value


def _loan(number: int) -> str:
    return f"L{number}"


def _maybe_loan(number: int | None) -> str | None:
    return None if number is None else _loan(number)


def _point(number: int) -> str:
    return f"P{number}"


def _pointed(row: dict[str, Any]) -> dict[str, Any]:
    return {} if row["contact_point_id"] is None else {"contact_point": _point(row["contact_point_id"])}


def _first_with(loans: pl.DataFrame, account: str) -> int:
    """The account's number for people is not taken along: its first loan's stands for it."""
    return int(loans.filter(pl.col("account") == account)["loan_id"][0])
