"""The weekly mailing: subscribe, confirm, unsubscribe. Looking at a page changes nothing; its button does."""

from imageblur_client.errors import InvalidArgumentError
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from services.web.gateway import Gateway
from services.web.http.languages import choose
from services.web.http.problems import Problem, Told
from services.web.http.templates import PRIVATE, Pages


async def read_fields(request: Request) -> FormData:
    """The fields of a small form."""
    async with request.form(max_files=0, max_fields=10, max_part_size=10_000) as form:
        return form


class Mailing:
    """The pages of the mailing."""

    def __init__(self, gateway: Gateway, pages: Pages) -> None:
        self._gateway = gateway
        self._pages = pages

    async def show(self, request: Request) -> Response:
        """Both forms."""
        return self._pages.page(request, "mailing.html", wrong="", email="")

    async def subscribe(self, request: Request) -> Response:
        """Subscribe an address."""
        email = str((await read_fields(request)).get("email", "")).strip()
        try:
            confirm = await self._gateway.subscribe(email, choose(request).language)
        except InvalidArgumentError:
            return self._wrong(request, "subscribe", email)
        return self._done(request, "check_mail" if confirm else "subscribed")

    async def unsubscribe_address(self, request: Request) -> Response:
        """Unsubscribe an address."""
        email = str((await read_fields(request)).get("email", "")).strip()
        try:
            await self._gateway.unsubscribe(email=email)
        except InvalidArgumentError:
            return self._wrong(request, "unsubscribe", email)
        return self._done(request, "unsubscribed")

    async def confirm(self, request: Request) -> Response:
        """An e-mail's link to confirm: the page, or what its button does."""
        token = _token(request)
        if request.method == "GET":
            return self._pages.page(request, "confirm.html", headers=PRIVATE, action="confirm", token=token)
        await self._gateway.confirm(token)
        return self._done(request, "confirmed")

    async def unsubscribe(self, request: Request) -> Response:
        """The unsubscribe link of an e-mail: the page, its button, or one click in a mail program (RFC 8058)."""
        token = _token(request)
        if request.method == "GET":
            return self._pages.page(request, "confirm.html", headers=PRIVATE, action="unsubscribe", token=token)
        await self._gateway.unsubscribe(token=token)
        return self._done(request, "unsubscribed")

    def _wrong(self, request: Request, form: str, email: str) -> Response:
        return self._pages.page(request, "mailing.html", status=400, wrong=form, email=email)

    def _done(self, request: Request, key: str) -> Response:
        return self._pages.page(request, "done.html", headers=PRIVATE, key=key)


def _token(request: Request) -> str:
    token = request.query_params.get("token", "")
    if not token:
        raise Told(Problem(400, "bad_token"))
    return token
