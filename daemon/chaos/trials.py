"""Kill -9 at random moments: daemon, supervisor, worker, by fixed seeds; then everything must be there exactly once.

A round is a home of its own with a daemon and a queue of jobs; a trial is one kill in it. When its kills are spent, the
daemon may finish the queue, and the round is judged.
"""

import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from daemon.chaos import worker
from daemon.chaos.verdict import Kills, Verdict, judge
from daemon.launch import process_file
from daemon.processes import send
from daemon.records import read_record
from daemon.remnants import end_remnants
from engines.recipe.schemas import recipe_class
from store import jobs, lifecycle, machine, paths
from store.database import Database, open_database
from store.jobs import Job
from store.lifecycle import NewJob

TRIALS_PER_ROUND = 25
SLOTS = 2
GPUS = 2
"""Invented ones, so that bookings can be watched on any machine."""
STEPS = 40
LONGEST_RUN = 0.4
LONGEST_PAUSE = 0.25
PATIENCE = 120.0
TARGETS = ("daemon", "daemon", "supervisor", "worker", "pair", "nursery", "all")
"""Who is killed: the daemon twice as often; `pair` is supervisor and worker in one go, `all` the daemon too; `nursery` is
the process that supervisors are forked from."""


@dataclass
class Report:
    """What a number of trials came to."""

    seed: int
    trials: int = 0
    jobs: int = 0
    killed: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    verdict: Verdict = field(default_factory=Verdict)


def run(trials: int, seed: int, progress: Callable[[Report], None] = lambda _: None) -> Report:
    """So many kills, in rounds. `progress` is called after each round."""
    report, began = Report(seed), time.monotonic()
    while report.trials < trials:
        chance = random.Random(f"{seed}/{report.trials}")
        count = min(TRIALS_PER_ROUND, trials - report.trials)
        home = Path(tempfile.mkdtemp(prefix="tunedeck-chaos-"))
        try:
            _round(home, chance, count, report)
        finally:
            shutil.rmtree(home, ignore_errors=True)
        report.seconds = time.monotonic() - began
        progress(report)
    return report


def _round(home: Path, chance: random.Random, count: int, report: Report) -> None:
    witness = home / "witness"
    with _opened(home):
        witness.mkdir(mode=0o700)
    daemon = _start_daemon(home)
    kills, job_ids = Kills(), list[int]()
    try:
        for _ in range(count):
            with _opened(home) as database:
                while len(_unfinished(database)) < SLOTS + GPUS + 2:
                    job_ids.append(_submit(database, witness, chance))
                machine.nudge(home)
            time.sleep(chance.uniform(0, LONGEST_PAUSE))
            daemon = _kill(home, chance, daemon, kills, report)
            report.trials += 1
        with _opened(home) as database:
            _await_end(database)
            verdict = judge(database, job_ids, witness, kills)
    finally:
        _kill_daemon(home, daemon)
        _end_all(home)
    if verdict.broken:
        verdict.findings.append(f"(in the round that ended with trial {report.trials} of seed {report.seed})")
    report.jobs += len(job_ids)
    report.verdict.add(verdict)


def _kill(home: Path, chance: random.Random, daemon: int, kills: Kills, report: Report) -> int:
    """One trial. Returns the daemon's pid, which is another one when it was killed."""
    target = chance.choice(TARGETS)
    if target in ("daemon", "all"):
        _kill_daemon(home, daemon)
    if target == "nursery":
        _kill_children(daemon)
    elif target != "daemon":
        with _opened(home) as database:
            active = jobs.list_active(database)
        # `all` means the machine's whole load, as when memory runs out.
        unlucky = active if target == "all" else [chance.choice(active)] if active else []
        who = ("supervisor", "worker") if target in ("pair", "all") else (target,)
        hit = [_kill_job(home, job, who, kills) for job in unlucky]
        if target != "all" and not any(hit):
            target = "daemon"  # nothing else was there to be killed
            _kill_daemon(home, daemon)
    report.killed[target] += 1
    if target in ("daemon", "all"):
        time.sleep(chance.choice((0.0, chance.uniform(0, LONGEST_PAUSE))))  # jobs may end meanwhile
        return _start_daemon(home)
    return daemon


def _kill_daemon(home: Path, daemon: int) -> None:
    """A daemon that has ended before it was killed is a fault of its own, and says why in its log."""
    ended, status = os.waitpid(daemon, os.WNOHANG)
    if ended:
        words = paths.daemon_log(home).read_text(errors="replace")[-2000:]
        raise RuntimeError(f"the daemon ended by itself, status {status}; its log:\n{words}")
    os.kill(daemon, signal.SIGKILL)
    os.waitpid(daemon, 0)


def _kill_children(daemon: int) -> None:
    """The daemon's one child is the nursery, unless nothing has been started yet."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            _state, parent, _ = stat.read_text().rpartition(")")[2].split(maxsplit=2)
            if int(parent) == daemon:
                os.kill(int(stat.parent.name), signal.SIGKILL)


def _kill_job(home: Path, job: Job, who: tuple[str, ...], kills: Kills) -> bool:
    """True when one of them lived until now."""
    process = read_record(process_file(paths.run_dir(home, job.id), job.attempt))
    if process is None:
        return False
    hit = False
    for name in who:
        # Noted first: what happens between the kill and the note would look like a fault of the queue.
        (kills.workers if name == "worker" else kills.supervisors).add((job.id, job.attempt))
        hit |= send(process[name], signal.SIGKILL)
    return hit


def _submit(database: Database, witness: Path, chance: random.Random) -> int:
    seconds = chance.uniform(0.02, LONGEST_RUN)
    argv = [
        sys.executable,
        "-I",
        "-S",
        worker.__file__,
        str(witness),
        str(SLOTS),
        str(STEPS),
        f"{seconds:.3f}",
    ]
    argv.append(str(chance.choice((0, 0, 3, 7))))
    gpus = chance.choice((0, 0, 1, GPUS))
    recipe = recipe_class("command").model_validate(
        {"engine": "command", "argv": argv, "cwd": str(witness), "retry": {"times": 100, "on": ["lost"]}}
    )
    body = recipe.model_dump(mode="json", by_alias=True)
    new = NewJob("job", "command", body, gpus=gpus, priority=chance.choice((0, 0, 5)), retries=100)
    return lifecycle.enqueue(database, "chaos", [new])[1][0]


def _start_daemon(home: Path) -> int:
    """A daemon as `python -P -m daemon` is one, without the half second that importing takes. No database is open here."""
    from daemon.__main__ import main  # noqa: PLC0415 - it sets up signal handlers of its own

    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        log = os.open(paths.daemon_log(home), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        code = main(["--home", str(home), "--cpu-slots", str(SLOTS), "--pretend-gpus", str(GPUS)])
        os._exit(code)
    finally:
        os._exit(70)


@contextmanager
def _opened(home: Path) -> Iterator[Database]:
    """The store for a moment: SQLite must not be open while this process forks."""
    database = open_database(home)
    try:
        yield database
    finally:
        database.close()


def _unfinished(database: Database) -> list[Job]:
    return [job for job in jobs.list_jobs(database) if not job.is_final]


def _await_end(database: Database) -> None:
    """Until the queue is empty, or for so long that what is left must count as lost."""
    deadline = time.monotonic() + PATIENCE
    while _unfinished(database) and time.monotonic() < deadline:
        machine.nudge(database.home)
        time.sleep(0.05)


def _end_all(home: Path) -> None:
    """No process of a trial outlives it."""
    for record in paths.runs(home).glob("*/process-*.json"):
        if process := read_record(record):
            send(process["supervisor"], signal.SIGKILL)
            end_remnants(process["supervisor"], record.parent)
