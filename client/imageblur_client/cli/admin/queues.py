"""`imageblur admin queues`, `pause`, `resume`, `purge`, `workers`."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_pb2 import Queue, Worker

from imageblur_client.cli.admin.showing import Yes, operator_of, show, sure, when
from imageblur_client.cli.session import Json
from imageblur_client.cli.text import count

Name = Annotated[str, typer.Argument(metavar="QUEUE", help="blur, mail or mailing.", show_default=False)]


def queues(ctx: typer.Context, as_json: Json = False) -> None:
    """Show how much there is to do."""
    with operator_of(ctx) as operator:
        found = operator.ask(operator.stub.ListQueues, pb.ListQueuesRequest()).queues
    show(found, _queue_table(found), as_json=as_json)


def pause(ctx: typer.Context, queue: Name) -> None:
    """Have workers leave a queue alone until it is resumed."""
    with operator_of(ctx) as operator:
        operator.ask(operator.stub.PauseQueue, pb.PauseQueueRequest(queue=queue))
    typer.echo(f"{queue} is paused.")


def resume(ctx: typer.Context, queue: Name) -> None:
    """End a pause."""
    with operator_of(ctx) as operator:
        operator.ask(operator.stub.ResumeQueue, pb.ResumeQueueRequest(queue=queue))
    typer.echo(f"{queue} goes on.")


def purge(ctx: typer.Context, queue: Name, yes: Yes = False) -> None:
    """Cancel all that a queue is to do."""
    sure(f"Cancel everything that {queue} is to do?", yes=yes)
    with operator_of(ctx) as operator:
        cancelled = operator.ask(operator.stub.PurgeQueue, pb.PurgeQueueRequest(queue=queue)).cancelled
    typer.echo(f"Cancelled: {count(cancelled, 'order' if queue == 'blur' else 'thing')}.")


def workers(ctx: typer.Context, as_json: Json = False) -> None:
    """List the workers of the last day."""
    with operator_of(ctx) as operator:
        found = operator.ask(operator.stub.ListWorkers, pb.ListWorkersRequest()).workers
    show(found, _worker_table(found), as_json=as_json)


def _queue_table(found: Sequence[Queue]) -> Iterator[Sequence[str]]:
    yield ("queue", "state", "waiting", "running", "failed", "in broker", "with workers", "oldest")
    for q in found:
        state = f"paused by {q.paused_by}" if q.paused else "open"
        numbers = (q.waiting, q.running, q.failed, q.depth, q.in_flight)
        # -1: the broker cannot be asked.
        yield (q.name, state, *(str(number) if number >= 0 else "?" for number in numbers), when(q, "oldest_time"))


def _worker_table(found: Sequence[Worker]) -> Iterator[Sequence[str]]:
    yield ("queue", "host", "pid", "busy", "version", "since", "seen")
    for w in found:
        seen = when(w, "seen_time") + ("" if w.alive else "  gone")
        yield (w.queue, w.host, str(w.pid), f"{w.busy} of {w.slots}", w.version, when(w, "start_time"), seen)
