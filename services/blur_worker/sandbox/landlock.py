"""Landlock: which files a process may open. See landlock(7).

Files that are open already stay usable, so a process can be given a single file by its descriptor.
"""

import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""Numbers of the system calls, the same on all architectures."""
_VERSION_FLAG = 1
_RULE_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38

_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_ALL_OF_FIRST_VERSION = (1 << 13) - 1
_ADDED = {2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
"""Rights on files that later versions know: to move between folders, to truncate, to control devices."""
_TRUNCATE = 1 << 14
_NETWORK_SINCE, _ALL_NETWORK = 4, 0b11
"""To bind and to connect TCP sockets."""
_SCOPES_SINCE, _ALL_SCOPES = 6, 0b11
"""Abstract UNIX sockets, and signals, of processes outside."""


class _RulesetAttributes(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def restrict(read: Iterable[Path], write: Iterable[Path]) -> bool:
    """Let this process open nothing but these files and folders from now on; paths that do not exist are left out.

    Returns:
        Whether the kernel does that; False where it has no Landlock.
    """
    version = _version()
    if version < 1:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    handled = _ALL_OF_FIRST_VERSION | sum(right for since, right in _ADDED.items() if version >= since)
    attributes = _RulesetAttributes(
        handled, _ALL_NETWORK if version >= _NETWORK_SINCE else 0, _ALL_SCOPES if version >= _SCOPES_SINCE else 0
    )
    # Earlier versions refuse attributes that they do not know.
    size = 24 if version >= _SCOPES_SINCE else 16 if version >= _NETWORK_SINCE else 8
    ruleset = libc.syscall(_CREATE_RULESET, ctypes.byref(attributes), size, 0)
    if ruleset < 0:
        return False
    try:
        for path in read:
            _allow(libc, ruleset, path, _READ_FILE | _READ_DIR)
        for path in write:
            _allow(libc, ruleset, path, handled & ~1 | (handled & _TRUNCATE))
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            return False
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _version() -> int:
    if sys.platform != "linux":
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG))


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not path.is_dir():
            rights &= _READ_FILE | _WRITE_FILE | _TRUNCATE  # the others are refused for files
        rule = _PathBeneath(rights, descriptor)
        libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(descriptor)
