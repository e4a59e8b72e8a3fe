"""API keys: made and shown once, replaced, revoked."""

from google.protobuf.duration_pb2 import Duration
from imageblur.v1 import operator_pb2
from imageblur.v1 import operator_service_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response

from services.web.newsletter.pages import read_fields
from services.web.operator.gate import Gate, Operator, done

PAGE = 100
ROLES = ("client", "viewer", "admin")
LONGEST_DAYS = 3650


class Keys:
    """The pages of keys, for administrators."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def list(self, request: Request, operator: Operator) -> Response:
        """All that work; or those that have ended, too."""
        calls = operator.calls
        ended = request.query_params.get("ended") == "show"
        token = request.query_params.get("page", "")
        wanted = pb.ListApiKeysRequest(page_size=PAGE, page_token=token, include_inactive=ended)
        found = await calls(calls.stub.ListApiKeys, wanted)
        return self._gate.page(
            request,
            operator,
            "keys.html",
            keys=[(key, _role(key)) for key in found.api_keys],
            roles=ROLES,
            ended=ended,
            next_page=found.next_page_token,
        )

    async def create(self, request: Request, operator: Operator) -> Response:
        """Make one, and show it: in the answer itself, for it is kept nowhere."""
        calls, fields = operator.calls, await read_fields(request)
        wanted = pb.CreateApiKeyRequest(name=str(fields.get("name", "")).strip())
        if (role := str(fields.get("role", ""))) in ROLES:
            wanted.role = operator_pb2.ApiKeyRole.Value(f"API_KEY_ROLE_{role.upper()}")
        days = str(fields.get("days", "")).strip()
        if days:
            number = int(days) if days.isascii() and days.isdecimal() and len(days) < 6 else 0
            wanted.lifetime.CopyFrom(Duration(seconds=min(number, LONGEST_DAYS) * 86400))
        answer = await calls(calls.stub.CreateApiKey, wanted)
        return self._shown_once(request, operator, answer.api_key, answer.key)

    async def rotate(self, request: Request, operator: Operator) -> Response:
        """Replace one; the former works for another hour, while programs are given the new one."""
        calls = operator.calls
        wanted = pb.RotateApiKeyRequest(
            api_key_id=request.path_params["api_key_id"], grace_period=Duration(seconds=3600)
        )
        answer = await calls(calls.stub.RotateApiKey, wanted)
        return self._shown_once(request, operator, answer.api_key, answer.key)

    async def revoke(self, request: Request, operator: Operator) -> Response:
        """End one."""
        calls = operator.calls
        await calls(calls.stub.RevokeApiKey, pb.RevokeApiKeyRequest(api_key_id=request.path_params["api_key_id"]))
        return done("/keys", "key_revoked")

    def _shown_once(self, request: Request, operator: Operator, known: operator_pb2.ApiKey, key: str) -> Response:
        return self._gate.page(request, operator, "new_key.html", known=known, role=_role(known), key=key)


def _role(key: operator_pb2.ApiKey) -> str:
    return operator_pb2.ApiKeyRole.Name(key.role).removeprefix("API_KEY_ROLE_").lower()
