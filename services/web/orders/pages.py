"""The page of an order, and what one can do there. Its address is the key to the order."""

import asyncio
import re

from imageblur_client.errors import InvalidArgumentError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.web.gateway import Gateway
from services.web.http.languages import choose
from services.web.http.problems import NOT_FOUND, Problem, Told
from services.web.http.templates import PRIVATE, Pages
from services.web.orders.view import at_rest, order_state, order_values, views

_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class OrderPages:
    """Orders that there are."""

    def __init__(self, gateway: Gateway, pages: Pages) -> None:
        self._gateway = gateway
        self._pages = pages

    async def find(self, request: Request) -> Response:
        """Go to an order by its number."""
        found = _ID.search(request.query_params.get("number", ""))
        if not found:
            raise Told(Problem(404, "no_order"))
        return RedirectResponse(f"/orders/{found[0].lower()}", 303, PRIVATE)

    async def show(self, request: Request) -> Response:
        """How it stands."""
        order_id = request.path_params["order_id"]
        token = request.query_params.get("page", "")
        try:
            order, page = await asyncio.gather(self._gateway.status(order_id), self._gateway.images(order_id, token))
        except InvalidArgumentError as error:
            # What is wrong with it, its address, is no more than that to whoever typed it.
            raise Told(Problem(404, "no_order") if error.violations[:1] else NOT_FOUND) from None
        if order_state(order) == "expired":
            raise Told(Problem(410, "expired"))
        texts = choose(request)
        images = views(order, page.images)
        return self._pages.page(
            request,
            "status.html",
            headers=PRIVATE,
            images=images,
            first=images[0].image.position if images else 0,
            last=images[-1].image.position if images else 0,
            next_page=page.next_page_token,
            is_first=not token,
            live=not at_rest(order),
            facts={"words": texts.for_scripts()},
            **order_values(order),
        )

    async def send(self, request: Request) -> Response:
        """Mail the results, now or when they are there."""
        order_id = request.path_params["order_id"]
        await self._gateway.send(order_id)
        return _back(order_id)

    async def cancel(self, request: Request) -> Response:
        """Cancel what has not ended."""
        order_id = request.path_params["order_id"]
        await self._gateway.cancel(order_id)
        return _back(order_id)

    async def delete(self, request: Request) -> Response:
        """Delete it, and say so."""
        await self._gateway.delete(request.path_params["order_id"])
        return self._pages.page(request, "done.html", headers=PRIVATE, key="deleted")


def _back(order_id: str) -> Response:
    return RedirectResponse(f"/orders/{order_id}", 303, PRIVATE)
