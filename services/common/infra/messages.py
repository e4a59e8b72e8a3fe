"""The contracts of the queues: which messages there are, and what is in them. Only ids, never bytes."""

from enum import StrEnum
from uuid import UUID

from dramatiq import Message

BLUR_QUEUE = "blur"
"""Read by blur_worker."""
MAIL_QUEUE = "mail"
"""Read by mailer: letters that somebody waits for."""
MAILING_QUEUE = "mailing"
"""Read by mailer: letters to all subscribers, which must not hold up the others."""

BLUR_IMAGE = "blur_image"
SEND_LETTER = "send_letter"
SEND_MAILING = "send_mailing"
RUN_ERRAND = "run_errand"


class ErrandKind(StrEnum):
    """What an operator may ask of the mailers; requests and answers are JSON objects with these members."""

    RUN_MAILING = "RUN_MAILING"
    """Asks nothing; answers `mailing_id`."""
    PREVIEW_MAILING = "PREVIEW_MAILING"
    """Asks `locale`; answers `subject`, `text`, `html`."""
    TEST_MAILING = "TEST_MAILING"
    """Asks `address`, `locale`; answers `taken`, `outcome`, `conversation`."""
    CHECK_MAIL = "CHECK_MAIL"
    """Asks `address`, `locale`; answers as TEST_MAILING, and `concerns`."""


def blur_image(image_id: UUID) -> Message[None]:
    """Blur an image."""
    return _message(BLUR_QUEUE, BLUR_IMAGE, image_id)


def send_letter(letter_id: UUID) -> Message[None]:
    """Send a letter."""
    return _message(MAIL_QUEUE, SEND_LETTER, letter_id)


def send_mailing(mailing_id: UUID) -> Message[None]:
    """Send the next letters of a mailing."""
    return _message(MAILING_QUEUE, SEND_MAILING, mailing_id)


def run_errand(errand_id: UUID) -> Message[None]:
    """Do what an operator waits for."""
    return _message(MAIL_QUEUE, RUN_ERRAND, errand_id)


def _message(queue: str, actor: str, subject: UUID) -> Message[None]:
    return Message(queue_name=queue, actor_name=actor, args=(str(subject),), kwargs={}, options={})
