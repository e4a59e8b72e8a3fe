"""Request bodies: read on demand, and forms with files."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.requests import Request

from services.web.orders import multipart
from services.web.orders.body_reader import BodyReader
from services.web.orders.multipart import BadForm, read_form
from services.web.orders.uploaded_form import UploadedForm


async def stream(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def test_chunks_do_not_depend_on_how_the_body_arrives() -> None:
    data = bytes(range(256)) * 10

    async def read(step: int) -> list[bytes]:
        reader = BodyReader(stream(*(data[at : at + step] for at in range(0, len(data), step))))
        head = await reader.read_exactly(4)
        chunks = [chunk async for chunk in reader.chunks(1000, 300)]
        rest = await reader.read_all(5000)
        return [head, *chunks, rest]

    for step in (1, 7, 300, 5000):
        parts = asyncio.run(read(step))
        assert b"".join(parts) == data
        assert [len(part) for part in parts] == [4, 300, 300, 300, 100, 1556]


def test_a_body_that_is_too_short_or_too_long_is_refused() -> None:
    async def read() -> None:
        with pytest.raises(EOFError):
            await BodyReader(stream(b"abc")).read_exactly(4)
        with pytest.raises(EOFError):
            await BodyReader(stream(b"abc", b"def")).read_all(5)
        with pytest.raises(EOFError):
            await BodyReader(stream(b"abc")).read_exactly(1 << 32)

    asyncio.run(read())


BOUNDARY = "x0x"


def body(*parts: tuple[str, str | None, bytes], end: str = f"--{BOUNDARY}--\r\n") -> bytes:
    text = b""
    for name, filename, content in parts:
        file = f'; filename="{filename}"\r\nContent-Type: image/jpeg' if filename is not None else ""
        text += (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content + b"\r\n"
        )
    return text + end.encode()


def parse(data: bytes, step: int = 50, **limits: int) -> UploadedForm:
    messages = [
        {"type": "http.request", "body": data[at : at + step], "more_body": at + step < len(data)}
        for at in range(0, len(data), step)
    ]
    headers = [(b"content-type", f"multipart/form-data; boundary={BOUNDARY}".encode())]

    async def receive() -> Any:
        return messages.pop(0)

    request = Request({"type": "http", "headers": headers, "method": "POST"}, receive)
    return asyncio.run(read_form(request, **({"max_bytes": 10_000_000, "max_files": 10} | limits)))


def contents(form: UploadedForm) -> list[bytes]:
    async def read() -> list[bytes]:
        return [b"".join([chunk async for chunk in form.chunks(file, 1000)]) for file in form.files]

    return asyncio.run(read())


@pytest.mark.parametrize("step", [1, 50, 100_000])
def test_fields_and_files_of_a_form(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "_BUFFER", 700)
    files = [b"\r\n--x0" * 300, b"", bytes(range(256)) * 8]
    data = body(
        ("email", None, b"ann@example.org"),
        ("images", "кот.jpg", files[0]),
        ("images", "empty.jpg", files[1]),
        ("notify", None, b"on"),
        ("images", "b.jpg", files[2]),
    )
    with parse(data, step) as form:
        assert form.fields == {"email": "ann@example.org", "notify": "on"}
        assert [(file.name, file.size) for file in form.files] == [("кот.jpg", 1800), ("empty.jpg", 0), ("b.jpg", 2048)]
        assert contents(form) == files


def test_a_form_without_a_selected_file_has_none() -> None:
    with parse(body(("images", "", b""))) as form:
        assert form.files == []


@pytest.mark.parametrize(
    ("data", "limits", "too_large"),
    [
        (body(("images", "a", b"x" * 101)), {"max_bytes": 100}, True),
        (body(*[("images", "a", b"x")] * 3), {"max_files": 2}, True),
        (body(("email", None, b"x" * 10_001)), {}, False),
        (body(*[(f"f{n}", None, b"") for n in range(101)]), {}, False),
        (body(("images", "a", b"x"), end=""), {}, False),
        (b"nonsense", {}, False),
    ],
)
def test_malformed_and_too_large_forms_are_refused(data: bytes, limits: dict[str, int], too_large: bool) -> None:
    with pytest.raises(BadForm) as caught:
        parse(data, **limits)
    assert caught.value.too_large == too_large
