"""`python -m benchmarks.footprint`: the memory of an idle stack, by process, in MiB.

Proportional set size: memory that processes share is counted once, in equal parts. Linux only. As with `make run`, the
bytecode of a start before is there: a process that has compiled it needs more memory.
"""

import os
import time

import psutil

from services.stack.background import private_stack

MIB = 1 << 20
SETTLE_SECONDS = 20.0


def name_of(process: psutil.Process) -> str:
    """Return what a process is."""
    text = " ".join(process.cmdline())  # a title set by setproctitle is one argument
    if " -m " in text:
        return text.partition(" -m ")[2].split()[0]
    for part in ("resource_tracker", "forkserver", "spawn_main", "valkey-server"):
        if part in text:
            return part
    return text[:40]


def main() -> None:
    """Measure and print."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with private_stack():
        pass
    with private_stack() as stack:
        time.sleep(SETTLE_SECONDS)
        root = psutil.Process(stack.process.pid)
        total = pages = 0.0
        print(f"{'shared in parts':>16} {'own':>6} {'resident':>9}")
        for process in (root, *root.children(recursive=True)):
            memory = process.memory_full_info()
            name = name_of(process)
            total += memory.pss / MIB
            pages += memory.pss / MIB if name == "services.web" else 0
            print(f"{memory.pss / MIB:16.1f} {memory.uss / MIB:6.1f} {memory.rss / MIB:9.1f}  {name}")
        print(f"{total:16.1f} MiB in all, {total - pages:.1f} without the pages")


if __name__ == "__main__":
    main()
