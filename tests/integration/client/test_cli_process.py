"""The command line as a process of its own: signals, terminals, pipes."""

import os
import pty
import signal
import subprocess
import sys
import threading
from pathlib import Path

from tests.integration.client.messages import ORDER_ID, RUNNING, SUCCEEDED, accepted, change, image, order
from tests.integration.client.scripted import ScriptedServer

_COMMAND = [sys.executable, "-c", "from imageblur_client.cli import main; main()"]


def test_help_does_not_load_what_calls_need() -> None:
    """The libraries of gRPC take a second of processor time to load."""
    command = [sys.executable, "-X", "importtime", *_COMMAND[1:], "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "imageblur_client.cli.app" in loaded
    assert {name for name in loaded if name.split(".")[0] in {"asyncio", "google", "grpc", "rich", "services"}} == set()


def test_ctrl_c_ends_it_quietly(server: ScriptedServer) -> None:
    told = threading.Event()
    server.on("WatchStatus", change(order(RUNNING)), told.set, lambda: server.call_ended.wait(60))
    process = subprocess.Popen(
        [*_COMMAND, "--server", server.address, "watch", ORDER_ID],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        assert process.stderr.readline() == "images 2: 0 blurred, 2 to do\n"
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)

    assert (stdout, stderr, process.returncode) == ("", "", 130)


def test_on_a_terminal_bars_go_to_stderr_and_results_to_stdout(server: ScriptedServer, photo: Path) -> None:
    server.on("StreamBlurOrder", accepted())
    server.on(
        "WatchStatus", change(order()), change(order(SUCCEEDED, revision=2, succeeded=2), image(1, "a"), image(2, "b"))
    )
    terminal, end = pty.openpty()
    shown = bytearray()

    def look() -> None:
        try:
            while piece := os.read(terminal, 4096):
                shown.extend(piece)
        except OSError:
            return  # Linux' way to say that the other end was closed.

    looking = threading.Thread(target=look)
    looking.start()
    command = [*_COMMAND, "--server", server.address, "order", "-e", "a@b.org", "--watch", str(photo)]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=end, env=environment, timeout=60, check=False)
    os.close(end)
    looking.join()
    os.close(terminal)

    assert result.returncode == 0
    assert result.stdout.decode().splitlines() == [
        f"Order {ORDER_ID} accepted: 1 image, 3.0 MB",
        f"Order {ORDER_ID}: succeeded",
        "  images   2: 2 blurred",
    ]
    assert b"Sending" in shown
    assert b"2 blurred" in shown
    assert shown.endswith(b"\x1b[?25h") or b"\x1b[?25h" in shown  # The cursor is back.


def test_a_closed_pipe_leaves_no_traceback(server: ScriptedServer) -> None:
    going_on = threading.Event()
    server.on(
        "WatchStatus",
        change(order(RUNNING)),
        lambda: going_on.wait(60),
        *(change(order(RUNNING, revision=n)) for n in range(2, 50)),
        change(order(SUCCEEDED, revision=50, succeeded=2)),
    )
    process = subprocess.Popen(
        [*_COMMAND, "--server", server.address, "watch", "--json", ORDER_ID],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b'{"order"')
        process.stdout.close()
        going_on.set()
        assert process.stderr.read() == b""
        process.wait(timeout=60)
