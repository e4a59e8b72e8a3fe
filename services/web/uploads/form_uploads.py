"""Uploads of the order form's script: created by its manifest, with errors in the language of the page."""

from collections.abc import Awaitable, Callable

from imageblur.v1 import blur_service_pb2 as pb
from imageblur_client.errors import ImageBlurClientError, NotFoundError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.common.infra.fair_executor import FairExecutor
from services.web.gateway.client import GatewayClient
from services.web.http.languages import texts_for
from services.web.http.problems import Problem, problem_json
from services.web.http.templates import PRIVATE
from services.web.http.visitors import VISITOR
from services.web.orders import manifest as manifests
from services.web.orders.body_reader import BodyReader
from services.web.orders.manifest import BadManifest
from services.web.orders.uploads import error_response
from services.web.uploads.tus import TusUploads, headers_of

Endpoint = Callable[[Request], Awaitable[Response]]


class FormUploads:
    """Creates, shows and completes the uploads of visitors."""

    def __init__(self, gateway: GatewayClient, parsing: FairExecutor) -> None:
        self._gateway = gateway
        self._parsing = parsing

    def routes(self) -> list[Route]:
        """Return the routes; the bytes are sent as in tus."""
        tus = TusUploads(lambda _: self._gateway)
        one = "/api/uploads/{upload_id}"
        return [
            Route("/api/uploads", _with_problems(self.create), methods=["POST"]),
            Route(one, _with_problems(self.show), methods=["GET"]),
            Route(one, _with_problems(tus.append), methods=["PATCH"]),
            Route(one, _with_problems(tus.delete), methods=["DELETE"]),
            Route(f"{one}/complete", _with_problems(self.complete), methods=["POST"]),
        ]

    async def create(self, request: Request) -> Response:
        """Create an upload for a manifest, or report what is wrong with it; the same request ID finds it again."""
        body = await BodyReader(request.stream()).read_all(manifests.MAX_BYTES)
        manifest = await self._parsing.run(VISITOR.get(), manifests.parse, body, texts_for(request).language)
        wanted = pb.CreateUploadRequest(order=manifest.header, images=manifest.images)
        return _show(await self._gateway.create_upload(wanted), 201)

    async def show(self, request: Request) -> Response:
        """Show how far an upload has come."""
        return _show(await self._gateway.get_upload(request.path_params["upload_id"]), 200)

    async def complete(self, request: Request) -> Response:
        """Place the order of an upload, and return the URL of its page."""
        order = await self._gateway.complete_upload(request.path_params["upload_id"])
        return JSONResponse({"order": f"/orders/{order.order_id}"}, 201, PRIVATE)


def _show(upload: pb.Upload, status: int) -> Response:
    values = {
        "upload": f"/api/uploads/{upload.upload_id}",
        "offset": upload.received_bytes,
        "size": upload.size_bytes,
        "order": f"/orders/{upload.upload_id}" if upload.completed else None,
    }
    return JSONResponse(values, status, headers_of(upload))


def _with_problems(endpoint: Endpoint) -> Endpoint:
    async def respond(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ClientDisconnect:
            return Response(status_code=499)  # nobody receives it
        except NotFoundError:
            return problem_json(texts_for(request), Problem(404, "no_upload"))
        except (BadManifest, EOFError, ImageBlurClientError) as error:
            return error_response(texts_for(request), error)

    return respond
