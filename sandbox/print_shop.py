"""A print shop: fetches a batch of letters out of an outbox folder, prints nothing, and tells what became of each.

It keeps to what docs/letters.md asks of a print shop: it holds the lock, renames the manifest, prints only what has a line, and only
what hashes to what the line says.

In:   the path of an outbox folder.
Out:  the print shop's list, as CSV; what was posted, beside texts and notifications.
Pure: no; reads and renames files of the folder.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from sandbox.world import Received, World


def fetch(world: World, folder: Path) -> str:
    """Fetch what lies in the outbox; returns the list: token and status of each letter."""
    manifest = folder / "manifest.jsonl"
    if not folder.is_dir():
        return "token,status\n"
    with (folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not manifest.exists():
            return "token,status\n"
        number = 1 + len(list(folder.glob("manifest-*.jsonl")))
        batch = manifest.rename(folder / f"manifest-{number:04}.jsonl")
    return "token,status\n" + "".join(f"{token},{status}\n" for token, status in _printed(world, batch))


def _printed(world: World, batch: Path) -> Iterator[tuple[str, str]]:
    for line in batch.read_bytes().splitlines():
        try:
            ticket = json.loads(line)
        except ValueError:
            continue
        pdf = batch.parent / ticket["file"]
        if not pdf.exists() or sha256(pdf.read_bytes()).hexdigest() != ticket["sha256"]:
            yield ticket["token"], "not_printed"
            continue
        world.received.append(
            Received("letter", ticket["country"], "", ticket["class"], f"{ticket['pages']} pages", None, world.now, ticket["token"])
        )
        yield ticket["token"], "posted"
