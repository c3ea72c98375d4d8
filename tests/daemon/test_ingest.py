"""Reading `events.jsonl`: torn lines, rubbish, and batches."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from daemon import ingest as ingest_module
from daemon.ingest import ingest
from engines import events
from engines.events import EventWriter
from store import jobs, metrics
from store.database import Database
from store.lifecycle import NewJob, enqueue


@pytest.fixture
def job_id(database: Database) -> int:
    _, [job_id] = enqueue(database, "test", [NewJob("a", "command", {})])
    database.run_dir(job_id).mkdir(parents=True)
    return job_id


def steps(database: Database, job_id: int) -> list[int]:
    if not metrics.list_series(database, [job_id]):
        return []
    return [point.step for point in metrics.read_points(database, job_id, "loss")]


def line(step: int) -> bytes:
    return orjson.dumps({"kind": "metrics", "time": 1.0, "step": step, "values": {"loss": 0.5}}) + b"\n"


def test_a_line_torn_at_any_byte_waits_for_its_rest(database: Database, job_id: int) -> None:
    path = database.run_dir(job_id) / "events.jsonl"
    torn = line(2)
    for cut in range(len(torn)):
        path.write_bytes(line(1) + torn[:cut])
        ingest(database, jobs.get_job(database, job_id))
        assert steps(database, job_id) == [1]
    path.write_bytes(line(1) + torn + line(3))
    ingest(database, jobs.get_job(database, job_id))

    assert steps(database, job_id) == [1, 2, 3]


@pytest.mark.parametrize(
    "rubbish",
    [
        b"not json\n",
        b"[1, 2]\n",
        b'{"no": "kind"}\n',
        b'{"kind": "metrics", "step": "one", "time": 1, "values": {}}\n',
        b'{"kind": "metrics", "step": 1, "time": 1, "values": {"loss": "high"}}\n',
        b'{"kind": "metrics", "step": 1, "time": 1, "values": {"loss": null}}\n',
        b'{"kind": "example", "key": "x", "fields": {}}\n',
        b'{"kind": "score", "name": "x", "value": "good"}\n',
        b'{"kind": "progress"}\n',
        b"\xff\xfe\x00\n",
        b'{"kind": "metrics", "step": 123456789012345678901234567890, "time": 1, "values": {"loss": 1}}\n',
        b'{"kind": "metrics", "step": 9223372036854775808, "time": 1, "values": {"loss": 1}}\n',
        b'{"kind": "metrics", "step": true, "time": 1, "values": {"loss": 1}}\n',
        b'{"kind": "metrics", "step": 1, "time": "nan", "values": {"loss": 1}}\n',
        b'{"kind": "progress", "time": 1, "done": 1, "total": 1, "unit": {}}\n',
        b'{"kind": "message", "time": {}, "text": "x"}\n',
        b'{"kind": "message", "time": 1, "text": ["x"], "hint": "y"}\n',
        b'{"kind": "message", "time": 1, "text": "x", "level": ["y"]}\n',
        b'{"kind": "started", "time": 1, "attempt": {}, "resume_step": [1]}\n',
        b'{"kind": "artifact", "time": 1, "name": "x", "path": "p", "step": [1]}\n',
        b'{"kind": "checkpoint", "time": 1, "name": {}, "path": "p", "step": 1}\n',
        b'{"kind": "checkpoint", "time": 1, "path": "p", "step": 9223372036854775808}\n',
        b'{"kind": "score", "name": "strict", "value": 1, "fields": [1]}\n',
        b'{"kind": "score", "name": "strict", "value": 1, "fields": {"x": %s}}\n' % (b"[" * 500 + b"]" * 500),
        b'{"kind": "message", "text": "\\ud800"}\n',
    ],
)
def test_rubbish_is_counted_and_does_not_stop_the_rest(
    database: Database, job_id: int, rubbish: bytes
) -> None:
    (database.run_dir(job_id) / "events.jsonl").write_bytes(line(1) + rubbish + line(2))
    ingest(database, jobs.get_job(database, job_id))

    assert steps(database, job_id) == [1, 2]
    assert jobs.get_job(database, job_id).unreadable_lines == 1


@pytest.mark.parametrize(
    "unusual",
    [
        b'{"kind": "metrics", "step": -5, "time": 18446744073709551615, "values": {"": 18446744073709551615}}\n',
        b'{"kind": "score", "name": "strict"}\n',
        b'{"kind": "score", "name": "strict", "value": "nan", "fields": null}\n',
        b'{"kind": "checkpoint", "name": null, "path": "p", "step": 1, "time": 1}\n',
        b'{"kind": "started", "time": null, "attempt": null}\n',
        b'{"kind": "", "text": "a\\u0000b"}\n',
    ],
)
def test_an_unusual_event_is_recorded(database: Database, job_id: int, unusual: bytes) -> None:
    (database.run_dir(job_id) / "events.jsonl").write_bytes(unusual + line(2))
    ingest(database, jobs.get_job(database, job_id))

    assert steps(database, job_id) == [2]
    assert jobs.get_job(database, job_id).unreadable_lines == 0


def test_a_line_without_end_does_not_fill_the_memory(
    database: Database, job_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_module, "BATCH_BYTES", 200)
    monkeypatch.setattr(events, "LONGEST_LINE", 1000)
    path = database.run_dir(job_id) / "events.jsonl"
    path.write_bytes(line(1) + b"x" * 5000)
    ingest(database, jobs.get_job(database, job_id))
    assert jobs.get_job(database, job_id).events_offset > 4000
    with path.open("ab") as file:
        file.write(b"\n" + line(2))
    ingest(database, jobs.get_job(database, job_id))

    assert steps(database, job_id) == [1, 2]


def test_batches_are_recorded_one_by_one(
    database: Database, job_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_module, "BATCH_BYTES", 200)
    (database.run_dir(job_id) / "events.jsonl").write_bytes(b"".join(line(i) for i in range(100)))
    ingest(database, jobs.get_job(database, job_id), max_batches=1)
    assert 0 < len(steps(database, job_id)) < 10
    ingest(database, jobs.get_job(database, job_id))

    assert steps(database, job_id) == list(range(100))


def test_what_the_writer_writes_is_what_is_stored(database: Database, job_id: int) -> None:
    writer = EventWriter(database.run_dir(job_id))
    written: list[dict[str, Any]] = [{"loss": 1.5}, {"loss": float("nan")}, {"loss": float("inf")}]
    for step, values in enumerate(written):
        writer.metrics(step, values)
    writer.close()
    ingest(database, jobs.get_job(database, job_id))

    values = [point.value for point in metrics.read_points(database, job_id, "loss")]
    assert repr(values) == "[1.5, nan, inf]"


def test_a_writer_starts_a_new_line_after_one_that_was_cut(database: Database, job_id: int) -> None:
    path: Path = database.run_dir(job_id) / "events.jsonl"
    path.write_bytes(line(1) + line(2)[:20])
    writer = EventWriter(database.run_dir(job_id))
    writer.metrics(3, {"loss": 0.5})
    writer.close()
    ingest(database, jobs.get_job(database, job_id))

    assert steps(database, job_id) == [1, 3]
    assert jobs.get_job(database, job_id).unreadable_lines == 1
