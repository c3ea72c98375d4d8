"""A seccomp filter: no new process, no program, no socket, no signal to another process.

Written for the kernel's own small machine (classic BPF over `struct seccomp_data`) because libseccomp may be missing.
Threads stay possible. Source: the kernel's Documentation/userspace-api/seccomp_filter.rst.
"""

import ctypes
import os
import struct
from errno import ENOSYS, EPERM

from engines.sandbox.linux import MACHINE, prctl

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_FORBIDDEN: dict[str, dict[str, int]] = {
    "x86_64": {
        "fork": 57, "vfork": 58, "execve": 59, "execveat": 322, "ptrace": 101, "process_vm_readv": 310,
        "process_vm_writev": 311, "kill": 62, "tkill": 200, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297,
        "socket": 41, "shmget": 29, "semget": 64, "msgget": 68, "mq_open": 240, "add_key": 248, "request_key": 249,
        "keyctl": 250, "unshare": 272, "setns": 308, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161,
        "perf_event_open": 298, "open_by_handle_at": 304, "userfaultfd": 323, "bpf": 321,
    },
    "aarch64": {
        "execve": 221, "execveat": 281, "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271,
        "kill": 129, "tkill": 130, "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240, "socket": 198, "shmget": 194,
        "semget": 190, "msgget": 186, "mq_open": 180, "add_key": 217, "request_key": 218, "keyctl": 219,
        "unshare": 97, "setns": 268, "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51,
        "perf_event_open": 241, "open_by_handle_at": 265, "userfaultfd": 282, "bpf": 280,
    },
}  # fmt: skip
_EVERYWHERE = {
    "pidfd_send_signal": 424, "io_uring_setup": 425, "open_tree": 428, "move_mount": 429, "fsopen": 430,
    "pidfd_open": 434, "pidfd_getfd": 438, "mount_setattr": 442,
}  # fmt: skip
_CLONE = {"x86_64": 56, "aarch64": 220}
_TGKILL = {"x86_64": 234, "aarch64": 131}
_PRCTL = {"x86_64": 157, "aarch64": 167}
_CLONE3 = 435
_CLONE_THREAD = 0x00010000
_PR_SET_PDEATHSIG = 1
_X32 = 0x40000000

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16
"""Offsets in `struct seccomp_data`; of an argument, its lower half (both machines are little-endian)."""

Instruction = tuple[int, int, int, int]
"""Operation, jump if true, jump if false, operand."""


def forbid() -> None:
    """Install the filter in this process for good. Privileges must have been refused before. Raises OSError."""
    if MACHINE not in _AUDIT_ARCH:
        raise OSError(f"seccomp: no filter for {MACHINE}")
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in _program(MACHINE, os.getpid()))
    held = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(held))
    prctl(22, 2, ctypes.create_string_buffer(header, len(header)))  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


def _program(machine: str, own: int) -> list[Instruction]:
    refuse: Instruction = (_RETURN, 0, 0, _ERRNO | EPERM)
    allow: Instruction = (_RETURN, 0, 0, _ALLOW)
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 1, 0, _AUDIT_ARCH[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),  # x86's third set of call numbers
        refuse,
    ]
    for number in (*_FORBIDDEN[machine].values(), *_EVERYWHERE.values()):
        program += [(_EQUAL, 0, 1, number), refuse]
    # Its flags are behind a pointer that a filter cannot follow; told it is missing, libc uses `clone`.
    program += [(_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _ERRNO | ENOSYS)]
    argument: Instruction = (_LOAD, 0, 0, _FIRST_ARGUMENT)
    program += [(_EQUAL, 0, 4, _CLONE[machine]), argument, (_ANY_BIT, 1, 0, _CLONE_THREAD), refuse, allow]
    program += [(_EQUAL, 0, 4, _TGKILL[machine]), argument, (_EQUAL, 1, 0, own), refuse, allow]
    program += [(_EQUAL, 0, 4, _PRCTL[machine]), argument, (_EQUAL, 0, 1, _PR_SET_PDEATHSIG), refuse, allow]
    return [*program, allow]
