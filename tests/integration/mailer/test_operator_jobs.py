"""Operator jobs over the real servers: check the mail server, preview and test the newsletter, run a mailing."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.common.db.engine import Database
from services.common.db.mail import mailings
from services.common.db.operators import operator_jobs
from services.common.domain.mailing_times import MailingPlan
from services.common.infra.blobs import BlobStore
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import MAILING_QUEUE, OperatorJobKind
from services.common.infra.signing.tokens import Tokens
from services.common.use_cases.after_commit import AfterCommit
from services.mailer.content.email_texts import EmailTexts
from services.mailer.content.newsletter import NewsletterDrafter
from services.mailer.content.render import Renderer
from services.mailer.mime.composer import EmailComposer
from services.mailer.operator_jobs.operator_emails import OperatorEmails
from services.mailer.operator_jobs.run_job import RunOperatorJob
from services.mailer.operator_jobs.text_jobs import TextJobs
from tests.integration.mailer.conftest import IDENTITY, smtp_server
from tests.support.email_lint import lint
from tests.support.mail_factories import mailing
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
    renderer = Renderer(EmailTexts(database, {}))
    operator_emails = OperatorEmails(
        database=database,
        composer=EmailComposer(blobs=BlobStore(str(text_folder)), render=renderer, identity=IDENTITY),
        server=smtp_server(smtp_sink),
        drafter=NewsletterDrafter(tokens=tokens, public_url="https://blur.example.org"),
        renderer=renderer,
        text_folder=text_folder,
    )
    texts = TextJobs(
        operator_emails=operator_emails, files={"goodbye/en/subject.txt": "So long"}, text_folder=text_folder
    )
    run = RunOperatorJob(
        time_zone="Europe/Moscow",
        texts=texts,
        database=database,
        after_commit=AfterCommit(database=database, broker=queues),
        operator_emails=operator_emails,
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


def test_texts_are_listed_with_where_they_come_from(run_job: RunJob) -> None:
    texts = {it["name"]: it for it in run_job(OperatorJobKind.LIST_TEXTS)["texts"]}
    assert texts["newsletter/ru/text.txt"]["source"] == "FILE"
    assert (texts["newsletter/en/text.txt"]["source"], texts["newsletter/en/text.txt"]["text"]) == ("DEFAULT", "")
    assert (texts["goodbye/en/subject.txt"]["source"], texts["goodbye/en/subject.txt"]["text"]) == ("FILE", "So long")
    assert texts["goodbye/ru/subject.txt"]["source"] == "DEFAULT"


def preview(run_job: RunJob, email: str, locale: str, texts: dict[str, str]) -> Mapping[str, Any]:
    return run_job(OperatorJobKind.PREVIEW_EMAIL, email=email, locale=locale, texts=json.dumps(texts))


def test_texts_that_are_not_stored_are_previewed(run_job: RunJob) -> None:
    shown = preview(run_job, "newsletter", "en", {"newsletter/en/text.txt": "Subject: Hello\n\nOrders: $orders"})
    assert shown["subject"] == "Hello"
    assert "Orders: 0" in shown["text"]
    assert "Заказов: 0" in preview(run_job, "newsletter", "ru", {})["text"]
    assert preview(run_job, "goodbye", "en", {"goodbye/en/subject.txt": "Bye"})["subject"] == "Bye"


@pytest.mark.parametrize(
    ("email", "texts", "message"),
    [
        ("goodbye", {"goodbye/en/body.txt": "{{ x }}"}, "goodbye/en/body.txt: line 1: 'x' is undefined"),
        ("goodbye", {"goodbye/ru/body.html": "{% x %}"}, "goodbye/ru/body.html: line 1: "),
        ("goodbye", {"layout.html": ""}, "layout.html: there is no text of this name"),
        ("nonsense", {}, "nonsense: there is no e-mail of this name"),
        (
            "order_ready",
            {"order_ready/en/subject.txt": "{{ parts / succeeded }}"},
            "order_ready/en/subject.txt: line 1",
        ),
    ],
)
def test_texts_that_cannot_be_rendered_are_refused(
    run_job: RunJob, email: str, texts: dict[str, str], message: str
) -> None:
    answer = preview(run_job, email, "en", texts)
    assert answer["refused"]
    assert answer["message"].startswith(message)
    assert answer["invalid"] in message


def test_a_mailing_is_planned_once_for_a_request(run_job: RunJob, database: Database) -> None:
    plan = MailingPlan(send_at=datetime(2030, 1, 1, tzinfo=UTC), per_hour=100).to_json()
    request = {"request_id": "0" * 32, "plan": plan}
    first, second = (run_job(OperatorJobKind.RUN_MAILING, **request) for _ in range(2))
    assert first["mailing_id"] == second["mailing_id"]
    row = mailing(database, UUID(first["mailing_id"]))
    assert (row.state, row.per_hour, row.time_zone) == ("PREPARING", 100, "Europe/Moscow")
    assert not row.started_at
