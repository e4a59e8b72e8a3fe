"""OperatorService: API keys and the audit."""

from imageblur.v1 import operator_service_pb2 as pb

from services.common.db.access import api_keys, audit
from services.gateway.operator import requests, responses
from services.gateway.operator.calls import Context, OperatorCalls, audit_context
from services.gateway.orders.requests import parse_id
from services.gateway.rpc import paging


class KeyCalls(OperatorCalls):
    """Of administrators, but for the audit."""

    async def CreateApiKey(self, request: pb.CreateApiKeyRequest, context: Context) -> pb.CreateApiKeyResponse:
        """Make a key."""
        name, role = requests.parse_name(request.name), requests.parse_role(request.role)
        seconds = (
            requests.parse_seconds(request.lifetime, "lifetime", least=1) if request.HasField("lifetime") else None
        )
        who = audit_context("CreateApiKey")
        made = await self.write(lambda session: api_keys.create(session, who, name=name, role=role, seconds=seconds))
        return pb.CreateApiKeyResponse(api_key=responses.key_message(made.row), key=made.key)

    async def ListApiKeys(self, request: pb.ListApiKeysRequest, context: Context) -> pb.ListApiKeysResponse:
        """A page of keys."""
        size, after = paging.parse_size(request.page_size), paging.parse_id(request.page_token)
        found = await self.read(
            lambda session: api_keys.listed(session, after=after, limit=size + 1, ended=request.show_ended)
        )
        shown, last = paging.cut(found, size)
        return pb.ListApiKeysResponse(
            api_keys=map(responses.key_message, shown), next_page_token=paging.token(last.id) if last else ""
        )

    async def RotateApiKey(self, request: pb.RotateApiKeyRequest, context: Context) -> pb.RotateApiKeyResponse:
        """Replace a key."""
        key_id = parse_id(request.api_key_id, "api_key_id")
        keep = requests.parse_seconds(request.keep_former, "keep_former", least=0, most=requests.MOST_KEPT_SECONDS)
        who = audit_context("RotateApiKey")
        made = await self.write(lambda session: api_keys.rotate(session, who, key_id, keep_seconds=keep))
        return pb.RotateApiKeyResponse(api_key=responses.key_message(made.row), key=made.key)

    async def RevokeApiKey(self, request: pb.RevokeApiKeyRequest, context: Context) -> pb.RevokeApiKeyResponse:
        """End a key."""
        key_id = parse_id(request.api_key_id, "api_key_id")
        who = audit_context("RevokeApiKey")
        row = await self.write(lambda session: api_keys.revoke(session, who, key_id))
        return pb.RevokeApiKeyResponse(api_key=responses.key_message(row))

    async def ListAuditEntries(
        self, request: pb.ListAuditEntriesRequest, context: Context
    ) -> pb.ListAuditEntriesResponse:
        """A page of the audit."""
        size, before = paging.parse_size(request.page_size), paging.parse_time_and_id(request.page_token)
        found = await self.read(
            lambda session: audit.page(
                session, before=before, limit=size + 1, principal=request.principal, action=request.action
            )
        )
        shown, last = paging.cut(found, size)
        return pb.ListAuditEntriesResponse(
            entries=map(responses.audit_message, shown),
            next_page_token=paging.token(last.created_at, last.id) if last else "",
        )
