"""Looking for somebody by any value: found however it is written, hidden in the answer, and nobody by a part of it."""

from __future__ import annotations

from sqlalchemy import text

from ledger import vault
from ledger.engine import connection
from ledger.person_search import Found, points_of, search
from tests.plugins.portfolio import Portfolio

NUMBER = "+12125550188"


def found(typed: str) -> tuple[Found, ...]:
    with connection() as tx:
        return search(tx, typed)


def test_a_number_is_found_however_it_is_written_and_is_not_shown(portfolio: Portfolio) -> None:
    borrower = portfolio.borrower(number=NUMBER, push_token="token-of-nobody")  # noqa: S106  # a device's, of a test
    portfolio.borrower()
    portfolio.contact_point(borrower.party_id, "email", "nobody@example.com")
    for typed in (NUMBER, "+1 (212) 555-0188", " +1 212.555.0188 ", "Nobody@Example.com", "token-of-nobody"):
        (one,) = found(typed)
        assert one.party_id == borrower.party_id
        assert one.points
        assert typed.strip() not in str(one)
        assert "5550188" not in str(one)
        assert "nobody@" not in str(one).lower()
    with connection() as tx:
        shown = [(point.kind, point.shown) for point in points_of(tx, borrower.party_id)]
    assert shown == [("mobile", "+•••88"), ("push", "•••"), ("email", "n•••@e•••")]


def test_people_are_found_by_the_lenders_id_and_ours(portfolio: Portfolio) -> None:
    borrower = portfolio.borrower()
    (one,) = found(f"#{borrower.party_id}")
    assert one == found(one.external_id)[0]
    assert one.points == ()


def test_who_had_the_value_long_ago_is_found_and_said_to_have_had_it(portfolio: Portfolio) -> None:
    before, now = portfolio.borrower(number=NUMBER), portfolio.borrower(number=NUMBER)
    with connection() as tx:
        tx.execute(text("UPDATE contact_point_version SET superseded_at = now() WHERE contact_point_id = :id"), {"id": before.sms_id})
    assert [(one.party_id, one.points[0].is_now) for one in found(NUMBER)] == [(before.party_id, False), (now.party_id, True)]


def test_what_is_not_the_whole_value_finds_nobody(portfolio: Portfolio) -> None:
    portfolio.borrower(number=NUMBER)
    parts = ("", "   ", "5550188", "2125550188", "+1212555018", "+121255501888", "#", "#x", f"#{2**70}", "%", "nobody")
    assert {typed: found(typed) for typed in parts} == dict.fromkeys(parts, ())


def test_the_look_up_goes_by_the_blind_index_alone(portfolio: Portfolio) -> None:
    """The ciphertext could be anything: it is not compared."""
    borrower = portfolio.borrower(number=NUMBER)
    other, key = vault.encrypt("+12125550199")
    with connection() as tx:
        tx.execute(
            text("UPDATE contact_point_version SET value_encrypted = :value, key_id = :key WHERE contact_point_id = :point"),
            {"value": other, "key": key, "point": borrower.sms_id},
        )
    assert [one.points[0].shown for one in found(NUMBER)] == ["+•••99"]
    assert found("+12125550199") == ()
