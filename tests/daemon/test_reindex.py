"""A database that is damaged: noticed, set aside, and built again from the files beside it."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from daemon.chaos import worker
from daemon.launch import process_file
from daemon.records import read_record
from store import groups, jobs, lifecycle, machine, metrics, paths, results, schedules, wishes
from store.database import DamagedError, Database, StoreError, open_database
from store.lifecycle import NewJob
from store.rebuild import set_aside
from store.schema import Status, metadata

EVENTS = r"""
cat >> $TUNEDECK_RUN_DIR/events.jsonl <<'END'
{"kind": "progress", "time": 5, "done": 1, "total": 2, "unit": "step"}
{"kind": "score", "time": 6, "name": "strict", "value": 0.5, "fields": {"n": 2}}
{"kind": "example", "time": 7, "key": "x/0", "fields": {"example_id": "x", "sample": 0, "strict": true, "robust": true, "text": "4"}}
{"kind": "artifact", "time": 8, "name": "model", "path": "model"}
{"kind": "message", "time": 9, "level": "warning", "text": "beware"}
torn
END
exit 3
"""


def command(*argv: str) -> dict[str, Any]:
    from engines.command import Recipe

    return Recipe.model_validate({"engine": "command", "argv": list(argv)}).model_dump(
        mode="json", by_alias=True
    )


def tunedeck(*arguments: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-P", "-m", "cockpit", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120)


def content(home: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, without the numbers that SQLite gives out as it likes."""
    database = open_database(home)
    kept = {}
    with database.read() as connection:
        names: dict[Any, Any] = dict(
            connection.exec_driver_sql("SELECT id, job_id || '/' || name FROM series").all()
        )
        for table in metadata.sorted_tables:
            if table.name in ("daemon", "rollups"):
                continue
            own_id = table.name in ("series", "transitions", "messages", "retracted_points")
            columns = [c for c in table.c if not (c.name == "id" and own_id)]
            rows = connection.execute(select(*columns).order_by(*columns)).all()
            place = next((i for i, c in enumerate(columns) if c.name == "series_id"), None)
            found = [repr(tuple(names[v] if i == place else v for i, v in enumerate(row))) for row in rows]
            kept[table.name] = sorted(found)
    database.close()
    return kept


def damage(path: Path) -> None:
    """Garbage over every page but the first, as a bad disk leaves it."""
    database = open_database(path.parent)
    with database.write() as connection:  # what is still in the log is lost with it
        connection.exec_driver_sql("UPDATE daemon SET wish = NULL")
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()
    database.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))


@pytest.fixture
def worked(database: Database, start_daemon: Any, submit: Any, ended: Any, until: Any) -> Database:
    """A home in which much has happened and whose daemon is down."""
    witness = database.home / "witness"
    witness.mkdir()
    submit("sh", "-c", EVENTS, name="reports")
    start_daemon_process = start_daemon("--pretend-gpus", "1")
    argv = [sys.executable, "-I", "-S", worker.__file__, str(witness), "9", "200", "4", "0"]
    twice = submit(*argv, name="twice", gpus=1, retries=1, retry={"times": 1, "on": ["lost"]})
    until(lambda: (database.run_dir(twice) / "state").exists())
    process = read_record(process_file(database.run_dir(twice), 1))
    assert process is not None
    os.kill(process["supervisor"]["pid"], signal.SIGKILL)
    needs = [
        NewJob("a", "command", command("false")),
        NewJob("b", "command", command("true"), (("a", "it"),)),
    ]
    lifecycle.enqueue(database, "needs", needs, provenance={"cwd": "/"})
    _, [waits, unwanted] = lifecycle.enqueue(
        database, "held", [NewJob(n, "command", command("true")) for n in ("waits", "unwanted")], held=True
    )
    wishes.set_priority(database, waits, 7)
    groups.set_group(database, "nights", slots=3)
    groups.set_group(database, "nights", paused=True)
    again = [NewJob("c", "command", command("true"))]
    schedules.add_schedule(database, "weekly", "0 3 * * 1", 4e9, again, provenance={})
    schedules.remove_schedule(database, schedules.add_schedule(database, "gone", "0 3 * * 1", 4e9, again))
    wishes.request_cancel(database, unwanted)
    machine.nudge(database.home)
    until(lambda: sum(job.is_final for job in jobs.list_jobs(database)) == 5)
    start_daemon_process.terminate()
    start_daemon_process.wait()
    return database


def test_a_damaged_database_is_rebuilt_to_the_last_row(worked: Database) -> None:
    home = worked.home
    worked.close()
    before = content(home)
    assert {name for name, rows in before.items() if not rows} == {"gpu_reservations"}
    damage(paths.database(home))
    shown = tunedeck("jobs")
    assert shown.returncode == 1
    assert "`tunedeck doctor --reindex`" in shown.stderr
    done = tunedeck("doctor", "--reindex", "--json")

    assert done.returncode == 0, done.stderr
    rebuilt = json.loads(done.stdout)
    assert ".corrupt-" in rebuilt["set_aside"]
    assert Path(rebuilt["set_aside"]).exists()
    assert content(home) == before


def test_run_directories_alone_are_enough_for_what_ran(
    worked: Database, start_daemon: Any, until: Any
) -> None:
    home = worked.home
    points = list(metrics.read_points(worked, 2, "loss"))
    codes = {job.id: job.exit_code for job in jobs.list_jobs(worked) if job.attempt}
    worked.close()
    damage(paths.database(home))
    shutil.rmtree(home / "experiments")
    assert tunedeck("doctor", "--reindex").returncode == 0
    start_daemon("--pretend-gpus", "1")
    until(lambda: all(job.is_final for job in jobs.list_jobs(worked)))

    there = jobs.list_jobs(worked)
    assert {job.id: job.exit_code for job in there} == codes
    assert {job.experiment for job in there} == {"test", "needs"}
    assert list(metrics.read_points(worked, 2, "loss")) == points
    assert results.list_scores(worked, [1])[0].value == 0.5
    assert results.list_examples(worked, 1)[0].example_id == "x"


def test_a_running_job_goes_on_through_damage_and_rebuilding_and_keeps_its_exit_code(
    start_daemon: Any, database: Database, submit: Any, ended: Any, until: Any
) -> None:
    daemon = start_daemon()
    job_id = submit("sh", "-c", "until test -e $TUNEDECK_RUN_DIR/finish; do sleep 0.02; done; exit 7")
    until(lambda: jobs.get_job(database, job_id).status is Status.RUNNING)
    daemon.kill()
    daemon.wait()
    database.close()
    damage(paths.database(database.home))
    assert "`tunedeck doctor --reindex`" in tunedeck("up").stderr
    assert subprocess.run([sys.executable, "-P", "-m", "daemon"], capture_output=True).returncode == 1
    assert list(database.home.glob("tunedeck.db.corrupt-*"))
    assert "in recovery mode" in tunedeck("jobs").stderr
    assert tunedeck("doctor", "--reindex").returncode == 0
    assert jobs.get_job(database, job_id).status is Status.RUNNING
    start_daemon()
    (database.run_dir(job_id) / "finish").touch()

    assert (ended(job_id).exit_code, jobs.get_job(database, job_id).attempt) == (7, 1)


def test_an_attempt_that_the_journal_does_not_know_is_adopted_and_not_started_twice(
    start_daemon: Any, database: Database, submit: Any, ended: Any, until: Any
) -> None:
    daemon = start_daemon()
    job_id = submit("sh", "-c", "echo >> $TUNEDECK_RUN_DIR/starts; sleep 0.3; exit 7")
    until(lambda: jobs.get_job(database, job_id).status is Status.RUNNING)
    daemon.kill()
    daemon.wait()
    database.close()
    paths.journal(database.home, 1).unlink()
    assert tunedeck("doctor", "--reindex").returncode == 0
    start_daemon()

    assert (ended(job_id).exit_code, jobs.get_job(database, job_id).attempt) == (7, 1)
    assert (database.run_dir(job_id) / "starts").read_text() == "\n"


def test_nothing_is_rebuilt_while_a_daemon_runs(start_daemon: Any, database: Database) -> None:
    start_daemon()
    done = tunedeck("doctor", "--reindex")

    assert (done.returncode, "a daemon runs here" in done.stderr) == (1, True)


def test_damage_that_a_running_daemon_meets_makes_it_stop_and_not_write_on(
    start_daemon: Any, database: Database, submit: Any
) -> None:
    daemon = start_daemon()
    database.close()
    damage(paths.database(database.home))
    machine.nudge(database.home)

    assert daemon.wait(timeout=60) == 1
    assert list(database.home.glob("tunedeck.db.corrupt-*"))
    with pytest.raises(StoreError, match="unable to open"):  # nor may one who had it open make an empty one
        jobs.list_jobs(database)
    assert not paths.database(database.home).exists()
    assert tunedeck("doctor", "--reindex").returncode == 0


def test_a_damaged_database_is_never_replaced_by_an_empty_one(database: Database) -> None:
    database.close()
    damage(paths.database(database.home))
    with pytest.raises(DamagedError, match="doctor --reindex"):
        jobs.list_jobs(open_database(database.home))
    aside = set_aside(database.home)
    with pytest.raises(StoreError, match="in recovery mode"):
        open_database(database.home)
    assert aside is not None
    assert aside.exists()
