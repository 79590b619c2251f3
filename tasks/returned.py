"""What comes back: bounces of emails and people's answers out of a mailbox, and what the print shop and the post tell of letters.

In:   a path; the ledger.
Out:  rows of the inbox, applied: attempts moved on, dead addresses retired, notices marked as bounced, answers heard as any reply is.
      Counts, nothing personal.
Pure: no. Reading the same mailbox or list again changes nothing: the inbox knows what it has heard.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from uuid import UUID

from channels import codes
from channels.bounces import Answer, Bounce, read_mailbox
from config.replies import reply_policy_in_force
from ledger import inbox
from ledger.inbox import Said, Vocabulary

GROUP: Final = 500
COLUMNS: Final = ("token", "status")
# The words of a print shop's list (channels/codes.py says what they mean), and the code that says why a letter came back.
LETTER_WORDS: Final = ("posted", "delivered", "returned", "not_printed")
REASONS: Final = ("unknown_address", "moved", "refused", "unclaimed", "other")


class ListRefused(ValueError):
    """A list that cannot be read; nothing of it was written."""


def hear_bounces(path: Path) -> Counter[str]:
    """Read a mailbox, apply every report in it about an email of ours, and hear what people answered.

    Returns:
        `messages` read; `reports` about ours and `answers` of people among them.

    Raises:
        channels.bounces.NoMailbox: There is none at that path.
    """
    counts: Counter[str] = Counter()

    def said() -> Iterator[Said]:
        for found in read_mailbox(path):
            counts["messages"] += 1
            if isinstance(found, Bounce):
                counts["reports"] += 1
                yield _bounced(found)
            elif found is not None:
                counts["answers"] += 1
                yield _answered(found)

    _receive(said())
    return counts


def hear_print_shop(path: Path) -> Counter[str]:
    """Read a print shop's list: CSV with the columns token, status and, for what came back, reason.

    Returns:
        Lines by their status.

    Raises:
        ListRefused: A line is not of that form; none of the list was applied.
    """
    lines = list(_lines(path))
    _receive(lines)
    return Counter(line.status for line in lines)


def _receive(said: Iterator[Said] | Sequence[Said]) -> None:
    vocabulary = Vocabulary(
        state_of=codes.state_of, meaning_of=codes.meaning_of_callback, intent_of=codes.intent_of, replies=reply_policy_in_force()
    )
    group: list[Said] = []
    for one in said:
        group.append(one)
        if len(group) == GROUP:
            inbox.receive(group, vocabulary)
            group = []
    if group:
        inbox.receive(group, vocabulary)


def _bounced(bounce: Bounce) -> Said:
    return Said(
        provider="smtp",
        provider_id=str(bounce.token),
        kind="status",
        status=bounce.action,
        token=bounce.token,
        error_code=bounce.code,
        fields={"action": bounce.action, "code": bounce.code or ""},
    )


def _answered(answer: Answer) -> Said:
    # The channel stands before the address, as Twilio writes it; ledger/replies.py reads it there.
    fields = {"From": f"email:{answer.sender}", "Body": answer.text}
    return Said(
        provider="smtp", provider_id=answer.message_id, kind="inbound", status="received", token=None, error_code=None, fields=fields
    )


def _lines(path: Path) -> Iterator[Said]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if missing := [name for name in COLUMNS if name not in (rows.fieldnames or ())]:
                raise ListRefused(f"{path.name}: no column {missing[0]}")
            for row in rows:
                yield _line(path.name, rows.line_num, row)
    except (OSError, UnicodeDecodeError) as error:
        raise ListRefused(f"{path.name}: cannot be read ({type(error).__name__})") from None


def _line(name: str, number: int, row: dict[str, str | None]) -> Said:
    status, reason = (row["status"] or "").strip(), (row.get("reason") or "").strip()
    try:
        token = UUID((row["token"] or "").strip())
    except ValueError:
        raise ListRefused(f"{name}:{number}: token: not the token of a letter") from None
    if status not in LETTER_WORDS:
        raise ListRefused(f"{name}:{number}: status: one of {', '.join(LETTER_WORDS)}")
    if reason and reason not in REASONS:
        raise ListRefused(f"{name}:{number}: reason: one of {', '.join(REASONS)}")
    return Said(
        provider="print_shop",
        provider_id=str(token),
        kind="status",
        status=status,
        token=token,
        error_code=reason or None,
        fields={"status": status, "reason": reason},
    )
