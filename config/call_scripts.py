"""Reads config/disclosures.yaml, what is said in a call and ticked, and config/call_scripts: its words, one file a locale.

In:   the files.
Out:  `Disclosure` values; words by locale.
Pure: no; reads files. A locale that leaves one out, or has a gap that nothing fills, is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from config.agents import Code, Name, Phrase, SourceForm
from config.load import ConfigError, Day, Strict, read
from config.settings import settings
from decisions.messages import GAP, closest
from decisions.words import Basis, Purpose, Role

HERE: Final = Path(__file__).parent
FILE: Final = HERE / "disclosures.yaml"
SCRIPTS: Final = HERE / "call_scripts"
# What says that a call is recorded.
RECORDING: Final = "recording"
GAPS: Final[Mapping[str, frozenset[str]]] = {"who_calls": frozenset({"agent", "creditor"})}


class DisclosureForm(Strict):
    """What is said, as written."""

    name: Name
    purposes: tuple[Purpose, ...] | None = None
    jurisdictions: tuple[Code, ...] | None = None
    roles: tuple[Role, ...] | None = None
    recorded: bool = False
    basis: Basis
    reference: tuple[SourceForm, ...] = ()
    confidence: Literal["V1", "V2", "R"] | None = None


class DisclosuresForm(Strict):
    """The file, as written."""

    owner: Phrase
    reviewed_on: Day
    disclosures: tuple[DisclosureForm, ...]


class ScriptForm(Strict):
    """A locale's words, as written."""

    approved: Literal["true", "draft"]
    says: dict[Name, Annotated[str, Field(min_length=1)]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """What is to be said and ticked in one call.

    Attributes:
        name: Of the disclosure.
        words: In the language of whoever is called; None = there are none that may be used.
    """

    name: str
    words: str | None


def required(
    forms: Sequence[DisclosureForm], *, purpose: str, jurisdictions: Sequence[str], role: str, is_recorded: bool
) -> tuple[str, ...]:
    """Names of what is said in a call, in order.

    Args:
        forms: Of the file.
        purpose: Of the call.
        jurisdictions: That attach to the person.
        role: Of the creditor.
        is_recorded: Whether the call is, or may be.
    """
    return tuple(
        one.name
        for one in forms
        if (one.purposes is None or purpose in one.purposes)
        and (one.jurisdictions is None or not set(one.jurisdictions).isdisjoint(jurisdictions))
        and (one.roles is None or role in one.roles)
        and (is_recorded or not one.recorded)
    )


def spoken(names: Sequence[str], locale: str | None, **gaps: str) -> list[Spoken]:
    """These, in the language of a person; without words where hers has none that may be used.

    Args:
        names: Of disclosures.
        locale: What she speaks.
        **gaps: What stands in the words' gaps.
    """
    words = scripts_in_force()
    found = closest(locale, words)
    own = words[found] if found is not None else None
    return [Spoken(name=name, words=None if own is None else own[name].format_map(gaps)) for name in names]


def disclosures(path: Path = FILE) -> tuple[DisclosureForm, ...]:
    """What is said in calls.

    Raises:
        ConfigError: The file is not of that form, or names one twice.
    """
    form = read(path, DisclosuresForm)
    names = [one.name for one in form.disclosures]
    if len(set(names)) != len(names):
        raise ConfigError(path, None, "disclosures", "one stands twice")
    return form.disclosures


def scripts(folder: Path = SCRIPTS, *, drafts: bool) -> dict[str, dict[str, str]]:
    """Locale → disclosure → words.

    Args:
        folder: Of the files.
        drafts: Whether words count that nobody who reads them has said yes to.

    Raises:
        ConfigError: A file lacks a text, has one too many, or a gap that nothing fills.
    """
    names = {one.name for one in disclosures()}
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        form = read(path, ScriptForm)
        if odd := names ^ set(form.says):
            raise ConfigError(path, None, "says", f"{min(odd)}: left out, or said by no disclosure")
        for name, words in form.says.items():
            wanted = GAPS.get(name, frozenset())
            if set(GAP.findall(words)) != wanted:
                raise ConfigError(path, None, f"says.{name}", f"has the gaps {', '.join(sorted(wanted)) or '(none)'}, no others")
        if drafts or form.approved == "true":
            found[path.stem] = form.says
    return found


@lru_cache(maxsize=1)
def disclosures_in_force() -> tuple[DisclosureForm, ...]:
    """The shipped file's, read once a process."""
    return disclosures()


@lru_cache(maxsize=1)
def scripts_in_force() -> dict[str, dict[str, str]]:
    """The shipped files', read once a process; with the real providers no drafts."""
    return scripts(drafts=not settings().is_real)
