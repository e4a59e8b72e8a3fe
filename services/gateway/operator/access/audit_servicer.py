"""OperatorService: the audit log."""

import json

from imageblur.v1 import operator_pb2
from imageblur.v1 import operator_service_pb2 as pb

from services.common.db.access import audit
from services.common.db.models import AuditEntry
from services.gateway.operator.base import Context, OperatorBase
from services.gateway.rpc import paging
from services.gateway.rpc.timestamps import timestamp


class AuditServicer(OperatorBase):
    """The RPC of the audit log."""

    async def ListAuditEntries(
        self, request: pb.ListAuditEntriesRequest, context: Context
    ) -> pb.ListAuditEntriesResponse:
        """List audit entries."""
        size, before = paging.parse_size(request.page_size), paging.parse_time_and_id(request.page_token)
        filters = {"principal": request.principal, "action": request.action, "subject": request.subject}
        found = await self.read(lambda session: audit.page(session, before=before, limit=size + 1, **filters))
        page, last = paging.split_page(found, size)
        return pb.ListAuditEntriesResponse(
            entries=map(_entry, page), next_page_token=paging.make_token(last.created_at, last.id) if last else ""
        )


def _entry(row: AuditEntry) -> operator_pb2.AuditEntry:
    return operator_pb2.AuditEntry(
        entry_id=str(row.id),
        create_time=timestamp(row.created_at),
        principal=row.principal,
        action=row.action,
        subject=row.subject,
        detail="" if row.detail == json.dumps({}) else row.detail,
    )
