"""Signatures: Twilio's own vectors, and what must not be believed."""

from __future__ import annotations

import hmac
from hashlib import sha256

import pytest

from channels.signatures import is_from_app, is_from_twilio

SECRET = "12345"  # noqa: S105  # the key of the published vectors
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FIELDS = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
    ("Caller", "+14158675309"),
]


@pytest.mark.parametrize(
    ("url", "fields", "signature"),
    [
        (URL, FIELDS, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        ("https://mycompany.com:1234/myapp.php?foo=1&bar=2", FIELDS, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        ("http://mycompany.com:1234/myapp.php?foo=1&bar=2", FIELDS, "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
        (
            URL,
            [("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")],
            "IK+Dwps556ElfBT0I3Rgjkr1wJU=",
        ),
    ],
    ids=["plain", "port left out", "port kept", "a name several times"],
)
def test_what_twilio_signed_is_believed(url: str, fields: list[tuple[str, str]], signature: str) -> None:
    """twilio-python, tests/unit/test_request_validator.py (MIT)."""
    assert is_from_twilio(secret=SECRET, url=url, fields=fields, signature=signature)
    assert not is_from_twilio(secret=SECRET[::-1], url=url, fields=fields, signature=signature)
    assert not is_from_twilio(secret=SECRET, url=url + "0", fields=fields, signature=signature)
    assert not is_from_twilio(secret=SECRET, url=url, fields=[*fields, ("More", "")], signature=signature)


@pytest.mark.parametrize("signature", [None, "", "nonsense", "ü"])
def test_a_missing_or_foreign_signature_is_not_believed(signature: str | None) -> None:
    assert not is_from_twilio(secret=SECRET, url=URL, fields=FIELDS, signature=signature)
    assert not is_from_app(secret=SECRET, body=b"{}", signature=signature)


def test_without_a_secret_nobody_is_believed() -> None:
    assert not is_from_app(secret="", body=b"{}", signature=hmac.digest(b"", b"{}", sha256).hex())
    assert not is_from_twilio(secret="", url=URL, fields=[], signature="AAAA")


def test_the_app_is_believed_for_the_very_bytes_that_it_signed() -> None:
    signature = hmac.digest(b"12345", b'{"event": "opened"}', sha256).hex()
    assert is_from_app(secret=SECRET, body=b'{"event": "opened"}', signature=signature)
    assert not is_from_app(secret=SECRET, body=b'{"event":"opened"}', signature=signature)
