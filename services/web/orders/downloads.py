"""Downloads of results and archives: whole or in ranges, with names and types that are safe in a browser."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from urllib.parse import quote

from imageblur.v1 import blur_service_pb2 as pb
from imageblur_client.errors import InvalidArgumentError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from services.common.domain.spec import OUTPUT_FORMATS
from services.web.gateway.client import DownloadStream, GatewayClient
from services.web.gateway.rpc import client_errors
from services.web.http.problems import NOT_FOUND, Problem, ProblemError
from services.web.http.templates import PRIVATE
from services.web.orders.ranges import parse_range

_MEDIA_TYPES = {"application/zip", *(format_.media_type for format_ in OUTPUT_FORMATS)}


def drawing(answer: pb.PreviewImageResponse) -> Response:
    """Return the drawing of an image, with the size of the image itself."""
    size = {"X-ImageBlur-Width": str(answer.width), "X-ImageBlur-Height": str(answer.height)}
    return Response(answer.data, headers=PRIVATE | size, media_type=answer.media_type)


class DownloadPages:
    """Streams files from the gateway.

    Args:
        gateway: The gateway.
        strict: Report a malformed id as such, not as that of nothing.
    """

    def __init__(self, gateway: GatewayClient, *, strict: bool = False) -> None:
        self._gateway = gateway
        self._strict = strict

    async def image(self, request: Request) -> Response:
        """Return one result, inline or, with `?download`, as an attachment."""
        download = pb.DownloadImagesRequest(
            order_id=request.path_params["order_id"], image_ids=[request.path_params["image_id"]]
        )
        return await self._respond(request, download, attachment="download" in request.query_params)

    async def archive(self, request: Request) -> Response:
        """Return a ZIP of all results of an order so far."""
        download = pb.DownloadImagesRequest(order_id=request.path_params["order_id"], archive=True)
        return await self._respond(request, download, attachment=True)

    async def preview(self, request: Request) -> Response:
        """Return a drawing of an image's original or, with `source=result`, of its result."""
        try:
            source = pb.PreviewSource.Value(f"PREVIEW_SOURCE_{request.query_params.get('source', 'original').upper()}")
            side = int(request.query_params.get("max_side", "0"))
        except ValueError:
            raise ProblemError(Problem(400, "bad_request")) from None
        preview = pb.PreviewImageRequest(
            order_id=request.path_params["order_id"],
            image_id=request.path_params["image_id"],
            source=source,
            max_side=side,
        )
        return drawing(await self._gateway.preview(preview))

    async def linked_archive(self, request: Request) -> Response:
        """Return the archive that an e-mail links to."""
        token = request.query_params.get("token", "")
        if not token:
            raise ProblemError(Problem(400, "bad_link"))
        return await self._respond(request, pb.DownloadImagesRequest(token=token), attachment=True)

    async def _respond(self, request: Request, download: pb.DownloadImagesRequest, *, attachment: bool) -> Response:
        async with AsyncExitStack() as stack:
            file, stream = await self._open(stack, download)
            etag = f'"{file.etag}"'
            headers = _headers(file, etag, attachment=attachment)
            if etag in request.headers.get("if-none-match", ""):
                return Response(status_code=304, headers=headers)
            byte_range = parse_range(request.headers.get("range"))
            first, length, status = 0, file.size_bytes, 200
            if byte_range and request.headers.get("if-range", etag) == etag:
                found = byte_range.within(file.size_bytes)
                if found is None:
                    return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{file.size_bytes}"})
                (first, length), status = found, 206
                headers["Content-Range"] = f"bytes {first}-{first + length - 1}/{file.size_bytes}"
            headers["Content-Length"] = str(length)
            if request.method == "HEAD":
                return Response(status_code=status, headers=headers, media_type=_media_type(file))
            if status == 206:
                download.offset, download.length = first, length
                await stack.aclose()
                reopened, stream = await self._open(stack, download)
                if reopened.etag != file.etag:
                    raise ProblemError(Problem(503, "unavailable", 1))  # the archive changed between the two calls
            return StreamingResponse(_chunks(stack.pop_all(), stream), status, headers, _media_type(file))

    async def _open(
        self, stack: AsyncExitStack, download: pb.DownloadImagesRequest
    ) -> tuple[pb.FileStart, DownloadStream]:
        try:
            stream = await stack.enter_async_context(self._gateway.download(download))
            with client_errors():
                first = await anext(stream, None)
        except InvalidArgumentError as error:
            raise error if self._strict or error.reason == "INVALID_TOKEN" else ProblemError(NOT_FOUND) from None
        if first is None or first.WhichOneof("part") != "file":
            raise ProblemError(NOT_FOUND)
        return first.file, stream


async def _chunks(stack: AsyncExitStack, stream: DownloadStream) -> AsyncIterator[bytes]:
    async with stack:
        async for part in stream:
            yield part.chunk


def _headers(file: pb.FileStart, etag: str, *, attachment: bool) -> dict[str, str]:
    ascii_name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in file.filename)
    names = f"filename=\"{ascii_name}\"; filename*=UTF-8''{quote(file.filename, safe='')}"
    return PRIVATE | {
        "Accept-Ranges": "bytes",
        "Content-Disposition": f"{'attachment' if attachment else 'inline'}; {names}",
        "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
        "ETag": etag,
    }


def _media_type(file: pb.FileStart) -> str:
    return file.media_type if file.media_type in _MEDIA_TYPES else "application/octet-stream"
