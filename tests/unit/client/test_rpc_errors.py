import grpc
import pytest
from imageblur_client.errors import ImageBlurClientError, RetryableError, ServerUnavailableError
from imageblur_client.rpc_errors import from_rpc, mapped_errors


class _Broken(grpc.RpcError):
    """An error that no server explained."""

    def __init__(self, code: grpc.StatusCode, details: str, metadata: tuple[tuple[str, bytes], ...] = ()) -> None:
        self._answer = code, details, metadata

    def code(self) -> grpc.StatusCode:
        return self._answer[0]

    def details(self) -> str:
        return self._answer[1]

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:  # type: ignore[override]
        return self._answer[2]


@pytest.mark.parametrize(
    ("code", "details", "message"),
    [
        (
            grpc.StatusCode.UNAVAILABLE,
            (
                "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: "
                "Failed to connect to remote host: Connection refused"
            ),
            "cannot reach the server at here:1: connection refused",
        ),
        (
            grpc.StatusCode.UNAVAILABLE,
            (
                "errors resolving nosuch.invalid:50051: [field:hostname lookup error:address lookup failed for "
                "nosuch.invalid:50051: Domain name not found]"
            ),
            "cannot reach the server at here:1: domain name not found",
        ),
        (
            grpc.StatusCode.UNAVAILABLE,
            (
                "failed to connect to all addresses; last error: FAILED_PRECONDITION: unix:/tmp/none: connect failed: "
                "addr: unix:/tmp/none error: No such file or directory"
            ),
            "cannot reach the server at here:1: no such file or directory",
        ),
        (grpc.StatusCode.UNAVAILABLE, "Socket closed", "lost the connection to the server at here:1: Socket closed"),
        (
            grpc.StatusCode.DEADLINE_EXCEEDED,
            "Deadline Exceeded",
            "the server at here:1 did not respond in time: raise the timeout, or try again",
        ),
        (grpc.StatusCode.UNKNOWN, "two\nlines", "two lines"),
        (grpc.StatusCode.INTERNAL, "", "the server at here:1 returned INTERNAL without a message"),
    ],
)
def test_what_no_server_explained_is_one_line_that_names_it(code: grpc.StatusCode, details: str, message: str) -> None:
    error = from_rpc(_Broken(code, details), "here:1")

    assert str(error) == message
    assert (error.code, error.reason, error.violations, error.retry_after) == (code, "", (), None)


def test_a_call_that_a_stopping_server_has_not_begun_may_be_tried_again() -> None:
    error = from_rpc(_Broken(grpc.StatusCode.CANCELLED, "CANCELLED"), "here:1")
    assert isinstance(error, ServerUnavailableError)
    assert (error.code, error.message) == (grpc.StatusCode.UNAVAILABLE, "the server at here:1 is stopping")
    own = from_rpc(_Broken(grpc.StatusCode.CANCELLED, "Locally cancelled by application!"), "here:1")
    assert not isinstance(own, RetryableError)


def test_details_that_are_no_status_are_left_alone() -> None:
    metadata = (("grpc-status-details-bin", b"\xff\xff\xff"),)

    error = from_rpc(_Broken(grpc.StatusCode.RESOURCE_EXHAUSTED, "too much", metadata), "here:1")

    assert type(error) is RetryableError
    assert error.message == "too much"


def test_a_block_translates_and_keeps_the_cause() -> None:
    broken = _Broken(grpc.StatusCode.UNAVAILABLE, "Socket closed")
    with pytest.raises(ServerUnavailableError) as raised, mapped_errors("here:1"):
        raise broken
    assert raised.value.__cause__ is broken

    with pytest.raises(ImageBlurClientError, match="was cancelled"), mapped_errors("here:1"):
        raise grpc.FutureCancelledError
