"""The RPCs of uploads, a part of BlurService."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from grpc import aio
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.blur_service_pb2_grpc import BlurServiceServicer

from services.common.domain.errors import MessageTooLarge, NotFound
from services.common.infra.fair_executor import FairExecutor
from services.common.use_cases.order_lifecycle import OrderLifecycle
from services.gateway.orders.messages.responses import order_message
from services.gateway.orders.placement.available_models import AvailableModels
from services.gateway.orders.placement.order_upload import OrderReceiver
from services.gateway.rpc.callers import principal, rate_limit_key
from services.gateway.rpc.fields import parse_id
from services.gateway.rpc.thread_pool import ThreadPool
from services.gateway.rpc.timestamps import timestamp
from services.gateway.settings import GatewaySettings
from services.gateway.uploads.append import AppendUpload
from services.gateway.uploads.completion import CompleteUpload
from services.gateway.uploads.creation import CreateUpload, UploadProgress
from services.gateway.uploads.reading import UploadReader
from services.gateway.uploads.requests import ParsedUpload, parse_upload

Context = aio.ServicerContext[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Uploads:
    """The use cases of uploads, and what they need."""

    settings: GatewaySettings
    threads: ThreadPool
    parsing: FairExecutor
    models: AvailableModels
    receiver: OrderReceiver
    lifecycle: OrderLifecycle
    reader: UploadReader
    create: CreateUpload
    append: AppendUpload
    complete: CompleteUpload

    @classmethod
    def of(
        cls,
        receiver: OrderReceiver,
        *,
        parsing: FairExecutor,
        models: AvailableModels,
        lifecycle: OrderLifecycle,
        max_chunk_bytes: int,
    ) -> Self:
        """Return the use cases over what receives orders."""
        storage, threads = receiver.storage, receiver.threads
        reader = UploadReader(storage)
        return cls(
            settings=storage.settings,
            threads=threads,
            parsing=parsing,
            models=models,
            receiver=receiver,
            lifecycle=lifecycle,
            reader=reader,
            create=CreateUpload(storage),
            append=AppendUpload(storage, reader, threads, receiver.head_starts, max_chunk_bytes),
            complete=CompleteUpload(storage, reader),
        )


class UploadMethods(BlurServiceServicer):
    """Parses each request, calls a use case, converts its result."""

    uploads: Uploads

    async def CreateUpload(self, request: pb.CreateUploadRequest, context: Context) -> pb.CreateUploadResponse:
        """Create an upload."""
        uploads, key = self.uploads, rate_limit_key()
        limit = uploads.settings.max_message_bytes
        if request.ByteSize() > limit:
            raise MessageTooLarge(f"the message is larger than {limit} bytes: use StreamBlurOrder")
        uploads.receiver.broker_check.check_rate(key)
        parsed: ParsedUpload = await uploads.parsing.run(key, parse_upload, request, uploads.settings)
        uploads.receiver.storage.external_access.check_header(parsed.header)
        specs = {f"{image.field}.spec": image.spec for image in parsed.images if image.spec}
        await uploads.models.check({"order.spec": parsed.header.spec} | specs)
        if parsed.header.validate_only:
            return pb.CreateUploadResponse(upload=pb.Upload(size_bytes=parsed.size, image_count=len(parsed.images)))
        await uploads.receiver.broker_check.count_order(key, images=len(parsed.images))
        if await uploads.threads.run(uploads.create.recipient_is_unconfirmed, parsed, principal()):
            await uploads.receiver.broker_check.count_unconfirmed(key)
        state = await uploads.threads.run_to_end(uploads.create, parsed, principal=principal(), rate_limit_key=key)
        return pb.CreateUploadResponse(upload=_message(state))

    async def AppendUpload(
        self, request_iterator: AsyncIterator[pb.AppendUploadRequest], context: Context
    ) -> pb.AppendUploadResponse:
        """Append bytes to an upload."""
        upload_id = await self.uploads.append(request_iterator)
        return pb.AppendUploadResponse(upload=_message(await self._get(upload_id)))

    async def GetUpload(self, request: pb.GetUploadRequest, context: Context) -> pb.GetUploadResponse:
        """Return an upload."""
        return pb.GetUploadResponse(upload=_message(await self._get(parse_id(request.upload_id, "upload_id"))))

    async def CompleteUpload(self, request: pb.CompleteUploadRequest, context: Context) -> pb.CompleteUploadResponse:
        """Place the order of an upload."""
        uploads, upload_id = self.uploads, parse_id(request.upload_id, "upload_id")
        await uploads.receiver.broker_check.ping()
        snapshot = await uploads.threads.run_to_end(uploads.complete, upload_id)
        uploads.receiver.head_starts.end(upload_id, committed=True)
        return pb.CompleteUploadResponse(order=order_message(snapshot))

    async def DeleteUpload(self, request: pb.DeleteUploadRequest, context: Context) -> pb.DeleteUploadResponse:
        """Delete an upload."""
        upload_id = parse_id(request.upload_id, "upload_id")
        if not await self.uploads.threads.run_to_end(self.uploads.lifecycle.delete_upload, upload_id):
            raise NotFound("upload", str(upload_id))
        return pb.DeleteUploadResponse()

    async def _get(self, upload_id: UUID) -> UploadProgress:
        return await self.uploads.threads.run(self.uploads.reader.get, upload_id)


def _message(state: UploadProgress) -> pb.Upload:
    return pb.Upload(
        upload_id=str(state.id),
        size_bytes=state.size,
        received_bytes=state.received,
        image_count=state.image_count,
        expire_time=timestamp(state.expires_at),
        completed=state.expires_at is None,
    )
