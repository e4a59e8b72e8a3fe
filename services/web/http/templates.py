"""Pages from templates."""

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

from services.web.http.languages import NAMES, Texts, choose

FOLDER = Path(__file__).parents[1]
STATIC = FOLDER / "static"
PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
"""For pages whose address is a key."""


def _version() -> str:
    """Names the files of this version, so that browsers may keep them for ever."""
    digest = hashlib.sha256()
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


@dataclass(frozen=True)
class Pages:
    """Renders the templates."""

    environment: Environment
    has_mailbox: bool
    links_operator: bool

    @classmethod
    def load(cls, *, has_mailbox: bool, links_operator: bool) -> "Pages":
        """The templates of this package.

        links_operator: whether all pages tell of the operator's, which is nobody's business but on this machine.
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
        """A whole page, never kept by caches unless `headers` say so."""
        text = self.environment.get_template(template).render(self._context(request, choose(request)), **values)
        return HTMLResponse(
            text, status, {"Cache-Control": "no-store", "Vary": "Cookie, Accept-Language"} | dict(headers or {})
        )

    def part(self, texts: Texts, template: str, **values: Any) -> str:
        """A part of a page."""
        return self.environment.get_template(f"parts/{template}").render(_words(texts), **values)

    def _context(self, request: Request, texts: Texts) -> dict[str, Any]:
        return {
            "languages": NAMES,
            "here": request.url.path,
            "address": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            "has_mailbox": self.has_mailbox,
            "links_operator": self.links_operator,
            **_words(texts),
        }


def _words(texts: Texts) -> dict[str, Any]:
    def moment(seconds: float) -> Markup:
        """A time; the browser turns it into its own zone's."""
        at = datetime.fromtimestamp(seconds, UTC)
        shown = at.strftime("%d.%m.%Y %H:%M" if texts.language == "ru" else "%-d %b %Y, %H:%M")
        return Markup('<time datetime="{}">{} UTC</time>').format(at.isoformat(timespec="seconds"), shown)

    def size(count: int) -> str:
        """A number of bytes, rounded."""
        for unit, name in ((10**9, "size_gb"), (10**6, "size_mb"), (10**3, "size_kb")):
            if count >= unit:
                return texts(name, size=f"{count / unit:.3g}" if count < 1000 * unit else f"{count // unit}")
        return texts("size_b", size=count)

    def count(number: int) -> str:
        """A number with its thousands apart."""
        return f"{number:,}".replace(",", "\N{NO-BREAK SPACE}" if texts.language == "ru" else ",")

    return {"t": texts, "count": count, "language": texts.language, "moment": moment, "size": size}
