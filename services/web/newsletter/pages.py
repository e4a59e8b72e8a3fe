"""The newsletter, and pages that e-mails link to. Opening a page changes nothing; its button does."""

from imageblur_client.errors import InvalidArgumentError
from starlette.requests import Request
from starlette.responses import Response

from services.web.gateway.client import GatewayClient
from services.web.http.forms import read_field
from services.web.http.languages import texts_for
from services.web.http.problems import Problem, ProblemError
from services.web.http.templates import PRIVATE, PageRenderer
from services.web.http.time_zones import known_zone


class NewsletterPages:
    """The page of the newsletter, and the pages that its e-mails link to."""

    def __init__(self, gateway: GatewayClient, pages: PageRenderer) -> None:
        self._gateway = gateway
        self._pages = pages

    async def show(self, request: Request) -> Response:
        """Show both forms."""
        return self._form(request)

    async def subscribe(self, request: Request) -> Response:
        """Subscribe an address."""
        address, zone = await read_field(request, "email"), known_zone(await read_field(request, "time_zone"))
        try:
            confirm = await self._gateway.subscribe(address, texts_for(request).language, zone)
        except InvalidArgumentError:
            return self._form(request, invalid="subscribe", address=address)
        return self._done(request, "check_mail" if confirm else "subscribed")

    async def unsubscribe_address(self, request: Request) -> Response:
        """Unsubscribe an address."""
        address = await read_field(request, "email")
        try:
            await self._gateway.unsubscribe(address=address)
        except InvalidArgumentError:
            return self._form(request, invalid="unsubscribe", address=address)
        return self._done(request, "unsubscribed")

    async def confirm(self, request: Request) -> Response:
        """Show the page of a confirmation link (GET), or confirm the subscription (POST)."""
        token = _token(request)
        if request.method == "GET":
            return self._pages.page(request, "newsletter/confirm.html", headers=PRIVATE, action="confirm", token=token)
        await self._gateway.confirm(token)
        return self._done(request, "confirmed")

    async def receive(self, request: Request) -> Response:
        """Show the page of a link in an order's first e-mail (GET), or have results sent to its address (POST)."""
        token = _token(request)
        if request.method == "GET":
            return self._pages.page(request, "newsletter/confirm.html", headers=PRIVATE, action="receive", token=token)
        await self._gateway.confirm(token)
        return self._done(request, "receiving")

    async def unsubscribe(self, request: Request) -> Response:
        """Show the page of an unsubscribe link (GET), or unsubscribe: by its button or one-click (RFC 8058)."""
        token = _token(request)
        if request.method == "GET":
            return self._pages.page(
                request, "newsletter/confirm.html", headers=PRIVATE, action="unsubscribe", token=token
            )
        await self._gateway.unsubscribe(token=token)
        return self._done(request, "unsubscribed")

    def _form(self, request: Request, *, invalid: str = "", address: str = "") -> Response:
        status = 400 if invalid else 200
        return self._pages.page(request, "newsletter/newsletter.html", status=status, invalid=invalid, address=address)

    def _done(self, request: Request, key: str) -> Response:
        return self._pages.page(request, "done.html", headers=PRIVATE, key=key)


def _token(request: Request) -> str:
    token = request.query_params.get("token", "")
    if not token:
        raise ProblemError(Problem(400, "bad_link"))
    return token
