"""The desks' frame: who sees which page, forms and their guard, headers, languages, and that nothing below /desk is open."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.routing import Route

from config.desk_files import desk_words_in_force
from config.roles import roles_in_force
from portal.app import app
from portal.desk.frame import desk_page
from tests.plugins.staff_desk import Desk

TEMPLATES = Path(__file__).parents[2] / "portal" / "templates" / "desk"
# What whoever is not signed in may see: no word of anybody.
OPEN = {"/desk/desk.css", "/desk/htmx.js", "/desk/sign-in", "/desk/sign-in/go", "/desk/sign-in/back"}


def desk_routes() -> list[Route]:
    return [route for route in app.routes if isinstance(route, Route) and route.path.startswith("/desk")]


def filled(path: str) -> str:
    """A path with something in each of its gaps."""
    values = {"int": "1", "uuid": "00000000-0000-4000-8000-000000000000"}
    return re.sub(r"\{\w+(?::(\w+))?\}", lambda gap: values.get(gap[1] or "str", "x"), path)


def test_every_address_below_the_desks_asks_who_comes(desk: Desk) -> None:
    browser = desk.browser()
    browser.follow_redirects = False
    asked = [
        (route.path, method)
        for route in desk_routes()
        if route.path not in OPEN
        for method in sorted(route.methods or ())
        if method != "HEAD"
    ]
    assert len(asked) > 3
    answers = {(path, method): browser.request(method, filled(path)) for path, method in asked}
    led = {key: (answer.status_code, answer.headers.get("location")) for key, answer in answers.items()}
    assert led == dict.fromkeys(led, (303, "/desk/sign-in"))
    part = browser.get("/desk", headers={"HX-Request": "true"})
    assert (part.status_code, part.headers["hx-redirect"]) == (401, "/desk/sign-in")


def test_what_a_role_may_not_see_is_refused(desk: Desk) -> None:
    async def secret(asked: object) -> None:
        raise AssertionError(asked)

    page = desk_page(secret, shows_person=False, right="audit.see")  # type: ignore[arg-type]  # never called
    app.router.routes.insert(0, Route("/desk/only-for-audit", page, methods=["GET", "POST"]))
    try:
        browser = desk.sign_in("agent")
        for answer in (browser.get("/desk/only-for-audit"), browser.post("/desk/only-for-audit")):
            assert answer.status_code == 403
            assert "Not for your role" in answer.text
    finally:
        del app.router.routes[0]
    with pytest.raises(KeyError):
        desk_page(secret, shows_person=False, right="nobody.has_it")  # type: ignore[arg-type]  # never called


def test_a_form_needs_its_guard_and_its_own_page(desk: Desk) -> None:
    mine, hers = desk.sign_in("agent"), desk.sign_in("compliance")
    page = mine.get("/desk")
    guard = re.findall(r'name="guard" value="(\w+)"', page.text)[0]
    refused = [
        mine.post("/desk/sessions/end"),
        mine.post("/desk/sessions/end", data={"guard": "0" * 64}),
        mine.post("/desk/sessions/end", data={"guard": guard}, headers={"Sec-Fetch-Site": "cross-site"}),
        mine.post("/desk/sessions/end", data={"guard": guard}, headers={"Sec-Fetch-Site": "same-site"}),
        hers.post("/desk/sessions/end", data={"guard": guard}),
        mine.post("/desk/sessions/end", content=b"guard=" + b"x" * 40_000, headers={"Content-Type": "application/x-www-form-urlencoded"}),
    ]
    assert [answer.status_code for answer in refused] == [403] * len(refused)
    assert mine.get("/desk").url.path == hers.get("/desk").url.path == "/desk", "nobody was signed out"
    assert mine.post("/desk/sessions/end", data={"guard": guard}, headers={"Sec-Fetch-Site": "same-origin"}).url.path == "/desk/sign-in"


def test_a_page_runs_no_script_but_our_own_file_and_stays_nowhere(desk: Desk) -> None:
    browser = desk.sign_in("agent")
    for page in (browser.get("/desk"), desk.browser().get("/desk/sign-in"), browser.get("/desk/nothing")):
        policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["form-action"] == policy["connect-src"] == "'self'"
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert re.findall(r"<script[^>]*>", page.text) == ['<script src="/desk/htmx.js" defer>']
        assert not re.search(r"\son\w+=|<style|style=|javascript:", page.text)
        assert '"allowEval": false' in page.text
    assert browser.get("/desk/htmx.js").headers["content-type"].startswith("text/javascript")
    assert browser.get("/desk/desk.css").status_code == 200
    assert browser.get("/desk/nothing").status_code == 404


def test_htmx_gets_the_inside_of_a_page_and_whoever_has_no_script_the_whole(desk: Desk) -> None:
    browser = desk.sign_in("ops")
    whole, part = browser.get("/desk"), browser.get("/desk", headers={"HX-Request": "true"})
    assert "<html" in whole.text
    assert "<html" not in part.text
    assert part.text.strip().startswith("<h1>")
    assert part.headers["vary"] == "HX-Request"


def test_the_desks_speak_english_and_spanish_and_show_mode_and_clock(desk: Desk) -> None:
    browser = desk.sign_in("agent")
    assert "SANDBOX" in browser.get("/desk").text
    spanish = browser.get("/desk?lang=es")
    assert '<html lang="es">' in spanish.text
    assert "Hola, staff-agent" in spanish.text
    assert '<html lang="es">' in browser.get("/desk").text, "what was chosen is remembered"
    assert '<html lang="en">' in browser.get("/desk?lang=%22%3E%3Cscript%3E").text


@pytest.mark.parametrize("template", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.stem)
def test_a_template_names_texts_that_are_there(template: Path) -> None:
    words = desk_words_in_force()
    named = set(re.findall(r'\bt\("(\w+)"[,)]', template.read_text()))
    assert [(locale, name) for locale, one in words.items() for name in sorted(named - set(one.texts))] == []


def test_every_desk_in_the_menu_has_its_page_text_and_right() -> None:
    paths = {route.path for route in desk_routes()}
    for room in app.state.rooms:
        assert f"/desk/{room.path}".rstrip("/") in paths
        assert room.right in roles_in_force().rights
        assert f"nav_{room.name}" in desk_words_in_force()["en"].texts
