"""The actors of the mailer's queues. They catch every error: retries are scheduled in rows, not by the broker."""

from collections.abc import Callable
from uuid import UUID

import dramatiq

from services.common.infra import log
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import (
    MAIL_QUEUE,
    MAILING_QUEUE,
    RUN_OPERATOR_JOB,
    SEND_EMAIL,
    SEND_MAILING,
    SEND_WEBHOOK,
    WEBHOOK_QUEUE,
)

_log = log.get(__name__)


def register(
    broker: Broker,
    *,
    send_email: Callable[[UUID], None],
    send_mailing: Callable[[UUID], None],
    run_operator_job: Callable[[UUID], None],
    send_webhook: Callable[[UUID], None],
) -> None:
    """Make the broker's messages call the use cases."""
    for queue, name, use_case in (
        (MAIL_QUEUE, SEND_EMAIL, send_email),
        (MAILING_QUEUE, SEND_MAILING, send_mailing),
        (MAIL_QUEUE, RUN_OPERATOR_JOB, run_operator_job),
        (WEBHOOK_QUEUE, SEND_WEBHOOK, send_webhook),
    ):
        dramatiq.actor(broker=broker, queue_name=queue, actor_name=name)(_catching(name, use_case))


def _catching(name: str, use_case: Callable[[UUID], None]) -> Callable[[str], None]:
    def run(subject_id: str) -> None:
        try:
            use_case(UUID(subject_id))
        except Exception:
            # The sweep enqueues e-mails, mailings and events again; the caller of an operator job gets a timeout.
            _log.exception("actor failed", actor=name, id=subject_id)

    return run
