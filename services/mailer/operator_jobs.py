"""What operators ask of the mailers and wait for: done once, and answered in the operator job's row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from services.common.db.clock import from_datetime
from services.common.db.engine import Database
from services.common.db.mail import mailings, operator_jobs
from services.common.db.mail.operator_jobs import Task
from services.common.domain.errors import ConfigurationError
from services.common.domain.follow_up import FollowUp
from services.common.infra import log
from services.common.infra.broker import Broker
from services.common.infra.messages import OperatorJobKind
from services.common.newsletter import freeze
from services.common.use_cases.after_commit import AfterCommit
from services.mailer.operator import Checked, Operator

_log = log.get(__name__)


@dataclass(frozen=True)
class RunOperatorJob:
    """The use case, over what it needs."""

    database: Database
    broker: Broker
    operator: Operator
    concerns: Callable[[], list[str]]
    """What in the settings may keep e-mails from arriving."""
    connections: int
    """Messages that a mailing begins with."""

    def __call__(self, operator_job_id: UUID) -> None:
        """Do it if somebody still waits for it; a second message for it does nothing."""
        with self.database.write(durable=False) as session:
            task = operator_jobs.take(session, operator_job_id)
        if task is None:
            return
        refused = False
        try:
            answer = self._do(task)
        except ConfigurationError as error:
            refused, answer = True, {"message": str(error)}
        except Exception:
            # Whoever waits is told, and the log knows what it was.
            _log.exception("operator job not done", operator_job=str(operator_job_id))
            refused, answer = True, {"message": "a fault of the mailer; its log says more"}
        with self.database.write(durable=False) as session:
            operator_jobs.answer(session, operator_job_id, answer, refused=refused)
        _log.info("operator_job", operator_job=str(operator_job_id), kind=task.kind.value, refused=refused)

    def _do(self, task: Task) -> Mapping[str, Any]:
        address, locale = str(task.request.get("address", "")), str(task.request.get("locale", "en"))
        match task.kind:
            case OperatorJobKind.RUN_MAILING:
                return {"mailing_id": str(self._run_mailing())}
            case OperatorJobKind.PREVIEW_MAILING:
                words = self.operator.preview_mailing(locale)
                return {"subject": words.subject, "text": words.text, "html": words.html}
            case OperatorJobKind.TEST_MAILING:
                return _checked(self.operator.test_mailing(address, locale))
            case OperatorJobKind.CHECK_MAIL:
                return {**_checked(self.operator.check(address, locale)), "warnings": self.concerns()}

    def _run_mailing(self) -> UUID:
        until = datetime.now(UTC)
        with self.database.write() as session:
            content = freeze(session, until, self.operator.texts)
            mailing_id = mailings.insert_mailing(
                session, period=f"manual:{uuid4()}", due_at=from_datetime(until), content=content
            )
        assert mailing_id, "nobody else has this period"
        after_commit = AfterCommit(database=self.database, broker=self.broker)
        after_commit(FollowUp(mailing_ids=[mailing_id] * self.connections))
        return mailing_id


def _checked(checked: Checked) -> dict[str, Any]:
    return {
        "accepted": checked.taken,
        "server_reply": checked.outcome,
        "transcript": list(checked.conversation),
    }
