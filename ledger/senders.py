"""Senders: from which number, service or app a creditor speaks on a channel, and for which purpose.

`creditor.senders` holds `sms: "+1…"`, and beside it `sms/receipt: "+1…"` for a purpose with a sender of its own. Codes and
receipts have no other: a person who stops what asks her for money has the provider block that sender, and must still get the
code with which she logs in (DOMAIN.md, "stop words").

In:   nothing.
Out:  the SQL that says it, in one place.
Pure: values only.
"""

from __future__ import annotations

from typing import Final

from decisions.words import OWN_SENDER_PURPOSES

_OWN: Final = ", ".join(f"'{purpose}'" for purpose in sorted(OWN_SENDER_PURPOSES))


def sender_of(creditor: str, said: str) -> str:
    """SQL: the sender of what is said, or null where the creditor has none for it.

    Args:
        creditor: Alias of a row with `senders`.
        said: Alias of a row with `channel` and `purpose`.
    """
    own = f"{creditor}.senders ->> ({said}.channel || '/' || {said}.purpose)"
    return f"coalesce({own}, CASE WHEN {said}.purpose NOT IN ({_OWN}) THEN {creditor}.senders ->> {said}.channel END)"
