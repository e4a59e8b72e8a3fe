"""Operator jobs: work that an operator requests from the mailers and waits for."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID

from services.common.db.access import audit
from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.db.operators import operator_jobs
from services.common.db.operators.operator_jobs import JobAnswer, JobStatus
from services.common.db.queues import workers
from services.common.domain.errors import FailedPrecondition, InvalidArgument, Unavailable, Violation
from services.common.domain.follow_up import FollowUp
from services.common.infra.messaging.messages import MAIL_QUEUE, OperatorJobKind
from services.common.use_cases.after_commit import AfterCommit
from services.gateway.rpc.thread_pool import ThreadPool

START_SECONDS = 20.0
"""Timeout for a mailer to start a job."""
FINISH_SECONDS = 90.0
"""Timeout for the answer: as long as SMTP may take."""
FIRST_POLL_SECONDS, POLL_SECONDS = 0.01, 0.1
"""Until the first poll for the answer, and between later ones: most jobs take a few milliseconds, some a minute."""


@dataclass(frozen=True)
class OperatorJobs:
    """Enqueues operator jobs and polls for their answers."""

    database: Database
    after_commit: AfterCommit
    threads: ThreadPool

    async def run(
        self,
        audit_context: AuditContext | None,
        kind: OperatorJobKind,
        detail: Mapping[str, Any] = MappingProxyType({}),
        **request: str,
    ) -> Mapping[str, Any]:
        """Run a job and return its answer; recorded in the audit log, with the detail, if it has a context.

        Raises:
            FailedPrecondition: The mailer refuses the job, or its queue is paused.
            Unavailable: No mailer answers in time.
        """
        job_id = await self.threads.run(self._enqueue, audit_context, kind, detail, request)
        begin = time.monotonic()
        started, pause = False, FIRST_POLL_SECONDS
        try:
            while time.monotonic() < begin + (FINISH_SECONDS if started else START_SECONDS):
                await asyncio.sleep(pause)
                pause = min(1.5 * pause, POLL_SECONDS)
                status = await self.threads.run(self._fetch, job_id)
                started = status.claimed
                if status.answer:
                    return _answered(status.answer)
        finally:
            # In any case: the job may contain an address, and must not start when its caller has gone.
            not_started = await asyncio.shield(self.threads.run(self._withdraw, job_id))
        raise Unavailable(
            "no mailer started the job" if not_started else "a mailer started the job, but has not answered"
        )

    def _enqueue(
        self,
        audit_context: AuditContext | None,
        kind: OperatorJobKind,
        detail: Mapping[str, Any],
        request: Mapping[str, str],
    ) -> UUID:
        with self.database.write() as session:
            if MAIL_QUEUE in workers.list_paused(session):
                message = f"the queue {MAIL_QUEUE} is paused: resume it first"
                raise FailedPrecondition("QUEUE_PAUSED", f"queues/{MAIL_QUEUE}", message)
            job_id = operator_jobs.insert_job(session, kind, request)
            if audit_context:
                audit.record(session, audit_context, "mail", **detail)
        self.after_commit(FollowUp(operator_job_ids=[job_id]))
        return job_id

    def _fetch(self, job_id: UUID) -> JobStatus:
        with self.database.read() as session:
            return operator_jobs.get_status(session, job_id)

    def _withdraw(self, job_id: UUID) -> bool:
        with self.database.write(durable=False) as session:
            return operator_jobs.delete_job(session, job_id)


def _answered(answer: JobAnswer) -> Mapping[str, Any]:
    if answer.refused and "invalid" in answer.values:
        raise InvalidArgument(Violation("texts", str(answer.values.get("message", ""))))
    if answer.refused:
        raise FailedPrecondition("OPERATOR_JOB_FAILED", "mail", str(answer.values.get("message", "")))
    return answer.values
