"""What operators ask of the mailers, and people of what is kept of them."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.common.db.access import audit
from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.db.mail import mailings, operator_jobs
from services.common.db.mail.mailings import MailingProgress
from services.common.db.mail.operator_jobs import JobAnswer, JobStatus
from services.common.db.queues import workers
from services.common.domain.errors import FailedPrecondition, NotFound, TooLarge, Unavailable
from services.common.infra.blobs import BlobStore
from services.common.infra.broker import Broker
from services.common.infra.messages import MAIL_QUEUE, OperatorJobKind, run_operator_job
from services.common.people import People
from services.gateway.rpc.thread_pool import Offload

PATIENCE_SECONDS = 20.0
"""How long a mailer has to take an operator job up."""
LONGEST_SECONDS = 90.0
"""And until it has an answer: as long as SMTP may take."""
POLL_SECONDS = 0.1
LARGEST_EXPORT = 3 << 20
"""Clients take 4 MiB unless they are told otherwise."""


@dataclass(frozen=True)
class OperatorMail:
    """The use cases, over what they need."""

    database: Database
    broker: Broker
    blobs: BlobStore
    offload: Offload

    async def operator_job(
        self, audit_context: AuditContext | None, kind: OperatorJobKind, **request: str
    ) -> Mapping[str, Any]:
        """Ask something of the mailers; their answer. Without a audit entry nothing is written into the audit.

        Raises:
            FailedPrecondition: They refuse it, or their queue is paused.
            Unavailable: None answers in time.
        """
        operator_job_id = await self.offload(self._ask, audit_context, kind, request)
        begin = time.monotonic()
        taken = False
        try:
            while time.monotonic() < begin + (LONGEST_SECONDS if taken else PATIENCE_SECONDS):
                await asyncio.sleep(POLL_SECONDS)
                status = await self.offload(self._look, operator_job_id)
                taken = status.claimed
                if status.answer:
                    return _answered(status.answer)
        finally:
            # Whatever happens: it may name an address, and nobody is to begin it when nobody waits any more.
            not_begun = await asyncio.shield(self.offload(self._withdraw, operator_job_id))
        raise Unavailable("no mailer takes it up" if not_begun else "a mailer has taken it up and does not answer")

    def mailings(self, limit: int) -> list[MailingProgress]:
        """The newest mailings."""
        with self.database.read() as session:
            return mailings.list_recent(session, limit=limit)

    def cancel(self, audit_context: AuditContext, mailing_id: UUID) -> None:
        """Send no more of a mailing.

        Raises:
            NotFound: There is none that is being sent.
        """
        with self.database.write() as session:
            if not mailings.cancel_mailing(session, mailing_id):
                raise NotFound("mailing under way", str(mailing_id))
            audit.record(session, audit_context, f"mailings/{mailing_id}")

    def export(self, audit_context: AuditContext, address: str) -> str:
        """All that is kept of an address, as JSON.

        Raises:
            TooLarge: It is more than a message holds.
        """
        text = json.dumps(People(self.database, self.blobs).export(address), ensure_ascii=False)
        if len(text.encode()) > LARGEST_EXPORT:
            raise TooLarge("it is more than a message holds: python -m services.common.people export writes all of it")
        self._record(audit_context)
        return text

    def erase(self, audit_context: AuditContext, address: str) -> int:
        """Delete what is kept of an address; how many orders there were."""
        self._record(audit_context)
        return People(self.database, self.blobs).erase(address)

    def _record(self, audit_context: AuditContext) -> None:
        # Of whom is not said: the audit would be the last place to know the address.
        with self.database.write() as session:
            audit.record(session, audit_context, "people")

    def _ask(self, audit_context: AuditContext | None, kind: OperatorJobKind, request: Mapping[str, str]) -> UUID:
        with self.database.write() as session:
            if MAIL_QUEUE in workers.paused_names(session):
                raise FailedPrecondition("PAUSED", f"queues/{MAIL_QUEUE}", "the queue mail is paused: resume it first")
            operator_job_id = operator_jobs.insert_job(session, kind, request)
            if audit_context:
                audit.record(session, audit_context, "mail")
        self.broker.send([run_operator_job(operator_job_id)])
        return operator_job_id

    def _look(self, operator_job_id: UUID) -> JobStatus:
        with self.database.read() as session:
            return operator_jobs.get_status(session, operator_job_id)

    def _withdraw(self, operator_job_id: UUID) -> bool:
        with self.database.write(durable=False) as session:
            return operator_jobs.delete_job(session, operator_job_id)


def _answered(answer: JobAnswer) -> Mapping[str, Any]:
    if answer.refused:
        raise FailedPrecondition("MAILER_REFUSED", "mail", str(answer.values.get("message", "")))
    return answer.values
