"""Merkle trees and chains: hashes over what was written, and the short proof that one line is among many.

A leaf is the hash of one line of text. Sixteen hashes at a time become one, level by level, until one root is left: a tree
of 20,000 leaves costs a fourteenth of the hashing that pairs would cost, and its proofs are still five steps long. The roots
of a run are linked: each link is the hash of the link before it and of the root that it adds.

In:   lines, hashes.
Out:  hashes, proofs.
Pure: yes.
Source: RFC 6962, 2.1: leaves, nodes (and here links) are hashed under different prefixes, so that none can pass for another.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any, Final, TypedDict
from uuid import UUID

LEAF_PREFIX: Final = b"\x00"
NODE_PREFIX: Final = b"\x01"
LINK_PREFIX: Final = b"\x02"
FANOUT: Final = 16
# What the first link of a run names as the one before it.
NO_LINK: Final = bytes(32)


class Step(TypedDict):
    """One level of a proof: the hashes that become one (hexadecimal), and which of them is ours."""

    position: int
    hashes: list[str]


def canonical(values: Iterable[Any]) -> str:
    """Values as one line that is the same wherever they were read: JSON, instants in UTC, keys sorted."""
    return _as_json(list(values))


def text_hash(token: UUID, *, title: str, body: str) -> str:
    """What is kept of the words themselves: a hash that nobody can turn back without the attempt's token."""
    return sha256(token.bytes + title.encode() + b"\0" + body.encode()).hexdigest()


def permit_line(permit: Mapping[str, Any]) -> str:
    """A permit as it goes into a commitment: many attempts have the same one."""
    return _as_json(permit)


def commitment(salt: UUID, text_hash: str, permit_line: str) -> str:
    """A hash that proves which text was sent under which permit, and reveals neither without the salt (the attempt's token).

    Args:
        salt: The attempt's token.
        text_hash: Of the words.
        permit_line: From `permit_line`.
    """
    return sha256(salt.bytes + text_hash.encode() + permit_line.encode()).hexdigest()


def leaf(line: bytes) -> bytes:
    """Hash of one line."""
    return sha256(LEAF_PREFIX + line).digest()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Root over leaves in their order; an odd one out moves up a level unchanged.

    Raises:
        ValueError: No leaves: there is nothing to prove.
    """
    if not leaves:
        raise ValueError("a Merkle root needs at least one leaf")
    level = leaves
    while len(level) > 1:
        level = _above(level)
    return level[0]


def merkle_path(leaves: Sequence[bytes], index: int) -> list[Step]:
    """Proof that the leaf at `index` is under the root.

    Raises:
        IndexError: There is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(f"no leaf {index} among {len(leaves)}")
    path: list[Step] = []
    level = leaves
    while len(level) > 1:
        first = index - index % FANOUT
        path.append(Step(position=index - first, hashes=[one.hex() for one in level[first : first + FANOUT]]))
        level, index = _above(level), index // FANOUT
    return path


def root_of_path(hashed: bytes, path: Sequence[Step]) -> bytes | None:
    """The root to which a proof leads from a leaf's hash; None where the proof does not hold the hash that it is about."""
    for step in path:
        group = [bytes.fromhex(one) for one in step["hashes"]]
        if not 0 <= step["position"] < len(group) <= FANOUT or group[step["position"]] != hashed:
            return None
        hashed = _node(group)
    return hashed


def link(before: bytes, root: bytes, about: Sequence[Any]) -> bytes:
    """The next link of a run's chain.

    Args:
        before: The link before it, or `NO_LINK`.
        root: Of the batch that it adds.
        about: What is said of the batch: run, number in the chain, kind, id, number of leaves.
    """
    return sha256(LINK_PREFIX + before + root + canonical(about).encode()).digest()


def _above(level: Sequence[bytes]) -> list[bytes]:
    return [_node(level[first : first + FANOUT]) for first in range(0, len(level), FANOUT)]


def _node(group: Sequence[bytes]) -> bytes:
    return group[0] if len(group) == 1 else sha256(NODE_PREFIX + b"".join(group)).digest()


def _plain(value: Any) -> str:
    """What JSON knows no form of, written the same way wherever it was read.

    Raises:
        TypeError: It is no instant, id or date.
    """
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"a {type(value).__name__} has no canonical form")


# Made once: `json.dumps` with options builds an encoder for every call.
_as_json: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_plain).encode
