"""What each process counts, and that dashboards and alerts speak of nothing else."""

import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from imageblur_client import Client
from prometheus_client.parser import text_string_to_metric_families

from services.stack.background import BackgroundStack
from tests.e2e.conftest import METRICS_PORTS, PHOTOGRAPHS
from tests.support.waiting import eventually

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = DEPLOY / "prometheus/alerts.yml"
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def page(service: str) -> str:
    """What it shows; nothing while it starts again, after other tests have killed it."""
    try:
        with _direct.open(f"http://127.0.0.1:{METRICS_PORTS[service]}/metrics", timeout=10) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def scrape(service: str) -> dict[str, list[Any]]:
    """The samples of a service by name."""
    text = eventually(lambda: page(service), every=0.2)
    samples: dict[str, list[Any]] = {}
    for family in text_string_to_metric_families(text):
        if not family.samples:  # one that counts by label, and has counted nothing yet
            samples.setdefault(f"{family.name}_total" if family.type == "counter" else family.name, [])
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(sample)
        if family.type == "histogram":
            for suffix in ("bucket", "count", "sum"):
                samples.setdefault(f"{family.name}_{suffix}", [])
    return samples


def value(service: str, name: str, **labels: str) -> float:
    """What a service counts under a name and labels, added up."""
    return float(sum(s.value for s in scrape(service).get(name, ()) if labels.items() <= s.labels.items()))


def test_an_order_is_counted_everywhere(client: Client) -> None:
    before = {
        "rpcs": value("gateway", "imageblur_rpcs_total", method="StreamBlurOrder", code="OK"),
        "images": value("blur_worker", "imageblur_images_total", outcome="SUCCEEDED", effect="gaussian"),
        "emails": value("mailer", "imageblur_emails_total", kind="ORDER_READY", outcome="SENT"),
        "measured": value("scheduler", "imageblur_jobs_total", job="backlog", outcome="ok"),
    }
    order = client.order("counted@example.org", [PHOTOGRAPHS / "rocket.jpg"] * 2, notify=True)
    for _ in client.watch(order.order_id):
        pass

    def counted() -> bool:
        assert value("gateway", "imageblur_rpcs_total", method="StreamBlurOrder", code="OK") > before["rpcs"]
        counts = value("blur_worker", "imageblur_images_total", outcome="SUCCEEDED", effect="gaussian")
        assert counts >= before["images"] + 2  # what earlier tests left may still be worked on
        emails = value("mailer", "imageblur_emails_total", kind="ORDER_READY", outcome="SENT")
        assert emails > before["emails"]
        return value("scheduler", "imageblur_jobs_total", job="backlog", outcome="ok") > before["measured"]

    eventually(counted, every=0.2)
    assert value("blur_worker", "imageblur_stage_seconds_count", stage="decode") >= 2

    def well() -> bool:
        assert value("gateway", "imageblur_dependency_up") == 4
        children = value("blur_worker", "imageblur_blur_children")
        assert children == value("blur_worker", "imageblur_blur_children_expected") > 0
        return value("scheduler", "imageblur_waiting_rows", what="images") == 0

    # Services that other tests have killed, or a busy machine, take a while.
    eventually(well, every=0.2)


@pytest.mark.usefixtures("stack")
def test_dashboards_and_alerts_name_what_there_is() -> None:
    there = {name for service in METRICS_PORTS for name in scrape(service)}
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    boards = [json.loads(path.read_text()) for path in (DEPLOY / "grafana/dashboards").glob("*.json")]
    asked = [rule["expr"] for rule in rules]
    asked += [target["expr"] for board in boards for panel in board["panels"] for target in panel.get("targets", ())]
    assert len(asked) > 20
    unknown = {name for expr in asked for name in _names(expr)} - there
    assert not unknown, unknown


def _names(expr: str) -> Iterable[str]:
    return re.findall(r"\bimageblur_\w+", expr)


def test_pages_are_counted_without_their_paths(stack: BackgroundStack) -> None:
    _direct.open(f"{stack.web}/", timeout=20).close()
    assert value("web", "imageblur_pages_total", method="GET", status="200") >= 1
    assert {key for sample in scrape("web")["imageblur_pages_total"] for key in sample.labels} == {"method", "status"}


def test_alerts_are_explained() -> None:
    manual = (DEPLOY.parent / "docs/operations.md").read_text("utf-8")
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            assert f"### {rule['alert']}" in manual, f"what is to be done about {rule['alert']}?"
            assert rule["annotations"]["summary"]


def test_prometheus_takes_rules_and_configuration() -> None:
    promtool = shutil.which("promtool")
    if promtool:  # Debian's prometheus brings it; their shape is looked at above
        for command in (
            ["check", "rules", str(RULES)],
            ["check", "config", "--syntax-only", str(RULES.with_name("prometheus.yml"))],
        ):
            checked = subprocess.run([promtool, *command], capture_output=True, text=True, check=False, timeout=60)
            assert checked.returncode == 0, checked.stderr + checked.stdout
