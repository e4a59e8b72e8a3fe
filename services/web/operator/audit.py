"""What operators did."""

from urllib.parse import urlencode

from imageblur.v1 import operator_service_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response

from services.web.operator.gate import Gate, Operator

PAGE = 100


class Audit:
    """The page of the audit."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def list(self, request: Request, operator: Operator) -> Response:
        """The newest first; perhaps of one principal, or of one action."""
        calls = operator.calls
        token, principal, action = (request.query_params.get(name, "") for name in ("page", "principal", "action"))
        wanted = pb.ListAuditEntriesRequest(page_size=PAGE, page_token=token, principal=principal, action=action)
        found = await calls(calls.stub.ListAuditEntries, wanted)
        chosen = {"principal": principal, "action": action}
        return self._gate.page(
            request,
            operator,
            "audit.html",
            entries=found.entries,
            chosen=chosen,
            next_query=urlencode(chosen | {"page": found.next_page_token}) if found.next_page_token else "",
        )
