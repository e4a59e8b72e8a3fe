"""The actors of the mailer's queues. They catch everything: what is to be tried again is in rows, not in the broker."""

from collections.abc import Callable
from uuid import UUID

import dramatiq

from services.common.infra import log
from services.common.infra.broker import Broker
from services.common.infra.messages import MAIL_QUEUE, MAILING_QUEUE, RUN_OPERATOR_JOB, SEND_EMAIL, SEND_MAILING

_log = log.get(__name__)


def register(
    broker: Broker,
    send_email: Callable[[UUID], None],
    send_mailing: Callable[[UUID], None],
    run_operator_job: Callable[[UUID], None],
) -> None:
    """Let the broker's messages call the use cases."""

    @dramatiq.actor(broker=broker, queue_name=MAIL_QUEUE, actor_name=SEND_EMAIL)
    def _send_email(email_id: str) -> None:
        try:
            send_email(UUID(email_id))
        except Exception:
            _log.exception("left to the sweep", email=email_id)

    @dramatiq.actor(broker=broker, queue_name=MAILING_QUEUE, actor_name=SEND_MAILING)
    def _send_mailing(mailing_id: str) -> None:
        try:
            send_mailing(UUID(mailing_id))
        except Exception:
            _log.exception("left to the sweep", mailing=mailing_id)

    @dramatiq.actor(broker=broker, queue_name=MAIL_QUEUE, actor_name=RUN_OPERATOR_JOB)
    def _run_operator_job(operator_job_id: str) -> None:
        try:
            run_operator_job(UUID(operator_job_id))
        except Exception:
            _log.exception("operator job given up", operator_job=operator_job_id)
