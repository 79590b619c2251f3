"""Agencies: firms that may collect for the lender, and their licences.

In:   a connection inside a transaction; what somebody says of a firm.
Out:  rows of `agency`, `agency_licence`; `Agency` values.
Pure: no; reads and writes the ledger.
Source: docs/agencies.md; docs/adr/0062.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from sqlalchemy import Connection, text

from decisions.placements import Licence

CODE: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,31}")
JURISDICTION: Final = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3}){0,2}")
KEY_BITS_MIN: Final = 2048


class AgencyRefused(RuntimeError):
    """Nothing was written; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agency:
    """A firm and how things stand with it; nothing of it is personal.

    Attributes:
        id: Ours.
        code: Our short name of it.
        name: As borrowers are told it.
        contact: How a borrower reaches it.
        certificate: X.509, PEM; None = nothing can be sent to it.
        licences: All that were ever written down.
        open_placements: Loans that it has now.
        unacknowledged: Feeds that it has not said to have read.
        findings: Contacts of its that were against a rule, ever.
    """

    id: int
    code: str
    name: str
    contact: str
    certificate: str | None = field(repr=False)
    licences: tuple[Licence, ...]
    open_placements: int = 0
    unacknowledged: int = 0
    findings: int = 0

    @property
    def source(self) -> str:
        """What its contacts name as their source in the log."""
        return f"agency:{self.code}"


def add(tx: Connection, *, code: str, name: str, contact: str, certificate: str | None, by: str, at: datetime) -> bool:
    """Write an agency down, or what has changed of it; False where all of it stood there already.

    Raises:
        AgencyRefused: A code that is no word, an empty name, a certificate that nothing can be encrypted for.
    """
    if CODE.fullmatch(code) is None:
        raise AgencyRefused(f"no code {code!r}: small letters, digits and -, two to 32 of them")
    if not name.strip() or not contact.strip() or not by.strip():
        raise AgencyRefused("say its name, how a borrower reaches it (--contact) and who says so (--by)")
    if certificate is not None:
        usable(certificate)
    keys = {"code": code, "name": name.strip(), "contact": contact.strip(), "certificate": certificate, "by": by.strip(), "at": at}
    return tx.execute(_ADD, keys).rowcount > 0


def license_(tx: Connection, agency: Agency, licence: Licence, *, by: str) -> bool:
    """Write down a licence of an agency; False where it stands there already.

    Raises:
        AgencyRefused: No such jurisdiction, no number, an end before the beginning.
    """
    if JURISDICTION.fullmatch(licence.jurisdiction) is None:
        raise AgencyRefused(f"no jurisdiction {licence.jurisdiction!r}: US, US-NY, US-NY-NYC, TW …")
    if not licence.number.strip() or not by.strip():
        raise AgencyRefused("say the licence's number and who says so (--by)")
    if licence.until_on <= licence.from_on:
        raise AgencyRefused(f"the licence would end on {licence.until_on.isoformat()}, before it begins")
    keys = {
        "agency": agency.id, "jurisdiction": licence.jurisdiction, "number": licence.number.strip(), "from_on": licence.from_on,
        "until_on": licence.until_on, "by": by.strip(),
    }  # fmt: skip
    return tx.execute(_LICENSE, keys).rowcount > 0


def usable(certificate: str) -> x509.Certificate:
    """The certificate behind a PEM.

    Raises:
        AgencyRefused: It is none, or its key is not RSA of at least 2048 bits.
    """
    try:
        found = x509.load_pem_x509_certificate(certificate.encode())
    except ValueError:
        raise AgencyRefused("the certificate is no X.509 certificate in PEM") from None
    key = found.public_key()
    if not isinstance(key, RSAPublicKey) or key.key_size < KEY_BITS_MIN:
        raise AgencyRefused(f"the certificate's key is not RSA of at least {KEY_BITS_MIN} bits")
    return found


def find(tx: Connection, code: str) -> Agency:
    """The agency of a code.

    Raises:
        AgencyRefused: There is none.
    """
    found = listed(tx, code=code)
    if not found:
        raise AgencyRefused(f"no agency {code!r}; `tideover agencies list` names them, `tideover agencies add` adds one")
    return found[0]


def listed(tx: Connection, *, code: str | None = None) -> list[Agency]:
    """All agencies by code, with their licences and counts; or one."""
    rows = tx.execute(_LISTED, {"code": code}).mappings().all()
    licences = tx.execute(_LICENCES, {"ids": [row["id"] for row in rows]}).all()
    return [Agency(**row, licences=_licences(licences, row["id"])) for row in rows]


def expiring(tx: Connection, *, by: date) -> list[tuple[str, Licence]]:
    """Licences of agencies that have loans now, and that end by a date without a longer one of the same jurisdiction; code and licence."""
    found = []
    for one in listed(tx):
        latest: dict[str, Licence] = {}
        for licence in one.licences:
            if licence.jurisdiction not in latest or latest[licence.jurisdiction].until_on < licence.until_on:
                latest[licence.jurisdiction] = licence
        if one.open_placements:
            found += [(one.code, licence) for licence in latest.values() if licence.until_on <= by]
    return found


def _licences(rows: Sequence[Any], agency_id: int) -> tuple[Licence, ...]:
    return tuple(
        Licence(jurisdiction=row.jurisdiction, number=row.number, from_on=row.from_on, until_on=row.until_on)
        for row in rows
        if row.agency_id == agency_id
    )


_ADD = text("""
    INSERT INTO agency (code, name, contact, certificate, added_by, at) VALUES (:code, :name, :contact, :certificate, :by, :at)
    ON CONFLICT (code) DO UPDATE
    SET name = excluded.name, contact = excluded.contact, certificate = coalesce(excluded.certificate, agency.certificate),
        added_by = excluded.added_by
    WHERE (agency.name, agency.contact) <> (excluded.name, excluded.contact)
       OR (excluded.certificate IS NOT NULL AND agency.certificate IS DISTINCT FROM excluded.certificate)
""")
_LICENSE = text("""
    INSERT INTO agency_licence (agency_id, jurisdiction, number, from_on, until_on, added_by)
    VALUES (:agency, :jurisdiction, :number, :from_on, :until_on, :by)
    ON CONFLICT (agency_id, jurisdiction, number, from_on, until_on) DO NOTHING
""")
_LISTED = text("""
    SELECT a.id, a.code, a.name, a.contact, a.certificate,
           (SELECT count(*) FROM placement p WHERE p.agency_id = a.id AND p.ended_at IS NULL) AS open_placements,
           (SELECT count(*) FROM agency_feed f WHERE f.agency_id = a.id AND f.acknowledged_at IS NULL) AS unacknowledged,
           (SELECT count(DISTINCT event_id) FROM agency_finding f WHERE f.agency_id = a.id) AS findings
    FROM agency a WHERE CAST(:code AS text) IS NULL OR a.code = :code ORDER BY a.code
""")
_LICENCES = text("""
    SELECT agency_id, jurisdiction, number, from_on, until_on FROM agency_licence
    WHERE agency_id = ANY(:ids) ORDER BY agency_id, jurisdiction, from_on, id
""")
