"""One small process a job: starts the worker, waits for it, and writes down how it ended.

    python -P -m daemon.supervisor RUN_DIR ATTEMPT LOCK

It outlives the daemon, so that a daemon that comes back finds the true exit code. LOCK is a file descriptor that holds
the lock on `supervisor.lock`: as long as the kernel says that it is locked, this process lives. Who it is stands in that
file before the worker begins. SIGTERM asks the worker to stop; after a grace period its whole process group is killed. So
does SIGUSR1, with which Slurm announces its limit.

One lives for every job that runs, so it imports little: no `pathlib`, `subprocess` or `typing`.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import time

from daemon.identity import identify
from store import faults

TYPE_CHECKING = False  # importing it from `typing` would cost what it saves
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Start = Callable[[str, dict[str, Any]], int]

LOCK_NAME = "supervisor.lock"
LAUNCH_NAME = "launch.json"
PROCESS_NAME = "process-{}.json"
"""Who supervisor and worker of an attempt are."""
GROUP_SECONDS = 10.0
"""How long the rest of a process group may take to die before its end is noted without it."""
STOPS = {signal.SIGTERM: "stopped", signal.SIGUSR1: "limit"}
"""The signals that ask for the worker's end, and what stands in the record then."""
EXIT_NAME = "exit-{}.json"
"""How the attempt ended; written once, whole or not at all."""


def main(run_dir: str, attempt: int, lock: int | None, start: Start | None = None) -> None:
    """Until the worker has ended. Under Slurm there is no lock: on another machine's word for it nobody relies.

    `start` starts the worker and returns its pid; by default it is a process that outlives us.
    """
    with open(f"{run_dir}/{LAUNCH_NAME}") as file:
        launch = json.load(file)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, *STOPS})
    ourselves = identify(os.getpid())
    if lock is not None:
        os.set_inheritable(lock, False)
        os.truncate(lock, 0)
        os.pwrite(lock, json.dumps({"attempt": attempt, "supervisor": ourselves}).encode(), 0)
    started_at = time.time()
    faults.point("supervisor.begun")
    worker = (start or start_worker)(run_dir, launch)
    faults.point("supervisor.spawned")
    process = {"supervisor": ourselves, "worker": identify(worker), "started_at": started_at}
    # In place whole or not at all; of no worth after a crash of the machine, so that the disk need not be waited for.
    _write(run_dir, PROCESS_NAME.format(attempt), process, durably=False)
    faults.point("supervisor.known")
    _nudge(run_dir)
    killed_before = _kernel_kills()
    ending = _wait(worker, launch["timeout"], launch["grace_seconds"])
    if ending["exit_code"] == -signal.SIGKILL and ending["reason"] == "exited":
        ending["kernel_kills"] = _kernel_kills() - killed_before
    faults.point("supervisor.ended")
    ending = {"started_at": started_at, "ended_at": time.time(), **ending}
    while not _found_room(run_dir, EXIT_NAME.format(attempt), ending):
        time.sleep(1)  # what took hours must not be lost because the disk is full for a moment
    faults.point("supervisor.recorded")
    if lock is not None:
        os.close(lock)  # only now may the next attempt begin
    _nudge(run_dir)


def start_worker(run_dir: str, launch: dict[str, Any]) -> int:
    """The worker's pid. One that cannot be started is a process that says so and ends with 127, as in a shell."""
    log = f"{run_dir}/worker.log"
    os.environ.update(launch["env"])  # its PATH finds the program; nothing else runs in this process
    try:
        os.chdir(launch["cwd"])
        return os.posix_spawnp(
            launch["argv"][0],
            launch["argv"],
            os.environ,
            setpgroup=0,
            setsigmask=(),
            setsigdef=(signal.SIGPIPE,),  # which Python ignores, and programs count on
            file_actions=(
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ),
        )
    except OSError as error:
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            give_up(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), launch, error)
        return pid
    finally:
        os.chdir("/")  # the worker's directory is not ours to keep busy


def give_up(log: int, launch: dict[str, Any], error: OSError) -> None:
    """Ends the process that was to become the worker."""
    where = launch["cwd"] if error.filename == launch["cwd"] else launch["argv"][0]
    os.write(log, f"tunedeck: {where}: cannot be started: {error.strerror}\n".encode())
    os._exit(127)


def _wait(worker: int, timeout: float | None, grace_seconds: float) -> dict[str, Any]:
    """Until the worker has ended, by itself or because it was asked to (a signal to us, or the time limit)."""
    reason = "exited"
    deadline = time.monotonic() + timeout if timeout else None
    kill_at: float | None = None
    while os.waitid(os.P_PID, worker, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        wake_at = deadline if kill_at is None else kill_at
        wait_seconds = 3600.0 if wake_at is None else max(0.0, wake_at - time.monotonic())
        caught = signal.sigtimedwait({signal.SIGCHLD, *STOPS}, wait_seconds)
        asked = None if caught is None else STOPS.get(signal.Signals(caught.si_signo))
        late = deadline is not None and time.monotonic() >= deadline
        if kill_at is None and (asked or late):
            reason = asked or "timeout"
            _signal_group(worker, signal.SIGTERM)
            kill_at = time.monotonic() + grace_seconds
        elif kill_at is not None and time.monotonic() >= kill_at:
            _signal_group(worker, signal.SIGKILL)
            kill_at = time.monotonic() + grace_seconds
    # Before it is reaped its number cannot pass to another group: end what it left behind.
    _signal_group(worker, signal.SIGKILL)
    _, status, usage = os.wait4(worker, 0)
    _await_group(worker)
    return {
        "reason": reason,
        "exit_code": os.waitstatus_to_exitcode(status),
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_memory_bytes": usage.ru_maxrss * 1024,
    }


def _await_group(group: int) -> None:
    """What the worker left behind takes a moment to die, and has its GPU until then."""
    deadline = time.monotonic() + GROUP_SECONDS
    while _lives(group) and time.monotonic() < deadline:
        time.sleep(0.002)


def _lives(group: int) -> bool:
    """Whether a process of a group lives. Zombies, which nobody may ever reap, do not."""
    try:
        os.killpg(group, 0)
    except OSError:
        return False
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            try:
                with open(f"/proc/{pid}/stat") as file:
                    fields = file.read().rpartition(")")[2].split(maxsplit=3)
            except OSError:
                continue
            if int(fields[2]) == group and fields[0] not in "ZX":
                return True
    return False


def _found_room(run_dir: str, name: str, content: dict[str, Any]) -> bool:
    try:
        _write(run_dir, name, content)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return False
    return True


def _write(run_dir: str, name: str, content: dict[str, Any], durably: bool = True) -> None:
    with open(f"{run_dir}/{name}.tmp", "w") as file:
        file.write(json.dumps(content))
        file.flush()
        if durably:
            os.fsync(file.fileno())
    if name.startswith("exit"):
        faults.point("supervisor.torn")
    os.rename(f"{run_dir}/{name}.tmp", f"{run_dir}/{name}")
    if durably:
        directory = os.open(run_dir, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)


def _kernel_kills() -> int:
    """How many processes of this machine the kernel has ended for want of memory since it started."""
    try:
        with open("/proc/vmstat") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("oom_kill "))
    except (OSError, StopIteration):
        return 0


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except OSError:
        pass  # it is gone, or it runs as another user now, and then we can only wait


def _nudge(run_dir: str) -> None:
    """Wakes the daemon, if one listens."""
    try:
        os.write(os.open(f"{run_dir}/../../nudge", os.O_WRONLY | os.O_NONBLOCK), b"!")
    except OSError:
        pass


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
