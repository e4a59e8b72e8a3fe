"""Alerts are about rates and about what operators can mend, not about single files of people."""

import re
from pathlib import Path

import yaml

from services.common.db.queues.depths import QUEUES
from services.common.infra.messaging.messages import INSTANT_QUEUE, MAILING_QUEUE

RULES = Path(__file__).parents[3] / "deploy" / "prometheus" / "alerts.yml"
OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"
FAILURES = {
    "imageblur_image_failures_total": {'cause="SERVICE"'},
    "imageblur_emails_total": {'outcome=~"FAILED|RETRY"'},
    # What a source's server answers, such as 404, is its order's concern; what crowds a host is no failure.
    "imageblur_fetches_total": {'outcome="RETRY"', 'outcome=~"FETCHED|FAILED|RETRY"'},
    "imageblur_webhooks_total": {'outcome=~"UNREACHABLE|REFUSED"', 'outcome=~"DELIVERED|UNREACHABLE|REFUSED"'},
}


def expressions() -> dict[str, str]:
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


def test_failures_alert_as_a_share_and_only_those_of_the_service() -> None:
    about_failures = 0
    for name, expression in expressions().items():
        for metric, selectors in FAILURES.items():
            selected = re.findall(rf"{metric}\{{([^}}]*)\}}", expression)
            if selected:
                about_failures += 1
                assert set(selected) == selectors, name
                assert " / " in expression, f"{name} is no rate"
                assert re.search(r" and .*> \d", expression), f"{name} alerts about one of few"
    assert about_failures == len(FAILURES)


def test_no_alert_counts_single_events_of_calls() -> None:
    for name, expression in expressions().items():
        if "imageblur_rpcs_total" in expression:
            assert " / " in expression, name


def test_every_queue_that_workers_serve_has_an_alert_when_it_stalls() -> None:
    stalled = {queue for text in expressions().values() for queue in re.findall(r'oldest_seconds\{queue="(\w+)"', text)}
    # Instant calls are answered or refused at once; a mailing lasts as long as its relay takes.
    assert stalled == set(QUEUES) - {INSTANT_QUEUE, MAILING_QUEUE}


def test_every_alert_is_explained() -> None:
    headings = re.findall(r"^### (\w+)$", OPERATIONS.read_text("utf-8"), re.MULTILINE)
    assert set(expressions()) <= set(headings)
