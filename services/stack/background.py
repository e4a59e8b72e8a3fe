"""Run a stack as a child process, for programs and tests."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from services.common.infra.settings import PREFIX
from services.stack.data_folder import DataFolder
from services.stack.ports import free_port
from services.stack.supervision.cleanup import end_run
from services.stack.supervision.launching import python_module
from services.stack.supervision.process_registry import read_registry

# Longer than the grace of its programs, stage by stage.
STOP_TIMEOUT = 320.0


@dataclass(frozen=True, kw_only=True)
class BackgroundStack:
    """A running stack."""

    process: subprocess.Popen[bytes]
    data_folder: DataFolder
    gateway_address: str
    web: str
    """URL of the web pages."""
    startup_seconds: float
    log: Path

    def service(self, module: str) -> psutil.Process:
        """Return the main process of a service, such as `services.gateway`. Raises: StopIteration."""
        running = psutil.Process(self.process.pid).children(recursive=True)
        # A title set by setproctitle is one argument.
        return next(process for process in running if module in " ".join(process.cmdline()).split())

    def stop(self, timeout: float = STOP_TIMEOUT) -> int:
        """Stop it as Ctrl-C does; return its exit code. Raises: subprocess.TimeoutExpired."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout)


@contextlib.contextmanager
def background_stack(
    data_dir: Path,
    environment: Mapping[str, str] | None = None,
    command: Sequence[str] = python_module("services.stack"),
    ready_within: float = 300.0,
) -> Iterator[BackgroundStack]:
    """Run a stack in `data_dir`; enter when it is ready, stop it on exit. Its output is in `stack.log` there.

    The first time, the engine is compiled: a minute or more.

    Variables of `environment` override those of this process. Raises: RuntimeError with the end of the log if the stack
    does not become ready.
    """
    data_folder = DataFolder(data_dir.absolute())
    data_folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = data_folder.root / "stack.log"
    variables = os.environ | dict(environment or {}) | {"IMAGEBLUR_DATA_DIR": str(data_folder.root)}
    with log.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 - the stack itself
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=variables, start_new_session=True
        )
    try:
        ready = _wait_ready(process, data_folder, log, ready_within)
        yield BackgroundStack(
            process=process,
            data_folder=data_folder,
            gateway_address=ready["gateway_address"],
            web=ready["web"],
            startup_seconds=ready["startup_seconds"],
            log=log,
        )
    finally:
        _end(process, data_folder)


@contextlib.contextmanager
def private_stack(settings: Mapping[str, str] | None = None) -> Iterator[BackgroundStack]:
    """Run an isolated stack: free ports, a temporary folder, no `.env`, no settings but these.

    Meanwhile the temporary folder is this process' working folder. All settings of ImageBlur are removed from its
    environment for good.
    """
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    environment = {
        f"{PREFIX}GATEWAY_ADDRESS": f"127.0.0.1:{free_port()}",
        f"{PREFIX}WEB_ADDRESS": f"127.0.0.1:{free_port()}",
        f"{PREFIX}MAILBOX_PORT": str(free_port()),
    }
    environment |= settings or {}
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="imageblur-") as folder:
        os.chdir(folder)
        try:
            with background_stack(Path(folder) / "data", environment) as stack:
                yield stack
        finally:
            os.chdir(before)


def _wait_ready(process: subprocess.Popen[bytes], data_folder: DataFolder, log: Path, timeout: float) -> dict[str, Any]:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        # After a power cut it may be empty, until the new stack removes it.
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            ready: dict[str, Any] = json.loads(data_folder.ready.read_text(encoding="utf-8"))
            if ready["pid"] == process.pid:
                return ready
        if process.poll() is not None:
            break
        time.sleep(0.02)
    tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:])
    state = "is still starting" if process.poll() is None else f"ended with exit code {process.returncode}"
    raise RuntimeError(f"the stack {state} after {timeout:g} s at most; its last lines:\n{tail}")


def _end(process: subprocess.Popen[bytes], data_folder: DataFolder) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_TIMEOUT)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        process.wait()
        if run := read_registry(data_folder.processes):
            end_run(run)
        print("the stack did not stop and was killed", file=sys.stderr)
        raise
