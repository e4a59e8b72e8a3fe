"""Operator jobs over the real servers: check the mail server, preview and test the newsletter, run a mailing."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from services.common.db.engine import Database
from services.common.db.mail import mailings, operator_jobs
from services.common.infra.blobs import BlobStore
from services.common.infra.broker import Broker
from services.common.infra.messages import MAILING_QUEUE, OperatorJobKind
from services.common.infra.tokens import Tokens
from services.common.use_cases.after_commit import AfterCommit
from services.mailer.content.newsletter import NewsletterDrafter
from services.mailer.content.render import Renderer
from services.mailer.mime.composer import EmailComposer
from services.mailer.operator_jobs.operator_emails import OperatorEmails
from services.mailer.operator_jobs.run_job import RunOperatorJob
from tests.integration.mailer.conftest import IDENTITY, smtp_server
from tests.support.email_lint import lint
from tests.support.smtp import SmtpSink

RunJob = Callable[..., Mapping[str, Any]]


@pytest.fixture
def text_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "ru.txt").write_text("Subject: Новости\n\nЗаказов: $orders", "utf-8")
    return folder


@pytest.fixture
def run_job(database: Database, queues: Broker, tokens: Tokens, smtp_sink: SmtpSink, text_folder: Path) -> RunJob:
    """Runs a job and returns its answer; `refused` is a member of it."""
    run = RunOperatorJob(
        time_zone="Europe/Moscow",
        database=database,
        after_commit=AfterCommit(database=database, broker=queues),
        operator_emails=OperatorEmails(
            database=database,
            composer=EmailComposer(blobs=BlobStore(str(text_folder)), render=Renderer(), identity=IDENTITY),
            server=smtp_server(smtp_sink),
            drafter=NewsletterDrafter(tokens=tokens, public_url="https://blur.example.org"),
            text_folder=text_folder,
        ),
        find_warnings=lambda: ["IMAGEBLUR_X: wrong"],
        connections=2,
    )

    def answer(kind: OperatorJobKind, **request: str) -> Mapping[str, Any]:
        with database.write() as session:
            job_id = operator_jobs.insert_job(session, kind, request)
        run(job_id)
        with database.read() as session:
            answer = operator_jobs.get_status(session, job_id).answer
        assert answer
        return {"refused": answer.refused, **answer.values}

    return answer


def test_a_check_reports_the_conversation_and_explains_it(run_job: RunJob, smtp_sink: SmtpSink) -> None:
    answer = run_job(OperatorJobKind.CHECK_MAIL, address="me@example.org", locale="en")
    assert lint(smtp_sink.received[0].content)["Subject"] == "ImageBlur can send mail"
    lines = answer["transcript"]
    assert "> rcpt TO:<(address)>" in lines
    assert any(line.startswith("    354 ") and line.endswith("-- send the e-mail") for line in lines)
    assert (answer["accepted"], answer["server_reply"]) == (True, "250 2.0.0 kept")
    assert answer["warnings"] == ["IMAGEBLUR_X: wrong"]


def test_a_check_that_fails_reports_why(run_job: RunJob, smtp_sink: SmtpSink) -> None:
    smtp_sink.refuse({"me@example.org": "550 5.7.1 relaying denied"})
    answer = run_job(OperatorJobKind.CHECK_MAIL, address="me@example.org")
    assert (answer["accepted"], answer["server_reply"]) == (False, "550 5.7.1 relaying denied")
    explained = "550 5.7.1 relaying denied  -- not allowed: this server does not relay"
    assert any(explained in line for line in answer["transcript"])
    assert not smtp_sink.received
    smtp_sink.close()
    answer = run_job(OperatorJobKind.CHECK_MAIL, address="me@example.org")
    assert answer["server_reply"].startswith("[Errno")


def test_the_newsletter_is_previewed_and_sent_to_one_address(
    run_job: RunJob, database: Database, smtp_sink: SmtpSink
) -> None:
    preview = run_job(OperatorJobKind.PREVIEW_MAILING, locale="ru")
    assert preview["subject"] == "Новости"
    assert "Заказов: 0" in preview["text"]
    assert "<h1" in preview["html"]
    assert smtp_sink.attempts == 0
    assert run_job(OperatorJobKind.TEST_MAILING, address="me@example.org", locale="ru")["accepted"]
    message = lint(smtp_sink.received[0].content)
    assert message["Subject"] == "Новости"
    assert message["List-Unsubscribe"].startswith("<https://blur.example.org/unsubscribe?token=")
    with database.read() as session:
        assert mailings.list_recent(session) == []


def test_a_mailing_is_run_or_refused(run_job: RunJob, database: Database, queues: Broker, text_folder: Path) -> None:
    mailing_id = run_job(OperatorJobKind.RUN_MAILING)["mailing_id"]
    assert queues.subjects(MAILING_QUEUE) == [mailing_id] * 2
    (text_folder / "ru.txt").unlink()
    refused = run_job(OperatorJobKind.RUN_MAILING)
    assert refused["refused"]
    assert "IMAGEBLUR_MAILING_TEXT_DIR" in refused["message"]
    with database.read() as session:
        assert len(mailings.list_recent(session)) == 1
