"""How the machine and the daemon are: load, memory, disk, the daemon's pulse and what it complained of.

Figures are rounded to what is shown, so that nothing is drawn again when nothing that one could see has changed.
"""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from cockpit.plain_text import plain_line
from cockpit.widgets.lanes import SAMPLES
from store import groups, machine, outbox, paths, schedules
from store.database import Database
from store.groups import Group
from store.lanes import Lane, read_lanes
from store.schedules import Schedule

GIB = 1 << 30
_LOG_BYTES = 16 * 1024
_LOG_LINES = 6
_TROUBLE = re.compile(r"\b(ERROR|CRITICAL|WARNING|Traceback|\w+Error)\b")


@dataclass(frozen=True)
class Load:
    """Averages of one and fifteen minutes, the cores they are shared by, and memory and disk in GiB, to a tenth."""

    one: float
    fifteen: float
    cores: int
    memory_used: float
    memory: float
    disk_free: float
    disk: float


@dataclass(frozen=True)
class DaemonHealth:
    """`started_at` and `stopped_at` in Unix seconds; `memory_mib` of its process, in whole ones."""

    running: bool
    pid: int | None
    started_at: float | None
    stopped_at: float | None
    cpu_slots: int | None
    memory_mib: int | None
    log: tuple[tuple[str, bool], ...]
    """The last lines, and whether each tells of trouble."""
    complaints: int
    """Such lines in the end of the log that was looked at."""


@dataclass(frozen=True)
class MachineFacts:
    lanes: list[Lane]
    load: Load
    daemon: DaemonHealth
    groups: list[Group]
    schedules: list[Schedule]
    waiting_notices: int
    given_up: tuple[str, ...]
    """What could not be told to the outside, and why."""


def read_facts(database: Database) -> MachineFacts:
    lost = outbox.given_up(database.home)
    return MachineFacts(
        read_lanes(database, SAMPLES),
        read_load(database.home),
        _health(database),
        groups.list_groups(database),
        schedules.list_schedules(database),
        sum(1 for _ in outbox.waiting(database.home)),
        tuple(plain_line(str(message.get("error") or "no reason known"), 200) for message in lost),
    )


def read_load(home: Path) -> Load:
    one, _, fifteen = os.getloadavg()
    fields = _memory()
    total, free = fields.get("MemTotal", 0.0), fields.get("MemAvailable", 0.0)
    disk = shutil.disk_usage(home)
    return Load(
        round(one, 1), round(fifteen, 1), os.cpu_count() or 1, round(total - free, 1), round(total, 1),
        round(disk.free / GIB, 1), round(disk.total / GIB, 1),
    )  # fmt: skip


def _memory() -> dict[str, float]:
    """Fields of /proc/meminfo in GiB."""
    found = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        number = rest.split()[0] if rest.split() else "0"
        found[name] = int(number) * 1024 / GIB if number.isdigit() else 0.0
    return found


def _health(database: Database) -> DaemonHealth:
    daemon, running = machine.get_daemon(database), machine.daemon_is_running(database.home)
    lines = _log_end(paths.daemon_log(database.home))
    told = [(plain_line(line, 300), bool(_TROUBLE.search(line))) for line in lines]
    return DaemonHealth(
        running, daemon.pid if daemon and running else None, daemon.started_at if daemon else None,
        daemon.stopped_at if daemon else None, daemon.cpu_slots if daemon else None,
        _resident(daemon.pid) if daemon and running else None, tuple(told[-_LOG_LINES:]),
        sum(trouble for _, trouble in told),
    )  # fmt: skip


def _resident(pid: int) -> int | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None  # it has gone in the meantime
    kib = re.search(r"VmRSS:\s+(\d+)", status)
    return round(int(kib[1]) / 1024) if kib else None


def _log_end(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(size - _LOG_BYTES, 0))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []  # no daemon has run here yet
    return lines[1:] if size > _LOG_BYTES else lines
