"""The actors of the mailer's queues. They catch everything: what is to be tried again is in rows, not in the broker."""

from collections.abc import Callable
from uuid import UUID

import dramatiq

from services.common.infra import log
from services.common.infra.broker import Broker
from services.common.infra.messages import MAIL_QUEUE, MAILING_QUEUE, RUN_ERRAND, SEND_LETTER, SEND_MAILING

_log = log.get(__name__)


def register(
    broker: Broker,
    send_letter: Callable[[UUID], None],
    send_mailing: Callable[[UUID], None],
    run_errand: Callable[[UUID], None],
) -> None:
    """Let the broker's messages call the use cases."""

    @dramatiq.actor(broker=broker, queue_name=MAIL_QUEUE, actor_name=SEND_LETTER)
    def _send_letter(letter_id: str) -> None:
        try:
            send_letter(UUID(letter_id))
        except Exception:
            _log.exception("left to the sweep", letter=letter_id)

    @dramatiq.actor(broker=broker, queue_name=MAILING_QUEUE, actor_name=SEND_MAILING)
    def _send_mailing(mailing_id: str) -> None:
        try:
            send_mailing(UUID(mailing_id))
        except Exception:
            _log.exception("left to the sweep", mailing=mailing_id)

    @dramatiq.actor(broker=broker, queue_name=MAIL_QUEUE, actor_name=RUN_ERRAND)
    def _run_errand(errand_id: str) -> None:
        try:
            run_errand(UUID(errand_id))
        except Exception:
            _log.exception("errand given up", errand=errand_id)
