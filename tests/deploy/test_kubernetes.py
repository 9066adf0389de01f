"""The manifests: each as Kubernetes wants it, and all of them about the same thing."""

from __future__ import annotations

import re
from typing import Any

import kubernetes_validate
import pytest
import yaml

import config
from tests.deploy.proxies import DEPLOY
from tests.deploy.settings import names_of_settings

FOLDER = DEPLOY / "kubernetes"
VERSIONS = ("1.27", "1.33", "1.37")
LEAVING_S = 15
"""What a worker may take to end beside its `DRAIN_S`; see `sockets/serving/supervisor.py`."""


@pytest.fixture(scope="module")
def parts() -> dict[str, Any]:
    """By kind."""
    read = [yaml.safe_load(path.read_text("utf-8")) for path in FOLDER.glob("*.yaml")]
    return {part["kind"]: part for part in read if "kind" in part}


@pytest.fixture(scope="module")
def pod(parts: dict[str, Any]) -> Any:
    return parts["Deployment"]["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def container(pod: Any) -> Any:
    (container,) = pod["containers"]
    return container


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_follows_its_schema(parts: dict[str, Any], version: str) -> None:
    """Strictly: no field that Kubernetes would ignore."""
    for part in parts.values():
        if part["kind"] != "Kustomization":
            kubernetes_validate.validate(part, version, strict=True)


def test_what_is_applied_is_there(parts: dict[str, Any]) -> None:
    """Everything but the secret, whose example must not be applied by mistake."""
    files = {path.name for path in FOLDER.glob("*.yaml")}
    left_out = files - set(parts["Kustomization"]["resources"])
    assert left_out == {"kustomization.yaml", "secret.example.yaml", "prometheus-adapter.yaml"}
    assert files >= set(parts["Kustomization"]["resources"])


def test_the_server_takes_these_settings(parts: dict[str, Any], container: Any) -> None:
    """Each name is one of the server's; with the image's own they are a server that starts."""
    settings, secrets = parts["ConfigMap"]["data"], parts["Secret"]["stringData"]
    assert set(settings) | set(secrets) <= names_of_settings()
    assert [next(iter(source.values()))["name"] for source in container["envFrom"]] == ["parley", "parley"]
    given = {one["name"]: one.get("value", "") for one in container["env"]}
    assert set(given) - {"POD_IP"} <= names_of_settings()
    loaded = config.load({"HOST": "0.0.0.0", **settings, **secrets, **given})
    assert loaded.server.workers == 2
    assert loaded.server.machine_address == f"$(POD_IP):{container['ports'][0]['containerPort']}"


def test_a_pod_has_the_time_it_needs_to_end(parts: dict[str, Any], pod: Any, container: Any) -> None:
    """To be forgotten by the ingress, to drain, to leave."""
    (_, pause_s) = container["lifecycle"]["preStop"]["exec"]["command"]
    drain_s = float(parts["ConfigMap"]["data"]["DRAIN_S"])
    assert pod["terminationGracePeriodSeconds"] > int(pause_s) + drain_s + LEAVING_S
    assert parts["Deployment"]["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_names_and_labels_match(parts: dict[str, Any], pod: Any, container: Any) -> None:
    """Selectors find the pods, the ingress the service, the service the port, volumes their claims."""
    deployment = parts["Deployment"]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    (spread,) = pod["topologySpreadConstraints"]
    for chosen in (
        deployment["selector"]["matchLabels"],
        parts["Service"]["spec"]["selector"],
        parts["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        spread["labelSelector"]["matchLabels"],
    ):
        assert chosen == labels
    (port,), (named,) = parts["Service"]["spec"]["ports"], container["ports"]
    assert port["targetPort"] == named["name"] == "http"
    image = (DEPLOY.parent / "Dockerfile").read_text("utf-8")
    assert f"EXPOSE {named['containerPort']}\n" in image
    annotations = deployment["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(named["containerPort"])
    (rule,) = parts["Ingress"]["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert path["backend"]["service"] == {"name": parts["Service"]["metadata"]["name"], "port": {"name": port["name"]}}
    assert parts["ConfigMap"]["data"]["ALLOWED_ORIGINS"] == f"https://{rule['host']}"
    assert [tls["hosts"] for tls in parts["Ingress"]["spec"]["tls"]] == [[rule["host"]]]
    target = parts["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", parts["Deployment"]["metadata"]["name"])
    mounted, volumes = container["volumeMounts"], {volume["name"]: volume for volume in pod["volumes"]}
    assert {mount["name"] for mount in mounted} == set(volumes)
    claim = volumes["pictures"]["persistentVolumeClaim"]["claimName"]
    assert claim == parts["PersistentVolumeClaim"]["metadata"]["name"]
    assert parts["Kustomization"]["images"][0]["name"] == container["image"]


def test_probes_ask_what_the_server_answers(container: Any) -> None:
    """Life and readiness, from elsewhere than this machine."""
    asked = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}
    assert asked == {"startup": "/healthz", "readiness": "/readyz", "liveness": "/healthz"}


def test_a_pod_has_no_rights(pod: Any, container: Any) -> None:
    """It runs as the image's user and can write nowhere but to its volumes."""
    user = re.search(r"^USER (\d+):(\d+)$", (DEPLOY.parent / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert user is not None
    context = pod["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == (int(user[1]), int(user[2]))
    assert context["runAsNonRoot"] and not pod["automountServiceAccountToken"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"/data", "/tmp"} <= {mount["mountPath"] for mount in container["volumeMounts"]}


def test_it_grows_by_a_metric_that_is_told(parts: dict[str, Any]) -> None:
    """The same name at the server, the adapter and the autoscaler."""
    (metric,) = parts["HorizontalPodAutoscaler"]["spec"]["metrics"]
    name = metric["pods"]["metric"]["name"]
    (rule,) = yaml.safe_load((FOLDER / "prometheus-adapter.yaml").read_text("utf-8"))["rules"]["custom"]
    assert rule["name"]["matches"] == name
    assert rule["seriesQuery"].startswith(f"{name}{{")
    assert f'gauge("{name}"' in (DEPLOY.parent / "sockets" / "gateway.py").read_text("utf-8")
