"""Approval codes at the desk: in one's own name, for who may approve; and none on the terminal once people sign in for real."""

from __future__ import annotations

import re

import pytest
from pydantic import SecretStr

from config.settings import Settings
from ledger import approval_codes
from ledger.approval_codes import CodeRefused, Holder, NoCode
from ledger.engine import connection
from tasks import approve_run
from tests.plugins.staff_desk import Desk


def test_a_code_is_in_the_name_of_who_is_signed_in_whatever_the_form_says(desk: Desk) -> None:
    browser = desk.sign_in("ops")
    page = browser.get("/desk/codes")
    made = desk.post(browser, page, "/desk/codes", run="", person="Somebody Else", role="compliance", hours="999")
    (code,) = re.findall(r'<p class="secret">([^<]+)</p>', made.text)
    assert made.headers["cache-control"] == "no-store"
    with connection() as tx:
        holder = approval_codes.redeem(tx, code, roles=("operations",), campaign_run_id=1, used_for="test")
        assert isinstance(holder, Holder)
        assert (holder.person, holder.role) == ("staff-ops", "operations")
        assert isinstance(approval_codes.redeem(tx, code, roles=("operations",), campaign_run_id=1, used_for="test"), NoCode), "once"
    for wrong in ("12345", "x", "-1", "9" * 40, "1; DROP TABLE staff"):
        answer = desk.post(browser, page, "/desk/codes", run=wrong)
        assert answer.status_code == 422
        assert "secret" not in answer.text


def test_who_may_approve_nothing_makes_no_codes(desk: Desk) -> None:
    for role in ("agent", "auditor", "inspector"):
        browser = desk.sign_in(role)
        assert browser.get("/desk/codes").status_code == 403
        assert "/desk/codes" not in browser.get("/desk").text


@pytest.mark.parametrize(
    ("mode", "issuer", "said", "allowed"),
    [
        ("sandbox", "https://login.example", None, True),
        ("live", "", None, True),
        ("live", "https://login.example", None, False),
        ("allowlist", "https://login.example", None, False),
        ("live", "https://login.example", True, True),
        ("sandbox", "", False, False),
    ],
)
def test_with_real_providers_and_an_issuer_the_terminal_makes_no_codes(
    mode: str, issuer: str, said: bool | None, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Settings.model_construct(mode=mode, oidc_issuer=issuer, terminal_codes=said, oidc_client_secret=SecretStr("x"))  # type: ignore[arg-type]  # the three modes
    assert given.terminal_codes_allowed is allowed
    monkeypatch.setattr(approve_run, "settings", lambda: given)
    if not allowed:
        with pytest.raises(CodeRefused, match="made at the desk"):
            approve_run.make_code(person="Anybody", role="operations")
