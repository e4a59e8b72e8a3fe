"""Sends a mailing, a batch at a time over one connection; any number of mailers at once, any of which may die."""

import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Event
from uuid import UUID

from services.common.db.engine import Database, retry_unavailable
from services.common.db.mail import batches, emails, mailings, subscribers
from services.common.db.mail.batches import Batch, Go, Reader
from services.common.domain.errors import Reason, Unavailable
from services.common.domain.follow_up import FollowUp
from services.common.domain.retries import EMAIL_RETRIES, MAX_EMAIL_ATTEMPTS
from services.common.infra import log
from services.common.infra.broker import Broker
from services.common.infra.leases import LEASE_SECONDS, Leases
from services.common.infra.messages import MAILING_QUEUE
from services.common.use_cases.after_commit import AfterCommit
from services.mailer import metrics
from services.mailer.content.models import Draft
from services.mailer.mime.composer import Postbox
from services.mailer.outcomes import Again, Later, Lost, Never, NotWanted, Outcome, Sent, told
from services.mailer.smtp.rate_limit import TokenBucket
from services.mailer.smtp.sender import NotTaken, Refused, Unreachable
from services.mailer.smtp.smtp_sender import SmtpLine
from services.mailer.use_cases import SURELY_SECONDS

BATCH = 50
MOST_PUT_OFF = 5
"""So many e-mails in turn that are not taken now: it is not their recipients, it is us."""

_log = log.get(__name__)


class _Trouble(Exception):
    """The mail server takes no e-mails of the mailing for now; the text says why."""


@dataclass(frozen=True)
class SendMailing:
    """The use case, over what it needs."""

    database: Database
    broker: Broker
    leases: Leases
    draft: Callable[[Batch, Reader], Draft]
    postbox: Postbox
    connect: Callable[[], SmtpLine]
    bucket: TokenBucket
    send_seconds: float
    """Longest that an e-mail may take."""
    connections: int
    """Messages of a mailing, and so connections, that there are at most."""
    batch: int = BATCH

    def __call__(self, mailing_id: UUID) -> None:
        """Send the next batch, and see that another follows if there may be more."""
        lease = self.send_seconds + LEASE_SECONDS
        # Durable, and with it what was recorded of the batch before.
        with self.database.write() as session:
            batch = batches.claim(session, mailing_id, size=self.batch, lease_seconds=lease)
        if batch is None:
            return
        begin = time.monotonic()
        with self.leases.hold(batch.owner):
            outcomes = _Run(self, batch).send()
        seconds = round(time.monotonic() - begin, 3)
        _log.info("batch of a mailing", queue=MAILING_QUEUE, mailing=str(mailing_id), seconds=seconds, **outcomes)
        if len(batch.readers) == self.batch and not self.bucket.stopping.is_set() and self._to_be_followed(mailing_id):
            AfterCommit(database=self.database, broker=self.broker)(FollowUp(mailing_ids=[mailing_id]))

    def _to_be_followed(self, mailing_id: UUID) -> bool:
        """Unless there are more messages than connections: this one is counted, too."""
        try:
            return self.broker.subjects(MAILING_QUEUE).count(str(mailing_id)) <= self.connections
        except Unavailable:
            return True


class _Run:
    """One batch on its way."""

    def __init__(self, use_case: SendMailing, batch: Batch) -> None:
        self._use_case = use_case
        self._batch = batch
        self._line = use_case.connect()
        self._waiting = list(reversed(batch.readers))
        self._put_off = 0
        """E-mails in turn that were not taken now."""
        self._outcomes: Counter[str] = Counter()

    def send(self) -> Counter[str]:
        """Send all of it, or as much as can be sent now; how many ended how."""
        try:
            while self._waiting and not self._stopping.is_set():
                self._send_next()
            if self._batch.troubles and self._outcomes["SENT"]:
                self._write(mailings.going_well, self._batch.mailing_id)
        except _Trouble as trouble:
            _log.warning("mailing put off", mailing=str(self._batch.mailing_id), error=str(trouble))
            self._write(mailings.put_off, self._batch.mailing_id, str(trouble))
        finally:
            self._line.close()
            if self._waiting:
                self._write(batches.give_back, self._batch, self._waiting)
        return self._outcomes

    @property
    def _stopping(self) -> Event:
        return self._use_case.bucket.stopping

    def _send_next(self) -> None:
        try:
            self._use_case.bucket.wait(bulk=True)
        except Unreachable:
            return  # the mailer is stopping
        reader = self._waiting.pop()
        begin = time.monotonic()
        outcome = self._work(reader)
        what = str(told(outcome)["outcome"])
        metrics.email_done(reader.claim.kind, what, time.monotonic() - begin)
        # What was sent must be written down however long that takes: whoever comes after us would send it again.
        patience = SURELY_SECONDS if isinstance(outcome, Sent) else 8.0
        retry_unavailable(partial(self._record, reader, outcome), patience)
        self._outcomes[what] += 1
        if isinstance(outcome, Again):
            self._put_off += 1
            if outcome.of_all or self._put_off >= MOST_PUT_OFF:
                raise _Trouble(outcome.message)
        elif isinstance(outcome, Sent):
            self._put_off = 0

    def _work(self, reader: Reader) -> Outcome:
        use_case = self._use_case
        try:
            # From here on the lease outlasts the sender's deadline, even if it cannot be renewed: nobody else sends the
            # e-mail while this one may still go out.
            with use_case.database.write(durable=False) as session:
                go = batches.begin(session, reader.claim, lease_seconds=use_case.send_seconds + LEASE_SECONDS)
            if go is not Go.SEND:
                return NotWanted() if go is Go.NOT_WANTED else Lost()
            with tempfile.SpooledTemporaryFile(1 << 20) as file:
                envelope = use_case.postbox.write(reader.claim.email_id, use_case.draft(self._batch, reader), file)
                return Sent(self._line.send(envelope))
        except Refused as error:
            return Never(Reason.MAIL_REFUSED, str(error), bounced=error.bounced)
        except NotTaken as error:
            return Again(str(error), Reason.MAIL_UNREACHABLE, of_all=isinstance(error, Unreachable))
        except Unavailable as error:
            return Again(str(error))
        except Exception:
            _log.exception("e-mail not sent", email=str(reader.claim.email_id))
            return Again("unexpected error")

    def _record(self, reader: Reader, outcome: Outcome) -> None:
        claim = reader.claim
        # Not durable: it survives whatever kills this mailer, and a power cut once the next batch is claimed.
        with self._use_case.database.write(durable=False) as session:
            match outcome:
                case Sent(reply):
                    emails.sent(session, claim, smtp_reply=reply)
                case Never(reason, message, bounced):
                    if bounced and claim.subscriber_id:
                        subscribers.suppress(session, claim.subscriber_id, message)
                    emails.failed(session, claim, reason, message)
                case Again(message, reason) if claim.attempts >= MAX_EMAIL_ATTEMPTS:
                    emails.failed(session, claim, reason, message)
                case Again(message):
                    emails.release(session, claim, delay=EMAIL_RETRIES.delay(claim.attempts), message=message)
                case NotWanted() | Later() | Lost():
                    pass  # ended already

    def _write(self, statement: Callable[..., object], *arguments: object) -> None:
        """What is lost if this fails is only time: leases run out, and the sweep looks."""
        try:
            with self._use_case.database.write(durable=False) as session:
                statement(session, *arguments)
        except Unavailable as error:
            _log.warning("not recorded", error=str(error))
