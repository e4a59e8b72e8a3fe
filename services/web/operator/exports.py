"""Lists as files: CSV for spreadsheets, JSON for programs, written page by page."""

import csv
import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence

from starlette.responses import StreamingResponse

from services.web.http.problems import NOT_FOUND, ProblemError

Row = Mapping[str, object]
FORMATS = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
# A spreadsheet would take a cell that begins like this for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def export(rows: AsyncIterator[Row], columns: Sequence[str], *, name: str, file_format: str) -> StreamingResponse:
    """Return rows as a download; each row has a value for each column.

    Raises:
        ProblemError: The format is neither `csv` nor `json`.
    """
    if file_format not in FORMATS:
        raise ProblemError(NOT_FOUND)
    write = _csv(rows, columns) if file_format == "csv" else _json(rows)
    disposition = f'attachment; filename="{name}.{file_format}"'
    headers = {"Content-Disposition": disposition, "Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
    return StreamingResponse(write, headers=headers, media_type=FORMATS[file_format])


async def _csv(rows: AsyncIterator[Row], columns: Sequence[str]) -> AsyncIterator[str]:
    yield ",".join(columns) + "\r\n"
    async for row in rows:
        line = io.StringIO()
        csv.writer(line).writerow([_cell(row[column]) for column in columns])
        yield line.getvalue()


async def _json(rows: AsyncIterator[Row]) -> AsyncIterator[str]:
    separator = "[\n"
    async for row in rows:
        yield separator + json.dumps(row, ensure_ascii=False)
        separator = ",\n"
    yield "\n]\n" if separator == ",\n" else "[]\n"


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
