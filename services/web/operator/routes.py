"""Where the operator's pages are."""

from grpc import aio
from starlette.routing import Route

from services.web.http.templates import Pages
from services.web.operator.audit import Audit
from services.web.operator.failures import Failures
from services.web.operator.gate import HOME, SIGN_IN, Gate, Handler
from services.web.operator.keys import Keys
from services.web.operator.mailings import Mailings
from services.web.operator.orders import Orders
from services.web.operator.overview import Overview
from services.web.operator.sign_in import SigningIn
from services.web.settings import WebSettings


def operator_routes(channel: aio.Channel, pages: Pages, settings: WebSettings) -> list[Route]:
    """All of them; but for the one that asks for a key, none answers anybody else."""
    gate = Gate(channel, pages, settings)
    signing_in = SigningIn(gate, channel, settings)
    overview, orders, failures = Overview(gate), Orders(gate), Failures(gate)
    mailings, keys, audit = Mailings(gate), Keys(gate), Audit(gate)

    def look(path: str, handler: Handler) -> Route:
        return Route(HOME + path, gate.admit(handler), methods=["GET"])

    def act(path: str, handler: Handler) -> Route:
        return Route(HOME + path, gate.admit(handler), methods=["POST"])

    return [
        Route(SIGN_IN, signing_in.sign_in, methods=["GET", "POST"]),
        act("/sign-out", signing_in.sign_out),
        look("", overview.show),
        act("/queues/{queue}/{action}", overview.act),
        look("/orders", orders.list),
        act("/orders", orders.search),
        look("/orders/{order_id}", orders.trace),
        look("/failures", failures.list),
        act("/failures/retry", failures.retry),
        act("/failures/drop", failures.drop),
        look("/mailings", mailings.list),
        act("/mailings/run", mailings.run),
        act("/mailings/test", mailings.test),
        act("/mailings/check", mailings.check),
        look("/mailings/preview", mailings.preview),
        look("/mailings/preview/html", mailings.html),
        act("/mailings/{mailing_id}/cancel", mailings.cancel),
        look("/keys", keys.list),
        act("/keys", keys.create),
        act("/keys/{api_key_id}/rotate", keys.rotate),
        act("/keys/{api_key_id}/revoke", keys.revoke),
        look("/audit", audit.list),
    ]
