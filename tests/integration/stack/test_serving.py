"""Serve small programs in place of the services, with the real Valkey."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from services.stack.data_folder import DataFolder
from services.stack.environment import broker_url
from services.stack.supervision.process import Program
from services.stack.supervision.process_groups import is_alive
from tests.support.waiting import eventually

# Appends its events to the file `events`, one a line: "up:NAME:PID", "child:NAME:PID", "down:NAME".
SERVICE = """
import os, signal, subprocess, sys, threading
name, behaviour = sys.argv[1:]
def record(event):
    with open("events", "a") as file:
        file.write(event + "\\n")
def end(*_):
    record(f"down:{name}")
    sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if behaviour == "stubborn" else end)
if behaviour == "broken":
    record(f"up:{name}:{os.getpid()}")
    sys.exit(3)
if behaviour == "misconfigured":
    print("IMAGEBLUR_NONSENSE: must be sense")
    sys.exit(78)
if behaviour == "parent":
    ignore = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); signal.pause()"
    child = subprocess.Popen([sys.executable, "-c", ignore], stdout=subprocess.PIPE)
    child.stdout.readline()
    record(f"child:{name}:{child.pid}")
print("hello", os.environ["IMAGEBLUR_BROKER_URL"])  # before the event: a test may stop it then
record(f"up:{name}:{os.getpid()}")
while True:
    signal.pause()
"""


class Terminal:
    """Starts stacks as a person at a terminal would, in one data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data_folder = DataFolder(folder / "data")
        self._started: list[subprocess.Popen[str]] = []
        self._seen: set[psutil.Process] = set()
        (folder / "service.py").write_text(SERVICE)

    def service(self, name: str, behaviour: str = "steady", **fields: Any) -> Program:
        return Program(name, (sys.executable, "-u", str(self.folder / "service.py"), name, behaviour), **fields)

    def start(
        self,
        *services: Program,
        broker: bool = False,
        prepare: str | None = None,
        port: int | None = None,
        probe: str = "pass",
        later: Sequence[Program] = (),
        **environment: str,
    ) -> subprocess.Popen[str]:
        plan = {
            "broker": broker,
            "prepare": asdict(Program("prepare", (sys.executable, "-c", prepare))) if prepare else None,
            "services": [asdict(service) for service in services],
            "probe": asdict(Program("health", (sys.executable, "-c", probe))),
            "later": [asdict(service) for service in later],
            "port": port,
        }
        (self.folder / "plan.json").write_text(json.dumps(plan))
        own = {"IMAGEBLUR_DATA_DIR": str(self.data_folder.root), "PYTHONPATH": str(Path(__file__).parents[3])}
        stack = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.stack.driver", "plan.json"],
            cwd=self.folder,
            env={name: value for name, value in os.environ.items() if not name.startswith("IMAGEBLUR_")}
            | own
            | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._started.append(stack)
        return stack

    def wait_ready(self, stack: subprocess.Popen[str]) -> None:
        def ready() -> bool:
            if stack.poll() is not None:
                raise RuntimeError(f"the stack ended with {stack.returncode}:\n{stack.communicate()[0]}")
            # Not "if it exists, read it": a stack that starts removes the one of the stack before.
            with contextlib.suppress(FileNotFoundError):
                return bool(json.loads(self.data_folder.ready.read_text("utf-8"))["pid"] == stack.pid)
            return False

        eventually(ready)
        self._seen.update(psutil.Process(stack.pid).children(recursive=True))

    def events(self) -> list[str]:
        path = self.folder / "events"
        return path.read_text().split() if path.exists() else []

    def processes(self, kind: str, name: str) -> list[psutil.Process]:
        """Those that recorded `up` or `child` and still exist, in this order."""
        pids = [int(event.rpartition(":")[2]) for event in self.events() if event.startswith(f"{kind}:{name}:")]
        return [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]

    def living(self) -> list[psutil.Process]:
        """All processes that any stack has started and that are alive."""
        pids = {int(event.rpartition(":")[2]) for event in self.events() if event.count(":") == 2}
        self._seen.update(psutil.Process(pid) for pid in pids if psutil.pid_exists(pid))
        return [process for process in self._seen if is_alive(process)]

    def close(self) -> None:
        for stack in self._started:
            if stack.poll() is None:
                self._seen.update(psutil.Process(stack.pid).children(recursive=True))
                stack.kill()
            if stack.stdout is not None and not stack.stdout.closed:
                stack.communicate()
        for process in self.living():
            process.kill()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.close()


def end(stack: subprocess.Popen[str], number: int = signal.SIGINT, within: float = 60.0) -> str:
    stack.send_signal(number)
    return stack.communicate(timeout=within)[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_stops_everything_in_order(terminal: Terminal, number: int) -> None:
    names = ["gateway", "scheduler", "blur_worker", "mailbox"]
    services = [terminal.service(name, stop_stage=stage) for stage, name in enumerate(names)]
    stack = terminal.start(*reversed(services), broker=True)
    terminal.wait_ready(stack)
    eventually(lambda: len(terminal.events()) == 4)
    assert len(terminal.living()) == 5  # with Valkey
    output = end(stack, number)
    assert stack.returncode == 0
    assert terminal.living() == []
    assert [event for event in terminal.events() if event.startswith("down")] == [f"down:{name}" for name in names]
    assert "blur_worker | hello unix:///" in output
    assert re.search(r"ImageBlur is ready after \d+\.\d s", output)
    assert not terminal.data_folder.processes.exists()
    assert not terminal.data_folder.ready.exists()


def test_a_service_that_dies_is_restarted(terminal: Terminal) -> None:
    stack = terminal.start(terminal.service("mailer"))
    terminal.wait_ready(stack)
    eventually(lambda: terminal.processes("up", "mailer"))[0].kill()
    eventually(lambda: len([event for event in terminal.events() if event.startswith("up")]) == 2)
    output = end(stack)
    assert "stack  | mailer was ended by SIGKILL; restart in 0.5 s\n" in output
    assert terminal.living() == []


def test_a_later_service_starts_and_is_kept_running(terminal: Terminal) -> None:
    stack = terminal.start(terminal.service("gateway"), later=[terminal.service("mailer")])
    eventually(lambda: terminal.processes("up", "mailer"))[0].kill()
    eventually(lambda: len([event for event in terminal.events() if event.startswith("up:mailer")]) == 2)
    output = end(stack)
    assert "stack   | mailer was ended by SIGKILL; restart in 0.5 s\n" in output
    assert (stack.returncode, terminal.living()) == (0, [])


def test_orphans_end_before_their_service_restarts(terminal: Terminal) -> None:
    stack = terminal.start(terminal.service("blur_worker", "parent"))
    terminal.wait_ready(stack)
    (parent,) = eventually(lambda: terminal.processes("up", "blur_worker"))
    (child,) = terminal.processes("child", "blur_worker")
    parent.kill()
    eventually(lambda: len([event for event in terminal.events() if event.startswith("up")]) == 2)
    assert not is_alive(child)
    end(stack)
    assert terminal.living() == []


def test_children_of_a_stopped_service_are_killed(terminal: Terminal) -> None:
    stack = terminal.start(terminal.service("blur_worker", "parent"))
    terminal.wait_ready(stack)
    eventually(lambda: terminal.processes("up", "blur_worker"))
    end(stack)
    assert "down:blur_worker" in terminal.events()
    assert terminal.living() == []


def test_a_wrong_setting_stops_everything(terminal: Terminal) -> None:
    stack = terminal.start(terminal.service("gateway"), terminal.service("mailer", "misconfigured"), broker=True)
    output = stack.communicate(timeout=60)[0]
    assert stack.returncode == os.EX_CONFIG
    assert "mailer  | IMAGEBLUR_NONSENSE: must be sense\n" in output
    assert "mailer cannot run with these settings" in output
    assert "restart" not in output
    assert terminal.living() == []


def test_a_service_that_ignores_sigterm_is_killed(terminal: Terminal) -> None:
    stack = terminal.start(terminal.service("gateway", "stubborn", grace=0.3))
    terminal.wait_ready(stack)
    eventually(lambda: terminal.processes("up", "gateway"))
    assert "gateway did not stop in time and was killed" in end(stack)
    assert (stack.returncode, terminal.living()) == (0, [])


def test_a_second_signal_kills(terminal: Terminal) -> None:
    stack = terminal.start(terminal.service("gateway", "stubborn", grace=100.0), terminal.service("mailer"))
    terminal.wait_ready(stack)
    eventually(lambda: len(terminal.events()) == 2)
    stack.send_signal(signal.SIGINT)
    eventually(lambda: "down:mailer" in terminal.events())  # both are of one stage: the stop is under way
    end(stack)
    assert (stack.returncode, terminal.living()) == (0, [])


def test_a_second_stack_of_a_folder_reports_the_first(terminal: Terminal) -> None:
    first = terminal.start(terminal.service("gateway"))
    terminal.wait_ready(first)
    second = terminal.start(terminal.service("gateway"))
    output = second.communicate(timeout=60)[0]
    assert second.returncode == 1
    assert f"{terminal.data_folder.root} is already served by pid {first.pid}" in output
    assert terminal.data_folder.ready.exists()
    assert end(first)
    assert first.returncode == 0


def test_a_port_in_use_is_reported_before_anything_starts(terminal: Terminal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        stack = terminal.start(terminal.service("gateway"), port=port, broker=True)
        output = stack.communicate(timeout=60)[0]
    assert stack.returncode == 1
    assert f"port {port} is in use (by pid {os.getpid()}): set IMAGEBLUR_GATEWAY_ADDRESS=127.0.0.1:" in output
    assert terminal.events() == []
    assert not terminal.data_folder.valkey_log.exists()


def test_the_next_start_ends_what_a_killed_stack_left(terminal: Terminal) -> None:
    stack = terminal.start(terminal.service("blur_worker", "parent"), terminal.service("gateway"), broker=True)
    terminal.wait_ready(stack)
    eventually(lambda: len(terminal.events()) == 3)
    stack.kill()
    stack.communicate()
    left = terminal.living()
    # Gateway, worker, its child and Valkey; a child may end with its parent's group, a probe be caught at its end.
    assert len(left) >= 3
    stack = terminal.start(broker=True)
    terminal.wait_ready(stack)
    assert [process for process in left if is_alive(process)] == []
    output = end(stack)
    assert output.count("ended a process of a stack that was killed: ") >= 3
    assert (stack.returncode, terminal.living()) == (0, [])


def test_valkey_keeps_its_data_over_a_stop_and_a_kill(terminal: Terminal) -> None:
    for round_, number in enumerate([signal.SIGINT, signal.SIGKILL, signal.SIGINT]):
        stack = terminal.start(broker=True)
        terminal.wait_ready(stack)
        with redis.Redis.from_url(broker_url(terminal.data_folder)) as client:
            assert client.incr("starts") == round_ + 1
            assert client.config_get("port") == {"port": "0"}
        end(stack, number)
    assert eventually(lambda: terminal.living() == [])


def test_valkey_starts_although_a_power_cut_left_zeros_in_its_data(terminal: Terminal) -> None:
    stack = terminal.start(broker=True)
    terminal.wait_ready(stack)
    end(stack)
    (incremental,) = (terminal.data_folder.root / "valkey").glob("*.incr.aof")
    with incremental.open("ab") as file:
        file.write(bytes(4096))
    stack = terminal.start(broker=True)
    terminal.wait_ready(stack)
    with redis.Redis.from_url(broker_url(terminal.data_folder)) as client:
        assert client.incr("starts") == 1
    output = end(stack)
    assert "the embedded Valkey could not read its data, damaged by a power cut: moved to " in output
    (aside,) = terminal.data_folder.root.glob("valkey.damaged-*")
    assert (aside / incremental.name).stat().st_size >= 4096


def test_a_configured_broker_is_passed_on(terminal: Terminal) -> None:
    stack = terminal.start(terminal.service("gateway"), IMAGEBLUR_BROKER_URL="redis://elsewhere/7")
    terminal.wait_ready(stack)
    eventually(lambda: terminal.processes("up", "gateway"))
    assert "gateway | hello redis://elsewhere/7\n" in end(stack)


def test_nothing_starts_when_the_preparation_fails(terminal: Terminal) -> None:
    prepare = "import sys; print('no such table'); sys.exit(1)"
    stack = terminal.start(terminal.service("gateway"), prepare=prepare, broker=True)
    output = stack.communicate(timeout=60)[0]
    assert stack.returncode == 1
    assert "prepare | no such table\n" in output
    assert "prepare ended with exit code 1: no service was started" in output
    assert (terminal.events(), terminal.living()) == ([], [])


def test_a_signal_during_the_start_leaves_nothing(terminal: Terminal) -> None:
    prepare = "import os; open('events', 'a').write(f'up:prepare:{os.getpid()}\\n'); import signal; signal.pause()"
    stack = terminal.start(terminal.service("gateway"), prepare=prepare, broker=True)
    eventually(lambda: terminal.processes("up", "prepare"))
    end(stack)
    assert stack.returncode == 0
    assert terminal.living() == []
    assert not [event for event in terminal.events() if event.startswith("up:gateway")]


def test_the_banner_waits_for_the_probe(terminal: Terminal) -> None:
    probe = "import os, sys; sys.exit(not os.path.exists('open'))"
    stack = terminal.start(terminal.service("gateway"), probe=probe)
    assert stack.stdout is not None
    for line in stack.stdout:
        if "still waiting for the services" in line:
            break
    assert not terminal.data_folder.ready.exists()
    (terminal.folder / "open").touch()
    terminal.wait_ready(stack)
    output = end(stack)
    assert "ImageBlur is ready" in output
    assert ".venv/bin/imageblur order --email" in output


def test_the_banner_names_a_server_that_is_not_the_default(terminal: Terminal) -> None:
    stack = terminal.start(IMAGEBLUR_GATEWAY_ADDRESS="0.0.0.0:50999")
    terminal.wait_ready(stack)
    assert ".venv/bin/imageblur --server 127.0.0.1:50999 order --email" in end(stack)
