"""`imageblur admin keys`, `create-key`, `rotate-key`, `revoke-key`, `audit`."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from google.protobuf.duration_pb2 import Duration
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_pb2 import ApiKey, ApiKeyRole, AuditEntry

from imageblur_client.cli.admin.output import Limit, operator_api, show, time_text
from imageblur_client.cli.context import Json
from imageblur_client.cli.errors import print_error
from imageblur_client.cli.render import enum_label

_DAY, _HOUR = 86_400, 3600

KeyId = Annotated[str, typer.Argument(metavar="ID", help="ID of the key.", show_default=False)]


def keys(
    ctx: typer.Context,
    inactive: Annotated[bool, typer.Option("--all", help="Include revoked and expired keys.")] = False,
    limit: Limit = 1000,
    as_json: Json = False,
) -> None:
    """List API keys."""
    with operator_api(ctx) as operator:
        request = pb.ListApiKeysRequest(page_size=limit, include_inactive=inactive)
        found = operator.call(operator.stub.ListApiKeys, request).api_keys
    show(found, _key_table(found), as_json=as_json)


def create_key(
    ctx: typer.Context,
    role: Annotated[str, typer.Option(metavar="ROLE", help="client, viewer or admin.", show_default=False)],
    name: Annotated[str, typer.Option(metavar="NAME", help="Name of its holder.")] = "",
    days: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Days until it expires. Default: never.", show_default=False)
    ] = None,
) -> None:
    """Create an API key and print it, once."""
    try:
        value = ApiKeyRole.Value(f"API_KEY_ROLE_{role.upper()}")
    except ValueError:
        raise typer.BadParameter("must be client, viewer or admin", param_hint="--role") from None
    lifetime = Duration(seconds=days * _DAY) if days else None
    with operator_api(ctx) as operator:
        request = pb.CreateApiKeyRequest(name=name, role=value, lifetime=lifetime)
        made = operator.call(operator.stub.CreateApiKey, request)
    _print_once(made.api_key, made.key)


def rotate_key(
    ctx: typer.Context,
    key_id: KeyId,
    grace_hours: Annotated[int, typer.Option(min=0, metavar="N", help="Hours that the previous key stays valid.")] = 0,
) -> None:
    """Replace an API key and print the new one, once."""
    with operator_api(ctx) as operator:
        request = pb.RotateApiKeyRequest(api_key_id=key_id, grace_period=Duration(seconds=grace_hours * _HOUR))
        made = operator.call(operator.stub.RotateApiKey, request)
    _print_once(made.api_key, made.key)


def revoke_key(ctx: typer.Context, key_id: KeyId) -> None:
    """Revoke an API key."""
    with operator_api(ctx) as operator:
        operator.call(operator.stub.RevokeApiKey, pb.RevokeApiKeyRequest(api_key_id=key_id))
    typer.echo("Revoked; takes effect within two seconds.")


def audit(ctx: typer.Context, limit: Limit = 50, as_json: Json = False) -> None:
    """List the audit log, newest first."""
    with operator_api(ctx) as operator:
        found = operator.call(operator.stub.ListAuditEntries, pb.ListAuditEntriesRequest(page_size=limit)).entries
    show(found, _audit_table(found), as_json=as_json)


def _print_once(key: ApiKey, secret: str) -> None:
    # Only the key goes to stdout, so that it can be redirected without being shown.
    print_error(f"API key {key.api_key_id}; it cannot be shown again:")
    typer.echo(secret)


def _key_table(found: Sequence[ApiKey]) -> Iterator[Sequence[str]]:
    yield ("id", "role", "hint", "name", "created", "by", "last used", "expires", "revoked")
    for k in found:
        role = enum_label(ApiKeyRole.DESCRIPTOR, k.role)
        times = [time_text(k, name) for name in ("last_used_time", "expire_time", "revoke_time")]
        yield (k.api_key_id, role, k.hint, k.name, time_text(k, "create_time"), k.created_by, *times)


def _audit_table(found: Sequence[AuditEntry]) -> Iterator[Sequence[str]]:
    yield ("time", "principal", "action", "subject", "detail")
    for e in found:
        yield (time_text(e, "create_time"), e.principal, e.action, e.subject, e.detail)
