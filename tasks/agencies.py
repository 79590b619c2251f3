"""Agencies' steps: place and recall loans, write what an agency is told, read what it says, see to what has ended.

A feed is encrypted for the agency's certificate (CMS, AES-256) before it is written: nothing personal lies on a disk in the clear. Its file
has the agency's code and the feed's number for a name, mode 0600, and appears whole or not at all.

In:   codes, ids, files; the ledger; config/agencies.yaml.
Out:  rows of the ledger, files of the outbox; ids, counts, reasons.
Pure: no.
Source: docs/agencies.md; RFC 5652 (CMS); docs/adr/0062.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7EnvelopeBuilder, PKCS7Options
from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from config.cases import case_terms
from config.settings import STATE_FOLDER, settings
from decisions.agency_lines import Line, LineError, read_line
from decisions.placements import Licence
from ledger import agencies, agency_feeds, agency_lines, clock, placements
from ledger.agencies import Agency, AgencyRefused
from ledger.agency_feeds import Feed, FeedState
from ledger.agency_lines import Taken
from ledger.engine import connection
from ledger.law import law_in_force

UNACKNOWLEDGED: Final = "tideover.agency.unacknowledged"
# People whose locks one transaction holds are at most so many.
CHUNK: Final = 200
LINE_BYTES_MAX: Final = 64_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A feed, and where it lies.

    Attributes:
        agency: Code.
        number: Of the feed; None = there was nothing new, or nothing was written.
        counts: Kind → lines.
        file: Where it lies; None = nothing was written.
    """

    agency: str
    number: int | None
    counts: dict[str, int]
    file: Path | None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "file": None if self.file is None else str(self.file)}


@dataclass(slots=True)
class Read:
    """What became of an agency's file.

    Attributes:
        lines: How many there were.
        taken: What became of those that could be read.
    """

    lines: int = 0
    taken: Taken = field(default_factory=Taken)

    def as_json(self) -> dict[str, Any]:
        """Plain values; nothing of any line."""
        return {
            "lines": self.lines,
            "counts": dict(self.taken.counts),
            "rejected": [{"line": number, "reason": reason} for number, reason in sorted(self.taken.rejected)],
            "findings": dict(self.taken.findings),
        }


def outbox() -> Path:
    """Where feeds lie for the agencies' transport.

    Raises:
        AgencyRefused: In live mode nobody has said where.
    """
    found = settings().agency_outbox or (None if settings().is_real else STATE_FOLDER / "agencies")
    if found is None:
        raise AgencyRefused("set TIDEOVER_AGENCY_OUTBOX: the folder that feeds are taken from")
    return found


def add_agency(code: str, *, name: str, contact: str, certificate: Path | None, by: str, licences: Sequence[Licence] = ()) -> Agency:
    """Write an agency down, or what has changed of it, and its licences.

    Raises:
        AgencyRefused: What `ledger.agencies` refuses, or a certificate that cannot be read.
    """
    try:
        pem = None if certificate is None else certificate.read_text("ascii")
    except (OSError, ValueError) as error:
        raise AgencyRefused(f"the certificate cannot be read: {type(error).__name__}") from None
    with connection() as tx:
        agencies.add(tx, code=code, name=name, contact=contact, certificate=pem, by=by, at=clock.now(tx))
        agency = agencies.find(tx, code)
        for licence in licences:
            agencies.license_(tx, agency, licence, by=by)
        return agencies.find(tx, code)


def write_feed(code: str, *, number: int | None = None, dry_run: bool = False) -> Sent:
    """Write the next feed of an agency, or one again.

    Args:
        code: The agency.
        number: A feed that was made before; None = the next.
        dry_run: Only count what is new.

    Raises:
        AgencyRefused: No such agency or feed, no certificate, nowhere to write to.
        OSError: The folder cannot be written to; nothing counts as told then.
    """
    folder = outbox()
    with connection() as tx:
        agency, at = agencies.find(tx, code), clock.now(tx)
        if dry_run:
            return Sent(agency=code, number=None, counts=agency_feeds.news(tx, agency, at=at), file=None)
        feed = agency_feeds.make(tx, agency, at=at) if number is None else agency_feeds.again(tx, agency, number, at=at)
        if feed is None:
            return Sent(agency=code, number=None, counts={}, file=None)
        beside = _beside(folder, agency, feed)
    # Told from the commit on. Who is killed before the next line leaves a file that nobody takes: unacknowledged, it is told of, and
    # written again.
    file = beside.with_suffix("")
    beside.replace(file)
    return Sent(agency=code, number=feed.number, counts=dict(feed.counts), file=file)


def read_file(code: str, file: Path, *, dry_run: bool = False) -> Read:
    """Read an agency's file: good lines are written down, bad ones are named; told again, nothing is written twice.

    Args:
        code: The agency.
        file: JSON lines.
        dry_run: Take everything back at the end.

    Raises:
        AgencyRefused: No such agency, or the file cannot be read.
        ConfigError: Terms or rule packs cannot be read.
    """
    found, terms = Read(), case_terms()
    try:
        opened = file.open("rb")
    except OSError as error:
        raise AgencyRefused(f"the file cannot be read: {type(error).__name__}") from None
    with opened:
        for chunk in _chunks(opened, found, now=_now()):
            with connection() as tx, tx.begin_nested() as written:
                agency, at = agencies.find(tx, code), clock.now(tx)
                _add(found.taken, agency_lines.take(tx, agency, chunk, packs=law_in_force(tx).packs, terms=terms, at=at))
                if dry_run:
                    written.rollback()
    return found


@task(task_run_name="end what has ended", retries=2, retry_delay_seconds=[10, 60], persist_result=False, cache_policy=NO_CACHE)
def end_placements() -> dict[str, int]:
    """End placements whose last day is over or that something known calls back, and the holds of those that have ended.

    Returns:
        `ran_out`, `recalled`, `released` → how many.
    """
    with connection() as tx:
        at = clock.now(tx)
        ran_out = placements.run_out(tx, on=placements.lenders_date(at), at=at)
        recalled = placements.recall_held(tx, None, at=at)
        waiting = placements.to_release(tx)
    released = 0
    for one in waiting:
        # One transaction each, so that no lock is held over many people.
        with connection() as tx:
            released += placements.release(tx, one, at=clock.now(tx))
    return {"ran_out": len(ran_out), "recalled": len(recalled), "released": released}


@task(task_run_name="tell agencies", retries=2, retry_delay_seconds=[10, 60], persist_result=False, cache_policy=NO_CACHE)
def tell_agencies() -> dict[str, int]:
    """Write the next feed of every agency that has a certificate; shows how each stands.

    Returns:
        Code → lines that it is told now.
    """
    with connection() as tx:
        known = [one for one in agencies.listed(tx) if one.certificate is not None]
    told = {one.code: sum(write_feed(one.code).counts.values()) for one in known}
    with connection() as tx:
        standing = agencies.listed(tx)
    create_table_artifact(
        key="agencies",
        description="Loans with agencies, feeds that they have not acknowledged, contacts of theirs that were against a rule.",
        table=[
            {"agency": one.code, "loans": one.open_placements, "told now": told.get(one.code, 0), "unacknowledged": one.unacknowledged,
             "findings": one.findings}
            for one in standing
        ],
    )  # fmt: skip
    get_run_logger().info("%s", ", ".join(f"{code} {lines} lines" for code, lines in told.items()) or "no agency")
    return told


@task(task_run_name="tell of silence", retries=2, retry_delay_seconds=[10, 60], persist_result=False, cache_policy=NO_CACHE)
def tell_unacknowledged() -> int:
    """An event for each feed of an earlier day that its agency has not acknowledged, once a day; how many."""
    with connection() as tx:
        found = agency_feeds.tell_late(tx, on=placements.lenders_date(clock.now(tx)))
    for one in found:
        _tell(one)
    return len(found)


def _tell(feed: FeedState) -> None:
    emit_event(
        event=UNACKNOWLEDGED,
        resource={"prefect.resource.id": f"tideover.agency.{feed.agency}", "prefect.resource.name": f"{feed.agency}, feed {feed.number}"},
        payload={"agency": feed.agency, "feed": feed.number, "business_date": feed.business_date.isoformat(), "lines": feed.lines},
    )


def _beside(folder: Path, agency: Agency, feed: Feed) -> Path:
    """The encrypted feed, whole and safe on the disk under a name that no transport takes."""
    if agency.certificate is None:
        raise AgencyRefused(f"{agency.code} has no certificate: `tideover agencies add {agency.code} … --certificate FILE`")
    builder = PKCS7EnvelopeBuilder().set_data(feed.content).add_recipient(agencies.usable(agency.certificate))
    sealed = builder.set_content_encryption_algorithm(AES256).encrypt(Encoding.DER, [PKCS7Options.Binary])
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = folder / f"{agency.code}-{feed.number:06d}.p7m.part"
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(sealed)
        file.flush()
        os.fsync(file.fileno())
    return beside


def _chunks(opened: Any, found: Read, *, now: datetime) -> Iterator[list[tuple[int, Line]]]:
    chunk: list[tuple[int, Line]] = []
    for number, raw in enumerate(opened, 1):
        if not raw.strip():
            continue
        found.lines += 1
        try:
            chunk.append((number, _line(raw, now=now)))
        except LineError as error:
            found.taken.rejected.append((number, str(error)))
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _line(raw: bytes, *, now: datetime) -> Line:
    if len(raw) > LINE_BYTES_MAX:
        raise LineError(f"longer than {LINE_BYTES_MAX} bytes")
    try:
        return read_line(raw.decode("utf-8"), now=now)
    except UnicodeDecodeError:
        raise LineError("not UTF-8") from None


def _now() -> datetime:
    with connection() as tx:
        return clock.now(tx)


def _add(total: Taken, part: Taken) -> None:
    total.counts += Counter(part.counts)
    total.rejected += part.rejected
    total.findings += Counter(part.findings)
