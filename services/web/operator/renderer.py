"""Pages for operators: what their templates need in addition, and redirects after actions."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote

from google.protobuf.timestamp_pb2 import Timestamp
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.web.http.languages import Texts, texts_for
from services.web.http.templates import PageRenderer
from services.web.operator.access.sessions import SessionStore
from services.web.operator.client import OperatorClient
from services.web.operator.durations import format_duration

HOME = "/operator"


@dataclass(frozen=True, kw_only=True)
class SignedInOperator:
    """The operator who makes a request."""

    client: OperatorClient
    may_act: bool
    token: str
    """Token of the session; empty for the user of this machine, who needs no key."""


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
            when=partial(_when, texts_for(request)),
            notice=_notice(request),
            **values,
        )


def redirect_done(page: str, key: str, count: int | None = None) -> Response:
    """Redirect to a page below `/operator` that shows the text `done_<key>`."""
    number = "" if count is None else f"&n={count}"
    return RedirectResponse(f"{HOME}{page}?done={quote(key)}{number}", 303)


def redirect_to(url: str, key: str, count: int | None = None) -> Response:
    """Redirect to a URL below `/operator`, which may have a filter, with the text `done_<key>`."""
    number = "" if count is None else f"&n={count}"
    return RedirectResponse(f"{url}{'&' if '?' in url else '?'}done={quote(key)}{number}", 303)


def _notice(request: Request) -> str:
    """Return the text about the action that led to this page; empty without one."""
    texts, key = texts_for(request), f"operator_done_{request.query_params.get('done', '')}"
    if key not in texts.by_key:
        return ""
    if isinstance(texts.by_key[key], str):
        return texts(key)
    number = _number(request.query_params.get("n", ""))
    return texts(key, n=number)


def _when(texts: Texts, moment: Timestamp) -> Markup:
    """Format a time to the second in UTC, which a script converts to local time, and how long ago it is."""
    seconds = moment.seconds + moment.nanos / 1e9
    at = datetime.fromtimestamp(seconds, UTC)
    shown = at.strftime("%d.%m.%Y %H:%M:%S" if texts.language == "ru" else "%-d %b %Y, %H:%M:%S")
    distance = time.time() - seconds
    relative = texts("operator_ago" if distance >= 0 else "operator_in", time=format_duration(texts, abs(distance)))
    return Markup('<time datetime="{}" data-seconds>{} UTC</time> <small class="relative">{}</small>').format(
        at.isoformat(timespec="seconds"), shown, relative
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else 0
