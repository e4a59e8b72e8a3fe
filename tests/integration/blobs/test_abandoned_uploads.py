"""An upload to S3 that is given up: it is aborted once no piece of it is under way any more.

S3 may keep a piece that was under way when its upload was aborted, unseen by anybody and paid for.
"""

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from services.common.blobs import CHUNK, BlobStore

PIECE = 5 * CHUNK
MOMENT = 0.5
"""Seconds for which a piece is under way, unless its upload is aborted."""


class SlowS3(ThreadingHTTPServer):
    """Knows multipart uploads alone, and notes what it is asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[str] = []
        self.begun = threading.Event()
        self.aborted = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: SlowS3
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self._body()
        self._answer(b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")

    def do_PUT(self) -> None:
        self._body()
        number = parse_qs(urlsplit(self.path).query)["partNumber"][0]
        self.server.begun.set()
        self.server.aborted.wait(MOMENT)
        self.server.requests.append(f"piece {number}")
        self._answer(b"")

    def do_DELETE(self) -> None:
        self.server.requests.append("abort")
        self.server.aborted.set()
        self._answer(b"")

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("ETag", '"etag"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        pass


@pytest.fixture
def slow_s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowS3]:
    with SlowS3() as server:
        monkeypatch.setenv("AWS_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("end", ["cancelled", "failed"])
def test_an_upload_is_aborted_after_its_last_piece(slow_s3: SlowS3, end: str) -> None:
    async def upload() -> None:
        async with BlobStore("s3://key:secret@bucket/prefix").writer("orders/a/1") as writer:
            await writer.write(bytes(PIECE + 1))
            await asyncio.to_thread(slow_s3.begun.wait, 60)
            if end == "failed":
                raise KeyError
            task.cancel()
            await asyncio.Event().wait()

    async def call() -> None:
        nonlocal task
        task = asyncio.create_task(upload())
        await task

    task: asyncio.Task[None]
    with pytest.raises(KeyError if end == "failed" else asyncio.CancelledError):
        asyncio.run(call())
    assert slow_s3.requests == ["piece 1", "abort"]
