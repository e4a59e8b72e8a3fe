"""How many images fit into a message: what was found in them has no fixed size."""

from collections.abc import Sequence

from imageblur.v1 import order_pb2

from services.common.db.models import Image
from services.gateway.orders.messages.responses import image_message
from services.gateway.rpc import paging
from services.gateway.rpc.thread_pool import ThreadPool

MAX_MESSAGE_BYTES = 3 << 20
"""By default, gRPC clients accept messages of up to four MiB."""
_IMAGE_BYTES = 1024
"""Most bytes of an image's message without its findings: the file name has at most 255 characters."""
_QUICK_CHARACTERS = 50_000
"""Findings, as JSON, that take some milliseconds to convert; more are converted in a thread."""


def first_page(images: Sequence[Image], size: int = paging.MAX_SIZE) -> Sequence[Image]:
    """Return the first images, at most `size`, that fit into a message; at least one."""
    total = 0
    for count, image in enumerate(images[:size]):
        # A finding, or a region of a spec, has less than half the size that it has as JSON.
        total += _IMAGE_BYTES + len(image.findings or "") // 2 + len(image.spec or "") // 2
        if count and total > MAX_MESSAGE_BYTES:
            return images[:count]
    return images[:size]


async def image_messages(
    images: Sequence[Image], threads: ThreadPool, *, with_specs: bool = False
) -> list[order_pb2.Image]:
    """Return the messages of images, without keeping the event loop from other calls."""
    characters = sum(len(image.findings or "") + (len(image.spec or "") if with_specs else 0) for image in images)
    if characters <= _QUICK_CHARACTERS:
        return _convert(images, with_specs)
    return await threads.run(_convert, images, with_specs)


def _convert(images: Sequence[Image], with_specs: bool) -> list[order_pb2.Image]:
    return [image_message(image, with_spec=with_specs) for image in images]
