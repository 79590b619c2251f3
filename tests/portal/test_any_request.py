"""Whatever is asked of the portal, it never breaks: every route, described as OpenAPI, asked by schemathesis by a fixed seed.

The description is made of the routes themselves, so that a new one is asked too; forms take every field that a template names, with the
right guard, by whoever has opened a page or signed in with every role: what is tried are the handlers, not the door alone.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from httpx import Client
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from sqlalchemy import text
from starlette.routing import Route

from config.roles import roles_in_force
from ledger import page_sessions, staff, staff_sessions
from ledger.engine import connection
from portal.app import app
from portal.desk import frame
from portal.limits import Limits
from portal.pages import SESSION_COOKIE, guard_of
from portal.web import guard_of as guard_for
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sent import Sent
from tests.plugins.staff_desk import Desk

with warnings.catch_warnings():
    # On import it tells of what the libraries below it will drop; that is for its authors.
    warnings.simplefilter("ignore", DeprecationWarning)
    import schemathesis
    from schemathesis.core.result import Ok

TEMPLATES = Path(__file__).parents[2] / "portal" / "templates"
EXAMPLES = 3
INTEGERS = re.compile(r"\{\w+:int\}")
NOBODYS = "00000000-0000-4000-8000-000000000000"
# Acts, papers and forms that addresses name.
NAMED = [
    "promise",
    "more_time",
    "cannot_pay",
    "paid",
    "dispute",
    "not_mine",
    "complaint",
    "call_me",
    "stop",
    "statement",
    "receipt",
    "json",
]
NUMBERS = [0, 1, 2, 2**31, 2**63 - 1, 2**63, 10**30]


def described(token: str) -> dict[str, Any]:
    """The portal's routes as OpenAPI."""
    paths: dict[str, dict[str, Any]] = {}
    for route in app.routes:
        if isinstance(route, Route):
            path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)
            for method in sorted((route.methods or set()) - {"HEAD"}):
                paths.setdefault(path, {})[method.lower()] = operation(route.path, method, token)
    return {"openapi": "3.1.0", "info": {"title": "tideover portal", "version": "1"}, "paths": paths}


def whole(path: str) -> str:
    """The route's own path, with the kinds of its gaps."""
    return next(route.path for route in app.routes if isinstance(route, Route) and re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path) == path)


def operation(path: str, method: str, token: str) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {
        "int": {"enum": NUMBERS},
        "uuid": {"enum": [token, token, NOBODYS]},
        "str": {"enum": [*NAMED, "x", '’"<b>', "%00", ".."]},
        "path": {"type": "string", "minLength": 1, "maxLength": 40},
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": kinds[kind]} for name, kind in re.findall(r"\{(\w+):(\w+)\}", path)
    ]
    if method == "GET":
        parameters += [{"name": name, "in": "query", "schema": {"type": "string"}} for name in ("lang", "state", "code", "page", "q")]
    described: dict[str, Any] = {"parameters": parameters, "responses": {"default": {"description": "any"}}}
    if method == "POST":
        any_words = {"anyOf": [{"type": "string", "maxLength": 60}, {"enum": ["1", "0", "-1", "2026-03-20", str(10**30), '’"<b>', "\x00"]}]}
        fields = dict.fromkeys(field_names(), any_words)
        form = {"type": "object", "properties": fields, "additionalProperties": False}
        described["requestBody"] = {"content": {"application/x-www-form-urlencoded": {"schema": form}}}
    return described


def field_names() -> list[str]:
    """What forms of the templates call their fields."""
    found = {name for path in TEMPLATES.rglob("*.html") for name in re.findall(r'\bname="(\w+)"', path.read_text())}
    return sorted(found - {"viewport", "robots", "guard"})


def test_no_request_breaks_the_portal(desk: Desk, portfolio: Portfolio, send: Callable[..., Sent]) -> None:
    portfolio.clock(noon("US"))
    borrower = portfolio.borrower()
    sent = send(borrower)
    with connection() as tx:
        everything = staff.add(
            tx, name="Everything", issuer=desk.sandbox.issuer_url, subject="all", roles=list(roles_in_force().by_role), by="test"
        )
    schema = schemathesis.openapi.from_dict(described(str(sent.token)))
    broken: list[tuple[str, str, int]] = []
    asked: dict[str, set[int]] = {}
    with Client(base_url=desk.url, trust_env=False) as browser:
        for found in schema.get_all_operations():
            assert isinstance(found, Ok)
            this = found.ok()
            # A way out ends a session, and many dead links hold an address back: each route begins anew.
            app.state.limits = Limits()
            with connection() as tx:
                tx.execute(text("DELETE FROM page_closing"))
                page = page_sessions.begin(tx, borrower.party_id, link=(TODAY, sent.attempt_id))
                secret = staff_sessions.begin(tx, everything, instead_of=None)
            at_the_door = guard_of(str(sent.token) if "{token}" in this.path else page)
            guard = guard_for(frame.FORM, secret) if this.path.startswith(frame.BASE) else at_the_door
            headers = {
                "Content-Type": "application/x-www-form-urlencoded",
                "Cookie": f"{SESSION_COOKIE}={page}; {frame.SESSION_COOKIE}={secret}",
            }

            def ask(method: str, path: str, query: dict[str, str], form: dict[str, str] | None) -> None:
                body = None if form is None else urlencode({**form, "guard": guard}, errors="replace")  # noqa: B023  # called in this round
                answer = browser.request(method, path, params=query, content=body, headers=headers)  # noqa: B023  # called in this round
                asked.setdefault(this.label, set()).add(answer.status_code)  # noqa: B023  # called in this round
                if answer.status_code >= 500:
                    broken.append((method, path, answer.status_code))

            @hypothesis_settings(
                max_examples=EXAMPLES,
                derandomize=True,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(one=this.as_strategy())
            def try_some(one: Any) -> None:
                form = {name: str(value) for name, value in one.body.items()} if isinstance(one.body, dict) else {}
                query = {name: str(value) for name, value in (one.query or {}).items()}
                ask(one.method, one.formatted_path, query, form if one.method == "POST" else None)  # called in this round

            try_some()
            for number in NUMBERS if INTEGERS.search(whole(this.path)) else ():
                ask(this.method.upper(), INTEGERS.sub(str(number), whole(this.path)), {}, {} if this.method == "post" else None)
    assert broken == []
    assert len(asked) >= len(
        {(route.path, method) for route in app.routes if isinstance(route, Route) for method in (route.methods or set()) - {"HEAD"}}
    )
    reached = {name for name, codes in asked.items() if codes & {200, 204, 303, 404, 422}}
    assert len(reached) > len(asked) / 2, "handlers were reached, not the door alone"
