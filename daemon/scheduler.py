"""The daemon's loop: reap, ingest and cancel each active job, schedule and start others, then wait for a nudge.

Nothing is kept in memory between rounds that matters: which jobs are active stands in the store, how they fare stands
in their run directories. A daemon that starts after a crash goes on where the last one was killed.
"""

import logging
import os
import signal
import time
from dataclasses import dataclass, field
from typing import Any

from daemon.endings import outcome_of
from daemon.gpus.desk import Desk
from daemon.ingest import ingest
from daemon.launch import Machine, exit_file, is_supervised, process_file, start, supervisor_of
from daemon.nursery import Nursery
from daemon.processes import send
from daemon.records import read_record
from daemon.remnants import end_remnants
from daemon.slurm.cluster import Cluster
from store import jobs, lifecycle, results
from store.database import DamagedError, Database
from store.jobs import Job
from store.lifecycle import Outcome
from store.schema import Status

STARTS_PER_ROUND = 3  # the next round comes as soon as one of them has its process
BATCHES_PER_ROUND = 4  # one chatty job must not keep the others waiting

log = logging.getLogger(__name__)


@dataclass
class Scheduler:
    """The state of one daemon: its machine, whom it has started and signalled, and whether it is to stop the jobs."""

    database: Database
    machine: Machine
    nursery: Nursery
    gpus: Desk
    slurm: Cluster
    stopping_jobs: bool = False
    _started: set[tuple[int, int]] = field(default_factory=set)
    _signalled: set[tuple[int, int]] = field(default_factory=set)

    def tick(self) -> int:
        """One round. Returns how many jobs are active after it."""
        _reap_children()
        active = jobs.list_active(self.database)
        self.slurm.look(active)
        active = [job for job in active if self._goes_on(job)]
        return len(active) + (0 if self.stopping_jobs else self.schedule())

    def _goes_on(self, job: Job) -> bool:
        """Reaps, ingests and cancels one active job. False when its attempt is over."""
        try:
            if self._settle(job):
                return False
            ingest(self.database, job, max_batches=BATCHES_PER_ROUND)
            self._cancel(job)
        except DamagedError:
            raise
        except Exception:
            # What is wrong with one job, say in its run directory, must not keep the others waiting.
            log.exception("job %d (%s): this round failed", job.id, job.name)
        return True

    def _cancel(self, job: Job) -> None:
        """Asks the supervisor of an unwanted job to stop it; that one sees to the grace period and the kill."""
        unwanted = job.cancel_requested or self.stopping_jobs
        if unwanted and job.slurm:
            self.slurm.stop(job)  # its process is on another machine
        elif unwanted and (job.id, job.attempt) not in self._signalled:
            process = self._process_of(job)
            if process and send(process["supervisor"], signal.SIGTERM):
                self._signalled.add((job.id, job.attempt))

    def _process_of(self, job: Job) -> dict[str, Any] | None:
        """Who supervisor and worker are. Once the store knows, the run directory may go: they are not forgotten."""
        if job.status is Status.RUNNING:
            return results.process_of(self.database, job.id, job.attempt)
        return read_record(process_file(self.database.run_dir(job.id), job.attempt))

    def _supervisor_of(self, job: Job, process: dict[str, Any] | None) -> dict[str, Any] | None:
        """Whose remnants may have to be ended here: one in Slurm is on another machine."""
        if job.slurm:
            return None
        if process:
            supervisor: dict[str, Any] = process["supervisor"]
            return supervisor
        return supervisor_of(self.database.run_dir(job.id), job.attempt)

    def seconds_to_next(self) -> float:
        """Until the first of the waiting jobs that wait for a time."""
        at = lifecycle.next_start(self.database)
        return float("inf") if at is None else max(0.0, at - time.time())

    def schedule(self) -> int:
        """Claims and starts jobs while there is room. Returns how many."""
        started = 0
        seen = self.gpus.look()
        cards, memory = (seen.usable, seen.memory) if seen else ([], {})
        slots, count = self.machine.cpu_slots, self.gpus.count
        while started < STARTS_PER_ROUND:
            claimed = lifecycle.claim(self.database, slots, cards, memory, count, self.slurm.room())
            if claimed is None:
                break
            job, devices = claimed
            try:
                if job.slurm:
                    self.slurm.start(job)
                else:
                    start(self.database, self.machine, self.nursery, job, devices)
            except OSError as error:
                # A full disk or too many processes: that is not the job's fault, and would fail all the others too.
                log.exception("job %d (%s): cannot be started", job.id, job.name)
                outcome = Outcome(Status.QUEUED, None, f"could not be started: {error}; is tried again")
                lifecycle.finish(self.database, job.id, outcome)
                break
            log.info("job %d (%s): attempt %d started", job.id, job.name, job.attempt)
            self._started.add((job.id, job.attempt))
            started += 1
        return started

    def _settle(self, job: Job) -> bool:
        """Brings the store up to what the run directory says. True when the attempt is over."""
        run_dir = self.database.run_dir(job.id)
        # Asked first: a supervisor writes its records before it goes.
        supervised = self.slurm.holds(job) if job.slurm else is_supervised(run_dir)
        process = self._process_of(job)
        ending = read_record(exit_file(run_dir, job.attempt))
        begun = process if job.status is Status.STARTING else None
        if supervised:
            if begun:
                lifecycle.mark_running(self.database, job.id, begun)
            return False
        supervisor = self._supervisor_of(job, process)
        if ending is None and supervisor is not None and end_remnants(supervisor, run_dir):
            return False  # next round it is dead and has reported all that it will
        ingest(self.database, job)
        was_started = supervisor is not None or (job.id, job.attempt) in self._started
        if job.slurm:
            outcome = self.slurm.conclude(job)
        else:
            outcome = outcome_of(self.database, job, was_started, ending)
        status = lifecycle.finish(self.database, job.id, outcome, begun)
        log.info(
            "job %d (%s): attempt %d ended, job is %s: %s",
            job.id,
            job.name,
            job.attempt,
            status,
            outcome.reason,
        )
        return True


def _reap_children() -> None:
    """Lets ended supervisors of ours go; adopted ones belong to init."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
