"""BlurService: parses each request, calls a use case, converts its result."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

from google.protobuf.duration_pb2 import Duration
from grpc import aio
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2

from services.common.db.models import Image
from services.common.db.orders.snapshots import Snapshot
from services.common.domain.errors import InvalidArgument, TooLarge, Unavailable, Violation
from services.common.domain.spec import OUTPUT_FORMATS, Format
from services.common.infra.fair_thread import FairThread
from services.common.use_cases.order_lifecycle import OrderLifecycle
from services.gateway import metrics
from services.gateway.instant.calls import CallInstantly
from services.gateway.instant.requests import (
    blur_image_response,
    find_regions_response,
    parse_blur_image,
    parse_find_regions,
)
from services.gateway.orders import requests
from services.gateway.orders.available_models import AvailableModels
from services.gateway.orders.delivery_requests import DeliveryRequest, RequestDelivery
from services.gateway.orders.downloads import ResultDownloads
from services.gateway.orders.fetch_workers import FetchWorkers
from services.gateway.orders.findings import model_message
from services.gateway.orders.image_pages import first_page, image_messages
from services.gateway.orders.list_sources import ListedImage, ListSources
from services.gateway.orders.order_reader import OrderReader
from services.gateway.orders.order_upload import OrderReceiver, OrderUpload
from services.gateway.orders.previews import FindPreview, parse_preview
from services.gateway.orders.responses import delivery_message, email_hint, order_message
from services.gateway.orders.revision_requests import ReviseImages, parse_revision
from services.gateway.orders.watch_hub import WatchHub
from services.gateway.rpc import paging
from services.gateway.rpc.callers import audit_context, principal, rate_limit_key
from services.gateway.rpc.fields import parse_email, parse_id, parse_request_id
from services.gateway.rpc.thread_pool import ThreadPool
from services.gateway.settings import GatewaySettings
from services.gateway.uploads.receiver import PART_BYTES
from services.gateway.uploads.servicer import UploadMethods, Uploads
from services.gateway.webhooks.caller_secrets import CallerSecrets

Context = aio.ServicerContext[Any, Any]

MAX_CHUNK_BYTES = 2 << 20
DEFAULT_PAGE = 100
IMAGES_AT_ONCE = 50
"""Number of images of a message after which other calls have their turn."""


@dataclass(frozen=True, kw_only=True)
class BlurServicer(UploadMethods):
    """The service of orders."""

    settings: GatewaySettings
    threads: ThreadPool
    parsing: FairThread
    receiver: OrderReceiver
    models: AvailableModels
    reader: OrderReader
    hub: WatchHub
    request_delivery: RequestDelivery
    downloads: ResultDownloads
    lifecycle: OrderLifecycle
    call_instantly: CallInstantly
    revise_images: ReviseImages
    webhook_secrets: CallerSecrets
    uploads: Uploads
    list_sources: ListSources
    fetch_workers: FetchWorkers
    find_preview: FindPreview

    async def GetLimits(self, request: pb.GetLimitsRequest, context: Context) -> pb.GetLimitsResponse:
        """Return the limits of this server."""
        settings, outside = self.settings, self.receiver.storage.outside
        usable = outside.may_use_places()
        return pb.GetLimitsResponse(
            max_order_bytes=settings.max_order_bytes,
            max_image_bytes=settings.max_image_bytes,
            max_images=settings.largest_order,
            max_pixels=settings.max_pixels,
            max_frames=settings.max_frames,
            max_pages=settings.max_pages,
            max_segments=settings.max_segments,
            max_scans=settings.max_scans,
            formats=[order_pb2.ImageFormat.Value(f"IMAGE_FORMAT_{name}") for name in OUTPUT_FORMATS],
            input_formats=[order_pb2.ImageFormat.Value(f"IMAGE_FORMAT_{name}") for name in Format],
            retention=Duration(seconds=int(settings.retention_days * 86_400)),
            server_version=version("imageblur"),
            max_message_bytes=settings.max_message_bytes,
            max_chunk_bytes=MAX_CHUNK_BYTES,
            find_models=map(model_message, await self.models.list()),
            max_keep_originals_for=Duration(seconds=settings.max_originals_seconds),
            upload_retention=Duration(seconds=int(settings.upload_seconds)),
            upload_part_bytes=PART_BYTES,
            source_places=sorted(outside.sources) if usable else (),
            target_places=sorted(outside.targets) if usable else (),
        )

    async def BlurOrder(self, request: pb.BlurOrderRequest, context: Context) -> pb.BlurOrderResponse:
        """Place an order in one message."""
        limit = self.settings.max_message_bytes
        if request.ByteSize() > limit:
            raise TooLarge(f"the message is larger than {limit} bytes: use StreamBlurOrder")
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

    async def BlurImage(self, request: pb.BlurImageRequest, context: Context) -> pb.BlurImageResponse:
        """Blur one image while the caller waits."""
        limit = self.settings.max_message_bytes
        if request.ByteSize() > limit:
            raise TooLarge(f"the message is larger than {limit} bytes: place an order with StreamBlurOrder")
        parsed = [parse_blur_image(request, max_bytes=self.settings.max_image_bytes, max_result_bytes=limit)]
        del request  # or the image would be in memory while the call waits
        await self.models.check({"image.spec": parsed[0].spec})
        with metrics.instant_in_flight("BlurImage"):
            answer, data = await self.call_instantly(parsed.pop(), "image.data")
        return blur_image_response(answer, data)

    async def FindRegions(self, request: pb.FindRegionsRequest, context: Context) -> pb.FindRegionsResponse:
        """Find what could be hidden in one image while the caller waits."""
        limit = self.settings.max_message_bytes
        if request.ByteSize() > limit:
            raise TooLarge(f"the message is larger than {limit} bytes")
        parsed = [parse_find_regions(request, max_bytes=self.settings.max_image_bytes, max_preview_bytes=limit)]
        wants_preview, upload_id = parsed[0].preview_side > 0, request.upload_id
        del request
        await self.models.check({"": parsed[0].spec})
        if upload_id:
            key = await self.threads.run(self.uploads.reader.first_image, parse_id(upload_id, "upload_id"))
            parsed = [replace(parsed[0], blob=key)]
        with metrics.instant_in_flight("FindRegions"):
            answer, preview = await self.call_instantly(parsed.pop(), "data")
        if wants_preview and not preview:  # during an upgrade
            raise Unavailable("the worker that answered is of a version that draws no previews")
        return find_regions_response(answer, preview)

    async def Status(self, request: pb.StatusRequest, context: Context) -> pb.StatusResponse:
        """Return an order."""
        order_id = parse_id(request.order_id)
        if request.view not in pb.OrderView.values():
            raise InvalidArgument(Violation("view", f"{request.view} is not a view"))
        if request.view != pb.ORDER_VIEW_FULL:
            order = order_message(await self.threads.run(self.reader.status, order_id), with_spec=True)
            return pb.StatusResponse(order=order)
        found = await self.threads.run(self.reader.status_with_images, order_id)
        images, token = await self._image_page(found.images, paging.MAX_SIZE)
        order = order_message(found.snapshot, with_spec=True)
        return pb.StatusResponse(order=order, images=images, next_page_token=token)

    async def ListImages(self, request: pb.ListImagesRequest, context: Context) -> pb.ListImagesResponse:
        """List an order's images."""
        order_id = parse_id(request.order_id)
        size = paging.parse_size(request.page_size, default=DEFAULT_PAGE)
        after = paging.parse_index(request.page_token)
        state = requests.parse_image_state(request.state)
        found = await self.threads.run(self.reader.list_images, order_id, after=after, limit=size + 1, state=state)
        images, token = await self._image_page(found, size)
        return pb.ListImagesResponse(images=images, next_page_token=token)

    async def WatchStatus(
        self, request: pb.WatchStatusRequest, context: Context
    ) -> AsyncIterator[pb.WatchStatusResponse]:
        """Stream an order, then its changes."""
        order_id = parse_id(request.order_id)
        if request.after_revision < 0:
            raise InvalidArgument(Violation("after_revision", "must not be negative"))
        revision = request.after_revision
        async with contextlib.aclosing(self.hub.watch(order_id, revision)) as watch:
            async for changes in watch:
                message = order_message(changes.snapshot)
                # At least one message: the change may be of the order only.
                complete, rest = False, changes.images
                while not complete:
                    batch = first_page(rest)
                    rest = rest[len(batch) :]
                    complete = not rest
                    # A client that is disconnected in between resumes from the previous revision and misses nothing.
                    message.revision = changes.revision if complete else revision
                    changed = await image_messages(batch, self.threads)
                    yield pb.WatchStatusResponse(order=message, changed_images=changed)
                revision = changes.revision
                if changes.final:
                    return

    async def SendImages(self, request: pb.SendImagesRequest, context: Context) -> pb.SendImagesResponse:
        """E-mail the results."""
        await self.receiver.broker_check.ping()
        wanted = DeliveryRequest(
            order_id=parse_id(request.order_id),
            principal=principal(),
            request_id=parse_request_id(request.request_id),
            when_ready=request.when_ready,
            email=parse_email(request.email)[0] if request.email else None,
        )
        if await self.threads.run(self.request_delivery.writes_to_stranger, wanted):
            await self.receiver.broker_check.count_unconfirmed(rate_limit_key())
        delivery, emails = await self.threads.run(self.request_delivery, wanted, audited=audit_context())
        return pb.SendImagesResponse(delivery=delivery_message(delivery, emails))

    async def DownloadImages(
        self, request: pb.DownloadImagesRequest, context: Context
    ) -> AsyncIterator[pb.DownloadImagesResponse]:
        """Stream the results, file by file or as an archive."""
        wanted = self.downloads.parse(request)
        async for file in self.threads.iterate(self.downloads.files(wanted)):
            yield pb.DownloadImagesResponse(file=file.start)
            async for chunk in self.threads.iterate(file.content):
                yield pb.DownloadImagesResponse(chunk=chunk)

    async def PreviewImage(self, request: pb.PreviewImageRequest, context: Context) -> pb.PreviewImageResponse:
        """Draw an original or a result."""
        wanted = await self.threads.run(self.find_preview, parse_preview(request))
        with metrics.instant_in_flight("PreviewImage"):
            answer, data = await self.call_instantly(wanted, "image_id", counted=False)
        if not data or answer.format is None:  # during an upgrade
            raise Unavailable("the worker that answered is of a version that draws no previews")
        return pb.PreviewImageResponse(
            data=data, width=answer.width, height=answer.height, media_type=answer.format.media_type
        )

    async def CancelOrder(self, request: pb.CancelOrderRequest, context: Context) -> pb.CancelOrderResponse:
        """Cancel the images that have not ended."""
        order_id = parse_id(request.order_id)
        await self.threads.run(self.lifecycle.cancel, order_id, audited=audit_context())
        return pb.CancelOrderResponse(order=order_message(await self.threads.run(self.reader.status, order_id)))

    async def ReviseImages(self, request: pb.ReviseImagesRequest, context: Context) -> pb.ReviseImagesResponse:
        """Blur images of a finished order again."""
        key = rate_limit_key()
        self.receiver.broker_check.check_rate(key)
        wanted = await self.parsing.run(
            key, parse_revision, request, principal=principal(), max_images=self.settings.largest_order
        )
        await self.models.check(wanted.specs_by_field)
        images = len(wanted.specs) or (await self.threads.run(self.reader.status, wanted.order_id)).order.total
        await self.receiver.broker_check.count_order(key, images=images)
        snapshot = await self.threads.run_to_end(self.revise_images, wanted, audited=audit_context())
        return pb.ReviseImagesResponse(order=order_message(snapshot))

    async def DeleteOriginals(self, request: pb.DeleteOriginalsRequest, context: Context) -> pb.DeleteOriginalsResponse:
        """Delete the originals that an order keeps."""
        order_id = parse_id(request.order_id)
        await self.threads.run_to_end(self.lifecycle.delete_originals, order_id, audited=audit_context())
        return pb.DeleteOriginalsResponse(order=order_message(await self.threads.run(self.reader.status, order_id)))

    async def GetWebhookSecret(
        self, request: pb.GetWebhookSecretRequest, context: Context
    ) -> pb.GetWebhookSecretResponse:
        """Return the secret of the caller's webhooks."""
        return pb.GetWebhookSecretResponse(secret=await self.webhook_secrets.get())

    async def RotateWebhookSecret(
        self, request: pb.RotateWebhookSecretRequest, context: Context
    ) -> pb.RotateWebhookSecretResponse:
        """Replace the secret of the caller's webhooks."""
        return pb.RotateWebhookSecretResponse(secret=await self.webhook_secrets.rotate())

    async def DeleteOrder(self, request: pb.DeleteOrderRequest, context: Context) -> pb.DeleteOrderResponse:
        """Delete an order."""
        order_id = parse_id(request.order_id)
        await self.threads.run_to_end(self.lifecycle.delete, order_id, audited=audit_context())
        return pb.DeleteOrderResponse()

    async def _image_page(self, found: Sequence[Image], size: int) -> tuple[list[order_pb2.Image], str]:
        """Return a page of images, and the token of the next one if there are more."""
        page = first_page(found, size)
        token = paging.make_token(page[-1].position) if len(page) < len(found) else ""
        return await image_messages(page, self.threads, with_specs=True), token

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
        outside = self.receiver.storage.outside
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
