"""Reads config/roles.yaml: rights, which role has which, and which groups of the issuer give a role.

In:   the file.
Out:  one `Roles` value.
Pure: no; reads one file. A role with a right that is not listed, and a group that gives no role of ours, are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from config.load import Day, Strict, checked, parse

ROLES: Final = Path(__file__).with_name("roles.yaml")

Word = Annotated[str, Field(pattern=r"^[a-z][a-z_]*$")]
Right = Annotated[str, Field(pattern=r"^[a-z_]+\.[a-z_]+$")]
Phrase = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Who may do what.

    Attributes:
        rights: Right → what it lets somebody do.
        by_role: Role → its rights.
        answers_as: Role → the word under which strategies and approval codes know it; roles without one answer nothing.
        claim: Which claim of the issuer names groups.
        by_group: Group → the role that it gives.
    """

    rights: Mapping[str, str]
    by_role: Mapping[str, frozenset[str]]
    answers_as: Mapping[str, str]
    claim: str
    by_group: Mapping[str, str]

    def rights_of(self, roles: Iterable[str]) -> frozenset[str]:
        """What somebody with these roles may do; a role that is not known any more gives nothing."""
        return frozenset().union(*(self.by_role.get(role, frozenset()) for role in roles))


class RoleForm(Strict):
    """One role, as written."""

    rights: list[Right]
    answers_as: Word | None = None


class GroupsForm(Strict):
    """The issuer's groups, as written."""

    claim: Phrase
    gives: dict[Phrase, Word]


class RolesForm(Strict):
    """The file, as written."""

    owner: Phrase
    reviewed_on: Day
    rights: dict[Right, Phrase]
    roles: dict[Word, RoleForm]
    groups: GroupsForm


def roles(path: Path = ROLES) -> Roles:
    """Read who may do what.

    Raises:
        ConfigError: The file is not of that form; a role names a right, or a group a role, that is not listed.
    """
    document = parse(path)
    form = checked(document, document.plain, RolesForm)
    for name, role in form.roles.items():
        if unknown := set(role.rights) - set(form.rights):
            raise document.error(["roles", name, "rights"], f"not among the rights: {', '.join(sorted(unknown))}")
    for group, role_name in form.groups.gives.items():
        if role_name not in form.roles:
            raise document.error(["groups", "gives", group], f"gives {role_name}, which is no role")
    return Roles(
        rights=form.rights,
        by_role={name: frozenset(role.rights) for name, role in form.roles.items()},
        answers_as={name: role.answers_as for name, role in form.roles.items() if role.answers_as is not None},
        claim=form.groups.claim,
        by_group=form.groups.gives,
    )


@lru_cache(maxsize=1)
def roles_in_force() -> Roles:
    """The shipped file's, read once a process."""
    return roles()
