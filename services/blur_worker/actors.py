"""The actor of the blur queue. It catches every error: retries are rows, not messages."""

from collections.abc import Callable
from uuid import UUID

import dramatiq

from services.common.infra import log
from services.common.infra.broker import Broker
from services.common.infra.messages import BLUR_IMAGE, BLUR_QUEUE

_log = log.get(__name__)


def register(broker: Broker, blur_image: Callable[[UUID], None]) -> None:
    """Register the actor, which calls the use case with the id in each message."""

    @dramatiq.actor(broker=broker, queue_name=BLUR_QUEUE, actor_name=BLUR_IMAGE)
    def _blur_image(image_id: str) -> None:
        try:
            blur_image(UUID(image_id))
        except Exception:
            _log.exception("image left to the sweep", image=image_id)
