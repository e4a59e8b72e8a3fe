"""A stack as a child process, for programs and tests that want one around them."""

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

from services.common.infra.settings import PREFIX
from services.stack.data_folder import Places
from services.stack.ports import free_port
from services.stack.process import python_module

# Longer than the stack's own patience with its services, stage by stage.
STOP_WITHIN = 180.0


@dataclass(frozen=True)
class BackgroundStack:
    """A stack that runs: where it is, and its process."""

    process: subprocess.Popen[bytes]
    places: Places
    gateway_address: str
    web: str
    """Address of the web pages, as a URL."""
    startup_seconds: float
    log: Path

    def stop(self, within: float = STOP_WITHIN) -> int:
        """Stop it as Ctrl-C does; its exit code. Raises: subprocess.TimeoutExpired."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(within)


@contextlib.contextmanager
def background_stack(
    data_dir: Path,
    environment: Mapping[str, str] | None = None,
    command: Sequence[str] = python_module("services.stack"),
    ready_within: float = 60.0,
) -> Iterator[BackgroundStack]:
    """Run a stack in `data_dir`, from ready to stopped; what it says is in `stack.log` there.

    environment: variables set over this process' own. Raises: RuntimeError with the end of the log when it does not
    become ready.
    """
    places = Places(data_dir.absolute())
    places.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = places.data / "stack.log"
    variables = os.environ | dict(environment or {}) | {"IMAGEBLUR_DATA_DIR": str(places.data)}
    with log.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 - the stack itself
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=variables, start_new_session=True
        )
    try:
        facts = _wait_ready(process, places, log, ready_within)
        yield BackgroundStack(process, places, facts["gateway_address"], facts["web"], facts["startup_seconds"], log)
    finally:
        _end(process)


@contextlib.contextmanager
def private_stack(settings: Mapping[str, str] | None = None) -> Iterator[BackgroundStack]:
    """A stack that shares nothing with yours: free ports, a temporary folder, no `.env`, no settings but these.

    This process works in that folder meanwhile, and its environment has no setting of ImageBlur afterwards.
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


def _wait_ready(process: subprocess.Popen[bytes], places: Places, log: Path, within: float) -> dict[str, Any]:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError):
            facts: dict[str, Any] = json.loads(places.ready.read_text(encoding="utf-8"))
            if facts["pid"] == process.pid:
                return facts
        if process.poll() is not None:
            break
        time.sleep(0.02)
    tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:])
    state = "still starts" if process.poll() is None else f"ended with exit code {process.returncode}"
    raise RuntimeError(f"the stack {state} after {within:g} s at most; its last lines:\n{tail}")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_WITHIN)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()  # its warden ends the services
        process.wait()
        print("the stack did not stop and was killed", file=sys.stderr)
        raise
