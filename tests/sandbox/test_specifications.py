"""The wire against the providers' own published descriptions."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from twilio.rest import Client  # type: ignore[import-untyped]  # twilio ships no py.typed

from sandbox import calls
from sandbox.fcm_fields import FIELDS
from sandbox.twilio import CREATE_FIELDS, LIST_FIELDS, UPDATE_FIELDS
from tests.plugins.sandbox_process import Sandbox
from tests.sandbox.conftest import SPECIFICATIONS

TWILIO = SPECIFICATIONS / "twilio_api_v2010.messages_calls.json"
FCM = SPECIFICATIONS / "fcm.v1.discovery.json"
MESSAGES = "/2010-04-01/Accounts/{AccountSid}/Messages.json"
MESSAGE = "/2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json"
CALLS = "/2010-04-01/Accounts/{AccountSid}/Calls.json"
CALL = "/2010-04-01/Accounts/{AccountSid}/Calls/{Sid}.json"
FORM = "application/x-www-form-urlencoded"
needs_twilio = pytest.mark.skipif(not TWILIO.exists(), reason="Twilio's OpenAPI document is not at hand (../shared/spec)")
needs_fcm = pytest.mark.skipif(not FCM.exists(), reason="FCM's discovery document is not at hand (../shared/spec)")


def _openapi() -> Any:
    return json.loads(TWILIO.read_text())


def _strict(schema: Any) -> Any:
    """OpenAPI 3.0 as JSON Schema: nullable is a type of its own, every property is required, no other is allowed."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {name: _strict(part) for name, part in schema.items() if name != "nullable"}
    if schema.get("nullable") and "type" in strict:
        strict["type"] = [strict["type"], "null"]
    if isinstance(strict.get("properties"), dict):
        strict |= {"required": sorted(strict["properties"]), "additionalProperties": False}
    return strict


def _validator(path: str, method: str, status: str) -> Callable[[Any], None]:
    document = _openapi()
    schema = document["paths"][path][method]["responses"][status]["content"]["application/json"]["schema"]
    whole = {**_strict(schema), "components": _strict(document["components"])}
    return jsonschema.Draft202012Validator(whole).validate


def _answers(sandbox: Sandbox, client: Client) -> Callable[..., Any]:
    base = f"{sandbox.url}/2010-04-01/Accounts/{sandbox.account_sid}"
    return lambda method, path, **fields: json.loads(client.request(method, f"{base}/{path}", data=fields).text)


@needs_twilio
def test_every_answer_has_the_shape_that_twilio_publishes(sandbox: Sandbox, client: Client) -> None:
    ask = _answers(sandbox, client)
    message = _validator(MESSAGES, "post", "201")
    created = ask("POST", "Messages.json", To="+12025550101", From="+12025550150", Body="x")
    message(created)
    message(ask("POST", "Messages.json", To="+12025550101", MessagingServiceSid="MG" + "a" * 32, MediaUrl="https://x.example/y.png"))
    sandbox.faults({"fault": "undelivered", "channel": "sms", "code": 30007})
    doomed = ask("POST", "Messages.json", To="+12025550101", From="+12025550150", Body="x")
    sandbox.control("POST", "texts", {"from": "+12025550101", "to": "+12025550150", "text": "STOP"})
    sandbox.step("2026-03-17T02:00:00Z")
    fetched = _validator(MESSAGE, "get", "200")
    fetched(ask("GET", f"Messages/{created['sid']}.json"))
    failed = ask("GET", f"Messages/{doomed['sid']}.json")
    fetched(failed)
    assert failed["error_code"] == 30007
    _validator(MESSAGE, "post", "200")(ask("POST", f"Messages/{created['sid']}.json", Body=""))


@needs_twilio
@pytest.mark.parametrize(
    ("to", "sender"),
    [
        ("whatsapp:+12025550101", "whatsapp:+12025550150"),
        ("messenger:5400000000000101", "messenger:100200300400500"),
        ("rcs:+12025550101", "rcs:lantern_agent"),
    ],
)
def test_every_channel_answers_in_that_shape(sandbox: Sandbox, client: Client, to: str, sender: str) -> None:
    ask = _answers(sandbox, client)
    created = ask("POST", "Messages.json", To=to, From=sender, Body="x")
    _validator(MESSAGES, "post", "201")(created)
    template = {"sid": "HX" + "1" * 32, "body": "{{1}} was due"}
    sandbox.control("POST", "templates", {"templates": [template]})
    by_template = ask("POST", "Messages.json", To=to, From=sender, ContentSid=template["sid"], ContentVariables='{"1": "$5"}')
    _validator(MESSAGES, "post", "201")(by_template)
    sandbox.control("POST", "texts", {"from": to, "to": sender, "text": "hello", "media": 1})
    sandbox.step("2026-03-17T02:00:00Z")
    _validator(MESSAGE, "get", "200")(ask("GET", f"Messages/{created['sid']}.json"))
    listed = ask("GET", f"Messages.json?To={to.replace('+', '%2B')}")
    _validator(MESSAGES, "get", "200")(listed)
    assert {one["sid"] for one in listed["messages"]} == {created["sid"], by_template["sid"]}


@needs_twilio
@pytest.mark.parametrize("query", ["", "?PageSize=2", "?PageSize=2&Page=1", "?To=%2B12025550101&DateSent%3E=2026-03-17"])
def test_the_list_has_the_shape_that_twilio_publishes(sandbox: Sandbox, client: Client, query: str) -> None:
    for number in range(5):
        client.messages.create(to="+12025550101", from_="+12025550150", body=str(number))
    sandbox.step("2026-03-17T02:00:00Z")
    _validator(MESSAGES, "get", "200")(_answers(sandbox, client)("GET", f"Messages.json{query}"))


@needs_twilio
def test_every_answer_about_a_call_has_the_shape_that_twilio_publishes(sandbox: Sandbox, client: Client) -> None:
    ask = _answers(sandbox, client)
    dial = {"To": "+12025550101", "From": "+12025550150", "MachineDetection": "DetectMessageEnd"}
    created = ask("POST", "Calls.json", **dial, Twiml="<Response><Say>x</Say></Response>")
    _validator(CALLS, "post", "201")(created)
    sandbox.control("POST", "phones", {"number": "+12025550101", "answers": "machine"})
    answered = ask("POST", "Calls.json", **dial, Twiml="<Response><Say>x</Say></Response>")
    ended = ask("POST", "Calls.json", **dial, Twiml="<Response/>")
    _validator(CALL, "post", "200")(ask("POST", f"Calls/{ended['sid']}.json", Status="canceled"))
    sandbox.step("2026-03-17T02:00:00Z")
    fetched = _validator(CALL, "get", "200")
    for sid in (created["sid"], answered["sid"], ended["sid"]):
        fetched(ask("GET", f"Calls/{sid}.json"))
    for query in ("", "?PageSize=2", "?PageSize=2&Page=1", "?To=%2B12025550101&StartTime%3E=2026-03-17"):
        _validator(CALLS, "get", "200")(ask("GET", f"Calls.json{query}"))


@needs_twilio
def test_the_fields_of_a_call_that_are_taken_are_those_that_twilio_publishes() -> None:
    document = _openapi()
    paths = document["paths"]
    assert set(paths[CALLS]["post"]["requestBody"]["content"][FORM]["schema"]["properties"]) == calls.CREATE_FIELDS
    assert set(paths[CALL]["post"]["requestBody"]["content"][FORM]["schema"]["properties"]) == calls.UPDATE_FIELDS
    assert {field["name"] for field in paths[CALLS]["get"]["parameters"] if field["in"] == "query"} == calls.LIST_FIELDS
    assert set(document["components"]["schemas"]["call_enum_status"]["enum"]) == calls.STATUSES


@needs_twilio
def test_the_check_itself_rejects_a_wrong_answer() -> None:
    example = next(iter(_openapi()["paths"][MESSAGES]["post"]["responses"]["201"]["content"]["application/json"]["examples"].values()))
    validate = _validator(MESSAGES, "post", "201")
    validate(example["value"])
    for wrong in ({"status": "gone"}, {"sid": "SM1"}, {"num_segments": 1}, {"tag": "x"}):
        with pytest.raises(jsonschema.ValidationError):
            validate(example["value"] | wrong)


@needs_twilio
def test_the_fields_that_are_taken_are_those_that_twilio_publishes() -> None:
    paths = _openapi()["paths"]
    assert set(paths[MESSAGES]["post"]["requestBody"]["content"][FORM]["schema"]["properties"]) == CREATE_FIELDS
    assert set(paths[MESSAGE]["post"]["requestBody"]["content"][FORM]["schema"]["properties"]) == UPDATE_FIELDS
    assert {field["name"] for field in paths[MESSAGES]["get"]["parameters"] if field["in"] == "query"} == LIST_FIELDS


@needs_fcm
def test_the_fields_of_a_push_are_those_that_google_publishes() -> None:
    schemas = json.loads(FCM.read_text())["schemas"]

    def kind(field: dict[str, Any]) -> str:
        if field.get("type") == "object":
            return "strings" if field.get("additionalProperties", {}).get("type") == "string" else "any"
        return str(field.get("$ref") or field["type"])

    published = {name: {field: kind(said) for field, said in schemas[name].get("properties", {}).items()} for name in FIELDS}
    assert published == FIELDS
    referred = {said for fields in FIELDS.values() for said in fields.values() if said[0].isupper()}
    assert referred <= set(FIELDS)
