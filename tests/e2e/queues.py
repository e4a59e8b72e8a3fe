"""Queues of the stack that stand still while a test looks at what waits in them."""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from imageblur.v1 import operator_pb2
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub

from services.stack.background import BackgroundStack
from tests.support.waiting import eventually

_QUEUES = ("blur", "find")


@contextmanager
def paused_blurring(stack: BackgroundStack) -> Iterator[None]:
    """Blur no image of orders that are placed in the block, nor any more of those that were placed before."""
    with grpc.insecure_channel(stack.gateway_address) as channel:
        operator = OperatorServiceStub(channel)
        try:
            for queue in _QUEUES:
                operator.PauseQueue(pb.PauseQueueRequest(queue=queue))
            # Its children load the engine first, which takes a while on a machine that never has.
            eventually(lambda: any(worker.alive for worker in workers(operator)), within=100)
            wait_noticed(operator)
            yield
        finally:
            for queue in _QUEUES:
                operator.ResumeQueue(pb.ResumeQueueRequest(queue=queue))


def wait_noticed(operator: OperatorServiceStub) -> None:
    """Wait until the blur worker has looked for pauses after this moment: it does before it says that it lives."""
    for _ in range(2):
        before = _seen(operator)
        eventually(lambda before=before: _seen(operator) > before)  # type: ignore[misc]


def workers(operator: OperatorServiceStub) -> list[operator_pb2.Worker]:
    """Those of the blur queue."""
    found = operator.ListWorkers(pb.ListWorkersRequest()).workers
    return [worker for worker in found if worker.queue == "blur"]


def _seen(operator: OperatorServiceStub) -> int:
    """When the blur worker said last that it lives."""
    return max((worker.heartbeat_time.ToNanoseconds() for worker in workers(operator)), default=0)
