"""The what-if checker: may this person be contacted, then, like this? Answered in words, by the function behind `tideover rules check`.

The facts come from a form, from lines in the form of CASES.md, or from what is known of a person. The judgement asks no ledger.

In:   GET and POST /desk/what-if; POST /desk/what-if/person (the lender's id of somebody, or ours).
Out:  pages. Whose facts are taken is noted.
Pure: no; reads the rule packs.
Source: docs/compliance-desk.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import yaml
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from config.load import ConfigError
from config.rule_cases import rule_cases_of
from config.rule_files import rule_packs
from config.settings import settings
from decisions.packs import Packs
from decisions.rule_answers import answers_here
from decisions.words import BASES, CHANNELS, HOLD_KINDS, PARTIES, PURPOSES, ROLES, WHERE
from ledger.decisions_log import find_party
from ledger.person_case import case_of
from portal.desk.frame import BASE, Asked, Room, desk_page, show
from portal.desk.working import REFUSALS, in_ledger

RIGHT: Final = "what_if.try"
PLACE: Final = "what-if"
# More than one screen holds is a file's work.
CASES_MAX: Final = 50
# A form does not ask since when: long enough ago that it is there, and not so long that it is too old.
CONSENT_DAYS: Final = 30
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "creditor_role": tuple(ROLES),
    "channel": tuple(CHANNELS),
    "purpose": tuple(PURPOSES),
    "party": tuple(PARTIES),
    "place": ("", *WHERE),
    "hold": ("", *HOLD_KINDS),
    "basis": ("", *BASES),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One answer, with what the rules behind it say.

    Attributes:
        answer: As `tideover rules check` prints it.
        says: Rule → its one sentence.
        only_live: Rules that block it in live mode alone.
        next_at: The next allowed time; None = no time is known.
    """

    answer: Mapping[str, Any]
    says: Mapping[str, str]
    only_live: tuple[str, ...]
    next_at: datetime | None


async def form(asked: Asked) -> Response:
    """An empty form, for now."""
    return _page(asked, {"at": asked.at.isoformat(timespec="minutes")}, "")


async def check(asked: Asked) -> Response:
    """Judge what was typed."""
    typed = dict(asked.fields)
    lines = typed.get("lines", "").strip() if typed.get("by") == "lines" else yaml.safe_dump([case_from(typed)], sort_keys=False)
    basis = typed.get("basis") or None
    try:
        told = await run_in_threadpool(judged, lines, basis if basis in BASES else None)
    except REFUSALS as error:
        return _page(asked, typed, lines, trouble=str(error))
    return _page(asked, typed, lines, told=told)


async def person(asked: Asked) -> Response:
    """Begin with what is known of somebody."""
    named, channel = asked.fields.get("borrower", "").strip(), asked.fields.get("channel", "sms")

    def read(tx: Connection) -> dict[str, Any]:
        party_id = find_party(tx, named)
        asked.note(tx, party_id, "what-if")
        return case_of(tx, party_id, at=asked.at, channel=channel if channel in CHANNELS else "sms")

    try:
        case = await in_ledger(read)
    except REFUSALS as error:
        asked.nobody()
        return _page(asked, {"at": asked.at.isoformat(timespec="minutes")}, "", trouble=str(error))
    lines = yaml.safe_dump([case], sort_keys=False, allow_unicode=True)
    return _page(asked, {"at": case["proposed"]["at"], "by": "lines"}, lines, told=await run_in_threadpool(judged, lines, None))


def judged(lines: str, basis: str | None) -> list[Told]:
    """Answers to cases, by the packs of the files.

    Raises:
        ConfigError: The lines are not of that form, or the packs cannot be read.
    """
    cases, packs = rule_cases_of(lines, "form"), rule_packs()
    if len(cases.ids) > CASES_MAX:
        raise ConfigError("form", None, "", f"more than {CASES_MAX} cases: `tideover rules check` takes a file")
    bases = None if basis is None else {basis}
    found = answers_here(cases.ids, cases.facts, cases.candidates, packs, live=settings().is_real, bases=bases)
    return [
        Told(
            answer=answer,
            says={reason["rule"]: _says(packs, reason["rule"]) for reason in answer["blocked_by"]},
            only_live=tuple(only_live),
            next_at=None if answer["next_allowed_at"] is None else datetime.fromisoformat(answer["next_allowed_at"]),
        )
        for answer, only_live in found
    ]


def case_from(typed: Mapping[str, str]) -> dict[str, Any]:
    """The form's fields as a case; what was left empty is not known.

    A line of the history is an instant, a channel and a result: `2026-03-15T15:00:00-04:00 voice no_answer`.
    """

    def said(name: str) -> str | None:
        return typed.get(name, "").strip() or None

    def words(name: str) -> list[str]:
        return [word for word in typed.get(name, "").replace(",", " ").split() if word]

    loan: dict[str, Any] = {"id": "L1", "past_due": said("past_due"), "days_past_due": said("days_past_due"), "product": said("product")}
    try:
        earlier = (date.fromisoformat(typed.get("at", "").strip()[:10]) - timedelta(days=CONSENT_DAYS)).isoformat()
    except (ValueError, OverflowError):
        earlier = ""  # what is wrong with the instant is said of the instant
    # Whose leave a law asks for: the lender's own, or that of whoever collects for others.
    holder = "creditor" if typed.get("creditor_role", "first_party") == "first_party" else "collector"
    history = [[*line.split(), "", ""] for line in typed.get("history", "").splitlines() if line.strip()]
    case = {
        "id": "form",
        "jurisdictions": words("jurisdictions"),
        "creditor_role": said("creditor_role"),
        "borrower": {
            "known_zone": said("known_zone"),
            "country": said("country"),
            "region": said("region"),
            "facts": words("facts"),
        },
        "loans": [loan],
        "contact_points": [{"id": "P1"}],
        "holds": [{"kind": typed["hold"], "loan": "L1"}] if said("hold") else [],
        "consents": [{"channel": channel, "given_to": holder, "at": earlier} for channel in words("consents")],
        "optouts": [{"channel": channel, "at": typed.get("at", "")} for channel in words("optouts")],
        "history": [
            {"at": at, "channel": channel, "direction": "outbound", "loans": ["L1"], "result": result}
            for at, channel, result, *_ in history
        ],
        "proposed": {
            "at": typed.get("at", "").strip(),
            "channel": typed.get("channel", ""),
            "loans": ["L1"],
            "contact_point": "P1",
            "party": said("party"),
            "purpose": said("purpose"),
            "place": said("place"),
            "text": said("text"),
            "automated": typed.get("automated") == "yes",
        },
    }
    return _stated(case)


def _stated(case: dict[str, Any]) -> dict[str, Any]:
    """Without what was left empty: an empty field of a form says nothing."""
    inner = {name: _stated(value) if isinstance(value, dict) else value for name, value in case.items()}
    inner |= {
        name: [_stated(one) if isinstance(one, dict) else one for one in value] for name, value in inner.items() if isinstance(value, list)
    }
    return {name: value for name, value in inner.items() if value is not None and value not in ("", [], {})}


def _says(packs: Packs, rule_id: str) -> str:
    """What a rule says; of one that has parts, what its first part says."""
    parts = (rule for pack in packs.packs for rule in pack.rules if rule_id in {rule.id, rule.part_of})
    return next((rule.says for rule in parts), "")


def _page(asked: Asked, typed: Mapping[str, str], lines: str, *, told: list[Told] | None = None, trouble: str | None = None) -> Response:
    return show(asked, "desk/what_if", typed=typed, lines=lines, told=told, trouble=trouble, choices=CHOICES, person=can_begin(asked))


def can_begin(asked: Asked) -> bool:
    """Whether she may take a person's facts."""
    return "person.search" in asked.staff.rights


ROOM: Final = Room(
    name="what_if",
    path=PLACE,
    right=RIGHT,
    routes=(
        Route(f"{BASE}/{PLACE}", desk_page(form, shows_person=False, right=RIGHT), methods=["GET"]),
        Route(f"{BASE}/{PLACE}", desk_page(check, shows_person=False, right=RIGHT), methods=["POST"]),
        Route(f"{BASE}/{PLACE}/person", desk_page(person, shows_person=True, right="person.search"), methods=["POST"]),
    ),
)
