"""The pages of the review. The script works with the JSON in the first one; without scripts each image has a form."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.order_pb2 import BlurSpec, Image, Order, Region
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from services.web.gateway.client import GatewayClient
from services.web.http.languages import Texts, texts_for
from services.web.http.problems import NOT_FOUND, Problem, ProblemError
from services.web.http.templates import PRIVATE, PageRenderer
from services.web.orders.body_reader import BodyReader
from services.web.orders.manifest import MAX_BYTES
from services.web.orders.review.corrections import BadCorrection, Correction, corrected
from services.web.orders.review.doubts import Doubt, doubts_of, order_by_doubt
from services.web.orders.review.view import ReviewedImage
from services.web.orders.spec_values import NUMBERED_REGIONS, SIDES, numbered_regions, region_of
from services.web.orders.view import order_state, order_values

PAGE_SIZE = 200
"""Images on one page of the review."""
_MAX_FIELDS = 1000


@dataclass(frozen=True)
class _Reviewed:
    """An order, and its images with their doubts: doubts first."""

    order: Order
    images: Sequence[tuple[Image, list[Doubt]]]

    def view(self, index: int, texts: Texts) -> ReviewedImage:
        image, doubts = self.images[index]
        spec = image.spec if image.HasField("spec") else self.order.spec
        return ReviewedImage(image, self.order.order_id, spec, doubts, texts)


class ReviewPages:
    """The review of an order's results."""

    def __init__(self, gateway: GatewayClient, pages: PageRenderer) -> None:
        self._gateway = gateway
        self._pages = pages

    async def show(self, request: Request) -> Response:
        """Show a page of the order's images, doubts first."""
        texts = texts_for(request)
        reviewed = await self._load(request)
        page = _page_number(request)
        first = PAGE_SIZE * (page - 1)
        values = order_values(reviewed.order)
        shown = range(first, min(first + PAGE_SIZE, len(reviewed.images)))
        if not shown and page > 1:
            raise ProblemError(NOT_FOUND)
        images = [reviewed.view(index, texts) for index in shown]
        return self._pages.page(
            request,
            "orders/review.html",
            headers=PRIVATE,
            images=images,
            doubtful=sum(bool(doubts) for _, doubts in reviewed.images),
            first=first + 1,
            last=shown.stop,
            page=page,
            page_data={
                "texts": texts.for_scripts(),
                "order": f"/orders/{reviewed.order.order_id}",
                "revisable": values["revisable"],
                "open": values["open"],
                "revision": reviewed.order.revision,
                "images": [image.for_script() for image in images],
            },
            **values,
        )

    async def image(self, request: Request) -> Response:
        """Show one image with a form."""
        reviewed = await self._load(request)
        return self._form(request, reviewed, _index_of(reviewed, request.path_params["image_id"]))

    async def apply_form(self, request: Request) -> Response:
        """Blur the image of a form again, and go on with the next one."""
        reviewed = await self._load(request)
        index = _index_of(reviewed, request.path_params["image_id"])
        async with request.form(max_files=0, max_fields=_MAX_FIELDS, max_part_size=10_000) as fields:
            try:
                if str(fields.get("base", "")) != reviewed.view(index, texts_for(request)).base:
                    raise ProblemError(Problem(409, "conflict"))
                revision = _revision(reviewed, index, _form_correction(fields))
            except (BadCorrection, ValueError) as error:
                key = error.key if isinstance(error, BadCorrection) else "bad_region"
                return self._form(request, reviewed, index, problem=key)
        await self._revise(reviewed.order.order_id, [revision])
        return RedirectResponse(f"/orders/{reviewed.order.order_id}/review", 303, PRIVATE)

    async def apply(self, request: Request) -> Response:
        """Blur the images that the script lists again; they come with what was changed about each."""
        texts = texts_for(request)
        try:
            wanted = json.loads(await BodyReader(request.stream()).read_all(MAX_BYTES))
            corrections = {str(item["id"]): item for item in wanted["images"]}
        except (EOFError, KeyError, TypeError, ValueError):
            raise ProblemError(Problem(400, "bad_request")) from None
        reviewed = await self._load(request)
        indices = {image.image_id: index for index, (image, _) in enumerate(reviewed.images)}
        revisions = []
        for image_id, item in corrections.items():
            index = indices.get(image_id)
            if index is None:
                raise ProblemError(NOT_FOUND)
            if item.get("base") != reviewed.view(index, texts).base:
                raise ProblemError(Problem(409, "conflict"))
            try:
                revisions.append(_revision(reviewed, index, _json_correction(item)))
            except BadCorrection as error:
                raise ProblemError(Problem(400, error.key)) from None
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
                raise ProblemError(Problem(400, "bad_request")) from None
        if not revisions:
            raise ProblemError(Problem(400, "bad_request"))
        await self._revise(reviewed.order.order_id, revisions)
        return JSONResponse({"images": len(revisions)}, headers=PRIVATE)

    async def done(self, request: Request) -> Response:
        """Delete the originals: the review is over."""
        order_id = request.path_params["order_id"]
        await self._gateway.delete_originals(order_id)
        return RedirectResponse(f"/orders/{order_id}", 303, PRIVATE)

    async def _load(self, request: Request) -> _Reviewed:
        order_id = request.path_params["order_id"]
        order = await self._gateway.status(order_id)
        if order_state(order) == "expired":
            raise ProblemError(Problem(410, "expired"))
        images = [(image, doubts_of(image, order.spec)) async for image in self._gateway.all_images(order_id)]
        return _Reviewed(order, order_by_doubt(images))

    async def _revise(self, order_id: str, revisions: Sequence[pb.ImageRevision]) -> None:
        request = pb.ReviseImagesRequest(order_id=order_id, request_id=str(uuid.uuid4()), images=revisions)
        await self._gateway.revise(request)

    def _form(self, request: Request, reviewed: _Reviewed, index: int, problem: str = "") -> Response:
        texts = texts_for(request)
        others = [
            reviewed.view(other, texts) if 0 <= other < len(reviewed.images) else None
            for other in (index - 1, index + 1)
        ]
        return self._pages.page(
            request,
            "orders/review_image.html",
            status=400 if problem else 200,
            headers=PRIVATE,
            view=reviewed.view(index, texts),
            number=index + 1,
            total=len(reviewed.images),
            previous=others[0],
            following=others[1],
            problem=problem,
            sides=SIDES,
            added=range(1, NUMBERED_REGIONS + 1),
            **order_values(reviewed.order),
        )


def _page_number(request: Request) -> int:
    text = request.query_params.get("page", "1")
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and int(text)):
        raise ProblemError(NOT_FOUND)
    return int(text)


def _index_of(reviewed: _Reviewed, image_id: str) -> int:
    for index, (image, _) in enumerate(reviewed.images):
        if image.image_id == image_id:
            return index
    raise ProblemError(NOT_FOUND)


def _revision(reviewed: _Reviewed, index: int, correction: Correction) -> pb.ImageRevision:
    image = reviewed.images[index][0]
    spec: BlurSpec = image.spec if image.HasField("spec") else reviewed.order.spec
    return pb.ImageRevision(image_id=image.image_id, spec=corrected(spec, image, correction))


def _json_correction(item: Mapping[str, Any]) -> Correction:
    return Correction(
        hide=frozenset(int(index) for index in item["hide"]),
        keep=frozenset(int(index) for index in item["keep"]),
        add=[region_of(region) for region in item["add"]],
    )


def _form_correction(fields: FormData) -> Correction:
    """Return the correction of a form. Raises: ValueError: a number is none, or a region has no size."""
    added = [_sized(region) for region in numbered_regions({name: str(value) for name, value in fields.items()})]
    return Correction(hide=_checked(fields, "hide"), keep=_checked(fields, "keep"), add=added)


def _checked(fields: FormData, name: str) -> frozenset[int]:
    return frozenset(int(str(value)) for value in fields.getlist(name))


def _sized(data: Mapping[str, Any]) -> Region:
    region = region_of(data)
    rect = region.ellipse if region.WhichOneof("shape") == "ellipse" else region.box
    if not (rect.width > 0 and rect.height > 0):
        raise ValueError("a region without a size")
    return region
