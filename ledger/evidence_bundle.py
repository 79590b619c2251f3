"""Evidence of several attempts as one file that can be carried: a ZIP of the folders that `tideover evidence` writes, each checked as such.

An archive that somebody hands in is looked at before a byte of it is unpacked: it may hold the files of evidence and nothing else, of a
size that evidence has. It is unpacked into a folder of its own, and nothing of it is kept.

In:   dossiers; or the bytes of an archive.
Out:  the bytes of an archive, the same for the same dossiers; or, for each attempt in it, what does not match.
Pure: no; writes temporary folders.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from sqlalchemy import Connection

from ledger import evidence_folder
from ledger.evidence import chain
from ledger.evidence_folder import FolderRefused

# What a desk exports at once; more is written by `tideover evidence`, attempt by attempt.
ATTEMPTS_MAX: Final = 100
# A dossier of a busy person with thirty packs has about a megabyte.
UNPACKED_BYTES_MAX: Final = 256_000_000
PACKED_BYTES_MAX: Final = 16_000_000
FILES_MAX: Final = 100 * ATTEMPTS_MAX
# The names that `evidence_folder.write` gives, and no other: no way out of the folder, no program.
_MEMBER: Final = re.compile(r"attempt-[1-9][0-9]{0,18}/(evidence\.json|index\.html|SHA256SUMS|policies/[0-9a-f]{64}\.yaml)", re.ASCII)
# So that the same evidence is the same file, whenever it is packed.
_LONG_AGO: Final = (1980, 1, 1, 0, 0, 0)


class BundleRefused(RuntimeError):
    """The file is no archive of evidence; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check of one attempt's evidence found.

    Attributes:
        attempt_id: As the archive names it.
        wrong: What does not match, each in a sentence; empty = all that is proved matches.
        not_proved: What was not checked, with the reason.
        run: Whose links it shows; None = it cannot be read.
        links: Number and link, as it shows them.
    """

    attempt_id: int
    wrong: tuple[str, ...]
    not_proved: tuple[str, ...]
    run: int | None = None
    links: tuple[tuple[int, str], ...] = ()


def packed(dossiers: Iterable[tuple[Mapping[str, Any], Mapping[str, str]]]) -> bytes:
    """Pack dossiers.

    Args:
        dossiers: What is told and the policies' texts, as `evidence_folder.write` takes them.
    """
    out = io.BytesIO()
    with TemporaryDirectory(prefix="tideover-evidence-") as place, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for told, bodies in dossiers:
            name = f"attempt-{told['attempt']['id']}"
            folder = Path(place) / name
            evidence_folder.write(told, bodies, folder)
            for file in sorted(one for one in folder.rglob("*") if one.is_file()):
                entry = zipfile.ZipInfo(f"{name}/{file.relative_to(folder).as_posix()}", _LONG_AGO)
                entry.external_attr = 0o600 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, file.read_bytes())
    return out.getvalue()


def checked(data: bytes, heads: Path | None = None) -> tuple[Checked, ...]:
    """Check an archive, attempt by attempt.

    Args:
        data: The archive.
        heads: A folder with heads that the reader trusts; None = those that came along.

    Raises:
        BundleRefused: It is no archive, holds something else than evidence, or is larger than evidence is.
    """
    if len(data) > PACKED_BYTES_MAX:
        raise BundleRefused(f"an export has at most {PACKED_BYTES_MAX // 1_000_000} MB")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, TemporaryDirectory(prefix="tideover-evidence-") as place:
            _unpack(archive, Path(place))
            return tuple(_checked(folder, heads) for folder in sorted(Path(place).iterdir(), key=lambda one: (len(one.name), one.name)))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, UnicodeError) as error:
        if isinstance(error, BundleRefused):
            raise
        raise BundleRefused(f"this is no ZIP archive that can be read ({type(error).__name__})") from None


def contradictions(connection: Connection, found: Checked) -> list[str]:
    """Where an export that is whole in itself says something else than this ledger: it was made anew, or is another ledger's.

    Args:
        connection: Any.
        found: Of one attempt, after `checked`.
    """
    if found.run is None:
        return []
    ours = {batch.number: (batch.link or b"").hex() for batch in chain(connection, found.run)}
    strange = [number for number, link in found.links if ours.get(number) != link]
    if not found.links:
        return ["it shows no link, so that nothing ties it to this ledger"]
    return [f"link {number} of run {found.run} is not the one of this ledger" for number in strange]


def _unpack(archive: zipfile.ZipFile, place: Path) -> None:
    members = [one for one in archive.infolist() if not one.is_dir()]
    if not members or len(members) > FILES_MAX:
        raise BundleRefused(f"an export holds 1 to {FILES_MAX} files; this has {len(members)}")
    names = {one.filename for one in members}
    if len(names) != len(members) or not all(_MEMBER.fullmatch(name) for name in names):
        raise BundleRefused("it holds something that no export of evidence holds")
    left = UNPACKED_BYTES_MAX
    for one in members:
        # What the archive says of a size may be a lie: so much is read and no more.
        with archive.open(one) as packed_file:
            content = packed_file.read(left + 1)
        left -= len(content)
        if left < 0:
            raise BundleRefused("it is larger unpacked than evidence is")
        file = place / one.filename
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def _checked(folder: Path, heads: Path | None) -> Checked:
    attempt_id = int(folder.name.removeprefix("attempt-"))
    try:
        wrong, not_proved = evidence_folder.verify(folder, heads)
    except FolderRefused as error:
        # The message names the temporary folder, which says nothing to anybody.
        return Checked(attempt_id=attempt_id, wrong=(str(error).replace(f"{folder}", folder.name),), not_proved=())
    told = json.loads((folder / evidence_folder.TOLD).read_text("utf-8"))
    return Checked(
        attempt_id=attempt_id,
        wrong=(*_misnamed(attempt_id, told), *wrong),
        not_proved=tuple(not_proved),
        run=told["run"]["id"],
        links=tuple((one["number"], one["link"]) for one in told["proofs"]["links"]),
    )


def _misnamed(attempt_id: int, told: Mapping[str, Any]) -> list[str]:
    is_it = told["attempt"]["id"] == attempt_id
    return [] if is_it else [f"the folder is called after attempt {attempt_id}, its evidence is of {told['attempt']['id']}"]
