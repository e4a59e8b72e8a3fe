"""The RPCs of instant calls, a part of BlurService."""

from dataclasses import replace
from typing import Any

from grpc import aio
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.blur_service_pb2_grpc import BlurServiceServicer

from services.common.domain.errors import MessageTooLarge, Unavailable
from services.gateway import metrics
from services.gateway.instant.calls import SendInstantCall
from services.gateway.instant.requests import (
    blur_image_response,
    find_regions_response,
    parse_blur_image,
    parse_find_regions,
)
from services.gateway.orders.placement.available_models import AvailableModels
from services.gateway.orders.reading.previews import FindPreview, parse_preview
from services.gateway.rpc.fields import parse_id
from services.gateway.rpc.thread_pool import ThreadPool
from services.gateway.settings import GatewaySettings
from services.gateway.uploads.servicer import Uploads

Context = aio.ServicerContext[Any, Any]


class InstantMethods(BlurServiceServicer):
    """Parses each request, has a worker answer it, converts the answer."""

    settings: GatewaySettings
    threads: ThreadPool
    models: AvailableModels
    uploads: Uploads
    call_instantly: SendInstantCall
    find_preview: FindPreview

    async def BlurImage(self, request: pb.BlurImageRequest, context: Context) -> pb.BlurImageResponse:
        """Blur one image while the caller waits."""
        limit = self.settings.max_message_bytes
        if request.ByteSize() > limit:
            raise MessageTooLarge(f"the message is larger than {limit} bytes: place an order with StreamBlurOrder")
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
            raise MessageTooLarge(f"the message is larger than {limit} bytes")
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
