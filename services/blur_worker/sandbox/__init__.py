"""Take from a child process what blurring does not need, so that a decoder that is taken over gets nothing.

On Linux only: Landlock (from 5.13) for files, signals and what the process may trace, seccomp for system calls. Neither
needs privileges, and neither can be undone.
"""

import os
import re
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import services
from services.blur_worker.sandbox import landlock, seccomp

_DEVICE_FACTS = (Path("/proc/cpuinfo"), Path("/sys/devices"), Path("/sys/bus/pci/devices"))
"""What onnxruntime and OpenBLAS read to choose their code: processors, and graphics cards that are not used."""


_ENVIRONMENT = re.compile(
    "PATH|HOME|LANG|LC_.*|TZ|TMPDIR|LD_LIBRARY_PATH|VIRTUAL_ENV|PYTHON.*|NUMBA_.*|IMAGEBLUR_STACK_RUN|IMAGEBLUR_LOG_FORMAT"
)


@dataclass(frozen=True, kw_only=True)
class Confinement:
    """What a child process keeps besides Python, its packages and the files that it is given. Tests need more."""

    write: tuple[Path, ...] = ()
    """Files and folders that it may read and write."""
    environment: tuple[str, ...] = ()
    """Names of variables."""

    def clean_environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Return those of these variables that a child process needs: no setting, no secret."""
        return {
            name: value for name, value in variables.items() if _ENVIRONMENT.fullmatch(name) or name in self.environment
        }

    def apply(self, keep: Iterable[int], *, read: Iterable[Path] = ()) -> list[str]:
        """Confine this process for good: no network, no other processes, no files but those it is given.

        Args:
            keep: Descriptors that stay open, besides the standard ones.
            read: More files and folders that it may read.

        Returns:
            What this system cannot enforce, as phrases; empty if everything is enforced.
        """
        _close_descriptors(keep)
        unenforced = []
        if not landlock.restrict([*_python_paths(), *_DEVICE_FACTS, *read], self.write):
            unenforced.append("files (needs Linux 5.13 with Landlock)")
        if not seccomp.deny():
            unenforced.append("network and other processes (needs Linux on x86-64 or arm64 with seccomp)")
        return unenforced


def _close_descriptors(keep: Iterable[int]) -> None:
    """Close all other descriptors, such as those that multiprocessing shares with its helpers."""
    previous = 2
    for descriptor in sorted(keep):
        os.closerange(previous + 1, descriptor)
        previous = descriptor
    os.closerange(previous + 1, os.sysconf("SC_OPEN_MAX") if previous < 2**20 else previous + 1)


def _python_paths() -> list[Path]:
    """Return the folders of Python, its packages and this one, and of the libraries beside them.

    Not all of `sys.path`: a checkout of this project also holds the data of `make run`.
    """
    found = {sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), "/usr/lib", "/lib", "/lib64"}
    return [*map(Path, found), Path(services.__file__).parent]
