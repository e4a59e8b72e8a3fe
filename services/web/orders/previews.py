"""Previews for the form's script: the image as the engine sees it, then what was found in it, of one upload.

The body of a request is the file. The answer is parts, each sent as soon as it is known: the length of a JSON object
(4 bytes, big-endian), the object, and a picture of as many bytes as its `bytes`. An error is a part as well.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

from imageblur.v1.blur_service_pb2 import FindRegionsRequest, FindRegionsResponse
from imageblur.v1.order_pb2 import Finding
from imageblur_client.errors import ImageBlurClientError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from services.web.gateway.client import GatewayClient
from services.web.http.languages import Texts, texts_for
from services.web.http.problems import Problem, ProblemError, problem_of, problem_values
from services.web.http.templates import PRIVATE
from services.web.http.visitors import VISITOR
from services.web.orders import spec_values
from services.web.orders.preview_files import PreviewFiles

SIDE = 1200
"""Longest side of a preview in pixels: what the page draws on."""
MAX_PREVIEWS = 12
"""Files received at a time; of each so much is in memory as a message to the gateway may have."""
MAX_OF_A_VISITOR = 6
"""More than a page asks for at a time, since it may be reloaded."""
RETRY_SECONDS = 1
_Part = dict[str, Any]


class Previews:
    """Shows single images, and what is found in them."""

    def __init__(self, gateway: GatewayClient) -> None:
        self._gateway = gateway
        self._files = PreviewFiles(gateway)
        self._open: Counter[str] = Counter()

    async def show(self, request: Request) -> Response:
        """Stream the parts `view`, unless the query has `view=0`, and `found`, if it has something to find."""
        query = request.query_params
        try:
            spec = spec_values.spec_of(
                {
                    "find": [name for name in query.get("find", "").split(",") if name],
                    "find_padding": query.get("find_padding"),
                    "format": query.get("format"),
                }
            )
        except (ValueError, KeyError, TypeError):
            raise ProblemError(Problem(400, "bad_request")) from None
        async with AsyncExitStack() as resources:
            resources.enter_context(self._slot(VISITOR.get()))
            try:
                limits = await self._gateway.limits()
                file = await resources.enter_async_context(self._files.receive(request, limits))
            except EOFError:
                raise ProblemError(Problem(413, "too_large")) from None
            except ClientDisconnect:
                return Response(status_code=499)  # nobody receives it
            asked: list[_Part] = []
            if query.get("view") != "0":
                asked.append({"preview_side": SIDE})
            if spec.find:
                asked.append({"find": spec.find, "output_format": spec.output_format})
            parts = self._parts(texts_for(request), file, asked, resources.pop_all())
        return StreamingResponse(parts, media_type="application/octet-stream", headers=PRIVATE)

    @contextmanager
    def _slot(self, visitor: str) -> Iterator[None]:
        if self._open.total() >= MAX_PREVIEWS or self._open[visitor] >= MAX_OF_A_VISITOR:
            raise ProblemError(Problem(503, "busy", RETRY_SECONDS))
        self._open[visitor] += 1
        try:
            yield
        finally:
            self._open[visitor] -= 1
            if not self._open[visitor]:
                del self._open[visitor]

    async def _parts(
        self, texts: Texts, file: FindRegionsRequest, asked: list[_Part], resources: AsyncExitStack
    ) -> AsyncIterator[bytes]:
        # A browser that gives up ends the generator, and that the call of the gateway.
        async with resources:
            for fields in asked:
                request = FindRegionsRequest(data=file.data, upload_id=file.upload_id, **fields)
                try:
                    answer = await self._gateway.find_regions(request)
                except ImageBlurClientError as error:
                    yield _encoded({"part": "problem"} | _problem(texts, error))
                    return
                yield _view(answer) if request.preview_side else _found(answer)


def _view(answer: FindRegionsResponse) -> bytes:
    part = {"part": "view", "width": answer.width, "height": answer.height, "type": answer.preview_media_type}
    return _encoded(part, answer.preview)


def _found(answer: FindRegionsResponse) -> bytes:
    return _encoded({"part": "found", "findings": [_finding(finding) for finding in answer.findings]})


def _finding(finding: Finding) -> _Part:
    box, region = finding.box, finding.region
    outline = region.ellipse if region.HasField("ellipse") else region.box
    return {
        "kind": next((name for name, kind in spec_values.FINDABLE.items() if kind == finding.kind), ""),
        "label": finding.label,
        "confidence": round(finding.confidence, 3),
        "box": {"left": box.left, "top": box.top, "width": box.width, "height": box.height},
        "shape": region.WhichOneof("shape"),
        "left": outline.left,
        "top": outline.top,
        "width": outline.width,
        "height": outline.height,
    }


def _problem(texts: Texts, error: ImageBlurClientError) -> _Part:
    """Return a problem for the script; of an image that cannot be blurred, with the text that its order would show."""
    values = problem_values(texts, problem_of(error))
    message = texts.get(f"reason_{error.reason.lower()}", str(values["message"]))
    return values | {"message": message, "reason": error.reason}


def _encoded(part: _Part, picture: bytes = b"") -> bytes:
    head = json.dumps(part | {"bytes": len(picture)}, ensure_ascii=False).encode()
    return len(head).to_bytes(4) + head + picture
