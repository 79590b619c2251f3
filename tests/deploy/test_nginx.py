"""The reverse proxy: nginx takes the example, and through it providers are heard, and nobody sees what is for machines inside."""

from __future__ import annotations

import base64
import hmac
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from pathlib import Path
from urllib.parse import urlencode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from httpx import Client, ConnectError
from sqlalchemy import text

from config.settings import settings
from ledger.engine import connection
from portal.webhooks import BODY_BYTES_MAX
from tests.plugins.portfolio import Portfolio, made_up_number, noon
from tests.plugins.sent import Sent

CONF = Path(__file__).resolve().parents[2] / "deploy" / "nginx" / "tideover.conf"
NGINX = shutil.which("nginx") or (shutil.which("nginx", path="/usr/sbin"))
HOOKS, DESK, INSIDE = "hooks.example.com", "desk.example.internal", "prefect.example.internal"
PUBLIC = f"https://{HOOKS}"
TOKEN = "auth-token-of-nobody"  # noqa: S105  # made up
SECONDS_MAX = 20
Serve = Callable[[], AbstractContextManager[str]]

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not on this machine (Debian: apt-get install nginx-light; .ci/run does)")


def certificate(folder: Path, name: str) -> None:
    """A key and a certificate that sign themselves."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    short = name.split(".", maxsplit=1)[0]
    (folder / f"{short}.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{short}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def configure(folder: Path, *, portal: str = "127.0.0.1:8790", ports: tuple[int, int] = (8080, 8443), inside: str = "10.0.0.0/8") -> Path:
    """The example with this machine's folders and ports; returns the main file."""
    for name in (HOOKS, DESK, INSIDE):
        certificate(folder, name)
    conf = CONF.read_text()
    for old, new in {
        "/etc/tideover/tls": str(folder),
        "/var/log/nginx": str(folder),
        "listen 80;": f"listen 127.0.0.1:{ports[0]};",
        "listen 443 ssl;": f"listen 127.0.0.1:{ports[1]} ssl;",
        "127.0.0.1:8790": portal,
        "allow 127.0.0.1;": f"allow {inside};",
    }.items():
        assert old in conf, old
        conf = conf.replace(old, new)
    (folder / "tideover.conf").write_text(conf)
    folders = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    main = folder / "nginx.conf"
    main.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/main.log;"
        f"events {{}} http {{ {folders} access_log off; include {folder}/tideover.conf; }}"
    )
    return main


def run(main: Path, *words: str) -> subprocess.Popen[str]:
    command = [str(NGINX), "-e", str(main.parent / "start.log"), "-c", str(main), *words]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_nginx_takes_the_example(tmp_path: Path) -> None:
    with run(configure(tmp_path), "-t") as process:
        said, _ = process.communicate(timeout=SECONDS_MAX)
    assert process.returncode == 0, said
    assert "warn" not in said


def free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        for probe in (one, other):
            probe.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


@pytest.fixture
def proxy(serve_portal: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Client]:
    """The portal behind nginx; speaks to it by TLS under the public name."""
    monkeypatch.setenv("TIDEOVER_TWILIO_AUTH_TOKEN", TOKEN)
    monkeypatch.setenv("TIDEOVER_PUBLIC_URL", PUBLIC)
    settings.cache_clear()
    ports = free_ports()
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    with serve_portal() as url:
        main = configure(tmp_path, portal=url.removeprefix("http://"), ports=ports, inside="192.0.2.1")
        with run(main) as process, Client(base_url=f"https://127.0.0.1:{ports[1]}", verify=trust, trust_env=False) as client:
            try:
                client.headers["Host"] = HOOKS
                wait_for(client, process)
                yield client
            finally:
                process.terminate()


def wait_for(client: Client, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while True:
        try:
            client.get("/")
        except ConnectError:
            assert process.poll() is None, "nginx ended"
            assert time.monotonic() < deadline, "nginx does not listen"
            time.sleep(0.05)
        else:
            return


def signed(path: str, fields: list[tuple[str, str]]) -> dict[str, str]:
    """Headers of a call that Twilio signed for the public address."""
    said = PUBLIC + path + "".join(name + value for name, value in sorted(fields))
    return {
        "X-Twilio-Signature": base64.b64encode(hmac.digest(TOKEN.encode(), said.encode(), sha1)).decode(),
        "Content-Type": "application/x-www-form-urlencoded",
    }


def test_a_provider_is_heard_through_it_and_its_signature_holds(
    proxy: Client, portfolio: Portfolio, send: Callable[..., Sent], tmp_path: Path
) -> None:
    portfolio.clock(noon("US"))
    sent = send(portfolio.borrower(push=False, number=made_up_number("US", 42)))
    path = f"/webhooks/twilio/status/{sent.token}?a=%20b"
    fields = [("MessageSid", sent.provider_id), ("MessageStatus", "delivered")]
    answer = proxy.post(path, content=urlencode(fields), headers=signed(path, fields))
    assert answer.status_code == 204
    assert "max-age" in answer.headers["Strict-Transport-Security"]
    with connection() as tx:
        assert tx.execute(text("SELECT state FROM attempt WHERE id = :id"), {"id": sent.attempt_id}).scalar_one() == "delivered"
    logged = (tmp_path / "tideover.log").read_text()
    assert "/webhooks/twilio/status/... 204" in logged
    assert str(sent.token) not in logged


def test_what_is_for_machines_inside_is_not_there_outside(proxy: Client) -> None:
    assert [proxy.get(path).status_code for path in ("/health", "/ready", "/metrics", "/", "/docs")] == [404] * 5
    assert proxy.get("/webhooks/twilio/inbound").status_code == 403
    assert proxy.get("/api/flows", headers={"Host": INSIDE}).status_code == 403


def test_a_body_larger_than_the_portals_limit_ends_at_the_proxy(proxy: Client) -> None:
    said = re.search(r"client_max_body_size (\d+)k", CONF.read_text())
    assert said
    assert int(said[1]) * 1024 == BODY_BYTES_MAX
    assert proxy.post("/webhooks/twilio/inbound", content=b"x" * (BODY_BYTES_MAX + 1)).status_code == 413


def test_plain_http_is_sent_to_tls(proxy: Client, tmp_path: Path) -> None:
    plain = re.search(r"listen 127\.0\.0\.1:(\d+);", (tmp_path / "tideover.conf").read_text())
    assert plain
    with Client(trust_env=False) as client:
        answer = client.get(f"http://127.0.0.1:{plain[1]}/b/x", headers={"Host": HOOKS})
    assert (answer.status_code, answer.headers["Location"]) == (308, f"{PUBLIC}/b/x")
    assert proxy.base_url.scheme == "https"
