"""What is in force for a stage: every policy by which a run decides, with its whole text and the hash of it.

In:   the files that config/ reads.
Out:  `Policy` values; the ledger keeps their texts under their hashes, and a run names the hashes.
Pure: no; reads files.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from config.aging import AGING_FILE
from config.message_files import message_body, message_texts
from config.rule_files import pack_bodies
from config.strategy_files import strategy, strategy_body

# The champion: the strategy in force.
STRATEGY: Final = "static-ladder"


@dataclass(frozen=True, slots=True)
class Policy:
    """A rule pack, strategy, message or order of ageing.

    Attributes:
        kind: rules, strategy, message, ageing.
        name: Unique among the policies of a kind: "us", "static-ladder/early", "early_reminder/en".
        body: The whole text.
    """

    kind: str
    name: str
    body: str

    @property
    def hash(self) -> str:
        """SHA-256 of the body, in hexadecimal."""
        return sha256(self.body.encode()).hexdigest()


def policies(stage: str) -> tuple[Policy, ...]:
    """Every policy in force for a stage.

    Raises:
        ConfigError: A file cannot be used; nothing is decided then.
    """
    treated = strategy(STRATEGY, stage)
    texts = message_texts().by_key.values()
    said = {step.message for step in treated.steps}
    return (
        Policy("ageing", "ageing", AGING_FILE.read_text("utf-8")),
        *(Policy("rules", jurisdiction.lower(), body) for jurisdiction, body in pack_bodies().items()),
        Policy("strategy", f"{treated.name}/{stage}", strategy_body(treated.name, stage)),
        *(Policy("message", f"{text.message}/{text.locale}", message_body(text)) for text in texts if text.message in said),
    )
