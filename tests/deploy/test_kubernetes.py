"""The manifests: they are whole, fit each other, and hold no secret. No cluster is here; kubectl renders them where it is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.secret_blocks import secret_names
from config.settings import Settings
from portal.app import app

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
Manifest = dict[str, Any]
DOCUMENTS: list[Manifest] = [
    document for name in KUSTOMIZATION["resources"] for document in yaml.safe_load_all((FOLDER / name).read_text())
]
TEMPLATE: Manifest = json.loads((FOLDER / "base-job-template.json").read_text())
RUN: Manifest = TEMPLATE["job_configuration"]["job_manifest"]
# Made by hand or by a vault (docs/deploy.md); `tideover-fcm` may be missing.
SECRETS = {"tideover", "tideover-database", "tideover-prefect", "tideover-fcm", "hooks-tls"}
LONG_LIVED = {"portal", "worker", "prefect-server"}


def pods() -> Iterator[tuple[str, Manifest]]:
    """Name → what a pod is made of."""
    for document in DOCUMENTS:
        if document["kind"] in {"Deployment", "Job"}:
            yield document["metadata"]["name"], document["spec"]["template"]
        if document["kind"] == "CronJob":
            yield document["metadata"]["name"], document["spec"]["jobTemplate"]["spec"]["template"]
    yield "run", RUN["spec"]["template"]


PODS = dict(pods())


def named(kind: str) -> set[str]:
    return {document["metadata"]["name"] for document in DOCUMENTS if document["kind"] == kind}


@pytest.mark.parametrize("name", PODS)
def test_every_pod_is_shut_away_and_limited(name: str) -> None:
    spec = PODS[name]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec.get("automountServiceAccountToken") is False or name == "worker"
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"requests", "limits"} == set(container["resources"])
        assert all({"cpu", "memory"} == set(container["resources"][kind]) for kind in ("requests", "limits"))


@pytest.mark.parametrize("name", sorted(LONG_LIVED))
def test_what_runs_for_long_is_asked_how_it_is(name: str) -> None:
    (container,) = PODS[name]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] in ports
    if name == "portal":
        assert container["livenessProbe"]["httpGet"]["path"] == "/health"
        assert container["readinessProbe"]["httpGet"]["path"] == "/ready"
        assert {"/health", "/ready"} <= {app.url_path_for(name) for name in ("health", "ready")}


@pytest.mark.parametrize("name", PODS)
def test_secrets_come_from_secrets_and_from_nowhere_else(name: str) -> None:
    secret = {f"TIDEOVER_{one.upper()}" for one in secret_names(Settings)} | {"PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING"}
    for container in PODS[name]["spec"]["containers"]:
        given = container.get("env", [])
        assert [one["name"] for one in given if one["name"] in secret and "secretKeyRef" not in one.get("valueFrom", {})] == []
        used = {one["valueFrom"]["secretKeyRef"]["name"] for one in given if "valueFrom" in one}
        used |= {one["secretRef"]["name"] for one in container.get("envFrom", []) if "secretRef" in one}
        assert used <= SECRETS
        if name in {"backup", "migrate"}:
            assert used == {"tideover-database"}
    assert named("Secret") == set()


def test_what_is_no_secret_is_a_setting_that_there_is() -> None:
    (config,) = [document["data"] for document in DOCUMENTS if document["kind"] == "ConfigMap"]
    ours = {f"TIDEOVER_{name.upper()}" for name in Settings.model_fields}
    assert {name for name in config if name.startswith("TIDEOVER_")} <= ours
    assert not {f"TIDEOVER_{name.upper()}" for name in secret_names(Settings)} & set(config)


def test_volumes_claims_accounts_and_ports_fit_each_other() -> None:
    claims, accounts = named("PersistentVolumeClaim"), named("ServiceAccount")
    for name, pod in PODS.items():
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", [])}
        for container in pod["spec"]["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes), name
        assert {volume["persistentVolumeClaim"]["claimName"] for volume in volumes.values() if "persistentVolumeClaim" in volume} <= claims
    assert PODS["worker"]["spec"]["serviceAccountName"] in accounts
    assert TEMPLATE["variables"]["properties"]["service_account_name"]["default"] in accounts
    for service in (document for document in DOCUMENTS if document["kind"] == "Service"):
        name = service["spec"]["selector"]["app.kubernetes.io/name"]
        ports = {port["name"]: port["containerPort"] for port in PODS[name]["spec"]["containers"][0]["ports"]}
        assert all(port["targetPort"] in ports and port["port"] == ports[port["targetPort"]] for port in service["spec"]["ports"])
    images = {image["name"] for image in KUSTOMIZATION["images"]}
    assert {container["image"] for name, pod in PODS.items() if name != "run" for container in pod["spec"]["containers"]} == images


def test_every_pod_that_must_reach_prefect_is_let_in() -> None:
    """Prefect's worker writes its own `part-of` on the pods of runs, but leaves their name."""
    (policy,) = [
        document for document in DOCUMENTS if document["kind"] == "NetworkPolicy" and document["metadata"]["name"] == "prefect-server"
    ]
    let_in = policy["spec"]["ingress"][0]["from"][0]["podSelector"]["matchExpressions"][0]
    assert let_in["key"] == "app.kubernetes.io/name"
    assert {PODS[name]["metadata"]["labels"]["app.kubernetes.io/name"] for name in ("worker", "run")} <= set(let_in["values"])


def test_the_worker_may_do_what_starting_a_run_takes_and_read_no_secret() -> None:
    (role,) = [document for document in DOCUMENTS if document["kind"] == "Role"]
    may = {resource: set(rule["verbs"]) for rule in role["rules"] for resource in rule["resources"]}
    assert {"get", "list", "watch", "create", "delete"} <= may["jobs"]
    assert "secrets" not in may
    assert "*" not in {verb for verbs in may.values() for verb in verbs}
    given = {one["name"]: one.get("value") for one in PODS["worker"]["spec"]["containers"][0]["env"]}
    assert given["PREFECT_INTEGRATIONS_KUBERNETES_WORKER_API_AUTH_STRING_SECRET_NAME"] in SECRETS


def test_every_gap_of_the_runs_template_is_a_variable_and_a_run_is_never_tried_again_by_kubernetes() -> None:
    variables = TEMPLATE["variables"]["properties"]
    assert set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(TEMPLATE["job_configuration"]))) <= set(variables)
    assert variables["backoff_limit"]["default"] == 0
    assert variables["finished_job_ttl"]["default"] > 0
    assert RUN["spec"]["template"]["spec"]["restartPolicy"] == "Never"


@pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="kubectl is not on this machine: what it would render is read as it stands above"
)
def test_kubectl_renders_all_of_it_into_one_namespace() -> None:
    done = subprocess.run(["kubectl", "kustomize", str(FOLDER)], check=True, capture_output=True, text=True)
    rendered = list(yaml.safe_load_all(done.stdout))
    assert len(rendered) == len(DOCUMENTS)
    assert {one["metadata"].get("namespace", "tideover") for one in rendered} == {"tideover"}
    images = {
        container["image"] for one in rendered if one["kind"] == "Deployment" for container in one["spec"]["template"]["spec"]["containers"]
    }
    assert all(re.fullmatch(r"registry\.example\.com/tideover(-pools)?:\d+\.\d+\.\d+", image) for image in images)
