import threading
import time
from types import SimpleNamespace

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from imageblur.v1.blur_service_pb2 import WatchStatusRequest
from imageblur_client import Client, NotFoundError, RetryableError, ServerUnavailableError

from tests.integration.client.messages import ORDER_ID, RUNNING, SUCCEEDED, change, image, order
from tests.integration.client.scripted import ScriptedServer, failure, unavailable


def _revisions_asked(server: ScriptedServer) -> list[int]:
    return [
        request.after_revision
        for (request,) in server.requests["WatchStatus"]
        if isinstance(request, WatchStatusRequest)
    ]


def test_a_watch_goes_on_where_the_server_stopped(server: ScriptedServer, client: Client) -> None:
    server.on(
        "WatchStatus",
        change(order(revision=1)),
        change(order(RUNNING, revision=4), image(1, "a.png")),
        unavailable(0.01),
    )
    server.on("WatchStatus", change(order(SUCCEEDED, revision=6, succeeded=2), image(2, "b.png")))

    changes = list(client.watch(ORDER_ID))

    assert [one.order.revision for one in changes] == [1, 4, 6]
    # Revision 4 may have had more messages to come, so it is asked for again.
    assert _revisions_asked(server) == [0, 1]


def test_a_watch_that_is_sent_away_comes_again(server: ScriptedServer, client: Client) -> None:
    soon = error_details_pb2.RetryInfo(retry_delay=Duration(nanos=10_000_000))
    server.on("WatchStatus", change(order(RUNNING, revision=1)), unavailable(0.01))
    server.on("WatchStatus", failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many", "TOO_MANY_CALLS", soon))
    server.on("WatchStatus", change(order(SUCCEEDED, revision=2)))

    assert [one.order.revision for one in client.watch(ORDER_ID)] == [1, 2]


def test_a_watch_survives_a_restart_of_the_server() -> None:
    first = ScriptedServer()
    told = threading.Event()
    blocked = threading.Event()
    first.on("WatchStatus", change(order(RUNNING, revision=3)), told.set, lambda: blocked.wait(10))
    with Client(first.address, timeout=20) as client:
        changes = client.watch(ORDER_ID, after_revision=2)
        assert next(changes).order.revision == 3
        assert told.wait(30)
        stopping = threading.Thread(target=first.stop)
        stopping.start()
        blocked.set()
        stopping.join()
        with ScriptedServer(first.address) as second:
            second.on("WatchStatus", change(order(SUCCEEDED, revision=5, succeeded=2)))
            assert [one.order.revision for one in changes] == [5]
            assert _revisions_asked(second) == [2]


def test_it_gives_up_after_so_many_times_without_news(server: ScriptedServer, client: Client) -> None:
    server.on("WatchStatus", change(order(RUNNING, revision=3)), unavailable(0.001))
    for _ in range(2):
        server.on("WatchStatus", unavailable(0.001))
    changes = client.watch(ORDER_ID, retries=2)

    assert next(changes).order.revision == 3
    with pytest.raises(ServerUnavailableError, match="the server is stopping"):
        next(changes)
    assert len(server.requests["WatchStatus"]) == 3


def test_a_server_that_never_answered_is_not_asked_again(server: ScriptedServer, client: Client) -> None:
    server.on("WatchStatus", unavailable(0.001))

    with pytest.raises(ServerUnavailableError):
        next(client.watch(ORDER_ID))


def test_other_errors_end_it(server: ScriptedServer, client: Client) -> None:
    gone = failure(grpc.StatusCode.NOT_FOUND, "the order was deleted", "ORDER_NOT_FOUND")
    server.on("WatchStatus", change(order(RUNNING)), gone)
    changes = client.watch(ORDER_ID)
    next(changes)

    with pytest.raises(NotFoundError, match="was deleted"):
        next(changes)


def test_a_stream_that_ends_too_early_is_taken_up_again(server: ScriptedServer, client: Client) -> None:
    server.on("WatchStatus", change(order(RUNNING, revision=1)))
    server.on("WatchStatus", change(order(SUCCEEDED, revision=2, succeeded=2)))

    assert [one.order.revision for one in client.watch(ORDER_ID)] == [1, 2]


def test_time_runs_out_over_all_calls(server: ScriptedServer) -> None:
    server.on("WatchStatus", change(order(RUNNING, revision=1)), unavailable(9))
    with Client(server.address, timeout=0.3) as client, pytest.raises(RetryableError) as late:
        list(client.watch(ORDER_ID))

    assert late.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_its_time_runs_from_the_first_change_that_is_asked_for(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on("WatchStatus", change(order(SUCCEEDED, revision=1)))
    now = time.monotonic()
    with Client(server.address, timeout=60) as client:
        changes = client.watch(ORDER_ID)
        monkeypatch.setattr("imageblur_client.watch.time", SimpleNamespace(monotonic=lambda: now + 3600))
        assert [one.order.revision for one in changes] == [1]


def test_who_has_seen_enough_ends_the_call(server: ScriptedServer, client: Client) -> None:
    server.on("WatchStatus", change(order(RUNNING)), lambda: server.call_ended.wait(30))
    changes = client.watch(ORDER_ID)
    next(changes)
    assert not server.call_ended.is_set()

    changes.close()

    assert server.call_ended.wait(30)
