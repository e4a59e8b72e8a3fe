"""Alerts are about rates and about what operators can mend, not about single files of people."""

import re
from pathlib import Path

import yaml

RULES = Path(__file__).parents[3] / "deploy" / "prometheus" / "alerts.yml"
FAILURES = {"imageblur_image_failures_total": 'cause="SERVICE"', "imageblur_emails_total": 'outcome=~"FAILED|RETRY"'}


def expressions() -> dict[str, str]:
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


def test_failures_alert_as_a_share_and_only_those_of_the_service() -> None:
    about_failures = 0
    for name, expression in expressions().items():
        for metric, selector in FAILURES.items():
            numerators = re.findall(rf"{metric}\{{([^}}]*)\}}", expression)
            if numerators:
                about_failures += 1
                assert set(numerators) == {selector}, name
                assert " / " in expression, f"{name} is no rate"
                assert re.search(r" and .*> \d", expression), f"{name} alerts about one of few"
    assert about_failures == len(FAILURES)


def test_no_alert_counts_single_events_of_calls() -> None:
    for name, expression in expressions().items():
        if "imageblur_rpcs_total" in expression:
            assert " / " in expression, name
