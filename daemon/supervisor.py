"""One small process a job: starts the worker, waits for it, and writes down how it ended.

    python -P -m daemon.supervisor RUN_DIR ATTEMPT LOCK

It outlives the daemon, so that a daemon that comes back finds the true exit code. LOCK is a file descriptor that holds
the lock on `supervisor.lock`: as long as the kernel says that it is locked, this process lives. SIGTERM asks the worker
to stop; after a grace period its whole process group is killed. So does SIGUSR1, with which Slurm announces its limit.

It starts once for every job, so it imports little: no `pathlib`, `subprocess` or `typing`, which would double its
start-up time.
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
    from typing import Any

LOCK_NAME = "supervisor.lock"
LAUNCH_NAME = "launch.json"
PROCESS_NAME = "process-{}.json"
"""Who supervisor and worker of an attempt are; written before the worker does anything."""
GROUP_SECONDS = 10.0
"""How long the rest of a process group may take to die before its end is noted without it."""
STOPS = {signal.SIGTERM: "stopped", signal.SIGUSR1: "limit"}
"""The signals that ask for the worker's end, and what stands in the record then."""
EXIT_NAME = "exit-{}.json"
"""How the attempt ended; written once, whole or not at all."""


def main(run_dir: str, attempt: int, lock: int | None) -> None:
    """Until the worker has ended. Under Slurm there is no lock: on another machine's word for it nobody relies."""
    if lock is not None:
        os.set_inheritable(lock, False)
    with open(f"{run_dir}/{LAUNCH_NAME}") as file:
        launch = json.load(file)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, *STOPS})
    started_at = time.time()
    faults.point("supervisor.begun")
    worker, release = _fork_worker(run_dir, launch)
    faults.point("supervisor.forked")
    process = {"supervisor": identify(os.getpid()), "worker": identify(worker), "started_at": started_at}
    _write(run_dir, PROCESS_NAME.format(attempt), process)
    faults.point("supervisor.known")
    os.write(release, b"!")
    os.close(release)
    faults.point("supervisor.released")
    _nudge(run_dir)
    ending = _wait(worker, launch["timeout"], launch["grace_seconds"])
    faults.point("supervisor.ended")
    ending = {"started_at": started_at, "ended_at": time.time(), **ending}
    while not _found_room(run_dir, EXIT_NAME.format(attempt), ending):
        time.sleep(1)  # what took hours must not be lost because the disk is full for a moment
    faults.point("supervisor.recorded")
    if lock is not None:
        os.close(lock)  # only now may the next attempt begin
    _nudge(run_dir)


def _fork_worker(run_dir: str, launch: dict[str, Any]) -> tuple[int, int]:
    """The worker's pid, and a pipe: one byte into it lets the worker go on. It exits if we die before that."""
    gate, release = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become_worker(run_dir, launch, gate, release)
    os.close(gate)
    try:
        os.setpgid(pid, pid)  # both sides do it, so that neither has to wait for the other
    except OSError:
        pass
    return pid, release


def _become_worker(run_dir: str, launch: dict[str, Any], gate: int, release: int) -> None:
    try:
        os.setpgid(0, 0)
        os.close(release)
        if os.read(gate, 1) != b"!":
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        log = os.open(f"{run_dir}/worker.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(launch["cwd"])
        os.execvpe(launch["argv"][0], launch["argv"], os.environ | launch["env"])
    except OSError as error:
        where = launch["cwd"] if error.filename == launch["cwd"] else launch["argv"][0]
        os.write(2, f"tunedeck: {where}: cannot be started: {error.strerror}\n".encode())
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


def _write(run_dir: str, name: str, content: dict[str, Any]) -> None:
    with open(f"{run_dir}/{name}.tmp", "w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    if name.startswith("exit"):
        faults.point("supervisor.torn")
    os.rename(f"{run_dir}/{name}.tmp", f"{run_dir}/{name}")
    directory = os.open(run_dir, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


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
