"""Seccomp: which system calls a process may make. See seccomp(2).

Calls that blurring never makes are answered with EPERM: sockets, other programs and processes, and the parts of the
kernel where most of its faults are found. A list of what is allowed would be shorter lived: libraries change.
"""

import ctypes
import errno
import os
import platform
import struct
import sys

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""Instructions: BPF_LD|W|ABS, BPF_JMP with JEQ, JGE and JSET (all |K), BPF_RET|K."""
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
"""Offsets in `struct seccomp_data`; of the argument its lower half, on little-endian machines."""
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_CLONE_THREAD = 0x00010000
_X32 = 0x40000000

_SINCE_5 = {"pidfd_send_signal": 424, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427}
_SINCE_5 |= {"pidfd_open": 434, "pidfd_getfd": 438, "process_madvise": 440, "mount_setattr": 442}

_DENIED = {
    "x86_64": {
        "socket": 41, "connect": 42, "accept": 43, "bind": 49, "listen": 50, "socketpair": 53, "accept4": 288,
        "fork": 57, "vfork": 58, "execve": 59, "execveat": 322, "kill": 62, "tkill": 200, "rt_sigqueueinfo": 129,
        "rt_tgsigqueueinfo": 297, "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312,
        "bpf": 321, "userfaultfd": 323, "perf_event_open": 298, "name_to_handle_at": 303, "open_by_handle_at": 304,
        "unshare": 272, "setns": 308, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "keyctl": 250,
        "add_key": 248, "request_key": 249, "init_module": 175, "finit_module": 313, "delete_module": 176,
        "kexec_load": 246, "reboot": 169,
    } | _SINCE_5,
    "aarch64": {
        "socket": 198, "connect": 203, "accept": 202, "bind": 200, "listen": 201, "socketpair": 199, "accept4": 242,
        "execve": 221, "execveat": 281, "kill": 129, "tkill": 130, "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240,
        "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "bpf": 280, "userfaultfd": 282,
        "perf_event_open": 241, "name_to_handle_at": 264, "open_by_handle_at": 265, "unshare": 97, "setns": 268,
        "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "keyctl": 219, "add_key": 217, "request_key": 218,
        "init_module": 105, "finit_module": 273, "delete_module": 106, "kexec_load": 104, "reboot": 142,
    } | _SINCE_5,
}  # fmt: skip
_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE3 = 435
_PRLIMIT = {"x86_64": 302, "aarch64": 261}
_TGKILL = {"x86_64": 234, "aarch64": 131}
_AUDIT_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def deny() -> bool:
    """Deny this process those calls from now on; return False where that is not possible."""
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _DENIED:
        return False
    code = _program(machine, os.getpid())
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    program = _Program(len(code) // 8, code)
    return bool(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0) == 0)


def _program(machine: str, pid: int) -> bytes:
    """Return the filter, as instructions of 8 bytes each."""
    refuse = _ERRNO | errno.EPERM
    code = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, _AUDIT_ARCHITECTURE[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine == "x86_64":
        code += _if(_AT_LEAST, _X32, refuse)
    for number in _DENIED[machine].values():
        code += _if(_EQUAL, number, refuse)
    # glibc then uses clone, whose flags can be looked at.
    code += _if(_EQUAL, _CLONE3, _ERRNO | errno.ENOSYS)
    # Threads but no processes; limits and signals of this process alone.
    code += _unless_argument(_CLONE[machine], _ANY_BIT, _CLONE_THREAD, refuse)
    code += _unless_argument(_PRLIMIT[machine], _EQUAL, 0, refuse)
    code += _unless_argument(_TGKILL[machine], _EQUAL, pid, refuse)
    code.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _if(test: int, value: int, answer: int) -> list[tuple[int, int, int, int]]:
    """Answer if the loaded number passes a test."""
    return [(test, 0, 1, value), (_RETURN, 0, 0, answer)]


def _unless_argument(number: int, test: int, value: int, answer: int) -> list[tuple[int, int, int, int]]:
    """Answer a call unless its first argument passes a test."""
    return [
        (_EQUAL, 0, 4, number),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (test, 0, 1, value),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, answer),
    ]
