"""Places at which a process can be made to die, so that tests kill it exactly there.

    TUNEDECK_FAULT=reserve.committed:2      the second time that this process comes by, it kills itself with SIGKILL

Unset, a place costs one comparison. Light at import, as every supervisor imports it: `os` alone.
"""

import os

SIGKILL = 9

POINTS = {
    "submit.inserted": "the jobs of a submission are written, nothing is committed",
    "submit.recorded": "the submission's record lies beside the database, nothing is committed",
    "submit.committed": "the submission is committed, nobody has been told",
    "reserve.uncommitted": "a job is claimed and its devices reserved, nothing is committed",
    "reserve.committed": "the claim is committed, nothing is started",
    "spawn.frozen": "the launch is written down, no process exists",
    "spawn.started": "the supervisor lives, the daemon has not noted that it started it",
    "slurm.frozen": "the batch script is written, sbatch has not been called",
    "slurm.submitting": "sbatch is at it, and goes on without the daemon",
    "slurm.known": "Slurm's number of the job is known, nothing of it is on record",
    "supervisor.begun": "the supervisor lives and has said who it is, it has no worker",
    "supervisor.spawned": "the worker runs, nothing says who it is",
    "supervisor.known": "who the worker is is written down, nobody has been told",
    "supervisor.ended": "the worker has ended, nothing says how",
    "supervisor.torn": "the record of the ending is written, not yet renamed into place",
    "supervisor.recorded": "the record of the ending is in place",
    "adopt.uncommitted": "the job is marked as running, nothing is committed",
    "adopt.committed": "the job is committed as running",
    "ingest.uncommitted": "a batch of events is written, nothing is committed",
    "ingest.committed": "a batch of events is committed",
    "finish.uncommitted": "the attempt is ended and its devices freed, nothing is committed",
    "finish.committed": "the ending is committed, nobody has been told",
    "prune.marked": "what is taken out of a run directory is noted there, and still there",
    "prune.renamed": "it is out of sight, not yet deleted",
    "journal.behind": "a change is committed, it does not stand in the journal yet",
}
"""Every place, with what is true there: submit, reserve, spawn, adopt, ingest, finish, prune."""

_wanted, _, _count = os.environ.get("TUNEDECK_FAULT", "").partition(":")
_visits_left = int(_count or 1)


def point(name: str) -> None:
    """Kills this process, if `TUNEDECK_FAULT` says so."""
    if name == _wanted:
        _count_down()


def _count_down() -> None:
    global _visits_left
    _visits_left -= 1
    if _visits_left == 0:
        os.kill(os.getpid(), SIGKILL)
