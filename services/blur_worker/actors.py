"""The actors of the worker's queues. They catch every error: retries are rows, not messages."""

from collections.abc import Callable, Iterable
from uuid import UUID

import dramatiq

from services.common.domain.errors import Unavailable
from services.common.domain.orders import ImageQueue
from services.common.infra import log
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import (
    BLUR_IMAGE,
    FETCH_IMAGE,
    FIND_IMAGE,
    INSTANT_QUEUE,
    RUN_INSTANT_CALL,
)

_ACTORS = {ImageQueue.BLUR: BLUR_IMAGE, ImageQueue.FIND: FIND_IMAGE, ImageQueue.FETCH: FETCH_IMAGE}

_log = log.get(__name__)


def register(broker: Broker, queues: Iterable[ImageQueue], blur_image: Callable[[UUID, ImageQueue], None]) -> None:
    """Register an actor for each queue, which calls the use case with the id in each message."""
    for queue in queues:
        _register(broker, queue, blur_image)


def _register(broker: Broker, queue: ImageQueue, blur_image: Callable[[UUID, ImageQueue], None]) -> None:
    @dramatiq.actor(broker=broker, queue_name=queue.value, actor_name=_ACTORS[queue])
    def _blur_image(image_id: str) -> None:
        try:
            blur_image(UUID(image_id), queue)
        except Exception:
            _log.exception("image left to the sweep", image=image_id)


def register_instant(broker: Broker, answer_call: Callable[[UUID], None]) -> None:
    """Register the actor of instant calls."""

    @dramatiq.actor(broker=broker, queue_name=INSTANT_QUEUE, actor_name=RUN_INSTANT_CALL)
    def _answer_call(call_id: str) -> None:
        try:
            answer_call(UUID(call_id))
        except Unavailable as error:
            _log.warning("instant call left to its gateway", call=call_id, error=str(error))
        except Exception:
            _log.exception("instant call left to its gateway", call=call_id)
