"""The application: every page wired together, in one place."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from imageblur_client.errors import AccessDeniedError, ImageBlurClientError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from services.common.infra import log
from services.web.gateway import Gateway, open_channels
from services.web.http.assets import Assets, favicon
from services.web.http.boundary import Boundary
from services.web.http.languages import COOKIE, NAMES
from services.web.http.problems import ProblemPages, Told
from services.web.http.templates import Pages
from services.web.mailbox.pages import Mailbox
from services.web.metrics import Counted
from services.web.newsletter.pages import Mailing
from services.web.operator.routes import operator_routes
from services.web.orders.downloads import Downloads
from services.web.orders.events import OrderEvents
from services.web.orders.form import OrderForm
from services.web.orders.pages import OrderPages
from services.web.orders.uploads import OrderUploads
from services.web.settings import WebSettings

_log = log.get(__name__)

YEAR_SECONDS = 365 * 24 * 3600


@dataclass(frozen=True)
class Site:
    """The application, and what ends the streams that it has open."""

    app: ASGIApp
    stopping: asyncio.Event


@asynccontextmanager
async def open_site(settings: WebSettings) -> AsyncIterator[Site]:
    """The application, connected to the gateway with its first call.

    Raises:
        ConfigurationError: A setting is wrong.
    """
    key = settings.gateway_key.get_secret_value() if settings.gateway_key else None
    stopping = asyncio.Event()
    async with open_channels(settings) as channels:
        gateway = Gateway(channels, key)
        pages = Pages.load(
            has_mailbox=settings.mailbox_dir is not None,
            links_operator=settings.serves_operators and settings.is_local,
        )
        form, uploads = OrderForm(gateway, pages), OrderUploads(gateway)
        orders, events = OrderPages(gateway, pages), OrderEvents(gateway, pages, stopping)
        downloads, mailing = Downloads(gateway, pages), Mailing(gateway, pages)

        async def health(_request: Request) -> Response:
            """Whether the pages can be used, which is whether the gateway answers."""
            try:
                await gateway.limits()
            except AccessDeniedError as error:
                # It answers, and starting these pages again would not change what.
                _log.error("the gateway wants another key than IMAGEBLUR_GATEWAY_KEY", error=str(error))
                return JSONResponse({"status": "refused by the gateway"})
            return JSONResponse({"status": "serving"})

        routes = [
            Route("/", form.show),
            Route("/orders", form.place, methods=["POST"]),
            Route("/orders", orders.find, methods=["GET"]),
            Route("/api/orders/check", uploads.check, methods=["POST"]),
            Route("/api/orders", uploads.upload, methods=["POST"]),
            Route("/orders/{order_id}", orders.show),
            Route("/orders/{order_id}/events", events.stream),
            Route("/orders/{order_id}/archive", downloads.archive),
            Route("/orders/{order_id}/images/{image_id}", downloads.image),
            Route("/orders/{order_id}/send", orders.send, methods=["POST"]),
            Route("/orders/{order_id}/cancel", orders.cancel, methods=["POST"]),
            Route("/orders/{order_id}/delete", orders.delete, methods=["POST"]),
            Route("/archive", downloads.linked_archive),
            Route("/mailing", mailing.show),
            Route("/mailing/subscribe", mailing.subscribe, methods=["POST"]),
            Route("/mailing/unsubscribe", mailing.unsubscribe_address, methods=["POST"]),
            Route("/confirm", mailing.confirm, methods=["GET", "POST"]),
            Route("/unsubscribe", mailing.unsubscribe, methods=["GET", "POST"]),
            Route("/language", _choose_language, methods=["POST"]),
            Route("/health", health),
            Route("/favicon.ico", favicon),
            Mount("/static/{version}", Assets()),
        ]
        if settings.mailbox_dir:
            mailbox = Mailbox(settings.mailbox_dir, pages)
            routes += [
                Route("/mailbox", mailbox.list),
                Route("/mailbox/{email}", mailbox.show),
                Route("/mailbox/{email}/html", mailbox.html),
                Route("/mailbox/{email}/parts/{number:int}", mailbox.part),
            ]
        if settings.serves_operators:
            routes += operator_routes(channels.others, pages, settings)
        problems = ProblemPages(pages)
        app = Starlette(
            routes=routes,
            exception_handlers=dict.fromkeys((HTTPException, ImageBlurClientError, Told, Exception), problems),
        )
        yield Site(Counted(Boundary(app, settings.hosts)), stopping)


async def _choose_language(request: Request) -> Response:
    async with request.form(max_files=0, max_fields=10, max_part_size=10_000) as form:
        language, back = str(form.get("language", "")), str(form.get("back", "/"))
    # Only to pages of this site: "//" and "/\" would lead to others.
    if not back.startswith("/") or back[1:2] in {"/", "\\"}:
        back = "/"
    response = RedirectResponse(back, 303)
    if language in NAMES:
        response.set_cookie(COOKIE, language, YEAR_SECONDS, samesite="lax", httponly=True)
    return response
