"""A form with files, from browsers without scripts: fields to memory, files to one temporary file without a name.

How many images there are is known only at the end of such a form, and the gateway wants to know it first: that is why
they have to lie somewhere meanwhile. One file for all of them costs one descriptor, however many they are.
"""

import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

import anyio.to_thread
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from services.web.orders.body import Pieces

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks  # not there at run time

MAX_FIELD_BYTES = 10_000
MAX_FIELDS = 100
_BUFFER = 1 << 20


class BadForm(ValueError):
    """Not a form that these pages make; or `too_large`."""

    def __init__(self, reason: str, *, too_large: bool = False) -> None:
        super().__init__(reason)
        self.too_large = too_large


@dataclass
class FormFile:
    """A file of the form: its name, and where it lies."""

    name: str
    offset: int
    size: int = 0


@dataclass
class Form:
    """A form as it was sent."""

    content: IO[bytes]
    fields: dict[str, str] = field(default_factory=dict)
    files: list[FormFile] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.content.close()

    async def chunks(self, file: FormFile, size: int) -> AsyncIterator[bytes]:
        """A file's content in chunks of that size; the last one may be smaller."""
        for at in range(file.offset, file.offset + file.size, size):
            length = min(size, file.offset + file.size - at)
            yield await anyio.to_thread.run_sync(self._read, at, length)

    def _read(self, at: int, length: int) -> bytes:
        self.content.seek(at)
        return self.content.read(length)


async def read_form(request: Request, *, max_bytes: int, max_files: int) -> Form:
    """Take a form in.

    Raises:
        BadForm: It is malformed, or has more or larger files than that.
        ClientDisconnect: The client has gone away.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise BadForm("not a form with files")
    form = Form(tempfile.TemporaryFile(buffering=0))  # noqa: SIM115 - the form closes it
    try:
        reader = _Reader(form, max_bytes, max_files)
        parser = MultipartParser(options[b"boundary"], reader.callbacks())
        pieces = Pieces(request.stream())
        while piece := await pieces.some(_BUFFER):
            parser.write(piece)
            if len(reader.waiting) >= _BUFFER:
                await anyio.to_thread.run_sync(reader.flush)
        parser.finalize()
        await anyio.to_thread.run_sync(reader.flush)
    except (MultipartParseError, EOFError) as error:
        form.content.close()
        raise BadForm(str(error)) from None
    except BaseException:
        form.content.close()
        raise
    if not reader.complete:
        form.content.close()
        raise BadForm("it ends early")
    return form


class _Reader:
    """Takes what the parser finds."""

    def __init__(self, form: Form, max_bytes: int, max_files: int) -> None:
        self._form = form
        self._max_bytes = max_bytes
        self._max_files = max_files
        self._header = bytearray(), bytearray()
        self._disposition = b""
        self._field: tuple[str, bytearray] | None = None
        self._file: FormFile | None = None
        self._size = 0
        self.waiting = bytearray()
        self.complete = False

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._start,
            "on_part_data": self._take,
            "on_part_end": self._end,
            "on_end": self._complete,
        }

    def flush(self) -> None:
        """Write what waits to the file."""
        self._form.content.seek(0, 2)
        view = memoryview(bytes(self.waiting))
        self.waiting.clear()
        while view:
            view = view[self._form.content.write(view) :]

    def _begin(self) -> None:
        self._disposition = b""
        self._field = self._file = None

    def _end_header(self) -> None:
        name, value = self._header
        if bytes(name).lower() == b"content-disposition":
            self._disposition = bytes(value)
        self._header = bytearray(), bytearray()

    def _start(self) -> None:
        _, options = parse_options_header(self._disposition)
        filename = options.get(b"filename")
        if filename is None:
            if len(self._form.fields) >= MAX_FIELDS:
                raise BadForm("too many fields")
            self._field = options.get(b"name", b"").decode("utf-8", "replace"), bytearray()
        else:
            self._file = FormFile(filename.decode("utf-8", "replace"), self._size)

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._field:
            self._field[1].extend(data[start:end])
            if len(self._field[1]) > MAX_FIELD_BYTES:
                raise BadForm("a field is too long")
        elif self._file:
            self._file.size += end - start
            self._size += end - start
            if self._size > self._max_bytes:
                raise BadForm("the files are too large", too_large=True)
            self.waiting += data[start:end]

    def _end(self) -> None:
        if self._field:
            self._form.fields[self._field[0]] = self._field[1].decode("utf-8", "replace")
        elif self._file and (self._file.name or self._file.size):  # without both: no file was chosen
            if len(self._form.files) >= self._max_files:
                raise BadForm("too many files", too_large=True)
            self._form.files.append(self._file)

    def _complete(self) -> None:
        self.complete = True
