"""The first page: queues and what can be done with them, workers, and how it has gone lately."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration
from imageblur.v1 import operator_pb2
from imageblur.v1 import operator_service_pb2 as pb
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from services.web.http.problems import NOT_FOUND, Told
from services.web.operator import charts
from services.web.operator.charts import Series
from services.web.operator.gate import Gate, Operator, done

SPANS = {"1h": 3600, "6h": 6 * 3600, "24h": 24 * 3600, "7d": 7 * 24 * 3600}
_STEPS = 60
_Point = operator_pb2.StatisticsPoint


@dataclass(frozen=True)
class Plot:
    """A plot and what it is called: `operator_plot_<name>`; highest: what its upper edge stands for."""

    name: str
    picture: Markup
    highest: float
    in_seconds: bool
    series: tuple[str, ...]
    """Their names: `operator_series_<name>`."""
    newest: Sequence[float | None]
    """Of each series, the last value that there is."""


class Overview:
    """Queues, workers and statistics."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def show(self, request: Request, operator: Operator) -> Response:
        """All at a glance."""
        chosen = request.query_params.get("span", "1h")
        span = SPANS.get(chosen)
        if span is None:
            raise Told(NOT_FOUND)
        calls = operator.calls
        step = Duration(seconds=span // _STEPS)
        queues, workers, statistics = await asyncio.gather(
            calls(calls.stub.ListQueues, pb.ListQueuesRequest()),
            calls(calls.stub.ListWorkers, pb.ListWorkersRequest()),
            calls(calls.stub.GetStatistics, pb.GetStatisticsRequest(span=Duration(seconds=span), step=step)),
        )
        alive = [worker for worker in workers.workers if worker.alive]
        return self._gate.page(
            request,
            operator,
            "overview.html",
            queues=queues.queues,
            alive=alive,
            gone=[worker for worker in workers.workers if not worker.alive],
            plots=_plots(statistics.points),
            totals=_totals(statistics.points),
            sampled=statistics.sampled,
            span=chosen,
            spans=list(SPANS),
            now=time.time(),
            # The parameter is for browsers without scripts, which load the whole page anew.
            refreshes=request.query_params.get("refresh") != "off",
        )

    async def act(self, request: Request, operator: Operator) -> Response:
        """Pause, resume or purge a queue."""
        queue, calls = request.path_params["queue"], operator.calls
        match request.path_params["action"]:
            case "pause":
                await calls(calls.stub.PauseQueue, pb.PauseQueueRequest(queue=queue))
                return done("", "paused")
            case "resume":
                await calls(calls.stub.ResumeQueue, pb.ResumeQueueRequest(queue=queue))
                return done("", "resumed")
            case "purge":
                purged = await calls(calls.stub.PurgeQueue, pb.PurgeQueueRequest(queue=queue))
                return done("", "purged", purged.cancelled)
            case _:
                raise Told(NOT_FOUND)


def _totals(points: Sequence[_Point]) -> dict[str, int]:
    return {
        "orders": sum(point.orders for point in points),
        "succeeded": sum(point.images_succeeded for point in points),
        "failed": sum(point.images_failed for point in points),
        "emails": sum(point.emails_sent for point in points),
    }


def _plots(points: Sequence[_Point]) -> list[Plot]:
    def counted(name: str, of: Callable[[_Point], int]) -> Series:
        return Series(name, [of(point) for point in points])

    def timed(name: str, field: str) -> Series:
        return Series(name, [_seconds(point, field) for point in points])

    return [
        _plot("images", counted("good", lambda p: p.images_succeeded), counted("bad", lambda p: p.images_failed)),
        _plot("wait", timed("p50", "wait_p50"), timed("p95", "wait_p95"), in_seconds=True),
        _plot("work", timed("p50", "work_p50"), timed("p95", "work_p95"), in_seconds=True),
        _plot("accepted", counted("accepted", lambda p: p.orders), counted("mailed", lambda p: p.emails_sent)),
    ]


def _plot(name: str, *series: Series, in_seconds: bool = False) -> Plot:
    return Plot(
        name,
        (charts.lines if in_seconds else charts.bars)(*series),
        charts.top(series, stacked=not in_seconds),
        in_seconds,
        tuple(one.name for one in series),
        [next((value for value in reversed(one.values) if value is not None), None) for one in series],
    )


def _seconds(point: _Point, field: str) -> float | None:
    return getattr(point, field).ToMicroseconds() / 1e6 if point.HasField(field) else None  # type: ignore[arg-type]
