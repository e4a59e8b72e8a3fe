"""Programs that are forked behave as if they had been executed."""

import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from services.stack.supervision import launching
from services.stack.supervision.launching import launch, python_module
from tests.support.waiting import eventually

MODULE = "tests.integration.stack.launched"
pytestmark = pytest.mark.skipif(not launching.FORKS, reason="programs are executed here")


def run(tmp_path: Path, *arguments: str, **environment: str) -> tuple[int, list[str]]:
    """The exit code and the output of the module."""
    with (tmp_path / "output").open("w+") as output:
        code = launch(python_module(MODULE, *arguments), os.environ | environment, output.fileno()).wait()
        output.seek(0)
        return code, output.read().splitlines()


def test_it_has_its_arguments_environment_group_and_title(tmp_path: Path) -> None:
    code, lines = run(tmp_path, "show", "and more", ONLY_HERE="yes")
    assert code == 0
    assert lines[:3] == ["['show', 'and more']", "yes", "leads its group"]
    assert lines[3].startswith(f"{sys.executable} -u -m {MODULE} show")
    assert lines[4:] == ["to standard error", "at its exit"]


@pytest.mark.parametrize(("how", "code"), [("exit", 78), ("raise", 1), ("signal", -signal.SIGTERM)])
def test_its_end_is_reported(how: str, code: int, tmp_path: Path) -> None:
    assert run(tmp_path, how)[0] == code


def test_it_ends_by_sigterm(tmp_path: Path) -> None:
    with (tmp_path / "output").open("w+") as output:
        started = launch(python_module(MODULE, "wait"), os.environ, output.fileno())
        eventually((tmp_path / "output").read_text)
        started.terminate()
        assert started.wait() == -signal.SIGTERM


def test_if_the_fork_server_is_killed_its_programs_count_as_ended_and_the_next_one_starts(tmp_path: Path) -> None:
    with (tmp_path / "output").open("w+") as output:
        started = launch(python_module(MODULE, "wait"), os.environ, output.fileno())
        process = psutil.Process(started.pid)
        server = process.parent()
        assert server
        server.kill()
        assert started.wait() != 0
        process.kill()
    assert run(tmp_path, "exit")[0] == 78
