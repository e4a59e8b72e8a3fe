"""Orders in one request, for programs: its body is passed to the gateway as it arrives.

The body is the manifest's length (4 bytes, big-endian), the manifest, and the files one after the other.
"""

from collections.abc import AsyncIterator

from imageblur_client.errors import ImageBlurClientError, InvalidArgumentError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from services.common.infra.fair_executor import FairExecutor
from services.web.gateway.client import GatewayClient
from services.web.http.languages import Texts, texts_for
from services.web.http.problems import Problem, problem_json, problem_of
from services.web.http.templates import PRIVATE
from services.web.http.visitors import VISITOR
from services.web.orders import manifest as manifests
from services.web.orders.body_reader import BodyReader
from services.web.orders.manifest import BadManifest, Manifest
from services.web.orders.violations import violation_messages

CHUNK_BYTES = 512 << 10
"""Size of a message to the gateway."""


class OrderUploads:
    """Accepts orders from scripts."""

    def __init__(self, gateway: GatewayClient, parsing: FairExecutor) -> None:
        self._gateway = gateway
        self._parsing = parsing

    async def check(self, request: Request) -> Response:
        """Validate an order by its manifest only."""
        texts = texts_for(request)
        try:
            body = await BodyReader(request.stream()).read_all(manifests.MAX_BYTES)
            manifest = await self._parse(request, body)
            await self._gateway.check(manifest.dry_run())
        except (BadManifest, EOFError, ImageBlurClientError) as error:
            return error_response(texts, error)
        return JSONResponse({}, headers=PRIVATE)

    async def upload(self, request: Request) -> Response:
        """Accept an order, and return the URL of its page."""
        texts = texts_for(request)
        body = BodyReader(request.stream())
        try:
            size = int.from_bytes(await body.read_exactly(4))
            manifest = await self._parse(request, await body.read_exactly(size, limit=manifests.MAX_BYTES))
            async with self._gateway.upload() as upload:
                order_id = await upload.send(manifest, _contents(manifest, body))
        except ClientDisconnect:
            return Response(status_code=499)  # nobody receives it
        except (BadManifest, EOFError, ImageBlurClientError) as error:
            # A browser reads a response only after it has sent everything; uvicorn receives and discards the rest.
            return error_response(texts, error)
        return JSONResponse({"order": f"/orders/{order_id}"}, 201, PRIVATE)

    async def _parse(self, request: Request, text: bytes) -> Manifest:
        return await self._parsing.run(VISITOR.get(), manifests.parse, text, texts_for(request).language)


async def _contents(manifest: Manifest, body: BodyReader) -> AsyncIterator[AsyncIterator[bytes]]:
    for image in manifest.images:
        yield body.chunks(image.size_bytes, CHUNK_BYTES)


def error_response(texts: Texts, error: Exception) -> Response:
    """Return an error for the form's script."""
    match error:
        case InvalidArgumentError(violations=[_, *_]):
            return problem_json(texts, Problem(400, "refused"), violation_messages(texts, error.violations))
        case ImageBlurClientError():
            return problem_json(texts, problem_of(error))
        case BadManifest(too_large=True):
            return problem_json(texts, Problem(413, "too_large"))
        case _:
            return problem_json(texts, Problem(400, "bad_request"))
