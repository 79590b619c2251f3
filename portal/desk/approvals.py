"""Four eyes at a desk: what waits for a second person, what it changes, and her yes or no. Who she is was said by signing in, not typed.

Runs, rule packs, strategies and texts go by the same functions as `tideover approve` and `tideover message approve`; who asked for
something never approves it, and a run asks for the roles that its strategy names.

In:   GET /desk/approvals and the subjects below it; POST to them.
Out:  pages; rows of `approval`. A run that was approved goes on within five minutes (`dispatch`).
Pure: no.
Source: docs/compliance-desk.md, docs/adr/0061.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from config.load import ConfigError
from config.strategy_files import strategy, strategy_body
from decisions.messages import NoTextError
from decisions.rule_diff import pack_changes
from decisions.rule_words import name_of
from gate.text_approvals import TextStanding, approve_text, text_standings
from ledger import approvals, campaigns, core_answers, core_instructions, funnel, previews, run_standings, strategy_approvals
from ledger.approval_codes import Holder
from ledger.approvals import ApprovalRefused, same_person
from ledger.campaigns import Run
from ledger.core_instructions import Instruction, InstructionRefused
from ledger.engine import connection
from ledger.in_force import treatment_of
from ledger.pack_approvals import approve_pack, standings, summary
from ledger.pack_versions import kept_version
from ledger.run_answers import answer_run, flaw
from ledger.run_approvals import Answer
from ledger.run_standings import NoSuchRun, Standing
from ledger.tables import SERVICES
from portal.desk.frame import BASE, Asked, NotFound, Room, desk_page, show
from portal.desk.working import REFUSALS, actor, in_ledger, refused

SEE: Final = "approvals.see"
GIVE: Final = "approvals.give"
RELIEF: Final = "relief.approve"
# Roles of config/authority.yaml that stand for relief, the one with less authority first.
SIGN: Final = ("supervisor", "compliance")
NUMBER_MAX: Final = 2**62
DECISIONS: Final = ("approve", "approve_up_to", "reject")


async def waiting(asked: Asked) -> Response:
    """What waits, and what nobody has asked for yet though live mode would want it."""

    def read() -> dict[str, Any]:
        with connection(read_only=True) as tx:
            runs = run_standings.waiting(tx)
        packs, texts = standings(), text_standings()
        return {
            "runs": runs,
            "strategies": strategy_approvals.standings(),
            "packs": [one for one in packs if one.last is not None and one.last.verdict == "asked"],
            "texts": [one for one in texts if one.last is not None and one.last.verdict == "asked"],
            "packs_unasked": [one for one in packs if one.last is None and one.status == "ready"],
            "texts_unasked": [one for one in texts if one.last is None and one.text.approved and not one.text.draft],
        }

    return show(asked, "desk/approvals", mine=_is_mine(asked), name_of=name_of, **await run_in_threadpool(read))


async def pack(asked: Asked) -> Response:
    """A rule pack: what it changes against the one that was approved before, who said what."""
    return await _pack(asked)


async def answer_pack(asked: Asked) -> Response:
    """Ask for it, approve it, or refuse it."""
    jurisdiction, version = asked.request.path_params["pack"], asked.request.path_params["version"]
    return await _answered(
        asked,
        lambda reject, reason: approve_pack(
            jurisdiction, by=actor(asked), version=kept_version(jurisdiction, version).pack.version, reject=reject, reason=reason
        ),
        lambda said: _pack(asked, said=said),
    )


async def text(asked: Asked) -> Response:
    """A text, word for word, who said what."""
    return await _text(asked)


async def answer_text(asked: Asked) -> Response:
    """Ask for it, approve it, or refuse it: exactly the words that were shown."""
    message, locale = asked.request.path_params["message"], asked.request.path_params["locale"]

    def step(reject: bool, reason: str | None) -> list[str]:  # noqa: FBT001  # a yes or a no
        shown = _standing_of(message, locale)
        if shown is None or shown.text.version != asked.fields.get("version"):
            raise ApprovalRefused("these words are not those that were shown: look at them again")
        return approve_text(message, locale, by=actor(asked), reject=reject, reason=reason)

    return await _answered(asked, step, lambda said: _text(asked, said=said))


async def a_strategy(asked: Asked) -> Response:
    """A strategy: its files, and what is different from what was approved before."""
    return await _strategy(asked)


async def answer_strategy(asked: Asked) -> Response:
    """Ask for it, approve it, or refuse it: exactly the files that were shown."""
    name = asked.request.path_params["name"]

    def step(reject: bool, reason: str | None) -> list[str]:  # noqa: FBT001  # a yes or a no
        shown = _strategy_standing(name)
        if shown is None or shown.version != asked.fields.get("version"):
            raise ApprovalRefused("these files are not those that were shown: look at them again")
        return strategy_approvals.approve_strategy(name, by=actor(asked), reject=reject, reason=reason)

    return await _answered(asked, step, lambda said: _strategy(asked, said=said))


async def run(asked: Asked) -> Response:
    """A campaign run: how many, by which channels, why others are left alone."""
    return await _run(asked)


async def answer_a_run(asked: Asked) -> Response:
    """Let it go out, in part or whole, or stop it for good."""
    number, typed = _number(asked), asked.fields
    decision, reason = typed.get("decision", ""), typed.get("reason", "").strip() or None
    most = typed.get("up_to", "").strip()
    up_to = int(most) if decision == "approve_up_to" and most.isascii() and most.isdigit() else None

    def step() -> list[str]:
        if decision not in DECISIONS:
            raise ApprovalRefused("say whether you approve or reject")
        with connection(read_only=True) as tx:
            roles = treatment_of(tx, campaigns.read_run(tx, number)).approval_roles
        approve = decision != "reject"
        given = Answer(
            # A form that is sent twice, by a double click or a reload, is one answer.
            form=f"desk {asked.staff.id} {typed.get('once', '') or uuid4().hex}"[:120],
            by=Holder(code_id=None, person=actor(asked), role=asked.staff.answers_as(roles) or "none"),
            approve=approve,
            up_to=up_to,
            reason=reason,
            flaw=flaw(approve=approve, reason=reason, up_to_missing=decision == "approve_up_to" and not up_to),
        )
        done, _ = answer_run(number, given, subject=typed.get("subject") or "none")
        if done.outcome == "refused":
            raise ApprovalRefused(done.said)
        return [done.said]

    try:
        said = await run_in_threadpool(step)
    except NoSuchRun as error:
        raise NotFound from error
    except REFUSALS as error:
        return refused(asked, error)
    return await _run(asked, said=said)


async def relief(asked: Asked) -> Response:
    """Relief above one person's authority, which waits for another one."""
    return await _relief(asked)


async def answer_relief(asked: Asked) -> Response:
    """Stand for it, or say no: then a case is opened, since somebody has to tell the borrower."""
    number, by = int(asked.request.path_params["number"]), actor(asked)
    role = next((one for one in SIGN if one in asked.staff.roles), "none")
    decision = asked.fields.get("decision")

    def step(tx: Connection) -> str:
        if number > NUMBER_MAX or decision not in {"approve", "reject"}:
            raise InstructionRefused("say whether you approve or reject what waits")
        if decision == "reject":
            core_answers.reject_and_open(tx, number, by=by, role=role, at=asked.at)
            return asked.words.say("co_relief_refused")
        state = core_instructions.approve(tx, number, by=by, role=role)
        return asked.words.say("co_relief_queued" if state == "queued" else "co_relief_one_more")

    try:
        said = await in_ledger(step)
    except REFUSALS as error:
        return refused(asked, error)
    return await _relief(asked, said=said)


async def _relief(asked: Asked, *, said: str | None = None) -> Response:
    def read(tx: Connection) -> list[Instruction]:
        found = core_instructions.listed(tx, states=("needs_approval",))
        for party_id in sorted({one.party_id for one in found}):
            asked.note(tx, party_id, "relief")
        if not found:
            asked.nobody()
        return found

    waits = await in_ledger(read)
    return show(asked, "desk/approval_relief", waits=waits, mine=_is_mine(asked), said=said)


async def _answered(asked: Asked, step: Callable[[bool, str | None], list[str]], again: Callable[[list[str]], Any]) -> Response:
    """A step about a pack or a text; a refusal has its reason."""
    reject, reason = asked.fields.get("decision") == "reject", asked.fields.get("reason", "").strip() or None
    if reject and reason is None:
        return refused(asked, ApprovalRefused("say why you reject"))
    try:
        said = await run_in_threadpool(step, reject, reason)
    except NoTextError as error:
        raise NotFound from error
    except REFUSALS as error:
        return refused(asked, error)
    response: Response = await again(said)
    return response


async def _pack(asked: Asked, *, said: list[str] | None = None) -> Response:
    jurisdiction, version = asked.request.path_params["pack"], asked.request.path_params["version"]

    def read() -> dict[str, Any]:
        chosen = kept_version(jurisdiction, version)
        with connection(read_only=True) as tx:
            steps = approvals.read_steps(tx, chosen.pack.version)
            before = approvals.last_approved(tx, jurisdiction.lower(), but=chosen.pack.version)
        compared = None if before is None else pack_changes(kept_version(jurisdiction, before).pack, chosen.pack)
        return {
            "chosen": chosen,
            "steps": steps,
            "before": before,
            "changes": compared,
            "summary": None if compared is None else summary(compared),
            "doubts": [rule.id for rule in chosen.pack.rules if rule.unverified is not None or rule.confidence == "R"],
        }

    try:
        values = await run_in_threadpool(read)
    except REFUSALS as error:
        return refused(asked, error)
    return show(asked, "desk/approval_pack", mine=_is_mine(asked), said=said, name_of=name_of, **values)


async def _text(asked: Asked, *, said: list[str] | None = None) -> Response:
    message, locale = asked.request.path_params["message"], asked.request.path_params["locale"]
    found = await run_in_threadpool(_standing_of, message, locale)
    if found is None:
        raise NotFound
    steps = await in_ledger(lambda tx: approvals.read_steps(tx, found.text.version, kind=approvals.MESSAGE))
    return show(asked, "desk/approval_text", mine=_is_mine(asked), found=found, steps=steps, said=said)


async def _strategy(asked: Asked, *, said: list[str] | None = None) -> Response:
    name = asked.request.path_params["name"]

    def read() -> dict[str, Any] | None:
        found = _strategy_standing(name)
        if found is None:
            return None
        with connection(read_only=True) as tx:
            return {
                "found": found,
                "steps": approvals.read_steps(tx, found.version, kind=approvals.STRATEGY),
                "different": list(strategy_approvals.differences(tx, name)),
                "files": {stage: strategy_body(name, stage) for stage in found.stages},
            }

    values = await run_in_threadpool(read)
    if values is None:
        raise NotFound
    return show(asked, "desk/approval_strategy", mine=_is_mine(asked), said=said, **values)


async def _run(asked: Asked, *, said: list[str] | None = None) -> Response:
    number = _number(asked)

    def read() -> dict[str, Any]:
        with connection(read_only=True) as tx:
            standing, opened = run_standings.standing(tx, number), campaigns.read_run(tx, number)
            return {
                "run": standing,
                "no_file": _no_file(opened),
                "weighed": previews.read_weighed(tx, opened),
                "groups": previews.read_groups(tx, number),
                "window": previews.read_window(tx, number),
                "funnel": funnel.read_funnel(tx, number),
            }

    try:
        values = await run_in_threadpool(read)
    except NoSuchRun as error:
        raise NotFound from error
    return show(asked, "desk/approval_run", mine=_is_mine(asked), said=said, once=uuid4().hex, **values)


def _no_file(opened: Run) -> str | None:
    """Why a run's strategy cannot be read from its file, so that nothing of the run is sent; None = it can, or a service has none."""
    if opened.stage in SERVICES:
        return None
    try:
        strategy(opened.strategy, opened.stage)
    except ConfigError as error:
        return str(error)
    return None


def _standing_of(message: str, locale: str) -> TextStanding | None:
    return next((one for one in text_standings(message) if one.text.locale == locale), None)


def _strategy_standing(name: str) -> strategy_approvals.Standing | None:
    return next((one for one in strategy_approvals.standings() if one.name == name), None)


def _is_mine(asked: Asked) -> Callable[[str | Standing | None], bool]:
    """Whether she asked for it herself: then somebody else has to say yes."""
    return lambda name: isinstance(name, str) and same_person(name, actor(asked))


def _number(asked: Asked) -> int:
    number = int(asked.request.path_params["run"])
    if number > NUMBER_MAX:
        raise NotFound
    return number


_PACK: Final = f"{BASE}/approvals/pack/{{pack}}/{{version}}"
_TEXT: Final = f"{BASE}/approvals/text/{{message}}/{{locale}}"
_STRATEGY: Final = f"{BASE}/approvals/strategy/{{name}}"
_RUN: Final = f"{BASE}/approvals/run/{{run:int}}"
ROOM: Final = Room(
    name="approvals",
    path="approvals",
    right=SEE,
    routes=(
        Route(f"{BASE}/approvals", desk_page(waiting, shows_person=False, right=SEE), methods=["GET"]),
        Route(f"{BASE}/approvals/relief", desk_page(relief, shows_person=True, right=RELIEF), methods=["GET"]),
        Route(f"{BASE}/approvals/relief/{{number:int}}", desk_page(answer_relief, shows_person=True, right=RELIEF), methods=["POST"]),
        Route(_PACK, desk_page(pack, shows_person=False, right=SEE), methods=["GET"]),
        Route(_PACK, desk_page(answer_pack, shows_person=False, right=GIVE), methods=["POST"]),
        Route(_TEXT, desk_page(text, shows_person=False, right=SEE), methods=["GET"]),
        Route(_TEXT, desk_page(answer_text, shows_person=False, right=GIVE), methods=["POST"]),
        Route(_STRATEGY, desk_page(a_strategy, shows_person=False, right=SEE), methods=["GET"]),
        Route(_STRATEGY, desk_page(answer_strategy, shows_person=False, right=GIVE), methods=["POST"]),
        Route(_RUN, desk_page(run, shows_person=False, right=SEE), methods=["GET"]),
        Route(_RUN, desk_page(answer_a_run, shows_person=False, right=GIVE), methods=["POST"]),
    ),
)
