"""Multipart forms with files, from browsers without scripts: fields in memory, files in one anonymous temporary file.

The gateway needs the number of images first, and such a form shows it only at its end: the files have to be stored
meanwhile. One temporary file for all of them needs one descriptor.
"""

import tempfile
from typing import TYPE_CHECKING

import anyio.to_thread
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from services.web.orders.body_reader import BodyReader
from services.web.orders.uploaded_form import FormFile, UploadedForm

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks  # exists for type checkers only

MAX_FIELD_BYTES = 10_000
MAX_FIELDS = 100
_BUFFER = 1 << 20


class BadForm(ValueError):
    """The form is malformed, or `too_large`."""

    def __init__(self, reason: str, *, too_large: bool = False) -> None:
        super().__init__(reason)
        self.too_large = too_large


async def read_form(request: Request, *, max_bytes: int, max_files: int) -> UploadedForm:
    """Receive a form.

    Raises:
        BadForm: It is malformed, or exceeds a limit.
        ClientDisconnect: The client closed the connection.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise BadForm("not a form with files")
    form = UploadedForm(tempfile.TemporaryFile(buffering=0))  # noqa: SIM115 - the form closes it
    try:
        builder = _FormBuilder(form, max_bytes, max_files)
        parser = MultipartParser(options[b"boundary"], builder.callbacks())
        body = BodyReader(request.stream())
        while piece := await body.read(_BUFFER):
            parser.write(piece)
            if len(builder.buffer) >= _BUFFER:
                await anyio.to_thread.run_sync(builder.flush)
        parser.finalize()
        await anyio.to_thread.run_sync(builder.flush)
    except (MultipartParseError, EOFError) as error:
        form.content.close()
        raise BadForm(str(error)) from None
    except BaseException:
        form.content.close()
        raise
    if not builder.complete:
        form.content.close()
        raise BadForm("the form is incomplete")
    return form


class _FormBuilder:
    """Receives the parser's events."""

    def __init__(self, form: UploadedForm, max_bytes: int, max_files: int) -> None:
        self._form = form
        self._max_bytes = max_bytes
        self._max_files = max_files
        self._header = bytearray(), bytearray()
        self._disposition = b""
        self._field: tuple[str, bytearray] | None = None
        self._file: FormFile | None = None
        self._size = 0
        self.buffer = bytearray()
        self.complete = False

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._begin_content,
            "on_part_data": self._add_data,
            "on_part_end": self._end,
            "on_end": self._complete,
        }

    def flush(self) -> None:
        """Write the buffer to the file."""
        self._form.content.seek(0, 2)
        view = memoryview(bytes(self.buffer))
        self.buffer.clear()
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

    def _begin_content(self) -> None:
        _, options = parse_options_header(self._disposition)
        filename = options.get(b"filename")
        if filename is None:
            if len(self._form.fields) >= MAX_FIELDS:
                raise BadForm("too many fields")
            self._field = options.get(b"name", b"").decode("utf-8", "replace"), bytearray()
        else:
            self._file = FormFile(filename.decode("utf-8", "replace"), self._size)

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._field:
            self._field[1].extend(data[start:end])
            if len(self._field[1]) > MAX_FIELD_BYTES:
                raise BadForm("a field is too long")
        elif self._file:
            self._file.size += end - start
            self._size += end - start
            if self._size > self._max_bytes:
                raise BadForm("the files are too large", too_large=True)
            self.buffer += data[start:end]

    def _end(self) -> None:
        if self._field:
            self._form.fields[self._field[0]] = self._field[1].decode("utf-8", "replace")
        elif self._file and (self._file.name or self._file.size):  # neither: no file was selected
            if len(self._form.files) >= self._max_files:
                raise BadForm(f"too many files: at most {self._max_files}", too_large=True)
            self._form.files.append(self._file)

    def _complete(self) -> None:
        self.complete = True
