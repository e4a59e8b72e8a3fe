"""The application: all pages wired together, and the table of routes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from imageblur_client.errors import ImageBlurClientError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from services.common.infra.fair_executor import FairExecutor
from services.common.infra.signing.visitors import VisitorProof
from services.web.api.page import ApiPage
from services.web.api.routes import api_routes
from services.web.gateway.client import GatewayClient
from services.web.gateway.rpc import open_channels
from services.web.http.assets import Assets, favicon
from services.web.http.cors import ApiCors
from services.web.http.health import HealthCheck
from services.web.http.languages import choose_language
from services.web.http.problems import ProblemError, ProblemPages
from services.web.http.security import SecurityMiddleware
from services.web.http.templates import PageRenderer
from services.web.http.trailing_slashes import TrailingSlashes
from services.web.http.visitors import VisitorMiddleware
from services.web.mailbox.pages import mailbox_routes
from services.web.metrics import MetricsMiddleware
from services.web.newsletter.pages import NewsletterPages
from services.web.operator.routes import operator_routes
from services.web.orders.downloads import DownloadPages
from services.web.orders.events import OrderEvents
from services.web.orders.form import OrderForm
from services.web.orders.pages import OrderPages
from services.web.orders.previews import Previews
from services.web.orders.review.pages import ReviewPages
from services.web.orders.uploads import OrderUploads
from services.web.settings import WebSettings
from services.web.uploads.form_uploads import FormUploads


@dataclass(frozen=True, kw_only=True)
class WebApp:
    """The application, and the event that ends its open streams."""

    app: ASGIApp
    stopping: asyncio.Event


@asynccontextmanager
async def open_app(settings: WebSettings) -> AsyncIterator[WebApp]:
    """Wire the application. It connects to the gateway with its first call.

    Raises:
        ConfigurationError: A setting is wrong.
    """
    key = settings.gateway_key.get_secret_value() if settings.gateway_key else None
    visitors = VisitorProof(settings.visitor_secret.get_secret_value() if settings.visitor_secret else None)
    stopping = asyncio.Event()
    pages = PageRenderer.load(
        has_mailbox=settings.mailbox_dir is not None, links_operator=settings.serves_operators and settings.is_local
    )
    async with open_channels(settings) as channels, contextlib.AsyncExitStack() as stack:
        parsing = FairExecutor("manifests")
        stack.callback(parsing.close)
        routes = _visitor_routes(GatewayClient(channels, key, visitors), pages, parsing, stopping)
        routes += api_routes(channels, visitors, stopping)
        if settings.mailbox_dir:
            routes += mailbox_routes(settings.mailbox_dir, pages)
        if settings.serves_operators:
            routes += operator_routes(channels.others, pages, settings)
        handled = (HTTPException, ImageBlurClientError, ProblemError, Exception)
        app = Starlette(routes=routes, exception_handlers=dict.fromkeys(handled, ProblemPages(pages)))
        app.router.redirect_slashes = False
        secure = SecurityMiddleware(app, settings.hosts, settings.public_url, settings.api_origins)
        secured = VisitorMiddleware(TrailingSlashes(ApiCors(secure, settings.api_origins)), settings.proxy_networks)
        yield WebApp(app=MetricsMiddleware(secured), stopping=stopping)


def _visitor_routes(
    gateway: GatewayClient, pages: PageRenderer, parsing: FairExecutor, stopping: asyncio.Event
) -> list[BaseRoute]:
    form, uploads = OrderForm(gateway, pages), OrderUploads(gateway, parsing)
    orders, events = OrderPages(gateway, pages), OrderEvents(gateway, pages, stopping)
    review = ReviewPages(gateway, pages)
    downloads, newsletter = DownloadPages(gateway), NewsletterPages(gateway, pages)
    return [
        Route("/", form.show),
        Route("/orders", form.submit, methods=["POST"]),
        Route("/orders", orders.find, methods=["GET"]),
        Route("/api/orders/check", uploads.check, methods=["POST"]),
        Route("/api/orders", uploads.upload, methods=["POST"]),
        *FormUploads(gateway, parsing).routes(),
        Route("/api/preview", Previews(gateway).show, methods=["POST"]),
        Route("/orders/{order_id}", orders.show),
        Route("/orders/{order_id}/events", events.stream),
        Route("/orders/{order_id}/archive", downloads.archive),
        Route("/orders/{order_id}/images/{image_id}", downloads.image),
        Route("/orders/{order_id}/images/{image_id}/preview", downloads.preview),
        Route("/orders/{order_id}/review", review.show, methods=["GET"]),
        Route("/orders/{order_id}/review", review.apply, methods=["POST"]),
        Route("/orders/{order_id}/review/{image_id}", review.image, methods=["GET"]),
        Route("/orders/{order_id}/review/{image_id}", review.apply_form, methods=["POST"]),
        Route("/orders/{order_id}/done", review.done, methods=["POST"]),
        Route("/orders/{order_id}/revise", orders.revise, methods=["POST"]),
        Route("/orders/{order_id}/send", orders.send, methods=["POST"]),
        Route("/orders/{order_id}/cancel", orders.cancel, methods=["POST"]),
        Route("/orders/{order_id}/delete", orders.delete, methods=["POST"]),
        Route("/archive", downloads.linked_archive),
        Route("/newsletter", newsletter.show),
        Route("/newsletter/subscribe", newsletter.subscribe, methods=["POST"]),
        Route("/newsletter/unsubscribe", newsletter.unsubscribe_address, methods=["POST"]),
        Route("/confirm", newsletter.confirm, methods=["GET", "POST"]),
        Route("/receive", newsletter.receive, methods=["GET", "POST"]),
        Route("/unsubscribe", newsletter.unsubscribe, methods=["GET", "POST"]),
        Route("/v1", ApiPage(pages).show),
        Route("/language", choose_language, methods=["POST"]),
        Route("/health", HealthCheck(gateway).check),
        Route("/favicon.ico", favicon),
        Mount("/static/{version}", Assets()),
    ]
