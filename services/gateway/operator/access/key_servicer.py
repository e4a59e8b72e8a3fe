"""OperatorService: API keys."""

from collections.abc import Collection, Sequence
from dataclasses import asdict

from imageblur.v1 import operator_pb2
from imageblur.v1 import operator_service_pb2 as pb
from sqlalchemy.orm import Session

from services.common.db.access import api_keys
from services.common.db.models import ApiKey
from services.common.domain.api_keys import SCOPES, KeyLimits, Role, Scope
from services.common.domain.errors import InvalidArgument, Violation
from services.gateway.operator.base import Context, OperatorBase, audit_context
from services.gateway.operator.fields import parse_seconds
from services.gateway.rpc import paging
from services.gateway.rpc.callers import CURRENT_CALL
from services.gateway.rpc.fields import Violations, parse_id
from services.gateway.rpc.timestamps import timestamp

MAX_NAME = 200
MAX_GRACE_SECONDS = 90 * 86_400


class KeyServicer(OperatorBase):
    """The RPCs of API keys."""

    async def CreateApiKey(self, request: pb.CreateApiKeyRequest, context: Context) -> pb.CreateApiKeyResponse:
        """Create an API key."""
        name, role, author = _parse_name(request.name), _parse_role(request.role), audit_context()
        seconds = parse_seconds(request.lifetime, "lifetime", minimum=1) if request.HasField("lifetime") else None
        scopes, limits = _parse_scopes(request.scopes, role), _parse_limits(request.limits)
        issued = await self.write(
            lambda session: api_keys.create(
                session, author, name=name, role=role, seconds=seconds, scopes=scopes, limits=limits
            )
        )
        return pb.CreateApiKeyResponse(api_key=_key_message(issued.row), key=issued.key)

    async def ListApiKeys(self, request: pb.ListApiKeysRequest, context: Context) -> pb.ListApiKeysResponse:
        """List API keys."""
        size, after = paging.parse_size(request.page_size), paging.parse_id(request.page_token)
        inactive = request.include_inactive
        found = await self.read(
            lambda session: api_keys.list_keys(session, after=after, limit=size + 1, include_inactive=inactive)
        )
        page, last = paging.split_page(found, size)
        return pb.ListApiKeysResponse(
            api_keys=map(_key_message, page), next_page_token=paging.make_token(last.id) if last else ""
        )

    async def GetCaller(self, request: pb.GetCallerRequest, context: Context) -> pb.GetCallerResponse:
        """Return who calls."""
        caller = CURRENT_CALL.get().caller
        return pb.GetCallerResponse(
            principal=caller.principal,
            role=operator_pb2.ApiKeyRole.Value(f"API_KEY_ROLE_{caller.role}"),
            scopes=_scope_values(caller.scopes),
            limits=_limits_message(caller.limits),
        )

    async def RestrictApiKey(self, request: pb.RestrictApiKeyRequest, context: Context) -> pb.RestrictApiKeyResponse:
        """Replace the scopes and limits of an API key."""
        key_id, author = parse_id(request.api_key_id, "api_key_id"), audit_context()
        limits = _parse_limits(request.limits)

        def restrict(session: Session) -> ApiKey:
            scopes = _parse_scopes(request.scopes, Role(api_keys.get(session, key_id).role))
            return api_keys.restrict(session, author, key_id, scopes=scopes, limits=limits)

        return pb.RestrictApiKeyResponse(api_key=_key_message(await self.write(restrict)))

    async def RotateApiKey(self, request: pb.RotateApiKeyRequest, context: Context) -> pb.RotateApiKeyResponse:
        """Replace the secret of an API key."""
        key_id, author = parse_id(request.api_key_id, "api_key_id"), audit_context()
        grace = parse_seconds(request.grace_period, "grace_period", minimum=0, maximum=MAX_GRACE_SECONDS)
        issued = await self.write(lambda session: api_keys.rotate(session, author, key_id, grace_seconds=grace))
        return pb.RotateApiKeyResponse(api_key=_key_message(issued.row), key=issued.key)

    async def RevokeApiKey(self, request: pb.RevokeApiKeyRequest, context: Context) -> pb.RevokeApiKeyResponse:
        """Revoke an API key."""
        key_id, author = parse_id(request.api_key_id, "api_key_id"), audit_context()
        row = await self.write(lambda session: api_keys.revoke(session, author, key_id))
        return pb.RevokeApiKeyResponse(api_key=_key_message(row))


def _parse_role(value: operator_pb2.ApiKeyRole.ValueType) -> Role:
    if not value or value not in operator_pb2.ApiKeyRole.values():
        raise InvalidArgument(Violation("role", f"{value} is not a role" if value else "is required"))
    return Role(operator_pb2.ApiKeyRole.Name(value).removeprefix("API_KEY_ROLE_"))


def _parse_name(text: str) -> str:
    if len(text) > MAX_NAME:
        raise InvalidArgument(Violation("name", f"is longer than {MAX_NAME} characters"))
    return text


def _key_message(row: ApiKey) -> operator_pb2.ApiKey:
    return operator_pb2.ApiKey(
        api_key_id=str(row.id),
        name=row.name,
        role=operator_pb2.ApiKeyRole.Value(f"API_KEY_ROLE_{row.role}"),
        hint=row.hint,
        create_time=timestamp(row.created_at),
        created_by=row.created_by,
        rotate_time=timestamp(row.rotated_at),
        expire_time=timestamp(row.expires_at),
        revoke_time=timestamp(row.revoked_at),
        last_used_time=timestamp(row.last_used_at),
        last_used_from=operator_pb2.AddressClass.Value(f"ADDRESS_CLASS_{row.last_used_from or 'UNSPECIFIED'}"),
        scopes=_scope_values(api_keys.scopes_of(row)),
        limits=_limits_message(api_keys.limits_of(row)),
    )


def _parse_scopes(values: Sequence[int], role: Role) -> frozenset[Scope]:
    violations, scopes = Violations(), set()
    for index, value in enumerate(values):
        if not value or value not in operator_pb2.ApiKeyScope.values():
            violations.add(f"scopes[{index}]", f"{value} is not a scope")
            continue
        scope = Scope(operator_pb2.ApiKeyScope.Name(value).removeprefix("API_KEY_SCOPE_"))  # type: ignore[arg-type]
        if scope not in SCOPES[role]:
            violations.add(f"scopes[{index}]", f"the role {role} may call nothing of {scope}")
        scopes.add(scope)
    violations.raise_if_any()
    return frozenset(scopes)


def _parse_limits(limits: operator_pb2.ApiKeyLimits) -> KeyLimits:
    violations = Violations()
    values = {field.name: getattr(limits, field.name) for field in limits.DESCRIPTOR.fields}
    for name, value in values.items():
        if value < 0:
            violations.add(f"limits.{name}", "must not be negative")
    violations.raise_if_any()
    return KeyLimits(**values)


def _scope_values(scopes: Collection[Scope]) -> list[operator_pb2.ApiKeyScope.ValueType]:
    return sorted(operator_pb2.ApiKeyScope.Value(f"API_KEY_SCOPE_{scope}") for scope in scopes)


def _limits_message(limits: KeyLimits) -> operator_pb2.ApiKeyLimits | None:
    return None if limits == KeyLimits() else operator_pb2.ApiKeyLimits(**asdict(limits))
