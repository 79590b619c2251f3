"""Merkle trees and chains: any other line, any other order, any other link gives another hash."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import merkle

hashes = st.binary(min_size=32, max_size=32)


def node(*hashed: bytes) -> bytes:
    return sha256(b"\x01" + b"".join(hashed)).digest()


def test_a_root_is_built_sixteen_at_a_time_and_the_odd_one_moves_up() -> None:
    leaves = [bytes([number]) * 32 for number in range(17)]
    assert merkle.merkle_root(leaves[:1]) == leaves[0]
    assert merkle.merkle_root(leaves[:3]) == node(*leaves[:3])
    assert merkle.merkle_root(leaves) == node(node(*leaves[:16]), leaves[16])


def test_a_root_over_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        merkle.merkle_root([])


@given(leaves=st.lists(hashes, min_size=1, max_size=300), at=st.integers(0), other=hashes)
def test_any_other_leaf_gives_another_root(leaves: list[bytes], at: int, other: bytes) -> None:
    changed = list(leaves)
    changed[at % len(leaves)] = other
    assert (merkle.merkle_root(changed) == merkle.merkle_root(leaves)) == (changed == leaves)


@given(leaves=st.lists(hashes, min_size=1, max_size=300), at=st.integers(0), other=hashes)
def test_a_path_leads_its_own_leaf_to_the_root_and_no_other(leaves: list[bytes], at: int, other: bytes) -> None:
    index = at % len(leaves)
    path = merkle.merkle_path(leaves, index)
    root = merkle.merkle_root(leaves)
    assert merkle.root_of_path(leaves[index], path) == root
    assert (merkle.root_of_path(other, path) == root) == (other == leaves[index])


def test_a_path_to_a_leaf_that_is_not_there_is_refused() -> None:
    with pytest.raises(IndexError, match="no leaf 1"):
        merkle.merkle_path([bytes(32)], 1)


def test_a_node_cannot_pass_for_a_leaf_nor_a_link_for_a_node() -> None:
    content = bytes(64)
    assert len({merkle.leaf(content), node(content[:32], content[32:]), sha256(content).digest()}) == 3


def test_a_link_depends_on_all_that_it_is_made_of() -> None:
    first, second = bytes(32), b"\x01" * 32
    links = {
        merkle.link(merkle.NO_LINK, first, [1, 1, "contacts", 7, 3]),
        merkle.link(second, first, [1, 1, "contacts", 7, 3]),
        merkle.link(merkle.NO_LINK, second, [1, 1, "contacts", 7, 3]),
        merkle.link(merkle.NO_LINK, first, [1, 2, "contacts", 7, 3]),
        merkle.link(merkle.NO_LINK, first, [2, 1, "contacts", 7, 3]),
    }
    assert len(links) == 5


def test_a_line_is_the_same_wherever_its_instant_was_read() -> None:
    in_utc = merkle.canonical([datetime(2026, 3, 17, 16, tzinfo=UTC), {"b": 1, "a": None}])
    elsewhere = merkle.canonical([datetime.fromisoformat("2026-03-17T12:00:00-04:00"), {"a": None, "b": 1}])
    assert in_utc == elsewhere == '["2026-03-17T16:00:00+00:00",{"a":null,"b":1}]'


def test_a_commitment_proves_the_text_only_to_who_has_the_salt() -> None:
    salt, other = UUID(int=1), UUID(int=2)
    said = merkle.commitment(salt, "hash of a text", merkle.permit_line({"rules": ["A"]}))
    assert said == merkle.commitment(salt, "hash of a text", merkle.permit_line({"rules": ["A"]}))
    others = (
        merkle.commitment(other, "hash of a text", merkle.permit_line({"rules": ["A"]})),
        merkle.commitment(salt, "another", merkle.permit_line({"rules": ["A"]})),
        merkle.commitment(salt, "hash of a text", merkle.permit_line({"rules": ["B"]})),
    )
    assert len({said, *others}) == 4
