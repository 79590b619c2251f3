"""The inspector's desk draws and reads, the list of agencies is read; and whoever inspects can write nothing at any desk."""

from __future__ import annotations

from datetime import timedelta

from starlette.routing import Route

from config.policies import policies
from gate.lane import run_lane
from ledger.campaigns import open_run
from ledger.engine import connection
from ledger.law import law_in_force
from portal.desk.rooms import routes
from tasks.agencies import read_file, write_feed
from tests.plugins.portfolio import TODAY, Portfolio, made_up_number
from tests.plugins.sending import Outbox, RecordingChannel
from tests.plugins.staff_desk import Desk
from tests.plugins.with_agency import NOON, Harbour, contact, later, placeable, placed

NUMBER = made_up_number("US", 62)
# Of her own session alone.
HER_OWN = {"/desk/sign-out", "/desk/sessions/end"}


def test_an_inspector_draws_reads_and_is_noted_and_writes_nothing(
    harbour: Harbour, portfolio: Portfolio, outbox: Outbox, desk: Desk
) -> None:
    borrower = portfolio.borrower(number=NUMBER)
    with connection() as tx:
        law = policies("early", law_in_force(tx).bodies)
        run = open_run(tx, stage="early", business_date=TODAY, preview=False, borrowers_max=None, policies=law, at=NOON)
    outbox.plan(run, borrower)
    run_lane(run, shard=None, channels={"sms": RecordingChannel})
    found = placed(placeable(portfolio))
    write_feed("harbour")
    later(portfolio, timedelta(hours=12))
    read_file("harbour", harbour.says(contact(found, "A-1", NOON + timedelta(hours=11))))
    (event,) = outbox.rows("SELECT id FROM contact_event WHERE attempt_id IS NOT NULL AND about_event_id IS NULL")
    inspector = desk.sign_in("inspector")
    assert 'href="/desk/agencies"' not in inspector.get("/desk").text
    assert inspector.get("/desk/agencies").status_code == 403
    asked = {"seed": "march", "since": TODAY.isoformat(), "until": (TODAY + timedelta(days=1)).isoformat(), "size": "5"}
    page = inspector.get("/desk/inspect", params=asked)
    assert "2 of 2 contacts" in page.text
    known_at = page.text.split('name="known_at"')[1].split('value="')[1].split('"')[0].replace("&#43;", "+")
    lines = inspector.get("/desk/inspect", params={**asked, "as": "lines", "known_at": known_at})
    assert (lines.headers["content-type"], len(lines.text.splitlines())) == ("text/plain; charset=utf-8", 3)
    assert inspector.get("/desk/inspect", params={**asked, "as": "lines", "known_at": known_at}).text == lines.text
    assert inspector.get("/desk/inspect", params={**asked, "channel": "pigeon"}).status_code == 422
    assert inspector.get("/desk/inspect", params={**asked, "since": "soon"}).status_code == 422
    place = f"/desk/inspect/{TODAY.isoformat()}/{event.id}"
    shown = inspector.get(place)
    assert "proved" in shown.text
    assert "what stood in them is personal" in shown.text
    assert NUMBER not in shown.text
    assert inspector.get(f"/desk/inspect/{TODAY.isoformat()}/999999").status_code == 404
    assert inspector.get(f"/desk/inspect/yesterday/{event.id}").status_code == 404
    assert [(row.party_id, row.what) for row in outbox.rows("SELECT party_id, what FROM staff_view")] == [
        (borrower.party_id, "inspect contact")
    ]
    # Who may also see the person reads what was said, whatever else she is.
    both = desk.sign_in("inspector", "supervisor", subject="both").get(place).text
    assert "Lantern Wallet US: your loan payment of" in both
    assert "A machine asks a person at most once a day" in both
    # Every form of every desk, those too that are added after this test was written.
    refused = 0
    for route in routes:
        if not isinstance(route, Route) or "POST" not in (route.methods or ()) or route.path in HER_OWN or "sign-in" in route.path:
            continue
        path = route.path.replace(":int}", "}").replace(":path}", "}")
        address = "".join(part if n % 2 == 0 else "1" for n, part in enumerate(path.replace("{", "\0").replace("}", "\0").split("\0")))
        answer = inspector.post(address, data={"guard": "x"})
        assert answer.status_code == 403, (route.path, answer.status_code)
        refused += 1
    assert refused >= 1
    auditor = desk.sign_in("auditor")
    listed = auditor.get("/desk/agencies")
    assert ("Harbour Partners" in listed.text, "US-REGF-HOURS" in listed.text, f"#{found.loan_id}" in listed.text) == (True, True, True)
    assert auditor.get(place).status_code == 403
