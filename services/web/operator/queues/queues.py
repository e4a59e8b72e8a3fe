"""Actions on queues: pause, resume, purge."""

from imageblur.v1 import operator_service_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response

from services.web.operator.renderer import SignedInOperator, redirect_done


class QueueActions:
    """The buttons of a queue on the overview."""

    async def pause(self, request: Request, operator: SignedInOperator) -> Response:
        """Pause a queue."""
        client = operator.client
        await client.call(client.stub.PauseQueue, pb.PauseQueueRequest(queue=request.path_params["queue"]))
        return redirect_done("", "paused")

    async def resume(self, request: Request, operator: SignedInOperator) -> Response:
        """Resume a queue."""
        client = operator.client
        await client.call(client.stub.ResumeQueue, pb.ResumeQueueRequest(queue=request.path_params["queue"]))
        return redirect_done("", "resumed")

    async def purge(self, request: Request, operator: SignedInOperator) -> Response:
        """Cancel all work of a queue."""
        client = operator.client
        purged = await client.call(client.stub.PurgeQueue, pb.PurgeQueueRequest(queue=request.path_params["queue"]))
        return redirect_done("", "purged", purged.cancelled)
