"""Scripts, styles and pictures of the pages themselves."""

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from services.web.http.templates import STATIC

_YEAR = "public, max-age=31536000, immutable"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class Assets(StaticFiles):
    """Files whose address changes with what is in them, so that they may be kept for ever."""

    def __init__(self) -> None:
        super().__init__(directory=STATIC)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A file; its type does not depend on what this machine takes its ending for."""
        response = await super().get_response(path, scope)
        for ending, media_type in _TYPES.items():
            if path.endswith(ending):
                response.headers["Content-Type"] = f"{media_type}; charset=utf-8"
        response.headers["Cache-Control"] = _YEAR
        return response


async def favicon(_request: Request) -> Response:
    """What browsers ask for on their own."""
    return FileResponse(STATIC / "logo.svg", media_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"})
