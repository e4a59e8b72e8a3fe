"""A server of a test as a process: started until it answers, stopped, killed, started again."""

import contextlib
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import psutil

from tests.support import guard
from tests.support.waiting import eventually


class ServerProcess:
    """What such servers share. It is ended with this process, however that ends."""

    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    stop_seconds: ClassVar[float] = 60.0
    """It is killed when it has not stopped by then."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "it is not running"
        return self._process.pid

    def _launch(self, command: Sequence[str | Path], answers: Callable[[], bool], every: float = 0.02) -> None:
        """Start it, and return when it answers. Its output is appended to the log."""
        assert self._process is None, "it is running already"
        with self._log.open("ab") as log:
            self._process = process = subprocess.Popen(
                command, cwd=self._log.parent, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        guard.protect(process.pid)

        def answers_or_ended() -> bool:
            if process.poll() is not None:
                raise RuntimeError(f"it ended with {process.returncode}: {self._end_of_log()}")
            return answers()

        try:
            eventually(answers_or_ended, within=120.0, every=every)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop it, if it runs, as an operator would. It can be started again."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """Kill it, if it runs, with all its children."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        children = psutil.Process(process.pid).children(recursive=True)  # some lead sessions of their own
        process.send_signal(number)
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self.stop_seconds)
        finally:
            process.kill()
            process.wait()
            for child in children:  # without their parent they end by themselves, but a new server would not wait
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
            eventually(lambda: not any(map(_lives, children)))
            guard.release(process.pid)

    def _end_of_log(self) -> str:
        return " / ".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
