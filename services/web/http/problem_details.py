"""Problem details (RFC 9457): errors as programs get them."""

from starlette.responses import JSONResponse, Response

from services.web.http.templates import PRIVATE

_TITLES = {
    400: "Invalid request",
    401: "API key required",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Not possible in this state",
    412: "Wrong version",
    413: "Too large",
    415: "Wrong media type",
    429: "Over a limit",
    503: "Not available",
    504: "Timed out",
}
_REASONS = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    412: "WRONG_VERSION",
    413: "MESSAGE_TOO_LARGE",
    415: "WRONG_MEDIA_TYPE",
    503: "UNAVAILABLE",
}


def problem_details(
    status: int, detail: str, *, reason: str = "", violations: object = (), retry_after: float | None = None
) -> Response:
    """Return problem details.

    Args:
        status: The HTTP status.
        detail: What is wrong, for people.
        reason: That of the gateway's error; empty: the usual one of the status.
        violations: The wrong fields.
        retry_after: When a retry may succeed, in seconds.
    """
    found = [vars(violation) for violation in violations]  # type: ignore[attr-defined]
    body = {"title": _TITLES.get(status, "Error"), "status": status, "detail": detail}
    body |= {"reason": reason or _REASONS.get(status, "INTERNAL")}
    body |= {"violations": found} if found else {}
    headers = dict(PRIVATE)
    if retry_after is not None:
        headers["Retry-After"] = str(max(1, round(retry_after)))
    return JSONResponse(body, status, headers, media_type="application/problem+json")
