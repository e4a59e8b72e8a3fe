"""The filter of system calls, for both architectures: its numbers are the kernel's, its answers as they should be."""

import errno
import re
import struct
from pathlib import Path

import pytest

from services.blur_worker.sandbox import seccomp

HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
"""Of linux-libc-dev on x86-64, which has the numbers of arm64 as well: they are the generic ones."""
READ = {"x86_64": 0, "aarch64": 63}
PID = 4321
ALLOWED, KILLED = 0x7FFF0000, 0x80000000
REFUSED, MISSING = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
MACHINES = pytest.mark.parametrize("machine", sorted(HEADERS))


def answer(machine: str, number: int, argument: int = 0, *, architecture: int | None = None) -> int:
    """Run the filter as the kernel does, for a call with this first argument."""
    own = seccomp._AUDIT_ARCHITECTURE[machine]
    data = struct.pack("<IIQQ", number, own if architecture is None else architecture, 0, argument)
    code = list(struct.iter_unpack("=HBBI", seccomp._program(machine, PID)))
    loaded, at = 0, 0
    while True:
        operation, if_true, if_false, value = code[at]
        at += 1
        match operation:
            case 0x20:  # BPF_LD | BPF_W | BPF_ABS
                (loaded,) = struct.unpack_from("<I", data, value)
            case 0x15:  # BPF_JMP | BPF_JEQ | BPF_K
                at += if_true if loaded == value else if_false
            case 0x35:  # BPF_JMP | BPF_JGE | BPF_K
                at += if_true if loaded >= value else if_false
            case 0x45:  # BPF_JMP | BPF_JSET | BPF_K
                at += if_true if loaded & value else if_false
            case 0x06:  # BPF_RET | BPF_K
                return int(value)


@MACHINES
def test_numbers_are_the_kernels(machine: str) -> None:
    if not HEADERS[machine].exists():
        pytest.skip(f"{HEADERS[machine]} is not installed (linux-libc-dev)")
    defined = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", HEADERS[machine].read_text())
    numbers = {name: int(number) for name, number in defined}
    ours = seccomp._DENIED[machine] | {
        "clone": seccomp._CLONE[machine],
        "clone3": seccomp._CLONE3,
        "prlimit64": seccomp._PRLIMIT[machine],
        "tgkill": seccomp._TGKILL[machine],
        "read": READ[machine],
    }
    assert {name: numbers[name] for name in ours} == ours


def test_both_architectures_refuse_the_same() -> None:
    # Only x86-64 has these besides clone.
    assert seccomp._DENIED["x86_64"].keys() - seccomp._DENIED["aarch64"].keys() == {"fork", "vfork"}
    assert seccomp._DENIED["aarch64"].keys() <= seccomp._DENIED["x86_64"].keys()


@MACHINES
def test_answers(machine: str) -> None:
    assert {answer(machine, number) for number in seccomp._DENIED[machine].values()} == {REFUSED}
    assert answer(machine, READ[machine]) == ALLOWED
    assert answer(machine, READ[machine], architecture=0x40000003) == KILLED  # 32-bit calls have other numbers
    assert answer(machine, seccomp._CLONE3) == MISSING
    threads, processes = 0x003D0F00, 0x01200011  # flags as glibc's for pthread_create and fork
    assert answer(machine, seccomp._CLONE[machine], threads) == ALLOWED
    assert answer(machine, seccomp._CLONE[machine], processes) == REFUSED
    for own, other in ((seccomp._PRLIMIT, 0), (seccomp._TGKILL, PID)):
        assert answer(machine, own[machine], other) == ALLOWED
        assert answer(machine, own[machine], other + 1) == REFUSED


def test_calls_of_x32_are_refused() -> None:
    assert answer("x86_64", 0x40000000 | READ["x86_64"]) == REFUSED
