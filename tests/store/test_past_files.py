import pytest

from engines.events import EventWriter
from store import jobs, lifecycle, past_files, records
from store.experiments import NewJob
from store.past import Past
from store.past_files import progress_at

START = 1_790_000_000.0


@pytest.fixture
def events(tmp_path, monkeypatch):
    """A worker's events: every second a point, every tenth second how far it is."""
    writer = EventWriter(tmp_path)
    now = START
    monkeypatch.setattr("time.time", lambda: now)
    for second in range(1, 2001):
        now = START + second
        writer.metrics(second, {"loss": 1.0})
        if second % 10 == 0:
            writer.progress(second / 10, 500, "example")
    writer.close()
    return tmp_path


@pytest.mark.parametrize("block", [512, 1 << 18])
@pytest.mark.parametrize("second", [10, 11, 999, 1000, 1995, 5000])
def test_progress_is_the_last_that_was_reported_by_then(events, second, block, monkeypatch):
    monkeypatch.setattr(past_files, "BLOCK", block)
    found = progress_at(events, START + second + 0.5)
    tens = min(second, 2000) // 10
    assert found == {
        "progress_done": tens, "progress_total": 500, "progress_unit": "example", "progress_at": START + 10 * tens,
    }  # fmt: skip


def test_a_worker_that_had_reported_none_had_none(events):
    assert progress_at(events, START + 5.5) == dict.fromkeys(
        ("progress_done", "progress_total", "progress_unit", "progress_at")
    )


def test_without_events_nothing_is_known(tmp_path):
    assert progress_at(tmp_path, START) is None


def test_a_line_that_is_no_event_is_passed_over(tmp_path):
    (tmp_path / "events.jsonl").write_bytes(
        b'{"kind": "progress", "time": 5, "done": 1, "total": 2}\n'
        b'{"kind": "progress", "time": 5, "done": 3, "total": "two"}\n'
        b'{"kind": "progress", "time": 5, "done": 3, "total": 2, "unit": {"of": "what"}}\n'
        b'{"kind": "progress", "time": 5, "done": true, "total": 2}\n'
        b'{"kind": "metrics", "time": "6"}\nnot json\n[1]\n{"kind": "metrics", "time": 7}\n{"ki'
    )
    found = progress_at(tmp_path, 8.0)
    assert found and (found["progress_done"], found["progress_total"]) == (1, 2)


def test_events_that_cannot_be_read_are_as_good_as_none(tmp_path):
    (tmp_path / "events.jsonl").mkdir()
    assert progress_at(tmp_path, START) is None


def test_a_job_that_counts_examples_shows_them_as_they_were(database, monkeypatch):
    now = START
    monkeypatch.setattr("time.time", lambda: now)
    lifecycle.enqueue(database, "demo", [NewJob("a", "eval", {})])
    lifecycle.claim(database, 1, [])
    lifecycle.mark_running(database, 1, {"started_at": now})
    database.run_dir(1).mkdir(parents=True)
    writer = EventWriter(database.run_dir(1))
    for done in (10, 20, 30):
        now = START + done
        writer.progress(done, 40, "example")
    writer.close()
    event = {"kind": "progress", "time": now, "done": 30, "total": 40, "unit": "example"}
    records.record(database, 1, 0, 1, [event])
    past = Past(database, START + 25)
    job = jobs.get_job(past, 1)
    past.close()
    assert (job.progress_done, job.progress_total, job.progress_at) == (20, 40, START + 20)
