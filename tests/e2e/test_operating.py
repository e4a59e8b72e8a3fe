"""Commands of an operator on a stack that runs."""

import json
import os
import subprocess
import sys

from services.stack.background import BackgroundStack
from tests.e2e.mail import emails_to, run_mailing, wait_for_emails


def operate(stack: BackgroundStack, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"IMAGEBLUR_DATA_DIR": str(stack.places.data)}
    arguments = [sys.executable, "-m", "services.stack", "operate", *command]
    return subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_mail_server_is_checked_and_a_mailing_tried(stack: BackgroundStack) -> None:
    checked = operate(stack, "mailer", "check", "operator@example.org")
    assert checked.returncode == 0, checked.stderr
    assert "taken: 250 2.0.0 kept" in checked.stdout
    assert operate(stack, "mailer", "test-mailing", "operator@example.org", "--locale", "ru").returncode == 0
    first, second = wait_for_emails(stack, "operator@example.org", 2)
    assert "imageblur-can-send-mail" in first.name
    assert "ImageBlur за неделю" in (second / "body.txt").read_text("utf-8")


def test_mailings_are_looked_at_and_what_is_wrong_is_said(stack: BackgroundStack) -> None:
    run_mailing(stack)
    shown = operate(stack, "scheduler", "mailings")
    assert "manual:" in shown.stdout, shown.stderr
    unknown = operate(stack, "scheduler", "cancel-mailing", "7f6f0a0e-53a1-4a6c-8a40-8d2c9c1cf0aa")
    assert unknown.returncode == 1
    assert "there is no mailing under way" in unknown.stderr
    assert "Traceback" not in unknown.stderr
    wrong = operate(stack, "gateway", "serve")
    assert wrong.returncode != 0
    assert "operate needs one of mailer, scheduler, people" in wrong.stderr


def test_a_persons_data_is_handed_out(stack: BackgroundStack) -> None:
    exported = operate(stack, "people", "export", "nobody@example.org")
    assert json.loads(exported.stdout) == {"address": "nobody@example.org", "subscription": None, "orders": []}
    assert not emails_to(stack, "nobody@example.org")
