"""Fixture: Prefect's own server for the tests of one file, with a database of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prefect.testing.utilities import prefect_test_harness

from tests.plugins.prefect_heard import tell_prefect

SECONDS_MAX = 120


@pytest.fixture(scope="module")
def prefect_server() -> Iterator[None]:
    """Prefect with a database of its own; no worker that another server left behind takes what it is to hear."""
    tell_prefect()
    with prefect_test_harness(server_startup_timeout=SECONDS_MAX):
        yield
        # The harness itself would wait without end.
        tell_prefect()
