"""Subscribers of the newsletter: count, list, search, import, export, suppress and restore."""

from collections.abc import AsyncIterator
from urllib.parse import urlencode

from imageblur.v1 import operator_newsletter_pb2 as pb
from imageblur.v1 import operator_service_pb2 as service_pb
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from services.web.enums import short_name, value_of
from services.web.http.forms import read_fields
from services.web.http.problems import Problem, ProblemError
from services.web.http.time_zones import to_timestamp
from services.web.operator.paging import Pager, page_token
from services.web.operator.renderer import HOME, OperatorRenderer, SignedInOperator, redirect_done
from services.web.operator.search_terms import SearchTerms

STATES = ("confirmed", "pending", "unsubscribed", "suppressed")
PAGE_SIZE = 50
IMPORT_SECONDS = 3600.0
MAX_IMPORT_BYTES = 64 << 20
CHUNK_BYTES = 48 << 10


class SubscriberPages:
    """The list of subscribers, and what administrators do with them."""

    def __init__(self, renderer: OperatorRenderer) -> None:
        self._renderer = renderer
        self._terms = SearchTerms()
        """Searches and positions, both of which contain addresses."""

    async def list(self, request: Request, operator: SignedInOperator) -> Response:
        """Count subscribers; to administrators, list them by address."""
        client, query = operator.client, request.query_params
        counts = await client.call(client.stub.CountSubscribers, pb.CountSubscribersRequest())
        state, search, token = query.get("state", ""), self._terms.get(query.get("q", "")), page_token(request)
        found = pb.ListSubscribersResponse()
        if operator.may_act:
            listing = pb.ListSubscribersRequest(
                page_size=PAGE_SIZE,
                page_token=self._terms.get(token) or "",
                state=value_of(pb.SubscriberState, state) or pb.SUBSCRIBER_STATE_UNSPECIFIED,
                search=search or "",
            )
            found = await client.call(client.stub.ListSubscribers, listing)
        subscribers = [
            (it, short_name(pb.SubscriberState, it.state), short_name(pb.SuppressionReason, it.suppression))
            for it in found.subscribers
        ]
        next_token = self._terms.remember(found.next_page_token)
        filters = {"state": state, "q": query.get("q", "")}
        return self._renderer.page(
            request,
            operator,
            "subscribers.html",
            counts=counts,
            figures={name: getattr(counts, name) for name in STATES},
            subscribers=subscribers,
            states=STATES,
            state=state if state in STATES else "",
            search=search or "",
            pager=Pager(page="/subscribers", token=token, next_token=next_token, filters=filters),
        )

    async def search(self, request: Request, _operator: SignedInOperator) -> Response:
        """List addresses that contain a text."""
        fields = await read_fields(request)
        query = {
            "state": str(fields.get("state", "")),
            "q": self._terms.remember(str(fields.get("search", "")).strip()),
        }
        return RedirectResponse(f"{HOME}/subscribers?{urlencode({k: v for k, v in query.items() if v})}", 303)

    async def suppress(self, request: Request, operator: SignedInOperator) -> Response:
        """Suppress an address."""
        client, fields = operator.client, await read_fields(request)
        suppress = pb.SuppressSubscriberRequest(email=str(fields.get("email", "")).strip())
        await client.call(client.stub.SuppressSubscriber, suppress)
        return redirect_done("/subscribers", "suppressed")

    async def lift(self, request: Request, operator: SignedInOperator) -> Response:
        """Lift the suppression of an address, or restore its subscription."""
        client, fields = operator.client, await read_fields(request)
        restore = "restore" in fields
        lift = service_pb.LiftSuppressionRequest(email=str(fields.get("email", "")).strip(), restore=restore)
        await client.call(client.stub.LiftSuppression, lift)
        return redirect_done("/subscribers", "restored" if restore else "lifted")

    async def import_file(self, request: Request, operator: SignedInOperator) -> Response:
        """Import a CSV file and show the result."""
        if int(request.headers.get("content-length", "0")) > MAX_IMPORT_BYTES:
            raise ProblemError(Problem(413, "bad_request"))
        client, form = operator.client, await request.form()
        file = form.get("file")
        if not isinstance(file, UploadFile):
            return redirect_done("/subscribers", "no_file")
        start = pb.ImportStart(source=str(form.get("source", "")).strip(), locale=str(form.get("locale", "")))
        if form.get("consent") == "attested":
            start.consent = pb.IMPORT_CONSENT_ATTESTED
            if (time := to_timestamp(str(form.get("consent_date", "")), "UTC")) is not None:
                start.consent_time.CopyFrom(time)
        else:
            start.consent = pb.IMPORT_CONSENT_DOUBLE_OPT_IN
        result = await client.call(client.stub.ImportSubscribers, _parts(start, file), timeout=IMPORT_SECONDS)
        return self._renderer.page(request, operator, "import_result.html", result=result)

    async def export(self, request: Request, operator: SignedInOperator) -> Response:
        """Download subscribers as a CSV file."""
        client = operator.client
        state = value_of(pb.SubscriberState, request.query_params.get("state", "")) or pb.SUBSCRIBER_STATE_UNSPECIFIED
        parts = client.stream(
            client.stub.ExportSubscribers, pb.ExportSubscribersRequest(state=state), timeout=IMPORT_SECONDS
        )
        # The first one is awaited, so that a refusal is a page.
        first = await anext(parts)

        async def content() -> AsyncIterator[bytes]:
            yield first.data
            async for part in parts:
                yield part.data

        headers = {"Content-Disposition": 'attachment; filename="subscribers.csv"', "Cache-Control": "no-store"}
        return StreamingResponse(content(), media_type="text/csv; charset=utf-8", headers=headers)


async def _parts(start: pb.ImportStart, file: UploadFile) -> AsyncIterator[pb.ImportSubscribersRequest]:
    yield pb.ImportSubscribersRequest(start=start)
    while data := await file.read(CHUNK_BYTES):
        yield pb.ImportSubscribersRequest(data=data)
