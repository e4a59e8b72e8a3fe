"""The routes of the operator pages."""

from grpc import aio
from starlette.routing import BaseRoute, Route

from services.web.http.templates import PageRenderer
from services.web.operator.access.access import SIGN_IN, OperatorAccess, OperatorHandler
from services.web.operator.access.api_keys import ApiKeyPages
from services.web.operator.access.audit import AuditPages
from services.web.operator.access.sessions import SessionStore
from services.web.operator.access.sign_in import SignInPages
from services.web.operator.mail.email_texts import EmailTextPages
from services.web.operator.mail.mailings import MailingPages
from services.web.operator.mail.subscribers import SubscriberPages
from services.web.operator.orders.order_actions import OrderActionPages
from services.web.operator.orders.order_page import OrderPage
from services.web.operator.orders.orders import OrderListPages
from services.web.operator.queues.failures import FailurePages
from services.web.operator.queues.overview import OverviewPage
from services.web.operator.queues.queues import QueueActions
from services.web.operator.queues.webhooks import WebhookPages
from services.web.operator.renderer import HOME, OperatorRenderer
from services.web.operator.search_terms import SearchTerms
from services.web.settings import WebSettings


def operator_routes(channel: aio.Channel, pages: PageRenderer, settings: WebSettings) -> list[BaseRoute]:
    """Return all routes. Except for the sign-in page, only operators reach them."""
    sessions = SessionStore()
    renderer = OperatorRenderer(pages, sessions)
    access = OperatorAccess(channel, renderer, sessions, settings)
    sign_in = SignInPages(access=access, renderer=renderer, session_store=sessions, channel=channel, settings=settings)
    overview, queues = OverviewPage(renderer), QueueActions()
    terms = SearchTerms()
    orders, order, failures = OrderListPages(renderer, terms), OrderPage(renderer), FailurePages(renderer)
    order_actions = OrderActionPages(renderer, terms)
    webhooks = WebhookPages(renderer)
    texts, subscribers = EmailTextPages(renderer), SubscriberPages(renderer)
    mailings, keys, audit = MailingPages(renderer), ApiKeyPages(renderer), AuditPages(renderer)

    def get(path: str, handler: OperatorHandler) -> Route:
        return Route(HOME + path, access.require(handler), methods=["GET"])

    def post(path: str, handler: OperatorHandler, *, takes_file: bool = False) -> Route:
        return Route(HOME + path, access.require(handler, takes_file=takes_file), methods=["POST"])

    return [
        Route(SIGN_IN, sign_in.sign_in, methods=["GET", "POST"]),
        post("/sign-out", sign_in.sign_out),
        get("", overview.show),
        post("/queues/{queue}/pause", queues.pause),
        post("/queues/{queue}/resume", queues.resume),
        post("/queues/{queue}/purge", queues.purge),
        get("/orders", orders.list),
        post("/orders", orders.search),
        get("/orders/export.{file_format}", orders.export),
        post("/orders/actions", order_actions.act),
        get("/orders/{order_id}", order.show),
        get("/failures", failures.list),
        get("/failures/export.{file_format}", failures.export),
        post("/failures/retry", failures.retry),
        post("/failures/dismiss", failures.dismiss),
        get("/webhooks", webhooks.list),
        post("/webhooks/resend", webhooks.resend),
        get("/mailings", mailings.list),
        post("/mailings/run", mailings.run),
        post("/mailings/test", mailings.test),
        post("/mailings/check", mailings.check),
        get("/mailings/preview", mailings.preview),
        get("/mailings/preview/html", mailings.html),
        post("/mailings/{mailing_id}/pause", mailings.pause),
        post("/mailings/{mailing_id}/resume", mailings.resume),
        post("/mailings/{mailing_id}/cancel", mailings.cancel),
        get("/newsletter", texts.newsletter),
        post("/newsletter", texts.newsletter),
        get("/texts", texts.list),
        get("/texts/{email}/preview", texts.preview),
        post("/texts/{email}/preview", texts.preview),
        get("/texts/{email}/{language}", texts.edit),
        post("/texts/{email}/{language}", texts.edit),
        post("/texts/{email}/{language}/reset", texts.reset),
        get("/subscribers", subscribers.list),
        post("/subscribers", subscribers.search),
        post("/subscribers/import", subscribers.import_file, takes_file=True),
        get("/subscribers/export", subscribers.export),
        post("/subscribers/suppress", subscribers.suppress),
        post("/subscribers/lift", subscribers.lift),
        get("/keys", keys.list),
        post("/keys", keys.create),
        post("/keys/{api_key_id}/rotate", keys.rotate),
        post("/keys/{api_key_id}/revoke", keys.revoke),
        get("/keys/{api_key_id}", keys.show),
        post("/keys/{api_key_id}/restrict", keys.restrict),
        get("/audit", audit.list),
        get("/audit/export.{file_format}", audit.export),
    ]
