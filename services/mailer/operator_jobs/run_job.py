"""Runs operator jobs; a job is claimed once, and its answer stored in its row."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from services.common.db.clock import from_datetime
from services.common.db.engine import Database
from services.common.db.mail import mailings
from services.common.db.mail.mailings import AT_ONCE
from services.common.db.operators import operator_jobs
from services.common.db.operators.operator_jobs import JobAnswer, JobRequest
from services.common.domain.errors import ConfigurationError
from services.common.domain.follow_up import FollowUp
from services.common.domain.mailing_times import MailingPlan
from services.common.infra import log
from services.common.infra.messaging.messages import OperatorJobKind
from services.common.use_cases.after_commit import AfterCommit
from services.common.use_cases.newsletter_content import compose_content
from services.mailer.content.render import TextError
from services.mailer.operator_jobs.operator_emails import MailTestResult, OperatorEmails
from services.mailer.operator_jobs.text_jobs import TextJobs

_log = log.get(__name__)


@dataclass(frozen=True, kw_only=True)
class RunOperatorJob:
    """The use case, with its dependencies."""

    database: Database
    after_commit: AfterCommit
    operator_emails: OperatorEmails
    texts: TextJobs
    find_warnings: Callable[[], list[str]]
    """Lists settings that keep e-mails from arriving."""
    time_zone: str
    """Time zone of sending windows, and of readers without one."""
    connections: int
    """Messages to enqueue for a new mailing."""

    def __call__(self, job_id: UUID) -> None:
        """Run a job if its caller still waits for it; a repeated message does nothing."""
        with self.database.write(durable=False) as session:
            request = operator_jobs.claim_job(session, job_id)
        if request is None:
            return
        try:
            answer = JobAnswer(refused=False, values=self._run(request))
        except TextError as error:
            answer = JobAnswer(refused=True, values={"message": str(error), "invalid": error.name})
        except ConfigurationError as error:
            answer = JobAnswer(refused=True, values={"message": str(error)})
        except Exception:
            _log.exception("operator job failed", operator_job=str(job_id))
            answer = JobAnswer(refused=True, values={"message": "internal error of the mailer; see its log"})
        with self.database.write(durable=False) as session:
            operator_jobs.finish_job(session, job_id, answer)
        _log.info("operator job", operator_job=str(job_id), kind=request.kind.value, refused=answer.refused)

    def _run(self, request: JobRequest) -> Mapping[str, Any]:
        address, locale = str(request.values.get("address", "")), str(request.values.get("locale", "en"))
        match request.kind:
            case OperatorJobKind.RUN_MAILING:
                return {"mailing_id": str(self._run_mailing(request.values))}
            case OperatorJobKind.PREVIEW_MAILING:
                rendered = self.operator_emails.preview_newsletter(locale)
                return {"subject": rendered.subject, "text": rendered.text, "html": rendered.html}
            case OperatorJobKind.TEST_MAILING:
                return _to_json(self.operator_emails.send_newsletter(address, locale))
            case OperatorJobKind.CHECK_MAIL:
                return {**_to_json(self.operator_emails.send_check(address, locale)), "warnings": self.find_warnings()}
            case OperatorJobKind.LIST_TEXTS:
                return {"texts": self.texts.list_texts()}
            case OperatorJobKind.PREVIEW_EMAIL:
                texts = json.loads(request.values.get("texts", "{}"))
                rendered = self.texts.preview(str(request.values.get("email", "")), locale, texts)
                return {"subject": rendered.subject, "text": rendered.text, "html": rendered.html}

    def _run_mailing(self, values: Mapping[str, Any]) -> UUID:
        until = datetime.now(UTC)
        # With the ID of the request, so that a repeated one makes no second mailing.
        period = f"manual:{values.get('request_id') or uuid4()}"
        plan = MailingPlan.from_json(values["plan"], time_zone=self.time_zone) if "plan" in values else AT_ONCE
        with self.database.write() as session:
            content = compose_content(session, until, self.operator_emails.text_folder)
            mailing_id = mailings.insert_mailing(
                session, period=period, due_at=from_datetime(until), content=content, plan=plan
            )
            existing = None if mailing_id else mailings.find_by_period(session, period)
        if mailing_id and plan.begins_at is None:
            self.after_commit(FollowUp(mailing_ids=[mailing_id] * self.connections))
        found = mailing_id or existing
        assert found, "the period is unique"
        return found


def _to_json(result: MailTestResult) -> dict[str, Any]:
    return {"accepted": result.accepted, "server_reply": result.server_reply, "transcript": list(result.transcript)}
