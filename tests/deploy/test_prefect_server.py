"""Prefect's server as docs/deploy.md sets it up: nobody without the log-in, a worker with it, lines as JSON, secrets from blocks, pools by our templates."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.fernet import Fernet
from httpx import Client
from prefect.blocks.system import Secret
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, PREFECT_HOME, temporary_settings
from sqlalchemy import text

from config.settings import HOUSE
from ledger import vault
from ledger.engine import connection
from local.deploy import deploy
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.prefect_process import PrefectProcess, running_prefect, until
from tests.plugins.sandbox_process import Sandbox

LOG_IN = "lantern:made-up-pass-word"
KEPT = "made-up-index-key-of-a-block"
RUN_SECONDS_MAX = 120.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectProcess]:
    """A server that asks for a log-in, writes JSON lines and has a key of its own for its blocks."""
    folder = tmp_path_factory.mktemp("guarded")
    given = {
        "PREFECT_SERVER_API_AUTH_STRING": LOG_IN,
        "PREFECT_API_AUTH_STRING": LOG_IN,
        "PREFECT_SERVER_ENCRYPTION_KEY": Fernet.generate_key().decode(),
        "PREFECT_LOGGING_SETTINGS_PATH": str(HOUSE / "config" / "prefect-logging.yaml"),
        "PREFECT_SERVER_METRICS_ENABLED": "true",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(folder / "ui"),
    }
    with (
        running_prefect(folder, **given) as guarded,
        temporary_settings({PREFECT_API_URL: guarded.api, PREFECT_HOME: folder, PREFECT_API_AUTH_STRING: LOG_IN}),
    ):
        yield guarded


@pytest.fixture
def client(server: PrefectProcess) -> Iterator[SyncPrefectClient]:
    """With the log-in."""
    del server
    with get_client(sync_client=True) as talking:
        yield talking


def asked(server: PrefectProcess, path: str, *, log_in: str | None = None, method: str = "GET") -> int:
    with Client(trust_env=False) as anybody:
        auth = None if log_in is None else (log_in.split(":")[0], log_in.split(":")[1])
        return anybody.request(method, server.api + path, auth=auth, json={} if method == "POST" else None).status_code


def test_nobody_reaches_the_api_without_the_log_in(server: PrefectProcess) -> None:
    asks = [
        ("/admin/version", "GET"),
        ("/flows/filter", "POST"),
        ("/flow_runs/filter", "POST"),
        ("/block_documents/filter", "POST"),
        ("/metrics", "GET"),
    ]
    assert [asked(server, path, method=method) for path, method in asks] == [401] * len(asks)
    assert [asked(server, path, method=method, log_in="lantern:wrong") for path, method in asks] == [401] * len(asks)
    assert [asked(server, path, method=method, log_in=LOG_IN) for path, method in asks] == [200] * len(asks)


def test_machines_may_ask_how_it_is_without_one(server: PrefectProcess) -> None:
    assert [asked(server, path) for path in ("/health", "/ready")] == [200, 200]


def test_the_ui_is_there_from_a_folder_that_the_server_may_write(server: PrefectProcess) -> None:
    """Elsewhere it would write where Prefect is installed, and have no UI on a read-only file system (tried)."""
    with Client(trust_env=False, follow_redirects=True) as anybody:
        page = anybody.get(server.api.removesuffix("/api") + "/")
    assert (page.status_code, "<html" in page.text) == (200, True)
    assert any((server.folder / "ui").rglob("index.html"))
    for file in ("systemd/tideover-prefect.service", "docker/Dockerfile"):
        assert "PREFECT_SERVER_UI_STATIC_DIRECTORY=/var/lib/tideover/" in (HOUSE / "deploy" / file).read_text()


def settings_of(server: PrefectProcess, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a new process takes as its index key."""
    program = "from config.settings import settings; print(settings().index_key.get_secret_value())"
    given = {**server.environment, "TIDEOVER_SECRETS": "prefect", "PREFECT_CLIENT_MAX_RETRIES": "0", **environment}
    for name in set(given) & {"TIDEOVER_INDEX_KEY"} - set(environment):
        del given[name]
    return subprocess.run([sys.executable, "-c", program], cwd=HOUSE, env=given, check=False, capture_output=True, text=True)


def test_a_secret_comes_from_its_block_unless_the_environment_says_another(server: PrefectProcess, client: SyncPrefectClient) -> None:
    assert settings_of(server).stdout == "\n"
    Secret(value=KEPT).save("tideover-index-key", overwrite=True)
    assert settings_of(server).stdout == f"{KEPT}\n"
    assert settings_of(server, TIDEOVER_INDEX_KEY="said here").stdout == "said here\n"
    assert client.read_block_document_by_name("tideover-index-key", "secret", include_secrets=False).data["value"] != KEPT
    # At rest it is encrypted with a key that is not in the database.
    assert not any(KEPT.encode() in path.read_bytes() for path in server.folder.glob("prefect.db*"))


def test_a_process_without_the_log_in_does_not_start_with_half_its_secrets(server: PrefectProcess) -> None:
    done = settings_of(server, PREFECT_API_AUTH_STRING="lantern:wrong")
    assert done.returncode != 0
    assert "SecretsAwayError" in done.stderr
    assert "cannot be asked" in done.stderr


@pytest.mark.parametrize("kind", ["docker", "kubernetes"])
def test_the_server_takes_our_templates_and_would_refuse_a_gap_without_a_variable(client: SyncPrefectClient, kind: str) -> None:
    template: dict[str, Any] = json.loads((HOUSE / "deploy" / kind / "base-job-template.json").read_text())
    client.create_work_pool(WorkPoolCreate(name=f"tried-{kind}", type=kind, base_job_template=template))
    kept = client.read_work_pool(f"tried-{kind}")
    assert (kept.type, kept.base_job_template) == (kind, template)
    gap = WorkPoolCreate(name="gap", type=kind, base_job_template={**template, "job_configuration": {"image": "{{ nobody }}"}})
    with pytest.raises(PrefectHTTPStatusError, match="422"):
        client.create_work_pool(gap)


def test_a_worker_with_the_log_in_runs_a_stage_says_it_is_well_and_logs_lines_that_know_the_run_and_nobody(
    server: PrefectProcess, client: SyncPrefectClient, portfolio: Portfolio, sandbox: Sandbox, ledger_url: str
) -> None:
    portfolio.clock(noon("US"))
    sandbox.step(noon("US").isoformat())
    for _ in range(3):
        portfolio.borrower(push=False)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server.environment |= {
        **{name: os.environ[name] for name in ("TIDEOVER_ENCRYPTION_KEYS", "TIDEOVER_INDEX_KEY", "TIDEOVER_SEED")},
        "TIDEOVER_DATABASE_URL": ledger_url,
        "TIDEOVER_TWILIO_BASE_URL": sandbox.url,
        "TIDEOVER_TWILIO_ACCOUNT_SID": sandbox.account_sid,
        "TIDEOVER_TWILIO_AUTH_TOKEN": sandbox.auth_token,
        "PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1",
        "PREFECT_WORKER_WEBSERVER_PORT": str(port),
        "PYTHONUNBUFFERED": "1",
    }
    deploy()
    run = client.create_flow_run_from_deployment(client.read_deployment_by_name("early/daily").id, parameters={"as_of": TODAY.isoformat()})
    worker = server.spawn("prefect", "worker", "start", "--pool", "tideover", "--type", "process", "--with-healthcheck", log="worker.log")
    ended = until(lambda: _ended(client, run.id), seconds_max=RUN_SECONDS_MAX)
    assert ended == "COMPLETED", server.log("worker.log")[-3000:]
    with Client(trust_env=False) as anybody:
        assert anybody.get(f"http://127.0.0.1:{port}/health").status_code == 200
    worker.terminate()
    worker.wait(60)

    written = server.log("worker.log")
    lines = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
    # What is no line of a log is the command's own greeting.
    assert [line for line in written.splitlines() if not line.startswith("{") and "|" in line] == []
    of_run = [line for line in lines if line.get("flow_run") == str(run.id)]
    assert {"open early", "close run 1"} <= {line.get("task_run_name") for line in of_run}
    sent = [line for line in of_run if line.get("task_run_name", "").startswith("send ")]
    # Prefect says after the task, whose run is no longer known, how it ended.
    assert {line.get("campaign_run") for line in sent} - {None} == {"1"}
    assert any("now accepted 3" in line["message"] for line in sent)
    told = [value for value in _personal() if value in written or value in server.log("server.log")]
    assert len(told) == 0, f"{len(told)} numbers reached a log"


def _ended(client: SyncPrefectClient, run_id: Any) -> str | None:
    state = client.read_flow_run(run_id).state
    return state.type.value if state is not None and state.is_final() else None


def _personal() -> set[str]:
    """Every number in the ledger."""
    with connection() as tx:
        found = {vault.decrypt(*row) for row in tx.execute(text("SELECT value_encrypted, key_id FROM contact_point_version")).all()}
    assert found
    return found
