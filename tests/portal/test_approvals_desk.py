"""Four eyes at the desk: who signed in is who says yes, nobody says it for herself, and what was shown is what is approved."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
from httpx import Client, Response
from prefect.logging import disable_run_logger
from sqlalchemy import text

from config.policies import policies
from config.rule_files import rule_packs
from config.settings import settings
from gate.lane import run_lane
from gate.text_approvals import text_standings
from ledger import approvals, case_lists, core_instructions, run_approvals, strategy_approvals
from ledger.approvals import ApprovalRefused, same_person, signed_in, typed
from ledger.campaigns import open_run
from ledger.core_instructions import Wanted
from ledger.engine import connection
from ledger.pack_approvals import approve_pack
from tasks.choose import choose
from tasks.pick import pick
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel
from tests.plugins.staff_desk import Desk
from tests.tasks.test_choose_learned import decided, kept, model
from tests.tasks.test_experiments import BY_MODEL, only_in, write
from tests.tasks.test_experiments import decided as tried

PACK = next(pack for pack in rule_packs().packs if pack.status == "ready")
PLACE = f"/desk/approvals/pack/{PACK.jurisdiction}/{PACK.version}"


def said(page: Response) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text)))


def steps(version: str, kind: str = approvals.RULE_PACK) -> list[tuple[str, str | None, str]]:
    with connection() as tx:
        return [(one.asked_by, one.approved_by, one.verdict) for one in approvals.read_steps(tx, version, kind=kind)]


GONE = """UPDATE campaign_run SET approval_above = 0, policy_hashes = policy_hashes - 'strategy/learned/early'
    || jsonb_build_object('strategy/gone/early', policy_hashes ->> 'strategy/learned/early') WHERE id = :run"""


@pytest.fixture
def anna(desk: Desk, portfolio: Portfolio) -> Client:
    portfolio.clock(noon("US"))
    return desk.sign_in("compliance", subject="Anna Atall")


@pytest.fixture
def ben(desk: Desk) -> Client:
    return desk.sign_in("compliance", subject="Ben Nobody")


@pytest.mark.parametrize(
    ("name", "other", "same"),
    [
        ("Anna Atall", "anna  atall", True),
        (signed_in("Anna Atall", 3), "Anna Atall", True),
        (signed_in("Anna Atall", 3), signed_in("Anna Newname", 3), True),
        (signed_in("Anna Atall", 3), signed_in("anna atall", 4), True),
        (signed_in("Anna Atall", 3), signed_in("Ben Nobody", 33), False),
        ("Ben (staff x)", "Ben", False),
        ("Ben", "Anna", False),
    ],
)
def test_one_person_is_one_person_however_she_came(name: str, other: str, same: bool) -> None:  # a case of the table
    assert same_person(name, other) is same_person(other, name) is same


def test_a_pack_is_asked_for_and_approved_by_two_who_signed_in(desk: Desk, anna: Client, ben: Client) -> None:
    assert PACK.jurisdiction in said(anna.get("/desk/approvals"))
    page = anna.get(PLACE)
    assert "Nobody has asked yet" in said(page)
    mine = desk.post(anna, page, PLACE, decision="approve")
    assert "You asked for this yourself" in said(mine)
    assert "you asked for it" in said(anna.get("/desk/approvals"))
    # The form that is not shown is not taken either, whatever name is typed with it.
    guard = re.findall(r'name="guard" value="(\w+)"', page.text)[-1]
    own = anna.post(PLACE, data={"guard": guard, "decision": "approve", "by": "Ben Nobody"})
    assert "somebody else approves" in said(own)
    assert [verdict for *_, verdict in steps(PACK.version)] == ["asked"]
    hers = ben.get(PLACE)
    assert "say why you reject" in said(desk.post(ben, hers, PLACE, decision="reject"))
    done = desk.post(ben, hers, PLACE, decision="approve", reason="read with counsel")
    assert "approved:" in said(done)
    asked, approved = steps(PACK.version)
    assert (asked[0].partition(" (staff")[0], approved[1] and approved[1].partition(" (staff")[0]) == ("Anna Atall", "Ben Nobody")
    taken_back = desk.post(anna, anna.get(PLACE), PLACE, decision="reject", reason="a rule is wrong")
    assert "rejected:" in said(taken_back)


def test_an_address_names_no_file(anna: Client) -> None:
    guard = re.findall(r'name="guard" value="(\w+)"', anna.get(PLACE).text)[-1]
    for version in ("LICENSE", "README.md", "%2e%2e", "zz"):
        place = f"/desk/approvals/pack/{PACK.jurisdiction}/{version}"
        for answer in (anna.get(place), anna.post(place, data={"guard": guard, "decision": "approve"})):
            assert (answer.status_code, "by its hash" in said(answer)) in {(409, True), (404, False)}


def test_who_asked_on_the_terminal_does_not_approve_at_the_desk(desk: Desk, anna: Client) -> None:
    approve_pack(PACK.jurisdiction, by="anna atall")
    page = anna.get(PLACE)
    assert "You asked for this yourself" in said(page)
    guard = re.findall(r'name="guard" value="(\w+)"', page.text)[-1]
    assert anna.post(PLACE, data={"guard": guard, "decision": "approve"}).status_code == 409
    del desk


def test_a_strategy_is_approved_as_its_files_were_shown(desk: Desk, anna: Client, ben: Client) -> None:
    place = "/desk/approvals/strategy/static-ladder"
    assert "static-ladder" in said(anna.get("/desk/approvals"))
    page = anna.get(place)
    assert "no other version of static-ladder was approved before" in said(page)
    assert "stage: early" in said(page)
    guard = re.findall(r'name="guard" value="(\w+)"', page.text)[-1]
    other = anna.post(place, data={"guard": guard, "decision": "approve", "version": "0" * 64})
    assert "not those that were shown" in said(other)
    desk.post(anna, page, place, decision="approve")
    assert "You asked for this yourself" in said(anna.get(place))
    assert "approved:" in said(desk.post(ben, ben.get(place), place, decision="approve"))
    (found,) = [one for one in strategy_approvals.standings() if one.name == "static-ladder"]
    assert found.approved
    assert anna.get("/desk/approvals/strategy/none-such").status_code == 404


def test_a_text_is_approved_word_for_word_or_not_at_all(desk: Desk, anna: Client, ben: Client) -> None:
    found = next(one for one in text_standings() if one.text.approved and not one.text.draft)
    place = f"/desk/approvals/text/{found.text.message}/{found.text.locale}"
    page = anna.get(place)
    assert next(iter(found.text.words.values())).body.split("{")[0].strip()[:20] in said(page)
    guard = re.findall(r'name="guard" value="(\w+)"', page.text)[-1]
    other_words = anna.post(place, data={"guard": guard, "decision": "approve", "version": "0" * 64})
    assert "not those that were shown" in said(other_words)
    desk.post(anna, page, place, decision="approve")
    desk.post(ben, ben.get(place), place, decision="approve")
    assert [verdict for *_, verdict in steps(found.text.version, approvals.MESSAGE)] == ["asked", "approved"]
    assert anna.get("/desk/approvals/text/none/en").status_code == 404


def test_a_run_waits_for_another_person_in_a_role_that_its_strategy_names(
    desk: Desk, anna: Client, ben: Client, portfolio: Portfolio, outbox: Outbox
) -> None:
    for _ in range(3):
        portfolio.borrower(push=False)
    with connection() as tx:
        run = open_run(
            tx,
            stage="early",
            business_date=TODAY,
            preview=False,
            borrowers_max=None,
            policies=policies("early"),
            at=noon("US"),
            approval_above=0,
        )
    with disable_run_logger():
        for shard in pick.fn(run):
            choose.fn(shard, run)
    with connection() as tx:
        who = tx.execute(text("SELECT id FROM staff WHERE name = 'Anna Atall'")).scalar_one()
        run_approvals.ask(tx, run, wait=timedelta(hours=8), flow_run=None, asked_by=signed_in("Anna Atall", who))
    place = f"/desk/approvals/run/{run}"
    assert f'href="{place}"' in anna.get("/desk/approvals").text
    page = anna.get(place)
    assert "You asked for this yourself" in said(page)
    guard, once, subject = (re.findall(rf'name="{name}" value="(\w+)"', page.text)[-1] for name in ("guard", "once", "subject"))
    own = anna.post(place, data={"guard": guard, "once": once, "subject": subject, "decision": "approve"})
    assert "four eyes" in said(own)
    auditor = desk.sign_in("auditor")
    assert auditor.get(place).status_code == 200
    assert auditor.post(place, data={"decision": "approve"}).status_code == 403
    shown = ben.get(place)
    stale = re.findall(r'name="guard" value="(\w+)"', shown.text)[-1]
    assert "not what was shown" in said(ben.post(place, data={"guard": stale, "decision": "approve", "subject": "0" * 64}))
    assert "needs a number" in said(desk.post(ben, shown, place, decision="approve_up_to"))
    assert "say whether" in said(desk.post(ben, ben.get(place), place, decision="perhaps"))
    done = desk.post(ben, ben.get(place), place, decision="approve_up_to", up_to="2", reason="few first")
    assert "approved by Ben Nobody" in said(done)
    channel = RecordingChannel()
    run_lane(run, shard=None, channels={"sms": lambda: channel})
    assert len(channel.sent) == 2
    assert sorted(outbox.states()) == ["accepted", "accepted", "withheld"]
    assert ben.get("/desk/approvals/run/999999999").status_code == ben.get(f"/desk/approvals/run/{2**70}").status_code == 404


def test_a_run_by_a_model_shows_who_is_held_out_and_what_is_scarce(anna: Client, portfolio: Portfolio) -> None:
    version = kept(model(sms=1.5))
    with disable_run_logger():
        run = decided(portfolio)
    shown = said(anna.get(f"/desk/approvals/run/{run}"))
    assert f"Model: paid_7d {version[:12]}" in shown
    assert "ordinary learned $50.00 1.65 % 8 %" in shown
    assert "$105.00 $1.73 $8.40" in shown, "of what the median borrower owes"
    assert "spending (USD) $1,000.00" in shown


def test_a_run_by_a_ladder_shows_the_arm_that_a_model_has_a_say_in(
    anna: Client, portfolio: Portfolio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, BY_MODEL)
    only_in(tmp_path, monkeypatch)
    version = kept(model(sms=1.5))
    with disable_run_logger():
        run = tried(portfolio)
    place = f"/desk/approvals/run/{run}"
    shown = said(anna.get(place))
    assert f"Model: paid_7d {version[:12]}" in shown
    assert "experiment:learned-in-early/challenger learned $50.00 1.65 % 8 %" in shown
    assert "$105.00 $1.73 $8.40" in shown
    assert "ordinary learned" not in shown
    assert "spending (USD) $1,000.00" in shown
    with connection() as tx:
        tx.execute(text("""UPDATE run_policy SET trials = '{"learned-in-early": ["challenger"]}'"""))
    assert "$50.00" not in said(anna.get(place)), "whoever is in a stopped arm is treated by the champion"


def test_a_run_whose_strategy_is_gone_shows_what_it_was_opened_with_or_says_why_not(anna: Client, portfolio: Portfolio) -> None:
    version = kept(model(sms=1.5))
    with disable_run_logger():
        run = decided(portfolio, people=3)
    place = f"/desk/approvals/run/{run}"
    assert "is sent before the file is back" not in said(anna.get(place))
    with connection() as tx:
        tx.execute(text(GONE), {"run": run})
    page = anna.get(place)
    assert page.status_code == 200
    assert "The file of this run's strategy cannot be read" in said(page)
    assert "nothing of it is sent before the file is back" in said(page)
    assert "ordinary gone $50.00" in said(page)
    with connection() as tx:
        tx.execute(text("""UPDATE campaign_run SET policy_hashes = policy_hashes || '{"strategy/gone/early": "not kept"}'"""))
    page = anna.get(place)
    assert page.status_code == 200
    assert "what this run was opened by cannot be read (no strategy for the stage early among these policies)" in said(page)
    assert f"Model: paid_7d {version[:12]}" in said(page)


def test_a_run_whose_strategy_is_gone_is_answered_by_the_roles_that_it_was_opened_with(
    desk: Desk, ben: Client, portfolio: Portfolio, outbox: Outbox
) -> None:
    kept(model(sms=1.5))
    with disable_run_logger():
        run = decided(portfolio, people=3)
    with connection() as tx:
        tx.execute(text(GONE), {"run": run})
        run_approvals.ask(tx, run, wait=timedelta(hours=8), flow_run=None, asked_by=run_approvals.SCHEDULE)
    place = f"/desk/approvals/run/{run}"
    assert set(outbox.states()) == {"planned"}
    done = desk.post(ben, ben.get(place), place, decision="reject", reason="its file is gone")
    assert "rejected by Ben Nobody" in said(done)
    assert set(outbox.states()) == {"withheld"}


def test_relief_above_an_authority_waits_for_somebody_else_and_a_no_opens_a_case(
    desk: Desk, anna: Client, ben: Client, portfolio: Portfolio
) -> None:
    borrower = portfolio.borrower()
    with connection() as tx:
        who = tx.execute(text("SELECT id FROM staff WHERE name = 'Anna Atall'")).scalar_one()

        def wanted(key: str) -> int:
            return core_instructions.ask(
                tx,
                Wanted(
                    loan_id=borrower.loan_id,
                    party_id=borrower.party_id,
                    kind="waiver",
                    terms={"component": "fee", "amount_minor": 20_000},
                    relief_minor=20_000,
                    asked_by=signed_in("Anna Atall", who),
                    key=key,
                    role="compliance",
                ),
            )

        first, second = wanted("first"), wanted("second")
        assert core_instructions.state_of(tx, first) == "needs_approval"
    page = anna.get("/desk/approvals/relief")
    assert "$200.00" in said(page)
    assert "You asked for this yourself" in said(page)
    guard = re.findall(r'name="guard" value="(\w+)"', page.text)[-1]
    own = anna.post(f"/desk/approvals/relief/{first}", data={"guard": guard, "decision": "approve"})
    assert "four eyes" in said(own)
    hers = ben.get("/desk/approvals/relief")
    assert "goes to the core system" in said(desk.post(ben, hers, f"/desk/approvals/relief/{first}", decision="approve"))
    assert "a case was opened" in said(desk.post(ben, hers, f"/desk/approvals/relief/{second}", decision="reject"))
    with connection() as tx:
        assert [core_instructions.state_of(tx, one) for one in (first, second)] == ["queued", "refused"]
        assert [one.kind for one in case_lists.listed(tx, party_id=borrower.party_id)] == ["core_instruction"]
    for role in ("ops", "auditor", "agent"):
        assert desk.sign_in(role).post(f"/desk/approvals/relief/{second}").status_code == 403


def test_a_terminal_names_nobody_who_signed_in_and_says_no_yes_where_people_do(monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed("Anna Atall", reject=False) == "Anna Atall"
    with pytest.raises(ApprovalRefused, match="signing in"):
        typed("Anna Atall  (STAFF 3)", reject=True)
    monkeypatch.setenv("TIDEOVER_TERMINAL_CODES", "false")
    settings.cache_clear()
    with pytest.raises(ApprovalRefused, match="/desk/approvals"):
        typed("Anna Atall", reject=False)
    assert typed("Anna Atall", reject=True) == "Anna Atall", "a no only stops"
