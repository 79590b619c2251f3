"""Rule packs at a desk: which is in force, what each rule says and from where, what changed between two versions, and whom that touches.

In:   GET /desk/packs (?on=), /desk/packs/PACK (?on=), /desk/packs/PACK/changes (?from=&to=); POST /desk/packs/PACK/impact.
Out:  pages. Nothing personal: ids of attempts, counts.
Pure: no; reads the files of rules and the ledger.
Source: docs/compliance-desk.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from config.rule_files import rule_packs
from decisions.rule_diff import Change, pack_changes
from decisions.rule_words import CONFIDENCE, name_of, plainly
from ledger.engine import connection
from ledger.pack_approvals import standings, summary
from ledger.pack_versions import CURRENT, Version, kept_version
from ledger.policies import KeptPack, in_force_on
from ledger.policies import versions_of as kept_versions_of
from ledger.rule_impact import Impact, rule_impact
from portal.desk.frame import BASE, Asked, NotFound, Room, desk_page, show
from portal.desk.working import REFUSALS, day_of, refused, today

RIGHT: Final = "rules.see"
# An impact is judged while somebody waits; a longer one is `tideover rules impact`.
IMPACT_DAYS_MAX: Final = 31
IDS_SHOWN_MAX: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Two versions of a pack.

    Attributes:
        before: As people cite it.
        after: Likewise.
        summary: How many changes of which effect.
        changes: Each.
    """

    before: str
    after: str
    summary: str
    changes: Sequence[Change]


async def packs(asked: Asked) -> Response:
    """Every pack, and by which version runs of a day decided."""
    on = day_of(asked.request.query_params.get("on", ""), today(asked))

    def read() -> dict[str, Any]:
        with connection(read_only=True) as tx:
            used = in_force_on(tx, on)
        approved = {one.version: one for one in standings()}
        return {"packs": [(pack, approved.get(pack.version), used.get(pack.jurisdiction, [])) for pack in rule_packs().packs]}

    try:
        return show(asked, "desk/packs", on=on, name_of=name_of, **await run_in_threadpool(read))
    except REFUSALS as error:
        return refused(asked, error)


async def pack(asked: Asked) -> Response:
    """One pack: its rules with their numbers on a day, sources and confidence, and the versions that the ledger keeps."""
    on = day_of(asked.request.query_params.get("on", ""), today(asked))
    jurisdiction = asked.request.path_params["pack"]

    def read() -> dict[str, Any] | None:
        found = next((one for one in rule_packs().packs if one.jurisdiction == jurisdiction), None)
        if found is None:
            return None
        with connection(read_only=True) as tx:
            kept: list[KeptPack] = kept_versions_of(tx, jurisdiction)
        return {"pack": found, "rules": [(rule, plainly(found, rule, on)) for rule in found.rules], "kept": kept}

    try:
        values = await run_in_threadpool(read)
    except REFUSALS as error:
        return refused(asked, error)
    if values is None:
        raise NotFound
    return show(asked, "desk/pack", on=on, current=CURRENT, confidence=CONFIDENCE, name_of=name_of, days_max=IMPACT_DAYS_MAX, **values)


async def changes(asked: Asked) -> Response:
    """What changed between two versions, in words, and whether it tightens or loosens."""
    jurisdiction, wanted = asked.request.path_params["pack"], asked.request.query_params
    try:
        compared = await run_in_threadpool(_compared, jurisdiction, wanted.get("from", ""), wanted.get("to", CURRENT))
    except REFUSALS as error:
        return refused(asked, error)
    return show(asked, "desk/pack_changes", jurisdiction=jurisdiction, compared=compared, name_of=name_of)


async def impact(asked: Asked) -> Response:
    """Which contacts of the last days another version would have forbidden or allowed."""
    jurisdiction, typed = asked.request.path_params["pack"], asked.fields
    days = typed.get("days", "")
    span = min(max(int(days), 1), IMPACT_DAYS_MAX) if days.isascii() and days.isdigit() else 1

    def judge() -> tuple[Compared, Impact]:
        old, new = _versions(jurisdiction, typed.get("from", ""), typed.get("to", CURRENT))
        return _told(old, new), rule_impact(old, new, days=span)

    try:
        compared, found = await run_in_threadpool(judge)
    except REFUSALS as error:
        return refused(asked, error)
    sides = [(name, attempts, found.by_rule(attempts)) for name, attempts in (("forbidden", found.forbidden), ("allowed", found.allowed))]
    return show(
        asked,
        "desk/pack_impact",
        jurisdiction=jurisdiction,
        compared=compared,
        impact=found,
        sides=sides,
        days=span,
        ids_max=IDS_SHOWN_MAX,
        name_of=name_of,
    )


def _compared(jurisdiction: str, before: str, after: str) -> Compared:
    return _told(*_versions(jurisdiction, before, after))


def _versions(jurisdiction: str, before: str, after: str) -> tuple[Version, Version]:
    """Two versions by their hashes; never a file, whose path somebody typed."""
    return kept_version(jurisdiction, before), kept_version(jurisdiction, after)


def _told(old: Version, new: Version) -> Compared:
    found = pack_changes(old.pack, new.pack)
    return Compared(before=old.label, after=new.label, summary=summary(found), changes=found)


_ONE: Final = f"{BASE}/packs/{{pack}}"
ROOM: Final = Room(
    name="packs",
    path="packs",
    right=RIGHT,
    routes=(
        Route(f"{BASE}/packs", desk_page(packs, shows_person=False, right=RIGHT), methods=["GET"]),
        Route(_ONE, desk_page(pack, shows_person=False, right=RIGHT), methods=["GET"]),
        Route(f"{_ONE}/changes", desk_page(changes, shows_person=False, right=RIGHT), methods=["GET"]),
        Route(f"{_ONE}/impact", desk_page(impact, shows_person=False, right=RIGHT), methods=["POST"]),
    ),
)
