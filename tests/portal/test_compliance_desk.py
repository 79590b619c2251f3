"""The compliance desk over HTTP, on a real ledger: cases, people, what-ifs, packs, evidence, findings.

They are worked by the same functions as the commands, and none of it is to be had without the right, by a guess, or unseen.
"""

from __future__ import annotations

import io
import re
import zipfile
from datetime import timedelta
from hashlib import sha256
from html import unescape

import pytest
from httpx import Client, Response
from sqlalchemy import text

from config.policies import rule_policy
from config.rule_files import pack_bodies
from gate.lane import run_lane
from ledger import audit_results, case_lists, incidents, staff_views
from ledger.audit import Audited, Violation
from ledger.campaigns import write_policies
from ledger.engine import connection
from ledger.incidents import Selection
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel
from tests.plugins.staff_desk import Desk

NOON = noon("US")
NUMBER = "+12125550188"
Looks = list[tuple[str, str | None]]


@pytest.fixture
def borrower(portfolio: Portfolio) -> BorrowerIds:
    portfolio.clock(NOON)
    return portfolio.borrower(number=NUMBER)


@pytest.fixture
def officer(desk: Desk) -> Client:
    return desk.sign_in("compliance", subject="Cora Compliance")


def looks(party_id: int) -> Looks:
    """Pages on which somebody looked at this person, and the reasons."""
    with connection() as tx:
        now = tx.execute(text("SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date")).scalar_one()
        days = [now - timedelta(days=1), now]
        return [(one.what, one.why) for day in days for one in staff_views.views(tx, day=day, zone="UTC", party_id=party_id)]


def said(page: Response) -> str:
    """A page's words."""
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text)))


def opened(desk: Desk, officer: Client, borrower: BorrowerIds, kind: str = "dispute", **fields: str) -> int:
    page = officer.get("/desk/cases/new")
    shown = desk.post(
        officer,
        page,
        "/desk/cases/new",
        borrower=f"#{borrower.party_id}",
        kind=kind,
        stated_by="borrower",
        reference="letter 114",
        **fields,
    )
    assert shown.status_code == 200, said(shown)
    return int(str(shown.url).rpartition("/")[2])


def test_a_dispute_entered_at_the_desk_stops_every_flow_for_the_loan_at_once(
    desk: Desk, officer: Client, portfolio: Portfolio, outbox: Outbox, borrower: BorrowerIds
) -> None:
    other = portfolio.borrower()
    portfolio.liable(borrower.loan_id, other.party_id, role="guarantor")
    runs = [outbox.run(stage=stage) for stage in ("early", "mid")]
    planned = [outbox.plan(run, one) for run in runs for one in (borrower, other)]
    opened(desk, officer, borrower, loan=f"#{borrower.loan_id}", words="This is not what I signed.")
    channel = RecordingChannel()
    for run in runs:
        run_lane(run, shard=None, channels={"sms": lambda: channel})
    about_her = [outbox.attempt(one) for one in (planned[0], planned[2])]
    assert [one["state"] for one in about_her] == ["withheld"] * 2
    assert all(one["permit"]["blocked_by"] for one in about_her)
    assert {message.attempt_id if hasattr(message, "attempt_id") else 0 for message in channel.sent} & {planned[0], planned[2]} == set()


def test_a_case_is_worked_from_the_list_to_its_end_and_each_look_is_noted(desk: Desk, officer: Client, borrower: BorrowerIds) -> None:
    number = opened(desk, officer, borrower, words="I never had <b>this</b> loan & more.")
    page = officer.get("/desk/cases?show=open&kind=dispute")
    assert f'href="/desk/cases/{number}"' in page.text
    one = officer.get(f"/desk/cases/{number}")
    assert "I never had <b>this</b> loan & more." in unescape(one.text)
    assert "<b>this</b>" not in one.text, "her words are text, not markup"
    assert "Cora Compliance (staff" in said(one)
    assert [what for what, _ in looks(borrower.party_id)].count("case") == 2
    act = f"/desk/cases/{number}"
    assert "Cora Compliance" in said(desk.post(officer, one, f"{act}/take"))
    too_soon = desk.post(officer, one, f"{act}/close", result="not_upheld")
    assert "was not answered yet" in said(too_soon)
    begun = officer.get(f"{act}?letter=answer_dispute_not_upheld")
    assert "____" in re.findall(r'name="words"[^>]*>([^<]*)<', begun.text)[1]
    blank = desk.post(officer, one, f"{act}/answer", reference="letter 120", words="We checked ____.")
    assert "a blank is still open" in said(blank)
    assert "We checked ____." in blank.text, "what was typed is kept"
    harsh = desk.post(officer, one, f"{act}/answer", reference="letter 120", locale="en", words="Pay at once or we will take legal action.")
    assert "it threatens" in said(harsh)
    personal = desk.post(officer, one, f"{act}/answer", reference="call to +12125550188", locale="en", words="We checked the books.")
    assert "looks like a number" in said(personal)
    done = desk.post(officer, one, f"{act}/answer", reference="letter 120", locale="en", words="We checked the books.")
    assert "answered" in said(done)
    ended = desk.post(officer, done, f"{act}/close", result="not_upheld", because="the books are right")
    assert "closed: not upheld" in said(ended)
    with connection() as tx:
        case = case_lists.read(tx, number)
        told = [(one.kind, one.said_by.partition(" (")[0]) for one in case_lists.history(tx, number)]
    assert (case.state, case.result) == ("closed", "not_upheld")
    who = "Cora Compliance"
    assert told == [("opened", who), ("taken", who), ("answered", who), ("closed", who)]
    assert officer.get("/desk/cases/999999999").status_code == 404
    assert officer.get(f"/desk/cases/{2**70}").status_code == 404


def test_a_death_is_kept_with_its_proof_and_who_speaks_for_the_estate(desk: Desk, officer: Client, borrower: BorrowerIds) -> None:
    number = opened(desk, officer, borrower, kind="deceased")
    page = officer.get(f"/desk/cases/{number}")
    assert "Nobody is contacted" in said(page)
    page = desk.post(
        officer, page, f"/desk/cases/{number}/proof", reference="death certificate, file 31", words="Executor: Eve Nobody, +12125550133"
    )
    assert "proof seen: death certificate, file 31" in said(page)
    assert "Eve Nobody" in said(page)
    with connection() as tx:
        assert "Eve" not in str(tx.execute(text("SELECT reference, said_by FROM case_event")).all())


def test_who_asks_for_her_data_is_given_it_and_no_other_case_gives_any(desk: Desk, officer: Client, borrower: BorrowerIds) -> None:
    number, dispute = opened(desk, officer, borrower, kind="data_request"), opened(desk, officer, borrower)
    page = officer.get(f"/desk/cases/{number}")
    given = desk.post(officer, page, f"/desk/cases/{number}/data")
    assert given.headers["content-disposition"] == f'attachment; filename="case-{number}-data.json"'
    assert "Nobody Atall" in str(given.json())
    assert "all data" in [what for what, _ in looks(borrower.party_id)]
    guard = re.findall(r'name="guard" value="(\w+)"', page.text)[-1]
    assert officer.post(f"/desk/cases/{dispute}/data", data={"guard": guard}).status_code == 404
    assert desk.sign_in("supervisor").post(f"/desk/cases/{number}/data").status_code == 403


def test_a_person_is_found_by_a_value_that_no_address_holds_and_the_reason_is_noted(
    desk: Desk, officer: Client, borrower: BorrowerIds
) -> None:
    page = officer.get("/desk/people")
    assert 'method="post"' in page.text
    nothing = desk.post(officer, page, "/desk/people", value=NUMBER, why="x")
    assert "a reason that somebody else understands" in said(nothing)
    assert looks(borrower.party_id) == []
    found = desk.post(officer, page, "/desk/people", value="+1 (212) 555-0188", why="letter 7 of the regulator")
    assert str(found.url).endswith("/desk/people")
    assert "+•••88" in said(found)
    assert "5550188" not in found.text
    assert f'href="/desk/people/{borrower.party_id}"' in found.text
    assert looks(borrower.party_id) == [("search", "letter 7 of the regulator")]
    assert "Nobody has or had" in said(desk.post(officer, page, "/desk/people", value="5550188", why="letter 7 of the regulator"))
    one = officer.get(f"/desk/people/{borrower.party_id}")
    assert "Nobody Atall" in said(one)
    assert NUMBER not in one.text
    assert [what for what, _ in looks(borrower.party_id)] == ["search", "person"]
    assert officer.get("/desk/people/999999999").status_code == officer.get(f"/desk/people/{2**70}").status_code == 404


def test_a_what_if_is_answered_in_words_with_citations_and_the_next_time(desk: Desk, officer: Client, borrower: BorrowerIds) -> None:
    page = officer.get("/desk/what-if")
    late = desk.post(
        officer, page, "/desk/what-if", by="form", jurisdictions="US-NY", creditor_role="third_party", known_zone="America/New_York",
        at="2026-03-21T22:30:00-04:00", channel="call", purpose="collection", party="borrower", consents="call",
    )  # fmt: skip
    assert "not allowed" in said(late)
    assert "US-REGF-HOURS" in said(late)
    assert "Next allowed at 2026-03-22" in said(late)
    fields = {"by": "form", "jurisdictions": "US-NY", "creditor_role": "first_party", "known_zone": "America/New_York", "channel": "sms"}
    fields |= {"at": "2026-03-18T12:00:00-04:00", "purpose": "reminder", "automated": "yes"}
    verdicts = [
        re.findall(r'class="verdict (\w+)"', desk.post(officer, page, "/desk/what-if", **fields, consents=agreed).text)
        for agreed in ("", "sms")
    ]
    assert verdicts == [["blocked"], ["allowed"]]
    lines = unescape(re.findall(r'<textarea id="lines"[^>]*>(.*?)</textarea>', late.text, re.DOTALL)[0])
    again = desk.post(officer, page, "/desk/what-if", by="lines", lines=lines)
    assert re.findall(r"<dt>(US[\w-]+)", again.text) == re.findall(r"<dt>(US[\w-]+)", late.text) != []
    for wrong in ("hello", "{id: c}", "a: &a [1]\nb: *a", "- " * 3000):
        assert 'class="trouble"' in desk.post(officer, page, "/desk/what-if", by="lines", lines=wrong).text
    hers = desk.post(officer, page, "/desk/what-if/person", borrower=f"#{borrower.party_id}")
    assert f"person-{borrower.party_id}" in hers.text
    assert NUMBER not in hers.text
    assert looks(borrower.party_id) == [("what-if", None)]
    auditor = desk.sign_in("auditor")
    assert auditor.get("/desk/what-if").status_code == 200
    assert auditor.post("/desk/what-if/person", data={"borrower": f"#{borrower.party_id}"}).status_code == 403


def test_packs_say_what_is_in_force_and_compare_versions_by_hash_alone(
    desk: Desk, officer: Client, outbox: Outbox, borrower: BorrowerIds
) -> None:
    outbox.plan(run := outbox.run(), borrower)
    run_lane(run, shard=None, channels={"sms": RecordingChannel})
    listed = officer.get("/desk/packs?on=2026-03-17")
    assert "US-NY" in said(listed)
    us = officer.get("/desk/packs/US?on=2026-03-17")
    assert "US-REGF-HOURS" in said(us)
    assert "Confidence" in said(us)
    assert "Nothing changed" in said(officer.get("/desk/packs/US/changes?from=current&to=current"))
    for version in ("LICENSE", "../../etc/passwd", "config/rules/us.yaml", "zz", "abcdef", ""):
        assert officer.get("/desk/packs/US/changes", params={"from": version, "to": "current"}).status_code == 409
    assert officer.get("/desk/packs/XX").status_code == 404
    older = pack_bodies()["US"].replace('closes: "21:00"', 'closes: "22:00"', 1)
    with connection() as tx:
        write_policies(tx, [rule_policy("US", older)])
    version = sha256(older.encode()).hexdigest()
    again = officer.get("/desk/packs/US")
    assert version[:12] in again.text
    changed = officer.get(f"/desk/packs/US/changes?from={version}&to=current")
    assert (changed.status_code, "1 change: 1 tightens" in said(changed)) == (200, True)
    assert "1 contacts, 1 under this pack" in said(desk.post(officer, again, "/desk/packs/US/impact", days="3"))


def test_evidence_is_found_shown_exported_and_checked(desk: Desk, officer: Client, proved_attempt: int) -> None:
    with connection() as tx:
        party_id = tx.execute(text("SELECT party_id FROM attempt WHERE id = :id"), {"id": proved_attempt}).scalar_one()
    person = officer.get(f"/desk/people/{party_id}")
    shown = officer.get(f"/desk/people/{party_id}/contacts/{proved_attempt}")
    assert f"/contacts/{proved_attempt}" in person.text
    assert "US-REGF-HOURS" in said(shown)
    assert "$105.00" in said(shown)
    with connection() as tx:
        token = str(tx.execute(text("SELECT token FROM attempt WHERE id = :id"), {"id": proved_attempt}).scalar_one())
    assert token not in shown.text, "nobody opens a borrower's page from here"
    assert officer.get(f"/desk/people/{party_id}/contacts/{proved_attempt - 1}").status_code == 404, "another person's"
    exported = desk.post(officer, shown, "/desk/evidence/export")
    assert exported.headers["content-disposition"] == f'attachment; filename="evidence-{proved_attempt}-to-{proved_attempt}.zip"'
    assert b"$105.00" not in zipfile.ZipFile(io.BytesIO(exported.content)).read(f"attempt-{proved_attempt}/evidence.json")
    page = officer.get("/desk/evidence")
    day = desk.post(officer, page, "/desk/evidence/export", day=TODAY.isoformat())
    assert len({name.partition("/")[0] for name in zipfile.ZipFile(io.BytesIO(day.content)).namelist()}) == 3
    assert [what for what, _ in looks(party_id)] == ["person", "contact", "evidence", "evidence"]

    def check(content: bytes) -> str:
        guard = re.findall(r'name="guard" value="(\w+)"', page.text)[0]
        files = {"file": ("anna-secret-name.zip", content, "application/zip")}
        return said(officer.post("/desk/evidence/check", data={"guard": guard}, files=files))

    assert "all that is proved matches" in check(day.content)
    assert "DOES NOT MATCH" not in check(day.content)
    broken = day.content.replace(b"PK\x01\x02", b"PK\x01\x03", 1)
    assert "no ZIP archive" in check(broken)
    assert "Choose one file" in check(b"")
    with connection() as tx:
        tx.execute(text("UPDATE evidence_batch SET link = decode(repeat('00', 32), 'hex') WHERE kind <> 'decisions'"))
    assert "is not the one of this ledger" in check(day.content)
    assert "name an attempt" in said(desk.post(officer, page, "/desk/evidence/export"))
    assert "no such attempt" in said(desk.post(officer, page, "/desk/evidence/export", attempt="999999999"))


def test_findings_show_near_misses_people_left_alone_and_nobody(
    officer: Client, portfolio: Portfolio, outbox: Outbox, borrower: BorrowerIds
) -> None:
    run = outbox.run()
    outbox.plan(run, borrower)
    portfolio.hold(borrower.party_id, "dispute")
    run_lane(run, shard=None, channels={"sms": RecordingChannel})
    page = officer.get(f"/desk/findings?from={TODAY}&to={TODAY}")
    assert "1 of 1 people were left alone" in said(page)
    assert "HOUSE-HOLD" in said(page).upper()
    assert officer.get("/desk/findings?from=x&to=2026-99-99").status_code == 200
    assert officer.get("/desk/findings/incidents/1").status_code == 404
    found = Audited(
        first=TODAY, last=TODAY, violations=(Violation(check="during_hold", invariant="I4", detail="a hold"),), unknown=0, parked=0, attempts=7, listed={}, not_proved=(), warnings=("a feed is stale",),
    )  # fmt: skip
    with connection() as tx:
        audit_results.keep(tx, found, at=NOON)
        number = incidents.open_incident(tx, kind="wrong_text", title="a wrong date", by="anna", selection=Selection(run=run), at=NOON)
        incidents.note(tx, number, said="the text was withdrawn", by="anna", at=NOON)
    page = officer.get(f"/desk/findings?from={TODAY}&to={TODAY}")
    assert "1 violations" in said(page)
    assert "a feed is stale" in said(page)
    one = officer.get(f"/desk/findings/incidents/{number}")
    assert "the text was withdrawn" in said(one)
    assert f"run {run}" in said(one)


ADDRESSES = (
    "/desk/cases", "/desk/cases/new", "/desk/cases/1", "/desk/people", "/desk/people/1", "/desk/what-if", "/desk/packs",
    "/desk/packs/US", "/desk/approvals", "/desk/evidence", "/desk/findings",
)  # fmt: skip
REFUSED: dict[str, tuple[str, ...]] = {
    "agent": ADDRESSES,
    "inspector": tuple(one for one in ADDRESSES if "packs" not in one),
    "ops": ("/desk/cases", "/desk/people", "/desk/people/1", "/desk/evidence", "/desk/findings"),
    "auditor": ("/desk/cases", "/desk/cases/1", "/desk/people", "/desk/people/1"),
}


def test_each_role_sees_its_pages_and_no_other(desk: Desk) -> None:
    for role, pages in REFUSED.items():
        browser = desk.sign_in(role)
        assert {page: browser.get(page).status_code for page in pages} == dict.fromkeys(pages, 403), role
    supervisor = desk.sign_in("supervisor")
    assert supervisor.get("/desk/cases").status_code == 200
    for step in ("take", "answer", "close", "note", "proof", "acknowledge"):
        assert supervisor.post(f"/desk/cases/1/{step}").status_code == 403
