"""`python -P -m daemon.reindex`: builds the database again from the journal and the run directories.

Nothing is deleted: the old file is set aside when the new one is complete. Running jobs go on meanwhile; the next daemon
adopts them, and settles those that have ended.
"""

import argparse
import json
import logging
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from daemon.__main__ import take_lock
from daemon.gpus.watch import FILE_NAME as SAMPLES_NAME
from daemon.ingest import ingest, is_sound
from daemon.launch import exit_file, process_file
from daemon.records import read_record
from daemon.supervisor import LAUNCH_NAME
from engines import events
from engines.recipe.document import read_document
from engines.recipe.errors import RecipeError
from store import jobs, paths, rebuild, results
from store.database import Database, StoreError, open_database
from store.rebuild import Bounds
from store.samples import record_samples

FOUND = "found"
"""The experiment of jobs whose own is not known."""
log = logging.getLogger(__name__)


@dataclass
class Rebuilt:
    """What a new database holds."""

    experiments: int = 0
    jobs: int = 0
    found: list[int] = field(default_factory=list)
    """Jobs of which there was nothing but a run directory. They are held."""
    adopted: list[int] = field(default_factory=list)
    """Jobs with an attempt that the journal did not know."""
    lines: int = 0
    """Lines of events that were read."""
    unreadable: list[str] = field(default_factory=list)
    set_aside: str | None = None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -P -m daemon.reindex", description=__doc__)
    parser.add_argument("--home", type=Path, default=paths.home())
    home = parser.parse_args().home
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    if not home.is_dir() or not take_lock(home):
        log.error(
            "%s", "a daemon runs\nhint: `tunedeck down` first" if home.is_dir() else f"{home}: is not there"
        )
        return 1
    try:
        rebuilt = reindex(home)
    except StoreError as error:
        log.error("%s", error)
        return 1
    sys.stdout.write(json.dumps(asdict(rebuilt)) + "\n")
    return 0


def reindex(home: Path) -> Rebuilt:
    """Builds the new database beside the old one and then changes them over. Nobody else may write meanwhile."""
    new = home / f"{paths.database(home).name}.new"
    _remove(new)
    rebuilt = Rebuilt()
    database = open_database(home, new)
    try:
        records, unreadable = rebuild.read_submissions(home)
        if lost := rebuild.restore_standing(database):
            unreadable.append(lost)
        rebuilt.unreadable = [str(path) for path in unreadable]
        bounds: dict[int, Bounds] = {}
        for record in records:
            bounds |= rebuild.restore(database, record)
            rebuilt.experiments += 1
        known = {job.id for job in jobs.list_jobs(database)}
        directories = sorted(
            int(path.name) for path in paths.runs(home).glob("[0-9]*") if path.name.isdigit()
        )
        for job_id in [number for number in directories if number not in known]:
            if _add_found(database, job_id):
                rebuilt.found.append(job_id)
            else:
                rebuilt.unreadable.append(str(database.run_dir(job_id)))
        for job in jobs.list_jobs(database):
            if _add_attempts(database, job):
                rebuilt.adopted.append(job.id)
            rebuilt.lines += _read_events(database, job.id, bounds.get(job.id, []))
            _read_samples(database, job.id)
            rebuilt.jobs += 1
    finally:
        database.close()
    old = paths.database(home)
    sound = old.exists() and rebuild.is_sound(old)
    aside = rebuild.set_aside(home, "replaced" if sound else "corrupt")
    rebuilt.set_aside = str(aside) if aside else None
    new.rename(old)
    return rebuilt


def _read_events(database: Database, job_id: int, bounds: Bounds) -> int:
    """Reads all events of a job, each attempt's as its own."""
    last = jobs.get_job(database, job_id).attempt
    lines = 0
    for attempt, offset in bounds[:-1]:
        rebuild.count_as_attempt(database, job_id, attempt)
        lines += ingest(database, jobs.get_job(database, job_id), until=offset)
    rebuild.count_as_attempt(database, job_id, last)
    return lines + ingest(database, jobs.get_job(database, job_id))


def _read_samples(database: Database, job_id: int) -> None:
    """What the daemon has observed of the job's cards, each sample with the attempt that ran then."""
    try:
        lines = (database.run_dir(job_id) / SAMPLES_NAME).read_bytes().splitlines()
    except FileNotFoundError:
        return
    claimed = [(attempt.claimed_at, attempt.number) for attempt in results.list_attempts(database, job_id)]
    for event in (event for event in events.parse(lines) if event is not None and is_sound(event)):
        attempt = max((number for at, number in claimed if at <= event["time"]), default=1)
        record_samples(database, [(job_id, attempt, [event])])


def _add_attempts(database: Database, job: jobs.Job) -> bool:
    """A daemon that was killed between a commit and its line in the journal has left attempts that only the files know."""
    run_dir = database.run_dir(job.id)
    found, number = [], job.attempt + 1
    while process := read_record(process_file(run_dir, number)):
        started = process["started_at"]
        found.append(
            {
                "job_id": job.id,
                "number": number,
                "claimed_at": started,
                "started_at": started,
                "process": process,
                "devices": [],
            }
        )
        number += 1
    rebuild.add_attempts(database, job.id, found)
    return bool(found)


def _add_found(database: Database, job_id: int) -> bool:
    """A job out of nothing but its run directory: recipe, launch and records. False when not even those are there."""
    run_dir = database.run_dir(job_id)
    launch = read_record(run_dir / LAUNCH_NAME)
    try:
        recipe = read_document(run_dir / "recipe.yaml").data
    except (OSError, RecipeError):
        return False
    if launch is None or not isinstance(recipe, dict):
        return False
    experiment = launch.get("experiment") or {"id": 0, "name": FOUND}
    first = read_record(process_file(run_dir, 1)) or read_record(exit_file(run_dir, 1)) or {}
    created = float(first.get("started_at") or time.time())
    rebuild.add_job(
        database,
        {
            "id": experiment["id"],
            "name": experiment["name"],
            "created_at": created,
            "recipe_path": "",
            "recipe_text": (run_dir / "recipe.yaml").read_text(encoding="utf-8"),
            "provenance": read_record(run_dir / "provenance.json") or {},
        },
        _found_row(job_id, experiment["id"], launch, recipe, created),
    )
    return True


def _found_row(
    job_id: int, experiment_id: int, launch: dict[str, Any], recipe: dict[str, Any], created: float
) -> dict[str, Any]:
    """Held, for nobody knows whether it was cancelled. Its name may be taken, its number is not."""
    resources = recipe.get("resources", {})
    gpus = resources.get("gpus", 0)
    return rebuild.UNREAD | {
        "id": job_id,
        "experiment_id": experiment_id,
        "name": f"{launch['name']}" if experiment_id else f"{launch['name']}-{job_id}",
        "engine": recipe["engine"],
        "recipe": recipe,
        "status": "queued",
        "priority": recipe.get("priority", 0),
        "held": True,
        "gpus": None if gpus == "auto" else gpus,
        "slurm": resources.get("slurm"),
        "created_at": created,
        "reason": "found by its run directory alone",
    }


def _remove(new: Path) -> None:
    """What an earlier attempt may have left."""
    for suffix in ("", "-wal", "-shm"):
        new.with_name(new.name + suffix).unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
