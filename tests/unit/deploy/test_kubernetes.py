"""Render deploy/kubernetes with kubectl, validate it against the schemas of Kubernetes, and check what pods may do."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
KUBECTL = shutil.which("kubectl", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
VERSIONS = ("1.33", "1.37")


@pytest.fixture(scope="module")
def rendered() -> list[dict[str, Any]]:
    if not KUBECTL and os.environ.get("CI") != "true":
        pytest.skip("there is no kubectl: tools/install_kubectl.sh")
    assert KUBECTL, "tools/install_kubectl.sh"
    command = [KUBECTL, "kustomize", str(ROOT / "deploy/kubernetes")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(rendered: list[dict[str, Any]], *kinds: str) -> dict[str, dict[str, Any]]:
    return {resource["metadata"]["name"]: resource for resource in rendered if resource["kind"] in kinds}


def containers(resource: dict[str, Any]) -> list[dict[str, Any]]:
    pod = resource["spec"]["template"]["spec"]
    return [*pod["containers"], *pod.get("initContainers", ())]


@pytest.mark.parametrize("version", VERSIONS)
def test_all_resources_are_valid(rendered: list[dict[str, Any]], version: str) -> None:
    import kubernetes_validate  # compiles grammars for seconds, in each process that collects this

    assert len(rendered) > 15
    for resource in rendered:
        kubernetes_validate.validate(resource, version, strict=True)


def test_every_service_is_deployed_with_its_image_and_ports(rendered: list[dict[str, Any]]) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    deployments = of_kind(rendered, "Deployment")
    ours = {name for name, service in COMPOSE["services"].items() if "build" in service}
    assert {name.replace("-", "_") for name in deployments} == ours
    for name, deployment in deployments.items():
        (container,) = containers(deployment)
        build = COMPOSE["services"][name.replace("-", "_")]["build"]["args"]
        assert container["image"] == f"imageblur/{build['SERVICE']}:{version}"
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert ports["metrics"] == build["METRICS_PORT"]
        assert container["livenessProbe"]
        assert container["readinessProbe"]
        assert container["startupProbe"]
        assert deployment["spec"]["replicas"] >= 2
        grace = COMPOSE["services"][name.replace("-", "_")]["stop_grace_period"]
        assert f"{deployment['spec']['template']['spec']['terminationGracePeriodSeconds']}s" == grace


def test_pods_may_do_nothing_that_they_need_not(rendered: list[dict[str, Any]]) -> None:
    for resource in of_kind(rendered, "Deployment", "Job").values():
        pod = resource["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(resource):
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert {"scratch", "secrets"} <= mounted <= {volume["name"] for volume in pod["volumes"]}


def test_pods_get_only_their_own_secrets(rendered: list[dict[str, Any]]) -> None:
    made = (ROOT / "deploy/secrets.sh").read_text("utf-8")
    for name, resource in of_kind(rendered, "Deployment", "Job").items():
        text = yaml.safe_dump(resource["spec"]["template"]["spec"]["volumes"])
        keys = {word for word in text.split() if word.startswith("imageblur_")}
        assert keys
        assert all(f"put {key} " in made for key in keys), name
        if (service := COMPOSE["services"].get(name.replace("-", "_"))) and name != "migrate":
            assert keys == {secret for secret in service["secrets"] if secret.startswith("imageblur_")}


def test_a_budget_and_a_policy_for_each(rendered: list[dict[str, Any]]) -> None:
    deployments = set(of_kind(rendered, "Deployment"))
    assert set(of_kind(rendered, "PodDisruptionBudget")) == deployments
    for name, budget in of_kind(rendered, "PodDisruptionBudget").items():
        labels = of_kind(rendered, "Deployment")[name]["spec"]["template"]["metadata"]["labels"]
        assert budget["spec"]["selector"]["matchLabels"].items() <= labels.items()
    (autoscaler,) = of_kind(rendered, "HorizontalPodAutoscaler").values()
    assert autoscaler["spec"]["scaleTargetRef"]["name"] in deployments
    (metric,) = autoscaler["spec"]["metrics"]
    assert metric["external"]["metric"]["name"] in (ROOT / "services/scheduler/metrics.py").read_text("utf-8")
    assert set(of_kind(rendered, "NetworkPolicy")) == {"ingress", "gateway", "web"}


def test_everything_that_emails_need_is_set_or_a_secret(rendered: list[dict[str, Any]]) -> None:
    """The same settings as in compose.yaml: none of them missing, misspelt, or in plain text."""
    (settings,) = (
        each["data"] for name, each in of_kind(rendered, "ConfigMap").items() if name.startswith("imageblur")
    )
    mailer = COMPOSE["services"]["mailer"]["environment"]
    shared = COMPOSE["x-service"]["environment"]
    wanted = {name for name in mailer if name.startswith("IMAGEBLUR_") and name not in shared}
    secret = {name for name in wanted if name.endswith(("_USER", "_PASSWORD"))}
    texts = {"IMAGEBLUR_MAILING_TEXT_DIR", "IMAGEBLUR_MAIL_TEMPLATES_DIR"}  # written on the operators' pages
    assert wanted - secret - texts <= settings.keys()
    assert not secret & settings.keys()
    operations = (ROOT / "docs/operations.md").read_text("utf-8")
    assert all(f"--from-literal={name.lower()}=" in operations for name in secret)
    known = set(re.findall(r"^\| `(IMAGEBLUR_\w+)`", (ROOT / "docs/settings.md").read_text("utf-8"), re.MULTILINE))
    assert {name for name in [*settings, *mailer] if name.startswith("IMAGEBLUR_")} <= known
    table = operations.partition("### Settings of e-mails")[2].partition("\n\n| setting")[2].partition("\n\n")[0]
    documented = set(re.findall(r"`(IMAGEBLUR_\w+)`", table))
    assert documented <= wanted, "documented and not passed on"


def test_the_signing_key_is_where_the_settings_say(rendered: list[dict[str, Any]]) -> None:
    (settings,) = (
        each["data"] for name, each in of_kind(rendered, "ConfigMap").items() if name.startswith("imageblur")
    )
    pod = of_kind(rendered, "Deployment")["mailer"]["spec"]["template"]["spec"]
    (mounted,) = (each for each in pod["containers"][0]["volumeMounts"] if each["name"] == "secrets")
    sources = [
        source["secret"]["name"]
        for volume in pod["volumes"]
        for source in volume.get("projected", {}).get("sources", ())
    ]
    assert settings["IMAGEBLUR_DKIM_KEY_FILE"] == f"{mounted['mountPath']}/dkim.pem"
    assert "imageblur-dkim" in sources
    assert "secrets/dkim.pem" in (ROOT / "deploy/secrets.sh").read_text("utf-8")
