"""API keys: create and show once, rotate, revoke."""

from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration
from imageblur.v1 import operator_pb2
from imageblur.v1 import operator_service_pb2 as pb
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from services.web.enums import short_name, value_of
from services.web.http.forms import read_fields
from services.web.http.problems import NOT_FOUND, ProblemError
from services.web.operator.paging import Pager, page_token
from services.web.operator.renderer import OperatorRenderer, SignedInOperator, redirect_done

PAGE_SIZE = 100
ROLES = ("client", "viewer", "admin")
SCOPES = ("orders", "results", "instant", "subscriptions", "operations", "mailings", "personal_data", "keys")
LIMITS = ("orders_per_minute", "images_per_day", "bytes_in_flight")
MEBIBYTE = 1 << 20
"""The unit of bytes in forms."""
DEFAULT_DAYS = 365
MAX_DAYS = 3650
ROTATION_GRACE_SECONDS = 3600
"""How long a rotated key still works, while programs get the new one."""


@dataclass(frozen=True, kw_only=True)
class ApiKeyView:
    """A key for the templates."""

    key: operator_pb2.ApiKey

    @property
    def role(self) -> str:
        """The name of its role."""
        return _role(self.key)

    @property
    def used_from(self) -> str:
        """The class of the address that it was last used from; empty if not known."""
        return short_name(operator_pb2.AddressClass, self.key.last_used_from)

    @property
    def scopes(self) -> list[str]:
        """The names of its scopes."""
        return [short_name(operator_pb2.ApiKeyScope, scope) for scope in self.key.scopes]

    @property
    def limits(self) -> dict[str, int]:
        """Its limits by name, those that are set; bytes in MiB."""
        limits = self.key.limits
        found = {name: getattr(limits, name) for name in LIMITS if getattr(limits, name)}
        if "bytes_in_flight" in found:
            found["bytes_in_flight"] = -(-found["bytes_in_flight"] // MEBIBYTE)
        return found


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
            keys=[ApiKeyView(key=key) for key in found.api_keys],
            roles=ROLES,
            scopes=SCOPES,
            limits=LIMITS,
            default_days=DEFAULT_DAYS,
            inactive=inactive == "show",
            pager=Pager(page="/keys", token=token, next_token=found.next_page_token, filters={"inactive": inactive}),
        )

    async def create(self, request: Request, operator: SignedInOperator) -> Response:
        """Create a key, and show it in the response: it is not stored anywhere."""
        client, fields = operator.client, await read_fields(request)
        key = pb.CreateApiKeyRequest(name=str(fields.get("name", "")).strip())
        if (role := value_of(operator_pb2.ApiKeyRole, str(fields.get("role", "")))) is not None:
            key.role = role
        days = "" if fields.get("no_expiry") else str(fields.get("days", "")).strip()
        if days:
            number = int(days) if days.isascii() and days.isdecimal() and len(days) < 6 else 0
            key.lifetime.CopyFrom(Duration(seconds=min(number, MAX_DAYS) * 86400))
        key.scopes.extend(_scopes(fields))
        if limits := _limits(fields):
            key.limits.CopyFrom(limits)
        created = await client.call(client.stub.CreateApiKey, key)
        return self._show_once(request, operator, created.api_key, created.key)

    async def show(self, request: Request, operator: SignedInOperator) -> Response:
        """Show one key, with a form for its scopes and limits."""
        client, wanted = operator.client, pb.ListApiKeysRequest(include_inactive=True)
        async for key in client.rows(client.stub.ListApiKeys, wanted, "api_keys"):
            if key.api_key_id == request.path_params["api_key_id"]:
                view = ApiKeyView(key=key)
                return self._renderer.page(request, operator, "api_key.html", one=view, scopes=SCOPES, limits=LIMITS)
        raise ProblemError(NOT_FOUND)

    async def restrict(self, request: Request, operator: SignedInOperator) -> Response:
        """Replace the scopes and limits of a key."""
        client, fields = operator.client, await read_fields(request)
        wanted = pb.RestrictApiKeyRequest(
            api_key_id=request.path_params["api_key_id"], scopes=_scopes(fields), limits=_limits(fields)
        )
        await client.call(client.stub.RestrictApiKey, wanted)
        return redirect_done("/keys", "key_restricted")

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


def _scopes(fields: FormData) -> list[operator_pb2.ApiKeyScope.ValueType]:
    values = (value_of(operator_pb2.ApiKeyScope, str(name)) for name in fields.getlist("scope"))
    return [value for value in values if value]


def _limits(fields: FormData) -> operator_pb2.ApiKeyLimits | None:
    """Return the limits of a form; None if all are empty. What is no number becomes -1, which the gateway refuses."""
    filled = {name: str(fields.get(name, "")).strip() for name in LIMITS}
    if not any(filled.values()):
        return None
    numbers = {
        name: int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else -1 if text else 0
        for name, text in filled.items()
    }
    numbers["bytes_in_flight"] = min(numbers["bytes_in_flight"], 2**40) * MEBIBYTE
    numbers["orders_per_minute"] = min(numbers["orders_per_minute"], 2**31 - 1)
    return operator_pb2.ApiKeyLimits(**numbers)


def _role(key: operator_pb2.ApiKey) -> str:
    return short_name(operator_pb2.ApiKeyRole, key.role)
