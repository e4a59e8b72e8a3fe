"""One image, answered at once: `POST /v1/blur`, `POST /v1/find`, and the blurring interface of Panoramax at `/blur/`.

The image is the body, or the file `image` of a form. Nothing of it is kept.
"""

import json
import secrets

import anyio.to_thread
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.order_pb2 import CheckState, Find, FindingKind, ImageFormat
from starlette.requests import Request
from starlette.responses import Response

from services.web.api.calls import Gateways
from services.web.api.errors import BadRequest
from services.web.api.messages import MessageType, json_response, parse_json, query_fields
from services.web.api.spec_query import parse_spec
from services.web.http.templates import PRIVATE
from services.web.orders.body_reader import BodyReader
from services.web.orders.multipart import read_form

SERVICE_NAME = "ImageBlur"
_SIDE_DIGITS = 9


class InstantCalls:
    """Blurs and searches single images."""

    def __init__(self, gateways: Gateways) -> None:
        self._gateways = gateways

    async def blur(self, request: Request) -> Response:
        """Return the blurred image; with `Accept: application/json` or a request of that type a BlurImageResponse."""
        if _is_json(request):
            return json_response(
                await self._gateways.of(request).blur_image(await self._parse(request, pb.BlurImageRequest))
            )
        spec = parse_spec(request.query_params)
        name, data = await self._receive(request, "image")
        answer = await self._blur(request, pb.InputImage(filename=name, data=data, spec=spec))
        if "application/json" in request.headers.get("accept", ""):
            return json_response(answer)
        return Response(answer.data, headers=_facts(answer), media_type=answer.media_type)

    async def find(self, request: Request) -> Response:
        """Return a FindRegionsResponse."""
        if _is_json(request):
            message = await self._parse(request, pb.FindRegionsRequest)
            return json_response(await self._gateways.of(request).find_regions(message))
        query = request.query_params
        spec = parse_spec(query, others={"preview"})
        side = query.get("preview", "0")
        if not side.isascii() or not side.isdecimal() or len(side) > _SIDE_DIGITS:
            raise BadRequest("preview", f"{side!r} is not a number of pixels, such as 1600")
        _, data = await self._receive(request, "image")
        message = pb.FindRegionsRequest(
            data=data, find=spec.find, effort=spec.effort, output_format=spec.output_format, preview_side=int(side)
        )
        return json_response(await self._gateways.of(request).find_regions(message))

    async def panoramax(self, request: Request) -> Response:
        """Blur the faces, and what else a Panoramax instance asks for, of the JPEG `picture`; keep its EXIF.

        `keep=1` asks to keep what was hidden, which ImageBlur never does.
        """
        spec = parse_spec(request.query_params, others={"keep"})
        if not spec.find:
            spec.find.append(Find(kind=FindingKind.FINDING_KIND_FACE))
        spec.keep_metadata = True
        if spec.output_format == ImageFormat.IMAGE_FORMAT_UNSPECIFIED:
            spec.output_format = ImageFormat.IMAGE_FORMAT_JPEG
        name, data = await self._receive(request, "picture", ignores_fields=True)
        answer = await self._blur(request, pb.InputImage(filename=name, data=data, spec=spec))
        if "multipart/form-data" in request.headers.get("accept", ""):
            return _with_metadata(answer)
        return Response(answer.data, headers=_facts(answer), media_type=answer.media_type)

    async def _blur(self, request: Request, image: pb.InputImage) -> pb.BlurImageResponse:
        return await self._gateways.of(request).blur_image(pb.BlurImageRequest(image=image))

    async def _parse(self, request: Request, kind: type[MessageType]) -> MessageType:
        limits = await self._gateways.limits(request)
        try:
            body = await BodyReader(request.stream()).read_all(2 * limits.max_message_bytes)
        except EOFError:
            message = f"is larger than {2 * limits.max_message_bytes} bytes: place an order instead"
            raise BadRequest("body", message, status=413) from None
        return parse_json(body, kind, query_fields(request.query_params, kind))

    async def _receive(self, request: Request, part: str, *, ignores_fields: bool = False) -> tuple[str, bytes]:
        """Return the name and the content of the image that a request carries."""
        limits = await self._gateways.limits(request)
        most = min(limits.max_image_bytes, limits.max_message_bytes)
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            with await read_form(request, max_bytes=most, max_files=1) as form:
                for field in () if ignores_fields else form.fields:
                    raise BadRequest(field, "is no field of the form: parameters are in the query, the image is a file")
                if not form.files:
                    raise BadRequest(part, "is missing: send the image as a file of the form, or as the body")
                file = form.files[0]
                content = form.content

                def read() -> bytes:
                    content.seek(file.offset)
                    return content.read(file.size)

                return file.name, await anyio.to_thread.run_sync(read)
        try:
            data = await BodyReader(request.stream()).read_all(most)
        except EOFError:
            message = f"is larger than {most} bytes: place an order instead"
            raise BadRequest(part, message, status=413) from None
        if not data:
            raise BadRequest(part, "is missing: send the image as the body, or as a file of a form")
        return "", data


def _is_json(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("application/json")


def _facts(answer: pb.BlurImageResponse) -> dict[str, str]:
    state = CheckState.Name(answer.check.state).removeprefix("CHECK_STATE_")
    return PRIVATE | {"X-ImageBlur-Findings": str(len(answer.findings)), "X-ImageBlur-Check": state}


def _with_metadata(answer: pb.BlurImageResponse) -> Response:
    """Return the image and its metadata as Panoramax's interface describes: a form of two parts."""
    boundary = secrets.token_hex(16)
    metadata = json.dumps({"blurring_id": "", "service_name": SERVICE_NAME, "annotations": []}).encode()
    parts = (
        b'Content-Disposition: form-data; name="image"; filename="blurred.jpg"\r\n'
        b"Content-Type: %s\r\n\r\n%s" % (answer.media_type.encode(), answer.data),
        b'Content-Disposition: form-data; name="metadata"\r\nContent-Type: application/json\r\n\r\n' + metadata,
    )
    body = b"".join(b"--%s\r\n%s\r\n" % (boundary.encode(), part) for part in parts) + b"--%s--\r\n" % boundary.encode()
    return Response(body, headers=_facts(answer), media_type=f"multipart/form-data; boundary={boundary}")
