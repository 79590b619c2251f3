"""A dossier as a folder that anyone can keep and check: JSON, a page, the policies, and a list of hashes.

`verify` needs no database, no network and no settings: it asks of the folder whether every line is under its root, every
root under its link, every shown row the line that was proved, and every policy the one that was named.

In:   a dossier; or a folder.
Out:  files; or what does not match, in words that name the row.
Pure: no; writes and reads files.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import yaml

from ledger.evidence import CONTACT_COLUMNS, DECISION_COLUMNS, TRANSITION_COLUMNS
from ledger.evidence_page import page
from ledger.merkle import canonical, commitment, leaf, link, permit_line, root_of_path, text_hash

TOLD: Final = "evidence.json"
PAGE: Final = "index.html"
POLICIES: Final = "policies"
SUMS: Final = "SHA256SUMS"


class FolderRefused(RuntimeError):
    """The folder cannot be written, or is no evidence; the message says why."""


def write(told: Mapping[str, Any], bodies: Mapping[str, str], folder: Path) -> None:
    """Write a dossier into a new or empty folder.

    Args:
        told: The dossier, JSON's types only.
        bodies: Hash → text of each policy.
        folder: Where.

    Raises:
        FolderRefused: It is not empty, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise FolderRefused(f"{folder} is not empty: evidence is never written over something else")
        (folder / POLICIES).mkdir()
        for name, body in bodies.items():
            (folder / POLICIES / f"{name}.yaml").write_bytes(body.encode())
        (folder / TOLD).write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", "utf-8")
        (folder / PAGE).write_text(page(told), "utf-8")
        sums = "".join(f"{_sum(file)}  {file.relative_to(folder).as_posix()}\n" for file in _files(folder))
        (folder / SUMS).write_text(sums, "utf-8")
    except OSError as error:
        raise FolderRefused(f"{folder} cannot be written: {error.strerror}") from None


def verify(folder: Path, heads: Path | None = None) -> tuple[list[str], list[str]]:
    """Check a folder.

    Args:
        folder: That `write` wrote, anywhere.
        heads: A folder with heads that the reader trusts; None = those that came along.

    Returns:
        What does not match, each in a sentence; and what was not checked, with the reason.

    Raises:
        FolderRefused: It holds no evidence that can be read.
    """
    told = _told(folder)
    try:
        wrong = [
            *_wrong_files(folder),
            *_wrong_page(folder, told),
            *_wrong_policies(folder, told),
            *_wrong_rules(folder, told),
            *_wrong_lines(told),
            *_wrong_links(told, _trusted(told, heads)),
            *_wrong_story(told),
            *_wrong_text(told),
        ]
        return wrong, list(_unproved(told, heads))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise FolderRefused(f"{TOLD} has not the form of evidence any more ({type(error).__name__}: {error})") from None


def _told(folder: Path) -> dict[str, Any]:
    try:
        told = json.loads((folder / TOLD).read_text("utf-8"))
    except OSError:
        raise FolderRefused(f"{folder} has no {TOLD} that can be read") from None
    except ValueError as error:
        raise FolderRefused(f"{TOLD} is no JSON any more: {error}") from None
    if not isinstance(told, dict) or told.get("format") != "tideover-evidence-1":
        raise FolderRefused(f"{TOLD} is not evidence of a format that this program knows")
    return told


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file() and file != folder / SUMS)


def _sum(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()


def _wrong_files(folder: Path) -> Iterator[str]:
    """Files against the list that came with them; `sha256sum -c SHA256SUMS` says the same."""
    if not (folder / SUMS).is_file():
        yield f"{SUMS} is missing"
        return
    lines = (folder / SUMS).read_text("utf-8", errors="replace").splitlines()
    known = {name: hashed for hashed, _, name in (line.partition("  ") for line in lines)}
    there = {file.relative_to(folder).as_posix(): file for file in _files(folder)}
    for name in sorted(known.keys() - there.keys()):
        yield f"{name} is missing"
    for name in sorted(there.keys() - known.keys()):
        yield f"{name} is not in {SUMS}"
    for name in sorted(there.keys() & known.keys()):
        if _sum(there[name]) != known[name]:
            yield f"{name} was changed after it was written"


def _wrong_page(folder: Path, told: Mapping[str, Any]) -> Iterator[str]:
    file = folder / PAGE
    if file.is_file() and file.read_text("utf-8", errors="replace") != page(told):
        yield f"{PAGE} does not show what {TOLD} says"


def _wrong_policies(folder: Path, told: Mapping[str, Any]) -> Iterator[str]:
    listed = {policy["hash"] for policy in told["policies"]}
    for policy in told["policies"]:
        file = folder / POLICIES / f"{policy['hash']}.yaml"
        if not file.is_file() or _sum(file) != policy["hash"]:
            yield f"policy {policy['kind']} {policy['name']}: its text is not the one of its hash"
    named = {f"the run's {name}": hashed for name, hashed in told["run"]["policies"].items()}
    named |= {f"the permit's pack {name}": hashed for name, hashed in ((told["attempt"]["permit"] or {}).get("packs") or {}).items()}
    for what, hashed in named.items():
        if hashed not in listed:
            yield f"{what} names a version that is not here"


def _wrong_rules(folder: Path, told: Mapping[str, Any]) -> Iterator[str]:
    """What the rules say, against the texts of their packs."""
    packs: dict[str, dict[str, Any]] = {}
    for rule in told["rules"]:
        if rule["version"] not in packs:
            packs[rule["version"]] = _rules_of(folder / POLICIES / f"{rule['version']}.yaml")
        written = packs[rule["version"]].get(rule["rule"])
        # A rule that extends another one says what that one says, unless it says something itself.
        if written is None or written.get("says", rule["says"]) != rule["says"]:
            yield f"rule {rule['rule']} is not what its pack says in version {rule['version'][:12]}"


def _rules_of(file: Path) -> dict[str, Any]:
    """Rules of a pack's file by id; none where it cannot be read any more."""
    try:
        return {rule["id"]: rule for rule in yaml.safe_load(file.read_text("utf-8"))["rules"]}
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError):
        return {}


def _shown(told: Mapping[str, Any]) -> dict[tuple[str, int], Mapping[str, Any]]:
    """Rows that the evidence shows, by table and id."""
    decision = told["decision"]
    rows = {("decision", decision["id"]): decision, ("reason_set", decision["reason_set_id"]): decision}
    rows |= {("attempt_transition", row["id"]): row for row in told["transitions"]}
    return rows | {("contact_event", row["id"]): row for row in told["contacts"] if row["evidence_batch_id"] is not None}


def _wrong_lines(told: Mapping[str, Any]) -> Iterator[str]:
    """Lines against the rows that are shown, and against their roots."""
    shown = _shown(told)
    links = {one["number"]: one for one in told["proofs"]["links"]}
    proved = set()
    for line in told["proofs"]["lines"]:
        key = (line["table"], line["id"])
        name = f"{line['table']} {line['id']}"
        proved.add(key)
        if key not in shown:
            yield f"{name} is proved and not shown"
        elif (different := _differs(key[0], line["line"], shown[key])) is not None:
            yield f"{name}: {different} is shown otherwise than it was written"
        under = links.get(line["number"])
        if under is None:
            yield f"{name}: the link {line['number']} that it is under is missing"
        elif (root_of_path(leaf(line["line"].encode()), line["path"]) or b"").hex() != under["root"]:
            yield f"{name} does not lead to the root of link {line['number']}: the line, its path or the root was changed"
    for table, number in sorted(shown.keys() - proved):
        yield f"{table} {number} is shown without a proof"


def _differs(table: str, line: str, row: Mapping[str, Any]) -> str | None:
    """The column in which a shown row is not the line that was proved, or None."""
    if table == "reason_set":
        return None if line == canonical([row["reason_set_id"], row["reasons"]]) else "reasons"
    if table == "decision":
        values = next(csv.reader(io.StringIO(line)))
        return next((name for name, value in zip(DECISION_COLUMNS, values, strict=True) if not _same(name, value, row[name])), None)
    columns = TRANSITION_COLUMNS if table == "attempt_transition" else CONTACT_COLUMNS
    values = json.loads(line)
    if line != canonical(values):
        return "the line"
    return next((name for name, value in zip(columns, values, strict=True) if value != row[name]), None)


def _same(column: str, written: str, shown: Any) -> bool:
    """Whether a value of a comma-separated line is the one that JSON shows."""
    if shown is None:
        return written == ""
    if column == "propensities":
        return bool(json.loads(written) == shown)
    if column == "probability":
        return bool(float(written) == shown)
    if column in {"decided_at", "facts_known_at"}:
        return datetime.fromisoformat(written) == datetime.fromisoformat(shown)
    return written == str(shown)


def _trusted(told: Mapping[str, Any], heads: Path | None) -> list[dict[str, Any]]:
    """Heads of the run: the reader's own where she names a folder, else those that came along."""
    if heads is None:
        return list(told["proofs"]["heads"])
    file = heads / f"heads-{told['attempt']['business_date']}.jsonl"
    if not file.is_file():
        raise FolderRefused(f"{heads} has no heads of {told['attempt']['business_date']}")
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines() if line.strip()]
    return [line for line in lines if line["campaign_run_id"] == told["run"]["id"]]


def _wrong_links(told: Mapping[str, Any], heads: list[dict[str, Any]]) -> Iterator[str]:
    before = bytes.fromhex(told["proofs"]["link_before"])
    known: dict[int, str] = {}
    expected = told["proofs"]["links"][0]["number"] if told["proofs"]["links"] else 0
    for one in told["proofs"]["links"]:
        about = [one["campaign_run_id"], one["number"], one["kind"], one["batch_id"], one["leaves"]]
        made = link(before, bytes.fromhex(one["root"]), about)
        if one["number"] != expected or one["campaign_run_id"] != told["run"]["id"] or made.hex() != one["link"]:
            yield f"link {one['number']} does not follow from the one before it"
        before, expected = bytes.fromhex(one["link"]), expected + 1
        known[one["number"]] = one["link"]
    for head in heads:
        if head["links"] in known and known[head["links"]] != head["link"]:
            yield f"link {head['links']} is not the one that was kept outside the database"
        if known and head["links"] > max(known):
            yield f"{head['links']} links were kept outside the database, here they end at {max(known)}"


def _wrong_story(told: Mapping[str, Any]) -> Iterator[str]:
    """Whether the moves follow from each other and end where the attempt stands."""
    attempt, state = told["attempt"], "planned"
    for row in told["transitions"]:
        if row["from_state"] != state:
            yield f"attempt_transition {row['id']} begins at {row['from_state']}, the one before it ended at {state}"
        state = row["to_state"]
    if state != attempt["state"]:
        yield f"the attempt is shown as {attempt['state']}, its moves end at {state}"
    if attempt["decision_id"] != told["decision"]["id"]:
        yield "the attempt is not the one of this decision"
    # A further try may go another way, on another step: docs/adr/0028. Whom and for which stage was decided once.
    decided = ("party_id", "stage") if attempt["try_number"] > 1 else ("party_id", "channel", "contact_point_id", "message", "stage")
    for name in decided:
        if attempt[name] != told["decision"][name]:
            yield f"the attempt's {name} is not the one that was decided"
    said = {row["details"]["provider_id"] for row in told["transitions"] if (row["details"] or {}).get("provider_id")}
    if said and attempt["provider_id"] not in said:
        yield "the provider's id of the message is shown otherwise than it was written"


def _wrong_text(told: Mapping[str, Any]) -> Iterator[str]:
    """Words, permit and salt against the commitment that was counted with the contact."""
    text, attempt = told["text"], told["attempt"]
    if not text["opened"]:
        return
    salt = UUID(text["salt"])
    if text_hash(salt, title=text["title"], body=text["body"]) != attempt["text_hash"]:
        yield "the words are not those that were sent"
    committed = [row["commitment"] for row in told["contacts"] if row["commitment"]]
    if not committed or commitment(salt, attempt["text_hash"], permit_line(attempt["permit"])) != committed[-1]:
        yield "the permit or the hash of the words is not the one that was committed to before the call"


def _unproved(told: Mapping[str, Any], heads: Path | None) -> Iterator[str]:
    """What no line proves, so that nobody takes it for proved."""
    if not told["text"]["opened"]:
        yield f"words and permit: the commitment is proved, and not opened ({told['text']['why_not']})"
    yield f"facts and answers: only {SUMS} speaks for them; the provider's own list and the ledger can be asked again"
    if heads is None:
        came = told["proofs"]["heads"]
        yield "heads: those that came along, if any; --heads compares with a copy of your own" if came else "heads: none came along"
    if any(row["evidence_batch_id"] is None for row in told["contacts"]):
        yield "results in the contact log: under no root; the moves that they follow from are"
