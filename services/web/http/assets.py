"""Scripts, styles and pictures of the pages."""

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from services.web.http.templates import STATIC

_ONE_YEAR = "public, max-age=31536000, immutable"
_MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class Assets(StaticFiles):
    """Static files whose URL changes with their content, so that browsers may cache them for a year."""

    def __init__(self) -> None:
        super().__init__(directory=STATIC)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file, with a media type that does not depend on this machine's registry."""
        response = await super().get_response(path, scope)
        for suffix, media_type in _MEDIA_TYPES.items():
            if path.endswith(suffix):
                response.headers["Content-Type"] = f"{media_type}; charset=utf-8"
        response.headers["Cache-Control"] = _ONE_YEAR
        return response


async def favicon(_request: Request) -> Response:
    """Return the logo, which browsers request without a link."""
    path = STATIC / "shared" / "logo.svg"
    return FileResponse(path, media_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"})
