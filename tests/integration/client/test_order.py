import tracemalloc
import uuid
from pathlib import Path

import grpc
import pytest
from imageblur.v1.blur_service_pb2 import StreamBlurOrderRequest
from imageblur.v1.order_pb2 import BlurSpec, Gaussian
from imageblur_client import Client, InputFile, InvalidArgumentError, ServerUnavailableError
from imageblur_client.upload import CHUNK_BYTES, AnyFile

from tests.integration.client.messages import ORDER_ID, accepted
from tests.integration.client.scripted import ScriptedServer, bad_request


def _parts(server: ScriptedServer) -> list[StreamBlurOrderRequest]:
    (call,) = server.requests["StreamBlurOrder"]
    return [part for part in call if isinstance(part, StreamBlurOrderRequest)]


def test_an_order_is_sent_as_start_then_images_with_their_chunks(
    server: ScriptedServer, client: Client, photo: Path
) -> None:
    server.on("StreamBlurOrder", accepted())
    spec = BlurSpec(gaussian=Gaussian(sigma_px=9))
    own = BlurSpec(keep_metadata=True)

    files: list[AnyFile] = [photo, ("dog.png", b"png"), InputFile(b"gif", name="a.gif", spec=own)]
    order = client.order("ada@example.org", files, spec=spec, notify=True, locale="ru")

    assert order.order_id == ORDER_ID
    parts = _parts(server)
    assert [part.WhichOneof("part") for part in parts] == [
        *("start", "image", "chunk", "chunk", "chunk", "image", "chunk", "image", "chunk")
    ]
    header = parts[0].start.order
    assert (header.email, header.notify, header.locale, header.spec) == ("ada@example.org", True, "ru", spec)
    assert str(uuid.UUID(header.request_id)) == header.request_id
    assert parts[0].start.image_count == 3
    assert [len(part.chunk) for part in parts[2:5]] == [CHUNK_BYTES, CHUNK_BYTES, 3_000_002 - 2 * CHUNK_BYTES]
    starts = [part.image for part in parts if part.WhichOneof("part") == "image"]
    assert [(start.filename, start.size_bytes) for start in starts] == [
        ("cat.jpg", 3_000_002),
        ("dog.png", 3),
        ("a.gif", 3),
    ]
    assert [start.HasField("spec") for start in starts] == [False, False, True]
    assert b"".join(part.chunk for part in parts[2:5]) == photo.read_bytes()


@pytest.mark.parametrize("files", [("a.png", b"png"), [("a.png", b"png")], InputFile(b"png", name="a.png")])
def test_an_order_needs_no_address_and_one_file_no_list(
    server: ScriptedServer, client: Client, files: AnyFile | list[AnyFile]
) -> None:
    server.on("StreamBlurOrder", accepted())
    client.order(files)
    parts = _parts(server)
    assert (parts[0].start.order.email, parts[1].image.filename, parts[2].chunk) == ("", "a.png", b"png")


def test_the_address_may_be_a_keyword(server: ScriptedServer, client: Client, photo: Path) -> None:
    server.on("StreamBlurOrder", accepted())
    client.order(str(photo), email="ada@example.org")
    parts = _parts(server)
    assert (parts[0].start.order.email, parts[1].image.filename) == ("ada@example.org", "cat.jpg")


def test_progress_reaches_the_total(server: ScriptedServer, client: Client, photo: Path) -> None:
    server.on("StreamBlurOrder", accepted())
    seen: list[tuple[int, int]] = []

    client.order("a@b.org", [photo, ("x", b"1234")], on_progress=lambda sent, total: seen.append((sent, total)))

    assert [sent for sent, _ in seen] == [CHUNK_BYTES, 2 * CHUNK_BYTES, 3_000_002, 3_000_006]
    assert {total for _, total in seen} == {3_000_006}


def test_a_missing_file_is_an_error_before_anything_is_sent(
    server: ScriptedServer, client: Client, photo: Path, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        client.order("a@b.org", [photo, tmp_path / "none.png"])
    with pytest.raises(IsADirectoryError):
        client.order("a@b.org", [tmp_path])

    assert not server.requests


def test_a_file_that_shrinks_while_it_is_sent_breaks_the_call_off(
    server: ScriptedServer, client: Client, photo: Path
) -> None:
    server.on("StreamBlurOrder", accepted())

    def cut(sent: int, _total: int) -> None:
        if sent == CHUNK_BYTES:
            with photo.open("r+b") as file:
                file.truncate(CHUNK_BYTES + 1)

    with pytest.raises(OSError, match="has changed during the upload"):
        client.order("a@b.org", [photo], on_progress=cut)


def test_what_the_callback_raises_comes_out(server: ScriptedServer, client: Client, photo: Path) -> None:
    server.on("StreamBlurOrder", accepted())

    def stop(_sent: int, _total: int) -> None:
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        client.order("a@b.org", [photo], on_progress=stop)


def test_a_refusal_in_the_middle_of_the_upload_is_seen(server: ScriptedServer, client: Client, photo: Path) -> None:
    server.on("StreamBlurOrder", bad_request(("order.email", "is empty")), at_once=True)

    with pytest.raises(InvalidArgumentError) as refused:
        client.order("", [photo] * 20)

    assert refused.value.violations[0].field == "order.email"
    assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.reason == "INVALID_ARGUMENT"


def test_memory_does_not_grow_with_the_file(server: ScriptedServer, client: Client, tmp_path: Path) -> None:
    server.on("StreamBlurOrder", accepted())
    received = 0

    def add(part: object) -> None:
        nonlocal received
        assert isinstance(part, StreamBlurOrderRequest)
        received += len(part.chunk)

    server.on_request = add
    large = tmp_path / "large.tiff"
    with large.open("wb") as file:
        file.truncate(96 * CHUNK_BYTES)
    tracemalloc.start()
    try:
        client.order("a@b.org", [large])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert received == 96 * CHUNK_BYTES
    assert peak < 24 * CHUNK_BYTES  # Both ends are in this process.


def test_a_server_that_is_not_there_is_named(photo: Path) -> None:
    with ScriptedServer() as gone:
        address = gone.address
    with Client(address) as client, pytest.raises(ServerUnavailableError) as refused:
        client.order("a@b.org", [photo])

    assert refused.value.message == f"cannot reach the server at {address}: connection refused"
