"""The page of an order, and its actions. The URL is the secret that gives access to the order."""

import re
import uuid

from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.order_pb2 import ImageState
from imageblur_client.errors import InvalidArgumentError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.web.gateway.client import GatewayClient
from services.web.http.forms import read_field, read_fields
from services.web.http.languages import texts_for
from services.web.http.problems import NOT_FOUND, Problem, ProblemError
from services.web.http.templates import PRIVATE, PageRenderer
from services.web.orders.spec_values import spec_of, with_effect
from services.web.orders.view import action_values, image_views, is_settled, order_state, order_title, order_values

_ORDER_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def find_order_id(text: str) -> str | None:
    """Return the order id in a text, such as a pasted link."""
    found = _ORDER_ID.search(text)
    return found[0].lower() if found else None


class OrderPages:
    """The page of an order."""

    def __init__(self, gateway: GatewayClient, pages: PageRenderer) -> None:
        self._gateway = gateway
        self._pages = pages

    async def find(self, request: Request) -> Response:
        """Redirect to an order by its id."""
        order_id = find_order_id(request.query_params.get("order_id", ""))
        if order_id is None:
            raise ProblemError(Problem(404, "no_order"))
        return _redirect(order_id)

    async def show(self, request: Request) -> Response:
        """Show an order with a page of its images."""
        order_id = request.path_params["order_id"]
        token = request.query_params.get("page", "")
        try:
            # In this sequence: images that changed in between come again as an event, but none follow an order's end.
            order = await self._gateway.status(order_id)
            page = await self._gateway.images(order_id, token)
        except InvalidArgumentError as error:
            # An id or a page token that is not one: the URL is wrong.
            raise ProblemError(Problem(404, "no_order") if error.violations[:1] else NOT_FOUND) from None
        if order_state(order) == "expired":
            raise ProblemError(Problem(410, "expired"))
        images = image_views(order, page.images)
        return self._pages.page(
            request,
            "orders/status.html",
            headers=PRIVATE,
            images=images,
            first=images[0].image.position if images else 0,
            last=images[-1].image.position if images else 0,
            next_page=page.next_page_token,
            is_first=not token,
            live=not is_settled(order),
            page_data={"texts": texts_for(request).for_scripts()},
            title=order_title(texts_for(request), order),
            **order_values(order),
            **action_values(order.spec),
        )

    async def send(self, request: Request) -> Response:
        """Request the results by e-mail."""
        order_id = request.path_params["order_id"]
        try:
            await self._gateway.send(order_id, await read_field(request, "email"))
        except InvalidArgumentError as error:
            if any(violation.field == "email" for violation in error.violations):
                raise ProblemError(Problem(400, "bad_email")) from None
            raise
        return _redirect(order_id)

    async def revise(self, request: Request) -> Response:
        """Blur all images of an order again, with another effect."""
        order_id = request.path_params["order_id"]
        try:
            effect = spec_of(dict(await read_fields(request)) | {"find": []})
        except (ValueError, TypeError):
            raise ProblemError(Problem(400, "bad_request")) from None
        order = await self._gateway.status(order_id)
        revision = pb.ReviseImagesRequest(order_id=order_id, request_id=str(uuid.uuid4()))
        # What was corrected in single images stays.
        own = {image.image_id: image async for image in self._gateway.all_images(order_id)}
        if any(image.HasField("spec") for image in own.values()):
            for image in own.values():
                if image.state == ImageState.IMAGE_STATE_SUCCEEDED:
                    spec = with_effect(image.spec if image.HasField("spec") else order.spec, effect)
                    revision.images.append(pb.ImageRevision(image_id=image.image_id, spec=spec))
        else:
            revision.spec.CopyFrom(with_effect(order.spec, effect))
        await self._gateway.revise(revision)
        return _redirect(order_id)

    async def cancel(self, request: Request) -> Response:
        """Cancel the unfinished images of an order."""
        order_id = request.path_params["order_id"]
        await self._gateway.cancel(order_id)
        return _redirect(order_id)

    async def delete(self, request: Request) -> Response:
        """Delete an order, and confirm it."""
        await self._gateway.delete(request.path_params["order_id"])
        return self._pages.page(request, "done.html", headers=PRIVATE, key="deleted")


def _redirect(order_id: str) -> Response:
    return RedirectResponse(f"/orders/{order_id}", 303, PRIVATE)
