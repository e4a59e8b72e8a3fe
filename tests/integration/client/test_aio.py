"""The asynchronous client against a server on a socket, and that it has all that the other one has."""

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import grpc
import pytest
from imageblur.v1.blur_service_pb2 import (
    DownloadImagesRequest,
    DownloadImagesResponse,
    FileStart,
    ListImagesResponse,
    SendImagesResponse,
    StreamBlurOrderRequest,
    WatchStatusRequest,
)
from imageblur.v1.order_pb2 import Delivery, DeliveryState
from imageblur_client import (
    AsyncClient,
    Client,
    FailedPreconditionError,
    InvalidArgumentError,
    Security,
    ServerUnavailableError,
)

from tests.integration.client.messages import ORDER_ID, RUNNING, SUCCEEDED, accepted, change, file, image, order
from tests.integration.client.scripted import ScriptedServer, bad_request, failure, unavailable


def run(server: ScriptedServer, work: Callable[[AsyncClient], Coroutine[Any, Any, Any]]) -> Any:
    async def in_client() -> Any:
        async with AsyncClient(server.address, timeout=20) as client:
            return await work(client)

    return asyncio.run(in_client())


def methods(kind: type) -> dict[str, list[str]]:
    """Public methods, with the names of their parameters."""
    found = {name: value for name, value in vars(kind).items() if inspect.isfunction(value) and name[0] != "_"}
    return {name: list(inspect.signature(value).parameters) for name, value in found.items()}


def test_it_has_the_methods_of_the_other_client() -> None:
    assert methods(AsyncClient) == methods(Client)


def test_an_order_with_its_files(server: ScriptedServer, photo: Path) -> None:
    server.on("StreamBlurOrder", accepted())
    seen: list[int] = []
    placed = run(
        server,
        lambda client: client.order(
            [photo, ("b.png", b"png")], email="ada@example.org", on_progress=lambda sent, _: seen.append(sent)
        ),
    )
    assert placed.order_id == ORDER_ID
    parts = [part for part in server.requests["StreamBlurOrder"][0] if isinstance(part, StreamBlurOrderRequest)]
    assert parts[0].start.order.email == "ada@example.org"
    assert b"".join(part.chunk for part in parts) == photo.read_bytes() + b"png"
    assert seen[-1] == 3_000_005


def test_an_order_that_is_refused_or_cannot_be_read(server: ScriptedServer, photo: Path, tmp_path: Path) -> None:
    server.on("StreamBlurOrder", bad_request(("order.email", "is wrong")), at_once=True)
    with pytest.raises(InvalidArgumentError) as refused:
        run(server, lambda client: client.order(photo))
    assert refused.value.violations[0].field == "order.email"
    with pytest.raises(FileNotFoundError):
        run(server, lambda client: client.order(tmp_path / "none.png"))


def test_an_upload_ends_with_its_task(server: ScriptedServer, photo: Path) -> None:
    started = threading.Event()

    def wait() -> None:
        started.set()
        server.call_ended.wait(20)

    server.on("StreamBlurOrder", wait, at_once=True)

    async def cancel(client: AsyncClient) -> None:
        task = asyncio.create_task(client.order([photo] * 50))
        assert await asyncio.to_thread(started.wait, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(server.call_ended.wait, 10)

    run(server, cancel)


def test_a_watch_resumes(server: ScriptedServer) -> None:
    server.on("WatchStatus", change(order(RUNNING, revision=2)), change(order(RUNNING, revision=3)), unavailable(0.01))
    server.on("WatchStatus", change(order(SUCCEEDED, revision=4), image(1, "cat.jpg")))

    async def watch(client: AsyncClient) -> list[int]:
        return [message.order.revision async for message in client.watch(ORDER_ID)]

    assert run(server, watch) == [2, 3, 4]
    again = server.requests["WatchStatus"][1][0]
    assert isinstance(again, WatchStatusRequest)
    assert again.after_revision == 2


def test_a_watch_that_is_left_ends_its_call(server: ScriptedServer) -> None:
    server.on("WatchStatus", change(order(RUNNING, revision=2)), lambda: server.call_ended.wait(20))

    async def leave(client: AsyncClient) -> None:
        watch = client.watch(ORDER_ID)
        await anext(watch)
        await watch.aclose()
        assert await asyncio.to_thread(server.call_ended.wait, 10)

    run(server, leave)


def test_an_unreachable_server_is_reported() -> None:
    async def watch() -> None:
        async with AsyncClient("127.0.0.1:1", timeout=5) as client:
            await anext(client.watch(ORDER_ID))

    with pytest.raises(ServerUnavailableError, match="cannot reach the server"):
        asyncio.run(watch())


def test_pages_downloads_and_deliveries(server: ScriptedServer, tmp_path: Path) -> None:
    server.on("ListImages", ListImagesResponse(images=[image(1, "a")], next_page_token="2"))
    server.on("ListImages", ListImagesResponse(images=[image(2, "b")]))
    server.on("DownloadImages", *file("blur_a.jpg", b"blurred"), *file("blur_a.jpg", b"another"))
    start = DownloadImagesResponse(file=FileStart(filename="results.zip", size_bytes=7, etag="1"))
    server.on("DownloadImages", start, DownloadImagesResponse(chunk=b"arc"), unavailable(0.01))
    server.on("DownloadImages", start, DownloadImagesResponse(chunk=b"hive"))
    server.on("SendImages", failure(grpc.StatusCode.FAILED_PRECONDITION, "no address", "EMAIL_REQUIRED"))
    server.on("SendImages", SendImagesResponse(delivery=Delivery(state=DeliveryState.DELIVERY_STATE_QUEUED)))

    async def work(client: AsyncClient) -> None:
        assert [image.position async for image in client.images(ORDER_ID)] == [1, 2]
        files = await client.download(ORDER_ID, tmp_path)
        assert [path.read_bytes() for path in files] == [b"blurred", b"another"]
        archive = await client.download_archive(ORDER_ID, tmp_path / "results.zip")
        assert archive.read_bytes() == b"archive"
        with pytest.raises(FailedPreconditionError) as refused:
            await client.send(ORDER_ID)
        assert refused.value.reason == "EMAIL_REQUIRED"
        assert (await client.send(ORDER_ID, email="a@b.org")).state == DeliveryState.DELIVERY_STATE_QUEUED

    run(server, work)
    downloads = [call[0] for call in server.requests["DownloadImages"]]
    assert [(call.archive, call.offset) for call in downloads if isinstance(call, DownloadImagesRequest)] == [
        (False, 0),
        (True, 0),
        (True, 3),
    ]


def test_a_key_is_not_sent_to_another_machine_unencrypted() -> None:
    async def connect() -> None:
        AsyncClient("blur.example.org", security=Security(key="ib_key"))

    with pytest.raises(Exception, match="unencrypted"):
        asyncio.run(connect())
