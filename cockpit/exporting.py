"""Metrics in the formats of other tools: TensorBoard's event files, and long rows for a CSV.

Steps, wall times, NaN and infinities are kept. Points that a resume from a checkpoint took back are left out. TensorBoard
keeps scalars as 32-bit floats; a CSV has every digit.
"""

import importlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from store import metrics
from store.database import Database, StoreError
from store.jobs import Job

_UNSAFE = re.compile(r"[^\w.,=\[\]+-]+")


class Row(NamedTuple):
    """One point of one metric of one job; `time` in Unix seconds."""

    job: int
    name: str
    key: str
    step: int
    time: float
    value: float


def rows(database: Database, jobs: Sequence[Job]) -> Iterator[Row]:
    """Every point, by job and metric, in the order logged."""
    for job in jobs:
        for series in metrics.list_series(database, [job.id]):
            for point in metrics.read_points(database, job.id, series.name):
                yield Row(job.id, job.name, series.name, point.step, point.time, point.value)


def write_event_files(database: Database, jobs: Sequence[Job], directory: Path) -> dict[Path, int]:
    """An event file for each job below `directory`. Returns how many points each holds.

    Each is complete or not there. A job that is exported again replaces its file, so that no point is shown twice.
    """
    event, summary, record_writer = _tensorboardx()
    written: dict[Path, int] = {}
    for job in jobs:
        path = directory / run_name(job) / f"events.out.tfevents.{int(job.created_at):010d}.tunedeck"
        path.parent.mkdir(parents=True, exist_ok=True)
        # No name under which TensorBoard would look into a file that is half written.
        temporary = path.with_name(f".{job.id}.tmp")
        writer = record_writer.RecordWriter(str(temporary))
        header = event.Event(wall_time=job.created_at, file_version="brain.Event:2")
        writer.write(header.SerializeToString())
        count = 0
        for row in rows(database, [job]):
            value = summary.Summary.Value(tag=row.key, simple_value=row.value)
            one = event.Event(wall_time=row.time, step=row.step, summary=summary.Summary(value=[value]))
            writer.write(one.SerializeToString())
            count += 1
        writer.flush()
        writer.close()
        temporary.replace(path)
        written[path] = count
    return written


def run_name(job: Job) -> Path:
    """What TensorBoard calls the run: experiment and job, without what a path could not hold."""
    parts = [f"{job.experiment}-{job.experiment_id}", *job.name.split("/")]
    cleaned = [safe_name(part) for part in parts if part]
    return Path(*("_" if set(part) == {"."} else part for part in cleaned))


def _tensorboardx() -> tuple[Any, Any, Any]:
    """tensorboardX's messages and its writer of records; torch's own would bring torch along."""
    try:
        return (
            importlib.import_module("tensorboardX.proto.event_pb2"),
            importlib.import_module("tensorboardX.proto.summary_pb2"),
            importlib.import_module("tensorboardX.record_writer"),
        )
    except ModuleNotFoundError as error:
        raise StoreError(
            f"event files need {error.name}, which is not installed\nhint: `pip install 'tunedeck[tensorboard]'`"
        ) from error


def safe_name(text: str) -> str:
    """A name for a file, whatever a person called an experiment."""
    return _UNSAFE.sub("_", text)
