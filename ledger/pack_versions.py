"""Which version of a rule pack a person means: the file's, one that the ledger keeps, or a file of their own.

In:   a reference such as `US@current`, `US-NY@3fa85f64`, `TW@drafts/tw.yaml`; for `rules impact` also without the pack.
Out:  a `Version`: the pack, and the whole law with it in its place.
Pure: no; reads files, and the ledger where a hash is not that of a file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from config.rule_files import pack_bodies, pack_text, packs_with, rule_packs
from decisions.packs import HOUSE, Pack, Packs
from ledger.engine import connection
from ledger.law import KEPT
from ledger.policies import PREFIX_CHARACTERS_MIN, find_pack

CURRENT: Final = "current"
HASH: Final = re.compile(r"[0-9a-f]{1,64}")
FORM: Final = "PACK@VERSION, such as US@current, US@3fa85f64 or US@my/us.yaml"


class UnknownReferenceError(LookupError):
    """Nothing is called that; the message says what could be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a pack.

    Attributes:
        jurisdiction: The pack's.
        pack: The version.
        packs: The law of the files with this version in its place.
        body: Its text.
    """

    jurisdiction: str
    pack: Pack
    packs: Packs
    body: str

    @property
    def label(self) -> str:
        """As people cite it: US@3fa85f64c0de."""
        return f"{self.jurisdiction}@{self.pack.version[:12]}"


def version_of(reference: str, *, jurisdiction: str | None = None) -> Version:
    """Find a version.

    Args:
        reference: `PACK@VERSION`, or a version alone: `current`, a hash or its beginning, or the path of a file.
        jurisdiction: Whose pack a version alone means.

    Raises:
        UnknownReferenceError: No such pack or file, or the text is another jurisdiction's.
        UnknownVersionError: The ledger keeps no such version.
        ConfigError: The text cannot be read as a pack beside the others.
    """
    named, mark, version = reference.partition("@")
    if not mark:
        named, version = jurisdiction or "", reference
    named = named if named in {"", HOUSE} else named.upper()
    if not version or (mark and not named):
        raise UnknownReferenceError(f"{reference} is no version: give {FORM}")
    if jurisdiction is not None and named != jurisdiction:
        raise UnknownReferenceError(f"{reference} is not a version of {jurisdiction}")
    return _text_of(reference, named, version)


def versions_of(before: str, after: str, jurisdiction: str | None = None) -> tuple[Version, Version]:
    """Two versions of one pack; where one of them does not say whose it is, the other one does, or `jurisdiction`.

    Raises:
        UnknownReferenceError: As `version_of`, or neither says whose.
        UnknownVersionError: As `version_of`.
        ConfigError: As `version_of`.
    """
    if jurisdiction is None and before == CURRENT:
        new = version_of(after)
        return version_of(before, jurisdiction=new.jurisdiction), new
    old = version_of(before, jurisdiction=jurisdiction)
    return old, version_of(after, jurisdiction=jurisdiction or old.jurisdiction)


def kept_version(jurisdiction: str, version: str) -> Version:
    """A version by its hash, or the file's; never a file that somebody names, as on a terminal: what stands in an address reads none.

    Raises:
        UnknownReferenceError: It is no hash, or as `version_of`.
        UnknownVersionError: As `version_of`.
        ConfigError: As `version_of`.
    """
    if version != CURRENT and not HASH.fullmatch(version):
        raise UnknownReferenceError(f"name a version by its hash, or as `{CURRENT}`")
    return version_of(f"{jurisdiction}@{version}")


def _text_of(reference: str, named: str, version: str) -> Version:
    if version == CURRENT:
        return _current(reference, named)
    if not HASH.fullmatch(version):
        path = Path(version)
        if not path.is_file():
            raise UnknownReferenceError(f"{version} is neither `{CURRENT}`, the beginning of a hash, nor a file: give {FORM}")
        return _version(pack_text(path), path, named)
    long_enough = len(version) >= PREFIX_CHARACTERS_MIN
    of_files = [name for name, known in rule_packs().versions.items() if known.startswith(version) and named in {"", name}]
    if long_enough and len(of_files) == 1:
        return _current(reference, of_files[0])
    with connection() as tx:
        kept = find_pack(tx, version, named or None)
    return _version(kept.body, KEPT / f"{kept.name}.yaml", named)


def _current(reference: str, named: str) -> Version:
    packs, bodies = rule_packs(), pack_bodies()
    if not named:
        raise UnknownReferenceError(f"{reference} does not say whose: give {FORM}, or --jurisdiction")
    if named not in bodies:
        raise UnknownReferenceError(f"no pack for {named}; there are {', '.join(bodies)}")
    return Version(jurisdiction=named, pack=_of(packs, named), packs=packs, body=bodies[named])


def _version(text: str, path: Path, named: str) -> Version:
    jurisdiction, packs = packs_with(text, path)
    if named and jurisdiction != named:
        raise UnknownReferenceError(f"{path} is a pack of {jurisdiction}, not of {named}")
    return Version(jurisdiction=jurisdiction, pack=_of(packs, jurisdiction), packs=packs, body=text)


def _of(packs: Packs, jurisdiction: str) -> Pack:
    return next(pack for pack in packs.packs if pack.jurisdiction == jurisdiction)
