"""An upload to S3 that is given up leaves nothing, though a piece of it was under way at that moment.

S3 may keep a piece that arrives while its upload is aborted: unseen, and paid for.
"""

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import pytest

from services.common.infra.blobs import CHUNK, BlobStore
from tests.support.waiting import eventually

KEY = "orders/a/1"
PIECE = 5 * CHUNK
MOMENT = 0.5
"""Seconds for which a piece is under way, unless its upload is aborted."""


class SlowS3(ThreadingHTTPServer):
    """Knows multipart uploads, and what S3 does with a piece that is under way when its upload is aborted."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.uploads: dict[str, set[str]] = {}
        self.blobs: set[str] = set()
        self.begun = threading.Event()
        self.aborted = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: SlowS3
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self._body()
        if "uploads" in self._query:
            self.server.uploads["1"] = set()
            self._answer(b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
        elif "delete" in self._query:
            self.server.blobs -= {blob for blob in self.server.blobs if blob.encode() in body}
            self._answer(b"<DeleteResult/>")
        else:
            del self.server.uploads[self._query["uploadId"]]
            self.server.blobs.add(KEY)
            self._answer(b"<CompleteMultipartUploadResult><ETag>etag</ETag></CompleteMultipartUploadResult>")

    def do_PUT(self) -> None:
        self._body()
        self.server.begun.set()
        self.server.aborted.wait(MOMENT)
        self.server.uploads.setdefault(self._query["uploadId"], set()).add(self._query["partNumber"])
        self._answer(b"")

    def do_DELETE(self) -> None:
        if "uploadId" in self._query:
            del self.server.uploads[self._query["uploadId"]]
            self.server.aborted.set()
        else:
            self.server.blobs.discard(KEY)
        self._answer(b"")

    @property
    def _query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))

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
def test_an_upload_that_is_given_up_leaves_nothing(slow_s3: SlowS3, end: str) -> None:
    async def upload() -> None:
        async with BlobStore("s3://key:secret@bucket/prefix").writer(KEY) as writer:
            await writer.write(bytes(PIECE + 1))
            await asyncio.to_thread(slow_s3.begun.wait, 60)
            if end == "failed":
                raise KeyError
            if task := asyncio.current_task():
                task.cancel()
            await asyncio.Event().wait()

    with pytest.raises(KeyError if end == "failed" else asyncio.CancelledError):
        asyncio.run(upload())
    assert slow_s3.begun.is_set()
    # A request that was dropped may still be answered.
    with pytest.raises(AssertionError):
        eventually(lambda: slow_s3.uploads or slow_s3.blobs, within=2 * MOMENT)
