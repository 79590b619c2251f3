"""The law in force: the rule packs by which planning decides and the gate judges again; and which texts may be used.

It is read whole from config/rules/, or not at all. Where it cannot be read, nobody is contacted, unless operations have said
`TIDEOVER_RULES_LAST_GOOD=yes`: then the packs of the last run stay in force, and whoever uses them says so.

In:   a connection; the files; the settings.
Out:  a `Law`.
Pure: no; reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from config.load import ConfigError
from config.rule_files import RULES, pack_bodies, packs_of, rule_packs
from config.settings import settings
from config.voice_files import voice_prompts_in_force
from decisions.messages import Texts
from decisions.packs import Packs
from decisions.voice import Prompts
from ledger import clock
from ledger.approvals import approved_messages, approved_packs
from ledger.policies import jurisdiction_of, last_in_force

# What errors call the place of a text that the ledger keeps.
KEPT: Final = Path("policy_version")


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """The rule packs in force.

    Attributes:
        packs: In live mode held to what the lender has approved.
        bodies: Their texts by jurisdiction, as a run keeps them.
        fault: Why these are not the packs of the files, in words for operations; None where they are.
    """

    packs: Packs
    bodies: Mapping[str, str]
    fault: str | None


def law_in_force(connection: Connection, folder: Path = RULES) -> Law:
    """Read the law.

    Args:
        connection: Any.
        folder: Of the rule packs.

    Raises:
        ConfigError: The files cannot be read, and operations have not let the last good version stand in, or there is none.
    """
    law = _read(connection, folder)
    if not settings().is_real:
        return law
    approved = approved_packs(connection, clock.now(connection))
    return Law(packs=law.packs.in_live_mode(approved), bodies=law.bodies, fault=law.fault)


def texts_in_force(connection: Connection, texts: Texts) -> Texts:
    """The texts that may be used now: in live mode, those of which two people have approved exactly these words; no draft.

    Args:
        connection: Any.
        texts: As the files have them.
    """
    return texts.in_live_mode(approved_messages(connection, clock.now(connection))) if settings().is_real else texts


def voice_in_force(connection: Connection) -> dict[str, Prompts]:
    """What automated calls may say now, by locale: in live mode, of which two people have approved exactly these words."""
    prompts = voice_prompts_in_force()
    if not settings().is_real:
        return prompts
    approved = approved_messages(connection, clock.now(connection))
    return {locale: one for locale, one in prompts.items() if one.version in approved}


def _read(connection: Connection, folder: Path) -> Law:
    try:
        return Law(packs=rule_packs(folder), bodies=pack_bodies(folder), fault=None)
    except ConfigError as error:
        if not settings().rules_last_good:
            raise
        kept = last_in_force(connection)
        if not kept:
            raise ConfigError(
                error.file, error.line, error.where, f"{error.reason}; and no run has left a last good version", error.more
            ) from None
        bodies = {jurisdiction_of(pack.name): pack.body for pack in kept}
        named = ", ".join(f"{name} {pack.hash[:12]}" for name, pack in zip(bodies, kept, strict=True))
        fault = f"THE RULE PACKS CANNOT BE READ; the last good versions stay in force ({named}). Mend this: {error}"
        return Law(packs=packs_of(bodies, KEPT), bodies=bodies, fault=fault)
