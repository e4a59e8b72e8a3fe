"""Errors of the API as problem details (RFC 9457), with the reasons and fields of the gateway's errors."""

from collections.abc import Awaitable, Callable

import grpc
from imageblur_client.errors import FieldViolation, ImageBlurClientError, InvalidArgumentError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from services.common.infra import log
from services.web.http.problem_details import problem_details
from services.web.http.problems import ProblemError
from services.web.orders.multipart import BadForm

_log = log.get(__name__)
_STATUS = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.FAILED_PRECONDITION: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
Endpoint = Callable[[Request], Awaitable[Response]]


class BadRequest(Exception):
    """A request that never reaches the gateway; `field` is the parameter or the part that is wrong."""

    def __init__(self, field: str, description: str, *, status: int = 400) -> None:
        super().__init__(f"{field}: {description}")
        self.status = status
        self.violation = FieldViolation(field, description)


def with_problems(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint with errors answered as problem details."""

    async def respond(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ClientDisconnect:
            return Response(status_code=499)  # nobody receives it
        except BadRequest as error:
            return problem_details(error.status, str(error), violations=[error.violation])
        except BadForm as error:
            return problem_details(413 if error.too_large else 400, str(error))
        except ProblemError as error:
            return problem_details(
                error.problem.status, error.problem.key.replace("_", " "), retry_after=error.problem.retry_after
            )
        except ImageBlurClientError as error:
            return _of_client_error(error)

    return respond


def _of_client_error(error: ImageBlurClientError) -> Response:
    status = 413 if error.reason == "MESSAGE_TOO_LARGE" else _STATUS.get(error.code, 500)
    if status == 500:
        _log.error("request failed", exc_info=error)
        return problem_details(500, "Internal error; details are in the server's log.", reason=error.reason)
    violations = error.violations if isinstance(error, InvalidArgumentError) else ()
    return problem_details(
        status, error.message, reason=error.reason, violations=violations, retry_after=error.retry_after
    )
