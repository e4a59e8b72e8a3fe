"""Fields of small forms without files."""

from starlette.datastructures import FormData
from starlette.requests import Request

MAX_FIELDS = 10


async def read_fields(request: Request, *, max_fields: int = MAX_FIELDS) -> FormData:
    """Return the fields of a form without files, or of one that was read: the first call sets how many it may have."""
    if (form := getattr(request, "_form", None)) is not None:
        assert isinstance(form, FormData)
        return form
    async with request.form(max_files=0, max_fields=max_fields, max_part_size=10_000) as form:
        return form


async def read_field(request: Request, name: str) -> str:
    """Return one field without surrounding spaces; empty if it is missing."""
    return str((await read_fields(request)).get(name, "")).strip()
