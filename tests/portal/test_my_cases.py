"""Her cases on her page: files that are sent along and stay locked, the answer in its writer's words, and what not to agree with it does."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from httpx import Response
from sqlalchemy import text

from config.papers import papers_policy
from ledger import case_work
from ledger.engine import connection
from ledger.person_export import everything_of
from portal.acts import TAKES_FILES
from tests.decisions.test_uploads import JPEG, PDF, REFUSED, png
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sending import Outbox
from tests.plugins.sent import Known, Sent
from tests.plugins.the_page import Attached, Visit, heading, words

NOON = noon("US")
POLICY = papers_policy()
PROOF = b"paid on 3 March, marker-7d41 \xe2\x82\xac5"
TEXT: Attached = ("../../etc/passwd", PROOF, "text/html")


def tell(visit: Visit, act: str, *attached: Attached, **fields: str) -> Response:
    return visit.post(visit.get(f"/b/do/{act}"), f"/b/do/{act}", *attached, **fields)


def cases(outbox: Outbox) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in outbox.rows("SELECT id, kind, state, owner FROM borrower_case ORDER BY id")]


def test_files_go_with_what_she_says_and_stay_locked(
    portfolio: Portfolio, outbox: Outbox, send: Callable[..., Sent], visit: Visit, known: Known, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    portfolio.clock(NOON)
    borrower, other = portfolio.borrower(), portfolio.borrower()
    for number, one in enumerate((borrower, other)):
        send(one, provider_id=f"SM{number:032}")
    visit.open(borrower)
    form = visit.get("/b/do/dispute")
    for _ in range(2):  # a double click
        done = visit.post(form, "/b/do/dispute", TEXT, ("a.pdf", PDF, ""), amount="5", reason="paid twice")
    assert "a person checks it" in words(done)
    assert known.outcomes(borrower) == [("dispute", True)]
    ((case, _, state, _),) = cases(outbox)
    assert state == "open"
    rows = outbox.rows("SELECT id, kind, size_bytes, content_encrypted, said_under FROM person_file ORDER BY id")
    assert [tuple(row)[1:3] for row in rows] == [("text", len(PROOF)), ("pdf", len(PDF))]
    assert not [row for row in rows if b"marker-7d41" in bytes(row[3])], "kept encrypted"
    assert "passwd" not in str([row[4] for row in rows]) + caplog.text
    assert "marker-7d41" not in caplog.text

    page = visit.get(f"/b/cases/{case}")
    assert "paid twice" in words(page)
    assert f"1. TXT, 1 KB 2. PDF, {-(-len(PDF) // 1024)} KB" in words(page)
    handed = visit.browser.get(f"/b/cases/{case}/files/{rows[0][0]}")
    assert handed.content == PROOF
    assert handed.headers["content-disposition"] == f'attachment; filename="file-{rows[0][0]}.txt"'
    assert handed.headers["content-type"] == "application/octet-stream"
    assert handed.headers["x-content-type-options"] == "nosniff"
    assert handed.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert handed.headers["cache-control"] == "no-store"
    with connection() as tx:
        assert [row["kind"] for row in everything_of(tx, borrower.party_id)["kept"]["files_you_sent"]] == ["text", "pdf"]

    visit.open(other)
    assert "nothing that waits for an answer" in words(visit.get(f"/b/cases/{case}")), "she sees the list of her own: nobody's case"
    assert "octet-stream" not in visit.browser.get(f"/b/cases/{case}/files/{rows[0][0]}").headers["content-type"]
    visit.browser.cookies.clear()
    assert "Your page is closed" in words(visit.get(f"/b/cases/{case}/files/{rows[0][0]}"))


def test_files_that_are_not_taken_leave_everything_as_it_was(
    portfolio: Portfolio, outbox: Outbox, send: Callable[..., Sent], visit: Visit, known: Known
) -> None:
    portfolio.clock(NOON)
    borrower = portfolio.borrower()
    send(borrower)
    visit.open(borrower)
    attacks: list[tuple[list[Attached], str]] = [
        ([(f"{name}.jpg", content, "image/jpeg")], "not a plain photo") for name, content in REFUSED.items() if content
    ]
    attacks += [
        ([("bomb.pdf", PDF + b" " * POLICY.file_bytes_max, "application/pdf")], "larger than 4 MB"),
        ([(f"{number}.png", png(number + 1), "image/png") for number in range(POLICY.files_max + 1)], "more than 3 files"),
        ([TEXT, ("x.svg", REFUSED["a drawing that runs"], "image/png")], "not a plain photo"),
    ]
    form = visit.get("/b/do/complaint")
    for attached, says in attacks:
        page = visit.post(form, "/b/do/complaint", *attached, reason="my own words")
        assert says in words(page), attached[0][0]
        assert "my own words</textarea>" in page.text, "what she wrote is kept"
    assert "marker-7d41" not in words(visit.post(visit.get("/b/do/stop"), "/b/do/stop", which="way"))
    assert outbox.rows("SELECT 1 FROM person_file") == []
    assert known.outcomes(borrower) == [("stop", False)]

    # Whoever has no form of ours, or far too much, is not listened to; nor are files where none are taken.
    guard = form.text.split('name="guard" value="')[1].split('"')[0]
    file = {"files": TEXT}
    assert visit.browser.post("/b/do/complaint", data={"guard": "x"}, files=file).status_code == 403
    assert visit.browser.post("/b/out", data={"guard": guard}, files=file).status_code == 403
    assert visit.browser.post("/b/do/complaint", data={"guard": guard, "reason": "x" * 40_000}, files=file).status_code == 403
    assert visit.browser.post("/b/do/complaint", data={f"f{number}": "" for number in range(200)}, files=file).status_code == 403
    broken = {"content-type": "multipart/form-data"}
    assert visit.browser.post("/b/do/complaint", content=b"--x\r\n", headers=broken).status_code == 403
    assert (
        visit.browser.post("/b/do/complaint", content=b"junk", headers={"content-type": "multipart/form-data; boundary=x"}).status_code
        == 403
    )

    # Somebody else's proof is not hers.
    tell(visit, "not_mine", TEXT, which="other_person")
    assert outbox.rows("SELECT 1 FROM person_file") == []


def test_a_day_has_only_so_many_files(portfolio: Portfolio, outbox: Outbox, send: Callable[..., Sent], visit: Visit, known: Known) -> None:
    portfolio.clock(NOON)
    borrower = portfolio.borrower()
    send(borrower)
    visit.open(borrower)
    number = 0
    for act in (*sorted(TAKES_FILES - {"not_mine"}), "dispute")[: POLICY.files_a_day_max // POLICY.files_max]:
        files = [(f"{n}.png", png(number + n + 1), "image/png") for n in range(POLICY.files_max)]
        tell(visit, act, *files, which="loan")
        number += POLICY.files_max
    assert outbox.rows("SELECT count(*) FROM person_file")[0][0] == POLICY.files_a_day_max
    before = known.outcomes(borrower)
    page = tell(visit, "dispute", TEXT, amount="", reason="one more")
    assert "many files today" in words(page)
    assert known.outcomes(borrower) == before, "it is not heard without its proof, and she knows"
    assert "a person checks it" in words(tell(visit, "dispute", amount="", reason="one more"))


def test_she_reads_the_answer_and_does_not_agree(
    portfolio: Portfolio, outbox: Outbox, send: Callable[..., Sent], visit: Visit, known: Known
) -> None:
    portfolio.clock(NOON)
    borrower = portfolio.borrower(account="W-77")
    send(borrower)
    with connection() as tx:  # her message named her loan
        tx.execute(text("UPDATE contact_event SET loans = ARRAY[CAST(:loan AS bigint)]"), {"loan": borrower.loan_id})
    visit.open(borrower)
    tell(visit, "dispute", amount="5", reason="the interest is wrong")
    ((case, *_),) = cases(outbox)
    path = f"/b/cases/{case}"
    assert "We answer you by" in words(visit.get("/b/cases"))
    assert "Loan W-77: $5.00" in words(visit.get(path))
    visit.post(visit.get(path), path, ("x.jpg", JPEG, "image/jpeg"), reason="here is the letter")
    assert cases(outbox)[0][2] == "open"
    visit.post(visit.get(path), path, reason=" ")
    assert len(outbox.rows("SELECT 1 FROM case_event")) == 2, "a form that says nothing adds nothing"

    case_work.take(case, by="ben")
    case_work.add_note(case, by="ben", words="for-colleagues-only")
    case_work.answer(case, by="ben", reference="letter 1", words="The interest is what was agreed, 5.00.")
    page = visit.get(path)
    assert "Our answer Mar 17, 2026 The interest is what was agreed, 5.00." in words(page)
    assert "for-colleagues-only" not in page.text
    assert "ben" not in page.text
    assert "We answered on Mar 17, 2026." in words(visit.get("/b/cases"))

    portfolio.clock(NOON + timedelta(days=3))
    again = visit.get(path)
    for _ in range(2):
        visit.post(again, path, reason="it was not")
    ((_, _, state, owner),) = cases(outbox)
    assert (state, owner) == ("acknowledged", "cases@example"), "it waits for an answer, and for whoever takes it"
    ((answer_by, answered),) = outbox.rows("SELECT answer_by, answered_at FROM borrower_case")
    assert answered is None
    assert answer_by > TODAY + timedelta(days=20), "by a date that is counted from now"
    assert [row[0] for row in outbox.rows("SELECT kind FROM case_event ORDER BY id")][-1] == "disagreed"
    assert [kind for kind, until in known.holds(borrower) if until is None] == ["dispute"]

    case_work.answer(case, by="carla", reference="letter 2")
    assert "We answered you in another way" in words(visit.get(path))
    case_work.close(case, by="carla", result="not_upheld")
    assert "It was settled on Mar 20, 2026. We see it differently" in words(visit.get(path))
    settled = visit.get(path)
    for _ in range(2):
        new = visit.post(settled, path, reason="still not")
    assert heading(new) == "Something is not right: our answer"
    assert [row[2] for row in cases(outbox)] == ["closed", "open"]
    assert [kind for kind, until in known.holds(borrower) if until is None] == ["dispute"], "she is left in peace again"
    assert visit.bytes_max < 60_000
    assert outbox.rows("SELECT count(*) FROM case_event WHERE kind IN ('opened', 'said_again') AND case_id > :id", id=case)[0][0] == 1


def test_what_is_hers_alone_to_see_is_not_shown_to_others(
    portfolio: Portfolio, outbox: Outbox, send: Callable[..., Sent], visit: Visit
) -> None:
    """Cases of kinds that nobody answers, and those of other people, are not on her page; nor can she write to them."""
    portfolio.clock(NOON)
    borrower, other = portfolio.borrower(), portfolio.borrower()
    for number, one in enumerate((borrower, other)):
        send(one, provider_id=f"SM{number:032}")
    with connection() as tx:
        ids = {
            one: tx.execute(text("SELECT external_id FROM party WHERE id = :id"), {"id": one.party_id}).scalar_one()
            for one in (borrower, other)
        }
    hidden, _ = case_work.open_case(ids[borrower], kind="deceased", by="anna", reference="letter 3", words="told by a neighbour")
    others, _ = case_work.open_case(ids[other], kind="complaint", by="anna", reference="letter 4", words="what the colleague wrote")
    mine, _ = case_work.open_case(ids[borrower], kind="complaint", by="anna", reference="letter 5", words="what the colleague wrote")
    visit.open(borrower)
    listed = visit.get("/b/cases").text
    assert [one.id for one in (hidden, others, mine) if f"/b/cases/{one.id}" in listed] == [mine.id]
    page = visit.get(f"/b/cases/{mine.id}")
    assert "what the colleague wrote" not in page.text
    for hers in (hidden, others):
        assert heading(visit.post(page, f"/b/cases/{mine.id}", reason="x")) == "Your complaint"
        guard = page.text.split('name="guard" value="')[1].split('"')[0]
        assert (
            heading(visit.browser.post(f"/b/cases/{hers.id}", data={"guard": guard, "reason": "x"})) == "What you told us, and our answers"
        )
    assert {row[0] for row in outbox.rows("SELECT case_id FROM case_event WHERE kind = 'said_again'")} == {mine.id}
