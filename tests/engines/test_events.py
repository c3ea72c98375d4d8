"""The way out of an engine."""

import errno
import json
import os
from pathlib import Path

import pytest

from engines.events import EventWriter


def steps(path: Path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_every_line_is_on_disk_when_the_call_returns(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path)
    for step in range(3):
        writer.metrics(step, {"loss": 0.5})

        assert steps(tmp_path / "events.jsonl") == list(range(step + 1))
    writer.close()


def test_a_full_disk_ends_nothing_and_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").symlink_to("/dev/full")
    writer = EventWriter(tmp_path)
    writer.metrics(1, {"loss": 0.5})
    writer.metrics(2, {"loss": 0.4})
    with (tmp_path / "room").open("wb") as room:
        os.dup2(room.fileno(), writer._file)  # the disk has room again
        writer.metrics(3, {"loss": 0.3})
    writer.close()

    assert steps(tmp_path / "room") == [1, 2, 3]


def test_any_other_failure_to_write_is_an_error(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path)
    writer.close()

    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        writer.metrics(1, {"loss": 0.5})
    assert caught.value.errno == errno.EBADF


def test_numbers_of_numpy_and_those_that_are_not_finite_are_written(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    writer = EventWriter(tmp_path)
    writer.metrics(1, {"a": numpy.float32(0.5), "b": float("nan"), "c": float("-inf")})
    writer.close()

    (event,) = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert event["values"] == {"a": 0.5, "b": "nan", "c": "-inf"}
