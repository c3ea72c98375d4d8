"""Kill -9 of daemons, supervisors and workers at random moments, by fixed seeds. The rest of the trials is `slow`."""

import sys
from pathlib import Path

import pytest

from daemon.chaos import trials
from daemon.chaos.__main__ import as_text
from daemon.chaos.verdict import Kills, judge
from store import lifecycle, metrics
from store.database import Database
from store.lifecycle import NewJob
from store.schema import Status

TRIALS = 1000


@pytest.fixture(autouse=True)
def _homes_are_below_the_tests_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.mark.parametrize(
    "count", [50, pytest.param(TRIALS - 50, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
def test_random_kills_lose_nothing_and_double_nothing(count: int) -> None:
    report = trials.run(count, seed=count)
    sys.stdout.write(as_text(report) + "\n")

    assert report.verdict.findings == []
    assert report.verdict.broken == 0
    assert report.trials == count
    assert report.killed["daemon"] + report.killed["all"] > 0
    assert report.killed["supervisor"] > 0


def test_the_verdict_sees_what_is_lost_doubled_wrong_and_booked_twice(
    database: Database, tmp_path: Path
) -> None:
    """A verdict that could not fail would prove nothing."""
    # Nothing here needs a daemon: the rows and files are what a broken one would leave.
    _, [job_id] = lifecycle.enqueue(database, "test", [NewJob("a", "command", {})])
    assert lifecycle.claim(database, 0, ["GPU-a"]) is None
    assert lifecycle.claim(database, 1, []) is not None
    lifecycle.finish(database, job_id, lifecycle.Outcome(Status.FAILED, 1, "why"))
    run_dir = database.run_dir(job_id)
    run_dir.mkdir()
    (run_dir / "diary").write_text("start 1\nend 1 3\n")
    line = '{"kind": "metrics", "time": 1, "step": %d, "values": {"loss": 1}}\n'
    (run_dir / "events.jsonl").write_text(line % 1 + line % 2)
    with database.write() as connection:
        metrics.append(connection, job_id, 1, [("loss", 1, 1.0, 1.0), ("loss", 1, 1.0, 1.0)])
    (tmp_path / "meetings").write_text("GPU-a is booked twice\n")
    verdict = judge(database, [job_id, 9], tmp_path, Kills())

    assert (verdict.lost_jobs, verdict.lost_rows, verdict.doubled_rows) == (1, 1, 1)
    assert (verdict.wrong_exit_codes, verdict.double_bookings) == (1, 1)
