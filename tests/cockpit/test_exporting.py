"""Metrics for other tools, read back by those tools' own readers."""

import csv
import io
import math
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cockpit.exporting import rows, run_name, write_event_files
from store import jobs
from store.database import Database, StoreError
from store.jobs import get_job

VALUES: list[float | str] = [0.5, "nan", "inf", "-inf", 0.1]


@pytest.fixture
def trained(bench: Any) -> int:
    """A job with values that are easily lost, and a point that a resume took back."""
    [job_id] = bench.enqueue("full[seed=1]/eval", "../x")[:1]
    bench.start()
    for step, value in enumerate([*VALUES, 7.0]):
        bench.record(
            job_id,
            {"kind": "metrics", "step": 10 * step, "time": 1.5e9 + step / 4, "values": {"loss": value}},
        )
    bench.record(job_id, {"kind": "started", "attempt": 2, "resume_step": 40})
    bench.record(job_id, {"kind": "metrics", "step": 3, "time": 1.6e9, "values": {"eval/acc": 0.25}})
    return int(job_id)


EXPECTED = [(10 * i, 1.5e9 + i / 4, float(value)) for i, value in enumerate(VALUES)]


def test_rows_are_every_point_that_still_counts(database: Database, trained: int) -> None:
    found = list(rows(database, [get_job(database, trained)]))

    assert [(r.step, r.time) for r in found if r.key == "loss"] == [(s, t) for s, t, _ in EXPECTED]
    assert [(r.step, r.value) for r in found if r.key == "eval/acc"] == [(3, 0.25)]


def records(path: Path) -> list[bytes]:
    """The records of a TFRecord file, their checksums checked: length, masked CRC-32C of it, data, its CRC."""
    crc32c = pytest.importorskip("tensorboardX.crc32c").crc32c
    masked = lambda data: (((c := crc32c(data)) >> 15 | c << 17) + 0xA282EAD8) & 0xFFFFFFFF  # noqa: E731
    data, found = path.read_bytes(), []
    while data:
        (length, check) = struct.unpack("<QI", data[:12])
        assert check == masked(data[:8])
        body = data[12 : 12 + length]
        assert struct.unpack("<I", data[12 + length : 16 + length])[0] == masked(body)
        found.append(body)
        data = data[16 + length :]
    return found


def test_event_files_hold_steps_wall_times_and_values(
    database: Database, trained: int, tmp_path: Path
) -> None:
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    job = get_job(database, trained)
    for _ in range(2):  # again: it replaces what was there
        [(path, count)] = write_event_files(database, [job], tmp_path / "out").items()
    events = [event_pb2.Event.FromString(record) for record in records(path)]

    assert count == 6
    assert [entry for entry in (tmp_path / "out").rglob("*") if entry.is_file()] == [path]
    assert events[0].file_version == "brain.Event:2"
    losses = [
        (e.step, e.wall_time, v.simple_value) for e in events for v in e.summary.value if v.tag == "loss"
    ]
    for (step, at, value), (read_step, read_at, read) in zip(EXPECTED, losses, strict=True):
        assert (read_step, read_at) == (step, at)
        assert (math.isnan(read) and math.isnan(value)) or read == pytest.approx(value, rel=1e-7)


def test_tensorboard_reads_them(database: Database, trained: int, tmp_path: Path) -> None:
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    pytest.importorskip("tensorboardX")
    [path] = write_event_files(database, [get_job(database, trained)], tmp_path)
    read = accumulators.EventAccumulator(str(path.parent))
    read.Reload()

    assert sorted(read.Tags()["scalars"]) == ["eval/acc", "loss"]
    assert [(one.step, one.wall_time) for one in read.Scalars("loss")] == [(s, t) for s, t, _ in EXPECTED]


def test_without_the_library_nothing_is_written_and_it_is_named(
    database: Database, trained: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX.proto.event_pb2", None)
    with pytest.raises(StoreError, match="event files need tensorboardX") as refused:
        write_event_files(database, [get_job(database, trained)], tmp_path / "out")

    assert "pip install 'tunedeck[tensorboard]'" in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_a_run_is_named_after_its_job_and_stays_below_its_directory(database: Database, bench: Any) -> None:
    ids = bench.enqueue("full[seed=1]/eval", "../../x", "a b", experiment="e/f")

    names = [str(run_name(get_job(database, job_id))) for job_id in ids]
    assert names == ["e_f-1/full[seed=1]/eval", "e_f-1/_/_/x", "e_f-1/a_b"]


def tunedeck(*arguments: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-P", "-m", "cockpit", "export", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60)


def test_an_experiment_as_csv_has_every_point_with_every_digit(
    database: Database, trained: int, bench: Callable[..., Any]
) -> None:
    said = tunedeck("-e", "demo", "--csv")
    found = list(csv.DictReader(io.StringIO(said.stdout)))

    assert list(found[0]) == ["job", "name", "key", "step", "time", "value"]
    assert [row["value"] for row in found if row["key"] == "loss"] == ["0.5", "nan", "inf", "-inf", "0.1"]
    assert {row["name"] for row in found} == {"full[seed=1]/eval"}
    assert len(jobs.list_jobs(database)) == 2


@pytest.mark.parametrize("arguments", [["1"], ["--csv"], ["1", "--csv", "--tensorboard", "x"]])
def test_what_is_missing_or_too_much_is_a_usage_error(home: Path, arguments: list[str]) -> None:
    assert tunedeck(*arguments).returncode == 2
