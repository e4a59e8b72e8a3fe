"""Errors as HTTP: one mapping to a status and a text, shown as a page to people and as JSON to scripts."""

from dataclasses import dataclass

from imageblur_client.errors import (
    AccessDeniedError,
    FailedPreconditionError,
    ImageBlurClientError,
    InvalidArgumentError,
    NotFoundError,
    RetryableError,
)
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.common.infra import log
from services.web.http.languages import Texts, texts_for
from services.web.http.problem_details import problem_details
from services.web.http.templates import PRIVATE, PageRenderer

_log = log.get(__name__)

RETRY_SECONDS = 5


@dataclass(frozen=True)
class Problem:
    """An HTTP status, and the key of its texts: `problem_<key>` and `problem_<key>_more`."""

    status: int
    key: str
    retry_after: int | None = None


class ProblemError(Exception):
    """Ends a request with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.key)
        self.problem = problem


NOT_FOUND = Problem(404, "not_found")
_OVERLOAD = {
    "BYTES_IN_FLIGHT": "busy",
    "MAIL_COOLDOWN": "email_cooldown",
    "QUEUE_FULL": "busy",
    "RATE_LIMIT_EXCEEDED": "busy",
    "TOO_MANY_CALLS": "busy",
    "TOO_MANY_UPLOADS": "uploads",
}
"""Reasons of the gateway's temporary refusals."""


def problem_of(error: Exception) -> Problem:  # noqa: C901, PLR0912 - a table
    """Map an error to the problem that a visitor sees."""
    match error:
        case ProblemError():
            return error.problem
        case HTTPException(status_code=404):
            return NOT_FOUND
        case HTTPException():
            return Problem(error.status_code, "bad_request" if error.status_code < 500 else "internal")
        case NotFoundError():
            return Problem(404, "no_order")
        case InvalidArgumentError(reason="INVALID_TOKEN"):
            return Problem(400, "bad_link")
        case InvalidArgumentError(violations=[first, *_]) if first.field == "order_id":
            return Problem(404, "no_order")
        case InvalidArgumentError():
            return Problem(400, "bad_request")
        case FailedPreconditionError(reason="ORDER_EXPIRED"):
            return Problem(410, "expired")
        case FailedPreconditionError(reason="UPLOAD_OFFSET" | "UPLOAD_SUPERSEDED" | "UPLOAD_INCOMPLETE"):
            return Problem(409, "upload_elsewhere")
        case FailedPreconditionError():
            return Problem(409, "conflict")
        case RetryableError(reason="MESSAGE_TOO_LARGE"):
            return Problem(413, "too_large")
        case RetryableError():
            retry = round(error.retry_after or RETRY_SECONDS)
            return Problem(503, _OVERLOAD.get(error.reason, "unavailable"), max(1, retry))
        case AccessDeniedError():
            return Problem(503, "unavailable")
        case _:
            return Problem(500, "internal")


def operator_status(error: ImageBlurClientError) -> int | None:
    """Map an error to the status of the operator pages' own error page; None: show the same as to visitors.

    Operators see the gateway's message. The key of a call is theirs, so a refusal is theirs too.
    """
    match error:
        case AccessDeniedError():
            return 403
        case FailedPreconditionError():
            return 409
        case InvalidArgumentError():
            return 400
        case _:
            return None


class ProblemPages:
    """Answers requests that ended with an error."""

    def __init__(self, pages: PageRenderer) -> None:
        self._pages = pages

    async def __call__(self, request: Request, error: Exception) -> Response:
        """Log the error, and return the page or the JSON of its problem. Details of a fault are only in the log."""
        problem = problem_of(error)
        if problem.status == 500 or isinstance(error, AccessDeniedError):
            _log.error("request failed", path=_route_path(request), exc_info=error)
        elif isinstance(error, ImageBlurClientError):
            _log.info("request refused", path=_route_path(request), status=problem.status, reason=error.reason)
        if request.url.path.startswith("/v1/"):
            detail = error.detail if isinstance(error, HTTPException) else problem.key.replace("_", " ")
            return problem_details(problem.status, detail)
        if request.url.path.startswith("/api/") or "text/html" not in request.headers.get("accept", "text/html"):
            return problem_json(texts_for(request), problem)
        return self._pages.page(
            request, "problem.html", status=problem.status, headers=_headers(problem), problem=problem
        )


def problem_json(texts: Texts, problem: Problem, violations: list[dict[str, object]] | None = None) -> JSONResponse:
    """Return a problem for the scripts of the pages."""
    return JSONResponse(
        problem_values(texts, problem) | {"violations": violations or []}, problem.status, _headers(problem)
    )


def problem_values(texts: Texts, problem: Problem) -> dict[str, object]:
    """Return a problem as values for JSON."""
    return {
        "message": f"{texts(f'problem_{problem.key}')} {texts(f'problem_{problem.key}_more')}",
        "retry_after": problem.retry_after,
    }


def _headers(problem: Problem) -> dict[str, str]:
    return PRIVATE | ({"Retry-After": str(problem.retry_after)} if problem.retry_after else {})


def _route_path(request: Request) -> str:
    # Not the path itself: it may hold an order's id.
    return str(getattr(request.scope.get("route"), "path", "?"))
