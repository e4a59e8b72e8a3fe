"""`imageblur admin keys`, `create-key`, `rotate-key`, `revoke-key`, `audit`."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from google.protobuf.duration_pb2 import Duration
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_pb2 import ApiKey, ApiKeyRole, AuditEntry

from imageblur_client.cli.admin.showing import Limit, operator_of, show, when
from imageblur_client.cli.failures import complain
from imageblur_client.cli.render import word
from imageblur_client.cli.session import Json

_DAY, _HOUR = 86_400, 3600

KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id.", show_default=False)]


def keys(
    ctx: typer.Context,
    ended: Annotated[bool, typer.Option("--all", help="Those that have ended, too.")] = False,
    limit: Limit = 1000,
    as_json: Json = False,
) -> None:
    """List API keys."""
    with operator_of(ctx) as operator:
        request = pb.ListApiKeysRequest(page_size=limit, show_ended=ended)
        found = operator.ask(operator.stub.ListApiKeys, request).api_keys
    show(found, _key_table(found), as_json=as_json)


def create_key(
    ctx: typer.Context,
    role: Annotated[str, typer.Option(metavar="ROLE", help="client, viewer or admin.", show_default=False)],
    name: Annotated[str, typer.Option(metavar="NAME", help="Whose it is.")] = "",
    days: Annotated[int | None, typer.Option(min=1, metavar="N", help="How long it works.", show_default=False)] = None,
) -> None:
    """Make an API key and print it, once."""
    try:
        value = ApiKeyRole.Value(f"API_KEY_ROLE_{role.upper()}")
    except ValueError:
        raise typer.BadParameter("is client, viewer or admin", param_hint="--role") from None
    lifetime = Duration(seconds=days * _DAY) if days else None
    with operator_of(ctx) as operator:
        request = pb.CreateApiKeyRequest(name=name, role=value, lifetime=lifetime)
        made = operator.ask(operator.stub.CreateApiKey, request)
    _print_once(made.api_key, made.key)


def rotate_key(
    ctx: typer.Context,
    key_id: KeyId,
    keep_hours: Annotated[int, typer.Option(min=0, metavar="N", help="How long the former one still works.")] = 0,
) -> None:
    """Replace an API key and print the new one, once."""
    with operator_of(ctx) as operator:
        request = pb.RotateApiKeyRequest(api_key_id=key_id, keep_former=Duration(seconds=keep_hours * _HOUR))
        made = operator.ask(operator.stub.RotateApiKey, request)
    _print_once(made.api_key, made.key)


def revoke_key(ctx: typer.Context, key_id: KeyId) -> None:
    """End an API key."""
    with operator_of(ctx) as operator:
        operator.ask(operator.stub.RevokeApiKey, pb.RevokeApiKeyRequest(api_key_id=key_id))
    typer.echo("The key opens nothing any more, in two seconds at the latest.")


def audit(ctx: typer.Context, limit: Limit = 50, as_json: Json = False) -> None:
    """List what operators did, the newest first."""
    with operator_of(ctx) as operator:
        found = operator.ask(operator.stub.ListAuditEntries, pb.ListAuditEntriesRequest(page_size=limit)).entries
    show(found, _audit_table(found), as_json=as_json)


def _print_once(key: ApiKey, secret: str) -> None:
    # The key alone goes to stdout, so that it can be put where it belongs without being seen.
    complain(f"key {key.api_key_id}; it is not shown again:")
    typer.echo(secret)


def _key_table(found: Sequence[ApiKey]) -> Iterator[Sequence[str]]:
    yield ("key", "role", "begins", "name", "made", "by", "used", "until", "revoked")
    for k in found:
        role = word(ApiKeyRole.DESCRIPTOR, k.role)
        times = [when(k, name) for name in ("use_time", "expire_time", "revoke_time")]
        yield (k.api_key_id, role, k.hint, k.name, when(k, "create_time"), k.created_by, *times)


def _audit_table(found: Sequence[AuditEntry]) -> Iterator[Sequence[str]]:
    yield ("when", "who", "what", "to what", "")
    for e in found:
        yield (when(e, "create_time"), e.principal, e.action, e.subject, e.detail)
