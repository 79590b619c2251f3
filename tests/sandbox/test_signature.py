"""Signatures: Twilio's own vectors, and Twilio's own validator on what is really posted."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]  # twilio ships no py.typed
from twilio.rest import Client  # type: ignore[import-untyped]  # twilio ships no py.typed

from sandbox.signature import app_signature, twilio_signature
from tests.plugins.sandbox_process import Sandbox
from tests.sandbox.conftest import Webhooks

URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FIELDS = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
    ("Caller", "+14158675309"),
]
DOUBLED = [("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")]


@pytest.mark.parametrize(
    ("url", "fields", "signature"),
    [
        (URL, FIELDS, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (URL.replace("https://mycompany.com", "https://mycompany.com:443"), FIELDS, "kvajT1Ptam85bY51eRf/AJRuM3w="),
        (URL.replace("https://mycompany.com", "http://mycompany.com:80"), FIELDS, "0ZXoZLH/DfblKGATFgpif+LLRf4="),
        (URL, DOUBLED, "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
    ],
)
def test_twilios_published_vectors_come_out(url: str, fields: list[tuple[str, str]], signature: str) -> None:
    # twilio-python tests/unit/test_request_validator.py and twilio-node spec/validation.spec.js (PROVIDERS A6).
    assert twilio_signature("12345", url, fields) == signature


def test_everything_that_is_posted_convinces_twilios_validator(sandbox: Sandbox, client: Client, webhooks: Webhooks) -> None:
    sandbox.webhooks(inbound_url=f"{webhooks.url}/inbound?tenant=7")
    client.messages.create(to="+12025550101", from_="+12025550150", body="x", status_callback=f"{webhooks.url}/status?attempt=a%2Fb")
    sandbox.control("POST", "texts", {"from": "+12025550101", "to": "+12025550150", "text": "我已經繳了 👍 & =+"})
    sandbox.step("2026-03-17T01:05:00Z")
    assert len(webhooks.arrived) == 3
    validator, stranger = RequestValidator(sandbox.auth_token), RequestValidator("wrong")
    for post in webhooks.arrived:
        fields = dict(parse_qsl(post.body.decode(), keep_blank_values=True))
        signature = post.headers["X-Twilio-Signature"]
        assert validator.validate(webhooks.url + post.path, fields, signature)
        assert not validator.validate(webhooks.url + post.path, {**fields, "Extra": "1"}, signature)
        assert not stranger.validate(webhooks.url + post.path, fields, signature)


def test_an_inbound_post_carries_what_twilio_sends(sandbox: Sandbox, webhooks: Webhooks) -> None:
    sandbox.webhooks(inbound_url=f"{webhooks.url}/inbound")
    service = "MG" + "b" * 32
    sandbox.control("POST", "texts", {"from": "+12025550101", "to": "+12025550150", "text": "STOP", "messaging_service_sid": service})
    form = webhooks.arrived[0].form
    assert {"MessageSid", "SmsSid", "AccountSid", "From", "To", "Body", "NumMedia", "NumSegments", "FromCountry", "ToCountry"} <= set(form)
    assert (form["From"], form["Body"], form["OptOutType"], form["MessagingServiceSid"]) == ("+12025550101", "STOP", "STOP", service)


def test_the_apps_signature_is_hmac_sha256_in_hex() -> None:
    # RFC 4231, test case 2.
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert app_signature("Jefe", b"what do ya want for nothing?") == expected
