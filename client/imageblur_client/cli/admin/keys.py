"""`imageblur admin keys`, `create-key`, `rotate-key`, `revoke-key`, `audit`."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from google.protobuf.duration_pb2 import Duration
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_pb2 import AddressClass, ApiKey, ApiKeyLimits, ApiKeyRole, ApiKeyScope, AuditEntry

from imageblur_client.cli.admin.output import All, Csv, Limit, operator_api, pages, show, time_text
from imageblur_client.cli.context import Json
from imageblur_client.cli.errors import print_error
from imageblur_client.cli.render import as_dict, enum_label, json_line

_DAY, _HOUR, _MEBIBYTE = 86_400, 3600, 1 << 20
SCOPES = "orders, results, instant, subscriptions, operations, mailings, personal-data or keys"
Scopes = Annotated[
    list[str] | None,
    typer.Option(metavar="SCOPE", help=f"What it may call: {SCOPES}. Can be repeated. Default: all of its role."),
]
OrdersPerMinute = Annotated[int, typer.Option(min=0, metavar="N", help="Orders in a minute; 0: the server's limit.")]
ImagesPerDay = Annotated[int, typer.Option(min=0, metavar="N", help="Images in a day; 0: no limit.")]
MebibytesInFlight = Annotated[
    int, typer.Option(min=0, metavar="N", help="MiB being received at a time; 0: the server's limit.")
]

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


def whoami(ctx: typer.Context, as_json: Json = False) -> None:
    """Show the role, scopes and limits of the key that is used."""
    with operator_api(ctx) as operator:
        caller = operator.call(operator.stub.GetCaller, pb.GetCallerRequest())
    if as_json:
        typer.echo(json_line(**as_dict(caller)))
        return
    typer.echo(f"{caller.principal}: {enum_label(ApiKeyRole.DESCRIPTOR, caller.role)}")
    for line in _restrictions(caller):
        typer.echo(line)


def create_key(
    ctx: typer.Context,
    role: Annotated[str, typer.Option(metavar="ROLE", help="client, viewer or admin.", show_default=False)],
    name: Annotated[str, typer.Option(metavar="NAME", help="Name of its holder.")] = "",
    days: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Days until it expires. Default: never.", show_default=False)
    ] = None,
    *,
    scope: Scopes = None,
    orders_per_minute: OrdersPerMinute = 0,
    images_per_day: ImagesPerDay = 0,
    mebibytes_in_flight: MebibytesInFlight = 0,
) -> None:
    """Create an API key and print it, once."""
    try:
        value = ApiKeyRole.Value(f"API_KEY_ROLE_{role.upper()}")
    except ValueError:
        raise typer.BadParameter("must be client, viewer or admin", param_hint="--role") from None
    lifetime = Duration(seconds=days * _DAY) if days else None
    with operator_api(ctx) as operator:
        request = pb.CreateApiKeyRequest(
            name=name,
            role=value,
            lifetime=lifetime,
            scopes=map(_scope, scope or ()),
            limits=_limits(orders_per_minute, images_per_day, mebibytes_in_flight),
        )
        made = operator.call(operator.stub.CreateApiKey, request)
    _print_once(made.api_key, made.key)


def restrict_key(
    ctx: typer.Context,
    key_id: KeyId,
    *,
    scope: Scopes = None,
    orders_per_minute: OrdersPerMinute = 0,
    images_per_day: ImagesPerDay = 0,
    mebibytes_in_flight: MebibytesInFlight = 0,
) -> None:
    """Replace the scopes and limits of an API key; those that are not given are lifted."""
    with operator_api(ctx) as operator:
        request = pb.RestrictApiKeyRequest(
            api_key_id=key_id,
            scopes=map(_scope, scope or ()),
            limits=_limits(orders_per_minute, images_per_day, mebibytes_in_flight),
        )
        key = operator.call(operator.stub.RestrictApiKey, request).api_key
    for line in _restrictions(key) or ["No scopes or limits: everything that the role allows."]:
        typer.echo(line)
    typer.echo("Takes effect within two seconds.")


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


def audit(
    ctx: typer.Context,
    *,
    principal: Annotated[str, typer.Option(metavar="P", help="Only entries of this principal.")] = "",
    action: Annotated[str, typer.Option(metavar="NAME", help="Only this action, such as DeleteOrders.")] = "",
    subject: Annotated[str, typer.Option(metavar="S", help="Only about this, such as orders/ID.")] = "",
    limit: Limit = 50,
    every: All = False,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """List the audit log, newest first."""
    with operator_api(ctx) as operator:
        request = pb.ListAuditEntriesRequest(principal=principal, action=action, subject=subject)
        found = pages(operator, operator.stub.ListAuditEntries, request, "entries", limit=None if every else limit)
        show(found, _audit_table, as_json=as_json, as_csv=as_csv)


def _scope(text: str) -> ApiKeyScope.ValueType:
    try:
        return ApiKeyScope.Value(f"API_KEY_SCOPE_{text.upper().replace('-', '_')}")
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a scope: {SCOPES}", param_hint="--scope") from None


def _limits(orders_per_minute: int, images_per_day: int, mebibytes: int) -> ApiKeyLimits | None:
    if not (orders_per_minute or images_per_day or mebibytes):
        return None
    return ApiKeyLimits(
        orders_per_minute=orders_per_minute, images_per_day=images_per_day, bytes_in_flight=mebibytes * _MEBIBYTE
    )


def _restrictions(of: ApiKey | pb.GetCallerResponse) -> list[str]:
    """Return scopes and limits as lines."""
    scopes = ", ".join(enum_label(ApiKeyScope.DESCRIPTOR, scope) for scope in of.scopes)
    limits = of.limits
    numbers = (
        (limits.orders_per_minute, "orders a minute"),
        (limits.images_per_day, "images a day"),
        (limits.bytes_in_flight // _MEBIBYTE, "MiB in flight"),
    )
    return [f"scopes: {scopes}"] * bool(scopes) + [f"{number:,} {what}" for number, what in numbers if number]


def _print_once(key: ApiKey, secret: str) -> None:
    # Only the key goes to stdout, so that it can be redirected without being shown.
    print_error(f"API key {key.api_key_id}; it cannot be shown again:")
    typer.echo(secret)


def _key_table(found: Sequence[ApiKey]) -> Iterator[Sequence[str]]:
    yield ("id", "role", "hint", "name", "created", "by", "last used", "from", "expires", "revoked", "restricted to")
    for k in found:
        role = enum_label(ApiKeyRole.DESCRIPTOR, k.role)
        used, *times = [time_text(k, name) for name in ("last_used_time", "expire_time", "revoke_time")]
        used_from = enum_label(AddressClass.DESCRIPTOR, k.last_used_from) if k.last_used_from else "-"
        made = (time_text(k, "create_time"), k.created_by)
        yield (k.api_key_id, role, k.hint, k.name, *made, used, used_from, *times, "; ".join(_restrictions(k)) or "-")


def _audit_table(found: Sequence[AuditEntry]) -> Iterator[Sequence[str]]:
    yield ("time", "principal", "action", "subject", "detail")
    for e in found:
        yield (time_text(e, "create_time"), e.principal, e.action, e.subject, e.detail)
