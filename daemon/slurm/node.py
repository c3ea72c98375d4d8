"""`python -P -m daemon.slurm.node RUN_DIR ATTEMPT`: what a batch script becomes on the node that Slurm has chosen.

It is the supervisor of one attempt, once. A Slurm that was killed may have forgotten that it had started a job, end it
and start it again: the second one leaves the attempt alone and says so, and the daemon makes another attempt of it.
"""

import contextlib
import os
import sys
from pathlib import Path

from daemon import supervisor

BEGUN_NAME = "begun-{}"
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
    supervisor.main(str(run_dir), attempt, None)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
