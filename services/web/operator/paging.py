"""Pagination of the lists."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from starlette.requests import Request

from services.web.operator.renderer import HOME


def page_token(request: Request) -> str:
    """Return the page token of a request's URL; empty for the first page."""
    return request.query_params.get("page", "")


def list_url(page: str, query: Mapping[str, str]) -> str:
    """Return the URL of a page below `/operator`, with those query parameters that are not empty."""
    filled = urlencode({name: value for name, value in query.items() if value})
    return f"{HOME}{page}" + (f"?{filled}" if filled else "")


@dataclass(frozen=True, kw_only=True)
class Pager:
    """The position in a list below `/operator`, and its filter as query parameters."""

    page: str
    token: str
    next_token: str
    filters: Mapping[str, str] = field(default_factory=dict)

    @property
    def first_url(self) -> str | None:
        """The URL of the first page; None on the first page."""
        return self._url({}) if self.token else None

    @property
    def next_url(self) -> str | None:
        """The URL of the next page; None on the last page."""
        return self._url({"page": self.next_token}) if self.next_token else None

    def _url(self, position: dict[str, str]) -> str:
        return list_url(self.page, dict(self.filters) | position)
