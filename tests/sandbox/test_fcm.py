"""FCM v1 as the unmodified SDK sees it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from firebase_admin import exceptions, messaging

from sandbox.signature import app_signature
from tests.plugins.sandbox_process import Sandbox
from tests.sandbox.conftest import Webhooks

TOKEN = "token-of-a-test-phone:APA91b"  # noqa: S105  # names a phone that does not exist
EVERYONE = {"push_permitted": 1.0, "stale_token_share": 0.0, "push_opened": 1.0}
Send = Callable[[messaging.Message], str]


def _push(token: str = TOKEN, **fields: object) -> messaging.Message:
    return messaging.Message(fid=token, notification=messaging.Notification(title="Hello", body="A payment is due"), **fields)


def _resident(token: str = TOKEN) -> dict[str, str]:
    return {"push_token": token, "locale": "en", "zone": "UTC"}


def test_a_push_is_accepted_with_a_name_and_shown_after_the_step(sandbox: Sandbox, firebase: Send) -> None:
    name = firebase(_push(data={"ack": "opaque"}))
    assert name.startswith(f"projects/{sandbox.project_id}/messages/")
    assert sandbox.received() == []
    sandbox.step("2026-03-17T01:01:00Z")
    [received] = sandbox.received("push")
    assert (received["to"], received["title"], received["body"]) == (TOKEN, "Hello", "A payment is due")
    assert (received["data"], received["provider_id"]) == ({"ack": "opaque"}, name)


def test_the_app_acknowledges_with_the_data_it_was_handed_and_signs(sandbox: Sandbox, firebase: Send, webhooks: Webhooks) -> None:
    sandbox.reset(world=EVERYONE)
    sandbox.webhooks(acknowledgement_url=f"{webhooks.url}/ack")
    sandbox.settle([_resident()])
    firebase(_push(data={"ack": "opaque", "other": "値"}))
    sandbox.step("2026-03-18T12:00:00Z")
    told = [json.loads(post.body) for post in webhooks.arrived]
    assert [one["event"] for one in told] == ["received", "opened"]
    assert all(one["data"] == {"ack": "opaque", "other": "値"} for one in told)
    assert told[0]["at"] < told[1]["at"]
    for post in webhooks.arrived:
        assert post.headers["X-Tideover-App-Signature"] == app_signature(sandbox.app_secret, post.body)


def test_a_phone_that_may_not_show_notifications_shows_none_and_tells_nobody(sandbox: Sandbox, firebase: Send, webhooks: Webhooks) -> None:
    sandbox.reset(world={**EVERYONE, "push_permitted": 0.0})
    sandbox.webhooks(acknowledgement_url=f"{webhooks.url}/ack")
    sandbox.settle([_resident()])
    assert firebase(_push())
    sandbox.step("2026-03-18T12:00:00Z")
    assert (sandbox.received(), webhooks.arrived) == ([], [])


def test_a_dead_token_is_unregistered(sandbox: Sandbox, firebase: Send) -> None:
    sandbox.reset(world={**EVERYONE, "stale_token_share": 1.0})
    sandbox.settle([_resident()])
    with pytest.raises(messaging.UnregisteredError):
        firebase(_push())


def test_a_lost_phone_takes_its_token_with_it(sandbox: Sandbox, firebase: Send) -> None:
    sandbox.reset(world={**EVERYONE, "phone_lost_rate": 1.0})
    sandbox.settle([_resident()])
    firebase(_push())
    sandbox.step("2026-03-18T00:30:00Z")
    with pytest.raises(messaging.UnregisteredError):
        firebase(_push())


def test_a_push_that_lives_shorter_than_its_way_is_never_shown(sandbox: Sandbox, firebase: Send) -> None:
    firebase(_push(android=messaging.AndroidConfig(ttl=timedelta(0))))
    firebase(_push(android=messaging.AndroidConfig(ttl=timedelta(hours=1))))
    sandbox.step("2026-03-17T05:00:00Z")
    assert len(sandbox.received()) == 1


def test_a_dry_run_is_named_and_not_sent(sandbox: Sandbox, firebase: Send) -> None:
    account = _access_token(sandbox)
    answer = _post(sandbox, account, {"validate_only": True, "message": {"token": TOKEN, "notification": {"title": "x"}}})
    assert answer["name"].endswith("fake_message_id")
    firebase(_push())
    sandbox.step("2026-03-17T05:00:00Z")
    assert len(sandbox.received()) == 1


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("UNREGISTERED", messaging.UnregisteredError),
        ("SENDER_ID_MISMATCH", messaging.SenderIdMismatchError),
        ("INVALID_ARGUMENT", exceptions.InvalidArgumentError),
    ],
)
def test_each_permanent_error_reaches_the_sdk_as_its_class(
    sandbox: Sandbox, firebase: Send, code: str, error: type[exceptions.FirebaseError]
) -> None:
    sandbox.faults({"fault": "rejected", "channel": "push", "code": code})
    with pytest.raises(error):
        firebase(_push())
    sandbox.step("2026-03-17T05:00:00Z")
    assert sandbox.received() == []


def _access_token(sandbox: Sandbox) -> str:
    """A token as google-auth gets it."""
    from google.auth.transport.requests import Request as Transport  # noqa: PLC0415  # only here
    from google.oauth2.service_account import Credentials  # noqa: PLC0415  # only here

    scopes = ["https://www.googleapis.com/auth/firebase.messaging"]
    account = Credentials.from_service_account_file(sandbox.service_account_file, scopes=scopes)  # type: ignore[no-untyped-call]  # google's
    transport = Transport()
    account.refresh(transport)
    transport.session.close()
    return str(account.token)


def _post(sandbox: Sandbox, token: str, body: object, project: str = "") -> dict[str, str]:
    request = Request(  # noqa: S310  # loopback
        f"{sandbox.url}/v1/projects/{project or sandbox.project_id}/messages:send",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urlopen(request, timeout=10) as answer:  # noqa: S310  # loopback
        return dict(json.loads(answer.read()))


def _refused(sandbox: Sandbox, token: str, body: object, project: str = "") -> tuple[int, dict[str, object], str | None]:
    with pytest.raises(HTTPError) as refused:
        _post(sandbox, token, body, project)
    with refused.value as error:
        return error.code, json.loads(error.read())["error"], error.headers.get("Retry-After")


def test_whoever_has_no_token_is_turned_away(sandbox: Sandbox) -> None:
    status, error, _ = _refused(sandbox, "ya29.made-up", {"message": {"token": TOKEN}})
    assert (status, error["status"]) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"token": TOKEN, "topic": "all"},
        {"topic": "all"},
        {"token": "short"},
        {"token": TOKEN, "attempt_id": "7"},
        {"token": TOKEN, "data": {"amount": 7}},
        {"token": TOKEN, "data": {"from": "x"}},
        {"token": TOKEN, "data": {"google.x": "x"}},
        {"token": TOKEN, "data": {"x": "x" * 4096}},
        {"token": TOKEN, "notification": {"headline": "x"}},
        {"token": TOKEN, "android": {"ttl": "5 hours"}},
        {"token": TOKEN, "android": {"ttl": "2419201s"}},
        {"token": TOKEN, "android": {"directBootOk": "yes"}},
    ],
)
def test_a_request_that_fcm_does_not_know_is_an_invalid_argument(sandbox: Sandbox, message: dict[str, object]) -> None:
    status, error, _ = _refused(sandbox, _access_token(sandbox), {"message": message})
    assert (status, error["status"]) == (400, "INVALID_ARGUMENT")


def test_another_projects_address_is_a_mismatch_and_quota_says_when_to_come_back(sandbox: Sandbox) -> None:
    token = _access_token(sandbox)
    body = {"message": {"token": TOKEN}}
    assert _refused(sandbox, token, body, "another")[0] == 403
    sandbox.faults({"fault": "too_many_requests", "channel": "push", "seconds": 7})
    status, error, retry_after = _refused(sandbox, token, body)
    assert (status, error["status"], retry_after) == (429, "RESOURCE_EXHAUSTED", "7")
    sandbox.faults({"fault": "rejected", "channel": "push", "code": "THIRD_PARTY_AUTH_ERROR"})
    assert _refused(sandbox, token, body)[0] == 401


def test_only_the_service_accounts_own_key_gets_a_token(sandbox: Sandbox, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415  # only here
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat  # noqa: PLC0415  # only here
    from google.auth.exceptions import RefreshError  # noqa: PLC0415  # only here

    account = json.loads(Path(sandbox.service_account_file).read_text())
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    account["private_key"] = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    forged = tmp_path / "forged.json"
    forged.write_text(json.dumps(account))
    with pytest.raises(RefreshError, match="Invalid JWT Signature"):
        _access_token(Sandbox(**{name: getattr(sandbox, name) for name in Sandbox.__slots__} | {"service_account_file": str(forged)}))
    nonsense = urlencode({"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "a.b.c"}).encode()
    with pytest.raises(HTTPError) as refused, urlopen(f"{sandbox.url}/token", data=nonsense):  # noqa: S310  # loopback
        pass
    with refused.value as error:
        assert json.loads(error.read())["error"] == "invalid_grant"


def test_the_key_file_is_its_owners_alone(sandbox: Sandbox) -> None:
    assert Path(sandbox.service_account_file).stat().st_mode & 0o077 == 0
