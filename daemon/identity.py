"""Who a process is: boot, pid and start time together. A bare pid may be somebody else's by now.

Light at import, as every supervisor imports it.
"""


def boot_id() -> str:
    return _read("/proc/sys/kernel/random/boot_id").strip()


def identify(pid: int) -> dict[str, int | str]:
    """Boot, pid, start time and process group of a process, which may be a zombie. ProcessLookupError when there is none."""
    _, group, ticks = _stat(pid)
    return {"boot_id": boot_id(), "pid": pid, "start_ticks": ticks, "group": group}


def start_ticks(pid: int) -> int:
    """Clock ticks between boot and the start of a process that lives; a zombie does not."""
    state, _, ticks = _stat(pid)
    if state in "ZX":
        raise ProcessLookupError(pid)
    return ticks


def _stat(pid: int) -> tuple[str, int, int]:
    """State, process group and start time."""
    try:
        # The second field, the program's name, may hold spaces and parentheses: count from its end.
        fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        raise ProcessLookupError(pid) from None
    return fields[0], int(fields[2]), int(fields[19])


def _read(path: str) -> str:
    with open(path) as file:  # noqa: PTH123 - pathlib doubles the start-up time of a supervisor
        return file.read()
