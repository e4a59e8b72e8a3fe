"""BlurService: each call checked, handed to a use case, and answered."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from importlib.metadata import version
from typing import Any

from google.protobuf.duration_pb2 import Duration
from grpc import aio
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2
from imageblur.v1.blur_service_pb2_grpc import BlurServiceServicer

from services.common.db.models import Image
from services.common.db.orders.orders import Snapshot
from services.common.domain.errors import InvalidArgument, TooLarge, Violation
from services.common.domain.orders import DeliveryState, OrderState
from services.common.domain.spec import BlurSpec, Format
from services.gateway.orders import downloads, requests
from services.gateway.orders.downloads import Downloads
from services.gateway.orders.responses import delivery_message, email_hint, image_message, order_message
from services.gateway.orders.uploads import Intake, Upload, receiving
from services.gateway.orders.use_cases import MAX_PAGE, Changed, UseCases
from services.gateway.orders.watch_hub import Watching
from services.gateway.rpc.callers import principal

Context = aio.ServicerContext[Any, Any]

MAX_CHUNK_BYTES = 2 << 20
DEFAULT_PAGE = 100


class BlurServicer(BlurServiceServicer):
    """The service of orders."""

    def __init__(self, intake: Intake, use_cases: UseCases, watching: Watching) -> None:
        self._intake = intake
        self._settings = intake.settings
        self._offload = intake.offload
        self._use_cases = use_cases
        self._watching = watching
        self._downloads = Downloads(intake.blobs)

    async def GetLimits(self, request: pb.GetLimitsRequest, context: Context) -> pb.GetLimitsResponse:
        """What this server takes."""
        settings = self._settings
        return pb.GetLimitsResponse(
            max_order_bytes=settings.max_order_bytes,
            max_image_bytes=settings.max_image_bytes,
            max_images=settings.largest_order,
            max_pixels=settings.max_pixels,
            formats=[order_pb2.ImageFormat.Value(f"IMAGE_FORMAT_{name}") for name in Format],
            retention=Duration(seconds=int(settings.retention_days * 86_400)),
            server_version=version("imageblur"),
            max_message_bytes=settings.max_message_bytes,
            max_chunk_bytes=MAX_CHUNK_BYTES,
        )

    async def BlurOrder(self, request: pb.BlurOrderRequest, context: Context) -> pb.BlurOrderResponse:
        """A whole order in one message."""
        if request.ByteSize() > self._settings.max_message_bytes:
            raise TooLarge(
                f"the message is larger than {self._settings.max_message_bytes} bytes; StreamBlurOrder takes more"
            )
        violations = requests.Violations()
        # Before any of them is looked at: millions of empty ones fit into a message.
        if len(request.images) > self._settings.largest_order:
            raise InvalidArgument(Violation("images", f"are more than {self._settings.largest_order}"))
        images = _take_images(request, violations)
        try:
            header = requests.parse_header(request.order, "order")
        except InvalidArgument as error:
            violations[:0] = error.violations
        violations.check()
        del request  # or the images would be in memory twice
        async with receiving(self._intake, principal(), "BlurOrder", header, len(images)) as upload:
            for index, (filename, spec, data) in enumerate(images):
                async with upload.image(filename, spec, field=f"images[{index}]") as incoming:
                    await incoming.write(data)
            accepted = await upload.commit()
        return pb.BlurOrderResponse(order=_accepted(accepted, header, len(images)))

    async def StreamBlurOrder(
        self,
        request_iterator: AsyncIterator[pb.StreamBlurOrderRequest],
        context: Context,
    ) -> pb.StreamBlurOrderResponse:
        """An order of any size as a stream."""
        part = await anext(request_iterator, None)
        if part is None or part.WhichOneof("part") != "start":
            raise InvalidArgument(Violation("start", "must come first"))
        start = part.start
        header = requests.parse_header(start.order, "order")
        if not 1 <= start.image_count <= self._settings.largest_order:
            raise InvalidArgument(Violation("start.image_count", f"must be 1 to {self._settings.largest_order}"))
        async with receiving(self._intake, principal(), "StreamBlurOrder", header, start.image_count) as upload:
            count = 0
            part = await anext(request_iterator, None)
            while part is not None and part.WhichOneof("part") == "image" and count < start.image_count:
                part = await self._receive_image(request_iterator, upload, part.image, f"images[{count}]")
                count += 1
            if part is not None:
                kind = part.WhichOneof("part")
                raise InvalidArgument(Violation(kind or "part", f"was not expected after {count} images"))
            if count < start.image_count:
                raise InvalidArgument(
                    Violation("start.image_count", f"is {start.image_count}, but the stream ended after {count} images")
                )
            accepted = await upload.commit()
        return pb.StreamBlurOrderResponse(order=_accepted(accepted, header, count))

    async def _receive_image(
        self, parts: AsyncIterator[pb.StreamBlurOrderRequest], upload: Upload, start: pb.ImageStart, field: str
    ) -> pb.StreamBlurOrderRequest | None:
        violations = requests.Violations()
        with violations.below(field):
            filename, spec = requests.parse_filename(start.filename), requests.parse_image_spec(start)
        violations.check()
        size = start.size_bytes if start.HasField("size_bytes") else None
        sha256 = start.sha256 if start.HasField("sha256") else None
        async with upload.image(filename, spec, field=field, size=size, sha256=sha256) as incoming:
            while (part := await anext(parts, None)) is not None and part.WhichOneof("part") == "chunk":
                if len(part.chunk) > MAX_CHUNK_BYTES:
                    raise InvalidArgument(Violation(f"{field}.chunk", f"is larger than {MAX_CHUNK_BYTES} bytes"))
                await incoming.write(part.chunk)
        return part

    async def Status(self, request: pb.StatusRequest, context: Context) -> pb.StatusResponse:
        """How an order stands."""
        order_id = requests.parse_id(request.order_id)
        if request.view not in pb.OrderView.values():
            raise InvalidArgument(Violation("view", f"{request.view} is not a view"))
        if request.view != pb.ORDER_VIEW_FULL:
            return pb.StatusResponse(order=order_message(await self._offload(self._use_cases.status, order_id)))
        changed = await self._offload(self._use_cases.status_with_images, order_id)
        return pb.StatusResponse(
            order=order_message(changed.snapshot),
            images=map(image_message, changed.images[:MAX_PAGE]),
            next_page_token=_next_page(changed.images, MAX_PAGE),
        )

    async def ListImages(self, request: pb.ListImagesRequest, context: Context) -> pb.ListImagesResponse:
        """A page of an order's images."""
        order_id = requests.parse_id(request.order_id)
        if request.page_size < 0:
            raise InvalidArgument(Violation("page_size", "must not be negative"))
        limit = min(request.page_size or DEFAULT_PAGE, MAX_PAGE)
        after = requests.parse_page_token(request.page_token)
        state = requests.parse_image_state(request.state)
        images = await self._offload(self._use_cases.list_images, order_id, after=after, limit=limit + 1, state=state)
        return pb.ListImagesResponse(
            images=map(image_message, images[:limit]), next_page_token=_next_page(images, limit)
        )

    async def WatchStatus(
        self,
        request: pb.WatchStatusRequest,
        context: Context,
    ) -> AsyncIterator[pb.WatchStatusResponse]:
        """How an order stands, then each change."""
        order_id = requests.parse_id(request.order_id)
        if request.after_revision < 0:
            raise InvalidArgument(Violation("after_revision", "must not be negative"))
        revision = request.after_revision
        async with contextlib.aclosing(self._watching.watch(order_id, revision)) as changes:
            async for changed in changes:
                message = order_message(changed.snapshot)
                # At least one message: a change may be of the order alone.
                for begin in range(0, max(1, len(changed.images)), MAX_PAGE):
                    batch = changed.images[begin : begin + MAX_PAGE]
                    complete = begin + MAX_PAGE >= len(changed.images)
                    # Whoever is cut off in the middle resumes from the revision before, and misses nothing.
                    message.revision = changed.revision if complete else revision
                    yield pb.WatchStatusResponse(order=message, changed_images=map(image_message, batch))
                revision = changed.revision
                if _at_rest(changed):
                    return

    async def SendImages(self, request: pb.SendImagesRequest, context: Context) -> pb.SendImagesResponse:
        """Mail the results."""
        await self._intake.readiness.broker()
        delivery, emails = await self._offload(
            self._use_cases.send_images,
            requests.parse_id(request.order_id),
            principal=principal(),
            request_id=requests.parse_request_id(request.request_id),
            when_ready=request.when_ready,
        )
        return pb.SendImagesResponse(delivery=delivery_message(delivery, emails))

    async def DownloadImages(
        self,
        request: pb.DownloadImagesRequest,
        context: Context,
    ) -> AsyncIterator[pb.DownloadImagesResponse]:
        """The results, file by file or as an archive."""
        asked = downloads.parse(request, self._use_cases.tokens)
        results = await self._offload(self._use_cases.results, asked.order_id, asked.image_ids)
        async for file in self._offload.iterate(self._downloads.files(asked, results)):
            yield pb.DownloadImagesResponse(file=file.start)
            async for chunk in self._offload.iterate(file.content):
                yield pb.DownloadImagesResponse(chunk=chunk)

    async def CancelOrder(self, request: pb.CancelOrderRequest, context: Context) -> pb.CancelOrderResponse:
        """Cancel what has not ended."""
        snapshot = await self._offload(self._use_cases.cancel, requests.parse_id(request.order_id))
        return pb.CancelOrderResponse(order=order_message(snapshot))

    async def DeleteOrder(self, request: pb.DeleteOrderRequest, context: Context) -> pb.DeleteOrderResponse:
        """Delete an order."""
        await self._offload.to_its_end(self._use_cases.delete, requests.parse_id(request.order_id))
        return pb.DeleteOrderResponse()


def _take_images(
    request: pb.BlurOrderRequest, violations: requests.Violations
) -> list[tuple[str, BlurSpec | None, bytes]]:
    """Name, spec and bytes of each image; nothing of them keeps the message alive."""
    images = []
    for index, image in enumerate(request.images):
        with violations.below(f"images[{index}]"):
            images.append((requests.parse_filename(image.filename), requests.parse_image_spec(image), image.data))
        if not image.data:
            violations.add(f"images[{index}].data", "is empty")
    if not request.images:
        violations.add("images", "must be at least one")
    return images


def _accepted(snapshot: Snapshot | None, header: requests.Header, count: int) -> order_pb2.Order:
    if snapshot is None:
        return order_pb2.Order(counts=order_pb2.Counts(total=count), email_hint=email_hint(header.email))
    return order_message(snapshot)


def _next_page(images: Sequence[Image], limit: int) -> str:
    return requests.page_token(images[limit - 1].position) if len(images) > limit else ""


def _at_rest(changed: Changed) -> bool:
    mailing = any(DeliveryState(delivery.state).open for delivery, _ in changed.snapshot.deliveries)
    return not OrderState(changed.snapshot.order.state).open and not mailing
