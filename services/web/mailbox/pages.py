"""The mailbox of the one-machine stack: every letter that was sent, to be read in the browser."""

import re
from pathlib import Path
from urllib.parse import quote

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from services.web.http.problems import NOT_FOUND, Told
from services.web.http.templates import PRIVATE, Pages
from services.web.mailbox.folder import PICTURES, Letter, LetterFolder, content

# Its own styles and pictures, and links to follow; nothing else, whatever a letter holds.
_LETTER_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; base-uri 'none'; "
    "sandbox allow-top-navigation-by-user-activation"
)
_FILE_POLICY = "default-src 'none'; sandbox"
_LINK = re.compile(r"<a\s", re.IGNORECASE)


class Mailbox:
    """The pages of the mailbox."""

    def __init__(self, folder: Path, pages: Pages) -> None:
        self._letters = LetterFolder(folder)
        self._pages = pages

    async def list(self, request: Request) -> Response:
        """The newest letters."""
        letters = await anyio.to_thread.run_sync(self._letters.newest)
        return self._pages.page(request, "mailbox.html", headers=PRIVATE, letters=letters)

    async def show(self, request: Request) -> Response:
        """One letter."""
        letter = await self._find(request)
        text, html = await anyio.to_thread.run_sync(lambda: (letter.text, letter.html))
        return self._pages.page(
            request, "letter.html", headers=PRIVATE, letter=letter, text=text, has_html=html is not None
        )

    async def html(self, request: Request) -> Response:
        """A letter's HTML, for the frame that shows it."""
        letter = await self._find(request)
        html, pictures = await anyio.to_thread.run_sync(lambda: (letter.html, letter.pictures()))
        if html is None:
            raise Told(NOT_FOUND)
        # Not by an address of this site: the frame is a stranger to it, and gets nothing.
        for name, picture in pictures.items():
            html = html.replace(f"cid:{name}", picture)
        # A link leaves the frame, which no page lets itself be shown in.
        html = _LINK.sub('<a target="_top" ', html)
        return HTMLResponse(html, headers=PRIVATE | {"Content-Security-Policy": _LETTER_POLICY})

    async def part(self, request: Request) -> Response:
        """A file of a letter."""
        letter = await self._find(request)
        part = await anyio.to_thread.run_sync(letter.part, request.path_params["number"])
        if part is None:
            raise Told(NOT_FOUND)
        kind = part.get_content_type()
        name = quote(part.get_filename() or "part", safe="")
        shown = kind in PICTURES
        headers = PRIVATE | {
            "Content-Disposition": f"{'inline' if shown else 'attachment'}; filename*=UTF-8''{name}",
            "Content-Security-Policy": _FILE_POLICY,
        }
        data = await anyio.to_thread.run_sync(content, part)
        return Response(data, headers=headers, media_type=kind if shown else "application/octet-stream")

    async def _find(self, request: Request) -> Letter:
        letter = await anyio.to_thread.run_sync(self._letters.find, request.path_params["letter"])
        if letter is None:
            raise Told(NOT_FOUND)
        return letter
