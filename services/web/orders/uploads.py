"""Orders from the page's script: one request, whose body goes on to the gateway as it comes.

The body is the manifest's length (4 bytes, big-endian), the manifest, and the files one after the other.
"""

from collections.abc import AsyncIterator

from imageblur_client.errors import ImageBlurClientError, InvalidArgumentError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from services.web.gateway import Gateway
from services.web.http.languages import Texts, choose
from services.web.http.problems import Problem, as_json, problem_of
from services.web.http.templates import PRIVATE
from services.web.orders import manifest as manifests
from services.web.orders.body import Pieces
from services.web.orders.violations import told

CHUNK = 512 << 10
"""Bytes of a message to the gateway."""


class OrderUploads:
    """Takes orders in from scripts."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def check(self, request: Request) -> Response:
        """Whether an order would be taken, by its manifest alone."""
        texts = choose(request)
        try:
            text = await Pieces(request.stream()).exactly_all(manifests.MAX_BYTES)
            await self._gateway.check(manifests.parse(text, texts).dry_run())
        except (manifests.BadManifest, EOFError):
            return _refused(texts, Problem(400, "bad_request"))
        except ImageBlurClientError as error:
            return _failed(texts, error)
        return JSONResponse({}, headers=PRIVATE)

    async def upload(self, request: Request) -> Response:
        """Take an order in; answers where it can be looked at."""
        texts = choose(request)
        pieces = Pieces(request.stream())
        try:
            size = int.from_bytes(await pieces.exactly(4))
            manifest = manifests.parse(await pieces.exactly(size, most=manifests.MAX_BYTES), texts)
            async with self._gateway.upload() as sending:
                order_id = await sending.order(manifest, _contents(manifest, pieces))
        except ClientDisconnect:
            return Response(status_code=499)  # to nobody
        except (manifests.BadManifest, EOFError):
            return _refused(texts, Problem(400, "bad_request"))
        except ImageBlurClientError as error:
            # A browser reads this once it has sent everything; uvicorn takes the rest in, and keeps none of it.
            return _failed(texts, error)
        return JSONResponse({"order": f"/orders/{order_id}"}, 201, PRIVATE)


async def _contents(manifest: manifests.Manifest, pieces: Pieces) -> AsyncIterator[AsyncIterator[bytes]]:
    for image in manifest.images:
        yield pieces.chunks(image.size, CHUNK)


def _failed(texts: Texts, error: ImageBlurClientError) -> Response:
    if isinstance(error, InvalidArgumentError) and error.violations:
        body = as_json(texts, Problem(400, "refused")) | {"violations": told(texts, error.violations)}
        return JSONResponse(body, 400, PRIVATE)
    return _refused(texts, problem_of(error))


def _refused(texts: Texts, problem: Problem) -> Response:
    headers = {"Retry-After": str(problem.retry_after)} if problem.retry_after else {}
    return JSONResponse(as_json(texts, problem), problem.status, headers | PRIVATE)
