"""The actor of the blur queue. It catches everything: what is to be tried again stands in rows, not in the broker."""

from collections.abc import Callable
from uuid import UUID

import dramatiq

from services.common.infra import log
from services.common.infra.broker import Broker
from services.common.infra.messages import BLUR_IMAGE, BLUR_QUEUE

_log = log.get(__name__)


def register(broker: Broker, blur_image: Callable[[UUID], None]) -> None:
    """Let the broker's messages call the use case."""

    @dramatiq.actor(broker=broker, queue_name=BLUR_QUEUE, actor_name=BLUR_IMAGE)
    def _blur_image(image_id: str) -> None:
        try:
            blur_image(UUID(image_id))
        except Exception:
            _log.exception("left to the sweep", image=image_id)
