"""The queues and their messages, which contain an id and nothing else."""

from enum import StrEnum
from uuid import UUID

from dramatiq import Message

from services.common.domain.follow_up import EnqueuedImage
from services.common.domain.orders import ImageQueue

BLUR_QUEUE = ImageQueue.BLUR.value
"""Consumed by blur_worker: images to blur."""
FIND_QUEUE = ImageQueue.FIND.value
"""Consumed by blur_worker: images in which something is to be found first."""
FETCH_QUEUE = ImageQueue.FETCH.value
"""Consumed by blur_worker: images whose originals are fetched from a source."""
MAIL_QUEUE = "mail"
"""Consumed by mailer: single e-mails, and operator jobs."""
MAILING_QUEUE = "mailing"
"""Consumed by mailer: batches of mailings, which must not delay single e-mails."""

WEBHOOK_QUEUE = "webhook"
"""Consumed by mailer: events for webhooks, whose receivers may be slow."""
INSTANT_QUEUE = "instant"
"""Consumed by blur_worker: calls whose callers wait for the answer."""

BLUR_IMAGE = "blur_image"
FIND_IMAGE = "find_image"
FETCH_IMAGE = "fetch_image"
RUN_INSTANT_CALL = "run_instant_call"
SEND_EMAIL = "send_email"
SEND_MAILING = "send_mailing"
RUN_OPERATOR_JOB = "run_operator_job"
SEND_WEBHOOK = "send_webhook"


class OperatorJobKind(StrEnum):
    """Work that an operator may request from the mailers; requests and answers are JSON objects with these members."""

    RUN_MAILING = "RUN_MAILING"
    """Request: `request_id`, and `plan` (a `MailingPlan` as JSON). Answer: `mailing_id`."""
    PREVIEW_MAILING = "PREVIEW_MAILING"
    """Request: `locale`. Answer: `subject`, `text`, `html`."""
    TEST_MAILING = "TEST_MAILING"
    """Request: `address`, `locale`. Answer: `accepted`, `server_reply`, `transcript`."""
    CHECK_MAIL = "CHECK_MAIL"
    """Request: `address`, `locale`. Answer: as of TEST_MAILING, and `warnings`."""
    LIST_TEXTS = "LIST_TEXTS"
    """Request: empty. Answer: `texts`, each with `name`, `text` and `source`."""
    PREVIEW_EMAIL = "PREVIEW_EMAIL"
    """Request: `email`, `locale`, `texts` (by name, as JSON). Answer: as of PREVIEW_MAILING; or `invalid` and
    `message`: the name of a text, and what is wrong with it."""


def blur_image(image_id: UUID) -> Message[None]:
    """Return the message to blur an image."""
    return _message(BLUR_QUEUE, BLUR_IMAGE, image_id)


def find_image(image_id: UUID) -> Message[None]:
    """Return the message to find something in an image and hide it."""
    return _message(FIND_QUEUE, FIND_IMAGE, image_id)


def image_message(image: EnqueuedImage) -> Message[None]:
    """Return the message for an image, to the queue that it belongs to."""
    match image.queue:
        case ImageQueue.BLUR:
            return blur_image(image.id)
        case ImageQueue.FIND:
            return find_image(image.id)
        case ImageQueue.FETCH:
            return _message(FETCH_QUEUE, FETCH_IMAGE, image.id)


def send_email(email_id: UUID) -> Message[None]:
    """Return the message to send an e-mail."""
    return _message(MAIL_QUEUE, SEND_EMAIL, email_id)


def send_mailing(mailing_id: UUID) -> Message[None]:
    """Return the message to send the next batch of a mailing."""
    return _message(MAILING_QUEUE, SEND_MAILING, mailing_id)


def run_operator_job(operator_job_id: UUID) -> Message[None]:
    """Return the message to run an operator job."""
    return _message(MAIL_QUEUE, RUN_OPERATOR_JOB, operator_job_id)


def send_webhook(event_id: UUID) -> Message[None]:
    """Return the message to post an event to its webhook."""
    return _message(WEBHOOK_QUEUE, SEND_WEBHOOK, event_id)


def run_instant_call(call_id: UUID) -> Message[None]:
    """Return the message to answer an instant call."""
    return _message(INSTANT_QUEUE, RUN_INSTANT_CALL, call_id)


def _message(queue: str, actor: str, subject: UUID) -> Message[None]:
    return Message(queue_name=queue, actor_name=actor, args=(str(subject),), kwargs={}, options={})
