"""BlurService: parses each request, calls a use case, converts its result."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from google.protobuf.duration_pb2 import Duration
from grpc import aio
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2

from services.common.db.models import Image
from services.common.domain.errors import InvalidArgument, Violation
from services.common.domain.spec import OUTPUT_FORMATS, Format
from services.common.infra.fair_executor import FairExecutor
from services.common.use_cases.order_lifecycle import OrderLifecycle
from services.gateway.instant.calls import SendInstantCall
from services.gateway.instant.servicer import InstantMethods
from services.gateway.orders.delivery_requests import DeliveryRequest, RequestDelivery
from services.gateway.orders.messages import requests
from services.gateway.orders.messages.findings import model_message
from services.gateway.orders.messages.image_pages import first_page, image_messages
from services.gateway.orders.messages.responses import delivery_message, order_message
from services.gateway.orders.placement.available_models import AvailableModels
from services.gateway.orders.placement.fetch_workers import FetchWorkers
from services.gateway.orders.placement.list_sources import ListSources
from services.gateway.orders.placement.order_upload import OrderReceiver
from services.gateway.orders.placement.placement_servicer import MAX_CHUNK_BYTES, PlacementMethods
from services.gateway.orders.reading.downloads import ResultDownloads
from services.gateway.orders.reading.order_reader import OrderReader
from services.gateway.orders.reading.previews import FindPreview
from services.gateway.orders.reading.watch_hub import WatchHub
from services.gateway.orders.revision_requests import ReviseImages, parse_revision
from services.gateway.rpc import paging
from services.gateway.rpc.callers import audit_context, principal, rate_limit_key
from services.gateway.rpc.fields import parse_email, parse_id, parse_request_id
from services.gateway.rpc.thread_pool import ThreadPool
from services.gateway.settings import GatewaySettings
from services.gateway.uploads.receiver import PART_BYTES
from services.gateway.uploads.servicer import UploadMethods, Uploads
from services.gateway.webhooks.caller_secrets import CallerSecrets

Context = aio.ServicerContext[Any, Any]

DEFAULT_PAGE = 100


@dataclass(frozen=True, kw_only=True)
class BlurServicer(PlacementMethods, InstantMethods, UploadMethods):
    """The service of orders: with its methods that are elsewhere, all of them."""

    settings: GatewaySettings
    threads: ThreadPool
    parsing: FairExecutor
    receiver: OrderReceiver
    models: AvailableModels
    reader: OrderReader
    hub: WatchHub
    request_delivery: RequestDelivery
    downloads: ResultDownloads
    lifecycle: OrderLifecycle
    call_instantly: SendInstantCall
    revise_images: ReviseImages
    webhook_secrets: CallerSecrets
    uploads: Uploads
    list_sources: ListSources
    fetch_workers: FetchWorkers
    find_preview: FindPreview

    async def GetLimits(self, request: pb.GetLimitsRequest, context: Context) -> pb.GetLimitsResponse:
        """Return the limits of this server."""
        settings, outside = self.settings, self.receiver.storage.external_access
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
        if await self.threads.run(self.request_delivery.recipient_is_unconfirmed, wanted):
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
