"""Shut the calling process in, guard by guard. Every step raises OSError where the machine does not allow it."""

import functools
import os
import resource
import sys
import sysconfig
from collections.abc import Set as AbstractSet
from pathlib import Path

from engines.sandbox import landlock, linux, seccomp
from engines.sandbox.limits import Guard, Limits

NOBODY = 65534
_OPEN_FILES = 64
_PROCESSES = 64
_SYSTEM_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")


def enter_namespaces() -> None:
    """New namespaces for this process and, of pids, for the children it forks from now on."""
    user, group = os.geteuid(), os.getegid()
    linux.unshare(linux.NEW_NAMESPACES)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{NOBODY} {user} 1")
    _write("/proc/self/gid_map", f"{NOBODY} {group} 1")


def build_root(base: str, disk: int) -> str:
    """A file tree of Python's own files, three devices and an empty /tmp, as root directory. Returns the new /tmp.

    `base` is any directory; what is mounted on it is seen in this mount namespace only. `disk` in bytes.
    """
    linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
    linux.mount("tmpfs", base, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "size=1m,mode=755")
    for path in readable_paths():
        _bind(path, base + path)
    linux.read_only(base)
    scratch = f"{base}/tmp"
    linux.mount(
        "tmpfs", scratch, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, f"size={disk},nr_inodes=4096,mode=700"
    )
    linux.change_root(base)
    return "/tmp"


@functools.cache  # asked first while everything can still be read
def readable_paths() -> tuple[str, ...]:
    """What a Python program must be able to read: the standard library, shared libraries, harmless devices."""
    library = sysconfig.get_path("stdlib")
    shared = [str(path) for path in Path(sys.base_prefix, "lib").glob("libpython*.so*")]
    wanted = [library, *shared, *_SYSTEM_LIBRARIES, *_DEVICES]
    present = [path for path in dict.fromkeys(wanted) if os.path.exists(path)]  # noqa: PTH110
    return tuple(path for path in present if not any(path.startswith(f"{other}/") for other in present))


def limit_resources(limits: Limits, tasks: int) -> None:
    """Memory, processor time, files and processes. `tasks` are those that the user runs already."""
    seconds = int(limits.run_wall) + 2
    for what, value in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, limits.disk),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_NPROC, tasks + _PROCESSES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        lower = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(what, (lower, lower))


def become_nobody() -> None:
    """Give up root's rights, where we have them: they would make every other guard without namespaces worthless."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


def give_up_rights(guards: AbstractSet[Guard], scratch: str) -> None:
    """Capabilities, and whatever Landlock and seccomp take away. The last step before a submission's code."""
    if "namespaces" in guards:
        linux.drop_capabilities()
    linux.refuse_new_privileges()
    if "landlock" in guards:
        landlock.restrict(readable_paths(), [scratch])
    if "seccomp" in guards:
        seccomp.forbid()


def tasks_of(user: int) -> int:
    """How many processes a user has now; the kernel counts processes by user where there is no namespace."""
    count = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                count += entry.stat().st_uid == user
            except OSError:  # It has ended.
                continue
    return count


def _bind(source: str, target: str) -> None:
    place = Path(target)
    if Path(source).is_dir():
        place.mkdir(parents=True, exist_ok=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    (Path(target.removesuffix(source)) / "tmp").mkdir(exist_ok=True)
    linux.mount(source, target, None, linux.MS_BIND | linux.MS_REC)


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123
        file.write(text)
