"""The audit log: actions of operators."""

from imageblur.v1 import operator_service_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response

from services.web.operator.paging import Pager, page_token
from services.web.operator.renderer import OperatorRenderer, SignedInOperator

PAGE_SIZE = 100


class AuditPages:
    """The list of audit entries."""

    def __init__(self, renderer: OperatorRenderer) -> None:
        self._renderer = renderer

    async def list(self, request: Request, operator: SignedInOperator) -> Response:
        """List entries, newest first; optionally of one principal or one action."""
        client, token = operator.client, page_token(request)
        filters = {name: request.query_params.get(name, "") for name in ("principal", "action")}
        found = await client.call(
            client.stub.ListAuditEntries,
            pb.ListAuditEntriesRequest(page_size=PAGE_SIZE, page_token=token, **filters),
        )
        pager = Pager(page="/audit", token=token, next_token=found.next_page_token, filters=filters)
        return self._renderer.page(request, operator, "audit.html", entries=found.entries, filters=filters, pager=pager)
