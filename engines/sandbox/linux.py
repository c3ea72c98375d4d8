"""The system calls that Python has no names for, through libc. Linux only; each raises OSError when refused."""

import ctypes
import os
import platform
from typing import Any

MACHINE = platform.machine()
_LIBC = ctypes.CDLL(None, use_errno=True)

NEW_NAMESPACES = 0x00020000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
"""mount, uts, ipc, user, pid, net."""

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 0x1000, 0x4000, 1 << 18
_MNT_DETACH = 2
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
_MOUNT_SETATTR, _PIVOT_ROOT = 442, {"x86_64": 155, "aarch64": 41}


def _checked(what: str, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def syscall(what: str, number: int, *arguments: Any) -> int:
    """A system call by its number. `what` names it in the error."""
    plain = [ctypes.c_long(given) if isinstance(given, int) else given for given in arguments]
    return _checked(what, _LIBC.syscall(ctypes.c_long(number), *plain))


def prctl(option: int, *arguments: Any) -> None:
    """prctl(2)."""
    plain = [ctypes.c_ulong(given) if isinstance(given, int) else given for given in arguments]
    _checked(f"prctl {option}", _LIBC.prctl(option, *plain, *[ctypes.c_ulong(0)] * (4 - len(plain))))


def die_with_parent() -> None:
    """SIGKILL to this process when its parent ends."""
    prctl(_PR_SET_PDEATHSIG, 9)


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose own parent ends, however it detached itself."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def hide_memory(hidden: bool = True) -> None:
    """Keep (or let) others of the same user look into this process: /proc/PID/mem, fd, environ, and ptrace."""
    prctl(_PR_SET_DUMPABLE, int(not hidden))


def refuse_new_privileges() -> None:
    """No set-user-id program gains anything from here on; what Landlock and seccomp ask for."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def unshare(flags: int) -> None:
    """New namespaces for this process (of pids: for its children)."""
    _checked("unshare", _LIBC.unshare(flags))


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    """mount(2)."""
    texts = [text.encode() if text is not None else None for text in (source, target, kind, options)]
    result = _LIBC.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3])
    _checked(f"mount {target}", result)


def read_only(target: str) -> None:
    """Make a mount and all below it read-only, without set-user-id and devices' rights. Linux 5.12 or later."""
    attributes = (ctypes.c_uint64 * 4)(MS_RDONLY | MS_NOSUID, 0, 0, 0)
    at_fdcwd, recursive = -100, 0x8000
    syscall(
        f"read-only {target}", _MOUNT_SETATTR, at_fdcwd, target.encode(), recursive,
        ctypes.byref(attributes), ctypes.sizeof(attributes),
    )  # fmt: skip


def change_root(new_root: str) -> None:
    """Make `new_root`, a mount, the root directory, and let go of the old one."""
    if MACHINE not in _PIVOT_ROOT:
        raise OSError(f"pivot_root: not known for {MACHINE}")
    os.chdir(new_root)
    syscall("pivot_root", _PIVOT_ROOT[MACHINE], b".", b".")
    _checked("umount /", _LIBC.umount2(b".", _MNT_DETACH))
    os.chdir("/")


def drop_capabilities() -> None:
    """Give up every capability of this process."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    _checked("capset", _LIBC.capset(header, (ctypes.c_uint32 * 6)()))
