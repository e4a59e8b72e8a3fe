"""A broker that keeps what it is sent in a list, for a test to lose, repeat or deliver late."""

from collections.abc import Iterable
from uuid import UUID

from dramatiq import Message

from services.common.domain.orders import ImageQueue
from services.common.infra.messaging.messages import (
    BLUR_QUEUE,
    FETCH_QUEUE,
    FIND_QUEUE,
    MAIL_QUEUE,
    MAILING_QUEUE,
    WEBHOOK_QUEUE,
)


class FrailBroker:
    """What senders use of `services.common.infra.messaging.broker.Broker`."""

    def __init__(self) -> None:
        self.queues: dict[str, list[UUID]] = {
            BLUR_QUEUE: [],
            FIND_QUEUE: [],
            FETCH_QUEUE: [],
            MAIL_QUEUE: [],
            MAILING_QUEUE: [],
            WEBHOOK_QUEUE: [],
        }

    @property
    def images(self) -> list[tuple[ImageQueue, UUID]]:
        """Of the messages about one, each with its queue; `queues` has the lists."""
        return [(queue, image_id) for queue in ImageQueue for image_id in self.queues[queue]]

    @property
    def emails(self) -> list[UUID]:
        """Of the messages to send one."""
        return self.queues[MAIL_QUEUE]

    def send(self, messages: Iterable[Message[None]]) -> None:
        for message in messages:
            self.queues[message.queue_name].append(UUID(message.args[0]))

    def announce(self, *order_ids: UUID, ended: bool = False) -> None:
        """Nobody watches."""

    def subjects(self, queue: str) -> list[str]:
        return [str(subject) for subject in self.queues[queue]]

    def flush(self) -> None:
        """Lose everything."""
        for queue in self.queues.values():
            queue.clear()
