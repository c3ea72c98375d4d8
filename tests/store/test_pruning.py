"""What may go, what has to stay, and a kill in the middle."""

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from store import jobs, lifecycle, paths, results
from store.database import Database
from store.lifecycle import NewJob, Outcome
from store.pruning import MARKER, prune, read_marker
from store.retention import KINDS, Spared, Wish, find_victims
from store.schema import Status
from store.wishes import retry

DAY = 86400.0


def run(database: Database, job_id: int, status: Status = Status.SUCCEEDED) -> Path:
    """Does what the daemon and a worker do: the next job is run, and leaves files of 100 bytes."""
    claimed = lifecycle.claim(database, 1000, [])
    assert claimed is not None
    assert claimed[0].id == job_id
    run_dir = database.run_dir(job_id)
    for name in (
        "checkpoints/checkpoint-1/a.bin",
        "model/b.bin",
        "debug/c.csv",
        "r1/checkpoints/d",
        "worker.log",
    ):
        (run_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (run_dir / name).write_bytes(bytes(100))
    (run_dir / "events.jsonl").write_text("")
    lifecycle.finish(database, job_id, Outcome(status, 0, None))
    return run_dir


def pipeline(database: Database) -> list[int]:
    """`b` starts from `a`, `c` only waits for `a`."""
    return lifecycle.enqueue(
        database,
        "e",
        [
            NewJob("a", "sft", {"engine": "sft"}),
            NewJob("b", "sft", {"engine": "sft"}, needs=(("a", "a"),)),
            NewJob("c", "sft", {"engine": "sft"}, needs=(("a", None),)),
        ],
    )[1]


def names(database: Database, *kinds: str, older_than: float = 0.0) -> list[str]:
    victims, _ = find_victims(database, Wish(kinds, older_than), time.time())
    return sorted(str(victim.path.relative_to(database.home)) for victim in victims)


def test_nothing_goes_that_a_waiting_job_starts_from(database: Database) -> None:
    a, b, c = pipeline(database)
    run(database, a)
    victims, spared = find_victims(database, Wish(("checkpoints", "models")), time.time())
    why = f"job {b}, which is queued, starts from it"
    assert (victims, spared) == ([], [Spared(a, "checkpoints", why), Spared(a, "models", why)])

    run(database, b)
    run(database, c)
    assert len(names(database, "checkpoints")) == 6


def test_a_job_that_names_a_run_directory_keeps_it(database: Database) -> None:
    a, _, _ = pipeline(database)
    run(database, a)
    lifecycle.enqueue(
        database, "f", [NewJob("x", "sft", {"model": {"base": f"{database.run_dir(a)}/model"}})]
    )
    for job in jobs.list_jobs(database, statuses=[Status.BLOCKED, Status.QUEUED])[:2]:
        run(database, job.id)
    _, spared = find_victims(database, Wish(("checkpoints",)), time.time())

    assert [(one.job_id, one.why) for one in spared] == [
        (a, "job 4, which is queued, names its run directory")
    ]


def test_a_model_stays_while_one_that_was_made_from_it_does(database: Database) -> None:
    a, b, c = pipeline(database)
    for job_id in (a, b, c):
        run(database, job_id)
    victims, spared = find_victims(database, Wish(("models",), 0.0, frozenset([a, c])), time.time())
    assert [victim.job_id for victim in victims] == [c]
    assert spared == [Spared(a, "models", f"the model of job {b} was made from it, and stays")]
    both, spared = find_victims(database, Wish(("models",), 0.0, frozenset([a, b])), time.time())
    assert ([victim.job_id for victim in both], spared) == ([a, b], [])


def test_checkpoints_of_a_failed_job_stay_unless_its_run_is_meant(database: Database) -> None:
    [job_id] = lifecycle.enqueue(database, "e", [NewJob("a", "sft", {})])[1]
    run(database, job_id, Status.FAILED)
    assert names(database, "checkpoints") == []
    kept = {"worker.log", "checkpoints", "debug", "r1/checkpoints"}
    assert set(names(database, "runs")) == {f"runs/{job_id}/{name}" for name in kept}
    assert names(database, "runs", older_than=DAY) == []


def test_a_pruned_run_says_so_and_keeps_records_and_model(database: Database) -> None:
    [job_id] = lifecycle.enqueue(database, "e", [NewJob("a", "sft", {})])[1]
    run_dir = run(database, job_id)
    victims, _ = find_victims(database, Wish(("runs",)), time.time())
    done = prune(database, victims)

    assert (done.bytes, done.paths, done.spared) == (400, 4, 0)
    assert sorted(path.name for path in run_dir.iterdir()) == ["events.jsonl", "model", MARKER, "r1"]
    [entry] = read_marker(run_dir)
    assert (entry["kind"], entry["bytes"]) == ("runs", 400)
    last = results.list_transitions(database, job_id)[-1]
    assert (last.from_status, last.to_status) == ("succeeded", "succeeded")
    assert "pruned: checkpoints" in str(last.reason)
    assert names(database, *KINDS[:2]) == []


def test_a_job_that_is_retried_after_the_look_keeps_everything(database: Database) -> None:
    [job_id] = lifecycle.enqueue(database, "e", [NewJob("a", "sft", {})])[1]
    run_dir = run(database, job_id, Status.FAILED)
    victims, _ = find_victims(database, Wish(("runs",)), time.time())
    retry(database, job_id)
    done = prune(database, victims)

    assert (done.paths, done.spared) == (0, 1)
    assert (run_dir / "checkpoints/checkpoint-1/a.bin").exists()
    assert not (run_dir / MARKER).exists()


@pytest.mark.parametrize("point", ["prune.marked", "prune.renamed"])
def test_a_killed_prune_leaves_nothing_by_halves(point: str, database: Database) -> None:
    [job_id] = lifecycle.enqueue(database, "e", [NewJob("a", "sft", {})])[1]
    run_dir = run(database, job_id)
    code = (
        "import time; from store.database import open_database; from store.pruning import prune;"
        "from store.retention import Wish, find_victims; database = open_database();"
        "prune(database, find_victims(database, Wish(('checkpoints',)), time.time())[0])"
    )
    killed = subprocess.run([sys.executable, "-c", code], env=os.environ | {"TUNEDECK_FAULT": point})
    assert killed.returncode == -9
    gone = point == "prune.renamed"
    assert (run_dir / "checkpoints/checkpoint-1/a.bin").exists() is not gone
    assert (run_dir / "checkpoints").exists() is not gone
    assert bool(read_marker(run_dir)) is gone

    again, _ = find_victims(database, Wish(("checkpoints",)), time.time())
    prune(database, again)
    assert sorted(path.name for path in run_dir.iterdir()) == [
        "debug", "events.jsonl", "model", MARKER, "r1", "worker.log",
    ]  # fmt: skip
    assert read_marker(run_dir)
    assert names(database, "checkpoints") == []


def test_orphans_the_cache_and_old_databases_go_by_age_and_a_live_supervisor_keeps_its_own(
    database: Database,
) -> None:
    home = database.home
    old = time.time() - 3 * DAY
    files = [home / "cache/completions/x.jsonl", home / "cache/y", home / "tunedeck.db.corrupt-1"]
    orphans = [paths.run_dir(home, 77), paths.run_dir(home, 78)]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(10))
    for path in orphans:
        path.mkdir()
        (path / "supervisor.lock").write_text("")
    for path in (*files[::2], *orphans):
        os.utime(path, (old, old))
    expected = ["cache/completions/x.jsonl", "runs/77", "runs/78", "tunedeck.db.corrupt-1"]
    assert names(database, "orphans", "cache", "databases", older_than=2 * DAY) == expected
    with (orphans[1] / "supervisor.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        victims, _ = find_victims(database, Wish(KINDS, 2 * DAY), time.time())
        assert prune(database, victims).paths == 3

    assert [path.exists() for path in (*files, *orphans)] == [False, True, False, False, True]


def test_a_link_goes_and_what_it_leads_to_stays(database: Database, tmp_path: Path) -> None:
    [job_id] = lifecycle.enqueue(database, "e", [NewJob("a", "sft", {})])[1]
    run_dir = run(database, job_id)
    (run_dir / "checkpoints").rename(tmp_path / "big disk")
    (run_dir / "checkpoints").symlink_to(tmp_path / "big disk")
    prune(database, find_victims(database, Wish(("checkpoints",)), time.time())[0])

    assert not (run_dir / "checkpoints").is_symlink()
    assert (tmp_path / "big disk/checkpoint-1/a.bin").exists()
