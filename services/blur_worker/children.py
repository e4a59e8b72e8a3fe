"""The processes in which images are decoded and blurred: one that crashes or hangs takes nothing else with it."""

import contextlib
import errno
import multiprocessing
import queue
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from services.blur_worker import child
from services.blur_worker.child import Answer, ChildLimits, Facts, Task, Work, blur_file
from services.common.domain.errors import ImageError, Reason, Unavailable
from services.common.domain.spec import BlurSpec

TRIES = 3
"""Children tried for an image before it is put back."""
START_SECONDS = 180
"""How long a child may take to load the engine, on a machine that is busy, and the first time to compile it."""
PATIENCE_SECONDS = 10
"""How long an image waits for a child: the others may be long at work, and another worker idle."""
STOP_SECONDS = 10
"""How long a killed child may take to be gone."""

# Not fork: the parent has threads and open connections.
_context = multiprocessing.get_context("spawn")


class ChildCrashed(Exception):
    """The child died while it worked on the image."""


class Children:
    """The child processes, each given one image at a time; one that is lost is replaced."""

    def __init__(self, count: int, limits: ChildLimits, work: Work = blur_file) -> None:
        self._children = [_Child(limits, work) for _ in range(count)]
        self._idle: queue.SimpleQueue[_Child] = queue.SimpleQueue()
        for each in self._children:
            self._idle.put(each)

    def warm_up(self) -> None:
        """Start the children and wait until each has loaded the engine."""
        with ThreadPoolExecutor(len(self._children)) as pool:
            list(pool.map(_Child.start, self._children))

    def alive(self) -> int:
        """How many of the processes live."""
        return sum(each.alive for each in self._children)

    def blur(self, source: Path, target: Path, spec: BlurSpec, begun: Callable[[], None] = lambda: None) -> Facts:
        """Blur the file `source` into the file `target`; `begun` is called while the child is already at work.

        Raises:
            ImageError: The image cannot be blurred.
            ChildCrashed: The child died of it.
            Unavailable: No child became free or could be kept alive, or there is no room for the result.
            OSError: A file cannot be read or written.
        """
        try:
            each = self._idle.get(timeout=PATIENCE_SECONDS)
        except queue.Empty:
            raise Unavailable("no child became free") from None
        try:
            return each.work_on(Task(source, target, spec), begun)
        finally:
            self._idle.put(each)

    def close(self) -> None:
        """End the children; what they work on is lost."""
        for each in self._children:
            each.stop()


class _Child:
    """One child process at the other end of a pipe: a task goes in, an answer comes out, its end means its death."""

    def __init__(self, limits: ChildLimits, work: Work) -> None:
        self._limits = limits
        self._work = work
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None

    @property
    def alive(self) -> bool:
        """Whether the process lives."""
        process = self._process
        # Not `is_alive`, which would collect it: that is for the thread that works with it.
        return process is not None and not wait([process.sentinel], 0)

    def start(self) -> Connection:
        """Start the process unless it lives. Raises: Unavailable."""
        if self._pipe and self._process and self._process.is_alive():
            return self._pipe
        self.stop()
        self._pipe, end = _context.Pipe()
        self._process = _context.Process(target=child.serve, args=(end, self._limits, self._work), daemon=True)
        try:
            with end:
                self._process.start()
            if self._pipe.poll(START_SECONDS):
                self._pipe.recv()
                return self._pipe
            reason = f"not ready after {START_SECONDS} s"
        except (OSError, EOFError) as error:
            reason = str(error) or "it ended"
        self.stop()
        raise Unavailable(f"a blur child does not start: {reason}")

    def stop(self) -> int | None:
        """End the process; the exit code that it had."""
        code = None
        if self._process and self._process.pid:
            self._process.kill()
            self._process.join(STOP_SECONDS)
            code = self._process.exitcode
        if self._pipe:
            self._pipe.close()
        self._process = self._pipe = None
        return code

    def work_on(self, task: Task, begun: Callable[[], None]) -> Facts:
        """As `Children.blur`."""
        pipe = self._hand_over(task)
        deadline = time.monotonic() + self._limits.seconds
        try:
            begun()
            answer = self._await_answer(pipe, deadline)
        except BaseException:
            # Or what it answers later would be taken for the answer to the next task.
            self.stop()
            raise
        match answer:
            case MemoryError():
                # What it has allocated may be in pieces: begin anew.
                self.stop()
                raise ImageError(Reason.TOO_LARGE, "the image needs more memory than an image may take")
            case OSError(errno=errno.ENOSPC | errno.EDQUOT):
                raise Unavailable("the disk is full")
            case Exception():
                raise answer
            case facts:
                return facts

    def _await_answer(self, pipe: Connection, deadline: float) -> Answer:
        try:
            if pipe.poll(max(0.0, deadline - time.monotonic())):
                answer: Answer = pipe.recv()
                return answer
        except (EOFError, OSError):
            raise ChildCrashed(f"exit code {self.stop()}") from None
        raise ImageError(Reason.TIMED_OUT, f"the image took longer than {self._limits.seconds} seconds")

    def _hand_over(self, task: Task) -> Connection:
        for _ in range(TRIES):
            pipe = self.start()
            # A child that died idle has closed its end: the image is not to blame, and goes to another child.
            with contextlib.suppress(OSError):
                pipe.send(task)
                return pipe
            self.stop()
        raise Unavailable("no blur child stays alive")
