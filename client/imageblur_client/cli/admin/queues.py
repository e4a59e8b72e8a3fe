"""`imageblur admin queues`, `pause`, `resume`, `purge`, `workers`."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_pb2 import Queue, Worker

from imageblur_client.cli.admin.output import Yes, confirm, operator_api, show, time_text
from imageblur_client.cli.context import Json
from imageblur_client.cli.text import count, plain

Name = Annotated[
    str,
    typer.Argument(
        metavar="QUEUE", help="Name of the queue: blur, find, instant, mail or mailing.", show_default=False
    ),
]


def queues(ctx: typer.Context, as_json: Json = False) -> None:
    """List queues with their depth and state."""
    with operator_api(ctx) as operator:
        found = operator.call(operator.stub.ListQueues, pb.ListQueuesRequest()).queues
    show(found, _queue_table(found), as_json=as_json)


def pause(ctx: typer.Context, queue: Name) -> None:
    """Pause a queue until it is resumed."""
    with operator_api(ctx) as operator:
        operator.call(operator.stub.PauseQueue, pb.PauseQueueRequest(queue=queue))
    typer.echo(f"{queue} is paused.")


def resume(ctx: typer.Context, queue: Name) -> None:
    """Resume a queue."""
    with operator_api(ctx) as operator:
        operator.call(operator.stub.ResumeQueue, pb.ResumeQueueRequest(queue=queue))
    typer.echo(f"{queue} is resumed.")


def purge(ctx: typer.Context, queue: Name, yes: Yes = False) -> None:
    """Cancel all work of a queue."""
    confirm(f"Cancel all work of the queue {queue}?", yes=yes)
    with operator_api(ctx) as operator:
        cancelled = operator.call(operator.stub.PurgeQueue, pb.PurgeQueueRequest(queue=queue)).cancelled
    typer.echo(f"Cancelled: {count(cancelled, 'order' if queue == 'blur' else 'item')}.")


def workers(ctx: typer.Context, as_json: Json = False) -> None:
    """List the workers with a heartbeat in the last day."""
    with operator_api(ctx) as operator:
        found = operator.call(operator.stub.ListWorkers, pb.ListWorkersRequest()).workers
    show(found, _worker_table(found), as_json=as_json)
    if not as_json:
        for message in dict.fromkeys(it.message for worker in found if worker.alive for it in worker.warnings):
            typer.echo(f"! {plain(message)}")


def _queue_table(found: Sequence[Queue]) -> Iterator[Sequence[str]]:
    yield ("queue", "state", "waiting", "running", "failed", "in broker", "in flight", "oldest")
    for q in found:
        state = f"paused by {q.paused_by}" if q.paused else "running"
        numbers = (q.waiting, q.running, q.failed, q.depth, q.in_flight)
        # -1: the broker cannot be reached.
        yield (q.name, state, *(str(number) if number >= 0 else "?" for number in numbers), time_text(q, "oldest_time"))


def _worker_table(found: Sequence[Worker]) -> Iterator[Sequence[str]]:
    yield ("queue", "host", "pid", "busy", "version", "started", "heartbeat")
    for w in found:
        heartbeat = time_text(w, "heartbeat_time") + ("" if w.alive else "  dead")
        yield (w.queue, w.host, str(w.pid), f"{w.busy} of {w.slots}", w.version, time_text(w, "start_time"), heartbeat)
