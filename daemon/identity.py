"""Who a process is: boot, pid and start time together. A bare pid may be somebody else's by now.

Light at import, as every supervisor imports it: `os` alone.
"""

import os


def boot_id() -> str:
    return _read("/proc/sys/kernel/random/boot_id").strip()


def identify(pid: int) -> dict[str, int | str]:
    """The identity of a living process: boot, pid, start time and process group. ProcessLookupError when there is none."""
    return {"boot_id": boot_id(), "pid": pid, "start_ticks": start_ticks(pid), "group": os.getpgid(pid)}


def start_ticks(pid: int) -> int:
    """Clock ticks between boot and the start of a process that lives; a zombie does not."""
    try:
        # The second field, the program's name, may hold spaces and parentheses: count from its end.
        fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        raise ProcessLookupError(pid) from None
    if fields[0] in "ZX":
        raise ProcessLookupError(pid)
    return int(fields[19])


def _read(path: str) -> str:
    with open(path) as file:  # noqa: PTH123 - pathlib doubles the start-up time of a supervisor
        return file.read()
