"""The overview: queues, recent activity, workers."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration
from imageblur.v1 import operator_pb2, order_pb2
from imageblur.v1 import operator_service_pb2 as pb
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from services.web.enums import short_name
from services.web.http.problems import NOT_FOUND, ProblemError
from services.web.operator.queues import charts
from services.web.operator.queues.charts import ChartSeries
from services.web.operator.renderer import OperatorRenderer, SignedInOperator

RANGES = {"1h": 3600, "6h": 6 * 3600, "24h": 24 * 3600, "7d": 7 * 24 * 3600}
_STEPS = 60
_Point = operator_pb2.StatisticsPoint


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart with the text `chart_<name>`; highest: the value at its upper edge."""

    name: str
    svg: Markup
    highest: float
    in_seconds: bool
    series: tuple[str, ...]
    """Names; their texts are `series_<name>`."""
    newest: Sequence[float | None]
    """The most recent value of each series."""


class OverviewPage:
    """The first page for operators."""

    def __init__(self, renderer: OperatorRenderer) -> None:
        self._renderer = renderer

    async def show(self, request: Request, operator: SignedInOperator) -> Response:
        """Show queues, statistics of a time range, and workers."""
        time_range = request.query_params.get("range", "1h")
        seconds = RANGES.get(time_range)
        if seconds is None:
            raise ProblemError(NOT_FOUND)
        client = operator.client
        span, step = Duration(seconds=seconds), Duration(seconds=seconds // _STEPS)
        queues, workers, statistics = await asyncio.gather(
            client.call(client.stub.ListQueues, pb.ListQueuesRequest()),
            client.call(client.stub.ListWorkers, pb.ListWorkersRequest()),
            client.call(client.stub.GetStatistics, pb.GetStatisticsRequest(span=span, step=step)),
        )
        return self._renderer.page(
            request,
            operator,
            "overview.html",
            queues=queues.queues,
            warnings={it.code: it for worker in workers.workers if worker.alive for it in worker.warnings}.values(),
            online=[worker for worker in workers.workers if worker.alive],
            offline=[worker for worker in workers.workers if not worker.alive],
            charts=_charts(statistics.points),
            totals=_totals(statistics.points),
            findings=_findings(statistics.points),
            sampled=statistics.sampled,
            time_range=time_range,
            ranges=list(RANGES),
            now=time.time(),
            # For browsers without scripts, which reload the whole page.
            refreshes=request.query_params.get("refresh") != "off",
        )


def _totals(points: Sequence[_Point]) -> dict[str, int]:
    return {
        "orders": sum(point.orders for point in points),
        "succeeded": sum(point.images_succeeded for point in points),
        "failed": sum(point.images_failed for point in points),
        "failed_by_service": sum(point.images_failed_by_service for point in points),
        "clean": sum(point.checks_clean for point in points),
        "remaining": sum(point.checks_remaining for point in points),
        "emails": sum(point.emails_sent for point in points),
    }


def _findings(points: Sequence[_Point]) -> dict[str, tuple[int, int]]:
    """Return how many findings of each kind there were, and how many were hidden."""
    found: dict[str, tuple[int, int]] = {}
    for point in points:
        for entry in point.findings:
            kind = short_name(order_pb2.FindingKind, entry.kind)
            before = found.get(kind, (0, 0))
            found[kind] = (before[0] + entry.found, before[1] + entry.hidden)
    return found


def _charts(points: Sequence[_Point]) -> list[Chart]:
    def counts(name: str, value: Callable[[_Point], int]) -> ChartSeries:
        return ChartSeries(name, [value(point) for point in points])

    def times(name: str, field: str) -> ChartSeries:
        return ChartSeries(name, [_seconds(point, field) for point in points])

    return [
        _chart(
            "images",
            counts("succeeded", lambda p: p.images_succeeded),
            counts("bad_file", lambda p: p.images_failed - p.images_failed_by_service),
            counts("failed", lambda p: p.images_failed_by_service),
        ),
        _chart("wait", times("p50", "wait_p50"), times("p95", "wait_p95"), in_seconds=True),
        _chart("work", times("p50", "work_p50"), times("p95", "work_p95"), in_seconds=True),
        _chart("orders", counts("orders", lambda p: p.orders), counts("emails", lambda p: p.emails_sent)),
    ]


def _chart(name: str, *series: ChartSeries, in_seconds: bool = False) -> Chart:
    return Chart(
        name=name,
        svg=(charts.lines if in_seconds else charts.bars)(*series),
        highest=charts.highest(series, stacked=not in_seconds),
        in_seconds=in_seconds,
        series=tuple(one.name for one in series),
        newest=[next((value for value in reversed(one.values) if value is not None), None) for one in series],
    )


def _seconds(point: _Point, field: str) -> float | None:
    return getattr(point, field).ToMicroseconds() / 1e6 if point.HasField(field) else None  # type: ignore[arg-type]
