"""OperatorService: each call checked, handed to a use case, and answered."""

from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from grpc import aio
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceServicer
from sqlalchemy.orm import Session

from services.common.db import api_keys, audit, failures, order_lists, statistics
from services.common.db.audit import Deed
from services.common.db.clock import SECOND
from services.common.db.engine import Database
from services.common.db.failures import Place
from services.common.errors import InvalidArgument, Violation
from services.gateway import operator_requests as requests
from services.gateway import operator_responses as responses
from services.gateway import paging, traces
from services.gateway.callers import CALL, principal
from services.gateway.offload import Offload
from services.gateway.operator_failures import OperatorFailures
from services.gateway.operator_queues import OperatorQueues, QueueSeen
from services.gateway.requests import parse_id

Context = aio.ServicerContext[Any, Any]
T = TypeVar("T")


class OperatorServicer(OperatorServiceServicer):
    """The operator's service. Who may call what, `access` has seen to."""

    def __init__(
        self, database: Database, offload: Offload, queues: OperatorQueues, failures_: OperatorFailures
    ) -> None:
        self._database = database
        self._offload = offload
        self._queues = queues
        self._failures = failures_

    async def ListQueues(self, request: pb.ListQueuesRequest, context: Context) -> pb.ListQueuesResponse:
        """The queues."""
        return pb.ListQueuesResponse(queues=map(_queue, await self._offload(self._queues.seen)))

    async def PauseQueue(self, request: pb.PauseQueueRequest, context: Context) -> pb.PauseQueueResponse:
        """Have workers leave a queue alone."""
        seen = await self._offload(self._queues.pause, _deed("PauseQueue"), request.queue)
        return pb.PauseQueueResponse(queue=_queue(seen))

    async def ResumeQueue(self, request: pb.ResumeQueueRequest, context: Context) -> pb.ResumeQueueResponse:
        """End a pause."""
        seen = await self._offload(self._queues.resume, _deed("ResumeQueue"), request.queue)
        return pb.ResumeQueueResponse(queue=_queue(seen))

    async def PurgeQueue(self, request: pb.PurgeQueueRequest, context: Context) -> pb.PurgeQueueResponse:
        """Cancel what a queue is to do."""
        count = await self._offload(self._queues.purge, _deed("PurgeQueue"), request.queue)
        return pb.PurgeQueueResponse(cancelled=count)

    async def ListWorkers(self, request: pb.ListWorkersRequest, context: Context) -> pb.ListWorkersResponse:
        """The workers."""
        found = await self._offload(self._queues.workers)
        return pb.ListWorkersResponse(
            workers=[responses.worker_message(worker, alive=alive) for worker, alive in found]
        )

    async def ListOrders(self, request: pb.ListOrdersRequest, context: Context) -> pb.ListOrdersResponse:
        """A page of orders."""
        size, before = paging.parse_size(request.page_size), paging.parse_time_and_id(request.page_token)
        which = requests.parse_order_filter(request.filter, CALL.get().caller.role)
        found = await self._read(lambda session: order_lists.page(session, which, before=before, limit=size + 1))
        shown, last = paging.cut(found, size)
        return pb.ListOrdersResponse(
            orders=map(responses.order_entry, shown),
            next_page_token=paging.token(last.order.created_at, last.order.id) if last else "",
        )

    async def GetOrderTrace(self, request: pb.GetOrderTraceRequest, context: Context) -> pb.GetOrderTraceResponse:
        """An order's way."""
        order_id = parse_id(request.order_id)
        way = await self._read(lambda session: order_lists.way(session, order_id))
        return pb.GetOrderTraceResponse(
            order=responses.order_entry(way.snapshot),
            steps=traces.steps(way),
            images_left_out=way.snapshot.order.total - len(way.images),
        )

    async def ListFailures(self, request: pb.ListFailuresRequest, context: Context) -> pb.ListFailuresResponse:
        """A page of failures."""
        size, which = paging.parse_size(request.page_size), requests.parse_failure_filter(request.filter)
        after = _place(request.page_token)
        found = await self._read(lambda session: failures.page(session, which, after=after, limit=size + 1))
        groups = [] if after else await self._read(lambda session: failures.groups(session, which))
        shown, last = paging.cut(found, size)
        return pb.ListFailuresResponse(
            failures=map(responses.failure_entry, shown),
            next_page_token=paging.token(last.kind, last.time, last.id) if last else "",
            groups=map(responses.failure_group, groups),
        )

    async def RetryFailures(self, request: pb.RetryFailuresRequest, context: Context) -> pb.RetryFailuresResponse:
        """Have failures tried again."""
        ids = requests.parse_failure_ids(request.failure_ids, request.all)
        which = requests.parse_failure_filter(request.filter)
        outcome = await self._offload(self._failures.retry, _deed("RetryFailures"), ids, which)
        return pb.RetryFailuresResponse(
            retried=outcome.done,
            skipped=map(responses.skipped_message, outcome.skipped),
            remaining=outcome.remaining,
        )

    async def DropFailures(self, request: pb.DropFailuresRequest, context: Context) -> pb.DropFailuresResponse:
        """Strike failures off."""
        ids = requests.parse_failure_ids(request.failure_ids, request.all)
        which = requests.parse_failure_filter(request.filter)
        outcome = await self._offload(self._failures.drop, _deed("DropFailures"), ids, which)
        return pb.DropFailuresResponse(dropped=outcome.done, remaining=outcome.remaining)

    async def GetStatistics(self, request: pb.GetStatisticsRequest, context: Context) -> pb.GetStatisticsResponse:
        """Rates and times."""
        span = requests.parse_seconds(request.span, "span", least=1) if request.HasField("span") else 3600
        step = requests.parse_seconds(request.step, "step", least=1) if request.HasField("step") else max(1, span // 60)
        if span > step * requests.MOST_POINTS:
            raise InvalidArgument(Violation("step", f"gives more than {requests.MOST_POINTS} points"))
        course = await self._read(lambda session: statistics.course(session, span=span * SECOND, step=step * SECOND))
        return pb.GetStatisticsResponse(points=map(responses.point_message, course.points), sampled=course.sampled)

    async def CreateApiKey(self, request: pb.CreateApiKeyRequest, context: Context) -> pb.CreateApiKeyResponse:
        """Make a key."""
        name, role = requests.parse_name(request.name), requests.parse_role(request.role)
        seconds = (
            requests.parse_seconds(request.lifetime, "lifetime", least=1) if request.HasField("lifetime") else None
        )
        deed = _deed("CreateApiKey")
        made = await self._write(lambda session: api_keys.create(session, deed, name=name, role=role, seconds=seconds))
        return pb.CreateApiKeyResponse(api_key=responses.key_message(made.row), key=made.key)

    async def ListApiKeys(self, request: pb.ListApiKeysRequest, context: Context) -> pb.ListApiKeysResponse:
        """A page of keys."""
        size, after = paging.parse_size(request.page_size), paging.parse_id(request.page_token)
        found = await self._read(
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
        deed = _deed("RotateApiKey")
        made = await self._write(lambda session: api_keys.rotate(session, deed, key_id, keep_seconds=keep))
        return pb.RotateApiKeyResponse(api_key=responses.key_message(made.row), key=made.key)

    async def RevokeApiKey(self, request: pb.RevokeApiKeyRequest, context: Context) -> pb.RevokeApiKeyResponse:
        """End a key."""
        key_id = parse_id(request.api_key_id, "api_key_id")
        deed = _deed("RevokeApiKey")
        row = await self._write(lambda session: api_keys.revoke(session, deed, key_id))
        return pb.RevokeApiKeyResponse(api_key=responses.key_message(row))

    async def ListAuditEntries(
        self, request: pb.ListAuditEntriesRequest, context: Context
    ) -> pb.ListAuditEntriesResponse:
        """A page of the audit."""
        size, before = paging.parse_size(request.page_size), paging.parse_time_and_id(request.page_token)
        found = await self._read(
            lambda session: audit.page(
                session, before=before, limit=size + 1, principal=request.principal, action=request.action
            )
        )
        shown, last = paging.cut(found, size)
        return pb.ListAuditEntriesResponse(
            entries=map(responses.audit_message, shown),
            next_page_token=paging.token(last.created_at, last.id) if last else "",
        )

    async def _read(self, look: Callable[[Session], T]) -> T:
        def run() -> T:
            with self._database.read() as session:
                return look(session)

        return await self._offload(run)

    async def _write(self, change: Callable[[Session], T]) -> T:
        def run() -> T:
            with self._database.write() as session:
                return change(session)

        return await self._offload(run)


def _deed(action: str) -> Deed:
    return Deed(principal(), action)


def _queue(seen: QueueSeen) -> Any:
    return responses.queue_message(seen.name, seen.depth, seen.messages, seen.pause)


def _place(token: str) -> Place | None:
    parts = paging.parse_token(token, str, int, UUID)
    if parts is None:
        return None
    if parts[0] not in {"IMAGE", "LETTER"}:
        raise InvalidArgument(Violation("page_token", "is not one that was handed out"))
    return Place(*parts)
