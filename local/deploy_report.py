"""What a deploy did, or would do, thing by thing.

In:   a thing and what was done with it.
Out:  lines for people, JSON for programs.
Pure: values only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Final, Literal

from local.deploy_memory import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How to deploy.

    Attributes:
        dry_run: Only say what would be done.
        restore: Make again what operations deleted.
        overwrite: Things, as a deploy names them, that are to follow the files again though operations changed them.
    """

    dry_run: bool = False
    restore: bool = False
    overwrite: frozenset[str] = frozenset()


class DeployRefused(RuntimeError):
    """Nothing was deployed, or not all; the message says what to mend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a deploy did, or would do, with one thing.

    Attributes:
        what: The thing: "early/daily: schedule taipei-morning".
        action: create, update; kept: operations changed it; gone: operations deleted it; left: the file no longer names it, the server
            still has it; same: nothing; refused: the server did not take it.
        because: More about it, in words.
    """

    what: str
    action: Action | Literal["left", "missing", "refused"]
    because: str = ""

    def as_json(self) -> dict[str, str]:
        """For programs."""
        return asdict(self)

    def __str__(self) -> str:
        """For people."""
        return f"{self.action:<7} {self.what}" + (f" ({self.because})" if self.because else "")


BECAUSE: Final[dict[str, str]] = {
    "kept": "operations changed it; it differs from the file, `--overwrite` takes the file's",
    "gone": "operations deleted it; `--restore` makes it again",
    "left": "the file no longer names it; delete it in the Prefect UI if nobody needs it",
}


def said(what: str, action: Action | Literal["left"]) -> Done:
    """What was done with a thing, and why."""
    return Done(what=what, action=action, because=BECAUSE.get(action, ""))


def worst(done: Iterable[Done]) -> int:
    """Exit code: 1 where the server refused something, else 0."""
    return int(any(one.action == "refused" for one in done))
