"""The mailbox of the one-machine stack: every e-mail that was sent, to be read in the browser."""

import re
from pathlib import Path
from urllib.parse import quote

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from services.web.http.problems import NOT_FOUND, Told
from services.web.http.templates import PRIVATE, Pages
from services.web.mailbox.folder import PICTURES, Email, EmailFolder, content

# Its own styles and pictures, and links to follow; nothing else, whatever an e-mail holds.
_EMAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; base-uri 'none'; "
    "sandbox allow-top-navigation-by-user-activation"
)
_FILE_POLICY = "default-src 'none'; sandbox"
_LINK = re.compile(r"<a\s", re.IGNORECASE)


class Mailbox:
    """The pages of the mailbox."""

    def __init__(self, folder: Path, pages: Pages) -> None:
        self._emails = EmailFolder(folder)
        self._pages = pages

    async def list(self, request: Request) -> Response:
        """The newest e-mails."""
        emails = await anyio.to_thread.run_sync(self._emails.newest)
        return self._pages.page(request, "mailbox.html", headers=PRIVATE, emails=emails)

    async def show(self, request: Request) -> Response:
        """One e-mail."""
        email = await self._find(request)
        text, html = await anyio.to_thread.run_sync(lambda: (email.text, email.html))
        return self._pages.page(
            request, "email.html", headers=PRIVATE, email=email, text=text, has_html=html is not None
        )

    async def html(self, request: Request) -> Response:
        """An e-mail's HTML, for the frame that shows it."""
        email = await self._find(request)
        html, pictures = await anyio.to_thread.run_sync(lambda: (email.html, email.pictures()))
        if html is None:
            raise Told(NOT_FOUND)
        # Not by an address of this site: the frame is a stranger to it, and gets nothing.
        for name, picture in pictures.items():
            html = html.replace(f"cid:{name}", picture)
        # A link leaves the frame, which no page lets itself be shown in.
        html = _LINK.sub('<a target="_top" ', html)
        return HTMLResponse(html, headers=PRIVATE | {"Content-Security-Policy": _EMAIL_POLICY})

    async def part(self, request: Request) -> Response:
        """A file of an e-mail."""
        email = await self._find(request)
        part = await anyio.to_thread.run_sync(email.part, request.path_params["number"])
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

    async def _find(self, request: Request) -> Email:
        email = await anyio.to_thread.run_sync(self._emails.find, request.path_params["email"])
        if email is None:
            raise Told(NOT_FOUND)
        return email
