"""Uploads of the API: created as JSON or as in tus, appended to as in tus, completed to an order."""

import base64
import binascii

from imageblur.v1 import blur_service_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.web.api.calls import Gateways
from services.web.api.errors import BadRequest, with_problems
from services.web.api.messages import json_response, parse_json
from services.web.api.order_form import HEADER_FIELDS, parse_header
from services.web.api.spec_query import parse_spec
from services.web.orders.body_reader import BodyReader
from services.web.uploads.tus import TusUploads, headers_of, options

PATH = "/v1/uploads"


class ApiUploads:
    """Creates, shows and completes uploads with the key of each request."""

    def __init__(self, gateways: Gateways) -> None:
        self._gateways = gateways

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        tus, one = TusUploads(self._gateways.of), f"{PATH}/{{upload_id}}"
        return [
            Route(PATH, with_problems(self.options), methods=["OPTIONS"]),
            Route(PATH, with_problems(self.create), methods=["POST"]),
            Route(one, with_problems(self.options), methods=["OPTIONS"]),
            Route(one, with_problems(self.show), methods=["GET", "HEAD"]),
            Route(one, with_problems(tus.append), methods=["PATCH"]),
            Route(one, with_problems(tus.delete), methods=["DELETE"]),
            Route(f"{one}/complete", with_problems(self.complete), methods=["POST"]),
        ]

    async def options(self, request: Request) -> Response:
        """Describe the server, as in tus."""
        limits = await self._gateways.of(request).limits()
        return Response(status_code=204, headers=options(limits.max_order_bytes))

    async def create(self, request: Request) -> Response:
        """Create an upload: a CreateUploadRequest as JSON, or as in tus of one image."""
        gateway = self._gateways.of(request)
        if "upload-length" in request.headers:
            wanted = _of_headers(request)
        else:
            limits = await gateway.limits()
            try:
                body = await BodyReader(request.stream()).read_all(2 * limits.max_message_bytes)
            except EOFError:
                raise BadRequest("body", "is too large", status=413) from None
            wanted = parse_json(body, pb.CreateUploadRequest, {})
        upload = await gateway.create_upload(wanted)
        response = json_response(pb.CreateUploadResponse(upload=upload), 201)
        # With the URL of this request, a proxy may have made another one of it: a path is right in any case.
        response.headers.update(headers_of(upload) | {"Location": f"{PATH}/{upload.upload_id}"})
        return response

    async def show(self, request: Request) -> Response:
        """Return an upload, with the headers of tus."""
        upload = await self._gateways.of(request).get_upload(request.path_params["upload_id"])
        response = json_response(pb.GetUploadResponse(upload=upload))
        response.headers.update(headers_of(upload))
        return response

    async def complete(self, request: Request) -> Response:
        """Place the order of an upload, and return it."""
        order = await self._gateways.of(request).complete_upload(request.path_params["upload_id"])
        return json_response(pb.CompleteUploadResponse(order=order), 201)


def _of_headers(request: Request) -> pb.CreateUploadRequest:
    """Return the request that headers of tus make: Upload-Length, and Upload-Metadata."""
    length = request.headers["upload-length"]
    if not (length.isascii() and length.isdecimal() and len(length) < 19):
        raise BadRequest("Upload-Length", "must be a number of bytes")
    values = _metadata(request.headers.get("upload-metadata", ""))
    known = {field.name for field in HEADER_FIELDS} | {"spec"}  # clients of tus send more, such as filetype
    given = {name: value for name, value in values.items() if name in known}
    header = parse_header(given, parse_spec(request.query_params))
    image = pb.ImageStart(filename=values.get("filename", ""), size_bytes=int(length))
    return pb.CreateUploadRequest(order=header, images=[image])


def _metadata(text: str) -> dict[str, str]:
    """Return the pairs of Upload-Metadata: names, and values in base64."""
    values = {}
    for pair in filter(None, map(str.strip, text.split(","))):
        name, _, value = pair.partition(" ")
        try:
            values[name] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise BadRequest("Upload-Metadata", f"the value of {name!r} is not base64 of UTF-8") from None
    return values
