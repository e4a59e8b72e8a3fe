"""Pages for operators: what their templates need in addition, and redirects after actions."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.web.http.languages import texts_for
from services.web.http.templates import PageRenderer
from services.web.operator.client import OperatorClient
from services.web.operator.durations import format_duration
from services.web.operator.sessions import SessionStore

HOME = "/operator"


@dataclass(frozen=True, kw_only=True)
class SignedInOperator:
    """The operator who makes a request."""

    client: OperatorClient
    may_act: bool
    token: str
    """Of the session; empty for the user of this machine, who needs no key."""


class OperatorRenderer:
    """Renders the templates of the operator pages."""

    def __init__(self, pages: PageRenderer, sessions: SessionStore) -> None:
        self._pages = pages
        self._sessions = sessions

    def page(
        self, request: Request, operator: SignedInOperator | None, template: str, *, status: int = 200, **values: Any
    ) -> Response:
        """Render a page; operator: None before signing in."""
        if request.method == "POST":
            values["url"] = HOME  # a change of language cannot return to a POST
        return self._pages.page(
            request,
            f"operator/{template}",
            status=status,
            headers={"X-Robots-Tag": "noindex"},
            may_act=operator is not None and operator.may_act,
            operator=operator,
            form_token=self._sessions.form_token(operator.token if operator else ""),
            duration=lambda seconds: format_duration(texts_for(request), seconds),
            done=request.query_params.get("done", ""),
            done_count=_number(request.query_params.get("n", "")),
            **values,
        )


def redirect_done(page: str, key: str, count: int | None = None) -> Response:
    """Redirect to a page below `/operator` that shows the text `done_<key>`."""
    number = "" if count is None else f"&n={count}"
    return RedirectResponse(f"{HOME}{page}?done={quote(key)}{number}", 303)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else 0
