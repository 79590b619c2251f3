"""Compliance in a real browser: the proof of a contact, found by a number, exported and checked; a case from a letter to its answer.

In two languages, on a desk and on a phone; axe finds nothing serious on any page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize, expect
from sqlalchemy import text

from ledger import vault
from ledger.engine import connection
from tests.plugins.for_everyone import arrived
from tests.plugins.staff_desk import Desk

DESK = ViewportSize(width=1280, height=900)
PHONE = ViewportSize(width=360, height=740)
SMALLEST_WIDTH = 320
# WCAG 2.2, 2.5.8: the smallest thing that is tapped.
TARGET_MIN = 24


@dataclass(frozen=True)
class Words:
    """What the desk says."""

    language: str
    value: str
    why: str
    search: str
    rules: str
    export: str
    archive: str
    check: str
    matches: str
    new: str
    borrower: str
    save: str
    begin: str
    blank: str
    answer: str
    answered: str
    close: str
    closed: str
    try_it: str


EN = Words(
    "en", "Number, address or id", "Why you look", "Search", "Rules that were checked", "Evidence of this contact", "Archive (ZIP)",
    "Check the file", "all that is proved matches", "Write down a case", "Person: the lender's id", "Save the case", "begin with this",
    "a blank is still open", "Answer the person", "answered", "Close the case", "closed: not upheld", "Check",
)  # fmt: skip
ES = Words(
    "es", "Número, dirección o id", "Por qué busca", "Buscar", "Reglas que se comprobaron", "Pruebas de este contacto", "Archivo (ZIP)",
    "Comprobar el archivo", "todo lo probado coincide", "Anotar un caso", "Persona: el id del prestamista", "Guardar el caso",
    "empezar con este", "a blank is still open", "Responder a la persona", "respondido", "Cerrar el caso", "cerrado: sin razón", "Comprobar",
)  # fmt: skip


@pytest.mark.parametrize(("words", "size"), [(EN, DESK), (ES, PHONE)], ids=["en-desk", "es-phone"])
def test_compliance_proves_a_contact_and_works_a_case(
    desk: Desk, proved_attempt: int, page: Page, picture: Callable[[str], None], words: Words, size: ViewportSize
) -> None:
    with connection() as tx:
        row = tx.execute(
            text("""SELECT v.value_encrypted, v.key_id, a.party_id FROM attempt a
                    JOIN contact_point_version v ON v.contact_point_id = a.contact_point_id WHERE a.id = :id"""),
            {"id": proved_attempt},
        ).one()
        number = vault.decrypt(row.value_encrypted, row.key_id)
    browser = desk.sign_in("compliance", subject="Cora Compliance")
    page.context.clear_cookies()
    page.context.add_cookies([{"name": one.name, "value": one.value or "", "url": desk.url} for one in browser.cookies.jar])
    page.set_viewport_size(size)
    kept = _keeps(picture, words)

    page.goto(f"{desk.url}/desk/people?lang={words.language}")
    page.get_by_label(words.value).fill(number)
    page.get_by_label(words.why).fill("letter 7 of the regulator")
    page.get_by_role("button", name=words.search, exact=True).click()
    _is_for_everyone(page, words)
    kept("found")
    assert number not in page.content()
    page.locator(".found a").first.click()
    _is_for_everyone(page, words)
    page.locator("table a").first.click()
    expect(page.get_by_role("heading", name=words.rules)).to_be_visible()
    _is_for_everyone(page, words)
    kept("contact")
    with page.expect_download() as download:
        page.get_by_role("button", name=words.export).click()
    page.goto(f"{desk.url}/desk/evidence")
    _is_for_everyone(page, words)
    page.get_by_label(words.archive).set_input_files(download.value.path())
    page.get_by_role("button", name=words.check).click()
    expect(page.get_by_text(words.matches)).to_be_visible()
    _is_for_everyone(page, words)
    kept("checked")

    _works_a_case(desk, page, kept, words, row.party_id)
    page.goto(f"{desk.url}/desk/what-if")
    page.locator("#jurisdictions").fill("US-NY")
    page.locator("#known_zone").fill("America/New_York")
    page.locator("#consents").fill("sms")
    page.locator("#at").fill("2026-03-21T22:30:00-04:00")
    page.get_by_role("button", name=words.try_it, exact=True).first.click()
    expect(page.get_by_text("US-REGF-HOURS")).to_be_visible()
    _is_for_everyone(page, words)
    kept("what-if")
    for place in ("cases?show=all", "packs", "approvals", "findings"):
        page.goto(f"{desk.url}/desk/{place}")
        _is_for_everyone(page, words)
        if place in {"packs", "findings"}:
            kept(place)


def _works_a_case(desk: Desk, page: Page, kept: Callable[[str], None], words: Words, party_id: int) -> None:
    """From a letter that came to its answer and its end."""
    page.goto(f"{desk.url}/desk/cases")
    page.get_by_role("link", name=words.new).click()
    page.get_by_label(words.borrower, exact=False).first.fill(f"#{party_id}")
    page.locator("#words").fill("The amount is wrong: I paid in January.")
    _is_for_everyone(page, words)
    page.get_by_role("button", name=words.save).click()
    _is_for_everyone(page, words)
    kept("case")
    page.locator("#answer summary").click()
    page.locator("#answer").get_by_role("link", name=words.begin).last.click()
    page.get_by_role("button", name=words.answer).click()
    expect(page.get_by_role("alert")).to_contain_text(words.blank)
    _is_for_everyone(page, words)
    page.locator("#answer-words").fill("We checked every payment of this year. We add copies of what we looked at.")
    page.get_by_role("button", name=words.answer).click()
    expect(page.locator("dl.facts")).to_contain_text(words.answered)
    page.locator("#result").select_option("not_upheld")
    page.get_by_role("button", name=words.close).click()
    expect(page.locator("dl.facts")).to_contain_text(words.closed)


def _keeps(picture: Callable[[str], None], words: Words) -> Callable[[str], None]:
    def keep(name: str) -> None:
        picture(f"compliance-{words.language}-{name}")

    return keep


def _is_for_everyone(page: Page, words: Words) -> None:
    """Axe finds nothing serious; it fits the smallest phone; what is tapped is large enough."""
    # The pages are the same in both languages: axe, which takes most of the time, reads all in one, and the first of the other.
    arrived(page)
    is_read = words is EN or "/people" in page.url
    found = Axe().run(page).response["violations"] if is_read else []
    assert [(one["id"], one["impact"], one["nodes"][0]["html"]) for one in found if one["impact"] in {"serious", "critical"}] == []
    before = page.viewport_size
    assert before is not None
    page.set_viewport_size(ViewportSize(width=SMALLEST_WIDTH, height=PHONE["height"]))
    assert page.evaluate("document.documentElement.scrollWidth") <= SMALLEST_WIDTH
    heights = page.evaluate(
        "[...document.querySelectorAll('button, .button, input:not([type=hidden]), select, summary')]"
        ".filter(one => one.checkVisibility()).map(one => one.offsetHeight)"
    )
    assert min(heights, default=TARGET_MIN) >= TARGET_MIN
    page.set_viewport_size(before)
