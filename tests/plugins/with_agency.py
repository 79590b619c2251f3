"""Fixtures: an agency with a key of its own, and a loan that may be placed with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from subprocess import run
from typing import Any
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from config.settings import settings
from decisions.placements import Licence
from ledger import clock, placements
from ledger.agency_lines import person_ref
from ledger.engine import connection
from ledger.placements import Placement
from ledger.placing import note_notice, place_loan
from tasks.agencies import add_agency
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon

CODE = "harbour"
NOON = noon("US")
TOLD = NOON - timedelta(days=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Harbour:
    """An agency, as the test holds its private key."""

    folder: Path
    key: Path
    certificate: Path

    def opened(self, file: Path) -> list[dict[str, Any]]:
        """The lines of a feed, as the agency opens it: by openssl's command."""
        told = run(["openssl", "cms", "-decrypt", "-inform", "DER", "-in", file, "-inkey", self.key], capture_output=True, check=True)
        return [json.loads(line) for line in told.stdout.decode().splitlines()]

    def says(self, *lines: dict[str, Any] | str) -> Path:
        """A file of the agency's."""
        file = self.folder / "told.jsonl"
        file.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
        return file


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key and a certificate of it, made once."""
    folder = tmp_path_factory.mktemp("agency")
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "harbour.example")])
    built = x509.CertificateBuilder(name, name, key.public_key(), 17, datetime(2026, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "certificate.pem").write_bytes(built.sign(key, SHA256()).public_bytes(Encoding.PEM))
    return folder / "key.pem", folder / "certificate.pem"


@pytest.fixture
def harbour(portfolio: Portfolio, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Harbour]:
    """An agency with licences for New York and Taiwan; it is noon in New York."""
    monkeypatch.setenv("TIDEOVER_AGENCY_OUTBOX", str(tmp_path / "outbox"))
    settings.cache_clear()
    portfolio.clock(NOON)
    licences = [
        Licence(jurisdiction=where, number="L-1", from_on=date(2026, 1, 1), until_on=date(2027, 1, 1)) for where in ("US-NY", "TW", "VN")
    ]
    add_agency(CODE, name="Harbour Partners", contact="help@harbour.example", certificate=pair[1], by="anna", licences=licences)
    yield Harbour(folder=tmp_path, key=pair[0], certificate=pair[1])
    settings.cache_clear()


def placeable(portfolio: Portfolio, **given: Any) -> BorrowerIds:
    """A borrower whose loan is late enough, and who has had notice."""
    borrower = portfolio.borrower(**{"days_past_due": 95, **given})
    note_notice(f"#{borrower.loan_id}", sent_at=TOLD, by="anna", reference="letter 12")
    return borrower


def placed(borrower: BorrowerIds) -> Placement:
    """The loan with the agency, from now on."""
    found = place_loan(f"#{borrower.loan_id}", CODE, until=TODAY + timedelta(days=90), by="anna")
    assert found is not None
    return found


def stands(placement: Placement) -> Placement:
    """How it stands now."""
    with connection() as tx:
        return placements.read(tx, placement.id)


def contact(placement: Placement, number: str, at: datetime, **more: Any) -> dict[str, Any]:
    """A line about a contact."""
    return {
        "kind": "contact", "id": number, "placement": str(placement.reference), "at": at.isoformat(), "channel": "call",
        "result": "no_answer", **more,
    }  # fmt: skip


def ref(reference: UUID, party_id: int) -> str:
    """What the agency calls a person."""
    return person_ref(reference, party_id)


def later(portfolio: Portfolio, by: timedelta) -> datetime:
    """Step the clock."""
    with connection() as tx:
        at = clock.now(tx) + by
    portfolio.clock(at)
    return at
