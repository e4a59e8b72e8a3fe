import errno
import re

import grpc
import pytest
import typer.core
import typer.main
from imageblur_client.cli import app
from imageblur_client.cli.errors import ExitCode, error_lines, exit_code, file_error_line
from imageblur_client.cli.lazy_group import COMMANDS
from imageblur_client.errors import (
    AccessDeniedError,
    BrokenDownloadError,
    FailedPreconditionError,
    FieldViolation,
    ImageBlurClientError,
    InvalidArgumentError,
    NotFoundError,
    RetryableError,
    ServerUnavailableError,
)
from typer.testing import CliRunner


def test_a_line_for_each_field() -> None:
    violations = [FieldViolation("images[2].data", "is empty"), FieldViolation("order.email", "is missing")]

    assert list(error_lines(InvalidArgumentError("bad", violations=violations))) == [
        "images[2].data: is empty (INVALID_ARGUMENT)",
        "order.email: is missing (INVALID_ARGUMENT)",
    ]


def test_one_line_for_everything_else() -> None:
    early = FailedPreconditionError("not finished", violations=[FieldViolation("orders/1", "3 of 40 images are done")])
    again = FailedPreconditionError("3 of 40 images are done", violations=early.violations)
    busy = RetryableError("busy", code=grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after=0.5)

    assert list(error_lines(early)) == ["not finished; 3 of 40 images are done (FAILED_PRECONDITION)"]
    assert list(error_lines(again)) == ["3 of 40 images are done (FAILED_PRECONDITION)"]
    assert list(error_lines(busy)) == ["busy (RESOURCE_EXHAUSTED); try again in 0.5 s"]
    assert list(error_lines(InvalidArgumentError("bad"))) == ["bad (INVALID_ARGUMENT)"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidArgumentError("x"), 3),
        (FailedPreconditionError("x"), 3),
        (NotFoundError("x"), 4),
        (RetryableError("x"), 5),
        (ServerUnavailableError("x"), 5),
        (AccessDeniedError("x"), 3),
        (BrokenDownloadError("x"), 6),
        (ImageBlurClientError("x"), 6),
    ],
)
def test_exit_codes(error: ImageBlurClientError, code: int) -> None:
    assert exit_code(error) == code


def test_when_to_try_again_is_said_once() -> None:
    error = ServerUnavailableError("the database cannot be reached; try again", retry_after=2)
    assert list(error_lines(error)) == ["the database cannot be reached (UNAVAILABLE); try again in 2 s"]
    assert list(error_lines(ServerUnavailableError("no route; try again"))) == ["no route; try again (UNAVAILABLE)"]


def test_file_errors() -> None:
    assert file_error_line(FileNotFoundError(errno.ENOENT, "No such file", "a.png")) == "a.png: No such file"
    assert file_error_line(OSError("odd")) == "odd"
    assert file_error_line(OSError()) == "OSError"


def test_every_exit_code_is_documented_in_the_help() -> None:
    shown = CliRunner().invoke(app, ["--help"]).stdout
    documented = {int(code) for code in re.findall(r"^ +(\d+)  +\S", shown, re.MULTILINE)}
    assert documented == {int(code) for code in ExitCode}


def test_every_command_and_option_has_help() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    assert {name: (command.help or "").splitlines()[0] for name, command in group.commands.items()} == {
        name: lazy.help for name, lazy in COMMANDS.items()
    }
    admin = group.commands["admin"]
    assert isinstance(admin, typer.core.TyperGroup)
    commands = [group, *group.commands.values(), *admin.commands.values()]

    assert len(commands) > 40
    assert [command.name for command in commands if not command.help] == []
    assert [parameter.name for command in commands for parameter in command.params if not vars(parameter)["help"]] == []


def test_version() -> None:
    assert re.fullmatch(r"imageblur \d+\.\d+\.\d+\S*\n", CliRunner().invoke(app, ["--version"]).stdout)
