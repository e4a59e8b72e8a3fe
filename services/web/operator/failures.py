"""Images and e-mails that were given up: by reason, to be tried again or dropped, one, some or all."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from imageblur.v1 import operator_pb2, order_pb2
from imageblur.v1 import operator_service_pb2 as pb
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from services.common.domain.retries import RETRIABLE
from services.web.newsletter.pages import read_fields
from services.web.operator.gate import Gate, Operator, done

PAGE = 50
_MOST_BATCHES = 20
"""A click takes up so many thousands; what is left is still on the list."""


@dataclass(frozen=True)
class Group:
    """Failures of one kind and reason."""

    group: operator_pb2.FailureGroup
    kind: str
    reason: str

    @property
    def retriable(self) -> bool:
        """Whether trying again may help: of images that depends on the reason, which else lies in the file."""
        return self.kind == "email" or self.reason.upper() in RETRIABLE


class Failures:
    """The page of failures."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def list(self, request: Request, operator: Operator) -> Response:
        """Groups, and the failures themselves, perhaps of one group alone."""
        calls = operator.calls
        token = request.query_params.get("page", "")
        which = _filter(request.query_params)
        found = await calls(
            calls.stub.ListFailures, pb.ListFailuresRequest(page_size=PAGE, page_token=token, filter=which)
        )
        chosen = {"kind": _kind(which.kind), "reason": _reason(which.reason), "order": which.order_id}
        return self._gate.page(
            request,
            operator,
            "failures.html",
            groups=[Group(group, _kind(group.kind), _reason(group.reason)) for group in found.groups],
            failures=[(entry, _kind(entry.kind), _reason(entry.failure.reason)) for entry in found.failures],
            chosen=chosen,
            next_query=urlencode(chosen | {"page": found.next_page_token}) if found.next_page_token else "",
            is_first=not token,
        )

    async def retry(self, request: Request, operator: Operator) -> Response:
        """Have failures tried again."""
        calls, retried, skipped = operator.calls, 0, 0
        fields = await read_fields(request)
        ids = _ids(fields)
        if not ids and "all" not in fields:
            return done("/failures", "nothing_chosen")
        for _ in range(_MOST_BATCHES):
            wanted = pb.RetryFailuresRequest(failure_ids=ids, all=not ids, filter=None if ids else _filter(fields))
            answer = await calls(calls.stub.RetryFailures, wanted)
            retried += answer.retried
            skipped += len(answer.skipped)
            if ids or not answer.remaining or not answer.retried:
                break
        return done("/failures", "not_retriable" if skipped and not retried else "retried", retried)

    async def drop(self, request: Request, operator: Operator) -> Response:
        """Strike failures off the list."""
        calls, dropped = operator.calls, 0
        fields = await read_fields(request)
        ids = _ids(fields)
        if not ids and "all" not in fields:
            return done("/failures", "nothing_chosen")
        for _ in range(_MOST_BATCHES):
            wanted = pb.DropFailuresRequest(failure_ids=ids, all=not ids, filter=None if ids else _filter(fields))
            answer = await calls(calls.stub.DropFailures, wanted)
            dropped += answer.dropped
            if ids or not answer.remaining or not answer.dropped:
                break
        return done("/failures", "dropped", dropped)


def _ids(fields: FormData) -> list[str]:
    """The failures that are meant: of the one whose button was pressed, or those that were chosen."""
    if one := str(fields.get("one", "")):
        return [one]
    return [] if "all" in fields else [str(value) for value in fields.getlist("failure_id")]


def _filter(values: Mapping[str, object]) -> operator_pb2.FailureFilter:
    which = operator_pb2.FailureFilter(order_id=str(values.get("order", "")))
    kind, reason = (str(values.get(name, "")).upper() for name in ("kind", "reason"))
    if kind in {"IMAGE", "EMAIL"}:
        which.kind = operator_pb2.FailureKind.Value(f"FAILURE_KIND_{kind}")
    if f"FAILURE_REASON_{reason}" in order_pb2.FailureReason.keys():  # noqa: SIM118 - it is no mapping
        which.reason = order_pb2.FailureReason.Value(f"FAILURE_REASON_{reason}")
    return which


def _kind(kind: operator_pb2.FailureKind.ValueType) -> str:
    return operator_pb2.FailureKind.Name(kind).removeprefix("FAILURE_KIND_").lower() if kind else ""


def _reason(reason: order_pb2.FailureReason.ValueType) -> str:
    return order_pb2.FailureReason.Name(reason).removeprefix("FAILURE_REASON_").lower() if reason else ""
