"""API keys: create and show once, rotate, revoke."""

from google.protobuf.duration_pb2 import Duration
from imageblur.v1 import operator_pb2
from imageblur.v1 import operator_service_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response

from services.web.enums import short_name, value_of
from services.web.http.forms import read_fields
from services.web.operator.paging import Pager, page_token
from services.web.operator.renderer import OperatorRenderer, SignedInOperator, redirect_done

PAGE_SIZE = 100
ROLES = ("client", "viewer", "admin")
MAX_DAYS = 3650
ROTATION_GRACE_SECONDS = 3600
"""How long a rotated key still works, while programs get the new one."""


class ApiKeyPages:
    """The list of keys, and what administrators do with them."""

    def __init__(self, renderer: OperatorRenderer) -> None:
        self._renderer = renderer

    async def list(self, request: Request, operator: SignedInOperator) -> Response:
        """List the active keys; on request, inactive keys too."""
        client, token = operator.client, page_token(request)
        inactive = request.query_params.get("inactive", "")
        found = await client.call(
            client.stub.ListApiKeys,
            pb.ListApiKeysRequest(page_size=PAGE_SIZE, page_token=token, include_inactive=inactive == "show"),
        )
        return self._renderer.page(
            request,
            operator,
            "api_keys.html",
            keys=[(key, _role(key)) for key in found.api_keys],
            roles=ROLES,
            inactive=inactive == "show",
            pager=Pager(page="/keys", token=token, next_token=found.next_page_token, filters={"inactive": inactive}),
        )

    async def create(self, request: Request, operator: SignedInOperator) -> Response:
        """Create a key, and show it in the response: it is not stored anywhere."""
        client, fields = operator.client, await read_fields(request)
        key = pb.CreateApiKeyRequest(name=str(fields.get("name", "")).strip())
        if (role := value_of(operator_pb2.ApiKeyRole, str(fields.get("role", "")))) is not None:
            key.role = role
        if days := str(fields.get("days", "")).strip():
            number = int(days) if days.isascii() and days.isdecimal() and len(days) < 6 else 0
            key.lifetime.CopyFrom(Duration(seconds=min(number, MAX_DAYS) * 86400))
        created = await client.call(client.stub.CreateApiKey, key)
        return self._show_once(request, operator, created.api_key, created.key)

    async def rotate(self, request: Request, operator: SignedInOperator) -> Response:
        """Replace a key, and show the new one."""
        client = operator.client
        rotated = await client.call(
            client.stub.RotateApiKey,
            pb.RotateApiKeyRequest(
                api_key_id=request.path_params["api_key_id"], grace_period=Duration(seconds=ROTATION_GRACE_SECONDS)
            ),
        )
        return self._show_once(request, operator, rotated.api_key, rotated.key)

    async def revoke(self, request: Request, operator: SignedInOperator) -> Response:
        """Revoke a key."""
        client = operator.client
        revoked = pb.RevokeApiKeyRequest(api_key_id=request.path_params["api_key_id"])
        await client.call(client.stub.RevokeApiKey, revoked)
        return redirect_done("/keys", "key_revoked")

    def _show_once(
        self, request: Request, operator: SignedInOperator, api_key: operator_pb2.ApiKey, key: str
    ) -> Response:
        return self._renderer.page(request, operator, "new_api_key.html", api_key=api_key, role=_role(api_key), key=key)


def _role(key: operator_pb2.ApiKey) -> str:
    return short_name(operator_pb2.ApiKeyRole, key.role)
