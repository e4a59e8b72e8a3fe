"""The RPCs that place an order, a part of BlurService."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from grpc import aio
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2
from imageblur.v1.blur_service_pb2_grpc import BlurServiceServicer

from services.common.db.orders.snapshots import Snapshot
from services.common.domain.errors import InvalidArgument, MessageTooLarge, Violation
from services.common.infra.fair_executor import FairExecutor
from services.gateway.orders.messages import requests
from services.gateway.orders.messages.responses import email_hint, order_message
from services.gateway.orders.placement.available_models import AvailableModels
from services.gateway.orders.placement.fetch_workers import FetchWorkers
from services.gateway.orders.placement.list_sources import ListedImage, ListSources
from services.gateway.orders.placement.order_upload import OrderReceiver, OrderUpload
from services.gateway.rpc.callers import rate_limit_key
from services.gateway.settings import GatewaySettings

Context = aio.ServicerContext[Any, Any]

MAX_CHUNK_BYTES = 2 << 20
IMAGES_AT_ONCE = 50
"""Number of images of a message after which other calls have their turn."""


class PlacementMethods(BlurServiceServicer):
    """Parses each request, receives its images, stores the order."""

    settings: GatewaySettings
    parsing: FairExecutor
    receiver: OrderReceiver
    models: AvailableModels
    list_sources: ListSources
    fetch_workers: FetchWorkers

    async def BlurOrder(self, request: pb.BlurOrderRequest, context: Context) -> pb.BlurOrderResponse:
        """Place an order in one message."""
        limit = self.settings.max_message_bytes
        if request.ByteSize() > limit:
            raise MessageTooLarge(f"the message is larger than {limit} bytes: use StreamBlurOrder")
        order = await self._parse_order(request)
        header, images = order.header, order.images
        specs = {f"{parsed.field}.spec": parsed.spec for parsed, _ in images if parsed.spec}
        await self.models.check({"order.spec": header.spec} | specs)
        del request  # or the images would be in memory twice
        if any(parsed.source for parsed, _ in images):
            await self.fetch_workers.check()
        listed = await self._list_sources(header, order.listings, len(images))
        async with self.receiver.receive("BlurOrder", header, len(images) + len(listed)) as upload:
            for index, (parsed, data) in enumerate(images):
                if index % IMAGES_AT_ONCE == 0:
                    await asyncio.sleep(0)  # a dry run waits for nothing else
                if parsed.source:
                    upload.add_source(parsed)
                    continue
                async with upload.image(parsed) as image:
                    await image.write(data)
            upload.add_listings(order.listings, listed)
            accepted = await upload.commit()
        return pb.BlurOrderResponse(order=_accepted(accepted, header, len(images) + len(listed)))

    async def StreamBlurOrder(
        self, request_iterator: AsyncIterator[pb.StreamBlurOrderRequest], context: Context
    ) -> pb.StreamBlurOrderResponse:
        """Place an order of any size as a stream."""
        part = await anext(request_iterator, None)
        if part is None or part.WhichOneof("part") != "start":
            raise InvalidArgument(Violation("start", "must come first"))
        header = requests.parse_header(
            part.start.order, "order", max_originals_seconds=self.settings.max_originals_seconds
        )
        image_count = part.start.image_count
        listings = requests.parse_listings(part.start.listings, "start.listings")
        if not (0 if listings else 1) <= image_count <= self.settings.largest_order:
            raise InvalidArgument(Violation("start.image_count", f"must be 1 to {self.settings.largest_order}"))
        await self.models.check({"order.spec": header.spec})
        listed = await self._list_sources(header, listings, image_count)
        async with self.receiver.receive("StreamBlurOrder", header, image_count + len(listed)) as upload:
            count = 0
            part = await anext(request_iterator, None)
            while part is not None and part.WhichOneof("part") == "image" and count < image_count:
                part = await self._receive_image(request_iterator, upload, part.image, f"images[{count}]")
                count += 1
            if part is not None:
                kind = part.WhichOneof("part") or "part"
                raise InvalidArgument(Violation(kind, f"was not expected after {count} images"))
            if count < image_count:
                message = f"is {image_count}, but the stream ended after {count} images"
                raise InvalidArgument(Violation("start.image_count", message))
            upload.add_listings(listings, listed)
            accepted = await upload.commit()
        return pb.StreamBlurOrderResponse(order=_accepted(accepted, header, count + len(listed)))

    async def _parse_order(self, request: pb.BlurOrderRequest) -> requests.ParsedOrder:
        key = rate_limit_key()
        limits = {
            "max_images": self.settings.largest_order,
            "max_originals_seconds": self.settings.max_originals_seconds,
        }
        self.receiver.broker_check.check_rate(key)
        if requests.is_small(request):
            return requests.parse_order(request, **limits)
        # A wrong address needs no turn.
        requests.parse_header(request.order, "order", max_originals_seconds=limits["max_originals_seconds"])
        return await self.parsing.run(key, requests.parse_order, request, **limits)

    async def _list_sources(
        self, header: requests.ParsedHeader, listings: Sequence[requests.ParsedListing], image_count: int
    ) -> list[ListedImage]:
        if not listings:
            return []
        outside = self.receiver.storage.external_access
        self.receiver.broker_check.check_rate(rate_limit_key())
        outside.check_header(header)
        for listing in listings:
            outside.check_listing(listing, header.target)
        await self.fetch_workers.check()
        return await self.list_sources(listings, limit=self.settings.largest_order - image_count)

    async def _receive_image(
        self, parts: AsyncIterator[pb.StreamBlurOrderRequest], upload: OrderUpload, start: pb.ImageStart, field: str
    ) -> pb.StreamBlurOrderRequest | None:
        """Receive an image; return the part after it, None at the end of the stream."""
        parsed = requests.parse_image_start(start, field)
        if parsed.spec:
            await self.models.check({f"{field}.spec": parsed.spec})
        if parsed.source:
            await self.fetch_workers.check()
            upload.add_source(parsed)
            return await anext(parts, None)
        async with upload.image(parsed) as image:
            while (part := await anext(parts, None)) is not None and part.WhichOneof("part") == "chunk":
                if len(part.chunk) > MAX_CHUNK_BYTES:
                    raise InvalidArgument(Violation(f"{field}.chunk", f"is larger than {MAX_CHUNK_BYTES} bytes"))
                await image.write(part.chunk)
        return part


def _accepted(snapshot: Snapshot | None, header: requests.ParsedHeader, count: int) -> order_pb2.Order:
    if snapshot is None:  # only validated
        hint = email_hint(header.email) if header.email else ""
        return order_pb2.Order(counts=order_pb2.Counts(total=count), email_hint=hint)
    return order_message(snapshot)
