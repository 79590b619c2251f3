"""Heads of the evidence outside the database: who rewrites a run, and every link of it, still contradicts these files.

One file a business date, one line a time that a run was linked: which run, how many links, the last of them. Lines are only
appended. A folder that is full or away never stops a contact: the head is alerted as missing, and the nightly audit writes it
then (the links themselves stand in the ledger, written with the rows).

In:   `TIDEOVER_EVIDENCE_DIR`, or the state folder's `evidence`; the run's head.
Out:  lines in `heads-YYYY-MM-DD.jsonl`; whether they were kept; which contradict the ledger.
Pure: no; appends to files, reads them.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from config.settings import STATE_FOLDER, settings
from ledger.evidence import Batch, Mismatch

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where the chain of a run stood.

    Attributes:
        business_date: ISO 8601.
        campaign_run_id: Which run.
        links: How many it had.
        link: The last of them, hexadecimal.
    """

    business_date: str
    campaign_run_id: int
    links: int
    link: str


def head_of(business_date: date, campaign_run_id: int, links: int, last: bytes) -> Head:
    """A head as it is written down, of what `evidence.seal_run` answered."""
    return Head(business_date=business_date.isoformat(), campaign_run_id=campaign_run_id, links=links, link=last.hex())


def folder() -> Path:
    """Where heads are kept on this machine."""
    return settings().evidence_dir or STATE_FOLDER / "evidence"


def keep_head(head: Head, place: Path | None = None) -> bool:
    """Append a head and wait until the disk has it; one that stands there already is not written again.

    Returns:
        Whether it is kept. False = the folder could not be written: said in the log, and left to the audit.
    """
    file = _file(head.business_date, place)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if head in _read(file):
            return True
        with file.open("ab") as open_file:
            # A full disk may have cut the last line short.
            torn = open_file.tell() > 0 and not file.read_bytes().endswith(b"\n")
            open_file.write((b"\n" if torn else b"") + json.dumps(asdict(head)).encode() + b"\n")
            open_file.flush()
            os.fsync(open_file.fileno())
    except OSError as error:
        # The reason only: a path may name a person's home.
        _LOG.error("EVIDENCE HEAD NOT KEPT outside the database: run %d, %s", head.campaign_run_id, error.strerror)
        return False
    return True


def read_heads(business_date: str, place: Path | None = None) -> list[Head]:
    """The heads of a business date, in the order in which they were written; empty where there is no file.

    Raises:
        OSError: The file is there and cannot be read.
    """
    return _read(_file(business_date, place))


def contradictions(business_date: date, chains: Mapping[int, Sequence[Batch]], place: Path | None = None) -> list[Mismatch]:
    """Heads of a date that the ledger does not bear out.

    Args:
        business_date: Of the runs.
        chains: Every run of the date → its linked batches, in order.
        place: Folder; None = this machine's.

    Raises:
        OSError: The file is there and cannot be read.
    """
    found = []
    for head in read_heads(business_date.isoformat(), place):
        batches = chains.get(head.campaign_run_id)
        if batches is None:
            what = "the folder outside keeps a head of this run, and the ledger has no such run"
        elif len(batches) < head.links:
            what = f"{head.links} links were kept outside, {len(batches)} are in the ledger"
        elif head.links < 1 or (batches[head.links - 1].link or b"").hex() != head.link:
            what = f"link {head.links} is not the one that was kept outside"
        else:
            continue
        found.append(Mismatch(campaign_run_id=head.campaign_run_id, batch_id=None, what=what))
    return found


def _file(business_date: str, place: Path | None) -> Path:
    return (place or folder()) / f"heads-{business_date}.jsonl"


def _read(file: Path) -> list[Head]:
    """Heads in a file. A line that was cut short by a full disk, and a line that is none of ours, is no head."""
    if not file.exists():
        return []
    heads = []
    for line in file.read_bytes().splitlines():
        try:
            heads.append(Head(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return heads
