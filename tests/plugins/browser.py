"""Fixture: a page in Debian's Chromium, without a window; pictures of it are kept for the documentation.

Where no Chromium is found a test that wants one is skipped and says so; `.ci/run` installs Debian's, so there it always
runs. `TIDEOVER_PICTURES=docs/pictures` writes the pictures there anew; otherwise they go to a temporary folder.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

WIDTH, HEIGHT = 1400, 1000
# As root Chromium has no sandbox; the rest keeps it from asking the network for anything of its own.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SECONDS_MAX = 60


def chromium() -> str | None:
    """Where Debian's Chromium is, or another one; None = there is none."""
    return next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """An empty page."""
    program = chromium()
    if program is None:
        pytest.skip("no Chromium on this machine (Debian: apt install chromium): the browser journey was not played")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        opened = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        opened.set_default_timeout(SECONDS_MAX * 1000)
        yield opened
        browser.close()


@pytest.fixture(scope="module")
def picture(page: Page, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], None]:
    """Keep a picture of what the page shows, by name."""
    folder = Path(os.environ.get("TIDEOVER_PICTURES") or tmp_path_factory.mktemp("pictures"))
    return lambda name: _keep(page, folder / f"{name}.png")


def _keep(page: Page, file: Path) -> None:
    page.screenshot(path=file)
    assert file.stat().st_size > 0
