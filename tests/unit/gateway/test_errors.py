"""What errors are in gRPC, where a real call cannot show it."""

from google.rpc import code_pb2, error_details_pb2

from services.common.domain.errors import InvalidArgument, Violation
from services.gateway.rpc.errors import to_status


def test_a_hundred_violations_fit_into_the_metadata() -> None:
    status = to_status(InvalidArgument(*(Violation(f"images[{n}].data", "is empty") for n in range(100))))
    assert status.ByteSize() < 8192
    bad = error_details_pb2.BadRequest()
    assert status.details[1].Unpack(bad)
    assert len(bad.field_violations) == 21
    assert bad.field_violations[20].description == "and 80 more"


def test_a_fault_says_nothing_of_the_inside() -> None:
    status = to_status(RuntimeError("password"))
    assert status.code == code_pb2.INTERNAL
    assert "password" not in str(status)
