"""Pages rendered from templates."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from services.common.domain.languages import LANGUAGES
from services.web.http.languages import Texts, texts_for

FOLDER = Path(__file__).parents[1]
STATIC = FOLDER / "static"
PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
"""Headers of pages whose URL is a secret."""


def _version() -> str:
    """Return a digest of the static files, which makes their URLs cacheable for ever."""
    digest = hashlib.sha256()
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


@dataclass(frozen=True)
class PageRenderer:
    """Renders the templates in the language of a request."""

    environment: Environment
    has_mailbox: bool
    links_operator: bool

    @classmethod
    def load(cls, *, has_mailbox: bool, links_operator: bool) -> "PageRenderer":
        """Load the templates of this service.

        Args:
            has_mailbox: Whether the navigation links to the mailbox.
            links_operator: Whether footers link to the operator pages; on the local machine only.
        """
        environment = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.globals["static"] = f"/static/{_version()}"
        return cls(environment, has_mailbox, links_operator)

    def page(
        self,
        request: Request,
        template: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **values: Any,
    ) -> HTMLResponse:
        """Render a page. It is not cached unless `headers` allow it."""
        text = self.environment.get_template(template).render(self._context(request, texts_for(request)), **values)
        return HTMLResponse(
            text, status, {"Cache-Control": "no-store", "Vary": "Cookie, Accept-Language"} | dict(headers or {})
        )

    def fragment(self, texts: Texts, template: str, **values: Any) -> str:
        """Render a part of a page."""
        return self.environment.get_template(template).render(_helpers(texts), **values)

    def _context(self, request: Request, texts: Texts) -> dict[str, Any]:
        return {
            "languages": LANGUAGES,
            "path": request.url.path,
            "url": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            "has_mailbox": self.has_mailbox,
            "links_operator": self.links_operator,
            **_helpers(texts),
        }


def _helpers(texts: Texts) -> dict[str, Any]:
    def moment(seconds: float) -> Markup:
        """Format a time in UTC; a script converts it to local time."""
        at = datetime.fromtimestamp(seconds, UTC)
        shown = at.strftime("%d.%m.%Y %H:%M" if texts.language == "ru" else "%-d %b %Y, %H:%M")
        return Markup('<time datetime="{}">{} UTC</time>').format(at.isoformat(timespec="seconds"), shown)

    def day(seconds: float) -> Markup:
        """Format a day, which is the same in every time zone."""
        at = datetime.fromtimestamp(seconds, UTC)
        shown = at.strftime("%d.%m.%Y" if texts.language == "ru" else "%-d %b %Y")
        return Markup('<time datetime="{}">{}</time>').format(at.date().isoformat(), shown)

    def size(count: int) -> str:
        """Format a number of bytes."""
        for unit, name in ((10**9, "size_gb"), (10**6, "size_mb"), (10**3, "size_kb")):
            if count >= unit:
                number = f"{count / unit:.3g}" if count < 1000 * unit else f"{count // unit}"
                return texts(name, size=number.replace(".", ",") if texts.language == "ru" else number)
        return texts("size_b", size=count)

    def count(number: int) -> str:
        """Format a number with separated thousands."""
        return f"{number:,}".replace(",", "\N{NO-BREAK SPACE}" if texts.language == "ru" else ",")

    return {"t": texts, "count": count, "day": day, "language": texts.language, "moment": moment, "size": size}
