"""Whose a thing on Prefect's server is: ours as we left it, or operations' since they changed it (docs/adr/0015).

In:   what the file wants, what the server has, and digests of both from the last deploy.
Out:  what to do; the new digests.
Pure: the rule is; `Memory` reads and writes Prefect variables, one a deployment, named `tideover_deployed_…`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Literal

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import VariableCreate, VariableUpdate

PREFIX: Final = "tideover_deployed_"
TAG: Final = "tideover deploy"
DIGITS: Final = 12
Action = Literal["same", "update", "kept", "create", "gone"]


@dataclass(frozen=True, slots=True)
class Left:
    """How the last deploy left a thing.

    Attributes:
        wanted: Digest of what the file wanted.
        found: Digest of what the server had when the deploy was done.
    """

    wanted: str
    found: str


def digest(value: object) -> str:
    """Of any JSON value; the order of keys does not matter."""
    return sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:DIGITS]


def settle(wanted: object, found: object | None, left: Left | None, *, restore: bool = False, overwrite: bool = False) -> Action:
    """Say what a deploy does with one thing.

    What operations changed stays theirs; what nobody touched follows the file. A thing of which no deploy knows anything, because it
    is older than the memory, counts as operations'.

    Args:
        wanted: What the file says.
        found: What the server has; None = nothing.
        left: How the last deploy left it; None = it never met it.
        restore: Make again what operations deleted.
        overwrite: Give up what operations changed, for what the file says.

    Returns:
        same: Nothing to do. update: The file has changed since, and nobody else changed the server. kept: Operations changed
        it, and it differs from the file. create: It is new. gone: Operations deleted it.
    """
    if found is None:
        return "create" if left is None or restore else "gone"
    if digest(wanted) == digest(found):
        return "same"
    if overwrite:
        return "update"
    if left is None or left.found != digest(found):
        return "kept"
    return "same" if left.wanted == digest(wanted) else "update"


@dataclass(slots=True)
class Memory:
    """What the last deploy left of one deployment, or of the automations.

    Attributes:
        client: Of Prefect's server.
        about: "early/daily", "automations", ….
        left: Thing → how it was left.
    """

    client: SyncPrefectClient
    about: str
    left: dict[str, Left] = field(default_factory=dict)
    _stored: Any = None

    def __post_init__(self) -> None:
        """Read what is there; what cannot be read is as if it were not."""
        variable = self.client.read_variable_by_name(self._name)
        self._stored = None if variable is None else variable.value
        if isinstance(self._stored, dict):
            self.left = {thing: Left(*pair) for thing, pair in self._stored.items() if isinstance(pair, list) and len(pair) == 2}  # noqa: PLR2004  # the two digests of `Left`

    @property
    def _name(self) -> str:
        return PREFIX + re.sub(r"[^a-z0-9]+", "_", self.about.lower())

    def note(self, thing: str, wanted: object, found: object) -> None:
        """Remember how a thing was left."""
        self.left[thing] = Left(digest(wanted), digest(found))

    def write(self) -> None:
        """Keep it on the server, where it has changed."""
        value = {thing: [left.wanted, left.found] for thing, left in sorted(self.left.items())}
        if value == self._stored:
            return
        if self._stored is None:
            self.client.create_variable(VariableCreate(name=self._name, value=value, tags=[TAG]))
        else:
            self.client.update_variable(VariableUpdate(name=self._name, value=value, tags=[TAG]))
        self._stored = value
