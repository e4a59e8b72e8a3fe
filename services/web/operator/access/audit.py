"""The audit log: who changed what."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from imageblur.v1 import operator_service_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response

from services.web.operator.exports import Row, export
from services.web.operator.orders.orders import time_text
from services.web.operator.paging import Pager, list_url, page_token
from services.web.operator.renderer import OperatorRenderer, SignedInOperator

PAGE_SIZE = 100
FILTERS = ("principal", "action", "subject")
COLUMNS = ("time", "principal", "action", "subject", "detail")


class AuditPages:
    """The list of audit entries."""

    def __init__(self, renderer: OperatorRenderer) -> None:
        self._renderer = renderer

    async def list(self, request: Request, operator: SignedInOperator) -> Response:
        """List entries, newest first; optionally of one principal or one action."""
        client, token = operator.client, page_token(request)
        filters = {name: request.query_params.get(name, "") for name in FILTERS}
        found = await client.call(
            client.stub.ListAuditEntries, pb.ListAuditEntriesRequest(page_size=PAGE_SIZE, page_token=token, **filters)
        )
        pager = Pager(page="/audit", token=token, next_token=found.next_page_token, filters=filters)
        return self._renderer.page(
            request,
            operator,
            "audit.html",
            entries=found.entries,
            filters=filters,
            exports={name: list_url(f"/audit/export.{name}", filters) for name in ("csv", "json")},
            pager=pager,
        )

    async def export(self, request: Request, operator: SignedInOperator) -> Response:
        """Return all entries that match the filter of the URL as a file."""
        filters = {name: request.query_params.get(name, "") for name in FILTERS}
        rows = self._rows(operator, filters)
        return export(rows, COLUMNS, name="audit", file_format=request.path_params["file_format"])

    async def _rows(self, operator: SignedInOperator, filters: Mapping[str, Any]) -> AsyncIterator[Row]:
        client = operator.client
        async for entry in client.rows(client.stub.ListAuditEntries, pb.ListAuditEntriesRequest(**filters), "entries"):
            yield {
                "time": time_text(entry.create_time),
                "principal": entry.principal,
                "action": entry.action,
                "subject": entry.subject,
                "detail": entry.detail,
            }
