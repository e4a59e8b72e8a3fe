"""OperatorService: each call checked, handed to a use case, and answered."""

from typing import Any
from uuid import UUID

from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceServicer

from services.common.db.clock import SECOND
from services.common.db.engine import Database
from services.common.db.orders import order_lists
from services.common.db.queues import failures, statistics
from services.common.db.queues.failures import FailureCursor
from services.common.domain.errors import InvalidArgument, Violation
from services.gateway.operator import requests, responses, traces
from services.gateway.operator.calls import Context, audit_context
from services.gateway.operator.failures import OperatorFailures
from services.gateway.operator.keys_servicer import KeyCalls
from services.gateway.operator.mail import OperatorMail
from services.gateway.operator.mail_servicer import MailCalls
from services.gateway.operator.queues import OperatorQueues, QueueSeen
from services.gateway.orders.requests import parse_id
from services.gateway.rpc import paging
from services.gateway.rpc.callers import CALL
from services.gateway.rpc.thread_pool import Offload


class OperatorServicer(KeyCalls, MailCalls, OperatorServiceServicer):
    """The operator's service. Who may call what, `access` has seen to."""

    def __init__(
        self,
        database: Database,
        offload: Offload,
        queues: OperatorQueues,
        failures_: OperatorFailures,
        mail: OperatorMail,
    ) -> None:
        super().__init__(database, offload)
        self._queues = queues
        self._failures = failures_
        self.mail = mail

    async def ListQueues(self, request: pb.ListQueuesRequest, context: Context) -> pb.ListQueuesResponse:
        """The queues."""
        return pb.ListQueuesResponse(queues=map(_queue, await self.offload(self._queues.seen)))

    async def PauseQueue(self, request: pb.PauseQueueRequest, context: Context) -> pb.PauseQueueResponse:
        """Have workers leave a queue alone."""
        seen = await self.offload(self._queues.pause, audit_context("PauseQueue"), request.queue)
        return pb.PauseQueueResponse(queue=_queue(seen))

    async def ResumeQueue(self, request: pb.ResumeQueueRequest, context: Context) -> pb.ResumeQueueResponse:
        """End a pause."""
        seen = await self.offload(self._queues.resume, audit_context("ResumeQueue"), request.queue)
        return pb.ResumeQueueResponse(queue=_queue(seen))

    async def PurgeQueue(self, request: pb.PurgeQueueRequest, context: Context) -> pb.PurgeQueueResponse:
        """Cancel what a queue is to do."""
        count = await self.offload(self._queues.purge, audit_context("PurgeQueue"), request.queue)
        return pb.PurgeQueueResponse(cancelled=count)

    async def ListWorkers(self, request: pb.ListWorkersRequest, context: Context) -> pb.ListWorkersResponse:
        """The workers."""
        found = await self.offload(self._queues.workers)
        return pb.ListWorkersResponse(
            workers=[responses.worker_message(worker, alive=alive) for worker, alive in found]
        )

    async def ListOrders(self, request: pb.ListOrdersRequest, context: Context) -> pb.ListOrdersResponse:
        """A page of orders."""
        size, before = paging.parse_size(request.page_size), paging.parse_time_and_id(request.page_token)
        which = requests.parse_order_filter(request.filter, CALL.get().caller.role)
        found = await self.read(lambda session: order_lists.list_orders(session, which, before=before, limit=size + 1))
        shown, last = paging.cut(found, size)
        return pb.ListOrdersResponse(
            orders=map(responses.order_entry, shown),
            next_page_token=paging.token(last.order.created_at, last.order.id) if last else "",
        )

    async def GetOrderTrace(self, request: pb.GetOrderTraceRequest, context: Context) -> pb.GetOrderTraceResponse:
        """An order's way."""
        order_id = parse_id(request.order_id)
        way = await self.read(lambda session: order_lists.get_order_trace(session, order_id))
        return pb.GetOrderTraceResponse(
            order=responses.order_entry(way.snapshot),
            steps=traces.steps(way),
            images_left_out=way.snapshot.order.total - len(way.images),
        )

    async def ListFailures(self, request: pb.ListFailuresRequest, context: Context) -> pb.ListFailuresResponse:
        """A page of failures."""
        size, which = paging.parse_size(request.page_size), requests.parse_failure_filter(request.filter)
        after = _place(request.page_token)
        found = await self.read(lambda session: failures.list_failures(session, which, after=after, limit=size + 1))
        groups = [] if after else await self.read(lambda session: failures.count_by_reason(session, which))
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
        outcome = await self.offload(self._failures.retry, audit_context("RetryFailures"), ids, which)
        return pb.RetryFailuresResponse(
            retried=outcome.done,
            skipped=map(responses.skipped_message, outcome.skipped),
            remaining=outcome.remaining,
        )

    async def DropFailures(self, request: pb.DropFailuresRequest, context: Context) -> pb.DropFailuresResponse:
        """Strike failures off."""
        ids = requests.parse_failure_ids(request.failure_ids, request.all)
        which = requests.parse_failure_filter(request.filter)
        outcome = await self.offload(self._failures.drop, audit_context("DropFailures"), ids, which)
        return pb.DropFailuresResponse(dropped=outcome.done, remaining=outcome.remaining)

    async def GetStatistics(self, request: pb.GetStatisticsRequest, context: Context) -> pb.GetStatisticsResponse:
        """Rates and times."""
        span = requests.parse_seconds(request.span, "span", least=1) if request.HasField("span") else 3600
        step = requests.parse_seconds(request.step, "step", least=1) if request.HasField("step") else max(1, span // 60)
        if span > step * requests.MOST_POINTS:
            raise InvalidArgument(Violation("step", f"gives more than {requests.MOST_POINTS} points"))
        course = await self.read(
            lambda session: statistics.get_time_series(session, span=span * SECOND, step=step * SECOND)
        )
        return pb.GetStatisticsResponse(points=map(responses.point_message, course.points), sampled=course.sampled)


def _queue(seen: QueueSeen) -> Any:
    return responses.queue_message(seen.name, seen.depth, seen.messages, seen.pause)


def _place(token: str) -> FailureCursor | None:
    parts = paging.parse_token(token, str, int, UUID)
    if parts is None:
        return None
    if parts[0] not in {"IMAGE", "EMAIL"}:
        raise InvalidArgument(Violation("page_token", "is not one that was handed out"))
    return FailureCursor(*parts)
