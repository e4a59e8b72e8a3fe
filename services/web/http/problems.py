"""What went wrong, told as a page to people and as JSON to the pages' own scripts."""

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
from services.web.http.languages import Texts, choose
from services.web.http.templates import PRIVATE, Pages

_log = log.get(__name__)

RETRY_SECONDS = 5


@dataclass(frozen=True)
class Problem:
    """An HTTP status, and the key of what is said about it: `problem_<key>` and `problem_<key>_more`."""

    status: int
    key: str
    retry_after: int | None = None


class Told(Exception):
    """Ends a request with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.key)
        self.problem = problem


NOT_FOUND = Problem(404, "not_found")
_BUSY = {
    "BYTES_IN_FLIGHT": "busy",
    "MAIL_COOLDOWN": "just_sent",
    "QUEUE_FULL": "busy",
    "RATE_LIMIT_EXCEEDED": "busy",
    "TOO_MANY_CALLS": "busy",
}
"""Reasons for which nothing is wrong but the moment."""


def problem_of(error: Exception) -> Problem:  # noqa: C901 - a table
    """What an error is to a person."""
    match error:
        case Told():
            return error.problem
        case HTTPException(status_code=404):
            return NOT_FOUND
        case HTTPException():
            return Problem(error.status_code, "bad_request" if error.status_code < 500 else "internal")
        case NotFoundError():
            return Problem(404, "no_order")
        case InvalidArgumentError(reason="INVALID_TOKEN"):
            return Problem(400, "bad_token")
        case InvalidArgumentError(violations=[first, *_]) if first.field == "order_id":
            return Problem(404, "no_order")
        case InvalidArgumentError():
            return Problem(400, "bad_request")
        case FailedPreconditionError(reason="ORDER_EXPIRED"):
            return Problem(410, "expired")
        case FailedPreconditionError():
            return Problem(409, "not_now")
        case RetryableError():
            retry = round(error.retry_after or RETRY_SECONDS)
            return Problem(503, _BUSY.get(error.reason, "away"), max(1, retry))
        case AccessDeniedError():
            return Problem(503, "away")
        case _:
            return Problem(500, "internal")


class ProblemPages:
    """Answers requests that ended with an error."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def __call__(self, request: Request, error: Exception) -> Response:
        """The answer; of a fault of our own it says nothing, the log does."""
        problem = problem_of(error)
        if problem.status == 500 or isinstance(error, AccessDeniedError):
            _log.error("request failed", path=_pattern(request), exc_info=error)
        elif isinstance(error, ImageBlurClientError):
            _log.info("request refused", path=_pattern(request), status=problem.status, reason=error.reason)
        return self.answer(request, problem)

    def answer(self, request: Request, problem: Problem) -> Response:
        """The page or the JSON of a problem."""
        headers = {"Retry-After": str(problem.retry_after)} if problem.retry_after else {}
        if request.url.path.startswith("/api/") or "text/html" not in request.headers.get("accept", "text/html"):
            return JSONResponse(as_json(choose(request), problem), problem.status, headers | PRIVATE)
        return self._pages.page(
            request, "problem.html", status=problem.status, headers=headers | PRIVATE, problem=problem
        )


def as_json(texts: Texts, problem: Problem) -> dict[str, object]:
    """A problem for the pages' scripts."""
    return {
        "message": f"{texts(f'problem_{problem.key}')} {texts(f'problem_{problem.key}_more')}",
        "retry_after": problem.retry_after,
        "violations": [],
    }


def _pattern(request: Request) -> str:
    # The path itself may hold an order's id.
    return str(getattr(request.scope.get("route"), "path", "?"))
