"""What this process may use of its machine: a container or a cgroup may allow less than there is."""

import os
from pathlib import Path

_BESIDE_CHILDREN_MIB = 400
"""What the services of one machine need, and the system."""
_CHILD_MIB = 300
"""What a child process needs that finds faces and text in a photograph of 12 megapixels."""


def count_cores() -> int:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_mib(root: Path = Path("/")) -> int:
    """Return the memory of the machine, or what the cgroups of this process leave of it, in MiB."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    cgroups = root / "proc/self/cgroup"
    for line in cgroups.read_text("utf-8").splitlines() if cgroups.exists() else ():
        _, controllers, group = line.split(":", 2)
        if not controllers:
            folder, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            folder, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        here = folder / group.lstrip("/")
        for each in (here, *here.parents):
            # In a container the path may be that of the machine, which is not there.
            if each.is_relative_to(folder) and (file := each / name).is_file():
                text = file.read_text("ascii").strip()
                limits += [int(text)] if text.isdigit() else []
    return min(limits) >> 20


def default_children() -> int:
    """Return how many child processes blur images of orders: one per core, if there is memory enough; at least one.

    Enough for these and for those of instant calls, half as many, but at least one.
    """
    processes = (memory_mib() - _BESIDE_CHILDREN_MIB) // _CHILD_MIB
    return max(1, min(count_cores(), (2 * processes + 1) // 3))


def default_instant_children() -> int:
    """Return how many child processes answer instant calls."""
    return max(1, default_children() // 2)
