"""Sends a mailing a batch at a time, each over one session. Any number of mailers may do so at once, or crash."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Event
from uuid import UUID

from services.common.db.engine import Database
from services.common.db.mail import batches, mailings
from services.common.db.mail.batches import Batch, Recipient
from services.common.domain.errors import Unavailable
from services.common.domain.follow_up import FollowUp
from services.common.infra import log
from services.common.infra.leases import Leases
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import MAILING_QUEUE
from services.common.infra.rate_limiter import RateLimiter
from services.common.use_cases.after_commit import AfterCommit
from services.mailer.content.email_content import Draft
from services.mailer.sending.email_sender import ClaimedEmail, EmailSender
from services.mailer.sending.outcomes import Postponed, RetryEmail, Sent
from services.mailer.smtp.send_rate import MailerStopping, SendRate
from services.mailer.smtp.session import MailSession

BATCH_SIZE = 50
MAX_RETRIES_IN_A_ROW = 5
"""After so many e-mails in a row that are not accepted now, the cause is not their recipients: the mailing pauses."""

_log = log.get(__name__)


@dataclass(frozen=True, kw_only=True)
class SendMailing:
    """The use case, with its dependencies."""

    database: Database
    broker: Broker
    after_commit: AfterCommit
    leases: Leases
    draft: Callable[[Batch, Recipient], Draft]
    sender: EmailSender
    open_session: Callable[[], MailSession]
    stopping: Event
    connections: int
    """Most messages about one mailing at a time, and so most sessions."""
    batch_size: int = BATCH_SIZE

    def __call__(self, mailing_id: UUID) -> None:
        """Send the next batch, and enqueue a message for the one after it."""
        lease_seconds = self.sender.lease_seconds
        # This commit waits for the disk, and so makes the outcomes of the batch before durable, too.
        with self.database.write() as session:
            batch = batches.claim_batch(session, mailing_id, size=self.batch_size, lease_seconds=lease_seconds)
        if batch is None:
            return
        begin = time.monotonic()
        with self.leases.hold(batch.owner):
            outcomes = self._send_batch(batch, begin)
        seconds = round(time.monotonic() - begin, 3)
        _log.info("batch of a mailing", queue=MAILING_QUEUE, mailing=str(mailing_id), seconds=seconds, **outcomes)
        full = len(batch.recipients) == self.batch_size or batch.per_hour
        if full and not self.stopping.is_set() and self._may_continue(mailing_id):
            self.after_commit(FollowUp(mailing_ids=[mailing_id]))

    def _send_batch(self, batch: Batch, begin: float) -> Counter[str]:
        """Send a batch, or as much of it as the mail server accepts now; return the outcomes by label."""
        outcomes: Counter[str] = Counter()
        unsent = list(reversed(batch.recipients))
        session = self.open_session()
        try:
            error = self._send_until_error(batch, unsent, session, outcomes, begin)
            if error:
                _log.warning("mailing paused", mailing=str(batch.mailing_id), error=error)
                self._write(partial(mailings.pause_mailing, mailing_id=batch.mailing_id, message=error))
            elif batch.failures and outcomes["SENT"]:
                self._write(partial(mailings.clear_failures, mailing_id=batch.mailing_id))
        finally:
            session.close()
            if unsent:
                self._write(partial(batches.return_unsent, batch=batch, recipients=unsent))
        return outcomes

    def _send_until_error(
        self, batch: Batch, unsent: list[Recipient], session: MailSession, outcomes: Counter[str], begin: float
    ) -> str | None:
        """Send what is unsent; return the reply for which the mailing has to pause, if there is one."""
        retries = 0
        while unsent and not self.stopping.is_set():
            if batch.per_hour and not self._wait(batch.mailing_id, batch.per_hour):
                return None
            left = unsent[-1].seconds_left
            if left is not None and time.monotonic() >= begin + left:
                return None  # the window has closed
            attempt = self.sender.send(self._claimed(batch, unsent.pop()), session)
            outcomes[attempt.label] += 1
            match attempt.outcome:
                case Sent():
                    retries = 0
                case Postponed():
                    return None
                case RetryEmail(message=message, server_unavailable=unavailable):
                    retries += 1
                    if unavailable or retries >= MAX_RETRIES_IN_A_ROW:
                        return message
        return None

    def _wait(self, mailing_id: UUID, per_hour: int) -> bool:
        """Wait until the mailing may have another e-mail; False if the mailer stops meanwhile."""
        rate = SendRate(
            limiter=RateLimiter(self.broker.client),
            server=f"mailing:{mailing_id}",
            rate=per_hour / 3600,
            stopping=self.stopping,
        )
        try:
            rate.wait(bulk=True)
        except MailerStopping:
            return False
        return True

    def _claimed(self, batch: Batch, recipient: Recipient) -> ClaimedEmail:
        return ClaimedEmail(
            claim=recipient.claim,
            draft=partial(self.draft, batch, recipient),
            confirm_claim=batches.confirm_claim,
            bulk=True,
        )

    def _may_continue(self, mailing_id: UUID) -> bool:
        """Return whether there are no more messages than connections, this one included."""
        try:
            return self.broker.subjects(MAILING_QUEUE).count(str(mailing_id)) <= self.connections
        except Unavailable:
            return True

    def _write(self, statement: Callable[..., object]) -> None:
        """Run a statement whose loss costs only time: leases run out, and the sweep enqueues the mailing again."""
        try:
            with self.database.write(durable=False) as session:
                statement(session)
        except Unavailable as error:
            _log.warning("not recorded", error=str(error))
