"""The local mailbox in the browser, for the one-machine stack."""

import re
from pathlib import Path
from urllib.parse import quote

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from services.web.http.problems import NOT_FOUND, ProblemError
from services.web.http.templates import PRIVATE, PageRenderer
from services.web.mailbox.stored_messages import IMAGE_TYPES, MessageFolder, StoredMessage, content

# Allows inline styles, inline images and links; nothing else, whatever a message contains.
_HTML_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; base-uri 'none'; "
    "sandbox allow-top-navigation-by-user-activation"
)
_FILE_POLICY = "default-src 'none'; sandbox"
_LINK = re.compile(r"<a\s", re.IGNORECASE)


def mailbox_routes(folder: Path, pages: PageRenderer) -> list[BaseRoute]:
    """Return the routes of the mailbox."""
    mailbox = MailboxPages(folder, pages)
    return [
        Route("/mailbox", mailbox.list),
        Route("/mailbox/{message}", mailbox.show),
        Route("/mailbox/{message}/html", mailbox.html),
        Route("/mailbox/{message}/parts/{number:int}", mailbox.part),
    ]


class MailboxPages:
    """The list of messages, and one message with its parts."""

    def __init__(self, folder: Path, pages: PageRenderer) -> None:
        self._messages = MessageFolder(folder)
        self._pages = pages

    async def list(self, request: Request) -> Response:
        """List the newest messages."""
        emails = await anyio.to_thread.run_sync(self._messages.newest)
        return self._pages.page(request, "mailbox/list.html", headers=PRIVATE, emails=emails)

    async def show(self, request: Request) -> Response:
        """Show one message."""
        email = await self._find(request)
        text, html = await anyio.to_thread.run_sync(lambda: (email.text, email.html))
        return self._pages.page(
            request, "mailbox/email.html", headers=PRIVATE, email=email, text=text, has_html=html is not None
        )

    async def html(self, request: Request) -> Response:
        """Return the HTML of a message, for the frame that shows it."""
        email = await self._find(request)
        html, images = await anyio.to_thread.run_sync(lambda: (email.html, email.inline_images()))
        if html is None:
            raise ProblemError(NOT_FOUND)
        # Inlined: the sandboxed frame has another origin, and may load nothing from this site.
        for name, image in images.items():
            html = html.replace(f"cid:{name}", image)
        # Links must leave the frame, because no page may be framed.
        html = _LINK.sub('<a target="_top" ', html)
        return HTMLResponse(html, headers=PRIVATE | {"Content-Security-Policy": _HTML_POLICY})

    async def part(self, request: Request) -> Response:
        """Return a part of a message as a file."""
        email = await self._find(request)
        part = await anyio.to_thread.run_sync(email.part, request.path_params["number"])
        if part is None:
            raise ProblemError(NOT_FOUND)
        media_type = part.get_content_type()
        name = quote(part.get_filename() or "part", safe="")
        inline = media_type in IMAGE_TYPES
        headers = PRIVATE | {
            "Content-Disposition": f"{'inline' if inline else 'attachment'}; filename*=UTF-8''{name}",
            "Content-Security-Policy": _FILE_POLICY,
        }
        data = await anyio.to_thread.run_sync(content, part)
        return Response(data, headers=headers, media_type=media_type if inline else "application/octet-stream")

    async def _find(self, request: Request) -> StoredMessage:
        message = await anyio.to_thread.run_sync(self._messages.find, request.path_params["message"])
        if message is None:
            raise ProblemError(NOT_FOUND)
        return message
