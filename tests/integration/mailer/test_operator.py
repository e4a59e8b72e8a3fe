"""What an operator does at a terminal, over the real servers; and a person's data."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.common import migrations
from services.common.db.engine import Database
from tests.support.email_lint import lint
from tests.support.smtp import SmtpSink


@pytest.fixture
def environment(tmp_path: Path, smtp_sink: SmtpSink) -> dict[str, str]:
    database = Database(f"sqlite:///{tmp_path}/x.db")
    migrations.upgrade(database)
    database.close()
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "ru.txt").write_text("Subject: Новости\n\nЗаказов: $orders", "utf-8")
    return os.environ | {
        "IMAGEBLUR_DATABASE_URL": f"sqlite:///{tmp_path}/x.db",
        "IMAGEBLUR_BLOB_URL": str(tmp_path / "blobs"),
        "IMAGEBLUR_SECRET_KEY": "k" * 40,
        "IMAGEBLUR_SMTP_PORT": str(smtp_sink.port),
        "IMAGEBLUR_MAILING_TEXT_DIR": str(texts),
        "IMAGEBLUR_PUBLIC_URL": "https://blur.example.org",
    }


def command(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_a_check_tells_the_conversation_and_explains_it(environment: dict[str, str], smtp_sink: SmtpSink) -> None:
    ended = command(environment, "services.mailer", "check", "me@example.org")
    assert ended.returncode == 0, ended.stderr
    assert lint(smtp_sink.received[0].content)["Subject"] == "ImageBlur can send mail"
    lines = ended.stdout.splitlines()
    assert "! IMAGEBLUR_MAIL_FROM: e-mails come from 'localhost', a domain that other servers refuse" in lines
    assert "> rcpt TO:<(address)>" in lines
    assert any(line.startswith("    354 ") and line.endswith("-- it waits for the e-mail") for line in lines)
    assert lines[-1] == "taken: 250 2.0.0 kept"


def test_a_check_that_fails_says_why(environment: dict[str, str], smtp_sink: SmtpSink) -> None:
    smtp_sink.refuse({"me@example.org": "550 5.7.1 relaying denied"})
    ended = command(environment, "services.mailer", "check", "me@example.org")
    assert ended.returncode == 1
    assert "550 5.7.1 relaying denied  -- not allowed: this server does not relay" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "NOT taken: 550 5.7.1 relaying denied"
    assert not smtp_sink.received
    smtp_sink.close()
    ended = command(environment, "services.mailer", "check", "me@example.org")
    assert "NOT taken: [Errno" in ended.stdout


def test_a_mailing_is_looked_at_and_tried_before_it_goes_out(
    environment: dict[str, str], smtp_sink: SmtpSink, tmp_path: Path
) -> None:
    ended = command(environment, "services.mailer", "preview-mailing", str(tmp_path / "preview"))
    assert ended.returncode == 0, ended.stderr
    assert "ru: Новости" in ended.stdout
    assert "Заказов: 0" in (tmp_path / "preview" / "mailing.ru.txt").read_text("utf-8")
    assert "<h1" in (tmp_path / "preview" / "mailing.en.html").read_text("utf-8")
    assert smtp_sink.attempts == 0
    ended = command(environment, "services.mailer", "test-mailing", "me@example.org", "--locale", "ru")
    assert ended.returncode == 0, ended.stderr
    message = lint(smtp_sink.received[0].content)
    assert message["Subject"] == "Новости"
    assert message["List-Unsubscribe"].startswith("<https://blur.example.org/unsubscribe?token=")
