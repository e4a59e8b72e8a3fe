"""Results and archives over HTTP: whole or in parts, with names and types that are safe to hand to a browser."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from urllib.parse import quote

from imageblur.v1 import blur_service_pb2 as pb
from imageblur_client.errors import InvalidArgumentError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from services.web.gateway import Downloading, Gateway, mapped_errors
from services.web.http.problems import NOT_FOUND, Problem, Told
from services.web.http.templates import PRIVATE, Pages

_TYPES = {
    "image/jpeg", "image/png", "image/webp", "image/gif", "image/tiff", "image/bmp", "image/avif", "application/zip",
}  # fmt: skip
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


@dataclass(frozen=True)
class Part:
    """The part of a file that is asked for: from `first`, counted from the end if that is negative, to `last`."""

    first: int
    last: int | None


def parse_range(header: str | None) -> Part | None:
    """The one range that a header asks for; None for anything else, which is answered with all (RFC 9110, 14.2)."""
    match = _RANGE.fullmatch((header or "").replace(" ", ""))
    if not match or match[1] == match[2] == "":
        return None
    if not match[1]:
        return Part(-int(match[2]), None) if int(match[2]) else None
    first, last = int(match[1]), int(match[2]) if match[2] else None
    return None if last is not None and last < first else Part(first, last)


class Downloads:
    """Hands out what the gateway has."""

    def __init__(self, gateway: Gateway, pages: Pages) -> None:
        self._gateway = gateway
        self._pages = pages

    async def image(self, request: Request) -> Response:
        """One result, to look at or, with `?download`, to keep."""
        asked = pb.DownloadImagesRequest(
            order_id=request.path_params["order_id"], image_ids=[request.path_params["image_id"]]
        )
        return await self._answer(request, asked, attachment="download" in request.query_params)

    async def archive(self, request: Request) -> Response:
        """All results of an order so far."""
        asked = pb.DownloadImagesRequest(order_id=request.path_params["order_id"], archive=True)
        return await self._answer(request, asked, attachment=True)

    async def linked_archive(self, request: Request) -> Response:
        """The archive that an e-mail links to."""
        token = request.query_params.get("token", "")
        if not token:
            raise Told(Problem(400, "bad_token"))
        return await self._answer(request, pb.DownloadImagesRequest(token=token), attachment=True)

    async def _answer(self, request: Request, asked: pb.DownloadImagesRequest, *, attachment: bool) -> Response:
        async with AsyncExitStack() as stack:
            start, parts = await self._open(stack, asked)
            etag = f'"{start.etag}"'
            headers = _headers(start, etag, attachment=attachment)
            if etag in request.headers.get("if-none-match", ""):
                return Response(status_code=304, headers=headers)
            part = parse_range(request.headers.get("range"))
            first, length, status = 0, start.size_bytes, 200
            if part and request.headers.get("if-range", etag) == etag:
                first = part.first if part.first >= 0 else max(0, start.size_bytes + part.first)
                end = start.size_bytes if part.last is None else min(part.last + 1, start.size_bytes)
                if first >= end:
                    unsatisfied = {"Content-Range": f"bytes */{start.size_bytes}"}
                    return Response(status_code=416, headers=headers | unsatisfied)
                length, status = end - first, 206
                headers["Content-Range"] = f"bytes {first}-{end - 1}/{start.size_bytes}"
            headers["Content-Length"] = str(length)
            if request.method == "HEAD":
                return Response(status_code=status, headers=headers, media_type=_type(start))
            if status == 206:
                asked.offset, asked.length = first, length
                await stack.aclose()
                again, parts = await self._open(stack, asked)
                if again.etag != start.etag:
                    raise Told(Problem(503, "away", 1))  # it has changed in this very moment
            return StreamingResponse(_chunks(stack.pop_all(), parts), status, headers, _type(start))

    async def _open(self, stack: AsyncExitStack, asked: pb.DownloadImagesRequest) -> tuple[pb.FileStart, Downloading]:
        try:
            parts = await stack.enter_async_context(self._gateway.download(asked))
            with mapped_errors():
                first = await anext(parts, None)
        except InvalidArgumentError as error:
            raise error if error.reason == "INVALID_TOKEN" else Told(NOT_FOUND) from None
        if first is None or first.WhichOneof("part") != "file":
            raise Told(NOT_FOUND)
        return first.file, parts


async def _chunks(stack: AsyncExitStack, parts: Downloading) -> AsyncIterator[bytes]:
    async with stack:
        async for part in parts:
            yield part.chunk


def _headers(start: pb.FileStart, etag: str, *, attachment: bool) -> dict[str, str]:
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in start.filename)
    name = f"filename=\"{plain}\"; filename*=UTF-8''{quote(start.filename, safe='')}"
    return PRIVATE | {
        "Accept-Ranges": "bytes",
        "Content-Disposition": f"{'attachment' if attachment else 'inline'}; {name}",
        "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
        "ETag": etag,
    }


def _type(start: pb.FileStart) -> str:
    return start.media_type if start.media_type in _TYPES else "application/octet-stream"
