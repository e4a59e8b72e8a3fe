"""Processor time, of this process and of others."""

import time
from collections.abc import Callable
from statistics import median

import psutil


def processor_seconds(root: psutil.Process) -> float:
    """Of a process and all below it, since they began."""
    return sum(processor_seconds_by_name(root).values())


def processor_seconds_by_name(root: psutil.Process) -> dict[str, float]:
    """The same by what each process is; of several alike the sum."""
    found: dict[str, float] = {}
    for process in (root, *root.children(recursive=True)):
        times = process.cpu_times()
        name = _kind(process.cmdline())
        found[name] = found.get(name, 0.0) + times.user + times.system
    return found


def _kind(command: list[str]) -> str:
    text = " ".join(command)
    for name in ("gateway", "mailer", "scheduler", "web"):
        if f"services.{name}" in text:
            return name
    if "valkey-server" in text:
        return "valkey"
    # What forks the child processes does nothing else once they are there.
    if "engine_server" in text or "multiprocessing" in text:
        return "children"
    return "blur_worker" if "blur_worker" in text else "stack"


def seconds_of(work: Callable[[], object], rounds: int = 5) -> float:
    """Median of the processor time that this process takes for it."""
    taken = []
    for _ in range(rounds):
        begin = time.process_time()
        work()
        taken.append(time.process_time() - begin)
    return median(taken)
