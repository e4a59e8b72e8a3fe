"""OperatorService: queues and workers."""

import json

from imageblur.v1 import operator_pb2
from imageblur.v1 import operator_service_pb2 as pb

from services.common.db.models import WorkerSeen
from services.gateway.operator.base import Context, OperatorBase, audit_context
from services.gateway.operator.queues.queues import QueueState
from services.gateway.rpc.timestamps import timestamp


class QueueServicer(OperatorBase):
    """The RPCs of queues and workers."""

    async def ListQueues(self, request: pb.ListQueuesRequest, context: Context) -> pb.ListQueuesResponse:
        """List all queues."""
        return pb.ListQueuesResponse(queues=map(_queue_message, await self.threads.run(self.queues.states)))

    async def PauseQueue(self, request: pb.PauseQueueRequest, context: Context) -> pb.PauseQueueResponse:
        """Pause a queue."""
        state = await self.threads.run(self.queues.pause, audit_context(), request.queue)
        return pb.PauseQueueResponse(queue=_queue_message(state))

    async def ResumeQueue(self, request: pb.ResumeQueueRequest, context: Context) -> pb.ResumeQueueResponse:
        """Resume a queue."""
        state = await self.threads.run(self.queues.resume, audit_context(), request.queue)
        return pb.ResumeQueueResponse(queue=_queue_message(state))

    async def PurgeQueue(self, request: pb.PurgeQueueRequest, context: Context) -> pb.PurgeQueueResponse:
        """Cancel all work of a queue."""
        count = await self.threads.run(self.queues.purge, audit_context(), request.queue)
        return pb.PurgeQueueResponse(cancelled=count)

    async def ListWorkers(self, request: pb.ListWorkersRequest, context: Context) -> pb.ListWorkersResponse:
        """List the workers of the last day."""
        found = await self.threads.run(self.queues.workers)
        return pb.ListWorkersResponse(workers=[_worker_message(worker, alive=alive) for worker, alive in found])


def _queue_message(state: QueueState) -> operator_pb2.Queue:
    depth, pause = state.depth, state.pause
    queued, in_flight = state.messages or (-1, -1)
    return operator_pb2.Queue(
        name=state.name,
        paused=pause is not None,
        pause_time=timestamp(pause.paused_at) if pause else None,
        paused_by=pause.paused_by if pause else "",
        depth=queued,
        in_flight=in_flight,
        waiting=depth.waiting,
        running=depth.running,
        failed=depth.failed,
        failed_by_service=depth.failed_by_service,
        oldest_time=timestamp(depth.oldest_at),
    )


def _worker_message(worker: WorkerSeen, *, alive: bool) -> operator_pb2.Worker:
    return operator_pb2.Worker(
        worker_id=str(worker.id),
        queue=worker.queue,
        host=worker.host,
        pid=worker.pid,
        version=worker.version,
        slots=worker.slots,
        busy=worker.busy,
        start_time=timestamp(worker.started_at),
        heartbeat_time=timestamp(worker.seen_at),
        alive=alive,
        warnings=[
            operator_pb2.SettingWarning(code=code, detail=detail, message=message)
            for code, detail, message in json.loads(worker.warnings or "[]")
        ],
    )
