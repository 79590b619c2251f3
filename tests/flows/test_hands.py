"""Hands that a stage's run asked for: whoever has not begun when the work is done is called off, whoever has begun is left alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.logging import disable_run_logger
from prefect.states import Running

from config.settings import settings
from flows.hand import hand
from flows.hands import hands

SHARDS = [1, 2, 3, 4, 5]


@pytest.fixture
def three_hands(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TIDEOVER_HANDS", "3")
    settings.cache_clear()
    with disable_run_logger():
        yield
    settings.cache_clear()


@pytest.mark.usefixtures("prefect_server", "three_hands")
def test_without_a_deployment_the_run_does_every_part_itself() -> None:
    with hands("choose", 8, SHARDS) as mine:
        assert sorted(mine) == SHARDS


@pytest.mark.usefixtures("prefect_server", "three_hands")
def test_hands_that_nobody_has_started_are_called_off_when_the_work_is_done() -> None:
    with get_client(sync_client=True) as client:
        client.create_deployment(flow_id=client.create_flow(hand), name="any")
        with hands("choose", 7, SHARDS) as mine:
            assert mine == [1, 4, 5, 3, 2]
            asked = sorted(client.read_flow_runs(), key=lambda run: run.parameters["part"])
            assert [run.parameters for run in asked] == [
                {"campaign_run_id": 7, "doing": "choose", "part": part, "of": 3} for part in (1, 2)
            ]
            client.set_flow_run_state(asked[0].id, Running(), force=True)
        states = [client.read_flow_run(run.id).state for run in asked]
    assert [state.type for state in states if state is not None] == [StateType.RUNNING, StateType.CANCELLED]
    assert states[1] is not None
    assert states[1].message == "all parts are done"
