"""Errors of the command line: one line each on stderr, and an exit code."""

from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2

from tests.integration.client.messages import ORDER_ID, Run
from tests.integration.client.scripted import ScriptedServer, bad_request, failure, sent_order, unavailable


def test_errors_name_the_files_that_they_are_about(server: ScriptedServer, run: Run, photo: Path) -> None:
    server.on("StreamBlurOrder", bad_request(("images[1].data", "is empty"), ("order.email", "is wrong")))

    result = run("order", "-e", "ada@example.org", photo, photo)

    assert result.stderr.splitlines() == [
        f"imageblur: {photo}: is empty (INVALID_ARGUMENT)",
        "imageblur: order.email: is wrong (INVALID_ARGUMENT)",
    ]
    assert result.exit_code == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("order -e a@b.org nothing.png", "nothing.png does not exist"),
        ("order -e a@b.org", "give files, --source or --from"),
        ("order --pattern x a.jpg", "is for --from"),
        ("order --source photos", "neither https://"),
        ("order --notify {photo}", "--email"),
        ("order --send {photo}", "--email"),
        ("order -e a@b.org --sigma 3 --solid 000000 {photo}", "give one of --sigma, --pixelate, --solid and --redact"),
        ("order -e a@b.org --sigma wide {photo}", "--sigma"),
        ("order -e a@b.org --relative-sigma {photo}", "needs --sigma"),
        ("order -e a@b.org --region 1,2,3 {photo}", "is not LEFT,TOP,WIDTH,HEIGHT"),
        ("order -e a@b.org --solid red {photo}", "is not a colour"),
        ("order -e a@b.org --invert {photo}", "--invert"),
        ("order -e a@b.org --feather 0.1 {photo}", "need a --region"),
        ("order -e a@b.org --effort fast {photo}", "need --find"),
        ("order -e a@b.org --format psd {photo}", "--format"),
        ("order -e a@b.org -q --json {photo}", "give one of --quiet and --json"),
        ("unsubscribe", "give either the address or --token"),
        ("unsubscribe a@b.org --token t", "give either the address or --token"),
        ("frobnicate", "No such command"),
        ("--timeout 0 limits", "--timeout"),
    ],
)
def test_a_wrong_command_line_exits_with_2_and_sends_nothing(
    server: ScriptedServer, run: Run, photo: Path, words: str, said: str
) -> None:
    result = run(*(word.format(photo=photo) for word in words.split()))

    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
    assert not server.requests


def test_each_violation_is_a_line(server: ScriptedServer, run: Run, photo: Path) -> None:
    server.on("StreamBlurOrder", bad_request(("images[2].data", "is empty"), ("order.email", "is no\x1b address")))

    result = run("order", "-e", "x", photo)

    assert result.exit_code == 3
    assert result.stderr.splitlines() == [
        "imageblur: images[2].data: is empty (INVALID_ARGUMENT)",
        "imageblur: order.email: is no\N{REPLACEMENT CHARACTER} address (INVALID_ARGUMENT)",
    ]


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        (grpc.StatusCode.FAILED_PRECONDITION, 3),
        (grpc.StatusCode.NOT_FOUND, 4),
        (grpc.StatusCode.ABORTED, 5),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 5),
        (grpc.StatusCode.INTERNAL, 6),
        (grpc.StatusCode.PERMISSION_DENIED, 3),
    ],
)
def test_errors_are_one_line_and_an_exit_code(
    server: ScriptedServer, run: Run, code: grpc.StatusCode, exit_code: int
) -> None:
    server.on("Status", failure(code, "so it is", "REASON"))

    result = run("status", ORDER_ID)

    assert result.stderr == f"imageblur: so it is ({code.name})\n"
    assert (result.stdout, result.exit_code) == ("", exit_code)


def test_it_says_when_to_try_again(server: ScriptedServer, run: Run) -> None:
    server.on("Status", unavailable(2))

    result = run("status", ORDER_ID)

    assert result.stderr == "imageblur: the server is stopping (UNAVAILABLE); try again in 2 s\n"
    assert result.exit_code == 5


def test_no_server(run: Run) -> None:
    with ScriptedServer() as gone:
        address = gone.address

    result = run("--server", address, "status", ORDER_ID)

    assert result.stderr == f"imageblur: cannot reach the server at {address}: connection refused (UNAVAILABLE)\n"
    assert result.exit_code == 5


def test_an_upload_that_broke_tells_how_to_repeat_it(server: ScriptedServer, run: Run, photo: Path) -> None:
    server.on("StreamBlurOrder", unavailable(1))

    result = run("order", "-e", "a@b.org", photo)

    hint, error = result.stderr.splitlines()
    assert hint.endswith(f"--request-id {sent_order(server).start.order.request_id}")
    assert error.startswith("imageblur: the server is stopping")


def test_an_upload_that_found_no_room_tells_when_to_come_again(server: ScriptedServer, run: Run, photo: Path) -> None:
    full = "the queue is full: 99,999 of 100,000 images are waiting, and the order has 2"
    quota = error_details_pb2.QuotaFailure.Violation(subject="queued images", description=full)
    retry = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=30))
    details = (error_details_pb2.QuotaFailure(violations=[quota]), retry)
    server.on("StreamBlurOrder", failure(grpc.StatusCode.RESOURCE_EXHAUSTED, full, "QUEUE_FULL", *details))

    result = run("order", "-e", "a@b.org", photo)

    assert result.stderr == f"imageblur: {full} (RESOURCE_EXHAUSTED); try again in 30 s\n"
    assert result.exit_code == 5
