"""What operations see of each deployment in the Prefect UI: what it does, a form with help, choices and bounds, and runs named as a calendar."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prefect import Flow

from decisions.strategy import STAGE_ORDER
from local.deploy_file import FILE, Wanted, read_plan

PLAN = read_plan()
BOUNDS = {"enum", "const", "pattern", "format", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum"}


def by_name(wanted: Wanted) -> str:
    return wanted.full_name


def flow_of(wanted: Wanted) -> Flow[..., Any]:
    module, name = wanted.code["entrypoint"].rsplit(".", 1)
    found = getattr(importlib.import_module(module), name)
    assert isinstance(found, Flow)
    return found


def fields(wanted: Wanted) -> dict[str, Any]:
    properties: dict[str, Any] = wanted.code["parameter_openapi_schema"].get("properties", {})
    return properties


def plain_types(field: dict[str, Any], schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What a person types into a field: through alternatives, lists and named models."""
    if "$ref" in field:
        yield from plain_types(schema["definitions"][field["$ref"].rsplit("/", 1)[1]], schema)
    elif inner := [*field.get("anyOf", []), *field.get("allOf", []), *field.get("oneOf", []), *field.get("properties", {}).values()]:
        for one in inner:
            yield from plain_types(one, schema)
    elif "items" in field:
        yield from plain_types(field["items"], schema)
    else:
        yield field


@pytest.mark.parametrize("wanted", PLAN.deployments, ids=by_name)
def test_a_deployment_says_what_it_does(wanted: Wanted) -> None:
    assert len(str(wanted.things["description"])) > 40
    assert wanted.things["tags"]
    assert flow_of(wanted).timeout_seconds, "a run that hangs ends"


@pytest.mark.parametrize("wanted", PLAN.deployments, ids=by_name)
def test_every_field_has_help_and_every_free_text_and_number_its_bounds(wanted: Wanted) -> None:
    assert wanted.code["enforce_parameter_schema"]
    schema = wanted.code["parameter_openapi_schema"]
    for name, field in fields(wanted).items():
        assert len(field.get("description", "")) > 10, name
        for plain in plain_types(field, schema):
            assert plain["type"] in {"boolean", "null"} or plain.keys() & BOUNDS, name


@pytest.mark.parametrize("wanted", PLAN.deployments, ids=by_name)
def test_what_the_file_sets_is_a_field_of_the_form(wanted: Wanted) -> None:
    named = {thing.removeprefix("parameter ") for thing in wanted.things if thing.startswith("parameter ")}
    named |= {name for schedule in wanted.schedules.values() for name in schedule["parameters"]}
    assert named <= fields(wanted).keys()


@pytest.mark.parametrize("wanted", PLAN.deployments, ids=by_name)
def test_runs_have_names_that_operations_can_read(wanted: Wanted) -> None:
    # A name by `{parameter}` would print "None", or what a person typed.
    assert callable(flow_of(wanted).flow_run_name)


def test_stages_ask_for_the_same_first() -> None:
    for wanted in PLAN.deployments:
        if wanted.code["entrypoint"].rsplit(".", 1)[1] in STAGE_ORDER:
            assert list(fields(wanted))[:4] == ["as_of", "country", "preview", "limit"]


def test_a_pause_offers_what_can_be_paused() -> None:
    (pause,) = (one for one in PLAN.deployments if one.full_name == "pause/now")
    asked = fields(pause)
    assert set(STAGE_ORDER) <= set(asked["stage"]["anyOf"][0]["enum"])
    assert {"sms", "push"} <= set(asked["channel"]["anyOf"][0]["enum"])
    pattern = asked["jurisdiction"]["anyOf"][0]["pattern"]
    assert [bool(re.search(pattern, one)) for one in ("US", "US-NY", "US-NY-NYC", "EU", "us", "USA", "")] == [True] * 4 + [False] * 3


def test_who_goes_first_is_said_once() -> None:
    assert [queue.name for queue in PLAN.queues] == ["stop", "today", "around", "backfill"]
    served = {wanted.full_name: wanted.things["work queue"].split("/")[1] for wanted in PLAN.deployments}
    assert {name for name, queue in served.items() if queue == "stop"} == {"pause/now", "resume/now"}
    assert {"hand/any", *(f"{stage}/daily" for stage in ("pre-due", "early", "mid", "late", "recovery"))} == {
        name for name, queue in served.items() if queue == "today"
    }
    assert set(served.values()) <= {queue.name for queue in PLAN.queues}
    assert all("backfill" in name for name, queue in served.items() if queue == "backfill")
    aliases = yaml.safe_load(FILE.read_text())["definitions"]
    assert {one["work_queue_name"] for one in aliases.values() if isinstance(one, dict)} == {queue.name for queue in PLAN.queues}
