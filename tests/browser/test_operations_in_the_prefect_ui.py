"""A strategist runs a day from Prefect's own pages, in a real browser: open, fill in, run, read, pause.

On a real installation: PostgreSQL, Prefect server and worker, portal, sandbox. The ledger says whether the clicks did what they say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import time

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import text

from ledger.engine import connection
from local.demo import FIRST_DAY, local, step
from tasks.approve_run import make_code
from tests.plugins.installation import Installation, installed

ACCOUNTS = 200
LIMIT = 25
RUN_SECONDS_MAX = 120


@pytest.fixture(scope="module")
def installation(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A morning with a portfolio, everything running."""
    with installed(server_url, tmp_path_factory.mktemp("ui"), accounts=ACCOUNTS) as running:
        step(running.town, local(FIRST_DAY, time(10)))
        yield running


def test_a_strategist_runs_a_stage_reads_what_happened_and_pauses_everything(
    installation: Installation, page: Page, picture: Callable[[str], None]
) -> None:
    _open(installation, page, "early", "daily")
    picture("deployment")
    _custom_run(page)
    _number(page, LIMIT)
    page.get_by_label("request_code").fill(make_code(person="Anna", role="operations"))
    page.get_by_label("approval").click()
    page.get_by_role("option", name="required").click()
    picture("parameters")
    _submit(page, until="Suspended")
    assert _sent() == 0, "sent before anybody said yes"
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_role("link", name=f"early-{FIRST_DAY}-preview").click()
    expect(page.get_by_role("table").first).to_be_visible()
    picture("preview")
    page.go_back()
    _answer(page, picture)
    expect(page.get_by_text("Completed", exact=True).first).to_be_visible(timeout=RUN_SECONDS_MAX * 1000)
    picture("run")
    sent = _sent()
    assert 0 < sent <= LIMIT

    page.reload()  # the list of artifacts is the one that was shown before
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_role("link", name=f"early-{FIRST_DAY}-picture").click()
    expect(page.get_by_role("img").first).to_be_visible()
    picture("artifact")

    _open(installation, page, "pause", "now")
    _custom_run(page)
    page.get_by_label("because").fill("a rumour of a wrong text")
    page.get_by_label("by", exact=True).fill("the strategist")
    picture("pause")
    _submit(page)
    _open(installation, page, "early", "daily")
    _custom_run(page)
    _submit(page)
    assert _sent() == sent


def _open(installation: Installation, page: Page, flow: str, deployment: str) -> None:
    """From the list of deployments to one."""
    page.goto(f"{installation.services.addresses['prefect']}/v2/deployments?limit=50")
    page.get_by_role("row").filter(has=page.get_by_role("link", name=flow, exact=True)).get_by_role("link", name=deployment).click()
    expect(page.get_by_role("tab", name="Runs")).to_be_visible()


def _custom_run(page: Page) -> None:
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Custom run").click()
    expect(page.get_by_role("heading", name="Parameters")).to_be_visible()


def _number(page: Page, value: int) -> None:
    """Fill in the form's last whole number, which may be left empty."""
    group = page.get_by_role("group").filter(has=page.get_by_role("tab", name="int")).last
    group.get_by_role("tab", name="int").click()
    group.get_by_role("spinbutton").fill(str(value))


def _answer(page: Page, picture: Callable[[str], None]) -> None:
    """Say yes in the form of a suspended run, with the code of another person."""
    page.get_by_role("button", name="Open menu").first.click()
    page.get_by_role("menuitem", name="Resume").click()
    form = page.get_by_role("alertdialog").or_(page.get_by_role("dialog"))
    expect(form).to_be_visible()
    page.wait_for_timeout(1500)
    form.get_by_label("decision").click()
    page.get_by_role("option", name="approve", exact=True).click()
    form.get_by_label("code").fill(make_code(person="Ben", role="compliance"))
    picture("approval")
    form.get_by_role("button", name="Resume").click()


def _submit(page: Page, *, until: str = "Completed") -> None:
    """Send the form off, go from its notice to the run's page, and wait for the end."""
    page.get_by_role("button", name="Submit").click()
    page.get_by_role("link", name="View run").or_(page.get_by_role("button", name="View run")).first.click()
    expect(page.get_by_text(until, exact=True).first).to_be_visible(timeout=RUN_SECONDS_MAX * 1000)


def _sent() -> int:
    with connection() as tx:
        return int(tx.execute(text("SELECT count(*) FROM attempt WHERE submitted_at IS NOT NULL")).scalar_one())
