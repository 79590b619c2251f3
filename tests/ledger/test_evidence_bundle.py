"""An export of several attempts: the same bytes each time, checked as folders are, and nothing hostile is unpacked."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gate.evidence import gather
from ledger import evidence_bundle
from ledger.engine import connection
from ledger.evidence_bundle import BundleRefused, checked, contradictions, packed

Entries = dict[str, bytes]


def entries(data: bytes) -> Entries:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {one.filename: archive.read(one) for one in archive.infolist()}


def zipped(contents: Entries) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return out.getvalue()


def test_an_export_is_the_same_each_time_and_matches_and_what_was_changed_is_named(proved_attempt: int) -> None:
    dossiers = [gather(one, with_text=False) for one in (proved_attempt - 1, proved_attempt)]
    data, again = (packed((one.told, one.bodies) for one in dossiers) for _ in range(2))
    assert data == again
    found = checked(data)
    assert [(one.attempt_id, one.wrong) for one in found] == [(proved_attempt - 1, ()), (proved_attempt, ())]
    with connection() as tx:
        assert [contradictions(tx, one) for one in found] == [[], []]
        # Whole in itself, and not what this ledger has.
        made_anew = replace(found[0], links=tuple((number, "0" * 64) for number, _ in found[0].links))
        assert "is not the one of this ledger" in contradictions(tx, made_anew)[0]
        assert "no link" in contradictions(tx, replace(found[0], links=()))[0]
    contents = entries(data)
    name = f"attempt-{proved_attempt}/evidence.json"
    changed = zipped(contents | {name: contents[name].replace(b'"delivered"', b'"read"')})
    assert [bool(one.wrong) for one in checked(changed)] == [False, True]
    swapped = zipped({one.replace(f"-{proved_attempt}/", "-999999/"): content for one, content in contents.items()})
    assert any("is called after attempt 999999" in line for one in checked(swapped) for line in one.wrong)


def test_what_is_no_evidence_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = {"attempt-1/evidence.json": b"{}", "attempt-1/index.html": b"", "attempt-1/SHA256SUMS": b""}
    hostile: dict[str, Callable[[], bytes]] = {
        "no archive": lambda: b"hello",
        "nothing": lambda: b"",
        "an empty archive": lambda: zipped({}),
        "a broken one": lambda: zipped(whole)[:-40],
        "a way out": lambda: zipped(whole | {"../../etc/cron.d/x": b"x"}),
        "another way out": lambda: zipped(whole | {"attempt-1/policies/../../x.yaml": b"x"}),
        "an absolute name": lambda: zipped(whole | {"/tmp/x": b"x"}),  # noqa: S108  # a name in an archive
        "a program": lambda: zipped(whole | {"attempt-1/run.sh": b"x"}),
        "a name of a person": lambda: zipped({"anna/evidence.json": b"{}"}),
    }
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for what, made in hostile.items():
        with pytest.raises(BundleRefused):
            checked(made())
        assert list(tmp_path.iterdir()) == [], what
    (found,) = checked(zipped(whole))
    assert found.wrong
    assert str(tmp_path) not in found.wrong[0]


def test_an_archive_that_says_it_is_small_and_is_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence_bundle, "UNPACKED_BYTES_MAX", 1_000_000)
    bomb = zipped({"attempt-1/evidence.json": b"0" * 1_000_001})
    assert len(bomb) < 10_000
    with pytest.raises(BundleRefused, match="larger unpacked"):
        checked(bomb)
    monkeypatch.setattr(evidence_bundle, "PACKED_BYTES_MAX", 100)
    with pytest.raises(BundleRefused, match="at most"):
        checked(bomb)
