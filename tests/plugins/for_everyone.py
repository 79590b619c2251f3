"""What a page keeps that is for everybody, as a real browser sees it.

Pure: no; looks at a page, and sets its width back afterwards.
"""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize

SMALLEST_WIDTH = 320
THUMB_MIN = 44
PAGE_BYTES_MAX = 60_000
_TAPPED = "button, .button, input:not([type=hidden], [type=radio], [type=checkbox]), .choice"


def arrived(page: Page) -> None:
    """A click waits until the next page has answered, not until it is there: until then it has no elements to look at."""
    page.wait_for_load_state()


def axe_finds_nothing_serious(page: Page) -> None:
    """WCAG 2.2 AA as far as a program can tell."""
    arrived(page)
    found = Axe().run(page).response["violations"]
    assert [(one["id"], one["impact"]) for one in found if one["impact"] in {"serious", "critical"}] == [], page.url


def fits_the_smallest_phone(page: Page) -> None:
    """Nothing reaches beyond it, what is tapped is large enough, and a page is light."""
    arrived(page)
    before = page.viewport_size
    assert before is not None
    page.set_viewport_size(ViewportSize(width=SMALLEST_WIDTH, height=before["height"]))
    assert page.evaluate("document.documentElement.scrollWidth") <= SMALLEST_WIDTH, page.url
    tapped = f"[...document.querySelectorAll('{_TAPPED}')].filter(one => one.checkVisibility()).map(one => one.offsetHeight)"
    assert min(page.evaluate(tapped), default=THUMB_MIN) >= THUMB_MIN, page.url
    assert len(page.content().encode()) < PAGE_BYTES_MAX, page.url
    page.set_viewport_size(before)
