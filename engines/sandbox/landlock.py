"""Landlock: this process may read Python's own files and write its own directory, and nothing else.

Needs no rights at all. Source: the kernel's Documentation/userspace-api/landlock.rst.
"""

import ctypes
import os
from collections.abc import Sequence

from engines.sandbox.linux import syscall

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_RIGHTS_OF_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many of the file rights an ABI version knows; a filter must not name others."""
_TCP_BIND_AND_CONNECT = 3
_ABSTRACT_SOCKETS_AND_SIGNALS = 3


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("directory", ctypes.c_int32)]


def abi_version() -> int:
    """Landlock's version in this kernel. Raises OSError where there is none."""
    return syscall("Landlock", _CREATE, None, 0, 1)


def restrict(readable: Sequence[str], writable: Sequence[str]) -> None:
    """Shut this process in for good. Privileges must have been refused before. Raises OSError."""
    version = abi_version()
    rights = (1 << _RIGHTS_OF_ABI.get(version, 16)) - 1
    attributes = (ctypes.c_uint64 * 3)(
        rights,
        _TCP_BIND_AND_CONNECT if version >= 4 else 0,
        _ABSTRACT_SOCKETS_AND_SIGNALS if version >= 6 else 0,
    )
    size = 8 if version < 4 else 16 if version < 6 else 24
    rules = syscall("landlock_create_ruleset", _CREATE, ctypes.byref(attributes), size, 0)
    try:
        for path in readable:
            _allow(rules, path, _READ_FILE | _READ_DIR)
        for path in writable:
            _allow(rules, path, rights)
        syscall("landlock_restrict_self", _RESTRICT, rules, 0)
    finally:
        os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        directory = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):  # What cannot be reached needs no permission.
        return
    try:
        held = rights if os.path.isdir(path) else rights & ~_READ_DIR  # noqa: PTH112
        beneath = _Beneath(held, directory)
        syscall(f"Landlock rule for {path}", _ADD, rules, 1, ctypes.byref(beneath), 0)
    finally:
        os.close(directory)
