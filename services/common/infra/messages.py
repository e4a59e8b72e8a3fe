"""The contracts of the queues: which messages there are, and what is in them. Only ids, never bytes."""

from enum import StrEnum
from uuid import UUID

from dramatiq import Message

BLUR_QUEUE = "blur"
"""Read by blur_worker."""
MAIL_QUEUE = "mail"
"""Read by mailer: e-mails that somebody waits for."""
MAILING_QUEUE = "mailing"
"""Read by mailer: e-mails to all subscribers, which must not hold up the others."""

BLUR_IMAGE = "blur_image"
SEND_EMAIL = "send_email"
SEND_MAILING = "send_mailing"
RUN_OPERATOR_JOB = "run_operator_job"


class OperatorJobKind(StrEnum):
    """What an operator may ask of the mailers; requests and answers are JSON objects with these members."""

    RUN_MAILING = "RUN_MAILING"
    """Asks nothing; answers `mailing_id`."""
    PREVIEW_MAILING = "PREVIEW_MAILING"
    """Asks `locale`; answers `subject`, `text`, `html`."""
    TEST_MAILING = "TEST_MAILING"
    """Asks `address`, `locale`; answers `accepted`, `server_reply`, `transcript`."""
    CHECK_MAIL = "CHECK_MAIL"
    """Asks `address`, `locale`; answers as TEST_MAILING, and `warnings`."""


def blur_image(image_id: UUID) -> Message[None]:
    """Blur an image."""
    return _message(BLUR_QUEUE, BLUR_IMAGE, image_id)


def send_email(email_id: UUID) -> Message[None]:
    """Send an e-mail."""
    return _message(MAIL_QUEUE, SEND_EMAIL, email_id)


def send_mailing(mailing_id: UUID) -> Message[None]:
    """Send the next e-mails of a mailing."""
    return _message(MAILING_QUEUE, SEND_MAILING, mailing_id)


def run_operator_job(operator_job_id: UUID) -> Message[None]:
    """Do what an operator waits for."""
    return _message(MAIL_QUEUE, RUN_OPERATOR_JOB, operator_job_id)


def _message(queue: str, actor: str, subject: UUID) -> Message[None]:
    return Message(queue_name=queue, actor_name=actor, args=(str(subject),), kwargs={}, options={})
