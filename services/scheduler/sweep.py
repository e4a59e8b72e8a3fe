"""Sends again what was lost, takes back what its worker will not finish, removes blobs that no order owns."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from dramatiq import Message

from services.common.db.engine import Database
from services.common.db.mail import emails, mailings, operator_jobs
from services.common.db.models import Email, Image
from services.common.db.orders import blob_cleanup, idempotency, images, orders, unowned_blobs
from services.common.db.orders.blob_cleanup import surplus_keys
from services.common.db.queues import outbox
from services.common.domain.errors import Unavailable
from services.common.domain.orders import LATE_SECONDS, blob_prefix
from services.common.infra import log
from services.common.infra.blobs import BlobStore
from services.common.infra.broker import Broker
from services.common.infra.messages import BLUR_QUEUE, MAIL_QUEUE, MAILING_QUEUE, blur_image, send_email, send_mailing
from services.common.refilling import refill_waiting
from services.scheduler import metrics

BATCH = 1000
"""Rows taken up in one go; the next sweep takes the next ones."""
MOST_UNCLAIMED = 20_000
"""Rows held against what is in the broker; the oldest first, so that the others have their turn."""
RESEND_SECONDS = 5
"""How long a message may wait unclaimed before the broker is asked whether it still has it."""
SILENT_UPLOAD_SECONDS = 60
"""How long an upload may be without a heartbeat before its blobs are removed."""

_log = log.get(__name__)


@dataclass(frozen=True)
class Sweep:
    """The sweep, over what it needs."""

    database: Database
    blobs: BlobStore
    broker: Broker
    window: int
    """Images in the queue or at work at a time, shared by the orders."""
    mailing_connections: int = 1
    """Messages of a mailing that there are at a time while it has e-mails to send."""

    def images(self) -> None:
        """Images whose worker died, that may be tried again, or whose message is gone."""
        with self.database.read() as session:
            lapsed = outbox.lapsed_images(session, limit=BATCH)
        for claim in lapsed:
            with self.database.write() as session:
                follow_up = images.take_back(session, claim, window=self.window)
            if follow_up is None:
                continue
            metrics.swept("images taken back")
            _log.warning("image taken back: its worker did not finish", image=str(claim.image_id))
            self.broker.send([*map(blur_image, follow_up.images), *map(send_email, follow_up.emails)])
            self.broker.announce(claim.order_id, ended=follow_up.order_ended)
            if follow_up.image_ended:
                with contextlib.suppress(Unavailable):  # looked at once more, later
                    self.blobs.delete(
                        *surplus_keys(claim.order_id, claim.position, follow_up.image_ended, follow_up.reason)
                    )
        refill_waiting(self.database, self.broker, self.window)
        self._resend(Image, BLUR_QUEUE, blur_image)

    def emails(self) -> None:
        """E-mails whose mailer died, that may be tried again, or whose message is gone."""
        with self.database.read() as session:
            lapsed = outbox.lapsed_emails(session, limit=BATCH)
        taken_back = 0
        for claim in lapsed:
            with self.database.write() as session:
                if emails.release_expired(session, claim):
                    metrics.swept("e-mails taken back")
                    taken_back += 1
        if taken_back:
            _log.warning("e-mails taken back: their mailer did not finish", count=taken_back)
        with self.database.write() as session:
            due = outbox.due_emails(session, limit=BATCH)
        self.broker.send(map(send_email, due))
        self._resend(Email, MAIL_QUEUE, send_email)

    def mailings(self) -> None:
        """Mailings with e-mails to send and too few messages, or none left to send."""
        with self.database.write() as session:
            mailings.finish_mailings(session)
        with self.database.read() as session:
            with_work = mailings.list_sendable(session)
        if not with_work:
            return
        there = self.broker.subjects(MAILING_QUEUE)
        for mailing_id in with_work:
            missing = self.mailing_connections - there.count(str(mailing_id))
            self.broker.send(send_mailing(mailing_id) for _ in range(missing))

    def blobs_without_order(self) -> None:
        """Blobs of uploads that broke, and of orders that are gone."""
        with self.database.write() as session:
            given_up = unowned_blobs.give_up(session, silent_seconds=SILENT_UPLOAD_SECONDS, limit=BATCH)
        metrics.swept("uploads and orders removed", len(given_up))
        for order_id in given_up:
            self.blobs.delete_prefix(blob_prefix(order_id))
            with self.database.write() as session:
                unowned_blobs.removed(session, order_id)

    def blobs_of_ended_images(self) -> None:
        """Originals, and results that are nobody's, which a worker would have removed had it not been killed."""
        with self.database.read() as session:
            ended = blob_cleanup.untidied(session, older_than=LATE_SECONDS, limit=BATCH)
        if not ended:
            return
        self.blobs.delete(*(key for image in ended for key in image.keys))
        with self.database.write(durable=False) as session:
            blob_cleanup.tidied(session, [image.image_id for image in ended])

    def expired(self) -> None:
        """Orders past their time: address and blobs are forgotten; and request ids and operator jobs past theirs."""
        with self.database.read() as session:
            due = orders.due_to_expire(session, limit=BATCH)
        for order_id in due:
            with self.database.write() as session:
                if orders.expire(session, order_id):
                    metrics.swept("orders expired")
                    unowned_blobs.disown(session, order_id)
            self.broker.announce(order_id, ended=True)
        with self.database.write() as session:
            idempotency.forget_expired(session)
            operator_jobs.delete_abandoned(session)
        self.blobs_without_order()

    def _resend(self, model: outbox.Sent, queue: str, message: Callable[[UUID], Message[None]]) -> None:
        with self.database.read() as session:
            waiting = outbox.unclaimed(session, model, older_than=RESEND_SECONDS, limit=MOST_UNCLAIMED)
        if not waiting:
            return
        # A mere backlog is not repeated: only what the broker does not have.
        there = set(self.broker.subjects(queue))
        lost = [row_id for row_id in waiting if str(row_id) not in there][:BATCH]
        if not lost:
            return
        with self.database.write() as session:
            again = outbox.resend(session, model, lost)
        _log.warning("sent again: the broker had lost them", what=model.__tablename__, count=len(again))
        metrics.swept(f"{model.__tablename__} sent again", len(again))
        self.broker.send(map(message, again))
