"""The limit of open files: raised at the start, and how many connections it leaves room for."""

import resource

WANTED = 65_536
"""Open files of a process, if the system allows as many."""
RESERVED = 256
"""Descriptors for everything but connections of callers: the database, the broker, blobs being read and written."""


def raise_limit() -> None:
    """Raise the limit of open files as far as the system allows without privileges."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):  # macOS has a further limit
        return


def max_connections() -> int:
    """Return how many connections of callers a process may hold, so that it can still open files for their work."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = WANTED if soft == resource.RLIM_INFINITY else min(soft, WANTED)
    return max(limit - RESERVED, limit // 2)
