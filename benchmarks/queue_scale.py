"""A long queue: the scheduler's rounds, the daemon's memory and `tunedeck jobs` with 10,000 jobs waiting.

    python benchmarks/queue_scale.py [--jobs 10000] [--gpus 4]

Every fifth job is for a GPU, every tenth in a group without room, and the priorities differ. Rounds are timed in this
process, on the real scheduler: while its slots are full, and while jobs end and others start in each.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

from daemon.environment import passed_on
from daemon.gpus.cards import pretended
from daemon.gpus.desk import Desk
from daemon.launch import Machine
from daemon.nursery import Nursery
from daemon.scheduler import Scheduler
from daemon.settings import Settings
from daemon.slurm.cluster import Cluster
from engines.command import Recipe
from store import groups, jobs, lifecycle, machine
from store.database import Database, open_database
from store.lifecycle import NewJob
from store.schema import Status


def waiting(number: int, argv: list[str]) -> NewJob:
    recipe = Recipe.model_validate({"engine": "command", "argv": argv})
    job = NewJob(f"j{number}", "command", recipe.model_dump(mode="json", by_alias=True))
    on_card, grouped = number % 5 == 0, number % 10 == 1
    return replace(job, gpus=int(on_card), priority=number % 3 - 1, group="narrow" if grouped else None)


def scheduler(database: Database, gpus: int) -> Scheduler:
    environment, dropped = passed_on(os.environ)
    desk = Desk(database, pretended(gpus), Settings().gpus)
    slurm = Cluster(database, Settings().slurm, dropped)
    return Scheduler(database, Machine(2, 1, dropped), Nursery(environment), desk, slurm)


def timed(action: Callable[[], object], times: int, pause: float = 0.0) -> list[float]:
    """Milliseconds of each call."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        taken.append(1000 * (time.perf_counter() - began))
        time.sleep(pause)
    return taken


def rounds(count: int, gpus: int, argv: list[str], times: int, pause: float) -> list[float]:
    """The scheduler's rounds over a queue of `count` jobs of one kind."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        database = open_database(Path(folder))
        groups.set_group(database, "narrow", slots=0)
        lifecycle.enqueue(database, "long", [waiting(number, argv) for number in range(count)])
        ours = scheduler(database, gpus)
        ours.tick()
        taken = timed(ours.tick, times, pause)
        ours.stopping_jobs = True
        while ours.tick():
            time.sleep(0.05)
        ours.nursery.close()
        database.close()
    return taken


def memory_and_list(count: int) -> tuple[float, list[float]]:
    """The daemon's resident memory in MB after 20 s with a full queue, and milliseconds of `tunedeck jobs`."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        database = open_database(Path(folder))
        lifecycle.enqueue(database, "long", [waiting(number, ["sleep", "1000"]) for number in range(count)])
        argv = [sys.executable, "-P", "-m", "daemon", "--home", folder, "--cpu-slots", "2"]
        environment = os.environ | {"TUNEDECK_HOME": folder}
        with (Path(folder) / "daemon.log").open("w") as log:
            daemon = subprocess.Popen(argv, stderr=log, env=environment)
        try:
            while jobs.count_by_status(database).get(Status.RUNNING, 0) < 2:
                time.sleep(0.05)
            command = [sys.executable, "-P", "-m", "cockpit", "jobs"]
            listed = timed(
                lambda: subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True), 9
            )
            time.sleep(20)
            status = Path(f"/proc/{daemon.pid}/status").read_text()
            memory = int(status.partition("VmRSS:")[2].split()[0]) / 1024
        finally:
            machine.request_stop(database, stop_jobs=True)
            machine.nudge(database.home)
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(timeout=60)
            database.close()
    return memory, listed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--gpus", type=int, default=4)
    arguments = parser.parse_args()
    print(f"{arguments.jobs} jobs waiting, 2 slots, {arguments.gpus} GPUs")
    print(f"{'':<38} {'median':>9} {'longest':>9}")
    full = rounds(arguments.jobs, arguments.gpus, ["sleep", "1000"], 200, 0.01)
    print(f"{'a round, all slots taken, ms':<38} {median(full):>9.1f} {max(full):>9.1f}")
    for gpus in sorted({0, arguments.gpus}):
        busy = rounds(arguments.jobs, gpus, ["true"], 200, 0.02)
        what = f"a round in which {2 + gpus} jobs end and start, ms"
        print(f"{what:<41} {median(busy):>6.1f} {max(busy):>9.1f}")
    memory, listed = memory_and_list(arguments.jobs)
    print(f"{'`tunedeck jobs`, ms':<38} {median(listed):>9.0f} {max(listed):>9.0f}")
    print(f"{'memory of the daemon, MB':<38} {memory:>9.0f}")


if __name__ == "__main__":
    main()
