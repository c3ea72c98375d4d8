"""`python -P -m daemon.slurm.node RUN_DIR ATTEMPT`: what a batch script becomes on the node that Slurm has chosen.

It is the supervisor of one attempt, once. A Slurm that was killed may have forgotten that it had started a job, end it
and start it again: the second one leaves the attempt alone and says so, and the daemon makes another attempt of it.
"""

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Any

from daemon import supervisor

BEGUN_NAME = "begun-{}"
PR_SET_PDEATHSIG = 1
AGAIN_NAME = "again-{}"
"""Slurm has started the attempt a second time."""


def main(run_dir: Path, attempt: int) -> int:
    try:
        # Exclusive on a shared file system, too.
        os.close(os.open(run_dir / BEGUN_NAME.format(attempt), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        with contextlib.suppress(OSError):
            (run_dir / AGAIN_NAME.format(attempt)).touch(mode=0o600)
        os.write(2, b"tunedeck: Slurm has started this attempt a second time; it is left to the next one\n")
        return 1
    supervisor.main(str(run_dir), attempt, None, start=start_bound_worker)
    return 0


def start_bound_worker(run_dir: str, launch: dict[str, Any]) -> int:
    """A worker that the kernel ends with its supervisor: what Slurm leaves behind on a node, nobody of ours can look for."""
    libc, ourselves = ctypes.CDLL(None), os.getpid()
    pid = os.fork()
    if pid:
        return pid
    os.setpgid(0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != ourselves:
        os._exit(1)  # it was killed in between
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # which Python ignores, and programs count on
    log = os.open(f"{run_dir}/worker.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), log, log)):
        os.dup2(file, number)
    try:
        os.chdir(launch["cwd"])
        os.execvpe(launch["argv"][0], launch["argv"], os.environ | launch["env"])
    except OSError as error:
        supervisor.give_up(2, launch, error)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
